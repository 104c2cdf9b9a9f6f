"""`askance functions`: what is installed, what ran, and running one on an item."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from loop.cli.command_line import (
    ITEM_HELP,
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
from loop.domain.errors import FunctionFailed
from loop.domain.functions.calls import CallState

if TYPE_CHECKING:
    from serving.api.schemas.functions import FunctionUseIO

functions_app = typer.Typer(no_args_is_help=True, help="Python functions that run on events and by buttons.")
app.add_typer(functions_app, name="functions")

_LOOK_SECONDS = 0.5


@functions_app.command("list")
def list_(
    project: Annotated[str | None, typer.Option("--project", "-p", help="Also how this project uses them.")] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """What the installed packages register."""
    with client_of(config, url) as client:
        installed = client.functions_installed().functions
        uses = {one.name: one for one in client.project(project).policy.functions} if project is not None else {}
    if as_json:
        print_json(installed if project is None else uses.values())
        return
    packages = {one.name: one.package for one in installed}
    table = table_of("function", "package", *(("on", "button", "key") if project is not None else ()))
    for name in sorted({*packages, *uses}):
        row = (*_use(uses.get(name)),) if project is not None else ()
        table.add_row(name, packages.get(name, "not installed"), *row)
    print_table(table)


@functions_app.command("runs")
def runs(
    project: ProjectOption,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """What ran, newest first, buttons too."""
    with client_of(config, url) as client:
        history = client.function_runs(project, limit)
    if as_json:
        print_json(history)
        return
    table = table_of("at", "function", "package", "for", "item", "try", "s", "outcome", "why")
    for one in history.runs:
        body = one.body
        table.add_row(
            f"{one.at:%Y-%m-%d %H:%M:%S}", body["function"], body["package"], body["trigger"],
            (body["item_digest"] or "-")[:12], str(body.get("attempt", 1)), f"{body['seconds']:.2f}",
            body["outcome"], body["why"],
        )  # fmt: skip
    print_table(table)
    console.print(f"{history.waiting} calls wait")


@functions_app.command("run")
def run(
    name: Annotated[str, typer.Argument(help="A function that the project declares in its policy.")],
    project: ProjectOption,
    item: Annotated[str, typer.Option("--item", help=ITEM_HELP)],
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Run one on an item, as an event would, and wait until it is done or given up; Ctrl-C only stops the waiting."""
    with client_of(config, url) as client:
        call = client.call_function(project, name, item)
        told = ""
        with console.status(f"{name} …"):
            while call.state is CallState.PENDING:
                if call.error and call.error != told:
                    told = call.error
                    console.print(f"try {call.attempts}: {told}; again at {call.due_at:%H:%M:%S} UTC", markup=False)
                time.sleep(_LOOK_SECONDS)
                call = client.function_call(project, call.id)
    if call.state is CallState.FAILED:
        raise FunctionFailed(
            f"{name} was given up after {call.attempts} tries: {call.error}.", hint="See askance functions runs."
        )
    for message in call.messages or ["done"]:
        console.print(message, markup=False, soft_wrap=True)


def _use(use: "FunctionUseIO | None") -> tuple[str, str, str]:
    if use is None:
        return "-", "-", "-"
    button = use.button
    return ", ".join(use.on) or "-", button.label if button else "-", (button.key if button else "") or "-"
