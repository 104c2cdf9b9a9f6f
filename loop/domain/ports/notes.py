"""What MLflow is still to be told."""

from collections.abc import Mapping
from typing import Protocol

from loop.domain.outgoing.notes import Note, Untold


class Notes(Protocol):
    def add(self, note: Note) -> None:
        """At the end of its line when the transaction commits; does nothing where its cycle has said the same (by the
        key) before, whether it was told or not."""
        ...

    def heads(self) -> list[Note]:
        """The first untold note of each line, by sequence."""
        ...

    def untold(self, project_id: str | None = None) -> Mapping[str, Untold]:
        """By line, those with something untold; None: of all projects."""
        ...

    def save(self, note: Note) -> None:
        """What came of telling it."""
        ...

    def forget(self, note: Note) -> None:
        """It, and what its line has told before it."""
        ...
