"""People: what operators say of reviewers, by their tokens."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, select, tuple_

from loop.domain.access import Permission, Token, roles_that_may
from loop.domain.review.people import Person, Reviewer
from loop.store.ready import Ready
from loop.store.schema import VALID_TOKEN, people, tokens, works_answered
from loop.store.statements import columns, not_found, one, replaced

# The token's row is there also for who is not described. Locked as strongly as it can be without holding off who refers
# to it.
_DESCRIBED = Ready(
    select(people)
    .select_from(tokens)
    .outerjoin(people, people.c.token_id == tokens.c.id)
    .where(tokens.c.id == bindparam("token"))
    .with_for_update(key_share=True, of=tokens)
)

_AGE = (tokens.c.created_at, tokens.c.id)
_OF_TOKEN = list(tokens.c)
_OF_PERSON = [column for column in people.c if column.name != "token_id"]
_REVIEWERS: Select[Any] = (
    select(*_OF_TOKEN, *_OF_PERSON, works_answered.c.works)
    .select_from(tokens)
    .outerjoin(people, people.c.token_id == tokens.c.id)
    .outerjoin(works_answered, works_answered.c.reviewer == tokens.c.id)
)


class SqlPeople:
    """Implements `loop.domain.ports.People`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def for_update(self, token_id: str) -> Person:
        found = _DESCRIBED.records(self._connection, Person, {"token": token_id})
        return found[0] if found and found[0].token_id is not None else Person(token_id=token_id)

    def all(self) -> Mapping[str, Person]:
        return {row.token_id: Person(**row._mapping) for row in self._connection.execute(select(people))}

    def reviewers(self, project_id: str | None, *, after: str | None, limit: int) -> list[Reviewer]:
        wanted = _REVIEWERS.where(VALID_TOKEN, tokens.c.role.in_(roles_that_may(Permission.REVIEW)))
        if project_id is not None:
            wanted = wanted.where(tokens.c.project_id == project_id)
        if after is not None:
            last = one(self._connection, tokens, "token", id=after)
            wanted = wanted.where(tuple_(*_AGE) > tuple_(last.created_at, last.id))
        return [_reviewer(row) for row in self._connection.execute(wanted.order_by(*_AGE).limit(limit))]

    def reviewer(self, token_id: str) -> Reviewer:
        row = self._connection.execute(_REVIEWERS.where(tokens.c.id == token_id)).first()
        if row is None:
            raise not_found("token", id=token_id)
        return _reviewer(row)

    def save(self, person: Person) -> None:
        replaced(self._connection, people, columns(person))


def _reviewer(row: Row[Any]) -> Reviewer:
    token = Token(**{column.name: row._mapping[column] for column in _OF_TOKEN})
    said = {column.name: row._mapping[column] for column in _OF_PERSON}
    described = said["groups"] is not None
    return Reviewer(token, Person(token_id=token.id, **(said if described else {})), row.works or 0)
