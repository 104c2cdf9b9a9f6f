"""No image is trained on that is nearly the same as one that models are judged by."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.item import Split
from tests.test_snapshot import LABELS, Row, row_lists
from training.snapshot import freeze
from training.snapshot_leaks import NEAR_DUPLICATES, without_leaks


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
