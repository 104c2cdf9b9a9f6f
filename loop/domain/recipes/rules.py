"""Validation rules: what an answer must be like, and what is wrong with one as values that a page can pin to shapes.

Sizes, overlaps and shares are those of shapes' bounding boxes, as a detector has them; only whether a point lies in a
polygon is looked at exactly.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, ClassVar

import numpy as np

from loop.domain.errors import RulesBroken
from loop.domain.geometry import FloatArray, box_area, iou_matrix, is_in_polygon
from loop.domain.recipes.ontology import Label, LinkType
from loop.domain.truth import Geometry, Shape

# Of one rule: who has broken it a hundred times needs no longer list.
MOST_FINDINGS = 100
# Of a share, that the sums of coordinates lose.
_ROUNDING = 1e-9


class Severity(StrEnum):
    ERROR = "error"  # such an answer is refused
    WARNING = "warning"  # it is taken, and the warning kept with it


@dataclass(frozen=True, slots=True)
class Issue:
    """rule: its id. shapes: the ids of those concerned, "#3" for the fourth one where it has no id; none where it is
    about the whole image. frame: of a clip, the frame that it is about."""

    rule: str
    severity: Severity
    message: str
    shapes: tuple[str, ...] = ()
    frame: int | None = None


class Side(StrEnum):
    OUT = "out"  # links that lead from a shape
    IN = "in"


class Unit(StrEnum):
    PIXELS = "pixels"
    SHARE = "share"  # of the image's width, height, area


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """id: unique in the recipe."""

    kind: ClassVar[str]
    id: str
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredAttribute(Rule):
    """Each shape of the label has a value of the attribute."""

    kind: ClassVar[str] = "required_attribute"
    label: str
    attribute: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Count(Rule):
    """An image has at least `min` and at most `max` shapes of the label."""

    kind: ClassVar[str] = "count"
    label: str
    min: int = 0
    max: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Links(Rule):
    """Each shape of the label has at least `min` and at most `max` links of the type, leading from it or to it."""

    kind: ClassVar[str] = "links"
    label: str
    link: str
    side: Side = Side.OUT
    min: int = 0
    max: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Size(Rule):
    """The box of each shape of the labels is within these bounds."""

    kind: ClassVar[str] = "size"
    labels: tuple[str, ...]
    unit: Unit = Unit.PIXELS
    min_width: float | None = None
    max_width: float | None = None
    min_height: float | None = None
    max_height: float | None = None
    min_area: float | None = None
    max_area: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap(Rule):
    """Two shapes, one of `label` and one of `other` (None: of the same), overlap by at most this IoU."""

    kind: ClassVar[str] = "overlap"
    label: str
    other: str | None = None
    max_iou: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside(Rule):
    """Each shape of the label lies, with at least `share` of its box, inside one shape of the labels `within`."""

    kind: ClassVar[str] = "inside"
    label: str
    within: tuple[str, ...]
    share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Forbidden(Rule):
    """No image has both."""

    kind: ClassVar[str] = "forbidden"
    labels: tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRule(Rule):
    """A Python function that the installation registers (entry points `askance.rules`) says what is wrong."""

    kind: ClassVar[str] = "function"
    function: str


RULES: Mapping[str, type[Rule]] = {
    kind.kind: kind for kind in (RequiredAttribute, Count, Links, Size, Overlap, Inside, Forbidden, FunctionRule)
}


@dataclass(frozen=True, slots=True)
class Scene:
    """An answer under judgement, with the size of its image in pixels."""

    shapes: tuple[Shape, ...]
    width: int
    height: int

    def of(self, *labels: str) -> list[int]:
        return [index for index, shape in enumerate(self.shapes) if shape.label in labels]

    def name(self, index: int) -> str:
        return self.shapes[index].id or f"#{index}"


def rules_of_ontology(labels: Iterable[Label], link_types: Iterable[LinkType]) -> tuple[Rule, ...]:
    """What labels and types of links ask for by themselves. Their ids are paths in the recipe."""
    rules: list[Rule] = []
    for label in labels:
        rules += [
            RequiredAttribute(id=f"{label.name}.{one.name}", label=label.name, attribute=one.name)
            for one in label.attributes
            if one.required
        ]
    for one in link_types:
        for side, ends, low, high in (
            (Side.OUT, one.sources, one.min_out, one.max_out),
            (Side.IN, one.targets, one.min_in, one.max_in),
        ):
            if low or high is not None:
                rules += [
                    Links(id=f"{one.name}.{side}", label=label, link=one.name, side=side, min=low, max=high)
                    for label in ends
                ]
    return tuple(rules)


def issues_of(rules: Iterable[Rule], scene: Scene) -> tuple[Issue, ...]:
    """What is wrong by the rules, in their order, of each at most MOST_FINDINGS; functions are asked elsewhere."""
    return tuple(
        Issue(rule.id, rule.severity, message, tuple(scene.name(index) for index in concerned))
        for rule in rules
        if not isinstance(rule, FunctionRule)
        for message, concerned in islice(_JUDGES[type(rule)](rule, scene), MOST_FINDINGS)
    )


def require_no_errors(issues: Sequence[Issue]) -> None:
    """Raises RulesBroken where an answer with these issues is refused."""
    errors = [issue for issue in issues if issue.severity is Severity.ERROR]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise RulesBroken(
            f"{errors[0].rule}: {errors[0].message}{more}",
            hint="Mend what the issues name, and send it again; the task stays yours.",
            issues=[issue_to_json(issue) for issue in issues],
        )


# A message, and the numbers of the shapes that it is about.
Finding = tuple[str, Sequence[int]]


def _required(rule: RequiredAttribute, scene: Scene) -> Iterator[Finding]:
    for index in scene.of(rule.label):
        if scene.shapes[index].attributes.get(rule.attribute) in (None, "", ()):
            yield f"{rule.label} has no {rule.attribute}.", [index]


def _count(rule: Count, scene: Scene) -> Iterator[Finding]:
    found = scene.of(rule.label)
    if why := _outside(len(found), rule.min, rule.max):
        yield f"the image has {len(found)} of {rule.label}, {why}.", found


def _links(rule: Links, scene: Scene) -> Iterator[Finding]:
    reached = Counter(link.to for shape in scene.shapes for link in shape.links if link.type == rule.link)
    for index in scene.of(rule.label):
        shape = scene.shapes[index]
        leaving = sum(link.type == rule.link for link in shape.links)
        count = leaving if rule.side is Side.OUT else reached[shape.id] if shape.id else 0
        if why := _outside(count, rule.min, rule.max):
            where = "from" if rule.side is Side.OUT else "to"
            yield f"{count} links {rule.link} lead {where} this {rule.label}, {why}.", [index]


def _size(rule: Size, scene: Scene) -> Iterator[Finding]:
    share = rule.unit is Unit.SHARE
    across, down = (scene.width, scene.height) if share else (1, 1)
    for index in scene.of(*rule.labels):
        x1, y1, x2, y2 = scene.shapes[index].box
        width, height = (x2 - x1) / across, (y2 - y1) / down
        for what, value, low, high in (
            ("width", width, rule.min_width, rule.max_width),
            ("height", height, rule.min_height, rule.max_height),
            ("area", width * height, rule.min_area, rule.max_area),
        ):
            if why := _outside(value, low, high):
                of = " of the image" if share else ""
                yield f"the {what} of this {scene.shapes[index].label} is {value:g}{of}, {why}.", [index]


def _overlap(rule: Overlap, scene: Scene) -> Iterator[Finding]:
    ours, others = scene.of(rule.label), scene.of(rule.other or rule.label)
    theirs = _boxes(scene, others)
    # Row by row: the matrix of thousands of shapes would take gigabytes.
    for index in ours:
        overlap = iou_matrix(_boxes(scene, [index]), theirs)[0]
        for column in np.flatnonzero(overlap > rule.max_iou):
            other = others[column]
            if other > index or (other != index and rule.other not in (None, rule.label)):
                yield (
                    f"{rule.label} and {rule.other or rule.label} overlap by {overlap[column]:.2f}, "
                    f"more than {rule.max_iou:g}.",
                    [index, other],
                )


def _inside(rule: Inside, scene: Scene) -> Iterator[Finding]:
    around = scene.of(*rule.within)
    boxes = _boxes(scene, around)
    for index in scene.of(rule.label):
        best = max(_shares_inside(scene, index, around, boxes), default=0.0)
        if best < rule.share - _ROUNDING:
            yield f"{best:.0%} of this {rule.label} is inside {_listed(rule.within)}, not {rule.share:.0%}.", [index]


def _shares_inside(scene: Scene, index: int, around: list[int], boxes: FloatArray) -> Iterator[float]:
    """How much of a shape lies in each of those around it, whose boxes are `boxes`."""
    inner = scene.shapes[index]
    x1, y1, x2, y2 = inner.box
    corners = np.hstack([np.maximum(boxes[:, :2], (x1, y1)), np.minimum(boxes[:, 2:], (x2, y2))])
    sides = corners[:, 2:] - corners[:, :2]
    area = box_area(inner.box)
    shares = sides.clip(0.0).prod(axis=1) / area if area else (sides == (x2 - x1, y2 - y1)).all(axis=1)
    for column in np.flatnonzero(shares):
        outer = scene.shapes[around[column]]
        if around[column] == index:
            continue
        if inner.type is Geometry.POINT and outer.type is Geometry.POLYGON:
            yield float(is_in_polygon((x1, y1), outer.points))
        else:
            yield float(shares[column])


def _boxes(scene: Scene, indices: Sequence[int]) -> FloatArray:
    return np.array([scene.shapes[index].box for index in indices], dtype=np.float64).reshape(-1, 4)


def _forbidden(rule: Forbidden, scene: Scene) -> Iterator[Finding]:
    a, b = (scene.of(label) for label in rule.labels)
    if a and b:
        yield f"the image has both {rule.labels[0]} and {rule.labels[1]}.", [*a, *b]


_JUDGES: Mapping[type[Rule], Callable[[Any, Scene], Iterator[Finding]]] = {
    RequiredAttribute: _required,
    Count: _count,
    Links: _links,
    Size: _size,
    Overlap: _overlap,
    Inside: _inside,
    Forbidden: _forbidden,
}


def _outside(value: float, low: float | None, high: float | None) -> str:
    if low is not None and value < low:
        return f"fewer than {low}" if isinstance(low, int) else f"less than {low:g}"
    if high is not None and value > high:
        return f"more than {high:g}"
    return ""


def _listed(labels: Sequence[str]) -> str:
    return " or ".join(labels)


# --- as JSON ---------------------------------------------------------------------------------------------


def rule_to_json(rule: Rule) -> dict[str, Any]:
    """What is None is left out."""
    document = {name: _plain(value) for name, value in asdict(rule).items() if value is not None}
    return {"kind": rule.kind, **document}


def rule_from_json(document: Mapping[str, Any]) -> Rule:
    """Undoes `rule_to_json`."""
    values = {name: _value(name, value) for name, value in document.items() if name != "kind"}
    return RULES[document["kind"]](**values)


def _value(name: str, value: Any) -> Any:
    if name in _ENUMS:
        return _ENUMS[name](value)
    return tuple(value) if isinstance(value, list) else value


_ENUMS: Mapping[str, type[StrEnum]] = {"severity": Severity, "side": Side, "unit": Unit}


def _plain(value: object) -> object:
    if isinstance(value, StrEnum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def issue_to_json(issue: Issue) -> dict[str, Any]:
    plain = {
        "rule": issue.rule,
        "severity": issue.severity.value,
        "message": issue.message,
        "shapes": list(issue.shapes),
    }
    return plain if issue.frame is None else plain | {"frame": issue.frame}


def issue_from_json(document: Mapping[str, Any]) -> Issue:
    severity, shapes = Severity(document["severity"]), tuple(document["shapes"])
    return Issue(document["rule"], severity, document["message"], shapes, document.get("frame"))
