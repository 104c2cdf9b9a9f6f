"""How callers name items: by the digest, or by the beginning of it that the page and the commands show."""

import re
from collections.abc import Iterable
from typing import Annotated

from fastapi import Depends, Path
from starlette.concurrency import run_in_threadpool

from loop.domain.access import Token
from loop.domain.errors import Conflict, NotFound
from loop.wiring import Services
from serving.api.auth import Anyone, Wired

_BEGINNING = re.compile("[0-9a-f]{8,63}")


def item_named(wired: Services, token: Token, project_id: str, given: str) -> str:
    """The digest of the item. What is no beginning of a digest is left as it is, for others to find nothing by.

    Raises NotFound, and Conflict where several items begin so.
    """
    if not _BEGINNING.fullmatch(given):
        return given
    found = [one.item.digest for one in wired.item_data.page(token, project_id, query=f'digest ^= "{given}"').items]
    if not found:
        raise NotFound(
            f"no item of {project_id} has a digest that begins with {given}.",
            hint="The list of items has their digests whole (askance items list).",
            item=given,
        )
    if len(found) > 1:
        raise Conflict(
            f"{len(found)} items of {project_id} have a digest that begins with {given}.",
            hint=f"Give more digits: {' or '.join(found[:5])}.",
            item=given,
        )
    return found[0]


def items_named(wired: Services, token: Token, project_id: str, given: Iterable[str]) -> list[str]:
    """The same of several, in their order."""
    return [item_named(wired, token, project_id, one) for one in given]


async def _in_the_address(
    project_id: str,
    digest: Annotated[str, Path(description="of the item, or its first 8 digits or more where no other begins so")],
    token: Anyone,
    wired: Wired,
) -> str:
    if not _BEGINNING.fullmatch(digest):
        return digest
    return await run_in_threadpool(item_named, wired, token, project_id, digest)


# The item that a route is about.
ItemDigest = Annotated[str, Depends(_in_the_address)]
