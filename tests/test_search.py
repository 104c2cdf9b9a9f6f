"""The index that follows what is served: never stale, kept in a file, made anew where the file is not to be had."""

import logging
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from loop.domain.errors import NotFound, Unavailable
from loop.domain.model import ModelVersion
from loop.domain.ports import StoredEmbedding
from loop.domain.prediction import OBJECT_DIM, Prediction
from loop.domain.search_index import IndexPhase
from loop.selecting import following
from loop.selecting.following import IndexState
from loop.selecting.search import ServedIndex, ServedObjects
from loop.store.database import SqlStore
from loop.store.predictions import SqlPredictions
from selection.index import DEFAULT_RULES, EmbeddingIndex, IndexRules
from selection.index_file import read_index, write_index
from selection.lists import Progress
from tests.contract.records import a_model, a_prediction, a_project, an_item, digest

COUNT = 1500


def prediction(number: int) -> Prediction:
    """Each a little further round a circle than the one before."""
    angle = 2 * np.pi * number / 4000
    embedding = np.array([np.cos(angle), np.sin(angle), 0.0], dtype=np.float32)
    return replace(a_prediction(number, item=number), embedding=embedding)


def add(store: SqlStore, numbers: range) -> None:
    with store.begin() as tx:
        tx.items.add_all([an_item(number) for number in numbers])
        tx.predictions.add_all([prediction(number) for number in numbers])


@pytest.fixture
def store(store: SqlStore) -> SqlStore:
    with store.begin() as tx:
        tx.projects.add(a_project())
        tx.models.add(a_model())
    add(store, range(COUNT))
    return store


MODEL: ModelVersion = a_model()
OTHER: ModelVersion = a_model(1)


def nearest(index: ServedIndex, number: int, k: int = 2) -> set[str]:
    return {item for item, _, _ in index.nearest(MODEL, digest(number), k)}


def kept(folder: Path) -> Path:
    """The folder of the version's index, once it is written."""
    deadline = time.monotonic() + 20
    while not (folder / MODEL.id / "index.json").is_file():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return folder / MODEL.id


def test_what_was_just_predicted_is_found(store: SqlStore, tmp_path: Path) -> None:
    index = ServedIndex(store, tmp_path / "index")
    assert nearest(index, 700) == {digest(699), digest(701)}
    add(store, range(COUNT, COUNT + 2))
    assert nearest(index, COUNT) == {digest(COUNT - 1), digest(COUNT + 1)}


def test_a_start_goes_on_from_the_file(store: SqlStore, tmp_path: Path) -> None:
    """What is in the file is not read from the store again, and what came since is."""
    assert nearest(ServedIndex(store, tmp_path / "index"), 5) == {digest(4), digest(6)}
    read = read_index(kept(tmp_path / "index"), dim=3)
    assert read is not None and len(read[0]) == COUNT
    only_here = EmbeddingIndex(3)
    only_here.add([f"{'f' * 64} pred_f"], prediction(10).embedding[None, :])
    last = prediction(COUNT - 1)
    only_here.add([f"{last.item_digest} {last.id}"], last.embedding[None, :])
    write_index(tmp_path / "index" / MODEL.id, only_here.parts(), sequence=read[1])
    add(store, range(COUNT, COUNT + 1))
    found = nearest(ServedIndex(store, tmp_path / "index"), 10, k=9)
    assert found == {"f" * 64, digest(COUNT - 1), digest(COUNT)}


def test_a_damaged_file_is_made_anew(store: SqlStore, tmp_path: Path) -> None:
    assert nearest(ServedIndex(store, tmp_path / "index"), 5)
    (vectors,) = kept(tmp_path / "index").glob("*.faiss")
    vectors.write_bytes(b"rubbish")
    assert nearest(ServedIndex(store, tmp_path / "index"), 5) == {digest(4), digest(6)}


def test_who_asks_while_much_is_read_is_told_how_far_it_is(
    store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for all of it; it is read meanwhile, then searched. Callers of other versions wait for nothing."""
    monkeypatch.setattr(following, "_PAGE", 50)
    monkeypatch.setattr(following, "_PATIENCE_SECONDS", 0.01)
    with store.begin() as tx:
        tx.models.add(OTHER)
    index = ServedIndex(store, tmp_path / "index")
    with pytest.raises(Unavailable, match="embeddings so far") as told:
        nearest(index, 3)
    assert 0 < int(str(told.value.ids["embeddings"])) < COUNT and told.value.ids["retry_after_s"]
    assert len(index.caught_up(OTHER)) == 0
    deadline = time.monotonic() + 20
    while True:
        try:
            assert nearest(index, 3) == {digest(2), digest(4)}
            return
        except Unavailable:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_its_state_is_told_without_waiting_for_it(
    store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unread before anybody asks; then how many embeddings it has and how many wait, while they are read and
    afterwards; and what its file holds."""
    monkeypatch.setattr(following, "_PAGE", 50)
    monkeypatch.setattr(following, "_PATIENCE_SECONDS", -1.0)
    read, go_on = SqlPredictions.embeddings_after, threading.Event()

    def held_up(self: SqlPredictions, project: str, model: str, sequence: int, limit: int) -> list[StoredEmbedding]:
        """Behind the first page."""
        assert sequence == 0 or go_on.wait(20)
        return read(self, project, model, sequence, limit)

    monkeypatch.setattr(SqlPredictions, "embeddings_after", held_up)
    index = ServedIndex(store, tmp_path / "index")
    unread = index.state(MODEL)
    assert (unread.phase, unread.embeddings, unread.waiting) == (IndexPhase.UNREAD, 0, COUNT)
    assert unread.progress is None
    assert (unread.kept, unread.kept_at) == (0, None)
    with pytest.raises(Unavailable):
        index.caught_up(MODEL)
    reading = index.state(MODEL)
    assert (reading.phase, reading.embeddings, reading.waiting) == (IndexPhase.READING, 50, COUNT - 50)
    assert reading.progress == 50 / COUNT
    go_on.set()
    deadline = time.monotonic() + 20
    while (ready := index.state(MODEL)).phase is not IndexPhase.READY:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert (ready.embeddings, ready.waiting, ready.lists, ready.progress) == (COUNT, 0, None, None)
    kept(tmp_path / "index")  # though nobody has asked since
    written = index.state(MODEL)
    assert written.kept == COUNT and written.kept_at is not None
    assert abs(written.kept_at.timestamp() - time.time()) < 60
    add(store, range(COUNT, COUNT + 3))
    assert index.state(MODEL).waiting == 3


def until_at_rest(index: ServedIndex) -> IndexState:
    deadline = time.monotonic() + 20
    while (state := index.state(MODEL)).progress is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return state


def test_its_state_tells_how_far_new_lists_are(
    store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From 0 to 1 while they are made, and what they were found to find afterwards."""
    half, go_on = threading.Event(), threading.Event()
    rebuild = EmbeddingIndex.rebuild

    def held_up(self: EmbeddingIndex, on_progress: Progress) -> None:
        def told(done: int, total: int) -> None:
            on_progress(done, total)
            if done >= total / 2:
                half.set()
                assert go_on.wait(20)

        rebuild(self, told)

    monkeypatch.setattr(EmbeddingIndex, "rebuild", held_up)
    index = ServedIndex(store, tmp_path / "index", IndexRules(exact_up_to=1000))
    index.caught_up(MODEL)
    assert half.wait(20)
    making = index.state(MODEL)
    assert making.phase is IndexPhase.REBUILDING and making.lists is None
    assert making.progress is not None and 0.5 <= making.progress < 1.0
    go_on.set()
    made = until_at_rest(index)
    assert made.phase is IndexPhase.READY and made.lists is not None
    assert made.lists.made_for == COUNT and made.lists.recall >= made.lists.wanted == 0.98


COMPRESSED = IndexRules(exact_up_to=10, compressed_from=20)


def test_neighbours_in_a_compressed_index_are_those_of_the_store(store: SqlStore, tmp_path: Path) -> None:
    """Each is as alike as the embeddings that the store holds, the most alike first; a byte for each number mixes up
    images that are this near."""
    index = ServedIndex(store, tmp_path / "index", COMPRESSED)
    index.caught_up(MODEL)
    state = until_at_rest(index)
    assert state.lists is not None and state.lists.compressed
    for asked in (5, 700, 1203):
        found = index.nearest(MODEL, digest(asked), 8)
        expected = sorted((abs(number - asked), number) for number in range(COUNT) if number != asked)[:8]
        assert {item for item, _, _ in found} == {digest(number) for _, number in expected}
        steps = [step for step, _ in expected]
        cosines = [cosine for _, _, cosine in found]
        assert cosines == pytest.approx(np.cos(2 * np.pi * np.array(steps) / 4000).tolist(), abs=3e-7)
        assert cosines == sorted(cosines, reverse=True)


def test_where_it_cannot_be_kept_it_is_searched_all_the_same(
    store: SqlStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "index").write_text("a file where the folder should be")
    index = ServedIndex(store, tmp_path / "index")
    with caplog.at_level(logging.WARNING, logger="askance.index"):
        assert nearest(index, 5) == {digest(4), digest(6)}
        deadline = time.monotonic() + 20
        while "cannot be kept" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.02)
    assert "cannot be kept" in caplog.text
    assert nearest(index, 7) == {digest(6), digest(8)}


def test_a_file_of_another_database_is_not_used(store: SqlStore, tmp_path: Path) -> None:
    """After a backup was restored, the numbers of the feed stand for other predictions."""
    foreign = EmbeddingIndex(3)
    foreign.add([f"{'f' * 64} pred_f"], prediction(10).embedding[None, :])
    write_index(tmp_path / "index" / MODEL.id, foreign.parts(), sequence=COUNT // 2)
    assert nearest(ServedIndex(store, tmp_path / "index"), 10) == {digest(9), digest(11)}


# --- objects -------------------------------------------------------------------------------------


def add_objects(store: SqlStore, number: int, *angles: float, detections: int | None = None) -> None:
    """A prediction of item `number` with an object at each angle round a circle; `detections` of them in all."""
    features = np.zeros((len(angles), OBJECT_DIM), dtype=np.float16)
    features[:, 0], features[:, 1] = np.cos(angles), np.sin(angles)
    one = prediction(number)
    one = replace(one, id=f"{one.id}-{len(angles)}", detections=one.detections * (detections or len(angles)))
    with store.begin() as tx:
        tx.items.add(an_item(number))
        tx.predictions.add(one)
        tx.objects.add_all([(one, features)])


def found(objects: ServedObjects, item: int, number: int, k: int = 3) -> list[tuple[str, int]]:
    return [(one.item_digest, one.number) for one in objects.nearest(MODEL, digest(item), number, k)]


def test_objects_of_other_items_are_found_the_most_alike_first(store: SqlStore, tmp_path: Path) -> None:
    """Several of one item, too."""
    objects = ServedObjects(store, tmp_path / "objects")
    add_objects(store, 2000, 0.0, 3.0)
    add_objects(store, 2001, 0.3, 0.1, 2.9)
    assert found(objects, 2000, 0, 2) == [(digest(2001), 1), (digest(2001), 0)]
    assert found(objects, 2000, 1, 1) == [(digest(2001), 2)]
    add_objects(store, 2002, 0.05)
    assert found(objects, 2000, 0, 2) == [(digest(2002), 0), (digest(2001), 1)]


def test_objects_of_a_prediction_that_was_made_again_are_there_once(store: SqlStore, tmp_path: Path) -> None:
    objects = ServedObjects(store, tmp_path / "objects")
    add_objects(store, 2000, 0.0)
    add_objects(store, 2001, 0.1, 1.0)
    add_objects(store, 2001, 0.2, 1.1, 2.0)
    assert found(objects, 2000, 0, 9) == [(digest(2001), 0), (digest(2001), 1)]


def test_only_the_most_certain_objects_can_be_asked_about(store: SqlStore, tmp_path: Path) -> None:
    add_objects(store, 2000, *np.linspace(0, 3, 50), detections=60)
    with pytest.raises(NotFound, match="only the 50 most certain detections"):
        found(ServedObjects(store, tmp_path / "objects"), 2000, 50)


def test_a_start_goes_on_from_the_file_of_objects(store: SqlStore, tmp_path: Path) -> None:
    """It has a file of its own; one that is damaged is made anew."""
    add_objects(store, 2000, 0.0)
    for number in range(2001, 2030):
        add_objects(store, number, *(number * 0.01 + np.linspace(0, 6, 40)))
    expected = found(ServedObjects(store, tmp_path / "objects"), 2000, 0)
    folder = kept(tmp_path / "objects")
    read = read_index(folder, dim=OBJECT_DIM)
    assert read is not None and len(read[0]) == 1 + 29 * 40
    assert found(ServedObjects(store, tmp_path / "objects"), 2000, 0) == expected
    next(folder.glob("*.faiss")).write_bytes(b"rubbish")
    assert found(ServedObjects(store, tmp_path / "objects"), 2000, 0) == expected


def test_objects_in_a_compressed_index_are_ranked_by_the_store(store: SqlStore, tmp_path: Path) -> None:
    add_objects(store, 2000, 0.0)
    for number in range(2001, 2030):
        add_objects(store, number, *(number * 0.01 + np.linspace(0, 6, 40)))
    exact, compressed = (ServedObjects(store, tmp_path / name, rules) for name, rules in KINDS.items())
    expected = exact.nearest(MODEL, digest(2000), 0, 12)
    assert compressed.nearest(MODEL, digest(2000), 0, 12) == expected
    kept(tmp_path / "compressed")  # its lists are made before
    found = compressed.nearest(MODEL, digest(2000), 0, 12)
    assert [one.similarity for one in found] == pytest.approx([one.similarity for one in expected], abs=1e-6)
    assert {(one.item_digest, one.number) for one in found} == {(one.item_digest, one.number) for one in expected}


KINDS = {"exact": DEFAULT_RULES, "compressed": COMPRESSED}
