"""Who judges the answers of others is checked too, through the desk, on both databases: what they are shown, what
becomes of their verdicts, who is paused as a judge."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from loop.domain.items.clips import ClipWork
from loop.domain.policy.quality_rules import GoldenRules, Standing
from loop.domain.policy.queue_rules import QueueRules, SkillRule
from loop.domain.policy.workflow import Qa
from loop.domain.review.people import Person
from loop.domain.review.tasks import Submission
from loop.domain.stage import Stage
from loop.domain.truth import Shape
from loop.review.assignments import Assignment
from loop.store.database import SqlStore
from tests.contract.records import PROJECT, a_task, digest
from tests.contract.test_golden import FIRST_GOLDEN, HALF, OPERATOR, PEOPLE, RIGHT, World, mark_unpredicted, opened
from tests.contract.test_groups import a_group, frame

# Every place is off by a fifth: somebody may call that right, and somebody not.
ABOUT = tuple(Shape("seven", (0.0, 1000.0 * n + 100.0, 1.0, 1000.0 * n + 600.0)) for n in range(5))
CYD = PEOPLE["cyd"].id


def checking(
    store: SqlStore, said: Sequence[Sequence[Shape]], *, works: int = 0, queue: QueueRules | None = None, **more: bool
) -> World:
    """Bob answered a golden item with each of `said`; ada answered `works`, which QA is to look at. From now on every
    answer that QA is to look at is replaced, where one can be."""
    world = opened(store, works=works, golden=len(said), rules=GoldenRules(rate=0.0), qa=Qa.ALL, queue=queue, **more)
    for _ in range(works):
        world.answer("ada")
    for shapes in said:
        world.standings.change(OPERATOR, PROJECT, "bob", standing=Standing.NEW, reason="golden items alone")
        assert world.answer("bob", shapes)
    world.standings.change(OPERATOR, PROJECT, "bob", standing=Standing.QUALIFIED, reason="done")
    rate(world, 1.0)
    return world


def rate(world: World, share: float) -> None:
    with world.store.begin() as tx:
        policy = tx.projects.get(PROJECT).policy
        quality = replace(policy.quality, golden=replace(policy.quality.golden, rate=share))
        tx.projects.save_policy(PROJECT, replace(policy, version=policy.version + 1, quality=quality))


def shapes_of(one: Assignment) -> tuple[Shape, ...]:
    (answer,) = one.answers
    return answer.shapes


def is_check(one: Assignment) -> bool:
    return one.task.stage is Stage.GOLDEN and one.task.judges


def accept(world: World, name: str, one: Assignment) -> Submission:
    world.seconds += 1
    return world.desk.accept(PEOPLE[name], one.task.id, one.task.epoch)


def give_back(world: World, name: str, one: Assignment) -> Submission:
    world.seconds += 1
    return world.desk.give_back(PEOPLE[name], one.task.id, one.task.epoch, [("a shape is missing", [])])


def report(world: World, name: str):
    return world.standings.of(PROJECT, name).judging


# --- what is shown -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [RIGHT, HALF])
def test_who_judges_gets_an_answer_of_somebody_else_to_a_golden_item(store: SqlStore, said: Sequence[Shape]) -> None:
    """In the place of what QA is to look at, which comes later, and like it: with one answer, its proposal, its place
    in the order, and the id of such a task. The answer's own note is not shown."""
    world = checking(store, [said], works=1)
    check = world.next("cyd")
    assert is_check(check) and check.task.item_digest == digest(FIRST_GOLDEN)
    assert (shapes_of(check), check.answers[0].note, check.proposal != ()) == (said, "", True)
    accept(world, "cyd", check)
    real = world.next("cyd")
    assert real.task.stage is Stage.QA and not is_check(real)
    assert (check.task.id[-3:], len(check.task.id)) == (real.task.id[-3:], len(new_like(real)))
    assert (check.task.rank, check.task.recipe_version) == (real.task.rank, real.task.recipe_version)
    with store.read() as tx:
        work = tx.tasks.get(real.task.work_id)
    waited = real.task.created_at - work.created_at  # an id tells when the work began
    assert abs(check.task.created_at - began(check) - waited) < timedelta(milliseconds=2)
    accept(world, "cyd", real)
    assert world.truth(0).shapes == RIGHT


def began(one: Assignment) -> datetime:
    return datetime.fromtimestamp(int(one.task.id.removeprefix("task_")[:12], 16) / 1000, tz=UTC)


def new_like(one: Assignment) -> str:
    """Tasks of the tests have short ids; those of the service are all as long."""
    assert one.task.id == f"{one.task.work_id}-qa"
    return f"task_{32 * '0'}-qa"


def test_what_may_be_a_matter_of_taste_is_not_shown(store: SqlStore) -> None:
    """An answer whose places are a little off."""
    world = checking(store, [ABOUT], works=1)
    assert not is_check(world.next("cyd"))


def test_nobody_judges_an_answer_of_their_own(store: SqlStore) -> None:
    """Nor one to an item that they have had themselves."""
    world = checking(store, [HALF], works=1)
    assert not is_check(world.next("bob"))


def test_each_item_is_judged_once(store: SqlStore) -> None:
    world = checking(store, [HALF, RIGHT], works=4)
    kinds = []
    while leased := world.lease("cyd").assignments:
        kinds.append(is_check(leased[0]))
        accept(world, "cyd", leased[0])
    assert (kinds[:2], sum(kinds), len(kinds)) == ([True, True], 2, 6)


def test_a_check_is_one_persons_and_comes_back(store: SqlStore) -> None:
    """Given back or run out it comes to the same person, with the draft, and to nobody else."""
    world = checking(store, [HALF], works=1)
    check = world.next("cyd")
    world.desk.draft(PEOPLE["cyd"], check.task.id, check.task.epoch, {"note": "hm"})
    world.desk.release(PEOPLE["cyd"], check.task.id, check.task.epoch)
    assert not is_check(world.next("bob"))
    again = world.next("cyd")
    assert (again.task.id, again.draft.content) == (check.task.id, {"note": "hm"})


def test_what_begins_empty_is_replaced_by_what_looks_empty(store: SqlStore) -> None:
    """Work before there is a model shows no proposal; nor does the check, though its item has a prediction."""
    world = checking(store, [HALF], works=1, predicted=False)
    check = world.next("cyd")
    assert is_check(check) and check.proposal == ()


def test_what_has_a_proposal_is_replaced_by_what_has_one(store: SqlStore) -> None:
    world = checking(store, [], works=1)
    mark_unpredicted(world)
    world.standings.change(OPERATOR, PROJECT, "bob", standing=Standing.NEW, reason="golden items alone")
    assert world.answer("bob", HALF)
    assert not is_check(world.next("cyd"))


def test_a_check_asks_for_no_skill_and_no_group_that_the_person_has_not(store: SqlStore) -> None:
    """Nobody is judged by what they would not be asked."""
    rules = QueueRules(skills=(SkillRule(skill="sevens", stage=Stage.QA),), stage_groups={Stage.QA: ("leads",)})
    world = checking(store, [HALF], queue=rules)
    world.standings.change(OPERATOR, PROJECT, "cyd", judging=Standing.NEW, reason="measure")
    for groups, skills, checked in (((), ("sevens",), False), (("leads",), (), False), (("leads",), ("sevens",), True)):
        with store.begin() as tx:
            tx.people.save(Person(token_id=CYD, groups=groups, skills=skills))
        assert [is_check(one) for one in world.lease("cyd").assignments] == [True] * checked


def test_an_answer_to_a_clip_is_never_replaced(store: SqlStore) -> None:
    """No answer to a golden item looks like one."""
    world = opened(store, works=1, golden=1, rules=GoldenRules(rate=0.0), predicted=False, qa=Qa.ALL)
    with store.begin() as tx:
        tx.groups.add(a_group(frames=1))
        tx.groups.append([frame(0)])
        work = a_task(0).id
        tx.groups.add_works([ClipWork(work_id=work, project_id=PROJECT, group_id="group_0", first=0, count=1)])
    world.answer("ada", [replace(RIGHT[0], track="t", frame=0)])
    world.standings.change(OPERATOR, PROJECT, "bob", standing=Standing.NEW, reason="golden items alone")
    assert world.answer("bob", HALF)
    rate(world, 1.0)
    assert not is_check(world.next("cyd"))


# --- what becomes of a verdict -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "verdict", "right"),
    [
        (RIGHT, "accept", True),
        (RIGHT, "return", False),
        (RIGHT, HALF, False),
        (RIGHT, ABOUT, True),
        (HALF, "accept", False),
        (HALF, "return", True),
        (HALF, RIGHT, True),
        (HALF, HALF, False),
        (HALF, RIGHT[:3], False),
    ],
)
def test_right_is_what_comes_of_a_verdict(
    store: SqlStore, said: Sequence[Shape], verdict: str | Sequence[Shape], right: bool
) -> None:
    """To let stand what is right, to return what is wrong, or a correction that leaves nothing wrong. It is counted for
    the judge, and nowhere else: it makes no truth, is no submission, and no answer to a golden item."""
    world = checking(store, [said], works=1)
    before = figures(world)
    check = world.next("cyd")
    if verdict == "accept":
        accept(world, "cyd", check)
    elif verdict == "return":
        give_back(world, "cyd", check)
    else:
        world.submit("cyd", check, verdict)
    found = report(world, "cyd").quality
    rate, other = (found.accepts, found.catches) if said is RIGHT else (found.catches, found.accepts)
    assert (found.checks, rate.value, other.value) == (1, float(right), None)
    assert rate.low <= rate.value <= rate.high
    assert world.standings.of(PROJECT, "cyd").quality is None
    assert figures(world) == before
    assert [one["right"] for one in world.events("golden.answered")][-1] is right


def figures(world: World) -> object:
    with world.store.read() as tx:
        return (
            [len(tx.submissions.of_work(a_task(number).id)) for number in range(2)],
            [one.shapes for number in range(1) if (one := world.truth(number))],
            tx.truths.current(PROJECT, digest(FIRST_GOLDEN)),
            [(kind, len(world.events(kind))) for kind in ("task.accepted", "task.returned", "task.submitted")],
        )


def test_the_same_verdict_again_changes_nothing(store: SqlStore) -> None:
    world = checking(store, [HALF], works=1)
    check = world.next("cyd")
    first = give_back(world, "cyd", check)
    assert give_back(world, "cyd", check) == first
    assert report(world, "cyd").quality.checks == 1


def test_a_skip_is_no_verdict(store: SqlStore) -> None:
    world = checking(store, [HALF], works=1)
    check = world.next("cyd")
    world.desk.skip(PEOPLE["cyd"], check.task.id, check.task.epoch, "dark")
    assert report(world, "cyd").quality is None


def test_verdicts_count_against_the_present_trusted_shapes_alone(store: SqlStore) -> None:
    world = checking(store, [HALF], works=1)
    accept(world, "cyd", world.next("cyd"))
    assert report(world, "cyd").quality.checks == 1
    world.golden.mark(PROJECT, digest(FIRST_GOLDEN), HALF, "op")
    assert report(world, "cyd").quality is None


def test_what_was_handed_out_before_the_trusted_shapes_changed_counts_nowhere(store: SqlStore) -> None:
    world = checking(store, [HALF], works=1)
    check = world.next("cyd")
    world.golden.mark(PROJECT, digest(FIRST_GOLDEN), HALF, "op")
    accept(world, "cyd", check)
    assert report(world, "cyd").quality is None


# --- standings -----------------------------------------------------------------------------------------------


def lenient(store: SqlStore, *, checks: int = 14) -> tuple[World, list[Assignment]]:
    """Cyd lets everything stand until paused, some of ada's answers between; gives these."""
    world = checking(store, [HALF] * checks, works=4)
    judged: list[Assignment] = []
    while report(world, "cyd").standing is not Standing.PAUSED:
        rate(world, 0.0 if len(judged) < 3 else 1.0)
        one = world.next("cyd")
        accept(world, "cyd", one)
        judged += [] if is_check(one) else [one]
        if len(judged) == 3:
            rate(world, 1.0)
    return world, judged


def test_who_lets_everything_stand_is_warned_then_paused_and_judged_anew(store: SqlStore) -> None:
    """As a judge: others look again at what was accepted, which stays the truth meanwhile. The person goes on to
    answer, and gets checks alone to judge."""
    world, judged = lenient(store)
    assert len(judged) == 3
    assert [len(world.events(f"judge.{standing}")) for standing in ("warned", "paused")] == [1, 1]
    assert world.events("reviewer.paused") == []
    (told,) = world.events("judge.paused")
    assert (told["reviewer"], sorted(told["works"])) == (CYD, sorted(one.task.work_id for one in judged))
    assert world.standing("cyd") is Standing.QUALIFIED
    assert world.standings.redo() == 3
    rate(world, 0.0)
    seen = set()
    while leased := world.lease("bob").assignments:
        seen.add(leased[0].task.work_id)
        accept(world, "bob", leased[0])
    assert {one.task.work_id for one in judged} <= seen
    assert all(world.truth(number).version == 2 for number in range(3))


def test_who_is_paused_as_a_judge_gets_checks_alone_to_judge(store: SqlStore) -> None:
    """Before other work, whatever the rate; what they held of QA goes back, and they are told why."""
    world = checking(store, [HALF, RIGHT], works=2)
    rate(world, 0.0)
    held = world.next("cyd")
    assert held.task.stage is Stage.QA
    world.standings.change(OPERATOR, PROJECT, "cyd", judging=Standing.PAUSED, reason="lets all stand")
    leased = world.lease("cyd", 5)
    assert [is_check(one) for one in leased.assignments] == [True, True]
    assert "lets all stand" in leased.why and "checks" not in leased.why.split(":")[0]
    assert held.task.id in {one.task.id for one in world.lease("bob", 5).assignments}


def test_who_is_paused_as_a_judge_goes_on_to_answer(store: SqlStore) -> None:
    """And who is paused as who answers does not lose the standing as a judge."""
    world = opened(store, works=2, golden=0, rules=GoldenRules(rate=0.0), qa=Qa.ALL)
    world.answer("ada")
    world.standings.change(OPERATOR, PROJECT, "cyd", judging=Standing.PAUSED, reason="errs")
    assert [one.task.stage for one in world.lease("cyd", 5).assignments] == [Stage.ANNOTATE]
    world.standings.change(OPERATOR, PROJECT, "bob", standing=Standing.PAUSED, reason="errs")
    assert (world.standing("bob"), report(world, "bob").standing) == (Standing.PAUSED, Standing.QUALIFIED)


@pytest.mark.parametrize(("said", "again"), [(HALF, 0), (RIGHT, 1)])
def test_a_wrong_answer_that_was_caught_vouches_for_what_was_judged_before(
    store: SqlStore, said: Sequence[Shape], again: int
) -> None:
    """A right one that was accepted does not: who lets everything stand does that, too."""
    world = _one_verdict_then_a_check(store, said)
    world.seconds += 1
    world.standings.change(OPERATOR, PROJECT, "cyd", judging=Standing.PAUSED, reason="errs")
    assert world.standings.redo() == again


def _one_verdict_then_a_check(store: SqlStore, said: Sequence[Shape]) -> World:
    world = checking(store, [said], works=2)
    rate(world, 0.0)
    accept(world, "cyd", world.next("cyd"))
    rate(world, 1.0)
    check = world.next("cyd")
    assert is_check(check)
    if said is HALF:
        give_back(world, "cyd", check)
    else:
        accept(world, "cyd", check)
    return world


def test_who_judges_well_again_judges(store: SqlStore) -> None:
    """By checks since the pause, right ones accepted and wrong ones caught."""
    world = checking(store, [HALF, RIGHT] * 12, works=1)
    world.standings.change(OPERATOR, PROJECT, "cyd", judging=Standing.PAUSED, reason="errs")
    done = 0
    while report(world, "cyd").standing is Standing.PAUSED:
        check = world.next("cyd")
        assert is_check(check)
        if shapes_of(check) == RIGHT:
            accept(world, "cyd", check)
        else:
            give_back(world, "cyd", check)
        done += 1
    assert 6 <= done < 24
    assert [one["reviewer"] for one in world.events("judge.qualified")] == [CYD]
    rate(world, 0.0)
    assert world.next("cyd").task.stage is Stage.QA


def test_who_returns_everything_is_found_out_too(store: SqlStore) -> None:
    world = checking(store, [RIGHT] * 14, works=1)
    while report(world, "cyd").standing is Standing.QUALIFIED:
        give_back(world, "cyd", world.next("cyd"))
    found = report(world, "cyd")
    assert (found.standing, found.quality.accepts.value) == (Standing.WARNED, 0.0)
    assert "You are warned as who checks" in world.lease("cyd").why


def test_a_judge_is_told_of_yesterday_while_checks_are_hidden(store: SqlStore) -> None:
    """As of golden items: a figure that moves with a verdict would tell which it was."""
    world = checking(store, [HALF], works=1)
    accept(world, "cyd", world.next("cyd"))
    assert world.standings.own(PEOPLE["cyd"], PROJECT).judging.quality is None
    world.seconds += 86_400
    assert world.standings.own(PEOPLE["cyd"], PROJECT).judging.quality.checks == 1
