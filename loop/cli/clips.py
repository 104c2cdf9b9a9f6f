"""`askance clips`: videos as sequences of frames."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loop.cli.annotations import follow_and_report
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
    progress_bar,
    settings_of,
    table_of,
    tracker,
)

if TYPE_CHECKING:
    from loop.domain.item import Item
    from loop.domain.items.clips import Group
    from loop.domain.ports import Blobs
    from serving.api.schemas.groups import GroupOut

clips_app = typer.Typer(no_args_is_help=True, help="Videos as sequences of frames, annotated as tracks.")
app.add_typer(clips_app, name="clips")

_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png"}


@clips_app.command("import")
def clips_import(
    video: Annotated[Path, typer.Argument(help="A video file on this machine.")],
    project: ProjectOption,
    every: Annotated[int | None, typer.Option(help="Take each so many frames; 1 where neither is given.")] = None,
    fps: Annotated[float | None, typer.Option(help="Take at most so many frames a second.")] = None,
    name: Annotated[str | None, typer.Option(help="What it is called; else the file's name.")] = None,
    source: Annotated[str, typer.Option(help="Where it comes from, e.g. camera-3.")] = "",
    predict: Annotated[bool, typer.Option("--predict", help="Let the champion predict its frames.")] = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """The frames of a video as items of a project, on the machine of the service. Again, or after an interruption, it
    adds what is missing."""
    from loop.domain.items.clips import sampling_of
    from loop.wiring import clips_of, open_blobs, open_store

    settings = settings_of(config)
    store, blobs = open_store(settings), open_blobs(settings)
    clips = clips_of(settings, store, blobs)
    with progress_bar() as bar:
        told = tracker(bar, f"importing {video.name}")
        imported = clips.import_file(
            project,
            video,
            name=name or video.name,
            sampling=sampling_of(every, fps),
            actor="import",
            source=source,
            on_progress=lambda done: told(done, 0),
        )
    group = imported.group
    console.print(f"{group.id}: {imported.added} frames added, {group.frames} in all", soft_wrap=True)
    for note in group.notes:
        console.print(f"  {note}", markup=False, soft_wrap=True)
    if predict:
        _predict(group, list(clips.unpredicted(group)), blobs, url, config)


@clips_app.command("list")
def clips_list(
    project: ProjectOption, as_json: JsonOption = False, url: UrlOption = None, config: ConfigOption = None
) -> None:
    """All groups of a project, newest first."""
    table = table_of("id", "kind", "name", "frames", "complete", "created")
    with client_of(config, url) as client:
        found = client.groups(project)
    if as_json:
        print_json(found)
        return
    for group in found:
        table.add_row(group.id, group.kind, group.name, str(group.frames), _yes(group.complete), _day(group))
    print_table(table)


@clips_app.command("show")
def clips_show(
    clip: Annotated[str, typer.Argument(metavar="ID")],
    project: ProjectOption,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Frames that are shown.")] = 20,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """What is known of a clip, and its first frames."""
    with client_of(config, url) as client:
        group = client.group(project, clip, limit=limit)
    if as_json:
        print_json(group)
        return
    console.print(f"{group.id} ({group.kind}) {group.name}: {group.frames} frames", markup=False, soft_wrap=True)
    for key, value in sorted(group.meta.items()):
        console.print(f"  {key}: {value}", markup=False, soft_wrap=True)
    for note in group.notes:
        console.print(f"  {note}", markup=False, soft_wrap=True)
    table = table_of("frame", "seconds", "number", "item")
    for frame in group.page:
        table.add_row(str(frame.index), _shown(frame.time), _shown(frame.number), frame.item_digest)
    print_table(table)


@clips_app.command("tasks")
def clips_tasks(
    clip: Annotated[str, typer.Argument(metavar="ID")],
    project: ProjectOption,
    window: Annotated[int | None, typer.Option(help="Frames of a task; otherwise one task over all.")] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Ask people for a clip: one task over all its frames, or over each window of them."""
    with client_of(config, url) as client:
        tasks = client.make_clip_tasks(project, clip, window)
    console.print(f"{'made' if tasks.made else 'there already'}: {', '.join(tasks.task_ids)}", soft_wrap=True)


def _predict(group: "Group", items: list["Item"], blobs: "Blobs", url: str | None, config: Path | None) -> None:
    """By the running service, from files that are there as long as it takes. None of them becomes a task by itself."""
    if not items:
        console.print("all frames have predictions")
        return
    with tempfile.TemporaryDirectory(prefix="askance-clip-") as folder, client_of(config, url) as client:
        _write(items, blobs, Path(folder))
        started = client.start_annotation(group.project_id, folder, model_id=None, review=False)
        follow_and_report(client, started)


def _write(items: Iterable["Item"], blobs: "Blobs", folder: Path) -> None:
    for number, item in enumerate(items):
        (folder / f"{number:06}{_SUFFIXES[item.media_type]}").write_bytes(blobs.get(item.digest))


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _day(group: "GroupOut") -> str:
    return f"{group.created_at:%Y-%m-%d %H:%M}"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
