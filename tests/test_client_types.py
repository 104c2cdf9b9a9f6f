"""What a strict type checker knows of both clients."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

_ASKED = """
from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from askance.client import AsyncClient, Client, PredictionOut, ReviewedPredictionOut, ReviewOut


def blocking(client: Client) -> None:
    assert_type(client.predict("p", b"", wait=1.0, review="never"), ReviewedPredictionOut)
    assert_type(client.wait_for("p", "x", 1), ReviewedPredictionOut)
    assert_type(client.reopen_task("t"), list[str])
    assert_type(client.reviews("p", after=3), Iterator[ReviewOut])
    client.predict("p", b"", review="perhaps")  # wrong
    client.predict("p")  # wrong
    client.predict("p", b"", keys="k")  # wrong


async def awaiting(client: AsyncClient) -> None:
    assert_type(await client.predict("p", b"", wait=1.0, review="never"), ReviewedPredictionOut)
    assert_type(await client.wait_for("p", "x", 1), ReviewedPredictionOut)
    assert_type(await client.reopen_task("t"), list[str])
    assert_type(client.reviews("p", after=3), AsyncIterator[ReviewOut])
    client.predict("p", b"")  # wrong
    await client.predict("p", 1.5)  # wrong
"""


def test_arguments_and_answers_are_known_on_both(tmp_path: Path) -> None:
    """Under mypy's strict rules, to a program that lies elsewhere: exactly the wrong calls are found, and the types of
    all others are as written here."""
    program = tmp_path / "program.py"
    program.write_text(_ASKED)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(program)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    found = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line}
    wrong = {number for number, line in enumerate(_ASKED.splitlines(), 1) if line.endswith("# wrong")}
    assert found == wrong, done.stdout + done.stderr


@pytest.mark.parametrize("package", ["askance", "loop", "selection", "serving", "training"])
def test_every_package_says_that_it_is_typed(package: str) -> None:
    """By the mark that type checkers look for (PEP 561)."""
    found = importlib.util.find_spec(package)
    assert found is not None and found.origin is not None
    assert Path(found.origin).with_name("py.typed").is_file()
