"""Packages that register entry points, made for a test: found by this process and by those that it starts."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from loop.domain.functions import GROUP

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def shipped_functions() -> dict[str, str]:
    """What our own pyproject.toml registers: an installation from before it did has no entry for them."""
    entries: Mapping[str, Mapping[str, str]] = tomllib.loads(PYPROJECT.read_text())["project"]["entry-points"]
    return dict(entries[GROUP])


def install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, source: str, group: str, points: Mapping[str, str]
) -> None:
    """A module `name` with this source, as version 1.0 of a package that registers `points`."""
    (folder / f"{name}.py").write_text(source)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{point} = {target}" for point, target in points.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
