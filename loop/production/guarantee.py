"""Promises kept: thresholds made anew as people answer, and watched while they route."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from loop.domain.access import Permission, Token, require
from loop.domain.errors import AskanceError, Conflict
from loop.domain.guarantee.capacity import reviewable_share
from loop.domain.guarantee.evidence import broken, others_in
from loop.domain.guarantee.thresholds import Broken, Thresholds, Why
from loop.domain.model import ModelVersion
from loop.domain.policy.promises import OnAlarm, WhenShort
from loop.domain.ports import Clock, Event, Store, Transaction
from loop.domain.project import Project
from loop.domain.review.cost import Rates
from loop.domain.rollouts.rollout import RolloutKind, RolloutState
from loop.models import loaded
from loop.production.promise_evidence import (
    Facts,
    Judged,
    PromiseEvidence,
    RisksInUse,
    counts_from,
    errors_by,
    reviewed,
)
from loop.review.capacity import work_of_late

log = logging.getLogger("askance.guarantee")

LOOK_AFTER = 10  # new answers
_GROWN = 0.1  # of the answers that a record rests on
_REFRESH = timedelta(days=1)
_TIMES_ITS_COST = 20.0  # a look takes a twentieth of the time at most, however much there is to read
_SERVICE = "service"


@dataclass(frozen=True, slots=True, eq=False)
class _Course:
    """began: from when on predictions count. judged: what they come to; None: not yet asked for."""

    why: Why
    alarm: Broken | None
    watched: datetime
    began: datetime
    judged: Judged | None


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
        self._evidence = PromiseEvidence(store, risks, clock)
        self._default_rates = default_rates
        self._clock = clock
        self._monotonic = monotonic
        self._looked: dict[str, int] = {}  # reviews when a model was last looked at
        self._rests_until: dict[str, float] = {}

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
            # No moment of a record that a clock which was ahead has made may lie in the future, or it rules until then.
            watched = kept.watched_since if kept and now - period < kept.watched_since <= now else now
            since = counts_from(tx, project, before, now)
            facts = self._evidence.facts(tx, project, model, min(since, watched))
            can = self._reviewable_share(tx, project, now) if rules.when_short is WhenShort.BEST_EFFORT else None
        if not facts.whole and watched < facts.since:
            watched = now
        alarm = None if kept is None else kept.alarm
        course = self._course(project, model, facts, _Course(why, alarm, watched, since, None), kept, now)
        judged = course.judged or self._evidence.judged(project, model, facts, course.began, now)
        stopped = course.alarm is not None and rules.on_alarm is OnAlarm.REVIEW
        relaxed, share = reviewed(judged, project.policy, can, stopped=stopped)
        not_before = course.began if course.why is Why.OVER else _past(before.not_before if before else None, now)
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
            review_share=share,
            relaxed=relaxed,
            watched_since=course.watched,
            not_before=not_before,
            reviews=facts.reviews,
            alarm=course.alarm,
            others=others_in(judged.population, rules.promises, judged.thresholds),
        )
        return record, judged.evidence, _events_of(record, kept)

    def _reviewable_share(self, tx: Transaction, project: Project, now: datetime) -> float | None:
        work = work_of_late(tx, project, self._default_rates, now)
        return reviewable_share(work.pace, work.backlog)

    def _course(
        self,
        project: Project,
        model: ModelVersion,
        facts: Facts,
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
        since = max(course.began, alarm.found_at)
        fresh = self._evidence.judged(project, model, facts, since, now)
        place = (alarm.promise, alarm.group)
        if any((one.promise, one.group) == place and one.value > 0.0 for one in fresh.thresholds):
            return _Course(Why.OVER, None, now, since, fresh)
        stopped = project.policy.guarantee.on_alarm is OnAlarm.REVIEW
        return replace(course, judged=fresh) if stopped else course

    def _broken(
        self, project: Project, facts: Facts, kept: Thresholds, course: "_Course", now: datetime
    ) -> Broken | None:
        rules = project.policy.guarantee
        return broken(
            facts.sampled, facts.population, rules.promises, kept.groups, errors_by(project), since=course.watched,
            now=now, patience=timedelta(days=rules.patience_days),
        )  # fmt: skip


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


def _past(moment: datetime | None, now: datetime) -> datetime | None:
    return None if moment is None else min(moment, now)


def _is_due(known: Thresholds, reviews: int, now: datetime) -> bool:
    new = abs(reviews - known.reviews)
    return new >= max(LOOK_AFTER, _GROWN * known.answered) or abs(now - known.created_at) >= _REFRESH


def _routed_by(tx: Transaction, project: Project) -> list[ModelVersion]:
    """The champion and the canary, that there are."""
    canaries = [
        rollout.model_id
        for rollout in tx.rollouts.of_project(project.id)
        if rollout.state is RolloutState.ACTIVE and rollout.kind is RolloutKind.CANARY
    ]
    names = [project.champion_id, *canaries]
    return [tx.models.get(project.id, name) for name in names if name is not None]
