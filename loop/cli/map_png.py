"""A map as a picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loop.cli.map_colours import NAMED, NOTHING, OTHERS, RAMP, STATE_WORDS, ColourBy, categories
from loop.cli.writing import writing
from selection.map_file import positions_of

if TYPE_CHECKING:
    import pyarrow as pa

_INCHES, _DPI = (11, 9), 160
_COVERED = 0.15  # of the picture, by all points together, were they spread evenly


def save_png(path: Path, table: "pa.Table", by: ColourBy, *, title: str) -> None:
    """Raises Invalid where it cannot be written."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=_INCHES)
    axes.set_aspect("equal", adjustable="box")
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_color("0.85")
    axes.set_title(title, loc="left", fontsize=11)
    if by in (ColourBy.risk, ColourBy.anomaly):
        _numbers(figure, axes, table, by)
    else:
        _names(axes, table, by)
    try:
        with writing("the map", path):
            figure.savefig(path, dpi=_DPI, bbox_inches="tight")
    finally:
        pyplot.close(figure)


def _numbers(figure: Any, axes: Any, table: "pa.Table", by: ColourBy) -> None:
    """The most remarkable on top."""
    from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize

    if by is ColourBy.risk:
        values, words = table["risk"].to_numpy(), "risk of being wrong"
        ramp, norm, order = RAMP, Normalize(0.0, 1.0), np.argsort(values, kind="stable")
    else:
        values = table["anomaly_p"].to_numpy()
        known = bool((values < 1.0).any())
        words = f"anomaly p: {'at most 0.001 is remarkable' if known else 'not known without training images'}"
        ramp, norm, order = RAMP[::-1], LogNorm(0.001, 1.0, clip=True), np.argsort(-values, kind="stable")
    drawn = _points(axes, positions_of(table)[order], c=values[order], norm=norm,
                    cmap=LinearSegmentedColormap.from_list(by, ramp))  # fmt: skip
    bar = figure.colorbar(drawn, ax=axes, shrink=0.5, pad=0.02, label=words)
    bar.solids.set_alpha(1.0)


def _names(axes: Any, table: "pa.Table", by: ColourBy) -> None:
    """In an order that says nothing, so that no name lies on top of all others."""
    from matplotlib.colors import to_rgba_array

    found = categories(table, "label" if by is ColourBy.label else by.value)
    palette = to_rgba_array([*found.colours, NOTHING])
    order = np.random.default_rng(0).permutation(len(table))
    _points(axes, positions_of(table)[order], c=palette[found.codes[order]])
    shown = len(found.names) if by is ColourBy.state else min(len(found.names), len(NAMED))
    counts = found.counts
    entries = [
        (f"{STATE_WORDS.get(name, name) if by is ColourBy.state else _short(name)}  {count:,}", colour)
        for name, colour, count in zip(found.names[:shown], found.colours, counts, strict=False)
    ]
    if len(found.names) > shown:
        others = _short(found.names[-1]) if len(found.names) == shown + 1 else f"{len(found.names) - shown} others"
        entries.append((f"{others}  {counts[shown:].sum():,}", OTHERS))
    if nothing := int((found.codes < 0).sum()):
        entries.append((f"nothing detected  {nothing:,}", NOTHING))
    for words, colour in entries:
        axes.scatter([], [], s=40, color=colour, label=words)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)


def _short(name: str) -> str:
    """A name as the legend has room for it, with nothing in it that matplotlib would take for a formula."""
    plain = (name or "(none)").replace("$", r"\$")
    return plain if len(plain) <= 40 else f"…{plain[-39:]}"


def _points(axes: Any, positions: NDArray[np.float32], **colours: Any) -> Any:
    """Smaller and more transparent the more there are."""
    area = _COVERED * (72 * min(_INCHES)) ** 2 / max(len(positions), 1)
    size = float(np.clip(area, 0.4, 40.0))
    opaque = float(np.clip(area / size + 0.25, 0.25, 0.85))
    return axes.scatter(
        positions[:, 0], positions[:, 1], s=size, alpha=opaque, linewidths=0, rasterized=True, **colours
    )
