"""Lots: items whose answers are accepted, or all looked at again, together.

    open ──full, or old──► inspecting ──sample speaks for it──► accepted
                                │                                 ▲ │
                                └─────sample speaks against it──► rejected   (the two arrows: an operator, by hand)

What the sample accepted is inspected again when one who judged in it is paused.


A lot fills with tasks as they are made; an upload is a lot of its own, which takes what is sent to it until its sender
closes it. At closing the order of inspection is drawn. The answers of those drawn go to
QA as they come; the others wait. In an accepted lot they become ground truth; in a rejected one QA looks at each.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from loop.domain.errors import Conflict
from loop.domain.policy.sampling_plans import Judgement, LotVerdict, Plan, Sequential, judged, numbers_of
from loop.domain.policy.workflow import LARGEST_LOT, LotRules
from loop.domain.review.qa import AnswerStanding

BY_SAMPLE = "service"  # the actor of a decision that no operator made


class LotState(StrEnum):
    OPEN = "open"
    INSPECTING = "inspecting"
    ACCEPTED = "accepted"
    REJECTED = "rejected"

    @property
    def decided(self) -> bool:
        return self in (LotState.ACCEPTED, LotState.REJECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """source: of its items, "" for whatever. items: how many it has. closed_at: when it took its last. upload: it takes
    only what is sent to it, whatever its rules say of the size.

    inspected, defects: on which it was decided, or that are known so far; accept_at, reject_at: so many defects decide
    at that count (accept_at -1: none). reason, actor: of the decision. version: grows with each decision.
    """

    id: str
    project_id: str
    source: str
    state: LotState
    rules: LotRules
    items: int
    opened_at: datetime
    upload: bool = False
    closed_at: datetime | None = None
    decided_at: datetime | None = None
    inspected: int = 0
    defects: int = 0
    accept_at: int = -1
    reject_at: int = 0
    reason: str = ""
    actor: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A work of a lot. place: in the order of inspection, from 0; None until the lot is closed. defect: what QA found;
    None where it has not looked. void: it ended without an answer. standing: of its answer; None where there is none.
    """

    work_id: str
    item_digest: str
    place: int | None
    defect: bool | None
    void: bool
    standing: AnswerStanding | None = None


class Order(Protocol):
    """What is known of a lot's works by their places in the order of inspection, however many there are. A work that
    ended without an answer counts where QA had looked at it before; else it is as if it had not been in the lot."""

    def uncounted(self, before: int) -> int:
        """How many before this place do not count."""
        ...

    def unseen(self, before: int) -> int | None:
        """The first place before this one that counts and that QA has not looked at."""
        ...

    def found(self, before: int) -> tuple[int, int]:
        """How many before this place QA looked at, and how many of those have defects."""
        ...


@dataclass(frozen=True, slots=True)
class Inspection:
    """judgement: None where nothing of the lot was answered in the end. wanted: places at which what counts, and QA has
    not looked at, must be looked at now."""

    judgement: Judgement | None
    wanted: range

    @property
    def decides(self) -> bool:
        return self.judgement is None or self.judgement.verdict is not LotVerdict.CONTINUE


def is_due(lot: Lot, now: datetime) -> bool:
    """Whether it takes no more tasks for its age."""
    after = lot.rules.close_after_seconds
    return after is not None and now >= lot.opened_at + timedelta(seconds=after)


def filled(lot: Lot, count: int, now: datetime) -> Lot:
    """With `count` items more, for which it has room; closed where it is full."""
    items = lot.items + count
    return replace(lot, items=items, closed_at=now if items >= lot.rules.size else None)


def joined(lot: Lot, count: int, now: datetime) -> Lot:
    """An upload with `count` items more. Raises Conflict where it takes none, or not so many."""
    if not lot.upload:
        raise Conflict(
            f"lot {lot.id} is no upload.",
            hint="It fills by itself: send images without a lot, or open one (askance upload, POST …/lots).",
            lot=lot.id,
        )
    if lot.closed_at is not None or is_due(lot, now):
        raise Conflict(
            f"upload {lot.id} is closed.", hint="Open another one (askance upload, POST …/lots).", lot=lot.id
        )
    if lot.items + count > LARGEST_LOT:
        raise Conflict(
            f"upload {lot.id} has {lot.items} items, and a lot at most {LARGEST_LOT}.",
            hint="Close it, and send the rest to another one.",
            lot=lot.id,
        )
    return replace(lot, items=lot.items + count)


def ended(lot: Lot, now: datetime) -> Lot:
    """An upload whose sender has sent all; as it is where it is closed already. Raises Conflict."""
    if not lot.upload:
        raise Conflict(
            f"lot {lot.id} is no upload.",
            hint="It closes by itself when it is full or old (workflow.lots.size, close_after_seconds).",
            lot=lot.id,
        )
    if lot.closed_at is None and lot.items == 0:
        raise Conflict(
            f"nothing was sent to upload {lot.id}.",
            hint="Send images with its id as `lot`, then close it; left empty, it ends by itself.",
            lot=lot.id,
        )
    return lot if lot.closed_at is not None else replace(lot, closed_at=now)


def inspection(plan: Plan, order: Order, items: int) -> Inspection:
    """What the plan says now of a lot of so many works.

    Of a sequential plan one is wanted at a time, since the next is looked at only where the verdict needs it; what QA
    found counts in the order of drawing. Of a fixed sample all are, and count as they come.
    """
    counting = items - order.uncounted(items)
    if counting == 0:
        return Inspection(None, range(0))
    end = _end_of(order, numbers_of(plan, counting).most)
    wanted, seen = range(end), end
    if isinstance(plan, Sequential) and (first := order.unseen(end)) is not None:
        wanted, seen = range(first, first + 1), first
    inspected, defects = order.found(seen)
    judgement = judged(plan, lot=counting, inspected=inspected, defects=defects)
    return Inspection(judgement, wanted if judgement.verdict is LotVerdict.CONTINUE else range(0))


def _end_of(order: Order, count: int) -> int:
    """The first place before which so many works count."""
    end = count
    while (further := count + order.uncounted(end)) > end:
        end = further
    return end


def by_sample(lot: Lot, found: Inspection, now: datetime) -> Lot:
    """The lot with what is known of it, decided where that is enough."""
    judgement = found.judgement
    if judgement is None:
        return replace(_decided(lot, LotState.ACCEPTED, now), reason="nothing was answered", actor=BY_SAMPLE)
    lot = replace(
        lot,
        inspected=judgement.inspected,
        defects=judgement.defects,
        accept_at=judgement.accept_at,
        reject_at=judgement.reject_at,
        reason=judgement.reason,
        actor=BY_SAMPLE,
    )
    if judgement.verdict is LotVerdict.CONTINUE:
        return lot
    return _decided(lot, LotState.ACCEPTED if judgement.verdict is LotVerdict.ACCEPT else LotState.REJECTED, now)


def by_hand(lot: Lot, state: LotState, *, version: int | None, actor: str, reason: str, now: datetime) -> Lot:
    """An operator's decision, in whatever state the lot is. version: that the operator saw; None: whatever it is.
    Raises Conflict where somebody else decided since, or decided the same."""
    if lot.state is state or version not in (None, lot.version):
        by = f" by {lot.actor}" if lot.actor else ""
        raise Conflict(
            f"lot {lot.id} is {lot.state}{by} (version {lot.version}).",
            hint="Look at it again (askance lots show) before you decide otherwise.",
            lot=lot.id,
            state=lot.state.value,
            version=lot.version,
        )
    return replace(_decided(lot, state, now), closed_at=lot.closed_at or now, reason=reason, actor=actor)


def doubted(lot: Lot) -> Lot:
    """A lot when a verdict on one of its answers, that it had no defect, is taken back: what its sample accepted is to
    be judged anew. What an operator decided stays, and of a rejected one QA looks at each answer anyway."""
    if lot.state is not LotState.ACCEPTED or lot.actor != BY_SAMPLE:
        return lot
    return replace(lot, state=LotState.INSPECTING, decided_at=None, version=lot.version + 1)


def _decided(lot: Lot, state: LotState, now: datetime) -> Lot:
    return replace(lot, state=state, decided_at=now, version=lot.version + 1)
