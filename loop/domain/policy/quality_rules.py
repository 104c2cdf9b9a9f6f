"""By which rules people are trusted: the part of a project's policy for consensus, golden items and standing.

Apart from what applies them, which needs scipy: policies are read where nothing is decided.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from loop.domain.errors import Invalid
from loop.domain.policy.label_rules import LabelRules

MATCH_IOU = 0.5


class Standing(StrEnum):
    NEW = "new"  # works on golden items alone until they show enough
    QUALIFIED = "qualified"
    WARNED = "warned"  # works on, and is told
    PAUSED = "paused"  # gets golden items alone

    @property
    def waits(self) -> bool:
        """For golden items to decide; until then their work is not asked for."""
        return self in (Standing.NEW, Standing.PAUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusRules:
    """iou: from which two boxes mean the same object. min_certainty: in [0.5, 1); a person decides where it is less
    sure than this that something is there, or what. min_agreement: F1 of an item in [0, 1] below which a person decides
    whatever else; 0: never for that."""

    iou: float = MATCH_IOU
    min_agreement: float = 0.0
    min_certainty: float = 0.8

    def __post_init__(self) -> None:
        if not (0.0 < self.iou <= 1.0 and 0.0 <= self.min_agreement <= 1.0 and 0.5 <= self.min_certainty < 1.0):
            raise Invalid(
                "these rules of a consensus cannot be used.",
                hint="Give iou in (0, 1], min_agreement in [0, 1] and min_certainty in [0.5, 1).",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenRules:
    """rate: probability in [0, 1] with which what a person is handed is a golden item. again_days: in [1, 3650]; before
    that a person does not get the same one again. qualification: new people get golden items alone until they are
    qualified. training: people see the trusted answer after theirs."""

    rate: float = 0.05
    again_days: float = 90.0
    qualification: bool = False
    training: bool = False

    def __post_init__(self) -> None:
        if not (0.0 <= self.rate <= 1.0 and 1.0 <= self.again_days <= 3650.0):
            raise Invalid(
                "these rules for golden items cannot be used.",
                hint="Give rate in [0, 1] and again_days in [1, 3650].",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRules:
    """bar: precision and recall in (0, 1) that reviewers must have. confidence: in (0.5, 1), with which golden items
    must show it, or the opposite; between the two nobody's standing changes. min_items: golden items before anything
    is decided. window: how many of the last golden items count, at most 500."""

    bar: float = 0.8
    confidence: float = 0.9
    min_items: int = 10
    window: int = 50

    def __post_init__(self) -> None:
        in_range = 0.0 < self.bar < 1.0 and 0.5 < self.confidence < 1.0
        if not (in_range and 1 <= self.min_items <= self.window <= 500):
            raise Invalid(
                "these rules for reviewers cannot be used.",
                hint="Give bar in (0, 1), confidence in (0.5, 1), and 1 <= min_items <= window <= 500.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityPolicy:
    consensus: ConsensusRules = field(default_factory=ConsensusRules)
    golden: GoldenRules = field(default_factory=GoldenRules)
    standing: QualityRules = field(default_factory=QualityRules)
    labels: LabelRules = field(default_factory=LabelRules)


def quality_of_document(document: Mapping[str, Any]) -> QualityPolicy:
    """From plain values, as `dataclasses.asdict` gives them; what is left out has its default. Raises Invalid."""
    return QualityPolicy(
        consensus=ConsensusRules(**document.get("consensus", {})),
        golden=GoldenRules(**document.get("golden", {})),
        standing=QualityRules(**document.get("standing", {})),
        labels=LabelRules(**document.get("labels", {})),
    )
