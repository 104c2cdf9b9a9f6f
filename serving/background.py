"""What goes on beside the requests, in threads: promotions, cycles, webhooks, deadlines, and what follows answers."""

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from loop.cycle.latency import has_answered
from loop.domain.cycle import Cycle, Step
from loop.domain.errors import AskanceError
from loop.domain.model import Promotion, PromotionKind
from loop.domain.ports import Store
from loop.domain.rollouts.rollout import Rollout
from loop.items.lists import catch_up
from loop.settings import Settings
from loop.wiring import Services
from serving.fleet import Fleet
from serving.priority import BORN_AT, give_way

log = logging.getLogger("askance.serving")

Value = TypeVar("Value")

# On a small machine an idle service should not be felt.
_RECONCILE_SECONDS = 0.5
_WORK_SECONDS = 1.0  # for what takes minutes anyway
_RETIRE_SECONDS = 2.0
_LOOK_AGAIN_SECONDS = 60.0
_LEARN_SECONDS = 20.0
_DEADLINE_SECONDS = 5.0  # deadlines of tasks are minutes and more
_GATE_SECONDS = 1.0  # those of callers who wait are seconds
_LISTS_SECONDS = 0.25
_BETWEEN = 0.03  # seconds from one transaction to the next; SQLite looks after 1, 3, 8 and 18 ms whether a lock is free
_TIDY_SECONDS = 600.0
_DRIFT_SECONDS = 20.0  # from one look whether a window is full to the next
# Of niceness. Swaps and rollbacks are in a hurry: a model that harms may be what keeps the machine busy.
_A_LITTLE = 5


class Worker:
    """Threads beside the service. Promotions and rollouts take seconds, cycles minutes; a first model with many
    imported images waits for its reference set. Rollbacks therefore have a thread that takes nothing else."""

    def __init__(self, settings: Settings, services: Services, ending: Callable[[], bool] = lambda: False) -> None:
        """ending: whether the service is to end, also while it begins."""
        self.fleet = Fleet(settings, services.store, services.blobs, services.clock, ending)
        self._services = services
        self._stop = threading.Event()
        self._under_way: set[str] = set()
        self._taking = threading.Lock()
        # Whether there was something, which then may go on.
        awaited: list[tuple[str, Callable[[], bool], float]] = [
            ("rollbacks", _giving_way(partial(self._settle_next, _is_rollback), _A_LITTLE), _RECONCILE_SECONDS),
            ("promotions", _giving_way(partial(self._settle_next, lambda _: True), _A_LITTLE), _RECONCILE_SECONDS),
            ("cycles", _giving_way(self._cycles), _RECONCILE_SECONDS),
            ("annotations", _giving_way(self._annotations), _WORK_SECONDS),
            ("maps", _giving_way(lambda: services.maps.advance(self._stop.is_set)), _WORK_SECONDS),
        ]
        loops: list[tuple[str, Callable[[], object], float]] = [
            *((name, when_written(services.store, look), pause) for name, look, pause in awaited),
            ("retirements", _giving_way(self.fleet.retire_unused), _RETIRE_SECONDS),
            ("absent models", self.fleet.bring_back, _LOOK_AGAIN_SECONDS),
            ("missing processes", self.fleet.tell_short, _LOOK_AGAIN_SECONDS),
            ("risk", _giving_way(services.risks.refit_due), _LEARN_SECONDS),
            ("guarantee", _giving_way(services.guarantee.look_due), _DEADLINE_SECONDS),
            ("canaries", _giving_way(services.canaries.look), _DEADLINE_SECONDS),
            ("MLflow", _giving_way(lambda: services.telling.run(self._stop.is_set)), _WORK_SECONDS),
            ("webhooks", _giving_way(lambda: services.dispatcher.run(self._stop)), _WORK_SECONDS),
            ("drift", _giving_way(services.drift.look_due), _DRIFT_SECONDS),
            ("triggers", _giving_way(services.triggers.look), _DRIFT_SECONDS),
            ("figures of production", _giving_way(services.production.refresh), _DRIFT_SECONDS),
            ("deadlines", _giving_way(services.escalation.sound), _DEADLINE_SECONDS),
            # For who asks for some not to wait while their lists learn what has changed.
            # Often and little, and as soon as it may: predictions wait for SQLite's lock meanwhile.
            ("lists of items", lambda: catch_up(services.store, lambda: self._stop.wait(_BETWEEN)), _LISTS_SECONDS),
            ("waiting callers", _giving_way(services.gates.put_back), _GATE_SECONDS),
            ("answers", _giving_way(self._follow_answers), _DEADLINE_SECONDS),
            ("work to be done anew", _giving_way(self._do_anew), _DEADLINE_SECONDS),
            ("maps that grow", _giving_way(services.maps.follow), _LOOK_AGAIN_SECONDS),
            ("hashes of images", _giving_way(self._hash_images), _TIDY_SECONDS),
            *((f"functions {n}", self._functions, _WORK_SECONDS) for n in range(settings.functions.at_once)),
            ("functions' leavings", _giving_way(services.function_queue.tidy), _TIDY_SECONDS),
        ]
        self._threads = [
            threading.Thread(target=self._run, args=(work, pause), name=name, daemon=True)
            for name, work, pause in loops
        ]
        # The first look at MLflow takes seconds; it need not be the first cycle that waits for them.
        self._threads.append(threading.Thread(target=self._open_registry, name="registry", daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        self.fleet.close()
        for thread in self._threads:
            thread.join(timeout=5)

    def _open_registry(self) -> None:
        try:
            self._services.telling.open()
        except AskanceError as error:
            log.warning("%s", error)

    def _run(self, work: Callable[[], object], pause_s: float) -> None:
        while not self._stop.wait(pause_s):
            try:
                work()
            except Exception:
                # The store may be away for a while; what is queued stays queued.
                log.exception("the %s loop met an error and goes on", threading.current_thread().name)
                self._stop.wait(2.0)

    def _settle_next(self, mine: Callable[[Promotion | Rollout], bool]) -> bool:
        """Whether there was one."""
        succession = self._services.succession
        with self._taking:
            due = [asked for asked in succession.due(self._under_way) if mine(asked)]
            if due:
                self._under_way.add(due[0].id)
        if not due:
            return False
        asked = due[0]
        try:
            if isinstance(asked, Rollout):
                succession.settle_rollout(asked, self.fleet.introduce, self._stop.is_set)
            else:
                succession.settle(asked, self.fleet.introduce, self._stop.is_set)
        finally:
            self._under_way.discard(asked.id)
            self.fleet.look_again()
        return True

    def _cycles(self) -> bool:
        """Whether there was one that has not ended. One step of each after the other, and at once the next ones; what
        waits is looked at again later."""
        moved, unfinished = True, []
        while moved and not self._stop.is_set():
            with self._services.store.read() as tx:
                unfinished = tx.cycles.unfinished()
            moved = False
            for cycle in unfinished:
                moved |= self._advanced(cycle)
        self._services.controller.tidy()
        return bool(unfinished)

    def _advanced(self, cycle: Cycle) -> bool:
        """Whether it has come to another step."""
        if self._stop.is_set():
            return False
        after = self._services.controller.advance(cycle, self._stop.is_set)
        if cycle.step is Step.EVALUATE and has_answered(after.evaluation.get("latency")):
            with self._services.store.read() as tx:
                candidate = tx.models.get(cycle.project_id, str(after.candidate_id))
            self.fleet.needs_no_rehearsal(candidate)  # the cycle was one
        return after.step is not cycle.step

    def _annotations(self) -> bool:
        """Whether there was one that has not ended."""
        with self._services.store.read() as tx:
            unfinished = tx.annotations.unfinished()
        for job in unfinished:
            if self._stop.is_set():
                break
            self._services.annotator.advance(job, self._stop.is_set)
        return bool(unfinished)

    def _follow_answers(self) -> None:
        """Through quality assurance and lots, also where nobody leases or answers."""
        self._services.rework.free_lapsed()
        self._services.lots.advance_all()

    def _do_anew(self) -> None:
        """What people decided who have been paused since."""
        while self._services.standings.redo() and not self._stop.is_set():
            pass

    def _hash_images(self) -> None:
        """So that a snapshot need not wait for them."""
        if self._services.image_hashes is not None:
            self._services.image_hashes.make_missing(self._stop.is_set)

    def _functions(self) -> None:
        """That events call; they run elsewhere, and this waits for them."""
        while not self._stop.is_set() and self._services.function_queue.advance(self._stop.is_set):
            pass


def when_written(store: Store, look: Callable[[], bool]) -> Callable[[], None]:
    """Looks only where something may be new: the revision has risen since a look that found nothing."""
    idle_at: int | None = None

    def look_or_not() -> None:
        nonlocal idle_at
        revision = store.revision()
        if revision != idle_at:
            idle_at = None if look() else revision

    return look_or_not


def _giving_way(work: Callable[[], Value], steps: int = BORN_AT) -> Callable[[], Value]:
    """The same in a thread that comes after what serves."""

    def later() -> Value:
        give_way(steps)
        return work()

    return later


def _is_rollback(asked: Promotion | Rollout) -> bool:
    return isinstance(asked, Promotion) and asked.kind is PromotionKind.ROLLBACK
