"""How good production is, and what MLflow is still to be told, for Prometheus: read now and then."""

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from prometheus_client import Gauge

from loop.cycle.telling import told_later
from loop.domain.errors import AskanceError
from loop.domain.ports import Store

_READ_EVERY_SECONDS = 15.0

_LABELS = ["project", "model"]
_rate = Gauge("askance_failure_rate", "Failures among predictions, estimated.", _LABELS)
_low = Gauge("askance_failure_rate_low", "Of the 95 % interval of the failure rate.", _LABELS)
_high = Gauge("askance_failure_rate_high", "Of the 95 % interval of the failure rate.", _LABELS)
_audits = Gauge("askance_audits_answered", "Audits that the failure rate is estimated from.", _LABELS)
_at = Gauge("askance_failure_rate_timestamp_seconds", "When it was estimated.", _LABELS)
_untold = Gauge("askance_mlflow_untold", "Notes of cycles and aliases that MLflow is still to be told.")
_waiting_since = Gauge("askance_mlflow_untold_timestamp_seconds", "When the oldest of them happened; 0 for none.")


class Gauges:
    """Of this process. Anybody may ask for /metrics, so that what it costs does not grow with how often."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """now: seconds of a clock that only goes forward."""
        self._now = now
        self._read_at = -math.inf
        self._lock = threading.Lock()

    def follow(self, store: Store) -> None:
        with self._lock:
            now = self._now()
            if now - self._read_at < _READ_EVERY_SECONDS:
                return
            self._read_at = now
        with suppress(AskanceError):  # the store is away: the figures before stand
            self._read(store)

    def _read(self, store: Store) -> None:
        with store.read() as tx:
            kept = tx.production_figures.all()
        untold = told_later(store).whole
        _untold.set(untold.count)
        _waiting_since.set(untold.oldest.timestamp() if untold.oldest else 0)
        for gauge in (_rate, _low, _high, _audits, _at):
            gauge.clear()
        for figures in kept:
            of = (figures.project_id, figures.model_id)
            _audits.labels(*of).set(figures.audits)
            _at.labels(*of).set(figures.computed_at.timestamp())
            if figures.failure_rate is not None and figures.low is not None and figures.high is not None:
                _rate.labels(*of).set(figures.failure_rate)
                _low.labels(*of).set(figures.low)
                _high.labels(*of).set(figures.high)


gauges = Gauges()
