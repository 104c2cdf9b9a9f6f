"""`askance items add` and `askance upload`: images into a project."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from loop.cli.command_line import (
    ConfigOption,
    ProjectOption,
    UrlOption,
    app,
    client_of,
    console,
    progress_bar,
    settings_of,
)
from loop.cli.items import items_app
from loop.domain.errors import BadImage, Conflict, Invalid, PayloadTooLarge
from loop.domain.identity import digest_of
from loop.domain.policy.workflow import LARGEST_LOT

if TYPE_CHECKING:
    from loop.domain.items.annotation import SourceEntry
    from serving.api.schemas.collecting import CollectedOut
    from serving.client import Client

_SENDERS = 4
_SHOWN = 20
# Problems of one image, which leave the others as they are; a conflict: it was dropped before.
_OF_THE_IMAGE = frozenset(f"/problems/{error.code}" for error in (BadImage, PayloadTooLarge, Conflict))

ImagesArgument = Annotated[
    str, typer.Argument(metavar="SRC", help="Folder, image, manifest (.txt, .jsonl, .csv) or URL.")
]
SourceOption = Annotated[str | None, typer.Option(help="Where they come from; otherwise the folder's name.")]

# Sends an image of an entry; whether it is new.
Send: TypeAlias = "Callable[[SourceEntry, bytes], bool]"


@items_app.command("add")
def items_add(
    images: ImagesArgument,
    project: ProjectOption,
    source: SourceOption = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Send every image of SRC that the project does not have; no model looks at them. Again, it changes nothing."""
    said, entries = _listed(images, source)
    limit = settings_of(config).limits.max_image_bytes
    with client_of(config, url) as client:
        client.project(project)  # where there is none, say so once

        def send(entry: "SourceEntry", content: bytes) -> bool:
            return _added(client, project, entry, content, said).new

        new, known, bad = _sent(entries, send, limit, said)
    console.print(f"{new} images added, {known} there already, {bad} bad")


@app.command("upload")
def upload(
    images: ImagesArgument,
    project: ProjectOption,
    source: SourceOption = None,
    lot: Annotated[str | None, typer.Option(help="Go on with an upload that was broken off.")] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Send every image of SRC to people, as one lot: QA looks at its share of their answers, which decides for all.

    The model draws first, where the project has one. Needs a policy with lots (workflow.qa: lots, docs/workflow.md).
    """
    said, entries = _listed(images, source)
    if not entries or len(entries) > LARGEST_LOT:
        raise Invalid(
            f"{images} has {len(entries)} images, and an upload 1 to {LARGEST_LOT}.",
            hint="Send it in several parts, each of which is a lot." if entries else "Name a folder with images.",
        )
    limit = settings_of(config).limits.max_image_bytes
    with client_of(config, url) as client:
        predicted = client.project(project).champion_id is not None
        lot_id = lot or client.open_upload(project, said[:200]).id
        console.print(f"upload {lot_id}; broken off, go on with --lot {lot_id}", soft_wrap=True)
        send = _predicting(client, project, lot_id, said) if predicted else _asking(client, project, lot_id, said)
        new, known, bad = _sent(entries, send, limit, said)
        if not new and lot is None:  # what goes on may have all of it already
            console.print(f"Nothing new: {known} images were with people before, {bad} bad. Left empty, {lot_id} ends.")
            return
        closed = client.close_upload(project, lot_id)
    console.print(f"{closed.items} images are with people, {known} were before, {bad} bad")
    console.print(f"How it goes: askance lots show {lot_id} -p {project}", soft_wrap=True)


def _predicting(client: "Client", project: str, lot_id: str, said: str) -> Send:
    def send(entry: "SourceEntry", content: bytes) -> bool:
        """The key makes an upload that goes on send nothing twice."""
        source, key = entry.source or said, f"{lot_id} {digest_of(content)}"
        made = client.predict(project, content, source=source, group=entry.group, key=key, lot=lot_id)
        return made.task_id is not None

    return send


def _asking(client: "Client", project: str, lot_id: str, said: str) -> Send:
    def send(entry: "SourceEntry", content: bytes) -> bool:
        return _added(client, project, entry, content, said, lot_id).task_id is not None

    return send


def _added(
    client: "Client", project: str, entry: "SourceEntry", content: bytes, said: str, lot_id: str | None = None
) -> "CollectedOut":
    source, name = entry.source or said, entry.url[-1000:]
    return client.add_item(project, content, source=source, group=entry.group, name=name, lot=lot_id)


def _listed(images: str, source: str | None) -> tuple[str, "list[SourceEntry]"]:
    """What they are called, and where they are."""
    from loop.exchange.sources import FsspecSources

    place = images if "://" in images else os.path.abspath(Path(images).expanduser())  # noqa: PTH100 - `..` goes too
    entries = FsspecSources((images,)).list(place, any_folder=True)
    return source or place.rstrip("/").rsplit("/", 1)[-1], list(entries)


def _sent(entries: "Sequence[SourceEntry]", send: Send, limit: int, said: str) -> tuple[int, int, int]:
    """How many are new, how many are not, and how many are bad, which are told."""
    from loop.exchange.sources import read_bytes
    from serving.client import ApiError

    def sent(entry: "SourceEntry") -> bool | str:
        """Whether it is new; why it was not taken."""
        try:
            return send(entry, read_bytes(entry.url, max_bytes=limit))
        except (BadImage, PayloadTooLarge) as error:
            return f"{entry.url}: {error.detail}"
        except ApiError as error:
            if error.type not in _OF_THE_IMAGE:
                raise
            return f"{entry.url}: {error.detail}"

    counts = {True: 0, False: 0}
    bad: list[str] = []
    with progress_bar() as bar, ThreadPoolExecutor(_SENDERS) as senders:
        for told in bar.track(senders.map(sent, entries), total=len(entries), description=f"sending {said}"):
            if isinstance(told, str):
                bad.append(told)
            else:
                counts[told] += 1
    for line in bad[:_SHOWN]:
        console.print(f"  bad  {line}", markup=False, soft_wrap=True)
    return counts[True], counts[False], len(bad)
