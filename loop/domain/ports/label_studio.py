"""Label Studio: the server, and which tasks lie there."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from loop.domain.outgoing.label_studio import Annotation, Link, LinkState, RemoteProject, RemoteTask


class LabelStudioLinks(Protocol):
    """Which of our tasks lie in Label Studio, and what came of them."""

    def add_all(self, links: Sequence[Link]) -> None:
        """Raises Conflict where one of the tasks lies there already; the transaction is then spoilt."""
        ...

    def for_update(self, link_id: str) -> Link:
        """Locked until the transaction ends. Raises NotFound."""
        ...

    def save(self, link: Link) -> None: ...
    def of_project(
        self, project_id: str, *, server: str | None = None, place: int | None = None, states: Sequence[LinkState] = ()
    ) -> list[Link]:
        """Oldest first; None and (): whatever it is."""
        ...

    def rounds(self, work_ids: Sequence[str]) -> Mapping[str, int]:
        """By work, the last round in which a task of it was sent and not called back or refused."""
        ...


class LabelStudio(Protocol):
    """The server there. Each raises Unavailable where it does not answer, or not as expected, and SettingsError where
    it refuses the token."""

    @property
    def address(self) -> str:
        """Raises SettingsError where none is set."""
        ...

    def project(self, title: str, interface: str) -> RemoteProject:
        """The one of this title; it is made with the labelling interface (XML) where there is none. Raises Conflict
        where there are several."""
        ...

    def upload(self, place: int, name: str, content: bytes, *, again: bool) -> str:
        """Where the image lies there, as tasks name it. again: it may be there under this name already."""
        ...

    def send(self, place: int, body: Mapping[str, object]) -> int | None:
        """Make a task; its number. None where it is made later. Raises Invalid where it can not be one."""
        ...

    def find(self, place: int, key: str) -> list[int]:
        """Tasks whose data say this key, oldest first."""
        ...

    def tasks(self, place: int, page: int) -> tuple[list[RemoteTask], bool]:
        """A page, from 1, of a project's tasks, oldest first; and whether it is the last. Raises NotFound for a project
        that is not to be seen."""
        ...

    def annotations(self, remote: int) -> list[Annotation] | None:
        """What was answered to a task; None where there is no such task."""
        ...

    def delete(self, remote: int) -> None:
        """Whether it is there or not."""
        ...
