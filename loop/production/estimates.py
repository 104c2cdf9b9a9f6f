"""How good production is: what people found in the predictions that came to them, for all that these stand for."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

from loop.domain.corrections import Counted, counted
from loop.domain.errors import AskanceError
from loop.domain.guarantee.audit_bands import AuditBands, bands_for
from loop.domain.model import ModelVersion
from loop.domain.ports import Clock, Store, Transaction
from loop.domain.production.figures import ProductionBasis, ProductionBy, ProductionFigures, ProductionRules
from loop.domain.production.outcomes import TurnedOut
from loop.domain.production.sampled import Answering, Crowd, Sampled
from loop.domain.production.windows import (
    Found,
    Point,
    Row,
    Window,
    row_of,
    rows_by,
    series_of,
    thinned,
    window_of,
)
from loop.domain.project import Project
from loop.models import loaded

log = logging.getLogger("askance.production")

MOST_AUDITS = 10_000
# That one answer reads: some seconds of SQLite at most.
_MOST_SENT = 50_000
_MOST_PREDICTIONS = 500_000
_MOST_ROWS = 100
_MOST_DRAWABLE = 50_000
_MOST_MODELS = 8
_FEWEST_OF_A_MODEL = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductionReport:
    """total: of the whole window, by the basis that `window` has; rows: of its groups. outcomes: what callers reported
    of predictions of the window, which is in none of the figures. notes: what to know, a sentence each."""

    model_id: str
    window: Window
    total: Row
    rows: tuple[Row, ...]
    outcomes: Mapping[TurnedOut, int]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductionSeries:
    model_id: str
    window: Window
    points: tuple[Point, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Gathered:
    """of_all: predictions of the window; more than `_MOST_PREDICTIONS` are not looked at, and then nobody stands for
    them in `crowds`."""

    window: Window
    found: Found
    unanswered: Found
    crowds: Sequence[Crowd]
    of_all: int

    @property
    def row(self) -> Row:
        return row_of("", self.found, self.unanswered, self.crowds)


@dataclass(frozen=True, slots=True)
class Production:
    """Each call reads a bounded part of the newest predictions of a window. Nothing is kept in memory."""

    store: Store
    rules: ProductionRules
    clock: Clock

    def report(
        self,
        project_id: str,
        *,
        since: datetime,
        until: datetime,
        by: ProductionBy | None = None,
        last: int | None = None,
        model_id: str | None = None,
    ) -> ProductionReport:
        """model_id: None for the champion. last: audits at most, the newest; None for as many as the rules say. Raises
        NotFound, NoChampion."""
        with self.store.read() as tx:
            project, model = _asked(tx, project_id, model_id)
            audits = last or self.rules.audits
            gathered = self._gathered(tx, project, model.id, since, until, audits)
            total = gathered.row
            if by is ProductionBy.MODEL:
                rows = self._models(tx, project, since, until, audits)
            elif by is None:
                rows = []
            else:
                rows = rows_by(by, gathered.found, gathered.unanswered, gathered.crowds, most=_MOST_ROWS)
            outcomes = tx.outcomes.count(project_id, model.id, since=since, until=until)
        return ProductionReport(
            model_id=model.id,
            window=_as_used(gathered.window, total),
            total=total,
            rows=tuple(rows),
            outcomes=outcomes,
            notes=tuple(_notes(gathered, total, since)),
        )

    def series(
        self, project_id: str, *, since: datetime | None, until: datetime, model_id: str | None = None
    ) -> ProductionSeries:
        """since: None for the beginning of the version; a sequence of bounds should always begin at the same
        one. Raises NotFound, NoChampion."""
        with self.store.read() as tx:
            project, model = _asked(tx, project_id, model_id)
            begin = since or model.created_at
            gathered = self._gathered(tx, project, model.id, begin, until, self.rules.audits, audits_alone=True)
        points = series_of(gathered.found, gathered.crowds) if gathered.crowds else []
        notes = list(_notes(gathered, None, begin))
        if gathered.window.since > begin:
            notes.append("The series begins later than the version: bounds of another day may have begun elsewhere.")
        return ProductionSeries(model_id=model.id, window=gathered.window, points=tuple(points), notes=tuple(notes))

    def audit_bands(self, project_id: str, rate: float) -> AuditBands:
        """Audit rates by risk that draw as many audits of the champion's predictions as one `rate` would. Raises
        NotFound, NoChampion, Invalid where it has too few yet."""
        with self.store.read() as tx:
            model = loaded.champion(tx, tx.projects.get(project_id).id)
            since = self.clock() - timedelta(days=30)
            risks = tx.sampled.drawable(project_id, model.id, since=since, limit=_MOST_DRAWABLE)
        return bands_for(risks, rate)

    def refresh(self) -> list[ProductionFigures]:
        """Make the figures for monitoring anew that are old, of each champion; those that were."""
        now = self.clock()
        with self.store.read() as tx:
            kept = {figures.project_id: figures for figures in tx.production_figures.all()}
            projects = [project for project in tx.projects.all() if project.champion_id]
        made = []
        for project in projects:
            before = kept.get(project.id)
            fresh = before is not None and before.model_id == project.champion_id
            if before is not None and fresh and now < before.computed_at + self.rules.every:
                continue
            try:
                made.append(self._refreshed(project.id, now))
            except AskanceError as error:
                log.warning("how good %s is cannot be told: %s", project.id, error)
        return made

    def _refreshed(self, project_id: str, now: datetime) -> ProductionFigures:
        report = self.report(project_id, since=now - timedelta(days=30), until=now)
        told = report.total.failure.plain
        figures = ProductionFigures(
            project_id=project_id,
            model_id=report.model_id,
            computed_at=now,
            audits=report.total.audits,
            failure_rate=None if told is None else told.value,
            low=None if told is None else told.low,
            high=None if told is None else told.high,
        )
        with self.store.begin() as tx:
            tx.production_figures.save(figures)
        return figures

    def _models(self, tx: Transaction, project: Project, since: datetime, until: datetime, audits: int) -> list[Row]:
        """The newest versions with audits in the window share what may be read."""
        audited = (
            model.id
            for model in tx.models.all(project.id)  # newest first
            if tx.sampled.drawn(project.id, model.id, since=since, until=until, audits=True, limit=1)
        )
        seen = list(islice(audited, _MOST_MODELS))
        share = max(audits // max(len(seen), 1), min(_FEWEST_OF_A_MODEL, audits))
        of_each = ((model_id, self._gathered(tx, project, model_id, since, until, share)) for model_id in seen)
        return [row_of(model_id, one.found, one.unanswered, one.crowds) for model_id, one in of_each]

    def _gathered(
        self,
        tx: Transaction,
        project: Project,
        model_id: str,
        since: datetime,
        until: datetime,
        audits: int,
        *,
        audits_alone: bool = False,
    ) -> _Gathered:
        newest = tx.sampled.drawn(project.id, model_id, since=since, until=until, audits=True, limit=audits + 1)
        if len(newest) > audits:
            since = newest[audits - 1].created_at
        sent = newest[:audits]
        if not audits_alone:
            sent = tx.sampled.drawn(project.id, model_id, since=since, until=until, audits=False, limit=_MOST_SENT)
            if len(sent) == _MOST_SENT:
                since = sent[-1].created_at
        chosen = thinned(sent, most=self.rules.reviewed)
        window = window_of(
            tx.sampled.named(project.id, chosen.prediction_ids),
            chosen.kept,
            since=since,
            until=until,
            now=self.clock(),
            patience=self.rules.patience,
            audits_alone=audits_alone,
        )
        most = _MOST_PREDICTIONS + 1
        of_all = tx.sampled.count(project.id, model_id, since=since, until=window.until, most=most)
        few = of_all <= _MOST_PREDICTIONS
        crowds = tx.sampled.crowds(project.id, model_id, since=since, until=window.until) if few else []
        return _Gathered(window, *_found(project, window), crowds, of_all)


def _as_used(window: Window, total: Row) -> Window:
    """With few audits the total rests on them alone, whatever else the window has (`row_of`)."""
    return replace(window, basis=ProductionBasis.AUDITS) if total.seen == total.audits else window


def _asked(tx: Transaction, project_id: str, model_id: str | None) -> tuple[Project, ModelVersion]:
    project = tx.projects.get(project_id)
    return project, loaded.champion(tx, project_id) if model_id is None else tx.models.get(project_id, model_id)


def _found(project: Project, window: Window) -> tuple[Found, Found]:
    """What people found in the members, and what is not known of the rest; oldest first."""
    members = sorted(window.members, key=lambda one: (one.created_at, one.prediction_id))
    counts = [(one, _counts(project, one)) for one in members]
    labels = {label for _, by_label in counts for label in by_label}
    answered = [(one, by_label) for one, by_label in counts if one.answering is Answering.SETTLED]
    others = [(one, by_label) for one, by_label in counts if one.answering is not Answering.SETTLED]
    return Found.of(window, answered, labels), Found.of(window, others, labels)


def _counts(project: Project, one: Sampled) -> Mapping[str, Counted]:
    """By the newest recipe: a label that is gone counts neither as found nor as missed."""
    detections = project.recipe.proposed(one.detections)
    if one.answering is Answering.SETTLED:
        truth = project.recipe.translated(one.truth or ())
        return counted(detections, truth, iou=project.policy.failure_iou)
    labels = [detection.label for detection in detections]
    return {label: Counted(right=labels.count(label)) for label in set(labels)}


def _notes(gathered: _Gathered, total: Row | None, since: datetime) -> Iterable[str]:
    window = gathered.window
    if total is not None and total.words:
        yield total.words
    if gathered.of_all > _MOST_PREDICTIONS:
        yield (
            f"The window holds more than {_MOST_PREDICTIONS:,} predictions: they are not counted, and their risk helps "
            "no estimate. Ask for fewer of the last audits."
        )
    elif outside := gathered.of_all - sum(crowd.count for crowd in gathered.crowds):
        yield f"Predictions that had no chance in the audit lot, of which nothing is said: {outside}."
    if window.since > since:
        yield f"Only the newest audits are looked at, from {window.since:%Y-%m-%d %H:%M} UTC on."
    if window.cut:
        yield (
            f"The figures end at {window.until:%Y-%m-%d %H:%M} UTC, before the oldest prediction that waits for "
            f"people; {window.waiting} do."
        )
    if len(gathered.unanswered):
        yield f"Unanswered: {len(gathered.unanswered)}; `worst` says what they could change."
