"""Statements that the driver's own cursor runs say and refuse what SQLAlchemy's would, on each database."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta, timezone

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from loop.domain.errors import Invalid, Unavailable
from loop.domain.review.tasks import Submission, Task
from loop.store.database import SqlStore
from loop.store.ready import Ready
from loop.store.schema import submissions, tasks
from loop.store.statements import columns, insert_all, insert_one
from tests.contract.records import NOW, PROJECT, a_project, a_submission, a_task, a_token, an_item

_TASK = sa.select(tasks).where(tasks.c.id == sa.bindparam("id"))
_SUBMISSION = sa.select(submissions).where(submissions.c.id == sa.bindparam("id"))
_COUNTED = sa.select(sa.func.count()).where(tasks.c.source == sa.bindparam("source"), tasks.c.seat == 1)


@pytest.fixture
def kept(store: SqlStore) -> tuple[Task, Submission]:
    """In the store, with times of another zone, numbers, documents, and nothing at all."""
    east = NOW.astimezone(timezone(timedelta(hours=5)))
    task = replace(a_task(), source="quay ü", due_at=east, rank=0.1, proposal_shown=False, usual_rank=None)
    submission = replace(a_submission(task), corrections={"missed": 2}, active_seconds=1.25)
    with store.begin() as tx:
        tx.projects.add(a_project())
        tx.tokens.add(a_token())
        tx.items.add(an_item())
        tx.tasks.add(task)
        tx.submissions.add(submission)
    return task, submission


def test_records_are_those_that_sqlalchemy_reads(store: SqlStore, kept: tuple[Task, Submission]) -> None:
    task, submission = kept
    with store._engine.begin() as connection:
        (found,) = Ready(_TASK).records(connection, Task, {"id": task.id})
        (answer,) = Ready(_SUBMISSION).records(connection, Submission, {"id": submission.id})
        assert found == Task(**connection.execute(_TASK, {"id": task.id}).one()._mapping) == task
        assert answer == Submission(**connection.execute(_SUBMISSION, {"id": submission.id}).one()._mapping)
        assert answer == submission
        assert found.due_at is not None and found.due_at.utcoffset() == timedelta(0)


def test_values_are_given_by_name_beside_those_that_are_always_the_same(
    store: SqlStore, kept: tuple[Task, Submission]
) -> None:
    counted = Ready(_COUNTED)
    with store._engine.begin() as connection:
        assert [counted.first(connection, {"source": source}) for source in ("quay ü", "other")] == [(1,), (0,)]
        assert Ready(_TASK).first(connection, {"id": "task_none"}) is None


def test_how_many_rows_changed_is_told(store: SqlStore, kept: tuple[Task, Submission]) -> None:
    changed = Ready(sa.update(tasks).where(tasks.c.id == sa.bindparam("of")).values(reason=sa.bindparam("why")))
    with store._engine.begin() as connection:
        assert changed.done(connection, {"of": kept[0].id, "why": "x"}) == 1
        assert changed.done(connection, {"of": "task_none", "why": "x"}) == 0


def test_a_statement_is_done_once_for_each(store: SqlStore, kept: tuple[Task, Submission]) -> None:
    """In one go; where a row breaks a constraint the error is SQLAlchemy's, as with one row."""
    task = kept[0]
    others = [columns(replace(task, id=f"task_{n}", seat=n, people=9)) for n in (2, 3, 4)]
    with store._engine.begin() as connection:
        insert_all(connection, tasks, others)
        found = [Ready(_TASK).records(connection, Task, {"id": other["id"]}) for other in others]
        assert [columns(one) for (one,) in found] == others
    with pytest.raises(IntegrityError), store._engine.begin() as connection:
        insert_all(connection, tasks, [columns(replace(task, id="task_5", seat=5, people=9)), columns(task)])
    with store._engine.begin() as connection:
        assert Ready(_TASK).first(connection, {"id": "task_5"}) is None


def test_a_broken_constraint_is_an_integrity_error(store: SqlStore, kept: tuple[Task, Submission]) -> None:
    with pytest.raises(IntegrityError), store._engine.begin() as connection:
        insert_one(connection, tasks, columns(kept[0]))


def test_a_text_that_cannot_be_kept_is_refused(store: SqlStore, kept: tuple[Task, Submission]) -> None:
    with pytest.raises(Invalid, match="NUL"), store.begin() as tx:
        tx.tasks.held_by(PROJECT, "a\x00b", NOW)


def test_whoever_listens_hears_of_them(store: SqlStore, kept: tuple[Task, Submission]) -> None:
    """As tracing does."""
    heard: list[str] = []
    note: Callable[..., None] = lambda *given: heard.append(given[2])  # noqa: E731
    sa.event.listen(store._engine, "before_cursor_execute", note)
    try:
        with store.begin() as tx:
            tx.tasks.work_for_update(kept[0].id)
    finally:
        sa.event.remove(store._engine, "before_cursor_execute", note)
    assert any("work_id" in statement for statement in heard)


def test_a_connection_that_the_server_ends_is_not_used_again(
    url: str, store: SqlStore, kept: tuple[Task, Submission]
) -> None:
    if not url.startswith("postgresql"):
        return
    with pytest.raises(Unavailable), store.begin() as tx:
        tx.tasks.work_for_update(kept[0].id)
        other = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with other.connect() as connection:
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            connection.exec_driver_sql(ended + "AND pid <> pg_backend_pid()").all()
        tx.tasks.work_for_update(kept[0].id)
    with store.begin() as tx:
        assert [task.id for task in tx.tasks.work_for_update(kept[0].id)] == [kept[0].id]
