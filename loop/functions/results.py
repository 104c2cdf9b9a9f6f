"""What becomes of a function's result, whoever called it: it is judged by the recipe and recorded."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from loop.domain.errors import Invalid
from loop.domain.functions.calls import Asked, Ending, NewImage, Ran
from loop.domain.identity import digest_of
from loop.domain.item import Item
from loop.domain.ports import Event
from loop.domain.recipes.recipe import Recipe
from loop.domain.recipes.rules import Issue, Scene, require_no_errors
from loop.domain.truth import Shape, shape_to_json

# What a recipe's rules say of shapes, Python functions among them.
Judge = Callable[[str, Recipe, Scene], tuple[Issue, ...]]


def judged(ran: Ran, recipe: Recipe, item: Item | None, judge: Judge | None = None) -> Ran:
    """With its shapes clipped to their image; refused where the recipe cannot keep one of them. judge: where they are
    to be an answer, all rules hold."""
    shapes = ran.returned.shapes
    if ran.ending is not Ending.DONE or shapes is None:
        return ran
    image = ran.returned.image
    if image is None and item is None:
        return _refused(ran, "it returned shapes, and there is no image that they could be of")
    width, height = (image.facts.width, image.facts.height) if image is not None else _size(item)
    try:
        kept = recipe.checked(shapes, width, height)
        if judge is not None and item is not None:
            scene = Scene(kept, width, height)
            require_no_errors((*recipe.issues(kept, width, height), *judge(item.project_id, recipe, scene)))
    except Invalid as error:
        return _refused(ran, f"the recipe refuses what it returned: {error.detail}")
    return replace(ran, returned=replace(ran.returned, shapes=kept))


def _size(item: Item | None) -> tuple[int, int]:
    return (item.width, item.height) if item is not None else (0, 0)


def _refused(ran: Ran, why: str) -> Ran:
    return replace(ran, ending=Ending.REFUSED, why=why)


def derived(source: Item, image: NewImage, digest: str, made_by: str, now: datetime) -> Item:
    """The item of an image that a function made of another. It goes where that one goes: never is one of them trained
    on and the other evaluated on."""
    lineage = {"derived_from": source.digest, "derived_by": made_by, "derived_at": now.astimezone(UTC).isoformat()}
    return replace(
        source,
        digest=digest,
        media_type=image.facts.media_type,
        width=image.facts.width,
        height=image.facts.height,
        created_at=now,
        group=source.group or source.digest,  # by which the split of an image alone is drawn
        meta={**source.meta, **lineage},
    )


def made_by(asked: Asked, ran: Ran) -> str:
    return f"{asked.function} ({ran.package})" if ran.package else asked.function


# --- the history -----------------------------------------------------------------------------------------


def ran_event(asked: Asked, ran: Ran, actor: str, now: datetime, **more: object) -> Event:
    """One line for each run. more: task_id, call_id, attempt, made."""
    body = {
        **_what(asked, ran),
        "seconds": round(ran.seconds, 3),
        "shapes_in": digest_of_shapes(asked.shapes),
        "shapes_out": None if ran.returned.shapes is None else digest_of_shapes(ran.returned.shapes),
        **more,
    }
    return Event("function.ran", asked.project_id, actor, body, now)


def failed_event(asked: Asked, ran: Ran, actor: str, now: datetime, attempts: int) -> Event:
    """It will not be tried again."""
    return Event("function.failed", asked.project_id, actor, {**_what(asked, ran), "attempts": attempts}, now)


def _what(asked: Asked, ran: Ran) -> dict[str, object]:
    return {
        "function": asked.function,
        "package": ran.package,
        "trigger": asked.trigger,
        "item_digest": None if asked.item is None else asked.item.digest,
        "outcome": ran.ending.value,
        "why": ran.why,
    }


def digest_of_shapes(shapes: Sequence[Shape]) -> str:
    return digest_of(json.dumps([shape_to_json(shape) for shape in shapes], sort_keys=True).encode())
