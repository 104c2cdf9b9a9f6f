"""`askance outcomes`: how predictions turned out outside."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from loop.cli.command_line import ConfigOption, ProjectOption, UrlOption, app, client_of, console
from loop.domain.errors import Invalid
from loop.domain.production.outcomes import TurnedOut

if TYPE_CHECKING:
    from serving.client import Client

outcomes_app = typer.Typer(no_args_is_help=True, help="How predictions turned out outside; no estimate rests on it.")
app.add_typer(outcomes_app, name="outcomes")

_AT_ONCE = 500
_COLUMNS = ("prediction_id", "outcome", "reason", "labels", "at")
_SHOWN = 20  # of those that are refused

ReviewOption = Annotated[bool, typer.Option("--review", help="Queue the images of wrong ones for people.")]


@outcomes_app.command("add")
def outcomes_add(
    prediction: Annotated[str, typer.Argument(help="Its id.")],
    outcome: Annotated[TurnedOut, typer.Argument(help="How it turned out.")],
    project: ProjectOption,
    reason: Annotated[str, typer.Option(help="What was wrong.")] = "",
    label: Annotated[list[str] | None, typer.Option(help="Which label it is about; may be given again.")] = None,
    review: ReviewOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Say of one prediction that it turned out wrong, or right."""
    body = {"outcome": outcome.value, "reason": reason, "labels": label or [], "send_to_review": review}
    with client_of(config, url) as client:
        kept = client.report_outcome(project, prediction, **body)
    task = f"; task {kept.task_id}" if kept.task_id else ""
    console.print(f"{kept.outcome}: {kept.prediction_id}{task}", markup=False)
    if kept.note:
        console.print(kept.note, markup=False)


@outcomes_app.command("import")
def outcomes_import(
    file: Annotated[Path, typer.Argument(help="NDJSON (.ndjson, .jsonl), or CSV with prediction_id and outcome.")],
    project: ProjectOption,
    review: ReviewOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Report many at once; what was reported before changes nothing, so that it can be repeated."""
    entries = list(_entries(file))
    if review:
        entries = [one | {"send_to_review": one.get("outcome") == TurnedOut.WRONG} for one in entries]
    with client_of(config, url) as client:
        _send(client, project, entries)


def _send(client: "Client", project: str, entries: list[dict[str, Any]]) -> None:
    kept = unchanged = tasks = 0
    refused: list[str] = []
    notes: set[str] = set()
    for start in range(0, len(entries), _AT_ONCE):
        done = client.report_outcomes(project, entries[start : start + _AT_ONCE])
        kept, unchanged, tasks = kept + done.kept, unchanged + done.unchanged, tasks + done.tasks
        refused += [f"entry {start + one.place + 1}: {one.why}" for one in done.refused]
        notes |= set(done.notes)
    console.print(f"kept: {kept}; unchanged: {unchanged}; tasks made: {tasks}; refused: {len(refused)}")
    for line in [*refused[:_SHOWN], *sorted(notes)]:
        console.print(f"  {line}", markup=False)
    if refused:
        raise typer.Exit(1)


def _entries(file: Path) -> Iterator[dict[str, Any]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} cannot be read: {error}.", hint="Give a file of UTF-8 text.") from error
    if file.suffix.lower() == ".csv":
        yield from _of_csv(file, text)
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield _of_json(file, number, line)


def _of_csv(file: Path, text: str) -> Iterator[dict[str, Any]]:
    reader = csv.DictReader(text.splitlines())
    names = set(reader.fieldnames or ())
    if (lacking := set(_COLUMNS[:2]) - names) or (unknown := names - set(_COLUMNS)):
        told = f"no column {min(lacking)}" if lacking else f"an unknown column, {min(unknown)}"
        raise Invalid(f"{file} has {told}.", hint=f"Columns are {', '.join(_COLUMNS)}; a semicolon parts labels.")
    for row in reader:
        entry: dict[str, Any] = {name: value for name, value in row.items() if name in _COLUMNS and value}
        if "labels" in entry:
            entry["labels"] = [label.strip() for label in entry["labels"].split(";") if label.strip()]
        yield _checked(file, reader.line_num, entry)


def _of_json(file: Path, number: int, line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise Invalid(f"{file}, line {number}: {error}.", hint='Write a line as {"prediction_id": …}.') from error
    if not isinstance(entry, dict):
        raise Invalid(f"{file}, line {number} is no object.", hint='Write a line as {"prediction_id": …}.')
    return _checked(file, number, entry)


def _checked(file: Path, number: int, entry: dict[str, Any]) -> dict[str, Any]:
    """So that a mistake is named by its line, before anything is sent."""
    from serving.api.schemas.outcomes import OutcomeOfIn

    try:
        return OutcomeOfIn.model_validate(entry).model_dump(mode="json", exclude_unset=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Invalid(f"{file}, line {number}: {where}: {first['msg']}.", hint="Nothing was sent.") from error
