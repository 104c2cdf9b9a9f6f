"""The reliability plot of a risk: what it says against what happened."""

from collections.abc import Sequence
from pathlib import Path

from loop.cli.writing import writing
from loop.domain.errors import Invalid

_KINDS = (".png", ".svg", ".pdf")


def save_plot(path: Path, reliability: Sequence[tuple[float, float, float]], *, title: str) -> None:
    """reliability: (mean risk, share that failed, weight) of each bin. Raises Invalid for another kind of file, or
    where it cannot be written."""
    if path.suffix.lower() not in _KINDS:
        raise Invalid(
            f"a plot cannot be a {path.suffix or 'file without a suffix'}.", hint=f"One of {', '.join(_KINDS)}."
        )
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 5))
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, label="as it should be")
    risks, failed, weights = zip(*reliability, strict=True)
    axes.plot(risks, failed, color="#0072b2", linewidth=1)
    axes.scatter(
        risks, failed, s=[20 + 600 * weight for weight in weights], color="#0072b2", label="reviews (area: share)"
    )
    axes.set(xlabel="risk", ylabel="share that people corrected", xlim=(0, 1), ylim=(0, 1), title=title)
    axes.legend(loc="upper left", frameon=False)
    figure.tight_layout()
    try:
        with writing("the plot", path):
            figure.savefig(path, dpi=150)
    finally:
        pyplot.close(figure)
