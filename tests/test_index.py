"""The index of embeddings: what it finds, how it grows, and what its file may suffer."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from selection.index import EmbeddingIndex, IndexRules
from selection.index_file import read_index, write_index

DIM = 16


def points(n: int, seed: int = 0) -> NDArray[np.float32]:
    """Around the same hundred directions, as images of one stream are."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(99).normal(size=(100, DIM))
    made = directions[rng.integers(0, 100, n)] + 0.3 * rng.normal(size=(n, DIM))
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), dtype=np.float32)


def index_of(embeddings: NDArray[np.float32], **rules: float) -> EmbeddingIndex:
    index = EmbeddingIndex(DIM, IndexRules(**rules))  # type: ignore[arg-type]
    index.add([f"key {row}" for row in range(len(embeddings))], embeddings)
    return index


def recall(index: EmbeddingIndex, embeddings: NDArray[np.float32], asked: NDArray[np.float32]) -> float:
    """Of the ten nearest."""
    exact = np.argsort(-(asked @ embeddings.T), axis=1)[:, :10]
    shares = [
        len({f"key {row}" for row in rows} & {key for key, _ in index.nearest(query, 10)}) / 10
        for rows, query in zip(exact, asked, strict=True)
    ]
    return float(np.mean(shares))


def test_small_ones_are_exact() -> None:
    index = index_of(points(2000))
    assert not index.rebuild_due and index.made_for == 0
    assert recall(index, points(2000), points(50, seed=1)) == 1.0


def test_a_large_one_is_compressed_as_soon_as_it_is_large() -> None:
    """Whatever it was last made for: uncompressed embeddings take four times the memory."""
    index = index_of(points(1000), exact_up_to=500, compressed_from=2000)
    index.rebuild()
    whole = index.parts().index.code_size
    index.add([f"key {1000 + row}" for row in range(999)], points(999, seed=2))
    assert not index.rebuild_due
    index.add(["key 1999"], points(1, seed=3))
    assert index.rebuild_due
    index.rebuild()
    assert not index.rebuild_due and index.parts().index.code_size == whole / 4
    assert (
        recall(index, np.concatenate([points(1000), points(999, seed=2), points(1, seed=3)]), points(50, seed=4)) >= 0.9
    )


def test_one_that_has_grown_is_made_anew_and_finds_what_it_found() -> None:
    """Lists are made once it is larger than what may be searched whole, and again when it is four times larger."""
    index = index_of(points(3000), exact_up_to=1000, recall=0.98)
    assert index.rebuild_due
    index.rebuild()
    assert index.made_for == 3000 and not index.rebuild_due
    assert recall(index, points(3000), points(100, seed=1)) >= 0.95
    more = points(9001, seed=2)
    index.add([f"key {3000 + row}" for row in range(9001)], more)
    assert index.rebuild_due and len(index) == 12_001
    assert recall(index, np.concatenate([points(3000), more]), points(100, seed=3)) >= 0.9
    index.rebuild()
    assert index.made_for == 12_001
    assert recall(index, np.concatenate([points(3000), more]), points(100, seed=3)) >= 0.95


def test_what_is_added_while_it_is_made_anew_is_not_lost() -> None:
    embeddings = points(20_000)
    index = index_of(embeddings[:8000], exact_up_to=1000)
    thread = threading.Thread(target=index.rebuild)
    thread.start()
    for start in range(8000, 20_000, 500):
        index.add([f"key {row}" for row in range(start, start + 500)], embeddings[start : start + 500])
        assert index.nearest(embeddings[start], 1)[0][1] == pytest.approx(1.0, abs=1e-5)
    thread.join()
    assert len(index) == 20_000
    found = [index.nearest(embeddings[row], 1)[0][0] for row in range(0, 20_000, 500)]
    assert found == [f"key {row}" for row in range(0, 20_000, 500)]


def test_one_that_is_to_find_more_than_it_was_made_for_is_made_anew(tmp_path: Path) -> None:
    """Its file says what it was made for; one that finds more than is wanted stays."""
    scattered = np.random.default_rng(0).normal(size=(3000, DIM)).astype(np.float32)
    scattered /= np.linalg.norm(scattered, axis=1, keepdims=True)
    index = index_of(scattered, exact_up_to=500, recall=0.6)
    index.rebuild()
    assert write_index(tmp_path, index.parts(), sequence=1)
    for wanted, due in ((0.6, False), (0.5, False), (0.99, True)):
        read = read_index(tmp_path, dim=DIM, rules=IndexRules(exact_up_to=500, recall=wanted))
        assert read is not None and read[0].rebuild_due is due
    again = read[0]
    before = recall(again, scattered, scattered[:200])
    again.rebuild()
    assert not again.rebuild_due
    assert before < 0.9 and recall(again, scattered, scattered[:200]) >= 0.97


@pytest.mark.parametrize("rebuilt", [False, True])
def test_its_file_gives_it_back(tmp_path: Path, rebuilt: bool) -> None:
    index = index_of(points(2000), exact_up_to=500)
    if rebuilt:
        index.rebuild()
    assert write_index(tmp_path / "space", index.parts(), sequence=77)
    read = read_index(tmp_path / "space", dim=DIM)
    assert read is not None
    again, sequence = read
    assert (len(again), sequence, again.made_for) == (2000, 77, 2000 if rebuilt else 0)
    asked = points(20, seed=5)
    assert [again.nearest(query, 5) for query in asked] == [index.nearest(query, 5) for query in asked]
    again.add(["late"], points(1, seed=9))
    assert again.nearest(points(1, seed=9)[0], 1)[0][0] == "late"


def test_a_new_one_replaces_the_old_and_leaves_nothing_behind(tmp_path: Path) -> None:
    write_index(tmp_path, index_of(points(10)).parts(), sequence=1)
    (tmp_path / "1-dead.faiss").write_bytes(b"what a crash left")
    write_index(tmp_path, index_of(points(20)).parts(), sequence=2)
    assert len(list(tmp_path.iterdir())) == 4  # vectors, keys, description, lock
    read = read_index(tmp_path, dim=DIM)
    assert read is not None and len(read[0]) == 20


@pytest.mark.parametrize(
    "damage",
    ["absent", "no description", "not JSON", "half the vectors", "other keys", "no keys", "another width", "nothing"],
)
def test_a_damaged_file_counts_as_absent(tmp_path: Path, damage: str) -> None:
    """The store has it all; a wrong neighbour would be worse than a slow one."""
    folder = tmp_path / "space"
    if damage != "absent":
        write_index(folder, index_of(points(50)).parts(), sequence=5)
        (vectors,), (keys,) = folder.glob("*.faiss"), folder.glob("*.npy")
        description = folder / "index.json"
    if damage == "no description":
        description.unlink()
    elif damage == "not JSON":
        description.write_text("{")
    elif damage == "half the vectors":
        vectors.write_bytes(vectors.read_bytes()[:1000])
    elif damage == "other keys":
        np.save(keys, np.array([b"x"] * 50))
    elif damage == "no keys":
        keys.unlink()
    elif damage == "another width":
        description.write_text(json.dumps(json.loads(description.read_text()) | {"dim": DIM + 1}))
    read = read_index(folder, dim=DIM)
    assert (read is None) == (damage != "nothing")


def test_of_two_that_write_at_once_one_does(tmp_path: Path) -> None:
    import fcntl

    tmp_path.joinpath("space").mkdir()
    with (tmp_path / "space" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert not write_index(tmp_path / "space", index_of(points(5)).parts(), sequence=1)
    assert read_index(tmp_path / "space", dim=DIM) is None
