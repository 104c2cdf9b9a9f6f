"""What went wrong in the database, in the domain's words."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, exc

from loop.domain.errors import AskanceError, Unavailable

# PostgreSQL's SQLSTATEs for a schema that is not there, and for a transaction that was cut off for idling.
_UNDEFINED_TABLE = "42P01"
_IDLE_IN_TRANSACTION = "25P03"


def place(url: URL) -> str:
    """Where the database is, without user, password and options."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    host = url.host or url.query.get("host") or "the local socket"
    return f"{host}{f':{url.port}' if url.port else ''}/{url.database or ''}"


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Raise Unavailable for what only waiting or an operator can mend, and the domain's own errors as they
    were raised inside a statement. A broken constraint is a bug of this program and passes as it is."""
    try:
        yield
    except exc.SQLAlchemyError as error:
        known = _known(error, url)
        if known is None:
            raise
        raise known from error


def _known(error: exc.SQLAlchemyError, url: URL) -> AskanceError | None:
    if isinstance(error, exc.StatementError) and isinstance(error.orig, AskanceError):
        return error.orig
    if isinstance(error, exc.TimeoutError):
        return Unavailable("all connections to the database are in use.", hint="Try again in a moment.")
    if not isinstance(error, exc.DBAPIError):
        return None
    if _has_no_tables(error):
        return Unavailable(f"the database {place(url)} has no Askance tables.", hint="Start it with: askance up.")
    if _is_damaged(error):
        return Unavailable(
            f"the database {place(url)} is not a sound SQLite file.",
            hint="Restore it from a backup, or name another file in database.url.",
        )
    if _is_operational(error):
        return Unavailable(
            f"the database {place(url)} does not answer: {_reason(error, url)}.",
            hint="Check that it is running, that database.url is right, and that its disk is not full.",
        )
    return None


def _has_no_tables(error: exc.DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) == _UNDEFINED_TABLE or "no such table" in str(error.orig)


def _is_damaged(error: exc.DBAPIError) -> bool:
    return any(words in str(error.orig) for words in ("file is not a database", "disk image is malformed"))


def _is_operational(error: exc.DBAPIError) -> bool:
    """By class name: psycopg's, pysqlite3's and sqlite3's classes are no relatives."""
    cut_off = getattr(error.orig, "sqlstate", None) == _IDLE_IN_TRANSACTION
    named = any(cls.__name__ == "OperationalError" for cls in type(error.orig).__mro__)
    return cut_off or named or error.connection_invalidated


def _reason(error: exc.DBAPIError, url: URL) -> str:
    """The driver's first line, which may repeat parts of the URL, without its secrets."""
    reason = str(error.orig).strip().partition("\n")[0].rstrip(".")
    for secret in (url.password, url.username):
        if secret:
            reason = reason.replace(str(secret), "***")
    return reason
