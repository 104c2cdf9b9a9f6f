"""`askance policy`: how a project routes, queues, checks and promises, as one document."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from loop.cli.command_line import ConfigOption, ProjectOption, UrlOption, app, can_ask, client_of, console
from loop.cli.documents import policy_in

policy_app = typer.Typer(
    no_args_is_help=True, help="How a project routes, queues, checks and promises (configs/flows/)."
)
app.add_typer(policy_app, name="policy")


@policy_app.command("show")
def show(
    project: ProjectOption,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, which can be set as well.")] = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """The policy as YAML, to be edited and set."""
    import yaml

    from loop.cli.policy_changes import document_of

    with client_of(config, url) as client:
        policy = client.project(project).policy
    document = document_of(policy)
    if as_json:
        sys.stdout.write(json.dumps(document) + "\n")
        return
    console.out(f"# {project}, policy version {policy.version}")
    console.out(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), end="")


@policy_app.command("set")
def set_(
    file: Annotated[Path, typer.Argument(help="YAML or JSON, what PATCH …/policy takes; - for the standard input.")],
    project: ProjectOption,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask where other predictions go to people.")] = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Change what the file says, and tell what that was. What it leaves out stays; lists and maps are replaced.

    Where it changes which predictions go to people, a terminal asks first.
    """
    from loop.cli.policy_changes import changes_to, differences, document_of, routing_effects

    document = policy_in(file)
    with client_of(config, url) as client:
        before = client.project(project).policy
        changes = changes_to(before, document)
        if not changes:
            console.print(f"nothing to change; policy version {before.version} says all of it")
            return
        if effects := routing_effects(before, changes):
            console.print("This changes what goes to people:", *effects, sep="\n  ", markup=False, soft_wrap=True)
            if can_ask() and not yes:
                typer.confirm("Go on?", abort=True)
        after = client.change_policy(project, **changes)
    for one in differences(document_of(before), document_of(after)):
        console.print(f"{one.place}: {_said(one.old)} → {_said(one.new)}", markup=False, soft_wrap=True)
    console.print(f"policy version {after.version}")
    if after.version > before.version + 1:
        console.print("Somebody else changed it at the same moment; that is among the lines above.")


def _said(value: object) -> str:
    from loop.cli.policy_changes import ABSENT

    if value is ABSENT:
        return "not there"
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
