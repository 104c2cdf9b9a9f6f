"""Askance's own form, which loses nothing: recipe.json, items.jsonl with a line for each image, and images/.

groups.jsonl has a line for each clip or other group of these images (loop/exchange/clips.py).

A line of items.jsonl is {file, digest, width, height, split, group, source, meta, shapes, truth}: shapes as in the API,
split null where the project has not fixed one, truth saying where the shapes came from.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from loop.domain.errors import BadDataset
from loop.domain.item import Item, Split
from loop.domain.recipes.recipe import BadRecipe, Recipe, recipe_to_json
from loop.domain.truth import GroundTruth, Shape, shape_from_json, shape_to_json
from loop.exchange.clips import read_groups
from loop.exchange.reading import (
    MAX_ANNOTATION_BYTES,
    Dataset,
    Known,
    Layout,
    ReadImage,
    Remark,
    inside,
    nothing_found,
    nothing_known,
    require_folder,
)
from loop.exchange.writing import Exported, file_name
from loop.recipes.document import read_recipe

_ITEMS, _RECIPE = "items.jsonl", "recipe.json"
_LOOKED_FOR = f"{_RECIPE} and {_ITEMS}"


def write_own(folder: Path, recipe: Recipe, rows: Iterable[tuple[Item, GroundTruth, str]]) -> None:
    """rows: items with their newest truth, and the path of their image in `folder`."""
    text = json.dumps(recipe_to_json(recipe), allow_nan=False, indent=1)
    (folder / _RECIPE).write_text(text, encoding="utf-8")
    with (folder / _ITEMS).open("w", encoding="utf-8", newline="\n") as lines:
        for item, truth, file in rows:
            # In ASCII: a text may hold what is a line's end to some, or what UTF-8 cannot hold.
            lines.write(json.dumps(_line(item, truth, file), allow_nan=False) + "\n")


def write_own_form(folder: Path, given: Exported) -> None:
    rows = ((item, truth, f"{given.images}/{file_name(item)}") for item, truth in given.rows())
    write_own(folder, given.recipe, rows)
    given.clips.write(folder)


def looks_like_own(folder: Path) -> bool:
    return (folder / _ITEMS).is_file() and (folder / _RECIPE).is_file()


def _line(item: Item, truth: GroundTruth, file: str) -> dict[str, Any]:
    return {
        "file": file,
        "digest": item.digest,
        "width": item.width,
        "height": item.height,
        "split": item.split,
        "group": item.group,
        "source": item.source,
        "meta": dict(item.meta),
        "shapes": [shape_to_json(shape) for shape in truth.shapes],
        "truth": {
            "version": truth.version,
            "origin": truth.origin,
            "submission_ids": list(truth.submission_ids),
            "created_at": truth.created_at.isoformat(),
        },
    }


def read_own(folder: Path, known: Known = nothing_known) -> Dataset:
    """What `write_own` wrote. Raises BadDataset. A line that cannot be read costs one image."""
    require_folder(folder)
    if not looks_like_own(folder):
        raise nothing_found(folder, Layout.ASKANCE, _LOOKED_FOR)
    recipe = _recipe(folder / _RECIPE)
    images: list[ReadImage] = []
    skipped: list[Remark] = []
    with (folder / _ITEMS).open("rb") as lines:
        number = 0
        while line := lines.readline(MAX_ANNOTATION_BYTES):
            number += 1
            try:
                images += [_read_line(line, folder, known)] if line.strip() else []
            except BadDataset as error:
                skipped.append(Remark(_ITEMS, "annotation", f"line {number}: {error.detail}"))
    groups, unread = read_groups(folder)
    return Dataset(folder, recipe.label_names, tuple(images), (*skipped, *unread), recipe, groups, exact=True)


def _recipe(path: Path) -> Recipe:
    try:
        return read_recipe(path.read_bytes()).recipe(1)
    except (OSError, BadRecipe) as error:
        raise BadDataset(f"{path} cannot be used: {error}", hint="Export the data set again.") from error


def _read_line(line: bytes, folder: Path, known: Known) -> ReadImage:
    """Raises BadDataset, saying what is wrong with the line."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadDataset(f"is no JSON object ({error})") from error
    if not isinstance(record, dict) or not isinstance(record.get("file"), str):
        raise BadDataset("names no file")
    place = inside(folder, record["file"])
    digest = ""
    if place is None or not place.is_file():
        digest = known(record["file"]) or ""
        if not digest:
            raise BadDataset(f"{record['file']!r} is missing")
        place = folder / digest
    meta = record.get("meta", {})
    if not isinstance(meta, dict) or not all(isinstance(value, str) for value in meta.values()):
        raise BadDataset("meta is no object of texts")
    return ReadImage(
        path=place,
        boxes=(),
        shapes=_shapes(record.get("shapes", [])),
        width=_number(record, "width"),
        height=_number(record, "height"),
        split=_split(record.get("split")),
        group=_text(record, "group"),
        source=_text(record, "source"),
        meta=meta,
        exact=True,
        digest=digest,
    )


def _shapes(documents: object) -> tuple[Shape, ...]:
    if not isinstance(documents, list):
        raise BadDataset("shapes is no list")
    shapes: list[Shape] = []
    for number, document in enumerate(documents):
        try:
            shapes.append(_shape(document))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BadDataset(f"shape {number} cannot be read ({type(error).__name__}: {error})") from error
    return tuple(shapes)


def _shape(document: Mapping[str, Any]) -> Shape:
    shape = shape_from_json(document)
    texts = [shape.label, shape.id, shape.group, shape.track]
    texts += [text for link in shape.links for text in (link.type, link.to)]
    if unknown := set(document) - _FIELDS:
        raise ValueError(f"the field {min(unknown)!r} is not known")
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a name is no text")
    for value in shape.attributes.values():
        parts = value if isinstance(value, tuple) else (value,)
        if not all(isinstance(part, str | float | int) for part in parts):
            raise TypeError("an attribute is neither text, number, truth value nor list of texts")
    return shape


_FIELDS = {"label", "box", "type", "points", "id", "attributes", "links", "group", "track", "keyframe"}


def _split(name: object) -> Split | None:
    try:
        return None if name is None else Split(str(name))
    except ValueError:
        raise BadDataset(f"{name!r} is no split") from None


def _text(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name, "")
    if not isinstance(value, str):
        raise BadDataset(f"{name} is no text")
    return value


def _number(record: Mapping[str, Any], name: str) -> int | None:
    value = record.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise BadDataset(f"{name} is no number of pixels")
    return value
