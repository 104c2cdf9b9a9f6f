"""A project's recipe: its versions, and the way from one to the next, in one transaction."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from loop.domain.errors import Conflict
from loop.domain.ports import Clock, Event, Store, Transaction
from loop.domain.project import Project
from loop.domain.recipes.changes import (
    Agreed,
    Holdings,
    RecipeChange,
    carried,
    change_between,
    consequences,
    require_agreed,
)
from loop.domain.recipes.recipe import BadRecipe, Flaw, Recipe
from loop.recipes.document import RecipeDocument
from loop.recipes.guidelines import pictures_in


@dataclass(frozen=True, slots=True)
class RecipeOutcome:
    """recipe: the newest version, or what it would be. saved: whether this made it. moved: open tasks that are answered
    under it now; relabelled: items whose ground truth has a new version; dropped: shapes that this leaves out."""

    recipe: Recipe
    change: RecipeChange
    consequences: tuple[str, ...]
    saved: bool
    moved: int = 0
    relabelled: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class RecipeVersion:
    """open_tasks: unfinished ones that are answered under it."""

    recipe: Recipe
    open_tasks: int


@dataclass(frozen=True, slots=True)
class Recipes:
    """functions: the names that rules of the kind `function` may have. has_picture: whether a picture of the guidelines
    was sent."""

    store: Store
    functions: Callable[[], Iterable[str]]
    clock: Clock
    has_picture: Callable[[str], bool]

    def newest(self, project_id: str) -> Recipe:
        with self.store.read() as tx:
            return tx.projects.get(project_id).recipe

    def version(self, project_id: str, version: int) -> Recipe:
        with self.store.read() as tx:
            return tx.projects.recipe(project_id, version)

    def versions(self, project_id: str) -> list[RecipeVersion]:
        """The newest first."""
        with self.store.read() as tx:
            tx.projects.get(project_id)
            tasks = tx.tasks.by_recipe(project_id)
            return [RecipeVersion(recipe, tasks.get(recipe.version, 0)) for recipe in tx.projects.recipes(project_id)]

    def preview(self, project_id: str, document: RecipeDocument) -> RecipeOutcome:
        """What `change` would do. Raises what it would."""
        with self.store.read() as tx:
            return self._outcome(tx, tx.projects.get(project_id), document)[0]

    def change(self, project_id: str, document: RecipeDocument, actor: str) -> RecipeOutcome:
        """The document as the next version; one that says what the newest says makes none.

        Shapes of renamed labels in the newest ground truths, and with `drop` those of labels that are gone, are written
        anew as a next version of the ground truth; submissions never change. Raises BadRecipe, RecipeOrphans, Conflict
        where the document was made from another version than the newest, NotFound.
        """
        with self.store.begin() as tx:
            project = tx.projects.get(project_id)
            outcome, agreed = self._outcome(tx, project, document)
            if outcome.recipe == project.recipe:
                return outcome
            tx.projects.save_recipe(project_id, outcome.recipe)
            # Answers that came meanwhile are seen now, and later ones wait: look again.
            require_agreed(outcome.change, _holdings(tx, project), agreed)
            if agreed.open_tasks == "move":
                outcome = replace(outcome, moved=tx.tasks.move_to_recipe(project_id, outcome.recipe.version))
            relabelled, dropped = _rewrite_truths(tx, project_id, outcome)
            outcome = replace(outcome, saved=True, relabelled=relabelled, dropped=dropped)
            for kind, body in _told(outcome, agreed):
                tx.events.add(Event(kind, project_id, actor, body, self.clock()))
        return outcome

    def _outcome(self, tx: Transaction, project: Project, document: RecipeDocument) -> tuple[RecipeOutcome, Agreed]:
        old = project.recipe
        if document.version not in (None, old.version):
            raise Conflict(
                f"the document was made from version {document.version}, and the newest is {old.version}.",
                hint="Read the newest (askance recipe show), make the change there, and send that.",
                version=old.version,
            )
        new = document.recipe(old.version + 1, self.functions())
        self._require_pictures(new.guidelines)
        change = change_between(old, new, document.renames)
        new = carried(old, new, document.renames)
        agreed = Agreed(document.migrate.open_tasks, document.migrate.ground_truth)
        holdings = _holdings(tx, project)
        require_agreed(change, holdings, agreed)
        if replace(new, version=old.version) == old:
            new = old
        return RecipeOutcome(new, change, consequences(old, new, change, holdings), saved=False), agreed

    def _require_pictures(self, guidelines: str) -> None:
        missing = [digest for digest in pictures_in(guidelines) if not self.has_picture(digest)]
        if missing:
            what = f"there is no picture {missing[0][:12]}…" + (
                f", nor {len(missing) - 1} others" if missing[1:] else ""
            )
            raise BadRecipe(
                [Flaw("guidelines", what, "Send it first: askance recipe picture FILE tells what to write.")]
            )


def _holdings(tx: Transaction, project: Project) -> Holdings:
    model = tx.models.get(project.id, project.champion_id) if project.champion_id else None
    return Holdings(
        shapes=tx.truths.label_counts(project.id),
        open_tasks=sum(tx.tasks.by_recipe(project.id).values()),
        predicted=model.head.labels if model else (),
    )


def _rewrite_truths(tx: Transaction, project_id: str, outcome: RecipeOutcome) -> tuple[int, int]:
    """How many items got a new version of their truth, and how many shapes these leave out."""
    touched = {*outcome.change.renamed, *outcome.change.orphaned}
    if not touched:
        return 0, 0
    stale = [
        truth for _, truth in tx.truths.all_current(project_id) if any(shape.label in touched for shape in truth.shapes)
    ]
    # Nobody looked at the images again: who answered, and when, stays.
    anew = [
        replace(truth, version=truth.version + 1, shapes=outcome.recipe.translated(truth.shapes)) for truth in stale
    ]
    tx.truths.add_all(anew)
    return len(stale), sum(len(truth.shapes) for truth in stale) - sum(len(truth.shapes) for truth in anew)


def _told(outcome: RecipeOutcome, agreed: Agreed) -> list[tuple[str, Mapping[str, object]]]:
    change = outcome.change
    changed = {
        "version": outcome.recipe.version,
        "added": list(change.added),
        "removed": list(change.removed),
        "renamed": dict(change.renamed),
        "redrawn": list(change.redrawn),
    }
    if not (agreed.open_tasks or outcome.relabelled):
        return [("recipe.changed", changed)]
    migrated = {
        "version": outcome.recipe.version,
        "open_tasks": agreed.open_tasks,
        "moved": outcome.moved,
        "relabelled": outcome.relabelled,
        "dropped": outcome.dropped,
    }
    return [("recipe.changed", changed), ("recipe.migrated", migrated)]
