"""What MLflow is told of where a model comes from."""

import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from training import provenance


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of the one that this code lies in."""
    monkeypatch.setattr(provenance, "_ROOT", tmp_path)
    provenance.git_commit.cache_clear()
    return tmp_path


def git(folder: Path, *command: str) -> str:
    told = subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=ada", "-c", "user.email=ada@localhost", *command],
        check=True,
        capture_output=True,
        text=True,
    )
    return told.stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_checkout_names_its_commit_and_whether_files_differ_from_it(checkout: Path) -> None:
    git(checkout, "init", "--quiet")
    (checkout / "code").write_text("one")
    git(checkout, "add", "code")
    git(checkout, "commit", "--quiet", "--message", "first")
    commit = git(checkout, "rev-parse", "HEAD")
    assert provenance.git_commit() == commit
    (checkout / "code").write_text("two")
    provenance.git_commit.cache_clear()
    assert provenance.git_commit() == f"{commit}-dirty"


def test_what_is_no_checkout_has_no_commit(checkout: Path) -> None:
    """Also where a folder above is one, of something else."""
    assert provenance.git_commit() is None


def test_versions_that_can_change_the_result_are_named() -> None:
    told = provenance.environment()
    packages = told["packages"]
    assert isinstance(packages, dict) and torch.__version__.startswith(str(packages["torch"]))
    assert {"python", "platform", "machine"} <= told.keys()
