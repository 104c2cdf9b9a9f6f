"""`askance drift`: whether production still looks like what the champion was judged on, for people."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

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
    table_of,
)
from loop.domain.errors import TooFewImages
from loop.domain.production.drift import Origin, Verdict

if TYPE_CHECKING:
    from serving.api.schemas.drift import DriftReportOut, DriftTestOut
    from serving.client import Client

_SHOWN = 6  # rows of classes and sources
_TO_RESEMBLE = 3
_EFFECTS = {
    "embeddings": "told apart with AUROC {0:.2f} ({1:.2f} to {2:.2f})",
    "scores": "largest gap {0:.2f} ({1:.2f} to {2:.2f})",
    "classes": "{0:.0%} of the objects moved ({1:.0%} to {2:.0%})",
}


@app.command("drift")
def drift(
    project: ProjectOption,
    now: Annotated[bool, typer.Option("--now", help="Look at the newest predictions first.")] = False,
    accept: Annotated[bool, typer.Option("--accept", help="What production shows now is normal from here on.")] = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Whether production still looks like what the champion was judged on, and what moved."""
    with client_of(config, url) as client:
        said = _asked(client, project, now=now, accept=accept)
        page = client.drift(project)
    if said:
        typer.echo(said, err=as_json)
    if as_json:
        print_json(page)
        return
    if page.reports:
        _show(page.reports[0], page.model_id)
    else:
        console.print(f"Nothing has been looked at yet for {page.model_id}.", markup=False)
    console.print(f"Next: {page.waiting}", markup=False)


def _asked(client: "Client", project: str, *, now: bool, accept: bool) -> str:
    """Do what is asked for beside the reports; what came of it, also where there are too few images."""
    from serving.client import ApiError

    said = ""
    try:
        if accept:
            client.accept_drift(project)
            said = "Accepted: later windows are compared with the newest predictions."
        if now:
            client.look_for_drift(project)
    except ApiError as error:
        if error.problem.type != f"/problems/{TooFewImages.code}":
            raise
        said = f"{said} {error}".strip()
    return said


def _show(report: "DriftReportOut", champion: str) -> None:
    if report.model_id != champion:
        console.print(f"Nothing has been looked at yet for {champion}; of the champion before:", markup=False)
    console.print(f"[bold]{_in_words(report)}[/]")
    was = "was evaluated on" if report.reference_origin is Origin.EVALUATION else "predicted as reference"
    console.print(
        f"{report.window_images} images of {report.window_of} predictions, "
        f"{report.window_from:%Y-%m-%d %H:%M} to {report.window_until:%Y-%m-%d %H:%M} UTC, "
        f"against {report.reference_images} that {report.model_id} {was}",
        markup=False,
    )
    tests = table_of("test", "effect (95 % interval)", "p", "adjusted p", "")
    for test in report.tests:
        tests.add_row(test.name, _effect(test), f"{test.p:.3f}", f"{test.adjusted_p:.3f}", _mark(test, report.level))
    print_table(tests)
    _show_moves(report)
    for note in report.notes:
        console.print(note, markup=False)


def _in_words(report: "DriftReportOut") -> str:
    drifts = report.verdict is Verdict.DRIFT
    if report.alarm == drifts or not report.scheduled:
        return "[red]drift[/]" if drifts else "[green]no drift[/]"
    if drifts:
        return "[yellow]drift in this window[/]: an alarm once others confirm it"
    return "[yellow]no drift in this window[/]: the alarm is over once others confirm it"


def _effect(test: "DriftTestOut") -> str:
    return _EFFECTS.get(test.name, "{0:.3f} ({1:.3f} to {2:.3f})").format(test.effect, test.low, test.high)


def _mark(test: "DriftTestOut", level: float) -> Text:
    return Text("drift", style="red") if test.adjusted_p <= level else Text()


def _show_moves(report: "DriftReportOut") -> None:
    classes = table_of("class", "before", "after", "change (95 % interval)")
    for one in report.classes[:_SHOWN]:
        change = f"{one.after - one.before:+.1%} ({one.low:+.1%} to {one.high:+.1%})"
        classes.add_row(one.label, f"{one.before:.1%}", f"{one.after:.1%}", change)
    print_table(classes)
    scores = report.scores
    console.print(f"median of the largest score: {scores.before:.3f} before, {scores.after:.3f} now")
    if any(one.source for one in report.sources):
        sources = table_of("source", "images", "unlike the reference (0.5: as usual)")
        for source in report.sources[:_SHOWN]:
            sources.add_row(source.source or "-", str(source.images), f"{source.unlike:.2f}")
        print_table(sources)
    if report.verdict is Verdict.DRIFT and report.unlike:
        like = " ".join(f"--like {digest}" for digest in report.unlike[:_TO_RESEMBLE])
        console.print(f"Queue what is most unlike: askance select -p {report.project_id} -b 50 {like}", soft_wrap=True)
