"""One detection problem: its recipe, its policy, its champion."""

import re
from dataclasses import dataclass
from datetime import datetime

from loop.domain.errors import Invalid
from loop.domain.recipes.ontology import Label, labels_named
from loop.domain.recipes.recipe import Recipe
from loop.domain.routing import Policy

__all__ = ["Label", "Project", "Recipe", "checked_slug", "labels_named"]

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


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
