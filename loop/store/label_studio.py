"""Which tasks lie in Label Studio."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from loop.domain.errors import Conflict
from loop.domain.outgoing.label_studio import Link, LinkState
from loop.store.schema import label_studio_links as links
from loop.store.statements import columns, in_parts, not_found

_UNCOUNTED = (LinkState.RELEASED, LinkState.REFUSED)


class SqlLabelStudioLinks:
    """Implements `loop.domain.ports.LabelStudioLinks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add_all(self, given: Sequence[Link]) -> None:
        if not given:
            return
        try:
            self._connection.execute(insert(links), [columns(link) for link in given])
        except IntegrityError as error:
            raise Conflict("one of these tasks lies in Label Studio already.", hint="Push again.") from error

    def for_update(self, link_id: str) -> Link:
        row = self._connection.execute(select(links).where(links.c.id == link_id).with_for_update()).first()
        if row is None:
            raise not_found("task in Label Studio", id=link_id)
        return Link(**row._mapping)

    def save(self, link: Link) -> None:
        self._connection.execute(update(links).where(links.c.id == link.id).values(columns(link)))

    def of_project(
        self, project_id: str, *, server: str | None = None, place: int | None = None, states: Sequence[LinkState] = ()
    ) -> list[Link]:
        wanted = select(links).where(links.c.project_id == project_id)
        if server is not None:
            wanted = wanted.where(links.c.server == server)
        if place is not None:
            wanted = wanted.where(links.c.place == place)
        if states:
            wanted = wanted.where(links.c.state.in_(states))
        return [Link(**row._mapping) for row in self._connection.execute(wanted.order_by(links.c.id))]

    def rounds(self, work_ids: Sequence[str]) -> Mapping[str, int]:
        last = select(links.c.work_id, func.max(links.c.round)).where(links.c.state.not_in(_UNCOUNTED))
        return {
            str(work): int(number)
            for part in in_parts(work_ids)
            for work, number in self._connection.execute(
                last.where(links.c.work_id.in_(part)).group_by(links.c.work_id)
            )
        }
