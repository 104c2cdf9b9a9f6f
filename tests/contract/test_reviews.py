"""The feed of what people have settled, as every database gives it."""

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from loop.domain.ports import Event
from loop.domain.review.feed import Review
from loop.store.database import SqlStore
from tests.contract.conftest import Databases
from tests.contract.records import PROJECT, a_truth, an_event, digest, furnish, later
from tests.postgres import PostgresCluster

OTHER = "letters"


def said(
    number: int, kind: str = "task.submitted", *, item: int = 0, project_id: str = PROJECT, **body: object
) -> Event:
    """An answer about prediction `number`, settled where `body` does not say otherwise."""
    told: Mapping[str, object] = {
        "task_id": f"task_{number}",
        "submission_id": f"sub_{number}",
        "item_digest": digest(item),
        "prediction_id": f"pred_{number}",
        "corrected": bool(number % 2),
        "corrections": {"missed": number % 2},
        **body,
    }
    return Event(kind=kind, project_id=project_id, actor="tok_1", body=told, at=later(number))


def keep(store: SqlStore, *events: Event) -> None:
    for event in events:
        with store.begin() as tx:
            tx.events.add(event)


def names(store: SqlStore, cursor: int = 0, limit: int = 100) -> tuple[list[str], int]:
    with store.read() as tx:
        page = tx.reviews.after(PROJECT, cursor, limit)
    return [review.prediction_id for review in page.reviews], page.next


def test_what_was_settled_comes_in_the_order_of_the_commits(store: SqlStore) -> None:
    """With its item, errors, moment and the version of the truth that this answer made, whatever came later."""
    furnish(store, items=2)
    with store.begin() as tx:
        tx.truths.add(replace(a_truth(1), submission_ids=("sub_9",)))
        tx.truths.add(replace(a_truth(2), submission_ids=("sub_0", "sub_1")))
        tx.truths.add(replace(a_truth(3), submission_ids=("sub_1",)))
        tx.truths.add(replace(a_truth(1, item=1), submission_ids=("sub_1",)))
    keep(store, said(1, settles=True), said(2, "task.settled", item=1))
    with store.read() as tx:
        page = tx.reviews.after(PROJECT, 0, 10)
    first, second = page.reviews
    assert first == Review(
        cursor=first.cursor, prediction_id="pred_1", item_digest=digest(0), corrections={"missed": 1},
        truth_version=2, settled_at=later(1),
    )  # fmt: skip
    assert (second.prediction_id, second.item_digest, second.truth_version) == ("pred_2", digest(1), None)
    assert (first.failed, second.failed) == (True, False)
    assert first.cursor < second.cursor == page.next


def test_only_what_settles_a_prediction_is_told(store: SqlStore) -> None:
    """Neither answers that wait for others, nor those to selected items and golden ones, nor skips, nor other
    projects."""
    furnish(store)
    furnish(store, project_id=OTHER)
    keep(
        store,
        said(1, settles=False),
        said(2, prediction_id=None),
        said(3, "task.skipped"),
        said(4, "task.returned", settles=False),
        said(5, project_id=OTHER),
        an_event("task.submitted"),
        said(6, "task.accepted", settles=True),
        said(7),
    )
    assert names(store)[0] == ["pred_6", "pred_7"]


def test_a_cursor_passes_what_is_not_told(store: SqlStore) -> None:
    """Whoever follows does not read the same history again and again; it never goes back."""
    furnish(store)
    assert names(store) == ([], 0)
    keep(store, said(1), an_event("other"), an_event("other"))
    _, cursor = names(store)
    assert cursor == names(store, cursor)[1] > names(store, limit=1)[1]
    assert names(store, cursor + 50) == ([], cursor + 50)
    keep(store, said(2))
    assert names(store, cursor)[0] == ["pred_2"]


def test_pages_of_any_size_give_each_once(databases: Databases) -> None:
    """However what settles and what does not lie in between, and whoever writes in between."""

    @settings(max_examples=40)
    @given(
        settles=st.lists(st.lists(st.booleans(), max_size=5), max_size=5),
        limit=st.integers(1, 4),
    )
    def check(settles: list[list[bool]], limit: int) -> None:
        with databases() as url:
            store = SqlStore.open(url)
            furnish(store)
            number, cursor, seen, settled = 0, 0, [], []
            for batch in [*settles, [], [True], []]:
                for one in batch:
                    keep(store, said(number, settles=one))
                    settled += [f"pred_{number}"] if one else []
                    number += 1
                found, cursor = names(store, cursor, limit)
                assert len(found) <= limit
                seen += found
            while found:
                found, cursor = names(store, cursor, limit)
                seen += found
            assert seen == settled
            store.close()

    check()


def test_what_is_committed_late_is_not_behind_the_cursor(cluster: PostgresCluster, postgres_template: str) -> None:
    """PostgreSQL: an answer that was written first and committed last comes last, and is not skipped."""
    name = cluster.new_database(postgres_template)
    store = SqlStore.open(cluster.url(name))
    furnish(store)
    with store.begin() as slow:
        slow.events.add(said(1))
        keep(store, said(2))
        seen, cursor = names(store)
        slow.truths.add(a_truth(1))
    assert seen == ["pred_2"]
    assert names(store, cursor)[0] == ["pred_1"]
    store.close()
    cluster.drop_database(name)
