"""Rollouts: who gets the other model, and when it is taken back."""

import math
import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from loop.domain.errors import Invalid
from loop.domain.rollouts.rollout import (
    Rollout,
    RolloutKind,
    RolloutLimits,
    RolloutState,
    checked_share,
    ended_by_champion,
    takes,
)
from loop.domain.rollouts.traffic import Traffic, TrafficWindow, at_least, breach, bucket_of, lower_rank, upper_rank
from loop.domain.routing import audit_lottery

SECRET = b"s" * 32
LIMITS = RolloutLimits(min_requests=50, max_error_rate=0.02, max_latency_ratio=2.0, confidence=0.999, window_s=300.0)
CANARY = Rollout(
    id="rollout_1",
    project_id="shapes",
    kind=RolloutKind.CANARY,
    model_id="model_new",
    champion_id="model_old",
    share=0.3,
    state=RolloutState.ACTIVE,
    actor="ada",
    reason="try it",
    limits=LIMITS,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)
IDS = [f"pred_{number:06}" for number in range(4000)]


def seen(answered: int = 0, errors: int = 0, seconds: float = 0.05) -> Traffic:
    """Traffic whose answers all took `seconds`."""
    return Traffic(answered + errors, errors, {bucket_of(seconds): answered} if answered else {})


def sampled(latencies: list[float]) -> Traffic:
    window = TrafficWindow(1000.0)
    for seconds in latencies:
        window.answered(0.0, seconds)
    return window.traffic(0.0)


# --- the share ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_a_rollout_takes_its_share(share):
    """Of many predictions about `share`, within five standard deviations."""
    taken = sum(takes(replace(CANARY, share=share), SECRET, one) for one in IDS)
    assert abs(taken - share * len(IDS)) < 5 * math.sqrt(share * (1 - share) * len(IDS))


def test_a_share_of_one_takes_everything():
    """A shadow may see all of the traffic."""
    assert all(takes(replace(CANARY, share=1.0), SECRET, one) for one in IDS)


@given(prediction_id=st.text(min_size=1), less=st.floats(0.01, 1.0), more=st.floats(0.01, 1.0))
def test_a_larger_share_takes_what_a_smaller_one_took(prediction_id, less, more):
    """The draw is fixed by the ids: asking again, or raising the share, sends nobody back."""
    less, more = sorted((less, more))
    if takes(replace(CANARY, share=less), SECRET, prediction_id):
        assert takes(replace(CANARY, share=more), SECRET, prediction_id)


@pytest.mark.parametrize(
    "other",
    [
        lambda one: audit_lottery(SECRET, one, 0.3),
        lambda one: takes(replace(CANARY, id="rollout_2"), SECRET, one),
        lambda one: takes(CANARY, b"t" * 32, one),
    ],
    ids=["the audit lottery", "another rollout", "another installation"],
)
def test_the_lottery_is_independent_of_any_other(other):
    """Who is audited does not depend on which model answers; nor do two rollouts share their callers."""
    table = [[0, 0], [0, 0]]
    for one in IDS:
        table[takes(CANARY, SECRET, one)][other(one)] += 1
    assert stats.chi2_contingency(table).pvalue > 1e-4


@pytest.mark.parametrize("share", [0.0, -0.1, 1.0001, math.nan, math.inf])
def test_a_share_outside_is_refused(share):
    """Above 0 and at most 1, or Invalid."""
    with pytest.raises(Invalid):
        checked_share(share)


# --- a new champion ----------------------------------------------------------------------------------


def test_a_canary_ends_with_the_champion_it_was_judged_against():
    """Another champion ends it, and so does its own promotion; its own champion does not."""
    assert ended_by_champion(CANARY, "model_third") == "model_third became the champion"
    assert ended_by_champion(CANARY, "model_new") == "it became the champion"
    assert ended_by_champion(CANARY, "model_old") is None


def test_a_shadow_goes_on_beside_another_champion():
    """It only observes; as the champion it has nothing left to observe."""
    shadow = replace(CANARY, kind=RolloutKind.SHADOW)
    assert ended_by_champion(shadow, "model_third") is None
    assert ended_by_champion(shadow, "model_new") is not None


# --- errors -----------------------------------------------------------------------------------------


def test_a_single_error_proves_nothing():
    """Neither as the first request, nor in three, nor in fifty."""
    for answered in (0, 2, 49):
        assert breach(LIMITS, seen(answered, errors=1), seen(1000)) is None


def test_a_broken_model_is_caught_within_a_few_requests():
    """One that always errs is taken back before its fifth request, and the reason says what was seen."""
    first = next(n for n in range(1, 100) if breach(LIMITS, seen(errors=n), seen(1000)))
    assert 2 <= first <= 4
    why = breach(LIMITS, seen(errors=first), seen(1000))
    assert f"{first} of {first} requests failed" in why
    assert "2.0%" in why


def test_errors_at_the_limit_are_no_breach():
    """The limit itself is allowed, on however much traffic."""
    assert breach(LIMITS, seen(98_000, errors=2_000), seen(98_000)) is None
    assert breach(LIMITS, seen(96_000, errors=4_000), seen(98_000)) is not None


def test_a_rollout_is_not_blamed_for_what_the_champion_does_too():
    """Where the champion fails as often, the fault is elsewhere."""
    assert breach(LIMITS, seen(50, errors=50), seen(50, errors=50)) is None
    assert breach(LIMITS, seen(0, errors=100), seen(50, errors=50)) is not None
    assert breach(LIMITS, seen(0, errors=10), seen(0, errors=1)) is not None, (
        "one error of the champion excuses nothing"
    )


@given(errors=st.integers(0, 60), answered=st.integers(0, 60), more=st.integers(1, 20))
def test_more_errors_never_excuse(errors, answered, more):
    """What is a breach stays one with more errors; what is none stays none with more answers."""
    if breach(LIMITS, seen(answered, errors), Traffic()) is not None:
        assert breach(LIMITS, seen(answered, errors + more), Traffic()) is not None
    else:
        assert breach(LIMITS, seen(answered + more, errors), Traffic()) is None


@given(trials=st.integers(0, 3000), share=st.floats(0, 1), probability=st.floats(0, 1))
@settings(max_examples=300)
def test_the_binomial_tail_is_exact(trials, share, probability):
    """As scipy computes it."""
    successes = round(share * trials)
    expected = stats.binom.sf(successes - 1, trials, probability)
    assert at_least(successes, trials, probability) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_a_model_as_good_as_the_limit_is_seldom_taken_back():
    """The confidence holds where every request is looked at: a model that errs at half of the limit is taken back
    in fewer than 1 of 50 windows of a thousand requests."""
    rng = random.Random(0)
    taken_back = 0
    for _ in range(200):
        errors = 0
        for requests in range(1, 1001):
            if rng.random() < LIMITS.max_error_rate / 2:
                errors += 1
                taken_back += breach(LIMITS, Traffic(requests, errors), Traffic()) is not None
    assert taken_back < 4


# --- latency ----------------------------------------------------------------------------------------


def test_a_much_slower_model_is_taken_back():
    """Three times the champion's latency is more than twice; the reason names both."""
    why = breach(LIMITS, seen(200, seconds=0.15), seen(200, seconds=0.05))
    assert "150 ms" in why.replace("149", "150").replace("151", "150")
    assert "more than 2 times" in why


def test_a_slow_tail_is_taken_back():
    """The usual request is as fast, but one in ten takes ten times as long."""
    usual, slow = [0.05] * 900, [0.5] * 100
    assert "95th percentile" in breach(LIMITS, sampled(usual + slow), sampled(usual + [0.05] * 100))


def test_a_model_within_the_ratio_stays():
    """1.9 times is not more than twice; a faster one least of all."""
    for seconds in (0.095, 0.01):
        assert breach(LIMITS, seen(5000, seconds=seconds), seen(5000, seconds=0.05)) is None


def test_few_requests_say_nothing_of_latency():
    """Below min_requests on either side there is no verdict."""
    for mine, theirs in ((49, 5000), (5000, 49), (0, 0)):
        assert breach(LIMITS, seen(mine, seconds=9.0), seen(theirs, seconds=0.05)) is None


def test_chance_does_not_take_a_model_back():
    """Two samples of one heavy-tailed distribution, the canary's small: their 95th percentiles differ by a half now
    and then, and nothing is concluded."""
    rng = random.Random(1)
    limits = replace(LIMITS, max_latency_ratio=1.1)
    champion = sampled([0.05 * math.exp(rng.gauss(0, 1)) for _ in range(3000)])
    canaries = [sampled([0.05 * math.exp(rng.gauss(0, 1)) for _ in range(150)]) for _ in range(100)]
    assert [breach(limits, canary, champion) for canary in canaries] == [None] * 100


@pytest.mark.parametrize("quantile", [0.5, 0.95])
@pytest.mark.parametrize("count", [50, 137, 1000])
def test_ranks_bound_a_quantile_with_the_confidence(quantile, count):
    """P(order statistic of the lower rank <= quantile) >= confidence, and the next rank breaks it; the upper rank
    likewise from above."""
    low, high = lower_rank(quantile, count, 0.99), upper_rank(quantile, count, 0.99)
    below = stats.binom(count, quantile)
    assert below.sf(low - 1) >= 0.99 > below.sf(low)
    if high is None:
        assert below.cdf(count - 1) < 0.99
    else:
        assert below.cdf(high - 1) >= 0.99 > below.cdf(high - 2)


# --- counting ---------------------------------------------------------------------------------------


@given(latencies=st.lists(st.floats(1e-5, 1e3), min_size=1, max_size=200), data=st.data())
def test_latencies_are_kept_within_a_hundredth(latencies, data):
    """Any rank of what was recorded comes back within 1 %."""
    rank = data.draw(st.integers(1, len(latencies)))
    assert sampled(latencies).latency(rank) == pytest.approx(sorted(latencies)[rank - 1], rel=0.0101)


@given(
    events=st.lists(st.tuples(st.floats(0, 100), st.one_of(st.none(), st.floats(0.001, 10))), max_size=100),
    later=st.floats(0, 200),
)
def test_a_window_forgets_what_is_older(events, later):
    """What lies within the window counts, what is older by more than a thirtieth of it does not."""
    window = TrafficWindow(60.0)
    events.sort(key=lambda event: event[0])
    for now, seconds in events:
        if seconds is None:
            window.failed(now)
        else:
            window.answered(now, seconds)
    now = (events[-1][0] if events else 0.0) + later
    found = window.traffic(now)
    kept, surely = ([e for e in events if e[0] > now - age] for age in (60.0, 58.0))
    assert len(surely) <= found.requests <= len(kept)
    assert sum(seconds is None for _, seconds in surely) <= found.errors <= sum(s is None for _, s in kept)
    assert sum(found.latencies.values()) == found.answered


def test_counters_of_several_gateways_add_up():
    """Requests, errors and each bucket."""
    both = seen(3, errors=1, seconds=0.1) + seen(2, seconds=0.1) + seen(5, seconds=0.2)
    assert (both.requests, both.errors, both.answered) == (11, 1, 10)
    assert both.latencies == {bucket_of(0.1): 5, bucket_of(0.2): 5}
