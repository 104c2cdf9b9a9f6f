"""Images that are to be kept no more, because somebody asked for it: who, and why, is in the history."""

from dataclasses import dataclass

from loop.domain.access import Permission, Token, require
from loop.domain.errors import Conflict, Invalid
from loop.domain.ports import Clock, Event, Store

_LONGEST = 1000  # characters of a reason


@dataclass(frozen=True, slots=True)
class Dropping:
    store: Store
    clock: Clock

    def drop(self, operator: Token, project_id: str, digest: str, reason: str) -> None:
        """Its bytes may be removed (loop/functions/queue.py) unless another project keeps them; its truth counts no
        more; the same image is refused from now on. Again, it changes nothing. Raises NotFound; Invalid without a
        reason; Conflict while a task on it is open."""
        require(operator, Permission.OPERATE, project_id)
        reason = reason.strip()
        if not 0 < len(reason) <= _LONGEST:
            raise Invalid(
                "an image is dropped for a reason.", hint=f"Say why, in up to {_LONGEST} characters.", field="reason"
            )
        now = self.clock()
        with self.store.begin() as tx:
            tx.items.get(project_id, digest)
            if tx.items.is_dropped(project_id, digest):
                return
            if not tx.items.drop(project_id, digest, by=operator.name, at=now):
                raise Conflict(
                    "people have this image to work on.",
                    hint="Have its task answered or skipped first, then drop it.",
                    item=digest,
                )
            tx.events.add(
                Event("item.dropped", project_id, operator.name, {"item_digest": digest, "reason": reason}, now)
            )
