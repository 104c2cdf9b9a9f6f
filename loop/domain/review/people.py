"""Reviewers: a person is a token, with the groups it is in, the skills it has, and limits of its own."""

from dataclasses import dataclass

from loop.domain.access import Token
from loop.domain.policy.queue_rules import Lane, QueueRules
from loop.domain.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who is not described is in no group, has no skill, and has the project's limits (as None means here)."""

    token_id: str
    groups: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    max_leases: int | None = None
    max_tasks_a_day: int | None = None

    def may_do(self, lane: Lane) -> bool:
        """Golden items are handed out apart (loop/review/golden.py): each task is one person's."""
        mine = lane.stage is not Stage.GOLDEN and lane.person in ("", self.token_id)
        return mine and lane.open_to(frozenset(self.groups), frozenset(self.skills))


@dataclass(frozen=True, slots=True)
class Reviewer:
    """A token that may review, with what is said of it. answered: works, each once however often it was re-opened."""

    token: Token
    person: Person
    answered: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many more tasks a person may take now; `why` says what limits them, "" where nothing does."""

    tasks: int
    why: str = ""


def leases_at_once(person: Person, rules: QueueRules) -> int | None:
    return rules.max_leases if person.max_leases is None else person.max_leases


def tasks_a_day(person: Person, rules: QueueRules) -> int | None:
    return rules.max_tasks_a_day if person.max_tasks_a_day is None else person.max_tasks_a_day


def allowance(person: Person, rules: QueueRules, *, wanted: int, held: int, answered_today: int) -> Allowance:
    """At most `wanted`. What a person holds counts as of today: it may be answered today."""
    at_once, a_day = leases_at_once(person, rules), tasks_a_day(person, rules)
    allowed = Allowance(wanted)
    if at_once is not None and at_once - held < allowed.tasks:
        allowed = Allowance(max(at_once - held, 0), f"You may hold {at_once} tasks at once.")
    if a_day is not None and a_day - answered_today - held < allowed.tasks:
        allowed = Allowance(max(a_day - answered_today - held, 0), f"You may answer {a_day} tasks a day (UTC).")
    return allowed
