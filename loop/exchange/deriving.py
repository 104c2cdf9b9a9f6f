"""The recipe of a project that is made for a data set: labels as they are drawn there, with their attributes."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from loop.domain.recipes.ontology import Label, LinkType, labels_named
from loop.domain.recipes.recipe import Recipe, flaws_of
from loop.domain.truth import MOST_ATTRIBUTES, Geometry, Shape, Value
from loop.exchange.reading import Dataset, ReadBox, ReadImage
from loop.exchange.texts import attribute_of


@dataclass(slots=True)
class _Seen:
    """Of one label. outlined: boxes that are the boxes of a polygon."""

    geometries: Counter[Geometry] = field(default_factory=Counter)
    outlined: int = 0
    values: dict[str, set[Value]] = field(default_factory=lambda: defaultdict(set))

    def geometry(self, *, outlines: bool) -> Geometry:
        """What most are; polygons beside boxes are boxes, of which polygons have one."""
        boxes = self.geometries[Geometry.BOX]
        if outlines and boxes and self.outlined == boxes == self.geometries.total():
            return Geometry.POLYGON
        if not self.geometries or (boxes and boxes + self.geometries[Geometry.POLYGON] == self.geometries.total()):
            return Geometry.BOX
        return self.geometries.most_common(1)[0][0]


def recipe_of(dataset: Dataset, *, outlines: bool = False) -> Recipe:
    """The data set's own recipe, else one in which as much of it has a place as can: a label has one geometry.

    outlines: labels whose boxes are all outlined by a polygon, as in COCO's segmentations, are drawn as polygons.
    """
    if dataset.recipe is not None and dataset.exact:
        return dataset.recipe
    seen: dict[str, _Seen] = defaultdict(_Seen)
    links: dict[str, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for image in dataset.images:
        _look(image, seen, links)
    stated = {label.name: label for label in dataset.recipe.labels} if dataset.recipe else {}
    plain = labels_named(dataset.labels)
    labels = [_label(stated.get(one.name, one), seen.get(one.name), dataset.untyped, outlines) for one in plain]
    types = [LinkType(name, _sorted(ends[0]), _sorted(ends[1])) for name, ends in sorted(links.items())]
    for recipe in (Recipe(1, tuple(labels), link_types=tuple(types)), Recipe(1, tuple(labels))):
        if not flaws_of(recipe):
            return recipe
    return Recipe(1, plain)  # names that no recipe may have: the labels alone


def _look(image: ReadImage, seen: Mapping[str, _Seen], links: Mapping[str, tuple[set[str], set[str]]]) -> None:
    label_of = {shape.id: shape.label for shape in image.shapes if shape.id}
    for label, geometry, attributes, outlined in _parts(image.boxes, image.shapes):
        one = seen[label]
        one.geometries[geometry] += 1
        one.outlined += outlined
        for name, value in attributes.items():
            one.values[name].add(value)
    for shape in image.shapes:
        for link in shape.links:
            if link.to in label_of:
                links[link.type][0].add(shape.label)
                links[link.type][1].add(label_of[link.to])


def _parts(
    boxes: Iterable[ReadBox], shapes: Iterable[Shape]
) -> Iterator[tuple[str, Geometry, Mapping[str, Value], bool]]:
    yield from ((box.label, Geometry.BOX, box.attributes, bool(box.polygon)) for box in boxes)
    yield from ((shape.label, shape.type, shape.attributes, False) for shape in shapes)


def _label(label: Label, seen: _Seen | None, untyped: bool, outlines: bool) -> Label:
    """With what was seen of it; attributes that the data set states stay as it states them."""
    if seen is None:
        return label
    stated = {attribute.name for attribute in label.attributes}
    found = (
        attribute_of(name, values, guess=untyped)
        for name, values in sorted(seen.values.items())
        if name not in stated and _is_name(name)
    )
    usable = [one for one in found if all(map(_is_name, one.options))][:MOST_ATTRIBUTES]
    return replace(label, geometry=seen.geometry(outlines=outlines), attributes=(*label.attributes, *usable))


def _is_name(text: str) -> bool:
    """Whether a recipe may call something so."""
    return 0 < len(text) <= _LONGEST_NAME and text == text.strip() and "\n" not in text


_LONGEST_NAME = 100


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))
