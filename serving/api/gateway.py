"""One prediction, from an encoded image to a durable answer, for the event loop of one gateway."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from prometheus_client import Histogram
from starlette.concurrency import run_in_threadpool

from loop.domain.errors import AskanceError, DeadlinePassed, ModelGone, NoChampion
from loop.domain.identity import digest_of
from loop.domain.model import ModelVersion
from loop.domain.policy.gate import Review
from loop.domain.ports import Claim
from loop.domain.prediction import Timed
from loop.routing.commits import GroupCommit
from loop.routing.router import Caller, Inferred, ReceivedImage, Routed
from loop.wiring import Services
from serving.api.admission import Rates, Room
from serving.api.claims import Claims
from serving.api.current import Current, Served, View
from serving.api.readiness import Readiness
from serving.api.rollout_traffic import RolloutTraffic
from serving.api.staging import Staging
from serving.api.waiting import Waiting

log = logging.getLogger("askance.gateway")

_HASHED_AT_ONCE_BYTES = 1_000_000  # half a millisecond
# A champion may be replaced between reading its name and calling it; the next one is tried at once.
_TRIES = 5

_stages = Histogram(
    "askance_stage_seconds",
    "Seconds of a prediction by stage: decode (with all checks), wait (for the network), network (with NMS), transport "
    "(to the detector and back), commit (with routing), routing (alone).",
    ["stage"],
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)

_DECODE, _WAIT, _NETWORK, _TRANSPORT, _ROUTING, _COMMIT = (
    _stages.labels(stage) for stage in ("decode", "wait", "network", "transport", "routing", "commit")
)

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request for a prediction. deadline: of the loop's clock. gone: returns when the caller has hung up. answer_by:
    until when it waits for a person, should one be needed; None: not at all. lot_id: the upload that it is of."""

    project_id: str
    content: bytes
    caller: Caller
    source: str
    group: str
    deadline: float
    gone: Callable[[], Awaitable[None]]
    review: Review = Review.AUTO
    answer_by: datetime | None = None
    lot_id: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """routed: None where the Idempotency-Key had its answer already, which is `replayed`, a prediction's id."""

    model: ModelVersion | None = None
    routed: Routed | None = None
    replayed: str | None = None


class CallerGone(Exception):
    """Nobody waits for the answer any more; nothing was written."""


class Gateway:
    """What the requests of one gateway share. Make it where its event loop runs; `close` keeps what is queued."""

    def __init__(self, services: Services) -> None:
        settings = services.settings
        limits, gateways = settings.limits, settings.serving.gateway_replicas
        self.services = services
        self.current = Current(services.store)
        self.rates = Rates(
            None if limits.requests_per_second is None else limits.requests_per_second / gateways,
            max(1, limits.burst // gateways),
        )
        serving = settings.serving
        under_way = (
            serving.calls_in_flight
            * serving.images_per_call
            * (serving.shared_replicas or serving.max_replicas or serving.detector_replicas)
        )
        self.room = Room(serving.max_queued_requests + under_way, limits.max_waiting_bytes)
        self.waiting = Waiting(services.store, limits.max_waiting_calls)
        self.readiness = Readiness(services)
        self._commits = GroupCommit(services.router, settings.serving.commit_delay_ms / 1000, _ROUTING.observe)
        self._rollouts = RolloutTraffic(services)
        self._staging = Staging(services.blobs)
        self._claims = Claims(services.store, services.clock)

    async def close(self) -> None:
        await self.waiting.close()
        await self._rollouts.close()
        await run_in_threadpool(self._staging.close)
        await run_in_threadpool(self._commits.close)
        await run_in_threadpool(self._claims.close)
        await self.current.close()

    async def answer(self, view: View, asked: Asked) -> Answered:
        """Raises what the caller has to know, and CallerGone."""
        served = await self.current.served(view, asked.project_id)
        digest = await _digest(asked.content)
        if served.dropped:
            await run_in_threadpool(self.services.collecting.require_kept, asked.project_id, digest)
        claim = await self._claimed(asked, digest)
        if claim is not None and not claim.fresh:
            return Answered(replayed=claim.prediction_id)
        self._commits.expect(1)
        staging = None
        try:
            prediction_id = self.services.router.new_prediction_id()
            asked_before = await self._asked_before(asked, digest)
            if self.services.router.will_retain(served.project, prediction_id):
                staging = self._staging.begin(asked.content)
            served, model, timed = await unless(asked.gone, self._inferred(served, prediction_id, asked))
            staged = None if staging is None else await self._staging.done(staging)
        except BaseException:
            if staging is not None:
                self._staging.drop(staging)
            await self._abandoned(asked.caller)
            raise
        finally:
            self._commits.expect(-1)
        facts = timed.image
        image = ReceivedImage(
            content=asked.content, digest=digest, media_type=facts.media_type, width=facts.width, height=facts.height,
            source=asked.source, group=asked.group,
        )  # fmt: skip
        inferred = Inferred(
            prediction_id=prediction_id, project=served.project, model=model, image=image, inference=timed.inference,
            caller=asked.caller, staged=staged, review=asked.review, answer_by=asked.answer_by,
            thresholds=served.thresholds.get(model.id, ()), lot_id=asked.lot_id, asked_before=asked_before,
        )  # fmt: skip
        # Shielded: once begun, a caller who hangs up does not leave a half-done request behind.
        routed = await asyncio.shield(asyncio.ensure_future(self._kept(inferred, asked.deadline)))
        if served.shadow is not None:
            self._rollouts.shadow(served.shadow, served.project, prediction_id, asked.content)
        return Answered(model, routed)

    async def _kept(self, inferred: Inferred, deadline: float) -> Routed:
        begun = time.perf_counter()
        by = time.monotonic() + deadline - asyncio.get_running_loop().time()
        try:
            return await asyncio.wrap_future(self._commits.submit(inferred, by=by))
        except BaseException:
            if inferred.staged is not None:
                inferred.staged.drop()
            await self._abandoned(inferred.caller)
            raise
        finally:
            _COMMIT.observe(time.perf_counter() - begun)

    async def _inferred(self, served: Served, prediction_id: str, asked: Asked) -> tuple[Served, ModelVersion, Timed]:
        """By the canary where this prediction is of its share, else by the champion; by the next champion where this
        one is gone. One model's whole answer, and the configuration that names it."""
        canary = served.canary
        if canary is not None and self._rollouts.takes(canary.rollout, prediction_id):
            timed = await self._rollouts.canary_answer(canary, asked.content, asked.deadline)
            if timed is not None:
                return served, canary.model, timed
        for attempt in range(1, _TRIES + 1):
            champion = _champion(served)
            beside = [one.rollout for one in (served.canary, served.shadow) if one is not None]
            begun = time.monotonic()
            try:
                timed = await self._by(champion, asked)
            except ModelGone:
                if attempt == _TRIES:
                    raise
                await asyncio.sleep(0.05 * attempt)
                served = await self.current.served(await self.current.view(), asked.project_id)
            except AskanceError as error:
                for rollout in beside:
                    self._rollouts.champion_failed(rollout, champion.id, error, time.monotonic() - begun)
                raise
            else:
                for rollout in beside:
                    self._rollouts.champion_answered(rollout, champion.id, timed)
                return served, champion, timed
        raise AssertionError("the last try returns or raises")

    async def _by(self, model: ModelVersion, asked: Asked) -> Timed:
        begun = time.perf_counter()
        timed = await self.services.inferencer.infer(model, asked.content, asked.deadline)
        _DECODE.observe(timed.decode_s)
        _WAIT.observe(timed.wait_s)
        _NETWORK.observe(timed.network_s)
        _TRANSPORT.observe(max(0.0, time.perf_counter() - begun - timed.seconds))
        return timed

    async def _claimed(self, asked: Asked, digest: str) -> Claim | None:
        caller = asked.caller
        if caller.key is None:
            return None
        told = [asked.project_id, digest, asked.source, asked.group]
        if asked.review is not Review.AUTO:  # not how long it waits: a retry may have less time left
            told.append(asked.review)
        if asked.lot_id is not None:
            told.append(f"lot {asked.lot_id}")
        request_digest = digest_of("\0".join(told).encode())
        return await self._claims.claim(caller.token_id, caller.key, request_digest, asked.deadline)

    async def _asked_before(self, asked: Asked, digest: str) -> bool:
        if asked.lot_id is None:
            return False
        uploads = self.services.uploads
        return await run_in_threadpool(uploads.asked_before, asked.project_id, asked.lot_id, digest)

    async def _abandoned(self, caller: Caller) -> None:
        if caller.key is not None:
            await self._claims.give_back(caller.token_id, caller.key)


async def _digest(content: bytes) -> str:
    """Off the event loop only where that costs less than it holds the others up."""
    if len(content) <= _HASHED_AT_ONCE_BYTES:
        return digest_of(content)
    return await run_in_threadpool(digest_of, content)


def _champion(served: Served) -> ModelVersion:
    if served.champion is None:
        project = served.project.id
        raise NoChampion(
            f"{project} has no model yet.",
            hint=f"Add one: askance models add WEIGHTS --project {project}, or run a cycle on imported truth.",
            project=project,
        )
    return served.champion


async def unless(gone: Callable[[], Awaitable[None]], work: Awaitable[Value]) -> Value:
    """What `work` returns, unless its caller hangs up first: then it is cancelled and CallerGone raised."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise CallerGone
        return working.result()
    finally:
        leaving.cancel()
        working.cancel()


def deadline_after(seconds: float | None, longest: float) -> float:
    """Of the running loop's clock: `seconds` from now, at most `longest`. Raises DeadlinePassed for none at all."""
    if seconds is not None and not seconds > 0:  # NaN neither
        raise DeadlinePassed("the time that this request may take is over already.", hint="Allow some seconds.")
    return asyncio.get_running_loop().time() + min(seconds or longest, longest)
