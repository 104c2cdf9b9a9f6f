"""Promises of routing: how often they are broken, what they cost, and whether estimates hold what they say.

    python -m benchmarks.guarantee             some thirty minutes
    QUICK=1 python -m benchmarks.guarantee     some three minutes
    python -m benchmarks.guarantee --only price,real

promise   streams whose failures are as probable as their risk says, or not at all, audited at one rate or with all of
          the risky ones reviewed: in which share of them more fails and passes than was promised
learned   streams whose risk is learned from the same reviews, as the service does: by half of the predictions, judged
          by the other half; and, to see what that is for, judged by what it learned from
together  several promises at once, by source and by label, and of missed objects and false alarms of some classes and a
          weighted cost: how often any of them is broken (benchmarks/promised_together.py)
price     how much passes, as a part of what the best threshold would let pass that only an oracle knows: by audits as
          the service suggests them, beside reviews of what is risky; and by audits at one rate, without reviews too,
          beside an exact binomial bound on the same streams (Clopper & Pearson 1934, fixed sequence), and the most that
          any way to choose a threshold can let pass by those
estimate  how often intervals hold the truth, at one time and at all times, of few failures too that come together, and
          how much shorter the risk makes them
drift     the same streams routed by a fixed score, as is usual, before and after they become worse
real      FOD-A with the detector and the learned risk of bench-routing: promised and realised rates over random splits
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import beta as beta_distribution
from scipy.stats import binom
from sklearn.metrics import roc_auc_score

from benchmarks import fod, routing
from benchmarks.promised_together import together_figures
from benchmarks.report import QUICK, Figure, at_least, at_most, publish, reading
from loop.domain.guarantee.audit_bands import bands_for
from loop.domain.guarantee.passing import Evidence, Promise, threshold_for
from loop.domain.production.confidence_sequence import Seen, capital_against, confidence_sequence
from loop.domain.production.estimate import assisted_rate, assisted_share, rate_of, share_of
from selection.risk_fitting import Reviews, fit_risk

Floats = NDArray[np.float64]

PROMISE = Promise(alpha=0.05, delta=0.1)
STREAMS = 100 if QUICK else 1000
PRICED = 60 if QUICK else 1000  # streams: chance moves a mean of so many by 0.0014 with 500 audits, 0.0007 with 2,000
LIMITED = 500 if QUICK else 3000  # streams
INTERVALS = 200 if QUICK else 2000
SEQUENCES = 20 if QUICK else 200
SPLITS = 20 if QUICK else 200
AUDIT_RATE = 0.02
REAL_RATE = 0.3  # of a few hundred frames
LEARNED = 30 if QUICK else 300  # streams
LEARNED_EACH = 800
LEARNED_RATE = 0.2
LARGE = 1_000_000


# --- streams ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Source:
    """How probable failures are, Beta(a, b), and the risk that is shown for it."""

    name: str
    a: float
    b: float
    shown: Callable[[Floats, np.random.Generator], tuple[Floats, Floats]]

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Risks, and the true probabilities."""
        return self.shown(rng.beta(self.a, self.b, count), rng)


def _as_it_is(truly: Floats, _: np.random.Generator) -> tuple[Floats, Floats]:
    return truly, truly


def _overconfident(truly: Floats, _: np.random.Generator) -> tuple[Floats, Floats]:
    return truly**3, truly


def _noisy(truly: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    odds = logit(np.clip(truly, 1e-9, 1 - 1e-9)) + rng.normal(0, 1.5, len(truly))
    return np.asarray(expit(odds)), truly


def _blind_spot(truly: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Three in a hundred look safest of all and fail six times in ten."""
    hit = rng.random(len(truly)) < 0.03
    return np.where(hit, 0.02 * rng.random(len(truly)), truly), np.where(hit, 0.6, truly)


CALIBRATED = Source("calibrated", 0.5, 1.5, _as_it_is)
SOURCES = (
    CALIBRATED,
    Source("overconfident", 0.5, 1.5, _overconfident),
    Source("noisy", 0.5, 1.5, _noisy),
    Source("with a blind spot", 0.5, 1.5, _blind_spot),
)
SHARPER = Source("sharper", 0.5, 0.9, _as_it_is)
RARE = Source("one in 20 fails", 0.25, 4.75, _as_it_is)
RAREST = Source("one in 50 fails", 0.1, 4.9, _as_it_is)
ROUTED = (("one rate", 1.1), ("risky reviewed", 0.3))


@dataclass(frozen=True, slots=True)
class Truth:
    """Of a large sample: risks, ascending, and the rate that fails and passes below each and the next."""

    risk: Floats
    rate: Floats

    @classmethod
    def of(cls, source: Source) -> "Truth":
        risk, truly = source.draw(LARGE, np.random.default_rng(99))
        order = np.argsort(risk)
        return cls(risk[order], np.append(0.0, np.cumsum(truly[order])) / LARGE)

    def passing(self, threshold: float) -> float:
        return float(self.rate[np.searchsorted(self.risk, threshold)])

    def automation(self, threshold: float) -> float:
        return float(np.searchsorted(self.risk, threshold) / LARGE)

    @property
    def oracle(self) -> float:
        """The highest threshold that keeps alpha."""
        return float(self.risk[np.searchsorted(self.rate, PROMISE.alpha) - 1])


def evidence_of(
    source: Source, audits: int, routed_from: float, rng: np.random.Generator, *, banded: bool = False
) -> Evidence:
    """So many audits, on average, of what is below `routed_from`; all above it are reviewed anyway. banded: drawn by
    the rates that the service suggests (loop/domain/guarantee/audit_bands.py)."""
    risk, truly = source.draw(int(audits / AUDIT_RATE), rng)
    rate = audits / max((risk < routed_from).sum(), 1)
    rates = np.full(len(risk), rate)
    if banded:
        others = source.draw(20_000, rng)[0]
        rates = bands_for(others[others < routed_from], rate).rates(risk)
    inclusion = np.where(risk < routed_from, rates, 1.0)
    seen = rng.random(len(risk)) < inclusion
    failed = (rng.random(int(seen.sum())) < truly[seen]).astype(float)
    return Evidence(
        risk=risk[seen], loss=failed, inclusion=inclusion[seen], population=risk, least=float(inclusion.min())
    )


# --- figures -----------------------------------------------------------------------------------------------------


def promise_figures(_: Console) -> Iterator[Figure]:
    """The bar is delta with what chance does to so many streams (a hundredth that it is exceeded if delta is kept)."""
    most = float(binom.ppf(0.99, STREAMS, PROMISE.delta)) / STREAMS
    for source in (*SOURCES, SHARPER):
        truth = Truth.of(source)
        for audits in (500, 2000):
            for how, routed_from, banded in (
                ("one rate", 1.1, False),
                ("rates by risk", 1.1, True),
                ("risky reviewed", 0.9 * truth.oracle, False),
                ("rates by risk, risky reviewed", 0.9 * truth.oracle, True),  # what the price is told of
            ):
                rng = np.random.default_rng(audits)
                values = [
                    threshold_for(evidence_of(source, audits, routed_from, rng, banded=banded), PROMISE).value
                    for _ in range(STREAMS)
                ]
                broken = float(np.mean([truth.passing(value) > PROMISE.alpha for value in values]))
                name = f"broken: {source.name}, {how}, {audits:,} audits"
                yield at_most(name, broken, most, "share", STREAMS)


def learned_figures(_: Console) -> Iterator[Figure]:
    """Reviews of everything, then audits of what passes; the risk is learned twice (selection/risk_fitting.py)."""
    most = float(binom.ppf(0.99, LEARNED, PROMISE.delta)) / LEARNED
    for name, split in (("half teaches, half judges", True), ("judged by what taught", False)):
        found = [_learned_stream(seed, split=split) for seed in range(LEARNED)]
        broken = float(np.mean([passes > PROMISE.alpha for passes, _ in found]))
        here = f"learned, {name}"
        if split:
            yield at_most(f"broken: {here}", broken, most, "share", LEARNED)
        else:  # what the split prevents has no bar
            yield reading(f"broken: {here}", broken, "share", LEARNED)
        yield reading(f"passes: {here}", float(np.mean([share for _, share in found])), "share", LEARNED)


def _learned_stream(seed: int, *, split: bool) -> tuple[float, float]:
    """The rate that fails and passes by the last threshold, and the share that passes; of 20,000 fresh predictions."""
    rng = np.random.default_rng(seed)
    signals, failed = _signals_of(LEARNED_EACH, rng)
    inclusion = np.ones(LEARNED_EACH)
    seen, teaches = np.ones(LEARNED_EACH, dtype=bool), rng.random(LEARNED_EACH) < 0.5
    fresh, fails = _signals_of(20_000, rng)
    threshold = 0.0
    for number in range(2):
        taught = seen & (teaches | (not split))
        reviews = Reviews(
            signals={name: one[taught] for name, one in signals.items()}, failed=failed[taught],
            probability=inclusion[taught],
        )  # fmt: skip
        risk, _ = fit_risk(reviews, seed=0)
        judged = ~teaches | (not split)
        here = seen & judged
        evidence = Evidence(
            risk=risk.of_all(signals)[here], loss=failed[here].astype(float), inclusion=inclusion[here],
            population=risk.of_all(signals)[judged], least=float(inclusion[judged].min()),
        )  # fmt: skip
        threshold = threshold_for(evidence, PROMISE).value
        if number == 0:
            more, wrong = _signals_of(LEARNED_EACH, rng)
            drawn = np.where(risk.of_all(more) >= threshold, 1.0, LEARNED_RATE)
            signals = {name: np.append(signals[name], more[name]) for name in signals}
            failed, inclusion = np.append(failed, wrong), np.append(inclusion, drawn)
            seen = np.append(seen, rng.random(LEARNED_EACH) < drawn)
            teaches = np.append(teaches, rng.random(LEARNED_EACH) < 0.5)
    passes = risk.of_all(fresh) < threshold
    return float((fails * passes).mean()), float(passes.mean())


def _signals_of(count: int, rng: np.random.Generator) -> tuple[dict[str, Floats], NDArray[np.bool_]]:
    """One that tells, and seven that do not but can be learned by accident."""
    truly = rng.beta(0.5, 1.5, count)
    signals = {f"noise {n}": rng.normal(size=count) for n in range(7)}
    signals["telling"] = logit(np.clip(truly, 1e-6, 1 - 1e-6)) + rng.normal(size=count)
    return signals, rng.random(count) < truly


def price_figures(_: Console) -> Iterator[Figure]:
    for source in (CALIBRATED, SHARPER):
        truth = Truth.of(source)
        best = truth.automation(truth.oracle)
        yield reading(f"passes by the oracle: {source.name}", best, "share", LARGE)
        for audits, bar in ((500, 0.93), (2000, 0.97)):
            rng = np.random.default_rng(audits)
            risky = 0.9 * truth.oracle
            values: dict[str, list[float]] = {name: [] for name in ("reviews", "one rate", "exact", "by risk")}
            for _number in range(PRICED):
                values["reviews"].append(threshold_for(evidence_of(source, audits, risky, rng), PROMISE).value)
                simple = evidence_of(source, audits, 1.1, rng)
                values["one rate"].append(threshold_for(simple, PROMISE).value)
                values["exact"].append(_clopper_pearson(simple))
                by_risk = evidence_of(source, audits, risky, rng, banded=True)
                values["by risk"].append(threshold_for(by_risk, PROMISE).value)
            passes = {name: np.array([truth.automation(one) for one in of]) / best for name, of in values.items()}
            here = f"{source.name}, {audits:,} audits: passes ÷ oracle"
            share = {name: float(of.mean()) for name, of in passes.items()}
            yield at_least(
                f"{here}, by the suggested rates, what is risky reviewed", share["by risk"], bar, "ratio", PRICED
            )
            yield reading(f"{here}, the same at one rate", share["reviews"], "ratio", PRICED)
            yield reading(f"{here}, as many answers in all, at one rate", share["one rate"], "ratio", PRICED)
            yield reading(f"{here}, exact binomial on the same", share["exact"], "ratio", PRICED)
            # Who lets everything pass once in ten streams keeps delta too; so what is over the oracle is left out.
            within = float(np.minimum(passes["one rate"], 1.0).mean())
            yield reading(f"{here}, as many answers in all, none over it counted", within, "ratio", PRICED)
            yield reading(f"{here}, the most that is possible so", _most_possible(source, audits), "ratio", LIMITED)


def _most_possible(source: Source, audits: int) -> float:
    """Passes ÷ oracle, none over it counted, that no threshold chosen from audits at one rate exceeds on average, if it
    keeps delta whatever the risk is worth; of a source whose risk is the truth.

    Of another source that looks the same, but of which alpha fails below a share s, so much may pass once in 1 / delta
    at most. So here P(passes >= s) is at most the power of the best test of the other source against this one (Neyman &
    Pearson 1933). The other source is the one whose odds of failure below s are all so many times higher; any would
    give a limit.
    """
    rng = np.random.default_rng(7)
    known = np.sort(source.draw(200_000, rng)[0])
    rate = np.cumsum(known) / len(known)
    oracle = int(np.searchsorted(rate, PROMISE.alpha))
    risk, chance = rng.beta(source.a, source.b, (LIMITED, audits)), rng.random((LIMITED, audits))
    places = np.linspace(oracle // 2, oracle - 1, 26).astype(int)
    powers = []
    for place in places:
        odds = logit(np.clip(known[:place], 1e-12, 1 - 1e-12))
        shift = float(brentq(lambda by, odds=odds: expit(odds + by).sum() / len(known) - PROMISE.alpha, 0.0, 10.0))
        shifted = expit(logit(np.clip(risk, 1e-12, 1 - 1e-12)) + shift)
        below = risk < known[place]
        constant = np.where(below, np.log1p(-shifted) - np.log1p(-risk), 0.0).sum(axis=1)
        # The logarithm of how much more probable the answers are if alpha fails; ties are broken by lot.
        other, this = (
            constant + shift * ((chance < truly) & below).sum(axis=1) + 1e-9 * rng.random(LIMITED)
            for truly in (shifted, risk)
        )
        powers.append(float((this <= np.quantile(other, PROMISE.delta)).mean()))
    return float((places[0] + np.trapezoid(powers, places)) / oracle)


def _clopper_pearson(evidence: Evidence) -> float:
    order = np.argsort(evidence.risk)
    failures = np.cumsum(evidence.loss[order])
    bounds = beta_distribution.ppf(1 - PROMISE.delta, failures + 1, len(order) - failures)
    over = np.flatnonzero(bounds > PROMISE.alpha)
    return float(evidence.risk[order][over[0]]) if over.size else 1.0


def estimate_figures(_: Console) -> Iterator[Figure]:
    """Where the streams are too few to tell 0.93 from 0.95, the bars are what chance (a thousandth) leaves of 0.95."""
    least, most = binom.ppf([0.001, 0.999], INTERVALS, 0.95) / INTERVALS
    for how, routed_from in ROUTED:
        for audits in (200, 1000, 5000):
            held = _coverage(CALIBRATED, audits, routed_from)
            for name, share in held.items():
                here = f"95 % interval holds: {name}, {how}, {audits:,}"
                yield at_least(here, share, min(0.93, least), "share", INTERVALS)
                yield at_most(f"{here} (at most)", share, max(0.97, most), "share", INTERVALS)
    for source in (RARE, RAREST):
        for how, routed_from in ROUTED:
            for name, share in _coverage(source, 200, routed_from, together=True).items():
                here = f"95 % interval holds: {name}, {source.name}, all of an image at once, {how}, 200"
                yield reading(here, share, "share", INTERVALS)
    for source in (CALIBRATED, SHARPER, RARE):
        at_one_rate, by_risk, holds, auroc = _shorter(source)
        here = f"interval ÷ without the risk, AUROC {auroc:.2f}"
        yield at_most(f"{here}: with the risk, audits at one rate", at_one_rate, 0.8, "ratio", INTERVALS // 10)
        yield at_most(f"{here}: with the risk, audits by it", by_risk, 0.8, "ratio", INTERVALS // 10)
        yield reading(f"{here}: holds the truth, audits by it", holds, "share", INTERVALS // 10)
    left = _ever_left()
    yield at_most("confidence sequence is ever left", left, float(binom.ppf(0.99, SEQUENCES, 0.05)) / SEQUENCES,
                  "share", SEQUENCES)  # fmt: skip


def _coverage(source: Source, audits: int, routed_from: float, *, together: bool = False) -> dict[str, float]:
    """together: where one box of an image is wrong, or was missed, all of them are."""
    truth = source.a / (source.a + source.b)
    rng = np.random.default_rng(audits)
    held: dict[str, list[bool]] = {}
    for _ in range(INTERVALS):
        one = evidence_of(source, audits, routed_from, rng)
        plain = rate_of(one.loss, one.inclusion)
        helped = assisted_rate(one.loss, one.inclusion, one.risk, one.population)
        # Some detections in each image, each wrong with the probability that is its risk.
        counts = rng.integers(1, 6, len(one.risk))
        boxes, right = counts.astype(float), _of(counts, 1 - one.risk, rng, together=together)
        share = share_of(right, boxes, one.inclusion)
        shared = assisted_share(right, boxes, one.inclusion, one.risk, one.population)
        # What is missed comes on top, known only once people have looked.
        there = right + _of(counts, one.risk / 2, rng, together=together)
        recall = share_of(right, there, one.inclusion)
        recalled = assisted_share(right, there, one.inclusion, one.risk, one.population)
        found = (1 - truth) / (1 - truth / 2)
        for name, estimate, is_so in (
            ("failure rate", plain, truth),
            ("with the risk", helped, truth),
            ("precision", share, 1 - truth),
            ("precision with the risk", shared, 1 - truth),
            ("recall", recall, found),
            ("recall with the risk", recalled, found),
        ):
            held.setdefault(name, []).append(estimate.low <= is_so <= estimate.high)
    return {name: float(np.mean(values)) for name, values in held.items()}


def _of(counts: NDArray[np.int64], share: Floats, rng: np.random.Generator, *, together: bool) -> Floats:
    """Of each count so many, on average: each for itself, or all or none."""
    if together:
        return np.where(rng.random(len(counts)) < share, counts, 0).astype(float)
    return rng.binomial(counts, share).astype(float)


def _shorter(source: Source) -> tuple[float, float, float, float]:
    """Beside a thousand audits at one rate without the risk: as many at one rate with it, and as many by rates that the
    service suggests from other predictions. How often these hold the truth; AUROC of the risk."""
    rng = np.random.default_rng(3)
    truth = source.a / (source.a + source.b)
    ratios, held = [], []
    for _ in range(INTERVALS // 10):
        one = evidence_of(source, 1000, 1.1, rng)
        plain = rate_of(one.loss, one.inclusion)
        helped = assisted_rate(one.loss, one.inclusion, one.risk, one.population)
        other = evidence_of(source, 1000, 1.1, rng, banded=True)
        banded = assisted_rate(other.loss, other.inclusion, other.risk, other.population)
        ratios.append([(of.high - of.low) / (plain.high - plain.low) for of in (helped, banded)])
        held.append(banded.low <= truth <= banded.high)
    risk, truly = source.draw(50_000, rng)
    auroc = float(roc_auc_score(rng.random(len(truly)) < truly, risk))
    at_one_rate, by_risk = np.median(ratios, axis=0).tolist()
    return at_one_rate, by_risk, float(np.mean(held)), auroc


def _ever_left() -> float:
    rng = np.random.default_rng(4)
    left = 0
    for _ in range(SEQUENCES):
        low, high = confidence_sequence(_watched(rng, np.full(20_000, 0.05)))
        left += bool(((low > 0.05) | (high < 0.05)).any())
    return left / SEQUENCES


def _watched(rng: np.random.Generator, rates: Floats, inclusion: float = 0.05) -> Seen:
    seen = np.flatnonzero(rng.random(len(rates)) < inclusion)
    failed = (rng.random(len(seen)) < rates[seen]).astype(float)
    gap = np.diff(np.append(-1, seen)) - 1
    return Seen(loss=failed, inclusion=np.full(len(seen), inclusion), gap=gap, least=inclusion)


def drift_figures(_: Console) -> Iterator[Figure]:
    """Afterwards a failure is as probable as the square root of what it was."""
    rng = np.random.default_rng(5)
    truth = Truth.of(CALIBRATED)
    ours = float(
        np.median([threshold_for(evidence_of(CALIBRATED, 2000, 0.9 * truth.oracle, rng), PROMISE).value
                   for _ in range(20)])
    )  # fmt: skip
    risk = rng.beta(CALIBRATED.a, CALIBRATED.b, LARGE)
    worse = np.sqrt(risk)
    for name, threshold in (("ours", ours), ("confidence of 0.9", 0.1), ("confidence of 0.5", 0.5)):
        passes = risk < threshold
        yield reading(f"fails and passes before a drift: {name}", float((risk * passes).mean()), "rate", LARGE)
        yield reading(f"fails and passes after it: {name}", float((worse * passes).mean()), "rate", LARGE)
    delays, early = [], []
    for _number in range(SEQUENCES):
        before = np.full(20_000, float((risk * (risk < ours)).mean()))
        after = np.full(20_000, float((worse * (risk < ours)).mean()))
        seen = _watched(rng, np.concatenate([before, after]))
        at = np.cumsum(seen.gap + 1)
        alarms = np.flatnonzero(capital_against(seen, PROMISE.alpha) >= 1 / PROMISE.delta)
        early.append(bool(alarms.size and at[alarms[0]] <= 20_000))
        delays.append(int(((at > 20_000) & (np.arange(len(at)) < (alarms[0] if alarms.size else len(at)))).sum()))
    yield reading("audits after the drift until our alarm, median", float(np.median(delays)), "audits", SEQUENCES)
    yield at_most("alarms before the drift", float(np.mean(early)), PROMISE.delta, "share", SEQUENCES)


def real_figures(_: Console) -> Iterator[Figure]:
    """Three in ten of the frames that risk was not learned from are audited; what really passes, of all of them, and of
    frames that nobody audits."""
    all_frames = fod.frames()
    labels = tuple(sorted({label for frame in all_frames for label in frame.labels}))
    fit = routing.trained_on(all_frames)
    seen = routing.looked_at(routing.detector_of(fit, labels), routing.stream_of(all_frames), fit)
    splits = []
    for seed in range(SPLITS):
        rng = np.random.default_rng(seed)
        fresh, risk = routing.fresh_risks(seen, seed, rng)
        failed = np.array([float(one.failed) for one in fresh])
        splits.append(_Split(risk, failed, rng.random(len(risk)), rng.random(len(risk)) < 0.5))
    most = float(binom.ppf(0.99, SPLITS, PROMISE.delta)) / SPLITS
    for alpha in (0.05, 0.1, 0.2):
        promise = Promise(alpha=alpha, delta=PROMISE.delta)
        known = [split.passing(promise, np.ones(len(split.risk), dtype=bool)) for split in splits]
        here = f"FOD-A, alpha {alpha}"
        broken = float(np.mean([rate > alpha for rate, _ in known]))
        yield at_most(f"{here}: broken", broken, most, "share", SPLITS)
        yield reading(f"{here}: passes, median", float(np.median([share for _, share in known])), "share", SPLITS)
        # As many audits, of one half; what the other half loses by their threshold, which is noisier by its own size.
        unknown = [split.passing(promise, split.judges) for split in splits]
        rates = [rate for rate, _ in unknown]
        yield at_most(f"{here}, frames held out: fail and pass, mean", float(np.mean(rates)), alpha, "rate", SPLITS)
        over = float(np.mean([rate > alpha for rate in rates]))
        yield reading(f"{here}, frames held out: more than alpha", over, "share", SPLITS)
        yield reading(f"{here}, frames held out: pass, mean", float(np.mean([s for _, s in unknown])), "share", SPLITS)


@dataclass(frozen=True, slots=True, eq=False)
class _Split:
    """(n,) each. lot: in [0, 1), below its rate a frame is audited. judges: the frames of one half."""

    risk: Floats
    failed: Floats
    lot: Floats
    judges: NDArray[np.bool_]

    def passing(self, promise: Promise, judges: NDArray[np.bool_]) -> tuple[float, float]:
        """Which share of the frames fails and passes, and which passes, by the threshold that audits of those that
        judge give: of the others, or of all where all judge."""
        all_judge = bool(judges.all())
        rate = REAL_RATE if all_judge else 2.0 * REAL_RATE
        drawn = judges & (self.lot < rate)
        evidence = Evidence(
            risk=self.risk[drawn], loss=self.failed[drawn], inclusion=np.full(int(drawn.sum()), rate),
            population=self.risk[judges], least=rate,
        )  # fmt: skip
        of = np.ones(len(judges), dtype=bool) if all_judge else ~judges
        passes = self.risk[of] < threshold_for(evidence, promise).value
        return float((self.failed[of] * passes).mean()), float(passes.mean())


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guarantee", description=__doc__)
    parts = {
        "promise": promise_figures,
        "learned": learned_figures,
        "together": lambda _: together_figures(),
        "price": price_figures,
        "estimate": estimate_figures,
        "drift": drift_figures,
        "real": real_figures,
    }
    parser.add_argument("--only", default=",".join(parts), help=",".join(parts))
    console = Console()
    found: list[Figure] = []
    for name in parser.parse_args(arguments).only.split(","):
        found += parts[name](console)
        console.log(f"{name}: done")
    return publish("guarantee", found, console)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
