"""Bulk annotation: jobs over folders, manifests and URLs that the service reads by itself."""

import os
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from loop.domain.access import Permission, may
from loop.exchange.sources import FsspecSources
from loop.items.annotation import AnnotationRequests
from serving.api.auth import Producer, Wired
from serving.api.schemas.annotations import AnnotationIn, AnnotationOut, AnnotationPage, BadImageOut, BadImagesOut

router = APIRouter(prefix="/v1/projects/{project_id}/annotations", tags=["bulk annotation"])

_BAD_SHOWN = 1000


def requests(wired: Wired) -> AnnotationRequests:
    sources = FsspecSources(wired.settings.annotation.allowed_sources)
    return AnnotationRequests(wired.store, sources, wired.clock, os.urandom)


Requests = Annotated[AnnotationRequests, Depends(requests)]


@router.post("", status_code=202)
def start_annotation(project_id: str, body: AnnotationIn, token: Producer, asked: Requests) -> AnnotationOut:
    """Predict every image of a source with one model version. Poll the job until it has ended.

    Operators of the whole service may name any folder of its machine; everybody else, and every URL, needs
    annotation.allowed_sources.
    """
    job = asked.start(
        project_id,
        body.source,
        actor=token.name,
        created_by=token.id,
        any_folder=may(token, Permission.OPERATE) and token.project_id is None,
        model_id=body.model_id,
        review=body.review,
    )
    return AnnotationOut.model_validate(job)


@router.get("")
def list_annotations(
    project_id: str,
    token: Producer,
    wired: Wired,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> AnnotationPage:
    """Newest first."""
    with wired.store.read() as tx:
        tx.projects.get(project_id)
        page = tx.annotations.page(project_id, after=after, limit=limit)
    return AnnotationPage(
        annotations=[AnnotationOut.model_validate(job) for job in page],
        next=page[-1].id if len(page) == limit else None,
    )


@router.get("/{annotation_id}")
def get_annotation(project_id: str, annotation_id: str, token: Producer, wired: Wired) -> AnnotationOut:
    with wired.store.read() as tx:
        return AnnotationOut.model_validate(tx.annotations.get(project_id, annotation_id))


@router.get("/{annotation_id}/bad")
def list_bad_images(project_id: str, annotation_id: str, token: Producer, wired: Wired) -> BadImagesOut:
    """Which images could not be read, and why; at most 1,000."""
    with wired.store.read() as tx:
        job = tx.annotations.get(project_id, annotation_id)
        bad = tx.annotations.bad(annotation_id, limit=_BAD_SHOWN)
    return BadImagesOut(bad=job.bad, images=[BadImageOut(url=one.url, reason=one.reason) for one in bad])


@router.post("/{annotation_id}/cancel")
def cancel_annotation(project_id: str, annotation_id: str, token: Producer, asked: Requests) -> AnnotationOut:
    """End the job; what was answered stays. Cancelling twice changes nothing."""
    return AnnotationOut.model_validate(asked.cancel(project_id, annotation_id, token.name))
