"""How people name items to commands: by the digest, or by the beginning of it that other commands print."""

import re
from typing import TYPE_CHECKING

from loop.domain.errors import Conflict, NotFound

if TYPE_CHECKING:
    from serving.client import Client

ITEM_HELP = "Its digest, or the first 8 digits or more."

_BEGINNING = re.compile("[0-9a-f]{8,63}")


def item_named(client: "Client", project: str, given: str) -> str:
    """The digest of the item. What is no beginning of a digest is left for the service to judge.

    Raises NotFound, and Conflict where several items begin so.
    """
    if not _BEGINNING.fullmatch(given):
        return given
    found = client.items(project, f'digest ^= "{given}"', limit=2).items
    if not found:
        raise NotFound(
            f"no item of {project} has a digest that begins with {given}.",
            hint="See askance items list, which prints digests whole.",
            item=given,
        )
    if len(found) > 1:
        raise Conflict(
            f"several items of {project} have a digest that begins with {given}.",
            hint=f"Give more digits: {' or '.join(one.digest for one in found)}.",
            item=given,
        )
    return found[0].digest
