"""`askance work`, `ambiguous`, `bias` and `cost`: what the work of people takes, and what it shows."""

import csv
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml

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
from loop.domain.errors import Invalid
from loop.domain.review.cost import CostBy
from loop.domain.review.efforts import WorkBy

if TYPE_CHECKING:
    from serving.api.schemas.work import CostOut, EstimateOut, SpentOut, WorkRowOut

cost_app = typer.Typer(help="What the work of people costs.")
app.add_typer(cost_app, name="cost", invoke_without_command=True)

_SINCE = typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="UTC; else the last thirty days.")
SinceOption = Annotated[datetime | None, _SINCE]
UntilOption = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="UTC; else until now.")
]


@app.command("work")
def work(
    project: ProjectOption,
    by: Annotated[WorkBy, typer.Option(help="What makes a row.")] = WorkBy.REVIEWER,
    tz: Annotated[str, typer.Option(help="In which hours and days are told.")] = "UTC",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print all columns as CSV.")] = False,
    since: SinceOption = None,
    until: UntilOption = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """How much people answer and judge, how fast, and how often they correct, skip, or are corrected by QA."""
    with client_of(config, url) as client:
        found = client.work(project, by=by, tz=tz, since=since, until=until)
    if as_csv:
        _write_csv([row.model_dump() for row in found.rows])
        return
    if as_json:
        print_json(found)
        return
    table = table_of(
        by, "tasks", "judged", "shapes", "median s", "usual s", "judging s", "done/h", "hours", "corrected", "skipped",
        "defects",
    )  # fmt: skip
    for row in found.rows:
        table.add_row(row.name or "-", str(row.tasks), str(row.judged), str(row.shapes), *_figures(row))
    print_table(table)


def _figures(row: "WorkRowOut") -> tuple[str, ...]:
    usual = "-" if row.low_seconds is None else f"{row.low_seconds:.0f}-{row.high_seconds:.0f}"
    median, judging, rate = (
        "-" if x is None else f"{x:.1f}" for x in (row.median_seconds, row.judging_median_seconds, row.tasks_per_hour)
    )
    corrected, defects = ("-" if x is None else f"{x:.0%}" for x in (row.corrected_share, row.defect_share))
    return median, usual, judging, rate, f"{row.hours:.2f}", corrected, f"{row.skip_share:.0%}", defects


@app.command("ambiguous")
def ambiguous(
    project: ProjectOption,
    above: Annotated[float, typer.Option(min=0.0, max=1.0, help="More ambiguous than this.")] = 0.5,
    limit: Annotated[int, typer.Option(min=1, max=200, help="The most ambiguous so many.")] = 20,
    requeue: Annotated[bool, typer.Option("--requeue", help="Ask the expert group for them again.")] = False,
    since: SinceOption = None,
    until: UntilOption = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Items that people answered differently, or took long for."""
    with client_of(config, url) as client:
        found = client.ambiguous(project, above=above, limit=limit, since=since, until=until)
        done = client.requeue_ambiguous(project, above=above, most=limit, since=since, until=until) if requeue else None
    if as_json:
        print_json(found)
        return
    table = table_of("item", "ambiguity", "agreement", "seconds", "deviation", "answers")
    for item in found.items:
        agreement = "-" if item.agreement is None else f"{item.agreement:.2f}"
        figures = (f"{item.ambiguity:.2f}", agreement, f"{item.seconds:.0f}", f"{item.deviation:+.1f}")
        table.add_row(item.item_digest, *figures, str(item.answers))
    print_table(table)
    if done is None:
        console.print(f"{found.found} items are more ambiguous than {above:g}.")
        return
    console.print(f"open again for the experts: {len(done.items)}; left as they are: {len(done.left)}")


@app.command("bias")
def bias(
    project: ProjectOption,
    since: SinceOption = None,
    until: UntilOption = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Whether people correct less where they are shown what the model predicts."""
    with client_of(config, url) as client:
        found = client.bias(project, since=since, until=until)
    if as_json:
        print_json(found)
        return
    console.print(
        f"corrections of a task: {found.hidden:.2f} where the prediction was hidden ({found.hidden_tasks} tasks), "
        f"{found.shown:.2f} where it was shown ({found.shown_tasks}); "
        f"difference {found.difference:+.2f} [{found.low:+.2f}, {found.high:+.2f}]",
        markup=False,
    )
    console.print("People let stand what they would not have drawn." if found.found else "No automation bias is shown.")


@cost_app.callback()
def cost(
    context: typer.Context,
    project: ProjectOption = "",
    by: Annotated[CostBy | None, typer.Option(help="What makes a row; else the total alone.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the rows as CSV.")] = False,
    since: SinceOption = None,
    until: UntilOption = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Minutes and money, and what labelling everything that was served would have taken."""
    if context.invoked_subcommand is not None:
        return
    if not project:
        raise Invalid("which project?", hint="Name it: --project.")
    with client_of(config, url) as client:
        found = client.cost(project, by=by, since=since, until=until)
    if as_csv:
        _write_csv([row.model_dump() for row in (found.rows if by else [found.total] if found.total else [])])
        return
    if as_json:
        print_json(found)
        return
    _report_cost(found)


@cost_app.command("rates")
def cost_rates(
    project: ProjectOption,
    file: Annotated[
        Path | None, typer.Argument(help="YAML: currency, per_hour, people (rate by token id); else they are shown.")
    ] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Show what an hour costs, or set it from a file."""
    with client_of(config, url) as client:
        rates = client.cost_rates(project) if file is None else client.set_cost_rates(project, _document(file))
    console.print(yaml.safe_dump(rates.model_dump(), sort_keys=False).strip(), markup=False)


def _document(file: Path) -> dict[str, object]:
    try:
        document = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Invalid(f"{file} cannot be read: {error}.", hint="Name a YAML file.") from error
    if not isinstance(document, dict):
        raise Invalid(f"{file} holds no rates.", hint="Write currency: EUR and per_hour: 30.")
    return document


def _report_cost(found: "CostOut") -> None:
    if found.total is None:
        console.print("Nobody has worked in that time.")
        return
    table = table_of(found.by or "", "items", "tasks", "minutes", "minutes/item", found.currency)
    for row in (*found.rows, found.total):
        table.add_row(row.name if row is not found.total else "all", *_spent(row))
    print_table(table)
    whole = found.everything
    if whole is None:
        console.print("What all items would take is told from ten answers on.")
        return
    basis = f"{whole.sample} audits" if whole.audits else f"{whole.sample} answers, to items chosen for being hard"
    console.print(
        f"Labelling all {whole.items} items that were served would take {_told(whole.minutes)} minutes; "
        f"saved {_told(whole.saved)}. By {basis}."
    )
    if whole.money is not None and whole.money_saved is not None:
        console.print(f"In {found.currency}: {_told(whole.money)}; saved {_told(whole.money_saved)}.")


def _spent(row: "SpentOut") -> tuple[str, ...]:
    money = "-" if row.money is None else f"{row.money:.2f}"
    return str(row.items), str(row.tasks), f"{row.minutes:.1f}", f"{row.minutes_per_item:.2f}", money


def _told(estimate: "EstimateOut") -> str:
    return f"{estimate.value:,.1f} ({estimate.low:,.1f} to {estimate.high:,.1f})"


def _write_csv(rows: list[dict[str, object]]) -> None:
    if rows:
        writer = csv.DictWriter(sys.stdout, list(rows[0]))
        writer.writeheader()
        writer.writerows([{name: _safe(value) for name, value in row.items()} for row in rows])


def _safe(value: object) -> object:
    """A name that a spreadsheet would run as a formula becomes a text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
