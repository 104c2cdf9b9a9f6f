"""How fast the people of a project work, and what it costs, of late."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from loop.domain.guarantee.capacity import Backlog, Pace, days_between
from loop.domain.guarantee.error_costs import Prices
from loop.domain.ports import Transaction
from loop.domain.project import Project
from loop.domain.review.cost import Rates, costs
from loop.domain.review.tasks import TaskState

_PACE_DAYS = 7.0


@dataclass(frozen=True, slots=True)
class Work:
    """prices: None where they are not known."""

    pace: Pace
    backlog: Backlog
    prices: Prices | None
    currency: str


def work_of_late(tx: Transaction, project: Project, default_rates: Rates, now: datetime) -> Work:
    """Of the last days. default_rates: where the project has none."""
    rules = project.policy.guarantee
    since = max(now - timedelta(days=_PACE_DAYS), project.created_at)
    days = max(days_between(since, now), 1.0)
    rates = tx.efforts.rates(project.id) or default_rates
    spent = costs(tx.efforts.between(project.id, since, now), rates, None, {}).total
    worked = None if spent is None else spent.minutes / 60.0 / days
    pace = Pace(
        seconds=None if spent is None else 60.0 * spent.minutes_per_item,
        hours_a_day=rules.hours_a_day if rules.hours_a_day is not None else worked,
        predictions_a_day=tx.efforts.count_served(project.id, since, now) / days,
    )
    measured = None if spent is None or spent.money is None else spent.money / spent.items
    review = rules.costs.review if rules.costs.review is not None else measured
    prices = None
    if review is not None and rules.costs.missed is not None:
        prices = Prices(review=review, seconds=pace.seconds, errors=rules.costs)
    waits = tx.tasks.counts(project.id, now)[TaskState.OPEN]
    return Work(pace, Backlog(tasks=waits, patience_days=rules.patience_days), prices, rates.currency)
