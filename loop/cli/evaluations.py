"""`askance cycle show` and `slices`: what a cycle measured, and which saved views it looks at."""

from typing import TYPE_CHECKING, Annotated

import typer

from loop.cli.command_line import (
    ConfigOption,
    JsonOption,
    ProjectOption,
    UrlOption,
    client_of,
    console,
    print_json,
    print_table,
    table_of,
)
from loop.cli.cycles import EvaluatedCycle, cycle_app, newest_evaluated, show_clauses
from loop.domain.errors import NotFound
from loop.domain.policy.slice_rules import EVERY_VIEW

if TYPE_CHECKING:
    from serving.api.schemas.evaluations import ComparedOut, EvaluationOut, LatencyOut, SliceOut

_FIGURES = ("ap", "ap50", "ap_small", "ap_medium", "ap_large")  # what a terminal has room for
_NO_CHANGE = 0.0005  # what the three digits do not show


@cycle_app.command("show")
def cycle_show(
    project: ProjectOption,
    cycle: EvaluatedCycle = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """What the gate decided, and COCO's figures before and after: by label, source, time, saved view."""
    with client_of(config, url) as client:
        known = cycle or newest_evaluated(client.cycles(project).cycles, project)
        found, figures = client.cycle(project, known), client.cycle_evaluation(project, known)
    if as_json:
        print_json(figures)
        return
    console.print(f"{found.id}: {found.state}, {figures.images} images ({figures.split})", markup=False)
    show_clauses(found)
    table = table_of("", "images", "boxes", *(name.replace("_", " ") for name in _FIGURES))
    table.add_row("all", str(figures.images), *_cells(figures.whole))
    for label, compared in figures.classes.items():
        table.add_row(f"label {label}", "", *_cells(compared))
    for one in figures.slices:
        title = one.kind.value if one.name == one.kind.value else f"{one.kind.value} {one.name}"
        cells = [one.note] if one.note else _cells(one.figures)
        table.add_row(title, str(one.images), *cells)
    print_table(table)
    _show_rest(figures)


def _show_rest(figures: "EvaluationOut") -> None:
    for kind, count in figures.left_out.items():
        console.print(f"{count} more of kind {kind} are not shown", markup=False)
    latency = figures.latency
    if latency.unmeasured:
        console.print(f"latency was not measured: {latency.unmeasured}", markup=False)
    for name, one in (("champion", latency.before), ("candidate", latency.after)):
        if one is not None:
            console.print(f"{name}: {_took(one)} an image, over {latency.images}", markup=False)


def _took(one: "LatencyOut") -> str:
    return f"median {1000 * one.median:.1f} ms, p90 {1000 * one.p90:.1f} ms by {one.runtime}"


def _cells(compared: "ComparedOut") -> list[str]:
    """Boxes, then before → after of each figure; one number where both say the same."""
    cells = [str(compared.after.boxes)]
    for name in _FIGURES:
        before = None if compared.before is None else getattr(compared.before, name)
        after = getattr(compared.after, name)
        if after is None:
            cells.append("–")
        elif before is None or abs(after - before) < _NO_CHANGE:
            cells.append(f"{after:.3f}")
        else:
            cells.append(f"{before:.3f} → {after:.3f}")
    return cells


@cycle_app.command("slices")
def cycle_slices(
    project: ProjectOption,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="VIEW or VIEW=MARGIN, several times: --set night --set camera-3=0.02; '*': every view."
        ),
    ] = None,
    off: Annotated[list[str] | None, typer.Option("--off", help="A view that is a slice no more.")] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Saved views (askance views) that a candidate may not get worse on."""
    with client_of(config, url) as client:
        found = client.slices(project)
        if set_ or off:
            wanted = {one.view: one.margin for one in found.slices} | dict(_named(one) for one in set_ or [])
            for view in off or []:
                if view not in wanted:
                    raise NotFound(f"the view {view!r} is no slice of {project}.", hint="Leave out --off.")
                del wanted[view]
            found = client.change_slices(project, wanted)
    if as_json:
        print_json(found)
        return
    table = table_of("view", "margin", "query")
    for one in found.slices:
        margin = f"{found.margin:g} (as set)" if one.margin is None else f"{one.margin:g}"
        table.add_row(one.view, margin, _query(one))
    print_table(table)


def _query(one: "SliceOut") -> str:
    if one.view == EVERY_VIEW:
        return "each saved view that is not named"
    return "the view was removed" if one.query is None else one.query


def _named(text: str) -> tuple[str, float | None]:
    view, equals, margin = text.partition("=")
    if not equals:
        return view, None
    try:
        return view, float(margin)
    except ValueError:
        raise typer.BadParameter(f"--set {text!r}: {margin!r} is no number, such as 0.05.") from None
