"""What is new to train on between two snapshots, by label."""

from collections.abc import Mapping

from loop.domain.item import Item, Split
from loop.domain.truth import GroundTruth, Shape
from tests.contract.records import NOW, digest
from training.snapshot import Snapshot, freeze
from training.snapshot_labels import Boxes, label_changes

A, B, C = (0.0, 0.0, 10.0, 10.0), (5.0, 5.0, 20.0, 20.0), (30.0, 30.0, 40.0, 40.0)
LABELS = ("cat", "dog")


def frozen(truths: Mapping[int, tuple[int, list[Shape]]], *, held_out: int | None = None) -> Snapshot:
    """truths: version and shapes by item. held_out: an item that is golden."""
    rows = [
        (
            Item(
                project_id="p", digest=digest(n), media_type="image/png", width=64, height=64, created_at=NOW,
                split=Split.GOLDEN if n == held_out else Split.TRAIN,
            ),
            GroundTruth(
                project_id="p", item_digest=digest(n), version=version, shapes=tuple(shapes), submission_ids=(),
                origin="import", created_at=NOW,
            ),
        )
        for n, (version, shapes) in sorted(truths.items())
    ]  # fmt: skip
    return freeze(rows, labels=LABELS, val_share=0.0)


def test_without_a_snapshot_before_everything_is_new() -> None:
    found = label_changes(None, frozen({1: (1, [Shape("cat", A)]), 2: (1, [])}))
    assert found.labels == {"cat": Boxes(added=1), "dog": Boxes()}
    assert (found.added, found.changed, found.removed) == ([digest(1), digest(2)], [], [])


def test_boxes_of_new_and_removed_images_count_under_their_labels() -> None:
    before = frozen({1: (1, [Shape("cat", A)]), 2: (1, [Shape("dog", A), Shape("dog", B)])})
    after = frozen({1: (1, [Shape("cat", A)]), 3: (1, [Shape("cat", B), Shape("dog", C)])})
    found = label_changes(before, after)
    assert (found.added, found.changed, found.removed) == ([digest(3)], [], [digest(2)])
    assert found.labels == {"cat": Boxes(added=1), "dog": Boxes(added=1, removed=2)}


def test_of_an_image_answered_anew_only_what_differs_counts() -> None:
    """A box that stays is nothing; one that moved is changed; one more is added; another name is removed and added."""
    before = frozen({1: (1, [Shape("cat", A), Shape("cat", B), Shape("dog", C)])})
    after = frozen({1: (2, [Shape("cat", A), Shape("cat", C), Shape("cat", (1.0, 1.0, 9.0, 9.0))])})
    found = label_changes(before, after)
    assert (found.added, found.changed, found.removed) == ([], [digest(1)], [])
    assert found.labels == {"cat": Boxes(added=1, changed=1), "dog": Boxes(removed=1)}


def test_what_was_held_out_is_new_to_training() -> None:
    truths = {1: (1, [Shape("cat", A)]), 2: (1, [Shape("dog", B)])}
    found = label_changes(frozen(truths, held_out=2), frozen(truths))
    assert found.added == [digest(2)] and found.labels == {"cat": Boxes(), "dog": Boxes(added=1)}
    assert label_changes(frozen(truths), frozen(truths)).labels == {"cat": Boxes(), "dog": Boxes()}
