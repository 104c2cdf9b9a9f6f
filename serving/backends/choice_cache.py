"""What was chosen for a model on a machine, and the graph it runs: a folder each; and how the candidates ranked for its
network: a file each. Anything damaged counts as absent.

What no process uses goes when nothing has begun with it for `_UNUSED_DAYS`, and earlier where there are more than
`_MOST`, the longest unused first.
"""

import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from loop.domain.errors import Unavailable
from serving.backends.runtimes import Candidate, cores, installed

# Raise it with every change of how a model is exported, run or compared: what was kept before is measured anew.
_FORMAT = 4
# Folders, and rankings. What is dropped too early costs seconds of measuring at each start; a graph is about as large
# as the weights of its model (10 to 150 MB), which are kept in any case.
_MOST = 4096
# What was kept for libraries that were replaced since is never used again.
_UNUSED_DAYS = 90
_PACKAGES = ("torch", "torchvision", "ultralytics", "onnxruntime", "onnx", "openvino", "tensorrt", "opencv-python")
_CHOICE, _ARTIFACT = "choice.json", "model.bin"
_RANKINGS = "*.ranking.json"
# Folders that this process uses, open and locked until it ends, by which others know. Of one that opens ever more
# models only the newest: it has unloaded the others, and may not have many files open.
_used: OrderedDict[Path, int] = OrderedDict()
_MOST_USED = 128


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
        lock = _locked(_lock_of(folder))
    except OSError:
        yield
        return
    with lock:
        yield


def _locked(file: Path) -> IO[str]:
    while True:
        lock = file.open("w")
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock.fileno()), file.stat()):
                return lock
        lock.close()  # it was dropped while we waited: whoever comes now locks another file of its name


def _lock_of(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.lock"


def read(folder: Path) -> Kept | None:
    """None where nothing was kept, or not as it was written."""
    try:
        fields = json.loads((folder / _CHOICE).read_text(encoding="utf-8"))
        if fields.pop("sha256") != _digest_of(fields):
            return None
        kept = Kept(Candidate(**fields["candidate"]), None, str(fields["report"]))
        if fields["artifact"] is None:
            _use(folder)
            return kept
        artifact = (folder / _ARTIFACT).read_bytes()
        if hashlib.sha256(artifact).hexdigest() != fields["artifact"] or not installed(kept.candidate.runtime):
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    _use(folder)
    return Kept(kept.candidate, artifact, kept.report)


def _digest_of(fields: Mapping[str, object]) -> str:
    """Of a description, so that one byte of it counts as one of the graph does: it says with what numbers it runs."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def read_ranking(file: Path) -> tuple[Candidate, ...]:
    """Best first; empty where none was kept, or not as it was written, or a runtime has gone since."""
    try:
        ranking = tuple(Candidate(**fields) for fields in json.loads(file.read_text(encoding="utf-8")))
        os.utime(file)
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
            described = json.dumps(fields | {"sha256": _digest_of(fields)})
            (Path(made) / _CHOICE).write_text(described, encoding="utf-8")
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
    _use(folder)
    _drop_unused(folder.parent)


def _use(folder: Path) -> None:
    """Until this process ends, or has used `_MOST_USED` others since."""
    with suppress(OSError):
        os.utime(folder)
        place = os.open(folder, os.O_RDONLY)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(place, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if folder in _used:
            os.close(_used.pop(folder))
        _used[folder] = place
        if len(_used) > _MOST_USED:
            os.close(_used.popitem(last=False)[1])


def _drop_unused(cache: Path) -> None:
    with suppress(OSError):
        for folder in _superfluous(path for path in cache.iterdir() if path.is_dir()):
            _drop(folder)
        for ranking in _superfluous(cache.glob(_RANKINGS)):
            ranking.unlink(missing_ok=True)
        for lock in cache.glob(".*.lock"):
            folder = cache / lock.name.removeprefix(".").removesuffix(".lock")
            if not folder.exists():  # nothing came of measuring
                _drop(folder)


def _superfluous(paths: Iterable[Path]) -> list[Path]:
    newest = sorted(((path.stat().st_mtime, path) for path in paths), reverse=True)
    oldest = time.time() - _UNUSED_DAYS * 86_400
    return [path for place, (used, path) in enumerate(newest) if place >= _MOST or used < oldest]


def _drop(folder: Path) -> None:
    """With its lock, unless a process uses it or measures for it."""
    lock = _lock_of(folder)
    with suppress(BlockingIOError), _to_itself(lock), _to_itself(folder):
        shutil.rmtree(folder, ignore_errors=True)
        lock.unlink(missing_ok=True)


@contextmanager
def _to_itself(path: Path) -> Iterator[None]:
    """Raises BlockingIOError while another process has locked it."""
    if not path.exists():
        yield
        return
    place = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(place)
