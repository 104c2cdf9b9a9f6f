"""The index of embeddings: what it finds, how it grows, and what its file may suffer."""

import json
import logging
import threading
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from selection.index import EmbeddingIndex, Exact, IndexRules
from selection.index_file import read_index, write_index
from selection.lists import Lists

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


def scattered(n: int, dim: int = DIM, seed: int = 0) -> NDArray[np.float32]:
    """In all directions alike, so that neighbours lie in many lists."""
    made = np.random.default_rng(seed).normal(size=(n, dim))
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), dtype=np.float32)


def lists_of(index: EmbeddingIndex) -> Lists:
    assert index.lists is not None
    return index.lists


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
    embeddings = scattered(3000)
    index = index_of(embeddings, exact_up_to=500, recall=0.6)
    index.rebuild()
    assert write_index(tmp_path, index.parts(), sequence=1)
    for wanted, due in ((0.6, False), (0.5, False), (0.99, True)):
        read = read_index(tmp_path, dim=DIM, rules=IndexRules(exact_up_to=500, recall=wanted))
        assert read is not None and read[0].rebuild_due is due
    again = read[0]
    before = recall(again, embeddings, embeddings[:200])
    again.rebuild()
    assert not again.rebuild_due
    assert before < 0.9 and recall(again, embeddings, embeddings[:200]) >= 0.97


@pytest.mark.parametrize("wanted", [0.5, 0.8, 0.95])
def test_its_lists_say_what_they_find_and_not_what_was_asked_of_them(wanted: float, tmp_path: Path) -> None:
    """Measured on a sample beside a comparison with all; so does their file."""
    embeddings = scattered(6000)
    index = index_of(embeddings, exact_up_to=500, recall=wanted)
    assert index.lists is None
    index.rebuild()
    lists = lists_of(index)
    assert (lists.wanted, lists.made_for, lists.compressed) == (wanted, 6000, False)
    assert wanted <= lists.recall < 1.0 and 1 < lists.searched < lists.count
    # By chance, 600 others and the 256 of the sample differ by some hundredths; each finds itself beside ten others.
    others = [
        len(keys & {key for key, _ in index.nearest(query, 11)}) - 1 for keys, query in exact_ones(embeddings, 600)
    ]
    assert lists.recall == pytest.approx(float(np.mean(others)) / 10, abs=0.04)
    assert write_index(tmp_path, index.parts(), sequence=1)
    read = read_index(tmp_path, dim=DIM)
    assert read is not None and read[0].lists == lists


def exact_ones(embeddings: NDArray[np.float32], count: int) -> list[tuple[set[str], NDArray[np.float32]]]:
    """The keys of the eleven nearest to each of the first embeddings, itself among them; and the embedding."""
    found = np.argsort(-(embeddings[:count] @ embeddings.T), axis=1)[:, :11]
    return [({f"key {row}" for row in rows}, query) for rows, query in zip(found, embeddings, strict=False)]


def test_more_is_searched_until_enough_is_found() -> None:
    """And no more than that; where all is wanted, all lists."""
    embeddings, searched = scattered(4000), []
    for wanted in (0.5, 0.9, 1.0):
        index = index_of(embeddings, exact_up_to=500, recall=wanted)
        index.rebuild()
        searched.append(lists_of(index).searched)
    assert searched[0] < searched[1] < searched[2] == lists_of(index).count
    assert lists_of(index).recall == 1.0


def test_where_enough_cannot_be_found_the_widest_search_is_kept_and_said(caplog: pytest.LogCaptureFixture) -> None:
    """Among many that are nearly the same, a byte for each number does not tell which are nearest. They are not made
    anew again and again for it."""
    near = scattered(1) + 0.001 * np.random.default_rng(1).normal(size=(3000, DIM))
    embeddings = np.concatenate([near, -scattered(1000, seed=2)]).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    index = index_of(embeddings, exact_up_to=500, compressed_from=1000, recall=1.0)
    with caplog.at_level(logging.WARNING, logger="askance.index"):
        index.rebuild()
    lists = lists_of(index)
    assert lists.recall < 1.0 == lists.wanted and lists.searched == lists.count and lists.compressed
    assert f"recall {lists.recall:.3f}, wanted 1.000" in caplog.text
    assert not index.rebuild_due


def test_copies_may_stand_for_each_other() -> None:
    """Of a still camera's frames any ten are the nearest; to find those very ones all lists would be searched."""
    embeddings = np.repeat(scattered(100), 40, axis=0)
    index = index_of(embeddings, exact_up_to=500)
    index.rebuild()
    assert lists_of(index).recall == 1.0 and lists_of(index).searched == 1


def test_making_lists_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """In embeddings gone through, never fewer than before, from none of the lists to all."""
    monkeypatch.setattr("selection.lists.CHUNK", 2000)
    index, told = index_of(points(8000), exact_up_to=500), []
    index.rebuild(lambda done, total: told.append((done, total)))
    assert told == sorted(told) and len({total for _, total in told}) == 1
    shares = [done / total for done, total in told]
    assert shares[0] == 0.0 and shares[-1] == 1.0 and len(set(shares)) >= 9
    steps = [after - before for before, after in pairwise(shares)]
    assert steps[0] < 0.35 and max(steps[1:]) < 0.15  # first, where the lists lie


# --- compressed ----------------------------------------------------------------------------------


def compressed(embeddings: NDArray[np.float32]) -> EmbeddingIndex:
    index = EmbeddingIndex(embeddings.shape[1], IndexRules(exact_up_to=10, compressed_from=20))
    index.add([str(row) for row in range(len(embeddings))], embeddings)
    index.rebuild()
    assert lists_of(index).compressed
    return index


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(50, 400), dim=st.integers(2, 48), k=st.integers(1, 30))
def test_what_was_compressed_is_ranked_by_what_it_was(seed: int, n: int, dim: int, k: int) -> None:
    """The cosines are exact, the order is that of the cosines, and nothing is found twice."""
    embeddings, query = scattered(n, dim, seed), scattered(1, dim, seed + 1)[0]
    found = compressed(embeddings).nearest(query, k, lambda keys: {key: embeddings[int(key)] for key in keys})
    cosines = embeddings @ query
    assert [cosine for _, cosine in found] == pytest.approx([float(cosines[int(key)]) for key, _ in found], abs=1e-6)
    assert [cosine for _, cosine in found] == sorted((cosine for _, cosine in found), reverse=True)
    assert len({key for key, _ in found}) == len(found) <= k


def test_ranking_anew_finds_the_nearest_that_compression_mixes_up() -> None:
    """Some times as many candidates are looked at as are asked for."""
    rng = np.random.default_rng(0)
    centres = np.repeat(scattered(40, 64), 50, axis=0)
    embeddings = np.asarray(centres + 0.001 * rng.normal(size=centres.shape), dtype=np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    index = compressed(embeddings)

    def right(exact: Exact | None) -> float:
        """The share of those that a comparison with all puts first."""
        shares = []
        for query in embeddings[::20]:
            best = {str(row) for row in np.argsort(-(embeddings @ query))[:10]}
            shares.append(len(best & {key for key, _ in index.nearest(query, 10, exact)}) / 10)
        return float(np.mean(shares))

    assert right(None) < 0.9 < 0.98 < right(lambda keys: {key: embeddings[int(key)] for key in keys})


def test_compressed_frames_of_clips_are_told_apart_in_few_lists() -> None:
    """By their distance. Inner products with what compression made longer or shorter find hardly any of them, in
    whatever number of lists."""
    rng = np.random.default_rng(0)
    frames = np.repeat(scattered(100, 128), 30, axis=0) + 0.001 * rng.normal(size=(3000, 128))
    lists = lists_of(compressed(np.asarray(frames / np.linalg.norm(frames, axis=1, keepdims=True), dtype=np.float32)))
    assert lists.recall >= 0.98 and lists.searched <= lists.count / 8


def test_what_is_not_known_any_more_is_left_out() -> None:
    embeddings = scattered(200)
    index = compressed(embeddings)
    query = embeddings[7]
    found = index.nearest(query, 5, lambda keys: {key: embeddings[int(key)] for key in keys if key != "7"})
    assert len(found) == 5 and "7" not in dict(found)
    assert index.nearest(query, 5, lambda _: {}) == []


def test_what_was_not_compressed_is_looked_up_nowhere() -> None:
    def exact(_keys: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        raise AssertionError

    index = index_of(points(2000), exact_up_to=500)
    for _ in range(2):
        assert index.nearest(points(2000)[3], 1, exact)[0][0] == "key 3"
        index.rebuild()


# --- its file ------------------------------------------------------------------------------------


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
