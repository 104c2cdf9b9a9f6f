"""Items by a query: what the databases answer is what the query means, in the order that the sort means."""

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loop.domain.errors import NotFound
from loop.domain.item import Item
from loop.domain.items.queries import EVERYTHING, SORTS, Place, Query, Sort, View
from loop.domain.items.query_text import parsed
from loop.items import lists
from loop.items.lists import catch_up
from loop.store import item_queries
from loop.store.database import SqlStore
from loop.store.engine import engine_for
from loop.store.migrations.versions import (
    r0020_items_query,
    r0024_changed_items,
    r0034_skipped_work,
    r0036_item_revisions,
)
from tests.contract.filling import Fill
from tests.contract.records import (
    PROJECT,
    a_prediction,
    a_project,
    an_event,
    digest,
    furnish,
)
from tests.item_queries import MODELS, NOW, Known, in_order, queries


@pytest.fixture
def filled(store: SqlStore) -> tuple[SqlStore, list[Known]]:
    return store, Fill(store, seed=1).write()


def pages(store: SqlStore, query: Query, sort: Sort, limit: int) -> Iterator[list[str]]:
    after: Place | None = None
    while True:
        with store.read() as tx:
            places = tx.item_queries.places(PROJECT, query, sort, after=after, limit=limit, now=NOW)
        yield [place.digest for place in places]
        if len(places) < limit:
            return
        after = places[-1]


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    query=queries,
    sort=st.builds(Sort, st.sampled_from(SORTS), st.booleans()),
    limit=st.sampled_from([1, 7, 100]),
    few=st.sampled_from([0, 5, 5_000]),
    near=st.sampled_from([0, 4, 5_000]),
    many=st.sampled_from([5, 5_000]),
)
def test_a_query_finds_what_it_means_in_order(
    filled: tuple[SqlStore, list[Known]], query: Query, sort: Sort, limit: int, few: int, near: int, many: int
) -> None:
    """Whichever way it is read, gathered, along an index or first so and then so: pages together are the list, and the
    count its length."""
    store, known = filled
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(item_queries, "FEW", few)
        patched.setattr(item_queries, "NEAR", near)
        patched.setattr(item_queries, "MANY", many)
        expected = in_order(query, sort, known)
        assert [one for page in pages(store, query, sort, limit) for one in page] == expected
        with store.read() as tx:
            assert tx.item_queries.count(PROJECT, query, now=NOW, at_most=10) == min(len(expected), 10)
            page = tx.item_queries.page(PROJECT, query, sort, after=None, limit=limit, now=NOW)
        assert [one.item.digest for one in page] == expected[:limit]


def test_a_listed_item_tells_its_facts(filled: tuple[SqlStore, list[Known]]) -> None:
    store, known = filled
    with store.read() as tx:
        page = tx.item_queries.page(PROJECT, EVERYTHING, Sort(), after=None, limit=100, now=NOW)
        assert all(one.item == tx.items.get(PROJECT, one.item.digest) for one in page)
    told = {
        one.item.digest: (set(one.tags), one.captured_at, one.model_id, one.risk, one.routed, one.truth_version,
                          one.work, one.corrections)
        for one in page
    }  # fmt: skip
    assert told == {
        one.digest: (one.tags, one.captured_at, one.model, one.risk, one.routed, one.truth, one.work, one.corrections)
        for one in known
    }
    assert {one.model for one in known} >= set(MODELS)


def _kept(url: str) -> list[str]:
    engine = engine_for(url)
    with engine.connect() as connection:
        rows = [
            json.dumps(list(row), default=str)
            for query in (
                "SELECT * FROM item_facts",
                "SELECT * FROM item_terms WHERE field <> 'tag'",
                "SELECT sequence, item_digest FROM events",
            )
            for row in connection.exec_driver_sql(query)
        ]
    engine.dispose()
    return sorted(rows)


@pytest.mark.parametrize("seed", [2, 3])
def test_what_the_store_keeps_is_what_the_migration_makes_of_the_tables(url: str, store: SqlStore, seed: int) -> None:
    """Facts and terms repeat other tables: made anew of those they are the same."""
    Fill(store, seed).write()
    with store.begin() as tx:
        tx.items.add(replace(an_odd_item(), project_id=PROJECT))
        tx.groups.keep_together(PROJECT, [digest(0)], "a" * 300)
        for body in ({"item_digest": digest(0)}, {"item_digest": None}, {"list": [1]}):
            tx.events.add(replace(an_event(), body=body))
    catch_up(store)
    store.close()
    assert _kept(url) == _made_anew(url)


def _made_anew(url: str) -> list[str]:
    """By the migration, of the tables that the facts repeat."""
    engine = engine_for(url)
    with engine.begin() as connection:
        for statement in (
            "DROP INDEX ix_events_of_item", "ALTER TABLE events DROP COLUMN item_digest", "DROP TABLE item_views",
            "DROP TABLE item_terms", "DROP TABLE item_revisions", "DROP TABLE item_facts", "DROP TABLE changed_items",
        ):  # fmt: skip
            connection.exec_driver_sql(statement)
        with Operations.context(MigrationContext.configure(connection)):
            r0020_items_query.upgrade()
            r0024_changed_items.upgrade()
            r0034_skipped_work.upgrade()
            r0036_item_revisions.upgrade()
    engine.dispose()
    again = SqlStore.open(url)
    assert again.check() == []
    again.close()
    return _kept(url)


def test_who_has_time_lets_others_write_from_one_transaction_to_the_next(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each that may not have been the last, in which a writer gets its turn; lists know all in the end."""
    monkeypatch.setattr(lists, "_CAUGHT_UP_AT_ONCE", 2)
    with store.begin() as tx:
        tx.projects.add(a_project())
        tx.items.add_all([Fill(store, seed=6)._item(number) for number in range(5)])
    turns: list[int] = []

    def between() -> None:
        with store.begin() as tx:
            assert tx.item_queries.are_behind()
        turns.append(1)

    assert catch_up(store, between) and len(turns) == 2
    with store.read() as tx:
        assert not tx.item_queries.are_behind()


def test_lists_catch_up_with_the_oldest_changes_first(store: SqlStore) -> None:
    """As many as they are given leave for, each once; what is not committed does not count."""
    items = [Fill(store, seed=6)._item(number) for number in range(5)]
    with store.begin() as tx:
        tx.projects.add(a_project())
    for item in items:
        with store.begin() as tx:
            tx.items.add(item)
    with suppress(ZeroDivisionError), store.begin() as tx:
        assert tx.item_queries.catch_up(3) == 3
        raise ZeroDivisionError
    for expected in (3, 5, 5):
        with store.begin() as tx:
            tx.item_queries.catch_up(3)
        with store.read() as tx:
            found = tx.item_queries.places(PROJECT, EVERYTHING, Sort(), after=None, limit=100, now=NOW)
            assert tx.item_queries.are_behind() == (expected < 5)
        assert {place.digest for place in found} == {item.digest for item in items[:expected]}


def test_who_catches_up_beside_others_and_beside_who_writes_loses_nothing(url: str, store: SqlStore) -> None:
    fill = Fill(store, seed=7)
    ended, failed = threading.Event(), []

    def follow() -> None:
        try:
            while not ended.is_set():
                catch_up(store)
        except Exception as error:
            failed.append(error)

    followers = [threading.Thread(target=follow) for _ in range(2)]
    for follower in followers:
        follower.start()
    try:
        fill.write()
    finally:
        ended.set()
        for follower in followers:
            follower.join()
    catch_up(store)
    store.close()
    assert not failed
    assert _kept(url) == _made_anew(url)


def an_odd_item() -> Item:
    meta = {"nul\x00": "x", "k": "\x00", "lone": "\ud800", "long" * 50: "x", "captured_at": "2026-01-01T00:00:00.5Z"}
    return Item(
        project_id=PROJECT, digest="f" * 64, media_type="image/png", width=1, height=1, created_at=NOW, meta=meta
    )


def test_a_page_goes_on_where_it_ended_whatever_comes_meanwhile(store: SqlStore) -> None:
    """Items that are new, or sorted elsewhere by now, neither shift nor repeat those that have not changed."""
    Fill(store, seed=4).write()
    sort = Sort("risk", descending=False)
    with store.read() as tx:
        every = tx.item_queries.places(PROJECT, EVERYTHING, sort, after=None, limit=100, now=NOW)
        first = tx.item_queries.places(PROJECT, EVERYTHING, sort, after=None, limit=3, now=NOW)
    with store.begin() as tx:
        moved = replace(a_prediction(9_999, at=NOW + timedelta(days=1)), item_digest=first[-1].digest)
        tx.predictions.add(replace(moved, decision=replace(moved.decision, risk=0.99)))
    catch_up(store)
    with store.read() as tx:
        rest = tx.item_queries.places(PROJECT, EVERYTHING, sort, after=first[-1], limit=100, now=NOW)
    assert [one for one in rest if one.digest != first[-1].digest] == every[3:]


def test_a_pages_statement_walks_an_index(url: str, store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A common condition and any sort: no sorting of what could be read in order (SQLite; PostgreSQL decides by its
    statistics)."""
    if not url.startswith("sqlite"):
        pytest.skip("the plan is chosen by statistics there")
    Fill(store, seed=5).write()
    monkeypatch.setattr(item_queries, "FEW", -1)
    seen: list[str] = []
    engine = store._reader
    sa.event.listen(engine, "before_cursor_execute", lambda *given: seen.append((given[2], given[3])))
    asked = ["source = cam", "truth = yes", "risk > 0.1", "tag = cam", "label = seven", "meta.k = cam", "width = 640",
             "failed = yes", "golden = no", "missing lot"]  # fmt: skip
    for text in asked:
        for sort in SORTS:
            seen.clear()
            list(pages(store, parsed(text), Sort(sort), 5))
            plans = [_plan(engine, *one) for one in list(seen) if "ORDER BY" in one[0]]
            assert plans, text
            assert not any("TEMP B-TREE FOR ORDER BY" in plan for plan in plans), (text, sort, plans)


@pytest.mark.parametrize(
    ("text", "sort", "index"),
    [
        ("failed = yes", "risk", "ix_item_facts_failed_risk"),
        ("failed = no", "risk", "ix_item_facts_right_risk"),
        ("corrections > 1", "risk", "ix_item_facts_failed_risk"),
        ("truth = yes", "captured_at", "ix_item_facts_labelled_captured_at"),
        ("has tag", "created_at", "ix_item_terms_project_id_field_value_created_at_item_digest"),
        ('model ^= "m"', "captured_at", "ix_item_facts_project_id_model_id_captured_at_digest"),
        ("missing lot", "created_at", "ix_lot_items_item_digest"),
        ("not lot = lot_1", "width", "ix_lot_items_item_digest"),
        ("golden = no", "created_at", "sqlite_autoindex_golden_items_1"),
    ],
)
def test_what_is_asked_of_each_item_is_looked_up_for_it(
    url: str, store: SqlStore, monkeypatch: pytest.MonkeyPatch, text: str, sort: str, index: str
) -> None:
    """By its digest, not in a list of all items that have it; what failed has an order of its own by risk (SQLite)."""
    if not url.startswith("sqlite"):
        pytest.skip("the plan is chosen by statistics there")
    Fill(store, seed=5).write()
    monkeypatch.setattr(item_queries, "FEW", -1)
    seen: list[tuple[str, tuple]] = []
    engine = store._reader
    sa.event.listen(engine, "before_cursor_execute", lambda *given: seen.append((given[2], given[3])))
    list(pages(store, parsed(text), Sort(sort, descending=False), 5))
    # Which item is so many places further is asked of no item in particular.
    plans = [_plan(engine, *one) for one in list(seen) if "ORDER BY" in one[0] and "OFFSET" not in one[0]]
    assert plans
    assert all(index in plan for plan in plans), plans
    assert not any("LIST SUBQUERY" in plan for plan in plans), plans


def _plan(engine: sa.Engine, statement: str, given: tuple) -> str:
    with engine.connect() as connection:
        return "\n".join(str(row) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given))


def test_views_are_kept_by_name(store: SqlStore) -> None:
    furnish(store)
    view = View(project_id=PROJECT, name="To do", query="missing truth", sort="-risk", actor="x", updated_at=NOW)
    with store.begin() as tx:
        tx.views.save(view)
        tx.views.save(replace(view, name="A"))
        tx.views.save(replace(view, sort="width"))
    with store.read() as tx:
        assert tx.views.get(PROJECT, "To do").sort == "width"
        assert [one.name for one in tx.views.all(PROJECT)] == ["A", "To do"]
    with store.begin() as tx:
        tx.views.remove(PROJECT, "A")
    with pytest.raises(NotFound), store.begin() as tx:
        tx.views.remove(PROJECT, "A")


def test_an_items_history_is_in_the_order_of_time(filled: tuple[SqlStore, list[Known]]) -> None:
    store, known = filled
    busiest = max(known, key=lambda one: one.truth)
    with store.begin() as tx:
        tx.events.add(replace(an_event(), body={"item_digest": busiest.digest, "x": 1}, at=NOW))
        tx.events.add(replace(an_event(), body={"item_digest": "other"}, at=NOW))
    with store.read() as tx:
        history = tx.item_histories.of(PROJECT, busiest.digest, most=500)
        shortened = tx.item_histories.of(PROJECT, busiest.digest, most=1)
        submitted = tx.submissions.of_item(PROJECT, busiest.digest)
        with pytest.raises(NotFound):
            tx.item_histories.of(PROJECT, "no such", most=1)
    assert [one.at for one in history] == sorted(one.at for one in history)
    assert [one.body["x"] for one in history if one.kind == "event"] == [1]
    assert [one.id for one in history if one.kind == "truth"] == [str(n + 1) for n in range(busiest.truth)]
    assert [one.id for one in history if one.kind == "submission"] == [one.id for one in submitted]
    assert [one.id for one in shortened if one.kind == "truth"] == [str(busiest.truth)]
    assert {type(one.body) for one in history} == {dict}
