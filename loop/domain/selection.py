"""Selections: which unlabelled items were chosen for people, by which strategies, and why each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from loop.domain.errors import Invalid


class Part(StrEnum):
    """What of a prediction a choice may look at, beside its embedding and its risk. Of millions that are read for one
    choice, only what it looks at is. OBJECTS: embeddings of its detections."""

    SIGNALS = "signals"
    DETECTIONS = "detections"
    OBJECTS = "objects"


class Described(Protocol):
    """What conditions ask of an item."""

    @property
    def source(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def meta(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """mix: shares of the budget by strategy, in (0, 1], together 1. pool: how many items it could choose from; budget:
    how many were wanted, picked: how many were chosen. conditions: of the filter. like_items: digests of what items
    were to resemble, with `:NUMBER` behind where it was one detection of it. model_id: in whose embedding space; None
    before there is a model, and `space` is then that of the descriptor (selection/colours.py)."""

    id: str
    project_id: str
    model_id: str | None
    mix: Mapping[str, float]
    budget: int
    seed: int
    conditions: Mapping[str, str]
    like_items: tuple[str, ...]
    pool: int
    picked: int
    actor: str
    created_at: datetime
    space: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PickedItem:
    """One choice. rank: from 1, over the whole selection. score: what its strategy ranked by. reason: for the person
    who looks. inclusion_probability: of the draw at random; None for what a strategy chose. prediction_id: None where
    no model has seen it."""

    selection_id: str
    rank: int
    item_digest: str
    prediction_id: str | None
    task_id: str | None
    strategy: str
    score: float
    reason: str
    inclusion_probability: float | None


def box_named(text: str) -> tuple[str, int]:
    """ITEM:NUMBER, as people write it: an item's digest, and the number of a detection there. Raises Invalid."""
    digest, colon, number = text.partition(":")
    if not (colon and digest and number.isascii() and number.isdigit() and len(number) <= 4):
        raise Invalid(
            f"{text[:80]!r} names no detection.",
            hint="Write ITEM:NUMBER, an item's digest and the place of the detection in its prediction, from 0.",
        )
    return digest, int(number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What items have to be like, all of it: `source`, `group`, `label` (one that the model sees in it), and
    `meta.KEY` of what came with the image."""

    wanted: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.wanted:
            if name not in ("source", "group", "label") and not (name.startswith("meta.") and name != "meta."):
                raise Invalid(
                    f"items cannot be filtered by {name!r}.", hint="There are: source, group, label, meta.KEY."
                )

    def met_by(self, item: Described, labels: frozenset[str]) -> bool:
        """labels: those that the model sees in it."""
        return all(self._value(name, value, item, labels) for name, value in self.wanted.items())

    @staticmethod
    def _value(name: str, value: str, item: Described, labels: frozenset[str]) -> bool:
        if name == "label":
            return value in labels
        if name == "source":
            return item.source == value
        if name == "group":
            return item.group == value
        return item.meta.get(name.removeprefix("meta.")) == value
