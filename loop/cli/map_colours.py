"""What a map's points can be coloured by, and their colours, the same in a picture and on a page."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa


class ColourBy(StrEnum):
    risk = "risk"
    label = "class"
    source = "source"
    anomaly = "anomaly"
    state = "state"


# Okabe & Ito, told apart by nearly everybody, the palest last; then one for what is left, and one for nothing.
NAMED = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d3b", "#c9b400")
OTHERS, NOTHING = "#8c8c8c", "#d0d0d0"
STATES = {"open": "#b9c4cc", "task": "#e69f00", "truth": "#0072b2"}
STATE_WORDS = {"open": "open: nobody has looked", "task": "has, or had, a task", "truth": "has its truth"}
# From usual to remarkable.
RAMP = ("#d7e3ec", "#8fb8d8", "#4f86b8", "#7a5ba6", "#b8336a", "#d7191c")


@dataclass(frozen=True, slots=True)
class Categories:
    """names: the most frequent first. codes: (n,), -1 for none. colours: one for each name."""

    names: tuple[str, ...]
    codes: NDArray[np.int32]
    colours: tuple[str, ...]

    @property
    def counts(self) -> NDArray[np.int64]:
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.names))


def categories(table: "pa.Table", column: str) -> Categories:
    """Of a column of names: label, source or state."""
    if column == "state":
        names = list(STATES)
        given = table["state"].combine_chunks()
        own = np.array([names.index(name) for name in given.dictionary.to_pylist()], dtype=np.int32)
        return Categories(tuple(names), own[given.indices.to_numpy()], tuple(STATES.values()))
    given = table[column].combine_chunks()
    codes = given.indices.fill_null(-1).to_numpy().astype(np.int32)
    known = given.dictionary.to_pylist()
    order = np.argsort(-np.bincount(codes[codes >= 0], minlength=len(known)), kind="stable")
    rank = np.empty(len(known) + 1, dtype=np.int32)
    rank[order], rank[-1] = np.arange(len(known)), -1
    colours = [*NAMED[: len(known)], *[OTHERS] * (len(known) - len(NAMED))]
    return Categories(tuple(known[place] for place in order), rank[codes], tuple(colours))
