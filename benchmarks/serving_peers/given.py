"""What a peer was told to serve."""

import os
from pathlib import Path

from benchmarks.service.detection import Chosen, Detect, Ours, usual

BATCH = 8  # images; our own `serving.max_batch_size`
BATCH_WAIT_SECONDS = 0.005


def detector() -> Detect:
    weights = Path(os.environ["PEER_WEIGHTS"])
    if os.environ["PEER_DETECTOR"] == "usual":
        return usual(weights)
    chosen = Chosen(os.environ["PEER_RUNTIME"], os.environ["PEER_PRECISION"], int(os.environ["PEER_THREADS"]))
    return Ours(weights, chosen)


def port() -> int:
    return int(os.environ["PEER_PORT"])
