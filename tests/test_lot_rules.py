"""What a lot needs looked at, what its sample says, and who may decide otherwise."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loop.domain.errors import Conflict, Invalid
from loop.domain.policy.sampling_plans import FixedShare, LotVerdict, Plan, Risks, Sequential, Single, curve_of
from loop.domain.policy.workflow import (
    LotRules,
    PlanKind,
    Qa,
    Workflow,
    changed_workflow,
    drawn_for_qa,
    inspection_order,
    workflow_of,
)
from loop.domain.review.lot import Inspection, Lot, LotState, Member, by_hand, by_sample, filled, inspection, is_due
from loop.domain.review.qa import AnswerStanding
from tests.contract.records import NOW

SIZE = 60
RISKS = Risks(aql=0.02, ltpd=0.15)
PLANS = {"share": FixedShare(0.2, 0.1), "single": Single(RISKS), "sequential": Sequential(RISKS)}


def a_lot(**changes: object) -> Lot:
    lot = Lot(
        id="lot_1", project_id="p", source="", state=LotState.INSPECTING, rules=LotRules(), items=SIZE, opened_at=NOW,
        closed_at=NOW,
    )  # fmt: skip
    return replace(lot, **changes)  # type: ignore[arg-type]


def members(defects: Sequence[bool | None], void: Sequence[int] = ()) -> list[Member]:
    return [
        Member(
            work_id=f"w{at}", item_digest="", place=at, defect=found, void=at in void, standing=AnswerStanding.WAITING
        )
        for at, found in enumerate(defects)
    ]


class Known:
    """An `Order` of works that are all there to be looked through."""

    def __init__(self, lot: Sequence[Member]) -> None:
        self._works = sorted(lot, key=lambda one: one.place or 0)

    def uncounted(self, before: int) -> int:
        return sum(not counts(one) for one in self._works[:before])

    def unseen(self, before: int) -> int | None:
        return next((one.place for one in self._works[:before] if counts(one) and one.defect is None), None)

    def found(self, before: int) -> tuple[int, int]:
        seen = [one.defect for one in self._works[:before] if one.defect is not None]
        return len(seen), sum(seen)


def counts(member: Member) -> bool:
    return not member.void or member.defect is not None


def inspected(plan: Plan, lot: Sequence[Member]) -> Inspection:
    """Of all its works, in whatever order."""
    return inspection(plan, Known(lot), len(lot))


def wanted(plan: Plan, lot: Sequence[Member]) -> list[str]:
    places = inspected(plan, lot).wanted
    return [one.work_id for one in lot if one.place in places and counts(one) and one.defect is None]


def looked_at(plan: Plan, wrong: frozenset[str], secret: bytes, voids: frozenset[str] = frozenset()) -> Inspection:
    """Judge a lot of which the answers to the works `wrong` have defects, as its plan asks."""
    order = inspection_order(secret, "lot", [f"w{number}" for number in range(SIZE)])
    lot = {
        work: Member(work_id=work, item_digest="", place=at, defect=None, void=work in voids)
        for at, work in enumerate(order)
    }
    while asked := wanted(plan, list(lot.values())):
        for work in asked[::-1]:  # people answer in whatever order
            lot[work] = replace(lot[work], defect=work in wrong)
    return inspected(plan, list(lot.values()))


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("defects", [1, 4, 9])
def test_lots_are_accepted_as_often_as_their_plan_says(plan: Plan, defects: int) -> None:
    """Reviewers with a known rate of defects: the share of accepted lots, and the mean number looked at, within four
    standard errors of what the curve says."""
    lots = 150
    wrong = frozenset(f"w{number}" for number in range(defects))
    found = [looked_at(plan, wrong, f"secret {number}".encode()).judgement for number in range(lots)]
    accepted = np.mean([one is not None and one.verdict is LotVerdict.ACCEPT for one in found])
    inspected = [one.inspected for one in found if one is not None]
    curve = curve_of(plan, SIZE, [defects])
    p = float(curve.accepts[0])
    assert abs(accepted - p) <= 4 * sqrt(p * (1 - p) / lots) + 1 / lots
    if isinstance(plan, Sequential):  # a fixed sample is called all at once, and need not stop early
        assert abs(np.mean(inspected) - curve.inspects[0]) <= 4 * np.std(inspected) / sqrt(lots) + 0.1


def test_what_ended_without_an_answer_is_not_of_the_lot() -> None:
    """The next in the order takes its place, and the plan is that of the smaller lot."""
    voids = frozenset(f"w{number}" for number in range(0, SIZE, 2))
    found = looked_at(FixedShare(0.2, 0.0), frozenset(), b"secret", voids).judgement
    assert found is not None
    assert (found.verdict, found.inspected) == (LotVerdict.ACCEPT, SIZE // 2 // 5)
    assert inspected(FixedShare(0.2, 0.0), members([None, None], void=(0, 1))).judgement is None


def test_a_defect_counts_though_the_work_ended_without_an_answer_after() -> None:
    found = inspected(FixedShare(1.0, 0.0), members([True, None], void=(0,)))
    assert found.judgement is not None
    assert found.judgement.verdict is LotVerdict.REJECT


def test_a_fixed_sample_is_wanted_at_once_and_a_sequential_one_by_one() -> None:
    assert wanted(FixedShare(0.5, 0.3), members([None] * 8)) == ["w0", "w1", "w2", "w3"]
    assert wanted(Sequential(RISKS), members([False, None, *[None] * 58])) == ["w1"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([None, True, False]), min_size=1, max_size=30), st.sampled_from(list(PLANS.values())))
def test_a_lot_is_decided_or_wants_something(found: list[bool | None], plan: Plan) -> None:
    """Never both, never neither."""
    judgement = inspected(plan, members(found)).judgement
    assert judgement is not None
    assert (judgement.verdict is not LotVerdict.CONTINUE) is (not wanted(plan, members(found)))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([None, True, False]), st.booleans()), min_size=1, max_size=30),
    st.sampled_from(list(PLANS.values())),
)
def test_a_lot_is_judged_as_if_what_does_not_count_had_not_been_in_it(
    works: list[tuple[bool | None, bool]], plan: Plan
) -> None:
    """By the first of those that count, in their order, and as many of them as the plan looks at."""
    lot = members([defect for defect, _ in works], void=[at for at, (_, void) in enumerate(works) if void])
    left = [one for one in lot if counts(one)]
    judgement = inspected(plan, lot).judgement
    assert (judgement is None) is (not left)
    alone = [replace(one, place=place, void=False) for place, one in enumerate(left)]
    if alone:
        assert judgement == inspected(plan, alone).judgement
        assert wanted(plan, lot) == wanted(plan, alone)


def test_the_order_of_inspection_is_secret_and_stays() -> None:
    works = [f"w{number}" for number in range(50)]
    drawn = inspection_order(b"a", "lot", works)
    assert sorted(drawn) == sorted(works)
    assert drawn == inspection_order(b"a", "lot", works[::-1])
    assert drawn != inspection_order(b"b", "lot", works)
    assert drawn != inspection_order(b"a", "lot 2", works)


def test_a_share_is_drawn_by_a_keyed_lot() -> None:
    drawn = [drawn_for_qa(b"secret", f"task_{number}", 0.2) for number in range(1000)]
    assert drawn == [drawn_for_qa(b"secret", f"task_{number}", 0.2) for number in range(1000)]
    assert abs(sum(drawn) - 200) <= 4 * sqrt(1000 * 0.2 * 0.8)
    assert drawn_for_qa(b"secret", "task", 1.0)
    assert not drawn_for_qa(b"secret", "task", 0.0)


def test_a_decision_keeps_its_numbers() -> None:
    """And who made it; without any answer a lot is let go."""
    plan = FixedShare(0.5, 0.0)
    decided = by_sample(a_lot(), inspected(plan, members([True, None])), NOW)
    assert (decided.state, decided.inspected, decided.defects, decided.actor) == (LotState.REJECTED, 1, 1, "service")
    assert (decided.reject_at, decided.version, decided.decided_at) == (1, 1, NOW)
    empty = by_sample(a_lot(), Inspection(None, range(0)), NOW)
    assert (empty.state, empty.inspected) == (LotState.ACCEPTED, 0)


@pytest.mark.parametrize(
    ("state", "wanted", "version", "allowed"),
    [
        (LotState.OPEN, LotState.ACCEPTED, 0, True),
        (LotState.INSPECTING, LotState.REJECTED, None, True),
        (LotState.ACCEPTED, LotState.REJECTED, 0, True),
        (LotState.REJECTED, LotState.ACCEPTED, 0, True),
        (LotState.ACCEPTED, LotState.ACCEPTED, None, False),
        (LotState.REJECTED, LotState.REJECTED, 0, False),
        (LotState.INSPECTING, LotState.ACCEPTED, 1, False),
    ],
)
def test_who_decides_by_hand(state: LotState, wanted: LotState, version: int | None, allowed: bool) -> None:
    """From any state to another, unless somebody decided since the operator looked."""
    lot = a_lot(state=state, closed_at=None if state is LotState.OPEN else NOW)
    later = NOW + timedelta(seconds=9)
    if not allowed:
        with pytest.raises(Conflict):
            by_hand(lot, wanted, version=version, actor="op", reason="seen", now=later)
        return
    decided = by_hand(lot, wanted, version=version, actor="op", reason="seen", now=later)
    assert (decided.state, decided.version, decided.actor, decided.reason) == (wanted, 1, "op", "seen")
    assert decided.closed_at is not None


def test_a_lot_fills_and_ages() -> None:
    lot = a_lot(rules=LotRules(size=3, close_after_seconds=60.0), items=1, closed_at=None)
    assert filled(lot, 1, NOW).closed_at is None
    assert filled(lot, 2, NOW).closed_at == NOW
    assert not is_due(lot, NOW + timedelta(seconds=59))
    assert is_due(lot, NOW + timedelta(seconds=60))
    assert not is_due(replace(lot, rules=LotRules(close_after_seconds=None)), NOW + timedelta(days=9999))


def test_a_workflow_is_read_from_plain_values() -> None:
    """What is left out has its default, and stays at a change; what there is none of is refused, with what there is."""
    assert workflow_of({}) == Workflow()
    changed = changed_workflow(Workflow(qa=Qa.LOTS), {"lots": {"plan": "single", "size": 9}})
    assert (changed.qa, changed.lots.plan, changed.lots.size) == (Qa.LOTS, PlanKind.SINGLE, 9)
    assert isinstance(changed.lots.as_plan(), Single)
    with pytest.raises(Invalid, match="perhaps"):
        changed_workflow(Workflow(), {"qa": "perhaps"})
