"""Recipes: what people annotate, version by version; and what is wrong with an answer by one."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from loop.recipes.document import RecipeDocument
from loop.recipes.guidelines import MOST_PICTURE_BYTES
from loop.recipes.versions import RecipeOutcome
from serving.api.auth import Anyone, Operator, Reader, Wired
from serving.api.bodies import read_image
from serving.api.documents import described, recipe_document
from serving.api.pictures import image_response
from serving.api.presenters import is_blind, recipe_out, shapes_in
from serving.api.schemas.recipes import (
    GuidelinePictureOut,
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
        versions=[
            # How it changes with an answer would tell golden items from other work.
            RecipeVersionOut(recipe=recipe_out(one.recipe), open_tasks=None if is_blind(token) else one.open_tasks)
            for one in found
        ]
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


@router.post("/projects/{project_id}/guidelines/pictures", status_code=201)
async def add_picture(project_id: str, request: Request, token: Operator, wired: Wired) -> GuidelinePictureOut:
    """A picture for the guidelines of a recipe, as the body; `markdown` is what to write there."""
    content = await read_image(request, MOST_PICTURE_BYTES)
    picture = await run_in_threadpool(wired.guidelines.add, project_id, content)
    return GuidelinePictureOut(digest=picture.digest, markdown=picture.markdown, **asdict(picture.facts))


@router.get("/projects/{project_id}/guidelines/pictures/{digest}", response_class=Response)
def get_picture(project_id: str, digest: str, token: Reader, wired: Wired) -> Response:
    """A picture that a version of the guidelines names, as it was sent."""
    return image_response(*wired.guidelines.get(project_id, digest))


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
