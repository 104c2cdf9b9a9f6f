"""What drift is measured on, as the store gives it, and what is kept of a look, on both databases."""

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy.exc import IntegrityError

from loop.domain.errors import NotFound
from loop.domain.items.annotation import AnnotationResult
from loop.domain.ports import Served, Store
from loop.domain.production.drift import ClassShift, DriftReport, DriftTest, Origin, ScoreShift, SourceShift, Verdict
from tests.contract.records import (
    NOW,
    ODD,
    PROJECT,
    a_cycle,
    a_job,
    a_model,
    a_policy,
    a_prediction,
    a_project,
    a_truth,
    an_item,
    digest,
    furnish,
    later,
)

MODEL = a_model(0).id


def served(store: Store, *, after: int = 0, of: int = 100, limit: int = 100, model: str = MODEL) -> list[Served]:
    with store.read() as tx:
        return tx.predictions.served(PROJECT, model, after=after, of=of, limit=limit)


def count(store: Store, *, after: int = 0) -> int:
    with store.read() as tx:
        return tx.predictions.count_served(PROJECT, MODEL, after=after)


@pytest.fixture
def filled(store: Store) -> Store:
    """A project with two models, three items, and seven predictions of the first model, of the items in turn."""
    furnish(store, items=3, models=2)
    with store.begin() as tx:
        tx.predictions.add_all([a_prediction(number, item=number % 3, at=later(number)) for number in range(7)])
    return store


def test_predictions_come_newest_first_with_what_is_known_of_their_image(filled: Store) -> None:
    """All of them, whether routed, audited or accepted, and also of an item that was predicted before."""
    found = served(filled)
    assert [one.created_at for one in found] == [later(number) for number in reversed(range(7))]
    assert [one.sequence for one in found] == sorted((one.sequence for one in found), reverse=True)
    first, stored = found[0], a_prediction(6)
    assert (first.item_digest, first.source, first.group) == (digest(0), an_item().source, an_item().group)
    assert first.detections == stored.detections and first.score_threshold == a_policy().score_threshold
    assert np.array_equal(first.embedding, stored.embedding)
    assert count(filled) == 7


@pytest.mark.parametrize(
    ("of", "limit", "places"),
    [
        (7, 7, [0, 1, 2, 3, 4, 5, 6]), (100, 100, [0, 1, 2, 3, 4, 5, 6]), (2, 2, [0, 1]), (7, 1, [0]), (4, 2, [0, 2]),
        (7, 3, [0, 3, 5]), (6, 4, [0, 2, 3, 5]),
    ],
)  # fmt: skip
def test_a_window_is_drawn_evenly(filled: Store, of: int, limit: int, places: list[int]) -> None:
    """From the newest `of`, as many as it holds."""
    newest = [one.sequence for one in served(filled)]
    assert [one.sequence for one in served(filled, of=of, limit=limit)] == [newest[place] for place in places]


def test_a_window_begins_behind_the_one_before(filled: Store) -> None:
    newest = [one.sequence for one in served(filled)]
    assert [one.sequence for one in served(filled, after=newest[4], of=4, limit=2)] == [newest[0], newest[2]]
    assert count(filled, after=newest[4]) == 4
    assert served(filled, after=newest[0]) == [] and count(filled, after=newest[0]) == 0


def test_other_models_and_bulk_annotations_do_not_count(filled: Store) -> None:
    """Whoever annotates a folder chose its images: they say nothing of production."""
    with filled.begin() as tx:
        tx.predictions.add(a_prediction(7, model=1))
        tx.predictions.add(a_prediction(8))
        tx.annotations.add(a_job())
        tx.annotations.record(
            [
                AnnotationResult(
                    job_id="ann_0", position=0, url="/a", item_digest=digest(0), prediction_id=a_prediction(8).id
                )
            ]
        )
    assert count(filled) == len(served(filled)) == 7
    assert len(served(filled, of=7, limit=4)) == 4
    assert len(served(filled, model=a_model(1).id)) == 1


def test_each_prediction_has_the_threshold_it_was_made_under(filled: Store) -> None:
    with filled.begin() as tx:
        tx.projects.save_policy(PROJECT, replace(a_policy(2), score_threshold=0.5))
    with filled.begin() as tx:
        newer = a_prediction(7)
        tx.predictions.add(replace(newer, decision=replace(newer.decision, policy_version=2)))
    assert [one.score_threshold for one in served(filled)][:2] == [0.5, 0.25]


def test_images_reviewed_since(filled: Store) -> None:
    """Each once, however often its truth changed; imports do not count."""
    with filled.begin() as tx:
        tx.truths.add(replace(a_truth(1, item=0), created_at=later(1)))
        tx.truths.add(replace(a_truth(2, item=0), created_at=later(2)))
        tx.truths.add(replace(a_truth(1, item=1), created_at=later(3)))
        tx.truths.add(replace(a_truth(1, item=2), created_at=later(4), origin="import"))
    with filled.read() as tx:
        assert tx.truths.count_reviewed_since(PROJECT, None) == 2
        assert tx.truths.count_reviewed_since(PROJECT, later(1)) == 2
        assert tx.truths.count_reviewed_since(PROJECT, later(2)) == 1
        assert tx.truths.count_reviewed_since(PROJECT, later(3)) == 0
        assert tx.truths.count_reviewed_since("other", None) == 0


def test_the_reference_of_a_model_is_written_by_itself(filled: Store) -> None:
    """What else is saved of the model meanwhile does not undo it."""
    with filled.begin() as tx:
        before = tx.models.get(PROJECT, MODEL)
        tx.models.refer(PROJECT, MODEL, digest(5))
        tx.models.save(replace(before, reference_key=digest(6)))
        tx.models.judge(PROJECT, MODEL, digest(7))
    with filled.read() as tx:
        model = tx.models.get(PROJECT, MODEL)
    assert (model.drift_key, model.reference_key, model.risk_key) == (digest(5), digest(6), digest(7))
    with filled.begin() as tx, pytest.raises(NotFound):
        tx.models.refer(PROJECT, "model_none", digest(5))


def a_report(number: int = 0, **changes: object) -> DriftReport:
    report = DriftReport(
        id=f"drift_{number:05}",
        project_id=PROJECT,
        model_id=MODEL,
        actor=ODD,
        created_at=later(number),
        scheduled=True,
        verdict=Verdict.DRIFT,
        alarm=True,
        level=0.1 + 0.2,
        reference_origin=Origin.PRODUCTION,
        reference_images=300,
        reference_units=30,
        window_images=200,
        window_units=200,
        window_of=2**40,
        window_from=NOW,
        window_until=later(5),
        last_sequence=2**40,
        tests=(DriftTest(name="scores", statistic=1 / 3, effect=0.25, low=0.0, high=1e-9, p=0.001, adjusted_p=0.003),),
        classes=(ClassShift(label=ODD, before=0.1, after=0.2, low=-0.1, high=0.3),),
        scores=ScoreShift(before=0.1, after=0.2, low=-0.1, high=0.3),
        sources=(SourceShift(source=ODD, images=7, unlike=0.5),),
        unlike=(digest(1), digest(2)),
        notes=(ODD,),
    )
    return replace(report, **changes)  # type: ignore[arg-type]


def test_a_look_comes_back_as_it_was(filled: Store) -> None:
    by_hand = a_report(1, scheduled=False, classes=(), sources=(), unlike=(), notes=())
    with filled.begin() as tx:
        tx.cycles.add(a_cycle())
        for report in (a_report(), by_hand, a_report(2, cycle_id=a_cycle().id)):
            tx.drift_reports.add(report)
    with filled.read() as tx:
        assert tx.drift_reports.page(PROJECT, after=None, limit=2) == [a_report(2, cycle_id=a_cycle().id), by_hand]
        assert tx.drift_reports.page(PROJECT, after=by_hand.id, limit=2) == [a_report()]
        assert [one.id for one in tx.drift_reports.scheduled(PROJECT, limit=5)] == ["drift_00002", "drift_00000"]
        assert [one.id for one in tx.drift_reports.scheduled(PROJECT, limit=1)] == ["drift_00002"]
        assert tx.drift_reports.scheduled("other", limit=5) == []


@pytest.mark.parametrize(
    "changes", [{"window_images": 0, "window_units": 0}, {"window_units": 201}, {"window_of": 199}, {"model_id": "m"}]
)
def test_a_look_that_cannot_be_is_refused(filled: Store, changes: dict[str, object]) -> None:
    with pytest.raises(IntegrityError), filled.begin() as tx:
        tx.drift_reports.add(a_report(**changes))


def test_projects_do_not_see_each_others_looks(filled: Store) -> None:
    with filled.begin() as tx:
        tx.projects.add(a_project("other"))
        tx.drift_reports.add(a_report())
    with filled.read() as tx:
        assert tx.drift_reports.page("other", after=None, limit=5) == []
