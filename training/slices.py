"""Some of the images that are held out, under a name: a source, a quarter of time, a saved view, past failures.

They are frozen with the snapshot: which images a slice has must not change between two models, nor with what a query
finds later. An image is known by its place among those that are judged by, and after them those that are looked at for
slices alone.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import BadDataset
from loop.domain.policy.slice_rules import SliceKind

FORMAT = "askance-slices/1"
_QUARTERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """images: places, ascending. margin: by how much its mAP50-95 may get worse; None: as the gate's settings say.
    note: why it has no images, in words."""

    kind: SliceKind
    name: str
    images: tuple[int, ...] = ()
    margin: float | None = None
    note: str = ""

    @property
    def title(self) -> str:
        """Unique among the slices of a cycle."""
        return str(self.kind) if self.kind in (SliceKind.AUDITS, SliceKind.FAILURES) else f"{self.kind} {self.name}"

    def among(self, total: int) -> NDArray[np.bool_]:
        """(total,) which images it has."""
        chosen = np.zeros(total, dtype=bool)
        chosen[list(self.images)] = True
        return chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """judged: how many images are judged by. beside: digests of the held-out images behind them, which no figure but
    those of slices looks at."""

    judged: int
    beside: tuple[str, ...] = ()
    slices: tuple[Slice, ...] = ()

    def without(self, gone: NDArray[np.bool_]) -> "Slices":
        """Of the images that are left. gone: (judged + len(beside),)."""
        if not gone.any():
            return self
        place = np.cumsum(~gone) - 1
        beside = tuple(digest for digest, lost in zip(self.beside, gone[self.judged :], strict=True) if not lost)
        kept = [replace(one, images=tuple(int(place[i]) for i in one.images if not gone[i])) for one in self.slices]
        return Slices(judged=int((~gone[: self.judged]).sum()), beside=beside, slices=tuple(kept))

    def to_bytes(self) -> bytes:
        return json.dumps({"format": FORMAT, **asdict(self)}, separators=(",", ":")).encode()

    @classmethod
    def read(cls, content: bytes) -> "Slices":
        """What `to_bytes` wrote. Raises BadDataset for anything else."""
        try:
            body = json.loads(content)
            if body.pop("format") != FORMAT:
                raise ValueError("another format")
            slices = [{**one, "kind": SliceKind(one["kind"]), "images": tuple(one["images"])} for one in body["slices"]]
            return cls(
                judged=body["judged"], beside=tuple(body["beside"]), slices=tuple(Slice(**one) for one in slices)
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadDataset(f"these bytes are not slices ({error}).", hint="Start another cycle.") from error


def by_source(sources: Sequence[str]) -> list[Slice]:
    """sources: (n,) of the judged images, "" where nobody said."""
    places: dict[str, list[int]] = {}
    for place, source in enumerate(sources):
        if source:
            places.setdefault(source, []).append(place)
    return [Slice(kind=SliceKind.SOURCE, name=name, images=tuple(places[name])) for name in sorted(places)]


def by_time(taken: Sequence[datetime | None]) -> list[Slice]:
    """Quarters of the judged images, the oldest first, named by their days; what was taken at one moment is in one of
    them. None where all were. taken: (n,) in UTC; None where it is not known."""
    known = {place: moment for place, moment in enumerate(taken) if moment is not None}
    if not known:
        return []
    places = np.array(list(known))
    seconds = np.array([moment.timestamp() for moment in known.values()])
    edges = np.unique(np.quantile(seconds, np.arange(1, _QUARTERS) / _QUARTERS, method="lower"))
    quarter = np.searchsorted(edges, seconds, side="left")
    groups = [places[quarter == number].tolist() for number in np.unique(quarter)]
    if len(groups) < 2:
        return []
    made = []
    for number, images in enumerate(groups, start=1):
        days = [known[place].date().isoformat() for place in images]
        name = f"{number}: {min(days)}" if min(days) == max(days) else f"{number}: {min(days)} to {max(days)}"
        made.append(Slice(kind=SliceKind.TIME, name=name, images=tuple(images)))
    return made


def at(digests: Mapping[str, int], wanted: Sequence[str]) -> tuple[int, ...]:
    """The places of those that have one, ascending."""
    return tuple(sorted(digests[digest] for digest in set(wanted) if digest in digests))
