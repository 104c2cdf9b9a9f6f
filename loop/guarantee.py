"""Promises kept: thresholds made anew as people answer, watched while they route, and told of."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from loop import loaded
from loop.domain.access import Permission, Token, require
from loop.domain.capacity import Capacity, Pace, capacity_of, days_between, relaxed_to, reviewable_share
from loop.domain.corrections import counted
from loop.domain.cost import Rates, costs
from loop.domain.error_costs import Bargain, Economics, Prices, bargain_of, economics_of
from loop.domain.errors import AskanceError, Conflict, Invalid
from loop.domain.evidence import (
    Errors,
    Group,
    Population,
    Window,
    broken,
    evidence_of,
    passing,
    thresholds_of,
    window_of,
)
from loop.domain.guarantee import Point, curve_of
from loop.domain.model import ModelVersion
from loop.domain.ports import Clock, Event, Store, Transaction
from loop.domain.project import Project
from loop.domain.promises import OnAlarm, Promise, WhenShort, changed_guarantee, require_kept
from loop.domain.review import TaskState
from loop.domain.rollout import RolloutKind, RolloutState
from loop.domain.routing import Policy, gives_evidence
from loop.domain.sampled import Answering, Predicted, Sampled
from loop.domain.thresholds import ALL, Broken, GroupThreshold, Phase, Thresholds, Why, fewest, phase_of

log = logging.getLogger("askance.guarantee")

Floats = NDArray[np.float64]

LOOK_AFTER = 10  # new answers
_GROWN = 0.1  # of the answers that a record rests on
_REFRESH = timedelta(days=1)
_TIMES_ITS_COST = 20.0  # a look takes a twentieth of the time at most, however much there is to read
_PACE_DAYS = 7.0
_MOST_READ = 20_000  # predictions that came to people
_HISTORY = 200  # changes of the policy
_SERVICE = "service"


class RisksInUse(Protocol):
    """`loop.risks.Risks`."""

    def used_key(self, model: ModelVersion) -> str | None: ...
    def of_all(self, model: ModelVersion, measured: Sequence[Mapping[str, float]]) -> Floats: ...
    def may_be_judged(self, model: ModelVersion, policy: Policy) -> bool: ...


@dataclass(frozen=True, slots=True, eq=False)
class _Facts:
    """All predictions since `since`, and those that came to people, newest first; the population of those that give
    evidence is a part. measured: signals, of the whole population."""

    since: datetime
    whole: bool  # nothing since then was left out
    sampled: Sequence[Sampled]
    population: Population
    measured: Sequence[Mapping[str, float]]
    reviews: int


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
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


@dataclass(frozen=True, slots=True, eq=False)
class _Course:
    """began: from when on predictions count. judged: what they come to; None: not yet asked for."""

    why: Why
    alarm: Broken | None
    watched: datetime
    began: datetime
    judged: _Judged | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuaranteeStatus:
    """record: what routes now; None: people look at everything. waits_for: what is missing, in words. fewest: for each
    promise, how many answers without a failure allow anything. economics: None where costs are not known."""

    project_id: str
    model_id: str
    phase: Phase
    policy: Policy
    record: Thresholds | None
    waits_for: str
    fewest: tuple[int, ...]
    capacity: Capacity
    unmet: bool
    currency: str
    economics: Economics | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Of one group of a promise, by its place. present: the threshold that the evidence of now gives. bargain: what
    thresholds come to in money; None where costs are not known."""

    promise: int
    group: str
    groups: tuple[str, ...]
    alpha: float
    present: float
    points: tuple[Point, ...]
    bargain: Bargain | None
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What promises would come to by the evidence of now. fewest: as of GuaranteeStatus. automation, review_share: of
    all predictions, that would pass, and that people would get. size, answered: predictions of the window, and of them
    those that people answered. anew: this change of the audit rate begins a new window, so that nothing of before would
    count. learned_from: the present risk was learned from these answers, so that they flatter it; it would be learned
    again without them first."""

    model_id: str
    promises: tuple[Promise, ...]
    groups: tuple[GroupThreshold, ...]
    fewest: tuple[int, ...]
    automation: float
    review_share: float
    size: int
    answered: int
    anew: bool
    learned_from: bool


class Guarantee:
    """Where a project makes promises, thresholds for its champion and its canary."""

    def __init__(
        self,
        store: Store,
        risks: RisksInUse,
        default_rates: Rates,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """monotonic: seconds of a clock that only goes forward."""
        self._store = store
        self._risks = risks
        self._default_rates = default_rates
        self._clock = clock
        self._monotonic = monotonic
        self._looked: dict[str, int] = {}  # reviews when a model was last looked at
        self._rests_until: dict[str, float] = {}

    # --- thresholds ----------------------------------------------------------------------------------

    def look_due(self) -> list[Thresholds]:
        """Make thresholds anew where enough was answered, and sound the alarm where a promise is broken; the records
        that were made."""
        with self._store.read() as tx:
            promising = [project for project in tx.projects.all() if project.policy.guarantee.promises]
            serving = [(project, model) for project in promising for model in _routed_by(tx, project)]
        made = []
        for project, model in serving:
            try:
                record = self._look(project, model)
            except AskanceError as error:
                log.warning("the promises of %s cannot be looked at: %s", project.id, error)
                continue
            if record is not None:
                made.append(record)
        return made

    def with_risk(self, model: ModelVersion) -> Callable[[Transaction], None]:
        """What to write when this model gets this risk, so that it is not routed by without its thresholds."""
        with self._store.read() as tx:
            project = tx.projects.get(model.project_id)
        if not project.policy.guarantee.promises:
            return lambda _: None
        record, evidence, events = self._made(project, model, Why.RISK)

        def write(tx: Transaction) -> None:
            _write(tx, record, evidence, events)

        return write

    def accept(self, operator: Token, project_id: str, reason: str) -> Thresholds:
        """The alarm is over, since a person says so; from now on promises are watched anew. Raises Conflict where there
        is none."""
        require(operator, Permission.OPERATE, project_id)
        with self._store.begin() as tx:
            project = tx.projects.get(project_id)
            model = loaded.champion(tx, project_id)
            key = self._risks.used_key(model)
            known = tx.thresholds.newest(project_id, model.id, project.policy.version, key)
            if known is None or known.alarm is None:
                raise Conflict("no promise is found broken.", hint="See askance guarantee show.", project=project_id)
            now = self._clock()
            record = replace(known, why=Why.ACCEPTED, alarm=None, watched_since=now, created_at=now)
            evidence = tx.thresholds.evidence(project_id, known.version)
            event = _event("guarantee.over", record, operator.name, promise=known.alarm.promise + 1, why=reason)
            return _write(tx, record, evidence, [event])

    def _look(self, project: Project, model: ModelVersion) -> Thresholds | None:
        if not self._risks.may_be_judged(model, project.policy):
            return None
        key = self._risks.used_key(model)
        with self._store.read() as tx:
            known = tx.thresholds.newest(project.id, model.id, project.policy.version, key)
            reviews = tx.submissions.count_reviewed(project.id, model.id)
        begun = self._monotonic()
        if known is not None and begun < self._rests_until.get(model.id, begun):
            return None
        due = known is None or _is_due(known, reviews, self._clock())
        if not due and abs(reviews - self._looked.get(model.id, -LOOK_AFTER)) < LOOK_AFTER:
            return None
        self._looked[model.id] = reviews
        record, evidence, events = self._made(project, model, Why.BEGUN if known is None else Why.ANSWERS)
        ended = self._monotonic()
        self._rests_until[model.id] = ended + _TIMES_ITS_COST * (ended - begun)
        if not due and record.why is Why.ANSWERS:
            return None
        with self._store.begin() as tx:
            return _write(tx, record, evidence, events)

    def _made(self, project: Project, model: ModelVersion, why: Why) -> tuple[Thresholds, list[str], list[Event]]:
        """The record that is due, not yet numbered."""
        rules, now = project.policy.guarantee, self._clock()
        period = timedelta(days=rules.window_days)
        with self._store.read() as tx:
            before = tx.thresholds.latest(project.id, model.id)
            kept = before if before is not None and before.promises == rules.promises else None
            watched = kept.watched_since if kept and kept.watched_since > now - period else now
            began = max(now - period, _began(tx, project.id), (before and before.not_before) or now - period)
            facts = self._facts(tx, project, model, min(began, watched))
            pace = self._work(tx, project).pace if rules.when_short is WhenShort.BEST_EFFORT else None
        if not facts.whole and watched < facts.since:
            watched = now
        alarm = None if kept is None else kept.alarm
        course = self._course(project, model, facts, _Course(why, alarm, watched, began, None), kept, now)
        judged = course.judged or self._judged(project, model, facts, course.began, now)
        relaxed, share = _reviewed(judged, project.policy, pace)
        stopped = course.alarm is not None and rules.on_alarm is OnAlarm.REVIEW
        not_before = course.began if course.why is Why.OVER else before.not_before if before else None
        record = Thresholds(
            project_id=project.id,
            version=0,
            model_id=model.id,
            risk_key=self._risks.used_key(model),
            policy_version=project.policy.version,
            promises=rules.promises,
            created_at=now,
            why=course.why,
            basis=judged.window.basis,
            window_from=judged.window.since,
            window_until=judged.window.until,
            size=len(judged.population),
            answered=len(judged.window.answers),
            closed=judged.window.closed,
            overdue=judged.window.overdue,
            groups=judged.thresholds,
            automation=0.0 if stopped else judged.automation,
            review_share=1.0 if stopped else share,
            relaxed=relaxed,
            watched_since=course.watched,
            not_before=not_before,
            reviews=facts.reviews,
            alarm=course.alarm,
        )
        return record, judged.evidence, _events_of(record, kept)

    def _course(
        self,
        project: Project,
        model: ModelVersion,
        facts: _Facts,
        course: "_Course",
        kept: Thresholds | None,
        now: datetime,
    ) -> "_Course":
        """An alarm begins, where what passed since the last record breaks a promise, or ends, where what was answered
        since it began keeps the promise. kept: the record before, of the same promises."""
        alarm = course.alarm
        if alarm is None:
            found = None if kept is None or course.watched >= now else self._broken(project, facts, kept, course, now)
            return course if found is None else replace(course, why=Why.BROKEN, alarm=found)
        began = max(course.began, alarm.found_at)
        fresh = self._judged(project, model, facts, began, now)
        place = (alarm.promise, alarm.group)
        if any((one.promise, one.group) == place and one.value > 0.0 for one in fresh.thresholds):
            return _Course(Why.OVER, None, now, began, fresh)
        stopped = project.policy.guarantee.on_alarm is OnAlarm.REVIEW
        return replace(course, judged=fresh) if stopped else course

    def _broken(
        self, project: Project, facts: _Facts, kept: Thresholds, course: "_Course", now: datetime
    ) -> Broken | None:
        rules = project.policy.guarantee
        return broken(
            facts.sampled, facts.population, rules.promises, kept.groups, _errors_by(project), since=course.watched,
            now=now, patience=timedelta(days=rules.patience_days),
        )  # fmt: skip

    def _judged(self, project: Project, model: ModelVersion, facts: _Facts, since: datetime, now: datetime) -> _Judged:
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
        groups = evidence_of(window, population, rules.promises, _errors_by(project))
        found = thresholds_of(groups, rules.promises, rules.evidence_share)
        return _Judged(window, population, groups, found, passing(groups, found, population))

    def _facts(self, tx: Transaction, project: Project, model: ModelVersion, since: datetime) -> _Facts:
        sampled = tx.sampled.newest(project.id, model.id, since=since, limit=_MOST_READ)
        whole = len(sampled) < _MOST_READ
        if not whole:
            # Others of that very moment may have been left out.
            since = sampled[-1].created_at + timedelta(microseconds=1)
            sampled = [one for one in sampled if one.created_at >= since]
        until = self._clock() + timedelta(days=1)
        # What was accepted without a chance to come to people (bulk annotation without review) is not promised of.
        seen = [one for one in tx.sampled.population(project.id, model.id, since=since, until=until) if one.inclusion]
        return _Facts(
            since=since,
            whole=whole,
            sampled=sampled,
            population=_population(seen, project),
            measured=[one.signals for one in seen],
            reviews=tx.submissions.count_reviewed(project.id, model.id),
        )

    # --- what is told -----------------------------------------------------------------------------------

    def status(self, operator: Token, project_id: str) -> GuaranteeStatus:
        """Raises NotFound, NoChampion, Invalid where nothing is promised."""
        require(operator, Permission.OPERATE, project_id)
        with self._store.read() as tx:
            project, model = _promising(tx, project_id)
            policy, now = project.policy, self._clock()
            record = tx.thresholds.newest(project_id, model.id, policy.version, self._risks.used_key(model))
            work = self._work(tx, project)
            tasks = tx.tasks.counts(project_id, now)
            priced = record is not None and work.prices is not None
            facts = self._facts(tx, project, model, record.window_from) if priced and record else None
        share = 1.0 if record is None else record.review_share
        economics = None
        if facts is not None and record is not None and work.prices is not None:
            judged = self._judged(project, model, facts, record.window_from, now)
            economics = economics_of(
                judged.window, judged.population, judged.passes, _errors_by(project), work.prices, policy.audit_rate
            )
        promises = policy.guarantee.promises
        return GuaranteeStatus(
            project_id=project_id,
            model_id=model.id,
            phase=phase_of(promises, record),
            policy=policy,
            record=record,
            waits_for=self._waits_for(project, model, record),
            fewest=tuple(fewest(promise, len(record.groups) if record else 0) for promise in promises),
            capacity=capacity_of(work.pace, review_share=share, queue=tasks.get(TaskState.OPEN, 0)),
            unmet=record is not None and (record.relaxed is not None or record.alarm is not None),
            currency=work.currency,
            economics=economics,
        )

    def curve(self, operator: Token, project_id: str, *, promise: int, group: str | None) -> Curve:
        """What each threshold would let pass, by the evidence of now. promise: its place, from 0. Raises Invalid for a
        promise or a group that there is none of."""
        require(operator, Permission.OPERATE, project_id)
        now = self._clock()
        with self._store.read() as tx:
            project, model = _promising(tx, project_id)
            rules = project.policy.guarantee
            if not 0 <= promise < len(rules.promises):
                raise Invalid(
                    f"there is no promise {promise + 1}.", hint=f"There are {len(rules.promises)}.", promise=promise + 1
                )
            facts = self._facts(tx, project, model, _counts_from(tx, project, model, now))
            work = self._work(tx, project)
        judged = self._judged(project, model, facts, facts.since, now)
        own = {one.name: one for one in judged.groups if one.promise == promise}
        wanted = group or (ALL if ALL in own else next(iter(own), ALL))
        if wanted not in own:
            raise Invalid(
                f"promise {promise + 1} has no group {wanted!r} yet.", hint=f"It has: {', '.join(own) or 'none'}."
            )
        chosen = rules.promises[promise]
        points = curve_of(own[wanted].evidence, chosen.shared(len(judged.groups)))
        present = next(one.value for one in judged.thresholds if (one.promise, one.group) == (promise, wanted))
        bargain = None
        if work.prices is not None:
            bargain = bargain_of(
                judged.window, judged.population, chosen.by, wanted, _errors_by(project), work.prices,
                project.policy.audit_rate,
            )  # fmt: skip
        return Curve(
            promise=promise,
            group=wanted,
            groups=tuple(own),
            alpha=chosen.alpha,
            present=present,
            points=tuple(points),
            bargain=bargain,
            currency=work.currency,
        )

    def preview(
        self, operator: Token, project_id: str, changes: Mapping[str, Any], audit_rate: float | None = None
    ) -> Preview:
        """Of rules changed so (`changed_guarantee`); nothing is written. audit_rate: None: the present one. Raises what
        the change itself would, and NoChampion."""
        require(operator, Permission.OPERATE, project_id)
        now = self._clock()
        with self._store.read() as tx:
            project = _as_changed(tx.projects.get(project_id), changes, audit_rate)
            model = loaded.champion(tx, project_id)
            changes_of_rate = _changes_of_rate(_policy_changes(tx, project_id))
            anew = audit_rate is not None and _begins_anew(changes_of_rate)
            facts = self._facts(tx, project, model, now if anew else _counts_from(tx, project, model, now))
        judged = self._judged(project, model, facts, facts.since, now)
        promises = project.policy.guarantee.promises
        return Preview(
            model_id=model.id,
            promises=promises,
            groups=judged.thresholds,
            fewest=tuple(fewest(promise, len(judged.thresholds)) for promise in promises),
            automation=judged.automation,
            review_share=_reviewed(judged, project.policy, None)[1],
            size=len(judged.population),
            answered=len(judged.window.answers),
            anew=anew,
            learned_from=not self._risks.may_be_judged(model, project.policy),
        )

    def history(self, operator: Token, project_id: str, *, before: int | None, limit: int) -> list[Thresholds]:
        """The newest first, below the version `before`."""
        require(operator, Permission.OPERATE, project_id)
        with self._store.read() as tx:
            tx.projects.get(project_id)
            return tx.thresholds.page(project_id, before=before, limit=limit)

    def record(self, operator: Token, project_id: str, version: int) -> tuple[Thresholds, list[str]]:
        """With the predictions that it rests on. Raises NotFound."""
        require(operator, Permission.OPERATE, project_id)
        with self._store.read() as tx:
            return tx.thresholds.get(project_id, version), tx.thresholds.evidence(project_id, version)

    def _work(self, tx: Transaction, project: Project) -> "_Work":
        """Of the last days."""
        now, rules = self._clock(), project.policy.guarantee
        since = max(now - timedelta(days=_PACE_DAYS), project.created_at)
        days = max(days_between(since, now), 1.0)
        rates = tx.efforts.rates(project.id) or self._default_rates
        spent = costs(tx.efforts.between(project.id, since, now), rates, None, {}).total
        pace = Pace(
            seconds=None if spent is None else 60.0 * spent.minutes_per_item,
            hours_a_day=rules.hours_a_day
            if rules.hours_a_day is not None
            else None
            if spent is None
            else spent.minutes / 60.0 / days,
            predictions_a_day=tx.efforts.count_served(project.id, since, now) / days,
        )
        measured = None if spent is None or spent.money is None else spent.money / spent.items
        review = rules.costs.review if rules.costs.review is not None else measured
        prices = None
        if review is not None and rules.costs.missed is not None:
            prices = Prices(review=review, seconds=pace.seconds, errors=rules.costs)
        return _Work(pace, prices, rates.currency)

    def _waits_for(self, project: Project, model: ModelVersion, record: Thresholds | None) -> str:
        if not self._risks.may_be_judged(model, project.policy):
            return (
                "the risk was learned from predictions that are to judge it; it is learned again without them when "
                "enough others are reviewed."
            )
        if record is None:
            return "thresholds are made in a moment; until then people look at everything."
        if record.alarm is not None:
            since = "answers from since then keep it, or a person accepts it (askance guarantee accept)."
            return f"promise {record.alarm.promise + 1} ({record.alarm.group}) is broken until {since}"
        few = [one for one in record.groups if one.value == 0.0]
        if few or not record.groups:
            return few[0].reasons[0].detail + "." if few else "nobody has answered anything yet."
        return ""


@dataclass(frozen=True, slots=True)
class _Work:
    pace: Pace
    prices: Prices | None
    currency: str


def _write(tx: Transaction, record: Thresholds, evidence: Sequence[str], events: Sequence[Event]) -> Thresholds:
    numbered = tx.thresholds.add(record, evidence)
    for event in events:
        tx.events.add(replace(event, body={**event.body, "version": numbered.version}))
    return numbered


def _event(kind: str, record: Thresholds, actor: str, **body: object) -> Event:
    return Event(kind, record.project_id, actor, {"model_id": record.model_id, **body}, record.created_at)


def _events_of(record: Thresholds, before: Thresholds | None) -> list[Event]:
    values = {f"{one.promise + 1} {one.group}": one.value for one in record.groups}
    told = [
        _event(
            "guarantee.changed", record, _SERVICE, why=record.why, answered=record.answered,
            automation=record.automation, thresholds=values,
        )
    ]  # fmt: skip
    if record.why is Why.BROKEN and (alarm := record.alarm) is not None:
        told.append(
            _event(
                "guarantee.broken", record, _SERVICE, promise=alarm.promise + 1, group=alarm.group,
                alpha=record.promises[alarm.promise].alpha, rate=alarm.rate, audits=alarm.seen,
                since=alarm.since.isoformat(),
            )
        )  # fmt: skip
    elif record.why is Why.OVER and before is not None and before.alarm is not None:
        why = "answers from since then keep the promise"
        told.append(_event("guarantee.over", record, _SERVICE, promise=before.alarm.promise + 1, why=why))
    return told


def _is_due(known: Thresholds, reviews: int, now: datetime) -> bool:
    new = abs(reviews - known.reviews)
    return new >= max(LOOK_AFTER, _GROWN * known.answered) or now - known.created_at >= _REFRESH


def _reviewed(judged: _Judged, policy: Policy, pace: Pace | None) -> tuple[float | None, float]:
    """The risk that people's time relaxes thresholds to, if it does, and the share of predictions that they get."""
    share = None if pace is None else reviewable_share(pace)
    passes, relaxed = judged.passes, None
    if share is not None and len(passes):
        relaxed = relaxed_to(judged.population.risk, passes, policy.audit_rate, share)
        if relaxed is not None:
            passes = passes | (judged.population.risk < relaxed)
    passing_share = float(passes.mean()) if len(passes) else 0.0
    return relaxed, 1.0 - passing_share * (1.0 - policy.audit_rate)


def _routed_by(tx: Transaction, project: Project) -> list[ModelVersion]:
    """The champion and the canary, that there are."""
    canaries = [
        rollout.model_id
        for rollout in tx.rollouts.of_project(project.id)
        if rollout.state is RolloutState.ACTIVE and rollout.kind is RolloutKind.CANARY
    ]
    names = [project.champion_id, *canaries]
    return [tx.models.get(project.id, name) for name in names if name is not None]


def _promising(tx: Transaction, project_id: str) -> tuple[Project, ModelVersion]:
    project = tx.projects.get(project_id)
    if not project.policy.guarantee.promises:
        raise Invalid(
            f"{project_id} promises nothing; its policy's threshold routes.",
            hint="askance guarantee promise --alpha 0.05, or PATCH its policy (docs/guarantee.md).",
            project=project_id,
        )
    return project, loaded.champion(tx, project_id)


def _as_changed(project: Project, changes: Mapping[str, Any], audit_rate: float | None) -> Project:
    """Raises Invalid for what could not be kept."""
    old = project.policy
    rate = old.audit_rate if audit_rate is None else audit_rate
    policy = replace(old, guarantee=changed_guarantee(old.guarantee, changes), audit_rate=rate)
    require_kept(policy.guarantee, policy.audit_rates, policy.audit_rate, project.recipe.label_names)
    return replace(project, policy=policy)


def _counts_from(tx: Transaction, project: Project, model: ModelVersion, now: datetime) -> datetime:
    """From when on predictions count, by what is known now."""
    before = tx.thresholds.latest(project.id, model.id)
    period = timedelta(days=project.policy.guarantee.window_days)
    began = max(now - period, _began(tx, project.id))
    return max(began, (before and before.not_before) or began)


def _began(tx: Transaction, project_id: str) -> datetime:
    """From when on predictions are made as now: with this score threshold, and with audits of all that passes."""
    changes = _policy_changes(tx, project_id)
    rates = _changes_of_rate(changes)
    for event in changes:
        if "score_threshold" in event.body or (event in rates and _begins_anew(rates[rates.index(event) + 1 :])):
            return event.at
    return datetime.fromtimestamp(0, UTC)


def _policy_changes(tx: Transaction, project_id: str) -> list[Event]:
    return tx.events.newest(project_id, "policy.changed", limit=_HISTORY)


def _changes_of_rate(changes: Sequence[Event]) -> list[Event]:
    return [event for event in changes if "audit_rate" in event.body]


def _begins_anew(earlier: Sequence[Event]) -> bool:
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


def _errors_by(project: Project) -> Callable[[Sampled], Errors]:
    known: dict[str, Errors] = {}

    def errors(one: Sampled) -> Errors:
        if one.answering is not Answering.SETTLED or one.truth is None:
            return None
        if one.prediction_id not in known:
            recipe, iou = project.recipe, project.policy.failure_iou
            known[one.prediction_id] = counted(recipe.proposed(one.detections), recipe.translated(one.truth), iou=iou)
        return known[one.prediction_id]

    return errors
