"""Snapshots: seconds and memory of freezing one and of comparing two, beside JSON lines as the plain way.

    python -m benchmarks.snapshot               1,000,000 images with 5,000,000 boxes, some minutes
    QUICK=1 python -m benchmarks.snapshot       a tenth of them

The rows come as the store gives them: a stream of items with their truth, by digest, made as they are asked for; what
making them takes is a figure of its own, and is not taken off. The second snapshot has one image in a hundred more, one
less, and one with another version of its truth. Each way runs in a process of its own, whose largest resident memory is
its peak. Both keep what they froze in a folder, and read it from there. The plain way writes a line of JSON for each
image, and compares two dicts of digests, of 100,000 images only. CPU seconds are given beside the wall's: the machine
may be shared.
"""

import argparse
import hashlib
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.report import QUICK, Figure, at_most, publish, reading
from loop.domain.item import Item
from loop.domain.truth import GroundTruth, Shape, shape_to_json
from loop.store.blobs import FsspecBlobs
from training.snapshot import Snapshot, detectable, freeze
from training.snapshot_diff import diff

ITEMS = 100_000 if QUICK else 1_000_000
PLAIN = 100_000  # that the plain way is given in any case: a million take 9 GiB
SHAPES = 5  # of an image, on average
LABELS = tuple(f"label {number}" for number in range(20))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS_BAR, MEMORY_BAR = 60.0, 2.0


def rows(items: int, second: bool) -> Iterator[tuple[Item, GroundTruth]]:
    rng = np.random.default_rng(0)
    step = 2**256 // items
    for begin in range(0, items, 10_000):
        count = min(10_000, items - begin)
        shapes, labels = rng.integers(0, 2 * SHAPES + 1, count), rng.integers(0, len(LABELS), (count, 2 * SHAPES))
        corners, groups = rng.random((count, 2 * SHAPES, 4)) * 300, rng.integers(0, 50_000, count)
        for place in range(count):
            number = begin + place
            if number % 100 == (1 if second else 2):
                continue
            digest = f"{number * step:064x}"
            drawn = tuple(
                Shape(LABELS[label], (x, y, x + 1.0 + w, y + 1.0 + h))
                for label, (x, y, w, h) in zip(
                    labels[place, : shapes[place]].tolist(), corners[place, : shapes[place]].tolist(), strict=True
                )
            )
            item = Item(
                project_id="p", digest=digest, media_type="image/jpeg", width=640, height=640, created_at=NOW,
                group=f"clip {groups[place]}" if number % 2 else "",
            )  # fmt: skip
            truth = GroundTruth(
                project_id="p", item_digest=digest, version=1 + (second and number % 100 == 3), shapes=drawn,
                submission_ids=(f"sub_{number:032x}",) if number % 3 else (), origin="review", created_at=NOW,
            )  # fmt: skip
            yield item, truth


def made(folder: str, items: int, second: bool) -> int:
    return sum(1 for _ in rows(items, second))


def frozen(folder: str, items: int, second: bool) -> str:
    return freeze(detectable(rows(items, second)), labels=LABELS, val_share=0.2).keep(FsspecBlobs.open(folder).put)


def compared(folder: str, one: str, other: str) -> tuple[int, int, int]:
    get = FsspecBlobs.open(folder).get
    found = diff(Snapshot.read(one, get), Snapshot.read(other, get))
    return len(found.added), len(found.removed), len(found.changed)


def plainly_frozen(folder: str, items: int, second: bool) -> str:
    path = Path(folder) / f"{int(second)}.jsonl"
    with path.open("w", encoding="utf-8") as lines:
        for item, truth in rows(items, second):
            body: dict[str, Any] = asdict(item) | {
                "created_at": "", "version": truth.version, "submissions": list(truth.submission_ids),
                "shapes": [shape_to_json(shape) for shape in truth.shapes],
                "val": hashlib.sha256((item.group or item.digest).encode()).digest()[0] < 51,
            }  # fmt: skip
            lines.write(json.dumps(body, sort_keys=True) + "\n")
    return str(path)


def plainly_compared(folder: str, one: str, other: str) -> tuple[int, int, int]:
    sides = []
    for path in (one, other):
        with Path(path).open(encoding="utf-8") as lines:
            sides.append({body["digest"]: body for body in map(json.loads, lines)})
    before, after = sides
    changed = sum(before[digest]["version"] != after[digest]["version"] for digest in before.keys() & after.keys())
    return len(after.keys() - before.keys()), len(before.keys() - after.keys()), changed


def _measured(work: Callable[..., Any], arguments: tuple[Any, ...], told: Any) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work(*arguments)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # of KiB
    told.put((result, time.perf_counter() - wall, time.process_time() - cpu, peak))


def measured(work: Callable[..., Any], *arguments: Any) -> tuple[Any, float, float, float]:
    """Its result, seconds by the wall and of the CPU, and GiB at most, in a process of its own."""
    context = get_context("spawn")
    told = context.Queue()
    process = context.Process(target=_measured, args=(work, arguments, told))
    process.start()
    found: tuple[Any, float, float, float] = told.get()
    process.join()
    return found


def figures(folder: str) -> Iterator[Figure]:
    _, wall, cpu, _ = measured(made, folder, ITEMS, False)
    yield reading("making the rows, wall", wall, "s", ITEMS)
    yield reading("making the rows, CPU", cpu, "s", ITEMS)
    one, wall, cpu, peak = measured(frozen, folder, ITEMS, False)
    yield at_most("freeze and keep, wall", wall, SECONDS_BAR, "s", ITEMS)
    yield reading("freeze and keep, CPU", cpu, "s", ITEMS)
    yield at_most("freeze and keep, peak", peak, MEMORY_BAR, "GiB", ITEMS)
    other = measured(frozen, folder, ITEMS, True)[0]
    found, wall, cpu, peak = measured(compared, folder, one, other)
    yield at_most("read two and diff, wall", wall, SECONDS_BAR, "s", ITEMS)
    yield reading("read two and diff, CPU", cpu, "s", ITEMS)
    yield at_most("read two and diff, peak", peak, MEMORY_BAR, "GiB", ITEMS)
    yield reading("kept, of both", _size(folder) / 2**20, "MiB", ITEMS)
    with tempfile.TemporaryDirectory(dir=folder) as plain:
        one, wall, cpu, peak = measured(plainly_frozen, plain, PLAIN, False)
        yield reading("JSON lines: write, wall", wall, "s", PLAIN)
        yield reading("JSON lines: write, CPU", cpu, "s", PLAIN)
        other = measured(plainly_frozen, plain, PLAIN, True)[0]
        yield reading("JSON lines: kept, of both", _size(plain) / 2**20, "MiB", PLAIN)
        plainly, wall, cpu, peak = measured(plainly_compared, plain, one, other)
        yield reading("JSON lines: read two and diff, wall", wall, "s", PLAIN)
        yield reading("JSON lines: read two and diff, CPU", cpu, "s", PLAIN)
        yield reading("JSON lines: read two and diff, peak", peak, "GiB", PLAIN)
    for count, told in ((ITEMS, found), (PLAIN, plainly)):
        if told != (count // 100,) * 3:
            raise SystemExit(f"of {count} items {told} were found added, removed and changed")


def _size(folder: str) -> int:
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return publish("snapshot", list(figures(folder)), Console())


if __name__ == "__main__":
    sys.exit(main())
