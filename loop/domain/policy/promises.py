"""What a project promises of predictions that pass without a person, and how it keeps to it: a part of its policy.

Apart from what computes thresholds, which needs scipy: policies are read where nothing is decided.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from math import isfinite
from typing import Any

from loop.domain.errors import Invalid

MOST_PROMISES = 10
_MOST_MONEY = 1_000_000.0
_LEAST = 1e-9  # alpha or delta that a project may ask for: no people have answered so often


class Statement(StrEnum):
    """What is promised of the failures that pass: HIGH_PROBABILITY, that their rate is at most alpha, with a
    probability of at least 1 - delta over all that the evidence could have been; EXPECTED, that it is on average."""

    HIGH_PROBABILITY = "high-probability"
    EXPECTED = "expected"


class Loss(StrEnum):
    """What counts, of the promise's classes. COST: missed objects and false alarms, each with its weight, at most 1 for
    a prediction."""

    FAILURE = "failure"  # anything is to be corrected
    MISSED = "missed"  # an object is missed
    FALSE_ALARM = "false_alarm"  # something is shown that is not there, or is something else
    COST = "cost"


class PromiseBy(StrEnum):
    """For which groups a promise holds, each by itself."""

    NONE = "none"  # all predictions together
    SOURCE = "source"
    LABEL = "label"  # that a prediction shows; one with several is in a group of each


class OnAlarm(StrEnum):
    """While a promise is found broken."""

    REVIEW = "review"  # people look at everything
    TELL = "tell"  # routing goes on


class WhenShort(StrEnum):
    """Where promises need more work than people can do."""

    HOLD = "hold"  # answers wait
    BEST_EFFORT = "best_effort"  # the riskiest are reviewed, as many as people can; promises show as unmet


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """alpha: the rate in (0, 1), of the predictions of each group, that may fail and pass without a person. delta: in
    (0, 1), how probable it may be that they are more; without a meaning for EXPECTED. classes: those that count; empty:
    all. missed_weight, false_alarm_weight: in [0, 1], of a COST. Raises Invalid."""

    alpha: float = 0.05
    delta: float = 0.1
    statement: Statement = Statement.HIGH_PROBABILITY
    loss: Loss = Loss.FAILURE
    classes: tuple[str, ...] = ()
    by: PromiseBy = PromiseBy.NONE
    missed_weight: float = 1.0
    false_alarm_weight: float = 1.0

    def __post_init__(self) -> None:
        for name, hint in _NO_PROMISE.items():
            if not 0.0 < getattr(self, name) < 1.0:
                raise Invalid(f"{name} is {getattr(self, name):g}.", hint=hint, field=name)
        weights = (self.missed_weight, self.false_alarm_weight)
        if not all(0.0 <= weight <= 1.0 for weight in weights) or not any(weights):
            raise Invalid(
                "the weights of this promise cannot be used.",
                hint="Give missed_weight and false_alarm_weight in [0, 1], one of them above 0; 1 is the worst.",
                field="missed_weight",
            )

    def shared(self, among: int) -> "Promise":
        """For each of so many thresholds that are to hold together (Bonferroni)."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return Promise(**fields | {"delta": self.delta / among})


_NO_PROMISE = {
    "alpha": "Use a rate above 0, which no evidence can promise, and below 1, which promises nothing.",
    "delta": "Use a probability above 0, which no evidence can give, and below 1, which promises nothing.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCosts:
    """What one review, one missed object and one false alarm cost, in the project's currency, at least 0. review None:
    what reviewers' time costs. missed None: not known, and nothing is said of costs."""

    review: float | None = None
    missed: float | None = None
    false_alarm: float = 0.0

    def __post_init__(self) -> None:
        for name in ("review", "missed", "false_alarm"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= _MOST_MONEY:
                raise Invalid(
                    f"costs.{name} is {value:g}.", hint=f"Use an amount from 0 to {_MOST_MONEY:,.0f}.", field=name
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class GuaranteeRules:
    """promises: none: the policy's threshold routes. evidence_share: in (0, 1], of predictions from which risk is not
    learned, so that they can judge it. window_audits, window_days: how many of the last audits count, and for how long.
    patience_days: after which a prediction that nobody has answered counts as a failure. on_alarm: while a promise is
    broken. when_short, hours_a_day: of reviewers together, None: as many as they worked of late. Raises Invalid."""

    promises: tuple[Promise, ...] = ()
    evidence_share: float = 0.5
    window_audits: int = 2000
    window_days: float = 30.0
    patience_days: float = 2.0
    on_alarm: OnAlarm = OnAlarm.REVIEW
    when_short: WhenShort = WhenShort.HOLD
    hours_a_day: float | None = None
    costs: ErrorCosts = field(default_factory=ErrorCosts)

    def __post_init__(self) -> None:
        sound = (
            0.0 < self.evidence_share <= 1.0
            and 50 <= self.window_audits <= 10_000
            and 0.0 < self.patience_days < self.window_days <= 365.0
        )
        if not sound:
            raise Invalid(
                "these rules of a guarantee cannot be used.",
                hint="Give evidence_share in (0, 1], window_audits from 50 to 10,000, window_days up to 365 and "
                "patience_days below it.",
            )
        if self.hours_a_day is not None and not (isfinite(self.hours_a_day) and 0.0 <= self.hours_a_day <= 100_000.0):
            raise Invalid(
                f"hours_a_day is {self.hours_a_day:g}.", hint="Use the hours of all reviewers.", field="hours_a_day"
            )
        if len(self.promises) > MOST_PROMISES or len(set(self.promises)) < len(self.promises):
            raise Invalid(
                f"{len(self.promises)} promises, or one of them twice, cannot be kept.",
                hint=f"Make up to {MOST_PROMISES}, each once.",
                field="promises",
            )
        for name in _NO_PROMISE:
            least = min((getattr(promise, name) for promise in self.promises), default=1.0)
            if least < _LEAST:
                raise Invalid(f"{name} is {least:g}.", hint=f"Use at least {_LEAST:g}.", field=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRates:
    """Rates in [0, 1] beside that of the policy: the largest that applies is a prediction's. by_risk: (from, rate), of
    risks of at least `from`. Raises Invalid."""

    by_source: Mapping[str, float] = field(default_factory=dict)
    by_label: Mapping[str, float] = field(default_factory=dict)
    by_risk: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        rates = [
            *self.by_source.values(),
            *self.by_label.values(),
            *(number for band in self.by_risk for number in band),
        ]
        if not all(0.0 <= rate <= 1.0 for rate in rates):
            raise Invalid(
                "an audit rate, or a risk, is out of range.", hint="Use numbers in [0, 1].", field="audit_rates"
            )

    def of(self, default: float, *, source: str, labels: Collection[str], risk: float) -> float:
        own = self.by_source.get(source, 0.0)
        shown = (self.by_label.get(label, 0.0) for label in labels) if self.by_label else ()
        return max(default, own, *shown, *(rate for least, rate in self.by_risk if risk >= least))


def promise_of(document: Mapping[str, Any]) -> Promise:
    """From plain values. Raises Invalid."""
    known = dict(document)
    for name, kind in (("statement", Statement), ("loss", Loss), ("by", PromiseBy)):
        if name in known:
            known[name] = kind(known[name])
    return Promise(**known | {"classes": tuple(known.get("classes", ()))})


def guarantee_of(document: Mapping[str, Any]) -> GuaranteeRules:
    """From plain values, as `dataclasses.asdict` gives them; what is left out has its default. Raises Invalid."""
    known = dict(document)
    if "on_alarm" in known:
        known["on_alarm"] = OnAlarm(known["on_alarm"])
    if "when_short" in known:
        known["when_short"] = WhenShort(known["when_short"])
    known["promises"] = tuple(promise_of(one) for one in known.get("promises", ()))
    known["costs"] = ErrorCosts(**known.get("costs", {}))
    return GuaranteeRules(**known)


def changed_guarantee(old: GuaranteeRules, changes: Mapping[str, Any]) -> GuaranteeRules:
    """changes: plain values, as of `guarantee_of`; what is left out stays, of costs too. Raises Invalid."""
    present = asdict(old)
    costs = {**present["costs"], **changes.get("costs", {})}
    return guarantee_of({**present, **changes, "costs": costs})


def audit_rates_of(document: Mapping[str, Any]) -> AuditRates:
    """As `guarantee_of`."""
    known = dict(document)
    known["by_risk"] = tuple((float(least), float(rate)) for least, rate in known.get("by_risk", ()))
    return AuditRates(**known)


def require_kept(rules: GuaranteeRules, rates: AuditRates, audit_rate: float, labels: Collection[str]) -> None:
    """Raises Invalid for promises that could never be kept: of classes that there are not, or without audits. labels:
    of the project."""
    if not rules.promises:
        return
    if not audit_rate:
        raise Invalid(
            "without audits no promise can be kept.",
            hint="Give audit_rate above 0 (0.02 is usual): only audits tell what passes.",
            field="audit_rate",
        )
    named = {name for promise in rules.promises for name in promise.classes} | set(rates.by_label)
    if unknown := sorted(named - set(labels)):
        raise Invalid(
            f"the project has no label {unknown[0]!r}.",
            hint=f"Its labels are: {', '.join(sorted(labels))}.",
            label=unknown[0],
            field="classes" if any(unknown[0] in promise.classes for promise in rules.promises) else "audit_rates",
        )
