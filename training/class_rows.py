"""Weights whose rows are classes, for other classes: what is known of a label goes with its name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from loop.domain.errors import BadWeights


@dataclass(frozen=True, slots=True)
class ClassRows:
    """How the rows of a tensor are its classes: as often as they fit, `before` classes that are no labels, then the
    labels, `each` rows of every class together."""

    before: int = 0
    each: int = 1

    def carry(self, fresh: Tensor, trained: Tensor, old: Sequence[str], new: Sequence[str]) -> Tensor:
        """`fresh` (of `new`) with the rows of `trained` (of `old`) for what is no label and for labels that are in
        both. Raises BadWeights."""
        width, height = (self.before + len(old)) * self.each, (self.before + len(new)) * self.each
        times = fresh.shape[0] // height
        if trained.shape != (times * width, *fresh.shape[1:]):
            raise BadWeights(f"the weights are not for {len(old)} labels.", hint="Check the labels of the model.")
        index = {label: place for place, label in enumerate(old, start=self.before)}
        kept = [(place, place) for place in range(self.before)]
        kept += [(place, index[label]) for place, label in enumerate(new, start=self.before) if label in index]
        made, row = fresh.clone(), fresh.shape[1:]
        blocks = made.view(times, -1, self.each, *row)
        known = trained.to(fresh.dtype).reshape(times, -1, self.each, *row)
        blocks[:, [to for to, _ in kept]] = known[:, [of for _, of in kept]]
        return made


def carried(
    fresh: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    rows: Mapping[str, ClassRows],
    old: Sequence[str],
    new: Sequence[str],
) -> dict[str, Tensor]:
    """The state dict `state`, whose classes are `old`, for a network whose classes are `new`. fresh: its state dict as
    it was drawn. rows: the tensors that have rows of classes. Raises BadWeights."""
    none = torch.empty(0)
    return {**state, **{name: one.carry(fresh[name], state.get(name, none), old, new) for name, one in rows.items()}}
