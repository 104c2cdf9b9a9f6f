"""Recipes: what people annotate, version by version; and what is wrong with an answer by one."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from loop.recipe_document import RecipeDocument
from loop.recipes import RecipeOutcome
from serving.api.auth import Anyone, Operator, Reader, Wired
from serving.api.documents import described, recipe_document
from serving.api.presenters import recipe_out, shapes_in
from serving.api.schemas.recipes import (
    RecipeChangeOut,
    RecipeOut,
    RecipeOutcomeOut,
    RecipeVersionOut,
    RecipeVersionsOut,
)
from serving.api.schemas.review import CheckIn, CheckOut

router = APIRouter(prefix="/v1", tags=["recipes"])

Version = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get("/projects/{project_id}/recipe")
def newest(project_id: str, token: Reader, wired: Wired) -> RecipeOut:
    return recipe_out(wired.recipes.newest(project_id))


@router.get("/projects/{project_id}/recipe/versions")
def versions(project_id: str, token: Reader, wired: Wired) -> RecipeVersionsOut:
    found = wired.recipes.versions(project_id)
    return RecipeVersionsOut(
        versions=[RecipeVersionOut(recipe=recipe_out(one.recipe), open_tasks=one.open_tasks) for one in found]
    )


@router.get("/projects/{project_id}/recipe/{version}")
def version(project_id: str, version: Version, token: Reader, wired: Wired) -> RecipeOut:
    return recipe_out(wired.recipes.version(project_id, version))


@router.post("/projects/{project_id}/recipe", openapi_extra=described(RecipeDocument))
def change(
    project_id: str,
    token: Operator,
    wired: Wired,
    body: Annotated[RecipeDocument, Depends(recipe_document)],
    dry_run: Annotated[bool, Query(description="only tell what it would do")] = False,
) -> RecipeOutcomeOut:
    """The next version of the recipe, from a JSON or YAML document (docs/recipe.md)."""
    if dry_run:
        return _outcome_out(wired.recipes.preview(project_id, body))
    return _outcome_out(wired.recipes.change(project_id, body, token.name))


# The project of a task is known only once the task is read; the use case checks the permission there.
@router.post("/tasks/{task_id}/check")
def check(task_id: str, body: CheckIn, token: Anyone, wired: Wired) -> CheckOut:
    """What submitting these shapes would meet, as one works; nobody needs to hold the task."""
    return CheckOut.model_validate({"issues": wired.checking.check(token, task_id, shapes_in(body.shapes))})


def _outcome_out(outcome: RecipeOutcome) -> RecipeOutcomeOut:
    return RecipeOutcomeOut(
        recipe=recipe_out(outcome.recipe),
        saved=outcome.saved,
        change=RecipeChangeOut.model_validate(outcome.change),
        consequences=list(outcome.consequences),
        moved=outcome.moved,
        relabelled=outcome.relabelled,
        dropped=outcome.dropped,
    )
