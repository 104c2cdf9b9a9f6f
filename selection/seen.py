"""What a model said of a set of images, kept so that others can be compared with them."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import BadDataset
from loop.domain.ports import Served
from loop.domain.prediction import Inference
from loop.domain.production.drift import Origin
from selection.drift import FEWEST_IMAGES, FEWEST_UNITS, Sample
from selection.pool import Objects


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """n images. embeddings: (n, d). objects: the detections that are known, those scoring at least `threshold`; their
    classes are indices into the model's labels. blocks: n names, as of `selection.drift.Sample`. until: the sequence
    of the newest prediction among them; 0 where they are none of production's.
    """

    origin: Origin
    embeddings: NDArray[np.float32]
    objects: Objects
    blocks: NDArray[np.str_]
    threshold: float
    until: int = 0

    def __len__(self) -> int:
        return len(self.blocks)

    @property
    def units(self) -> int:
        """How many blocks."""
        return len(np.unique(self.blocks))

    @property
    def enough(self) -> bool:
        """Whether anything can be said of a comparison with it."""
        return len(self) >= FEWEST_IMAGES and self.units >= FEWEST_UNITS

    def sample(self, threshold: float, classes: int) -> Sample:
        """Counting only detections that score at least `threshold`, which is not below what is known."""
        counted = self.objects.scores >= threshold
        rows, kinds = self.objects.rows[counted], self.objects.classes[counted]
        largest = np.zeros(len(self))
        np.maximum.at(largest, rows, self.objects.scores[counted])
        counts = np.zeros((len(self), classes))
        np.add.at(counts, (rows, kinds), 1.0)
        return Sample(embeddings=self.embeddings, scores=largest, counts=counts, blocks=self.blocks)

    def to_bytes(self) -> bytes:
        """As a NumPy archive."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            origin=np.array(str(self.origin)),
            embeddings=self.embeddings,
            rows=self.objects.rows,
            classes=self.objects.classes,
            scores=self.objects.scores,
            blocks=self.blocks,
            threshold=np.array(self.threshold),
            until=np.array(self.until),
        )
        return buffer.getvalue()

    @classmethod
    def read(cls, content: bytes) -> "Seen":
        """What `to_bytes` wrote. Raises BadDataset for anything else; nothing in it is ever executed."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return cls(
                    origin=Origin(str(arrays["origin"])),
                    embeddings=arrays["embeddings"],
                    objects=Objects(rows=arrays["rows"], classes=arrays["classes"], scores=arrays["scores"]),
                    blocks=arrays["blocks"],
                    threshold=float(arrays["threshold"]),
                    until=int(arrays["until"]),
                )
        except Exception as error:  # NumPy raises what zipfile, zlib and its header parser raise
            raise BadDataset(
                f"these bytes are no drift reference ({error}).", hint="Take a new one: askance drift --accept."
            ) from error


def seen_in_evaluation(inferences: Sequence[Inference], blocks: Sequence[str], *, floor: float) -> Seen:
    """floor: the score from which the detector gave candidates."""
    counts = [len(one.scores) for one in inferences]
    return Seen(
        origin=Origin.EVALUATION,
        embeddings=np.stack([one.embedding for one in inferences]),
        objects=Objects(
            rows=np.repeat(np.arange(len(counts)), counts),
            classes=np.concatenate([one.classes for one in inferences]),
            scores=np.concatenate([one.scores for one in inferences]).astype(np.float64),
        ),
        blocks=np.array(blocks),
        threshold=floor,
    )


def seen_in_production(served: Sequence[Served], labels: Sequence[str], *, block_seconds: float) -> Seen:
    """served: at least one, newest first. labels: of the model. Images of one group, or of none and the same bytes, are
    one block; with `block_seconds` above 0 also those of one source without a group in so many seconds."""
    number = {label: index for index, label in enumerate(labels)}
    found = [(row, number[d.label], d.score) for row, one in enumerate(served) for d in one.detections]
    return Seen(
        origin=Origin.PRODUCTION,
        embeddings=np.stack([one.embedding for one in served]),
        objects=Objects(
            rows=np.array([row for row, _, _ in found], dtype=np.int64),
            classes=np.array([kind for _, kind, _ in found], dtype=np.int64),
            scores=np.array([score for _, _, score in found], dtype=np.float64),
        ),
        blocks=np.array([_block(one, block_seconds) for one in served]),
        threshold=max(one.score_threshold for one in served),
        until=served[0].sequence,
    )


def _block(one: Served, seconds: float) -> str:
    if one.group:
        return f"group {one.group}"
    if seconds and one.source:
        return f"{one.source} {int(one.created_at.timestamp() // seconds)}"
    return one.item_digest
