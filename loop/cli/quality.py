"""`askance golden`, `askance reviewers` and `askance agreement`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from loop.domain.policy.quality_rules import Standing

if TYPE_CHECKING:
    from serving.api.schemas.quality import JudgingOut, RateOut, ReviewerOut

golden_app = typer.Typer(no_args_is_help=True, help="Items whose answer is known, to see how good people are.")
app.add_typer(golden_app, name="golden")
reviewers_app = typer.Typer(no_args_is_help=True, help="How good people are by golden items, and who is trusted.")
app.add_typer(reviewers_app, name="reviewers")

_AS_THE_PROJECT = "project"


@golden_app.command("add")
def golden_add(
    items: Annotated[list[str], typer.Argument(help="Digests of items, or the first 8 digits or more of each.")],
    project: ProjectOption,
    shapes: Annotated[
        Path | None, typer.Option(help="JSON with the trusted shapes of one item; else its ground truth is trusted.")
    ] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Trust the ground truth of items, or shapes from a file: people get them among other work."""
    if shapes is not None and len(items) > 1:
        raise Invalid("one file has the shapes of one item.", hint="Name one item with --shapes.")
    trusted = None if shapes is None else _shapes_of(shapes)
    with client_of(config, url) as client:
        for one in items:
            marked = client.mark_golden(project, one, trusted)
            alone = "" if marked.predicted else "; it has no prediction, so only those who qualify get it"
            console.print(f"golden: {marked.item_digest}, {len(marked.shapes)} shapes{alone}", soft_wrap=True)


@golden_app.command("remove")
def golden_remove(
    items: Annotated[list[str], typer.Argument(help="Digests of items, or the first 8 digits or more of each.")],
    project: ProjectOption,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Take items back: nobody gets them any more, and what was answered to them counts no more."""
    with client_of(config, url) as client:
        for one in items:
            client.remove_golden(project, one)
            console.print(f"golden no more: {one}", soft_wrap=True)


@golden_app.command("list")
def golden_list(
    project: ProjectOption, as_json: JsonOption = False, url: UrlOption = None, config: ConfigOption = None
) -> None:
    """All golden items, newest first."""
    table = table_of("item", "shapes", "version", "predicted", "by", "at")
    with client_of(config, url) as client:
        found = client.golden(project)
    if as_json:
        print_json(found)
        return
    for one in found:
        predicted = "yes" if one.predicted else "no"
        at = one.added_at.isoformat(timespec="seconds")
        table.add_row(one.item_digest, str(len(one.shapes)), str(one.version), predicted, one.added_by, at)
    print_table(table)


@reviewers_app.command("list")
def reviewers_list(
    project: ProjectOption, as_json: JsonOption = False, url: UrlOption = None, config: ConfigOption = None
) -> None:
    """Everybody who may review in a project, with 95 % intervals."""
    table = table_of("id", "name", "standing", "golden", "precision", "recall", "IoU", "more needed")
    judges = table_of("who judges answers", "standing", "verdicts", "right accepted", "wrong caught", "more needed")
    with client_of(config, url) as client:
        found = client.reviewers(project)
    if as_json:
        print_json(found)
        return
    for one in found:
        table.add_row(one.id, one.name, one.standing, str(one.items), *_figures(one), _more(one))
        judging = one.judging
        if _is_known(judging):
            rates = _rate(judging.accepts), _rate(judging.catches)
            judges.add_row(one.name, judging.standing, str(judging.items), *rates, _more(judging))
    print_table(table)
    if judges.rows:
        print_table(judges)


@reviewers_app.command("show")
def reviewers_show(
    person: Annotated[str, typer.Argument(help="The name or the id of their token.")],
    project: ProjectOption,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """One person: standing and why, figures by label, what is taken for what."""
    with client_of(config, url) as client:
        one = client.reviewer(project, person)
    if as_json:
        print_json(one)
        return
    since = one.since.isoformat(timespec="seconds") if one.since else "the beginning"
    console.print(f"{one.name}: {one.standing} since {since}; {one.items} golden items; more needed: {_more(one)}")
    for text in filter(None, (one.why, *(reason.detail for reason in one.reasons))):
        console.print(f"  {text}", markup=False)
    judging = one.judging
    if _is_known(judging):
        console.print(
            f"  as judge: {judging.standing}; {judging.items} verdicts; right answers accepted "
            f"{_rate(judging.accepts)}, wrong ones caught {_rate(judging.catches)}; more needed: {_more(judging)}",
            markup=False,
        )
        for text in filter(None, (judging.why, *(reason.detail for reason in judging.reasons))):
            console.print(f"    {text}", markup=False)
    if one.shared:
        console.print(
            f"  {one.shared} items were answered together with others and are not asked for again: "
            f"{' '.join(one.shared_items)}",
            markup=False,
        )
    table = table_of("label", "precision", "recall")
    for label, quality in one.labels.items():
        table.add_row(label, _rate(quality.precision), _rate(quality.recall))
    print_table(table)
    wrong = table_of("truly", "marked as", "shapes")
    for cell in one.confusion:
        if cell.true != cell.given:
            wrong.add_row(cell.true or "(nothing)", cell.given or "(not marked)", str(cell.count))
    print_table(wrong)


@reviewers_app.command("set")
def reviewers_set(
    person: Annotated[str, typer.Argument(help="The name or the id of their token.")],
    project: ProjectOption,
    standing: Annotated[Standing | None, typer.Option(help="By hand; golden items go on from there.")] = None,
    judging: Annotated[
        Standing | None, typer.Option(help="The same as who judges the answers of others in QA.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; it is kept, and the person is told.")] = "",
    training: Annotated[
        str | None, typer.Option(help="yes, no, or project: whether this person sees trusted answers.")
    ] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Give somebody a standing, or training of their own. Pausing asks others for what that person decided alone."""
    given = {"standing": standing, "judging": judging}
    changes: dict[str, Any] = {name: one.value for name, one in given.items() if one is not None}
    if changes:
        changes["reason"] = reason
    if training is not None:
        changes["training"] = _yes_or_no(training)
    if not changes:
        raise Invalid("nothing to change.", hint="Name --standing or --judging with --reason, or --training.")
    with client_of(config, url) as client:
        one = client.change_reviewer(project, person, **changes)
    console.print(
        f"{one.name}: {one.standing}; as judge: {one.judging.standing}; training: {'yes' if one.training else 'no'}"
    )


@app.command("agreement")
def agreement(
    project: ProjectOption,
    works: Annotated[int, typer.Option(min=1, max=1000, help="The last that several people answered.")] = 200,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """How far people agree who answer the same items."""
    with client_of(config, url) as client:
        found = client.agreement(project, works)
        names = {one.token_id: one.name for one in client.people()}
    if as_json:
        print_json(found)
        return
    console.print(
        f"{found.works} works: F1 {_number(found.f1)}, IoU {_number(found.iou)}; another person decided "
        f"{_number(found.adjudicated)}; Krippendorff's alpha over {found.alpha.works}: boxes "
        f"{_number(found.alpha.boxes)}, labels {_number(found.alpha.labels)}"
    )
    table = table_of("reviewer", "and", "works", "F1", "IoU")
    for pair in found.pairs:
        one, other = (names.get(token, token) for token in pair.reviewers)
        table.add_row(one, other, str(pair.works), _number(pair.f1), _number(pair.iou))
    print_table(table)


def _shapes_of(path: Path) -> list[dict[str, Any]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Invalid(f"{path} cannot be read: {error}.", hint="Give a JSON file with a list of shapes.") from error
    shapes = document.get("shapes") if isinstance(document, dict) else document
    if not isinstance(shapes, list):
        raise Invalid(f"{path} has no list of shapes.", hint='Give [{"label": …, "box": […]}, …].')
    return shapes


def _yes_or_no(given: str) -> bool | None:
    known = {"yes": True, "no": False, _AS_THE_PROJECT: None}
    if given not in known:
        raise Invalid(f"--training is {given!r}.", hint=f"Give one of: {', '.join(known)}.")
    return known[given]


def _figures(one: "ReviewerOut") -> tuple[str, str, str]:
    return _rate(one.precision), _rate(one.recall), _number(one.iou)


def _rate(rate: "RateOut | None") -> str:
    return "-" if rate is None or rate.value is None else f"{rate.value:.2f} ({rate.low:.2f} to {rate.high:.2f})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _is_known(judging: "JudgingOut") -> bool:
    return bool(judging.why or judging.accepts)


def _more(one: "ReviewerOut | JudgingOut") -> str:
    return "not like this" if one.more is None else str(one.more)
