"""One detection problem: its labels, its policy, its champion."""

import re
from dataclasses import dataclass
from datetime import datetime

from loop.domain.errors import Invalid
from loop.domain.routing import Policy

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class Label:
    name: str
    color: str  # "#rrggbb"
    key: str  # the keyboard key that selects it in the page, "" for none


@dataclass(frozen=True, slots=True)
class Recipe:
    """What people annotate; versioned, immutable once used."""

    version: int
    labels: tuple[Label, ...]
    guidelines: str = ""

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    id: str  # a slug: lower-case letters, digits, dashes
    recipe: Recipe
    policy: Policy
    champion_id: str | None
    created_at: datetime


def checked_slug(name: str) -> str:
    """`name` if it can name a project in a URL; raises Invalid."""
    if not _SLUG.fullmatch(name):
        raise Invalid(
            f"{name!r} cannot name a project.",
            hint="Use 1 to 63 lower-case letters, digits and dashes, starting with a letter or digit.",
            project=name,
        )
    return name


# Okabe-Ito first (told apart by colour-blind people), then Tol's muted set.
_COLORS = (
    "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7",
    "#88ccee", "#44aa99", "#117733", "#999933", "#ddcc77", "#cc6677", "#882255", "#aa4499",
)  # fmt: skip
_KEYS = "1234567890qwertyuiop"


def labels_named(names: tuple[str, ...]) -> tuple[Label, ...]:
    """Labels with a colour and, for the first twenty, a key of their own.

    A label that is itself such a key has it ("7" is on the key 7), the others take what is left in order.
    """
    if len(set(names)) != len(names) or not all(name.strip() for name in names):
        raise Invalid("label names must be distinct and not empty.", hint="Rename or remove the repeated ones.")
    own = {name for name in names if name in _KEYS and len(name) == 1}
    free = iter(key for key in _KEYS if key not in own)
    keys = (name if name in own else next(free, "") for name in names)
    return tuple(
        Label(name, _COLORS[i % len(_COLORS)], key) for i, (name, key) in enumerate(zip(names, keys, strict=True))
    )
