"""What canaries and shadows do with the traffic of this gateway, and taking them back when they break their limits."""

import asyncio
import logging
import time

from starlette.concurrency import run_in_threadpool

from loop.domain.errors import AskanceError, BadImage, DeadlinePassed, ModelTimedOut, Overloaded, PayloadTooLarge
from loop.domain.prediction import Timed, detections_of
from loop.domain.project import Project
from loop.domain.rollouts.rollout import Rollout, ShadowAnswer, takes
from loop.domain.rollouts.traffic import TrafficWindow, breach
from loop.wiring import Services
from serving.api.current import Beside

log = logging.getLogger("askance.rollouts")

# Latencies are compared no oftener than this; a failure is looked at when it happens.
_JUDGED_EVERY_S = 1.0
# A model that has not answered for so long is at fault, however little time its caller gave.
_LONG_SECONDS = 5.0
# Shadows under way beyond this are left out: callers come first.
_MOST_SHADOWS = 32


class _Watched:
    """The two models of a rollout, as this gateway saw them."""

    def __init__(self, rollout: Rollout) -> None:
        self.mine = TrafficWindow(rollout.limits.window_s)
        self.champion = TrafficWindow(rollout.limits.window_s)
        self.champion_id = rollout.champion_id
        self.judged_at = 0.0
        self.taken_back = False

    def compared_with(self, champion_id: str, window_s: float) -> None:
        """Another champion begins with an empty window."""
        if champion_id != self.champion_id:
            self.champion_id, self.champion = champion_id, TrafficWindow(window_s)


class RolloutTraffic:
    """Of one event loop. Each gateway judges by its own share of the traffic."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._watched: dict[str, _Watched] = {}
        self._shadows: set[asyncio.Task[None]] = set()

    def takes(self, rollout: Rollout, prediction_id: str) -> bool:
        return takes(rollout, self._services.router.secret, prediction_id)

    async def canary_answer(self, canary: Beside, content: bytes, deadline: float) -> Timed | None:
        """The canary's answer, in time for another try; None where it has none, by whatever fault. Raises what is the
        caller's own fault."""
        loop, begun = asyncio.get_running_loop(), time.monotonic()
        halfway = loop.time() + (deadline - loop.time()) / 2
        try:
            timed = await self._services.inferencer.infer(canary.model, content, halfway)
        except (BadImage, PayloadTooLarge):
            raise
        except AskanceError as error:
            if _count(self._of(canary.rollout).mine, error, time.monotonic() - begun):
                log.warning("the canary %s of %s failed: %s", canary.model.id, canary.rollout.project_id, error)
                self._judge(canary.rollout, at_once=True)
            return None
        self._answered(canary.rollout, timed)
        return timed

    def champion_answered(self, rollout: Rollout, champion_id: str, timed: Timed) -> None:
        self._of(rollout).compared_with(champion_id, rollout.limits.window_s)
        self._of(rollout).champion.answered(time.monotonic(), timed.seconds)
        self._judge(rollout, at_once=False)

    def champion_failed(self, rollout: Rollout, champion_id: str, error: AskanceError, seconds: float) -> None:
        """After so many seconds. Where the champion fails as often, the fault is not the rollout's."""
        self._of(rollout).compared_with(champion_id, rollout.limits.window_s)
        _count(self._of(rollout).champion, error, seconds)

    def shadow(self, shadow: Beside, project: Project, prediction_id: str, content: bytes) -> None:
        """Let the shadow look too, if this prediction is of its share. Nobody waits for it."""
        if not self.takes(shadow.rollout, prediction_id) or len(self._shadows) >= _MOST_SHADOWS:
            return
        task = asyncio.ensure_future(self._shadow_answer(shadow, project, prediction_id, content))
        self._shadows.add(task)
        task.add_done_callback(self._shadows.discard)

    async def close(self) -> None:
        """Wait for the shadows under way."""
        if self._shadows:
            await asyncio.wait(self._shadows)

    async def _shadow_answer(self, shadow: Beside, project: Project, prediction_id: str, content: bytes) -> None:
        begun = time.monotonic()
        deadline = asyncio.get_running_loop().time() + self._services.settings.limits.request_timeout_s
        try:
            timed = await self._services.inferencer.infer(shadow.model, content, deadline)
        except Overloaded:
            return
        except AskanceError as error:
            if _count(self._of(shadow.rollout).mine, error, time.monotonic() - begun):
                self._judge(shadow.rollout, at_once=True)
            answer = ShadowAnswer(prediction_id, shadow.rollout.id, (), 0.0, str(error))
        else:
            self._answered(shadow.rollout, timed)
            threshold = project.policy.score_threshold
            found = detections_of(timed.inference, shadow.model.head.labels, threshold)
            answer = ShadowAnswer(prediction_id, shadow.rollout.id, found, timed.seconds)
        try:
            await run_in_threadpool(self._keep, answer)
        except AskanceError:
            log.warning("an answer of the shadow %s was not kept", shadow.rollout.id, exc_info=True)

    def _keep(self, answer: ShadowAnswer) -> None:
        with self._services.store.begin() as tx:
            tx.rollouts.add_shadow_answer(answer)

    def _answered(self, rollout: Rollout, timed: Timed) -> None:
        self._of(rollout).mine.answered(time.monotonic(), timed.seconds)
        self._judge(rollout, at_once=False)

    def _judge(self, rollout: Rollout, *, at_once: bool) -> None:
        watched, now = self._of(rollout), time.monotonic()
        if watched.taken_back or not (at_once or now - watched.judged_at >= _JUDGED_EVERY_S):
            return
        watched.judged_at = now
        why = breach(rollout.limits, watched.mine.traffic(now), watched.champion.traffic(now))
        if why is not None:
            watched.taken_back = True
            task = asyncio.ensure_future(self._take_back(rollout, why))
            self._shadows.add(task)
            task.add_done_callback(self._shadows.discard)

    async def _take_back(self, rollout: Rollout, why: str) -> None:
        log.warning("the %s %s of %s is taken back: %s", rollout.kind, rollout.model_id, rollout.project_id, why)
        try:
            await run_in_threadpool(self._services.rollouts.roll_back, rollout.project_id, rollout.id, why)
        except AskanceError:
            # The store is away for a moment: the next failure judges again.
            self._of(rollout).taken_back = False
            log.warning("the rollout %s could not be taken back yet", rollout.id, exc_info=True)

    def _of(self, rollout: Rollout) -> _Watched:
        if rollout.id not in self._watched:
            self._watched[rollout.id] = _Watched(rollout)
        return self._watched[rollout.id]


def _count(window: TrafficWindow, error: AskanceError, seconds: float) -> bool:
    """An inference that ended so; whether it counts as a failure. One that ran out of its caller's time before anybody
    would call it slow says no more than that it takes longer: a caller in a hurry shall not bring a model down. Out of
    the model's own time is a failure."""
    if isinstance(error, (Overloaded, BadImage, PayloadTooLarge)):
        return False
    in_a_hurry = isinstance(error, DeadlinePassed) and not isinstance(error, ModelTimedOut)
    if in_a_hurry and seconds < _LONG_SECONDS:
        window.answered(time.monotonic(), seconds)
        return False
    window.failed(time.monotonic())
    return True
