"""`askance history`: what happened in a project, for people."""

import difflib
import json
from typing import TYPE_CHECKING, Annotated

import typer

from loop.cli.command_line import (
    ConfigOption,
    JsonOption,
    UrlOption,
    app,
    client_of,
    console,
    print_json,
    print_table,
    table_of,
)
from loop.domain.announcements import EVENT_TYPES, kinds_behind, type_of

if TYPE_CHECKING:
    from serving.api.schemas.events import EventOut
    from serving.client import Client

_MOST = 1000  # events of an answer
_MOST_SHOWN = 160  # characters of a body; --json has it whole


@app.command("history")
def history(
    project: Annotated[
        str | None, typer.Option("--project", "-p", help="Its id; else what concerns all, as tokens for all projects.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="policy.changed, model (all of model.…), or a type of `askance webhooks types`.")
    ] = None,
    last: Annotated[int, typer.Option(min=1, max=1000, help="So many, the newest first.")] = 20,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Who did what, and what the service did by itself: policies, recipes, promotions, verdicts, failed rules."""
    with client_of(config, url) as client:
        found = _newest(client, project, kind, last)
        unknown = _unknown(client, project, kind) if kind and not found and not as_json else ""
    if as_json:
        print_json(found)
        return
    table = table_of("number", "at (UTC)", "what", "by", "")
    for event in found:
        table.add_row(str(event.sequence), f"{event.at:%Y-%m-%d %H:%M:%S}", event.kind, event.actor, _told(event))
    print_table(table)
    if not found:
        told = f"nothing of that kind has happened{unknown}" if kind else "nothing has happened yet"
        console.print(told, markup=False, soft_wrap=True)


def _newest(client: "Client", project: str | None, kind: str | None, last: int) -> "list[EventOut]":
    """kind: of the history, or a type that webhooks announce under a name of its own."""
    behind = () if kind is None else kinds_behind(kind)
    if behind in ((), (kind,)):
        return client.history(project, kind=kind, last=last).events
    found = [event for one in behind for event in client.history(project, kind=one, last=_MOST).events]
    meant = [event for event in found if type_of(event.kind, event.body) == kind]
    return sorted(meant, key=lambda event: event.sequence, reverse=True)[:last]


def _unknown(client: "Client", project: str | None, kind: str) -> str:
    """What else there is, where neither webhooks nor the newest of the history know the kind."""
    happened = {event.kind for event in client.history(project, last=_MOST).events}
    known = sorted({*happened, *EVENT_TYPES})
    if kind in known or any(one.startswith(f"{kind}.") for one in known):
        return ""
    near = difflib.get_close_matches(kind, [*known, *{one.partition(".")[0] for one in known}], n=1)
    meant = f"; did you mean {near[0]}?" if near else "."
    there = f" Here there are: {', '.join(sorted(happened))}." if happened else ""
    return f"{meant}{there} What webhooks can tell: {', '.join(EVENT_TYPES)}."


def _told(event: "EventOut") -> str:
    body = json.dumps(event.body, ensure_ascii=False)[1:-1]
    return body if len(body) <= _MOST_SHOWN else body[:_MOST_SHOWN] + "…"
