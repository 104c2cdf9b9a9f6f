"""How good people are who judge the answers of others, by answers whose value is known.

A check is an answer that another person once gave to a golden item, shown as any answer that QA looks at. So it errs as
people do, and whether it is right is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from loop.domain.policy.quality_rules import QualityRules, Standing
from loop.domain.quality.attributes import attributes_of
from loop.domain.quality.reviewer_quality import Rate, rate_of
from loop.domain.quality.sameness import alike
from loop.domain.quality.standing import StandingDecision, counting, decided, undecided
from loop.domain.recipes.recipe import Recipe
from loop.domain.review.tasks import Outcome
from loop.domain.truth import Shape

# An answer is shown as right where its places are near enough that nobody need touch them, and as wrong where something
# is missed, invented or misnamed however loosely places are taken. What lies between is a matter of taste.
_NEAR = 0.75
_LOOSE = 0.25


@dataclass(frozen=True, slots=True)
class Judgeable:
    """An answer to a golden item that may be shown to who judges. sound: whether it is right."""

    answer_id: str
    item_digest: str
    sound: bool


@dataclass(frozen=True, slots=True)
class JudgedCheck:
    """A verdict at a time. sound: what was shown was right. right: what comes of the verdict is."""

    at: datetime
    sound: bool
    right: bool

    def vouches(self, rules: QualityRules) -> bool:
        """For verdicts before it: something wrong was caught. Who lets everything stand accepts what is right, too."""
        return self.right and not self.sound


@dataclass(frozen=True, slots=True)
class JudgeQuality:
    """Over `checks`. accepts: of right answers the share that was let stand; catches: of wrong ones that which was not.
    One trial a check."""

    checks: int
    accepts: Rate
    catches: Rate


def soundness(
    shapes: Sequence[Shape], trusted: Sequence[Shape], recipe: Recipe, *, reach: float, iou: float
) -> bool | None:
    """Whether an answer to a golden item is right; None where that is a matter of taste: its places are a little off.
    Attributes, links and groups count as labels do. iou: by which answers are judged in the project; reach: of the
    item, in pixels."""
    attributes = attributes_of(recipe)
    answer, truth = recipe.translated(shapes), recipe.translated(trusted)

    def same(at: float) -> bool:
        return alike(answer, truth, iou=at, attributes=attributes, reach=reach)

    if same(max(_NEAR, iou)):
        return True
    return None if same(min(_LOOSE, iou)) else False


def verdict_is_right(outcome: Outcome, *, sound: bool, corrected: bool | None) -> bool:
    """Whether what comes of a verdict is right: what stands is, or what goes back to its author is wrong. A correction
    is right where it is not wrong itself, whatever it corrects. sound: of the answer that was judged; corrected: of the
    correction, as `soundness` says."""
    if outcome is Outcome.ACCEPTED:
        return sound
    if outcome is Outcome.RETURNED:
        return not sound
    return corrected is not False


def judge_quality_of(checks: Sequence[JudgedCheck]) -> JudgeQuality:
    return JudgeQuality(len(checks), accepts=_rate(checks, sound=True), catches=_rate(checks, sound=False))


def judging_after(
    current: Standing, checks: Sequence[JudgedCheck], *, since: datetime, rules: QualityRules
) -> StandingDecision:
    """The standing of who judges, as `standing_after` has that of who answers: both rates must be at the bar. Wrong
    answers to show are few, so that a rate speaks against somebody only where half of `min_items` are of its kind."""
    counted = counting(checks, since=since, rules=rules)
    if len(counted) < rules.min_items:
        return undecided(current, len(counted), "checks of verdicts", rules)
    quality = judge_quality_of(counted)
    rates = {"right answers accepted": quality.accepts, "wrong ones caught": quality.catches}
    enough = max(rules.min_items // 2, 1)
    return decided(current, len(counted), rates, rules, against=lambda rate: rate.good + rate.bad >= enough)


def _rate(checks: Sequence[JudgedCheck], *, sound: bool) -> Rate:
    told = [check.right for check in checks if check.sound is sound]
    return rate_of(sum(told), len(told) - sum(told))
