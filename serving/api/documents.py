"""Documents that people write, as bodies: JSON or YAML, read by hand so that each error is named by its path."""

from typing import Any

from fastapi import Request

from loop.recipes.document import MOST_BYTES, ProjectDocument, RecipeDocument, read_project, read_recipe
from serving.api.bodies import read_body


async def recipe_document(request: Request) -> RecipeDocument:
    return read_recipe(await read_body(request, MOST_BYTES))


async def project_document(request: Request) -> ProjectDocument:
    return read_project(await read_body(request, MOST_BYTES))


def described(document: type[RecipeDocument]) -> dict[str, Any]:
    """The body for the OpenAPI document, which would not learn of it from a request that is read by hand; definitions
    in their places, since references would point into the whole document."""
    schema = document.model_json_schema()
    definitions = schema.pop("$defs")

    def placed(part: Any) -> Any:
        if isinstance(part, list):
            return [placed(one) for one in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return placed(definitions[part["$ref"].rpartition("/")[2]])
        return {name: placed(value) for name, value in part.items() if name != "discriminator"}

    media = {"schema": placed(schema)}
    return {"requestBody": {"required": True, "content": {"application/json": media, "application/yaml": media}}}
