"""`askance gate`: calls that wait for a person."""

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
)
from loop.domain.errors import Invalid
from loop.domain.policy.gate import Fallback

if TYPE_CHECKING:
    from serving.api.schemas.gate import GateOut

gate_app = typer.Typer(no_args_is_help=True, help="Calls for predictions that wait for a person (docs/gate.md).")
app.add_typer(gate_app, name="gate")


@gate_app.command("show")
def gate_show(
    project: ProjectOption, as_json: JsonOption = False, url: UrlOption = None, config: ConfigOption = None
) -> None:
    """How long calls may wait in a project, and what they get where nobody answers."""
    with client_of(config, url) as client:
        gate = client.project(project).policy.gate
    print_json(gate) if as_json else _print(gate)


@gate_app.command("set")
def gate_set(
    project: ProjectOption,
    fallback: Annotated[Fallback | None, typer.Option(help="What a call gets where nobody answers in time.")] = None,
    max_wait: Annotated[float | None, typer.Option(help="Seconds that a call may wait at most.")] = None,
    min_review: Annotated[
        float | None, typer.Option(help="With fewer seconds left, a task is not handed out for its caller.")
    ] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Change that; calls that wait already keep the rules that they came under."""
    given = {"fallback": fallback, "max_wait_seconds": max_wait, "min_review_seconds": min_review}
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise Invalid("nothing to change.", hint="Name --fallback, --max-wait or --min-review.")
    with client_of(config, url) as client:
        _print(client.change_policy(project, gate=changes).gate)


def _print(gate: "GateOut") -> None:
    console.print(
        f"calls wait at most {gate.max_wait_seconds:g} s, then: {gate.fallback}; tasks are handed out for them until "
        f"{gate.min_review_seconds:g} s before, or as long before as people usually need"
    )
