"""`askance import`, `askance export` and `askance formats`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from loop.cli.command_line import (
    ConfigOption,
    ProjectOption,
    app,
    client_of,
    console,
    print_table,
    progress_bar,
    settings_of,
    table_of,
    tracker,
)
from loop.cli.fetching import FromUrlOption, fetch


class DataFormat(StrEnum):
    """As loop/exchange/reading.py has them, which is not imported before it is needed; a test compares."""

    voc = "voc"
    coco = "coco"
    yolo = "yolo"
    yolo_segment = "yolo-segment"
    cvat = "cvat"
    label_studio = "label-studio"
    askance = "askance"


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="The data set: a folder, a .zip, or a .json or .xml of annotations.")],
    project: ProjectOption,
    format_: Annotated[
        DataFormat | None, typer.Option("--format", "-f", help="How it is laid out; otherwise what it looks like.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="train, val or golden for all images.")] = None,
    add_labels: Annotated[bool, typer.Option(help="Add labels that the project does not have.")] = False,
    polygons: Annotated[
        bool, typer.Option(help="In a new project, draw polygons where all objects of a label have one.")
    ] = False,
    strict: Annotated[bool, typer.Option(help="Import nothing where anything would be left out or repaired.")] = False,
    config: ConfigOption = None,
) -> None:
    """Images and their ground truth into a project; importing again changes nothing."""
    from loop.exchange.archives import opened
    from loop.exchange.importer import import_dataset

    settings = settings_of(config)
    with progress_bar() as bar, opened(source, max_bytes=settings.limits.max_unpacked_bytes) as folder:
        # Only now: a wrong name need not wait for the store to be loaded, nor leave one behind.
        from loop.wiring import open_blobs, open_store, projects_of, utc_now
        from serving.images import inspect_image

        store, blobs = open_store(settings), open_blobs(settings)
        report = import_dataset(
            store,
            blobs,
            projects_of(settings, store),
            project_id=project,
            format=format_.value if format_ else None,
            folder=folder,
            split=split,
            add_labels=add_labels,
            polygons=polygons,
            strict=strict,
            inspect_image=lambda content: inspect_image(content, max_pixels=settings.limits.max_image_pixels),
            clock=utc_now,
            on_progress=tracker(bar, f"importing {source.name}"),
        )
    console.print(report)


@app.command("export")
def export(
    folder: Annotated[Path, typer.Argument(help="A new folder; from a service also a new .zip.")],
    format_: Annotated[DataFormat, typer.Option("--format", "-f")],
    project: ProjectOption,
    images: Annotated[bool, typer.Option(help="With the image files.")] = True,
    url: FromUrlOption = None,
    config: ConfigOption = None,
) -> None:
    """A project's images and present ground truth as a data set."""
    if url is None:
        _export_here(folder, format_, project, images, config)
        return
    with client_of(config, url) as client:
        console.print(
            fetch(
                folder,
                project,
                lambda into, hear: client.save_dataset(
                    project, into, format=format_.value, images=images, on_bytes=hear
                ),
            )
        )


def _export_here(folder: Path, format_: DataFormat, project: str, images: bool, config: Path | None) -> None:
    from loop.exchange.exporter import export_dataset
    from loop.wiring import open_blobs, open_store

    settings = settings_of(config)
    with progress_bar() as bar:
        report = export_dataset(
            open_store(settings),
            open_blobs(settings),
            project_id=project,
            format=format_.value,
            folder=folder,
            images=images,
            on_progress=tracker(bar, f"exporting {project}"),
        )
    console.print(report)


@app.command("formats")
def formats() -> None:
    """What data sets can be, and what each has a place for."""
    from loop.exchange.formats import FORMATS

    table = table_of("format", "", "shapes", "holds besides", "does not hold")
    for layout, one in FORMATS.items():
        table.add_row(layout, one.title, ", ".join(sorted(one.holds.shapes)), *map(", ".join, one.holds.in_words()))
    print_table(table)
