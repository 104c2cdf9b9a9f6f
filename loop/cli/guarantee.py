"""`askance guarantee`: what is promised of predictions that pass, and what keeps it, for people."""

from collections.abc import Sequence
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
from loop.domain.errors import Invalid
from loop.domain.policy.promises import Loss, PromiseBy, Statement

if TYPE_CHECKING:
    from serving.api.schemas.guarantee import GroupThresholdOut, GuaranteeOut, GuaranteePreviewOut, PromiseOut

guarantee_app = typer.Typer(no_args_is_help=True, help="What may pass without a person, and the evidence for it.")
app.add_typer(guarantee_app, name="guarantee")

_PHASES = {
    "crawl": "crawl: people look at everything, until their answers allow more",
    "walk": "walk: there is enough to judge, but nothing or only some groups may pass",
    "run": "run: people look at what is risky, and at audits",
}
_SHOWN = 20  # points of a curve


@guarantee_app.command("show")
def show(
    project: ProjectOption, as_json: JsonOption = False, url: UrlOption = None, config: ConfigOption = None
) -> None:
    """Crawl, walk or run; thresholds, what is missing, and what it asks of people."""
    with client_of(config, url) as client:
        found = client.guarantee(project)
    if as_json:
        print_json(found)
        return
    say = console.print
    say(_PHASES[found.phase], markup=False)
    if found.unmet:
        say("[red]A promise is not kept at present.[/]")
    if found.waits_for:
        say(found.waits_for, markup=False)
    for number, promise in enumerate(found.rules.promises, start=1):
        say(f"promise {number}: {_in_words(promise)}", markup=False)
    _show_thresholds(found)
    say(f"People: {found.capacity.says}; {found.capacity.queue} tasks wait.", markup=False)
    if (money := found.economics) is not None:
        say(
            f"Of 1,000 predictions reviews cost {money.reviews:,.0f} and errors that pass {money.errors:,.0f} "
            f"{found.currency}; {money.saved:,.0f} less than reviewing everything.",
            markup=False,
        )


@guarantee_app.command("promise")
def promise(
    project: ProjectOption,
    alpha: Annotated[float | None, typer.Option(help="The rate that may fail and pass without a person.")] = None,
    delta: Annotated[float, typer.Option(help="How probable it may be that they are more.")] = 0.1,
    loss: Annotated[Loss, typer.Option(help="What counts as a failure.")] = Loss.FAILURE,
    class_: Annotated[list[str] | None, typer.Option("--class", help="That counts; without any, all.")] = None,
    statement: Annotated[
        Statement, typer.Option(help="With a probability of 1 - delta, or on average (delta counts for nothing).")
    ] = Statement.HIGH_PROBABILITY,
    missed_weight: Annotated[float, typer.Option(help="Of a missed object, where the loss is cost.")] = 1.0,
    false_alarm_weight: Annotated[float, typer.Option(help="Of a false alarm, where the loss is cost.")] = 1.0,
    by: Annotated[PromiseBy, typer.Option(help="For which groups it holds, each by itself.")] = PromiseBy.NONE,
    audit_rate: Annotated[float | None, typer.Option(help="Of all predictions that people see by lot.")] = None,
    beside: Annotated[bool, typer.Option("--beside", help="Beside the present promises, not in their place.")] = False,
    none: Annotated[bool, typer.Option("--none", help="Promise nothing; the policy's threshold routes again.")] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Only tell what it would come to now.")] = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Promise that at most so many predictions fail and pass. Until there is evidence, people look at everything."""
    if none == (alpha is not None):
        raise Invalid("say what is promised.", hint="Name --alpha, for example 0.05, or --none.")
    with client_of(config, url) as client:
        present = client.project(project).policy.guarantee.promises if beside else []
        asked = {
            "alpha": alpha, "delta": delta, "statement": statement, "loss": loss, "classes": class_ or [], "by": by,
            "missed_weight": missed_weight, "false_alarm_weight": false_alarm_weight,
        }  # fmt: skip
        promises = [one.model_dump(mode="json") for one in present] + ([] if none else [asked])
        if preview:
            _show_preview(client.preview_guarantee(project, promises, audit_rate=audit_rate))
            return
        changes: dict[str, object] = {"guarantee": {"promises": promises}}
        if audit_rate is not None:
            changes["audit_rate"] = audit_rate
        policy = client.change_policy(project, **changes)
    for number, one in enumerate(policy.guarantee.promises, start=1):
        console.print(f"promise {number}: {_in_words(one)}", markup=False)
    if not policy.guarantee.promises:
        console.print(f"nothing is promised; people look from a risk of {policy.threshold:g} on")


def _show_preview(found: "GuaranteePreviewOut") -> None:
    for number, (promise, count) in enumerate(zip(found.promises, found.fewest, strict=True), start=1):
        console.print(
            f"promise {number}: {_in_words(promise)}; {count} answers without a failure allow anything", markup=False
        )
    if found.anew:
        console.print("This audit rate begins a new window: no answer of before would count.", markup=False)
    if found.learned_from:
        console.print("The risk learned from these answers and would be learned again first.", markup=False)
    _show_groups(found.groups)
    console.print(
        f"{found.automation:.1%} would pass and people would get {found.review_share:.1%}, by {found.answered} answers "
        f"to {found.size} predictions; nothing was changed",
        markup=False,
    )


def _show_thresholds(found: "GuaranteeOut") -> None:
    if found.thresholds is None:
        return
    record = found.thresholds
    _show_groups(record.groups)
    console.print(
        f"version {record.version}, made {record.created_at:%Y-%m-%d %H:%M} UTC of {record.answered} answers to "
        f"{record.size} predictions ({record.closed} that nobody could say, {record.overdue} late)",
        markup=False,
    )


def _show_groups(groups: "Sequence[GroupThresholdOut]") -> None:
    table = table_of(
        "promise", "group", "people from risk", "passes", "fails and passes", "at most", "answers", "audits"
    )
    for shown in groups:
        table.add_row(
            str(shown.promise), shown.group, f"{shown.value:.4f}", f"{shown.automation:.1%}",
            f"{shown.passing:.2%}", f"{shown.bound:.2%}", str(shown.answered), str(shown.audits),
        )  # fmt: skip
    print_table(table)
    for shown in groups:
        needed = [
            f"{one.audits} for {one.automation:.0%}" if one.audits is not None else f"{one.automation:.0%} never"
            for one in shown.needed
            if one.audits != 0
        ]
        if needed:
            where = f"promise {shown.promise} ({shown.group})"
            console.print(f"{where}: more audits to let pass: {', '.join(needed)}", markup=False)


def _in_words(promise: "PromiseOut") -> str:
    what = {"failure": "fail", "missed": "miss an object", "false_alarm": "show what is not there", "cost": "cost"}
    of = f" of {', '.join(promise.classes)}" if promise.classes else ""
    by = "" if promise.by == "none" else f" of each {promise.by}"
    sure = "on average" if promise.statement == "expected" else f"with a confidence of {1 - promise.delta:g}"
    return f"at most {promise.alpha:.2%} of the predictions{by} {what[promise.loss]}{of} and pass, {sure}"


@guarantee_app.command("history")
def history(
    project: ProjectOption, as_json: JsonOption = False, url: UrlOption = None, config: ConfigOption = None
) -> None:
    """The newest records of thresholds, which decisions name by their version."""
    with client_of(config, url) as client:
        page = client.guarantee_history(project)
    if as_json:
        print_json(page)
        return
    table = table_of("version", "made", "why", "policy", "answers", "passes", "alarm")
    for record in page.thresholds:
        alarm = "" if record.alarm is None else f"promise {record.alarm.promise} ({record.alarm.group})"
        table.add_row(
            str(record.version), f"{record.created_at:%Y-%m-%d %H:%M}", record.why, str(record.policy_version),
            str(record.answered), f"{record.automation:.1%}", alarm,
        )  # fmt: skip
    print_table(table)


@guarantee_app.command("curve")
def curve(
    project: ProjectOption,
    promise: Annotated[int, typer.Option(help="Its place in the policy.", min=1)] = 1,
    group: Annotated[str | None, typer.Option(help="As `show` lists them.")] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """What each threshold would let pass, and cost, by the answers of now."""
    with client_of(config, url) as client:
        found = client.guarantee_curve(project, promise=promise, group=group)
    if as_json:
        print_json(found)
        return
    prices = {point.threshold: point for point in found.priced}
    money = f"cost of 1,000 ({found.currency})"
    table = table_of("people from risk", "passes", "fails and passes", "at most", "kept", *([money] if prices else []))
    step = max(1, len(found.points) // _SHOWN)
    for point in found.points[::step]:
        price = prices.get(point.threshold)
        table.add_row(
            f"{point.threshold:.4f}", f"{point.automation:.1%}", f"{point.passing:.2%}", f"{point.bound:.2%}",
            "yes" if point.kept else "", *([f"{price.cost:,.0f}"] if price else []),
        )  # fmt: skip
    print_table(table)
    if found.cheapest is not None:
        console.print(f"Cheapest: people from risk {found.cheapest:.4f} on, whatever is promised.", markup=False)


@guarantee_app.command("accept")
def accept(
    project: ProjectOption,
    reason: Annotated[str, typer.Option(help="Kept in the history.")],
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """An alarm is over, since you say so; promises are watched anew from now on."""
    with client_of(config, url) as client:
        record = client.accept_guarantee(project, reason)
    typer.echo(f"Accepted: thresholds of version {record.version} route.")
