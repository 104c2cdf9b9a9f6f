"""Items by a query: filter, sort and first page over a million items, each indexed field with each sort, both ways.

    python -m benchmarks.items                          a million items, on SQLite and PostgreSQL
    QUICK=1 python -m benchmarks.items --only sqlite    a hundred thousand
    python -m benchmarks.items --without-columns        as in a process that holds no columns: small projects, the CLI

Items are loaded past the use cases, with facts and terms as the store keeps them. What is asked for is spread as in a
project that has run for some time: cameras come and go, the older items have their truth, batches are tagged. So most
conditions go with created_at, which is hard on whoever walks the list from its newest end.

Lists are answered from columns in memory (loop/store/item_columns.py), which are loaded first, as the service does
beside its requests. At the end items are tagged, and it is measured how long it takes until a page shows them.

A figure is of one condition: the slowest sorts weigh in its p99 as the fastest do in its p50. Each page is read whole,
with its 100 items and their tags, in a transaction of its own.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from sqlalchemy import Connection, Engine

from benchmarks.report import QUICK, Figure, at_most, publish, reading
from loop.domain.items.queries import SORTS, Sort
from loop.domain.items.query_text import parsed
from loop.domain.policy.workflow import LotRules
from loop.domain.review.lot import LotState
from loop.items.lists import catch_up
from loop.settings import load_settings
from loop.store.database import SqlStore
from loop.store.engine import engine_for, migrating
from loop.store.schema import golden_items, item_facts, item_terms, items, lot_items, lots
from loop.store.statements import insert_all
from loop.wiring import projects_of
from tests.postgres import postgres_cluster

ITEMS = 100_000 if QUICK else 1_000_000
REPEATS = 5 if QUICK else 20
PAGE = 100
BATCH = 20_000
BARS = {"sqlite": 100.0, "postgresql": 50.0}  # ms
PROJECT = "street"
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
CAMERAS = 50
LOTS = 100  # of the oldest tenth of the items
LABELS = ("car", "person", "bicycle", "bus", "dog", "unicorn")
SHARES = np.array([0.6, 0.25, 0.1, 0.04, 0.00999, 0.00001])
SIZES = ((640, 480), (1280, 720), (1920, 1080), (4000, 3000))

# By name: a query, with a place for something random: c a camera, n a number in [0, 1], d a thousand of items.
ASKED = {
    "everything": "",
    "digest =": "digest = {digest}",
    "digest ^=": 'digest ^= "{digest:.2}"',
    "source =": "source = cam-{c}",
    "source !=": "source != cam-{c}",
    "source in": "source in (cam-{c}, cam-0)",
    "source ^=": 'source ^= "cam-1"',
    "group =": "group = clip-{d}",
    "split =": "split = val",
    "missing split": "missing split",
    "width =": "width = 4000",
    "height >": "height > 700",
    "created_at <": "created_at < {day}",
    "captured_at >": "captured_at > {day}",
    "missing captured_at": "missing captured_at",
    "model =": "model = model-{old}",
    "model ^=": 'model ^= "model-{old}"',
    "risk >": "risk > {n}",
    "risk between": "risk > {n} and risk < 0.95",
    "decision =": "decision = review",
    "decision =, of most": "decision = accept",
    "stage =": "stage = audit",
    "has stage": "has stage",
    "truth = yes": "truth = yes",
    "truth = VERSION": "truth = 1",
    "missing truth": "missing truth",
    "work =": "work = open",
    "work =, of few": "work = leased",
    "corrections >": "corrections > 2",
    "missing corrections": "missing corrections",
    "failed =": "failed = yes",
    "failed = no": "failed = no",
    "golden = yes": "golden = yes",
    "golden = no": "golden = no",
    "lot =": "lot = lot-{lot}",
    "missing lot": "missing lot",
    "tag =, of the oldest": "tag = first-batch",
    "tag =, of few": "tag = odd",
    "has tag": "has tag",
    "missing tag": "missing tag",
    "label =, of many": "label = car",
    "detection =, of few": "detection = unicorn",
    "shape =": "shape = bus",
    "meta.KEY =": "meta.site = site-{c}",
    "meta.KEY ^=": 'meta.site ^= "site-{old}"',
    "meta.KEY >": "meta.speed > {speed}",
    "has meta.KEY": "has meta.speed",
    "two fields": "source = cam-{c} and label = bus",
    "label and risk": "label = {label} and risk > {n}",
    "label, risk and tag": "label = {label} and risk > 0.3 and tag = first-batch",
    "label, risk and no truth": "label = {label} and risk > {n} and missing truth",
    "review of a camera": "decision = review and source = cam-{c} and created_at > {day}",
    "either of two": "tag = odd or source = cam-{c}",
    "with not": "not (truth = yes or decision = accept)",
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """Of the items of a batch, by place. hours: since the beginning."""

    numbers: NDArray[np.int64]
    at: list[datetime]
    camera: NDArray[np.int64]
    risk: NDArray[np.float64]
    luck: NDArray[np.float64]
    size: NDArray[np.int64]
    label: NDArray[np.int64]
    speed: NDArray[np.int64]


def batches() -> Iterator[Drawn]:
    rng = np.random.default_rng(0)
    for start in range(0, ITEMS, BATCH):
        numbers = np.arange(start, min(start + BATCH, ITEMS))
        count = len(numbers)
        # Each camera sends for a tenth of the time; camera 0 all along.
        era = (numbers / ITEMS * CAMERAS).astype(int)
        camera = np.where(rng.uniform(size=count) < 0.3, 0, (era + rng.integers(0, 5, count)) % CAMERAS)
        yield Drawn(
            numbers=numbers,
            at=[_at(number) for number in numbers],
            camera=camera,
            risk=rng.beta(1, 4, count),
            luck=rng.uniform(size=count),
            size=rng.choice(len(SIZES), count, p=[0.5, 0.3, 0.19, 0.01]),
            label=rng.choice(len(LABELS), count, p=SHARES / SHARES.sum()),
            speed=rng.integers(0, 200, count),
        )


def _at(number: int) -> datetime:
    """They come for a hundred days."""
    return BEGUN + timedelta(days=100 * int(number) / ITEMS)


def _digest(number: int) -> str:
    """As scattered as SHA-256."""
    return f"{(int(number) * 0x9E3779B97F4A7C15 + 1) % 2**64:016x}{int(number):048x}"


def _rows(drawn: Drawn) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    plain, facts, terms = [], [], []
    for place, number in enumerate(drawn.numbers):
        digest, at, luck = _digest(number), drawn.at[place], float(drawn.luck[place])
        width, height = SIZES[drawn.size[place]]
        camera, speed = int(drawn.camera[place]), int(drawn.speed[place])
        meta = {"site": f"site-{camera}", "speed": str(speed)}
        known = {
            "project_id": PROJECT, "digest": digest, "media_type": "image/jpeg", "width": width, "height": height,
            "created_at": at, "source": f"cam-{camera}", "group": f"clip-{number // 1000}",
            "split": "val" if luck < 0.1 else None,
        }  # fmt: skip
        plain.append({**known, "meta": meta})
        facts.append({**known, **_facts(number, at, luck, float(drawn.risk[place]))})
        terms += _terms(number, digest, at, luck, meta, LABELS[drawn.label[place]])
    return plain, facts, terms


def _facts(number: int, at: datetime, luck: float, risk: float) -> dict[str, Any]:
    """The older ones have models that are gone, and truth; what is risky goes to people."""
    old = number < 0.4 * ITEMS
    review = risk > 0.4
    answered = old and review
    return {
        "captured_at": _captured_at(at, luck),
        "model_id": f"model-{number * 10 // ITEMS}",
        "risk": risk,
        "routed": "audit" if luck < 0.01 else "annotate" if review else "accept",
        "truth_version": int(answered or (old and luck < 0.3)),
        "work": None if not review else "done" if answered else "open" if luck < 0.99 else "leased",
        "corrections": int(luck * 5) if answered else None,
    }


def _captured_at(at: datetime, luck: float) -> datetime | None:
    return at - timedelta(hours=1) if luck < 0.7 else None


def _terms(
    number: int, digest: str, at: datetime, luck: float, meta: dict[str, str], label: str
) -> Iterator[dict[str, Any]]:
    has = [("detection", label, None), ("meta.site", meta["site"], None), ("meta.speed", meta["speed"], None)]
    has += [("shape", label, None)] if number < 0.1 * ITEMS else []
    has += [("tag", "first-batch", None)] if number < 0.1 * ITEMS else []
    has += [("tag", "odd", None)] if luck < 0.0001 else []
    for field, value, _ in has:
        yield {
            "project_id": PROJECT, "item_digest": digest, "field": field, "value": value, "created_at": at,
            "captured_at": _captured_at(at, luck),
            "number": float(value) if field == "meta.speed" else None,
        }  # fmt: skip


def load(engine: Engine) -> None:
    """Without what a store does for safety: a benchmark that dies is begun anew. Indexes are made at the end, so that
    they are denser than those of a project that has grown."""
    indexes = [index for table in _TABLES for index in sorted(table.indexes, key=lambda index: str(index.name))]
    with _careless(engine) as connection:
        for index in indexes:
            index.drop(connection)
        connection.commit()
        for drawn in batches():
            for table, rows in zip(_TABLES, _rows(drawn), strict=True):
                insert_all(connection, table, rows)
            insert_all(connection, golden_items, _golden(drawn))
            insert_all(connection, lot_items, _in_lots(drawn))
            connection.commit()
        insert_all(connection, lots, [_lot(number) for number in range(LOTS)])
        for index in indexes:
            index.create(connection)
        connection.commit()
    if engine.dialect.name == "postgresql":  # as autovacuum does by itself after some minutes
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def _golden(drawn: Drawn) -> list[dict[str, Any]]:
    return [
        {
            "project_id": PROJECT, "item_digest": _digest(number), "version": 1, "shapes": (), "added_by": "Ada",
            "added_at": at, "removed": False,
        }
        for number, at in zip(drawn.numbers, drawn.at, strict=True)
        if number % 2_000 == 0
    ]  # fmt: skip


def _in_lots(drawn: Drawn) -> list[dict[str, Any]]:
    return [
        {
            "work_id": f"task_{number:032x}", "lot_id": f"lot-{number * 10 * LOTS // ITEMS}",
            "item_digest": _digest(number), "place": None, "defect": None, "void": False,
        }
        for number in drawn.numbers
        if number < 0.1 * ITEMS
    ]  # fmt: skip


def _lot(number: int) -> dict[str, Any]:
    return {
        "id": f"lot-{number}", "project_id": PROJECT, "source": "cam-0", "state": LotState.ACCEPTED,
        "rules": LotRules(), "items": ITEMS // 10 // LOTS, "opened_at": BEGUN, "closed_at": BEGUN, "decided_at": BEGUN,
        "inspected": 0, "defects": 0, "accept_at": 0, "reject_at": 1, "reason": "", "actor": "Ada", "version": 1,
    }  # fmt: skip


_TABLES = (items, item_facts, item_terms)


@contextmanager
def _careless(engine: Engine) -> Iterator[Connection]:
    """A connection that neither waits for the disk nor looks up what rows refer to."""
    if engine.dialect.name == "sqlite":
        with migrating(engine).connect() as connection:
            driver = connection.connection.cursor()
            driver.execute("PRAGMA synchronous = OFF")
            driver.execute("PRAGMA cache_size = -400000")
            yield connection
    else:
        with engine.connect() as connection:
            connection.exec_driver_sql("SET synchronous_commit = off")
            connection.exec_driver_sql("SET session_replication_role = replica")
            connection.exec_driver_sql("SET maintenance_work_mem = '256MB'")
            yield connection


def filled(text: str, rng: np.random.Generator) -> str:
    day = BEGUN + timedelta(days=int(rng.integers(1, 99)))
    return text.format(
        c=rng.integers(0, CAMERAS), n=round(rng.uniform(0, 0.9), 3), d=rng.integers(0, ITEMS // 1000),
        day=f"{day:%Y-%m-%d}", old=rng.integers(0, 10), speed=rng.integers(0, 200),
        digest=_digest(int(rng.integers(0, ITEMS))), lot=rng.integers(0, LOTS), label=rng.choice(LABELS),
    )  # fmt: skip


def measured(store: SqlStore, database: str) -> list[Figure]:
    rng = np.random.default_rng(1)
    now = BEGUN + timedelta(days=100)
    worked = _processor_time(store)
    found: list[Figure] = []
    for name, text in ASKED.items():
        seconds: dict[str, list[float]] = {sort: [] for sort in SORTS}
        busy: list[float] = []
        for repeat in range(REPEATS):
            for sort in SORTS:
                query, order = parsed(filled(text, rng)), Sort(sort, descending=repeat % 2 == 0)
                started, before = time.perf_counter(), worked()
                with store.read() as tx:
                    tx.item_queries.page(PROJECT, query, order, after=None, limit=PAGE, now=now)
                seconds[sort].append(time.perf_counter() - started)
                busy.append(1e3 * (worked() - before))
        every = 1e3 * np.concatenate(list(seconds.values()))
        slowest = max(seconds, key=lambda sort: float(np.median(seconds[sort])))
        p99 = float(np.percentile(every, 99))
        found += [
            reading(f"{database}, {name}: p50", float(np.median(every)), "ms", len(every)),
            reading(f"{database}, {name}: p99 of processor time", np.percentile(busy, 99), "ms", len(busy)),
            at_most(f"{database}, {name}: p99 ({slowest} slowest)", p99, BARS[database], "ms", len(every)),
        ]
    return found


def _processor_time(store: SqlStore) -> Callable[[], float]:
    """Of this thread and of the server's process that works for it: what a busy machine does not blur."""
    server = _server_of(store)
    if server is None:
        return time.thread_time

    def worked() -> float:
        return time.thread_time() + int(server.read_text().split()[0]) / 1e9

    return worked


def _server_of(store: SqlStore) -> Path | None:
    """Where Linux counts the nanoseconds of the one connection that a thread alone uses; SQLite has no server."""
    with store._reading() as connection:
        if connection.dialect.name == "sqlite":
            return None
        return Path(f"/proc/{connection.exec_driver_sql('SELECT pg_backend_pid()').scalar()}/schedstat")


def held(store: SqlStore, database: str) -> list[Figure]:
    """Loads the columns."""
    started, worked = time.perf_counter(), time.process_time()
    store.hold_columns(1)
    assert store.columns is not None
    store.columns.load(PROJECT)
    seconds, busy = time.perf_counter() - started, time.process_time() - worked
    columns = store.columns.held(PROJECT)
    assert columns is not None
    assert len(columns) == ITEMS
    return [
        reading(f"{database}, columns: seconds to load, half of them at rest", seconds, "s", 1),
        reading(f"{database}, columns: processor time to load, without the server's", busy, "s", 1),
        at_most(f"{database}, columns: bytes an item, of arrays", columns.nbytes / ITEMS, 250, "B", ITEMS),
    ]


def changed(store: SqlStore, database: str, at_once: int) -> list[Figure]:
    """From a commit that tags items until a page shows the first of them: the facts follow, then the columns."""
    rng = np.random.default_rng(at_once)
    now = BEGUN + timedelta(days=100)
    seconds: list[float] = []
    for repeat in range(REPEATS):
        tag = f"changed-{at_once}-{repeat}"
        digests = sorted({_digest(int(number)) for number in rng.integers(0, ITEMS, at_once)})
        with store.begin() as tx:
            tx.item_queries.tag(PROJECT, digests, add=[tag], remove=[])
        started = time.perf_counter()
        catch_up(store)
        with store.read() as tx:
            page = tx.item_queries.page(PROJECT, parsed(f"tag = {tag}"), Sort(), after=None, limit=PAGE, now=now)
        seconds.append(1e3 * (time.perf_counter() - started))
        assert len(page) == min(PAGE, len(digests))
    name = f"{database}, {at_once} changed: until a page shows it, "
    return [
        reading(f"{name}median", float(np.median(seconds)), "ms", len(seconds)),
        reading(f"{name}slowest", max(seconds), "ms", len(seconds)),
    ]


@contextmanager
def database_of(kind: str) -> Iterator[str]:
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="askance-items-") as folder:
            yield f"sqlite:///{folder}/askance.db"
    else:
        with postgres_cluster(durable=True) as cluster:
            yield cluster.url(cluster.new_database())


def run(kinds: Sequence[str], console: Console, *, with_columns: bool = True) -> list[Figure]:
    found: list[Figure] = []
    for kind in kinds:
        with database_of(kind) as url, tempfile.TemporaryDirectory(prefix="askance-data-") as data:
            settings = load_settings(environ={"ASKANCE_DATA_DIR": data})
            store = SqlStore.open(url)
            store.migrate()
            projects_of(settings, store).create(PROJECT, LABELS)
            engine = engine_for(url)
            started = time.perf_counter()
            load(engine)
            engine.dispose()
            console.print(f"{kind}: {ITEMS} items in {time.perf_counter() - started:.0f} s")
            found += held(store, kind) if with_columns else []
            found += measured(store, kind)
            for at_once in (1, 100, 1_000):
                found += changed(store, kind, at_once)
            store.close()
    return found


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--only", choices=sorted(BARS))
    options.add_argument("--without-columns", action="store_true", help="ask the database for all")
    chosen = options.parse_args()
    console = Console()
    kinds = [chosen.only] if chosen.only else sorted(BARS)
    return publish("items", run(kinds, console, with_columns=not chosen.without_columns), console)


if __name__ == "__main__":
    raise SystemExit(main())
