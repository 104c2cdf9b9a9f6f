"""An index on disk: written whole or not at all, read only as it was written.

A folder holds one generation of it: FAISS' file, the keys, and a description with their checksums, which is replaced
last. What does not fit together counts as absent, since the store has it all.
"""

import fcntl
import json
import os
import zlib
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import faiss
import numpy as np

from selection.index import DEFAULT_RULES, EmbeddingIndex, IndexRules, Parts
from selection.lists import Lists

_DESCRIPTION, _LOCK = "index.json", ".lock"
_FORMAT = 3
_CHUNK = 1 << 22


def write_index(folder: Path, parts: Parts, *, sequence: int) -> bool:
    """Keep it in `folder`, in place of what was there; False where another process is writing there just now, whose
    index is as good. sequence: of the last prediction in it. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        _write(folder, parts, sequence)
    return True


def _write(folder: Path, parts: Parts, sequence: int) -> None:
    generation = f"{os.getpid()}-{os.urandom(4).hex()}"
    vectors, names = folder / f"{generation}.faiss", folder / f"{generation}.keys.npy"
    try:
        faiss.write_index(parts.index, str(vectors))
        np.save(names, np.array(parts.keys, dtype=np.bytes_), allow_pickle=False)
        description = {
            "format": _FORMAT,
            "generation": generation,
            "count": len(parts.keys),
            "dim": int(parts.index.d),
            "lists": parts.lists and asdict(parts.lists),
            "sequence": sequence,
            "checksums": [_checksum(vectors), _checksum(names)],
        }
        partial = folder / f"{generation}.json"
        partial.write_text(json.dumps(description), encoding="utf-8")
        partial.replace(folder / _DESCRIPTION)
    except RuntimeError as error:  # FAISS' way to say that the disk is full
        for partial in folder.glob(f"{generation}.*"):
            partial.unlink(missing_ok=True)
        raise OSError(str(error)) from error
    _clear(folder, keep=generation)


def read_index(folder: Path, *, dim: int, rules: IndexRules = DEFAULT_RULES) -> tuple[EmbeddingIndex, int] | None:
    """The index and the sequence of its last prediction; None where there is none of this width, or it is damaged."""
    try:
        description = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
        generation = description["generation"]
        vectors, names = folder / f"{generation}.faiss", folder / f"{generation}.keys.npy"
        if (description["format"], description["dim"]) != (_FORMAT, dim):
            return None
        if description["checksums"] != [_checksum(vectors), _checksum(names)]:
            return None
        keys = [key.decode() for key in np.load(names, allow_pickle=False).tolist()]
        made = faiss.read_index(str(vectors))
        if not len(keys) == made.ntotal == description["count"] or made.d != dim:
            return None
        lists = None if description["lists"] is None else Lists(**description["lists"])
        return EmbeddingIndex.of(Parts(made, tuple(keys), lists), rules), int(description["sequence"])
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return None


def kept(folder: Path) -> tuple[int, datetime] | None:
    """How many embeddings the index in `folder` has, and when it was written; None where there is none. What is damaged
    is not looked for."""
    description = folder / _DESCRIPTION
    try:
        count = int(json.loads(description.read_text(encoding="utf-8"))["count"])
        return count, datetime.fromtimestamp(description.stat().st_mtime, UTC)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _checksum(path: Path) -> int:
    """CRC-32: it is to see damage, not malice."""
    checksum = 0
    with path.open("rb") as content:
        while chunk := content.read(_CHUNK):
            checksum = zlib.crc32(chunk, checksum)
    return checksum


def _clear(folder: Path, *, keep: str) -> None:
    """Files of other generations, and what a crash left."""
    for path in folder.iterdir():
        if path.name not in (_DESCRIPTION, _LOCK) and not (keep and path.name.startswith(keep)):
            with suppress(OSError):
                path.unlink()
