"""Slices of a project's evaluation, and which saved views are: what a candidate may not get worse at."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from loop.domain.errors import Invalid

MOST_SLICES = 50
EVERY_VIEW = "*"  # which no view can be named


class SliceKind(StrEnum):
    SOURCE = "source"
    TIME = "time"
    VIEW = "view"
    AUDITS = "audits"
    FAILURES = "past failures"

    @property
    def gated(self) -> bool:
        """Whether a candidate may not get worse on it. Of past failures that is asked image by image."""
        return self in (SliceKind.SOURCE, SliceKind.VIEW, SliceKind.AUDITS)

    @property
    def named(self) -> bool:
        """Whether somebody waits for it: then it is said where there is too little of it to judge by."""
        return self in (SliceKind.VIEW, SliceKind.AUDITS)


@dataclass(frozen=True, slots=True)
class SliceRule:
    """view: the name of a saved view, or EVERY_VIEW: each that has no rule of its own. margin: by how much mAP50-95 may
    get worse on its images, in [0, 1); None: as gate.slice_margin says."""

    view: str
    margin: float | None = None


def checked_slices(rules: Iterable[SliceRule]) -> tuple[SliceRule, ...]:
    """By name. Raises Invalid."""
    ordered = tuple(sorted(rules, key=lambda rule: rule.view))
    names = [rule.view for rule in ordered]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Invalid(f"the view {twice!r} is there twice.", hint="Name each view once.", view=twice)
    if len(ordered) > MOST_SLICES:
        raise Invalid(f"{len(ordered)} slices are too many.", hint=f"Name at most {MOST_SLICES} views.")
    for rule in ordered:
        if rule.margin is not None and not 0.0 <= rule.margin < 1.0:
            raise Invalid(
                f"the margin of {rule.view!r} is {rule.margin:g}.",
                hint="A margin is a part of mAP50-95, at least 0 and below 1; 0.05 is usual.",
                view=rule.view,
            )
    return ordered


def slices_of(rules: Collection[SliceRule], views: Collection[str]) -> tuple[SliceRule, ...]:
    """A rule for each view that is a slice now, those that are named first. views: all that are saved. Beyond
    MOST_SLICES those whose names come last are none."""
    named = [rule for rule in rules if rule.view != EVERY_VIEW]
    known = {rule.view for rule in named}
    every = [rule for rule in rules if rule.view == EVERY_VIEW]
    others = [replace(rule, view=view) for rule in every for view in sorted(views) if view not in known]
    return (*named, *others)[:MOST_SLICES]
