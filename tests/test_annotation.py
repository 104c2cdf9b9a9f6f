"""Bulk annotation without Ray: a real store, real blobs and the real router; only the inference is given."""

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from loop.domain.errors import BadWeights, Conflict, NoChampion, NotFound, SourceNotAllowed, Unavailable
from loop.domain.identity import digest_of
from loop.domain.items.annotation import AnnotationJob, AnnotationState, SourceEntry
from loop.domain.model import ModelVersion
from loop.domain.prediction import Inference
from loop.domain.routing import Action, Policy, Stage
from loop.exchange.sources import FsspecSources
from loop.items.annotation import (
    AnnotationRequests,
    Annotator,
    Answer,
    RouteTogether,
    prediction_id_of,
    read_listing,
    write_listing,
)
from loop.models.versions import Models
from loop.projects import Projects
from loop.routing.router import ReceivedImage, Router
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from selection.risk import heuristic_risk
from selection.scores import Signals
from tests.contract.records import an_item
from tests.tiny_models import tiny_weights
from training.head import read_head

NOW = datetime(2026, 5, 1, tzinfo=UTC)
IMAGES, GROUP = 9, 2


class Killed(BaseException):
    """The process is gone: nothing behind it runs."""


@dataclass
class Given:
    """Answers what the files say: `sure`, `unsure`, or anything else for no image. Notes what it was asked for."""

    asked: list[list[str]] = field(default_factory=list)
    closed: int = 0
    before_group: Callable[[int], None] = lambda _number: None

    def infer(self, model: ModelVersion, entries: Sequence[SourceEntry]) -> Generator[list[Answer], None, None]:
        self.asked.append([Path(one.url).name for one in entries])
        try:
            for begin in range(0, len(entries), GROUP):
                self.before_group(begin // GROUP)
                yield [answer(one) for one in entries[begin : begin + GROUP]]
        finally:
            self.closed += 1


def answer(entry: SourceEntry) -> Answer:
    content = Path(entry.url).read_bytes()
    score = {b"sure": 0.99, b"unsure": 0.3}.get(content.split()[0])
    if score is None:
        return Answer(entry, reason="not an image")
    scores = np.array([[score, 0.01, 0.01]], np.float32)
    inference = Inference(
        np.array([[1, 2, 30, 40]], np.float32), scores[:, 0], np.array([0]), scores, np.ones(2, np.float32)
    )
    image = ReceivedImage(content=content, digest=digest_of(content), media_type="image/png", width=64, height=48,
                          source=entry.source, group=entry.group)  # fmt: skip
    return Answer(entry, image, inference)


@dataclass
class Desk:
    """Everything of one installation."""

    store: SqlStore
    requests: AnnotationRequests
    annotator: Annotator
    bulk: Given
    folder: Path
    model_id: str

    def start(self, **changes: object) -> AnnotationJob:
        asked = {"actor": "Ada", "created_by": "tok_1", "any_folder": True} | changes
        return self.requests.start("p", str(self.folder), **asked)  # type: ignore[arg-type]

    def stored(self, job: AnnotationJob) -> AnnotationJob:
        with self.store.read() as tx:
            return tx.annotations.get("p", job.id)

    def predictions(self) -> list:
        with self.store.read() as tx:
            return tx.predictions.page("p", after=None, limit=100)

    def tasks(self) -> int:
        with self.store.read() as tx:
            return sum(tx.tasks.counts("p", NOW).values())

    def kinds(self) -> list[str]:
        with self.store.read() as tx:
            return [event.kind for event in tx.events.after("p", 0, 100)]


@pytest.fixture
def desk(store: SqlStore, tmp_path: Path) -> Desk:
    """A project `p` with a champion, and nine files: six the model is sure of, two not, one that is no image."""
    folder = Path(os.path.realpath(tmp_path)) / "images"
    folder.mkdir()
    for number in range(IMAGES):
        what = {2: "unsure", 5: "unsure", 7: "broken"}.get(number, "sure")
        (folder / f"{number}.png").write_text(f"{what} {number}")
    blobs = FsspecBlobs.open(str(tmp_path / "blobs"))
    policy = replace(_policy(store), threshold=0.5, audit_rate=0.0)
    Projects(store, policy, lambda: NOW).create("p", ("circle", "square", "bar"))
    model, promotion = Models(store, blobs, read_head, lambda: NOW, os.urandom).register("p", tiny_weights(), "test")
    assert promotion is not None
    with store.begin() as tx:
        tx.projects.move_champion("p", expected=None, to=model.id)

    def by_rule(_model: ModelVersion, measured: Signals) -> float:
        return heuristic_risk(measured)

    router = Router(store, blobs, store.secret(), lambda _model, _embedding: 1.0, by_rule, lambda: NOW, os.urandom)
    sources, bulk = FsspecSources(()), Given()
    annotator = Annotator(store, blobs, sources, bulk, RouteTogether(router), lambda: NOW)
    return Desk(store, AnnotationRequests(store, sources, lambda: NOW, os.urandom), annotator, bulk, folder, model.id)


def _policy(_store: SqlStore) -> Policy:
    from loop.settings import load_settings

    return load_settings(environ={}).policy.as_policy()


# --- the states ------------------------------------------------------------------------------------------


def a_job(state: AnnotationState) -> AnnotationJob:
    return AnnotationJob(
        id="ann_1", project_id="p", model_id="m", source="/x", any_folder=True, review=True, state=state,
        actor="Ada", created_by="tok_1", created_at=NOW, updated_at=NOW, found=3, done=3, listing_key="k",
    )  # fmt: skip


CHANGES: dict[str, Callable[[AnnotationJob], AnnotationJob]] = {
    "start": lambda job: job.started("k", 3, NOW),
    "count": lambda job: job.counted(0, 0, NOW),
    "complete": lambda job: job.completed(NOW),
    "fail": lambda job: job.failed("why", NOW),
    "cancel": lambda job: job.cancelled(NOW),
}
ALLOWED = {
    ("queued", "start"): "running",
    ("queued", "fail"): "failed",
    ("queued", "cancel"): "cancelled",
    ("running", "count"): "running",
    ("running", "complete"): "done",
    ("running", "fail"): "failed",
    ("running", "cancel"): "cancelled",
    ("cancelled", "cancel"): "cancelled",
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("state", AnnotationState)
def test_states_change_as_the_table_says(state, change):
    """Every other change is a Conflict that names the state; ended jobs know when."""
    after = ALLOWED.get((state.value, change))
    if after is None:
        with pytest.raises(Conflict, match=state.value):
            CHANGES[change](a_job(state))
        return
    changed = CHANGES[change](a_job(state))
    assert changed.state == after
    assert (changed.finished_at is not None) == changed.state.finished or state is AnnotationState.CANCELLED


def test_counts_never_exceed_what_was_found():
    """And a job is done when nothing is left, not before."""
    job = replace(a_job(AnnotationState.RUNNING), done=0)
    assert job.counted(1, 1, NOW).left == 1
    with pytest.raises(Conflict, match="3 images"):
        job.counted(3, 1, NOW)
    with pytest.raises(Conflict, match="left"):
        job.counted(1, 1, NOW).completed(NOW)


def test_a_listing_comes_back_as_it_was():
    """Whatever stands in a path."""
    odd = '/d/Größe "x" 🦉 \u2028\u0085 {}.jpg'
    entries = [SourceEntry(0, odd, "cam", "g"), SourceEntry(1, "s3://b/\n.png")]
    assert read_listing(write_listing(entries)) == entries


# --- asking --------------------------------------------------------------------------------------------


def test_a_job_freezes_the_champion(desk):
    """The model is that of the start, whatever is promoted later; another may be named."""
    assert desk.start().model_id == desk.model_id
    assert desk.start(model_id=desk.model_id).model_id == desk.model_id
    with pytest.raises(NotFound):
        desk.start(model_id="model_nope")


def test_a_job_needs_a_model_and_a_source_that_may_be_read(desk):
    """Nothing is queued otherwise."""
    with pytest.raises(SourceNotAllowed):
        desk.start(any_folder=False)
    with desk.store.begin() as tx:
        tx.projects.add(replace(tx.projects.get("p"), id="empty", champion_id=None))
    with pytest.raises(NoChampion, match="empty"):
        desk.requests.start("empty", str(desk.folder), actor="a", created_by="t", any_folder=True)
    with desk.store.read() as tx:
        assert tx.annotations.unfinished() == []


# --- working off ---------------------------------------------------------------------------------------


def test_every_image_gets_its_answer(desk):
    """Predictions by the frozen model in the name of who asked, tasks for the unsure ones, a reason for the bad one."""
    ended = desk.annotator.advance(desk.start())
    assert (ended.state, ended.found, ended.done, ended.bad) == (AnnotationState.DONE, 9, 8, 1)
    predictions = desk.predictions()
    assert {p.created_by for p in predictions} == {"tok_1"}
    assert {p.model_id for p in predictions} == {desk.model_id}
    assert len(predictions) == 8
    assert desk.tasks() == 2
    with desk.store.read() as tx:
        assert [(Path(b.url).name, b.reason) for b in tx.annotations.bad(ended.id, limit=9)] == [
            ("7.png", "not an image")
        ]
    kinds = desk.kinds()
    assert [kinds.count(k) for k in ("annotation.queued", "prediction.routed", "annotation.finished")] == [1, 2, 1]


def test_an_image_that_was_dropped_is_not_annotated_again(desk):
    """It is counted among the bad ones, with the reason; nothing of it is kept."""
    gone = digest_of((desk.folder / "2.png").read_bytes())
    with desk.store.begin() as tx:
        tx.items.add_all([replace(an_item(), project_id="p", digest=gone)])
        assert tx.items.drop("p", gone, by="Ada", at=NOW)
    ended = desk.annotator.advance(desk.start())
    assert (ended.state, ended.found, ended.done, ended.bad) == (AnnotationState.DONE, 9, 7, 2)
    assert gone not in {prediction.item_digest for prediction in desk.predictions()}
    assert desk.tasks() == 1
    with desk.store.read() as tx:
        told = {Path(bad.url).name: bad.reason for bad in tx.annotations.bad(ended.id, limit=9)}
    assert told["2.png"] == "it was dropped from the project"


def test_without_review_nobody_is_asked(desk):
    """All are accepted, with their risk, and outside of the audit lottery."""
    ended = desk.annotator.advance(desk.start(review=False))
    assert ended.done == 8
    assert desk.tasks() == 0
    assert "prediction.routed" not in desk.kinds()
    for prediction in desk.predictions():
        decision = prediction.decision
        assert (decision.action, decision.stage, decision.inclusion_probability) == (Action.ACCEPT, None, 0.0)
        assert [reason.code for reason in decision.reasons] == ["review-off"]
    assert max(p.decision.risk for p in desk.predictions()) > 0.5


def test_audits_are_drawn_as_online(desk):
    """With an audit rate of one every prediction is an audit task."""
    with desk.store.begin() as tx:
        tx.projects.save_policy("p", replace(tx.projects.get("p").policy, version=2, audit_rate=1.0))
    desk.annotator.advance(desk.start())
    assert {p.decision.stage for p in desk.predictions()} == {Stage.AUDIT}
    assert desk.tasks() == 8


@pytest.mark.parametrize("group", range(5))
def test_a_killed_process_is_taken_over_without_a_loss(desk, group):
    """Wherever it is cut, the next one asks for the rest only, and the end is the same."""

    def die(number: int) -> None:
        if number == group:
            raise Killed

    job = desk.start()
    desk.bulk.before_group = die
    with pytest.raises(Killed):
        desk.annotator.advance(job)
    cut = desk.stored(job)
    assert (cut.state, cut.done + cut.bad) == (AnnotationState.RUNNING, group * GROUP)
    desk.bulk.before_group = lambda _number: None
    ended = desk.annotator.advance(cut)
    assert (ended.state, ended.done, ended.bad) == (AnnotationState.DONE, 8, 1)
    assert desk.bulk.asked[1] == [f"{number}.png" for number in range(group * GROUP, IMAGES)]
    assert len(desk.predictions()) == 8
    assert desk.tasks() == 2


def test_a_transaction_that_fails_leaves_nothing_of_its_group(desk):
    """Predictions, tasks, results and counts are one transaction: cut at its very end, none of them is there."""

    class CutAtCommit:
        def __getattr__(self, name: str):
            return getattr(desk.store, name)

        def begin(self):
            from contextlib import contextmanager

            @contextmanager
            def cut():
                with desk.store.begin() as tx:
                    yield tx
                    if tx.annotations.answered(job.id):
                        raise Killed

            return cut()

    job = desk.start()
    router = desk.annotator.route_many.router
    cutting = replace(desk.annotator, route_many=RouteTogether(replace(router, store=CutAtCommit())))
    with pytest.raises(Killed):
        cutting.advance(job)
    assert desk.predictions() == []
    assert desk.stored(job).done == 0
    assert desk.annotator.advance(desk.stored(job)).done == 8
    assert len(desk.predictions()) == 8


def test_an_image_is_not_drawn_twice(desk):
    """Its prediction's id, on which the audit lottery hangs, is fixed by job and place; other jobs have others."""
    job, other = desk.start(), desk.start()
    assert prediction_id_of(job, 3) == prediction_id_of(desk.stored(job), 3)
    ids = {prediction_id_of(one, place) for one in (job, other) for place in range(100)}
    assert len(ids) == 200
    desk.annotator.advance(job)
    assert {p.id for p in desk.predictions()} == {prediction_id_of(job, place) for place in range(9) if place != 7}


def test_files_that_change_meanwhile_do_not_change_the_listing(desk):
    """What a job works off is frozen at its start: a restart does not take in what is new."""
    job = desk.start()

    def change(number: int) -> None:
        (desk.folder / "new.png").write_text("sure new")
        if number == 1:
            raise Killed

    desk.bulk.before_group = change
    with suppress(Killed):
        desk.annotator.advance(job)
    desk.bulk.before_group = lambda _number: None
    ended = desk.annotator.advance(desk.stored(job))
    assert (ended.found, ended.done + ended.bad) == (9, 9)


def test_the_same_content_at_two_paths_is_one_item(desk):
    """And a prediction of each path, in one group or in two."""
    for name in ("0b.png", "8b.png"):
        (desk.folder / name).write_text("sure 0")
    ended = desk.annotator.advance(desk.start())
    assert ended.done == 10
    digests = [p.item_digest for p in desk.predictions()]
    assert (len(digests), len(set(digests))) == (10, 8)


def test_a_cancelled_job_stops_at_once(desk):
    """The group under way is dropped, its detectors are let go, and what was answered stays."""
    job = desk.start()

    def cancel(number: int) -> None:
        if number == 2:
            desk.requests.cancel("p", job.id, "Ada")

    desk.bulk.before_group = cancel
    ended = desk.annotator.advance(job)
    assert (ended.state, ended.done) == (AnnotationState.CANCELLED, 4)
    assert len(desk.predictions()) == 4
    assert desk.bulk.closed == 1
    assert desk.requests.cancel("p", job.id, "Ada").state is AnnotationState.CANCELLED
    assert desk.kinds().count("annotation.finished") == 1


def test_a_cancelled_job_is_not_begun(desk):
    """Cancelled while it waits, it stays so."""
    job = desk.start()
    desk.requests.cancel("p", job.id, "Ada")
    assert desk.annotator.advance(job).state is AnnotationState.CANCELLED
    assert desk.bulk.asked == []


def test_a_done_job_cannot_be_cancelled(desk):
    """It is over."""
    ended = desk.annotator.advance(desk.start())
    with pytest.raises(Conflict, match="done"):
        desk.requests.cancel("p", ended.id, "Ada")


def test_a_stopping_service_blames_nobody(desk):
    """The job stays where it is, whether it was between two groups or met an error because Ray is gone."""
    job = desk.start()
    stays = desk.annotator.advance(job, stopping=lambda: bool(desk.predictions()))
    assert (stays.state, stays.done) == (AnnotationState.RUNNING, 2)

    def gone(_number: int) -> None:
        raise Unavailable("Ray is gone.", hint="")

    desk.bulk.before_group = gone
    assert desk.annotator.advance(stays, stopping=lambda: True).state is AnnotationState.RUNNING
    desk.bulk.before_group = lambda _number: None
    assert desk.annotator.advance(stays).state is AnnotationState.DONE


@pytest.mark.parametrize("error", [BadWeights("no such device.", hint="Use cpu."), RuntimeError("odd")])
def test_what_goes_wrong_ends_the_job_with_its_reason(desk, error):
    """A model that cannot be run fails the job; what was answered before stays."""

    def fail(number: int) -> None:
        if number == 1:
            raise error

    desk.bulk.before_group = fail
    ended = desk.annotator.advance(desk.start())
    assert (ended.state, ended.done) == (AnnotationState.FAILED, 2)
    assert str(error) in ended.error


def test_a_source_that_vanished_fails_the_job(desk):
    """Between asking and listing."""
    job = desk.start()
    desk.folder.rename(desk.folder.with_name("moved"))
    ended = desk.annotator.advance(job)
    assert ended.state is AnnotationState.FAILED
    assert "images" in ended.error
