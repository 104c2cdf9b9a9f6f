"""`askance items add`: images without a prediction."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loop.cli.command_line import ConfigOption, ProjectOption, UrlOption, client_of, console, progress_bar, settings_of
from loop.cli.items import items_app
from loop.domain.errors import BadImage, Conflict, PayloadTooLarge

if TYPE_CHECKING:
    from loop.domain.annotation import SourceEntry

_SENDERS = 4
_SHOWN = 20
# Problems of one image, which leave the others as they are; a conflict: it was dropped before.
_OF_THE_IMAGE = frozenset(f"/problems/{error.code}" for error in (BadImage, PayloadTooLarge, Conflict))


@items_app.command("add")
def items_add(
    images: Annotated[str, typer.Argument(metavar="SRC", help="Folder, image, manifest (.txt, .jsonl, .csv) or URL.")],
    project: ProjectOption,
    source: Annotated[str | None, typer.Option(help="Where they come from; otherwise the folder's name.")] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Send every image of SRC that the project does not have; no model looks at them. Again, it changes nothing."""
    from loop.exchange.sources import FsspecSources, read_bytes
    from serving.client import ApiError

    limit = settings_of(config).limits.max_image_bytes
    place = images if "://" in images else os.path.abspath(Path(images).expanduser())  # noqa: PTH100 - `..` goes too
    entries = FsspecSources((images,)).list(place, any_folder=True)
    said = source or place.rstrip("/").rsplit("/", 1)[-1]
    counts = {True: 0, False: 0}
    bad: list[str] = []
    with client_of(config, url) as client, progress_bar() as bar, ThreadPoolExecutor(_SENDERS) as senders:
        client.project(project)  # where there is none, say so once

        def sent(entry: "SourceEntry") -> bool | str:
            """Whether it is new; why it was not taken."""
            try:
                content = read_bytes(entry.url, max_bytes=limit)
                about = {"source": entry.source or said, "group": entry.group, "name": entry.url[-1000:]}
                return client.add_item(project, content, **about).new
            except (BadImage, PayloadTooLarge) as error:
                return f"{entry.url}: {error.detail}"
            except ApiError as error:
                if error.type not in _OF_THE_IMAGE:
                    raise
                return f"{entry.url}: {error.detail}"

        for told in bar.track(senders.map(sent, entries), total=len(entries), description=f"sending {said}"):
            if isinstance(told, str):
                bad.append(told)
            else:
                counts[told] += 1
    for line in bad[:_SHOWN]:
        console.print(f"  bad  {line}", markup=False, soft_wrap=True)
    console.print(f"{counts[True]} images added, {counts[False]} there already, {len(bad)} bad")
