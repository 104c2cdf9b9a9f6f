"""What a process loads before it can do anything: each second of it is waited for by whoever waits for the process."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["serving.detectors", "loop.launching.workshop", "loop.wiring"])
def test_processes_that_start_often_load_only_what_each_of_them_needs(module: str) -> None:
    """A replica before its first answer, each task of a cycle, and whatever is wired: what is seldom used is loaded
    where it is used."""
    heavy = ("torch", "ultralytics", "mlflow", "numba", "scipy.stats", "scipy.optimize", "alembic")
    asked = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"
