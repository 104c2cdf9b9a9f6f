"""`askance label-studio`: tasks out to a running Label Studio, answers back."""

from collections import Counter
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
from loop.domain.outgoing.label_studio import LinkState, What
from loop.domain.stage import Stage

if TYPE_CHECKING:
    from serving.api.schemas.label_studio import ToldOut

label_studio_app = typer.Typer(no_args_is_help=True, help="Have tasks done in Label Studio.")
app.add_typer(label_studio_app, name="label-studio")

_QUIET = (What.ANSWERED, What.SKIPPED, What.RELEASED)


@label_studio_app.command("push")
def push(
    project: ProjectOption,
    title: Annotated[str | None, typer.Option("--to", help="Project in Label Studio; else 'Askance PROJECT'.")] = None,
    count: Annotated[int, typer.Option(min=1, max=10_000, help="Tasks that shall wait there for an answer.")] = 100,
    selection: Annotated[str | None, typer.Option(help="Picks of this selection (askance select).")] = None,
    query: Annotated[str | None, typer.Option("--where", help="Of items that meet this query.")] = None,
    stage: Annotated[Stage | None, typer.Option(help="annotate or audit alone.")] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Fill up what waits there: the most urgent tasks, or those of a selection or query. Cut short, it goes on."""
    wish = {"count": count, "selection": selection, "query": query, "stage": stage}
    sent = 0
    with client_of(config, url) as client:
        while True:
            done = client.push_to_label_studio(project, title or f"Askance {project}"[:50], **wish)
            sent += len(done.sent)
            for one in done.problems:
                _print_problem(one.task_id, one.remote, one.why)
            if not done.more:
                break
            console.print(f"{sent} sent …")
    console.print(f"{sent} sent, {done.waiting} wait for an answer in {done.address}", soft_wrap=True)
    if done.in_hand:
        console.print(
            f"{done.in_hand} are in the hand of another push. If it died, push again in some minutes.", soft_wrap=True
        )


@label_studio_app.command("pull")
def pull(
    project: ProjectOption,
    take_edits: Annotated[
        bool, typer.Option("--take-edits", help="What was changed there after it was taken is the next version.")
    ] = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Take what was answered there. Again it takes only what is new."""
    counted: Counter[What] = Counter()
    after: str | None = None
    with client_of(config, url) as client:
        while True:
            done = client.pull_from_label_studio(project, after=after, take_edits=take_edits)
            _print_told(done.told, counted)
            after = done.next
            if after is None:
                break
    console.print(_counts(counted) or "nothing new", soft_wrap=True)


@label_studio_app.command("release")
def release(
    project: ProjectOption,
    tasks: Annotated[list[str] | None, typer.Argument(metavar="[TASK]...", help="These.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that wait there.")] = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Delete tasks there that nobody has answered; people get them here again."""
    if bool(tasks) == everything:
        raise typer.BadParameter("name tasks, or --all for all that wait there.")
    counted: Counter[What] = Counter()
    with client_of(config, url) as client:
        more = True
        while more:
            done = client.release_from_label_studio(project, tasks or None)
            _print_told(done.told, counted)
            more = done.more
    console.print(_counts(counted) or "none of these waits there", soft_wrap=True)


@label_studio_app.command("status")
def status(
    project: ProjectOption, as_json: JsonOption = False, url: UrlOption = None, config: ConfigOption = None
) -> None:
    """What waits there, what came back, and what kept answers from being taken."""
    with client_of(config, url) as client:
        known = client.label_studio(project)
    if as_json:
        print_json(known)
        return
    table = table_of("project there", *LinkState)
    for place in known.places:
        table.add_row(place.address, *(str(place.counts.get(state, 0)) for state in LinkState))
    print_table(table)
    for one in known.problems:
        _print_problem(one.task_id, one.remote, one.why)


@label_studio_app.command("interface")
def interface(project: ProjectOption, url: UrlOption = None, config: ConfigOption = None) -> None:
    """The labelling interface of the project's recipe, as Label Studio reads it."""
    with client_of(config, url) as client:
        console.print(client.label_studio_interface(project).xml, markup=False, soft_wrap=True, end="")


def _print_told(told: "Sequence[ToldOut]", counted: Counter[What]) -> None:
    for one in told:
        counted[one.what] += 1
        if one.what not in _QUIET:
            _print_problem(one.task_id, one.remote, f"{one.what}. {one.why}")


def _print_problem(task_id: str, remote: int | None, why: str) -> None:
    there = "not there" if remote is None else f"{remote} there"
    console.print(f"{task_id} ({there}): {why}" if task_id else why, markup=False, soft_wrap=True)


def _counts(counted: Counter[What]) -> str:
    return ", ".join(f"{number} {what}" for what, number in counted.items())
