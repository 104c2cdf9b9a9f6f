"""Pictures in a project's guidelines: kept apart from its items, named in the Markdown by their digest."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from loop.domain.errors import NotFound
from loop.domain.item import ImageFacts
from loop.domain.ports import Blobs, Store

MOST_PICTURE_BYTES = 5_000_000  # that are read of a caller

_NAMED = re.compile(r"\(picture:([0-9a-f]{64})\)")


def pictures_in(guidelines: str) -> list[str]:
    """Digests of the pictures that a text names as `![words](picture:DIGEST)`, each once, in their order."""
    return list(dict.fromkeys(_NAMED.findall(guidelines)))


@dataclass(frozen=True, slots=True)
class Picture:
    """markdown: what to write where it is to be seen."""

    digest: str
    facts: ImageFacts

    @property
    def markdown(self) -> str:
        return f"![](picture:{self.digest})"


@dataclass(frozen=True, slots=True)
class Guidelines:
    """look: facts of an encoded image, wholly decoded; raises BadImage, PayloadTooLarge."""

    store: Store
    blobs: Blobs
    look: Callable[[bytes], ImageFacts]

    def add(self, project_id: str, content: bytes) -> Picture:
        """Keep a picture, for a version of the recipe to name; again, it changes nothing. Raises NotFound for the
        project, BadImage, PayloadTooLarge."""
        with self.store.read() as tx:
            tx.projects.get(project_id)
        facts = self.look(content)
        return Picture(self.blobs.put(content), facts)

    def get(self, project_id: str, digest: str) -> tuple[bytes, str]:
        """The bytes and the media type of a picture that a version of the recipe names. Raises NotFound for others."""
        with self.store.read() as tx:
            versions = tx.projects.recipes(project_id)
        if not any(digest in pictures_in(recipe.guidelines) for recipe in versions):
            raise NotFound(
                "no version of the guidelines names this picture.",
                hint="Write ![](picture:DIGEST) into the recipe's guidelines first.",
                project=project_id,
                picture=digest,
            )
        content = self.blobs.get(digest)
        return content, self.look(content).media_type
