"""What other libraries need for the same choice; run by `benchmarks.selection` in an environment of their own.

    python -m benchmarks.selection_peers POOL.npz      prints JSON: {strategy: {"seconds": of the CPU, "rows": [...]}}

POOL.npz: embeddings (n, d) float32, scores (m, C) float64 with rows that sum to one, k.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Embeddings = NDArray[np.float32]
OF_TYPICLUST, OF_HERDING = 4000, 4096  # rows, the first; both need memory that grows with their square


def coreset(points: Embeddings, k: int) -> Any:
    """scikit-activeml, where the first row is labelled."""
    from skactiveml.pool import CoreSet

    known = np.full(len(points), np.nan)
    known[0] = 0
    return CoreSet(random_state=0).query(points, known, batch_size=k)


def typiclust(points: Embeddings, k: int) -> Any:
    from skactiveml.pool import TypiClust

    return TypiClust(random_state=0).query(points, np.full(len(points), np.nan), batch_size=k)


def facility_location(points: Embeddings, k: int) -> Any:
    """apricot: what herding is without its kernel, on similarities that are not negative."""
    from apricot import FacilityLocationSelection

    kernel = np.exp(2.0 * (points @ points.T - 1.0)).astype(np.float64)
    return FacilityLocationSelection(k, metric="precomputed", optimizer="lazy").fit(kernel).ranking


def margin(scores: NDArray[np.float64], k: int) -> Any:
    """modAL."""
    from modAL.uncertainty import margin_sampling

    class Known:
        def predict_proba(self, _: object) -> NDArray[np.float64]:
            return scores

    return margin_sampling(Known(), scores, n_instances=k)[0]  # type: ignore[arg-type]


def _timed(work: Callable[[], Any]) -> dict[str, object]:
    started = time.process_time()
    rows = work()
    return {"seconds": time.process_time() - started, "rows": np.asarray(rows).tolist()}


def main(path: str) -> None:
    warnings.simplefilter("ignore")
    given = np.load(path)
    points, k = given["embeddings"], int(given["k"])
    facility_location(points[:64], 2)  # compiles
    found = {
        "core-set": _timed(lambda: coreset(points, k)),
        "typiclust": _timed(lambda: typiclust(points[:OF_TYPICLUST], k)),
        "herding": _timed(lambda: facility_location(points[:OF_HERDING], k)),
        "margin": _timed(lambda: margin(given["scores"], k)),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
