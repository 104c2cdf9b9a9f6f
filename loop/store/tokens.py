"""Tokens, by the digest of their secret."""

from datetime import datetime

from sqlalchemy import Connection, select, update

from loop.domain.access import Token
from loop.domain.errors import Conflict
from loop.store.configuration import raise_revision
from loop.store.schema import tokens
from loop.store.statements import columns, first, inserted, one


class SqlTokens:
    """Implements `loop.domain.ports.Tokens`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, token: Token) -> None:
        """Raises Conflict where the id or the secret is taken."""
        raise_revision(self._connection)
        if not inserted(self._connection, tokens, columns(token)):
            raise Conflict("there is such a token already.", hint="Make one with a new secret.", token=token.id)

    def by_secret(self, secret_digest: str) -> Token | None:
        row = first(self._connection, tokens, secret_digest=secret_digest)
        return None if row is None else Token(**row._mapping)

    def get(self, token_id: str) -> Token:
        """Raises NotFound."""
        return Token(**one(self._connection, tokens, "token", id=token_id)._mapping)

    def all(self) -> list[Token]:
        """Oldest first, the revoked ones too."""
        rows = self._connection.execute(select(tokens).order_by(tokens.c.created_at, tokens.c.id))
        return [Token(**row._mapping) for row in rows]

    def revoke(self, token_id: str, now: datetime) -> bool:
        """Whether it was valid until now; one that is revoked already keeps its first moment. Raises NotFound."""
        raise_revision(self._connection)
        valid = (tokens.c.id == token_id) & tokens.c.revoked_at.is_(None)
        if self._connection.execute(update(tokens).where(valid).values(revoked_at=now)).rowcount:
            return True
        self.get(token_id)
        return False
