"""The service while models are swapped, broken and killed under it, and while it gets ten times what it can do."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import psutil

from askance.client import ApiError, Client
from benchmarks.report import Figure, at_least, at_most, reading
from benchmarks.service.broken_candidates import broken_candidates
from benchmarks.service.load import Answer, Plan, Running
from benchmarks.service.model import other_model
from benchmarks.service.systems import PROJECT, Askance
from loop.domain.errors import AskanceError

LOAD_SHARE = 0.6  # of capacity
OVERLOAD = 10.0  # times capacity
MOST_CONNECTIONS = 1000
P99_BAR = 1.5  # times steady
MEMORY_BAR = 1.1
_EVENT_SECONDS = 10.0  # at least, from one event to the next
_SETTLE_SECONDS = 600.0  # for one promotion
_LONGEST_SECONDS = 7200.0


@dataclass(frozen=True, slots=True)
class Events:
    """How much is done to the service; requests: the fewest to be sent meanwhile."""

    swaps: int = 20
    broken: int = 5
    rollbacks: int = 5
    kills: int = 1
    requests: int = 20_000

    def fewer(self, swaps: int) -> "Events":
        """A short run. No more rollbacks than there are champions to go back to."""
        return replace(self, swaps=swaps, rollbacks=min(self.rollbacks, swaps // 2), requests=0)


@dataclass(frozen=True, slots=True)
class Reign:
    """A model was asked for at `asked` and seen to be champion at `seen`: in between, either may answer."""

    model: str
    asked: float
    seen: float


@dataclass(slots=True)
class Disturbances:
    """What is done to the service, one after the other, and what came of it."""

    service: Askance
    events: Events
    models: tuple[str, str]
    reigns: list[Reign]
    failures: list[str] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)

    def run(self, seconds: float) -> None:
        """Spread over so many seconds, and at least _EVENT_SECONDS for each, so that one is over before the
        next begins."""
        begun = time.monotonic()
        with self.service.operator() as client:
            broken = list(broken_candidates(self.service.setup.weights.read_bytes()).items())
            planned = list(_in_turn(self.events))
            apart = max(seconds / len(planned), _EVENT_SECONDS)
            for turn, (kind, number) in enumerate(planned):
                _sleep_until(begun + apart * turn)
                try:
                    self._do(client, kind, number, broken)
                except (AskanceError, psutil.Error) as error:
                    self.failures.append(f"{kind} {number}: {error}")
                self.done[kind] = self.done.get(kind, 0) + 1

    def _do(self, client: Client, kind: str, number: int, broken: Sequence[tuple[str, bytes]]) -> None:
        if kind == "swap":
            following = self.models[1] if self.reigns[-1].model == self.models[0] else self.models[0]
            self._reign(client, lambda: client.promote(PROJECT, following, "a swap under load").id)
        elif kind == "rollback":
            self._reign(client, lambda: client.rollback(PROJECT, "a rollback under load").id)
        elif kind == "broken":
            self._offer(client, *broken[number % len(broken)])
        else:
            self._kill()

    def _reign(self, client: Client, ask: Callable[[], str]) -> None:
        asked = time.monotonic()
        promotion = client.await_promotion(PROJECT, ask(), timeout_s=_SETTLE_SECONDS)
        seen = time.monotonic()
        if promotion.state != "active":
            self.failures.append(f"{promotion.kind} to {promotion.model_id} {promotion.state}: {promotion.error}")
            return
        self.reigns.append(Reign(promotion.model_id, asked, seen))

    def _offer(self, client: Client, what: str, content: bytes) -> None:
        """Refused at the door, or taken in and never champion."""
        try:
            model = client.add_model(PROJECT, content)
            asked = client.promote(PROJECT, model.id, f"a broken candidate: {what}")
        except ApiError as error:
            if error.status >= 500:
                self.failures.append(f"{what}: {error.status} {error.detail}")
            return
        if client.await_promotion(PROJECT, asked.id, timeout_s=_SETTLE_SECONDS).state == "active":
            self.failures.append(f"{what} took traffic")

    def _kill(self) -> None:
        for process in self.service.tree.processes():
            with contextlib.suppress(psutil.Error):
                if "ServeReplica:det-" in " ".join(process.cmdline()):
                    process.kill()
                    return
        self.failures.append("no detector replica to kill")


def _in_turn(events: Events) -> Iterator[tuple[str, int]]:
    """Swaps, with the others spread evenly among them."""
    counts = {"swap": events.swaps, "broken": events.broken, "rollback": events.rollbacks, "kill": events.kills}
    planned = [((i + 1) / (count + 1), kind, i) for kind, count in counts.items() for i in range(count)]
    return ((kind, number) for _, kind, number in sorted(planned))


def swapped_under_load(
    service: Askance, capacity: float, events: Events, how: str, *, steady_seconds: float
) -> tuple[list[Figure], list[str]]:
    """The figures, and what went wrong in words. capacity: requests/s in a closed loop. how: for the figures' names."""
    rate = LOAD_SHARE * capacity
    with service.operator() as client:
        first = client.await_champion(PROJECT)
        second = client.add_model(PROJECT, other_model(service.setup.weights.read_bytes())).id
    steady = _steady(service, rate, steady_seconds / 2)
    reigns = [Reign(first, float("-inf"), float("-inf"))]
    disturbances = Disturbances(service, events, (first, second), reigns)
    with Running(_open_loop(service, rate, _LONGEST_SECONDS)) as load:
        _sleep_until(load.opens + 1.0)
        disturbances.run(events.requests / rate)
        _sleep_until(load.opens + events.requests / rate)
        load.close()
        answers = load.report().answers
    # Before and after: a shared machine does not keep its speed for the length of this.
    steady += _steady(service, rate, steady_seconds / 2)
    n = len(answers)
    wrong = sum(not _legitimate(a, disturbances.reigns) for a in answers if a.good)
    p99 = [
        float(np.percentile([a.latency for a in some if a.good] or [float("nan")], 99)) for some in (answers, steady)
    ]
    done = ", ".join(f"{count} {kind}" for kind, count in sorted(disturbances.done.items()))
    under = f"under {done}{how}"
    found = [
        at_most(f"non-2xx {under}", sum(not a.good for a in answers), 0, "requests", n),
        at_least(f"requests {under}", n, events.requests, "requests", n),
        at_most(f"p99 {under} ÷ steady", p99[0] / p99[1], P99_BAR, "ratio", n),
        reading(f"p99 steady at 60 % of capacity{how}", 1000 * p99[1], "ms", len(steady)),
        at_most(f"answers by a model that was not champion{how}", wrong, 0, "requests", n),
        at_most(f"swaps, rollbacks and refusals that went wrong{how}", len(disturbances.failures), 0, "events", n),
    ]
    return found, disturbances.failures + _statuses(answers)


def _steady(service: Askance, rate: float, seconds: float) -> list[Answer]:
    with Running(_open_loop(service, rate, seconds)) as load:
        return list(load.report().answers)


def _open_loop(service: Askance, rate: float, seconds: float) -> Plan:
    return Plan(service.target, service.setup.contents(), 0.0, seconds, MOST_CONNECTIONS, rate=rate, timeout_s=60.0)


def _sleep_until(instant: float) -> None:
    time.sleep(max(0.0, instant - time.monotonic()))


def _legitimate(answer: Answer, reigns: Sequence[Reign]) -> bool:
    """Whether its model was champion at some moment between sending and receiving."""
    for reign, following in zip(reigns, [*reigns[1:], None], strict=True):
        until = float("inf") if following is None else following.seen
        if reign.model == answer.model and answer.received >= reign.asked and answer.sent <= until:
            return True
    return False


def _statuses(answers: Sequence[Answer]) -> list[str]:
    counts = Counter(answer.fault or f"status {answer.status}" for answer in answers)
    return [f"{count} x {what}" for what, count in sorted(counts.items())]


def overloaded(service: Askance, capacity: float, seconds: float) -> tuple[list[Figure], list[str]]:
    """An open loop at ten times what the service can do; memory is sampled once a second."""
    resident: list[int] = []
    with Running(_open_loop(service, OVERLOAD * capacity, seconds)) as load:
        while time.monotonic() < load.closes:
            resident.append(service.tree.resident_bytes())
            time.sleep(max(0.5, seconds / 120))
        answers = load.report().answers
    half = len(resident) // 2
    growth = max(resident[half:]) / max(resident[:half])
    good = {a.id for a in answers if a.good}
    in_time = sum(a.good and a.received < load.closes for a in answers)
    others = sum(not a.good and a.status not in (429, 503) for a in answers)
    refused = [a for a in answers if a.status in (429, 503)]
    silent = sum(a.retry_after < 1 for a in refused)
    n = len(answers)
    found = [
        at_most("10× overload: other than 2xx, 429, 503", others, 0, "requests", n),
        at_most("10× overload: 429 and 503 without Retry-After", silent, 0, "requests", len(refused)),
        at_most(
            "10× overload: most memory in the second half ÷ in the first", growth, MEMORY_BAR, "ratio", len(resident)
        ),
        at_most(
            "10× overload: 2xx that are not in the store", len(good - _stored(service, good)), 0, "requests", len(good)
        ),
        reading("10× overload: share answered 2xx", len(good) / max(1, n), "share", n),
        reading("10× overload: images/s meanwhile", in_time / seconds, "images/s", n),
        reading("10× overload: memory at the end", resident[-1] / 2**20, "MiB", len(resident)),
    ]
    return found, _statuses(answers)


def _stored(service: Askance, wanted: set[str]) -> set[str]:
    """Those of `wanted` that the list of predictions shows, newest first, until all were seen or it ends."""
    found: set[str] = set()
    after: str | None = None
    while wanted - found:
        ids, after = service.predictions(after)
        found |= wanted & set(ids)
        if after is None:
            break
    return found
