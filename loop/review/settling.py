"""The answers of several people to one work, settled by what is known of them."""

from collections.abc import Sequence
from dataclasses import replace

from loop.domain.errors import BadShape
from loop.domain.item import Item
from loop.domain.ports import Transaction
from loop.domain.project import Project
from loop.domain.quality.attributes import Attributes, attributes_of
from loop.domain.quality.consensus import Reliability
from loop.domain.quality.golden import checks_of
from loop.domain.quality.likeness import reach_of
from loop.domain.quality.reviewer_quality import reliability_of
from loop.domain.quality.settling import Merged, Refuses, Settlement, WorkAgreement, settled, unanimous
from loop.domain.recipes.recipe import Recipe
from loop.domain.recipes.rules import Severity
from loop.domain.review.tasks import Submission, Task
from loop.domain.truth import Shape

# Works whose votes tell who confuses which labels; more than these change little, and each answer waits for them.
_EARLIER = 40


def settle(tx: Transaction, project: Project, task: Task, answers: Sequence[Submission]) -> Settlement:
    """By the project's newest recipe and rules; keeps how far the people agreed. answers: all of a round."""
    recipe = project.recipe
    read = [replace(one, shapes=recipe.translated(one.shapes)) for one in answers]
    attributes = attributes_of(recipe)
    settlement = unanimous(read, attributes) or _compared(tx, project, task, read, attributes)
    tx.agreements.add(_kept(settlement, task, answers))
    return settlement


def _compared(
    tx: Transaction, project: Project, task: Task, read: Sequence[Submission], attributes: Attributes
) -> Settlement:
    """Of answers that differ, in the words of the newest recipe."""
    item = tx.items.get(project.id, task.item_digest)
    return settled(
        read,
        labels=project.recipe.label_names,
        reliabilities=_reliabilities(tx, project, read),
        rules=project.policy.quality.consensus,
        earlier=tx.agreements.votes(project.id, limit=_EARLIER),
        refuses=_refusing(project.recipe, item),
        attributes=attributes,
        reach=reach_of(item.width, item.height),
    )


def _refusing(recipe: Recipe, item: Item) -> Refuses:
    def refuses(shapes: Sequence[Shape]) -> str:
        try:
            recipe.checked(shapes, item.width, item.height)
        except BadShape as error:  # as a link of a shape whose label is another now
            return error.detail
        found = recipe.issues(tuple(shapes), item.width, item.height)
        if any(issue.severity is Severity.ERROR for issue in found):
            return "the merged shapes break a rule that answers must keep"
        # A package's function may take its second, for which no transaction waits: who adjudicates asks it.
        if any(rule.severity is Severity.ERROR for rule in recipe.functions):
            return "a rule of a package has not judged the merged shapes"
        return ""

    return refuses


def _reliabilities(tx: Transaction, project: Project, answers: Sequence[Submission]) -> dict[str, Reliability]:
    """By reviewer, of those who have answered golden items."""
    found = {}
    for answer in answers:
        scored = tx.golden.scored(project.id, answer.reviewer, limit=project.policy.quality.standing.window)
        if checks := checks_of(scored, project.recipe):
            found[answer.reviewer] = reliability_of([check.score for check in checks])
    return found


def merged_for(tx: Transaction, task: Task, recipe: Recipe) -> Merged | None:
    """What who adjudicates is shown; None where the answers could not be merged, or their labels are not those of the
    recipe that the task is answered by."""
    agreement = tx.agreements.get(task.work_id, task.round)
    if agreement is None or agreement.merged is None:
        return None
    shapes = recipe.translated(agreement.merged.shapes)
    return replace(agreement.merged, shapes=shapes) if len(shapes) == len(agreement.merged.shapes) else None


def _kept(settlement: Settlement, task: Task, answers: Sequence[Submission]) -> WorkAgreement:
    return WorkAgreement(
        work_id=task.work_id,
        round=task.round,
        project_id=task.project_id,
        item_digest=task.item_digest,
        reviewers=tuple(sorted(one.reviewer for one in answers)),
        adjudicated=settlement.shapes is None,
        f1=settlement.f1,
        iou=settlement.iou,
        pairs=settlement.pairs,
        votes=settlement.votes,
        reasons=settlement.reasons,
        merged=settlement.merged,
        created_at=answers[-1].created_at,
    )
