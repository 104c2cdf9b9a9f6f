"""What `askance` can be told to do."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
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
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from loop.domain.access import Role
from loop.domain.errors import AnnotationFailed, CycleFailed, Invalid, NotFound, Unauthenticated, Unavailable
from loop.domain.rollout import RolloutKind, RolloutState
from loop.settings import Settings, load_settings

if TYPE_CHECKING:
    from serving.api.schemas.annotations import AnnotationOut
    from serving.api.schemas.models import CycleOut, ModelsOut, PromotionOut
    from serving.api.schemas.selections import RiskOut, SelectionOut
    from serving.client import Client

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Object detection that knows what it is unsure of: serves, routes to people, retrains.",
)
models_app = typer.Typer(no_args_is_help=True, help="Model versions of a project, and which one serves.")
cycle_app = typer.Typer(no_args_is_help=True, help="Retraining: snapshot, train, evaluate, gate, promote.")
token_app = typer.Typer(no_args_is_help=True, help="Who may call: producers, reviewers, operators.")
project_app = typer.Typer(no_args_is_help=True, help="Detection problems.")
risk_app = typer.Typer(no_args_is_help=True, help="How well it is known which predictions are wrong.")


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
for name, group in (
    ("models", models_app),
    ("cycle", cycle_app),
    ("token", token_app),
    ("project", project_app),
    ("risk", risk_app),
):
    app.add_typer(group, name=name)

console = Console(highlight=False)

ProjectOption = Annotated[str, typer.Option("--project", "-p", help="The project's id.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="Settings that differ from configs/default.yaml.")]
UrlOption = Annotated[str | None, typer.Option("--url", envvar="ASKANCE_URL", help="The running service.")]


class ImportFormat(StrEnum):
    voc = "voc"
    coco = "coco"
    yolo = "yolo"


class ExportFormat(StrEnum):
    coco = "coco"
    yolo = "yolo"


class AnnotationFormat(StrEnum):
    coco = "coco"
    yolo = "yolo"
    label_studio = "label-studio"


FilterOption = Annotated[
    list[str] | None, typer.Option("--filter", help="source=…, group=…, label=… or meta.KEY=…; all must hold.")
]

# --- the service ---------------------------------------------------------------------------------


@app.command()
def up(
    config: ConfigOption = None,
    port: Annotated[int | None, typer.Option(help="Instead of server.port.")] = None,
) -> None:
    """Start the service: API and page on one port, until Ctrl-C."""
    settings = _settings(config, port)
    from serving.app import configure_logging, operator_token, running

    configure_logging()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with console.status("starting Ray, Ray Serve and the models …"):
        service = running(settings)
        services = service.__enter__()
    try:
        url = _base_url(settings)
        secret = operator_token(settings, services)
        console.print(f"[bold green]Askance is up[/] at {url}")
        console.print(f"  page   {url}/#token={secret}", soft_wrap=True)
        console.print(f"  token  {settings.data_dir / 'operator.token'} (operator)", soft_wrap=True)
        console.print("  stop   Ctrl-C")
        stop.wait()
        console.print("stopping: requests under way are answered first …")
    finally:
        service.__exit__(None, None, None)


@app.command()
def demo(
    exit_: Annotated[bool, typer.Option("--exit", help="End after the scripted loop.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="End with the table as one JSON object.")] = False,
    seed: Annotated[int, typer.Option(help="Another seed, other scenes.")] = 0,
    port: Annotated[int | None, typer.Option(help="Instead of server.port.")] = None,
    config: ConfigOption = None,
) -> None:
    """The whole loop on made scenes: serve, drift, route, correct, retrain, promote; then stay up."""
    settings = _settings(config, port)
    from loop.demo.show import show
    from serving.app import configure_logging

    configure_logging(logging.WARNING)
    show(settings, _base_url(settings), seed=seed, leave=exit_, as_json=json_)


# --- data ------------------------------------------------------------------------------------------


@app.command("import")
def import_(
    folder: Annotated[Path, typer.Argument(help="The data set's folder.")],
    format_: Annotated[ImportFormat, typer.Option("--format", "-f", help="How it is laid out.")],
    project: ProjectOption,
    split: Annotated[str | None, typer.Option(help="train, val or golden for all images.")] = None,
    add_labels: Annotated[bool, typer.Option(help="Add labels that the project does not have.")] = False,
    config: ConfigOption = None,
) -> None:
    """Images and their ground truth into a project; importing again changes nothing."""
    from loop.exchange.importer import import_dataset
    from loop.wiring import administer, open_blobs, open_store, utc_now
    from serving.images import inspect_image

    settings = _settings(config)
    store, blobs = open_store(settings), open_blobs(settings)
    with _progress() as bar:
        report = import_dataset(
            store,
            blobs,
            administer(settings, store, blobs),
            project_id=project,
            format=format_.value,
            folder=folder,
            split=split,
            add_labels=add_labels,
            inspect_image=lambda content: inspect_image(content, max_pixels=settings.limits.max_image_pixels),
            clock=utc_now,
            on_progress=_tracker(bar, f"importing {folder.name}"),
        )
    console.print(report)


@app.command("export")
def export(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    format_: Annotated[ExportFormat, typer.Option("--format", "-f")],
    project: ProjectOption,
    config: ConfigOption = None,
) -> None:
    """A project's images and present ground truth as a data set."""
    from loop.exchange.exporter import export_dataset
    from loop.wiring import open_blobs, open_store

    settings = _settings(config)
    with _progress() as bar:
        report = export_dataset(
            open_store(settings),
            open_blobs(settings),
            project_id=project,
            format=format_.value,
            folder=folder,
            on_progress=_tracker(bar, f"exporting {project}"),
        )
    console.print(report)


# --- projects and tokens -------------------------------------------------------------------------------


@project_app.command("create")
def project_create(
    project: Annotated[str, typer.Argument(help="1 to 63 lower-case letters, digits and dashes.")],
    labels: Annotated[str, typer.Option(help="Comma-separated: car,person,bicycle")],
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """A project without data or model."""
    with _client(config, url) as client:
        created = client.create_project(project, [label.strip() for label in labels.split(",")])
    console.print(f"created {created.id} with {len(created.recipe.labels)} labels")


@project_app.command("list")
def project_list(url: UrlOption = None, config: ConfigOption = None) -> None:
    """All projects."""
    table = _table("project", "labels", "champion", "predictions", "routed", "open tasks")
    with _client(config, url) as client:
        for project in client.projects():
            figures = client.summary(project.id)
            labels = ", ".join(label.name for label in project.recipe.labels[:8])
            counts = (figures.predictions, figures.routed, figures.tasks.get("open", 0))  # type: ignore[call-overload]
            table.add_row(project.id, labels, project.champion_id or "-", *map(str, counts))
    console.print(table)


@token_app.command("create")
def token_create(
    name: Annotated[str, typer.Argument(help="Whose it is.")],
    role: Annotated[Role, typer.Option(help="What they may do.")],
    project: Annotated[str | None, typer.Option("--project", "-p", help="For this project only.")] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """A new token; its secret is shown once."""
    with _client(config, url) as client:
        token = client.create_token(name, role, project)
    console.print(token.secret)


# --- models ------------------------------------------------------------------------------------------


@models_app.command("list")
def models_list(project: ProjectOption, url: UrlOption = None, config: ConfigOption = None) -> None:
    """Versions, newest first; * serves, a canary or shadow takes the share that is named."""
    table = _table("", "model", "digest", "from", "labels", "made", "options")
    with _client(config, url) as client:
        found = client.models(project)
    beside = _beside(found)
    for model in found.models:
        mark = "*" if model.champion else beside.get(model.id, "")
        made = f"{model.created_at:%Y-%m-%d %H:%M:%S}"
        options = " ".join(f"{key}={value}" for key, value in model.serving.items())
        table.add_row(mark, model.id, model.digest[:12], model.origin, str(len(model.labels)), made, options)
    console.print(table)


def _beside(found: "ModelsOut") -> dict[str, str]:
    """What runs beside the champion, by model."""
    marks: dict[str, list[str]] = {}
    for rollout in found.rollouts:
        if not rollout.state.finished:
            waiting = " (queued)" if rollout.state is RolloutState.QUEUED else ""
            marks.setdefault(rollout.model_id, []).append(f"{rollout.kind} {rollout.share:.0%}{waiting}")
    return {model: ", ".join(sorted(several)) for model, several in marks.items()}


@models_app.command("status")
def models_status(project: ProjectOption, url: UrlOption = None, config: ConfigOption = None) -> None:
    """What was promoted, and what runs or ran beside the champion, with the reasons; newest first."""
    table = _table("what", "model", "state", "share", "by", "reason", "outcome", "asked")
    with _client(config, url) as client:
        found = client.models(project)
    promotions = [(p.created_at, p.kind, p.model_id, p.state, "", p.actor, p.reason, p.error) for p in found.promotions]
    rollouts = [
        (r.created_at, r.kind, r.model_id, r.state, f"{r.share:.0%}", r.actor, r.reason, r.error)
        for r in found.rollouts
    ]
    for at, *columns in sorted([*promotions, *rollouts], key=lambda row: row[0], reverse=True):
        table.add_row(*(str(column).replace("_", " ") for column in columns), f"{at:%Y-%m-%d %H:%M:%S}")
    console.print(table)


@models_app.command("add")
def models_add(
    weights: Annotated[str, typer.Argument(help="yolo11n.pt, a torchvision .pth, or a .safetensors of Askance.")],
    project: ProjectOption,
    labels: Annotated[str | None, typer.Option(help="Comma-separated, where the file does not name them.")] = None,
    builder: Annotated[str | None, typer.Option(help="torchvision builder, e.g. retinanet_resnet50_fpn.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side of the network's input, pixels.")] = None,
    download: Annotated[bool, typer.Option(help="Let ultralytics fetch a file that is not here.")] = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Bring your own weights; a new project is made of a model's labels, and its first model serves at once."""
    from training.head import read_head
    from training.weights import adopt

    names = tuple(label.strip() for label in labels.split(",")) if labels else None
    content = adopt(weights, labels=names, image_size=image_size, builder=builder, download=download)
    head = read_head(content)
    with _client(config, url) as client:
        if project not in {known.id for known in client.projects()}:
            client.create_project(project, head.labels)
            console.print(f"created the project {project} with the model's {len(head.labels)} labels")
        model = client.add_model(project, content)
        console.print(f"added {model.id} ({model.digest[:12]})")
        first = next((p for p in client.models(project).promotions if p.model_id == model.id), None)
        if first is not None:
            _report(client.await_promotion(project, first.id))


@models_app.command("promote")
def models_promote(
    model: Annotated[str, typer.Argument(help="The version's id.")],
    project: ProjectOption,
    reason: Annotated[str, typer.Option(help="Kept with your name: you override the gate.")],
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a version champion by hand."""
    with _client(config, url) as client:
        _report(client.await_promotion(project, client.promote(project, model, reason).id))


@models_app.command("rollback")
def models_rollback(
    project: ProjectOption,
    reason: Annotated[str, typer.Option()] = "rolled back by hand",
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Back to the champion before the present one."""
    with _client(config, url) as client:
        _report(client.await_promotion(project, client.rollback(project, reason).id))


@models_app.command("canary")
def models_canary(
    model: Annotated[str, typer.Argument(help="The version's id.")],
    project: ProjectOption,
    share: Annotated[float, typer.Option(help="Of the predictions, above 0 and at most 1.")],
    reason: Annotated[str, typer.Option(help="Kept with your name.")] = "asked for",
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Let a share of the callers get this version's answers; it is taken back when it errs or is slow."""
    _roll_out(RolloutKind.CANARY, model, project, share, reason, url, config)


@models_app.command("shadow")
def models_shadow(
    model: Annotated[str, typer.Argument(help="The version's id.")],
    project: ProjectOption,
    share: Annotated[float, typer.Option(help="Of the predictions, above 0 and at most 1.")] = 1.0,
    reason: Annotated[str, typer.Option(help="Kept with your name.")] = "asked for",
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Let this version see a share of the traffic; callers get the champion's answers."""
    _roll_out(RolloutKind.SHADOW, model, project, share, reason, url, config)


def _roll_out(
    kind: RolloutKind, model: str, project: str, share: float, reason: str, url: str | None, config: Path | None
) -> None:
    with _client(config, url) as client:
        asked = client.start_rollout(project, model, kind=kind, share=share, reason=reason)
        rollout = client.await_rollout(project, asked.id)
    if rollout.state is not RolloutState.ACTIVE:
        raise Unavailable(f"{model} does not run as a {kind}: {rollout.error}", hint="The champion answers alone.")
    console.print(f"[bold green]{model} runs[/] as a {kind} for {rollout.share:.0%} of the predictions")


@models_app.command("end")
def models_end(
    kind: Annotated[RolloutKind, typer.Argument(help="Which of the two.")],
    project: ProjectOption,
    reason: Annotated[str, typer.Option(help="Kept with your name.")] = "ended by hand",
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """End the canary or the shadow: the champion answers alone."""
    with _client(config, url) as client:
        running = next((r for r in client.rollouts(project) if r.kind == kind and not r.state.finished), None)
        if running is None:
            raise NotFound(f"{project} has no {kind}.", hint="See: askance models status.", project=project)
        ended = client.end_rollout(project, running.id, reason)
    console.print(f"the {kind} of {ended.model_id} has ended")


@models_app.command("configure")
def models_configure(
    model: Annotated[str, typer.Argument(help="The version's id.")],
    options: Annotated[list[str], typer.Argument(help="detector_replicas=2 device=cuda …; key=null takes one back.")],
    project: ProjectOption,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Serve a version with other options than the settings say; the champion is swapped without a failed request."""
    changes = dict(_option(text) for text in options)
    with _client(config, url) as client:
        done = client.configure_model(project, model, changes)
        if done.promotion is not None:
            _report(client.await_promotion(project, done.promotion.id))
        else:
            told = ", ".join(f"{key}={value}" for key, value in done.model.serving.items())
            console.print(f"{model} has the options {told}" if told else f"{model} has no options of its own")


def _option(text: str) -> tuple[str, str | None]:
    key, found, value = text.partition("=")
    if not found or not key.strip() or not value.strip():
        raise Invalid(f"{text!r} is no option.", hint="Write key=value, for example detector_replicas=2.")
    return key.strip(), None if value.strip() == "null" else value.strip()


def _report(promotion: "PromotionOut") -> None:
    if promotion.state == "failed":
        raise CycleFailed(f"{promotion.model_id} does not serve: {promotion.error}", hint="The champion stays.")
    console.print(f"[bold green]{promotion.model_id} serves[/] ({promotion.kind})")


# --- cycles ------------------------------------------------------------------------------------------


@cycle_app.command("run")
def cycle_run(
    project: ProjectOption,
    reason: Annotated[str, typer.Option(help="Kept with the cycle.")] = "asked for",
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    mode: Annotated[str | None, typer.Option(help="superior or non_inferior.")] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Retrain on the present ground truth and promote what the gate lets through."""
    from pydantic import ValidationError

    from serving.api.schemas.models import CycleIn

    try:
        wish = CycleIn.model_validate({"reason": reason, "epochs": epochs, "mode": mode})
    except ValidationError as error:
        raise typer.BadParameter("; ".join(e["msg"] for e in error.errors())) from None
    with _client(config, url) as client, _progress() as bar:
        started = client.start_cycle(project, wish)
        row = bar.add_task(started.id, total=100)
        for cycle in client.follow_cycle(project, started.id):
            bar.update(row, description=f"{cycle.id} {cycle.step}", completed=round(100 * cycle.progress))
            finished = cycle
    _report_cycle(finished)


@cycle_app.command("list")
def cycle_list(project: ProjectOption, url: UrlOption = None, config: ConfigOption = None) -> None:
    """The newest cycles."""
    table = _table("cycle", "state", "step", "by", "reason", "candidate", "error")
    with _client(config, url) as client:
        for c in client.cycles(project).cycles:
            table.add_row(c.id, c.state, c.step, c.actor, c.reason, c.candidate_id or "-", c.error)
    console.print(table)


def _report_cycle(cycle: "CycleOut") -> None:
    if cycle.state == "failed":
        raise CycleFailed(f"{cycle.id} failed: {cycle.error}", hint="Mend the cause and run it again.")
    for clause in cycle.decision.get("clauses", []):
        mark = "[green]passed[/]" if clause["passed"] else "[red]failed[/]"
        console.print(f"  {mark}  {clause['name']}: {clause['detail']}")
    outcome = "[bold green]promoted[/]" if cycle.state == "promoted" else "[bold yellow]refused[/]"
    console.print(f"{cycle.candidate_id} was {outcome}")


# --- bulk annotation -----------------------------------------------------------------------------------

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
    with _client(config, url) as client:
        started = client.start_annotation(project, _named_here(source), model_id=model, review=review)
        if detach:
            console.print(started.id)
            return
        ended = _followed(client, started)
    _report_annotation(ended)
    if out is not None:
        annotate_export(ended.id, out, project, format_, config)


@annotate_app.command("status")
def annotate_status(
    annotation: Annotated[str, typer.Argument(metavar="ID")],
    project: ProjectOption,
    wait: Annotated[bool, typer.Option("--wait", help="Show the progress until the end.")] = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """How far a job is, and which images could not be read."""
    with _client(config, url) as client:
        job = client.annotation(project, annotation)
        if wait and not job.state.finished:
            job = _followed(client, job)
        bad = client.bad_images(project, annotation).images
    for image in bad:
        console.print(f"  bad  {image.url}: {image.reason}", markup=False, soft_wrap=True)
    _report_annotation(job)


@annotate_app.command("list")
def annotate_list(project: ProjectOption, url: UrlOption = None, config: ConfigOption = None) -> None:
    """The newest jobs."""
    table = _table("annotation", "state", "done", "bad", "of", "model", "source", "by", "error")
    with _client(config, url) as client:
        for job in client.annotations(project).annotations:
            counts = map(str, (job.done, job.bad, job.found))
            table.add_row(job.id, job.state, *counts, job.model_id, job.source, job.actor, job.error)
    console.print(table)


@annotate_app.command("cancel")
def annotate_cancel(
    annotation: Annotated[str, typer.Argument(metavar="ID")],
    project: ProjectOption,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """End a job; what was predicted stays."""
    with _client(config, url) as client:
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

    settings = _settings(config)
    with _progress() as bar:
        report = export_predictions(
            open_store(settings),
            open_blobs(settings),
            project_id=project,
            job_id=annotation,
            format=format_.value,
            folder=out,
            on_progress=_tracker(bar, f"exporting {annotation}"),
        )
    console.print(report)


@app.command("select")
def select(
    project: ProjectOption,
    budget: Annotated[int, typer.Option("--budget", "-b", min=1, help="How many images people can look at.")],
    strategy: Annotated[
        str | None, typer.Option("--strategy", "-s", help="A name, or parts: hybrid=60,anomaly=20,random=20.")
    ] = None,
    filter_: FilterOption = None,
    like: Annotated[list[str] | None, typer.Option("--like", help="Digest of an item to resemble.")] = None,
    like_box: Annotated[
        list[str] | None, typer.Option("--like-box", help="ITEM:NUMBER, a detection to resemble; numbered from 0.")
    ] = None,
    failures: Annotated[int, typer.Option(min=0, help="Resemble so many of the newest corrected items.")] = 0,
    random_share: Annotated[
        float | None, typer.Option("--random", min=0.0, max=1.0, help="The least share that is drawn at random.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The same gives the same picks.")] = None,
    no_duplicates: Annotated[
        bool, typer.Option("--no-duplicates", help="Of near-duplicates one at most, and none of what is labelled.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the picks, make no tasks.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the picks as JSON.")] = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Choose the unlabelled images that deserve a person most, and queue them for review."""
    from pydantic import ValidationError

    from selection.choosing import parts_of
    from serving.api.schemas.selections import SelectionIn

    try:
        wish = SelectionIn(
            budget=budget,
            strategies=parts_of(strategy or ""),
            filter=dict(_condition(one) for one in filter_ or []),
            like=like or [],
            like_boxes=like_box or [],
            failures=failures,
            random_share=random_share,
            seed=seed,
            no_duplicates=no_duplicates,
            dry_run=dry_run,
        )
    except ValidationError as error:
        raise typer.BadParameter("; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors())) from None
    with _client(config, url) as client:
        selected = client.select(project, wish)
    if as_json:
        sys.stdout.write(selected.model_dump_json() + "\n")
        return
    _report_selection(selected)


def _condition(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"--filter {text!r} is not NAME=VALUE, for example source=camera-3.")
    return name, value


@risk_app.command("report")
def risk_report(
    project: ProjectOption,
    plot: Annotated[Path | None, typer.Option(help="Save the reliability plot here (.png, .svg or .pdf).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """How well the champion's risk tells which predictions people correct."""
    with _client(config, url) as client:
        status = client.risk(project)
    if as_json:
        sys.stdout.write(status.model_dump_json() + "\n")
        return
    table = _table("risk", "measured on", "reviews", "corrected", "failure rate", "AUROC", "Brier", "of the rate alone")
    measured = [("as routed", "all reviews", status.routed_by)]
    if status.learned is not None:
        measured += [
            ("learned", "reviews held out", status.learned.quality),
            ("learned", "audits held out", status.learned.audits),
        ]
    for risk, where, quality in measured:
        if quality is not None:
            auroc = "" if quality.auroc is None else f"{quality.auroc:.3f}"
            figures = (f"{quality.failure_rate:.3f}", auroc, f"{quality.brier:.3f}", f"{quality.base:.3f}")
            table.add_row(risk, where, str(quality.reviews), str(quality.failures), *figures)
    console.print(table)
    if status.why:
        console.print(f"Nothing is learned yet: {status.why}", markup=False)
    if plot is not None:
        _plot_reliability(status, plot)
        console.print(f"The reliability plot is in {plot}", markup=False)


def _plot_reliability(status: "RiskOut", path: Path) -> None:
    quality = status.learned.quality if status.learned else status.routed_by
    if quality is None:
        raise NotFound("there is no review yet, so there is nothing to plot.", hint="Review some predictions first.")
    from loop.cli.reliability import save_plot

    save_plot(path, quality.reliability, title=f"{status.model_id}: {quality.reviews} reviews")


_PICKS_SHOWN = 20


def _report_selection(selected: "SelectionOut") -> None:
    table = _table("rank", "item", "strategy", "why")
    for pick in selected.picks[:_PICKS_SHOWN]:
        table.add_row(str(pick.rank), pick.item_digest[:12], pick.strategy, pick.reason)
    console.print(table)
    if selected.picked > _PICKS_SHOWN:
        console.print(f"… and {selected.picked - _PICKS_SHOWN} more (--json shows all)")
    for note in selected.notes:
        console.print(note, markup=False)
    mix = ", ".join(f"{share:.0%} {name}" for name, share in selected.mix.items())
    if selected.dry_run:
        console.print(f"A dry run: {selected.picked} of {selected.pool} would be queued ({mix}; seed {selected.seed}).")
    else:
        console.print(f"{selected.picked} of {selected.pool} are queued for review ({mix}): {selected.id}")


def _named_here(source: str) -> str:
    """A local path as the service must know it: absolute."""
    return source if "://" in source else os.path.abspath(Path(source).expanduser())  # noqa: PTH100 - `..` goes too


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


# --- shared -----------------------------------------------------------------------------------------


def _settings(config: Path | None, port: int | None = None) -> Settings:
    environ = dict(os.environ)
    if port is not None:
        environ["ASKANCE_SERVER__PORT"] = str(port)
    return load_settings(config, environ)


def _base_url(settings: Settings) -> str:
    host = "127.0.0.1" if settings.server.host in ("0.0.0.0", "::") else settings.server.host  # noqa: S104 - compared
    return f"http://{host}:{settings.server.port}"


def _client(config: Path | None, url: str | None) -> "Client":
    """A client with the token of ASKANCE_TOKEN, or that of the service on this machine."""
    from serving.client import Client

    settings = _settings(config)
    secret = os.environ.get("ASKANCE_TOKEN", "")
    path = settings.data_dir / "operator.token"
    if not secret and path.is_file():
        secret = path.read_text().strip()
    if not secret:
        raise Unauthenticated(
            f"there is no token: neither ASKANCE_TOKEN nor {path}.",
            hint="Start the service in this folder (askance up), or set ASKANCE_TOKEN and ASKANCE_URL.",
        )
    return Client(url or _base_url(settings), secret)


def _table(*columns: str) -> Table:
    """Ids are there to be copied: a narrow terminal folds them, never cuts them."""
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _progress() -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console)


def _tracker(bar: Progress, description: str) -> Callable[[int, int], None]:
    row = bar.add_task(description, total=None)
    return lambda done, total: bar.update(row, completed=done, total=total)
