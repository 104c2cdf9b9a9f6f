"""Times of the clock on the wall, on days of the week: when they are, whatever summer time does to them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from loop.domain.errors import Invalid

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_KEYS = ("at", "days", "zone")
_AROUND = 8  # days in which each day of the week comes, wherever the zone's calendar is
_EXAMPLE = "Write for example {at: '02:30', days: [mon, thu], zone: Europe/Zurich}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """at: HH:MM by the clock of `zone`, a name of the IANA database. days: of DAYS, in that order; none: every day.

    since: times up to this moment are over, whether anything came of them; None: all are still to come.

    A time that the clock skips, as summer time begins, comes as much later as is skipped; one that it shows twice comes
    the first time.
    """

    at: str
    days: tuple[str, ...] = ()
    zone: str = "UTC"
    since: datetime | None = None

    def due(self, now: datetime) -> datetime | None:
        """The last time up to `now`, in UTC, unless it is over; so one is due however many were missed."""
        if self.since is None:
            return None
        last = max(moment for moment in self._around(now) if moment <= now)
        return last if last > self.since else None

    def next(self, now: datetime) -> datetime:
        """The first time after `now`, in UTC."""
        return min(moment for moment in self._around(now) if moment > now)

    def following(self, now: datetime, count: int) -> tuple[datetime, ...]:
        """So many after `now`, in UTC, the first first."""
        times: list[datetime] = []
        for _ in range(count):
            times.append(self.next(times[-1] if times else now))
        return tuple(times)

    def in_words(self) -> str:
        return f"{', '.join(self.days) or 'every day'} at {self.at} {self.zone}"

    def _around(self, now: datetime) -> Iterator[datetime]:
        today = now.astimezone(_zone(self.zone)).date()
        for days in range(-_AROUND, _AROUND + 1):
            day = today + timedelta(days=days)
            if not self.days or DAYS[day.weekday()] in self.days:
                yield self._on(day)

    def _on(self, day: date) -> datetime:
        # fold=0 is the first of two, and of a time that is skipped what the clock would say had it not been put on.
        return datetime.combine(day, time.fromisoformat(self.at), _zone(self.zone)).astimezone(UTC)


def schedule_to_json(schedule: Schedule) -> dict[str, object]:
    since = None if schedule.since is None else schedule.since.isoformat()
    return {"at": schedule.at, "days": list(schedule.days), "zone": schedule.zone, "since": since}


def schedule_from_json(document: object) -> Schedule:
    """As `schedule_to_json` gave it, or a person: only `at` has to be there. Raises Invalid."""
    if not isinstance(document, Mapping) or set(document) - {*_KEYS, "since"} or "at" not in document:
        raise _refused(f"schedule says {document!r}")
    at, days, zone, since = (document.get(name) for name in (*_KEYS, "since"))
    if not isinstance(at, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", at):
        raise _refused(f"schedule.at is {at!r}, which is no time")
    if days is not None and (not isinstance(days, list | tuple) or any(day not in DAYS for day in days)):
        raise _refused(f"schedule.days is {days!r}; days are {', '.join(DAYS)}")
    return Schedule(
        at=at,
        days=tuple(day for day in DAYS if day in (days or ())),
        zone=_known_zone("UTC" if zone is None else zone),
        since=datetime.fromisoformat(since) if isinstance(since, str) else None,
    )


def schedule_in(text: str) -> dict[str, object]:
    """The document in words of a command: [DAYS] HH:MM [ZONE], as `mon,thu 02:30 Europe/Zurich`. Raises Invalid where
    it has another form."""
    found = re.fullmatch(r"(?:(?P<days>[a-z,]+)\s+)?(?P<at>\S*:\S*)(?:\s+(?P<zone>\S+))?", text.strip())
    if found is None:
        raise _refused(f"schedule is {text!r}; say [DAYS] HH:MM [ZONE]")
    said = {name: value for name, value in found.groupdict().items() if value is not None}
    return {**said, "days": said["days"].split(",")} if "days" in said else dict(said)


def _known_zone(name: object) -> str:
    try:
        return _zone(str(name)).key
    except (KeyError, ValueError, OSError):  # a name may also be that of a folder, or lead out of the database
        raise _refused(f"schedule.zone is {name!r}, which is no time zone that this machine knows") from None


@cache
def _zone(name: str) -> ZoneInfo:
    """Of the machine's IANA database, else of the package tzdata."""
    return ZoneInfo(name)


def _refused(what: str) -> Invalid:
    return Invalid(f"{what}.", hint=_EXAMPLE, field="schedule")
