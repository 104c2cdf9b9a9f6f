"""What work took, what it costs and what people say of items, as every database keeps them."""

import os
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from alembic import command

from loop.domain.errors import Conflict, NotFound
from loop.domain.policy.queue_rules import QueueRules
from loop.domain.review.comments import Comment, CommentKind, CommentState, Part, Reply
from loop.domain.review.cost import Rates
from loop.domain.review.efforts import Effort, Inspected, effort_of
from loop.domain.review.tasks import Outcome
from loop.domain.stage import Stage
from loop.domain.truth import Shape
from loop.review.comments import Discussion
from loop.review.desk import Desk
from loop.review.people import Oversight
from loop.review.work import WorkReports
from loop.store.database import SqlStore, migrations
from loop.store.engine import engine_for, migrating
from tests.contract.records import (
    NOW,
    ODD,
    PROJECT,
    a_model,
    a_prediction,
    a_project,
    a_submission,
    a_task,
    a_token,
    an_item,
    digest,
    later,
)
from tests.contract.test_queue_races import CLIENTS, OPERATOR, Clock, opened, reviewer, together

HERE = (Shape("seven", (0.0, 0.0, 1.0, 100.0)),)
THERE = (Shape("seven", (0.0, 500.0, 1.0, 900.0)),)


def a_comment(number: int = 0, **what: object) -> Comment:
    plain = Comment(
        id=f"comment_{number:03}",
        project_id=PROJECT,
        item_digest=digest(0),
        text=ODD,
        kind=CommentKind.COMMENT,
        author="tok_0",
        created_at=later(number),
        task_id=a_task(0).id,
        shape=ODD,
        at=(0.1 + 0.2, 1 / 3),
    )
    return replace(plain, **what)  # type: ignore[arg-type]


@pytest.fixture
def furnished(store: SqlStore) -> SqlStore:
    """A project with two items; item 0 has a task, of a prediction."""
    with store.begin() as tx:
        tx.projects.add(a_project())
        tx.items.add_all([an_item(0), an_item(1)])
        tx.models.add(a_model(0))
        tx.predictions.add_all([a_prediction(0), a_prediction(1, item=1, at=later(100))])
        tx.tasks.add(a_task(0, prediction=0))
        tx.tokens.add(a_token(0))
    return store


def answered(store: SqlStore, number: int = 0, **what: object) -> Effort:
    """The effort of one more submission to task 0."""
    task = replace(a_task(0, prediction=0), epoch=number)
    submission = replace(a_submission(task, number), round=number)
    effort = replace(effort_of(submission, task), **what)  # type: ignore[arg-type]
    with store.begin() as tx:
        tx.submissions.add(submission)
        tx.efforts.add(effort)
    return effort


def said(store: SqlStore, number: int, stage: Stage, reviewer: str, outcome: Outcome, *, again: int = 0) -> None:
    """One more submission to the work of task 0, with its effort, so many seconds later. again: the round."""
    task = a_task(number, prediction=None if number else 0, stage=stage)
    task = replace(task, work_id=a_task(0).id, seat=number + 1, people=9)
    plain = replace(a_submission(task, number, at=later(number)), reviewer=reviewer, outcome=outcome)
    submission = replace(plain, work_id=task.work_id, round=again)
    with store.begin() as tx:
        if number:
            tx.tasks.add(task)
        tx.submissions.add(submission)
        tx.efforts.add(effort_of(submission, task))


# --- efforts -----------------------------------------------------------------------------------------


def test_an_effort_comes_back_as_it_was(furnished: SqlStore) -> None:
    """With labels of any text, what is not known as None, and times to the microsecond."""
    whole = answered(furnished, 0, active_seconds=1e-7, proposal_shown=False, stage=Stage.AUDIT)
    bare = answered(
        furnished, 1, labels={}, corrections=None, outcome=Outcome.SKIPPED, created_at=later(1), active_seconds=None
    )
    assert whole.labels == {ODD: 1, "seven": 1}
    with furnished.read() as tx:
        assert list(tx.efforts.between(PROJECT, NOW, later(60))) == [whole, bare]


def test_efforts_are_of_a_project_and_a_time(furnished: SqlStore) -> None:
    """From the first moment on, before the last; oldest first."""
    kept = [answered(furnished, n, created_at=later(-n)) for n in range(3)]
    with furnished.read() as tx:
        assert list(tx.efforts.between(PROJECT, later(-2), later(-0.000001))) == [kept[2], kept[1]]
        assert list(tx.efforts.between("another", later(-9), later(9))) == []
        assert tx.efforts.newest(PROJECT, later(-2), later(9), 2) == [kept[1], kept[0]]


def test_what_was_not_drawn_by_lot_is_not_compared(furnished: SqlStore) -> None:
    """Nor skips, adjudications, and predictions of nothing."""
    answered(furnished, 0, proposal_shown=True, corrections=3)
    answered(furnished, 1, proposal_shown=False, corrections=1)
    answered(furnished, 2, proposal_shown=None)
    answered(furnished, 3, proposal_shown=True, outcome=Outcome.SKIPPED, corrections=None)
    answered(furnished, 4, proposal_shown=True, stage=Stage.ADJUDICATE)
    empty = replace(a_prediction(9, at=later(1)), detections=())
    with furnished.begin() as tx:
        tx.predictions.add(empty)
        tx.tasks.add(task := a_task(9, prediction=9))
        tx.submissions.add(submission := a_submission(task, 9))
        tx.efforts.add(replace(effort_of(submission, task), proposal_shown=True))
    with furnished.read() as tx:
        assert tx.efforts.drawn(PROJECT, later(-9), later(9)) == [(True, 3), (False, 1)]


def test_defects_are_their_authors(furnished: SqlStore) -> None:
    """Of what QA looked at in the time asked for: what it gave back or corrected is a defect of who answered in that
    round; a skip of QA says nothing."""
    said(furnished, 0, Stage.ANNOTATE, "ada", Outcome.SUBMITTED)
    said(furnished, 1, Stage.QA, "bob", Outcome.SKIPPED)
    said(furnished, 2, Stage.QA, "cyd", Outcome.RETURNED)
    said(furnished, 3, Stage.ANNOTATE, "ada", Outcome.SUBMITTED, again=1)
    said(furnished, 4, Stage.QA, "cyd", Outcome.ACCEPTED, again=1)
    said(furnished, 5, Stage.ANNOTATE, "dan", Outcome.SUBMITTED, again=2)
    said(furnished, 6, Stage.QA, "cyd", Outcome.SUBMITTED, again=2)
    with furnished.read() as tx:
        assert tx.efforts.inspected(PROJECT, NOW, later(99)) == {"ada": Inspected(2, 1), "dan": Inspected(1, 1)}
        assert tx.efforts.inspected(PROJECT, NOW, later(4)) == {"ada": Inspected(1, 1)}
        assert tx.efforts.inspected("other", NOW, later(99)) == {}


def test_what_several_people_said_together_is_nobodys_defect(furnished: SqlStore) -> None:
    """QA looks at what their answers come to."""
    said(furnished, 0, Stage.ANNOTATE, "ada", Outcome.SUBMITTED)
    said(furnished, 1, Stage.ANNOTATE, "dan", Outcome.SUBMITTED)
    said(furnished, 2, Stage.QA, "cyd", Outcome.RETURNED)
    with furnished.read() as tx:
        assert tx.efforts.inspected(PROJECT, NOW, later(99)) == {}


def test_served_items_count_once(furnished: SqlStore) -> None:
    """However often they were predicted in that time."""
    with furnished.begin() as tx:
        tx.predictions.add(a_prediction(2, item=0, at=later(1)))
    with furnished.read() as tx:
        assert tx.efforts.count_served(PROJECT, NOW, later(10)) == 1
        assert tx.efforts.count_served(PROJECT, NOW, later(101)) == 2


def test_active_time_cannot_exceed_the_holding(furnished: SqlStore) -> None:
    """Whatever a bug says: the database refuses it."""
    with pytest.raises(sa.exc.IntegrityError):
        answered(furnished, 0, active_seconds=9.0)


def test_rates_are_replaced(furnished: SqlStore) -> None:
    """None until they are set."""
    with furnished.begin() as tx:
        assert tx.efforts.rates(PROJECT) is None
        tx.efforts.save_rates(PROJECT, Rates(currency="EUR", per_hour=None, people={"tok_0": 0.1 + 0.2}))
        tx.efforts.save_rates(PROJECT, second := Rates(currency="CHF", per_hour=1 / 3))
    with furnished.read() as tx:
        assert tx.efforts.rates(PROJECT) == second


def test_each_answer_and_skip_leaves_one_effort(store: SqlStore) -> None:
    """Of 64 that send one answer at once, too; with what the tool measured, up to the holding."""
    opened(store, QueueRules(skips_before_expert=9), works=1)
    clock = Clock()
    desk = Desk(store, clock, os.urandom)
    (first,) = desk.lease(reviewer(0), PROJECT, 1).assignments
    clock.now = later(10)
    desk.skip(reviewer(0), first.task.id, first.task.epoch, "dark", active_seconds=4.0)
    (second,) = desk.lease(reviewer(1), PROJECT, 1).assignments
    clock.now = later(25)
    together(lambda _: desk.submit(reviewer(1), second.task.id, second.task.epoch, HERE, "", active_seconds=99.0))
    with store.read() as tx:
        skipped, kept = tx.efforts.between(PROJECT, NOW, later(99))
    assert (skipped.outcome, skipped.seconds, skipped.active_seconds) == (Outcome.SKIPPED, 10.0, 4.0)
    assert (kept.outcome, kept.seconds, kept.active_seconds) == (Outcome.SUBMITTED, 15.0, 15.0)
    assert kept.labels == {"seven": 1}


def test_answers_from_before_there_were_efforts_have_theirs(empty_url: str) -> None:
    """The migration counts their labels and corrections; what was not measured is not known."""
    engine = engine_for(empty_url)
    with migrating(engine).begin() as connection:
        command.upgrade(migrations(connection), "0011")
    _fill_0011(engine)
    engine.dispose()
    store = SqlStore.open(empty_url)
    store.migrate()
    with store.read() as tx:
        efforts = {one.submission_id: one for one in tx.efforts.between("p", later(-9), later(9))}
        (submission, *_) = tx.submissions.of_item("p", "d")
    assert (submission.active_seconds, submission.proposal_shown) == (None, None)
    answer, skip = efforts["s0"], efforts["s1"]
    assert (answer.labels, answer.corrections, answer.seconds) == ({"a": 2, "b": 1}, 3, 5.0)
    assert (answer.source, answer.stage, answer.work_id, answer.round) == ("north", Stage.AUDIT, "t", 0)
    assert (skip.labels, skip.corrections, skip.outcome, skip.round) == ({}, None, Outcome.SKIPPED, 1)
    assert (skip.active_seconds, skip.proposal_shown) == (None, None)
    assert store.check() == []
    store.close()


def _fill_0011(engine: sa.Engine) -> None:
    """A project with one predicted item, its task, an answer and a skip, as of that schema."""
    at = NOW if engine.dialect.name == "postgresql" else _utc(NOW)
    shape = '{"label": "%s", "box": [0, 0, 1, 1]}'
    shapes = f"[{shape % 'a'}, {shape % 'b'}, {shape % 'a'}]"
    head = '{"backend": "b", "architecture": {}, "labels": ["a"], "image_size": 32, "embedding_dim": 3}'
    said = {
        "task_id": "t", "project_id": "p", "item_digest": "d", "reviewer": "tok", "note": "", "content_digest": "c",
        "seconds": 5.0, "created_at": at, "work_id": "t", "settles": False,
    }  # fmt: skip
    rows = [
        ("recipes", {"project_id": "p", "version": 1, "labels": "[]", "guidelines": ""}),
        ("policies", {"project_id": "p", "version": 1, "threshold": 0.5, "audit_rate": 0.1, "score_threshold": 0.2,
                      "failure_iou": 0.5, "lease_seconds": 60}),
        ("models", {"id": "m", "project_id": "p", "digest": "d", "head": head, "origin": "registered",
                    "created_at": at, "notes": "{}"}),
        ("items", {"project_id": "p", "digest": "d", "media_type": "image/png", "width": 9, "height": 9,
                   "created_at": at, "source": "north", "group": "", "meta": "{}"}),
        ("predictions", {"id": "q", "project_id": "p", "item_digest": "d", "model_id": "m", "detections": "[]",
                         "embedding": b"", "signals": "{}", "action": "review", "stage": "audit", "risk": 0.5,
                         "threshold": 0.5, "policy_version": 1, "audit_rate": 0.1, "audit_drawn": True,
                         "inclusion_probability": 1.0, "reasons": "[]", "created_at": at, "created_by": "tok"}),
        ("tasks", {"id": "t", "project_id": "p", "item_digest": "d", "prediction_id": "q", "stage": "audit",
                   "priority": 0.5, "policy_version": 1, "recipe_version": 1, "created_at": at, "state": "open",
                   "epoch": 2, "rank": 0.0, "lane": "audit||", "source": "north", "work_id": "t", "seat": 1,
                   "people": 1, "round": 1, "urgency": "ordinary", "with_experts": False}),
        ("submissions", said | {"id": "s0", "epoch": 1, "outcome": "submitted", "shapes": shapes, "round": 0,
                                "corrections": '{"missed": 2, "background": 1}'}),
        ("submissions", said | {"id": "s1", "epoch": 2, "outcome": "skipped", "shapes": "[]", "corrections": "{}",
                                "round": 1}),
    ]  # fmt: skip
    with engine.begin() as connection:
        connection.execute(
            sa.text("INSERT INTO projects (id, recipe_version, policy_version, created_at) VALUES ('p', 1, 1, :at)"),
            {"at": at},
        )
        for table, row in rows:
            names = ", ".join(f'"{name}"' for name in row)
            values = ", ".join(f":{name}" for name in row)
            connection.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)


def _utc(moment) -> str:
    """As SQLite keeps it."""
    return (moment - moment.utcoffset()).replace(tzinfo=None).isoformat(" ")


# --- comments ----------------------------------------------------------------------------------------


def test_a_comment_comes_back_as_it_was(furnished: SqlStore) -> None:
    """With any text and place; resolving changes nothing else."""
    whole, bare = a_comment(0), a_comment(1, task_id=None, shape=None, at=None, kind=CommentKind.ISSUE)
    with furnished.begin() as tx:
        tx.comments.add(whole)
        tx.comments.add(bare)
    with furnished.read() as tx:
        assert tx.comments.of_item(PROJECT, digest(0)) == [whole, bare]
        assert tx.comments.of_item(PROJECT, digest(1)) == []
    done = replace(whole, state=CommentState.RESOLVED, resolved_at=later(9), resolved_by="tok_1")
    with furnished.begin() as tx:
        assert tx.comments.for_update(whole.id) == whole
        tx.comments.settle(done)
    with furnished.read() as tx:
        assert tx.comments.of_item(PROJECT, digest(0)) == [done, bare]
    with pytest.raises(NotFound), furnished.begin() as tx:
        tx.comments.for_update("comment_none")


def test_replies_are_in_the_order_in_which_they_came(furnished: SqlStore) -> None:
    """By comment."""
    replies = [
        Reply(id=f"reply_{n}", comment_id="comment_000", text=ODD, author="tok_0", created_at=later(n)) for n in (1, 0)
    ]
    with furnished.begin() as tx:
        tx.comments.add(a_comment(0))
        tx.comments.add(a_comment(1))
        for reply in replies:
            tx.comments.reply(reply)
    with furnished.read() as tx:
        assert tx.comments.replies(["comment_000", "comment_001"]) == {"comment_000": replies[::-1]}


def test_pages_hold_what_was_asked_for(furnished: SqlStore) -> None:
    """Newest first, by state and kind, going on behind the last; an unknown place is refused."""
    kinds = [CommentKind.QUESTION, CommentKind.ISSUE, CommentKind.QUESTION, CommentKind.QUESTION]
    with furnished.begin() as tx:
        for number, kind in enumerate(kinds):
            tx.comments.add(a_comment(number, kind=kind))
        tx.comments.settle(
            replace(a_comment(2), state=CommentState.RESOLVED, resolved_at=later(9), resolved_by="tok_1")
        )

    def page(state: CommentState | None, kind: CommentKind | None, after: str | None, limit: int) -> list[str]:
        with furnished.read() as tx:
            found = tx.comments.page(PROJECT, state=state, kind=kind, after=after, limit=limit)
        return [comment.id[-1] for comment in found]

    assert page(None, None, None, 9) == ["3", "2", "1", "0"]
    assert page(CommentState.OPEN, CommentKind.QUESTION, None, 1) == ["3"]
    assert page(CommentState.OPEN, CommentKind.QUESTION, "comment_003", 9) == ["0"]


def test_a_part_is_a_task_that_somebody_has_or_answered(store: SqlStore) -> None:
    """Whoever has it now, who answered or skipped it; not who never had it."""
    opened(store, QueueRules(skips_before_expert=9), works=1)
    clock = Clock()
    desk = Desk(store, clock, os.urandom)

    def parts(number: int) -> list[Part]:
        with store.read() as tx:
            return tx.comments.parts(PROJECT, digest(0), reviewer(number).id)

    (first,) = desk.lease(reviewer(0), PROJECT, 1).assignments
    assert parts(0) == [Part(first.task.id, Stage.ANNOTATE)]
    desk.skip(reviewer(0), first.task.id, first.task.epoch, "dark")
    (second,) = desk.lease(reviewer(1), PROJECT, 1).assignments
    desk.submit(reviewer(1), second.task.id, second.task.epoch, HERE, "")
    assert parts(0) == parts(1) == [Part(first.task.id, Stage.ANNOTATE)]
    assert parts(2) == []


def test_of_many_who_resolve_at_once_one_does(store: SqlStore) -> None:
    """All are told that it is resolved, by the same person at the same time; the history has one line."""
    opened(store, QueueRules(), works=1)
    with store.begin() as tx:
        tx.tokens.add(OPERATOR)
    clock = Clock()
    discussion = Discussion(store, clock, os.urandom)
    comment = discussion.write(OPERATOR, PROJECT, digest(0), text="look").comment
    told = together(lambda _: discussion.resolve(OPERATOR, comment.id).comment)
    assert len(told) == CLIENTS
    assert {one.state for one in told} == {CommentState.RESOLVED}
    with store.read() as tx:
        assert len([e for e in tx.events.after(PROJECT, 0, 999) if e.kind == "comment.resolved"]) == 1


# --- the work, by the services that do it --------------------------------------------------------------


def reports(store: SqlStore, clock: Clock) -> WorkReports:
    oversight = Oversight(store, clock)

    def ask(operator, project, item):
        return oversight.reopen_item(operator, project, item, experts=True)

    return WorkReports(store, Rates(currency="EUR", per_hour=60.0), ask, clock)


def test_prefetched_tasks_take_the_time_between_answers(store: SqlStore) -> None:
    """Five leased at once, one answered every 48 seconds: each took as long, and four minutes were paid."""
    opened(store, QueueRules(), works=5)
    clock = Clock()
    desk = Desk(store, clock, os.urandom)
    for number, held in enumerate(desk.lease(reviewer(0), PROJECT, 5).assignments):
        clock.now = later(48 * (number + 1))
        desk.submit(reviewer(0), held.task.id, held.task.epoch, HERE, "")
    clock.now = later(400)
    found = reports(store, clock)
    report = found.cost(OPERATOR, PROJECT, found.span(None, None), None)
    assert report.total is not None
    assert (report.total.minutes, report.total.money) == (pytest.approx(4.0), pytest.approx(4.0))


def test_an_item_that_waits_for_its_adjudication_is_left(store: SqlStore) -> None:
    """It is opened again for the experts once that is done; then not twice."""
    rules = QueueRules(people={Stage.ANNOTATE: 2}, expert_group="experts")
    opened(store, rules, works=1)
    clock = Clock()
    desk = Desk(store, clock, os.urandom)
    found = reports(store, clock)

    def answer(number: int, shapes: tuple[Shape, ...]) -> None:
        clock.now += timedelta(seconds=1)
        (held,) = desk.lease(reviewer(number), PROJECT, 1).assignments
        clock.now += timedelta(seconds=5)
        desk.submit(reviewer(number), held.task.id, held.task.epoch, shapes, "")

    def requeue() -> tuple[list[str], list[str]]:
        clock.now += timedelta(seconds=1)
        done = found.requeue(OPERATOR, PROJECT, found.span(None, None), above=0.5, most=9)
        return done.items, list(done.left)

    answer(0, HERE)
    answer(1, THERE)
    assert requeue() == ([], [digest(0)])
    answer(2, THERE)
    assert requeue() == ([digest(0)], [])
    assert requeue() == ([], [digest(0)])
    with store.read() as tx:
        assert tx.tasks.get(a_task(0).id).with_experts
    with pytest.raises(Conflict):
        Oversight(store, clock).reopen_item(OPERATOR, PROJECT, digest(0))
