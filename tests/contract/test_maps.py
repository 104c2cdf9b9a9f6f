"""What is kept of a project's map, and what the map asks of the store, on both databases."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from loop.domain.embedding_map import (
    FOLLOWS_EVERY,
    FOLLOWS_FEWEST,
    TRIES_AGAIN_AFTER,
    Drawn,
    EmbeddingMap,
    MapState,
    needs_fit,
)
from loop.domain.ports import Store
from loop.domain.selection import Part
from tests.contract.records import NOW, ODD, PROJECT, a_model, a_prediction, a_task, a_truth, digest, furnish, later

DRAWN = Drawn(
    model_id=a_model().id, key=digest(1), layout_key=digest(2), previous_key=None, sequence=2**40, points=1000,
    fitted=600, late=300, seed=2**32 - 1, fitted_at=NOW, made_at=later(1.5),
)  # fmt: skip
FIRST = EmbeddingMap.first(PROJECT, ODD, NOW)
READY = FIRST.begun(NOW).done(DRAWN, NOW)


@pytest.fixture
def filled(store: Store) -> Store:
    furnish(store, items=4, models=2)
    return store


def kept(store: Store, record: EmbeddingMap) -> EmbeddingMap | None:
    with store.begin() as tx:
        tx.maps.save(record)
    with store.read() as tx:
        return tx.maps.get(PROJECT)


# --- the row -------------------------------------------------------------------------------------


def test_a_map_comes_back_as_it_was(filled: Store) -> None:
    """Never drawn, drawn, and after a try that went wrong."""
    with filled.read() as tx:
        assert tx.maps.get(PROJECT) is None
        assert tx.maps.all() == []
    for record in (FIRST, READY, READY.asked(refit=True, actor=ODD, now=later(9)), READY.begun(NOW).failed(ODD, NOW)):
        assert kept(filled, record) == record
    with filled.begin() as tx:
        assert tx.maps.all() == [tx.maps.for_update(PROJECT)] != [None]


def test_asking_wakes_whoever_works_it_off(filled: Store) -> None:
    """By the revision, which nothing else of a map raises: gateways look at it with every request."""
    before = filled.revision()
    kept(filled, FIRST)
    asked = filled.revision()
    assert asked > before
    kept(filled, READY)
    assert filled.revision() == asked


@pytest.mark.parametrize(
    "wrong",
    [
        replace(READY, drawn=None),
        replace(READY, drawn=replace(DRAWN, late=401)),
        replace(READY, drawn=replace(DRAWN, model_id="model_of_another")),
    ],
    ids=["ready without a drawing", "more late points than there are", "of no model"],
)
def test_what_the_domain_forbids_is_not_kept(filled: Store, wrong: EmbeddingMap) -> None:
    with pytest.raises(IntegrityError):
        kept(filled, wrong)


def test_of_two_that_change_it_one_waits(filled: Store, url: str) -> None:
    """Who asks while another ends a drawing sees what that wrote, and neither is lost."""
    kept(filled, FIRST.begun(NOW))
    if not url.startswith("postgresql"):
        return  # SQLite has one writer at a time anyway
    with filled.begin() as tx:
        drawing = tx.maps.for_update(PROJECT)
        assert drawing is not None

        def ask() -> None:
            with filled.begin() as other:
                record = other.maps.for_update(PROJECT)
                assert record is not None
                other.maps.save(record.asked(refit=True, actor="Ada", now=NOW))

        asking = threading.Thread(target=ask)
        asking.start()
        asking.join(timeout=0.3)
        tx.maps.save(drawing.done(DRAWN, NOW))
    asking.join(timeout=20)
    with filled.read() as tx:
        record = tx.maps.get(PROJECT)
    assert record is not None
    assert (record.state, record.refit, record.drawn) == (MapState.QUEUED, True, DRAWN)


# --- what it asks of the store ---------------------------------------------------------------------


def test_predictions_are_counted_behind_a_sequence(filled: Store) -> None:
    """Of one model version; an item that was predicted twice counts twice."""
    for number, (item, model) in enumerate([(0, 0), (1, 0), (0, 1), (0, 0)]):
        with filled.begin() as tx:
            tx.predictions.add(a_prediction(number, item=item, model=model))
    with filled.read() as tx:
        first = tx.predictions.candidates(
            PROJECT, a_model(0).id, after=0, limit=9, parts=(Part.SIGNALS, Part.DETECTIONS)
        )[0].sequence
        assert tx.predictions.count_after(PROJECT, a_model(0).id, 0) == 3
        assert tx.predictions.count_after(PROJECT, a_model(0).id, first) == 1
        assert tx.predictions.count_after(PROJECT, a_model(1).id, 0) == 1
        assert tx.predictions.count_after("other", a_model(0).id, 0) == 0


def test_a_candidate_says_when_it_was_predicted(filled: Store) -> None:
    """The prediction, not the item, which may have been there long before."""
    with filled.begin() as tx:
        tx.predictions.add(a_prediction(0, item=0, at=later(77)))
    with filled.read() as tx:
        assert [
            one.predicted_at
            for one in tx.predictions.candidates(
                PROJECT, a_model().id, after=0, limit=9, parts=(Part.SIGNALS, Part.DETECTIONS)
            )
        ] == [later(77)]


def test_items_with_tasks_and_with_truths_are_named_once(filled: Store) -> None:
    furnish(filled, items=1, project_id="other")
    with filled.begin() as tx:
        tx.predictions.add_all([a_prediction(number, item=1) for number in range(2)])
        for number in range(2):
            tx.tasks.add(a_task(number, item=1, prediction=number))
        tx.tasks.add(a_task(7, item=0, project_id="other"))
        tx.truths.add(a_truth(1, item=2))
        tx.truths.add(a_truth(2, item=2))
    with filled.read() as tx:
        assert list(tx.tasks.items(PROJECT)) == [digest(1)]
        assert list(tx.truths.items(PROJECT)) == [digest(2)]
        assert list(tx.truths.items("other")) == []


# --- what is decided -------------------------------------------------------------------------------


def test_what_is_asked_for_while_it_is_drawn_is_drawn_after_it() -> None:
    """The drawing may have begun too early to know of what is asked for."""
    again = FIRST.begun(NOW).asked(refit=True, actor="Ada", now=later(1))
    done = again.done(DRAWN, later(2))
    assert (done.state, done.refit, done.drawn) == (MapState.QUEUED, True, DRAWN)
    assert done.begun(later(3)).done(DRAWN, later(4)).state is MapState.READY


def test_a_refit_that_waits_is_not_forgotten_when_somebody_asks_for_less() -> None:
    waiting = READY.asked(refit=True, actor="Ada", now=NOW)
    assert waiting.asked(refit=False, actor="Bo", now=NOW).refit
    assert not waiting.begun(NOW).done(DRAWN, NOW).refit
    assert not waiting.begun(NOW).done(DRAWN, NOW).asked(refit=False, actor="Bo", now=NOW).refit


def test_a_try_that_goes_wrong_takes_nothing_away() -> None:
    """What was drawn before is there still, and the next that goes well forgets the error."""
    failed = READY.begun(NOW).failed("no memory", NOW)
    assert (failed.state, failed.error, failed.drawn) == (MapState.FAILED, "no memory", DRAWN)
    assert failed.asked(refit=False, actor="", now=NOW).begun(NOW).done(DRAWN, NOW).error == ""


@pytest.mark.parametrize(
    ("record", "new", "passed", "follows"),
    [
        (READY, 99, FOLLOWS_EVERY, False),
        (READY, FOLLOWS_FEWEST, FOLLOWS_EVERY, True),
        (READY, FOLLOWS_FEWEST, FOLLOWS_EVERY - timedelta(seconds=1), False),
        (replace(READY, drawn=replace(DRAWN, points=5000)), 499, FOLLOWS_EVERY, False),
        (replace(READY, drawn=replace(DRAWN, points=5000)), 500, FOLLOWS_EVERY, True),
        (READY.begun(NOW), 10_000, timedelta(days=9), False),
        (READY.begun(NOW).failed("", NOW), 10_000, TRIES_AGAIN_AFTER - timedelta(seconds=1), False),
        (READY.begun(NOW).failed("", NOW), 10_000, TRIES_AGAIN_AFTER, True),
        (FIRST.begun(NOW).failed("", NOW), 10_000, timedelta(days=9), False),
    ],
    ids=[
        "few", "enough", "just now", "less than a tenth", "a tenth", "under way", "failed just now", "failed long ago",
        "never drawn",
    ],
)  # fmt: skip
def test_when_a_map_follows_by_itself(record: EmbeddingMap, new: int, passed: timedelta, follows: bool) -> None:
    """In steps of a tenth, with a pause between; never one that was not drawn once because somebody asked."""
    assert record.follows(new, NOW + passed) is follows


@given(st.integers(1, 10**7), st.integers(0, 10**7), st.integers(0, 10**7), st.floats(0, 1))
def test_too_many_late_points_want_a_new_fit(points: int, late: int, new: int, share: float) -> None:
    """The share that came after the fit, what is new included, decides; another embedding space always does."""
    drawn = replace(DRAWN, points=points, late=min(late, points))
    is_late = (drawn.late + new) / (points + new)
    if abs(is_late - share) > 1e-9:
        assert needs_fit(drawn, drawn.model_id, new=new, refit_share=share) == (is_late > share)
    assert needs_fit(drawn, "another", new=new, refit_share=share)
    assert needs_fit(None, drawn.model_id, new=new, refit_share=share)
