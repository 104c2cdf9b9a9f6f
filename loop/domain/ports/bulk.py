"""What goes through the images of a project at once: bulk annotation, selections, maps."""

from collections.abc import Sequence
from typing import Protocol

from loop.domain.embedding_map import EmbeddingMap
from loop.domain.items.annotation import AnnotationJob, AnnotationResult
from loop.domain.selection import PickedItem, Selection


class Annotations(Protocol):
    def add(self, job: AnnotationJob) -> None: ...
    def get(self, project_id: str, job_id: str) -> AnnotationJob: ...
    def for_update(self, project_id: str, job_id: str) -> AnnotationJob:
        """Locked until the transaction ends. Raises NotFound."""
        ...

    def unfinished(self) -> list[AnnotationJob]:
        """Of all projects, oldest first."""
        ...

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[AnnotationJob]:
        """Newest first; `after` is a job id."""
        ...

    def save(self, job: AnnotationJob) -> None:
        """Raises Conflict where the stored job has ended."""
        ...

    def record(self, results: Sequence[AnnotationResult]) -> None:
        """Raises Conflict where an image of them has its result: then none of them counts."""
        ...

    def answered(self, job_id: str) -> frozenset[int]:
        """Positions that have a result."""
        ...

    def results(self, job_id: str, *, after: int, limit: int) -> list[AnnotationResult]:
        """By position ascending, beginning behind `after` (-1: at the first)."""
        ...

    def bad(self, job_id: str, *, limit: int) -> list[AnnotationResult]:
        """Those without a prediction, by position ascending."""
        ...


class Selections(Protocol):
    def add(self, selection: Selection, picks: Sequence[PickedItem]) -> None: ...
    def get(self, project_id: str, selection_id: str) -> Selection: ...
    def page(self, project_id: str, *, after: str | None, limit: int) -> list[Selection]:
        """Newest first; `after` is a selection id."""
        ...

    def picks(self, selection_id: str) -> list[PickedItem]:
        """By rank."""
        ...


class Maps(Protocol):
    def get(self, project_id: str) -> EmbeddingMap | None:
        """None where nobody has asked for it."""
        ...

    def for_update(self, project_id: str) -> EmbeddingMap | None:
        """Locked until the transaction ends."""
        ...

    def all(self) -> list[EmbeddingMap]:
        """Of all projects; the one that was written longest ago first."""
        ...

    def save(self, record: EmbeddingMap) -> None: ...
