"""`askance project` and `askance token`."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loop.cli.command_line import (
    ConfigOption,
    JsonOption,
    UrlOption,
    app,
    client_of,
    console,
    print_json,
    print_table,
    table_of,
)
from loop.cli.documents import document_in
from loop.domain.access import Role
from loop.domain.errors import Conflict, Invalid, NotFound

if TYPE_CHECKING:
    from serving.api.schemas.projects import TokenOut

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
def project_list(as_json: JsonOption = False, url: UrlOption = None, config: ConfigOption = None) -> None:
    """All projects."""
    table = table_of("project", "labels", "champion", "predictions", "routed", "open tasks")
    with client_of(config, url) as client:
        projects = client.projects()
        if as_json:
            print_json(projects)
            return
        for project in projects:
            figures = client.summary(project.id)
            labels = ", ".join(label.name for label in project.recipe.labels[:8])
            counts = (figures.predictions, figures.routed, figures.tasks.get("open", 0))  # type: ignore[call-overload]
            table.add_row(project.id, labels, project.champion_id or "-", *map(str, counts))
    print_table(table)


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


@token_app.command("list")
def token_list(
    revoked: Annotated[bool, typer.Option("--revoked", help="Also those that count no more.")] = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Who may call, oldest first."""
    with client_of(config, url) as client:
        tokens = [one for one in client.tokens() if revoked or one.revoked_at is None]
    if as_json:
        print_json(tokens)
        return
    table = table_of("id", "name", "role", "project", "created (UTC)", *(["revoked (UTC)"] if revoked else []))
    for one in tokens:
        ended = [_moment(one.revoked_at)] if revoked else []
        table.add_row(one.id, one.name, one.role, one.project_id or "all", _moment(one.created_at), *ended)
    print_table(table)


@token_app.command("revoke")
def token_revoke(
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="Its id or its name (askance token list).")],
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """End a token: from the next call on its secret counts no more. What was done with it stays."""
    with client_of(config, url) as client:
        found = _one_of(client.tokens(), token)
        if found.revoked_at is not None:
            console.print(
                f"{found.id} ({found.name}) is revoked since {_moment(found.revoked_at)} UTC",
                markup=False,
                soft_wrap=True,
            )
            return
        client.revoke_token(found.id)
    console.print(
        f"revoked {found.id} ({found.name}, {found.role} for {found.project_id or 'all'})", markup=False, soft_wrap=True
    )


def _one_of(tokens: "list[TokenOut]", given: str) -> "TokenOut":
    """By its id; by its name among those that count."""
    found = [one for one in tokens if one.id == given or (one.name == given and one.revoked_at is None)]
    if not found:
        raise NotFound(f"there is no valid token {given!r}.", hint="See askance token list.", token=given)
    if len(found) > 1:
        ids = ", ".join(f"{one.id} ({one.role} for {one.project_id or 'all'})" for one in found)
        raise Conflict(f"{len(found)} tokens are called {given!r}.", hint=f"Name the id: {ids}.", token=given)
    return found[0]


def _moment(at: datetime | None) -> str:
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
