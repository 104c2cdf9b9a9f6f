"""Near-duplicates: which images one of is enough, of how many, and in which order that is told."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from loop.domain.errors import Overloaded
from loop.selecting.duplicates import Duplicates
from loop.selecting.search import ServedIndex
from loop.store.database import SqlStore
from selection.duplicates import Clusters, Groups, joined
from selection.index import EmbeddingIndex, IndexRules
from tests.contract.records import a_model, a_prediction, a_project, an_item, digest, later
from tests.test_strategies import clusters


def index_of(embeddings: NDArray[np.float32], **rules: int) -> EmbeddingIndex:
    index = EmbeddingIndex(embeddings.shape[1], IndexRules(**rules))  # type: ignore[arg-type]
    index.add([str(row) for row in range(len(embeddings))], embeddings)
    return index


def grouped(index: EmbeddingIndex, threshold: float = 0.98) -> Groups:
    groups = Groups(threshold)
    groups.extend(index, len(index))
    return groups


def partition(labels: NDArray[np.int64]) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == one).tolist()) for one in np.unique(labels)}


def on_a_circle(*angles: float) -> NDArray[np.float32]:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


# --- groups --------------------------------------------------------------------------------------


def test_chains_of_near_duplicates_are_one_group() -> None:
    """cos 0.15 = 0.989, cos 0.3 = 0.955: the first and the third are connected by the second."""
    assert partition(grouped(index_of(on_a_circle(0.0, 0.15, 0.3, 1.5, 1.6, 3.0))).labels) == {
        frozenset({0, 1, 2}), frozenset({3, 4}), frozenset({5}),
    }  # fmt: skip


def test_the_threshold_is_a_cosine() -> None:
    index = index_of(on_a_circle(0.0, 0.15))
    assert len(partition(grouped(index, np.cos(0.149)).labels)) == 2
    assert len(partition(grouped(index, np.cos(0.151)).labels)) == 1


@given(angles=st.lists(st.floats(0.0, 6.28), min_size=1, max_size=25), cut=st.integers(0, 25))
def test_what_comes_later_is_taken_in_as_if_it_had_been_there(angles: list[float], cut: int) -> None:
    """Whatever the index held when it was looked at first, and as comparing each with each says."""
    points = on_a_circle(*angles)
    index = index_of(points[:cut])
    groups = grouped(index)
    index.add([str(row) for row in range(cut, len(points))], points[cut:])
    groups.extend(index, len(index))
    near = np.argwhere(points @ points.T >= 0.98)
    assert partition(groups.labels) == partition(joined(np.arange(len(points)), near))
    assert groups.labels.min() >= 0 and groups.labels.max() < len(points)


def test_they_are_found_in_an_index_with_lists_too() -> None:
    """Two copies of each of two thousand, and only copies together."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(2000, 16)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    index = index_of(np.concatenate([points, points]), exact_up_to=100)
    index.rebuild()
    assert index.made_for == 4000
    assert partition(grouped(index, 0.9999).labels) == {frozenset({row, row + 2000}) for row in range(2000)}


def test_a_cluster_of_many_is_one() -> None:
    """More copies than neighbours are looked at."""
    embeddings, own = clusters((200, 3), spread=0.0)
    assert len(partition(grouped(index_of(embeddings), 0.999).labels)) == len(np.unique(own))


# --- clusters ------------------------------------------------------------------------------------


def named(*names: str) -> NDArray[np.bytes_]:
    return np.array(names, dtype="S64")


def test_clusters_come_the_largest_first() -> None:
    """Of equals the one with the first item; single items are none."""
    found = Clusters.of(named("d", "a", "b", "c", "e", "f", "g"), np.array([0, 1, 1, 0, 4, 0, 6]))
    assert len(found) == 2 and found.spare == 3
    assert [(found.size(rank), found.members(rank, 9)) for rank in range(2)] == [(3, ["c", "d", "f"]), (2, ["a", "b"])]
    assert found.members(0, 2) == ["c", "d"]


def test_an_item_that_was_predicted_twice_is_one() -> None:
    """Its predictions connect what is like either."""
    found = Clusters.of(named("a", "b", "a", "c", "d", "d"), np.array([0, 0, 2, 2, 4, 5]))
    assert len(found) == 1 and found.members(0, 9) == ["a", "b", "c"]
    assert found.groups_of(["a", "c"])[0] == found.groups_of(["a", "c"])[1]
    assert len(found.items) == 4


def test_nothing_has_no_clusters() -> None:
    found = Clusters.of(named(), np.empty(0, dtype=np.int64))
    assert (len(found), found.spare, list(found.page(None, 5))) == (0, 0, [])
    assert found.groups_of(["a", "b"]).tolist() == [-1, -2]


@given(labels=st.lists(st.integers(0, 5), max_size=30), limit=st.integers(1, 4), seed=st.integers(0, 99))
def test_pages_hold_every_cluster_once(labels: list[int], limit: int, seed: int) -> None:
    names = [f"{number:02}" for number in np.random.default_rng(seed).permutation(len(labels))]
    rows = np.array([labels.index(one) for one in labels], dtype=np.int64)
    found = Clusters.of(named(*names), rows)
    seen: list[list[str]] = []
    after = None
    while page := found.page(after, limit):
        seen += [found.members(rank, 99) for rank in page]
        after = (found.size(page[-1]), found.members(page[-1], 1)[0])
    expected = [sorted(n for n, one in zip(names, labels, strict=True) if one == label) for label in set(labels)]
    assert sorted(seen) == sorted(one for one in expected if len(one) > 1)
    assert [len(one) for one in seen] == sorted(map(len, seen), reverse=True)
    assert found.spare == len(labels) - len(set(labels))


def test_what_is_not_known_is_in_a_group_of_its_own() -> None:
    found = Clusters.of(named("b", "d"), np.array([0, 0]))
    groups = found.groups_of(["a", "b", "c", "d", "e"])
    assert groups[1] == groups[3] >= 0
    assert len(set(groups.tolist())) == 4 and (groups[[0, 2, 4]] < 0).all()


# --- kept up with the store ----------------------------------------------------------------------


@pytest.fixture
def store(store: SqlStore) -> SqlStore:
    with store.begin() as tx:
        tx.projects.add(a_project())
        tx.models.add(a_model())
    return store


def add(store: SqlStore, number: int, item: int, angle: float) -> None:
    embedding = np.array([np.cos(angle), np.sin(angle), 0.0], dtype=np.float32)
    with store.begin() as tx:
        tx.items.add(an_item(item))
        tx.predictions.add(replace(a_prediction(number, item=item, at=later(number)), embedding=embedding))


class Counting:
    """An index that notes how many of its embeddings were compared."""

    def __init__(self, index: EmbeddingIndex) -> None:
        self.index, self.compared = index, 0

    def __len__(self) -> int:
        return len(self.index)

    def keys(self, start: int, end: int) -> list[str]:
        return self.index.keys(start, end)

    def alike(self, start: int, end: int, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        self.compared += end - start
        return self.index.alike(start, end, k)


def test_only_what_is_new_is_compared(store: SqlStore, tmp_path: Path) -> None:
    """A page costs nothing, a new prediction one comparison; another threshold is another question."""
    served = ServedIndex(store, tmp_path / "index")
    counting = Counting(served.caught_up(a_model()))

    def caught_up(model: object) -> EmbeddingIndex:
        served.caught_up(a_model())
        return counting  # type: ignore[return-value]

    duplicates = Duplicates(caught_up)
    for number, angle in enumerate([0.0, 0.1, 2.0]):
        add(store, number, number, angle)
    found = duplicates.of(a_model(), 0.99)
    assert found.members(0, 9) == [digest(0), digest(1)] and counting.compared == 3
    assert duplicates.of(a_model(), 0.99) is found and counting.compared == 3
    add(store, 3, 3, 2.01)
    add(store, 4, 0, 0.0)  # predicted again
    found = duplicates.of(a_model(), 0.99)
    assert [found.members(rank, 9) for rank in range(2)] == [[digest(0), digest(1)], [digest(2), digest(3)]]
    assert counting.compared == 5 and len(found.items) == 4
    assert len(duplicates.of(a_model(), 0.9999)) == 1 and counting.compared == 10


def test_a_second_question_does_not_wait_for_ever(
    store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loop.selecting.duplicates._WAIT_SECONDS", 0.01)
    duplicates = Duplicates(ServedIndex(store, tmp_path / "index").caught_up)
    with duplicates._lock, pytest.raises(Overloaded, match="are being looked for"):
        duplicates.of(a_model(), 0.99)
