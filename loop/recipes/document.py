"""Recipes as people write them: a JSON or YAML document, of which every error is named by its path."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictStr, ValidationError
from pydantic_core import ErrorDetails

from loop.domain.errors import PayloadTooLarge
from loop.domain.recipes.ontology import AttributeType, label_from_json, labels_named, link_type_from_json
from loop.domain.recipes.recipe import BadRecipe, Flaw, Recipe, flaws_of
from loop.domain.recipes.rules import RULES, Severity, Side, Unit, rule_from_json
from loop.domain.truth import Geometry
from loop.recipes.plain_documents import Unreadable, read_document

# Guidelines are text; their pictures are sent by themselves (loop/recipes/guidelines.py).
MOST_BYTES = 1_000_000

Name = Annotated[StrictStr, Field(min_length=1, max_length=100, pattern=r"^\S(.*\S)?$")]
Names = Annotated[list[Name], Field(min_length=1, max_length=1000)]
Number = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Size = Annotated[Number, Field(ge=0)]
Share = Annotated[Number, Field(ge=0, le=1)]
Bound = Annotated[int, Field(ge=0, le=1_000_000, strict=True)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class AttributeDocument(_Part):
    name: Name
    type: AttributeType
    options: list[Name] = Field(default=[], max_length=1000)
    required: StrictBool = False
    min: Number | None = None
    max: Number | None = None
    tolerance: Number | None = Field(default=None, description="by which two people's numbers may differ")
    default: StrictStr | StrictBool | Number | list[Name] | None = None


class LabelDocument(_Part):
    name: Name
    color: str | None = Field(default=None, pattern=r"^#[0-9a-f]{6}$", description="#rrggbb; left out: the next free")
    key: str | None = Field(default=None, max_length=1, description="of the keyboard; left out: the next free")
    geometry: Geometry = Geometry.BOX
    attributes: list[AttributeDocument] = Field(default=[], max_length=100)
    formerly: list[Name] = Field(default=[], description="names in earlier versions; kept by the service")


class LinkTypeDocument(_Part):
    name: Name
    sources: Names = Field(alias="from", description="labels")
    targets: Names = Field(alias="to", description="labels")
    required: StrictBool = Field(default=False, description="the same as min_out: 1")
    min_out: Bound = 0
    max_out: Bound | None = None
    min_in: Bound = 0
    max_in: Bound | None = None


class _RuleDocument(_Part):
    id: Name | None = Field(default=None, description="unique; left out: rule-1 for the first")
    severity: Severity = Severity.ERROR


class RequiredAttributeDocument(_RuleDocument):
    kind: Literal["required_attribute"]
    label: Name
    attribute: Name


class CountDocument(_RuleDocument):
    kind: Literal["count"]
    label: Name
    min: Bound = 0
    max: Bound | None = None


class LinksDocument(_RuleDocument):
    kind: Literal["links"]
    label: Name
    link: Name
    side: Side = Side.OUT
    min: Bound = 0
    max: Bound | None = None


class SizeDocument(_RuleDocument):
    kind: Literal["size"]
    labels: Names
    unit: Unit = Unit.PIXELS
    min_width: Size | None = None
    max_width: Size | None = None
    min_height: Size | None = None
    max_height: Size | None = None
    min_area: Size | None = None
    max_area: Size | None = None


class OverlapDocument(_RuleDocument):
    kind: Literal["overlap"]
    label: Name
    other: Name | None = Field(default=None, description="left out: the same label")
    max_iou: Share


class InsideDocument(_RuleDocument):
    kind: Literal["inside"]
    label: Name
    within: Names
    share: Share = 1.0


class ForbiddenDocument(_RuleDocument):
    kind: Literal["forbidden"]
    labels: Annotated[list[Name], Field(min_length=2, max_length=2)]


class FunctionDocument(_RuleDocument):
    kind: Literal["function"]
    function: Name


RuleDocument = Annotated[
    RequiredAttributeDocument
    | CountDocument
    | LinksDocument
    | SizeDocument
    | OverlapDocument
    | InsideDocument
    | ForbiddenDocument
    | FunctionDocument,
    Field(discriminator="kind"),
]


class Migration(_Part):
    """What becomes of work that a change would orphan."""

    open_tasks: Literal["keep", "move"] | None = Field(
        default=None,
        description="keep: they are answered under the version they were made with; move: under the new one",
    )
    ground_truth: Literal["drop"] | None = Field(
        default=None, description="drop: a new version of the ground truth leaves the shapes out; the old one stays"
    )


class RecipeDocument(_Part):
    version: Bound | None = Field(default=None, description="that it was made from; another one is newest: 409")
    labels: Annotated[
        list[Annotated[LabelDocument, BeforeValidator(lambda v: {"name": v} if isinstance(v, str) else v)]],
        Field(min_length=1, max_length=1000),
    ]
    links: list[LinkTypeDocument] = Field(default=[], max_length=1000)
    rules: list[RuleDocument] = Field(default=[], max_length=1000)
    guidelines: str = Field(default="", max_length=500_000, description="Markdown")
    renames: dict[Name, Name] = Field(default={}, description="old name: new name; else the old one is removed")
    migrate: Migration = Field(default_factory=Migration)

    def recipe(self, version: int, functions: Iterable[str] | None = None) -> Recipe:
        """The recipe that is written here. Raises BadRecipe, naming everything that keeps it from being used.
        functions: those that rules may name; None: any."""
        recipe = Recipe(
            version=version,
            labels=tuple(label_from_json(one) for one in self._labels()),
            guidelines=self.guidelines,
            link_types=tuple(link_type_from_json(_link_type(one)) for one in self.links),
            rules=tuple(_rule(one, number) for number, one in enumerate(self.rules, start=1)),
        )
        if flaws := flaws_of(recipe, functions):
            raise BadRecipe(flaws)
        return recipe

    def _labels(self) -> list[dict[str, Any]]:
        """With colours and keys where there are none, as of `labels_named`; keys that the document gives are given."""
        names = [one.name for one in self.labels]
        distinct = (name if names.index(name) == at else f"{at}:" for at, name in enumerate(names))
        plain = labels_named(tuple(distinct))
        given = {one.key for one in self.labels if one.key}
        own = {known.key for one, known in zip(self.labels, plain, strict=True) if one.key is None} & set(names) - given
        free = iter(label.key for label in plain if label.key and label.key not in given | own)
        documents = [one.model_dump(mode="json", exclude_unset=True) for one in self.labels]
        for document, default in zip(documents, plain, strict=True):
            if document.get("color") is None:
                document["color"] = default.color
            if document.get("key") is None:
                document["key"] = default.name if default.name in own else next(free, "")
        return documents


def _link_type(one: LinkTypeDocument) -> dict[str, Any]:
    document = one.model_dump(mode="json", by_alias=True, exclude={"required"})
    return document | {"min_out": max(one.min_out, int(one.required))}


def _rule(one: RuleDocument, number: int) -> Any:
    document = one.model_dump(mode="json", exclude_none=True)
    return rule_from_json({"id": f"rule-{number}", **document})


class ProjectDocument(RecipeDocument):
    """A new project: its id, and its first recipe. What a change of a recipe is made from has no meaning here: a recipe
    that was read from another project can be sent."""

    id: StrictStr = Field(description="1 to 63 lower-case letters, digits and dashes")

    def first_recipe(self, functions: Iterable[str] | None = None) -> Recipe:
        """As `recipe`."""
        if self.renames:
            flaw = Flaw("renames", "a new project has nothing that could be renamed", "Leave it out.")
            raise BadRecipe([flaw])
        return self.recipe(1, functions)


Document = TypeVar("Document", bound=RecipeDocument)


# --- reading ---------------------------------------------------------------------------------------------


def read_recipe(text: bytes) -> RecipeDocument:
    """The document in these bytes: JSON, or YAML without anchors. Raises BadRecipe, with a flaw for each error by its
    path; PayloadTooLarge beyond MOST_BYTES."""
    return checked_document(_read(text))


def read_project(text: bytes) -> ProjectDocument:
    """As `read_recipe`."""
    return _checked(ProjectDocument, _read(text))


def _read(text: bytes) -> object:
    if len(text) > MOST_BYTES:
        raise PayloadTooLarge(
            f"the recipe is larger than {MOST_BYTES:,} bytes.",
            hint="Shorten the guidelines; send pictures by themselves (askance recipe picture).",
        )
    return _parsed(text)


def checked_document(body: object) -> RecipeDocument:
    """The same for what a JSON or YAML document says."""
    return _checked(RecipeDocument, body)


def _checked(kind: type[Document], body: object) -> Document:
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        flaws = {flaw.path: flaw for flaw in map(_flaw, error.errors(include_url=False))}
        raise BadRecipe(list(flaws.values())) from error


def _parsed(text: bytes) -> object:
    try:
        return read_document(text)
    except Unreadable as error:
        hint = "Send JSON, or YAML without anchors and repeated keys."
        raise BadRecipe([Flaw("", f"cannot be read: {error.why}", hint)]) from error


def _flaw(error: ErrorDetails) -> Flaw:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in _place(error["loc"])).lstrip(".")
    hint = _HINTS.get(error["type"], "See docs/recipe.md for the form of the document.")
    return Flaw(path, _words(error), hint)


def _words(error: ErrorDetails) -> str:
    message = error["msg"][:1].lower() + error["msg"][1:]
    value = error.get("input")
    shown = f", not {value!r}" if isinstance(value, str | int | float) and len(repr(value)) < 80 else ""
    return "this field is not known" if error["type"] == "extra_forbidden" else message + shown


def _place(parts: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Without what pydantic adds to tell the branches of a union: the kind of a rule, the type of a default."""
    if parts[:1] == ("rules",):
        return (*parts[:2], *parts[3:])
    return parts[: parts.index("default") + 1] if "default" in parts else parts


_HINTS: Mapping[str, str] = {
    "extra_forbidden": "Correct its name, or remove it: what is not known is never silently ignored.",
    "missing": "Add it.",
    "union_tag_invalid": f"Kinds of rules: {', '.join(sorted(RULES))}.",
    "union_tag_not_found": f"Name its kind: {', '.join(sorted(RULES))}.",
}
