"""What a client may ask, described once for `Client` and `AsyncClient`.

A method of the API is a function that describes a `Call`, decorated with `@method`: on a Client it returns the answer,
on an AsyncClient something to await, and type checkers know both. What takes several calls is a generator of steps
(`answer = yield from call`), decorated with `@method` too, or with `@stream` where it gives one value after the other
(`yield Give(value)`). Nothing here touches the network: `serving/client/sending.py` carries steps out.
"""

import functools
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeAlias, TypeVar, overload
from urllib.parse import quote

from pydantic import BaseModel

if TYPE_CHECKING:
    from serving.client.sending import AsyncSender, Sender

P = ParamSpec("P")
T = TypeVar("T")
Other = TypeVar("Other")
Model = TypeVar("Model", bound=BaseModel)

_LONGEST_S = 3600.0  # until the first byte of a file: a large project takes a while


def unheard(_count: int) -> None:
    """Of bytes that came, where nobody wants to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One call of the API.

    read: the answer, of its body. body: sent as JSON; content: sent as it is, instead. repeatable: twice does what once
    does, so that it is sent again even where the first may have been carried out. timeout_s: None: the client's own.
    into: the file that an answer is written to as it comes, in place of reading it; what was there is overwritten.
    on_bytes: hears of how many bytes of it have come; less than before where it is sent again.
    deadline_s: for all tries; None: the client's own. held_s: for how long the service was asked to hold its answer
    back, on top of both.
    """

    method: str
    path: str
    read: Callable[[bytes], T]
    params: Mapping[str, Any] = field(default_factory=dict)
    body: object = None
    content: bytes | Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = False
    timeout_s: float | None = None
    deadline_s: float | None = None
    held_s: float = 0.0
    into: Path | None = None
    on_bytes: Callable[[int], None] = unheard

    def giving(self, part: Callable[[T], Other]) -> "Call[Other]":
        """The same call, of whose answer only this is returned."""
        whole = self.read
        return replace(self, read=lambda content: part(whole(content)))  # type: ignore[arg-type, return-value]

    def __iter__(self) -> "Generator[Call[Any], Any, T]":
        answer: T = yield self
        return answer


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float

    def __iter__(self) -> "Generator[Pause, Any, None]":
        yield self


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """What takes the processor a while: not on an event loop."""

    do: Callable[[], T]

    def __iter__(self) -> "Generator[Work[Any], Any, T]":
        done: T = yield self
        return done


@dataclass(frozen=True, slots=True)
class Give(Generic[T]):
    """The next value of a stream."""

    value: T


Step: TypeAlias = Call[Any] | Pause | Work[Any]
Steps: TypeAlias = Generator[Step, Any, T]
Stream: TypeAlias = Generator[Step | Give[T], Any, None]


class Method(Generic[P, T]):
    """On a class it is the description, on a client what sends it."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Call[T] | Steps[T]]) -> None:
        self.describe = describe

    @overload
    def __get__(self, client: None, owner: type) -> Callable[Concatenate[Any, P], Call[T] | Steps[T]]: ...
    @overload
    def __get__(self, client: "Sender", owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: "AsyncSender", owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        if client is None:
            return self.describe
        describe = MethodType(self.describe, client)

        @functools.wraps(describe)
        def send(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.run(iter(describe(*args, **kwargs)))

        return send


class StreamMethod(Generic[P, T]):
    """As Method, for a stream."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Stream[T]]) -> None:
        self.describe = describe

    @overload
    def __get__(self, client: None, owner: type) -> Callable[Concatenate[Any, P], Stream[T]]: ...
    @overload
    def __get__(self, client: "Sender", owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, client: "AsyncSender", owner: type) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        if client is None:
            return self.describe
        describe = MethodType(self.describe, client)

        @functools.wraps(describe)
        def follow(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.stream(describe(*args, **kwargs))

        return follow


def method(describe: Callable[Concatenate[Any, P], Call[T] | Steps[T]]) -> Method[P, T]:
    return Method(describe)


def stream(describe: Callable[Concatenate[Any, P], Stream[T]]) -> StreamMethod[P, T]:
    return StreamMethod(describe)


# --- how a call is made ------------------------------------------------------------------------------


def path(*segments: object) -> str:
    """/v1/... of these segments, which may hold anything."""
    return "/v1/" + "/".join(quote(str(segment), safe="") for segment in segments)


def get(kind: type[Model], where: str, /, **params: object) -> Call[Model]:
    """params: those that are None are left out."""
    return Call(method="GET", path=where, read=kind.model_validate_json, params=given(**params), repeatable=True)


def post(
    kind: type[Model], where: str, body: object = None, *, repeatable: bool = False, method: str = "POST"
) -> Call[Model]:
    return Call(method=method, path=where, read=kind.model_validate_json, body=body, repeatable=repeatable)


def saved(verb: str, where: str, into: Path, on_bytes: Callable[[int], None], **params: object) -> Call[Path]:
    """The answer in the file `into`, as it comes. on_bytes: hears how many have come."""
    return Call(
        method=verb,
        path=where,
        params=given(**params),
        read=lambda _: into,
        into=into,
        on_bytes=on_bytes,
        repeatable=True,  # it changes nothing; a file that was cut short is begun again
        timeout_s=_LONGEST_S,
    )


def delete(where: str, /, **params: object) -> Call[None]:
    return Call(method="DELETE", path=where, read=nothing, params=given(**params))


def list_of(kind: type[Model]) -> Callable[[bytes], list[Model]]:
    """As `Call.read`."""
    return lambda content: [kind.model_validate(one) for one in json.loads(content)]


def nothing(_: bytes) -> None:
    """As `Call.read`."""


def given(**params: Any) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}
