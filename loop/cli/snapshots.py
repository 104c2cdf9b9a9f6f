"""`askance snapshot`: which data cycles trained and were judged on."""

import tempfile
from enum import StrEnum
from pathlib import Path
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
    print_table,
    progress_bar,
    settings_of,
    table_of,
    tracker,
)
from loop.cli.writing import writing
from loop.domain.errors import Conflict

if TYPE_CHECKING:
    from serving.client import Client

snapshot_app = typer.Typer(no_args_is_help=True, help="Snapshots: the data that cycles trained and were judged on.")
app.add_typer(snapshot_app, name="snapshot")

DigestArgument = Annotated[str, typer.Argument(help="Its digest (askance snapshot list).")]
_SHOWN = 10


class SnapshotFormat(StrEnum):
    coco = "coco"
    yolo = "yolo"


@snapshot_app.command("list")
def snapshot_list(
    project: ProjectOption, as_json: JsonOption = False, url: UrlOption = None, config: ConfigOption = None
) -> None:
    """The snapshots of the newest cycles."""
    table = table_of("cycle", "of", "snapshot")
    with client_of(config, url) as client:
        found = client.snapshots(project)
    if as_json:
        print_json(found)
        return
    for row in found.snapshots:
        table.add_row(row.cycle_id, f"{row.created_at:%Y-%m-%d %H:%M}", row.digest)
    print_table(table)


@snapshot_app.command("show")
def snapshot_show(
    digest: DigestArgument,
    project: ProjectOption,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Images and boxes of each side of the split."""
    with client_of(config, url) as client:
        found = client.snapshot(project, digest)
    if as_json:
        print_json(found)
        return
    table = table_of("", *found.counts)
    table.add_row("images", *(str(count.images) for count in found.counts.values()))
    for label in found.labels:
        table.add_row(label, *(str(count.boxes[label]) for count in found.counts.values()))
    print_table(table)
    for why, images in found.left_out.items():
        console.print(f"left out of training: {images} images ({why})", markup=False)
    console.print(f"content {found.content}; cycles: {', '.join(found.cycles)}")


@snapshot_app.command("diff")
def snapshot_diff(
    before: DigestArgument,
    after: Annotated[str, typer.Argument(help="Another one's.")],
    project: ProjectOption,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Items that came, went, have other ground truth or moved to another side of the split; shapes of each label."""
    with client_of(config, url) as client:
        found = client.snapshot_diff(project, before, after, limit=10_000 if as_json else _SHOWN)
    if as_json:
        print_json(found)
        return
    if found.equal:
        console.print("both hold the same.")
        return
    _print_items("added", found.added_count, found.added)
    _print_items("removed", found.removed_count, found.removed)
    changed = [f"{one.item} version {one.before} to {one.after}" for one in found.changed]
    _print_items("with other ground truth", found.changed_count, changed)
    _print_items("moved", found.moved_count, [f"{one.item} {one.before} to {one.after}" for one in found.moved])
    table = table_of("", "before", "after", "change")
    rows = [*((f"images: {split}", count) for split, count in found.images.items()), *found.shapes.items()]
    for name, count in rows:
        table.add_row(name, str(count.before), str(count.after), f"{count.after - count.before:+d}")
    print_table(table)


@snapshot_app.command("export")
def snapshot_export(
    digest: DigestArgument,
    folder: Annotated[Path, typer.Argument(help="A new folder; from a service also a new .zip.")],
    format_: Annotated[SnapshotFormat, typer.Option("--format", "-f")],
    project: ProjectOption,
    link: Annotated[
        bool,
        typer.Option(
            "--link", help="Images as hard links, where the disk allows: no space, but who writes into one spoils both."
        ),
    ] = False,
    url: Annotated[
        str | None,
        typer.Option("--url", envvar="ASKANCE_URL", help="From this service, in place of this machine's files."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """A snapshot as it was, as a data set; without images that were dropped since."""
    if url is None:
        _export_here(digest, folder, format_, project, link, config)
    elif link:
        raise typer.BadParameter("--link is for files of this machine; a service sends copies.")
    else:
        with client_of(config, url) as client:
            _export_from(client, digest, folder, format_, project)


def _export_here(
    digest: str, folder: Path, format_: SnapshotFormat, project: str, link: bool, config: Path | None
) -> None:
    from loop.cycle.snapshots import Snapshots
    from loop.exchange.exporter import export_snapshot
    from loop.wiring import open_blobs, open_store

    settings = settings_of(config)
    store, blobs = open_store(settings), open_blobs(settings)
    snapshot = Snapshots(store, blobs).read(project, digest)
    with progress_bar() as bar:
        report = export_snapshot(
            store,
            blobs,
            snapshot,
            project_id=project,
            format=format_.value,
            folder=folder,
            link=link,
            on_progress=tracker(bar, f"exporting {digest[:12]}"),
        )
    console.print(report)


def _export_from(client: "Client", digest: str, folder: Path, format_: SnapshotFormat, project: str) -> None:
    """What is cut short on the way leaves nothing."""
    from loop.exchange.archives import unpacked
    from loop.exchange.exporter import new_folder, require_free

    if folder.is_file():
        raise Conflict(f"{folder} is there already.", hint="Name a new one; nothing is ever overwritten.")
    require_free(folder)
    with tempfile.TemporaryDirectory(prefix=".askance-", dir=_parent(folder)) as waiting:
        sent = client.save_snapshot(project, digest, Path(waiting) / "set.zip", format=format_.value)
        told = _told(sent)
        if folder.suffix.lower() == ".zip":
            sent.replace(folder)
        else:
            with new_folder(folder) as partial:
                unpacked(sent, partial)
    console.print(f"exported {digest[:12]} of {project} to {folder}: {told}", markup=False, soft_wrap=True)


def _told(sent: Path) -> str:
    """What a service says of an archive that it sent."""
    from zipfile import ZipFile

    from serving.api.schemas.exchange import ExportOut

    with ZipFile(sent) as archive:
        report = ExportOut.model_validate_json(archive.read("askance-export.txt"))
    left_out = [f"{count} {what}, which this format cannot hold" for what, count in report.left_out.items()]
    left_out += [f"{report.dropped} images that were dropped since"] if report.dropped else []
    return f"{report.images} images, {report.boxes} boxes" + "".join(f"; left out: {one}" for one in left_out)


def _parent(folder: Path) -> Path:
    """Made where it is missing. Raises Unavailable."""
    with writing("the snapshot", folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    return folder.parent


def _print_items(what: str, count: int, named: list[str]) -> None:
    console.print(f"{count} {what}")
    for one in named:
        console.print(f"  {one}", markup=False, soft_wrap=True)
    if count > len(named):
        console.print(f"  … and {count - len(named)} more (--json shows up to 10000)")
