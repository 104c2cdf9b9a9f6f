"""On which labels a candidate learned what the champion had not: by label, by source, and by who answered."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from loop.domain.errors import AskanceError
from loop.domain.model import ModelVersion
from loop.domain.ports import Blobs, Store
from training.snapshot import Snapshot
from training.snapshot_labels import Boxes, LabelChanges, label_changes

_LOOKED_AT = 2000  # new images whose sources and people are counted
_TOGETHER = 500
_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """against: the champion's snapshot; None where there is none to be compared with, and everything is new. added,
    changed, removed: images to train on. labels: boxes, without labels of which none differ. sources, people: of the
    `looked_at` first new or changed images, the most first; `people` by who answered them. imported: those of them
    that nobody answered. At most 20 of each are named."""

    against: str | None
    added: int
    changed: int
    removed: int
    labels: Mapping[str, Boxes]
    sources: Mapping[str, int]
    people: Mapping[str, int]
    imported: int
    looked_at: int


def learned_of(
    store: Store, blobs: Blobs, project_id: str, champion: ModelVersion | None, snapshot: Snapshot
) -> Learned:
    """What `snapshot` has to train on that the champion has not learned, or not so."""
    before = _snapshot_of(champion, blobs)
    changes = label_changes(before, snapshot)
    new = [*changes.changed, *changes.added][:_LOOKED_AT]
    sources, people, imported = _whence(store, project_id, snapshot, new)
    return Learned(
        against=None if before is None else before.kept_as,
        added=len(changes.added),
        changed=len(changes.changed),
        removed=len(changes.removed),
        labels=_differing(changes),
        sources=sources,
        people=people,
        imported=imported,
        looked_at=len(new),
    )


def _differing(changes: LabelChanges) -> dict[str, Boxes]:
    return {name: boxes for name, boxes in changes.labels.items() if boxes != Boxes()}


def _snapshot_of(champion: ModelVersion | None, blobs: Blobs) -> Snapshot | None:
    """Of a version that was registered from elsewhere nothing is known."""
    key = None if champion is None else champion.notes.get("snapshot")
    try:
        return Snapshot.read(key, blobs.get) if isinstance(key, str) else None
    except AskanceError:
        return None


def _whence(
    store: Store, project_id: str, snapshot: Snapshot, digests: Sequence[str]
) -> tuple[dict[str, int], dict[str, int], int]:
    """How many of these images are of each source, how many each person answered, and how many nobody did."""
    sources: Counter[str] = Counter()
    people: Counter[str] = Counter()
    imported = 0
    with store.read() as tx:
        names = {token.id: token.name for token in tx.tokens.all()}
    entries = iter(snapshot.entries.only(digests))
    while some := list(islice(entries, _TOGETHER)):
        with store.read() as tx:
            items = tx.items.of(project_id, [entry.digest for entry in some])
            sources.update(item.source for item in items.values())
            for entry in some:
                answers = tx.submissions.of_item(project_id, entry.digest) if entry.submission_ids else []
                people.update(
                    {names.get(one.reviewer, one.reviewer) for one in answers if one.id in entry.submission_ids}
                )
                imported += not entry.submission_ids
    return dict(sources.most_common(_NAMED)), dict(people.most_common(_NAMED)), imported
