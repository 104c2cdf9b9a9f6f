"""No image is trained on that is nearly the same as one that models are judged by."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.item import Split
from tests.test_snapshot import LABELS, Row, row_lists
from training.snapshot import freeze
from training.snapshot_leaks import NEAR_DUPLICATES, Hashes, near, without_leaks


@st.composite
def clustered(draw: st.DrawFn) -> tuple[list[Row], dict[str, int]]:
    """Rows, and the clusters of some of them and of items without truth."""
    rows = draw(row_lists())
    seen = [item.digest for item, _ in rows if draw(st.booleans())] + [f"{number:064x}" for number in range(3)]
    return rows, {digest: draw(st.integers(0, 3)) for digest in sorted(seen)}


@given(clustered())
def test_a_training_image_goes_where_its_cluster_has_one_held_out(given_rows):
    """Exactly those, and they are counted; everything that is held out stays."""
    rows, cluster_of = given_rows
    snapshot = freeze(rows, labels=LABELS, val_share=0.4)
    held_out = {
        cluster_of[entry.digest]
        for entry in snapshot.entries
        if entry.split is not Split.TRAIN and entry.digest in cluster_of
    }
    leaks = {entry.digest for entry in snapshot.of_split(Split.TRAIN) if cluster_of.get(entry.digest, -1) in held_out}
    clean = without_leaks(snapshot, np.array(list(cluster_of), dtype="S64"), np.array(list(cluster_of.values())))
    assert list(clean.entries) == list(snapshot.entries.without(leaks))
    assert clean.left_out == ({NEAR_DUPLICATES: len(leaks)} if leaks else {})
    assert clean.head.left_out == clean.left_out


@given(row_lists())
def test_where_nothing_was_seen_nothing_goes(rows):
    snapshot = freeze(rows, labels=LABELS, val_share=0.4)
    assert without_leaks(snapshot, np.empty(0, dtype="S64"), np.empty(0, dtype=np.int64)) is snapshot


PLACES = (0, 1, 20, 33, 47, 63)


@st.composite
def alike(draw: st.DrawFn, most: int = 12) -> list[int]:
    """Hashes that differ in a few of the same places, so that many share a band."""
    return [flipped(0, draw(st.lists(st.sampled_from(PLACES), max_size=4))) for _ in range(draw(st.integers(0, most)))]


words = st.lists(st.integers(0, 2**64 - 1), max_size=4)


def apart(a: int, b: int) -> int:
    return (a ^ b).bit_count()


def flipped(value: int, places: list[int]) -> int:
    for place in places:
        value ^= 1 << place
    return value


@given(words, words, alike(), alike(), st.integers(0, 12))
def test_hashes_are_near_that_differ_in_few_bits(asked, among, some, others, bits):
    """As comparing each with each says, also where many are alike."""
    asked, among = asked + some, among + others
    expected = [any(apart(one, other) <= bits for other in among) for one in asked]
    assert near(np.array(asked, np.uint64), np.array(among, np.uint64), bits).tolist() == expected


@given(clustered(), st.data())
def test_what_was_not_seen_is_compared_by_what_it_looks_like(given_rows, data):
    """A training image goes where its hash is near that of one held out; of two that were seen their clusters decide.
    What has no hash stays."""
    rows, cluster_of = given_rows
    bits = data.draw(st.integers(0, 3))
    snapshot = freeze(rows, labels=LABELS, val_share=0.4)
    looks = data.draw(st.lists(alike(1).filter(bool), min_size=len(rows), max_size=len(rows)))
    without = data.draw(st.sets(st.integers(0, 11)))
    hash_of = {
        entry.digest: one
        for number, (entry, (one,)) in enumerate(zip(snapshot.entries, looks, strict=True))
        if number not in without
    }
    held_out = [entry.digest for entry in snapshot.entries if entry.split is not Split.TRAIN]

    def leaks(digest: str, other: str) -> bool:
        if digest in cluster_of and other in cluster_of:
            return cluster_of[digest] == cluster_of[other]
        return digest in hash_of and other in hash_of and apart(hash_of[digest], hash_of[other]) <= bits

    leaked = {
        one.digest for one in snapshot.of_split(Split.TRAIN) if any(leaks(one.digest, other) for other in held_out)
    }
    names, clusters = np.array(list(cluster_of), dtype="S64"), np.array(list(cluster_of.values()))
    hashes = Hashes(np.array(list(hash_of), dtype="S64"), np.array(list(hash_of.values()), dtype=np.uint64), bits)
    clean = without_leaks(snapshot, names, clusters, hashes)
    assert list(clean.entries) == list(snapshot.entries.without(leaked))
    assert clean.left_out == ({NEAR_DUPLICATES: len(leaked)} if leaked else {})
