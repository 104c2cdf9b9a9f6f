"""Which functions a project uses, on which events and with which button: the part of its policy for functions."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from loop.domain.announcements import LOT_DECIDED, SETTLING
from loop.domain.errors import Invalid

MOST_USES = 100
MOST_OPTION_BYTES = 20_000

BUTTON = "button"  # what a function is called for, beside the names of TRIGGERS
BY_HAND = "manual"


@dataclass(frozen=True, slots=True)
class Trigger:
    """An event that functions can be called on. name: as projects declare it. kinds: of the event in the history.

    subject: from the event's body, what tells it from others of its kind: of one subject a function is called once,
    however often the event is told. None: this one calls nothing.
    """

    name: str
    says: str
    kinds: tuple[str, ...]
    subject: Callable[[Mapping[str, Any], datetime], str | None]


def _settled(body: Mapping[str, Any], _: datetime) -> str | None:
    return _text(body, "submission_id") if body.get("settles", True) else None


def _new_item(body: Mapping[str, Any], _: datetime) -> str | None:
    # What a function made calls none: it could make another, without end.
    return None if body.get("derived") else _text(body, "item_digest")


def _promoted(body: Mapping[str, Any], at: datetime) -> str | None:
    return _each_time(_text(body, "model_id"), at)  # a version may be promoted again


def _decided(body: Mapping[str, Any], at: datetime) -> str | None:
    return _each_time(_text(body, "lot_id"), at)  # an operator may decide again


def _each_time(subject: str | None, at: datetime) -> str | None:
    return None if subject is None else f"{subject} {at.isoformat()}"


def _text(body: Mapping[str, Any], field: str) -> str | None:
    return str(body[field]) if field in body else None


# A row is all that another event needs; it must be added to the history, or announced. `item_digest` in its body is the
# image that functions get.
TRIGGERS: Mapping[str, Trigger] = {
    known.name: known
    for known in (
        Trigger("item.created", "An image came that the project did not have.", ("item.created",), _new_item),
        Trigger("task.completed", "People answered, and the item has its ground truth.", SETTLING, _settled),
        Trigger("lot.decided", "A lot was accepted, or its tasks were opened again.", LOT_DECIDED, _decided),
        Trigger("model.promoted", "Another model serves.", ("model.promoted",), _promoted),
    )
}


@dataclass(frozen=True, slots=True)
class Triggered:
    trigger: str
    subject: str


def triggered(kind: str, body: Mapping[str, Any], at: datetime) -> Triggered | None:
    """What an event of the history calls functions for, if it does."""
    for trigger in TRIGGERS.values():
        if kind in trigger.kinds and (subject := trigger.subject(body, at)) is not None:
            return Triggered(trigger.name, subject)
    return None


class Shapes(StrEnum):
    """What becomes of shapes that a function gives on an event."""

    IGNORE = "ignore"
    TRUTH = "truth"  # the item's ground truth, in its next version


class Original(StrEnum):
    """What becomes of an image of which a function has made another."""

    KEEP = "keep"
    DROP = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """In the page. key: of the keyboard, "" for none. needs_selection: it does nothing without selected shapes."""

    label: str
    key: str = ""
    description: str = ""
    needs_selection: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionUse:
    """on: names of TRIGGERS. options: JSON that the function gets. Without button and events an operator runs it by
    hand."""

    name: str
    on: tuple[str, ...] = ()
    button: Button | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    shapes: Shapes = Shapes.IGNORE
    original: Original = Original.KEEP


def use_to_json(use: FunctionUse) -> dict[str, Any]:
    return asdict(use)


def use_from_json(document: Mapping[str, Any]) -> FunctionUse:
    """Undoes `use_to_json`; what is left out has its default."""
    button = document.get("button")
    return FunctionUse(
        name=document["name"],
        on=tuple(document.get("on", ())),
        button=None if button is None else Button(**button),
        options=dict(document.get("options", {})),
        shapes=Shapes(document.get("shapes", Shapes.IGNORE)),
        original=Original(document.get("original", Original.KEEP)),
    )


def checked_uses(
    uses: Sequence[FunctionUse], *, installed: Collection[str], label_keys: Mapping[str, str]
) -> tuple[FunctionUse, ...]:
    """The uses, if they can be; raises Invalid, naming what cannot. installed: names that packages register.
    label_keys: keys that select a label, with its name."""
    if len(uses) > MOST_USES:
        raise Invalid(f"{len(uses)} functions are declared.", hint=f"A project has at most {MOST_USES}.")
    names: set[str] = set()
    keys = dict(label_keys)
    for use in uses:
        _require_one_of(
            "function", use.name, installed, "Install the package that registers it under askance.functions."
        )
        if use.name in names:
            raise Invalid(f"the function {use.name!r} is declared twice.", hint="Declare each once.", function=use.name)
        names.add(use.name)
        for event in use.on:
            _require_one_of("event", event, TRIGGERS)
        _require_shapes_have_a_place(use)
        _require_small(use)
        if use.button is not None:
            _require_free(use.button, keys)
    return tuple(uses)


def _require_one_of(what: str, name: str, known: Collection[str], otherwise: str = "") -> None:
    if name in known:
        return
    near = get_close_matches(name, known, n=1)
    there = f"There is: {', '.join(sorted(known)) or 'none'}."
    hint = f"Did you mean {near[0]!r}? {there}" if near else f"{there} {otherwise}".strip()
    raise Invalid(f"there is no {what} {name!r}.", hint=hint, **{what: name})


def _require_shapes_have_a_place(use: FunctionUse) -> None:
    """Unreviewed shapes must not become truth because an image came in."""
    if use.shapes is Shapes.TRUTH and (others := [name for name in use.on if name != "task.completed"]):
        raise Invalid(
            f"{use.name!r} would make ground truth on {others[0]}, which no person has looked at.",
            hint="Use shapes: truth on task.completed only, or shapes: ignore.",
            function=use.name,
        )


def _require_small(use: FunctionUse) -> None:
    try:
        size = len(json.dumps(use.options, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"the options of {use.name!r} are no JSON: {error}.", hint="Use finite numbers.") from error
    if size > MOST_OPTION_BYTES:
        raise Invalid(
            f"the options of {use.name!r} have {size:,} bytes of JSON.", hint=f"At most {MOST_OPTION_BYTES:,} are kept."
        )


def _require_free(button: Button, taken: dict[str, str]) -> None:
    """Counts its key as taken."""
    if not button.label.strip():
        raise Invalid("a button has no label.", hint="Give it a few words: what it does.")
    if len(button.key) > 1 or not button.key.isprintable() or button.key == " ":
        raise Invalid(f"{button.key!r} is no key for {button.label!r}.", hint="Name one character, or leave it out.")
    if not button.key:
        return
    if button.key in taken:
        raise Invalid(
            f"the key {button.key!r} of {button.label!r} is that of {taken[button.key]!r}.", hint="Choose another key."
        )
    taken[button.key] = button.label


def use_named(uses: Iterable[FunctionUse], name: str) -> FunctionUse | None:
    return next((use for use in uses if use.name == name), None)
