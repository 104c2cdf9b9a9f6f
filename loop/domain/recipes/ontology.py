"""What a recipe lets people draw: labels with their geometry and attributes, and types of links between shapes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from loop.domain.errors import BadShape, Invalid
from loop.domain.truth import Geometry, Shape, Value


class AttributeType(StrEnum):
    SELECT = "select"  # one of the options
    MULTISELECT = "multiselect"  # any of them
    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Attribute:
    """options: of select and multiselect only. min, max: of numbers only, both allowed values. tolerance: of numbers
    only; values of two people that differ by no more are the same, without it equal ones alone. default: what a page
    fills in; an answer without a value has none."""

    name: str
    type: AttributeType
    options: tuple[str, ...] = ()
    required: bool = False
    min: float | None = None
    max: float | None = None
    default: Value | None = None
    tolerance: float | None = None

    def refuses(self, value: Value) -> str:
        """Why the value cannot be kept, "" where it can."""
        return _REFUSALS[self.type](self, value)


@dataclass(frozen=True, slots=True)
class LinkType:
    """sources, targets: labels that such a link leads from and to. min_out, max_out: how many each source has;
    min_in, max_in: how many each target; no max: any number."""

    name: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    min_out: int = 0
    max_out: int | None = None
    min_in: int = 0
    max_in: int | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """formerly: names it had in earlier versions of the recipe; models trained before still predict them."""

    name: str
    color: str  # "#rrggbb"
    key: str  # the keyboard key that selects it in the page, "" for none
    geometry: Geometry = Geometry.BOX
    attributes: tuple[Attribute, ...] = ()
    formerly: tuple[str, ...] = ()

    def attribute(self, name: str) -> Attribute | None:
        return next((one for one in self.attributes if one.name == name), None)


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


# --- what an answer may hold -----------------------------------------------------------------------------


def require_allowed(shapes: Sequence[Shape], labels: Mapping[str, Label], types: Mapping[str, LinkType]) -> None:
    """Raises BadShape for the first shape of another geometry than its label's, with an attribute or a value that the
    label does not have, or with a link that no type allows. labels, types: by their names; labels are known, as of
    `checked_shapes`."""
    label_of = {shape.id: shape.label for shape in shapes if shape.id}
    for index, shape in enumerate(shapes):
        label = labels[shape.label]
        _require_geometry(shape, index, label)
        _require_attributes(shape, index, label)
        _require_links(shape, index, types, label_of)


def _require_geometry(shape: Shape, index: int, label: Label) -> None:
    if shape.type is not label.geometry:
        raise BadShape(
            f"shape {index} is a {shape.type}, but {label.name!r} is drawn as a {label.geometry}.",
            hint=f"Draw it as a {label.geometry}, or change the label's geometry in the recipe.",
            shape=index,
            label=label.name,
        )


def _require_attributes(shape: Shape, index: int, label: Label) -> None:
    for name, value in shape.attributes.items():
        attribute = label.attribute(name)
        if attribute is None:
            known = ", ".join(one.name for one in label.attributes) or "none"
            raise BadShape(
                f"shape {index} has the attribute {name[:80]!r}, which {label.name!r} does not have.",
                hint=f"Attributes of {label.name!r}: {known}.",
                shape=index,
                attribute=name,
            )
        if why := attribute.refuses(value):
            raise BadShape(
                f"shape {index} has a value of {name!r} that cannot be kept: it {why}.",
                hint="Send a value that the recipe allows, or leave it out.",
                shape=index,
                attribute=name,
            )


def _require_links(shape: Shape, index: int, types: Mapping[str, LinkType], label_of: Mapping[str, str]) -> None:
    for link in shape.links:
        allowed = types.get(link.type)
        if allowed is None:
            raise BadShape(
                f"shape {index} has a link of the type {link.type[:80]!r}, which the recipe does not know.",
                hint=f"Types of links: {', '.join(types) or 'none'}.",
                shape=index,
                link=link.type,
            )
        ends = shape.label, label_of[link.to]
        if ends[0] not in allowed.sources or ends[1] not in allowed.targets:
            raise BadShape(
                f"shape {index} has a {link.type!r} link from {ends[0]!r} to {ends[1]!r}.",
                hint=f"It leads from {', '.join(allowed.sources)} to {', '.join(allowed.targets)}.",
                shape=index,
                link=link.type,
            )


def _refuse_select(attribute: Attribute, value: Value) -> str:
    if not isinstance(value, str):
        return "is not the name of an option"
    return "" if value in attribute.options else f"is none of {', '.join(attribute.options)}"


def _refuse_multiselect(attribute: Attribute, value: Value) -> str:
    if not isinstance(value, tuple):
        return "is no list of options"
    if len(set(value)) < len(value):
        return "names an option twice"
    unknown = [option for option in value if option not in attribute.options]
    return f"names {unknown[0]!r}, which is none of {', '.join(attribute.options)}" if unknown else ""


def _refuse_text(_: Attribute, value: Value) -> str:
    return "" if isinstance(value, str) else "is no text"


def _refuse_number(attribute: Attribute, value: Value) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return "is no number"
    if attribute.min is not None and value < attribute.min:
        return f"is less than {attribute.min:g}"
    if attribute.max is not None and value > attribute.max:
        return f"is more than {attribute.max:g}"
    return ""


def _refuse_boolean(_: Attribute, value: Value) -> str:
    return "" if isinstance(value, bool) else "is neither true nor false"


_REFUSALS = {
    AttributeType.SELECT: _refuse_select,
    AttributeType.MULTISELECT: _refuse_multiselect,
    AttributeType.TEXT: _refuse_text,
    AttributeType.NUMBER: _refuse_number,
    AttributeType.BOOLEAN: _refuse_boolean,
}


# --- as JSON: what the store keeps and recipe documents say --------------------------------------------------


def label_to_json(label: Label) -> dict[str, Any]:
    """What is as in a plain box label is left out."""
    document: dict[str, Any] = {"name": label.name, "color": label.color, "key": label.key}
    if label.geometry is not Geometry.BOX:
        document["geometry"] = label.geometry.value
    if label.attributes:
        document["attributes"] = [_attribute_to_json(attribute) for attribute in label.attributes]
    if label.formerly:
        document["formerly"] = list(label.formerly)
    return document


def label_from_json(document: Mapping[str, Any]) -> Label:
    return Label(
        name=document["name"],
        color=document["color"],
        key=document["key"],
        geometry=Geometry(document.get("geometry", Geometry.BOX)),
        attributes=tuple(_attribute_from_json(one) for one in document.get("attributes", ())),
        formerly=tuple(document.get("formerly", ())),
    )


def link_type_to_json(link_type: LinkType) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": link_type.name,
        "from": list(link_type.sources),
        "to": list(link_type.targets),
    }
    bounds = {name: getattr(link_type, name) for name in ("min_out", "max_out", "min_in", "max_in")}
    return document | {name: bound for name, bound in bounds.items() if bound is not None and (bound or "max" in name)}


def link_type_from_json(document: Mapping[str, Any]) -> LinkType:
    return LinkType(
        name=document["name"],
        sources=tuple(document["from"]),
        targets=tuple(document["to"]),
        min_out=document.get("min_out", 0),
        max_out=document.get("max_out"),
        min_in=document.get("min_in", 0),
        max_in=document.get("max_in"),
    )


def _attribute_to_json(attribute: Attribute) -> dict[str, Any]:
    document: dict[str, Any] = {"name": attribute.name, "type": attribute.type.value}
    if attribute.options:
        document["options"] = list(attribute.options)
    if attribute.required:
        document["required"] = True
    document |= {name: bound for name in ("min", "max", "tolerance") if (bound := getattr(attribute, name)) is not None}
    if attribute.default is not None:
        default = attribute.default
        document["default"] = list(default) if isinstance(default, tuple) else default
    return document


def _attribute_from_json(document: Mapping[str, Any]) -> Attribute:
    default = document.get("default")
    return Attribute(
        name=document["name"],
        type=AttributeType(document["type"]),
        options=tuple(document.get("options", ())),
        required=document.get("required", False),
        min=document.get("min"),
        max=document.get("max"),
        default=tuple(default) if isinstance(default, list) else default,
        tolerance=document.get("tolerance"),
    )
