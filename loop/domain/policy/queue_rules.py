"""How a project orders its review queue and who may take what from it: the part of its policy for people."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loop.domain.errors import Invalid
from loop.domain.stage import Stage

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
MOST_PEOPLE = 20  # that answer one item
_MOST_WEIGHT = 1000.0
_SECONDS = (1.0, 10 * 366 * 86_400.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillRule:
    """Tasks that meet all that is given need `skill`. label: that the model proposes. None: whatever it is."""

    skill: str
    stage: Stage | None = None
    source: str | None = None
    label: str | None = None

    def applies(self, stage: Stage, source: str, labels: frozenset[str]) -> bool:
        return (
            self.stage in (None, stage)
            and self.source in (None, source)
            and (self.label is None or self.label in labels)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRules:
    """Weights are points, at least 0; maps leave out what has the default.

    risk_weight: points of a risk of 1. stage_boosts, source_boosts: points of a stage, of a source.
    age_weight (above 0): points that a task gains by waiting for horizon_seconds.
    deadline_weight: points that it gains while its due time comes nearer by horizon_seconds.
    due_seconds: by stage, how long after its creation a task is due; none: never.
    overdue_weight: points that a task gets at once when its due time passes.
    escalate_after_seconds: after the due time, when escalation_group gets the task; None: never.
    stage_groups: by stage, the groups of which one may do it; none: everybody.
    skills: which tasks need which skills; a person needs all of them.
    people: by stage, how many distinct people answer an item; 1 where none is given. people_share: probability in
    [0, 1] with which an item of such a stage gets that many.
    skips_before_expert: so many different people skip an item before expert_group gets it; "": it is closed then.
    max_leases, max_tasks_a_day: of one person in the project, a UTC day; None: no limit.
    blind_share: probability in [0, 1] with which a task hides what the model predicts from its reviewer.
    fair_sources: tasks are handed out from the sources in turn, by source_shares (above 0; 1 where none is given).
    """

    risk_weight: float = 1.0
    age_weight: float = 1.0
    deadline_weight: float = 1.0
    overdue_weight: float = 1.0
    stage_boosts: Mapping[Stage, float] = field(default_factory=dict)
    source_boosts: Mapping[str, float] = field(default_factory=dict)
    horizon_seconds: float = 30 * 86_400.0
    due_seconds: Mapping[Stage, float] = field(default_factory=dict)
    escalate_after_seconds: float | None = None
    escalation_group: str = ""
    stage_groups: Mapping[Stage, tuple[str, ...]] = field(default_factory=dict)
    skills: tuple[SkillRule, ...] = ()
    people: Mapping[Stage, int] = field(default_factory=dict)
    people_share: float = 1.0
    skips_before_expert: int = 1
    expert_group: str = ""
    max_leases: int | None = None
    max_tasks_a_day: int | None = None
    blind_share: float = 0.0
    fair_sources: bool = False
    source_shares: Mapping[str, float] = field(default_factory=dict)

    @property
    def groups(self) -> frozenset[str]:
        """All that are named."""
        routed = (group for groups in self.stage_groups.values() for group in groups)
        return frozenset({*routed, self.expert_group, self.escalation_group} - {""})

    @property
    def seconds_of_a_point(self) -> float:
        """How long a task must wait for one point of urgency."""
        return self.horizon_seconds / (self.age_weight + self.deadline_weight)


def rules_of(document: Mapping[str, Any]) -> QueueRules:
    """From plain values, as `dataclasses.asdict` gives them; what is left out has its default. Raises Invalid for a
    stage that there is none of."""
    known = dict(document)
    for name in ("stage_boosts", "due_seconds", "people"):
        known[name] = {_stage(stage): value for stage, value in known.get(name, {}).items()}
    known["stage_groups"] = {_stage(stage): tuple(groups) for stage, groups in known.get("stage_groups", {}).items()}
    known["skills"] = tuple(_skill_rule(rule) for rule in known.get("skills", ()))
    return QueueRules(**known)


def _skill_rule(document: Mapping[str, Any]) -> SkillRule:
    stage = document.get("stage")
    return SkillRule(**{**document, "stage": None if stage is None else _stage(stage)})


def _stage(name: str) -> Stage:
    known = [stage for stage in Stage if stage is not Stage.GOLDEN]  # which follows no rules but its own
    if name not in known:
        raise Invalid(f"there is no stage {name!r}.", hint=f"Use one of: {', '.join(known)}.", stage=name)
    return Stage(name)


@dataclass(frozen=True, slots=True)
class Lane:
    """Tasks that the same people may do. groups: one of them, or anybody where there is none. skills: all of them.
    person: a token's id, who alone may do them; "": whoever."""

    stage: Stage
    groups: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    person: str = ""

    @property
    def key(self) -> str:
        """As it is stored; equal lanes have equal keys."""
        parts = [self.stage.value, ",".join(sorted(set(self.groups))), ",".join(sorted(set(self.skills)))]
        return "|".join([*parts, self.person] if self.person else parts)

    def open_to(self, groups: frozenset[str], skills: frozenset[str]) -> bool:
        return (not self.groups or not groups.isdisjoint(self.groups)) and skills.issuperset(self.skills)


def lane_of(key: str) -> Lane:
    """The lane that `Lane.key` named."""
    stage, groups, skills, *person = key.split("|", 3)
    return Lane(Stage(stage), _names(groups), _names(skills), *person)


def _names(joined: str) -> tuple[str, ...]:
    return tuple(joined.split(",")) if joined else ()


def checked_names(what: str, names: Iterable[str]) -> tuple[str, ...]:
    """`names` of groups or skills, each once, sorted; raises Invalid for one that cannot be."""
    for name in names:
        if not _NAME.fullmatch(name):
            raise Invalid(
                f"{name!r} cannot name a {what}.",
                hint="Use 1 to 63 lower-case letters, digits and dashes, starting with a letter or digit.",
                name=name,
            )
    return tuple(sorted(set(names)))


def checked_rules(rules: QueueRules) -> QueueRules:
    """`rules` if they can order a queue; raises Invalid, naming what cannot be."""
    for name in ("risk_weight", "deadline_weight", "overdue_weight"):
        _require(name, getattr(rules, name), 0.0, _MOST_WEIGHT)
    # Without ageing nothing bounds how long a task waits, and a head start has no length.
    _require("age_weight", rules.age_weight, 0.001, _MOST_WEIGHT)
    _require("horizon_seconds", rules.horizon_seconds, *_SECONDS)
    _require("people_share", rules.people_share, 0.0, 1.0)
    _require("blind_share", rules.blind_share, 0.0, 1.0)
    _require("skips_before_expert", rules.skips_before_expert, 1, 100)
    for name, (low, high) in {
        "stage_boosts": (0.0, _MOST_WEIGHT),
        "source_boosts": (0.0, _MOST_WEIGHT),
        "due_seconds": _SECONDS,
        "people": (1, MOST_PEOPLE),
        "source_shares": (0.001, 1000.0),
    }.items():
        for key, value in getattr(rules, name).items():
            _require(f"{name}.{key}", value, low, high)
    for name, (low, high) in {
        "max_leases": (1, 1000),
        "max_tasks_a_day": (1, 100_000),
        "escalate_after_seconds": _SECONDS,
    }.items():
        if (value := getattr(rules, name)) is not None:
            _require(name, value, low, high)
    checked_names("group", rules.groups)
    checked_names("skill", (rule.skill for rule in rules.skills))
    for stage, does in ((Stage.ADJUDICATE, "adjudicates an item"), (Stage.QA, "judges an answer")):
        if rules.people.get(stage, 1) != 1:
            raise Invalid(f"one person {does}.", hint=f"Leave people.{stage} out.")
    if (rules.escalate_after_seconds is None) != (not rules.escalation_group):
        raise Invalid("escalate_after_seconds and escalation_group go together.", hint="Give both, or neither of them.")
    return rules


def _require(name: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise Invalid(f"queue.{name} is {value:g}.", hint=f"Use a number from {low:g} to {high:g}.", field=name)


def require_known(rules: QueueRules, *, groups: frozenset[str], skills: frozenset[str]) -> None:
    """Raises Invalid for a group that nobody is in, or a skill that nobody has: its tasks would wait for ever."""
    needed = frozenset(rule.skill for rule in rules.skills)
    for what, asked, known in (("group", rules.groups, groups), ("skill", needed, skills)):
        if unknown := sorted(asked - known):
            there = ", ".join(sorted(known)) or "none yet"
            raise Invalid(
                f"nobody has the {what} {unknown[0]!r}, so that its tasks would wait for ever.",
                hint=f"Give it to somebody first (askance people set), or use one of: {there}.",
                **{what: unknown[0]},
            )
