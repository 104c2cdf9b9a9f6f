"""What was chosen for a model on a machine, and the graph it runs: a folder each; and how the candidates ranked for its
network: a file each. Anything damaged counts as absent."""

import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from loop.domain.errors import Unavailable
from serving.backends.runtimes import Candidate, cores, installed

# Raise it with every change of how a model is exported, run or compared: what was kept before is measured anew.
_FORMAT = 3
_MOST = 64  # folders; the longest unused go first. A graph is 10 to 150 MB.
_PACKAGES = ("torch", "torchvision", "ultralytics", "onnxruntime", "onnx", "openvino", "tensorrt", "opencv-python")
_CHOICE, _ARTIFACT = "choice.json", "model.bin"


@dataclass(frozen=True, slots=True)
class Kept:
    """artifact: what `serving.backends.runtimes.opened` takes; None where torch runs the model file itself. report: one
    line on what was measured."""

    candidate: Candidate
    artifact: bytes | None
    report: str


def key_of(model: object, **terms: object) -> str:
    """A name that changes with `model` (what is known of a model, or of all of its network), the machine, the libraries
    and `terms`, all of which must be plain."""
    facts = {
        "format": _FORMAT,
        "model": model,
        "machine": machine(str(terms.get("device", ""))),
        "packages": _versions(),
        **terms,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def machine(device: str) -> Mapping[str, object]:
    """What decides how fast a runtime is, and what it can compute."""
    return {"cpu": _processor(), "cores": cores(), "gpu": _gpu(device)}


def _processor() -> str:
    with suppress(OSError):
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
        known = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags", "Features", "CPU part")
        return "\n".join(line for line in first.splitlines() if line.split(":")[0].strip() in known)
    return f"{platform.machine()} {platform.processor()}"


def _gpu(device: str) -> str:
    if not device.startswith("cuda"):
        return ""
    import torch

    return str(torch.cuda.get_device_name(device)) if torch.cuda.is_available() else ""


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One process of this machine at a time measures for `folder`: side by side they would measure each other, and
    whoever waited finds what the first has kept. Where the disk refuses, nobody waits."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = (folder.parent / f".{folder.name}.lock").open("w")
    except OSError:
        yield
        return
    with lock:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read(folder: Path) -> Kept | None:
    """None where nothing was kept, or not as it was written."""
    try:
        fields = json.loads((folder / _CHOICE).read_text(encoding="utf-8"))
        kept = Kept(Candidate(**fields["candidate"]), None, str(fields["report"]))
        if fields["artifact"] is None:
            return kept
        artifact = (folder / _ARTIFACT).read_bytes()
        if hashlib.sha256(artifact).hexdigest() != fields["artifact"] or not installed(kept.candidate.runtime):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    with suppress(OSError):
        os.utime(folder)
    return Kept(kept.candidate, artifact, kept.report)


def read_ranking(file: Path) -> tuple[Candidate, ...]:
    """Best first; empty where none was kept, or not as it was written, or a runtime has gone since."""
    try:
        ranking = tuple(Candidate(**fields) for fields in json.loads(file.read_text(encoding="utf-8")))
        return ranking if all(installed(one.runtime) for one in ranking) else ()
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def write_ranking(file: Path, ranking: Sequence[Candidate]) -> None:
    """Keep it, whole or not at all, where the disk takes it: else the next model of the network is measured, too."""
    with suppress(OSError), tempfile.TemporaryDirectory(dir=file.parent, prefix=".new-") as made:
        (Path(made) / file.name).write_text(json.dumps([asdict(one) for one in ranking]), encoding="utf-8")
        (Path(made) / file.name).replace(file)


def write(folder: Path, kept: Kept) -> None:
    """Keep it, whole or not at all; of two writers the last wins. Raises Unavailable where the disk refuses."""
    digest = None if kept.artifact is None else hashlib.sha256(kept.artifact).hexdigest()
    fields = {"candidate": asdict(kept.candidate), "artifact": digest, "report": kept.report}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as made:
            if kept.artifact is not None:
                (Path(made) / _ARTIFACT).write_bytes(kept.artifact)
            (Path(made) / _CHOICE).write_text(json.dumps(fields), encoding="utf-8")
            folder.mkdir(exist_ok=True)
            # The artifact first: with the old description it is damaged, and measured again.
            for name in (_ARTIFACT, _CHOICE):
                if (Path(made) / name).exists():
                    (Path(made) / name).replace(folder / name)
    except OSError as error:
        raise Unavailable(
            f"the choice of a runtime cannot be kept in {folder}: {error.strerror}",
            hint="Free some space, or make the folder writable.",
        ) from error
    _drop_oldest(folder.parent)


def _drop_oldest(cache: Path) -> None:
    with suppress(OSError):
        folders = sorted((f for f in cache.iterdir() if f.is_dir()), key=lambda f: f.stat().st_mtime, reverse=True)
        for folder in folders[_MOST:]:
            shutil.rmtree(folder, ignore_errors=True)
