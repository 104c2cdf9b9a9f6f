"""What a project's promises come to: now, at each threshold, were they others, and as they were kept."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from loop.domain.access import Permission, Token, require
from loop.domain.errors import Conflict, Invalid
from loop.domain.guarantee.capacity import Capacity, capacity_of
from loop.domain.guarantee.error_costs import Bargain, Economics, bargain_of, economics_of
from loop.domain.guarantee.passing import Point, curve_of
from loop.domain.guarantee.thresholds import ALL, GroupThreshold, Phase, Thresholds, fewest, phase_of
from loop.domain.model import ModelVersion
from loop.domain.policy.promises import Promise, changed_guarantee, require_kept
from loop.domain.ports import Clock, Store, Transaction
from loop.domain.project import Project
from loop.domain.review.cost import Rates
from loop.domain.routing import Policy
from loop.models import loaded
from loop.production.promise_evidence import (
    PromiseEvidence,
    RisksInUse,
    audit_rates_in,
    begins_anew,
    changes_of_rate,
    counts_from,
    errors_by,
    policy_changes,
    reviewed,
)
from loop.review.capacity import work_of_late


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


class Promises:
    """Told to operators; nothing here is written."""

    def __init__(self, store: Store, risks: RisksInUse, default_rates: Rates, clock: Clock) -> None:
        self._store = store
        self._risks = risks
        self._evidence = PromiseEvidence(store, risks, clock)
        self._default_rates = default_rates
        self._clock = clock

    def status(self, operator: Token, project_id: str) -> GuaranteeStatus:
        """Raises NotFound, NoChampion, Invalid where nothing is promised."""
        require(operator, Permission.OPERATE, project_id)
        with self._store.read() as tx:
            project, model = _promising(tx, project_id)
            policy, now = project.policy, self._clock()
            record = tx.thresholds.newest(project_id, model.id, policy.version, self._risks.used_key(model))
            work = work_of_late(tx, project, self._default_rates, now)
            priced = record is not None and work.prices is not None
            facts = self._evidence.facts(tx, project, model, record.window_from) if priced and record else None
        share = 1.0 if record is None else record.review_share
        economics = None
        if facts is not None and record is not None and work.prices is not None:
            judged = self._evidence.judged(project, model, facts, record.window_from, now)
            economics = economics_of(
                judged.window,
                judged.population,
                judged.passes,
                errors_by(project),
                work.prices,
                audit_rates_in(judged.population, policy),
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
            capacity=capacity_of(work.pace, work.backlog, review_share=share),
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
            since = counts_from(tx, project, tx.thresholds.latest(project_id, model.id), now)
            facts = self._evidence.facts(tx, project, model, since)
            work = work_of_late(tx, project, self._default_rates, now)
        judged = self._evidence.judged(project, model, facts, facts.since, now)
        own = {one.name: one for one in judged.groups if one.promise == promise}
        wanted = group or (ALL if ALL in own else next(iter(own), ALL))
        if not own:
            raise Conflict(
                f"too few answers yet to tell anything of promise {promise + 1}.",
                hint="People's answers to predictions since it was made tell of it: askance guarantee show.",
                promise=promise + 1,
            )
        if wanted not in own:
            raise Invalid(f"promise {promise + 1} has no group {wanted!r} yet.", hint=f"It has: {', '.join(own)}.")
        chosen = rules.promises[promise]
        points = curve_of(own[wanted].evidence, chosen.shared(len(judged.groups)))
        present = next(one.value for one in judged.thresholds if (one.promise, one.group) == (promise, wanted))
        bargain = None
        if work.prices is not None:
            bargain = bargain_of(
                judged.window, judged.population, chosen.by, wanted, errors_by(project), work.prices,
                audit_rates_in(judged.population, project.policy),
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
            anew = audit_rate is not None and begins_anew(changes_of_rate(policy_changes(tx, project_id)))
            since = now if anew else counts_from(tx, project, tx.thresholds.latest(project_id, model.id), now)
            facts = self._evidence.facts(tx, project, model, since)
        judged = self._evidence.judged(project, model, facts, facts.since, now)
        promises = project.policy.guarantee.promises
        return Preview(
            model_id=model.id,
            promises=promises,
            groups=judged.thresholds,
            fewest=tuple(fewest(promise, len(judged.thresholds)) for promise in promises),
            automation=judged.automation,
            review_share=reviewed(judged, project.policy, None)[1],
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
