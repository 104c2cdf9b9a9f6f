"""How rare labels are, as routing sees it: counted at first, and again beside later predictions."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from loop.domain.errors import Unavailable
from loop.domain.ports import Transaction
from loop.domain.project import Label, Recipe
from loop.domain.truth import Shape
from loop.routing.rarity import Rarities
from loop.store.database import SqlStore
from tests.contract.records import ODD, PROJECT, a_model, a_project, a_truth, an_item

BOX = (0.0, 0.0, 1.0, 1.0)
MODEL = a_model()  # of the labels "seven" and ODD


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(store: SqlStore) -> SqlStore:
    with store.begin() as tx:
        tx.projects.add(a_project())
        tx.items.add_all([an_item(number) for number in range(9)])
    return store


def label(store: SqlStore, item: int, *labels: str) -> None:
    with store.begin() as tx:
        tx.truths.add(replace(a_truth(item=item), shapes=tuple(Shape(name, BOX) for name in labels)))


def soon(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_labels_that_people_gave_less_often_are_rarer(store: SqlStore) -> None:
    assert Rarities(store).of(MODEL).tolist() == [0.0, 0.0]
    label(store, 0, "seven", "seven", "seven")
    assert Rarities(store).of(MODEL).tolist() == [0.0, 1.0]
    label(store, 1, ODD, ODD, ODD, "unknown to the model")
    assert Rarities(store).of(MODEL).tolist() == [0.0, 0.0]


def test_a_renamed_label_is_as_rare_as_before_and_a_removed_one_is_not_rare(store: SqlStore) -> None:
    """The model still predicts the old names: of the one people have labelled many, for the other nobody looks."""
    label(store, 0, "eight", "eight")
    with store.begin() as tx:
        labels = (Label("eight", "#000000", "", formerly=("seven",)), Label("x", "#000000", ""))
        tx.projects.save_recipe(PROJECT, Recipe(2, labels))
    assert Rarities(store).of(MODEL).tolist() == [0.0, 0.0]


def test_it_is_counted_again_after_a_minute_and_never_while_somebody_waits(store: SqlStore) -> None:
    clock = Clock()
    rarities = Rarities(store, clock)
    assert rarities.of(MODEL).tolist() == [0.0, 0.0]
    label(store, 0, "seven")
    clock.now = 59.0
    assert rarities.of(MODEL).tolist() == [0.0, 0.0]
    clock.now = 61.0
    assert soon(lambda: rarities.of(MODEL).tolist() == [0.0, 1.0])


class Slow:
    """A store whose reading takes a minute of the test's clock, or fails."""

    def __init__(self, store: SqlStore, clock: Clock) -> None:
        self.store, self.clock, self.reads, self.broken = store, clock, 0, False
        self.read_once = threading.Event()

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        self.reads += 1
        self.clock.now += 60.0
        if self.broken:
            self.read_once.set()
            raise Unavailable("the database is away.", hint="Wait.")
        with self.store.read() as tx:
            yield tx


def test_what_takes_long_is_counted_less_often(store: SqlStore) -> None:
    """A hundred times as long as it took passes before it is counted again."""
    clock = Clock()
    slow = Slow(store, clock)
    rarities = Rarities(slow, clock)  # type: ignore[arg-type]
    rarities.of(MODEL)
    for clock.now in (1000.0, 6000.0):
        rarities.of(MODEL)
    assert slow.reads == 1
    clock.now = 6100.0
    rarities.of(MODEL)
    assert soon(lambda: slow.reads == 2)


def test_a_database_that_is_away_fails_no_prediction(store: SqlStore) -> None:
    """What was counted before is used, and it is tried again a minute later."""
    label(store, 0, "seven")
    clock = Clock()
    slow = Slow(store, clock)
    rarities = Rarities(slow, clock)  # type: ignore[arg-type]
    assert rarities.of(MODEL).tolist() == [0.0, 1.0]
    slow.broken = True
    clock.now = 10_000.0
    assert rarities.of(MODEL).tolist() == [0.0, 1.0]
    assert slow.read_once.wait(20)
    slow.broken = False
    label(store, 1, ODD)
    clock.now = 20_000.0
    assert soon(lambda: rarities.of(MODEL).tolist() == [0.0, 0.0])
