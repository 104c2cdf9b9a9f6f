"""`askance import` and `askance export`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from loop.cli.command_line import ConfigOption, ProjectOption, app, console, progress_bar, settings_of, tracker


class ImportFormat(StrEnum):
    voc = "voc"
    coco = "coco"
    yolo = "yolo"
    askance = "askance"


class ExportFormat(StrEnum):
    coco = "coco"
    yolo = "yolo"
    askance = "askance"


@app.command("import")
def import_(
    folder: Annotated[Path, typer.Argument(help="The data set's folder.")],
    format_: Annotated[ImportFormat, typer.Option("--format", "-f", help="How it is laid out.")],
    project: ProjectOption,
    split: Annotated[str | None, typer.Option(help="train, val or golden for all images.")] = None,
    add_labels: Annotated[bool, typer.Option(help="Add labels that the project does not have.")] = False,
    config: ConfigOption = None,
) -> None:
    """Images and their ground truth into a project; importing again changes nothing."""
    from loop.exchange.importer import import_dataset
    from loop.wiring import administer, open_blobs, open_store, utc_now
    from serving.images import inspect_image

    settings = settings_of(config)
    store, blobs = open_store(settings), open_blobs(settings)
    with progress_bar() as bar:
        report = import_dataset(
            store,
            blobs,
            administer(settings, store, blobs),
            project_id=project,
            format=format_.value,
            folder=folder,
            split=split,
            add_labels=add_labels,
            inspect_image=lambda content: inspect_image(content, max_pixels=settings.limits.max_image_pixels),
            clock=utc_now,
            on_progress=tracker(bar, f"importing {folder.name}"),
        )
    console.print(report)


@app.command("export")
def export(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    format_: Annotated[ExportFormat, typer.Option("--format", "-f")],
    project: ProjectOption,
    config: ConfigOption = None,
) -> None:
    """A project's images and present ground truth as a data set."""
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
            on_progress=tracker(bar, f"exporting {project}"),
        )
    console.print(report)
