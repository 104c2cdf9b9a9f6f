"""`askance index`: how the index stands that finds what looks alike."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

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
    progress_bar,
)

if TYPE_CHECKING:
    from serving.api.schemas.search_index import IndexOut, ListsOut


@app.command("index")
def index(
    project: ProjectOption,
    read: Annotated[bool, typer.Option("--read", help="Have it read, and wait until it is ready.")] = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """How the index of the champion's images stands: how many it has, what its searches find of the nearest."""
    with client_of(config, url) as client:
        if read:
            states = client.follow_index(project)
            found = _last(states) if as_json else _along_a_bar(states)
        else:
            found = client.search_index(project)
    if as_json:
        print_json(found)
        return
    console.print(f"{found.model_id}: {_phase(found)}", markup=False)
    console.print(f"{found.embeddings:,} images are in it, {found.waiting:,} are not yet")
    if found.phase != "unread":
        console.print("each search looks at all of them" if found.lists is None else _found_by(found.lists))
    if found.kept_at is not None:
        console.print(f"{found.kept:,} are kept in its file, of {found.kept_at:%Y-%m-%d %H:%M} UTC")


def _last(states: "Iterable[IndexOut]") -> "IndexOut":
    *_, last = states
    return last


def _along_a_bar(states: "Iterable[IndexOut]") -> "IndexOut":
    """The last of them."""
    with progress_bar() as bar:
        row = bar.add_task("", total=100)
        for state in states:
            share = 1.0 if state.progress is None else state.progress
            bar.update(row, description=f"index {state.phase}", completed=round(100 * share))
    return state


def _phase(index: "IndexOut") -> str:
    return index.phase if index.progress is None else f"{index.phase}, {index.progress:.0%}"


def _found_by(lists: "ListsOut") -> str:
    found = (
        f"each search looks at {lists.searched:,} of {lists.count:,} lists, made for {lists.made_for:,} images; "
        f"it found {lists.recall:.1%} of the ten nearest then"
    )
    if lists.recall < lists.wanted:
        return f"{found}, fewer than the {lists.wanted:.1%} that it was to find: looking at more does not help"
    return found
