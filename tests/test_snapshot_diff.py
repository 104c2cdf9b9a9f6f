"""What two snapshots differ in, against a plain comparison of their entries."""

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.test_snapshot import LABELS, Row, row_lists
from training.snapshot import Snapshot, freeze
from training.snapshot_columns import SPLITS
from training.snapshot_diff import Altered, diff


def frozen(rows: list[Row], labels: tuple[str, ...] = LABELS) -> Snapshot:
    return freeze(rows, labels=labels, val_share=0.4)


@st.composite
def pairs_of_rows(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    """The second has some of the first, some of them with another version, and others."""
    rows = draw(row_lists())
    kept = [row for row in rows if draw(st.booleans())]
    again = [(item, replace(truth, version=truth.version + draw(st.integers(0, 1)))) for item, truth in kept]
    known = {item.digest for item, _ in rows}
    return rows, again + [row for row in draw(row_lists()) if row[0].digest not in known]


def altered(found: Altered) -> dict[str, tuple[int, int]]:
    values = zip(found.before.tolist(), found.after.tolist(), strict=True)
    return dict(zip(found.first(len(found)), values, strict=True))


@given(pairs_of_rows())
def test_a_diff_is_what_comparing_entry_by_entry_gives(given_rows):
    """Added, removed, changed and moved items, shapes by label and images by split."""
    before, after = (frozen(rows) for rows in given_rows)
    one, other = ({entry.digest: entry for entry in snapshot.entries} for snapshot in (before, after))
    found = diff(before, after)
    assert found.added.first(99) == sorted(other.keys() - one.keys())
    assert found.removed.first(99) == sorted(one.keys() - other.keys())
    shared = [(one[digest], other[digest]) for digest in sorted(one.keys() & other.keys())]
    versions = {a.digest: (a.truth_version, b.truth_version) for a, b in shared if a.truth_version != b.truth_version}
    assert altered(found.changed) == versions
    moved = {a.digest: (SPLITS.index(a.split), SPLITS.index(b.split)) for a, b in shared if a.split is not b.split}
    assert altered(found.moved) == moved
    shapes = [Counter(shape.label for entry in side.values() for shape in entry.shapes) for side in (one, other)]
    assert found.shapes == {label: (shapes[0][label], shapes[1][label]) for label in LABELS}
    images = [Counter(entry.split for entry in side.values()) for side in (one, other)]
    assert found.images == {split: (images[0][split], images[1][split]) for split in SPLITS}
    assert found.equal == (list(before.entries) == list(after.entries))


@given(row_lists())
def test_nothing_differs_from_itself(rows):
    snapshot = frozen(rows)
    found = diff(snapshot, frozen(rows[::-1]))
    assert found.equal
    assert [len(part) for part in (found.added, found.removed, found.changed, found.moved)] == [0, 0, 0, 0]


@given(pairs_of_rows())
def test_the_way_back_undoes_it(given_rows):
    """From the second to the first, what was added is removed, and each change is turned round."""
    before, after = (frozen(rows) for rows in given_rows)
    there, back = diff(before, after), diff(after, before)
    assert there.added.first(99) == back.removed.first(99)
    assert there.removed.first(99) == back.added.first(99)
    for one, other in ((there.changed, back.changed), (there.moved, back.moved)):
        assert altered(one) == {item: (was, becomes) for item, (becomes, was) in altered(other).items()}
    assert there.shapes == {label: counts[::-1] for label, counts in back.shapes.items()}
    assert there.equal == back.equal


def test_labels_of_either_are_counted():
    """A label that only one of the two knows has no shape in the other."""
    assert diff(frozen([], ("bolt",)), frozen([], ("nut",))).shapes == {"bolt": (0, 0), "nut": (0, 0)}
