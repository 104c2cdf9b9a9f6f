"""People: what operators say of reviewers, by their tokens."""

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, select

from loop.domain.people import Person
from loop.store.schema import people, tokens
from loop.store.statements import columns, put

# The token's row is there also for who is not described. Locked as strongly as it can be without holding off who refers
# to it.
_DESCRIBED = (
    select(people)
    .select_from(tokens)
    .outerjoin(people, people.c.token_id == tokens.c.id)
    .where(tokens.c.id == bindparam("token"))
    .with_for_update(key_share=True, of=tokens)
)


class SqlPeople:
    """Implements `loop.domain.ports.People`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def for_update(self, token_id: str) -> Person:
        row = self._connection.execute(_DESCRIBED, {"token": token_id}).first()
        return Person(token_id=token_id) if row is None or row.token_id is None else Person(**row._mapping)

    def all(self) -> Mapping[str, Person]:
        return {row.token_id: Person(**row._mapping) for row in self._connection.execute(select(people))}

    def save(self, person: Person) -> None:
        put(self._connection, people, columns(person))
