"""YOLO: a data.yaml that names classes and splits, and one text file of rows per image (ultralytics' layout).

A row is `class cx cy w h`, or `class x1 y1 x2 y2 …` for a polygon, in fractions of the image's sides.
An image without a text file, or with an empty one, is an image without objects, as ultralytics has it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import yaml

from loop.domain.errors import BadDataset
from loop.domain.geometry import Box, bounds_of
from loop.domain.item import Split
from loop.domain.truth import Geometry, Shape
from loop.exchange.reading import (
    MAX_ANNOTATION_BYTES,
    Dataset,
    Known,
    Layout,
    ReadBox,
    ReadImage,
    Remark,
    image_files,
    inside,
    nothing_found,
    nothing_known,
    require_folder,
    shown,
    split_named,
)
from loop.exchange.writing import REGIONS, SPLIT_NAMES, Exported, Holds
from training.snapshot import Entry

HOLDS = Holds(
    shapes=REGIONS, outlines=False, attributes=False, links=False, groups=False, tracks=False, clips=False
)  # fmt: skip
HOLDS_SEGMENTS = replace(HOLDS, outlines=True)

_LOOKED_FOR = "a data.yaml that names classes (names) and folders of images (train, val, test)"


def read_yolo(folder: Path, known: Known = nothing_known) -> Dataset:
    """The data set that `folder`/data.yaml (or its only .yaml file) describes. Raises BadDataset. `known` is not asked:
    here the images say which rows there are.

    train, val and test become train, val and golden. Paths in it are followed inside `folder` only.
    """
    require_folder(folder)
    described = _described(folder)
    names = _names(described, folder)
    images: list[ReadImage] = []
    skipped: list[Remark] = []
    seen: set[Path] = set()
    for key, value in described.items():
        split = split_named(key)
        if split is None or value is None:
            continue
        files, left_out = _images_of(key, value, folder, str(described.get("path") or ""))
        skipped += left_out
        for path in files:
            if path in seen:
                skipped.append(Remark(shown(path, folder), "image", f"{key} names it, as another split does"))
                continue
            seen.add(path)
            image, bad = _read_image(path, folder, names, split)
            skipped += bad
            images += [image] if image else []
    if not images and not skipped:
        raise nothing_found(folder, Layout.YOLO, _LOOKED_FOR)
    return Dataset(folder, tuple(dict.fromkeys(names.values())), tuple(images), tuple(skipped))


def looks_like_yolo(folder: Path) -> bool:
    try:
        return "names" in _described(folder)
    except BadDataset:
        return False


def _described(folder: Path) -> dict[str, object]:
    path = folder / "data.yaml"
    if not path.is_file():
        others = [*folder.glob("*.yaml"), *folder.glob("*.yml")]
        if len(others) != 1:
            raise nothing_found(folder, Layout.YOLO, _LOOKED_FOR)
        path = others[0]
    try:
        described = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise BadDataset(f"{path} cannot be read as YAML ({error}).", hint="Mend it, then import again.") from error
    if not isinstance(described, dict):
        raise nothing_found(folder, Layout.YOLO, _LOOKED_FOR)
    return {str(key): value for key, value in described.items()}


def _names(described: Mapping[str, object], folder: Path) -> dict[int, str]:
    names = described.get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise BadDataset(f"{folder / 'data.yaml'} names no classes.", hint="Add names: a list, or number: name.")
    try:
        numbered = {int(number): str(name).strip() for number, name in names.items()}
    except (TypeError, ValueError) as error:
        raise BadDataset(
            f"names in {folder / 'data.yaml'} has a key that is no number.", hint="Write number: name."
        ) from error
    if not all(numbered.values()):
        raise BadDataset(f"names in {folder / 'data.yaml'} has an empty name.", hint="Name every class.")
    return dict(sorted(numbered.items()))


def _images_of(key: str, value: object, folder: Path, path: str) -> tuple[list[Path], list[Remark]]:
    """The images that a split names: a folder, a list of folders, or text files that list images."""
    files: list[Path] = []
    skipped: list[Remark] = []
    for name in value if isinstance(value, list) else [value]:
        place = _placed(str(name), folder, path)
        if place is None:
            skipped.append(Remark("data.yaml", "file", f"{key} names {name!r}, which is not in this folder"))
        elif place.is_dir():
            found, others = image_files(place, folder, nested=True)
            files += found
            # labelImg and others keep the rows beside the images.
            skipped += [remark for remark in others if not remark.path.endswith(".txt")]
        else:
            found, others = _listed(place, folder, path)
            files += found
            skipped += others
    return files, skipped


def _listed(listing: Path, folder: Path, path: str) -> tuple[list[Path], list[Remark]]:
    files: list[Path] = []
    skipped: list[Remark] = []
    for line in listing.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line.strip():
            continue
        place = _placed(line.strip(), folder, path)
        if place is None or not place.is_file():
            skipped.append(Remark(shown(listing, folder), "image", f"{line.strip()!r} is missing"))
        else:
            files.append(place)
    return files, skipped


def _placed(name: str, folder: Path, path: str) -> Path | None:
    """Where `name` lies in `folder`: under the yaml's `path`, beside the yaml, or, as Roboflow writes it,
    one folder too high; absolute names only where they point into the folder. None where nothing is there."""
    if Path(name).is_absolute():
        if not Path(name).is_relative_to(folder.absolute()):
            return None
        name = Path(name).relative_to(folder.absolute()).as_posix()
    bases = [base for base in [inside(folder, path)] if base and path]
    for candidate in [name, name.removeprefix("../")]:
        for base in [*bases, folder]:
            place = inside(base, candidate)
            if place is not None and place.exists():
                return place
    return None


def _read_image(
    path: Path, folder: Path, names: Mapping[int, str], split: Split
) -> tuple[ReadImage | None, list[Remark]]:
    rows = _rows_file(path, folder)
    if not rows.is_file():
        return ReadImage(path=path, boxes=(), relative=True, split=split), []
    try:
        if rows.stat().st_size > MAX_ANNOTATION_BYTES:
            raise BadDataset(f"is larger than {MAX_ANNOTATION_BYTES // 2**20} MB.")
        lines = rows.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError, BadDataset) as error:
        return None, [Remark(shown(rows, folder), "annotation", f"cannot be read ({error})")]
    boxes: list[ReadBox] = []
    bad: list[Remark] = []
    for number, line in enumerate(lines, start=1):
        try:
            boxes += [_read_row(line.split(), names)] if line.strip() else []
        except ValueError as error:
            bad.append(Remark(shown(rows, folder), "box", f"line {number}: {error}"))
    return ReadImage(path=path, boxes=tuple(boxes), relative=True, split=split), bad


def _rows_file(image: Path, folder: Path) -> Path:
    """The last folder `images` on the way to the image becomes `labels`; without one, beside the image."""
    parts = list(image.relative_to(folder).parts) if image.is_relative_to(folder) else list(image.parts)
    places = [index for index, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
    return folder.joinpath(*parts).with_suffix(".txt")


def _read_row(values: list[str], names: Mapping[int, str]) -> ReadBox:
    """Raises ValueError, saying what is wrong with the row."""
    number = _number(values[0])
    if number != int(number) or int(number) not in names:
        raise ValueError(f"class {values[0]} is not among the names in data.yaml")
    fractions = [_number(value) for value in values[1:]]
    if len(fractions) == 4:
        return ReadBox(names[int(number)], _corners(*fractions))
    if len(fractions) >= 6 and len(fractions) % 2 == 0:
        corners = tuple(zip(fractions[::2], fractions[1::2], strict=True))
        return ReadBox(names[int(number)], bounds_of(corners), corners)
    raise ValueError(f"{len(values)} values are neither a box (5) nor a polygon (7, 9, …)")


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None
    if not -1e6 < value < 1e6:
        raise ValueError(f"{text} is not finite, or far outside any image")
    return value


def _corners(cx: float, cy: float, width: float, height: float) -> Box:
    return (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)


# --- writing: data.yaml, images/{train,val,test}, labels/{train,val,test} ---------------------------------


def write_yolo(folder: Path, given: Exported) -> None:
    """Rows of boxes."""
    _write(folder, given, _box_rows)


def write_yolo_segments(folder: Path, given: Exported) -> None:
    """Rows of polygons, boxes by their four corners: ultralytics takes every row of a file as the one or the other."""
    _write(folder, given, _polygon_rows)


def _write(folder: Path, given: Exported, rows: Callable[[Entry, Mapping[str, int]], str]) -> None:
    # ultralytics wants train and val even where they are empty; `path` is left out: it means the yaml's folder.
    snapshot = given.snapshot
    splits = [name for split, name in SPLIT_NAMES.items() if split is not Split.GOLDEN or snapshot.of_split(split)]
    for kind in ("images", "labels"):
        for name in splits:
            (folder / kind / name).mkdir(parents=True)
    described = {**{name: f"images/{name}" for name in splits}, "names": dict(enumerate(snapshot.labels))}
    text = yaml.safe_dump(described, sort_keys=False, allow_unicode=True)
    (folder / "data.yaml").write_text(f"# Askance snapshot {given.digest}\n{text}", encoding="utf-8")
    for entry in snapshot.entries:
        place = folder / "labels" / SPLIT_NAMES[entry.split] / f"{entry.digest}.txt"
        place.write_text(rows(entry, given.label_numbers), encoding="utf-8")


def _box_rows(entry: Entry, numbers: Mapping[str, int]) -> str:
    return "".join(
        yolo_row(numbers[shape.label], shape.box, entry.width, entry.height)
        for shape in entry.shapes
        if shape.type in REGIONS
    )


def _polygon_rows(entry: Entry, numbers: Mapping[str, int]) -> str:
    rows = []
    for shape in entry.shapes:
        if shape.type in REGIONS:
            values = [value for x, y in _corners_of(shape) for value in (x / entry.width, y / entry.height)]
            rows.append(_row(numbers[shape.label], values))
    return "".join(rows)


def _corners_of(shape: Shape) -> tuple[tuple[float, float], ...]:
    x1, y1, x2, y2 = shape.box
    return shape.points if shape.type is Geometry.POLYGON else ((x1, y1), (x2, y1), (x2, y2), (x1, y2))


def yolo_row(label: int, box: Box, width: int, height: int) -> str:
    """A line of a label file: class and centre, width and height as shares of the image's sides."""
    x1, y1, x2, y2 = box
    values = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
    return _row(label, values)


def _row(label: int, values: Iterable[float]) -> str:
    return " ".join([str(label), *(f"{value:.10g}" for value in values)]) + "\n"
