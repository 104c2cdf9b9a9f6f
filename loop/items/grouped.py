"""Items that are there already become a group."""

from collections.abc import Sequence

from loop.domain.items.clips import Frame, Group
from loop.domain.ports import Transaction


def save_group(tx: Transaction, group: Group, frames: Sequence[tuple[str, float | None, int | None]]) -> bool:
    """False where there is one with its id. frames: digest, seconds and number of items of its project, in their order.

    Those of a clip or a camera stay on one side of every split from now on: under a name that one of them has for that
    already, or else the group's id."""
    if not tx.groups.add(group):
        return False
    tx.groups.append(
        [
            Frame(
                project_id=group.project_id,
                group_id=group.id,
                index=index,
                item_digest=digest,
                seconds=seconds,
                number=number,
            )
            for index, (digest, seconds, number) in enumerate(frames)
        ]
    )
    if group.kind.stays_together:
        digests = [digest for digest, _, _ in frames]
        present = set(tx.groups.split_groups(group.project_id, digests).values())
        tx.groups.keep_together(group.project_id, digests, min(present - {""}, default=group.id))
    return True
