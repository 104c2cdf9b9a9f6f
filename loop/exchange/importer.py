"""A data set into a project: images, their ground truth, their splits. Importing it again changes nothing.

Blobs are written first, then the rows that name them, in transactions of CHUNK images: an import that was cut
off anywhere is finished by running it again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from loop.domain.errors import BadDataset, Invalid, NotFound
from loop.domain.item import ImageFacts, Item, Split
from loop.domain.ports import Blobs, Clock, Event, Store, Transaction
from loop.domain.project import Label, Project, Recipe, checked_slug, labels_named
from loop.domain.recipe import BadRecipe, flaws_of
from loop.domain.truth import GroundTruth, Shape
from loop.exchange.clips import save_groups
from loop.exchange.coco import read_coco
from loop.exchange.own import read_own
from loop.exchange.reading import Dataset, Layout, ReadImage, Remark, fitted, shown
from loop.exchange.voc import read_voc
from loop.exchange.yolo import read_yolo

if TYPE_CHECKING:
    from rich.text import Text

CHUNK = 200
# Pixels. A data set that went through a format with rounded numbers is still the same.
SAME_BOX = 0.01

_READERS: dict[Layout, Callable[[Path], Dataset]] = {
    Layout.VOC: read_voc,
    Layout.COCO: read_coco,
    Layout.YOLO: read_yolo,
    Layout.ASKANCE: read_own,
}

# Names what must stay on one side of a split. "folder": the image's folder; "none": what the data set says.
GroupBy = Callable[[ReadImage], str] | str


class Projects(Protocol):
    """Who makes the project where there is none (loop.projects.Administration)."""

    def create_project(self, project_id: str, labels: tuple[str, ...], *, recipe: Recipe | None = None) -> Project: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """Counts are images. imported: new to the project; updated: known, with other ground truth than before;
    unchanged: known, with the same; boxes: of those imported and updated. labels: the project's afterwards.
    skipped: what was left out; repaired: boxes that were clipped to their image."""

    project_id: str
    created: bool
    labels: tuple[str, ...]
    imported: int
    updated: int
    unchanged: int
    boxes: int
    skipped: tuple[Remark, ...]
    repaired: tuple[Remark, ...]

    def lines(self, limit: int = 20) -> list[str]:
        """For a person; at most `limit` remarks of each kind."""
        what = "created" if self.created else "updated"
        told = [
            f"{what} {self.project_id}: {self.imported} images imported, {self.updated} updated, "
            f"{self.unchanged} unchanged, {self.boxes} boxes; labels: {', '.join(self.labels)}"
        ]
        for word, remarks in (("skipped", self.skipped), ("repaired", self.repaired)):
            told += [f"{word}  {r.path}: {r.what}{f' x {r.count}' * (r.count > 1)}, {r.why}" for r in remarks[:limit]]
            told += [f"{word}  … and {len(remarks) - limit} more"] if len(remarks) > limit else []
        return told

    def __rich__(self) -> "Text":
        from rich.text import Text

        return Text("\n".join(self.lines()))


@dataclass(slots=True)
class _Tally:
    imported: int = 0
    updated: int = 0
    unchanged: int = 0
    boxes: int = 0
    skipped: list[Remark] = field(default_factory=list)
    repaired: list[Remark] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An image whose bytes are in the blob store, and what the data set says is on it."""

    name: str
    item: Item
    shapes: tuple[Shape, ...]


def import_dataset(
    store: Store,
    blobs: Blobs,
    projects: Projects,
    *,
    project_id: str,
    format: Layout | str,  # noqa: A002 - the word that people use
    folder: Path,
    inspect_image: Callable[[bytes], ImageFacts],
    clock: Clock,
    split: Split | str | None = None,
    group_by: GroupBy = "none",
    add_labels: bool = False,
    actor: str = "import",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ImportReport:
    """Import the data set in `folder`; `on_progress` hears of (images done, images in all).

    The project is created with the data set's labels where it does not exist. Otherwise boxes with labels that
    its recipe lacks are skipped, or, with `add_labels`, a new version of the recipe has them. `split` overrides
    what the data set says. Each item's ground truth gets a new version only where the boxes differ, and none
    where people reviewed the image: their answer stays. A fixed split stays too.

    Raises BadDataset where nothing in `folder` can be imported, Invalid for a bad name, format or split.
    """
    layout, forced = _layout(format), _split(split)
    checked_slug(project_id)
    group_of = _grouping(group_by, folder)
    dataset = _READERS[layout](folder)
    _require_images(dataset)
    project, created = _project(store, projects, project_id, dataset, add_labels, actor, clock)
    work = _Import(store, blobs, project, folder, inspect_image, clock, forced, group_of)
    tally = work.run(dataset, on_progress)
    save_groups(store, project_id, dataset.groups, clock)
    report = ImportReport(
        project_id=project_id,
        created=created,
        labels=project.recipe.label_names,
        imported=tally.imported,
        updated=tally.updated,
        unchanged=tally.unchanged,
        boxes=tally.boxes,
        skipped=tuple(tally.skipped),
        repaired=tuple(tally.repaired),
    )
    if tally.imported or tally.updated:
        body = {"imported": report.imported, "updated": report.updated, "skipped": len(report.skipped)}
        with store.begin() as tx:
            tx.events.add(Event("dataset.imported", project_id, actor, body, clock()))
    return report


@dataclass(frozen=True, slots=True)
class _Import:
    store: Store
    blobs: Blobs
    project: Project
    folder: Path
    inspect_image: Callable[[bytes], ImageFacts]
    clock: Clock
    split: Split | None
    group_of: Callable[[ReadImage], str]

    def run(self, dataset: Dataset, on_progress: Callable[[int, int], None]) -> _Tally:
        tally = _Tally(skipped=list(dataset.skipped))
        first: dict[str, str] = {}  # digest → the image that came first with it
        total = len(dataset.images)
        on_progress(0, total)
        for start in range(0, total, CHUNK):
            prepared: list[_Prepared] = []
            for done, image in enumerate(dataset.images[start : start + CHUNK], start=start + 1):
                one = self._prepared(image, first, tally)
                prepared += [one] if one else []
                on_progress(done, total)
            self._save(prepared, tally)
        return tally

    def _prepared(self, image: ReadImage, first: dict[str, str], tally: _Tally) -> _Prepared | None:
        """The image with its bytes stored, or None where it cannot be kept."""
        name = shown(image.path, self.folder)
        try:
            content = image.path.read_bytes()
            facts = self.inspect_image(content)
            recipe = self.project.recipe
            fit = fitted(image, width=facts.width, height=facts.height, recipe=recipe, name=name)
        except OSError as error:
            tally.skipped.append(Remark(name, "image", f"cannot be read ({error.strerror or error})"))
            return None
        except Invalid as error:
            tally.skipped.append(Remark(name, "image", error.detail))
            return None
        tally.skipped += fit.skipped
        tally.repaired += fit.repaired
        labels = image.counts()
        if labels and not any(name in labels for name in recipe.label_names):
            tally.skipped.append(Remark(name, "image", "none of its labels is in the project's recipe"))
            return None
        digest = self.blobs.put(content)
        if digest in first:
            tally.skipped.append(Remark(name, "image", f"has the same bytes as {first[digest]}"))
            return None
        first[digest] = name
        return _Prepared(name, self._item(image, digest, facts, name), fit.shapes)

    def _item(self, image: ReadImage, digest: str, facts: ImageFacts, name: str) -> Item:
        return Item(
            project_id=self.project.id,
            digest=digest,
            media_type=facts.media_type,
            width=facts.width,
            height=facts.height,
            created_at=self.clock(),
            source=image.source if image.exact else image.source or self.folder.resolve().name,
            group=self.group_of(image),
            split=self.split or image.split,
            meta=image.meta if image.exact else {**image.meta, "path": name},
        )

    def _save(self, prepared: Sequence[_Prepared], tally: _Tally) -> None:
        """All of them in one transaction; the tally counts only what was committed."""
        counted = _Tally()
        with self.store.begin() as tx:
            # The recipe may have changed since these were read; while it is held, it does not.
            tx.projects.hold(self.project.id)
            recipe = tx.projects.get(self.project.id).recipe
            for one in prepared:
                self._save_one(tx, replace(one, shapes=recipe.translated(one.shapes)), counted)
        tally.imported += counted.imported
        tally.updated += counted.updated
        tally.unchanged += counted.unchanged
        tally.boxes += counted.boxes
        tally.skipped += counted.skipped

    def _save_one(self, tx: Transaction, one: _Prepared, tally: _Tally) -> None:
        new = tx.items.add(one.item)
        if not new:
            tally.skipped += _settled_split(tx, one)
        current = None if new else tx.truths.current(self.project.id, one.item.digest)
        if current is not None and same_shapes(current.shapes, one.shapes):
            tally.unchanged += 1
            return
        if current is not None and current.origin != "import":
            tally.unchanged += 1
            why = "people reviewed this image; their answer stays"
            tally.skipped.append(Remark(one.name, "annotation", why))
            return
        tx.truths.add(self._truth(one, 1 if current is None else current.version + 1))
        tally.imported += new
        tally.updated += not new
        tally.boxes += len(one.shapes)

    def _truth(self, one: _Prepared, version: int) -> GroundTruth:
        return GroundTruth(
            project_id=self.project.id,
            item_digest=one.item.digest,
            version=version,
            shapes=one.shapes,
            submission_ids=(),
            origin="import",
            created_at=self.clock(),
        )


def same_shapes(a: Sequence[Shape], b: Sequence[Shape]) -> bool:
    """The same labels, coordinates to SAME_BOX pixels, and all else, in any order."""
    left = list(b)
    for shape in a:
        twin = next((other for other in left if _same(shape, other)), None)
        if twin is None:
            return False
        left.remove(twin)
    return not left


def _same(a: Shape, b: Shape) -> bool:
    if replace(a, box=b.box, points=b.points) != b or len(a.points) != len(b.points):
        return False
    left, right = (chain(shape.box, *shape.points) for shape in (a, b))
    return all(abs(p - q) <= SAME_BOX for p, q in zip(left, right, strict=True))


def _settled_split(tx: Transaction, one: _Prepared) -> list[Remark]:
    """Give a known item the data set's split where it has none; a fixed one stays."""
    wanted = one.item.split
    if wanted is None:
        return []
    known = tx.items.get(one.item.project_id, one.item.digest)
    if known.split is None:
        tx.items.set_split(known.project_id, known.digest, wanted, known.group or one.item.group)
    elif known.split is not wanted:
        return [Remark(one.name, "split", f"is {known.split} in the project and stays so")]
    return []


def _layout(name: Layout | str) -> Layout:
    try:
        return Layout(name)
    except ValueError:
        raise Invalid(f"{name!r} is no format.", hint=f"Use one of: {', '.join(Layout)}.") from None


def _split(name: Split | str | None) -> Split | None:
    try:
        return None if name is None else Split(name)
    except ValueError:
        raise Invalid(f"{name!r} is no split.", hint=f"Use one of: {', '.join(Split)}.") from None


def _grouping(group_by: GroupBy, folder: Path) -> Callable[[ReadImage], str]:
    if not isinstance(group_by, str):
        return group_by
    if group_by == "folder":
        return lambda image: shown(image.path.parent, folder)
    if group_by == "none":
        return lambda image: image.group
    raise Invalid(f"{group_by!r} is no way to group images.", hint="Use folder or none.")


def _require_images(dataset: Dataset) -> None:
    if dataset.images:
        return
    reasons = "; ".join(f"{remark.path}: {remark.why}" for remark in dataset.skipped[:3])
    raise BadDataset(
        f"no image of {dataset.folder} can be imported ({len(dataset.skipped)} were skipped: {reasons}).",
        hint="Give the folder that holds both the annotations and the images they name.",
        folder=str(dataset.folder),
    )


def _project(
    store: Store, projects: Projects, project_id: str, dataset: Dataset, add_labels: bool, actor: str, clock: Clock
) -> tuple[Project, bool]:
    """The project that takes the data set, and whether it was made for it."""
    try:
        with store.read() as tx:
            project = tx.projects.get(project_id)
    except NotFound:
        if not dataset.labels:
            raise BadDataset(
                f"{dataset.folder} names no label, so no project can be made for it.",
                hint="Create the project first: askance project create.",
            ) from None
        return projects.create_project(project_id, dataset.labels, recipe=dataset.recipe), True
    unknown = tuple(label for label in dataset.labels if label not in project.recipe.label_names)
    if unknown and add_labels:
        return _with_labels(store, project_id, unknown, dataset.recipe, actor, clock), False
    if unknown and len(unknown) == len(dataset.labels):
        raise BadDataset(
            f"none of the data set's labels ({_some(unknown)}) is a label of {project_id} "
            f"({_some(project.recipe.label_names)}).",
            hint="Add them with --add-labels, or import into a project of its own.",
            project=project_id,
        )
    return project, False


def _with_labels(
    store: Store, project_id: str, names: tuple[str, ...], source: Recipe | None, actor: str, clock: Clock
) -> Project:
    """The project with a new version of its recipe that has these labels too, as `source` has them, else as boxes."""
    with store.begin() as tx:
        project = tx.projects.get(project_id)
        old = project.recipe
        names = tuple(name for name in names if name not in old.label_names)
        if not names:
            return project
        labels = _extended(old.labels, names, source.labels if source else ())
        recipe = replace(old, version=old.version + 1, labels=labels)
        if flaws := flaws_of(recipe):
            raise BadRecipe(flaws)
        tx.projects.save_recipe(project_id, recipe)
        body = {"version": recipe.version, "added": list(names)}
        tx.events.add(Event("recipe.changed", project_id, actor, body, clock()))
    return replace(project, recipe=recipe)


def _extended(labels: tuple[Label, ...], names: tuple[str, ...], source: tuple[Label, ...]) -> tuple[Label, ...]:
    """Old labels as they are; new ones with a key where it is free, and with what `source` knows of them."""
    known = {label.name: label for label in source}
    taken = {label.key for label in labels}
    added = labels_named((*(label.name for label in labels), *names))[len(labels) :]
    keyed = [replace(label, key="") if label.key in taken else label for label in added]
    return (*labels, *(replace(known[one.name], key=one.key) if one.name in known else one for one in keyed))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
