"""hybrid: risky, unlike what is labelled or chosen, and of classes that are short.

Each next pick has the largest risk × distance × need. Distance is that of k-center, so that near-duplicates of a risky
image are worth little once it is chosen; need favours images in which the model sees classes of which few are chosen.
"""

import numpy as np
from numpy.typing import NDArray

from selection.coverage import Coverage
from selection.pool import Pick, Pool, best_first

# The riskiest so many times the budget compete, and at least a tenth of the pool: in a pool of neighbouring frames the
# riskiest few hundred may be one scene.
_TIMES_BUDGET = 20
_SHARE = 0.1
_MOST = 50_000
_NEED = 1.0  # how much more an image of a wholly missing class is worth than one of classes that have enough


def pick(pool: Pool, free: NDArray[np.intp], budget: int, rng: np.random.Generator) -> list[Pick]:
    """See `selection.strategies.table.Strategy`."""
    if not budget or not len(free):
        return []
    rows = _riskiest(pool, free, budget, rng)
    coverage = Coverage.of(pool.embeddings[rows], pool.covered(free))
    seen = _classes_of(pool, rows)
    quota = budget / max(1, int(seen.any(axis=0).sum()))
    counts = np.zeros(seen.shape[1])
    picks = []
    for _ in range(min(budget, len(rows))):
        distance = np.clip(1.0 - coverage.nearest, 0.0, 1.0)  # 1 too where nothing is labelled yet
        need = (seen * np.clip(1.0 - counts / quota, 0.0, 1.0)).max(axis=1, initial=0.0)
        worth = pool.risk[rows] * distance * (1.0 + _NEED * need)
        worth[np.isinf(coverage.nearest)] = -1.0
        at = int(np.argmax(worth))
        picks.append(Pick(int(rows[at]), float(worth[at]), _reason(pool, int(rows[at]), float(distance[at]))))
        counts += seen[at]
        coverage.take(at)
    return picks


def _riskiest(pool: Pool, free: NDArray[np.intp], budget: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """In an order that says nothing but risk; of equals any."""
    competing = min(_MOST, max(_TIMES_BUDGET * budget, int(_SHARE * len(pool))))
    count = min(len(free), max(budget, competing))
    return free[best_first(pool.risk[free], rng)[:count]]


def _classes_of(pool: Pool, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    """(len(rows), C): which classes the model sees in which item."""
    seen = np.zeros((len(pool), max(1, len(pool.labels))), dtype=bool)
    seen[pool.objects.rows, pool.objects.classes] = True
    return seen[rows]


def _reason(pool: Pool, row: int, distance: float) -> str:
    return f"risk {pool.risk[row]:.2f}, cosine distance {distance:.3f} to the nearest that is labelled or chosen"
