"""The virtual environment of each peer, made on demand under benchmarks/.cache/venvs.

Each finds our own environment behind its own packages (a .pth file, written after pip is done, so that nothing of
ours is ever touched), so that torch is not installed once for each.
"""

import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path

from rich.console import Console

VENVS = Path(__file__).resolve().parents[1] / ".cache" / "venvs"
_DONE = "installed"


@dataclass(frozen=True, slots=True)
class Environment:
    """packages: for pip. loose: those whose version bound is dropped. shared: whether our packages stand behind its
    own. bare: nothing is installed but `packages`, the rest is ours."""

    name: str
    packages: tuple[str, ...]
    loose: tuple[str, ...] = ()
    shared: bool = True
    bare: bool = False

    def python(self, console: Console) -> str:
        """Its interpreter; the environment is made first where it is not there. Raises CalledProcessError."""
        folder = VENVS / self.name
        if (folder / _DONE).is_file() and (folder / _DONE).read_text() == self._identity:
            return str(folder / "bin" / "python")
        console.log(f"making the environment of {self.name}")
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        self._install(folder)
        if self.shared:
            (_site(folder) / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
        (folder / _DONE).write_text(self._identity)
        return str(folder / "bin" / "python")

    @property
    def _identity(self) -> str:
        return " ".join([*self.packages, *self.loose, str(self.shared)])

    def _install(self, folder: Path) -> None:
        _pip(folder, "install", "--upgrade", "pip")
        if self.bare:
            _pip(folder, "install", "--no-deps", *self.packages)
            return
        if not self.loose:
            _pip(folder, "install", *self.packages)
            return
        _pip(folder, "install", "--no-deps", *self.packages)
        needed: list[str] = []
        for path in _site(folder).glob("*.dist-info"):
            found = Distribution.at(path)
            if any(package.split("==")[0] == found.metadata["Name"] for package in self.packages):
                needed += [one for one in found.requires or [] if "extra ==" not in one]
        _pip(folder, "install", *(next((bare for bare in self.loose if one.startswith(bare)), one) for one in needed))


def _site(folder: Path) -> Path:
    return next((folder / "lib").glob("python*")) / "site-packages"


def _pip(folder: Path, *arguments: str) -> None:
    command = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    subprocess.run(command, check=True)


LITSERVE = Environment("litserve", ("litserve==0.2.19",))
# It wants a certifi of the day it was released; any serves.
BENTOML = Environment("bentoml", ("bentoml==1.4.40",), loose=("certifi",))
SELECTION = Environment(
    "selection",
    ("scikit-activeml==1.0.1", "apricot-select==0.6.1", "modAL-python==0.4.2.1", "iteration-utilities", "makefun"),
    bare=True,
)
ROBOFLOW = Environment("roboflow", ("inference-cpu[http]==1.8.3",), shared=False)
# It wants older versions of numpy and scipy than ours.
FROUROS = Environment("frouros", ("frouros==0.9.0",), shared=False)
LABEL_STUDIO = Environment("label-studio", ("label-studio==1.23.2",), shared=False)
EXCHANGE = Environment("exchange", ("pycocotools==2.0.11", "supervision==0.31.2", "datumaro==1.13.12"), shared=False)
