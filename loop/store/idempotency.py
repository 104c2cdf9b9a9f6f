"""Idempotency-Keys: one answer per key, however often and however concurrently it is sent."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from loop.domain.errors import Conflict, IdempotencyInFlight, IdempotencyMismatch
from loop.domain.ports import Claim
from loop.store.schema import idempotency_keys
from loop.store.statements import inserted

# A request is answered within seconds; one that has not answered after this is taken for dead.
CLAIM_LIFETIME = timedelta(seconds=60)


class SqlIdempotencyKeys:
    """Implements `loop.domain.ports.IdempotencyKeys`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def claim(self, token_id: str, key: str, request_digest: str, now: datetime) -> Claim:
        """See the port. A claim is visible to others when its transaction commits: commit it at once."""
        row = {"token_id": token_id, "key": key, "request_digest": request_digest, "claimed_at": now}
        while not inserted(self._connection, idempotency_keys, row):
            # Gone again where its holder gave it up between the two statements: then it is free to insert.
            held = self._connection.execute(
                select(idempotency_keys).where(*_is(token_id, key)).with_for_update()
            ).first()
            if held is not None:
                return self._judged(held, request_digest, now)
        return Claim(fresh=True)

    def finish(self, token_id: str, key: str, prediction_id: str) -> None:
        """Name the answer of a claimed key. In the transaction that adds the prediction.

        Raises Conflict where the key is answered or given up already: this request was taken for dead and
        another took its place, so its prediction must not be committed.
        """
        done = self._connection.execute(
            update(idempotency_keys)
            .where(*_is(token_id, key), idempotency_keys.c.prediction_id.is_(None))
            .values(prediction_id=prediction_id)
        )
        if done.rowcount == 0:
            raise Conflict(
                f"the Idempotency-Key {key!r} was answered by another request meanwhile.",
                hint="Send the same request again: it gets that answer.",
                key=key,
            )

    def abandon(self, token_id: str, key: str) -> None:
        """A key that has its answer keeps it."""
        self._connection.execute(
            delete(idempotency_keys).where(*_is(token_id, key), idempotency_keys.c.prediction_id.is_(None))
        )

    def _judged(self, held: Row[Any], request_digest: str, now: datetime) -> Claim:
        if held.request_digest != request_digest:
            raise IdempotencyMismatch(
                f"the Idempotency-Key {held.key!r} came with another request before.",
                hint="Use a new key for a new request.",
                key=held.key,
            )
        if held.prediction_id is not None:
            return Claim(fresh=False, prediction_id=held.prediction_id)
        if now - held.claimed_at < CLAIM_LIFETIME:
            raise IdempotencyInFlight(
                f"a request with the Idempotency-Key {held.key!r} is still running.",
                hint="Wait a moment and send it again.",
                key=held.key,
            )
        self._connection.execute(update(idempotency_keys).where(*_is(held.token_id, held.key)).values(claimed_at=now))
        return Claim(fresh=True)


def _is(token_id: str, key: str) -> tuple[Any, Any]:
    return idempotency_keys.c.token_id == token_id, idempotency_keys.c.key == key
