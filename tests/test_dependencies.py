"""Every dependency has a reason that one can read."""

import json
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def explained() -> set[str]:
    """The names in the first column of the tables of docs/dependencies.md, as written there."""
    rows = re.findall(r"^\| ([^|]+) \| [^|]{3,} \| [^|]{20,} \|$", (ROOT / "docs/dependencies.md").read_text(), re.M)
    return {name.strip() for row in rows for name in row.split(",")}


def python_requirements() -> set[str]:
    """What pyproject.toml asks for, to run, to develop and to build."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    for extra in project["project"]["optional-dependencies"].values():
        asked += extra
    return {re.split(r"[<>=!~; ]", requirement, maxsplit=1)[0] for requirement in asked}


def test_every_python_dependency_is_explained() -> None:
    """docs/dependencies.md names each requirement of pyproject.toml and why it won."""
    assert python_requirements() - explained() == set()


def test_every_package_of_the_page_is_explained() -> None:
    """docs/dependencies.md names each package of the page and why it won."""
    package = json.loads((ROOT / "serving/web/package.json").read_text())
    assert {*package["dependencies"], *package["devDependencies"]} - explained() == set()


def test_nothing_is_explained_that_is_gone() -> None:
    """A dependency that was dropped leaves the page too."""
    package = json.loads((ROOT / "serving/web/package.json").read_text())
    known = python_requirements() | {*package["dependencies"], *package["devDependencies"]}
    names = {name for name in explained() if name not in {"package", "---"}}
    assert names - known == set()
