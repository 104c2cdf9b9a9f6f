"""Reviewers as operators see them, with how much they answered, on each database."""

from dataclasses import replace
from importlib import import_module

from sqlalchemy import text

from loop.domain.access import Role, Token
from loop.domain.review.people import Person
from loop.domain.review.tasks import Outcome, Submission, Task
from loop.store.database import SqlStore
from tests.contract.records import (
    PROJECT,
    a_project,
    a_submission,
    a_task,
    a_token,
    an_item,
    later,
)


def opened(store: SqlStore, people: int, works: int = 0) -> list[Token]:
    tokens = [replace(a_token(number), role=Role.REVIEWER, created_at=later(number // 2)) for number in range(people)]
    with store.begin() as tx:
        tx.projects.add(a_project())
        for token in tokens:
            tx.tokens.add(token)
        for number in range(works):
            tx.items.add(an_item(number))
            tx.tasks.add(a_task(number, item=number))
    return tokens


def said(task: Task, number: int, by: Token, **changes: object) -> Submission:
    return replace(a_submission(task, number), reviewer=by.id, **changes)  # type: ignore[arg-type]


def test_a_work_counts_once_for_a_person_however_often_it_is_said(store: SqlStore) -> None:
    """Skips do not count, nor what is said of it again in a later round; a verdict does, and who else says it."""
    ada, bob, cyd = opened(store, 3, works=2)
    first, second = a_task(0, item=0), a_task(1, item=1)
    for submission in (
        said(first, 0, ada, outcome=Outcome.SKIPPED, shapes=(), epoch=1),
        said(first, 1, ada, epoch=2, round=1),
        said(first, 2, ada, epoch=3, round=2),
        said(first, 3, ada, outcome=Outcome.SKIPPED, shapes=(), epoch=4, round=3),
        said(second, 4, ada, outcome=Outcome.RETURNED, epoch=1),
        said(second, 5, bob, outcome=Outcome.ACCEPTED, epoch=2),
        said(second, 6, cyd, outcome=Outcome.SKIPPED, shapes=(), epoch=3),
    ):
        with store.begin() as tx:
            tx.submissions.add(submission)
    with store.read() as tx:
        assert [one.answered for one in tx.people.reviewers(None, after=None, limit=9)] == [2, 1, 0]
        assert tx.people.reviewer(ada.id).answered == 2
    with store._engine.connect() as connection:
        counted = "SELECT reviewer, count(DISTINCT work_id) FROM submissions WHERE outcome <> 'skipped' GROUP BY 1"
        kept = {tuple(row) for row in connection.execute(text("SELECT reviewer, works FROM works_answered"))}
        assert kept == {tuple(row) for row in connection.execute(text(counted))}


def test_people_are_paged_by_the_age_of_their_tokens(store: SqlStore) -> None:
    """Two of which are of one moment; those that were revoked, or may not review, or are of other projects, are not
    among them; what is said of a person comes with it."""
    everyone = opened(store, 9)
    here = [replace(a_token(20 + n), role=Role.REVIEWER, project_id=PROJECT, created_at=later(20)) for n in range(2)]
    producer = replace(a_token(30), role=Role.PRODUCER)
    described = Person(token_id=everyone[3].id, groups=("leads",), skills=("night",), max_leases=2)
    with store.begin() as tx:
        for token in (*here, producer):
            tx.tokens.add(token)
        tx.tokens.revoke(everyone[4].id, later(9))
        tx.people.save(described)
    left = [token.id for token in everyone if token is not everyone[4]] + [token.id for token in here]
    with store.read() as tx:
        found, after = [], None
        while page := tx.people.reviewers(None, after=after, limit=2):
            found += page
            after = page[-1].token.id
        assert [one.token.id for one in found] == left
        assert [one.person for one in found if one.person.groups] == [described]
        assert {one.token.id: one.token for one in found} == {
            token.id: token for token in (*everyone, *here) if token.id in left
        }
        assert [one.token.id for one in tx.people.reviewers(PROJECT, after=None, limit=9)] == left[-2:]
        assert [one.token.id for one in tx.people.reviewers(None, after=everyone[4].id, limit=1)] == [everyone[5].id]


def test_answers_from_before_they_were_counted_are_counted_by_the_migration(store: SqlStore) -> None:
    """Each work once for a person, skips not at all, as later ones."""
    ada, bob = opened(store, 2, works=2)
    first, second = a_task(0, item=0), a_task(1, item=1)
    with store.begin() as tx:
        tx.submissions.add(said(first, 0, ada, epoch=1))
        tx.submissions.add(said(first, 1, ada, epoch=2, round=1))
        tx.submissions.add(said(second, 2, ada, epoch=1))
        tx.submissions.add(said(second, 3, bob, outcome=Outcome.SKIPPED, shapes=(), epoch=2))
    statement = import_module("loop.store.migrations.versions.r0035_bounded_review").COUNTED
    with store._engine.begin() as connection:
        connection.execute(text("DELETE FROM works_answered"))
        connection.execute(text(statement))
    with store.read() as tx:
        assert [one.answered for one in tx.people.reviewers(None, after=None, limit=9)] == [2, 0]
