"""`askance quality`: how good production is, for people."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

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
from loop.cli.work import SinceOption, UntilOption
from loop.domain.errors import Invalid
from loop.domain.production.figures import ProductionBy

if TYPE_CHECKING:
    from serving.api.schemas.production import FigureOut, ProductionOut, ProductionRowOut, ProductionSeriesOut


@app.command("quality")
def quality(
    project: ProjectOption,
    by: Annotated[ProductionBy | None, typer.Option(help="What makes a row.")] = None,
    model: Annotated[str | None, typer.Option(help="A version; else the champion.")] = None,
    last: Annotated[int | None, typer.Option(min=1, max=10_000, help="The newest audits to look at.")] = None,
    series: Annotated[bool, typer.Option("--series", help="The failure rate as it was believed each day.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print all columns as CSV.")] = False,
    as_json: JsonOption = False,
    since: SinceOption = None,
    until: UntilOption = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """How good production is, by what people found in audits and reviewed predictions, with 95 % intervals."""
    if series and (by is not None or last is not None):
        raise Invalid("--series has a row for each day, from audits alone.", hint="Leave out --by and --last.")
    with client_of(config, url) as client:
        if as_csv:
            path = "series" if series else ""
            asked = {"model": model, "by": by, "last": last}
            sys.stdout.write(client.quality_csv(project, path, since=since, until=until, params=asked))
        elif series:
            points = client.quality_series(project, model=model, since=since, until=until)
            print_json(points) if as_json else _show_series(points)
        else:
            found = client.quality(project, by=by, model=model, last=last, since=since, until=until)
            print_json(found) if as_json else _show(found)


@app.command("audit-rates")
def audit_rates(
    project: ProjectOption,
    rate: Annotated[float, typer.Option(help="Of all predictions that pass; as many audits are drawn.")] = 0.02,
    apply: Annotated[bool, typer.Option("--apply", help="Make them the policy's.")] = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Audit rates by risk: as many audits as at one rate, drawn where they tell most of the failure rate."""
    with client_of(config, url) as client:
        found = client.audit_rates(project, rate=rate)
        if apply:
            by_risk = [list(band) for band in found.by_risk]
            client.change_policy(project, audit_rate=found.audit_rate, audit_rates={"by_risk": by_risk})
    if as_json:
        print_json(found)
        return
    table = table_of("from risk", "audit rate")
    for edge, own in [(0.0, found.audit_rate), *found.by_risk]:
        table.add_row(f"{edge:g}", f"{own:.3%}")
    print_table(table)
    console.print(
        f"each audit tells as much as {found.worth:.2f} drawn at one rate, by {found.seen} predictions; "
        + ("it is the policy's now" if apply else "nothing was changed (--apply)"),
        markup=False,
    )


def _show(found: "ProductionOut") -> None:
    span = f"{found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC"
    console.print(f"{found.model_id}, {span}; from {_BASIS[found.basis]}", markup=False)
    table = table_of(
        found.by or "", "predictions", "answers", "audits", "failure rate", "with the risk", "precision", "recall"
    )
    for row in [*found.rows, found.total]:
        table.add_row("all" if row is found.total else row.key or "-", *_cells(row))
    print_table(table)
    for note in found.notes:
        console.print(note, markup=False)
    if found.outcomes.wrong or found.outcomes.right:
        told = f"Outcomes: {found.outcomes.wrong} wrong, {found.outcomes.right} right. {found.outcomes.note}"
        console.print(told, markup=False)
    console.print("How good the risk itself is: askance risk report.", style="dim")


_BASIS = {"all": "audits and reviewed predictions", "audits": "audits alone"}


def _cells(row: "ProductionRowOut") -> tuple[str, ...]:
    numbers = (str(row.predictions or "-"), str(row.answers), str(row.audits))
    figures = (_rate(row.failure_rate), _rate(row.failure_rate, "assisted"), _rate(row.precision), _rate(row.recall))
    return *numbers, *figures


def _rate(figure: "FigureOut", kind: str = "plain") -> str:
    one = getattr(figure, kind)
    return "-" if one is None else f"{one.value:.1%} ({one.low:.1%} to {one.high:.1%})"


def _show_series(found: "ProductionSeriesOut") -> None:
    table = table_of("day", "audits", "failure rate", "believed at all times")
    for point in found.points:
        bounds = f"{point.low:.1%} to {point.high:.1%}"
        table.add_row(point.day.isoformat(), str(point.audits), f"{point.value:.1%}", bounds)
    print_table(table)
    for note in found.notes:
        console.print(note, markup=False)
