"""Column types that behave alike on SQLite and PostgreSQL and hand back the domain's own values."""

import struct
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, LargeBinary, Text, TypeDecorator

from loop.domain.errors import Invalid
from loop.domain.prediction import OBJECT_DIM

Value = TypeVar("Value")
Member = TypeVar("Member", bound=StrEnum)

# The server's own byte order, so that both databases sort as Python does and indices need no locale.
_TEXT = Text().with_variant(Text(collation="C"), "postgresql")

# SQLite numbers rows itself only in a column declared INTEGER.
SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")


class PlainText(TypeDecorator[str]):
    """Any Unicode text but what PostgreSQL cannot hold; refuses that on both databases, with Invalid."""

    impl = _TEXT
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        # Nearly all are ASCII, which is known at once; a look at each character takes a while.
        surrogate = not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value)
        if surrogate or "\x00" in value:
            raise Invalid(
                "a text holds a NUL or an unpaired surrogate, which cannot be stored.",
                hint="Remove that character and send it again.",
            )
        return str(value)


class Choice(TypeDecorator[Member], Generic[Member]):
    """A member of a StrEnum, kept as its value."""

    impl = _TEXT
    cache_ok = True

    def __init__(self, members: type[Member]) -> None:
        super().__init__()
        self.members = members

    def process_bind_param(self, value: Member | None, dialect: Dialect) -> str | None:
        return None if value is None else self.members(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> Member | None:
        return None if value is None else self.members(value)


class UtcDateTime(TypeDecorator[datetime]):
    """A timezone-aware moment, to the microsecond; comes back in UTC. Refuses naive ones with ValueError."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no timezone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Float32Vector(TypeDecorator[NDArray[np.float32]]):
    """A (d,) float32 array as its little-endian bytes; comes back bit for bit."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: NDArray[np.float32] | None, dialect: Dialect) -> bytes | None:
        return None if value is None else np.ascontiguousarray(value, dtype="<f4").tobytes()

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> NDArray[np.float32] | None:
        return None if value is None else np.frombuffer(value, dtype="<f4").astype(np.float32)


_WIDTH = struct.Struct("<H")


class ObjectFeatures(TypeDecorator[NDArray[np.float16]]):
    """A (m, OBJECT_DIM) float16 array, m at least 1, as little-endian bytes behind its width: columns of zeros at the
    end, of which narrow networks have many, are left out, and come back. Refuses other shapes with ValueError."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: NDArray[np.float16] | None, dialect: Dialect) -> bytes | None:
        if value is None:
            return None
        if value.ndim != 2 or value.shape[1] != OBJECT_DIM or not len(value):
            raise ValueError(f"embeddings of objects have {OBJECT_DIM} numbers each, not the shape {value.shape}")
        width = int(np.flatnonzero(value.any(axis=0)).max(initial=0)) + 1
        return _WIDTH.pack(width) + np.ascontiguousarray(value[:, :width], dtype="<f2").tobytes()

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> NDArray[np.float16] | None:
        if value is None:
            return None
        (width,) = _WIDTH.unpack_from(value)
        kept = np.frombuffer(value, dtype="<f2", offset=_WIDTH.size).reshape(-1, width)
        return np.pad(kept.astype(np.float16), ((0, 0), (0, OBJECT_DIM - width)))


class JsonOf(TypeDecorator[Value], Generic[Value]):
    """A domain value as a JSON document. `encode` gives what json.dumps takes, `decode` undoes it."""

    impl = JSON
    cache_ok = True

    def __init__(self, encode: Callable[[Value], Any], decode: Callable[[Any], Value]) -> None:
        super().__init__()
        self.encode = encode
        self.decode = decode

    def process_bind_param(self, value: Value | None, dialect: Dialect) -> Any:
        return None if value is None else self.encode(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Value | None:
        return None if value is None else self.decode(value)
