"""What a learning curve comes to: one number for how high it is, one for how far it has to go."""

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import isotonic_regression


def over_budgets(budgets: NDArray[np.float64], reached: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area under each curve (runs, b) over the logarithm of the budget, divided by its width: a mean height, so that
    the first hundred labels count as much as the step from five hundred to a thousand."""
    steps = np.log(budgets)
    return np.asarray(np.trapezoid(reached, steps, axis=1) / (steps[-1] - steps[0]))


def labels_needed(budgets: NDArray[np.float64], reached: NDArray[np.float64], target: float) -> float:
    """Where the curve comes to `target`, in straight lines over the logarithm of the budget; infinite where it never
    does, the first budget where it begins above.

    The curve is first made to rise, by least squares (isotonic regression): more labels do harm by chance only, and
    where a noisy curve first touches a line says where chance was kind to it.
    """
    reached = isotonic_regression(reached)
    above = np.flatnonzero(reached >= target)
    if not len(above):
        return float("inf")
    at = int(above[0])
    if at == 0:
        return float(budgets[0])
    share = (target - reached[at - 1]) / (reached[at] - reached[at - 1])
    low, high = np.log(budgets[at - 1]), np.log(budgets[at])
    return float(np.exp(low + share * (high - low)))
