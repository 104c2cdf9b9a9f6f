"""A map as one file for a browser: it loads nothing from anywhere, and holds all of its points."""

import base64
import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loop.cli.map_colours import NOTHING, OTHERS, RAMP, STATE_WORDS, Categories, ColourBy, categories
from loop.cli.writing import writing
from selection.map_file import positions_of

if TYPE_CHECKING:
    import pyarrow as pa

_PAGE = Path(__file__).with_name("map_page.html")
_FINEST = 65_535  # what positions and numbers are rounded to a part of
_MOST_NAMES = 65_000  # of one column; all that are rarer are one


def save_html(path: Path, table: "pa.Table", by: ColourBy, *, title: str) -> None:
    """Raises Invalid where it cannot be written."""
    text = page(table, by, title=title)
    with writing("the map", path):
        path.write_text(text, encoding="utf-8")


def page(table: "pa.Table", by: ColourBy, *, title: str) -> str:
    """Points in an order that says nothing, so that no name lies on top of all others."""
    shuffled = table.take(np.random.default_rng(0).permutation(len(table)))
    places, aspect = _in_a_box(positions_of(shuffled))
    columns = {
        "x": _packed(places[:, 0]),
        "y": _packed(places[:, 1]),
        "risk": _packed(_parts(shuffled["risk"].to_numpy())),
        "anomaly": _packed(_parts(shuffled["anomaly_p"].to_numpy())),
        "score": _packed(_parts(shuffled["score"].fill_null(0.0).to_numpy())),
        "item": base64.b64encode(b"".join(shuffled["item"].to_pylist())).decode(),
    }
    about: dict[str, Any] = {"title": title, "count": len(table), "aspect": aspect, "by": by.value, "ramp": RAMP}
    names = {"class": "label", "source": "source", "state": "state"}
    for name, column in names.items():
        found = categories(shuffled, column)
        columns[name] = _packed(_codes(found).astype(np.uint16))
        about[name] = _named(found, name)
    content = {"about": json.dumps(about), "columns": json.dumps(columns)}
    return _filled({"title": html.escape(title)} | {name: _harmless(text) for name, text in content.items()})


def _in_a_box(positions: NDArray[np.float32]) -> tuple[NDArray[np.uint16], float]:
    """Positions as parts of the box around them, y upwards, and its height by its width."""
    if not len(positions):
        return np.empty((0, 2), dtype=np.uint16), 1.0
    low, size = positions.min(axis=0), np.ptp(positions, axis=0)
    parts = (positions - low) / np.where(size > 0, size, 1.0)
    return np.round(parts * _FINEST).astype(np.uint16), float(size[1] / size[0]) if size.min() > 0 else 1.0


def _parts(values: NDArray[np.floating]) -> NDArray[np.uint16]:
    return np.asarray(np.round(np.clip(values, 0.0, 1.0) * _FINEST), dtype=np.uint16)


def _codes(found: Categories) -> NDArray[np.int32]:
    """Places in the list of names; the one behind them where there is none, the last of them for all that are rare."""
    most = min(len(found.names), _MOST_NAMES)
    return np.where(found.codes < 0, most, np.minimum(found.codes, most - 1))


def _named(found: Categories, name: str) -> dict[str, Any]:
    names = [STATE_WORDS.get(one, one) if name == "state" else one or "(none)" for one in found.names[:_MOST_NAMES]]
    if len(found.names) > _MOST_NAMES:
        names[-1] = f"{len(found.names) - _MOST_NAMES + 1} rare ones"
    counts = np.bincount(_codes(found), minlength=len(names) + 1).tolist()
    colours = [*found.colours[: len(names)], NOTHING]
    return {"names": [*names, "nothing detected"], "counts": counts, "colours": colours, "others": OTHERS}


def _packed(values: NDArray[np.uint16]) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype="<u2").tobytes()).decode()


def _harmless(text: str) -> str:
    """JSON inside a script element: nothing in it may end that element, or begin a comment."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _filled(values: Mapping[str, str]) -> str:
    """The page with each {{name}}; what is filled in is not looked at again."""
    parts = _PAGE.read_text(encoding="utf-8").split("{{")
    return parts[0] + "".join(values[name] + rest for name, rest in (part.split("}}", 1) for part in parts[1:]))
