"""Which held-out images make a slice: by what both databases know when the snapshot is made."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from loop.cycle.judging import held_out
from loop.cycle.slicing import Slicing
from loop.domain.errors import BadDataset
from loop.domain.item import Split
from loop.domain.items.queries import View
from loop.domain.policy.slice_rules import SliceKind, SliceRule
from loop.domain.stage import Stage
from loop.store.database import SqlStore
from tests.contract.conftest import Databases
from tests.contract.records import (
    ODD,
    PROJECT,
    a_project,
    a_recipe,
    a_submission,
    a_task,
    a_truth,
    an_item,
    digest,
    later,
)
from training.slices import Slice, Slices
from training.snapshot import Snapshot, freeze

GOLDEN, VAL, TRAIN = range(4), range(4, 10), range(10, 12)
AUDITED, FAILED = (1, 5, 10), (2, 5, 6, 7, 11)


@pytest.fixture
def store(databases: Databases) -> Iterator[SqlStore]:
    """Twelve items with ground truth: four golden, six val, two train."""
    with databases() as url:
        opened = SqlStore.open(url)
        with opened.begin() as tx:
            tx.projects.add(a_project())
            for number in (*GOLDEN, *VAL, *TRAIN):
                split = Split.GOLDEN if number in GOLDEN else Split.VAL if number in VAL else Split.TRAIN
                item = replace(an_item(number), split=split, group="", source="b" if number % 2 else "a")
                tx.items.add(replace(item, created_at=later(86_400 * number), meta={"light": "dim"}))
                tx.truths.add(a_truth(item=number))
            for number in sorted({*AUDITED, *FAILED}):
                task = a_task(number, item=number, stage=Stage.AUDIT if number in AUDITED else Stage.ANNOTATE)
                tx.tasks.add(task)
                corrections = {"missed": int(number in FAILED)}
                tx.submissions.add(replace(a_submission(task, number), settles=True, corrections=corrections))
            tx.item_queries.tag(PROJECT, [digest(n) for n in (0, 4, 6, 8, 10)], add=["night"], remove=[])
        yield opened
        opened.close()


def view(name: str, query: str) -> View:
    return View(project_id=PROJECT, name=name, query=query, sort="-created_at", actor="op", updated_at=later(0))


def snapshot_of(store: SqlStore) -> Snapshot:
    with store.read() as tx:
        rows = list(tx.truths.all_current(PROJECT))
    return freeze(rows, labels=a_recipe().label_names, val_share=0.2)


def frozen(store: SqlStore, *, most: int = 100, beside: bool = True, now: datetime | None = None) -> Slices:
    return Slicing(store, lambda: now or later(0), most).frozen(PROJECT, snapshot_of(store), beside=beside)


def names(slices: Slices, one: Slice) -> list[int]:
    digests = [*(digest(number) for number in GOLDEN), *slices.beside]
    return [int(digests[place], 16) for place in one.images]


def by_title(slices: Slices) -> dict[str, list[int]]:
    return {one.title: names(slices, one) for one in slices.slices}


def test_which_views_are_slices_is_kept(store: SqlStore) -> None:
    """By name; in place of those that there were; of this project."""
    with store.begin() as tx:
        assert tx.cycles.slices(PROJECT) == ()
        tx.cycles.save_slices(PROJECT, [SliceRule("night", 0.02), SliceRule("camera 3")])
    with store.begin() as tx:
        assert tx.cycles.slices(PROJECT) == (SliceRule("camera 3"), SliceRule("night", 0.02))
        assert tx.cycles.slices("other") == ()
        tx.cycles.save_slices(PROJECT, [])
    with store.read() as tx:
        assert tx.cycles.slices(PROJECT) == ()


def test_which_items_were_audited(store: SqlStore) -> None:
    asked = [digest(number) for number in range(8)]
    with store.read() as tx:
        assert tx.tasks.audited(PROJECT, asked) == {digest(1), digest(5)}
        assert tx.tasks.audited("other", asked) == frozenset()


def test_a_slice_is_of_what_is_held_out(store: SqlStore) -> None:
    """Golden images and, where they judge alone, others that no model trains on; sources and time are of those that
    judge."""
    with store.begin() as tx:
        tx.views.save(view("night", "tag = night"))
        tx.views.save(view("a or new", 'source = a or created_at > "2099-01-01"'))
        tx.cycles.save_slices(PROJECT, [SliceRule("night", 0.02), SliceRule("a or new")])
    found = frozen(store)
    told = by_title(found)
    assert (told["view night"], told["view a or new"]) == ([0, 4, 6, 8], [0, 2, 4, 6, 8])
    assert (told["audits"], told["past failures"]) == ([1, 5], [2, 5, 6, 7])
    assert (told["source a"], told["source b"]) == ([0, 2], [1, 3])
    assert sorted(number for title in told if title.startswith("time") for number in told[title]) == list(GOLDEN)
    assert [one.margin for one in found.slices if one.kind is SliceKind.VIEW] == [None, 0.02]
    assert (found.judged, [int(one, 16) for one in found.beside]) == (4, [4, 5, 6, 7, 8])


def test_every_saved_view_is_a_slice_where_that_is_wanted(store: SqlStore) -> None:
    """Also those saved afterwards; one that is named keeps the margin of its own."""
    with store.begin() as tx:
        tx.views.save(view("night", "tag = night"))
        tx.cycles.save_slices(PROJECT, [SliceRule("*", 0.04), SliceRule("night", 0.02)])
        tx.views.save(view("of a", "source = a"))
    found = [one for one in frozen(store).slices if one.kind is SliceKind.VIEW]
    assert [(one.name, one.margin) for one in found] == [("night", 0.02), ("of a", 0.04)]
    assert by_title(frozen(store))["view of a"] == [0, 2, 4, 6, 8]


def test_no_slice_brings_along_more_images_than_is_allowed(store: SqlStore) -> None:
    """The judged ones are there in any case."""
    with store.begin() as tx:
        tx.views.save(view("all", ""))
        tx.cycles.save_slices(PROJECT, [SliceRule("all")])
    told = by_title(frozen(store, most=2))
    assert (told["view all"], told["past failures"]) == ([*GOLDEN, 4, 5], [2, 5, 6])
    for alone in (frozen(store, most=0), frozen(store, beside=False)):
        assert (by_title(alone)["view all"], alone.beside) == ([*GOLDEN], ())


def test_without_a_golden_set_the_held_out_share_judges_and_is_all_there_is(store: SqlStore) -> None:
    with store.begin() as tx:
        for number in GOLDEN:
            tx.items.set_split(PROJECT, digest(number), Split.TRAIN, "")
    found = frozen(store)
    assert (found.judged, found.beside) == (len(VAL), ())
    past = next(one for one in found.slices if one.kind is SliceKind.FAILURES)
    assert [VAL[place] for place in past.images] == [5, 6, 7]


def test_a_view_that_is_gone_or_meets_nothing_says_so(store: SqlStore) -> None:
    """In words, without an image; one that cannot be read any more, too."""
    with store.begin() as tx:
        tx.views.save(view("fog", "tag = fog"))
        tx.views.save(view("old", "colour = grey"))
        tx.cycles.save_slices(PROJECT, [SliceRule("fog"), SliceRule("gone"), SliceRule("old")])
    told = {one.name: (one.note, one.images) for one in frozen(store).slices if one.kind is SliceKind.VIEW}
    assert all(images == () for _, images in told.values())
    assert "no held-out image meets" in told["fog"][0] and "tag = fog" in told["fog"][0]
    assert "removed" in told["gone"][0] and "cannot be read" in told["old"][0]


def test_what_was_dropped_since_is_in_no_slice(store: SqlStore) -> None:
    """The others keep their slices; with nothing left to judge by there is no evaluation."""
    snapshot, found = snapshot_of(store), frozen(store)
    held = held_out(snapshot, found, {digest(2), digest(6), "f" * 64})
    assert held.without == [digest(2), digest(6)]
    assert held.digests == [digest(number) for number in (0, 1, 3, 5, 7)]
    (past,) = [one for one in held.slices.slices if one.kind is SliceKind.FAILURES]
    assert np.array(held.digests)[list(past.images)].tolist() == [digest(5), digest(7)]
    with pytest.raises(BadDataset, match="were dropped"):
        held_out(snapshot, found, {digest(number) for number in GOLDEN})


def test_odd_names_survive(store: SqlStore) -> None:
    with store.begin() as tx:
        tx.cycles.save_slices(PROJECT, [SliceRule(ODD, 1 / 3)])
    with store.read() as tx:
        assert tx.cycles.slices(PROJECT) == (SliceRule(ODD, 1 / 3),)
