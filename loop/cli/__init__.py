"""The command line. Each command reads settings, calls one use case or the running service, prints what came of it.

An error that a user can cause is one line and what to do next, never a traceback; exit status 2.
"""

import sys

from rich.console import Console

from loop.cli import maps as maps  # each module registers its commands
from loop.cli.commands import app
from loop.domain.errors import AskanceError


def main() -> None:
    try:
        app()
    except AskanceError as error:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"error: {error.detail}", style="bold red", markup=False, end=" ")
        console.print(error.hint, markup=False)
        sys.exit(2)
