"""How predictions turned out, and figures for monitoring, on both databases."""

from dataclasses import replace
from datetime import UTC

import pytest
from sqlalchemy.exc import IntegrityError

from loop.domain.ports import Store
from loop.domain.production.figures import ProductionFigures
from loop.domain.production.outcomes import ReportedOutcome, TurnedOut
from tests.contract.records import NOW, ODD, PROJECT, a_model, a_prediction, furnish, later

MODEL = a_model(0).id


def an_outcome(number: int = 0, *, by: str = "tok_1", outcome: TurnedOut = TurnedOut.WRONG) -> ReportedOutcome:
    return ReportedOutcome(
        prediction_id=a_prediction(number).id, project_id=PROJECT, model_id=MODEL, predicted_at=later(number),
        reported_by=by, outcome=outcome, reason=ODD, labels=(ODD, "seven"), at=later(50), created_at=later(60),
    )  # fmt: skip


@pytest.fixture
def filled(store: Store) -> Store:
    """Four predictions, a second apart."""
    furnish(store, items=4, models=2)
    with store.begin() as tx:
        for number in range(4):
            tx.predictions.add(a_prediction(number, item=number, at=later(number)))
    return store


def utc(outcome: ReportedOutcome) -> ReportedOutcome:
    return replace(
        outcome,
        predicted_at=outcome.predicted_at.astimezone(UTC),
        at=outcome.at.astimezone(UTC),
        created_at=outcome.created_at.astimezone(UTC),
    )


def test_what_was_reported_comes_back_whole(filled: Store) -> None:
    """One word of each caller; the newest takes the place of the one before."""
    first, other = an_outcome(), replace(an_outcome(by="tok_2"), created_at=later(61))
    changed = replace(first, outcome=TurnedOut.RIGHT, reason="", labels=())
    with filled.begin() as tx:
        tx.outcomes.save(first)
        tx.outcomes.save(other)
        assert tx.outcomes.get(first.prediction_id, "tok_1") == utc(first)
        tx.outcomes.save(changed)
        assert tx.outcomes.of_prediction(first.prediction_id) == [utc(changed), utc(other)]
        assert tx.outcomes.get(first.prediction_id, "tok_3") is None
        assert tx.outcomes.of_prediction(a_prediction(1).id) == []


def test_predictions_are_counted_once_and_wrong_where_anybody_says_so(filled: Store) -> None:
    """By when they were made, and by version."""
    with filled.begin() as tx:
        for outcome in (
            an_outcome(0),
            an_outcome(1, outcome=TurnedOut.RIGHT),
            an_outcome(1, by="tok_2"),
            an_outcome(2, outcome=TurnedOut.RIGHT),
            an_outcome(3),
        ):
            tx.outcomes.save(outcome)
        assert tx.outcomes.count(PROJECT, MODEL, since=later(0), until=later(3)) == {
            TurnedOut.WRONG: 2,
            TurnedOut.RIGHT: 1,
        }
        none = {TurnedOut.WRONG: 0, TurnedOut.RIGHT: 0}
        assert tx.outcomes.count(PROJECT, a_model(1).id, since=later(0), until=later(9)) == none
        assert tx.outcomes.count(PROJECT, MODEL, since=later(4), until=later(9)) == none


def test_what_is_reported_is_of_a_prediction(filled: Store) -> None:
    with pytest.raises(IntegrityError), filled.begin() as tx:
        tx.outcomes.save(replace(an_outcome(), prediction_id="pred_none"))


def test_figures_are_the_newest_of_each_project(filled: Store) -> None:
    """With or without a rate, never with half of one."""
    figures = ProductionFigures(
        project_id=PROJECT, model_id=MODEL, computed_at=NOW.astimezone(UTC), audits=0, failure_rate=None, low=None,
        high=None,
    )  # fmt: skip
    later_ones = replace(figures, model_id=a_model(1).id, audits=9, failure_rate=0.1 + 0.2, low=0.0, high=1.0)
    with filled.begin() as tx:
        assert tx.production_figures.all() == []
        tx.production_figures.save(figures)
        assert tx.production_figures.all() == [figures]
        tx.production_figures.save(later_ones)
        assert tx.production_figures.all() == [later_ones]
    with pytest.raises(IntegrityError), filled.begin() as tx:
        tx.production_figures.save(replace(figures, low=0.5))
