"""What a paused person answered in lots, on both databases: what goes back to the queue, and what is left to QA."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from loop.domain.policy.quality_rules import QualityPolicy, Standing
from loop.domain.policy.queue_rules import QueueRules
from loop.domain.policy.workflow import LotRules, Qa, Workflow
from loop.domain.review.lot import LotState
from loop.domain.review.qa import AnswerStanding
from loop.domain.review.queueing import seats
from loop.domain.review.tasks import QA_SEAT, Outcome
from loop.domain.stage import Stage
from loop.domain.truth import Shape
from loop.review.desk import Desk
from loop.review.lots import Lots, add_members, in_lots
from loop.store.database import SqlStore
from tests.contract.records import NOW, PROJECT, a_project, a_task, an_item
from tests.contract.test_golden import HALF, OPERATOR, PEOPLE, RIGHT, STANDING, WRONG, World

NOTHING_LOOKED_AT = LotRules(size=4, share=0.25, threshold=0.0)


def opened(store: SqlStore, lots: LotRules, *, works: int = 4, people: int = 1) -> World:
    """So many items whose tasks are in lots."""
    project = a_project()
    workflow, quality = Workflow(qa=Qa.LOTS, lots=lots), QualityPolicy(standing=STANDING)
    queue = QueueRules(people={Stage.ANNOTATE: people})
    with store.begin() as tx:
        policy = replace(project.policy, workflow=workflow, quality=quality, queue=queue)
        tx.projects.add(replace(project, policy=policy))
        for token in (*PEOPLE.values(), OPERATOR):
            tx.tokens.add(token)
        for number in range(works):
            tx.items.add(an_item(number))
    with store.begin() as tx:
        first = [a_task(number, item=number) for number in range(works)]
        made = [seat for task in first for seat in seats(task, queue, (), several=True)]
        placed = in_lots(tx, tx.projects.get(PROJECT), made, NOW, os.urandom)
        tx.tasks.add_all(placed)
        add_members(tx, placed)
    world = World(store)
    world.desk = Desk(store, world.now, os.urandom)
    return world


def answer_all(world: World, name: str, shapes: Sequence[Shape] = RIGHT) -> list[str]:
    """All ordinary work that there is for a person; the works, in their order."""
    works = []
    while first_hand := [one for one in world.lease(name, 20).assignments if one.task.is_first_hand]:
        for one in first_hand:
            world.submit(name, one, shapes)
            works.append(one.task.work_id)
    return works


def judge(world: World, name: str) -> int:
    """Accept what QA asks the person for, and leave all else; how much that was."""
    accepted = 0
    for one in world.lease(name, 20).assignments:
        if one.task.seat == QA_SEAT:
            world.desk.accept(PEOPLE[name], one.task.id, one.task.epoch)
            accepted += 1
        else:
            world.desk.release(PEOPLE[name], one.task.id, one.task.epoch)
    return accepted


def pause(world: World, name: str) -> dict:
    """The event; and all that follows is done."""
    world.seconds += 1
    world.standings.change(OPERATOR, PROJECT, name, standing=Standing.PAUSED, reason="errs")
    while world.standings.redo():
        pass
    return world.events("reviewer.paused")[-1]


def lot_of(world: World) -> LotState:
    return Lots(world.store, world.now).page(PROJECT, after=None, limit=1)[0].lot.state


def standings_of(world: World) -> dict[str, AnswerStanding | None]:
    lots = Lots(world.store, world.now)
    (figures,) = lots.page(PROJECT, after=None, limit=1)
    return {member.work_id: member.standing for member in lots.get(PROJECT, figures.lot.id)[1]}


def test_answers_in_a_lot_that_still_fills_go_back_to_the_queue(store: SqlStore) -> None:
    """Nobody would have looked at most of them; the lot is judged by what others answer."""
    world = opened(store, replace(NOTHING_LOOKED_AT, size=10))
    works = answer_all(world, "ada", WRONG)
    told = pause(world, "ada")
    assert (sorted(told["works"]), told["count"], told["lots"]) == (sorted(works), 4, [])
    assert set(standings_of(world).values()) == {None}
    assert sorted(answer_all(world, "bob")) == sorted(works)
    Lots(store, world.now).accept(OPERATOR, PROJECT, _lot_id(world), "seen")
    assert [world.truth(number).shapes for number in range(4)] == [RIGHT] * 4


def test_before_the_verdict_those_that_qa_is_to_look_at_are_left_to_it(store: SqlStore) -> None:
    """The sample stays as it was drawn; the others come back, and a lot that is accepted has them at once."""
    world = opened(store, replace(NOTHING_LOOKED_AT, share=0.5))
    answer_all(world, "ada", HALF)
    before = standings_of(world)
    sampled = {work for work, standing in before.items() if standing is AnswerStanding.IN_QA}
    assert (lot_of(world), len(sampled)) == (LotState.INSPECTING, 2)
    told = pause(world, "ada")
    assert set(told["works"]) == before.keys() - sampled and told["lots"] == []
    assert lot_of(world) is LotState.INSPECTING
    assert judge(world, "cyd") == 2
    assert lot_of(world) is LotState.ACCEPTED
    assert set(answer_all(world, "bob")) == before.keys() - sampled
    assert {work for work, standing in standings_of(world).items() if standing is not AnswerStanding.SETTLED} == set()
    truths = {a_task(number).id: world.truth(number).shapes for number in range(4)}
    assert truths == {work: HALF if work in sampled else RIGHT for work in before}


def test_a_lot_that_is_decided_is_told_of(store: SqlStore) -> None:
    """Its verdict rested on such answers: an operator may think otherwise of it. They are asked for again all the same,
    as other truths are."""
    world = opened(store, NOTHING_LOOKED_AT)
    works = answer_all(world, "ada")
    assert judge(world, "cyd") == 1
    assert lot_of(world) is LotState.ACCEPTED
    told = pause(world, "ada")
    (lot,) = told["lots"]
    assert (lot["state"], lot["answers"]) == ("accepted", told["count"])
    assert set(told["works"]) < set(works) and told["count"] == 3  # one was accepted by a person
    assert len(world.events("task.reopened")) == 3


def test_an_answer_that_its_lot_is_about_to_let_through_is_held_back(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the verdict and what follows from it: nothing becomes the truth that is asked for again."""
    world = opened(store, NOTHING_LOOKED_AT)
    answer_all(world, "ada", WRONG)
    advance = _decided_only(world, monkeypatch)
    told = pause(world, "ada")
    assert told["lots"] == [{"lot_id": _lot_id(world), "state": "accepted", "answers": 4}]
    advance()
    assert [world.truth(number) for number in range(4)] == [None] * 4
    assert len(answer_all(world, "bob")) == 4
    assert [world.truth(number).shapes for number in range(4)] == [RIGHT] * 4
    with store.begin() as tx:
        works = [tx.tasks.work_for_update(a_task(number).id) for number in range(4)]
    assert all(task.finished for work in works for task in work)


def test_what_somebody_looks_at_is_left_to_them(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the lot was accepted meanwhile: what they find counts."""
    world = opened(store, NOTHING_LOOKED_AT)
    answer_all(world, "ada", WRONG)
    (judging,) = world.lease("cyd", 20).assignments
    advance = _decided_only(world, monkeypatch)
    told = pause(world, "ada")
    assert len(world.events("task.reopened")) == told["count"] - 1 == 3
    advance()
    world.submit("cyd", judging, RIGHT)
    with store.read() as tx:
        said = tx.submissions.of_work(judging.task.work_id)
        truth = tx.truths.current(PROJECT, judging.task.item_digest)
    assert [one.outcome for one in said] == [Outcome.SUBMITTED] * 2
    assert truth is not None and truth.shapes == RIGHT


@pytest.mark.parametrize("killed", [False, True])
def test_a_rejected_lot_is_left_to_qa(store: SqlStore, monkeypatch: pytest.MonkeyPatch, killed: bool) -> None:
    """Somebody looks at each of its answers anyway, also where that has not begun."""
    world = opened(store, NOTHING_LOOKED_AT)
    answer_all(world, "ada", WRONG)
    advance = _decided_only(world, monkeypatch, LotState.REJECTED)
    if not killed:
        advance()
    told = pause(world, "ada")
    advance()
    assert (told["count"], told["lots"], world.events("task.reopened")) == (0, [], [])
    assert set(standings_of(world).values()) == {AnswerStanding.IN_QA}


def test_what_several_people_answered_waits_for_its_lot(store: SqlStore) -> None:
    """Consensus has weighed who erred."""
    world = opened(store, replace(NOTHING_LOOKED_AT, size=10), people=2)
    for name in ("ada", "bob"):
        answer_all(world, name)
    assert pause(world, "ada")["count"] == 0
    assert set(standings_of(world).values()) == {AnswerStanding.WAITING}


# --- who judged in it ---------------------------------------------------------------------------------------


def _accepted_by_sample(store: SqlStore) -> tuple[World, str]:
    """Ada's answers to a lot, of which cyd let one stand; the work of that one."""
    world = opened(store, NOTHING_LOOKED_AT)
    answer_all(world, "ada")
    (sampled,) = (work for work, standing in standings_of(world).items() if standing is AnswerStanding.IN_QA)
    assert judge(world, "cyd") == 1
    assert lot_of(world) is LotState.ACCEPTED
    return world, sampled


def test_a_lot_that_a_paused_person_accepted_is_inspected_again(store: SqlStore) -> None:
    """By another; its answers stay the truth until then, and become it no second time."""
    world, sampled = _accepted_by_sample(store)
    told = pause(world, "cyd")
    assert told["works"] == [sampled]
    assert [(one["state"], one["answers"]) for one in told["lots"]] == [("accepted", 1)]
    assert lot_of(world) is LotState.INSPECTING
    assert len(world.events("lot.inspecting")) == 1
    standings = standings_of(world)
    assert standings.pop(sampled) is AnswerStanding.IN_QA
    assert set(standings.values()) == {AnswerStanding.WAITING}
    assert [world.truth(number).shapes for number in range(4)] == [RIGHT] * 4
    assert judge(world, "bob") == 1
    assert lot_of(world) is LotState.ACCEPTED
    assert set(standings_of(world).values()) == {AnswerStanding.SETTLED}
    versions = {a_task(number).id: world.truth(number).version for number in range(4)}
    assert versions == dict.fromkeys(versions, 1) | {sampled: 2}


def test_what_another_finds_in_it_rejects_the_lot(store: SqlStore) -> None:
    """Somebody looks at each of its answers then, as of any rejected lot."""
    world, sampled = _accepted_by_sample(store)
    pause(world, "cyd")
    (judging,) = world.lease("bob", 20).assignments
    assert judging.task.work_id == sampled
    world.submit("bob", judging, HALF)
    assert lot_of(world) is LotState.REJECTED
    standings = standings_of(world)
    assert standings.pop(sampled) is AnswerStanding.SETTLED
    assert set(standings.values()) == {AnswerStanding.IN_QA}
    assert judge(world, "bob") == 3


def test_a_lot_that_an_operator_accepted_stays_so(store: SqlStore) -> None:
    """The answer is looked at again all the same."""
    world, sampled = _accepted_by_sample(store)
    lots = Lots(store, world.now)
    lots.reopen(OPERATOR, PROJECT, _lot_id(world), "doubts")
    lots.accept(OPERATOR, PROJECT, _lot_id(world), "none left")
    pause(world, "cyd")
    assert lot_of(world) is LotState.ACCEPTED
    assert standings_of(world)[sampled] is AnswerStanding.IN_QA
    assert judge(world, "bob") == 1


def test_a_verdict_in_a_lot_that_is_not_decided_counts_no_more(store: SqlStore) -> None:
    """The lot waits for another one."""
    world = opened(store, replace(NOTHING_LOOKED_AT, share=0.5))
    answer_all(world, "ada")
    first, _ = world.lease("cyd", 20).assignments
    world.desk.accept(PEOPLE["cyd"], first.task.id, first.task.epoch)
    assert pause(world, "cyd")["works"] == [first.task.work_id]
    assert lot_of(world) is LotState.INSPECTING
    assert judge(world, "bob") == 2
    assert lot_of(world) is LotState.ACCEPTED


def test_a_defect_that_was_found_stays_found(store: SqlStore) -> None:
    """Bob returned an answer, and cyd let the next one stand: the lot was rejected by bob's look, and stays so."""
    world = opened(store, NOTHING_LOOKED_AT)
    answer_all(world, "ada", WRONG)
    (judging,) = world.lease("bob", 20).assignments
    world.desk.give_back(PEOPLE["bob"], judging.task.id, judging.task.epoch, [("no", ())])
    assert lot_of(world) is LotState.REJECTED
    again = next(one for one in world.lease("ada", 20).assignments if one.task.work_id == judging.task.work_id)
    world.submit("ada", again, RIGHT)
    assert judge(world, "cyd") == 4
    assert pause(world, "cyd")["count"] == 4
    assert lot_of(world) is LotState.REJECTED
    assert set(standings_of(world).values()) == {AnswerStanding.IN_QA}
    lots = Lots(store, world.now)
    assert [one.defect for one in lots.get(PROJECT, _lot_id(world))[1] if one.work_id == judging.task.work_id] == [True]


def test_a_skip_that_emptied_a_place_of_a_lot_is_taken_back(store: SqlStore) -> None:
    """The item is asked for again, and counts in its lot as before."""
    world = opened(store, replace(NOTHING_LOOKED_AT, size=10), works=1)
    (one,) = world.lease("ada", 5).assignments
    world.desk.skip(PEOPLE["ada"], one.task.id, one.task.epoch, "dark")
    lots = Lots(store, world.now)
    assert lots.get(PROJECT, _lot_id(world))[0].void == 1
    pause(world, "ada")
    assert lots.get(PROJECT, _lot_id(world))[0].void == 0
    assert answer_all(world, "bob") == [one.task.work_id]


def _lot_id(world: World) -> str:
    return Lots(world.store, world.now).page(PROJECT, after=None, limit=1)[0].lot.id


def _decided_only(
    world: World, monkeypatch: pytest.MonkeyPatch, state: LotState = LotState.ACCEPTED
) -> Callable[[], None]:
    """The lot is decided, and the service is killed before anything follows; what is given goes on with it."""
    lots = Lots(world.store, world.now)
    decide = lots.accept if state is LotState.ACCEPTED else lots.reopen
    with monkeypatch.context() as killed:
        killed.setattr(Lots, "advance", lambda *_: None)
        decide(OPERATOR, PROJECT, _lot_id(world), "seen")
    return lambda: lots.advance(_lot_id(world))
