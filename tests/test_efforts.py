"""What work took: working time, rows of a report, ambiguous items, cost."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.errors import Invalid
from loop.domain.quality.ambiguous import ambiguous_items, compared, newest_answers
from loop.domain.review.cost import CostBy, Rates, checked_rates, costs, everything
from loop.domain.review.efforts import Effort, WorkBy, work_rows, worked
from loop.domain.review.tasks import Outcome
from loop.domain.stage import Stage
from loop.domain.truth import Shape, shape_from_json

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CELL = Shape("cell", (0.0, 0.0, 10.0, 10.0))
ELSEWHERE = Shape("cell", (50.0, 50.0, 60.0, 60.0))


def an_effort(number: int = 0, **what: object) -> Effort:
    plain = Effort(
        submission_id=f"sub_{number:03}",
        project_id="p",
        item_digest=f"item_{number}",
        task_id=f"task_{number}",
        work_id=f"task_{number}",
        round=0,
        reviewer="ada",
        source="north",
        stage=Stage.ANNOTATE,
        outcome=Outcome.SUBMITTED,
        labels={"cell": 1},
        corrections=0,
        seconds=20.0,
        active_seconds=None,
        proposal_shown=None,
        created_at=NOON + timedelta(minutes=number),
    )
    return replace(plain, **what)  # type: ignore[arg-type]


def working_seconds(efforts: list[Effort]) -> list[float]:
    return [seconds for _, seconds in worked(efforts)]


def timed_efforts(*seconds: float, **what: object) -> list[Effort]:
    return [an_effort(n, seconds=s, active_seconds=s, **what) for n, s in enumerate(seconds)]


# --- working time ------------------------------------------------------------------------------------


def test_a_task_that_waited_for_its_turn_was_not_worked_on() -> None:
    """Five leased at once and answered one a minute took a minute each, not one to five."""
    efforts = [an_effort(n, seconds=60.0 * (n + 1)) for n in range(5)]
    assert working_seconds(efforts) == [60.0] * 5


def test_another_persons_work_does_not_shorten_mine() -> None:
    """Only the same person's previous submission does."""
    efforts = [an_effort(0, seconds=50.0), an_effort(1, reviewer="bob", seconds=70.0)]
    assert working_seconds(efforts) == [50.0, 70.0]


def test_what_the_tool_measured_counts() -> None:
    """Before what is known from leases; and nothing takes no time."""
    efforts = [an_effort(0, active_seconds=7.0), an_effort(1, active_seconds=0.0)]
    assert working_seconds(efforts) == [7.0, 0.1]


@given(st.lists(st.tuples(st.floats(0, 1e5), st.sampled_from("ab"), st.floats(0, 1e4)), max_size=20))
def test_nobody_works_more_than_the_time_there_was(rows: list[tuple[float, str, float]]) -> None:
    """However much was leased ahead, the times of a person fit between their first lease and their last answer."""
    efforts, now = [], NOON
    for number, (seconds, reviewer, pause) in enumerate(rows):
        now += timedelta(seconds=1.0 + pause)
        efforts.append(an_effort(number, seconds=seconds, reviewer=reviewer, created_at=now))
    took = working_seconds(efforts)
    for reviewer in {effort.reviewer for effort in efforts}:
        own = [n for n, effort in enumerate(efforts) if effort.reviewer == reviewer]
        begun = efforts[own[0]].created_at - timedelta(seconds=efforts[own[0]].seconds)
        there = (efforts[own[-1]].created_at - begun).total_seconds()
        assert sum(took[row] for row in own) <= there + 0.1 * len(own) + 1e-6


# --- rows --------------------------------------------------------------------------------------------


def test_a_row_by_hand() -> None:
    """Three answers and a skip of twenty seconds each: 3 tasks in 80 s, a third corrected, a quarter skipped."""
    efforts = [
        *timed_efforts(20, 20, 20),
        an_effort(3, outcome=Outcome.SKIPPED, corrections=None, labels={}, active_seconds=20.0),
    ]
    efforts[1] = replace(efforts[1], corrections=2, labels={"cell": 2})
    (row,) = work_rows(efforts, WorkBy.REVIEWER, UTC)
    assert (row.key, row.tasks, row.shapes, row.skips) == ("ada", 3, 4, 1)
    assert (row.corrected, row.skipped) == (pytest.approx(1 / 3), 0.25)
    assert row.pace is not None and row.pace.median == pytest.approx(20.0)
    assert row.tasks_per_hour == pytest.approx(3 * 3600 / 80)


def test_rows_of_each_kind() -> None:
    """A task with two labels is in both, with the shapes of each; times are told where the zone is."""
    efforts = [
        an_effort(0, labels={"cell": 2, "platelet": 1}),
        an_effort(1, labels={}, source="south", created_at=NOON + timedelta(hours=11, minutes=30)),
    ]

    def told(by: WorkBy, zone: str = "UTC") -> dict[str, tuple[int, int]]:
        return {row.key: (row.tasks, row.shapes) for row in work_rows(efforts, by, ZoneInfo(zone))}

    assert told(WorkBy.LABEL) == {"": (1, 0), "cell": (1, 2), "platelet": (1, 1)}
    assert told(WorkBy.SOURCE) == {"north": (1, 3), "south": (1, 0)}
    assert told(WorkBy.HOUR) == {"12": (1, 3), "23": (1, 0)}
    assert told(WorkBy.DAY, "Europe/Berlin") == {"2026-03-01": (1, 3), "2026-03-02": (1, 0)}


def test_without_predictions_nothing_is_corrected_and_nothing_is_not() -> None:
    """The share is not known rather than 0."""
    (row,) = work_rows([an_effort(corrections=None)], WorkBy.REVIEWER, UTC)
    assert row.corrected is None


def test_who_only_skips_has_no_pace() -> None:
    """And no tasks an hour; the time counts."""
    (row,) = work_rows([an_effort(outcome=Outcome.SKIPPED, active_seconds=36.0)], WorkBy.REVIEWER, UTC)
    assert (row.pace, row.tasks_per_hour, row.skipped) == (None, None, 1.0)
    assert row.hours == pytest.approx(0.01)


def test_to_judge_is_not_to_skip() -> None:
    """Who accepts or returns has judged: with a pace and hours of their own, no shapes, and no skip."""
    judged = [
        an_effort(n, stage=Stage.QA, outcome=outcome, corrections=None, active_seconds=9.0)
        for n, outcome in enumerate([Outcome.ACCEPTED, Outcome.ACCEPTED, Outcome.RETURNED])
    ]
    skip = an_effort(3, stage=Stage.QA, outcome=Outcome.SKIPPED, labels={}, active_seconds=9.0)
    (row,) = work_rows([*judged, skip], WorkBy.REVIEWER, UTC)
    assert (row.tasks, row.judged, row.skips, row.shapes, row.skipped) == (0, 3, 1, 0, 0.25)
    assert row.pace is None
    assert row.judging is not None and row.judging.median == pytest.approx(9.0)
    assert row.tasks_per_hour == pytest.approx(3 * 3600 / 36)
    cells = {row.key: row for row in work_rows([*judged, skip], WorkBy.LABEL, UTC)}
    assert (cells["cell"].judged, cells["cell"].skipped, cells[""].skipped) == (3, 0.0, 1.0)


def test_what_qa_corrects_is_an_answer() -> None:
    """Its time is of answers, not of judgements."""
    (row,) = work_rows([an_effort(stage=Stage.QA)], WorkBy.REVIEWER, UTC)
    assert (row.tasks, row.judged, row.judging) == (1, 0, None)


def test_idle_is_cut_by_what_is_usual_for_such_work() -> None:
    """A judgement takes seconds: half an hour over one is no work, though answers take as long."""
    answers = timed_efforts(*[1800.0] * 9)
    judged = [
        an_effort(20 + n, reviewer="bob", stage=Stage.QA, outcome=Outcome.ACCEPTED, active_seconds=seconds)
        for n, seconds in enumerate([9.0, 10.0, 11.0, 10.0, 1800.0])
    ]
    rows = {row.key: row for row in costs([*answers, *judged], EUROS, CostBy.REVIEWER, {}).rows}
    assert rows["bob"].minutes < 2.0
    assert rows["ada"].minutes == pytest.approx(9 * 30.0)
    (row,) = work_rows(judged, WorkBy.REVIEWER, UTC)
    assert row.hours < 2.0 / 60.0


def test_what_everything_takes_rests_on_first_answers() -> None:
    """Not on what QA corrected, accepted or returned: there an answer was before it."""
    kinds = [(Stage.QA, Outcome.SUBMITTED), (Stage.QA, Outcome.ACCEPTED), (Stage.QA, Outcome.RETURNED)]
    later = [an_effort(9 + n, stage=stage, outcome=outcome) for n, (stage, outcome) in enumerate(kinds)]
    assert len(costs([*timed_efforts(20, 20), *later], EUROS, None, {}).ordinary) == 2


def test_a_night_at_the_open_page_is_not_work() -> None:
    """It is cut to what is usual, in hours and in cost."""
    efforts = timed_efforts(*[18, 19, 20, 20, 21, 22, 20, 19, 21], 50_000)
    total = costs(efforts, EUROS, None, {}).total
    assert total is not None and total.minutes < 6
    (row,) = work_rows(efforts, WorkBy.REVIEWER, UTC)
    assert row.hours < 0.1


# --- ambiguous items ---------------------------------------------------------------------------------


def test_items_that_people_answer_differently_come_first() -> None:
    """Then those that take long; a usual one comes last."""
    efforts = [
        *[an_effort(n, active_seconds=20.0 + n % 3) for n in range(20)],
        an_effort(20, item_digest="long", active_seconds=400.0),
        an_effort(21, item_digest="disputed", work_id="w", active_seconds=20.0),
        an_effort(22, item_digest="disputed", work_id="w", reviewer="bob", active_seconds=20.0),
    ]
    answers = newest_answers(efforts)
    assert compared(answers) == ["sub_021", "sub_022"]
    found = ambiguous_items(answers, {"sub_021": (CELL,), "sub_022": (ELSEWHERE,)}, iou=0.5)
    assert [one.item_digest for one in found[:2]] == ["disputed", "long"]
    assert (found[0].agreement, found[0].ambiguity, found[0].answers) == (0.0, 1.0, 2)
    assert found[1].agreement is None and 0.4 < found[1].ambiguity <= 0.5
    assert found[2].ambiguity < 0.1


def test_only_the_newest_round_speaks_and_no_adjudication() -> None:
    """What experts were asked again for is judged by their answers; who decides between answers takes long anyway."""
    efforts = [
        an_effort(0, item_digest="x", work_id="w"),
        an_effort(1, item_digest="x", work_id="w", reviewer="bob"),
        an_effort(2, item_digest="x", work_id="w", reviewer="cyd", stage=Stage.ADJUDICATE),
        an_effort(3, item_digest="x", work_id="w", reviewer="dan", round=1),
        an_effort(4, item_digest="y", outcome=Outcome.SKIPPED),
    ]
    assert [effort.submission_id for effort, _ in newest_answers(efforts)] == ["sub_003"]


def test_shapes_without_an_area_do_not_count_as_boxes() -> None:
    """Answers of points alone agree, rather than break."""
    efforts = [an_effort(0, work_id="w", item_digest="x"), an_effort(1, work_id="w", item_digest="x", reviewer="bob")]
    point = {"type": "point", "label": "cell"}
    points = {f"sub_00{n}": (shape_from_json(point | {"points": [[n, n]], "box": [n, n, n, n]}),) for n in (0, 1)}
    assert ambiguous_items(newest_answers(efforts), points, iou=0.5)[0].agreement == 1.0


# --- cost --------------------------------------------------------------------------------------------

EUROS = Rates(currency="EUR", per_hour=60.0)


def test_the_rows_of_each_kind_add_up_to_all() -> None:
    """Minutes and money; by label the time of a task is shared among its shapes."""
    efforts = [
        *timed_efforts(60, 60, 60, labels={"cell": 3, "platelet": 1}),
        an_effort(3, active_seconds=60.0, outcome=Outcome.SKIPPED, labels={}, reviewer="bob", source="south"),
    ]
    total = costs(efforts, EUROS, None, {}).total
    assert total is not None
    assert (total.minutes, total.money, total.items, total.tasks) == (pytest.approx(4), pytest.approx(4), 4, 4)
    for by in CostBy:
        rows = costs(efforts, EUROS, by, {"cycle_1": NOON + timedelta(seconds=90)}).rows
        assert sum(row.minutes for row in rows) == pytest.approx(total.minutes), by
        assert sum(row.money or 0.0 for row in rows) == pytest.approx(4.0), by
    by_label = {row.key: row.minutes for row in costs(efforts, EUROS, CostBy.LABEL, {}).rows}
    assert by_label == {"": pytest.approx(1), "cell": pytest.approx(2.25), "platelet": pytest.approx(0.75)}


def test_work_counts_for_the_first_cycle_after_it() -> None:
    """What was answered at the moment that a cycle began is for the next one."""
    cycles = {"cycle_1": NOON + timedelta(minutes=1), "cycle_2": NOON + timedelta(minutes=2)}
    rows = costs(timed_efforts(1, 1, 1), EUROS, CostBy.CYCLE, cycles).rows
    assert [(row.key, row.tasks) for row in rows] == [("cycle_1", 1), ("cycle_2", 1), ("next", 1)]


def test_money_is_unknown_where_a_rate_is() -> None:
    """A person's own rate comes first; one unknown rate makes the sum unknown, not too small."""
    efforts = [an_effort(0, active_seconds=60.0), an_effort(1, active_seconds=60.0, reviewer="bob")]
    for people, money in (({"ada": 60.0, "bob": 120.0}, pytest.approx(3.0)), ({"ada": 60.0}, None)):
        total = costs(efforts, Rates(currency="EUR", people=people), None, {}).total
        assert total is not None and total.money == money


def test_all_items_are_what_was_labelled_and_nothing_is_saved() -> None:
    """Where everything that was served was answered, once."""
    efforts = timed_efforts(*range(20, 40))
    known = costs(efforts, EUROS, None, {})
    whole = everything(known, served=20)
    assert whole is not None and whole.money is not None and known.total is not None
    assert whole.minutes.value == pytest.approx(known.total.minutes)
    assert whole.saved.value == pytest.approx(0.0)
    assert whole.saved.low < 0.0 < whole.saved.high
    assert whole.money.value == pytest.approx(known.total.money)


def test_audits_say_what_an_ordinary_item_takes() -> None:
    """Items chosen for being hard take twice as long: from thirty audits on, those alone are extrapolated."""
    hard = timed_efforts(*[40.0] * 50)
    audits = [an_effort(n, stage=Stage.AUDIT, active_seconds=20.0) for n in range(50, 80)]
    by_audits = everything(costs([*hard, *audits], EUROS, None, {}), served=1000)
    assert by_audits is not None and by_audits.audits and by_audits.sample == 30
    assert by_audits.minutes.value == pytest.approx(1000 * 20 / 60)
    few = everything(costs([*hard, *audits[:-1]], EUROS, None, {}), served=1000)
    assert few is not None and not few.audits and few.sample == 79


def test_few_answers_say_nothing_of_all_items() -> None:
    """None below ten."""
    assert everything(costs(timed_efforts(*[20.0] * 9), EUROS, None, {}), served=100) is None


def test_the_interval_of_all_items_holds_the_truth() -> None:
    """Of 400 samples of 30 answers from a skewed population, about 95 % of the intervals hold what all would take."""
    rng = np.random.default_rng(3)
    population = np.exp(rng.normal(3.0, 0.5, 20_000))
    held = 0
    for _ in range(400):
        efforts = timed_efforts(*rng.choice(population, 30).tolist())
        whole = everything(costs(efforts, EUROS, None, {}), served=1)
        assert whole is not None
        held += whole.minutes.low <= population.mean() / 60.0 <= whole.minutes.high
    assert 0.88 <= held / 400 <= 0.99


@pytest.mark.parametrize(
    "rates",
    [
        Rates(currency="euro"),
        Rates(currency="EUR", per_hour=-1.0),
        Rates(currency="EUR", per_hour=float("nan")),
        Rates(currency="EUR", people={"ada": float("inf")}),
    ],
)
def test_rates_that_cannot_be_are_refused(rates: Rates) -> None:
    """With what to give instead."""
    with pytest.raises(Invalid) as told:
        checked_rates(rates)
    assert told.value.hint
