"""A data set into a project: images, their ground truth, their splits. Importing it again changes nothing.

A data set may lack its images where the project has them: annotations that another tool corrected.

Blobs are written first, then the rows that name them, in transactions of CHUNK images: an import that was cut
off anywhere is finished by running it again.
"""

import gc
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from loop.domain.errors import BadDataset, Invalid, NotFound
from loop.domain.identity import digest_of
from loop.domain.item import ImageFacts, Item, Split
from loop.domain.ports import Blobs, Clock, Event, Store, Transaction
from loop.domain.project import Label, Project, Recipe, checked_slug, labels_named
from loop.domain.recipes.recipe import BadRecipe, ShapeCheck, flaws_of
from loop.domain.truth import GroundTruth, Shape
from loop.exchange.clips import save_groups
from loop.exchange.deriving import recipe_of
from loop.exchange.formats import FORMATS, layout_named, recognised
from loop.exchange.known import KnownImages
from loop.exchange.reading import Dataset, Fitted, Layout, ReadImage, Remark, fitted, shown

if TYPE_CHECKING:
    from rich.text import Text

CHUNK = 1_000
# Pixels. A data set that went through a format with rounded numbers is still the same.
SAME_BOX = 0.01

# Names what must stay on one side of a split. "folder": the image's folder; "none": what the data set says.
GroupBy = Callable[[ReadImage], str] | str


class Projects(Protocol):
    """Who makes the project where there is none (loop.projects)."""

    def create(self, project_id: str, labels: tuple[str, ...], *, recipe: Recipe | None = None) -> Project: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """Counts are images. imported: new to the project; updated: known, with other ground truth than before;
    unchanged: known, with the same; boxes: of those imported and updated. labels: the project's afterwards.
    skipped: what was left out; repaired: boxes that were clipped to their image."""

    project_id: str
    format: Layout
    created: bool
    labels: tuple[str, ...]
    imported: int
    updated: int
    unchanged: int
    boxes: int
    skipped: tuple[Remark, ...]
    repaired: tuple[Remark, ...]

    def counts(self) -> dict[str, int]:
        """How often each kind of thing was skipped."""
        counts: Counter[str] = Counter()
        for remark in self.skipped:
            counts[remark.what] += remark.count
        return dict(sorted(counts.items()))

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
        if self.skipped:
            told.append("skipped in all: " + ", ".join(f"{count} x {what}" for what, count in self.counts().items()))
        if any("is not in the project's recipe" in remark.why for remark in self.skipped):
            told.append("labels that the project lacks are added with --add-labels")
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
    outlines: Counter[str] = field(default_factory=Counter)

    def add(self, fit: Fitted) -> None:
        self.skipped += fit.skipped
        self.repaired += fit.repaired
        self.outlines.update(fit.outlines)

    def told_outlines(self, folder: Path) -> list[Remark]:
        """One remark for each label, since a whole data set has them or not."""
        why = "the recipe draws boxes, so that of its polygons the boxes are kept"
        return [Remark(folder.name, "outline", f"{label}: {why}", n) for label, n in sorted(self.outlines.items()) if n]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An image whose bytes are in the blob store, and what the data set says is on it."""

    name: str
    item: Item
    shapes: tuple[Shape, ...]


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """A data set lives on to the end and has no cycles; while it grows to millions of objects, the collector would walk
    through them again and again, for a quarter of the CPU. Of the whole process, which should be the import's own."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_nothing_collected()
def import_dataset(
    store: Store,
    blobs: Blobs,
    projects: Projects,
    *,
    project_id: str,
    folder: Path,
    inspect_image: Callable[[bytes], ImageFacts],
    clock: Clock,
    format: Layout | str | None = None,  # noqa: A002 - the word that people use
    split: Split | str | None = None,
    group_by: GroupBy = "none",
    add_labels: bool = False,
    polygons: bool = False,
    strict: bool = False,
    actor: str = "import",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ImportReport:
    """Import the data set in `folder`; `on_progress` hears of (images done, images in all). format: None is what the
    folder looks like.

    The project is created for the data set where it does not exist (`recipe_of`; polygons: its `outlines`). Otherwise
    shapes with labels that its recipe lacks are skipped, or, with `add_labels`, a new version of the recipe has them.
    `split` overrides what the data set says. Each item's ground truth gets a new version only where the shapes differ,
    and none where people reviewed the image: their answer stays. A fixed split stays too. strict: where anything would
    be skipped or repaired, nothing is written.

    Raises BadDataset where nothing in `folder` can be imported, Invalid for a bad name, format or split.
    """
    forced = _split(split)
    checked_slug(project_id)
    group_of = _grouping(group_by, folder)
    layout = recognised(folder) if format is None else layout_named(format)
    known = KnownImages(store, project_id)
    dataset = FORMATS[layout].read(folder, known)
    _require_images(dataset)
    plan = _planned(store, project_id, dataset, add_labels, polygons)
    with store.read() as tx:
        dropped = tx.items.dropped(project_id)
    if strict:
        _require_clean(_Check(ShapeCheck(plan.recipe), folder, inspect_image, known, dropped).run(dataset), dataset)
    project = _carried_out(plan, store, projects, project_id, actor, clock)
    check = _Check(ShapeCheck(project.recipe), folder, inspect_image, known, dropped)
    tally = _Import(store, blobs, project, check, clock, forced, group_of, folder.resolve().name).run(
        dataset, on_progress
    )
    save_groups(store, project_id, dataset.groups, clock)
    report = ImportReport(
        project_id=project_id,
        format=layout,
        created=plan.project is None,
        labels=project.recipe.label_names,
        imported=tally.imported,
        updated=tally.updated,
        unchanged=tally.unchanged,
        boxes=tally.boxes,
        skipped=(*tally.skipped, *tally.told_outlines(folder)),
        repaired=tuple(tally.repaired),
    )
    if tally.imported or tally.updated:
        body = {"imported": report.imported, "updated": report.updated, "skipped": len(report.skipped)}
        with store.begin() as tx:
            tx.events.add(Event("dataset.imported", project_id, actor, body, clock()))
    return report


@dataclass(frozen=True, slots=True)
class _Checked:
    """An image that can be kept. content: its bytes; None where the project has them already, under `digest`."""

    name: str
    content: bytes | None
    digest: str
    facts: ImageFacts
    shapes: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class _Check:
    """Images against a recipe; nothing is written."""

    shapes: ShapeCheck
    folder: Path
    inspect_image: Callable[[bytes], ImageFacts]
    known: KnownImages
    dropped: Collection[str]  # digests of images that the project is not to keep

    def run(self, dataset: Dataset) -> _Tally:
        """What would be said of a whole data set."""
        tally = _Tally(skipped=list(dataset.skipped))
        first: dict[str, str] = {}
        for image in dataset.images:
            self.checked(image, first, tally)
        return tally

    def checked(self, image: ReadImage, first: dict[str, str], tally: _Tally) -> _Checked | None:
        """The image as it can be kept; None, and a remark, where it cannot. first: digest → the image that came first
        with it."""
        name = image.digest or shown(image.path, self.folder)
        try:
            content, digest, facts = self._looked_at(image)
            fit = fitted(image, width=facts.width, height=facts.height, check=self.shapes, name=name)
        except OSError as error:
            tally.skipped.append(Remark(name, "image", f"cannot be read ({error.strerror or error})"))
            return None
        except Invalid as error:
            tally.skipped.append(Remark(name, "image", error.detail))
            return None
        tally.add(fit)
        labels = image.labels()
        if labels and labels.isdisjoint(self.shapes.labels):
            tally.skipped.append(Remark(name, "image", "none of its labels is in the project's recipe"))
            return None
        if digest in self.dropped:
            tally.skipped.append(Remark(name, "image", "was dropped from the project, and is not kept again"))
            return None
        if digest in first:
            tally.skipped.append(Remark(name, "image", f"has the same bytes as {first[digest]}"))
            return None
        first[digest] = name
        return _Checked(name, content, digest, facts, fit.shapes)

    def _looked_at(self, image: ReadImage) -> tuple[bytes | None, str, ImageFacts]:
        """Bytes, digest and facts. Raises OSError or Invalid."""
        if image.digest:
            return None, image.digest, self.known.facts(image.digest)
        content = image.path.read_bytes()
        return content, digest_of(content), self.inspect_image(content)


@dataclass(frozen=True, slots=True)
class _Import:
    store: Store
    blobs: Blobs
    project: Project
    check: _Check
    clock: Clock
    split: Split | None
    group_of: Callable[[ReadImage], str]
    name: str  # of the data set

    def run(self, dataset: Dataset, on_progress: Callable[[int, int], None]) -> _Tally:
        tally = _Tally(skipped=list(dataset.skipped))
        first: dict[str, str] = {}
        total = len(dataset.images)
        on_progress(0, total)
        for start in range(0, total, CHUNK):
            prepared: list[_Prepared] = []
            for done, image in enumerate(dataset.images[start : start + CHUNK], start=start + 1):
                one = self.check.checked(image, first, tally)
                prepared += [self._prepared(image, one)] if one else []
                on_progress(done, total)
            self._save(prepared, tally)
        return tally

    def _prepared(self, image: ReadImage, one: _Checked) -> _Prepared:
        """With its bytes stored."""
        if one.content is not None:
            self.blobs.put(one.content)
        return _Prepared(one.name, self._item(image, one), one.shapes)

    def _item(self, image: ReadImage, one: _Checked) -> Item:
        return Item(
            project_id=self.project.id,
            digest=one.digest,
            media_type=one.facts.media_type,
            width=one.facts.width,
            height=one.facts.height,
            created_at=self.clock(),
            source=image.source if image.exact else image.source or self.name,
            group=self.group_of(image),
            split=self.split or image.split,
            meta=image.meta if image.exact else {**image.meta, "path": one.name},
        )

    def _save(self, prepared: Sequence[_Prepared], tally: _Tally) -> None:
        """All of them in one transaction; the tally counts only what was committed."""
        counted = _Tally()
        with self.store.begin() as tx:
            # The recipe may have changed since these were read; while it is held, it does not.
            tx.projects.hold(self.project.id)
            recipe = tx.projects.get(self.project.id).recipe
            if recipe != self.project.recipe:
                prepared = [replace(one, shapes=recipe.translated(one.shapes)) for one in prepared]
            self._save_all(tx, prepared, counted)
        tally.imported += counted.imported
        tally.updated += counted.updated
        tally.unchanged += counted.unchanged
        tally.boxes += counted.boxes
        tally.skipped += counted.skipped

    def _save_all(self, tx: Transaction, prepared: Sequence[_Prepared], tally: _Tally) -> None:
        digests = [one.item.digest for one in prepared]
        items = tx.items.of(self.project.id, digests)
        present = tx.truths.current_of(self.project.id, digests)
        tx.items.add_all([one.item for one in prepared if one.item.digest not in items])
        truths: list[GroundTruth] = []
        settled: list[Item] = []
        for one in prepared:
            item = items.get(one.item.digest)
            if item is not None:
                tally.skipped += _kept_split(one, item)
                settled += [found] if (found := _settled_split(one, item)) else []
            if self._is_to_write(one, present, tally):
                truths.append(self._truth(one, present))
                tally.imported += item is None
                tally.updated += item is not None
                tally.boxes += len(one.shapes)
        tx.truths.add_all(truths)
        tx.items.set_splits(settled)

    def _is_to_write(self, one: _Prepared, present: Mapping[str, GroundTruth], tally: _Tally) -> bool:
        current = present.get(one.item.digest)
        if current is None:
            return True
        same = same_shapes(current.shapes, one.shapes)
        if not same and current.origin == "import":
            return True
        if not same:
            why = "people reviewed this image; their answer stays"
            tally.skipped.append(Remark(one.name, "annotation", why))
        tally.unchanged += 1
        return False

    def _truth(self, one: _Prepared, present: Mapping[str, GroundTruth]) -> GroundTruth:
        current = present.get(one.item.digest)
        return GroundTruth(
            project_id=self.project.id,
            item_digest=one.item.digest,
            version=1 if current is None else current.version + 1,
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
    if a == b:
        return True
    if replace(a, box=b.box, points=b.points) != b or len(a.points) != len(b.points):
        return False
    left, right = (chain(shape.box, *shape.points) for shape in (a, b))
    return all(abs(p - q) <= SAME_BOX for p, q in zip(left, right, strict=True))


def _settled_split(one: _Prepared, known: Item) -> Item | None:
    """A known item with the data set's split, where it has none: a fixed one stays."""
    if one.item.split is None or known.split is not None:
        return None
    return replace(known, split=one.item.split, group=known.group or one.item.group)


def _kept_split(one: _Prepared, known: Item) -> list[Remark]:
    if one.item.split is None or known.split in (None, one.item.split):
        return []
    return [Remark(one.name, "split", f"is {known.split} in the project and stays so")]


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


def _require_clean(tally: _Tally, dataset: Dataset) -> None:
    """Raises BadDataset where anything would not come as it is."""
    remarks = [*tally.skipped, *tally.repaired, *tally.told_outlines(dataset.folder)]
    if remarks:
        told = "; ".join(f"{remark.path}: {remark.what}, {remark.why}" for remark in remarks[:5])
        raise BadDataset(
            f"{len(remarks)} things of {dataset.folder} would be left out or repaired, so nothing was imported: {told}"
            f"{'; …' if len(remarks) > 5 else ''}.",
            hint="Mend them, or import without --strict.",
            folder=str(dataset.folder),
            remarks=len(remarks),
        )


@dataclass(frozen=True, slots=True)
class _Plan:
    """project: None where it is to be made. added: labels that its recipe is to get; source: as they are there."""

    project: Project | None
    source: Recipe
    added: tuple[str, ...] = ()

    @property
    def recipe(self) -> Recipe:
        """That shapes have to fit into."""
        return self.source if self.project is None else _with_labels(self.project.recipe, self.added, self.source)


def _planned(store: Store, project_id: str, dataset: Dataset, add_labels: bool, polygons: bool) -> _Plan:
    """Which project takes the data set, and what becomes of its recipe. Raises BadDataset."""
    try:
        with store.read() as tx:
            project = tx.projects.get(project_id)
    except NotFound:
        if not dataset.labels:
            raise BadDataset(
                f"{dataset.folder} names no label, so no project can be made for it.",
                hint="Create the project first: askance project create.",
            ) from None
        return _Plan(None, recipe_of(dataset, outlines=polygons))
    unknown = tuple(label for label in dataset.labels if label not in project.recipe.label_names)
    if unknown and len(unknown) == len(dataset.labels) and not add_labels:
        raise BadDataset(
            f"none of the data set's labels ({_some(unknown)}) is a label of {project_id} "
            f"({_some(project.recipe.label_names)}).",
            hint="Add them with --add-labels, or import into a project of its own.",
            project=project_id,
        )
    if not unknown or not add_labels:
        return _Plan(project, project.recipe)
    return _Plan(project, recipe_of(dataset, outlines=polygons), unknown)


def _carried_out(plan: _Plan, store: Store, projects: Projects, project_id: str, actor: str, clock: Clock) -> Project:
    if plan.project is None:
        return projects.create(project_id, plan.source.label_names, recipe=plan.source)
    if not plan.added:
        return plan.project
    with store.begin() as tx:
        project = tx.projects.get(project_id)
        recipe = _with_labels(project.recipe, plan.added, plan.source)
        if recipe is project.recipe:
            return project
        if flaws := flaws_of(recipe):
            raise BadRecipe(flaws)
        tx.projects.save_recipe(project_id, recipe)
        body = {"version": recipe.version, "added": list(recipe.label_names[len(project.recipe.labels) :])}
        tx.events.add(Event("recipe.changed", project_id, actor, body, clock()))
    return replace(project, recipe=recipe)


def _with_labels(old: Recipe, names: tuple[str, ...], source: Recipe) -> Recipe:
    """The next version, which has these labels too, as `source` has them; the same one where there are none to add."""
    missing = tuple(name for name in names if name not in old.label_names)
    if not missing:
        return old
    return replace(old, version=old.version + 1, labels=_extended(old.labels, missing, source.labels))


def _extended(labels: tuple[Label, ...], names: tuple[str, ...], source: tuple[Label, ...]) -> tuple[Label, ...]:
    """Old labels as they are; new ones with a key where it is free, and with what `source` knows of them."""
    known = {label.name: label for label in source}
    taken = {label.key for label in labels}
    added = labels_named((*(label.name for label in labels), *names))[len(labels) :]
    keyed = [replace(label, key="") if label.key in taken else label for label in added]
    return (*labels, *(replace(known[one.name], key=one.key) if one.name in known else one for one in keyed))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
