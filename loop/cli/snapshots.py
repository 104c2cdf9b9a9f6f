"""`askance snapshot`: which data cycles trained and were judged on."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

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
from loop.cli.fetching import FromUrlOption, fetch

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
    url: FromUrlOption = None,
    config: ConfigOption = None,
) -> None:
    """A snapshot as it was, as a data set; without images that were dropped since."""
    if url is None:
        _export_here(digest, folder, format_, project, link, config)
    elif link:
        raise typer.BadParameter("--link is for files of this machine; a service sends copies.")
    else:
        with client_of(config, url) as client:
            console.print(
                fetch(
                    folder,
                    f"snapshot {digest[:12]}",
                    lambda into, hear: client.save_snapshot(project, digest, into, format=format_.value, on_bytes=hear),
                )
            )


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


def _print_items(what: str, count: int, named: list[str]) -> None:
    console.print(f"{count} {what}")
    for one in named:
        console.print(f"  {one}", markup=False, soft_wrap=True)
    if count > len(named):
        console.print(f"  … and {count - len(named)} more (--json shows up to 10000)")
