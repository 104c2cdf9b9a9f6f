"""Custom functions on events: the queue is worked off, whatever functions do and whoever is killed."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from loop.domain.errors import AskanceError
from loop.domain.functions.calls import Asked, Ending, FunctionCall, Ran, done, failed
from loop.domain.item import Item
from loop.domain.policy.function_uses import BY_HAND, FunctionUse, Original, Shapes, use_named
from loop.domain.ports import Blobs, Clock, CustomFunctions, Store, Transaction
from loop.domain.prediction import Detection
from loop.domain.project import Project
from loop.domain.truth import GroundTruth, Shape
from loop.functions.results import Judge, derived, failed_event, judged, made_by, ran_event

log = logging.getLogger("askance.functions")

# Beyond what a call may take: to write down what came of it.
_GRACE = timedelta(seconds=30)
_AT_ONCE = 500  # rows of one transaction, and images that are removed in one go


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """seconds, start_seconds: of one run. pauses: seconds before each retry."""

    seconds: float
    start_seconds: float
    pauses: tuple[float, ...]
    keep: timedelta


@dataclass(frozen=True, slots=True)
class _Scene:
    """What a call is about, as it was before the function ran. declared: the project still wants it."""

    declared: bool
    project: Project
    use: FunctionUse
    asked: Asked
    truth: GroundTruth | None


class _Overtaken(Exception):
    """Somebody else runs this call now."""


@dataclass(frozen=True, slots=True)
class FunctionQueue:
    store: Store
    blobs: Blobs
    functions: CustomFunctions
    judge: Judge
    settings: QueueSettings
    clock: Clock

    def advance(self, stopping: Callable[[], bool] = lambda: False) -> bool:
        """Run the call that is due the longest; whether there was one. stopping: the service ends, and with it what it
        runs, which is then no fault of the function."""
        now = self.clock()
        with self.store.read() as tx:
            if not tx.function_calls.is_due(now):
                return False
        lease = timedelta(seconds=self.settings.seconds + self.settings.start_seconds) + _GRACE
        with self.store.begin() as tx:
            call = tx.function_calls.claim(now=now, until=now + lease)
        if call is None:
            return False
        self._run(call, stopping)
        self.remove_dropped()
        return True

    def tidy(self) -> None:
        """Remove the bytes of dropped images, and forget calls that ended long ago."""
        self.remove_dropped()
        before = self.clock() - self.settings.keep
        while True:
            with self.store.begin() as tx:
                if tx.function_calls.prune(before, _AT_ONCE) < _AT_ONCE:
                    return

    def _run(self, call: FunctionCall, stopping: Callable[[], bool]) -> None:
        with self.store.read() as tx:
            scene = _scene_of(tx, call)
        if not scene.declared:
            gone = Ran(ending=Ending.MISSING, why="the project does not use it any more")
            self._settle(call, scene, gone, pauses=())
            return
        ran = self.functions.run(scene.asked, seconds=self.settings.seconds, start_seconds=self.settings.start_seconds)
        if ran.ending is not Ending.DONE and stopping():
            with self.store.begin() as tx:
                tx.function_calls.settle(replace(call, claimed_until=None))
            return
        judge = self.judge if scene.use.shapes is Shapes.TRUTH else None
        ran = judged(ran, scene.project.recipe, scene.asked.item, judge)
        try:
            self._settle(call, scene, ran, self.settings.pauses)
        except AskanceError as error:  # the blob store is away, or somebody was quicker with the item's truth
            again = replace(ran, ending=Ending.UNAVAILABLE, why=f"its result could not be kept: {error.detail}")
            self._settle(call, scene, again, self.settings.pauses)

    def _settle(self, call: FunctionCall, scene: _Scene, ran: Ran, pauses: Sequence[float]) -> None:
        """What it made, what came of it and the history, in one transaction; nothing where another runs it now."""
        image = ran.returned.image if ran.ending is Ending.DONE else None
        digest = None if image is None else self.blobs.put(image.content)
        now = self.clock()
        try:
            with self.store.begin() as tx:
                if ran.ending is Ending.DONE:
                    settled = done(call, (*ran.returned.messages, *self._effects(tx, scene, ran, digest)), now)
                else:
                    settled = failed(call, ran.why, now, pauses)
                    log.warning("function %s of %s: %s", call.function, call.project_id, ran.why)
                if not tx.function_calls.settle(settled):
                    raise _Overtaken
                more = {"call_id": call.id, "attempt": settled.attempts, "made": digest}
                tx.events.add(ran_event(scene.asked, ran, call.actor, now, **more))
                if settled.state == "failed":
                    tx.events.add(failed_event(scene.asked, ran, call.actor, now, settled.attempts))
        except _Overtaken:
            log.warning("call %s took longer than its claim, and is run by another process", call.id)

    def _effects(self, tx: Transaction, scene: _Scene, ran: Ran, digest: str | None) -> list[str]:
        """As the project's declaration says; told in words. digest: of the new image, where there is one."""
        item, image, shapes = scene.asked.item, ran.returned.image, ran.returned.shapes
        if item is None:
            return []
        if image is not None and digest is not None:
            new = derived(item, image, digest, made_by(scene.asked, ran), self.clock())
            return self._new_image(tx, scene, item, new, shapes)
        if scene.use.shapes is Shapes.TRUTH and shapes is not None:
            return [self._new_truth(tx, scene, item, shapes)]
        return []

    def _new_truth(self, tx: Transaction, scene: _Scene, item: Item, shapes: tuple[Shape, ...]) -> str:
        seen, current = scene.truth, tx.truths.current(item.project_id, item.digest)
        if seen is None or current is None:
            return "The item has no ground truth that its shapes could replace."
        if current.version != seen.version:
            return "People answered anew while it ran; its shapes were left out."
        if current.shapes == shapes:
            return "Its shapes are those of the ground truth."
        tx.truths.add(self._truth(tx, scene, item.digest, current.version + 1, shapes))
        return f"Its shapes are version {current.version + 1} of the ground truth."

    def _new_image(
        self, tx: Transaction, scene: _Scene, item: Item, new: Item, shapes: tuple[Shape, ...] | None
    ) -> list[str]:
        if new.digest == item.digest:
            return ["The image is as it was."]
        tx.items.add(new)
        told = [f"A new image is kept as item {new.digest}."]
        if scene.use.shapes is Shapes.TRUTH and shapes is not None and scene.truth is not None:
            if tx.truths.current(new.project_id, new.digest) is None:
                tx.truths.add(self._truth(tx, scene, new.digest, 1, shapes))
            told.append("It has the ground truth of the first.")
        if scene.use.original is Original.DROP:
            dropped = tx.items.drop(item.project_id, item.digest, by=scene.use.name, at=new.created_at)
            told.append("The first is dropped." if dropped else "The first is kept: a task on it is open.")
        return told

    def _truth(
        self, tx: Transaction, scene: _Scene, digest: str, version: int, shapes: tuple[Shape, ...]
    ) -> GroundTruth:
        """Whose answer it comes from is kept: a function only changed it."""
        # The recipe may have changed while it ran; while it is held, it does not.
        tx.projects.hold(scene.project.id)
        return GroundTruth(
            project_id=scene.project.id,
            item_digest=digest,
            version=version,
            shapes=tx.projects.get(scene.project.id).recipe.translated(shapes),
            submission_ids=scene.truth.submission_ids if scene.truth is not None else (),
            origin=f"function:{scene.asked.function}",
            created_at=self.clock(),
        )

    def remove_dropped(self) -> None:
        """Whatever was dropped before a crash, too."""
        with self.store.read() as tx:
            left = tx.items.left(_AT_ONCE)
        for digest, kept in left.items():
            if not kept:
                self.blobs.remove(digest)
            with self.store.begin() as tx:
                tx.items.removed(digest)


def _scene_of(tx: Transaction, call: FunctionCall) -> _Scene:
    project = tx.projects.get(call.project_id)
    use = use_named(project.policy.functions, call.function)
    item = None if call.item_digest is None else tx.items.get(call.project_id, call.item_digest)
    truth = None if item is None else tx.truths.current(item.project_id, item.digest)
    shapes = () if item is None else truth.shapes if truth is not None else _proposed(tx, project, item)
    asked = Asked(
        function=call.function,
        project_id=call.project_id,
        trigger=call.trigger,
        event=call.body,
        item=item,
        shapes=shapes,
        options={} if use is None else use.options,
    )
    declared = use is not None and call.trigger in (*use.on, BY_HAND)
    return _Scene(declared, project, use or FunctionUse(name=call.function), asked, truth)


def _proposed(tx: Transaction, project: Project, item: Item) -> tuple[Shape, ...]:
    prediction = tx.predictions.latest_of(project.id, item.digest)
    detections: Sequence[Detection] = () if prediction is None else project.recipe.proposed(prediction.detections)
    return tuple(Shape(one.label, one.box) for one in detections)
