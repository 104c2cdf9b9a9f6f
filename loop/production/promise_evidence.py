"""What promises are judged by: predictions of a model, and what people answered to those that came to them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loop.domain.corrections import counted
from loop.domain.guarantee.capacity import relaxed_to
from loop.domain.guarantee.evidence import (
    Errors,
    Group,
    Population,
    Window,
    evidence_of,
    passing,
    thresholds_of,
    window_of,
)
from loop.domain.guarantee.thresholds import GroupThreshold, Thresholds
from loop.domain.model import ModelVersion
from loop.domain.policy.promises import AuditRates
from loop.domain.ports import Clock, Event, Store, Transaction
from loop.domain.production.sampled import Answering, Predicted, Sampled
from loop.domain.project import Project
from loop.domain.routing import Policy, gives_evidence

Floats = NDArray[np.float64]

_MOST_READ = 20_000  # predictions that came to people
_HISTORY = 200  # changes of the policy
_CLOCKS_DIFFER = timedelta(days=1)  # of gateways, at most


class RisksInUse(Protocol):
    """`loop.routing.risks.Risks`."""

    def used_key(self, model: ModelVersion) -> str | None: ...
    def of_all(self, model: ModelVersion, measured: Sequence[Mapping[str, float]]) -> Floats: ...
    def may_be_judged(self, model: ModelVersion, policy: Policy) -> bool: ...


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """All predictions since `since`, and those that came to people, newest first; the population of those that give
    evidence is a part. measured: signals, of the whole population."""

    since: datetime
    whole: bool  # nothing since then was left out
    sampled: Sequence[Sampled]
    population: Population
    measured: Sequence[Mapping[str, float]]
    reviews: int


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    window: Window
    population: Population
    groups: Sequence[Group]
    thresholds: tuple[GroupThreshold, ...]
    passes: NDArray[np.bool_]

    @property
    def evidence(self) -> list[str]:
        return [one.prediction_id for one in self.window.answers]

    @property
    def automation(self) -> float:
        return float(self.passes.mean()) if len(self.passes) else 0.0


class PromiseEvidence:
    """Reads it from the store, and judges it by the risk in use."""

    def __init__(self, store: Store, risks: RisksInUse, clock: Clock) -> None:
        self._store = store
        self._risks = risks
        self._clock = clock

    def facts(self, tx: Transaction, project: Project, model: ModelVersion, since: datetime) -> Facts:
        """At most _MOST_READ of those that came to people: where there are more, from a later moment on. None that a
        clock that was far ahead has stamped."""
        until = self._clock() + _CLOCKS_DIFFER
        sampled = tx.sampled.newest(project.id, model.id, since=since, until=until, limit=_MOST_READ)
        whole = len(sampled) < _MOST_READ
        if not whole:
            # Others of that very moment may have been left out.
            since = sampled[-1].created_at + timedelta(microseconds=1)
            sampled = [one for one in sampled if one.created_at >= since]
        # What was accepted without a chance to come to people (bulk annotation without review) is not promised of.
        seen = [one for one in tx.sampled.population(project.id, model.id, since=since, until=until) if one.inclusion]
        return Facts(
            since=since,
            whole=whole,
            sampled=sampled,
            population=_population(seen, project),
            measured=[one.signals for one in seen],
            reviews=tx.submissions.count_reviewed(project.id, model.id),
        )

    def judged(self, project: Project, model: ModelVersion, facts: Facts, since: datetime, now: datetime) -> Judged:
        """What the predictions since `since` come to by the project's promises, or since a later moment where as many
        audits as a window holds suffice."""
        policy, secret = project.policy, self._store.secret()
        rules = policy.guarantee
        sampled = [
            one
            for one in facts.sampled
            if one.created_at >= since and gives_evidence(secret, one.prediction_id, policy)
        ]
        window = window_of(
            sampled,
            since=max(since, facts.since),
            now=now,
            patience=timedelta(days=rules.patience_days),
            most_audits=rules.window_audits,
        )
        rows = [
            row
            for name, row in facts.population.place.items()
            if window.since <= facts.population.moment[row] < window.until and gives_evidence(secret, name, policy)
        ]
        risk = self._risks.of_all(model, [facts.measured[row] for row in rows])
        population = facts.population.only(rows, risk)
        groups = evidence_of(window, population, rules.promises, errors_by(project))
        found = thresholds_of(groups, rules.promises, rules.evidence_share)
        return Judged(window, population, groups, found, passing(groups, found, population))


def reviewed(
    judged: Judged, policy: Policy, share: float | None, *, stopped: bool = False
) -> tuple[float | None, float]:
    """The risk that people's time relaxes thresholds to, if it does, and the share of predictions that they get.
    share: that they have the time for; None: not known, or nothing is to be relaxed. stopped: a promise is broken, and
    nothing passes that people have the time for."""
    population, relaxed = judged.population, None
    passes = np.zeros_like(judged.passes) if stopped else judged.passes
    rates = audit_rates_in(population, policy)
    if share is not None and len(passes):
        relaxed = relaxed_to(population.risk, passes, rates, share)
        if relaxed is not None:
            passes = passes | (population.risk < relaxed)
    return relaxed, 1.0 - float((passes * (1.0 - rates)).mean()) if len(passes) else 1.0


def audit_rates_in(population: Population, policy: Policy) -> NDArray[np.float64]:
    """(n,): with which each of these would be drawn by the lot."""
    if policy.audit_rates == AuditRates():
        return np.full(len(population), policy.audit_rate)
    of_each = zip(population.source, population.labels, population.risk, strict=True)
    rates = [
        policy.audit_rates.of(policy.audit_rate, source=source, labels=labels, risk=float(risk))
        for source, labels, risk in of_each
    ]
    return np.array(rates, dtype=np.float64)


def counts_from(tx: Transaction, project: Project, before: Thresholds | None, now: datetime) -> datetime:
    """From when on predictions count. before: the model's newest record."""
    began = max(now - timedelta(days=project.policy.guarantee.window_days), _made_alike_since(tx, project.id))
    return max(began, (before and before.not_before) or began)


def _made_alike_since(tx: Transaction, project_id: str) -> datetime:
    """From when on predictions are made as now: with this score threshold, and with audits of all that passes."""
    changes = policy_changes(tx, project_id)
    rates = changes_of_rate(changes)
    for event in changes:
        if "score_threshold" in event.body or (event in rates and begins_anew(rates[rates.index(event) + 1 :])):
            return event.at
    return datetime.fromtimestamp(0, UTC)


def policy_changes(tx: Transaction, project_id: str) -> list[Event]:
    return tx.events.newest(project_id, "policy.changed", limit=_HISTORY)


def changes_of_rate(changes: Sequence[Event]) -> list[Event]:
    return [event for event in changes if "audit_rate" in event.body]


def begins_anew(earlier: Sequence[Event]) -> bool:
    """Whether a change of the audit rate leaves what was predicted before without a chance of an audit that is known.
    earlier: changes before it, newest first."""
    return not earlier or not earlier[0].body["audit_rate"]


def _population(seen: Sequence[Predicted], project: Project) -> Population:
    """With the risk that they were routed by."""
    return Population(
        place={one.prediction_id: row for row, one in enumerate(seen)},
        risk=np.array([one.risk for one in seen], dtype=np.float64),
        inclusion=np.array([one.inclusion for one in seen], dtype=np.float64),
        source=[one.source for one in seen],
        labels=[project.recipe.named(one.labels) for one in seen],
        moment=[one.created_at for one in seen],
    )


def errors_by(project: Project) -> Callable[[Sampled], Errors]:
    known: dict[str, Errors] = {}

    def errors(one: Sampled) -> Errors:
        if one.answering is not Answering.SETTLED or one.truth is None:
            return None
        if one.prediction_id not in known:
            recipe, iou = project.recipe, project.policy.failure_iou
            known[one.prediction_id] = counted(recipe.proposed(one.detections), recipe.translated(one.truth), iou=iou)
        return known[one.prediction_id]

    return errors
