"""The command line. Each command reads settings, calls one use case or the running service, prints what came of it.

An error that a user can cause is one line and what to do next, never a traceback; exit status 2.
"""

import sys

from rich.console import Console

# In the order in which `askance --help` shows what they add.
# isort: off
import loop.cli.service
import loop.cli.data
import loop.cli.items
import loop.cli.collecting
import loop.cli.selections
import loop.cli.duplicates
import loop.cli.search_index
import loop.cli.maps
import loop.cli.drift
import loop.cli.guarantee
import loop.cli.models
import loop.cli.canaries
import loop.cli.cycles
import loop.cli.evaluations
import loop.cli.snapshots
import loop.cli.annotations
import loop.cli.clips
import loop.cli.projects
import loop.cli.history
import loop.cli.recipes
import loop.cli.policies
import loop.cli.people
import loop.cli.tasks
import loop.cli.functions
import loop.cli.label_errors
import loop.cli.comments
import loop.cli.work
import loop.cli.lots
import loop.cli.production
import loop.cli.outcomes
import loop.cli.gate
import loop.cli.quality
import loop.cli.label_studio  # noqa: F401

# isort: on
from loop.cli.command_line import app
from loop.cli.webhooks import webhooks_app
from loop.domain.errors import AskanceError

app.add_typer(webhooks_app, name="webhooks")


def main() -> None:
    try:
        app()
    except AskanceError as error:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"error: {error.detail}", style="bold red", markup=False, end=" ")
        console.print(error.hint, markup=False)
        sys.exit(2)
