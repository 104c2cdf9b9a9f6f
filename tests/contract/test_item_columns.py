"""Lists from columns in memory: what they say is what the database says, whatever happens to it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loop.domain.errors import Invalid
from loop.domain.items.queries import EVERYTHING, SORTS, Compare, Op, Place, Query, Sort, leaves
from loop.domain.items.query_text import parsed
from loop.items.lists import catch_up
from loop.store import item_columns, item_columns_kept
from loop.store.database import SqlStore
from loop.store.engine import engine_for
from loop.store.item_columns import Columns
from loop.store.item_columns_kept import KeptColumns
from loop.store.item_queries import SqlItemQueries
from tests.contract.filling import OTHER, Fill
from tests.contract.records import PROJECT, an_item, digest, furnish
from tests.item_queries import NOW, Known, in_order, queries

NEWEST = Sort()
ASKED = [
    "", "source = cam", "not source = cam", 'group ^= "clip"', "split = val", "missing split", "width > 600",
    "captured_at > 3d ago", "missing captured_at", "model = model_digits_1", "risk > 0.3", "decision = review",
    "stage = audit", "missing stage", "truth = yes", "truth >= 2", "work = open", "work = skipped", "missing work",
    "failed = yes", "failed = no", "corrections >= 0", "golden = yes", "golden = no", "lot = lot_1", "missing lot",
    "tag = cam", "missing tag", "label = seven", "detection = Cam", "shape ^= C", "meta.k = 5", "has meta.k",
    "tag = cam and label = seven and risk > 0.1", "golden = yes or has lot or truth = yes",
]  # fmt: skip


@contextmanager
def _patched(**values: object) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setattr(item_columns if hasattr(item_columns, name) else item_columns_kept, name, value)
        yield


@contextmanager
def _without_the_database() -> Iterator[None]:
    """Nothing is answered by SQL."""

    def refused(*_: object) -> None:
        raise AssertionError("the database was asked")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqlItemQueries, "_places", refused)
        patch.setattr(SqlItemQueries, "_compiler", refused)
        yield


def _listed(store: SqlStore, query: Query = EVERYTHING, sort: Sort = NEWEST, limit: int = 100) -> list[str]:
    """All pages."""
    found: list[Place] = []
    while True:
        with store.read() as tx:
            after = found[-1] if found else None
            places = tx.item_queries.places(PROJECT, query, sort, after=after, limit=limit, now=NOW)
        found += places
        if len(places) < limit:
            return [place.digest for place in found]


def _held(store: SqlStore) -> Columns:
    assert store.columns is not None
    columns = store.columns.held(PROJECT)
    assert columns is not None
    return columns


def _hold(store: SqlStore) -> None:
    store.hold_columns(1)
    assert store.columns is not None
    assert store.columns.load(PROJECT)


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _all_as_known(store: SqlStore, known: list[Known]) -> None:
    for number, text in enumerate(ASKED):
        sort = Sort(SORTS[number % len(SORTS)], descending=number % 2 == 0)
        assert _listed(store, parsed(text), sort) == in_order(parsed(text), sort, known), text


@pytest.fixture
def held(store: SqlStore) -> tuple[SqlStore, list[Known]]:
    """In three parts at least, with items that stand in two of them."""
    fill = Fill(store, seed=11)
    fill.write()
    _hold(store)
    with _patched(_STEEP=0):
        for _ in range(3):
            for _ in range(15):
                fill.change()
            catch_up(store)
            _listed(store)
    assert len(_held(store).levels) == 4
    return store, list(fill.known.values())


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    query=queries,
    sort=st.builds(Sort, st.sampled_from(SORTS), st.booleans()),
    limit=st.sampled_from([1, 7, 100]),
    few=st.sampled_from([1, 32, 10_000]),
)
def test_columns_find_what_a_query_means_in_order(
    held: tuple[SqlStore, list[Known]], query: Query, sort: Sort, limit: int, few: int
) -> None:
    """Without the database, but for parts of digests; however many of the items meet it."""
    store, known = held
    expected = in_order(query, sort, known)
    with _patched(_FEW=few):
        asks_it = any(
            isinstance(one, Compare) and (one.field, one.op) == ("digest", Op.CONTAINS) for one in leaves(query)
        )
        with nullcontext() if asks_it else _without_the_database():
            assert _listed(store, query, sort, limit) == expected
            with store.read() as tx:
                assert tx.item_queries.count(PROJECT, query, now=NOW, at_most=10) == min(len(expected), 10)
                page = tx.item_queries.page(PROJECT, query, sort, after=None, limit=limit, now=NOW)
    assert [one.item.digest for one in page] == expected[:limit]


moments = st.integers(-4, 4).map(lambda days: NOW + timedelta(days=days))
keys = {
    **dict.fromkeys(("width", "height"), st.sampled_from([-1, 0, 1, 640, 641])),
    "risk": st.sampled_from([-1.0, 0.0, 0.25, 1 / 3, 0.5, 1.0, 1e300]),
    **dict.fromkeys(("created_at", "captured_at"), moments),
}
digests = st.integers(0, 60).map(digest) | st.sampled_from(["0", "f", "00" * 32, "ff" * 32])
behind = st.sampled_from(SORTS).flatmap(
    lambda field: st.tuples(
        st.builds(Sort, st.just(field), st.booleans()), st.builds(Place, st.none() | keys[field], digests)
    )
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=queries, at=behind)
def test_columns_go_on_behind_any_place_as_the_database_does(
    held: tuple[SqlStore, list[Known]], query: Query, at: tuple[Sort, Place]
) -> None:
    """Also where no item is there, or its key is of an item that has none. The places are the same to the key."""
    (store, _), (sort, after) = held, at
    kept, store._columns = store.columns, None
    try:
        with store.read() as tx:
            expected = tx.item_queries.places(PROJECT, query, sort, after=after, limit=9, now=NOW)
    finally:
        store._columns = kept
    with store.read() as tx:
        found = tx.item_queries.places(PROJECT, query, sort, after=after, limit=9, now=NOW)
    assert found == expected
    assert [type(one.key) for one in found] == [type(one.key) for one in expected]


@pytest.mark.parametrize("seed", [21, 22])
@pytest.mark.parametrize("worn", [3, 1_000])
def test_columns_follow_whatever_happens(store: SqlStore, seed: int, worn: int) -> None:
    """Predictions, work, truths, splits, tags, golden items, lots, new items: each is found as soon as lists have
    caught up, also while parts become one."""
    fill = Fill(store, seed)
    fill.write()
    _hold(store)
    with _patched(_FEWEST_WORN=worn):
        for _ in range(12):
            for _ in range(fill.rng.randrange(1, 12)):
                fill.change()
            catch_up(store)
            with _without_the_database():
                _all_as_known(store, list(fill.known.values()))


def test_parts_become_one_when_enough_has_changed(store: SqlStore) -> None:
    """Beside the requests; nothing is lost that changes meanwhile."""
    fill = Fill(store, seed=31)
    fill.write()
    _hold(store)
    with _patched(_FEWEST_WORN=5):
        for _ in range(30):
            fill.change()
        catch_up(store)
        _listed(store)
        _until(lambda: len(_held(store).levels) == 1)
    assert len(_held(store)) == len(fill.items)
    _all_as_known(store, list(fill.known.values()))


def test_what_changes_while_parts_become_one_is_there_after_it(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill = Fill(store, seed=32)
    fill.write()
    _hold(store)
    large = _held(store).levels[0].part
    begun, go_on = threading.Event(), threading.Event()
    merge = item_columns_kept.merged

    def slowly(levels):
        begun.set()
        assert go_on.wait(30)
        return merge(levels)

    monkeypatch.setattr(item_columns_kept, "merged", slowly)
    monkeypatch.setattr(item_columns, "_FEWEST_WORN", 1)
    for _ in range(2):
        for _ in range(10):
            fill.change()
        catch_up(store)
        _listed(store)
        assert begun.wait(30)
    go_on.set()
    monkeypatch.setattr(item_columns, "_FEWEST_WORN", 1_000)
    _until(lambda: _held(store).levels[0].part is not large)
    with _without_the_database():
        _all_as_known(store, list(fill.known.values()))


def test_columns_are_loaded_beside_the_requests_where_a_project_is_large(store: SqlStore) -> None:
    """When it is asked for; until then, and of small projects, the database answers."""
    fill = Fill(store, seed=41)
    known = fill.write()
    store.hold_columns(len(fill.items) + 1)
    assert store.columns is not None
    assert _listed(store) == in_order(EVERYTHING, Sort(), known)
    store.columns.see_to(PROJECT)
    assert store.columns.held(PROJECT) is None
    store.hold_columns(len(fill.items))
    assert _listed(store) == in_order(EVERYTHING, Sort(), known)
    _until(lambda: store.columns.held(PROJECT) is not None)
    assert store.columns.held(OTHER) is None
    with _without_the_database():
        _all_as_known(store, known)


def test_nothing_is_missed_that_changes_while_columns_are_loaded(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Items are read a few at a time, each as it is then; those that were read before they changed are read again."""
    fill = Fill(store, seed=51)
    fill.write()
    monkeypatch.setattr(item_columns_kept, "_AT_ONCE", 3)
    read = item_columns_kept._part_behind

    def and_something_changes(*given):
        part = read(*given)
        change = threading.Thread(target=lambda: [fill.change(), fill.change(), catch_up(store)])
        change.start()
        change.join()
        return part

    monkeypatch.setattr(item_columns_kept, "_part_behind", and_something_changes)
    _hold(store)
    with _without_the_database():
        _all_as_known(store, list(fill.known.values()))


def test_what_is_said_of_an_item_that_lists_do_not_know_yet_waits_for_it(store: SqlStore) -> None:
    """Tags are there before the item's facts."""
    furnish(store, items=3)
    catch_up(store)
    with store.begin() as tx:
        tx.items.add(an_item(7))
        tx.item_queries.tag(PROJECT, [digest(7), digest(1)], add=["early"], remove=[])
    _hold(store)
    assert _listed(store, parsed("tag = early")) == [digest(1)]
    catch_up(store)
    with _without_the_database():
        assert sorted(_listed(store, parsed("tag = early"))) == [digest(1), digest(7)]


def test_columns_follow_beside_those_who_write_and_those_who_ask(store: SqlStore) -> None:
    """No list fails, or has an item twice; at the end all are right."""
    fill = Fill(store, seed=61)
    fill.write()
    _hold(store)
    ended, failed = threading.Event(), []

    def ask() -> None:
        try:
            while not ended.is_set():
                catch_up(store)
                with store.read() as tx:
                    page = tx.item_queries.page(PROJECT, EVERYTHING, Sort("risk"), after=None, limit=100, now=NOW)
                digests = [one.item.digest for one in page]
                assert len(digests) == len(set(digests)) >= 40
        except BaseException as error:
            failed.append(error)

    with _patched(_FEWEST_WORN=4):
        asking = [threading.Thread(target=ask) for _ in range(3)]
        for thread in asking:
            thread.start()
        try:
            for _ in range(80):
                fill.change()
        finally:
            ended.set()
            for thread in asking:
                thread.join()
    assert not failed
    catch_up(store)
    with _without_the_database():
        _all_as_known(store, list(fill.known.values()))


def test_each_process_follows_by_itself(store: SqlStore, url: str) -> None:
    """Whichever of them brings the facts up to date."""
    fill = Fill(store, seed=65)
    fill.write()
    other = SqlStore.open(url)
    for one in (store, other):
        _hold(one)
    for number in range(6):
        for _ in range(6):
            fill.change()
        catch_up((store, other)[number % 2])
        with _without_the_database():
            for one in (store, other):
                _all_as_known(one, list(fill.known.values()))
    other.close()


def test_a_page_is_full_where_its_transaction_is_older_than_the_columns(store: SqlStore) -> None:
    """Items that it does not see are passed over; the columns stay, since the database has not gone back."""
    fill = Fill(store, seed=71)
    known = fill.write()
    _hold(store)
    newer = [replace(fill.items[0], digest=f"{n:02x}" * 32, created_at=NOW + timedelta(days=9)) for n in (1, 2, 3)]
    with store.read() as tx:
        assert tx.projects.get(PROJECT)
        with store.begin() as writing:
            writing.items.add_all(newer)
        catch_up(store)
        assert len(_listed(store)) == len(known) + 3
        columns = _held(store)
        with _without_the_database():
            page = tx.item_queries.page(PROJECT, EVERYTHING, Sort(), after=None, limit=10, now=NOW)
    assert [one.item.digest for one in page] == in_order(EVERYTHING, Sort(), known)[:10]
    assert _held(store) is columns


def test_what_is_undone_is_never_held(store: SqlStore) -> None:
    """A transaction that lists what it has itself brought up to date sees it; columns do not, and others after it get
    the same revision."""
    furnish(store, items=3)
    catch_up(store)
    _hold(store)
    with suppress(ZeroDivisionError), store.begin() as tx:
        tx.item_queries.tag(PROJECT, [digest(0)], add=["undone"], remove=[])
        tx.items.add(an_item(7))
        tx._changes.write()
        tx.item_queries.catch_up(100)
        places = tx.item_queries.places(PROJECT, EVERYTHING, Sort(), after=None, limit=10, now=NOW)
        assert len(places) == 4
        raise ZeroDivisionError
    with store.begin() as tx:
        tx.item_queries.tag(PROJECT, [digest(1)], add=["done"], remove=[])
    catch_up(store)
    with _without_the_database():
        assert _listed(store, parsed("tag = undone")) == []
        assert _listed(store, parsed("tag = done")) == [digest(1)]
        assert len(_listed(store)) == 3


def test_transactions_that_write_are_answered_as_those_that_read(store: SqlStore) -> None:
    fill = Fill(store, seed=81)
    known = fill.write()
    _hold(store)
    for change in (False, True):
        if change:
            fill.change()
            catch_up(store)
            known = list(fill.known.values())
        with store.begin() as tx:
            places = tx.item_queries.places(PROJECT, EVERYTHING, Sort(), after=None, limit=100, now=NOW)
        assert [place.digest for place in places] == in_order(EVERYTHING, Sort(), known)


def test_where_much_has_changed_the_database_answers_until_columns_have_caught_up(store: SqlStore) -> None:
    """Who asks does not wait for it."""
    fill = Fill(store, seed=91)
    fill.write()
    _hold(store)
    before = _held(store)
    with _patched(MOST_FOLLOWED=3):
        for _ in range(5):
            for _ in range(10):
                fill.change()
            catch_up(store)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(KeptColumns, "see_to", lambda *_: None)
            assert _listed(store) == in_order(EVERYTHING, Sort(), list(fill.known.values()))
            assert _held(store) is before
        store.columns.see_to(PROJECT)
    assert _held(store).revision == before.revision + 5
    with _without_the_database():
        _all_as_known(store, list(fill.known.values()))


_TABLES = ("item_facts", "item_revisions", "item_terms")


def _keep(url: str) -> list[tuple[str, str, list]]:
    """All rows that lists are made of."""
    engine = engine_for(url)
    with engine.connect() as connection:
        kept = [(table, connection.exec_driver_sql(f"SELECT * FROM {table}")) for table in _TABLES]
        found = [(table, [f'"{key}"' for key in rows.keys()], [tuple(row) for row in rows]) for table, rows in kept]  # noqa: SIM118
    engine.dispose()
    return found


def _put_back(url: str, kept: list[tuple[str, list[str], list]]) -> None:
    engine = engine_for(url)
    with engine.begin() as connection:
        for table in reversed(_TABLES):
            connection.exec_driver_sql(f"DELETE FROM {table}")
        for table, names, rows in kept:
            mark = "?" if engine.dialect.name == "sqlite" else "%s"
            text = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join([mark] * len(names))})"
            if rows:
                connection.exec_driver_sql(text, rows)
    engine.dispose()


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_database_that_was_put_back_is_read_anew(store: SqlStore, url: str, goes_on: bool) -> None:
    """Also where it has gone on since, beyond the revision that is held."""
    fill = Fill(store, seed=101)
    fill.write()
    kept, known = _keep(url), dict(fill.known)
    _hold(store)
    with store.begin() as tx:
        tx.item_queries.tag(PROJECT, [digest(0)], add=["lost"], remove=[])
    catch_up(store)
    assert _listed(store, parsed("tag = lost")) == [digest(0)]
    held = _held(store)
    _put_back(url, kept)
    for number in range(3 if goes_on else 0):
        with store.begin() as tx:
            tx.item_queries.tag(PROJECT, [digest(5)], add=[f"new-{number}"], remove=[])
        catch_up(store)
    assert _listed(store, parsed("tag = lost")) == []
    _until(lambda: store.columns.held(PROJECT) not in (None, held))
    with _without_the_database():
        assert _listed(store, parsed("tag = lost")) == []
        assert _listed(store) == in_order(EVERYTHING, Sort(), list(known.values()))


def test_a_project_that_is_gone_has_no_items(store: SqlStore, url: str) -> None:
    Fill(store, seed=111).write()
    _hold(store)
    _put_back(url, [])
    assert _listed(store) == []
    assert store.columns.held(PROJECT) is None


def test_items_of_before_there_were_revisions_are_held_and_followed(store: SqlStore, url: str) -> None:
    """They have none until they change; also that database may be put back, or gone."""
    fill = Fill(store, seed=112)
    known = fill.write()
    _put_back(url, [kept for kept in _keep(url) if kept[0] != "item_revisions"])
    kept = _keep(url)
    _hold(store)
    with _without_the_database():
        _all_as_known(store, known)
        for _ in range(10):
            fill.change()
        catch_up(store)
        _all_as_known(store, list(fill.known.values()))
    held = _held(store)
    _put_back(url, kept)
    assert _listed(store, parsed("tag = cam")) == in_order(parsed("tag = cam"), Sort(), known)
    _until(lambda: store.columns.held(PROJECT) not in (None, held))
    _put_back(url, [])
    assert _listed(store) == []
    assert store.columns.held(PROJECT) is None


@pytest.mark.parametrize("limits", [{"MOST_VALUES": 2}, {"MOST_KEYS": 1}, {"MOST_VALUES": 0}])
def test_what_is_too_varied_to_be_held_is_asked_of_the_database(store: SqlStore, limits: dict[str, int]) -> None:
    """Fields with too many values, and keys of meta that are too many; also after changes."""
    fill = Fill(store, seed=121)
    with _patched(**limits):
        fill.write()
        _hold(store)
        for _ in range(3):
            for _ in range(8):
                fill.change()
            catch_up(store)
            _all_as_known(store, list(fill.known.values()))
    assert len(_held(store).levels) > 1


def test_texts_that_cannot_be_kept_are_refused_as_without_columns(store: SqlStore) -> None:
    furnish(store)
    catch_up(store)
    _hold(store)
    with pytest.raises(Invalid), store.read() as tx:
        tx.item_queries.count(PROJECT, Compare("source", Op.EQUAL, "a\x00"), now=NOW, at_most=1)


def test_revisions_rise_with_each_change_and_only_with_these(store: SqlStore, url: str) -> None:
    """Who followed up to one finds all later changes above it."""
    fill = Fill(store, seed=131)
    fill.write()

    def revisions() -> dict[str, int]:
        engine = engine_for(url)
        with engine.connect() as connection:
            found = connection.execute(
                sa.text(f"SELECT digest, revision FROM item_revisions WHERE project_id = '{PROJECT}'")
            )
            said = {row.digest: row.revision for row in found}
        engine.dispose()
        return said

    for _ in range(20):
        before, known = revisions(), dict(fill.known)
        fill.change()
        catch_up(store)
        after = revisions()
        risen = {one for one in after if after[one] != before.get(one)}
        assert {one for one in fill.known if fill.known[one] != known.get(one)} <= risen
        assert len(risen) <= 1
        assert all(after[one] == max(before.values()) + 1 for one in risen)
