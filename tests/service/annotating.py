"""A process that works off one annotation on a Ray of its own, to be killed: `python -m tests.service.annotating
PROJECT JOB`, with the settings of its environment."""

import os
import sys

from loop.annotation import Annotator, RouteTogether
from loop.exchange.sources import FsspecSources
from loop.router import Router
from loop.settings import load_settings
from loop.wiring import open_blobs, open_store, utc_now
from serving.bulk import RayBulk


def main(project_id: str, job_id: str) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    settings = load_settings()
    store, blobs = open_store(settings), open_blobs(settings)
    router = Router(store, blobs, store.secret(), lambda _model, _embedding: 1.0, utc_now, os.urandom)
    sources = FsspecSources(settings.annotation.allowed_sources)
    annotator = Annotator(store, blobs, sources, RayBulk(settings), RouteTogether(router), utc_now)
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, configure_logging=False)
    with store.read() as tx:
        job = tx.annotations.get(project_id, job_id)
    annotator.advance(job)


if __name__ == "__main__":
    main(*sys.argv[1:])
