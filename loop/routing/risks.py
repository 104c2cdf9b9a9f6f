"""What was learned of each model version's failures: learned again as people review more, used by routing."""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import AskanceError, Invalid
from loop.domain.model import ModelVersion
from loop.domain.ports import Blobs, Clock, Event, Reviewed, Store, Transaction
from loop.domain.routing import Policy, gives_evidence
from selection.risk import FittedRisk, heuristic_risk
from selection.risk_fitting import FEWEST_OF_EACH, FEWEST_REVIEWS, Reviews, RiskReport, fit_risk, report_of
from selection.scores import Signals

log = logging.getLogger("askance.risk")

REFIT_AFTER = 100  # new reviews
_KEPT = 32  # versions whose risk is in memory
_READ_AGAIN_SECONDS = 30.0


Beside = Callable[[ModelVersion], Callable[[Transaction], None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """fitted_on: reviews. quality: on reviews held out from it; of all of them, weighted to stand for all predictions,
    and of audits alone. reviews: that there were. left_out: in [0, 1], of predictions that are kept to judge thresholds
    and taught nothing (`loop.domain.routing.gives_evidence`)."""

    risk: FittedRisk
    fitted_on: int
    quality: RiskReport
    audits: RiskReport | None
    reviews: int
    left_out: float

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Learned":
        """Raises KeyError, TypeError, ValueError for what `to_bytes` did not write."""
        fields = json.loads(content)
        return cls(
            risk=FittedRisk.from_fields(fields["risk"]),
            fitted_on=int(fields["fitted_on"]),
            quality=_report(fields["quality"]),
            audits=None if fields["audits"] is None else _report(fields["audits"]),
            reviews=int(fields.get("reviews", fields["fitted_on"])),
            left_out=float(fields.get("left_out", 0.0)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskStatus:
    """learned: None where the heuristic is used still; why: what is missing then. reviewed: how many there are now.
    routed_by: how good the risk was that these reviews were routed by."""

    model_id: str
    reviewed: int
    learned: Learned | None
    why: str
    routed_by: RiskReport | None


class Risks:
    """The risk of a prediction, by what was learned of its model version; by the heuristic before that."""

    def __init__(
        self, store: Store, blobs: Blobs, clock: Clock, *, learn: bool, beside: Beside = lambda _: lambda _: None
    ) -> None:
        """learn: False keeps the heuristic, also where something was learned before. beside: gets the model with its
        new risk, and gives what is written in the transaction from which on that risk is used."""
        self._learn = learn
        self._beside = beside
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._known: dict[str, Learned] = {}
        self._tried: dict[str, int] = {}  # reviews when fitting was last refused, by model version
        self._unread: dict[str, float] = {}  # when to read again what could not be read, time.monotonic
        self._lock = threading.Lock()

    def of(self, model: ModelVersion, signals: Signals) -> float:
        """In [0, 1]."""
        learned = self._learned(model) if self._learn else None
        if learned is not None:
            with suppress(Invalid):  # it was learned from signals that are not measured any more
                return learned.risk.of(signals.as_dict())
        return heuristic_risk(signals)

    def key_of(self, model: ModelVersion, signals: Signals) -> str | None:
        """Of what was learned that `of` goes by (`ModelVersion.risk_key`); None where the heuristic speaks."""
        learned = self._learned(model) if self._learn else None
        return model.risk_key if learned is not None and set(learned.risk.names) <= signals.as_dict().keys() else None

    def used_key(self, model: ModelVersion) -> str | None:
        """As `key_of` says of predictions of which all that it takes was measured."""
        return model.risk_key if self._learn and self._learned(model) is not None else None

    def of_all(self, model: ModelVersion, measured: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
        """(n,) of predictions that were made before, by the present risk; 1 where it needs what was not measured."""
        learned = self._learned(model) if self._learn else None
        if learned is None:
            return np.array([_by_rule(one) for one in measured], dtype=np.float64)
        risks, names = np.ones(len(measured)), set(learned.risk.names)
        rows = [row for row, one in enumerate(measured) if names <= one.keys()]
        if rows:
            risks[rows] = learned.risk.of_all(
                {name: np.array([measured[row][name] for row in rows], dtype=np.float64) for name in names}
            )
        return risks

    def may_be_judged(self, model: ModelVersion, policy: Policy) -> bool:
        """Whether the present risk was learned without the predictions that give evidence."""
        learned = self._learned(model) if self._learn else None
        return learned is None or learned.left_out >= policy.guarantee.evidence_share

    def refit_due(self) -> list[str]:
        """Learn for each champion of which there are enough new reviews; the model versions that it was done for."""
        if not self._learn:
            return []
        with self._store.read() as tx:
            champions = [
                (tx.models.get(project.id, project.champion_id), project.policy)
                for project in tx.projects.all()
                if project.champion_id
            ]
            counts = [tx.submissions.count_reviewed(model.project_id, model.id) for model, _ in champions]
        return [
            model.id
            for (model, policy), count in zip(champions, counts, strict=True)
            if self._due(model, policy, count) and self._refitted(model, count)
        ]

    def fit(self, model: ModelVersion) -> Learned:
        """Learn from the reviews there are, and let routing use it: from all of them, but where promises are made from
        those that do not judge it. Raises Invalid where they are too few."""
        with self._store.read() as tx:
            policy = tx.projects.get(model.project_id).policy
        there_are = self._reviewed(model)
        left_out = _left_out(policy)
        secret = self._store.secret()
        reviewed = [one for one in there_are if not left_out or not gives_evidence(secret, one.prediction_id, policy)]
        risk, unseen = fit_risk(_reviews(reviewed), seed=0)
        audited = np.array([one.audit for one in reviewed])
        learned = Learned(
            risk=risk,
            fitted_on=len(reviewed),
            quality=_measured(unseen, reviewed),
            audits=_measured(unseen[audited], _as_audits(reviewed)) if audited.any() else None,
            reviews=len(there_are),
            left_out=left_out,
        )
        key = self._blobs.put(learned.to_bytes())
        write = self._beside(replace(model, risk_key=key))
        with self._store.begin() as tx:
            tx.models.judge(model.project_id, model.id, key)
            body = {"model_id": model.id, "reviews": len(reviewed), "auroc": learned.quality.auroc, "risk_key": key}
            tx.events.add(Event("risk.fitted", model.project_id, "service", body, self._clock()))
            write(tx)
        return learned

    def status(self, model: ModelVersion) -> RiskStatus:
        reviewed = self._reviewed(model)
        learned = self._learned(model)
        why = ""
        if learned is None:
            failures = sum(one.failed for one in reviewed)
            why = (
                f"{len(reviewed)} reviews, of which {failures} were corrected; it takes {FEWEST_REVIEWS} with "
                f"{FEWEST_OF_EACH} of each to learn from."
            )
        routed_by = _measured(np.array([one.risk for one in reviewed]), reviewed) if reviewed else None
        return RiskStatus(model_id=model.id, reviewed=len(reviewed), learned=learned, why=why, routed_by=routed_by)

    def _due(self, model: ModelVersion, policy: Policy, count: int) -> bool:
        learned = self._learned(model)
        if learned is None or learned.left_out != _left_out(policy):
            return count > self._tried.get(model.id, -1)
        return count >= learned.reviews + REFIT_AFTER

    def _refitted(self, model: ModelVersion, count: int) -> bool:
        try:
            learned = self.fit(model)
        except Invalid:
            self._tried[model.id] = count
            return False
        log.info("risk of %s learned from %d reviews, AUROC %s", model.id, learned.fitted_on, learned.quality.auroc)
        return True

    def _reviewed(self, model: ModelVersion) -> list[Reviewed]:
        with self._store.read() as tx:
            return tx.submissions.reviewed(model.project_id, model.id)

    def _learned(self, model: ModelVersion) -> Learned | None:
        if model.risk_key is None:
            return None
        known = self._known.get(model.risk_key)
        if known is None and time.monotonic() > self._unread.get(model.risk_key, 0.0):
            known = self._read(model, model.risk_key)
        return known

    def _read(self, model: ModelVersion, key: str) -> Learned | None:
        try:
            known = Learned.from_bytes(self._blobs.get(key))
        except (AskanceError, ValueError, KeyError, TypeError) as error:
            # A prediction must not fail for it, nor wait again at once; the next fit writes it anew.
            log.warning("what was learned of %s cannot be read, the heuristic is used: %s", model.id, error)
            self._unread[key] = time.monotonic() + _READ_AGAIN_SECONDS
            return None
        with self._lock:
            self._known[key] = known
            while len(self._known) > _KEPT:
                self._known.pop(next(iter(self._known)))
        return known


def _left_out(policy: Policy) -> float:
    return policy.guarantee.evidence_share if policy.guarantee.promises else 0.0


_MEASURED = frozenset(field.name for field in fields(Signals))


def _by_rule(measured: Mapping[str, float]) -> float:
    try:
        return heuristic_risk(Signals(**{name: value for name, value in measured.items() if name in _MEASURED}))
    except TypeError:  # by an earlier version, which measured less
        return 1.0


def _reviews(reviewed: Sequence[Reviewed]) -> Reviews:
    names = set.intersection(*(set(one.signals) for one in reviewed)) if reviewed else set()
    return Reviews(
        signals={name: np.array([one.signals[name] for one in reviewed], dtype=np.float64) for name in sorted(names)},
        failed=np.array([one.failed for one in reviewed], dtype=bool),
        probability=np.array([one.probability for one in reviewed], dtype=np.float64),
    )


def _as_audits(reviewed: Sequence[Reviewed]) -> list[Reviewed]:
    """Audits alone: whether a prediction became one had nothing to do with the threshold."""
    return [replace(one, probability=one.audit_rate) for one in reviewed if one.audit]


def _measured(risks: NDArray[np.float64], reviewed: Sequence[Reviewed]) -> RiskReport:
    return report_of(risks, _reviews(reviewed))


def _report(fields: dict[str, Any]) -> RiskReport:
    reliability = tuple((float(risk), float(failed), float(weight)) for risk, failed, weight in fields["reliability"])
    return RiskReport(**fields | {"reliability": reliability})
