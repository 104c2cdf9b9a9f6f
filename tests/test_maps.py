"""A project's map: asked for, drawn from the store, followed, and kept no longer than needed."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from loop.domain.embedding_map import Drawn, MapState
from loop.domain.errors import Invalid, MapFailed, NoChampion, NoPlace, NotFound
from loop.domain.prediction import Detection, Prediction
from loop.selecting.map_drawing import MapDrawing, MapRecipe
from loop.selecting.maps import Maps
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from selection.map_file import positions_of, read_map
from tests.contract.records import (
    NOW,
    PROJECT,
    a_model,
    a_prediction,
    a_project,
    a_task,
    a_truth,
    an_item,
    digest,
    later,
)

RECIPE = MapRecipe(representatives=30, neighbours=15, seed=0, refit_share=0.25)


def embedding(number: int, space: int = 0) -> np.ndarray:
    """Round a cone, each a little further than the one before; another space sees them from elsewhere."""
    angle = 2 * np.pi * number / 1000
    vector = np.array([np.cos(angle), np.sin(angle), 0.5], dtype=np.float32)
    return np.roll(vector, space) / np.linalg.norm(vector)


def prediction(number: int, *, name: int | None = None, at: datetime = NOW, model: int = 0) -> Prediction:
    """Of item `number`."""
    made = a_prediction(number if name is None else name, item=number, at=at, model=model)
    seen = [("seven", 0.25), ("one", 0.75), ("two", 0.5)] if number % 2 else []
    detections = tuple(Detection(label, score, (0, 0, 1, 1)) for label, score in seen)
    return replace(
        made, embedding=embedding(number, model), signals={"anomaly_p": 0.125, "entropy": 1.0}, detections=detections
    )


@dataclass
class Charted:
    """A store with a champion, its maps, and what draws them: in this process, where the service has one for it."""

    store: SqlStore
    blobs: FsspecBlobs
    now: datetime = NOW
    recipe: MapRecipe = RECIPE
    drawings: int = 0
    before: Callable[[], None] = lambda: None
    wrong: list[Exception] = field(default_factory=list)

    @property
    def maps(self) -> Maps:
        return Maps(self.store, self.blobs, self, lambda: self.now)

    def draw_map(self, project_id: str, *, refit: bool, stopping: Callable[[], bool]) -> Drawn:
        self.drawings += 1
        self.before()
        if self.wrong:
            raise self.wrong.pop()
        return MapDrawing(self.store, self.blobs, self.recipe, lambda: self.now).draw(project_id, refit=refit)

    def predict(self, numbers: range, *, model: int = 0) -> None:
        names = [number + 100_000 * model for number in numbers]
        with self.store.begin() as tx:
            tx.items.add_all([an_item(number) for number in numbers])
            tx.predictions.add_all(
                [prediction(number, name=name, model=model) for number, name in zip(numbers, names, strict=True)]
            )

    def promote(self, model: int) -> None:
        with self.store.begin() as tx:
            champion = tx.projects.get(PROJECT).champion_id
            assert tx.projects.move_champion(PROJECT, expected=champion, to=a_model(model).id)

    def brought_up_to_date(self, *, refit: bool = False) -> pa.Table:
        self.now += timedelta(seconds=1)
        self.maps.ask(PROJECT, refit=refit, actor="Ada")
        assert self.maps.advance()
        return self.table()

    def table(self) -> pa.Table:
        drawn = self.maps.status(PROJECT).record.drawn
        assert drawn is not None
        return read_map(b"".join(self.maps.columns(drawn)))

    def files(self) -> set[str]:
        root = Path(self.blobs._url)
        return {path.name for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def charted(store: SqlStore, tmp_path: Path) -> Charted:
    with store.begin() as tx:
        tx.projects.add(a_project())
        for number in range(2):
            tx.models.add(a_model(number))
    return Charted(store, FsspecBlobs.open(str(tmp_path / "blobs")))


@pytest.fixture
def drawn(charted: Charted) -> Charted:
    """With a map of forty items, thirty of them fitted."""
    charted.promote(0)
    charted.predict(range(40))
    charted.brought_up_to_date()
    return charted


def places(table: pa.Table) -> dict[str, tuple[float, float]]:
    items = [item.hex() for item in table["item"].to_pylist()]
    return dict(zip(items, map(tuple, positions_of(table).tolist()), strict=True))


# --- drawing ---------------------------------------------------------------------------------------


def test_a_map_shows_what_the_champion_predicted(drawn: Charted) -> None:
    """Every item once, with what is known of it."""
    table = drawn.table()
    rows = {row["item"].hex(): row for row in table.to_pylist()}
    assert set(rows) == {digest(number) for number in range(40)}
    one = rows[digest(7)]
    assert (one["score"], one["label"], one["source"]) == (0.75, "one", an_item(7).source)
    assert (one["risk"], one["anomaly_p"], one["predicted_at"]) == (np.float32(1 / 3), 0.125, NOW)
    assert (rows[digest(8)]["score"], rows[digest(8)]["label"]) == (None, None)
    assert sum(row["fitted"] for row in rows.values()) == 30
    about = table.schema.metadata
    assert (about[b"project"], about[b"model_id"], about[b"points"]) == (PROJECT.encode(), a_model().id.encode(), b"40")


def test_neighbours_lie_beside_each_other(drawn: Charted) -> None:
    """Items that follow each other round the cone do so on the map."""
    found = places(drawn.table())
    steps = [np.subtract(found[digest(number)], found[digest(number + 1)]) for number in range(39)]
    across = np.subtract(found[digest(0)], found[digest(39)])
    assert max(np.hypot(*step) for step in steps) < 0.1 * np.hypot(*across)


def test_the_same_store_gives_the_same_map(drawn: Charted) -> None:
    """A second fit of the same predictions with the same seed."""
    first = drawn.table()
    again = drawn.brought_up_to_date(refit=True)
    assert np.allclose(positions_of(first), positions_of(again), atol=1e-5)
    assert first.drop_columns(["x", "y"]).equals(again.drop_columns(["x", "y"]))


def test_states_are_those_of_now(drawn: Charted) -> None:
    """Also of points that were drawn before."""
    with drawn.store.begin() as tx:
        tx.tasks.add(a_task(0, item=1, prediction=1))
        tx.truths.add(a_truth(item=2))
    table = drawn.brought_up_to_date()
    states = dict(zip(table["item"].to_pylist(), table["state"].to_pylist(), strict=True))
    assert [states[bytes.fromhex(digest(number))] for number in range(4)] == ["open", "task", "truth", "open"]
    assert drawn.maps.status(PROJECT).record.drawn.late == 0  # type: ignore[union-attr]


def test_new_points_move_no_old_one(drawn: Charted) -> None:
    """They are placed. An item that is predicted again stays where it was, whatever the model says of it now."""
    before = places(drawn.table())
    drawn.predict(range(40, 50))
    with drawn.store.begin() as tx:
        tx.predictions.add(replace(prediction(5, name=999, at=later(60)), embedding=embedding(33)))
    table = drawn.brought_up_to_date()
    after = places(table)
    assert len(after) == len(table) == 50
    assert {item: after[item] for item in before} == before
    predicted = dict(zip(table["item"].to_pylist(), table["predicted_at"].to_pylist(), strict=True))
    assert predicted[bytes.fromhex(digest(5))] == later(60)
    record = drawn.maps.status(PROJECT).record.drawn
    assert record is not None
    assert (record.points, record.fitted, record.late) == (50, 30, 10)
    assert not any(table.filter(pa.compute.field("item") == bytes.fromhex(digest(45)))["fitted"].to_pylist())


def test_a_map_of_which_too_much_was_only_placed_is_fitted_anew(drawn: Charted) -> None:
    """More than a quarter."""
    fitted_at = drawn.maps.status(PROJECT).record.drawn.fitted_at  # type: ignore[union-attr]
    drawn.predict(range(40, 53))
    drawn.brought_up_to_date()
    assert drawn.maps.status(PROJECT).record.drawn.fitted_at == fitted_at  # type: ignore[union-attr]
    drawn.predict(range(53, 54))
    drawn.brought_up_to_date()
    record = drawn.maps.status(PROJECT).record.drawn
    assert record is not None
    assert (record.points, record.late) == (54, 0)
    assert record.fitted_at > fitted_at


def test_where_nothing_is_new_nothing_is_written(drawn: Charted) -> None:
    """Readers keep what they have."""
    files, key = drawn.files(), drawn.maps.status(PROJECT).record.drawn
    drawn.brought_up_to_date()
    assert drawn.maps.status(PROJECT).record.drawn == key
    assert drawn.files() == files


def test_a_new_champion_has_a_map_of_its_own_space(drawn: Charted) -> None:
    """Turned so that what was on the map before lies where it lay, as far as that goes."""
    before = places(drawn.table())
    drawn.predict(range(20, 60), model=1)
    drawn.promote(1)
    after = places(drawn.brought_up_to_date())
    assert set(after) == {digest(number) for number in range(20, 60)}
    assert drawn.maps.status(PROJECT).record.drawn.model_id == a_model(1).id  # type: ignore[union-attr]
    width = max(np.hypot(*np.subtract(before[digest(0)], before[digest(39)])), 1e-9)
    for number in (20, 30, 39):
        assert np.hypot(*np.subtract(before[digest(number)], after[digest(number)])) < 0.1 * width


@pytest.mark.parametrize("lost", ["key", "layout_key"])
@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_a_file_that_cannot_be_read_is_made_anew(drawn: Charted, lost: str, how: str) -> None:
    """A map is a cache."""
    record = drawn.maps.status(PROJECT).record.drawn
    key = getattr(record, lost)
    path = Path(drawn.blobs._url) / key[:2] / key
    path.unlink() if how == "gone" else path.write_bytes(b"rubbish")
    drawn.predict(range(40, 41))
    assert len(drawn.brought_up_to_date()) == 41


def test_an_item_that_is_predicted_again_while_pages_are_read_is_one_point(
    drawn: Charted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page is a transaction of its own."""
    monkeypatch.setattr("loop.selecting.map_drawing._PAGE", 7)
    again = iter([3])

    def alive() -> None:
        for number in again:
            with drawn.store.begin() as tx:
                tx.predictions.add(prediction(number, name=500, at=later(1)))

    drawing = MapDrawing(drawn.store, drawn.blobs, RECIPE, lambda: NOW).draw(PROJECT, refit=True, alive=alive)
    table = read_map(drawn.blobs.get(drawing.key))
    assert len(table) == len(places(table)) == drawing.points == 40
    assert later(1) in table["predicted_at"].to_pylist()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_map_of_few_images_is_a_map(charted: Charted, count: int) -> None:
    charted.promote(0)
    charted.predict(range(count))
    found = positions_of(charted.brought_up_to_date())
    assert np.isfinite(found).all()
    assert len(np.unique(found, axis=0)) == count


def test_umap_draws_what_is_enough_for_it(charted: Charted) -> None:
    """The whole way, with its graph of neighbours."""
    charted.promote(0)
    charted.predict(range(60))
    charted.recipe = replace(RECIPE, representatives=50)
    first = charted.brought_up_to_date()
    again = charted.brought_up_to_date(refit=True)
    assert np.allclose(positions_of(first), positions_of(again), atol=1e-3)


def test_an_embedding_that_is_no_number_names_its_item(drawn: Charted) -> None:
    """And what was drawn before stays."""
    with drawn.store.begin() as tx:
        tx.items.add(an_item(77))
        tx.predictions.add(replace(prediction(77), embedding=np.array([1, np.nan, 0], dtype=np.float32)))
    table = drawn.brought_up_to_date()
    record = drawn.maps.status(PROJECT).record
    assert record.state is MapState.FAILED
    assert f"the embedding of item {digest(77)[:12]} holds NaN or infinity" in record.error
    assert len(table) == 40


# --- asking -----------------------------------------------------------------------------------------


def test_a_map_needs_a_champion_and_predictions(charted: Charted) -> None:
    """Each refusal says what to do."""
    with pytest.raises(NotFound, match=r"nobody has asked for one yet.*askance map"):
        charted.maps.status(PROJECT)
    with pytest.raises(NotFound):
        charted.maps.status("nowhere")
    with pytest.raises(NoChampion):
        charted.maps.ask(PROJECT, refit=False, actor="Ada")
    charted.promote(0)
    with pytest.raises(Invalid, match=r"has predicted no image.*annotate"):
        charted.maps.ask(PROJECT, refit=False, actor="Ada")


def test_a_map_knows_what_it_lacks(drawn: Charted) -> None:
    """Of the present champion: all of it where that is another than the map's."""
    assert drawn.maps.status(PROJECT).behind == 0
    drawn.predict(range(40, 43))
    assert drawn.maps.status(PROJECT).behind == 3
    drawn.predict(range(5), model=1)
    drawn.promote(1)
    assert drawn.maps.status(PROJECT).behind == 5


def test_nothing_is_drawn_that_was_not_asked_for(charted: Charted) -> None:
    charted.promote(0)
    charted.predict(range(500))
    assert charted.maps.follow() == []
    assert not charted.maps.advance()
    assert charted.drawings == 0


def test_a_map_follows_what_is_predicted(drawn: Charted) -> None:
    """Once enough is new, and not at every look."""
    drawn.predict(range(40, 180))
    assert drawn.maps.follow() == []  # it was drawn just now
    drawn.now += timedelta(minutes=6)
    assert drawn.maps.follow() == [PROJECT]
    assert drawn.maps.follow() == []  # it waits for its turn
    assert drawn.maps.advance()
    assert len(drawn.table()) == 180
    assert drawn.maps.status(PROJECT).record.actor == "service"


def test_what_was_asked_for_while_it_was_drawn_is_drawn_next(drawn: Charted) -> None:
    maps = drawn.maps
    drawn.before = lambda: maps.ask(PROJECT, refit=False, actor="Bo") and None  # type: ignore[func-returns-value]
    maps.ask(PROJECT, refit=False, actor="Ada")
    maps.advance()
    assert maps.status(PROJECT).record.state is MapState.QUEUED
    drawn.before = lambda: None
    maps.advance()
    assert maps.status(PROJECT).record.state is MapState.READY
    assert not maps.advance()


def test_a_drawing_that_was_cut_is_drawn_again(drawn: Charted) -> None:
    """The process ended, by a crash or because it was told to."""
    stopping = threading.Event()
    drawn.before = stopping.set
    drawn.wrong = [MapFailed("the service stops.")]
    drawn.maps.ask(PROJECT, refit=True, actor="Ada")
    drawn.maps.advance(stopping.is_set)
    record = drawn.maps.status(PROJECT).record
    assert (record.state, record.refit, record.error) == (MapState.RUNNING, True, "")
    drawn.before = lambda: None
    drawn.maps.advance()
    assert drawn.maps.status(PROJECT).record.state is MapState.READY


def test_a_drawing_that_finds_no_place_stays_awaited(drawn: Charted) -> None:
    drawn.wrong = [NoPlace("other work has all places.")]
    drawn.brought_up_to_date()
    record = drawn.maps.status(PROJECT).record
    assert (record.state, record.error) == (MapState.RUNNING, "")
    assert drawn.maps.advance()
    assert drawn.maps.status(PROJECT).record.state is MapState.READY


@pytest.mark.parametrize(
    ("error", "told"),
    [(MapFailed("no memory.", hint="Get some."), "no memory. Get some."), (KeyError("odd"), "KeyError: 'odd'")],
)
def test_what_goes_wrong_is_told_and_tried_again_when_asked(drawn: Charted, error: Exception, told: str) -> None:
    drawn.wrong = [error]
    drawn.brought_up_to_date()
    record = drawn.maps.status(PROJECT).record
    assert (record.state, record.error) == (MapState.FAILED, told)
    assert not drawn.maps.advance()
    drawn.brought_up_to_date()
    assert drawn.maps.status(PROJECT).record.error == ""


def test_old_drawings_go_and_the_one_before_stays(drawn: Charted) -> None:
    """Who reads a drawing while the next is made reads on; nothing else is left behind."""
    keys = [drawn.maps.status(PROJECT).record.drawn]
    for begin in range(40, 60, 4):
        drawn.predict(range(begin, begin + 4))
        drawn.brought_up_to_date()
        keys.append(drawn.maps.status(PROJECT).record.drawn)
    newest = keys[-1]
    assert newest is not None
    assert drawn.files() == {newest.key, newest.previous_key, newest.layout_key}


def test_a_file_that_is_gone_is_told_with_what_to_do(drawn: Charted) -> None:
    record = drawn.maps.status(PROJECT).record.drawn
    assert record is not None
    drawn.blobs.remove(record.key)
    with pytest.raises(NotFound, match="--refit"):
        drawn.maps.columns(record)
