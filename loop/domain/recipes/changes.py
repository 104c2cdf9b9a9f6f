"""From one version of a recipe to the next: what changes, what that means, and what may not happen silently."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from loop.domain.errors import Conflict
from loop.domain.recipes.ontology import Label
from loop.domain.recipes.recipe import BadRecipe, Flaw, Recipe


class RecipeOrphans(Conflict):
    code, title = "recipe-orphans", "The new recipe has no place for shapes that are there"


@dataclass(frozen=True, slots=True)
class RecipeChange:
    """Between two versions. added: names in the new one; removed, redrawn: in the old one; renamed: old to new.
    redrawn: with another geometry. attributes: new names of labels whose attributes differ."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    renamed: Mapping[str, str]
    redrawn: tuple[str, ...]
    attributes: tuple[str, ...]
    links: bool
    rules: bool
    guidelines: bool

    @property
    def orphaned(self) -> tuple[str, ...]:
        """Old names of labels whose shapes the new version has no place for."""
        return (*self.removed, *self.redrawn)


@dataclass(frozen=True, slots=True)
class Holdings:
    """What there is that a change may touch. shapes: of the newest ground truths, by label; open_tasks: those without
    an answer; predicted: labels of the champion, none where there is no model."""

    shapes: Mapping[str, int]
    open_tasks: int
    predicted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Agreed:
    """What was asked to become of what a change orphans (docs/recipe.md)."""

    open_tasks: Literal["keep", "move"] | None = None
    ground_truth: Literal["drop"] | None = None


def change_between(old: Recipe, new: Recipe, renames: Mapping[str, str]) -> RecipeChange:
    """Raises BadRecipe for renames that do not lead from a label of the old version to one of the new."""
    if flaws := list(_rename_flaws(old, new, renames)):
        raise BadRecipe(flaws)
    labels = {label.name: label for label in new.labels}
    kept = [(label, labels[name]) for label in old.labels if (name := renames.get(label.name, label.name)) in labels]
    reached = {after.name for _, after in kept}
    return RecipeChange(
        added=tuple(name for name in labels if name not in reached),
        removed=tuple(one.name for one in old.labels if renames.get(one.name, one.name) not in labels),
        renamed={before: after for before, after in renames.items() if before in old.label_names},
        redrawn=tuple(before.name for before, after in kept if before.geometry is not after.geometry),
        attributes=tuple(after.name for before, after in kept if before.attributes != after.attributes),
        links=old.link_types != new.link_types,
        rules=old.rules != new.rules,
        guidelines=old.guidelines != new.guidelines,
    )


def _rename_flaws(old: Recipe, new: Recipe, renames: Mapping[str, str]) -> Iterator[Flaw]:
    for before, after in renames.items():
        path = f"renames.{before}"
        done = (label := old.label_of(before)) is not None and label.name == after  # a document that is sent again
        if before not in old.label_names and not done:
            yield Flaw(path, f"version {old.version} has no label {before!r}", f"It has {', '.join(old.label_names)}.")
        if after not in new.label_names:
            yield Flaw(path, f"the new version has no label {after!r}", "Add the label, or remove the rename.")
        if before in new.label_names:
            yield Flaw(path, f"the new version still has {before!r}", "Remove the label, or the rename.")


def carried(old: Recipe, new: Recipe, renames: Mapping[str, str]) -> Recipe:
    """The new version, whose labels remember every name they had. Raises BadRecipe where one of these is in use again:
    what a model means by it could not be told."""
    labels = tuple(replace(label, formerly=_former_names(label, old, renames)) for label in new.labels)
    owners: dict[str, str] = {label.name: label.name for label in labels}
    for number, label in enumerate(labels):
        for former in label.formerly:
            if owners.setdefault(former, label.name) != label.name:
                raise BadRecipe(
                    [
                        Flaw(
                            f"labels[{number}]",
                            f"{label.name!r} was called {former!r}, as {owners[former]!r} is or was",
                            "Choose a name that no other label had: models trained before still predict it.",
                        )
                    ]
                )
    return replace(new, labels=labels)


def _former_names(label: Label, old: Recipe, renames: Mapping[str, str]) -> tuple[str, ...]:
    sources = [one for one in old.labels if renames.get(one.name, one.name) == label.name]
    names = [*label.formerly, *(name for one in sources for name in (*one.formerly, one.name))]
    return tuple(name for name in dict.fromkeys(names) if name != label.name)


def require_agreed(change: RecipeChange, holdings: Holdings, agreed: Agreed) -> None:
    """Raises RecipeOrphans where shapes or open tasks would lose their label, and nobody has said how."""
    shapes = {name: holdings.shapes[name] for name in change.orphaned if holdings.shapes.get(name)}
    wanted: list[str] = []
    found: list[str] = []
    if shapes and agreed.ground_truth is None:
        found += [f"{count} shapes of {name!r} in the ground truth" for name, count in shapes.items()]
        wanted.append("migrate.ground_truth: drop (new versions of the ground truth leave them out)")
    if change.orphaned and holdings.open_tasks and agreed.open_tasks is None:
        found.append(f"{holdings.open_tasks} open tasks")
        wanted.append("migrate.open_tasks: keep (answered under their version) or move (under the new one)")
    if wanted:
        raise RecipeOrphans(
            f"without {', '.join(map(repr, change.orphaned))} there is no place for {', '.join(found)}.",
            hint=f"Name a rename, keep the label, or say {' and '.join(wanted)}.",
            orphaned=list(change.orphaned),
            shapes=shapes,
            open_tasks=holdings.open_tasks,
        )


def consequences(old: Recipe, new: Recipe, change: RecipeChange, holdings: Holdings) -> tuple[str, ...]:
    """What follows from a change, for whoever makes it."""
    predicted = {name: old.detected_as(name) for name in holdings.predicted}
    told = [
        *_of_model(new, change, predicted),
        *(
            f"{holdings.shapes[name]} shapes of {name!r} in the ground truth become {after!r}."
            for name, after in change.renamed.items()
            if holdings.shapes.get(name) and name not in change.orphaned
        ),
    ]
    if change.attributes or change.links or change.rules:
        told.append("Answers that are there already are not checked again.")
    return tuple(told)


def _of_model(new: Recipe, change: RecipeChange, predicted: Mapping[str, str | None]) -> Iterator[str]:
    if not predicted:
        return
    unknown = [name for name in new.detected if name in change.added]
    if unknown:
        yield (
            f"The champion does not know {_named(unknown)}: it finds none until a model that was trained on it is "
            "promoted, and until then each one that people draw counts as missed."
        )
    lost = [name for name, label in predicted.items() if label in change.orphaned]
    if lost:
        yield (
            f"The champion goes on predicting {_named(lost)} for its callers until another model is promoted. "
            "People are not shown it, and it counts neither as right nor as wrong."
        )
    for name, label in predicted.items():
        if label is not None and label in change.renamed and label not in change.orphaned:
            yield (
                f"The champion goes on predicting {name!r} for its callers until another model is promoted. People see "
                f"it as {change.renamed[label]!r}, and a training goes on from what the model knows of it."
            )


def _named(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
