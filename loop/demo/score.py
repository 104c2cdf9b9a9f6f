"""How well routing spent people's time, against chance and against a perfect ranking of the same size."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingScore:
    """Shares in [0, 1] of one stream of predictions.

    share_failing: truly needed a correction. share_routed: went to a person.
    caught: of the failing ones, the share that went to a person. by_random: the share that a random draw of as
    many predictions would have caught on average. by_perfect: that of a draw of as many which knew the
    truth. With nothing failing there is nothing to catch, and all three are 1.
    """

    share_failing: float
    share_routed: float
    caught: float
    by_random: float
    by_perfect: float

    @property
    def gain(self) -> float | None:
        """Where routing lies from chance (0) to perfect (1); None where the two coincide."""
        room = self.by_perfect - self.by_random
        return (self.caught - self.by_random) / room if room > 0.0 else None


def score_routing(failing: Sequence[bool], routed: Sequence[bool]) -> RoutingScore:
    """Score a stream: for each prediction, whether it truly fails and whether it was routed.

    Raises ValueError for an empty stream or for sequences of different length.
    """
    if not failing or len(failing) != len(routed):
        raise ValueError(f"as many failures as routes are needed, at least one: got {len(failing)} and {len(routed)}")
    total, fails, sent = len(failing), sum(failing), sum(routed)
    both = sum(f and r for f, r in zip(failing, routed, strict=True))
    return RoutingScore(
        share_failing=fails / total,
        share_routed=sent / total,
        caught=both / fails if fails else 1.0,
        by_random=sent / total if fails else 1.0,
        by_perfect=min(1.0, sent / fails) if fails else 1.0,
    )
