"""How good production is: which answers an estimate is made from, and that neither routing nor a backlog biases it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.corrections import Counted
from loop.domain.production.figures import ProductionBasis, ProductionBy
from loop.domain.production.sampled import Answering, Crowd, Drawn, Sampled
from loop.domain.production.windows import (
    Found,
    Row,
    Window,
    row_of,
    rows_by,
    series_of,
    thinned,
    window_of,
)
from loop.domain.truth import Shape

NOW = datetime(2026, 3, 29, 12, tzinfo=UTC)  # a Sunday
PATIENCE = timedelta(days=7)
BAD = (Shape("circle", (0.0, 0.0, 9.0, 9.0)),)


def sampled(
    number: int,
    *,
    age: timedelta,
    answering: Answering = Answering.SETTLED,
    audit: bool = True,
    risk: float = 0.1,
    inclusion: float = 0.1,
    failed: bool = False,
    source: str = "",
) -> Sampled:
    settled = answering is Answering.SETTLED
    return Sampled(
        prediction_id=f"pred_{number:06}", item_digest="", created_at=NOW - age, source=source, detections=(),
        signals={}, risk=risk, inclusion=inclusion, audit_rate=0.1, audit_drawn=audit, answering=answering,
        truth=(BAD if failed else ()) if settled else None, settled_at=NOW if settled else None,
    )  # fmt: skip


def window(*members: Sampled, kept: float = 1.0, **more: bool) -> Window:
    return window_of(
        members, kept, since=NOW - timedelta(days=30), until=NOW, now=NOW, patience=PATIENCE, **more
    )  # fmt: skip


def found(of: Window, *, answered: bool = True) -> Found:
    """What people found: a missed circle where something was wrong, else nothing but a circle that was found."""
    members = [one for one in of.members if (one.answering is Answering.SETTLED) == answered]
    return Found.of(
        of,
        [(one, {"circle": Counted(right=not one.truth, missed=len(one.truth or ()))}) for one in members],
        ["circle"],
    )


TODAY = NOW.date()


def crowd(day: date = TODAY, source: str = "", risks: tuple[float, ...] = (0.1,) * 10) -> Crowd:
    return Crowd(day, source, len(risks), sum(risks), sum(risk**2 for risk in risks), 0.1)


def row(of: Window) -> Row:
    return row_of("", found(of), found(of, answered=False), [])


# --- which answers ----------------------------------------------------------------------------------------


def test_an_estimate_ends_before_the_oldest_that_waits() -> None:
    """What people have not come to yet says by its absence how risky it looks."""
    hours = [timedelta(hours=n + 1) for n in range(6)]
    members = [sampled(n, age=age) for n, age in enumerate(hours)]
    members[3] = replace(members[3], answering=Answering.WAITING, truth=None)
    cut = window(*members)
    assert cut.until == members[3].created_at and cut.cut and cut.waiting == 1
    assert {one.prediction_id for one in cut.members} == {"pred_000004", "pred_000005"}
    whole = window(*(one for one in members if one.answering is Answering.SETTLED))
    assert whole.until == NOW and not whole.cut and len(whole.members) == 5


def test_what_waits_too_long_is_inside_and_unanswered() -> None:
    """As is what nobody could say; bounds tell what both could change."""
    forgotten = sampled(1, age=PATIENCE + timedelta(hours=1), answering=Answering.WAITING)
    closed = sampled(2, age=timedelta(hours=3), answering=Answering.CLOSED)
    answered = [sampled(n, age=timedelta(hours=n), failed=n % 2 == 0) for n in range(3, 23)]
    told = row(window(forgotten, closed, *answered))
    assert (told.seen, told.unanswered) == (20, 2)
    assert told.failure.plain is not None and told.failure.worst is not None
    assert told.failure.plain.value == 0.5
    assert told.failure.worst[0] < told.failure.plain.low and told.failure.worst[1] > told.failure.plain.high
    assert told.perfect.worst == pytest.approx((1 - told.failure.worst[1], 1 - told.failure.worst[0]))
    assert told.recall.plain is not None and told.recall.worst is None  # what is in those images is not known


def test_a_backlog_of_reviews_leaves_the_audits_as_they_are() -> None:
    """People who answer the riskiest first leave the others: then the lot alone is asked, to its own end."""
    audits = [sampled(n, age=timedelta(hours=n + 1)) for n in range(50)]
    reviewed = [sampled(100 + n, age=timedelta(hours=n + 1), audit=False, inclusion=1.0, risk=0.9) for n in range(50)]
    assert window(*audits, *reviewed).basis is ProductionBasis.ALL
    backlog = [replace(one, answering=Answering.WAITING, truth=None) for one in reviewed[30:]]
    behind = window(*audits, *reviewed[:30], *backlog)
    assert behind.basis is ProductionBasis.AUDITS
    assert behind.until == NOW and len(behind.members) == 50
    assert {behind.inclusion(one) for one in behind.members} == {0.1}
    assert window(*audits, *reviewed, audits_alone=True).basis is ProductionBasis.AUDITS


def test_reviews_that_are_never_answered_leave_the_audits_too() -> None:
    """A few that were forgotten do not."""
    audits = [sampled(n, age=timedelta(days=10, hours=n)) for n in range(50)]
    forgotten = [
        sampled(100 + n, age=timedelta(days=10, hours=n), audit=False, inclusion=1.0, answering=Answering.WAITING)
        for n in range(40)
    ]
    assert window(*audits, *forgotten).basis is ProductionBasis.AUDITS
    assert window(*audits, *forgotten[:4]).basis is ProductionBasis.ALL


@given(
    st.lists(
        st.tuples(st.sampled_from(Answering), st.booleans(), st.integers(0, 400), st.booleans()),
        min_size=1,
        max_size=40,
    )
)
def test_which_answers_are_asked_does_not_depend_on_what_they_are(
    given_: list[tuple[Answering, bool, int, bool]],
) -> None:
    """Turn every answer round: the same window, of the same basis."""
    one, other = (
        window(
            *(
                sampled(n, age=timedelta(hours=hours), answering=answering, audit=audit, failed=failed is turned,
                        inclusion=0.1 if audit else 1.0)
                for n, (answering, audit, hours, failed) in enumerate(given_)
            )
        )
        for turned in (True, False)
    )  # fmt: skip
    assert (one.until, one.basis, one.waiting, one.kept) == (other.until, other.basis, other.waiting, other.kept)
    assert [m.prediction_id for m in one.members] == [m.prediction_id for m in other.members]
    assert all(0.0 < one.inclusion(member) <= 1.0 for member in one.members)


def test_of_many_reviews_a_part_is_read_with_known_probability() -> None:
    """Always the same part, and all audits."""
    drawn = [Drawn(f"pred_{n}", NOW, 1.0, 0.1, n % 10 == 0) for n in range(10_000)]
    some = thinned(drawn, most=500)
    audits = {one.prediction_id for one in drawn if one.audit_drawn}
    assert audits < set(some.prediction_ids)
    assert some.kept == pytest.approx(500 / 9000)
    assert 430 < len(some.prediction_ids) - len(audits) < 570
    assert thinned(drawn, most=500) == some
    assert thinned(drawn[:50], most=500).kept == 1.0


def test_whoever_asked_for_a_person_counts_by_what_was_known_before() -> None:
    """A caller's wish makes it certain (inclusion 1) whatever the risk; who declined leaves the lot alone."""
    asked = sampled(1, age=timedelta(hours=1), audit=False, inclusion=1.0, risk=0.01)
    declined = sampled(2, age=timedelta(hours=2), inclusion=0.1, risk=0.99)
    of = window(asked, declined, kept=0.5)
    assert of.inclusion(declined) == 0.1
    assert of.inclusion(asked) == pytest.approx(0.1 + 0.9 * 0.5)


def test_what_the_lot_could_not_draw_is_left_out() -> None:
    """Bulk predictions without review, and times without audits: estimates do not speak of them."""
    none = replace(sampled(1, age=timedelta(hours=1), audit=False, inclusion=1.0), audit_rate=0.0)
    assert window(none).members == ()


# --- what it comes to ---------------------------------------------------------------------------------------


def streams(rng: np.random.Generator, *, backlog: bool) -> tuple[Window, float]:
    """4,000 predictions of which a tenth is audited and the riskiest are reviewed; people take the riskiest first, and,
    with a backlog, come through the audits and half of the reviews. With the share of all that failed."""
    risk = rng.beta(0.5, 3, 4_000)
    failed = rng.random(len(risk)) < risk
    audit, risky = rng.random(len(risk)) < 0.1, risk > 0.3
    members = []
    for n in np.flatnonzero(audit | risky):
        waits = backlog and not audit[n] and risk[n] < 0.5
        members.append(
            sampled(
                int(n), age=timedelta(seconds=60 * int(n + 1)), audit=bool(audit[n]), risk=float(risk[n]),
                inclusion=1.0 if risky[n] else 0.1, failed=bool(failed[n]),
                answering=Answering.WAITING if waits else Answering.SETTLED,
            )
        )  # fmt: skip
    drawn = [Drawn(m.prediction_id, m.created_at, m.inclusion, m.audit_rate, m.audit_drawn) for m in members]
    some = thinned(drawn, most=200)
    chosen = set(some.prediction_ids)
    return window(*(m for m in members if m.prediction_id in chosen), kept=some.kept), float(failed.mean())


@pytest.mark.parametrize("backlog", [False, True])
def test_neither_routing_by_risk_nor_a_backlog_biases_the_failure_rate(backlog: bool) -> None:
    """Over many streams the mean is the truth, and intervals hold it as often as they say; unweighted it is far off."""
    rng = np.random.default_rng(1)
    off, held, naive = [], [], []
    for _ in range(100):
        of, _ = streams(rng, backlog=backlog)
        assert of.basis is (ProductionBasis.AUDITS if backlog else ProductionBasis.ALL)
        told = row(of).failure.plain
        assert told is not None
        truth = 0.5 / 3.5
        off.append(told.value - truth)
        held.append(told.low <= truth <= told.high)
        naive.append(float(np.mean([bool(one.truth) for one in of.members])) - truth)
    assert abs(np.mean(off)) < 4 * np.std(off) / 10
    assert np.mean(held) >= 0.88
    if not backlog:
        assert np.mean(naive) > 0.1


def test_with_few_audits_a_group_rests_on_them_alone() -> None:
    """Fifty reviewed ones beside twenty audits would make it look as sure as seventy."""
    reviewed = [
        sampled(100 + n, age=timedelta(minutes=n + 1), audit=False, inclusion=1.0, failed=n % 2 == 0) for n in range(50)
    ]
    of = window(*(sampled(n, age=timedelta(minutes=n + 1)) for n in range(20)), *reviewed)
    few = row(of)
    assert (of.basis, few.seen, few.audits) == (ProductionBasis.ALL, 20, 20)
    assert few.failure.plain is not None and few.failure.plain.high > 0.1
    many = row(window(*(sampled(n, age=timedelta(minutes=n + 1)) for n in range(1000, 1200)), *reviewed))
    assert (many.seen, many.audits) == (250, 200)


def test_rows_by_source_day_and_week_part_the_answers() -> None:
    """Days in order, weeks by their Monday, sources by their answers; what they stand for is parted too."""
    members = [
        sampled(n, age=timedelta(days=n % 9, hours=1), source="north" if n % 3 else "south", failed=not n % 3)
        for n in range(36)
    ]
    of = window(*members)
    crowds = [crowd(NOW.date() - timedelta(days=n), source) for n in range(9) for source in ("north", "south")]
    parted = {
        by: rows_by(by, found(of), found(of, answered=False), crowds, most=100)
        for by in ProductionBy
        if by is not ProductionBy.MODEL
    }
    assert [one.key for one in parted[ProductionBy.SOURCE]] == ["north", "south"]
    north, south = parted[ProductionBy.SOURCE]
    assert north.failure.plain is not None and south.failure.plain is not None
    assert (north.failure.plain.value, south.failure.plain.value) == (0.0, 1.0)
    assert (north.seen, south.seen, north.predictions) == (24, 12, 90)
    assert [one.key for one in parted[ProductionBy.DAY]] == [f"2026-03-{day}" for day in range(21, 30)]
    assert [one.key for one in parted[ProductionBy.WEEK]] == ["2026-03-16", "2026-03-23"]
    for by in (ProductionBy.SOURCE, ProductionBy.DAY, ProductionBy.WEEK):
        assert sum(one.seen for one in parted[by]) == 36
        assert sum(one.predictions for one in parted[by]) == 180
    (circle,) = parted[ProductionBy.LABEL]
    assert circle.key == "circle" and circle.recall.plain is not None
    assert circle.recall.plain.value == pytest.approx(24 / 36)
    assert [one.key for one in rows_by(ProductionBy.DAY, found(of), found(of), crowds, most=2)] == [
        "2026-03-28",
        "2026-03-29",
    ]


def test_a_label_fails_alone() -> None:
    """What is wrong with another does not count against it."""
    of = window(*(sampled(n, age=timedelta(hours=n + 1)) for n in range(4)))
    counts = [{"square": Counted(right=1, false_alarms=n % 2), "bar": Counted(right=1)} for n in range(4)]
    all_of_them = Found.of(of, list(zip(of.members, counts, strict=True)), ["square", "bar"])
    none = Found.of(of, [], ["square", "bar"])
    square, bar = rows_by(ProductionBy.LABEL, all_of_them, none, [], most=10)
    total = row_of("", all_of_them, none, [])
    assert square.precision.plain is not None and bar.failure.plain is not None and total.failure.plain is not None
    assert square.key == "square" and square.precision.plain.value == pytest.approx(4 / 6)
    assert (bar.key, bar.failure.plain.value, total.failure.plain.value) == ("bar", 0.0, 0.5)


def test_too_few_are_told_in_words() -> None:
    """With how many more audits would do; nothing is said of many."""
    few = row(window(*(sampled(n, age=timedelta(hours=n + 1), failed=n < 3) for n in range(12))))
    assert few.words == f"12 audits; the interval is wide; about {few.more} more halve it."
    assert few.more is not None and 30 < few.more < 45
    assert row(window()).words == "no audit was answered yet."
    assert row(window(sampled(1, age=timedelta(hours=1), answering=Answering.CLOSED))).words.startswith("nobody could")
    assert row(window(*(sampled(n, age=timedelta(minutes=n + 1), failed=n < 50) for n in range(1000)))).words == ""


def test_the_risk_helps_from_a_hundred_answers_on() -> None:
    """And shortens the interval where it tells failures apart."""
    rng = np.random.default_rng(2)
    risk = rng.beta(0.3, 0.6, 3_000)
    failed = rng.random(len(risk)) < risk
    drawn = np.flatnonzero(rng.random(len(risk)) < 0.1)
    members = [
        sampled(int(n), age=timedelta(seconds=int(n) + 1), risk=float(risk[n]), failed=bool(failed[n])) for n in drawn
    ]
    crowds = [crowd(risks=tuple(risk))]
    told = row_of("", found(window(*members)), found(window()), crowds).failure
    assert told.plain is not None and told.assisted is not None
    assert told.assisted.high - told.assisted.low < 0.8 * (told.plain.high - told.plain.low)
    assert abs(told.assisted.value - failed.mean()) < 0.05
    assert row_of("", found(window(*members[:99])), found(window()), crowds).failure.assisted is None


# --- every day ----------------------------------------------------------------------------------------------


def test_a_series_has_a_point_for_each_day_with_audits() -> None:
    """Its bounds never widen, hold the value, and narrow as audits come; days without audits count as unseen."""
    rng = np.random.default_rng(3)
    days = [NOW.date() - timedelta(days=n) for n in range(28, -1, -1) if n != 5]
    members = [
        sampled(100 * n + k, age=timedelta(days=(NOW.date() - day).days, minutes=100 - k), failed=rng.random() < 0.2)
        for n, day in enumerate(days)
        for k in range(40)
    ]
    of = window(*members, audits_alone=True)
    ordered = replace(of, members=tuple(sorted(of.members, key=lambda one: one.created_at)))
    crowds = [crowd(NOW.date() - timedelta(days=n), risks=(0.1,) * 400) for n in range(29)]
    points = series_of(found(ordered), crowds)
    assert [point.day for point in points] == days
    assert [point.audits for point in points] == [40 * (n + 1) for n in range(28)]
    assert all(a.low <= b.low and a.high >= b.high for a, b in pairwise(points))
    assert points[-1].low < 0.2 < points[-1].high and points[-1].high - points[-1].low < 0.2
    assert points[-1].high < points[0].high
    assert series_of(found(window()), crowds) == []
