"""`askance tasks`: the queue, and taking a lease back."""

from datetime import datetime
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
from loop.domain.review.tasks import TaskState, Urgency
from loop.domain.stage import Stage

if TYPE_CHECKING:
    from serving.api.schemas.tasks import ListedTaskOut

tasks_app = typer.Typer(
    no_args_is_help=True, help="The queue: what waits for people, who holds it, what nobody may do."
)
app.add_typer(tasks_app, name="tasks")

TaskArgument = Annotated[str, typer.Argument(metavar="TASK", help="The task's id (askance tasks list).")]


@tasks_app.command("list")
def tasks_list(
    project: ProjectOption,
    state: Annotated[TaskState | None, typer.Option(help="Else all that is to be done, held or not.")] = None,
    stage: Annotated[Stage | None, typer.Option(help="Of this stage only.")] = None,
    holder: Annotated[str | None, typer.Option(help="Name or token id of who holds them, or did them.")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Whose due time has passed.")] = False,
    escalated: Annotated[bool, typer.Option("--escalated", help="That went to the escalation group.")] = False,
    group: Annotated[str | None, typer.Option(help="Kept for this group, and maybe others.")] = None,
    skill: Annotated[str | None, typer.Option(help="That need this skill.")] = None,
    nobody: Annotated[bool, typer.Option("--nobody", help="That nobody has the groups and skills for.")] = False,
    after: Annotated[str | None, typer.Option(help="Go on behind a page, as it says at its end.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """In the order in which people get them; of what is done or skipped, the last handed out first."""
    asked = {"state": state, "stage": stage, "holder": holder, "group": group, "skill": skill}
    flags = {"overdue": overdue, "escalated": escalated, "nobody": nobody}
    wanted = {name: value for name, value in asked.items() if value is not None} | {
        name: True for name, value in flags.items() if value
    }
    with client_of(config, url) as client:
        page = client.tasks(project, after=after, limit=limit, **wanted)
    if as_json:
        print_json(page)
        return
    table = table_of("task", "item", "stage", "state", "priority", "made", "due", "holder", "until", "skips", "for")
    for task in page.tasks:
        times = (_moment(task.created_at), _due(task))
        table.add_row(
            task.id, task.file or task.item_digest[:12], task.stage, task.state, f"{task.priority:.2f}", *times,
            task.holder or "-", _moment(task.expires_at), str(task.skips), _who(task),
        )  # fmt: skip
    print_table(table)
    if page.next is not None:
        console.print(f"more: --after '{page.next}'", soft_wrap=True, markup=False)


@tasks_app.command("show")
def tasks_show(
    task: TaskArgument, as_json: JsonOption = False, url: UrlOption = None, config: ConfigOption = None
) -> None:
    """One task: where it is in the queue, who holds it, who may do it."""
    with client_of(config, url) as client:
        shown = client.task(task)
    if as_json:
        print_json(shown)
        return
    _print_task(shown)


@tasks_app.command("release")
def tasks_release(
    task: TaskArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Take the lease of whoever holds it: others get the task, and what its holder sends late is refused.

    The history tells who did it. A terminal shows the task and asks first.
    """
    with client_of(config, url) as client:
        seen = client.task(task)
        if can_ask() and not yes:
            _print_task(seen)
            typer.confirm(f"Take it from {seen.holder or 'nobody'}?", abort=True)
        free = client.take_back(task, seen.epoch)
    console.print(f"taken back from {seen.holder}: {free.id} is {free.state}", soft_wrap=True, markup=False)


def _print_task(task: "ListedTaskOut") -> None:
    held = f" by {task.holder}" if task.holder else ""
    until = f" until {_moment(task.expires_at)}" if task.expires_at else ""
    source = f"source {task.source}" if task.source else ""
    lines = [
        f"{task.id}: {task.stage}, {task.state}{held}{until}; epoch {task.epoch}",
        ", ".join(part for part in (f"item {task.item_digest}", task.file, source) if part),
        f"priority {task.priority:.2f}, rank {task.rank:.0f}; made {_moment(task.created_at)}, due {_due(task)}",
        f"for {_who(task)}; skipped by {task.skips} in round {task.round}",
        f"proposal {task.prediction_id or '-'}; lot {task.lot_id or '-'}; work {task.work_id}",
    ]
    if task.answer_by is not None:
        lines.append(f"a caller waits until {_moment(task.answer_by)}")
    console.print("\n".join(lines), soft_wrap=True, markup=False)


def _who(task: "ListedTaskOut") -> str:
    """Who may do it."""
    if task.nobody:
        return f"NOBODY ({_needs(task)})"
    return task.kept_for or _needs(task)


def _needs(task: "ListedTaskOut") -> str:
    groups, skills = " or ".join(task.groups), " and ".join(task.skills)
    return " with ".join(part for part in (groups or "everybody", skills) if part)


def _due(task: "ListedTaskOut") -> str:
    passed = "" if task.urgency == Urgency.ORDINARY else f" {task.urgency}"
    return f"{_moment(task.due_at)}{passed}"


def _moment(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M}"
