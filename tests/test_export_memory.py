"""Exports hold a few items at a time, however many there are.

The snapshot's columns grow with the items, by about a hundred bytes for each; Arrow keeps them, where tracemalloc does
not look. What is counted here are Python's objects and NumPy's arrays.
"""

import gc
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loop.domain.identity import digest_of
from loop.domain.item import Item
from loop.domain.truth import GroundTruth, Shape
from loop.exchange.exporter import dataset
from loop.exchange.reading import Layout
from loop.exchange.sending import sent_dataset
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from tests.test_exchange import NOW, World

FEW, MANY = 100, 1000
SHAPES = tuple(Shape(f"kind{n % 3}", (1.0 + n, 2.0, 30.5 + n, 40.25), id=f"shape {n}") for n in range(6))
MOST_BYTES = 250  # of an item; as objects its shapes take thousands


class Made:
    """Blobs of any digest."""

    def get(self, key: str) -> bytes:
        return key.encode() * 1000


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[SqlStore]:
    """Two projects."""
    folder = tmp_path_factory.mktemp("filled")
    shutil.copyfile(sqlite_template, folder / "askance.db")
    store = SqlStore.open(f"sqlite:///{folder}/askance.db")
    world = World(store, FsspecBlobs.open(str(folder / "blobs")))
    for count in (FEW, MANY):
        world.create(f"p{count}", ("kind0", "kind1", "kind2"))
        with store.begin() as tx:
            for number in range(count):
                add(tx, f"p{count}", number)
    yield store
    store.close()


@pytest.fixture
def store(filled: SqlStore, monkeypatch: pytest.MonkeyPatch) -> SqlStore:
    """What is held at once is less than is usual, so that few items show whether more are held."""
    for place, size in {
        "training.snapshot._TOGETHER": 50,
        "training.snapshot_rows._PIECE": 50,
        "loop.store.truths._CHUNK": 50,
        "loop.exchange.zip_stream._HELD": 1000,
        "loop.exchange.zip_stream._PIECE": 4096,
    }.items():
        monkeypatch.setattr(place, size)
    return filled


def add(tx, project_id: str, number: int) -> None:
    digest = digest_of(str(number).encode())
    facts = {"media_type": "image/png", "width": 640, "height": 480, "created_at": NOW}
    tx.items.add(Item(project_id=project_id, digest=digest, **facts))
    tx.truths.add(
        GroundTruth(
            project_id=project_id, item_digest=digest, version=1, shapes=SHAPES, submission_ids=(), origin="import",
            created_at=NOW,
        )
    )  # fmt: skip


def peak(act: Callable[[], object]) -> int:
    """The most bytes that were held at once, on top of those before."""
    gc.collect()
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def growth(act: Callable[[int], object]) -> float:
    """Bytes that one item more takes; the first time warms what is kept anyhow."""
    act(FEW)
    few, many = peak(lambda: act(FEW)), peak(lambda: act(MANY))
    return (many - few) / (MANY - FEW)


@pytest.mark.parametrize("layout", list(Layout))
def test_ten_times_as_many_items_take_hardly_more(store: SqlStore, tmp_path: Path, layout: Layout) -> None:
    """Annotations of every format, as files."""
    folders = (tmp_path / f"out{number}" for number in range(9))

    def export(count: int) -> None:
        folder = next(folders)
        folder.mkdir()
        dataset(store, project_id=f"p{count}", layout=layout, folder=folder)

    assert growth(export) < MOST_BYTES


@pytest.mark.parametrize("layout", [Layout.COCO, Layout.YOLO])
def test_an_archive_is_not_held_while_it_is_sent(store: SqlStore, tmp_path: Path, layout: Layout) -> None:
    """Its pieces add up to far more than is held; and nothing stays on the disk."""

    def send(count: int) -> int:
        sent = sent_dataset(store, Made(), project_id=f"p{count}", layout=layout, within=tmp_path)
        return sum(len(piece) for piece in sent.pieces())

    assert send(MANY) > MANY * 64_000
    assert growth(send) < MOST_BYTES
    assert not list(tmp_path.glob("export-*"))


def test_what_nobody_fetches_leaves_nothing(store: SqlStore, tmp_path: Path) -> None:
    """Neither when it is given up in the middle, nor when it was never begun."""
    sent = [sent_dataset(store, Made(), project_id=f"p{FEW}", layout=Layout.COCO, within=tmp_path) for _ in range(2)]
    assert len(list(tmp_path.glob("export-*"))) == 2
    pieces = sent[0].pieces()
    next(pieces)
    del pieces, sent
    gc.collect()
    assert not list(tmp_path.glob("export-*"))
