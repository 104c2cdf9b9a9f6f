"""Uploads: lots of their own, whose members are what one sender sends, and whose order of inspection is drawn when that
one has sent all."""

from dataclasses import dataclass

from loop.domain.access import Permission, Token, require
from loop.domain.errors import Conflict
from loop.domain.policy.workflow import Qa
from loop.domain.ports import Clock, Entropy, Store
from loop.domain.review.lot import Lot, ended, joined
from loop.review.lots import Lots, opened, tell


@dataclass(frozen=True, slots=True)
class Uploads:
    store: Store
    lots: Lots
    clock: Clock
    entropy: Entropy

    def open(self, sender: Token, project_id: str, source: str = "") -> Lot:
        """An empty upload, under the rules that the project's lots have now. source: what it is called in lists.

        Raises Conflict where the project has no lots.
        """
        require(sender, Permission.PREDICT, project_id)
        now = self.clock()
        with self.store.begin() as tx:
            project = tx.projects.get(project_id)
            if project.policy.workflow.qa is not Qa.LOTS:
                raise Conflict(
                    f"{project_id} has no lots: workflow.qa is {project.policy.workflow.qa}.",
                    hint=f"Have it lots first: echo 'workflow: {{qa: lots}}' | askance policy set - -p {project_id}",
                    project=project_id,
                )
            lot = opened(project, source, now, self.entropy, upload=True)
            tx.lots.add(lot)
            tell(tx, lot, now, "lot.opened", by=sender.name)
        return lot

    def asked_before(self, project_id: str, lot_id: str, digest: str) -> bool:
        """Whether people have an image, or its truth is known, so that an upload does not ask for it. Raises NotFound,
        and Conflict for a lot that takes nothing."""
        with self.store.read() as tx:
            joined(tx.lots.get(project_id, lot_id), 0, self.clock())
            return digest in tx.items.settled(project_id, [digest])

    def close(self, sender: Token, project_id: str, lot_id: str) -> Lot:
        """It takes no more, and what QA looks at is drawn; again, it changes nothing. Raises NotFound, and Conflict for
        a lot that is no upload, or has nothing in it."""
        require(sender, Permission.PREDICT, project_id)
        with self.store.begin() as tx:
            tx.lots.get(project_id, lot_id)  # no lock on what is another project's
            lot = ended(tx.lots.for_update(lot_id), self.clock())
            tx.lots.save(lot)
        self.lots.advance(lot_id)
        return lot
