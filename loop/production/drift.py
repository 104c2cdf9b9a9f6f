"""Looks now and then at whether production still is like what the champion was judged on, and says when it is not."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from loop.domain.cycle import Cycle, CycleState
from loop.domain.errors import AskanceError, CycleRunning, TooFewImages
from loop.domain.identity import new_id
from loop.domain.model import ModelVersion
from loop.domain.ports import Blobs, Clock, Entropy, Event, Served, Store, Transaction
from loop.domain.production.drift import DriftReport, DriftRules, Origin, SourceShift, Verdict, alarm_after
from loop.models import loaded
from selection.drift import FEWEST_IMAGES, FEWEST_UNITS, Comparison, compare, serial_likeness
from selection.seen import Seen, seen_in_production

log = logging.getLogger("askance.drift")

SCHEDULE = "drift"  # who acts where nobody asked
_NAMED = 12  # of the most unlike images, and of sources
_MOVED = 3  # classes that an event names
_CLIPS = 0.3  # of serial likeness, from which images that came one by one look like a clip
_PAGE = 100

# As `loop.cycle.controller.Controller.request`: project, actor, reason, overrides. Raises CycleRunning.
RequestCycle = Callable[[str, str, str, Mapping[str, object]], Cycle]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftStatus:
    """alarm: an episode is under way. waiting: what the next scheduled look waits for, in words."""

    model_id: str
    alarm: bool
    waiting: str


@dataclass(frozen=True, slots=True)
class _Window:
    """served: what is compared, newest first. of: how many predictions it was drawn from."""

    served: Sequence[Served]
    of: int
    seen: Seen


@dataclass(frozen=True, slots=True)
class DriftWatch:
    """Looks, by the schedule and on request, and what they are compared with. Nothing is kept in memory."""

    store: Store
    blobs: Blobs
    rules: DriftRules
    request_cycle: RequestCycle
    clock: Clock
    entropy: Entropy

    def look_due(self) -> list[DriftReport]:
        """Look at each project whose next window is full; what came of it."""
        if not self.rules.every_seconds:
            return []
        with self.store.read() as tx:
            champions = [loaded.champion(tx, project.id) for project in tx.projects.all() if project.champion_id]
        found = []
        for model in champions:
            try:
                found.append(self._look(model))
            except TooFewImages:
                continue
            except AskanceError as error:
                log.warning("drift of %s cannot be looked at: %s", model.project_id, error)
        return found

    def look_now(self, project_id: str, actor: str) -> DriftReport:
        """At the newest predictions, whether or not a window is due. It neither begins nor ends an alarm, since who
        looks as often as they like will see by chance what is not there.

        Raises NotFound, NoChampion, TooFewImages.
        """
        model = self._champion(project_id)
        reference = self._reference(model)
        window = self._newest(model, reference.until)
        compared = self._compared(model, reference, window)
        alarm = self._alarmed(model, reference)
        report = self._report(model, reference, window, compared, actor=actor, scheduled=False, alarm=alarm)
        with self.store.begin() as tx:
            tx.drift_reports.add(report)
        return report

    def accept(self, project_id: str, actor: str) -> ModelVersion:
        """What production shows now is normal: its newest predictions become the reference, and an alarm is over.

        Raises NotFound, NoChampion, TooFewImages.
        """
        model = self._champion(project_id)
        seen = self._production(model, newest=True)
        body = {"model_id": model.id, "images": len(seen)}
        return self._referred(model, seen, Event("drift.accepted", project_id, actor, body, self.clock()))

    def status(self, project_id: str) -> DriftStatus:
        """Raises NotFound, NoChampion."""
        model = self._champion(project_id)
        reference = self._kept_reference(model)
        try:
            if reference is None:
                self._production(model)
                waiting = "the next look takes the first predictions as the reference."
            else:
                self._require_new(model)
                self._due(model, reference)
                waiting = "the next window is full and will be looked at in a moment."
        except TooFewImages as why:
            waiting = str(why)
        if not self.rules.every_seconds:
            waiting = "nothing is looked at by itself, since drift.every_seconds is 0."
        return DriftStatus(model_id=model.id, alarm=self._alarmed(model, reference), waiting=waiting)

    # --- a scheduled look ----------------------------------------------------------------------------

    def _look(self, model: ModelVersion) -> DriftReport:
        """Raises TooFewImages where none is due."""
        self._require_new(model)
        reference = self._reference(model)
        window = self._due(model, reference)
        compared = self._compared(model, reference, window)
        earlier = self._earlier(model, reference)
        verdict = self._verdict(compared)
        alarmed = bool(earlier) and earlier[0].alarm
        alarm = alarm_after([verdict, *(one.verdict for one in earlier)], alarmed, confirm=self.rules.confirm)
        cycle_id = earlier[0].cycle_id if alarm and alarmed else None
        why = ""
        if alarm and verdict is Verdict.DRIFT and cycle_id is None:
            cycle_id, why = self._cycle(model, compared)
        report = self._report(
            model,
            reference,
            window,
            compared,
            actor=SCHEDULE,
            scheduled=True,
            alarm=alarm,
            cycle_id=cycle_id,
            notes=(why,) if why else (),
        )
        with self.store.begin() as tx:
            before = next(iter(tx.drift_reports.scheduled(model.project_id, limit=1)), None)
            tx.drift_reports.add(report)
            for event in _turns(before, earlier, report, why):
                tx.events.add(event)
        return report

    def _require_new(self, model: ModelVersion) -> None:
        """Raises TooFewImages where no window can be due, without reading what it would be compared with."""
        earlier = self._earlier(model, None)
        if earlier:
            due = earlier[0].created_at + timedelta(seconds=self.rules.every_seconds)
            if self.clock() < due:
                raise TooFewImages(f"the next window is looked at from {due:%Y-%m-%d %H:%M:%S} UTC on.")
            self._require_full(model, earlier[0].last_sequence)

    def _require_full(self, model: ModelVersion, after: int) -> int:
        """How many predictions there are behind `after`. Raises TooFewImages for less than a window."""
        count = self._count(model, after)
        if count < self.rules.window:
            raise TooFewImages(f"{count} of the {self.rules.window} predictions of the next window have been made.")
        return count

    def _due(self, model: ModelVersion, reference: Seen) -> _Window:
        """The next window of the schedule: evenly from all predictions since the last one, so that each is in one
        window at most. Raises TooFewImages while it is not full."""
        earlier = self._earlier(model, reference)
        after = earlier[0].last_sequence if earlier else reference.until
        return self._window(model, after, self._require_full(model, after))

    def _newest(self, model: ModelVersion, after: int) -> _Window:
        count = self._count(model, after)
        if count < FEWEST_IMAGES:
            raise TooFewImages(
                f"{count} predictions can be compared, which says nothing.", hint=f"It takes {FEWEST_IMAGES}."
            )
        return self._window(model, after, min(count, self.rules.window))

    def _window(self, model: ModelVersion, after: int, of: int) -> _Window:
        served = self._served(model, after=after, of=of, limit=self.rules.window)
        seen = self._seen(model, served)
        _require_units(seen, "the window")
        return _Window(served, of, seen)

    def _cycle(self, model: ModelVersion, compared: Comparison) -> tuple[str | None, str]:
        """The cycle that is asked for now; or None, and why none is."""
        if not self.rules.trigger_cycle:
            return None, "No cycle was asked for, since drift.trigger_cycle is off."
        reviewed = self._reviewed(model.project_id)
        if reviewed < self.rules.min_corrections:
            return None, (
                f"No cycle was asked for: it would learn from {reviewed} newly reviewed images, and "
                f"drift.min_corrections is {self.rules.min_corrections}."
            )
        names = ", ".join(test.name for test in compared.tests if test.adjusted_p <= self.rules.level)
        try:
            return self.request_cycle(model.project_id, SCHEDULE, f"production drifted: {names}", {}).id, ""
        except CycleRunning as error:
            return None, f"No cycle was asked for: {error.detail}"

    def _reviewed(self, project_id: str) -> int:
        """Images that people have reviewed since the last cycle that has learned."""
        with self.store.read() as tx:
            return tx.truths.count_reviewed_since(project_id, _last_learned(tx, project_id))

    # --- what is compared ----------------------------------------------------------------------------

    def _reference(self, model: ModelVersion) -> Seen:
        """What is kept; else the first predictions, once there are enough, which are kept from then on. Raises
        TooFewImages before."""
        reference = self._kept_reference(model)
        if reference is None:
            reference = self._production(model)
            self._referred(model, reference)
        return reference

    def _kept_reference(self, model: ModelVersion) -> Seen | None:
        return None if model.drift_key is None else Seen.read(self.blobs.get(model.drift_key))

    def _production(self, model: ModelVersion, *, newest: bool = False) -> Seen:
        """As many predictions as a reference has: evenly from all that there are, or the newest."""
        wanted = self.rules.reference
        count = self._count(model, 0)
        if count < wanted:
            raise TooFewImages(
                f"{count} of the {wanted} predictions of {model.id} that drift is measured against have been made.",
                hint="They stand in for an evaluation, which this version has not been through.",
            )
        seen = self._seen(model, self._served(model, after=0, of=wanted if newest else count, limit=wanted))
        _require_units(seen, "the reference")
        return seen

    def _referred(self, model: ModelVersion, seen: Seen, *events: Event) -> ModelVersion:
        key = self.blobs.put(seen.to_bytes())
        with self.store.begin() as tx:
            tx.models.refer(model.project_id, model.id, key)
            for event in events:
                tx.events.add(event)
            return tx.models.get(model.project_id, model.id)

    def _count(self, model: ModelVersion, after: int) -> int:
        with self.store.read() as tx:
            return tx.predictions.count_served(model.project_id, model.id, after=after)

    def _served(self, model: ModelVersion, *, after: int, of: int, limit: int) -> list[Served]:
        with self.store.read() as tx:
            return tx.predictions.served(model.project_id, model.id, after=after, of=of, limit=limit)

    def _seen(self, model: ModelVersion, served: Sequence[Served]) -> Seen:
        return seen_in_production(served, model.head.labels, block_seconds=self.rules.block_seconds)

    def _compared(self, model: ModelVersion, reference: Seen, window: _Window) -> Comparison:
        """Nothing is drawn by chance: the same predictions give the same report."""
        threshold = max(reference.threshold, window.seen.threshold)
        samples = (seen.sample(threshold, len(model.head.labels)) for seen in (reference, window.seen))
        return compare(*samples, labels=model.head.labels, rng=np.random.default_rng(window.seen.until))

    # --- what is known ----------------------------------------------------------------------------------

    def _champion(self, project_id: str) -> ModelVersion:
        with self.store.read() as tx:
            return loaded.champion(tx, project_id)

    def _earlier(self, model: ModelVersion, reference: Seen | None) -> list[DriftReport]:
        """The scheduled looks at this model with this reference (None: any), newest first, as many as an alarm rests
        on."""
        with self.store.read() as tx:
            reports = tx.drift_reports.scheduled(model.project_id, limit=self.rules.confirm)
        since = reference.until if reference else 0
        return [report for report in reports if report.model_id == model.id and report.last_sequence > since]

    def _alarmed(self, model: ModelVersion, reference: Seen | None) -> bool:
        earlier = self._earlier(model, reference)
        return bool(earlier) and earlier[0].alarm

    def _verdict(self, compared: Comparison) -> Verdict:
        return Verdict.DRIFT if compared.differs(self.rules.level) else Verdict.SAME

    def _report(
        self,
        model: ModelVersion,
        reference: Seen,
        window: _Window,
        compared: Comparison,
        *,
        actor: str,
        scheduled: bool,
        alarm: bool,
        cycle_id: str | None = None,
        notes: tuple[str, ...] = (),
    ) -> DriftReport:
        now = self.clock()
        looked_at = [window.served[row] for row in compared.recent_rows]
        return DriftReport(
            id=new_id("drift", now, self.entropy(10)),
            project_id=model.project_id,
            model_id=model.id,
            actor=actor,
            created_at=now,
            scheduled=scheduled,
            verdict=self._verdict(compared),
            alarm=alarm,
            level=self.rules.level,
            reference_origin=reference.origin,
            reference_images=len(compared.reference_rows),
            reference_units=reference.units,
            window_images=len(looked_at),
            window_units=window.seen.units,
            window_of=window.of,
            window_from=window.served[-1].created_at,
            window_until=window.served[0].created_at,
            last_sequence=window.served[0].sequence,
            tests=compared.tests,
            classes=compared.classes,
            scores=compared.scores,
            sources=_sources(looked_at, compared),
            unlike=_most_unlike(looked_at, compared),
            notes=(*notes, *_cautions(reference, window)),
            cycle_id=cycle_id,
        )


def _require_units(seen: Seen, what: str) -> None:
    if not seen.enough:
        raise TooFewImages(
            f"{what} has {len(seen)} images of {seen.units} independent clips, which says nothing.",
            hint=f"It takes {FEWEST_IMAGES} images of {FEWEST_UNITS} clips; images of one group count as one clip.",
        )


def _last_learned(tx: Transaction, project_id: str) -> datetime | None:
    """When the last cycle began that came to a judgement: what was reviewed before has been learned, or has not been
    enough."""
    after = None
    while page := tx.cycles.page(project_id, after=after, limit=_PAGE):
        for cycle in page:
            if cycle.state in (CycleState.PROMOTED, CycleState.REFUSED):
                return cycle.created_at
        after = page[-1].id
    return None


def _sources(looked_at: Sequence[Served], compared: Comparison) -> tuple[SourceShift, ...]:
    names = np.array([one.source for one in looked_at])
    shifts = [
        SourceShift(
            source=str(name),
            images=int(np.count_nonzero(names == name)),
            unlike=float(compared.unlike[names == name].mean()),
        )
        for name in np.unique(names)
    ]
    return tuple(sorted(shifts, key=lambda shift: (-shift.unlike, shift.source))[:_NAMED])


def _most_unlike(looked_at: Sequence[Served], compared: Comparison) -> tuple[str, ...]:
    order = np.argsort(-compared.unlike, kind="stable")
    return tuple(dict.fromkeys(looked_at[row].item_digest for row in order))[:_NAMED]


def _cautions(reference: Seen, window: _Window) -> tuple[str, ...]:
    notes = []
    if reference.origin is Origin.PRODUCTION:
        notes.append("The reference is what this version predicted in production, not an evaluation.")
    likeness = serial_likeness(window.seen.embeddings)
    if window.seen.units == len(window.seen) and likeness > _CLIPS:
        notes.append(
            f"Images that followed each other are alike ({likeness:.0%} of the way to being the same), as in a clip; "
            "then drift is found where there is none. Send a group with each image, or set drift.block_seconds."
        )
    return tuple(notes)


def _turns(
    before: DriftReport | None, earlier: Sequence[DriftReport], report: DriftReport, why_no_cycle: str
) -> list[Event]:
    """What is to be told: an episode that begins or ends. before: the last scheduled look of the project; earlier:
    those that this one goes on from."""
    goes_on = bool(earlier)
    events = []
    if before is not None and before.alarm and not (goes_on and report.alarm):
        why = "the windows do not differ any more" if goes_on else "they are compared with another reference now"
        body = {"drift_id": report.id, "model_id": report.model_id, "began_with": before.model_id, "why": why}
        events.append(Event("drift.over", report.project_id, report.actor, body, report.created_at))
    if report.alarm and not (goes_on and earlier[0].alarm):
        events.append(
            Event("drift.found", report.project_id, report.actor, _found(report, why_no_cycle), report.created_at)
        )
    return events


def _found(report: DriftReport, why_no_cycle: str) -> dict[str, object]:
    return {
        "drift_id": report.id,
        "model_id": report.model_id,
        "window": {
            "images": report.window_images,
            "from": report.window_from.isoformat(),
            "until": report.window_until.isoformat(),
        },
        "tests": {
            test.name: {"effect": test.effect, "adjusted_p": test.adjusted_p, "drift": test.adjusted_p <= report.level}
            for test in report.tests
        },
        "classes": {shift.label: [shift.before, shift.after] for shift in report.classes[:_MOVED]},
        "score_medians": [report.scores.before, report.scores.after],
        "unlike": list(report.unlike),
        "cycle_id": report.cycle_id,
        "why_no_cycle": why_no_cycle,
    }
