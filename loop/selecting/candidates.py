"""What a model version has seen, as arrays: candidates, and the pool of them that is chosen from."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from loop.domain.model import ModelVersion
from loop.domain.ports import Candidate
from loop.domain.prediction import OBJECT_DIM, Detection
from loop.domain.selection import Conditions, Part
from selection.duplicates import Clusters
from selection.pool import Objects, Pool, require_finite


class Gathered:
    """Candidates as arrays, row by row; `finished` makes them so."""

    def __init__(
        self, labels: tuple[str, ...], dim: int, parts: Collection[Part], signals: Collection[str] = ()
    ) -> None:
        """parts: that candidates bring. signals: which of theirs are kept, where Part.SIGNALS is among them."""
        self._pages: list[NDArray[np.float32]] = []
        self._detections = _Detections(labels, with_features=Part.OBJECTS in parts)
        self._wanted_signals = sorted(signals) if Part.SIGNALS in parts else []
        self.row_of: dict[str, int] = {}
        self.superseded: set[int] = set()  # rows of items that were predicted again while the pages were read
        self.digests: list[str] = []
        self.prediction_ids: list[str] = []
        self.settled: list[bool] = []
        self.risk: list[float] = []
        self.seen = 0
        self.open = 0  # unsettled, whatever the filter says
        self.sources: set[str] = set()
        self.embeddings = np.empty((0, dim), dtype=np.float32)
        self.signals: dict[str, NDArray[np.float64]] = {}
        self._measured: list[Mapping[str, NDArray[np.float64]]] = []

    def add(self, page: Sequence[Candidate], conditions: Conditions, among: frozenset[str] | None = None) -> None:
        """What is settled counts as labelled, whatever the filter says. among: what may be chosen; None: all."""
        self.seen += len(page)
        self.open += sum(not one.settled for one in page)
        self.sources.update(one.source for one in page if not one.settled and len(self.sources) < 100)
        wanted = [
            one
            for one in page
            if one.settled or ((among is None or one.item_digest in among) and conditions.met_by(one, _labels(one)))
        ]
        if not wanted:
            return
        for one in wanted:
            row = len(self.digests)
            if one.item_digest in self.row_of:
                self.superseded.add(self.row_of[one.item_digest])
            self.row_of[one.item_digest] = row
            self.digests.append(one.item_digest)
            self.prediction_ids.append(one.prediction_id)
            self.settled.append(one.settled)
            self.risk.append(one.risk)
            if one.detections:
                self._detections.add(row, one.detections, one.objects)
        self._detections.pack()
        self._pages.append(np.stack([one.embedding for one in wanted]))
        if self._wanted_signals:
            self._measured.append(_columns([one.signals or {} for one in wanted], self._wanted_signals))

    def rows(self, *, settled: bool) -> list[int]:
        return [row for row, is_so in enumerate(self.settled) if is_so == settled and row not in self.superseded]

    def finished(self) -> "Gathered":
        if self._pages:
            self.embeddings = np.concatenate(self._pages)
            # Older predictions may lack a signal that came later, or that is measured where a setting asks for it.
            names = set.intersection(*map(set, self._measured)) if self._measured else set()
            self.signals = {name: np.concatenate([page[name] for page in self._measured]) for name in sorted(names)}
        self._pages, self._measured = [], []
        return self

    def objects(self, rows: NDArray[np.intp]) -> Objects:
        """Of those rows, which ascend, numbered by their place in `rows`."""
        return self._detections.of(rows, len(self.digests))


class _Detections:
    """Detections of candidates as arrays; those of labels that the model does not have are left out."""

    def __init__(self, labels: tuple[str, ...], *, with_features: bool) -> None:
        self._class_of = {label: number for number, label in enumerate(labels)}
        self._with_features = with_features
        self._without: set[int] = set()  # rows that have detections, and no embeddings of them
        self._page: list[tuple[int, int, float, float | None]] = []
        self._page_features: list[NDArray[np.float16]] = []
        self._packed: list[tuple[NDArray[np.float64], NDArray[np.float16]]] = []

    def add(self, row: int, detections: Sequence[Detection], objects: NDArray[np.float16] | None) -> None:
        known = [at for at, one in enumerate(detections) if one.label in self._class_of]
        named = (detections[at] for at in known)
        self._page += [(row, self._class_of[one.label], one.score, one.margin) for one in named]
        if self._with_features and known:
            features = np.zeros((len(detections), OBJECT_DIM), dtype=np.float16)
            if objects is None:
                self._without.add(row)
            else:
                features[: len(objects)] = objects
            self._page_features.append(features[known])

    def pack(self) -> None:
        """What was added since, into arrays: objects one by one would fill memory."""
        table = np.array(self._page, dtype=np.float64).reshape(-1, 4)  # None becomes NaN
        features = self._page_features or [np.empty((0, OBJECT_DIM), dtype=np.float16)]
        self._packed.append((table, np.concatenate(features)))
        self._page, self._page_features = [], []

    def of(self, rows: NDArray[np.intp], count: int) -> Objects:
        """See `Gathered.objects`. count: of all rows."""
        place = np.full(count, -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        without = sum(place[row] >= 0 for row in self._without)
        if not self._packed:
            self.pack()
        table, features = (np.concatenate(parts) for parts in zip(*self._packed, strict=True))
        own = place[table[:, 0].astype(np.int64)]
        kept = own >= 0
        return Objects(
            rows=own[kept],
            classes=table[kept, 1].astype(np.int64),
            scores=table[kept, 2],
            margins=table[kept, 3],
            features=features[kept] if self._with_features else None,
            without=int(without),
        )


def pool_of(
    gathered: Gathered,
    rows: NDArray[np.intp],
    model: ModelVersion,
    references: NDArray[np.float32],
    class_quality: NDArray[np.float64],
) -> Pool:
    """Raises Invalid for an embedding that is none, of what is settled, too."""
    require_finite("embedding", gathered.embeddings, gathered.digests)
    settled = gathered.embeddings[gathered.rows(settled=True)]
    return Pool(
        keys=[gathered.digests[row] for row in rows],
        embeddings=gathered.embeddings[rows],
        risk=np.array(gathered.risk, dtype=np.float64)[rows],
        signals={name: values[rows] for name, values in gathered.signals.items()},
        objects=gathered.objects(rows),
        labels=model.head.labels,
        labelled=np.concatenate([references, settled]),
        class_quality=class_quality,
    )


def one_of_each(gathered: Gathered, rows: NDArray[np.intp], clusters: Clusters, seed: int) -> NDArray[np.intp]:
    """Those of `rows` that are left when of near-duplicates any one stays, and none of those that are settled, so that
    what is drawn from them stands for the clusters."""
    groups = clusters.groups_of([gathered.digests[row] for row in rows])
    settled = clusters.groups_of([gathered.digests[row] for row in gathered.rows(settled=True)])
    order = np.random.default_rng([seed, *b"one of each"]).permutation(len(rows))
    _, first = np.unique(groups[order], return_index=True)
    stays = np.sort(order[first])
    return rows[stays[~np.isin(groups[stays], settled[settled >= 0])]]


def _columns(signals: Sequence[Mapping[str, float]], names: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """(n,) each, those of `names` that all of them have."""
    known = (name for name in names if all(name in one for one in signals))
    return {name: np.array([one[name] for one in signals], dtype=np.float64) for name in known}


def _labels(candidate: Candidate) -> frozenset[str]:
    return frozenset(detection.label for detection in candidate.detections or ())
