"""The difference of two failure rates: bounds that hold at all looks together."""

import numpy as np
import pytest

from loop.domain.errors import Invalid
from loop.domain.rollouts.two_rates import Compared, answers_needed, at_least, at_most, capital_for_worse

STREAMS = 40
LOOKS = range(150, 3001, 150)


class Stream:
    """3,000 predictions of which people see some; the canary's fail with one probability, the champion's with another.

    routed: share of the failures that are reviewed for their risk, with certainty; others are seen with `audits`."""

    def __init__(self, seed, champion, canary, *, share=0.3, audits=0.3, routed=0.0, expected=0.2, hard=None):
        rng = np.random.default_rng(seed)
        count = LOOKS[-1]
        of_canary = rng.random(count) < share
        rate = np.where(of_canary, canary, champion)
        if hard is not None:
            rate = rate + hard(np.arange(count))
        failed = rng.random(count) < rate
        inclusion = np.where(failed & (rng.random(count) < routed), 1.0, audits)
        self.seen = np.flatnonzero(rng.random(count) < inclusion)
        self.failed = failed[self.seen].astype(float)
        self.given = {"share": share, "least": audits, "expected": expected}
        self.of_canary, self.inclusion = of_canary[self.seen], inclusion[self.seen]

    def after(self, predictions):
        """What is known after so many."""
        rows = slice(0, int(np.searchsorted(self.seen, predictions)))
        compared = Compared(
            canary=self.of_canary[rows], inclusion=self.inclusion[rows], predictions=predictions, **self.given
        )
        return compared, self.failed[rows]

    def bounds(self, confidence=0.95):
        """At each look."""
        known = [self.after(predictions) for predictions in LOOKS]
        low = np.array([at_least(*one, confidence=confidence) for one in known])
        return low, np.array([at_most(*one, confidence=confidence) for one in known])


def ever_wrong(difference, **of_stream):
    """In how many streams one of the looks tells a bound that the truth is not within."""
    below = above = 0
    for seed in range(STREAMS):
        low, high = Stream(seed, 0.2, 0.2 + difference, **of_stream).bounds(0.8)
        below += bool((low > difference).any())
        above += bool((high < difference).any())
    return below, above


@pytest.mark.parametrize(
    "stream",
    [{}, {"routed": 0.8}, {"expected": 0.7}, {"share": 0.1}, {"hard": lambda n: 0.5 * (n % 1000 > 700)}],
    ids=["audits", "risk sends failures to people", "a wrong guess", "a small share", "hard images for a while"],
)
@pytest.mark.parametrize("difference", [0.0, 0.1])
def test_each_bound_holds_at_all_looks(difference, stream):
    """Twenty looks at each of 40 streams, at a confidence of 0.8: a bound is ever left in a fifth of them at most, give
    or take what chance does to so few, whoever people see and however hard the images are."""
    below, above = ever_wrong(difference, **stream)
    assert max(below, above) <= 0.2 * STREAMS + 6


def test_equal_models_are_seldom_told_apart_though_one_looks_after_each_answer():
    """In a twentieth of the streams at most, at a confidence of 0.95; the chance of 14 or more of 150 is 1 in 100."""
    alarms = 0
    for seed in range(150):
        capital = capital_for_worse(*Stream(seed, 0.2, 0.2).after(LOOKS[-1]))
        alarms += bool((capital >= 20.0).any())
    assert alarms < 14


def test_the_capital_says_what_the_bound_says():
    """Where one has just looked, the bound is above 0 where the capital is above its limit."""
    for seed in range(20):
        compared, failed = Stream(seed, 0.2, 0.3).after(3000)
        capital = capital_for_worse(compared, failed)
        assert capital.shape == failed.shape
        assert (at_least(compared, failed, confidence=0.95) > 0.0) == (capital[-1] >= 20.0)
    assert len(capital_for_worse(*Stream(0, 0.2, 0.2).after(0))) == 0


def test_a_test_that_is_not_made_for_it_does_not_survive_looks():
    """The usual z test at the same level, looked at as often, calls equal models different far oftener: what the bounds
    are for."""
    alarms = 0
    for seed in range(STREAMS):
        stream = Stream(seed, 0.2, 0.2)
        alarms += any(z_test(*stream.after(predictions)) > 0.84 for predictions in LOOKS)
    assert alarms > 0.3 * STREAMS


def z_test(compared, failed):
    ours, theirs = failed[compared.canary], failed[~compared.canary]
    if min(len(ours), len(theirs)) < 2:
        return 0.0
    error = np.sqrt(ours.var() / len(ours) + theirs.var() / len(theirs))
    return 0.0 if error == 0.0 else (ours.mean() - theirs.mean()) / error


def test_a_worse_model_is_found_and_an_equal_one_passes():
    """Twice the failure rate in every stream; an equal one is below a margin of 0.15 in most."""
    worse = [Stream(seed, 0.2, 0.4).bounds()[0][-1] > 0 for seed in range(20)]
    passed = [Stream(seed, 0.2, 0.2).bounds()[1][-1] < 0.15 for seed in range(20)]
    assert all(worse)
    assert sum(passed) >= 15


def test_what_risk_sends_to_people_makes_nobody_look_bad():
    """Were all answers counted alike, a model whose failures are found by its risk would look worse."""
    rng = np.random.default_rng(0)
    count = 20_000
    of_canary = rng.random(count) < 0.5
    failed = rng.random(count) < 0.2
    inclusion = np.where(failed & of_canary, 1.0, 0.2)  # only the canary knows when it is wrong
    seen = np.flatnonzero(rng.random(count) < inclusion)
    compared = Compared(
        canary=of_canary[seen], inclusion=inclusion[seen], share=0.5, least=0.2, predictions=count, expected=0.2
    )
    found = failed[seen].astype(float)
    assert found[compared.canary].mean() > 2 * found[~compared.canary].mean()
    assert at_least(compared, found, confidence=0.95) < 0.0 < at_most(compared, found, confidence=0.95) < 0.05


def test_bounds_turn_round_with_the_models():
    """What is the least for one is, with the two exchanged, the most for the other."""
    compared, failed = Stream(3, 0.2, 0.3, share=0.3).after(2000)
    turned = Compared(
        canary=~compared.canary, inclusion=compared.inclusion, share=0.7, least=compared.least,
        predictions=compared.predictions, expected=compared.expected,
    )  # fmt: skip
    assert at_least(compared, failed, confidence=0.9) == pytest.approx(-at_most(turned, failed, confidence=0.9))


def test_without_answers_nothing_is_known():
    """Of no predictions, the bounds are all there is; and the answers that are needed are told all the same."""
    none = Compared(canary=np.zeros(0, bool), inclusion=np.zeros(0), share=0.1, least=0.1, predictions=0, expected=0.1)
    assert at_least(none, np.zeros(0), confidence=0.95) == -1.0
    assert at_most(none, np.zeros(0), confidence=0.95) == 1.0
    assert 100 < answers_needed(none, np.zeros(0), margin=0.05, confidence=0.95) < 1000


def test_the_answers_that_are_needed_are_about_right():
    """Where it says that n more are needed, an equal canary has passed in most streams after three times as many."""
    passed = 0
    for seed in range(20):
        stream = Stream(seed, 0.2, 0.2, share=0.3, audits=1.0)
        compared, failed = stream.after(300)
        more = answers_needed(compared, failed, margin=0.1, confidence=0.95)
        later = min(300 + round(3 * more / 0.3), LOOKS[-1])
        passed += at_most(*stream.after(later), confidence=0.95) < 0.1
    assert passed >= 14
    compared, failed = stream.after(3000)
    assert answers_needed(compared, failed, margin=0.3, confidence=0.95) == 0


@pytest.mark.parametrize(
    "wrong",
    [{"share": 1.0}, {"share": 0.0}, {"least": 0.0}, {"least": 0.9}, {"predictions": 1}, {"expected": 2.0}],
    ids=str,
)
def test_what_contradicts_itself_is_refused(wrong):
    """Shares outside, a least probability that is not the least, fewer predictions than answers."""
    given = {
        "canary": np.array([True, False]), "inclusion": np.array([0.5, 1.0]), "share": 0.5, "least": 0.5,
        "predictions": 9, "expected": 0.1,
    }  # fmt: skip
    with pytest.raises(Invalid):
        Compared(**{**given, **wrong})
