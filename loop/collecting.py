"""Images without a prediction: what a project begins with, before there is a model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from loop.domain.errors import Conflict
from loop.domain.identity import digest_of
from loop.domain.item import ImageFacts, Item
from loop.domain.ports import Blobs, Clock, Store


@dataclass(frozen=True, slots=True)
class Collected:
    """new: the project had no such image before; else `item` is as it was then."""

    item: Item
    new: bool


@dataclass(frozen=True, slots=True)
class Collecting:
    """look: facts of an encoded image, wholly decoded; raises BadImage, PayloadTooLarge."""

    store: Store
    blobs: Blobs
    look: Callable[[bytes], ImageFacts]
    clock: Clock

    def add(
        self,
        project_id: str,
        content: bytes,
        *,
        source: str = "",
        group: str = "",
        meta: Mapping[str, str] | None = None,
    ) -> Collected:
        """Keep an image as an item that nobody has looked at, no model either; again, it changes nothing.

        Raises NotFound for the project, BadImage, PayloadTooLarge, and Conflict for an image that was dropped.
        """
        digest = digest_of(content)
        with self.store.read() as tx:
            tx.projects.get(project_id)
            known = tx.items.of(project_id, [digest]).get(digest)
            dropped = known is not None and digest in tx.items.dropped(project_id)
        if dropped:
            raise Conflict(
                "this image was dropped from the project, and is not kept again.",
                hint="Send another version of it if it is wanted after all.",
                item=digest,
            )
        if known is not None and self.blobs.has(digest):
            return Collected(known, new=False)
        facts = self.look(content)
        item = Item(
            project_id=project_id,
            digest=digest,
            media_type=facts.media_type,
            width=facts.width,
            height=facts.height,
            created_at=self.clock(),
            source=source,
            group=group,
            meta=meta or {},
        )
        self.blobs.put(content)
        with self.store.begin() as tx:
            new = tx.items.add(item)
            return Collected(item if new else tx.items.get(project_id, digest), new=new)
