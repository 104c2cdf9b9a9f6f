"""Tables that commands print: ids can be copied, and rows can be read by other programs."""

import io
from collections.abc import Iterator

import click
import pytest
import typer
from rich.console import Console

from loop.cli import app
from loop.cli.command_line import print_table, table_of

ID = "0123456789abcdef" * 4
TEXT = "some [words] that go on and on until they no longer fit into one line of a terminal"


def printed(monkeypatch: pytest.MonkeyPatch, *, terminal: bool, width: int) -> list[str]:
    file = io.StringIO()
    monkeypatch.setattr(
        "loop.cli.command_line.console",
        Console(file=file, force_terminal=terminal, width=width, color_system=None, highlight=False),
    )
    table = table_of("item", "made", "text")
    table.add_row(ID, "2026-01-01T00:00", TEXT)
    table.add_row(ID[::-1], "2026-01-01T00:00", "short")
    print_table(table)
    return [line.rstrip() for line in file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_ids_are_whole_at_any_width(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Text is folded instead, between its words."""
    lines = printed(monkeypatch, terminal=True, width=width)
    assert any(ID in line for line in lines) and any(ID[::-1] in line for line in lines)
    assert len(lines) > 3
    assert "".join(line[84:].strip() + " " for line in lines[1:-1]).split() == TEXT.split()


def test_a_pipe_has_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row is one line, whatever COLUMNS says; what looks like markup is text."""
    lines = printed(monkeypatch, terminal=False, width=40)
    assert len(lines) == 3 and lines[1].split(maxsplit=2) == [ID, "2026-01-01T00:00", TEXT]


def test_what_is_listed_or_shown_can_be_had_as_json() -> None:
    """By the one option, whatever the command."""
    without = [
        name
        for name, command in _commands(typer.main.get_command(app))
        if name.rpartition(" ")[2] in {"list", "show", "history", "status", "types", "versions", "deliveries", "runs"}
        if not any("--json" in option.opts for option in command.params)
    ]
    assert without == []


def _commands(group: click.Command, name: str = "") -> Iterator[tuple[str, click.Command]]:
    for word, command in getattr(group, "commands", {}).items():
        yield from _commands(command, f"{name} {word}".strip())
    yield name, group
