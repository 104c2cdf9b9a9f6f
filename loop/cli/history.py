"""`askance history`: what happened in a project, for people."""

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

if TYPE_CHECKING:
    from serving.api.schemas.events import EventOut

_MOST_SHOWN = 160  # characters of a body; --json has it whole


@app.command("history")
def history(
    project: Annotated[
        str | None, typer.Option("--project", "-p", help="Its id; else what concerns all, as tokens for all projects.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Such as policy.changed, rule.failed or lot.accepted.")] = None,
    last: Annotated[int, typer.Option(min=1, max=1000, help="So many, the newest first.")] = 20,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Who did what, and what the service did by itself: policies, recipes, promotions, verdicts, failed rules."""
    with client_of(config, url) as client:
        found = client.history(project, kind=kind, last=last).events
    if as_json:
        print_json(found)
        return
    table = table_of("number", "at (UTC)", "what", "by", "")
    for event in found:
        table.add_row(str(event.sequence), f"{event.at:%Y-%m-%d %H:%M:%S}", event.kind, event.actor, _told(event))
    print_table(table)
    if not found:
        console.print("nothing of that kind has happened" if kind else "nothing has happened yet")


def _told(event: "EventOut") -> str:
    body = json.dumps(event.body, ensure_ascii=False)[1:-1]
    return body if len(body) <= _MOST_SHOWN else body[:_MOST_SHOWN] + "…"
