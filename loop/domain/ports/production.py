"""How good production is: samples that stand for all, outcomes, figures, thresholds, drift."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from loop.domain.guarantee.thresholds import Thresholds
from loop.domain.model import ModelVersion
from loop.domain.production.drift import DriftReport
from loop.domain.production.figures import ProductionFigures
from loop.domain.production.outcomes import ReportedOutcome, TurnedOut
from loop.domain.production.sampled import Crowd, Drawn, Predicted, Sampled
from loop.domain.project import Project


class SampledPredictions(Protocol):
    """What thresholds and estimates are made from."""

    def newest(self, project_id: str, model_id: str, *, since: datetime, until: datetime, limit: int) -> list[Sampled]:
        """The last `limit` predictions of a model version, made at `since` or later and before `until`, that routing or
        the audit lot sent to people, newest first; whether or not they were answered."""
        ...

    def population(self, project_id: str, model_id: str, *, since: datetime, until: datetime) -> Iterator[Predicted]:
        """Every prediction of a model version, from `since` on, before `until`, oldest first; use it up inside the
        transaction."""
        ...

    def drawn(
        self, project_id: str, model_id: str, *, since: datetime, until: datetime, audits: bool, limit: int
    ) -> list[Drawn]:
        """The last `limit` that routing or the audit lot sent to people, from `since` on, before `until`, newest first.
        audits: of the lot alone."""
        ...

    def first_drawn(self, project_id: str, model_id: str, *, since: datetime, limit: int) -> list[Drawn]:
        """The first `limit` that routing or the audit lot sent to people, from `since` on, oldest first; of callers
        alone, without bulk annotation."""
        ...

    def named(self, project_id: str, prediction_ids: Sequence[str]) -> list[Sampled]:
        """Those of them that routing or the audit lot sent to people, in no order; without their signals."""
        ...

    def count(self, project_id: str, model_id: str, *, since: datetime, until: datetime, most: int) -> int:
        """Predictions from `since` on, before `until`; `most` where there are more."""
        ...

    def crowds(self, project_id: str, model_id: str, *, since: datetime, until: datetime) -> list[Crowd]:
        """What predictions from `since` on, before `until`, come to, by day and source, oldest first; those that had no
        chance in the audit lot are not in it."""
        ...

    def drawable(self, project_id: str, model_id: str, *, since: datetime, limit: int) -> list[float]:
        """Risks of the newest predictions from `since` on that the audit lot alone could send to people, newest
        first."""
        ...

    def reach(self, project_id: str, model_id: str, *, since: datetime, until: datetime) -> tuple[int, float]:
        """How many predictions callers got from `since` on, before `until`, without bulk annotation, and the smallest
        probability with which one of them could come to people; 1 where there are none."""
        ...


class Outcomes(Protocol):
    """How predictions turned out outside, as callers report it: one word of each caller for each prediction."""

    def get(self, prediction_id: str, reported_by: str) -> ReportedOutcome | None: ...

    def save(self, outcome: ReportedOutcome) -> None:
        """In place of what the same caller reported before."""
        ...

    def of_prediction(self, prediction_id: str) -> list[ReportedOutcome]:
        """Oldest first."""
        ...

    def count(self, project_id: str, model_id: str, *, since: datetime, until: datetime) -> Mapping[TurnedOut, int]:
        """Predictions made from `since` on, before `until`; wrong where anybody says so."""
        ...


class ProductionFiguresKept(Protocol):
    """The newest figures for monitoring, of each project."""

    def all(self) -> list[ProductionFigures]: ...

    def save(self, figures: ProductionFigures) -> None:
        """In place of those before."""
        ...


class ThresholdRecords(Protocol):
    def add(self, record: Thresholds, evidence: Sequence[str]) -> Thresholds:
        """As the project's next version, which is returned. evidence: ids of the predictions that it rests on."""
        ...

    def newest(self, project_id: str, model_id: str, policy_version: int, risk_key: str | None) -> Thresholds | None:
        """Of just this model, policy and risk."""
        ...

    def of(self, project: Project, model: ModelVersion) -> Sequence[Thresholds]:
        """What the project's policy routes this model's predictions by: the newest for its learned risk, and for the
        heuristic, that there are. Reads nothing where nothing is promised."""
        ...

    def latest(self, project_id: str, model_id: str) -> Thresholds | None:
        """Of this model, whatever the policy and the risk."""
        ...

    def get(self, project_id: str, version: int) -> Thresholds:
        """Raises NotFound."""
        ...

    def evidence(self, project_id: str, version: int) -> list[str]:
        """Ids of predictions, oldest first."""
        ...

    def page(self, project_id: str, *, before: int | None, limit: int) -> list[Thresholds]:
        """The newest first, below the version `before`."""
        ...


class DriftReports(Protocol):
    def add(self, report: DriftReport) -> None: ...
    def page(self, project_id: str, *, after: str | None, limit: int) -> list[DriftReport]:
        """Newest first; `after` is a report's id."""
        ...

    def scheduled(self, project_id: str, *, limit: int) -> list[DriftReport]:
        """Those of the schedule, of whatever model, newest first."""
        ...
