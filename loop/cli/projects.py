"""`askance project` and `askance token`."""

from pathlib import Path
from typing import Annotated

import typer

from loop.cli.command_line import ConfigOption, UrlOption, app, client_of, console, table_of
from loop.cli.documents import document_in
from loop.domain.access import Role
from loop.domain.errors import Invalid

token_app = typer.Typer(no_args_is_help=True, help="Who may call: producers, reviewers, operators.")
app.add_typer(token_app, name="token")

project_app = typer.Typer(no_args_is_help=True, help="Detection problems.")
app.add_typer(project_app, name="project")


@project_app.command("create")
def project_create(
    project: Annotated[str, typer.Argument(help="1 to 63 lower-case letters, digits and dashes.")],
    labels: Annotated[str | None, typer.Option(help="Comma-separated, of plain boxes: car,person,bicycle")] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="YAML or JSON, as docs/recipe.md says; - for the standard input.")
    ] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """A project without data or model, of plain labels or a whole recipe."""
    if (labels is None) == (recipe is None):
        raise Invalid("say what people annotate.", hint="Name --labels car,person or --recipe FILE, one of them.")
    document = None if recipe is None else document_in(recipe)
    names = [label.strip() for label in (labels or "").split(",")]
    with client_of(config, url) as client:
        created = client.create_project(project, names, recipe=document)
    console.print(f"created {created.id} with {len(created.recipe.labels)} labels")


@project_app.command("list")
def project_list(url: UrlOption = None, config: ConfigOption = None) -> None:
    """All projects."""
    table = table_of("project", "labels", "champion", "predictions", "routed", "open tasks")
    with client_of(config, url) as client:
        for project in client.projects():
            figures = client.summary(project.id)
            labels = ", ".join(label.name for label in project.recipe.labels[:8])
            counts = (figures.predictions, figures.routed, figures.tasks.get("open", 0))  # type: ignore[call-overload]
            table.add_row(project.id, labels, project.champion_id or "-", *map(str, counts))
    console.print(table)


@token_app.command("create")
def token_create(
    name: Annotated[str, typer.Argument(help="Whose it is.")],
    role: Annotated[Role, typer.Option(help="What they may do.")],
    project: Annotated[str | None, typer.Option("--project", "-p", help="For this project only.")] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """A new token; its secret is shown once."""
    with client_of(config, url) as client:
        token = client.create_token(name, role, project)
    console.print(token.secret)
