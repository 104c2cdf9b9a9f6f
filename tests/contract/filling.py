"""Items with all that can be said of them, in a random order: what lists are held against."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from loop.domain.item import Item, Split
from loop.domain.policy.workflow import LotRules
from loop.domain.prediction import Detection
from loop.domain.quality.golden import GoldenItem
from loop.domain.review.efforts import Effort
from loop.domain.review.lot import Lot, LotState
from loop.domain.review.tasks import Task, TaskState
from loop.domain.stage import Stage
from loop.domain.truth import Shape
from loop.items.lists import catch_up
from loop.store.database import SqlStore
from tests.contract.records import (
    PROJECT,
    a_model,
    a_prediction,
    a_project,
    a_submission,
    a_task,
    a_truth,
    digest,
)
from tests.item_queries import KEYS, NOW, WORDS, Known

BOX = (0.0, 0.0, 1.0, 1.0)
LABELS = ("cam", "Cam", "seven")
OTHER = "other"
CAPTURED = {
    "2026-05-30": datetime(2026, 5, 30, tzinfo=UTC),
    "2026-06-01T12:00:00+02:00": datetime(2026, 6, 1, 10, tzinfo=UTC),
}


class Fill:
    """Writes items and all that is said of them through the store, in many transactions, and knows what it comes to."""

    def __init__(self, store: SqlStore, seed: int, count: int = 40) -> None:
        self.store = store
        self.rng = random.Random(seed)
        self.number = 0
        self._ended: Task | None = None
        self._newest: dict[str, tuple[datetime, str]] = {}
        self._in_lot: dict[str, dict[str, bool]] = {}
        self.items = [self._item(number) for number in range(count)]
        self.known = {item.digest: self._known(item) for item in self.items}

    def write(self) -> list[Known]:
        with self.store.begin() as tx:
            tx.projects.add(a_project())
            tx.projects.add(a_project(OTHER))
            tx.models.add(a_model(0))
            tx.models.add(a_model(1))
            tx.items.add_all([*self.items[::2], replace(self.items[0], source="ignored", meta={"k": "ignored"})])
            # Of another project, with the same digests: never to be seen.
            tx.items.add_all([replace(item, project_id=OTHER) for item in self.items])
            lot = Lot(
                id="lot_1", project_id=PROJECT, source="", state=LotState.OPEN, rules=LotRules(), items=1, opened_at=NOW
            )
            tx.lots.add(lot)
        for item in self.items[1::2]:
            with self.store.begin() as tx:
                assert tx.items.add(item)
                assert not tx.items.add(replace(item, meta={"k": "ignored"}))
        order = [step for step in range(5) for _ in self.items]
        self.rng.shuffle(order)
        for step in order:
            self._step(step, self.rng.choice(self.items))
            if self.rng.random() < 0.2:  # between changes of one item, too
                catch_up(self.store)
        catch_up(self.store)
        return list(self.known.values())

    def change(self) -> None:
        """Something of an item, or another item; lists follow at some later time."""
        if self.rng.random() < 0.1:
            item = self._item(len(self.items))
            with self.store.begin() as tx:
                tx.items.add(item)
            self.items.append(item)
            self.known[item.digest] = self._known(item)
        else:
            self._step(self.rng.randrange(6), self.rng.choice(self.items))

    def _step(self, step: int, item: Item) -> None:
        self.number += 1
        with self.store.begin() as tx:
            (self._predict, self._work, self._settle, self._mark, self._describe, self._void)[step](tx, item)
        if self._ended is not None:  # apart from its making, for each of the two to be what changes the facts
            with self.store.begin() as tx:
                tx.tasks.save(self._ended)
            self._ended = None

    def _item(self, number: int) -> Item:
        rng, meta = self.rng, self._meta()
        return Item(
            project_id=PROJECT,
            digest=digest(number),
            media_type=rng.choice(["image/png", "image/jpeg"]),
            width=rng.choice([1, 640, 641]),
            height=rng.choice([1, 640]),
            created_at=NOW + timedelta(days=rng.randrange(-4, 4)),
            source=rng.choice([*WORDS, "a" * 300]),
            group=rng.choice(["", "clip/7"]),
            split=rng.choice([None, *Split]),
            meta=meta,
        )

    def _known(self, item: Item) -> Known:
        return Known(
            digest=item.digest,
            created_at=item.created_at,
            width=item.width,
            height=item.height,
            source=item.source[:200],
            group=item.group,
            media_type=item.media_type,
            split=item.split,
            **_known_of(item.meta),
        )

    def _meta(self) -> dict[str, str]:
        rng = self.rng
        meta = {key: rng.choice([*WORDS, "5", "-1.5e0", "1e999", "x" * 300]) for key in KEYS if rng.random() < 0.4}
        if rng.random() < 0.5:
            meta["captured_at"] = rng.choice([*CAPTURED, "then", "0001-01-01T00:00+05:00"])
        return meta

    def _say(self, item: Item, **changes: object) -> None:
        self.known[item.digest] = replace(self.known[item.digest], **changes)

    def _predict(self, tx, item: Item) -> None:
        model, stage = self.rng.randrange(2), self.rng.choice([None, Stage.ANNOTATE, Stage.AUDIT])
        at = NOW + timedelta(hours=self.rng.randrange(3))
        made = a_prediction(self.number, model=model, stage=stage, at=at)
        labels = frozenset(self.rng.choices(LABELS, k=self.rng.randrange(3)))
        risk = self.rng.choice([0.0, 0.25, 1 / 3, 1.0])
        made = replace(
            made,
            item_digest=item.digest,
            detections=tuple(Detection(label, 0.5, BOX) for label in sorted(labels) * 2),
            decision=replace(made.decision, risk=risk),
        )
        tx.predictions.add(made)
        if (at, made.id) > self._newest.get(item.digest, (NOW - timedelta(days=9), "")):
            self._newest[item.digest] = (at, made.id)
            self._say(
                item,
                model=made.model_id,
                risk=risk,
                routed="accept" if stage is None else stage.value,
                detections=labels,
            )

    def _work(self, tx, item: Item) -> None:
        stage = self.rng.choice([Stage.ANNOTATE, Stage.GOLDEN])
        task = replace(a_task(self.number, stage=stage), item_digest=item.digest)
        tx.tasks.add_all([task])
        state = self.rng.choice(list(TaskState))
        if state is not TaskState.OPEN:
            task = replace(task, epoch=1, state=state, owner="tok_1")
            if state is TaskState.LEASED:
                task = replace(task, expires_at=NOW)
            self._ended = task
        if stage is Stage.GOLDEN:
            return
        rank = {None: 0, "skipped": 1, "done": 2, "leased": 3, "open": 4}
        self._say(item, work=max(self.known[item.digest].work, state.value, key=rank.__getitem__))
        if self.rng.random() < 0.5:
            tx.lots.put("lot_1", {task.id: item.digest})
            self._in_lot.setdefault(item.digest, {})[task.id] = True
            self._say(item, lot="lot_1")
        if state is TaskState.DONE:
            self._submit(tx, item, task)

    def _describe(self, tx, item: Item) -> None:
        meta = self._meta()
        tx.items.describe(PROJECT, {item.digest: meta})
        self._say(item, **_known_of(meta))

    def _void(self, tx, item: Item) -> None:
        """A work that is in a lot counts no more there, or again."""
        works = self._in_lot.get(item.digest)
        if works:
            work = self.rng.choice(sorted(works))
            works[work] = not works[work]
            tx.lots.set_void(work, void=not works[work])
            self._say(item, lot="lot_1" if any(works.values()) else None)

    def _submit(self, tx, item: Item, task: Task) -> None:
        at = NOW + timedelta(seconds=self.number)
        corrections, settles = self.rng.choice([None, 0, 3]), self.rng.random() < 0.7
        submission = replace(a_submission(task, self.number, at=at), settles=False)
        tx.submissions.add(submission)
        tx.efforts.add(
            Effort(
                submission_id=submission.id,
                project_id=PROJECT,
                item_digest=item.digest,
                task_id=task.id,
                work_id=task.work_id,
                round=0,
                reviewer="tok_1",
                source="",
                stage=task.stage,
                outcome=submission.outcome,
                labels={},
                corrections=corrections,
                seconds=1.0,
                active_seconds=None,
                proposal_shown=None,
                created_at=at,
            )
        )
        if settles:
            tx.submissions.settle(submission.id, settles=True)
            if corrections is not None:
                self._say(item, corrections=corrections)

    def _settle(self, tx, item: Item) -> None:
        labels = frozenset(self.rng.choices(LABELS, k=self.rng.randrange(3)))
        version = self.known[item.digest].truth + 1
        truth = replace(a_truth(version), item_digest=item.digest, shapes=tuple(Shape(one, BOX) for one in labels))
        (tx.truths.add if self.rng.random() < 0.5 else lambda one: tx.truths.add_all([one]))(truth)
        self._say(item, truth=version, shapes=labels)

    def _mark(self, tx, item: Item) -> None:
        what = self.rng.randrange(4)
        if what == 0:
            tx.golden.save(
                GoldenItem(
                    project_id=PROJECT, item_digest=item.digest, version=1, shapes=(), added_by="x", added_at=NOW
                )
            )
            self._say(item, golden=True)
        elif what == 1 and self.known[item.digest].golden:
            tx.golden.remove(PROJECT, item.digest)
            self._say(item, golden=False)
        elif what == 2:
            if self.rng.random() < 0.5:
                tx.items.set_split(PROJECT, item.digest, Split.VAL, "clip/9")
            else:
                tx.items.set_splits([replace(item, split=Split.VAL, group="clip/9")])
            self._say(item, split="val", group="clip/9")
        else:
            add, remove = self.rng.sample(["cam", "a b", "é"], 2)
            assert tx.item_queries.tag(PROJECT, [item.digest, "no such"], add=[add], remove=[remove]) == 1
            self._say(item, tags=self.known[item.digest].tags - {remove} | {add})


def _known_of(meta: dict[str, str]) -> dict[str, object]:
    return {
        "captured_at": CAPTURED.get(meta.get("captured_at", "")),
        "meta": {key: value[:200] for key, value in meta.items()},
    }
