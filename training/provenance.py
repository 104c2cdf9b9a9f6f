"""What a model was made with: the versions of all that can change the result, and the commit of this code."""

import importlib.metadata
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("askance", "numpy", "opencv-python", "ray", "safetensors", "torch", "torchvision", "ultralytics")
_GIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Provenance:
    """commit: None where it is not known. environment: JSON."""

    commit: str | None = None
    environment: Mapping[str, object] = field(default_factory=dict)


def provenance(device: str) -> Provenance:
    """device: that is trained on."""
    return Provenance(git_commit(), {**environment(), "device": device})


def environment() -> dict[str, object]:
    """Python, the machine, and the versions of packages that are installed."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "packages": {name: version for name in _PACKAGES if (version := _version(name)) is not None},
    }


@cache
def git_commit() -> str | None:
    """The commit that is checked out, with `-dirty` where files differ from it; None where this is no checkout (as when
    it was installed), or git is not there."""
    if not (_ROOT / ".git").exists():
        return None
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
