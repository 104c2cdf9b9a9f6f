"""Images without a prediction: what a project begins with, before there is a model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from loop.domain.errors import Conflict
from loop.domain.identity import digest_of
from loop.domain.item import ImageFacts, Item
from loop.domain.ports import Blobs, Clock, Entropy, Store, Transaction
from loop.domain.review.tasks import Task
from loop.review.asking import ask_people

# What reviewers read of it.
_UPLOADED = "Uploaded: draw everything that is there"


@dataclass(frozen=True, slots=True)
class Collected:
    """new: the project had no such image before; else `item` is as it was then. task_id: of the work that the item got
    in an upload; None without one, and where people had work on it, or had done it, before."""

    item: Item
    new: bool
    task_id: str | None = None


@dataclass(frozen=True, slots=True)
class Collecting:
    """look: facts of an encoded image, wholly decoded; raises BadImage, PayloadTooLarge."""

    store: Store
    blobs: Blobs
    look: Callable[[bytes], ImageFacts]
    clock: Clock
    entropy: Entropy

    def add(
        self,
        project_id: str,
        content: bytes,
        *,
        source: str = "",
        group: str = "",
        meta: Mapping[str, str] | None = None,
        lot_id: str | None = None,
        actor: str = "service",
    ) -> Collected:
        """Keep an image as an item that nobody has looked at, no model either; again, it changes nothing.

        lot_id: an upload that it is of; people are asked for it, unless they were before. Raises NotFound for the
        project and the upload, BadImage, PayloadTooLarge, and Conflict for an image that was dropped and an upload that
        is closed.
        """
        digest = digest_of(content)
        with self.store.read() as tx:
            tx.projects.get(project_id)
            known = tx.items.of(project_id, [digest]).get(digest)
            _require_kept(tx, project_id, digest)
        if known is not None and self.blobs.has(digest):
            return Collected(known, new=False) if lot_id is None else self._kept(known, lot_id, actor)
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
        return self._kept(item, lot_id, actor)

    def require_kept(self, project_id: str, digest: str) -> None:
        """Raises Conflict for an image that was dropped: whoever sends it once more does not undo that."""
        with self.store.read() as tx:
            _require_kept(tx, project_id, digest)

    def _kept(self, item: Item, lot_id: str | None, actor: str) -> Collected:
        secret = b"" if lot_id is None else self.store.secret()  # before the transaction: it may have one of its own
        with self.store.begin() as tx:
            new = tx.items.add(item)
            task = None if lot_id is None else self._asked(tx, item, lot_id, actor, secret)
            kept = item if new else tx.items.get(item.project_id, item.digest)
            return Collected(kept, new, None if task is None else task.id)

    def _asked(self, tx: Transaction, item: Item, lot_id: str, actor: str, secret: bytes) -> Task | None:
        """The first task of the item's work in an upload; None where it had its work, or its truth, before."""
        tx.projects.hold(item.project_id)  # of two who send it at once one asks, and the other sees it
        if tx.items.settled(item.project_id, [item.digest]):
            return None
        return ask_people(
            tx,
            tx.projects.get(item.project_id),
            item.digest,
            None,
            reason=_UPLOADED,
            actor=actor,
            now=self.clock(),
            entropy=self.entropy,
            secret=secret,
            lot_id=lot_id,
        )


def _require_kept(tx: Transaction, project_id: str, digest: str) -> None:
    if tx.items.is_dropped(project_id, digest):
        raise Conflict(
            "this image was dropped from the project, and is not kept again.",
            hint="Send another version of it if it is wanted after all.",
            item=digest,
        )
