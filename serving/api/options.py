"""Options of a request, in its address: those that a route does not have are refused. A misspelt `wait` would else be
an answer that nobody has waited for."""

import difflib

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Cookie, Header, Path
from fastapi.routing import APIRoute

from loop.domain.errors import Invalid

# What a database can number: of rows that follow each other, and of versions.
LAST_ROW = 2**63 - 1
LAST_VERSION = 2**31 - 1


async def only_known_options(request: Request) -> None:
    """A dependency of every route. Raises Invalid."""
    if not request.scope["query_string"]:
        return
    known = _options_of(request.scope["route"])
    for name in request.query_params:
        if name not in known:
            raise Invalid(
                f"there is no option {name[:40]!r} here.",
                hint=f"Did you mean {_nearest(name[:40], known)}?" if known else "Leave it out; this takes none.",
                option=name[:40],
            )


def _nearest(name: str, known: tuple[str, ...]) -> str:
    return difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]


_ELSEWHERE = (Path, Header, Cookie)
_options: dict[str, tuple[str, ...]] = {}  # by the route's name, which says what it takes


def _options_of(route: APIRoute) -> tuple[str, ...]:
    known = _options.get(route.unique_id)
    if known is None:
        given = get_flat_params(route.dependant)
        known = tuple(sorted(field.alias for field in given if not isinstance(field.field_info, _ELSEWHERE)))
        _options[route.unique_id] = known
    return known
