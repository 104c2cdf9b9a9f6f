"""Cycles that nobody has to ask for: each project's triggers, looked at now and then."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from loop.domain.access import Permission, Token, require
from loop.domain.cycle import Cycle, CycleState
from loop.domain.errors import AskanceError, Conflict, CycleRunning, Invalid, NoChampion
from loop.domain.policy.triggers import (
    Situation,
    TriggerRules,
    Verdict,
    begun_schedule,
    checked_rules,
    looked_at,
    rules_from_json,
    rules_to_json,
    rules_version,
    verdict,
)
from loop.domain.ports import Clock, Event, Store, Transaction

log = logging.getLogger("askance.cycle")

TRIGGER = "trigger"  # who acts where nobody asked
_LOOKED_BACK = 50  # cycles; where all of them failed, what was reviewed before them counts, too
_TOLD_TIMES = 3

# As `loop.cycle.controller.Controller.request`: project, actor, reason, overrides. Raises CycleRunning.
RequestCycle = Callable[[str, str, str, Mapping[str, object]], Cycle]
# Whether a project's drift alarm is on. Raises NoChampion.
DriftAlarm = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class TriggerStatus:
    """next_times: of the schedule, in UTC; none where none is set."""

    rules: TriggerRules
    situation: Situation
    verdict: Verdict
    next_times: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class Triggers:
    store: Store
    request_cycle: RequestCycle
    drift_alarm: DriftAlarm
    clock: Clock

    def status(self, project_id: str) -> TriggerStatus:
        """What is set, what is known, and what a look now would do. Raises NotFound."""
        with self.store.read() as tx:
            tx.projects.get(project_id)
            rules = tx.cycles.triggers(project_id)
        known, now = self._situation(project_id, rules), self.clock()
        times = () if rules.schedule is None else rules.schedule.following(now, _TOLD_TIMES)
        return TriggerStatus(rules, known, verdict(rules, now, known), times)

    def change(
        self, operator: Token, project_id: str, changes: Mapping[str, object], version: str | None = None
    ) -> TriggerRules:
        """Values as JSON has them; what is not named stays. version: of the rules that the operator has looked at.

        Raises NotFound, Invalid, Forbidden; Conflict where the rules have another version by now, unless they say
        already what they are to.
        """
        require(operator, Permission.OPERATE, project_id)
        unknown = sorted(set(changes) - set(TriggerRules.__dataclass_fields__))
        if unknown:
            raise Invalid(
                f"there is no trigger {unknown[0]!r}.",
                hint=f"There are: {', '.join(TriggerRules.__dataclass_fields__)}.",
            )
        with self.store.begin() as tx:
            tx.projects.get(project_id)
            tx.projects.hold(project_id)  # one after the other: each changes what the one before left
            before, now = tx.cycles.triggers(project_id), self.clock()
            rules = checked_rules(rules_from_json({**rules_to_json(before), **changes}))
            rules = begun_schedule(rules, before, now)
            if version not in (None, rules_version(before)) and rules != before:
                raise Conflict(
                    f"somebody has changed the triggers of {project_id} since you looked at them.",
                    hint="Look at them as they are now (askance cycle triggers), then change them again.",
                    project=project_id,
                    version=rules_version(before),
                )
            tx.cycles.save_triggers(project_id, rules)
            tx.events.add(Event("triggers.changed", project_id, operator.name, rules_to_json(rules), now))
        return rules

    def look(self) -> list[Cycle]:
        """Ask for the cycles whose time has come; one project's trouble does not stop the others."""
        with self.store.read() as tx:
            projects = [(project.id, tx.cycles.triggers(project.id)) for project in tx.projects.all()]
        begun = []
        for project_id, rules in projects:
            if not rules.asks:
                continue
            now = self.clock()
            try:
                found = verdict(rules, now, self._situation(project_id, rules))
                if found.reasons:
                    begun.append(self.request_cycle(project_id, TRIGGER, found.reason, {}))
            except CycleRunning:
                pass  # somebody asked at the same moment
            except AskanceError as error:
                log.warning("the triggers of %s cannot be looked at: %s", project_id, error)
                continue
            self._passed(project_id, rules, now)
        return begun

    def _passed(self, project_id: str, rules: TriggerRules, now: datetime) -> None:
        """The time of the schedule at which it was looked at is over, unless somebody has changed the rules since. A
        process that dies before finds its cycle under way, and asks for no other."""
        after = looked_at(rules, now)
        if after is None:
            return
        with self.store.begin() as tx:
            tx.projects.hold(project_id)
            if tx.cycles.triggers(project_id) == rules:
                tx.cycles.save_triggers(project_id, after)

    def _situation(self, project_id: str, rules: TriggerRules) -> Situation:
        """Whether it drifts is looked at only where it matters: that reads more."""
        with self.store.read() as tx:
            running, last = _cycles(tx, project_id)
            learned = _learned(tx, last)
            since = None if learned is None else learned.created_at
            reviewed = tx.truths.count_reviewed_since(project_id, since)
            corrected = tx.submissions.count_corrected_since(project_id, since)
            failing = _failing(tx, project_id)
        return Situation(
            running=running,
            ended_at=None if last is None else last.finished_at,
            ended_as=None if last is None else last.state,
            reviewed=reviewed,
            corrected=corrected,
            failure_rate=failing,
            drift=rules.drift and self._drifts(project_id),
        )

    def _drifts(self, project_id: str) -> bool:
        try:
            return self.drift_alarm(project_id)
        except NoChampion:
            return False


def _cycles(tx: Transaction, project_id: str) -> tuple[str | None, Cycle | None]:
    """The id of the unfinished one, and the last that ended."""
    newest = tx.cycles.page(project_id, after=None, limit=2)
    running = next((cycle.id for cycle in newest if not cycle.state.finished), None)
    return running, next((cycle for cycle in newest if cycle.state.finished), None)


def _learned(tx: Transaction, last: Cycle | None) -> Cycle | None:
    """The newest cycle up to the last that ended which did not fail: what a failed one was to learn from is as new as
    before."""
    if last is None or last.state is not CycleState.FAILED:
        return last
    earlier = tx.cycles.page(last.project_id, after=last.id, limit=_LOOKED_BACK)
    return next((cycle for cycle in earlier if cycle.state is not CycleState.FAILED), None)


def _failing(tx: Transaction, project_id: str) -> float | None:
    """How often production fails at least, by the figures of its champion for monitoring; None without any."""
    champion_id = tx.projects.get(project_id).champion_id
    figures = (one for one in tx.production_figures.all() if one.project_id == project_id)
    return next((one.low for one in figures if one.model_id == champion_id), None)
