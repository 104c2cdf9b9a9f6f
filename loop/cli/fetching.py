"""Data sets that a running service sends: unpacked into a new folder, or kept as the .zip that came."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zipfile import ZipFile

import typer
from rich.progress import DownloadColumn, Progress, SpinnerColumn, TextColumn, TransferSpeedColumn

from loop.cli.command_line import console
from loop.cli.writing import writing
from loop.domain.errors import Conflict

if TYPE_CHECKING:
    from loop.exchange.exporter import ExportReport

FromUrlOption = Annotated[
    str | None,
    typer.Option("--url", envvar="ASKANCE_URL", help="From this service, in place of this machine's files."),
]

_REPORT = "askance-export.txt"

# Saves what the service sends to the file, and tells how many bytes have come.
Save = Callable[[Path, Callable[[int], None]], Path]


def fetch(folder: Path, what: str, save: Save) -> "ExportReport":
    """folder: a new one, or a new file whose name ends in .zip. It appears complete or not at all: what is cut short on
    the way leaves nothing. Unpacked it is what an export on the machine of the service writes.

    Raises Conflict where something is there already.
    """
    from loop.exchange.archives import unpacked
    from loop.exchange.exporter import new_folder, require_free

    if folder.is_file():
        raise Conflict(f"{folder} is there already.", hint="Name a new one; nothing is ever overwritten.")
    require_free(folder)
    with writing(what, folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".askance-", dir=folder.parent) as waiting:
        with _progress() as bar:
            row = bar.add_task(f"fetching {what}", total=None)
            sent = save(Path(waiting) / "set.zip", lambda count: bar.update(row, completed=count))
            bar.update(row, total=sent.stat().st_size)
        report = _report_in(sent, folder)
        if folder.suffix.lower() == ".zip":
            sent.replace(folder)
        else:
            with new_folder(folder) as partial:
                unpacked(sent, partial)
                (partial / _REPORT).unlink()
    return report


def _progress() -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=console)


def _report_in(sent: Path, folder: Path) -> "ExportReport":
    """What a service says of an archive that it sent."""
    from loop.exchange.exporter import ExportReport
    from serving.api.schemas.exchange import ExportOut

    with ZipFile(sent) as archive:
        told = ExportOut.model_validate_json(archive.read(_REPORT))
    return ExportReport(folder=folder, **{name: getattr(told, name) for name in ExportOut.model_fields})
