"""Snapshots: the same data gives the same digest, and no group is ever on both sides of a split."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.errors import BadDataset, Invalid
from loop.domain.identity import digest_of
from loop.domain.item import Item, Split
from loop.domain.truth import Geometry, GroundTruth, Shape, drawn
from training.snapshot import Snapshot, freeze
from training.snapshot_columns import content_of
from training.snapshot_json import document_of

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LABELS = ("bolt", "nut")
Row = tuple[Item, GroundTruth]


def row(name: str, *, split: Split | None = None, group: str = "", shapes: tuple[Shape, ...] = ()) -> Row:
    digest = digest_of(name.encode())
    item = Item(
        project_id="p",
        digest=digest,
        media_type="image/png",
        width=64,
        height=48,
        created_at=NOW,
        group=group,
        split=split,
    )
    truth = GroundTruth(
        project_id="p",
        item_digest=digest,
        version=1,
        shapes=shapes,
        submission_ids=(),
        origin="import",
        created_at=NOW,
    )
    return item, truth


class Kept(dict[str, bytes]):
    """Bytes by their SHA-256."""

    def put(self, content: bytes) -> str:
        self[key := digest_of(content)] = content
        return key


def rows_of(count: int, *, split: Split | None = None) -> list[Row]:
    return [row(str(i), split=split, shapes=(Shape("bolt", (1, 2, 30, 40)),)) for i in range(count)]


coordinate = st.floats(0, 20, allow_nan=False)
shapes = st.builds(
    lambda label, x, y, w, h: Shape(label, (x, y, x + w + 1, y + h + 1)),
    st.sampled_from(LABELS),
    coordinate,
    coordinate,
    coordinate,
    coordinate,
)
groups = st.sampled_from(["", "a", "b", "c", "d", "é"])
splits = st.sampled_from([None, None, *Split])


@st.composite
def row_lists(draw: st.DrawFn, splits: st.SearchStrategy[Split | None] = splits) -> list[Row]:
    names = draw(st.lists(st.text(min_size=1, max_size=4), unique=True, max_size=12))
    return [
        row(name, split=draw(splits), group=draw(groups), shapes=tuple(draw(st.lists(shapes, max_size=3))))
        for name in names
    ]


@given(row_lists(), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(rows, random):
    """The digest depends on what is in a snapshot, not on the order in which it was read."""
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert (
        freeze(shuffled, labels=LABELS, val_share=0.3).digest == freeze(iter(rows), labels=LABELS, val_share=0.3).digest
    )


@given(row_lists())
def test_round_trip(rows):
    """Reading gives the snapshot that was kept, with the same digest."""
    snapshot = freeze(rows, labels=LABELS, val_share=0.25)
    blobs = Kept()
    key = snapshot.keep(blobs.put)
    again = Snapshot.read(key, blobs.__getitem__)
    assert again == snapshot
    assert list(again.entries) == list(snapshot.entries)
    assert again.digest == snapshot.digest == key == digest_of(blobs[key])


@given(row_lists(), row_lists(splits=st.none()))
def test_undecided_images_move_nobody(rows, more):
    """Adding images whose split nobody fixed leaves the split of every other image as it was."""
    known = {item.digest for item, _ in rows}
    grown = rows + [(item, truth) for item, truth in more if item.digest not in known]
    before = freeze(rows, labels=LABELS, val_share=0.4)
    after = {entry.digest: entry.split for entry in freeze(grown, labels=LABELS, val_share=0.4).entries}
    assert {entry.digest: entry.split for entry in before.entries} == {digest: after[digest] for digest in known}


@given(row_lists())
def test_fixed_splits_are_kept(rows):
    """An image with a fixed split has exactly that one; nobody becomes golden but who was made golden."""
    by_digest = {entry.digest: entry for entry in freeze(rows, labels=LABELS, val_share=0.5).entries}
    for item, _ in rows:
        if item.split is not None:
            assert by_digest[item.digest].split is item.split
        else:
            assert by_digest[item.digest].split is not Split.GOLDEN


@given(row_lists(splits=st.sampled_from([None, Split.VAL, Split.GOLDEN])))
def test_no_group_is_torn(rows):
    """No image shares its group with an image on the other side of training and evaluation."""
    entries = freeze(rows, labels=LABELS, val_share=0.5).entries
    trained = {entry.group for entry in entries if entry.split is Split.TRAIN and entry.group}
    held_out = {entry.group for entry in entries if entry.split is not Split.TRAIN and entry.group}
    assert not trained & held_out


def test_relatives_of_golden_images_are_held_out():
    """An undecided image in the group of a golden one is val, whatever its hash, even beside train images."""
    rows = [row("g", split=Split.GOLDEN, group="clip"), row("t", split=Split.TRAIN, group="clip")]
    rows += [row(str(i), group="clip") for i in range(5)]
    entries = freeze(rows, labels=LABELS, val_share=0.0).entries
    assert sorted(entry.split for entry in entries) == ["golden", "train", *["val"] * 5]


def test_share_of_val():
    """About `val_share` of undecided images are val, and a larger share only ever adds to it."""
    rows = [row(str(i)) for i in range(2000)]
    small, large = (freeze(rows, labels=LABELS, val_share=share) for share in (0.2, 0.3))
    val = [{entry.digest for entry in snapshot.of_split(Split.VAL)} for snapshot in (small, large)]
    assert 0.17 < len(val[0]) / 2000 < 0.23
    assert val[0] < val[1]


def test_groups_draw_as_one():
    """All images of a group fall on the same side, and different groups fall on both."""
    rows = [row(f"{i}", group=f"clip {i % 40}") for i in range(200)]
    sides: dict[str, set[Split]] = {}
    for entry in freeze(rows, labels=LABELS, val_share=0.5).entries:
        sides.setdefault(entry.group, set()).add(entry.split)
    assert all(len(found) == 1 for found in sides.values())
    assert set().union(*sides.values()) == {Split.TRAIN, Split.VAL}


CHANGES = {
    "truth version": lambda item, truth: (item, replace(truth, version=2)),
    "submission": lambda item, truth: (item, replace(truth, submission_ids=("sub_1",))),
    "box": lambda item, truth: (item, replace(truth, shapes=(Shape("bolt", (1, 2, 30, 40.001)),))),
    "label": lambda item, truth: (item, replace(truth, shapes=(Shape("nut", (1, 2, 30, 40)),))),
    "no boxes": lambda item, truth: (item, replace(truth, shapes=())),
    "split": lambda item, truth: (replace(item, split=Split.GOLDEN), truth),
    "group": lambda item, truth: (replace(item, group="g"), truth),
    "width": lambda item, truth: (replace(item, width=65), truth),
    "media type": lambda item, truth: (replace(item, media_type="image/jpeg"), truth),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_any_change_changes_the_digest(change):
    """Two snapshots that differ in anything that matters have different digests."""
    rows = rows_of(3)
    changed = [change(*rows[0]), *rows[1:]]
    frozen, other = (freeze(these, labels=LABELS, val_share=0.2) for these in (rows, changed))
    digest = frozen.digest
    assert other.digest != digest
    assert other.content != frozen.content and other != frozen
    assert freeze(rows[1:], labels=LABELS, val_share=0.2).digest != digest
    assert freeze(rows, labels=(*LABELS, "pen"), val_share=0.2).digest != digest
    assert freeze(rows, labels=LABELS[::-1], val_share=0.2).digest != digest


def test_equal_boxes_are_equal_however_written():
    """Integer and float coordinates of the same box give the same digest."""
    one = freeze([row("a", shapes=(Shape("bolt", (0, 2, 30, 40)),))], labels=LABELS, val_share=0)
    two = freeze([row("a", shapes=(Shape("bolt", (-0.0, 2.0, 30.0, 40.0)),))], labels=LABELS, val_share=0.0)
    assert one.digest == two.digest


def test_counts():
    """Counts name every split and every label, also where there is nothing."""
    rows = [*rows_of(2, split=Split.TRAIN), row("g", split=Split.GOLDEN, shapes=(Shape("nut", (0, 0, 5, 5)),) * 2)]
    counts = freeze(rows, labels=LABELS, val_share=0.2).counts()
    assert [(counts[split].images, dict(counts[split].boxes)) for split in Split] == [
        (2, {"bolt": 2, "nut": 0}),
        (0, {"bolt": 0, "nut": 0}),
        (1, {"bolt": 0, "nut": 2}),
    ]


def test_golden_evaluates_where_there_is_some():
    """Golden images evaluate as soon as there is one; before, val does."""
    val = [row("v", split=Split.VAL)]
    assert freeze(val, labels=LABELS, val_share=0.2).evaluation_split is Split.VAL
    both = freeze([*val, row("g", split=Split.GOLDEN)], labels=LABELS, val_share=0.2)
    assert [entry.split for entry in both.evaluation_entries] == [Split.GOLDEN]


def test_labels_outside_the_recipe_are_named():
    """Ground truth with a label that the model cannot know is refused, naming it and how often it occurs."""
    rows = [*rows_of(2), row("x", shapes=(Shape("gasket", (0, 0, 5, 5)),) * 3)]
    with pytest.raises(Invalid, match=r"'gasket' \(3 boxes\)") as caught:
        freeze(rows, labels=LABELS, val_share=0.2)
    assert caught.value.hint


def test_nothing_to_train_or_evaluate_on():
    """A snapshot with no training images, no training boxes or no evaluation images says so, and what to do."""
    only_golden = freeze(rows_of(2, split=Split.GOLDEN), labels=LABELS, val_share=0.2)
    only_train = freeze(rows_of(2, split=Split.TRAIN), labels=LABELS, val_share=0.2)
    no_boxes = freeze([row("a", split=Split.TRAIN)], labels=LABELS, val_share=0.2)
    with pytest.raises(BadDataset, match="no images to train on"):
        _ = only_golden.training_entries
    with pytest.raises(BadDataset, match="not one box"):
        _ = no_boxes.training_entries
    with pytest.raises(BadDataset, match="evaluate on") as caught:
        _ = only_train.evaluation_entries
    assert "--split golden" in caught.value.hint
    assert len(only_train.training_entries) == len(only_golden.evaluation_entries) == 2


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_val_share_is_a_share(share):
    """A share outside [0, 1] is refused."""
    with pytest.raises(Invalid, match="val_share"):
        freeze([], labels=LABELS, val_share=share)


def test_repeated_images_are_refused():
    """One image can be in a snapshot once."""
    with pytest.raises(Invalid, match="twice"):
        freeze(rows_of(1) * 2, labels=LABELS, val_share=0.2)


# --- as it is kept ----------------------------------------------------------------------------------------------------


def kept(rows: list[Row]) -> tuple[str, Kept]:
    blobs = Kept()
    return freeze(rows, labels=LABELS, val_share=0.2).keep(blobs.put), blobs


def test_every_changed_byte_is_noticed():
    """Of the head and of both Parquet files, one byte other than it was is refused, wherever it is."""
    key, blobs = kept(rows_of(50))
    random = Random(1)
    for name in blobs:
        for place in random.sample(range(len(blobs[name])), 100):
            content = bytearray(blobs[name])
            content[place] ^= random.randrange(1, 256)
            damaged = Kept(blobs) | {name: bytes(content)}
            with pytest.raises(BadDataset, match="not those of a snapshot"):
                Snapshot.read(key, damaged.__getitem__)


@pytest.mark.parametrize("wrong", [b"", b"[]", b"\xff", b"{}", b'{"format":"askance-snapshot/9"}', b"null"])
def test_what_is_no_snapshot_is_refused(wrong):
    """Bytes with the right digest that no snapshot would write, even where they are JSON."""
    blobs = Kept()
    with pytest.raises(BadDataset, match="not those of a snapshot"):
        Snapshot.read(blobs.put(wrong), blobs.__getitem__)


def renamed(head: bytes, **changes: object) -> bytes:
    return json.dumps(json.loads(head) | changes, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_a_head_that_names_other_columns_is_refused():
    """Columns of another kind, shapes of another snapshot, and Parquet files that were never kept."""
    key, blobs = kept(rows_of(5))
    head = json.loads(blobs[key])
    _, others = kept(rows_of(4))
    blobs |= others
    other_shapes = next(
        name for name in others if name not in (head["items"], head["shapes"]) and b"more" in others[name]
    )
    for change in ({"items": head["shapes"]}, {"shapes": other_shapes}, {"shapes": "f" * 64}):
        with pytest.raises(BadDataset):
            Snapshot.read(blobs.put(renamed(blobs[key], **change)), blobs.__getitem__)


richer = st.one_of(
    shapes,
    st.builds(
        lambda label, points, name, value: drawn(Geometry.POLYGON, label, points, id=name, attributes={"a": value}),
        st.sampled_from(LABELS),
        st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=5),
        st.sampled_from(["", "s1"]),
        st.sampled_from([True, "é", 1.5, ("x", "y")]),
    ),
)


@given(st.lists(st.lists(richer, max_size=3), max_size=6))
def test_shapes_come_back_as_they_were_drawn(drawings):
    """Geometry, points, attributes, ids: nothing of a shape is lost or changed."""
    rows = [row(str(i), shapes=tuple(drawing)) for i, drawing in enumerate(drawings)]
    key, blobs = kept(rows)
    found = {entry.digest: entry.shapes for entry in Snapshot.read(key, blobs.__getitem__).entries}
    assert found == {item.digest: truth.shapes for item, truth in rows}


@given(row_lists(), row_lists(), st.booleans())
def test_contents_are_equal_where_the_entries_are(rows, others, same):
    """The digest of the content tells whether two snapshots hold the same, and nothing else does."""
    one = freeze(rows, labels=LABELS, val_share=0.25)
    two = freeze(rows if same else others, labels=LABELS, val_share=0.25)
    assert (one.content == two.content) == (list(one.entries) == list(two.entries))


def test_where_one_value_ends_is_content():
    """The same letters, divided otherwise between images or within one, are something else."""
    item, truth = row("a")
    other, its = row("b")

    def content(one: tuple[str, ...], two: tuple[str, ...], group: str = "", its_group: str = "") -> str:
        pair = (replace(item, group=group, split=Split.TRAIN), replace(truth, submission_ids=one))
        its_pair = (replace(other, group=its_group, split=Split.TRAIN), replace(its, submission_ids=two))
        return freeze([pair, its_pair], labels=LABELS, val_share=0.2).content

    ways = [(("a", "b"), ()), (("a",), ("b",)), ((), ("a", "b")), (("ab",), ()), (("a", "b"), (), "cd"),
            (("a", "b"), (), "c", "d"), (("a", "b"), (), "", "cd")]  # fmt: skip
    assert len({content(*way) for way in ways}) == len(ways)


@given(row_lists(), st.integers(1, 5), st.sampled_from(["zstd", "snappy", "none"]))
def test_the_content_does_not_hang_on_how_it_is_written(rows, piece, compression):
    """Another division into pieces, or another encoding, is the same content."""
    snapshot = freeze(rows, labels=LABELS, val_share=0.25)
    for table in (snapshot.items, snapshot.shapes):
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression=compression, row_group_size=piece, version="1.0")
        read = pq.read_table(pa.BufferReader(sink.getvalue())).cast(table.schema)
        parts = pa.Table.from_batches(table.to_batches(max_chunksize=piece), table.schema)
        assert content_of(table) == content_of(read) == content_of(parts)


@given(row_lists())
def test_snapshots_of_the_first_format_are_read(rows):
    """One JSON document, as installations have them: the same entries, under the same id."""
    snapshot = freeze(rows, labels=LABELS, val_share=0.25)
    blobs = Kept()
    key = blobs.put(document_of(LABELS, 0.25, list(snapshot.entries)))
    again = Snapshot.read(key, blobs.__getitem__)
    assert again == snapshot
    assert (again.digest, again.counts()) == (key, snapshot.counts())
    assert again.keep(blobs.put) == key


FIRST = document_of(LABELS, 0.2, list(freeze(rows_of(2), labels=LABELS, val_share=0.2).entries))


@pytest.mark.parametrize(
    "damaged",
    [
        FIRST[:-1],
        FIRST + b" ",
        FIRST.replace(b"snapshot/1", b"snapshot/9"),
        FIRST.replace(b'"split":"', b'"split":"x'),
        FIRST.replace(b',"width":64', b""),
        FIRST.replace(b'"bolt"', b'"gasket"', 1),
    ],
)
def test_a_damaged_document_is_refused(damaged):
    """Bytes that the first format would not have written, even where they are JSON."""
    blobs = Kept()
    with pytest.raises(BadDataset, match="not those of a snapshot"):
        Snapshot.read(blobs.put(damaged), blobs.__getitem__)


# --- parts of it ------------------------------------------------------------------------------------------------------


@given(row_lists(), st.sets(st.integers(0, 11)))
def test_parts_of_the_entries(rows, places):
    """A part has the entries that a list of them would have: by place, by slice, and without some."""
    snapshot = freeze(rows, labels=LABELS, val_share=0.5)
    entries = snapshot.entries
    whole = list(entries)
    assert [entries[place] for place in range(len(whole))] == whole == [*entries[:3], *entries[3:]]
    gone = {whole[place].digest for place in places if place < len(whole)}
    assert list(entries.without(gone)) == [entry for entry in whole if entry.digest not in gone]
    train = [entry.digest for entry in whole if entry.split is Split.TRAIN]
    assert [entry.digest for entry in whole if snapshot.trains_on(entry.digest)] == train
    assert not snapshot.trains_on("0" * 64) and not snapshot.trains_on("f" * 64)
    only = snapshot.only(~snapshot.among(gone), {"dropped": len(gone)})
    assert list(only.entries) == list(entries.without(gone))


def test_what_people_corrected_is_always_trained_on():
    """The limit bounds what was imported, by digest; what people answered comes first and stays whole."""
    rows = rows_of(10, split=Split.TRAIN)
    rows = [(item, replace(truth, submission_ids=("s",) if i < 4 else ())) for i, (item, truth) in enumerate(rows)]
    answered = {item.digest for item, truth in rows if truth.submission_ids}
    entries = freeze(rows, labels=LABELS, val_share=0.2).training_entries
    assert {entry.digest for entry in entries.most(2)} == answered
    imported = sorted({item.digest for item, _ in rows} - answered)[:3]
    assert [entry.digest for entry in entries.most(7)] == sorted([*answered, *imported])
    assert len(entries.most(100)) == 10
