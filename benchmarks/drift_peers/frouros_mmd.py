"""Frouros's MMD with its permutation test: python frouros_mmd.py STREAMS.npz PERMUTATIONS → JSON on standard output.

reference (R, m, d) and recent (R, n, d) embeddings; the kernel's width is the median distance, as is usual.
"""

import json
import sys
import time
from functools import partial

import numpy as np
from frouros.callbacks import PermutationTestDistanceBased
from frouros.detectors.data_drift import MMD
from frouros.utils.kernels import rbf_kernel


def p_value(reference: np.ndarray, recent: np.ndarray, permutations: int) -> float:
    pooled = np.concatenate([reference, recent])
    lengths = (pooled**2).sum(axis=1)
    squares = np.maximum(lengths[:, None] + lengths[None, :] - 2.0 * pooled @ pooled.T, 0.0)
    sigma = float(np.sqrt(np.median(squares[np.triu_indices(len(pooled), 1)])))
    test = PermutationTestDistanceBased(
        num_permutations=permutations, num_jobs=1, method="conservative", random_state=0, name="test"
    )
    detector = MMD(kernel=partial(rbf_kernel, sigma=sigma), callbacks=test)
    detector.fit(X=reference)
    return float(detector.compare(X=recent)[1]["test"]["p_value"])


def main() -> None:
    streams = np.load(sys.argv[1])
    begun = time.perf_counter()
    pairs = zip(streams["reference"].astype(np.float64), streams["recent"].astype(np.float64), strict=True)
    found = [p_value(reference, recent, int(sys.argv[2])) for reference, recent in pairs]
    print(json.dumps({"p_values": found, "seconds": (time.perf_counter() - begun) / len(found)}))


if __name__ == "__main__":
    main()
