"""What people annotate, as one versioned document: labels, links, rules, guidelines; and what is wrong with one."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from loop.domain.errors import Invalid
from loop.domain.prediction import Detection
from loop.domain.recipes.ontology import (
    Attribute,
    AttributeType,
    Label,
    LinkType,
    label_from_json,
    label_to_json,
    link_type_from_json,
    link_type_to_json,
    require_allowed,
)
from loop.domain.recipes.rules import (
    Count,
    Forbidden,
    FunctionRule,
    Inside,
    Issue,
    Links,
    Overlap,
    RequiredAttribute,
    Rule,
    Scene,
    Side,
    Size,
    issues_of,
    rule_from_json,
    rule_to_json,
    rules_of_ontology,
)
from loop.domain.truth import Shape, checked_shapes


@dataclass(frozen=True, slots=True)
class Recipe:
    """What people annotate; versioned, immutable once used. Soundness is not looked at here: see `flaws_of`."""

    version: int
    labels: tuple[Label, ...]
    guidelines: str = ""
    link_types: tuple[LinkType, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)

    @property
    def detected(self) -> tuple[str, ...]:
        """Labels that a detector can learn: those drawn as boxes or polygons, of which it learns the box."""
        return tuple(label.name for label in self.labels if label.geometry.is_region)

    @property
    def functions(self) -> tuple[FunctionRule, ...]:
        return tuple(rule for rule in self.rules if isinstance(rule, FunctionRule))

    def label_of(self, name: str) -> Label | None:
        """The label of this name, or that had it once."""
        named = next((label for label in self.labels if label.name == name), None)
        return named or next((label for label in self.labels if name in label.formerly), None)

    def detected_as(self, name: str) -> str | None:
        """What a model's label is called here; None where there is none, or one that is not drawn as a region."""
        label = self.label_of(name)
        return label.name if label is not None and label.geometry.is_region else None

    def named(self, labels: Iterable[str]) -> frozenset[str]:
        """A model's labels under this recipe's names, where it has one."""
        return frozenset(self.detected_as(label) or label for label in labels)

    def proposed(self, detections: Iterable[Detection]) -> tuple[Detection, ...]:
        """A model's detections under this recipe's names, without those that it has no label for."""
        named = ((self.detected_as(one.label), one) for one in detections)
        return tuple(one if one.label == name else replace(one, label=name) for name, one in named if name is not None)

    def checked(self, shapes: Iterable[Shape], width: int, height: int) -> tuple[Shape, ...]:
        """The shapes, clipped to the image. Raises UnknownLabel or BadShape for the first that cannot be kept."""
        return ShapeCheck(self).checked(shapes, width, height)

    def issues(self, shapes: tuple[Shape, ...], width: int, height: int) -> tuple[Issue, ...]:
        """What is wrong with checked shapes by the rules; Python functions are asked elsewhere."""
        rules = (*rules_of_ontology(self.labels, self.link_types), *self.rules)
        return issues_of(rules, Scene(shapes, width, height))

    def translated(self, shapes: Sequence[Shape]) -> tuple[Shape, ...]:
        """Shapes of an earlier version: under their present names; those of labels that are gone or drawn otherwise now
        are left out, with the links to them."""
        named = ((self.label_of(shape.label), shape) for shape in shapes)
        kept = [
            replace(shape, label=label.name)
            for label, shape in named
            if label is not None and label.geometry is shape.type
        ]
        gone = {shape.id for shape in shapes} - {shape.id for shape in kept}
        return tuple(
            replace(shape, links=tuple(link for link in shape.links if link.to not in gone)) if shape.links else shape
            for shape in kept
        )


class ShapeCheck:
    """What a recipe allows of shapes. Made once for many images: a recipe may have hundreds of labels."""

    def __init__(self, recipe: Recipe) -> None:
        self.labels = {label.name: label for label in recipe.labels}
        self.link_types = {link_type.name: link_type for link_type in recipe.link_types}

    def checked(self, shapes: Iterable[Shape], width: int, height: int) -> tuple[Shape, ...]:
        """As Recipe.checked."""
        kept = checked_shapes(shapes, labels=self.labels.keys(), width=width, height=height)
        require_allowed(kept, self.labels, self.link_types)
        return kept


def recipe_to_json(recipe: Recipe) -> dict[str, Any]:
    """The document of docs/recipe.md."""
    document: dict[str, Any] = {"version": recipe.version, "labels": [label_to_json(one) for one in recipe.labels]}
    if recipe.link_types:
        document["links"] = [link_type_to_json(one) for one in recipe.link_types]
    if recipe.rules:
        document["rules"] = [rule_to_json(one) for one in recipe.rules]
    return document | {"guidelines": recipe.guidelines}


def recipe_from_json(document: Mapping[str, Any]) -> Recipe:
    """Undoes `recipe_to_json`."""
    return Recipe(
        version=document["version"],
        labels=tuple(label_from_json(one) for one in document["labels"]),
        guidelines=document["guidelines"],
        link_types=tuple(link_type_from_json(one) for one in document.get("links", ())),
        rules=tuple(rule_from_json(one) for one in document.get("rules", ())),
    )


# --- what is wrong with a recipe ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Flaw:
    """path: where in the document, as rules[0].max. hint: what to do."""

    path: str
    problem: str
    hint: str


class BadRecipe(Invalid):
    code, title = "bad-recipe", "The recipe cannot be used"

    def __init__(self, flaws: Sequence[Flaw]) -> None:
        first = "; ".join(f"{flaw.path or 'the document'}: {flaw.problem}" for flaw in flaws[:5])
        more = f" (and {len(flaws) - 5} more)" if len(flaws) > 5 else ""
        super().__init__(
            f"{first}{more}.",
            hint=flaws[0].hint,
            flaws=[{"path": flaw.path, "problem": flaw.problem, "hint": flaw.hint} for flaw in flaws],
        )
        self.flaws = tuple(flaws)


def flaws_of(recipe: Recipe, functions: Iterable[str] | None = None) -> list[Flaw]:
    """Everything that keeps a recipe from being used: names that are not unique or not known, bounds that contradict
    each other, links that no finite image could satisfy. functions: those that are registered; None: not looked at."""
    flaws = [*_label_flaws(recipe.labels), *_link_flaws(recipe), *_rule_flaws(recipe, functions)]
    # Of what has no sense by itself, nothing follows for the whole.
    return flaws or [*_bounds_together(recipe), *_cycles(recipe)]


def _label_flaws(labels: Sequence[Label]) -> Iterator[Flaw]:
    yield from _repeated("labels", [label.name for label in labels], "name")
    yield from _repeated("labels", [label.key for label in labels if label.key], "key", where=labels)
    names = {label.name for label in labels}
    for number, label in enumerate(labels):
        path = f"labels[{number}]"
        for former in label.formerly:
            if former in names:
                yield Flaw(f"{path}.formerly", f"{former!r} is the name of a label now", "Choose another name for it.")
        yield from _repeated(f"{path}.attributes", [one.name for one in label.attributes], "name")
        for place, attribute in enumerate(label.attributes):
            yield from _attribute_flaws(attribute, f"{path}.attributes[{place}]")


def _attribute_flaws(attribute: Attribute, path: str) -> Iterator[Flaw]:
    choice = attribute.type in (AttributeType.SELECT, AttributeType.MULTISELECT)
    if choice and not attribute.options:
        yield Flaw(f"{path}.options", f"a {attribute.type} has options", "List at least one.")
    if not choice and attribute.options:
        yield Flaw(f"{path}.options", f"a {attribute.type} has no options", "Remove them, or make it a select.")
    yield from _repeated(f"{path}.options", attribute.options)
    if attribute.type is not AttributeType.NUMBER and (attribute.min is not None or attribute.max is not None):
        yield Flaw(f"{path}.min", f"a {attribute.type} has neither min nor max", "Remove them, or make it a number.")
    yield from _contradiction(path, "min", attribute.min, "max", attribute.max)
    if attribute.tolerance is not None and (attribute.type is not AttributeType.NUMBER or attribute.tolerance < 0):
        yield Flaw(f"{path}.tolerance", "is for numbers, and not below 0", "Remove it, or give how far two may differ.")
    if attribute.default is not None and (why := attribute.refuses(attribute.default)):
        yield Flaw(f"{path}.default", f"{attribute.default!r} {why}", "Choose a default that is allowed.")


def _link_flaws(recipe: Recipe) -> Iterator[Flaw]:
    yield from _repeated("links", [one.name for one in recipe.link_types], "name")
    for number, one in enumerate(recipe.link_types):
        path = f"links[{number}]"
        yield from _unknown(f"{path}.from", one.sources, recipe.label_names)
        yield from _unknown(f"{path}.to", one.targets, recipe.label_names)
        yield from _contradiction(path, "min_out", one.min_out, "max_out", one.max_out)
        yield from _contradiction(path, "min_in", one.min_in, "max_in", one.max_in)


def _rule_flaws(recipe: Recipe, functions: Iterable[str] | None) -> Iterator[Flaw]:
    yield from _repeated("rules", [rule.id for rule in recipe.rules], "id")
    own = {rule.id for rule in rules_of_ontology(recipe.labels, recipe.link_types)}
    for number, rule in enumerate(recipe.rules):
        path = f"rules[{number}]"
        if rule.id in own:
            yield Flaw(f"{path}.id", f"{rule.id!r} is the name of what a label or link asks for", "Choose another id.")
        if isinstance(rule, FunctionRule):
            if functions is not None and rule.function not in (known := sorted(functions)):
                yield Flaw(
                    f"{path}.function",
                    f"there is no function {rule.function!r}",
                    f"Install the package that registers it under askance.rules; there is: "
                    f"{', '.join(known) or 'none'}.",
                )
        else:
            yield from _FLAWS[type(rule)](recipe, rule, path)


def _required_flaws(recipe: Recipe, rule: RequiredAttribute, path: str) -> Iterator[Flaw]:
    yield from _unknown(f"{path}.label", (rule.label,), recipe.label_names)
    label = next((one for one in recipe.labels if one.name == rule.label), None)
    if label is not None and label.attribute(rule.attribute) is None:
        yield Flaw(
            f"{path}.attribute",
            f"{rule.label!r} has no attribute {rule.attribute!r}",
            f"Its attributes: {', '.join(one.name for one in label.attributes) or 'none'}.",
        )


def _count_flaws(recipe: Recipe, rule: Count, path: str) -> Iterator[Flaw]:
    yield from _unknown(f"{path}.label", (rule.label,), recipe.label_names)
    yield from _contradiction(path, "min", rule.min, "max", rule.max)


def _links_flaws(recipe: Recipe, rule: Links, path: str) -> Iterator[Flaw]:
    yield from _unknown(f"{path}.label", (rule.label,), recipe.label_names)
    yield from _contradiction(path, "min", rule.min, "max", rule.max)
    link_type = next((one for one in recipe.link_types if one.name == rule.link), None)
    if link_type is None:
        known = ", ".join(one.name for one in recipe.link_types) or "none"
        yield Flaw(f"{path}.link", f"there is no type of link {rule.link!r}", f"Types of links: {known}.")
        return
    ends = link_type.sources if rule.side is Side.OUT else link_type.targets
    if rule.label not in ends:
        where = "from" if rule.side is Side.OUT else "to"
        yield Flaw(
            f"{path}.label",
            f"a link {rule.link!r} never leads {where} {rule.label!r}",
            f"Name one of {', '.join(ends)}, or the other side.",
        )


def _size_flaws(recipe: Recipe, rule: Size, path: str) -> Iterator[Flaw]:
    yield from _unknown(f"{path}.labels", rule.labels, recipe.label_names)
    for what in ("width", "height", "area"):
        low, high = getattr(rule, f"min_{what}"), getattr(rule, f"max_{what}")
        yield from _contradiction(path, f"min_{what}", low, f"max_{what}", high)


def _overlap_flaws(recipe: Recipe, rule: Overlap, path: str) -> Iterator[Flaw]:
    yield from _unknown(f"{path}.label", (rule.label,), recipe.label_names)
    yield from _unknown(f"{path}.other", (rule.other,) if rule.other else (), recipe.label_names)


def _inside_flaws(recipe: Recipe, rule: Inside, path: str) -> Iterator[Flaw]:
    yield from _unknown(f"{path}.label", (rule.label,), recipe.label_names)
    yield from _unknown(f"{path}.within", rule.within, recipe.label_names)


def _forbidden_flaws(recipe: Recipe, rule: Forbidden, path: str) -> Iterator[Flaw]:
    yield from _unknown(f"{path}.labels", rule.labels, recipe.label_names)
    if rule.labels[0] == rule.labels[1]:
        yield Flaw(f"{path}.labels", "names one label twice", "For at most one of a label, use count with max: 1.")


_FLAWS: Mapping[type[Rule], Callable[[Recipe, Any, str], Iterator[Flaw]]] = {
    RequiredAttribute: _required_flaws,
    Count: _count_flaws,
    Links: _links_flaws,
    Size: _size_flaws,
    Overlap: _overlap_flaws,
    Inside: _inside_flaws,
    Forbidden: _forbidden_flaws,
}


def _bounds_together(recipe: Recipe) -> Iterator[Flaw]:
    """Bounds that are each possible, but not together; only errors bind. The later is told."""
    counts: dict[str, tuple[int, int | None]] = {}
    links: dict[tuple[str, str, Side], tuple[int, int | None]] = {}
    for path, rule in _binding(recipe):
        if isinstance(rule, Count):
            counts[rule.label] = bounds = _narrowed(counts.get(rule.label), rule.min, rule.max)
        elif isinstance(rule, Links):
            key = (rule.label, rule.link, rule.side)
            links[key] = bounds = _narrowed(links.get(key), rule.min, rule.max)
        else:
            continue
        if bounds[1] is not None and bounds[0] > bounds[1]:
            yield Flaw(
                path,
                f"together with what is asked before it wants at least {bounds[0]} and at most {bounds[1]}",
                "Widen one of the two.",
            )
    for path, rule in _binding(recipe):
        if isinstance(rule, Forbidden) and all(counts.get(label, (0, None))[0] > 0 for label in rule.labels):
            yield Flaw(path, "both labels are required by other rules", "Remove one of the three.")


def _binding(recipe: Recipe) -> Iterator[tuple[str, Rule]]:
    """Rules whose breach refuses an answer, with their paths."""
    places = {one.name: number for number, one in enumerate(recipe.link_types)}
    for rule in rules_of_ontology((), recipe.link_types):
        if isinstance(rule, Links):
            yield f"links[{places[rule.link]}].min_{rule.side}", rule
    for number, rule in enumerate(recipe.rules):
        if rule.severity == "error":
            yield f"rules[{number}]", rule


def _narrowed(before: tuple[int, int | None] | None, low: int, high: int | None) -> tuple[int, int | None]:
    old_low, old_high = before or (0, None)
    highs = [bound for bound in (old_high, high) if bound is not None]
    return max(old_low, low), min(highs) if highs else None


def _cycles(recipe: Recipe) -> Iterator[Flaw]:
    """Labels of which each needs a link to another of them: whoever begins to draw never comes to an end."""
    targets = {one.name: one.targets for one in recipe.link_types}
    needs: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for path, rule in _binding(recipe):
        if isinstance(rule, Links) and rule.side is Side.OUT and rule.min > 0:
            needs.setdefault(rule.label, []).append((path, targets[rule.link]))
    possible: set[str] = set()
    while found := {
        label
        for label in set(recipe.label_names) - possible
        if all(possible.intersection(ends) for _, ends in needs.get(label, ()))
    }:
        possible |= found
    told: set[frozenset[str]] = set()
    for label in recipe.label_names:
        if label in possible:
            continue
        walk, paths = [label], [""]
        while walk[-1] not in walk[:-1]:
            path, ends = next((p, ends) for p, ends in needs[walk[-1]] if not possible.intersection(ends))
            walk.append(ends[0])
            paths.append(path)
        begin = walk.index(walk[-1])
        if frozenset(walk[begin:]) not in told:
            told.add(frozenset(walk[begin:]))
            yield Flaw(
                paths[begin + 1],
                f"each {walk[begin]!r} needs another by a cycle of required links ({' -> '.join(walk[begin:])})",
                "Make one of these links optional (min_out: 0), or let it lead to another label too.",
            )


def _repeated(path: str, names: Sequence[str], what: str = "", where: Sequence[Label] | None = None) -> Iterator[Flaw]:
    for name, count in Counter(names).items():
        if count > 1:
            places = [one.key for one in where] if where is not None else list(names)
            last = len(places) - 1 - places[::-1].index(name)
            yield Flaw(
                f"{path}[{last}]{f'.{what}' if what else ''}", f"{name!r} is there {count} times", "Name each once."
            )


def _unknown(path: str, names: Iterable[str], known: Sequence[str]) -> Iterator[Flaw]:
    for name in names:
        if name not in known:
            yield Flaw(path, f"there is no label {name!r}", f"Labels: {', '.join(known)}.")


def _contradiction(path: str, low_name: str, low: float | None, high_name: str, high: float | None) -> Iterator[Flaw]:
    if low is not None and high is not None and low > high:
        yield Flaw(f"{path}.{low_name}", f"{low:g} is more than {high_name} ({high:g})", "Swap or widen them.")
