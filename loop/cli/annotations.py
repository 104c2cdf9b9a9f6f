"""`askance annotate`: predictions in bulk."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text
from typer.core import TyperGroup

from loop.cli.command_line import (
    ConfigOption,
    JsonOption,
    ProjectOption,
    UrlOption,
    app,
    client_of,
    console,
    print_json,
    print_table,
    progress_bar,
    settings_of,
    table_of,
    tracker,
)
from loop.domain.errors import AnnotationFailed

if TYPE_CHECKING:
    from serving.api.schemas.annotations import AnnotationOut
    from serving.client import Client


class SourceFirst(TyperGroup):
    """`askance annotate SRC` is `askance annotate run SRC`: what is no command's name is a source."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = args and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named or not args else ["run", *args])


annotate_app = typer.Typer(
    no_args_is_help=True,
    cls=SourceFirst,
    help="Predict every image of a folder, manifest or URL: askance annotate SRC --project P.",
)
app.add_typer(annotate_app, name="annotate")


class AnnotationFormat(StrEnum):
    coco = "coco"
    yolo = "yolo"
    label_studio = "label-studio"


OutOption = Annotated[Path | None, typer.Option("--out", help="Also write the predictions to this new folder.")]

AnnotationFormatOption = Annotated[AnnotationFormat, typer.Option("--format", "-f", help="How --out is laid out.")]

_ENDED_BY_CTRL_C = 130


@annotate_app.command("run")
def annotate_run(
    source: Annotated[str, typer.Argument(metavar="SRC", help="Folder, manifest (.txt, .jsonl, .csv) or URL.")],
    project: ProjectOption,
    model: Annotated[str | None, typer.Option(help="A version's id; otherwise the present champion.")] = None,
    review: Annotated[bool, typer.Option(help="Whether risky ones become review tasks.")] = True,
    detach: Annotated[bool, typer.Option("--detach", help="Print the id and do not wait.")] = False,
    out: OutOption = None,
    format_: AnnotationFormatOption = AnnotationFormat.coco,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Predict every image of SRC; the service works on it, and goes on after a restart."""
    from loop.exchange.exporter import require_free

    if out is not None:
        if detach:
            raise typer.BadParameter("--out needs the end of the job: leave --detach out, or export later.")
        require_free(out)
    with client_of(config, url) as client:
        started = client.start_annotation(project, _named_here(source), model_id=model, review=review)
        if detach:
            console.print(started.id)
            return
        ended = follow_and_report(client, started)
    if out is not None:
        annotate_export(ended.id, out, project, format_, config)


@annotate_app.command("status")
def annotate_status(
    annotation: Annotated[str, typer.Argument(metavar="ID")],
    project: ProjectOption,
    wait: Annotated[bool, typer.Option("--wait", help="Show the progress until the end.")] = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """How far a job is, and which images could not be read."""
    with client_of(config, url) as client:
        job = client.annotation(project, annotation)
        if wait and not job.state.finished:
            job = _followed(client, job)
        bad = client.bad_images(project, annotation).images
    if as_json:
        print_json(job)
        return
    for image in bad:
        console.print(f"  bad  {image.url}: {image.reason}", markup=False, soft_wrap=True)
    _report_annotation(job)


@annotate_app.command("list")
def annotate_list(
    project: ProjectOption, as_json: JsonOption = False, url: UrlOption = None, config: ConfigOption = None
) -> None:
    """The newest jobs."""
    table = table_of("annotation", "state", "done", "bad", "of", "model", "source", "by", "error")
    with client_of(config, url) as client:
        found = client.annotations(project)
    if as_json:
        print_json(found)
        return
    for job in found.annotations:
        counts = map(str, (job.done, job.bad, job.found))
        table.add_row(job.id, job.state, *counts, job.model_id, job.source, job.actor, job.error)
    print_table(table)


@annotate_app.command("cancel")
def annotate_cancel(
    annotation: Annotated[str, typer.Argument(metavar="ID")],
    project: ProjectOption,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """End a job; what was predicted stays."""
    with client_of(config, url) as client:
        _report_annotation(client.cancel_annotation(project, annotation))


@annotate_app.command("export")
def annotate_export(
    annotation: Annotated[str, typer.Argument(metavar="ID")],
    out: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    project: ProjectOption,
    format_: AnnotationFormatOption = AnnotationFormat.coco,
    config: ConfigOption = None,
) -> None:
    """The predictions of a finished job as files, with their images; on the machine of the service."""
    from loop.exchange.predicted import export_predictions
    from loop.wiring import open_blobs, open_store

    settings = settings_of(config)
    with progress_bar() as bar:
        report = export_predictions(
            open_store(settings),
            open_blobs(settings),
            project_id=project,
            job_id=annotation,
            format=format_.value,
            folder=out,
            on_progress=tracker(bar, f"exporting {annotation}"),
        )
    console.print(report)


def _named_here(source: str) -> str:
    """A local path as the service must know it: absolute."""
    return source if "://" in source else os.path.abspath(Path(source).expanduser())  # noqa: PTH100 - `..` goes too


def follow_and_report(client: "Client", job: "AnnotationOut") -> "AnnotationOut":
    """The job at its end. Raises AnnotationFailed."""
    ended = _followed(client, job)
    _report_annotation(ended)
    return ended


def _followed(client: "Client", job: "AnnotationOut") -> "AnnotationOut":
    """The job at its end. Ctrl-C leaves it running and says how to come back."""
    try:
        with _annotation_progress() as bar:
            row = bar.add_task(job.id, total=None, bad=0)
            for job in client.follow_annotation(job.project_id, job.id):  # noqa: B020 - the same job, later
                total = job.found or None
                bar.update(row, completed=job.done + job.bad, total=total, bad=job.bad)
    except KeyboardInterrupt:
        come_back = f"askance annotate status {job.id} --project {job.project_id} --wait"
        console.print(f"{job.id} goes on in the service. Come back: {come_back}", soft_wrap=True)
        console.print(f"End it: askance annotate cancel {job.id} --project {job.project_id}", soft_wrap=True)
        raise typer.Exit(_ENDED_BY_CTRL_C) from None
    return job


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} images/s")


def _annotation_progress() -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _RateColumn())
    return Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[bad]} bad"), console=console)


def _report_annotation(job: "AnnotationOut") -> None:
    if job.state == "failed":
        raise AnnotationFailed(f"{job.id} failed: {job.error}", hint="Mend the cause and start it again.")
    console.print(f"{job.id} is {job.state}: {job.done} of {job.found} images predicted, {job.bad} bad", soft_wrap=True)
    if job.bad and job.state.finished:
        console.print(f"  which: askance annotate status {job.id} --project {job.project_id}", soft_wrap=True)
