"""`askance people` and `askance reopen`."""

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
from loop.domain.errors import Conflict, Invalid, NotFound

if TYPE_CHECKING:
    from serving.api.schemas.queue import PersonOut

people_app = typer.Typer(no_args_is_help=True, help="Reviewers: their groups, skills and limits.")
app.add_typer(people_app, name="people")

NO_LIMIT = "none"


@people_app.command("list")
def people_list(as_json: JsonOption = False, url: UrlOption = None, config: ConfigOption = None) -> None:
    """All who may review."""
    table = table_of("id", "name", "role", "project", "groups", "skills", "at once", "a day", "answered")
    with client_of(config, url) as client:
        found = client.people()
    if as_json:
        print_json(found)
        return
    for one in found:
        limits = (str(limit or "-") for limit in (one.max_leases, one.max_tasks_a_day))
        table.add_row(
            one.token_id, one.name, one.role, one.project_id or "all", ", ".join(one.groups) or "-",
            ", ".join(one.skills) or "-", *limits, str(one.answered),
        )  # fmt: skip
    print_table(table)


@people_app.command("set")
def people_set(
    person: Annotated[str, typer.Argument(help="The name or the id of their token (askance people list).")],
    groups: Annotated[str | None, typer.Option(help='Comma-separated; "" for none.')] = None,
    skills: Annotated[str | None, typer.Option(help='Comma-separated; "" for none.')] = None,
    max_leases: Annotated[str | None, typer.Option(help="Tasks held at once; none: as the project says.")] = None,
    max_tasks_a_day: Annotated[str | None, typer.Option(help="Tasks a UTC day; none: as the project says.")] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Say what somebody may do; what is left out stays as it is."""
    changes: dict[str, object] = {}
    for name, names in (("groups", groups), ("skills", skills)):
        if names is not None:
            changes[name] = [part.strip() for part in names.split(",") if part.strip()]
    for name, limit in (("max_leases", max_leases), ("max_tasks_a_day", max_tasks_a_day)):
        if limit is not None:
            changes[name] = _limit(name, limit)
    if not changes:
        raise Invalid("nothing to change.", hint="Name groups, skills or a limit (askance people set --help).")
    with client_of(config, url) as client:
        token_id = _one_of(client.people(), person).token_id
        changed = client.describe_person(token_id, **changes)
    console.print(
        f"{changed.name}: groups {', '.join(changed.groups) or '-'}; skills {', '.join(changed.skills) or '-'}; "
        f"at once {changed.max_leases or '-'}; a day {changed.max_tasks_a_day or '-'}"
    )


@app.command("reopen")
def reopen(
    what: Annotated[
        str, typer.Argument(help="A task's id; with --project an item's digest, or its first 8 digits or more.")
    ],
    project: ProjectOption = "",
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Ask people for an item again; what was answered stays, and counts once."""
    with client_of(config, url) as client:
        opened = client.reopen_item(project, what) if project else client.reopen_task(what)
    console.print(f"open again: {', '.join(opened)}", soft_wrap=True)


def _limit(name: str, given: str) -> int | None:
    if given == NO_LIMIT:
        return None
    if not given.isdecimal():
        raise Invalid(f"{name} is {given!r}.", hint=f"Give a number of tasks, or {NO_LIMIT}.")
    return int(given)


def _one_of(people: list["PersonOut"], person: str) -> "PersonOut":
    found = [one for one in people if person in (one.token_id, one.name)]
    if not found:
        raise NotFound(f"there is no reviewer {person!r}.", hint="See askance people list.", person=person)
    if len(found) > 1:
        ids = ", ".join(one.token_id for one in found)
        raise Conflict(f"{len(found)} reviewers are called {person!r}.", hint=f"Name the id: {ids}.", person=person)
    return found[0]
