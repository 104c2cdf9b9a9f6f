"""The order of the queue and who may take what: pure decisions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.errors import Conflict, Invalid
from loop.domain.policy.queue_rules import Lane, QueueRules, SkillRule, checked_rules, lane_of, require_known, rules_of
from loop.domain.review.people import Person, allowance
from loop.domain.review.queueing import adjudication, alarmed, head_start, in_turn, placed, seats
from loop.domain.review.tasks import Task, TaskState, Urgency, after_skip, leased, reopened
from loop.domain.stage import ROUTED, Stage

NOW = datetime(2026, 3, 1, tzinfo=UTC)

weights = st.floats(0, 100)


def a_task(number: int = 0, *, priority: float = 0.5, stage: Stage = Stage.ANNOTATE, source: str = "", at=NOW) -> Task:
    return Task(
        id=f"task_{number}", project_id="p", item_digest="d", prediction_id=None, stage=stage, priority=priority,
        policy_version=1, recipe_version=1, created_at=at, source=source,
    )  # fmt: skip


def urgency(task: Task, rules: QueueRules, at: datetime) -> float:
    """The formula of docs/queue.md, word for word."""
    horizon = rules.horizon_seconds
    due = task.due_at or task.created_at + timedelta(seconds=horizon)
    due = min(due, task.created_at + timedelta(seconds=horizon))
    return (
        rules.risk_weight * task.priority
        + rules.stage_boosts.get(task.stage, 0.0)
        + rules.source_boosts.get(task.source, 0.0)
        + rules.age_weight * (at - task.created_at).total_seconds() / horizon
        + rules.deadline_weight * (1 - (due - at).total_seconds() / horizon)
    )


@st.composite
def ordering(draw: st.DrawFn) -> QueueRules:
    boosts = st.dictionaries(st.sampled_from(["north", "south"]), weights)
    return QueueRules(
        risk_weight=draw(weights),
        age_weight=draw(st.floats(0.01, 100)),
        deadline_weight=draw(weights),
        stage_boosts=draw(st.dictionaries(st.sampled_from([*ROUTED, Stage.ADJUDICATE]), weights)),
        source_boosts=draw(boosts),
        horizon_seconds=draw(st.floats(60, 1e8)),
        due_seconds=draw(st.dictionaries(st.sampled_from([*ROUTED, Stage.ADJUDICATE]), st.floats(1, 1e8))),
    )


tasks = st.builds(
    a_task,
    st.integers(0, 9),
    priority=st.floats(0, 1),
    stage=st.sampled_from([Stage.ANNOTATE, Stage.AUDIT]),
    source=st.sampled_from(["", "north", "south"]),
    at=st.integers(0, 10**8).map(lambda seconds: NOW + timedelta(seconds=seconds)),
)


@given(ordering(), tasks, tasks, st.integers(0, 10**9))
def test_the_smaller_rank_is_the_more_urgent_task_at_any_time(rules, one, other, seconds):
    """So the order in the database never has to be computed again."""
    one, other = (placed(task, rules, (), begins=task.created_at) for task in (one, other))
    later = NOW + timedelta(seconds=10**8 + seconds)
    difference = urgency(one, rules, later) - urgency(other, rules, later)
    apart = (other.rank - one.rank) / rules.seconds_of_a_point
    # A moment in seconds is a float near 1e9: exact to 1e-7 s.
    tolerance = 1e-6 / rules.seconds_of_a_point + 1e-9 * (1 + abs(difference) + seconds / rules.horizon_seconds * 100)
    assert apart == pytest.approx(difference, rel=1e-6, abs=tolerance + 1e-5)


@given(ordering(), tasks)
def test_a_head_start_is_bounded(rules, task):
    """Nothing waits behind what was made later than all weights together are worth."""
    start = head_start(
        rules, risk=task.priority, stage=task.stage, source=task.source, allotted=rules.due_seconds.get(task.stage)
    )
    most = rules.risk_weight + rules.deadline_weight + max(rules.stage_boosts.values(), default=0.0)
    most += max(rules.source_boosts.values(), default=0.0)
    assert 0 <= start <= most * rules.seconds_of_a_point * (1 + 1e-9)


def test_an_old_task_overtakes_a_risky_one():
    """With the rules that projects begin with, a risk of 1 is worth 15 days."""
    old = placed(a_task(priority=0.0), QueueRules(), (), begins=NOW)
    for days, first in ((14.9, False), (15.1, True)):
        risky = placed(
            a_task(priority=1.0, at=NOW + timedelta(days=days)), QueueRules(), (), begins=NOW + timedelta(days=days)
        )
        assert (old.rank < risky.rank) is first


def test_a_deadline_that_passes_raises_a_task_and_then_escalates_it():
    """Once each, however often it is looked at; never back, should the clock be."""
    rules = QueueRules(due_seconds={Stage.ANNOTATE: 100.0}, escalate_after_seconds=50.0, escalation_group="leads")
    task = placed(a_task(), rules, (), begins=NOW)
    assert alarmed(task, rules, NOW + timedelta(seconds=99)) == task
    overdue = alarmed(task, rules, NOW + timedelta(seconds=100))
    assert (overdue.urgency, overdue.lane) == (Urgency.OVERDUE, task.lane)
    assert overdue.rank == task.rank - rules.seconds_of_a_point
    assert alarmed(overdue, rules, NOW + timedelta(seconds=149)) == overdue
    assert alarmed(overdue, rules, NOW - timedelta(days=1)) == overdue
    escalated = alarmed(overdue, rules, NOW + timedelta(seconds=150))
    assert (escalated.urgency, lane_of(escalated.lane).groups, escalated.alarm_at) == (
        Urgency.ESCALATED,
        ("leads",),
        None,
    )
    assert alarmed(escalated, rules, NOW + timedelta(days=9)) == escalated


def test_what_a_task_needs_comes_from_stage_source_and_labels():
    """A skill is needed where all that its rule names holds; groups go by stage."""
    rules = QueueRules(
        stage_groups={Stage.AUDIT: ("leads",)},
        skills=(
            SkillRule(skill="night", source="north"),
            SkillRule(skill="signs", label="sign", stage=Stage.ANNOTATE),
        ),
    )
    table = [
        (Stage.ANNOTATE, "north", ("sign",), (), ("night", "signs")),
        (Stage.ANNOTATE, "south", ("car",), (), ()),
        (Stage.AUDIT, "north", ("sign",), ("leads",), ("night",)),
    ]
    for stage, source, labels, groups, skills in table:
        lane = lane_of(placed(a_task(stage=stage, source=source), rules, labels, begins=NOW).lane)
        assert (lane.groups, lane.skills) == (groups, skills)


@pytest.mark.parametrize(
    ("person", "lane", "may"),
    [
        (Person(token_id="t"), Lane(Stage.ANNOTATE), True),
        (Person(token_id="t"), Lane(Stage.ANNOTATE, groups=("leads",)), False),
        (Person(token_id="t"), Lane(Stage.ANNOTATE, person="t"), True),
        (Person(token_id="t"), Lane(Stage.ANNOTATE, person="other"), False),
        (Person(token_id="t", groups=("leads",)), Lane(Stage.ANNOTATE, groups=("experts", "leads")), True),
        (Person(token_id="t", skills=("night",)), Lane(Stage.ANNOTATE, skills=("night", "signs")), False),
        (Person(token_id="t"), Lane(Stage.GOLDEN), False),
        (Person(token_id="t", skills=("night", "signs")), Lane(Stage.ANNOTATE, skills=("night",)), True),
    ],
    ids=[
        "anybody", "not in the group", "meant for them", "for another", "in one of the groups", "one skill of two",
        "golden", "more than it takes",
    ],
)  # fmt: skip
def test_who_may_do_what(person, lane, may):
    """One of the groups, all of the skills, the one person; a lane comes back from its key."""
    assert person.may_do(lane) is may
    assert person.may_do(lane_of(lane.key)) is may


def test_limits_of_a_person():
    """Their own before the project's; what they hold counts as of today; and why is said."""
    rules = QueueRules(max_leases=2, max_tasks_a_day=10)
    anybody, quick = Person(token_id="t"), Person(token_id="t", max_leases=5, max_tasks_a_day=100)
    assert allowance(anybody, rules, wanted=5, held=1, answered_today=0).tasks == 1
    assert allowance(quick, rules, wanted=5, held=1, answered_today=0).tasks == 4
    spent = allowance(anybody, rules, wanted=5, held=1, answered_today=9)
    assert (spent.tasks, "10 tasks a day" in spent.why) == (0, True)
    assert allowance(Person(token_id="t"), QueueRules(), wanted=5, held=90, answered_today=999).why == ""


@given(st.lists(st.sampled_from(["a", "a", "a", "a", "b", "c"]), max_size=60), st.integers(1, 4))
def test_sources_take_turns_by_their_shares(sources, share):
    """While a source has tasks, it gets its share of what is handed out, give or take one task; none is lost, and
    within a source the order stays."""
    window = [a_task(number, source=source) for number, source in enumerate(sources)]
    ordered = in_turn(window, {}, {"b": float(share)})
    assert sorted(task.id for task in ordered) == sorted(task.id for task in window)
    for source in "abc":
        assert [t for t in ordered if t.source == source] == [t for t in window if t.source == source]
    left = {source: sources.count(source) for source in "abc"}
    given_out = dict.fromkeys("abc", 0)
    for task in ordered:
        waiting = [source for source in "abc" if left[source] > 0]
        part = {source: given_out[source] / (share if source == "b" else 1) for source in waiting}
        assert part[task.source] == min(part.values())
        given_out[task.source] += 1
        left[task.source] -= 1


def test_turns_go_by_what_was_handed_out_lately():
    """One task at a time is fair, too."""
    window = [a_task(0, source="a"), a_task(1, source="b")]
    assert in_turn(window, {"a": 3, "b": 2}, {})[0].source == "b"
    assert in_turn(window, {"a": 3, "b": 3}, {})[0].source == "a"  # the more urgent


def test_several_people_get_a_task_each():
    """Alike but for id and seat; all of one work."""
    rules = QueueRules(people={Stage.ANNOTATE: 3})
    first, *more = seats(a_task(), rules, (), several=True)
    assert [(task.id, task.seat, task.work_id) for task in (first, *more)] == [
        ("task_0", 1, "task_0"), ("task_0-2", 2, "task_0"), ("task_0-3", 3, "task_0"),
    ]  # fmt: skip
    assert {task.rank for task in more} == {first.rank}
    assert len(seats(a_task(), rules, (), several=False)) == 1
    assert len(seats(a_task(stage=Stage.AUDIT), rules, (), several=True)) == 1


def test_a_skip_goes_to_others_then_to_experts_then_ends():
    """The whole work goes; what is done stays done."""
    rules = QueueRules(people={Stage.ANNOTATE: 3}, skips_before_expert=2, expert_group="experts")
    work = [
        leased(task, owner=f"tok_{task.seat}", now=NOW, seconds=60) for task in seats(a_task(), rules, (), several=True)
    ]
    work[2] = replace(work[2], state=TaskState.DONE, expires_at=None)
    (back,) = after_skip(work, work[0], skips=1, rules=rules)
    assert (back.state, back.owner, back.with_experts) == (TaskState.OPEN, None, False)
    to_experts = after_skip(work, work[0], skips=2, rules=rules)
    assert [(t.id, t.state, lane_of(t.lane).groups) for t in to_experts] == [
        ("task_0", TaskState.OPEN, ("experts",)), ("task_0-2", TaskState.LEASED, ("experts",)),
    ]  # fmt: skip
    with_expert = leased(to_experts[0], owner="tok_9", now=NOW, seconds=60)
    ended = after_skip([with_expert, *to_experts[1:]], with_expert, skips=3, rules=rules)
    assert [task.state for task in ended] == [TaskState.SKIPPED] * 2
    without = replace(rules, expert_group="")
    assert [t.state for t in after_skip(work, work[0], skips=2, rules=without)] == [TaskState.SKIPPED] * 2


def test_a_work_opens_anew_as_a_whole():
    """Under new epochs, so that who holds one of its tasks is told; an adjudication waits for the new answers."""
    rules = QueueRules(people={Stage.ANNOTATE: 2})
    one, two = seats(a_task(), rules, (), several=True)
    held = leased(two, owner="tok_2", now=NOW, seconds=60)
    done = replace(one, state=TaskState.DONE, owner="tok_1", epoch=4)
    anew = reopened([done, held, adjudication(done, rules, (), now=NOW)])
    assert [(t.state, t.epoch, t.round) for t in anew] == [
        (TaskState.OPEN, 5, 1), (TaskState.OPEN, 2, 1), (TaskState.SKIPPED, 1, 1),
    ]  # fmt: skip
    with pytest.raises(Conflict, match="open already"):
        reopened(anew[:2])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"risk_weight": -1.0}, "risk_weight is -1"),
        ({"deadline_weight": float("nan")}, "deadline_weight is nan"),
        ({"age_weight": 0.0}, "age_weight is 0"),
        ({"horizon_seconds": float("inf")}, "horizon_seconds is inf"),
        ({"stage_boosts": {"audit": -0.5}}, "stage_boosts.audit is -0.5"),
        ({"source_shares": {"north": 0.0}}, "source_shares.north is 0"),
        ({"people": {"annotate": 0}}, "people.annotate is 0"),
        ({"people": {"adjudicate": 2}}, "one person adjudicates"),
        ({"people": {"dance": 2}}, "no stage 'dance'"),
        ({"people": {"golden": 2}}, "no stage 'golden'"),
        ({"expert_group": "Experts!"}, "'Experts!' cannot name a group"),
        ({"skills": [{"skill": "a|b"}]}, "'a|b' cannot name a skill"),
        ({"escalation_group": "leads"}, "go together"),
        ({"max_leases": 0}, "max_leases is 0"),
    ],
)
def test_rules_that_cannot_order_a_queue_are_refused(changes, says):
    """With the name of what is wrong, and what to do."""
    with pytest.raises(Invalid, match=says.replace("(", r"\(").replace("|", r"\|")) as refused:
        checked_rules(rules_of(changes))
    assert refused.value.hint


def test_a_group_that_nobody_is_in_is_refused():
    """Its tasks would wait for ever."""
    with pytest.raises(Invalid, match="group 'experts'"):
        require_known(QueueRules(expert_group="experts"), groups=frozenset({"leads"}), skills=frozenset())
    rules = QueueRules(skills=(SkillRule(skill="night"),))
    with pytest.raises(Invalid, match="skill 'night'"):
        require_known(rules, groups=frozenset(), skills=frozenset())
    require_known(rules, groups=frozenset(), skills=frozenset({"night"}))
