"""What every database keeps of bulk annotations. Each test is run on SQLite and on PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError

from loop.domain.errors import AskanceError, Conflict, NotFound
from loop.domain.items.annotation import AnnotationJob, AnnotationResult, AnnotationState
from loop.store.database import SqlStore
from tests.contract.records import NOW, ODD, PROJECT, a_job, a_prediction, digest, furnish, later


@pytest.fixture
def furnished(store: SqlStore) -> SqlStore:
    """A store with a project, three items and two models."""
    furnish(store, items=3, models=2)
    return store


def running(number: int = 0, found: int = 10) -> AnnotationJob:
    return a_job(number).started(digest(7), found, later(number + 0.5))


def a_result(position: int, job: AnnotationJob, prediction_id: str | None = None) -> AnnotationResult:
    if prediction_id is None:
        return AnnotationResult(job_id=job.id, position=position, url=f"/data/{ODD}{position}", reason=ODD)
    return AnnotationResult(
        job_id=job.id, position=position, url=f"/{position}", item_digest=digest(0), prediction_id=prediction_id
    )


def added(store: SqlStore, *jobs: AnnotationJob) -> None:
    with store.begin() as tx:
        for job in jobs:
            tx.annotations.add(job)


def test_a_job_comes_back_as_it_was(furnished: SqlStore) -> None:
    """Whole, with odd texts, times to the microsecond; unknown ones and those of another project are NotFound."""
    added(furnished, a_job(), running(1))
    with furnished.read() as tx:
        assert tx.annotations.get(PROJECT, "ann_0") == a_job()
        assert tx.annotations.get(PROJECT, "ann_1") == running(1)
        for project, job in ((PROJECT, "nope"), ("other", "ann_0")):
            with pytest.raises(NotFound):
                tx.annotations.get(project, job)
    with furnished.begin() as tx, pytest.raises(NotFound):
        tx.annotations.for_update(PROJECT, "nope")


def test_an_id_is_taken_once(furnished: SqlStore) -> None:
    """A second job under the same id is a Conflict."""
    added(furnished, a_job())
    with pytest.raises(Conflict):
        added(furnished, a_job())


def test_saving_moves_what_moves(furnished: SqlStore) -> None:
    """State, counts and times are written; what was asked for stays."""
    added(furnished, a_job())
    with furnished.begin() as tx:
        tx.annotations.save(replace(running().counted(3, 2, later(5)), source="/elsewhere", actor="x", review=True))
    with furnished.read() as tx:
        assert tx.annotations.get(PROJECT, "ann_0") == running().counted(3, 2, later(5))


@pytest.mark.parametrize("state", [AnnotationState.CANCELLED, AnnotationState.FAILED])
def test_an_ended_job_stays_ended(furnished: SqlStore, state: AnnotationState) -> None:
    """Whoever still works on it is told."""
    added(furnished, replace(running(), state=state))
    with pytest.raises(Conflict, match=state.value), furnished.begin() as tx:
        tx.annotations.save(running().counted(1, 0, NOW))


def test_unfinished_jobs_are_found_oldest_first(furnished: SqlStore) -> None:
    """Queued and running ones of all projects."""
    added(furnished, running(2), a_job(1), a_job(3), replace(a_job(0), state=AnnotationState.CANCELLED))
    with furnished.read() as tx:
        assert [job.id for job in tx.annotations.unfinished()] == ["ann_1", "ann_2", "ann_3"]
        assert [job.id for job in tx.annotations.page(PROJECT, after=None, limit=2)] == ["ann_3", "ann_2"]
        assert [job.id for job in tx.annotations.page(PROJECT, after="ann_2", limit=9)] == ["ann_1", "ann_0"]


def test_results_come_in_the_order_of_the_listing(furnished: SqlStore) -> None:
    """Whatever the order in which they were written; pages go on behind a position, bad ones are listed apart."""
    added(furnished, running(), running(1))
    job = running()
    with furnished.begin() as tx:
        tx.predictions.add(a_prediction(0))
        tx.annotations.record([a_result(5, job), a_result(2, job, a_prediction(0).id)])
        tx.annotations.record([])
        tx.annotations.record([a_result(3, job)])
        tx.annotations.record([a_result(3, running(1))])
    with furnished.read() as tx:
        everything = tx.annotations.results(job.id, after=-1, limit=9)
        assert everything == [a_result(2, job, a_prediction(0).id), a_result(3, job), a_result(5, job)]
        assert tx.annotations.results(job.id, after=2, limit=1) == [a_result(3, job)]
        assert tx.annotations.bad(job.id, limit=9) == [a_result(3, job), a_result(5, job)]
        assert tx.annotations.bad(job.id, limit=1) == [a_result(3, job)]
        assert tx.annotations.answered(job.id) == {2, 3, 5}
        assert tx.annotations.answered("ann_9") == frozenset()


def test_an_image_is_answered_once(furnished: SqlStore) -> None:
    """A group with one image that has its answer is refused whole, with the predictions of its transaction."""
    job = running()
    added(furnished, job)
    with furnished.begin() as tx:
        tx.annotations.record([a_result(1, job)])
    with pytest.raises(Conflict, match="1 images"), furnished.begin() as tx:
        tx.predictions.add(a_prediction(0))
        tx.annotations.record([a_result(0, job, a_prediction(0).id), a_result(1, job)])
    with furnished.read() as tx:
        assert tx.annotations.answered(job.id) == {1}
        assert tx.predictions.counts(PROJECT)["predictions"] == 0


def test_two_processes_on_one_job_answer_each_image_once(furnished: SqlStore) -> None:
    """However they race: the loser's transaction is rolled back, and the counts are those of the rows."""
    job = running(found=20)
    added(furnished, job)

    def work(_: int) -> int:
        kept = 0
        for position in range(20):
            try:
                with furnished.begin() as tx:
                    stored = tx.annotations.for_update(PROJECT, job.id)
                    tx.annotations.save(stored.counted(0, 1, later(9)))
                    tx.annotations.record([a_result(position, job)])
                kept += 1
            except AskanceError:
                continue
        return kept

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(work, range(3))) == 20
    with furnished.read() as tx:
        assert tx.annotations.get(PROJECT, job.id).bad == 20
        assert tx.annotations.answered(job.id) == frozenset(range(20))


@pytest.mark.parametrize(
    "wrong",
    [
        {"done": 6, "bad": 5, "found": 10},
        {"done": -1},
        {"state": AnnotationState.DONE, "found": 3, "done": 2},
        {"listing_key": None},
    ],
    ids=["more than found", "negative", "done too early", "running without a listing"],
)
def test_states_that_cannot_be_are_refused(furnished: SqlStore, wrong: dict[str, object]) -> None:
    """The tables say again what the domain says."""
    with pytest.raises(IntegrityError), furnished.begin() as tx:
        tx.annotations.add(replace(running(), **wrong))  # type: ignore[arg-type]


def test_a_result_is_a_prediction_or_a_reason(furnished: SqlStore) -> None:
    """Not both, not neither, and no prediction twice."""
    job = running()
    added(furnished, job)
    prediction = a_prediction(0)
    with furnished.begin() as tx:
        tx.predictions.add(prediction)
        tx.annotations.record([a_result(0, job, prediction.id)])
    for wrong in (replace(a_result(1, job), reason=""), replace(a_result(1, job), prediction_id=prediction.id)):
        with pytest.raises(IntegrityError), furnished.begin() as tx:
            tx.annotations.record([wrong])
    with pytest.raises(Conflict), furnished.begin() as tx:
        tx.annotations.record([a_result(1, job, prediction.id)])
