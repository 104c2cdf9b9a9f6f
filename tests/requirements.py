"""What a test may need beyond Python, and what happens where it is missing: a skip that says so, or, under
ASKANCE_REQUIRE_ALL=1 (as in .ci/run), a failure."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

DATA = Path(os.environ.get("ASKANCE_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def missing(what: str) -> NoReturn:
    if os.environ.get("ASKANCE_REQUIRE_ALL") == "1":
        pytest.fail(f"{what} is required under ASKANCE_REQUIRE_ALL=1 and is not here")
    pytest.skip(f"{what} is not here")


def require_data(name: str) -> Path:
    """The folder of a real data set, e.g. `require_data("bccd")`."""
    folder = DATA / name
    if not folder.is_dir():
        missing(f"the data set {name} (looked in {folder})")
    return folder


def require_chromium() -> str:
    """The path of a Chromium binary."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    missing("Chromium (apt-get install chromium)")
