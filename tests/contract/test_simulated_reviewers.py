"""Reviewers who err at known rates, through the desk and a store: lots and golden scores come out as planned.

The rules alone are simulated at length in tests/test_sampling_plans.py and tests/test_reviewer_quality.py; here fewer
runs would show a wrong wire between them and the database.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from loop.domain.access import Role, Token
from loop.domain.policy.quality_rules import GoldenRules, QualityRules
from loop.domain.policy.sampling_plans import curve_of
from loop.domain.policy.workflow import LotRules, PlanKind, Qa, Workflow
from loop.domain.review.lot import LotState
from loop.domain.stage import Stage
from loop.domain.truth import Shape
from loop.review.desk import Desk
from loop.review.lots import Lots, add_members, in_lots
from loop.review.uploads import Uploads
from loop.store.database import SqlStore
from tests.contract.records import NOW, PROJECT, a_project, a_task, an_item
from tests.contract.test_golden import RIGHT, World
from tests.contract.test_golden import opened as with_golden
from tests.contract.test_queue_races import Clock

ADA, BOB = (
    Token(id=f"tok_{name}", name=name, role=Role.REVIEWER, secret_digest=name, project_id=None, created_at=NOW)
    for name in ("ada", "bob")
)
SENDER = replace(ADA, id="tok_sender", role=Role.PRODUCER, secret_digest="sender")
AMISS = (Shape("seven", (0.0, 20_000.0, 1.0, 20_500.0)),)


class _Keyed(SqlStore):
    """Whose draws are the same in each run."""

    def secret(self) -> bytes:
        return b"thirty-two bytes of a known secret"


@pytest.fixture
def store(tmp_path: Path, sqlite_template: Path) -> Iterator[SqlStore]:
    (tmp_path / "askance.db").write_bytes(sqlite_template.read_bytes())
    opened = _Keyed.open(f"sqlite:///{tmp_path / 'askance.db'}")
    yield opened
    opened.close()


@pytest.mark.parametrize("share", [0.05, 0.25])
def test_lots_are_accepted_at_the_planned_rate(store: SqlStore, share: float) -> None:
    """16 uploads of 20, of which one author spoils so many at random and another person corrects what is shown: within
    the binomial error (3.3 standard errors) of the plan's curve. Each item then has its truth; of a rejected lot all of
    it is right."""
    size, runs = 20, 16
    rules = LotRules(plan=PlanKind.SHARE, share=0.2, threshold=0.0)
    workflow = Workflow(qa=Qa.LOTS, lots=rules)
    project = a_project()
    with store.begin() as tx:
        tx.projects.add(replace(project, policy=replace(project.policy, workflow=workflow)))
        for person in (ADA, BOB):
            tx.tokens.add(person)
        for number in range(size * runs):
            tx.items.add(an_item(number))
    rng, bad = np.random.default_rng(5), round(share * size)
    accepted = [uploaded_and_judged(store, range(run * size, (run + 1) * size), rng, bad) for run in range(runs)]
    expected = float(curve_of(rules.as_plan(), size, [bad]).accepts[0])
    assert abs(np.mean(accepted) - expected) <= 3.3 * np.sqrt(expected * (1 - expected) / runs)


def uploaded_and_judged(store: SqlStore, numbers: range, rng: np.random.Generator, bad: int) -> bool:
    """Whether the lot was accepted."""
    lots, desk = Lots(store, lambda: NOW), Desk(store, Clock(), os.urandom)
    uploads = Uploads(store, lots, lambda: NOW, rng.bytes)
    lot = uploads.open(SENDER, PROJECT)
    with store.begin() as tx:
        made = [replace(a_task(number, item=number), lot_id=lot.id) for number in numbers]
        tasks = in_lots(tx, tx.projects.get(PROJECT), made, NOW, os.urandom)
        tx.tasks.add_all(tasks)
        add_members(tx, tasks)
    uploads.close(SENDER, PROJECT, lot.id)
    spoiled = {a_task(int(number)).id for number in rng.choice(numbers, bad, replace=False)}
    while leased := desk.lease(ADA, PROJECT, 20).assignments:
        for one in leased:
            desk.submit(ADA, one.task.id, one.task.epoch, AMISS if one.task.id in spoiled else RIGHT, "")
    looked_at = corrected = 0
    while leased := desk.lease(BOB, PROJECT, 1).assignments:
        (one,) = leased
        assert one.task.stage is Stage.QA
        looked_at += 1
        if one.answers[0].shapes == RIGHT:
            desk.accept(BOB, one.task.id, one.task.epoch)
        else:
            desk.submit(BOB, one.task.id, one.task.epoch, RIGHT, "")
            corrected += 1
    accepted = as_it_ended(store, lot.id, numbers, looked_at)
    assert accepted is (corrected == 0)
    return accepted


def as_it_ended(store: SqlStore, lot_id: str, numbers: range, looked_at: int) -> bool:
    with store.read() as tx:
        lot = tx.lots.get(PROJECT, lot_id)
        truths = [tx.truths.current(PROJECT, an_item(number).digest) for number in numbers]
    assert all(truths)
    accepted = lot.state is LotState.ACCEPTED
    assert (lot.defects == 0) is accepted
    assert looked_at == (lot.inspected if accepted else len(numbers))
    assert accepted or all(truth is not None and truth.shapes == RIGHT for truth in truths)
    return accepted


def test_golden_intervals_hold_the_truth(store: SqlStore) -> None:
    """32 reviewers of four qualities answer ten golden items of five shapes each, which they are handed among other
    work: of the 95 % intervals of recall in their reports at least 93 of 100 hold the rate at which each finds a shape,
    within the binomial error."""
    golden, people, rates = 10, 32, (0.6, 0.75, 0.88, 0.96)
    judged_late = QualityRules(min_items=golden, window=golden)
    world = with_golden(store, works=1, golden=golden, rules=GoldenRules(rate=1.0), standing=judged_late)
    reviewers = [replace(ADA, id=f"tok_{number}", secret_digest=f"secret {number}") for number in range(people)]
    with store.begin() as tx:
        for person in reviewers:
            tx.tokens.add(person)
    rng = np.random.default_rng(8)
    held = [
        interval_holds(world, person, rates[number % len(rates)], golden, rng)
        for number, person in enumerate(reviewers)
    ]
    assert np.mean(held) >= 0.93 - 1.65 * np.sqrt(0.93 * 0.07 / people)


def interval_holds(world: World, person: Token, rate: float, golden: int, rng: np.random.Generator) -> bool:
    """A person who finds each shape with this probability, and marks nothing else."""
    leased = world.desk.lease(person, PROJECT, 1).assignments
    for _ in range(golden):
        (one,) = leased
        assert one.task.stage is Stage.GOLDEN
        found = [shape for shape in RIGHT if rng.random() < rate]
        world.desk.submit(person, one.task.id, one.task.epoch, found, "")
        leased = world.desk.lease(person, PROJECT, 1).assignments
    for one in leased:
        world.desk.release(person, one.task.id, one.task.epoch)
    quality = world.standings.of(PROJECT, person.id).quality
    assert quality is not None
    assert quality.items == golden
    return quality.overall.recall.low <= rate <= quality.overall.recall.high
