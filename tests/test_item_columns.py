"""Columns by themselves: what parts that become one may say. All else is held against the databases
(tests/contract/test_item_columns.py)."""

from datetime import UTC, datetime

import numpy as np
import pytest

from loop.domain.items.queries import Compare, Has, Op
from loop.store import item_columns
from loop.store.item_columns import Level, NotInColumns, Part, merged, met

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def part(numbers: range, **values: int) -> Part:
    """Items of these numbers; the first so many have these keys of meta."""
    digests = [f"{number:064x}" for number in numbers]
    facts = [(digest, NOW, None, None, 1, 1, 0, None, "image/png", "", "", *[None] * 4) for digest in digests]
    terms = [(digest, f"meta.{key}", "x", None) for key, count in values.items() for digest in digests[:count]]
    return Part.of(facts, terms)


def test_a_key_that_a_part_left_out_is_not_held_by_what_it_becomes(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many items of another part have it: those of the first would be missed."""
    monkeypatch.setattr(item_columns, "MOST_KEYS", 1)
    first, second = part(range(10), a=10, b=9), part(range(10, 110), b=100)
    one = merged([Level(first), Level(second)])
    assert met(one, Has("meta.a"), NOW).sum() == 10
    with pytest.raises(NotInColumns):
        met(one, Has("meta.b"), NOW)
    with pytest.raises(NotInColumns):
        met(one, Has("meta.c"), NOW)


def test_what_is_dead_in_a_part_is_not_in_what_it_becomes() -> None:
    first, second = part(range(4), a=4), part(range(2, 6), b=2)
    one = merged([Level(first).without(second.digests), Level(second)])
    assert [one.digest(row) for row in range(len(one))] == [f"{number:064x}" for number in range(6)]
    assert np.flatnonzero(met(one, Has("meta.a"), NOW)).tolist() == [0, 1]
    assert np.flatnonzero(met(one, Compare("meta.b", Op.EQUAL, "x"), NOW)).tolist() == [2, 3]


def test_digests_that_are_none_are_not_held() -> None:
    facts = ("no digest", NOW, None, None, 1, 1, 0, None, "image/png", "", "", *[None] * 4)
    with pytest.raises(NotInColumns):
        Part.of([facts], [])
