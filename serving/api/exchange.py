"""Data sets in and out, as ZIP files: what `askance import` and `askance export` do on the machine of the service."""

import json
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from loop.domain.errors import BadDataset, Overloaded
from loop.domain.item import Split
from loop.exchange.archives import opened
from loop.exchange.exporter import ExportReport, preview_export
from loop.exchange.formats import FORMATS
from loop.exchange.importer import ImportReport, import_dataset
from loop.exchange.predicted import PredictionFormat
from loop.exchange.reading import Layout, Remark
from loop.exchange.sending import Sent, sent_dataset, sent_predictions, sent_snapshot
from loop.wiring import Services
from serving.api.auth import Anyone, Operator, Wired
from serving.api.bodies import body_to_file
from serving.api.schemas.exchange import ExportOut, FormatOut, FormatsOut, ImportOut, RemarkOut
from serving.images import inspect_image

router = APIRouter(tags=["data sets"])

_SHOWN = 1_000
# Of this process: each takes a core, and room on the disk.
_busy = threading.Lock()

WithImages = Annotated[bool, Query(description="with the image files")]
FormatQuery = Annotated[Layout | None, Query(description="left out: what it looks like")]


@router.get("/v1/formats")
def list_formats(token: Anyone) -> FormatsOut:
    """What data sets can be, and what each has a place for."""
    formats = []
    for layout, one in FORMATS.items():
        holds, lacks = one.holds.in_words()
        shapes = sorted(one.holds.shapes)
        formats.append(FormatOut(name=layout, title=one.title, shapes=shapes, holds=holds, does_not_hold=lacks))
    return FormatsOut(formats=formats)


@router.post("/v1/projects/{project_id}/imports")
async def import_archive(
    project_id: str,
    request: Request,
    token: Operator,
    wired: Wired,
    format: FormatQuery = None,  # noqa: A002 - the word that people use
    split: Annotated[Split | None, Query(description="of all images, whatever the data set says")] = None,
    add_labels: Annotated[bool, Query(description="labels that the project does not have become its labels")] = False,
    strict: Annotated[bool, Query(description="import nothing where anything would be left out or repaired")] = False,
) -> ImportOut:
    """A data set into a project that is there, as a ZIP in the body. Images may be missing where the project has them.
    The answer comes when it is done; the same data set sent again changes nothing."""
    await run_in_threadpool(_require_project, wired, project_id)
    with _alone(), tempfile.TemporaryDirectory(prefix="import-", dir=wired.settings.data_dir) as folder:
        path = Path(folder) / "dataset.zip"
        limit = wired.settings.limits.max_archive_bytes
        if not await body_to_file(request, path, limit, what="data set", setting="limits.max_archive_bytes"):
            raise BadDataset("the request holds no data set.", hint="Send a ZIP as the body (curl -X POST -T FILE).")
        options: dict[str, object] = {
            "format": format,
            "split": split,
            "add_labels": add_labels,
            "strict": strict,
            "actor": token.name,
        }
        return await run_in_threadpool(_imported, wired, project_id, path, options)


@router.get("/v1/projects/{project_id}/exports/{format}")
def preview(project_id: str, format: Layout, token: Operator, wired: Wired) -> ExportOut:  # noqa: A002
    """What an export would hold, and what its format cannot; nothing is written."""
    return _export_out(preview_export(wired.store, project_id=project_id, format=format))


_ZIP = {"content": {"application/zip": {}}, "description": "a ZIP"}


@router.post("/v1/projects/{project_id}/exports/{format}", response_class=StreamingResponse, responses={200: _ZIP})
def export_archive(
    project_id: str,
    format: Layout,  # noqa: A002
    token: Operator,
    wired: Wired,
    images: WithImages = True,
) -> StreamingResponse:
    """The project's images and present ground truth as a ZIP; askance-export.txt in it says what was left out. It is
    put together while it is sent: one that is cut short, as where an image was damaged, is no ZIP."""
    with _alone():
        sent = sent_dataset(
            wired.store,
            wired.blobs,
            project_id=project_id,
            layout=format,
            within=wired.settings.data_dir,
            images=images,
        )
    return _streamed(sent, f"{project_id}-{format}.zip", _counted(sent.report))


@router.get(
    "/v1/projects/{project_id}/snapshots/{digest}/archive",
    response_class=StreamingResponse,
    responses={200: _ZIP},
    tags=["models and cycles"],
)
def snapshot_archive(
    project_id: str,
    digest: str,
    token: Operator,
    wired: Wired,
    format: Annotated[  # noqa: A002
        Layout, Query(description="coco, yolo, yolo-segment or voc; the others need a recipe, which a snapshot has not")
    ] = Layout.COCO,
    images: WithImages = True,
) -> StreamingResponse:
    """A snapshot as it was as a ZIP, without images that were dropped since; askance-export.txt in it says what was
    left out. It is put together while it is sent, as of exports."""
    with _alone():
        snapshot = wired.snapshots.read(project_id, digest)
        sent = sent_snapshot(
            wired.store,
            wired.blobs,
            snapshot,
            project_id=project_id,
            layout=format,
            within=wired.settings.data_dir,
            images=images,
        )
    return _streamed(sent, f"{project_id}-{digest[:12]}-{format}.zip", _counted(sent.report))


@router.get(
    "/v1/projects/{project_id}/annotations/{annotation_id}/export",
    response_class=StreamingResponse,
    responses={200: _ZIP},
    tags=["bulk annotation"],
)
def annotation_archive(
    project_id: str,
    annotation_id: str,
    token: Operator,
    wired: Wired,
    format: PredictionFormat = PredictionFormat.COCO,  # noqa: A002
    images: WithImages = True,
) -> StreamingResponse:
    """What a bulk annotation that has ended found as a ZIP, each image once; askance-export.txt in it counts them. It
    is put together while it is sent, as of exports."""
    with _alone():
        sent = sent_predictions(
            wired.store,
            wired.blobs,
            project_id=project_id,
            job_id=annotation_id,
            format=format,
            within=wired.settings.data_dir,
            images=images,
        )
    report = sent.report
    counts = {"images": report.images, "boxes": report.boxes, "missing": report.missing}
    told = json.dumps({"annotation": report.job_id, "format": format, **counts}, indent=1)
    return _streamed(sent, f"{project_id}-{annotation_id}-{format}.zip", told)


def _streamed(sent: Sent[Any], name: str, told: str) -> StreamingResponse:
    sent.note("askance-export.txt", told)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    gone = BackgroundTask(sent.close)
    return StreamingResponse(sent.pieces(), media_type="application/zip", headers=headers, background=gone)


@contextmanager
def _alone() -> Iterator[None]:
    if not _busy.acquire(blocking=False):
        raise Overloaded("another data set is being imported or exported.", hint="Ask again when that is done.")
    try:
        yield
    finally:
        _busy.release()


def _require_project(wired: Services, project_id: str) -> None:
    with wired.store.read() as tx:
        tx.projects.get(project_id)


def _imported(wired: Services, project_id: str, path: Path, options: dict[str, object]) -> ImportOut:
    limits = wired.settings.limits
    with opened(path, max_bytes=limits.max_unpacked_bytes, within=path.parent) as folder:
        report = import_dataset(
            wired.store,
            wired.blobs,
            wired.projects,
            project_id=project_id,
            folder=folder,
            inspect_image=lambda content: inspect_image(content, max_pixels=limits.max_image_pixels),
            clock=wired.clock,
            **options,  # type: ignore[arg-type]
        )
    return _import_out(report)


def _import_out(report: ImportReport) -> ImportOut:
    return ImportOut(
        **{name: getattr(report, name) for name in ImportOut.model_fields if name in _AS_THEY_ARE},
        labels=list(report.labels),
        skipped_counts=report.counts(),
        skipped=_remarks(report.skipped),
        repaired=_remarks(report.repaired),
        skipped_total=len(report.skipped),
        repaired_total=len(report.repaired),
    )


_AS_THEY_ARE = ("project_id", "format", "created", "imported", "updated", "unchanged", "boxes")


def _remarks(remarks: Sequence[Remark]) -> list[RemarkOut]:
    return [RemarkOut(path=one.path, what=one.what, why=one.why, count=one.count) for one in remarks[:_SHOWN]]


def _counted(report: ExportReport) -> str:
    return _export_out(report).model_dump_json(indent=1)


def _export_out(report: ExportReport) -> ExportOut:
    return ExportOut(**{name: getattr(report, name) for name in ExportOut.model_fields})
