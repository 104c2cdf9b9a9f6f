"""`askance recipe`: what people annotate, version by version."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loop.cli.command_line import (
    ConfigOption,
    JsonOption,
    ProjectOption,
    UrlOption,
    app,
    client_of,
    console,
    print_json,
    print_table,
    table_of,
)
from loop.cli.documents import bytes_of, document_in
from loop.domain.errors import Invalid
from loop.domain.recipes.recipe import BadRecipe

if TYPE_CHECKING:
    from serving.api.schemas.recipes import RecipeOutcomeOut

recipe_app = typer.Typer(no_args_is_help=True, help="Labels, attributes, links, rules and guidelines.")
app.add_typer(recipe_app, name="recipe")

FileArgument = Annotated[Path, typer.Argument(help="YAML or JSON, as docs/recipe.md says; - for the standard input.")]
RenameOption = Annotated[
    list[str] | None, typer.Option("--rename", help="OLD=NEW: the label keeps its shapes under its new name.")
]


class OpenTasks(StrEnum):
    keep = "keep"
    move = "move"


class Truth(StrEnum):
    drop = "drop"


@recipe_app.command("show")
def show(
    project: ProjectOption,
    version: Annotated[int | None, typer.Option(help="Left out: the newest.")] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """The recipe as YAML, to be edited and set."""
    import yaml

    with client_of(config, url) as client:
        recipe = client.recipe(project, version)
    if as_json:
        print_json(recipe)
        return
    body = recipe.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    console.out(yaml.safe_dump(body, sort_keys=False, allow_unicode=True), end="")


@recipe_app.command("versions")
def versions(
    project: ProjectOption, as_json: JsonOption = False, url: UrlOption = None, config: ConfigOption = None
) -> None:
    """All versions, the newest first, and the open tasks that are answered under each."""
    table = table_of("version", "labels", "links", "rules", "open tasks")
    with client_of(config, url) as client:
        found = client.recipe_versions(project)
    if as_json:
        print_json(found)
        return
    for one in found:
        recipe = one.recipe
        counts = (len(recipe.links), len(recipe.rules), one.open_tasks)
        table.add_row(str(recipe.version), ", ".join(label.name for label in recipe.labels), *map(str, counts))
    print_table(table)


@recipe_app.command("check")
def check(
    file: FileArgument,
    project: Annotated[
        str | None, typer.Option("--project", "-p", help="Also tell what it would change there.")
    ] = None,
    rename: RenameOption = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Whether a document can be a recipe: every error with its place, and how many."""
    from loop.recipes.document import checked_document

    try:
        body = _body(file, rename)
        recipe = checked_document(body).recipe(1)
    except BadRecipe as error:
        for flaw in error.flaws:
            console.print(f"{flaw.path or file}: {flaw.problem}. {flaw.hint}", markup=False, soft_wrap=True)
        raise
    console.print(f"{len(recipe.labels)} labels, {len(recipe.link_types)} types of links, {len(recipe.rules)} rules")
    if project is not None:
        with client_of(config, url) as client:
            _tell(client.change_recipe(project, body, dry_run=True))


@recipe_app.command("picture")
def picture(
    file: Annotated[Path, typer.Argument(help="JPEG, PNG or WebP, 5 MB at most; - for the standard input.")],
    project: ProjectOption,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Send a picture for the guidelines, and print the Markdown that shows it there."""
    content = bytes_of(file, hint="Name a picture's file.")
    with client_of(config, url) as client:
        console.out(client.add_guideline_picture(project, content).markdown)


@recipe_app.command("set")
def set_(
    file: FileArgument,
    project: ProjectOption,
    rename: RenameOption = None,
    open_tasks: Annotated[
        OpenTasks | None, typer.Option(help="keep: answered under their version; move: under the new one.")
    ] = None,
    ground_truth: Annotated[
        Truth | None, typer.Option(help="drop: leave shapes out that the new version has no label for.")
    ] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """The document as the next version. What it changes is told; nothing is orphaned silently."""
    with client_of(config, url) as client:
        _tell(client.change_recipe(project, _body(file, rename, open_tasks, ground_truth)))


def _body(
    file: Path,
    renames: list[str] | None,
    open_tasks: OpenTasks | None = None,
    ground_truth: Truth | None = None,
) -> dict[str, Any]:
    """The document of a file, with what the options say besides."""
    body = document_in(file)
    for rename in renames or ():
        old, _, new = rename.partition("=")
        if not old or not new:
            raise Invalid(f"{rename!r} is no rename.", hint="Write --rename OLD=NEW.")
        body.setdefault("renames", {})[old] = new
    for name, value in (("open_tasks", open_tasks), ("ground_truth", ground_truth)):
        if value is not None:
            body.setdefault("migrate", {})[name] = value.value
    return body


def _tell(outcome: "RecipeOutcomeOut") -> None:
    change = outcome.change
    changed = [
        *(f"added {name}" for name in change.added),
        *(f"removed {name}" for name in change.removed),
        *(f"renamed {old} to {new}" for old, new in change.renamed.items()),
        *(f"{name} is drawn otherwise" for name in change.redrawn),
        *(f"attributes of {name} changed" for name in change.attributes),
        *(f"{part} changed" for part in ("links", "rules", "guidelines") if getattr(change, part)),
    ]
    console.print("; ".join(changed) or "nothing changes", markup=False)
    for line in outcome.consequences:
        console.print(f"- {line}", markup=False)
    if outcome.saved:
        console.print(
            f"version {outcome.recipe.version}: {outcome.moved} open tasks moved, {outcome.relabelled} items with new "
            f"ground truth, {outcome.dropped} shapes left out of it"
        )
