"""Recipes, their versions, and what a change of one does."""

from pydantic import Field

from loop.domain.truth import Geometry
from loop.recipes.document import AttributeDocument, LinkTypeDocument, RuleDocument
from serving.api.schemas.wire import Out


class LabelOut(Out):
    name: str
    color: str
    key: str
    geometry: Geometry = Geometry.BOX
    attributes: list[AttributeDocument] = Field(default=[])
    formerly: list[str] = Field(default=[], description="names in earlier versions")


class RecipeOut(Out):
    """Send it changed, as JSON or YAML, to make the next version (docs/recipe.md)."""

    version: int
    labels: list[LabelOut]
    links: list[LinkTypeDocument] = Field(default=[])
    rules: list[RuleDocument] = Field(default=[])
    guidelines: str


class RecipeVersionOut(Out):
    recipe: RecipeOut
    open_tasks: int | None = Field(
        description="unfinished tasks that are answered under this version; null for reviewers"
    )


class RecipeVersionsOut(Out):
    versions: list[RecipeVersionOut] = Field(description="the newest first")


class RecipeChangeOut(Out):
    added: list[str]
    removed: list[str]
    renamed: dict[str, str] = Field(description="old name: new name")
    redrawn: list[str] = Field(description="labels with another geometry")
    attributes: list[str] = Field(description="labels whose attributes differ")
    links: bool
    rules: bool
    guidelines: bool


class RecipeOutcomeOut(Out):
    recipe: RecipeOut
    saved: bool = Field(description="false for a dry run, and where nothing changes")
    change: RecipeChangeOut
    consequences: list[str]
    moved: int = Field(description="open tasks that are answered under this version now")
    relabelled: int = Field(description="items whose ground truth has a new version")
    dropped: int = Field(description="shapes that these versions leave out")


class GuidelinePictureOut(Out):
    digest: str
    media_type: str
    width: int
    height: int
    markdown: str = Field(
        description="to be written into the guidelines, with words in the brackets for who cannot see it"
    )
