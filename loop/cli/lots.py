"""`askance lots`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loop.cli.command_line import (
    ConfigOption,
    JsonOption,
    ProjectOption,
    UrlOption,
    app,
    can_ask,
    client_of,
    console,
    print_json,
    print_table,
    table_of,
)
from loop.domain.errors import Invalid
from loop.domain.policy.workflow import PlanKind

if TYPE_CHECKING:
    from serving.api.schemas.lots import CurveOut, LotOut
    from serving.api.schemas.workflow import LotRulesOut
    from serving.client import Client

lots_app = typer.Typer(no_args_is_help=True, help="Lots: items whose answers are accepted or looked at again together.")
app.add_typer(lots_app, name="lots")

LotArgument = Annotated[str, typer.Argument(metavar="LOT", help="The lot's id (askance lots list).")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept with the lot.")]
VersionOption = Annotated[
    int | None,
    typer.Option(
        "--version", min=0, help="Of the lot that you looked at (askance lots show); decided since, it stays."
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Without --version: whatever the lot is now, unasked.")]

_SHOWN_SHARES = (0, 1, 2, 5, 10, 15, 20, 30, 50)  # percent


@lots_app.command("list")
def lots_list(
    project: ProjectOption,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """The newest lots."""
    table = table_of("lot", "source", "state", "items", "open", "in QA", "inspected", "defects", "opened")
    with client_of(config, url) as client:
        found = client.lots(project, limit=limit)
    if as_json:
        print_json(found)
        return
    for lot in found.lots:
        counts = (lot.items, lot.unanswered, lot.in_qa, lot.inspected, lot.defects)
        table.add_row(
            lot.id,
            lot.source or ("upload" if lot.upload else "all"),
            lot.state,
            *map(str, counts),
            lot.opened_at.isoformat(timespec="minutes"),
        )
    print_table(table)


@lots_app.command("show")
def lots_show(
    lot: LotArgument,
    project: ProjectOption,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """A lot, how it stands, and what was drawn of it."""
    with client_of(config, url) as client:
        shown = client.lot(project, lot)
    if as_json:
        print_json(shown)
        return
    _print_lot(shown)
    table = table_of("place", "task", "item", "answer", "defect")
    for task in shown.tasks:
        found = "-" if task.defect is None else "yes" if task.defect else "no"
        answer = "none" if task.void else (task.standing or "open").replace("_", " ")
        table.add_row("-" if task.place is None else str(task.place), task.task_id, task.item_digest, answer, found)
    print_table(table)


@lots_app.command("accept")
def lots_accept(
    lot: LotArgument,
    project: ProjectOption,
    reason: ReasonOption,
    version: VersionOption = None,
    yes: YesOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """By hand: its answers become ground truth. Without --version a terminal shows the lot and asks first."""
    with client_of(config, url) as client:
        seen = _seen(client, project, lot, yes=yes) if version is None else version
        _print_lot(client.decide_lot(project, lot, "accept", reason, seen))


@lots_app.command("reopen")
def lots_reopen(
    lot: LotArgument,
    project: ProjectOption,
    reason: ReasonOption,
    version: VersionOption = None,
    yes: YesOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """By hand: people look at each answer that nobody has looked at. Without --version a terminal shows the lot and
    asks first."""
    with client_of(config, url) as client:
        seen = _seen(client, project, lot, yes=yes) if version is None else version
        _print_lot(client.decide_lot(project, lot, "reopen", reason, seen))


def _seen(client: "Client", project: str, lot: str, *, yes: bool) -> int:
    """The version of the lot as it is now, which somebody looks at, or says --yes to. Raises Invalid where nobody can
    be asked: what another operator decided meanwhile would be decided over unseen."""
    if not yes and not can_ask():
        raise Invalid(
            "it is not said which state of the lot is decided on.",
            hint="Give --version N, as askance lots show tells it, or --yes for whatever the lot is now.",
            lot=lot,
        )
    shown = client.lot(project, lot)
    _print_lot(shown)
    if not yes:
        typer.confirm("Decide on this?", abort=True)
    return shown.version


@lots_app.command("curve")
def lots_curve(
    project: ProjectOption,
    plan: Annotated[PlanKind | None, typer.Option(help="How a lot is judged.")] = None,
    size: Annotated[int | None, typer.Option(min=1, help="Items of the lot.")] = None,
    share: Annotated[float | None, typer.Option(help="Of the lot that is looked at.")] = None,
    threshold: Annotated[float | None, typer.Option(help="The most of those that may have defects.")] = None,
    aql: Annotated[float | None, typer.Option(help="A lot with at most this share of defects is good.")] = None,
    ltpd: Annotated[float | None, typer.Option(help="A lot with at least this share is bad.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Risk that a good lot is rejected.")] = None,
    beta: Annotated[float | None, typer.Option(help="Risk that a bad lot is accepted.")] = None,
    out: Annotated[Path | None, typer.Option(help="Draw it into this PNG file.")] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """What a plan does with lots; what is left out is as the project's policy has it."""
    from loop.cli.curve_png import save_curve

    asked = {"plan": plan and plan.value, "size": size, "share": share, "threshold": threshold}
    asked |= {"aql": aql, "ltpd": ltpd, "alpha": alpha, "beta": beta}
    with client_of(config, url) as client:
        curve = client.lot_curve(project, **{name: value for name, value in asked.items() if value is not None})
    title = f"{_plan(curve.rules)}: looks at {curve.most} of {curve.size} at most"
    console.print(title)
    _print_curve(curve)
    if out is not None:
        save_curve(out, curve, title=title)
        console.print(f"drawn into {out}", soft_wrap=True)


def _print_curve(curve: "CurveOut") -> None:
    table = table_of("defects", "share", "accepted with", "inspected on average")
    nearest = {min(curve.points, key=lambda p: abs(100 * p.share - percent)).defects for percent in _SHOWN_SHARES}
    for point in curve.points:
        if point.defects in nearest:
            table.add_row(
                str(point.defects), f"{point.share:.1%}", f"probability {point.accepts:.3f}", f"{point.inspects:.1f}"
            )
    print_table(table)


def _print_lot(lot: "LotOut") -> None:
    name = f" {lot.source}" if lot.source else ""
    source = f", an upload{name}" if lot.upload else f", source{name}" if name else ""
    by = f" by {lot.actor}" if lot.decided_at else ""
    stands = f"{lot.id}: {lot.state}{by}, version {lot.version}, {lot.items} items{source}"
    console.print(f"{stands}; {_plan(lot.rules)}", soft_wrap=True)
    if lot.reason:
        console.print(lot.reason, soft_wrap=True, markup=False)
    console.print(
        f"unanswered {lot.unanswered}, waiting {lot.waiting}, in QA {lot.in_qa}, settled {lot.settled}, "
        f"without an answer {lot.void}; inspected {lot.inspected}, defects {lot.defects}",
        soft_wrap=True,
    )


def _plan(rules: "LotRulesOut") -> str:
    if rules.plan == PlanKind.SHARE:
        return f"share {rules.share:g}, at most {rules.threshold:g} of them with defects"
    return f"{rules.plan}, aql {rules.aql:g}, ltpd {rules.ltpd:g}, alpha {rules.alpha:g}, beta {rules.beta:g}"
