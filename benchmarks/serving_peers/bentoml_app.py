"""BentoML: one service with an adaptively batched API."""

from pathlib import Path
from typing import Any

import bentoml

from benchmarks.serving_peers import given


@bentoml.service(workers=1, traffic={"timeout": 60})
class Cells:
    def __init__(self) -> None:
        self.detect = given.detector()

    @bentoml.api(batchable=True, max_batch_size=given.BATCH, max_latency_ms=60_000)
    def predict(self, images: list[Path]) -> list[dict[str, Any]]:
        return self.detect([image.read_bytes() for image in images])
