"""Some of the images that are held out, frozen under a name."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.errors import BadDataset
from loop.domain.policy.slice_rules import SliceKind
from training.slices import Slice, Slices, at, by_source, by_time

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NIGHT = Slice(kind=SliceKind.VIEW, name="night", images=(0, 2, 4), margin=0.02)
GONE = Slice(kind=SliceKind.VIEW, name="fog", note="the view 'fog' was removed.")


def test_they_are_kept_as_they_are() -> None:
    """What is read back is what was written; anything else is refused."""
    kept = Slices(judged=4, beside=("a", "b"), slices=(NIGHT, GONE))
    content = kept.to_bytes()
    assert Slices.read(content) == kept
    for damaged in (b"", b"{}", b"[]", content[:40], content.replace(b"view", b"vew")):
        with pytest.raises(BadDataset):
            Slices.read(damaged)


@given(st.lists(st.booleans(), min_size=6, max_size=6))
def test_without_some_images_the_others_stay_in_their_slices(gone: list[bool]) -> None:
    """An image has the slices that it had, wherever it stands now."""
    names = [f"image {place}" for place in range(6)]
    kept = Slices(judged=4, beside=tuple(names[4:]), slices=(NIGHT, GONE)).without(np.array(gone))
    left = [name for name, lost in zip(names, gone, strict=True) if not lost]
    assert kept.judged == sum(not lost for lost in gone[:4]) and list(kept.beside) == left[kept.judged :]
    assert [left[place] for place in kept.slices[0].images] == [names[i] for i in NIGHT.images if not gone[i]]
    assert kept.slices[1] == GONE


def test_sources_are_those_that_are_named() -> None:
    made = by_source(["b", "", "a", "b"])
    assert [(one.title, one.images) for one in made] == [("source a", (2,)), ("source b", (0, 3))]


def test_quarters_of_time_hold_every_image_once() -> None:
    """Of as many images as can be, the oldest first; one moment is never in two of them."""
    moments = [BEGIN + timedelta(days=(7 * i) % 40) for i in range(40)]
    quarters = by_time(moments)
    assert len(quarters) == 4 and sorted(i for one in quarters for i in one.images) == list(range(40))
    assert {len(one.images) for one in quarters} == {10}
    newest = [max(moments[i] for i in one.images) for one in quarters]
    assert newest == sorted(newest) and quarters[0].title == "time 1: 2026-01-01 to 2026-01-10"
    assert by_time([]) == by_time([BEGIN] * 9) == []
    assert [len(one.images) for one in by_time([BEGIN] * 6 + [BEGIN + timedelta(1)] * 2)] == [6, 2]


def test_places_are_those_of_the_images_that_there_are() -> None:
    assert at({"a": 3, "b": 1}, ["a", "c", "b", "a"]) == (1, 3)
