"""What commands have in common: the application they belong to, options, the service they call, how they print."""

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from loop.domain.errors import Unauthenticated
from loop.settings import Settings, load_settings

if TYPE_CHECKING:
    from serving.client import Client

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Object detection that knows what it is unsure of: serves, routes to people, retrains.",
)

console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())  # a pipe has no width

_WIDEST = 100_000  # characters of a row

ProjectOption = Annotated[str, typer.Option("--project", "-p", help="The project's id.")]

ConfigOption = Annotated[Path | None, typer.Option("--config", help="Settings that differ from configs/default.yaml.")]

UrlOption = Annotated[str | None, typer.Option("--url", envvar="ASKANCE_URL", help="The running service.")]

JsonOption = Annotated[bool, typer.Option("--json", help="Print it as JSON: all there is, a line for each.")]

ITEM_HELP = "Its digest, or the first 8 digits or more."

FilterOption = Annotated[
    list[str] | None, typer.Option("--filter", help="source=…, group=…, label=… or meta.KEY=…; all must hold.")
]


def settings_of(config: Path | None, port: int | None = None) -> Settings:
    environ = dict(os.environ)
    if port is not None:
        environ["ASKANCE_SERVER__PORT"] = str(port)
    return load_settings(config, environ)


def base_url(settings: Settings) -> str:
    host = "127.0.0.1" if settings.server.host in ("0.0.0.0", "::") else settings.server.host  # noqa: S104 - compared
    return f"http://{host}:{settings.server.port}"


def client_of(config: Path | None, url: str | None) -> "Client":
    """A client with the token of ASKANCE_TOKEN, or that of the service on this machine."""
    from serving.client import Client

    settings = settings_of(config)
    secret = os.environ.get("ASKANCE_TOKEN", "")
    path = settings.data_dir / "operator.token"
    if not secret and path.is_file():
        secret = path.read_text().strip()
    if not secret:
        raise Unauthenticated(
            f"there is no token: neither ASKANCE_TOKEN nor {path}.",
            hint="Start the service in this folder (askance up), or set ASKANCE_TOKEN and ASKANCE_URL.",
        )
    return Client(url or base_url(settings), secret)


def can_ask() -> bool:
    """Whether somebody at a terminal can be asked."""
    return sys.stdin.isatty()


def table_of(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def print_table(table: Table) -> None:
    """Ids are there to be copied: no word is folded or cut, whatever the width; a terminal that is too narrow for that
    breaks its lines itself. Elsewhere, as into a pipe, nothing is folded at all. Cells are text, not markup."""
    wide = console.options.update(width=_WIDEST, markup=False)
    for column in table.columns:
        measured = [Measurement.get(console, wide, cell) for cell in (column.header, *column.cells)]
        column.min_width = max(one.minimum for one in measured)
        column.no_wrap = column.min_width == max(one.maximum for one in measured)  # ids, dates, numbers
    words, whole = Measurement.get(console, wide, table)
    table.width = min(whole, max(words, console.width)) if console.is_terminal else whole
    console.print(table, crop=False, markup=False)


def print_json(answer: "BaseModel | Iterable[BaseModel]") -> None:
    """An answer of the service as it is, in a line; of several, each in a line of its own."""
    several = [answer] if isinstance(answer, BaseModel) else answer
    sys.stdout.writelines(one.model_dump_json() + "\n" for one in several)


def progress_bar() -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console)


def tracker(bar: Progress, description: str) -> Callable[[int, int], None]:
    row = bar.add_task(description, total=None)
    return lambda done, total: bar.update(row, completed=done, total=total)
