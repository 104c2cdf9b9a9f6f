"""Group commit: many share a transaction, and none pays for another's fault."""

import errno
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from loop.domain.errors import Conflict, DeadlinePassed, Unavailable
from loop.domain.identity import digest_of
from loop.domain.prediction import Inference
from loop.domain.project import Project
from loop.domain.routing import Durability, Retain
from loop.routing.commits import GroupCommit
from loop.routing.router import Caller, Inferred, ReceivedImage, Routed, Router
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from selection.risk import heuristic_risk
from tests.contract.records import NOW, PROJECT, a_model, furnish


@dataclass
class Doors:
    """A real store that counts its writing transactions; while `shut`, they wait."""

    store: SqlStore
    begun: int = 0
    open: threading.Event = None  # type: ignore[assignment]
    broken: bool = False

    @contextmanager
    def begin(self) -> Iterator[object]:
        self.begun += 1
        if self.open is not None:
            self.open.wait(60)
        if self.broken:
            raise Unavailable("the database is away.", hint="Wait.")
        with self.store.begin() as tx:
            yield tx


@pytest.fixture
def doors(store: SqlStore) -> Doors:
    furnish(store)
    return Doors(store)


@pytest.fixture
def blobs(tmp_path: Path) -> FsspecBlobs:
    return FsspecBlobs.open(str(tmp_path / "blobs"))


def router(doors: Doors, blobs: FsspecBlobs) -> Router:
    ids = iter(range(10_000))
    return Router(
        doors,  # type: ignore[arg-type]
        blobs,
        b"secret",
        lambda _model, _embedding: 1.0,
        lambda _model, signals: heuristic_risk(signals),
        lambda: NOW,
        lambda count: next(ids).to_bytes(count, "big"),
    )


def project(doors: Doors, *, threshold: float = 1.0, **policy: object) -> Project:
    with doors.store.read() as tx:
        stored = tx.projects.get(PROJECT)
    return replace(stored, policy=replace(stored.policy, threshold=threshold, audit_rate=0.0, **policy))  # type: ignore[arg-type]


def inferred(routes: Router, project: Project, number: int = 0, key: str | None = None) -> Inferred:
    model, content = a_model(), b"image %d" % number
    inference = Inference(
        boxes=np.zeros((0, 4), dtype=np.float32),
        scores=np.zeros(0, dtype=np.float32),
        classes=np.zeros(0, dtype=np.int64),
        class_scores=np.zeros((0, len(model.head.labels)), dtype=np.float32),
        embedding=np.eye(1, model.head.embedding_dim, dtype=np.float32)[0],
    )
    image = ReceivedImage(content=content, digest=digest_of(content), media_type="image/png", width=8, height=8)
    return Inferred(
        prediction_id=routes.new_prediction_id(), project=project, model=model, image=image, inference=inference,
        caller=Caller("token", key),
    )  # fmt: skip


def kept_at_once(routes: Router, given: list[Inferred]) -> list[Routed]:
    routed = [routes.decide(one) for one in given]
    routes.keep(list(zip(given, routed, strict=True)))
    return routed


def stored(doors: Doors, ids: Sequence[str]) -> int:
    with doors.store.read() as tx:
        return sum(prediction.id in ids for prediction in tx.predictions.page(PROJECT, after=None, limit=1000))


def test_what_comes_during_a_commit_shares_the_next(doors: Doors, blobs: FsspecBlobs) -> None:
    """Fifty predictions while one commits are one transaction, and each is there when it is answered."""
    routes = router(doors, blobs)
    doors.open = threading.Event()
    commits = GroupCommit(routes, delay_s=0.0)
    answers = [commits.submit(inferred(routes, project(doors), number)) for number in range(50)]
    doors.open.set()
    ids = [answer.result(60).prediction.id for answer in answers]
    assert stored(doors, ids) == 50
    assert doors.begun < 10
    commits.close()


def test_no_prediction_is_kept_without_its_image(
    doors: Doors, blobs: FsspecBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group whose disk was full for a moment is tried again one by one: images that were on their way, too."""
    routes = router(doors, blobs)
    waiting = [inferred(routes, project(doors, retain=Retain.ALL), number) for number in range(3)]
    staged = [replace(one, staged=blobs.stage(one.image.content)) for one in waiting]
    rename, failures = os.replace, iter([OSError(errno.ENOSPC, "No space left on device")])

    def full_once(source: Path, target: Path) -> None:
        for failure in failures:
            raise failure
        rename(source, target)

    monkeypatch.setattr(os, "replace", full_once)
    doors.open = threading.Event()
    commits = GroupCommit(routes, delay_s=0.0)
    first = commits.submit(inferred(routes, project(doors, retain=Retain.NONE), 9))
    answers = [commits.submit(one) for one in staged]
    doors.open.set()
    first.result(60)
    for answer in answers:
        assert blobs.get(answer.result(60).item.digest)
    assert stored(doors, [one.prediction_id for one in staged]) == 3
    commits.close()


def test_one_that_cannot_be_kept_fails_alone(doors: Doors, blobs: FsspecBlobs) -> None:
    """The others of its group are kept all the same."""
    routes = router(doors, blobs)
    doors.open = threading.Event()
    commits = GroupCommit(routes, delay_s=0.0)
    first = commits.submit(inferred(routes, project(doors)))
    unclaimed = commits.submit(inferred(routes, project(doors), 1, key="never claimed"))
    last = commits.submit(inferred(routes, project(doors), 2))
    doors.open.set()
    with pytest.raises(Conflict):
        unclaimed.result(60)
    assert stored(doors, [first.result(60).prediction.id, last.result(60).prediction.id]) == 2
    commits.close()


def test_a_store_that_is_away_is_told_to_each(doors: Doors, blobs: FsspecBlobs) -> None:
    """And the next group is tried as usual."""
    routes = router(doors, blobs)
    commits = GroupCommit(routes, delay_s=0.0)
    doors.broken = True
    with pytest.raises(Unavailable):
        commits.submit(inferred(routes, project(doors))).result(60)
    doors.broken = False
    assert stored(doors, [commits.submit(inferred(routes, project(doors), 1)).result(60).prediction.id]) == 1
    commits.close()


def test_what_nobody_waits_for_any_more_is_not_kept(doors: Doors, blobs: FsspecBlobs) -> None:
    """Where it was not begun before its caller's deadline, who is told that nothing was kept."""
    routes = router(doors, blobs)
    doors.open = threading.Event()
    commits = GroupCommit(routes, delay_s=0.0)
    first = commits.submit(inferred(routes, project(doors)))
    late = commits.submit(inferred(routes, project(doors), 1), by=time.monotonic() - 0.001)
    early = commits.submit(inferred(routes, project(doors), 2), by=time.monotonic() + 60)
    soon = inferred(routes, project(doors, durability=Durability.SOON), 3)
    answered = commits.submit(soon, by=time.monotonic() - 0.001)
    doors.open.set()
    with pytest.raises(DeadlinePassed, match="nothing was kept"):
        late.result(60)
    kept = [one.result(60).prediction.id for one in (first, early, answered)]
    commits.close()
    assert stored(doors, kept) == 3


def test_a_store_that_kept_a_group_waiting_is_not_waited_for_by_each(
    doors: Doors, blobs: FsspecBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would wait one after the other, for as long as a lock is waited for each time."""
    monkeypatch.setattr("loop.routing.commits._AWAY_SECONDS", 0.0)
    routes = router(doors, blobs)
    doors.open = threading.Event()
    commits = GroupCommit(routes, delay_s=0.0)
    first = commits.submit(inferred(routes, project(doors)))
    answers = [commits.submit(inferred(routes, project(doors), number)) for number in range(1, 9)]
    doors.broken = True
    begun = doors.begun
    doors.open.set()
    for answer in (first, *answers):
        with pytest.raises(Unavailable):
            answer.result(60)
    assert doors.begun - begun <= 2
    commits.close()


def test_a_project_may_be_answered_before_the_commit(doors: Doors, blobs: FsspecBlobs) -> None:
    """Only what is accepted, and has no Idempotency-Key to keep; closing loses none of it."""
    routes = router(doors, blobs)
    doors.open = threading.Event()
    commits = GroupCommit(routes, delay_s=0.0)
    soon = project(doors, durability=Durability.SOON)
    accepted = commits.submit(inferred(routes, soon)).result(60)
    risky = commits.submit(inferred(routes, replace(soon, policy=replace(soon.policy, threshold=0.0)), 1))
    keyed = commits.submit(inferred(routes, soon, 2, key="a"))
    assert stored(doors, [accepted.prediction.id]) == 0
    assert not risky.done()
    assert not keyed.done()
    doors.open.set()
    commits.close()
    assert stored(doors, [accepted.prediction.id, risky.result(0).prediction.id]) == 2


@pytest.mark.parametrize(("retain", "rate", "kept"), [("none", 1.0, 0), ("sampled", 0.5, 25), ("all", 0.0, 50)])
def test_images_of_accepted_predictions_are_kept_as_the_policy_says(
    doors: Doors, blobs: FsspecBlobs, retain: str, rate: float, kept: int
) -> None:
    """A sample is drawn by lot; images that people look at are always there."""
    routes = router(doors, blobs)
    policy = {"retain": Retain(retain), "retain_rate": rate}
    routed = kept_at_once(routes, [inferred(routes, project(doors, **policy), number) for number in range(50)])
    found = sum(blobs.has(one.item.digest) for one in routed)
    assert found == kept if retain != "sampled" else 10 < found < 40
    (looked_at,) = kept_at_once(routes, [inferred(routes, project(doors, threshold=0.0, **policy), 99)])
    assert looked_at.task is not None
    assert blobs.has(looked_at.item.digest)
