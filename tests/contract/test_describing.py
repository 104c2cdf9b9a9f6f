"""What is said of items is changed by several at once, and many items in one go."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from loop.domain.access import Role, Token
from loop.domain.errors import Invalid, Overloaded
from loop.domain.items.query_text import parsed
from loop.items import describing, lists
from loop.items.describing import Describing
from loop.selecting.narrowing import meeting
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from tests.contract.conftest import Databases
from tests.contract.records import PROJECT, a_project, an_item, digest, later

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ITEMS = 7


@pytest.fixture
def store(databases: Databases) -> Iterator[SqlStore]:
    with databases() as url:
        store = SqlStore.open(url)
        with store.begin() as tx:
            tx.projects.add(a_project())
            tx.items.add_all([replace(an_item(number, at=later(number)), meta={}) for number in range(ITEMS)])
        yield store
        store.close()


@pytest.fixture
def ada() -> Token:
    return Token(id="tok_1", name="ada", role=Role.OPERATOR, project_id=None, secret_digest="", created_at=NOW)


def test_of_two_who_change_an_item_at_once_neither_is_lost(store: SqlStore, ada: Token) -> None:
    """Each key is there in the end, and each change in the history."""
    describing, failed = Describing(store, lambda: NOW), []

    def change(name: str) -> None:
        try:
            for number in range(10):
                describing.describe(ada, PROJECT, [digest(0), digest(1)], {f"{name}{number}": "x"})
        except Exception as error:
            failed.append(error)

    writers = [threading.Thread(target=change, args=(name,)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    with store.read() as tx:
        items, events = tx.items.of(PROJECT, [digest(0), digest(1)]), tx.events.after(PROJECT, 0, 1000)
    assert not failed
    assert all(
        set(item.meta) == {f"{name}{number}" for name in "abc" for number in range(10)} for item in items.values()
    )
    assert len([event for event in events if event.kind == "item.described"]) == 60


def test_what_is_to_miss_none_waits_for_lists_that_are_far_behind(
    store: SqlStore, ada: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metadata and tags by a query, and selections: nothing is left out in silence."""
    monkeypatch.setattr(lists, "catch_up", lambda store: False)
    with pytest.raises(Overloaded, match="lists of items"):
        Describing(store, lambda: NOW).describe_where(ada, PROJECT, "", {"site": "north"})
    with pytest.raises(Overloaded, match="lists of items"):
        lists.ItemData(store, FsspecBlobs.open("memory://"), lambda: NOW).tag_where(
            ada, PROJECT, "", add=["a"], remove=[]
        )
    with pytest.raises(Overloaded, match="lists of items"):
        meeting(store, PROJECT, parsed("missing meta.site"), NOW)


def test_who_goes_on_misses_none_though_the_query_asks_for_what_it_changes(
    store: SqlStore, ada: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(describing, "MOST_DESCRIBED", 3)
    use, after, calls = Describing(store, lambda: NOW), None, []
    while True:
        done = use.describe_where(ada, PROJECT, "missing meta.site", {"site": "north"}, after=after)
        calls.append(done.changed)
        after = done.next
        if after is None:
            break
    assert calls == [3, 3, 1]
    assert use.describe_where(ada, PROJECT, "missing meta.site", {"site": "north"}).items == 0


def test_where_one_item_cannot_be_changed_none_is(store: SqlStore, ada: Token) -> None:
    """Neither the items before it, nor the history."""
    use = Describing(store, lambda: NOW)
    use.describe(ada, PROJECT, [digest(2)], {f"k{number}": "x" for number in range(100)})
    with pytest.raises(Invalid, match="101 keys"):
        use.describe_where(ada, PROJECT, "", {"one more": "x"})
    with store.read() as tx:
        assert [item.meta for item in tx.items.of(PROJECT, [digest(0), digest(6)]).values()] == [{}, {}]
        assert len(tx.events.after(PROJECT, 0, 1000)) == 1
