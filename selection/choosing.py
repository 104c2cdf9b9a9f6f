"""A budget, shared between strategies and a draw at random, becomes picks. Pure."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Invalid
from selection.pool import Pick, Pool, checked
from selection.strategies.table import Strategy, strategy

RANDOM = "random"
# Of every budget: what is drawn at random says without bias how good the model is on this pool, and keeps a strategy
# that is wrong about it from seeing nothing else.
RANDOM_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Chosen:
    """inclusion_probability: with which the draw at random could have chosen this item; None for what a strategy
    chose."""

    pick: Pick
    strategy: str
    inclusion_probability: float | None


def choose(
    pool: Pool, mix: Mapping[str, float], budget: int, *, seed: int, also: Mapping[str, Strategy] | None = None
) -> list[Chosen]:
    """`budget` different items, fewer only where the pool has fewer, strategy by strategy in the order of `mix`.

    mix: shares of the budget by strategy, each in (0, 1], together 1 (`mixed`). also: strategies of this selection
    beside those of the table. The draw at random comes first, from the whole pool, so that its probabilities are
    known; each strategy then chooses from what is left. The same pool, mix, budget and seed give the same picks.
    Raises Invalid.
    """
    checked(pool)
    _check_budget(budget)
    named = {name: (also or {}).get(name) or strategy(name) for name in mix}
    free = np.arange(len(pool))
    found: list[Chosen] = []
    whole = min(budget, len(pool))
    shares = _whole(mix, whole, np.random.default_rng([seed, *b"share"]))
    for name in sorted(named, key=lambda one: one != RANDOM):
        rng = np.random.default_rng([seed, *name.encode()])
        picks = _picked(named[name], pool, free, shares[name], rng)
        probability = mix[name] * whole / len(pool) if name == RANDOM else None
        found += [Chosen(pick, name, probability) for pick in picks]
        free = np.setdiff1d(free, [pick.row for pick in picks], assume_unique=True)
    return found


def mixed(
    strategies: Mapping[str, float], random_share: float = RANDOM_SHARE, *, also: Collection[str] = ()
) -> dict[str, float]:
    """Shares that add up to 1, with at least `random_share` for the draw at random; raises Invalid.

    strategies: parts by name, positive, of any sum: {"hybrid": 60, "anomaly": 20} is three to one. also: names that
    are known beside those of the table.
    """
    for name, part in strategies.items():
        if name not in also:
            strategy(name)
        if not 0.0 < part < float("inf"):
            raise Invalid(f"{name} cannot have the share {part:g}.", hint="Give each strategy a positive number.")
    if not strategies:
        raise Invalid("no strategy is named.", hint="For example hybrid.")
    largest = max(strategies.values())
    parts = {name: part / largest for name, part in strategies.items()}  # the sum of the largest numbers is none
    total = sum(parts.values())
    shares = {name: part / total for name, part in parts.items()}
    lot = max(shares.pop(RANDOM, 0.0), random_share if shares else 1.0)
    rest = sum(shares.values())
    own = {name: (1.0 - lot) * share / rest for name, share in shares.items()} if lot < 1.0 else {}
    return ({RANDOM: lot} if lot else {}) | own


def parts_of(text: str) -> dict[str, float]:
    """What people write, `hybrid` or `hybrid=60,anomaly=20,random=20`, as parts by name; raises Invalid."""
    parts: dict[str, float] = {}
    for one in filter(None, (part.strip() for part in text.split(","))):
        name, _, share = one.partition("=")
        try:
            parts[name.strip()] = float(share) if share else 1.0
            if not math.isfinite(parts[name.strip()]):
                raise ValueError(share)
        except ValueError as error:
            raise Invalid(f"{share!r} is no share for {name.strip()}.", hint="Write hybrid=60,anomaly=20.") from error
    return parts


def _check_budget(budget: int) -> None:
    if budget < 1:
        raise Invalid(
            f"a budget of {budget} chooses nothing.", hint="Give the number of items that people can look at."
        )


def _whole(mix: Mapping[str, float], budget: int, rng: np.random.Generator) -> dict[str, int]:
    """Items of each strategy, which add up to the budget.

    Of the draw at random a fraction of an item is one with that probability: so each item's chance is share x budget ÷
    pool exactly, and the smallest budget has its part in it. The others share the rest by largest remainder.
    """
    exact = {name: share * budget for name, share in mix.items()}
    lot = exact.pop(RANDOM, 0.0)
    drawn = budget if not exact else _rounded(lot, rng)
    rest = sum(exact.values())
    exact = {name: part / rest * (budget - drawn) for name, part in exact.items()}
    whole = {name: int(part) for name, part in exact.items()}
    by_remainder = sorted(exact, key=lambda name: whole[name] - exact[name])
    for name in by_remainder[: budget - drawn - sum(whole.values())]:
        whole[name] += 1
    return whole | ({RANDOM: drawn} if RANDOM in mix else {})


def _rounded(number: float, rng: np.random.Generator) -> int:
    """Up or down, such that its mean is `number`."""
    number = round(number, 9)  # 0.15 x 20 is 3
    return int(number) + int(rng.random() < number % 1.0)


def _picked(
    choose_by: Strategy, pool: Pool, free: NDArray[np.intp], budget: int, rng: np.random.Generator
) -> Sequence[Pick]:
    """None for a budget of none."""
    return choose_by(pool, free, min(budget, len(free)), rng) if budget and len(free) else []
