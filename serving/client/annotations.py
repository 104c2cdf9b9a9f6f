"""Bulk annotation."""

from collections.abc import Callable
from pathlib import Path

from serving.api.schemas.annotations import AnnotationIn, AnnotationOut, AnnotationPage, BadImagesOut
from serving.client.calls import Call, Stream, get, method, path, post, saved, stream, unheard
from serving.client.waiting import followed


class AnnotationCalls:
    @method
    def start_annotation(
        self, project: str, source: str, *, model_id: str | None = None, review: bool = True
    ) -> Call[AnnotationOut]:
        """Queue a bulk annotation of what the service finds at `source`."""
        body = AnnotationIn(source=source, model_id=model_id, review=review).model_dump()
        return post(AnnotationOut, path("projects", project, "annotations"), body)

    @method
    def annotations(self, project: str) -> Call[AnnotationPage]:
        return get(AnnotationPage, path("projects", project, "annotations"))

    @method
    def annotation(self, project: str, annotation_id: str) -> Call[AnnotationOut]:
        return _annotation(project, annotation_id)

    @method
    def bad_images(self, project: str, annotation_id: str) -> Call[BadImagesOut]:
        return get(BadImagesOut, path("projects", project, "annotations", annotation_id, "bad"))

    @method
    def cancel_annotation(self, project: str, annotation_id: str) -> Call[AnnotationOut]:
        return post(AnnotationOut, path("projects", project, "annotations", annotation_id, "cancel"))

    @method
    def save_annotation(
        self,
        project: str,
        annotation_id: str,
        into: Path,
        *,
        format: str = "coco",  # noqa: A002 - the word that people use
        images: bool = True,
        on_bytes: Callable[[int], None] = unheard,
    ) -> Call[Path]:
        """What it found as a ZIP in the file `into`. format: coco, yolo or label-studio. images, on_bytes: as of
        `save_snapshot`."""
        where = path("projects", project, "annotations", annotation_id, "export")
        return saved("GET", where, into, on_bytes, format=format, images=images)

    @stream
    def follow_annotation(self, project: str, annotation_id: str, *, every_s: float = 0.5) -> Stream[AnnotationOut]:
        """The annotation as it goes on; ends with the finished one."""
        return followed(_annotation(project, annotation_id), lambda told: told.state.finished, every_s)


def _annotation(project: str, annotation_id: str) -> Call[AnnotationOut]:
    return get(AnnotationOut, path("projects", project, "annotations", annotation_id))
