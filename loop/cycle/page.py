"""The report on a cycle as one HTML file: it loads nothing from anywhere, and runs no script."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined, Template, select_autoescape
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from loop.cycle.figures import Compared
from loop.cycle.reports import CycleReport, Example
from loop.domain.errors import AskanceError
from loop.domain.geometry import Box

_TEMPLATE = Path(__file__).with_name("page.html")
_WIDTH = 360  # pixels of an example
_TRUTH, _FOUND = "#009e73", "#d55e00"  # Okabe and Ito's, which colour-blind people tell apart
_CHANGES = (("mAP50-95", "map50_95"), ("mAP50", "map50"))
_LOSSES, _METRICS = "train/", ("metrics/mAP50", "metrics/mAP50-95")  # which losses there are, the network decides
_COCO = (
    ("AP", "ap"), ("AP50", "ap50"), ("AP75", "ap75"), ("small", "ap_small"), ("medium", "ap_medium"),
    ("large", "ap_large"), ("AR1", "ar1"), ("AR10", "ar10"), ("AR100", "ar100"),
)  # fmt: skip

# An image by its digest, (height, width, 3) RGB. Raises AskanceError where it is not kept, or none.
Pixels = Callable[[str], NDArray[np.uint8]]


def cycle_page(report: CycleReport, pixels: Pixels) -> str:
    """Examples whose image is gone are shown as empty pictures."""
    return _template().render(
        report=report,
        cycle=report.cycle,
        clauses=report.cycle.decision.get("clauses", []),
        changes=[(name, report.cycle.decision.get(key)) for name, key in _CHANGES],
        mended=[_pictured(one, pixels) for one in report.mended],
        broken=[_pictured(one, pixels) for one in report.broken],
        curves=[(name, _line(values)) for name, values in _figures(report.curves)],
        coco=_COCO,
        rows=_rows(report),
        reliability={name: _reliability(bins) for name, bins in report.reliability.items()},
    )


def _rows(report: CycleReport) -> list[tuple[str, Compared]]:
    figures = report.figures
    return [] if figures is None else [("all labels", figures.whole), *figures.classes.items()]


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=select_autoescape(default=True), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["share"] = lambda value: "–" if value is None else f"{value:.3f}"
    environment.filters["moment"] = lambda value: "–" if value is None else f"{value:%Y-%m-%d %H:%M:%S} UTC"
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))


def _figures(curves: Sequence[Mapping[str, float]]) -> list[tuple[str, list[float]]]:
    losses = {name: None for epoch in curves for name in epoch if name.startswith(_LOSSES)}
    found = [(name, [float(epoch[name]) for epoch in curves if name in epoch]) for name in (*losses, *_METRICS)]
    return [(name, values) for name, values in found if len(values) > 1]


def _line(values: Sequence[float]) -> dict[str, object]:
    """Points of a polyline in a box of 100 x 40, and what its ends are."""
    low, high = min(values), max(values)
    size = (high - low) or 1.0
    step = 100 / (len(values) - 1)
    points = " ".join(f"{step * i:.1f},{38 - 36 * (value - low) / size:.1f}" for i, value in enumerate(values))
    return {"points": points, "first": values[0], "last": values[-1], "epochs": len(values)}


def _reliability(bins: Sequence[tuple[float, float, int]]) -> list[dict[str, float]]:
    """Dots in a box of 100 x 100, larger for more detections."""
    most = max((count for _, _, count in bins), default=1)
    return [
        {"x": 100 * score, "y": 100 * (1 - right), "r": 1.5 + 4 * (count / most) ** 0.5, "count": count}
        for score, right, count in bins
    ]


def _pictured(example: Example, pixels: Pixels) -> dict[str, object]:
    picture = ""
    with suppress(AskanceError):  # dropped since: the rest of the report is worth having
        picture = _drawn(Image.fromarray(pixels(example.digest)), example)
    return {"digest": example.digest, "picture": picture, "truth": len(example.truth), "found": len(example.after)}


def _drawn(image: Image.Image, example: Example) -> str:
    """A data URL: the truth, and what the candidate found, side by side."""
    scale = _WIDTH / image.width
    size = (_WIDTH, max(round(image.height * scale), 1))
    small = image.resize(size)
    pair = Image.new("RGB", (2 * _WIDTH + 6, size[1]), "white")
    truth = [(shape.box, shape.label) for shape in example.truth]
    found = [(one.box, f"{one.label} {one.score:.2f}") for one in example.after]
    for column, (boxes, colour) in enumerate(((truth, _TRUTH), (found, _FOUND))):
        pair.paste(_with_boxes(small.copy(), boxes, colour, scale), (column * (_WIDTH + 6), 0))
    buffer = io.BytesIO()
    pair.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _with_boxes(image: Image.Image, boxes: Sequence[tuple[Box, str]], colour: str, scale: float) -> Image.Image:
    draw = ImageDraw.Draw(image)
    for box, name in boxes:
        x1, y1, x2, y2 = (value * scale for value in box)
        draw.rectangle((x1, y1, max(x2, x1), max(y2, y1)), outline=colour, width=2)
        draw.rectangle(draw.textbbox((x1 + 4, y1 + 2), name), fill=colour, outline=colour, width=2)
        draw.text((x1 + 4, y1 + 2), name, fill="white")
    return image
