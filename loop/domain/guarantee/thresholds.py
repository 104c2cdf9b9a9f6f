"""Records of the thresholds that keep a project's promises, and the bar that one prediction meets by them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import ceil, log

from loop.domain.policy.promises import GuaranteeRules, OnAlarm, Promise, PromiseBy
from loop.domain.reason import Reason
from loop.domain.routing import Bar, Policy

ALL = "all"
NOTHING = "nothing"  # predictions that show nothing, where labels are groups
OTHER = "other"  # of groups that have no threshold of their own
SHARES = (0.1, 0.5, 0.9)  # of automation for which it is told how many audits it takes

_EVERYTHING = 0.0  # no risk is below it


class EvidenceBasis(StrEnum):
    """Which answers speak."""

    SEEN = "seen"  # of all that came to people
    AUDITS = "audits"  # of audits alone, while others of the same time wait for people


class Why(StrEnum):
    """What a record was made for."""

    BEGUN = "begun"  # there was none for this model, risk and policy
    ANSWERS = "answers"  # enough new ones, or a day is over
    RISK = "risk"  # it was learned again
    BROKEN = "broken"
    OVER = "over"  # new evidence keeps the promise that was broken
    ACCEPTED = "accepted"  # by a person


class Phase(StrEnum):
    CRAWL = "crawl"  # too little evidence: people look at everything
    WALK = "walk"  # enough to judge; what may pass is nothing, or some groups only
    RUN = "run"  # people look at what is risky, and at audits


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupThreshold:
    """Of one group of one promise (its place in the policy). value, passing, bound, automation, reasons: as of
    `loop.domain.guarantee.passing.Threshold`, of the predictions of the group. size: predictions of the window;
    answered: of them, by people; audits: of these, by lot alone. needed: for each of SHARES, how many more audits
    would let that share pass; 0: none, None: no number does."""

    promise: int
    group: str
    value: float
    passing: float
    bound: float
    automation: float
    size: int
    answered: int
    audits: int
    needed: tuple[int | None, ...]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A promise that is found broken, of one group. since: from when on predictions were watched. seen: audits of what
    passed; rate: that they estimate. capital: of who bet against the promise
    (loop/domain/production/confidence_sequence.py)."""

    promise: int
    group: str
    since: datetime
    found_at: datetime
    seen: int
    rate: float
    capital: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What a model's predictions are routed by while its risk and the policy are these; version: counts up in the
    project.

    window_from, window_until: when the predictions were made that it rests on. size: how many they are, of the part
    that gives evidence; answered: of them, by people; closed: of these, nobody could say; overdue: nobody has answered
    in time. Both count as failures. review_share: of predictions, that come to people by it. relaxed: risk below which
    predictions pass, since people can do no more, in spite of the promises; None: these are kept. watched_since: from
    when on the alarm listens. reviews: answers of the model, when it was made. alarm: a promise is broken.
    promises: as the policy has them. not_before: evidence from before does not count, since a promise was broken then.
    others: names of the groups that the window showed and that have no threshold of their own; what is in a group that
    it did not show is reviewed. Empty: not known, or too many.
    """

    project_id: str
    version: int
    model_id: str
    risk_key: str | None
    policy_version: int
    promises: tuple[Promise, ...]
    created_at: datetime
    why: Why
    basis: EvidenceBasis
    window_from: datetime
    window_until: datetime
    size: int
    answered: int
    closed: int
    overdue: int
    groups: tuple[GroupThreshold, ...]
    automation: float
    review_share: float
    relaxed: float | None
    watched_since: datetime
    not_before: datetime | None
    reviews: int
    alarm: Broken | None
    others: tuple[str, ...] = ()


def groups_of(promise: Promise, source: str, labels: Collection[str], named: Collection[str]) -> tuple[str, ...]:
    """The groups of a promise that a prediction is in. named: those that have thresholds; all others are OTHER."""
    return tuple(sorted({_group(name, named) for name in names_of(promise, source, labels)}))


def names_of(promise: Promise, source: str, labels: Collection[str]) -> tuple[str, ...]:
    """As `groups_of`, had each a threshold of its own."""
    if promise.by is PromiseBy.NONE:
        return (ALL,)
    if promise.by is PromiseBy.SOURCE:
        return (f"source={source}",)
    return tuple(f"label={label}" for label in sorted(labels)) or (NOTHING,)


def _group(name: str, named: Collection[str]) -> str:
    return name if name in named or name in (ALL, NOTHING) else OTHER


def bar_of(policy: Policy, known: Thresholds | None, *, source: str, labels: Collection[str]) -> Bar:
    """What a prediction's risk is held against: the lowest threshold of the groups that it is in. known: of just this
    model, risk and policy; None: there are none."""
    rules = policy.guarantee
    if not rules.promises:
        return Bar(policy.threshold)
    if known is None:
        return Bar(_EVERYTHING, (Reason("no-threshold-yet", "nothing is promised yet; people look at everything"),))
    held = _stopped(rules, known) or _lowest(rules, known, source, labels)
    if known.relaxed is not None and known.relaxed > held.threshold:
        reason = Reason(
            "promise-unmet", f"people can look at risks from {known.relaxed:.4f} on; {held.reasons[0].detail}"
        )
        return Bar(known.relaxed, (reason,), known.version)
    return held


def _stopped(rules: GuaranteeRules, known: Thresholds) -> Bar | None:
    """While a promise is found broken, and that is to stop what passes."""
    if known.alarm is None or rules.on_alarm is OnAlarm.TELL:
        return None
    where = f"promise {known.alarm.promise + 1} ({known.alarm.group})"
    return Bar(
        _EVERYTHING, (Reason("promise-broken", f"{where} is broken; people are to look at everything"),), known.version
    )


def _lowest(rules: GuaranteeRules, known: Thresholds, source: str, labels: Collection[str]) -> Bar:
    found: list[GroupThreshold] = []
    for place, promise in enumerate(rules.promises):
        own = {one.group: one for one in known.groups if one.promise == place}
        for name in names_of(promise, source, labels):
            group = _group(name, own)
            if group not in own or (group == OTHER and known.others and name not in known.others):
                why = Reason("no-evidence", f"nothing is known of its group ({name}); people look at all of it")
                return Bar(_EVERYTHING, (why,), known.version)
            found.append(own[group])
    lowest = min(found, key=lambda one: one.value)
    reason = lowest.reasons[0]
    said = Reason(reason.code, f"promise {lowest.promise + 1} ({lowest.group}): {reason.detail}")
    return Bar(lowest.value, (said,), known.version)


def phase_of(promises: Sequence[Promise], known: Thresholds | None) -> Phase:
    if known is None or not known.groups:
        return Phase.CRAWL
    if all(one.value > 0.0 for one in known.groups):
        return Phase.RUN
    among = len(known.groups)
    judged = any(one.value > 0.0 or one.answered >= fewest(promises[one.promise], among) for one in known.groups)
    return Phase.WALK if judged else Phase.CRAWL


def fewest(promise: Promise, among: int) -> int:
    """Audits without a failure that allow anything to pass. among: how many thresholds share delta; 0: none is made."""
    return max(ceil(log(max(among, 1) / promise.delta) / promise.alpha), 1)
