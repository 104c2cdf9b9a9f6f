"""Times of a schedule: when they are, and that each is due once."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loop.domain.errors import Invalid
from loop.domain.policy.schedule import DAYS, Schedule, schedule_from_json, schedule_in, schedule_to_json

ZURICH = "Europe/Zurich"
# Summer time by an hour, by half an hour, in the south, in winter; none; and a day that a calendar has left out.
ZONES = (
    ZURICH, "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Casablanca", "Asia/Kolkata", "UTC",
    "Pacific/Apia",
)  # fmt: skip

# Any, and more often those of a day on which some of these clocks are put on or back, or the calendar is.
CHANGES = [datetime(*day) for day in ((2026, 3, 29), (2026, 10, 25), (2026, 4, 5), (2026, 11, 1), (2011, 12, 30))]
moments = st.datetimes(datetime(2009, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC)) | st.builds(
    lambda day, minutes: day.replace(tzinfo=UTC) + timedelta(minutes=minutes),
    st.sampled_from(CHANGES),
    st.integers(-1440, 2880),
)
clocks = st.times().map(lambda one: f"{one.hour:02}:{one.minute:02}")
schedules = st.builds(
    Schedule,
    at=clocks,
    days=st.sets(st.sampled_from(DAYS), min_size=0).map(lambda some: tuple(day for day in DAYS if day in some)),
    zone=st.sampled_from(ZONES),
    since=st.just(datetime(2000, 1, 1, tzinfo=UTC)),
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def due(schedule: Schedule, now: datetime) -> datetime:
    found = schedule.due(now)
    assert found is not None
    return found


def test_a_time_is_that_of_the_clock_on_the_wall() -> None:
    """In winter an hour before that of Greenwich, in summer two."""
    schedule = Schedule(at="02:30", zone=ZURICH)
    assert schedule.next(utc("2026-01-10 12:00")) == utc("2026-01-11 01:30")
    assert schedule.next(utc("2026-07-10 12:00")) == utc("2026-07-11 00:30")


def test_only_its_days_count_by_its_own_calendar() -> None:
    """Thursday begins in Auckland while it is Wednesday in Greenwich."""
    schedule = Schedule(at="02:30", days=("mon", "thu"), zone="Pacific/Auckland")
    assert schedule.next(utc("2026-11-24 00:00")) == utc("2026-11-25 13:30")


def test_a_time_that_the_clock_skips_comes_later_and_one_that_it_shows_twice_comes_once() -> None:
    schedule = Schedule(at="02:30", zone=ZURICH, since=utc("2026-01-01 00:00"))
    assert schedule.next(utc("2026-03-29 00:00")) == utc("2026-03-29 01:30")  # 03:30: there is no 02:30
    assert schedule.next(utc("2026-10-25 00:00")) == utc("2026-10-25 00:30")
    assert schedule.next(utc("2026-10-25 00:30")) == utc("2026-10-26 01:30")


@given(schedules, moments)
def test_nothing_lies_between_the_last_time_and_the_next(schedule: Schedule, now: datetime) -> None:
    last, following = due(schedule, now), schedule.next(now)
    assert last <= now < following
    assert schedule.next(last) == following
    assert due(schedule, following - timedelta(microseconds=1)) == last
    assert due(schedule, following) == following
    assert replace(schedule, since=last).due(now) is None


@given(schedules, moments, st.integers(1, 5))
def test_the_times_that_follow_are_each_the_next_of_the_one_before(
    schedule: Schedule, now: datetime, count: int
) -> None:
    times = schedule.following(now, count)
    assert len(times) == count
    assert all(schedule.next(early) == late for early, late in pairwise((now, *times)))


@given(schedules, moments)
def test_the_clock_shows_its_time_unless_it_was_just_put_on(schedule: Schedule, now: datetime) -> None:
    """Where it was, it shows so much more as it was put on by."""
    moment = schedule.next(now)
    there, wanted = moment.astimezone(ZoneInfo(schedule.zone)), time.fromisoformat(schedule.at)
    if there.time() == wanted:
        assert not schedule.days or DAYS[there.weekday()] in schedule.days
        assert there.fold == 0
        return
    before = moment - timedelta(hours=25)
    put_on = there.utcoffset() - before.astimezone(there.tzinfo).utcoffset()  # type: ignore[operator]
    assert put_on > timedelta(0)
    naive = there.replace(tzinfo=None) - put_on
    assert naive.time() == wanted


@given(st.sampled_from([zone for zone in ZONES if zone != "Pacific/Apia"]), clocks, st.integers(2010, 2035))
def test_a_year_has_one_time_for_each_of_its_days(zone: str, at: str, year: int) -> None:
    here = ZoneInfo(zone)
    now, end = (datetime(some, 1, 1, tzinfo=here).astimezone(UTC) for some in (year, year + 1))
    found = list(_times(Schedule(at=at, zone=zone), now - timedelta(microseconds=1), end))
    assert len(found) == (date(year + 1, 1, 1) - date(year, 1, 1)).days
    assert all(timedelta(hours=22) < late - early < timedelta(hours=26) for early, late in pairwise(found))


def _times(schedule: Schedule, now: datetime, end: datetime) -> Iterable[datetime]:
    while (now := schedule.next(now)) < end:
        yield now


@given(schedules, moments, st.lists(st.integers(0, 40 * 86_400), min_size=1, max_size=20))
def test_what_was_missed_is_due_once(schedule: Schedule, start: datetime, pauses: list[int]) -> None:
    """Looks in any rhythm, the service being away for weeks now and then: a look finds something due just where a time
    has come since the one before, however many did."""
    before = start
    for pause in pauses:
        now = before + timedelta(seconds=pause)
        one = replace(schedule, since=before)
        assert (one.due(now) is not None) == (one.next(before) <= now)
        before = now


def test_a_schedule_that_was_not_begun_is_never_due() -> None:
    assert Schedule(at="00:00").due(utc("2026-01-01 12:00")) is None


@given(schedules)
def test_it_comes_back_as_it_was_kept(schedule: Schedule) -> None:
    assert schedule_from_json(schedule_to_json(schedule)) == schedule


@given(schedules)
def test_it_is_said_in_words_of_a_command(schedule: Schedule) -> None:
    assume(schedule.days)
    said = schedule_from_json(schedule_in(f"{','.join(schedule.days)} {schedule.at} {schedule.zone}"))
    assert (said.at, said.days, said.zone) == (schedule.at, schedule.days, schedule.zone)
    assert schedule_from_json(schedule_in(schedule.at)) == Schedule(at=schedule.at)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("02:30", "schedule says '02:30'"),
        ({}, "schedule says"),
        ({"at": "02:30", "hour": 3}, "schedule says"),
        ({"at": "24:00"}, "24:00.*no time"),
        ({"at": 150}, "150.*no time"),  # as YAML 1.1 reads 2:30
        ({"at": "02:30", "days": "mon"}, "days are mon, tue"),
        ({"at": "02:30", "days": ["monday"]}, "days are mon, tue"),
        ({"at": "02:30", "zone": "Europe/Bern"}, "no time zone"),
        ({"at": "02:30", "zone": "../../etc/passwd"}, "no time zone"),
        ({"at": "02:30", "zone": "Europe"}, "no time zone"),
        ({"at": "02:30", "zone": ""}, "no time zone"),
    ],
)
def test_what_is_no_schedule_is_refused(given: object, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        schedule_from_json(given)
