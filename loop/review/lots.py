"""Lots: which tasks are in them, which of their answers are looked at, and what their verdict does.

A step of a lot is one transaction, which begins with its lock and can be done again: what a crash leaves undone, the
next step does, of whoever comes first (an answer, an operator, the background).
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from loop.domain.access import Permission, Token, require
from loop.domain.errors import AskanceError, Invalid
from loop.domain.identity import new_id
from loop.domain.policy.workflow import LotsBy, Qa, inspection_order
from loop.domain.ports import Clock, Entropy, Event, Store, Transaction
from loop.domain.project import Project
from loop.domain.review.lot import (
    Lot,
    LotState,
    Member,
    by_hand,
    by_sample,
    doubted,
    filled,
    inspection,
    is_due,
    joined,
)
from loop.domain.review.qa import AnswerStanding, recalled
from loop.domain.review.tasks import QA_SEAT, Task, is_leasable
from loop.review import qa

log = logging.getLogger("askance.lots")

_AT_ONCE = 50  # works that a transaction locks, so that reviewers do not wait for it
_UNFOLLOWED = (AnswerStanding.WAITING, AnswerStanding.RECALLED)  # answers that the verdict on their lot has not reached
_STEPS_OF_AN_ANSWER = 4  # to draw, note places, judge, and follow the verdict once; few answers are more than one


def in_lots(tx: Transaction, project: Project, tasks: Sequence[Task], now: datetime, entropy: Entropy) -> list[Task]:
    """The tasks, to be added with `add_members` after, each with the lot that its work is in: the upload that it names,
    or one that fills; as they are where the project has no lots. Opens lots as they are needed, and closes those that
    are full or old. Raises NotFound and Conflict for uploads."""
    _join_uploads(tx, project.id, [task for task in tasks if task.lot_id is not None], now)
    workflow = project.policy.workflow
    if workflow.qa is not Qa.LOTS:
        return list(tasks)
    works: dict[str, list[str]] = {}
    for task in tasks:
        source = task.source if workflow.lots.by is LotsBy.SOURCE else ""
        if task.lot_id is None and task.work_id not in (mine := works.setdefault(source, [])):
            mine.append(task.work_id)
    lot_of: dict[str, str] = {}
    for source in sorted(works):  # all in the same order, so that no two wait for each other
        lot_of |= _placed(tx, project, source, works[source], now, entropy)
    return [replace(task, lot_id=task.lot_id or lot_of[task.work_id]) for task in tasks]


def add_members(tx: Transaction, tasks: Sequence[Task]) -> None:
    """The works of tasks that were added, to their lots."""
    found: dict[str, dict[str, str]] = {}
    for task in tasks:
        if task.lot_id is not None:
            found.setdefault(task.lot_id, {})[task.work_id] = task.item_digest
    for lot_id, works in found.items():
        tx.lots.put(lot_id, works)


def _join_uploads(tx: Transaction, project_id: str, tasks: Sequence[Task], now: datetime) -> None:
    works: dict[str, set[str]] = {}
    for task in tasks:
        works.setdefault(task.lot_id or "", set()).add(task.work_id)
    for lot_id in sorted(works):
        tx.lots.get(project_id, lot_id)  # no lock on what is another project's
        tx.lots.save(joined(tx.lots.for_update(lot_id), len(works[lot_id]), now))


def _placed(
    tx: Transaction, project: Project, source: str, works: Sequence[str], now: datetime, entropy: Entropy
) -> dict[str, str]:
    lot_of: dict[str, str] = {}
    while len(lot_of) < len(works):
        waiting = works[len(lot_of) :]
        lot = tx.lots.filling(project.id, source)
        if lot is not None and is_due(lot, now):
            tx.lots.save(replace(lot, closed_at=now))
            lot = None
        if lot is None:
            count = min(len(waiting), project.policy.workflow.lots.size)
            lot = filled(opened(project, source, now, entropy), count, now)
            if not tx.lots.add(lot):
                continue  # somebody else opened one at this moment
        else:
            count = min(len(waiting), lot.rules.size - lot.items)
            lot = filled(lot, count, now)
            tx.lots.save(lot)
        lot_of |= dict.fromkeys(waiting[:count], lot.id)
    return lot_of


def opened(project: Project, source: str, now: datetime, entropy: Entropy, *, upload: bool = False) -> Lot:
    return Lot(
        id=new_id("lot", now, entropy(10)),
        project_id=project.id,
        source=source,
        state=LotState.OPEN,
        rules=project.policy.workflow.lots,
        items=0,
        opened_at=now,
        upload=upload,
    )


@dataclass(frozen=True, slots=True)
class LotFigures:
    """A lot with how many of its works are where: not answered yet, of each standing, ended without an answer."""

    lot: Lot
    unanswered: int
    answers: Mapping[AnswerStanding, int]
    void: int


@dataclass(frozen=True, slots=True)
class Lots:
    """Lots as operators and the background see them."""

    store: Store
    clock: Clock

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[LotFigures]:
        """Newest first. Raises NotFound for the project."""
        with self.store.read() as tx:
            tx.projects.get(project_id)
            return _figures(tx, tx.lots.page(project_id, after=after, limit=limit))

    def get(self, project_id: str, lot_id: str) -> tuple[LotFigures, list[Member]]:
        """A lot and its works, by their place in the order of inspection. Raises NotFound."""
        with self.store.read() as tx:
            (figures,) = _figures(tx, [tx.lots.get(project_id, lot_id)])
            return figures, tx.lots.members(lot_id)

    def accept(self, operator: Token, project_id: str, lot_id: str, reason: str, *, version: int | None = None) -> Lot:
        """By hand: all its answers become ground truth, but those that somebody is looking at. version: of the lot that
        the operator saw. Raises Conflict where it is accepted, or another operator decided since."""
        return self._decide(operator, project_id, lot_id, LotState.ACCEPTED, reason, version)

    def reopen(self, operator: Token, project_id: str, lot_id: str, reason: str, *, version: int | None = None) -> Lot:
        """By hand: QA looks at each of its answers that it has not looked at. Raises as `accept`."""
        return self._decide(operator, project_id, lot_id, LotState.REJECTED, reason, version)

    def _decide(
        self, operator: Token, project_id: str, lot_id: str, state: LotState, reason: str, version: int | None
    ) -> Lot:
        require(operator, Permission.OPERATE, project_id)
        if not reason.strip():
            raise Invalid("a decision by hand needs a reason.", hint="Say why; it is kept with the lot.")
        now = self.clock()
        with self.store.begin() as tx:
            tx.lots.get(project_id, lot_id)  # no lock on what is another project's
            lot = tx.lots.for_update(lot_id)
            lot = by_hand(lot, state, version=version, actor=operator.name, reason=reason, now=now)
            _written(tx, lot, now, "lot.accepted" if state is LotState.ACCEPTED else "lot.reopened")
        self.advance(lot_id)
        return lot

    def advance(self, lot_id: str) -> None:
        """Do all that can be done for a lot now: close it, draw, call QA, judge, follow the verdict."""
        while self._step(lot_id):
            pass

    def answered(self, lot_id: str) -> None:
        """The same after an answer, as far as its author can wait for: the background does the rest."""
        with _left_to_the_background(lot_id):
            for _ in range(_STEPS_OF_AN_ANSWER):
                if not self._step(lot_id):
                    return

    def advance_all(self) -> int:
        """The background's: of all lots that may have something to do; how many there are."""
        with self.store.read() as tx:
            stirring = tx.lots.stirring()
        for lot_id in stirring:
            with _left_to_the_background(lot_id):
                self.advance(lot_id)
        return len(stirring)

    def _step(self, lot_id: str) -> bool:
        """One transaction; whether there is more to do."""
        now = self.clock()
        secret = self.store.secret()
        with self.store.begin() as tx:
            lot = tx.lots.for_update(lot_id)
            if lot.state is LotState.OPEN:
                return _drawn(tx, lot, secret, now)
            if lot.state is LotState.INSPECTING:
                return _inspected(tx, lot, now)
            return _followed(tx, lot, now)


@contextmanager
def _left_to_the_background(lot_id: str) -> Iterator[None]:
    """For what follows something that is done whatever comes of this: the background repeats it."""
    try:
        yield
    except AskanceError as error:
        log.warning("lot %s waits for the background: %s", lot_id, error)


def stirs(tx: Transaction, task: Task, now: datetime) -> bool:
    """Whether an answer to `task` that waits for its lot gives the lot something to do: most are not of the sample, or
    come after the verdict."""
    if task.lot_id is None:
        return False
    lot = tx.lots.get(task.project_id, task.lot_id)
    if lot.state is LotState.OPEN:
        return lot.closed_at is not None or is_due(lot, now)
    if lot.state.decided:
        return bool(tx.lots.unfollowed(lot.id, limit=1))
    found = inspection(lot.rules.as_plan(), tx.lots.order(lot.id), lot.items)
    place = tx.lots.place(task.work_id)
    return found.decides or place is None or place in found.wanted


def _drawn(tx: Transaction, lot: Lot, secret: bytes, now: datetime) -> bool:
    """Close a lot that is full or old, and draw the order of inspection."""
    if lot.closed_at is None and not is_due(lot, now):
        return False
    tx.lots.draw(inspection_order(secret, lot.id, [member.work_id for member in tx.lots.members(lot.id)]))
    lot = replace(lot, state=LotState.INSPECTING, closed_at=lot.closed_at or now)
    tx.lots.save(lot)
    tell(tx, lot, now, "lot.closed")
    return True


def _inspected(tx: Transaction, lot: Lot, now: datetime) -> bool:
    """Judge by what QA found so far; where that does not suffice, have it look at what is wanted and answered."""
    found = inspection(lot.rules.as_plan(), tx.lots.order(lot.id), lot.items)
    known = by_sample(lot, found, now)
    if known.state.decided:
        _written(tx, known, now, f"lot.{known.state}")
        return True
    if known != lot:
        tx.lots.save(known)
    wanted, unnoted = tx.lots.waiting(lot.id, found.wanted, limit=_AT_ONCE)
    if unnoted:
        tx.lots.note_places(lot.id)
        return True
    _call(tx, lot, sorted(wanted), now)
    return len(wanted) == _AT_ONCE


def _followed(tx: Transaction, lot: Lot, now: datetime) -> bool:
    """Some of the answers that the verdict has not reached."""
    works = tx.lots.unfollowed(lot.id, limit=_AT_ONCE)
    if lot.state is LotState.REJECTED:
        _call(tx, lot, works, now)
    else:
        for work_id in works:
            _let_through(tx, work_id, now)
    return len(works) == _AT_ONCE


def _call(tx: Transaction, lot: Lot, works: Sequence[str], now: datetime) -> None:
    project = tx.projects.get(lot.project_id)
    for work_id in works:
        work = tx.tasks.work_for_update(work_id)
        # Somebody may have asked for the work again, or judged it, before the lock.
        held = tx.held_answers.find(work_id)
        if held is not None and held.standing in _UNFOLLOWED:
            tx.submissions.settle(held.submission_id, settles=False)  # of a lot that was accepted before
            qa.call(tx, project, work, held, now)


def _let_through(tx: Transaction, work_id: str, now: datetime) -> None:
    """An answer of an accepted lot becomes the truth; what somebody is looking at is left to them."""
    work = tx.tasks.work_for_update(work_id)
    held = tx.held_answers.find(work_id)
    if held is None or held.standing not in _UNFOLLOWED:
        return
    judging = next((task for task in work if task.seat == QA_SEAT and not task.finished), None)
    if judging is not None and not is_leasable(judging, now):
        tx.held_answers.stand(work_id, AnswerStanding.IN_QA)
        return
    if judging is not None:
        tx.tasks.save(recalled(judging))
    qa.settle(tx, held, now)


def _written(tx: Transaction, lot: Lot, now: datetime, kind: str) -> None:
    """A decision, and what it means for answers that are where the other decision had them."""
    tx.lots.save(lot)
    if lot.state is LotState.ACCEPTED:
        tx.lots.recall(lot.id)
    else:
        tx.lots.withdraw(lot.id)
    tell(tx, lot, now, kind)


def look_again(tx: Transaction, lot: Lot, work_id: str, now: datetime) -> None:
    """QA's verdict on an answer of a locked lot does not count any more; where the lot was accepted by it, it is judged
    anew. Until then its answers are what they were, and wait."""
    if not tx.lots.uninspected(work_id):
        return
    anew = doubted(lot)
    if anew is not lot:
        tx.lots.save(anew)
        tx.lots.withdraw(lot.id)
        tell(tx, anew, now, "lot.inspecting")


def tell(tx: Transaction, lot: Lot, now: datetime, kind: str, *, by: str = "") -> None:
    """by: who did it; else who decided the lot, or the service."""
    body = {
        "lot_id": lot.id,
        "source": lot.source,
        "items": lot.items,
        "plan": lot.rules.plan.value,
        "inspected": lot.inspected,
        "defects": lot.defects,
        "accept_at": lot.accept_at,
        "reject_at": lot.reject_at,
        "reason": lot.reason,
    }
    tx.events.add(Event(kind, lot.project_id, by or lot.actor or "service", body, now))


def _figures(tx: Transaction, lots: Sequence[Lot]) -> list[LotFigures]:
    ids = [lot.id for lot in lots]
    counts, voids = tx.lots.counts(ids), tx.lots.voids(ids)
    return [
        LotFigures(
            lot,
            unanswered=lot.items - sum(counts[lot.id].values()) - voids[lot.id],
            answers=counts[lot.id],
            void=voids[lot.id],
        )
        for lot in lots
    ]
