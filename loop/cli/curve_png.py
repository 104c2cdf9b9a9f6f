"""What a plan does with lots, as a picture."""

from pathlib import Path
from typing import TYPE_CHECKING

from loop.cli.writing import writing

if TYPE_CHECKING:
    from serving.api.schemas.lots import CurveOut

_INCHES, _DPI = (8, 7), 160
_ACCEPTS, _INSPECTS, _PROMISED = "#0072b2", "#d55e00", "0.6"


def save_curve(path: Path, curve: "CurveOut", *, title: str) -> None:
    """The operating characteristic above, the average number inspected below. Raises Invalid where it cannot be
    written."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    shares = [100 * point.share for point in curve.points]
    figure, (above, below) = pyplot.subplots(2, 1, figsize=_INCHES, sharex=True)
    above.set_title(title, loc="left", fontsize=11)
    above.plot(shares, [point.accepts for point in curve.points], color=_ACCEPTS)
    above.set(ylabel="probability of acceptance", ylim=(-0.02, 1.02))
    below.plot(shares, [point.inspects for point in curve.points], color=_INSPECTS)
    below.set(xlabel="items of the lot with defects [%]", ylabel="inspected on average", xlim=(0, 100))
    below.set_ylim(bottom=0)
    rules = curve.rules
    if rules.plan != "share":
        for share, accepts in ((rules.aql, 1 - rules.alpha), (rules.ltpd, rules.beta)):
            above.plot([100 * share], [accepts], "o", color=_PROMISED)
            above.axvline(100 * share, color=_PROMISED, linewidth=0.8)
    for axes in (above, below):
        axes.grid(color="0.92")
        axes.spines[["top", "right"]].set_visible(False)
    try:
        with writing("the curve", path):
            figure.savefig(path, dpi=_DPI, bbox_inches="tight")
    finally:
        pyplot.close(figure)
