"""A process that works off one annotation on a Ray of its own, to be killed: `python -m tests.service.annotating
PROJECT JOB`, with the settings of its environment."""

import os
import sys

import numpy as np
from numpy.typing import NDArray

from loop.domain.model import ModelVersion
from loop.exchange.sources import FsspecSources
from loop.items.annotation import Annotator, RouteTogether
from loop.routing.router import Router
from loop.settings import load_settings
from loop.wiring import open_blobs, open_store, utc_now
from selection.risk import heuristic_risk
from selection.scores import Signals
from serving.bulk import RayBulk


def _unremarkable(_model: ModelVersion, _embedding: NDArray[np.float32]) -> float:
    return 1.0


def _by_rule(_model: ModelVersion, signals: Signals) -> float:
    return heuristic_risk(signals)


def main(project_id: str, job_id: str) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    settings = load_settings()
    store, blobs = open_store(settings), open_blobs(settings)
    router = Router(store, blobs, store.secret(), _unremarkable, _by_rule, utc_now, os.urandom)
    sources = FsspecSources(settings.annotation.allowed_sources)
    annotator = Annotator(store, blobs, sources, RayBulk(settings), RouteTogether(router), utc_now)
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, configure_logging=False)
    with store.read() as tx:
        job = tx.annotations.get(project_id, job_id)
    annotator.advance(job)


if __name__ == "__main__":
    main(*sys.argv[1:])
