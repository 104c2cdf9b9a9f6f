"""How the domain's nested values look as JSON documents in a column."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from loop.domain.geometry import Box
from loop.domain.guarantee.thresholds import Broken, GroupThreshold
from loop.domain.model import ModelHead
from loop.domain.outgoing.webhooks import Secret
from loop.domain.policy.function_uses import FunctionUse, use_from_json, use_to_json
from loop.domain.policy.gate import GateRules, gate_of
from loop.domain.policy.promises import AuditRates, GuaranteeRules, Promise, audit_rates_of, guarantee_of, promise_of
from loop.domain.policy.quality_rules import QualityPolicy, quality_of_document
from loop.domain.policy.queue_rules import QueueRules, rules_of
from loop.domain.policy.workflow import LotRules, Workflow, lot_rules_of, workflow_of
from loop.domain.prediction import Detection
from loop.domain.production.drift import ClassShift, DriftTest, ScoreShift, SourceShift
from loop.domain.quality.settling import Merged, Pair
from loop.domain.recipes.ontology import (
    Label,
    LinkType,
    label_from_json,
    label_to_json,
    link_type_from_json,
    link_type_to_json,
)
from loop.domain.recipes.rules import Issue, Rule, issue_from_json, issue_to_json, rule_from_json, rule_to_json
from loop.domain.rollouts.canary import (
    CanaryRules,
    CanaryStanding,
    canary_rules_of,
    standing_from_json,
    standing_to_json,
)
from loop.domain.rollouts.rollout import RolloutLimits
from loop.domain.routing import Reason
from loop.domain.truth import Shape, shape_from_json, shape_to_json
from loop.store.types import JsonOf


def _box(numbers: list[float]) -> Box:
    x1, y1, x2, y2 = map(float, numbers)
    return x1, y1, x2, y2


def _plain_box(box: Box) -> list[float]:
    return [float(side) for side in box]


def _plain_detection(detection: Detection) -> dict[str, Any]:
    plain = {"label": detection.label, "score": float(detection.score), "box": _plain_box(detection.box)}
    return plain if detection.margin is None else plain | {"margin": detection.margin}


def _plain_head(head: ModelHead) -> dict[str, Any]:
    return {
        "backend": head.backend,
        "architecture": dict(head.architecture),
        "labels": list(head.labels),
        "image_size": head.image_size,
        "embedding_dim": head.embedding_dim,
    }


def _head(document: dict[str, Any]) -> ModelHead:
    return ModelHead(**{**document, "labels": tuple(document["labels"])})


_MOMENTS_OF_BROKEN = ("since", "found_at")

OBJECT: JsonOf[Mapping[str, Any]] = JsonOf(dict, dict)
NUMBERS: JsonOf[Mapping[str, float]] = JsonOf(
    lambda numbers: {name: float(value) for name, value in numbers.items()}, dict
)
COUNTS: JsonOf[Mapping[str, int]] = JsonOf(dict, dict)
PLACE: JsonOf[tuple[float, float]] = JsonOf(list, lambda numbers: (float(numbers[0]), float(numbers[1])))
STRINGS: JsonOf[tuple[str, ...]] = JsonOf(list, tuple)
SHAPES: JsonOf[tuple[Shape, ...]] = JsonOf(
    lambda shapes: [shape_to_json(shape) for shape in shapes],
    lambda documents: tuple(shape_from_json(document) for document in documents),
)
DETECTIONS: JsonOf[tuple[Detection, ...]] = JsonOf(
    lambda detections: [_plain_detection(one) for one in detections],
    lambda documents: tuple(Detection(d["label"], d["score"], _box(d["box"]), d.get("margin")) for d in documents),
)
REASONS: JsonOf[tuple[Reason, ...]] = JsonOf(
    lambda reasons: [asdict(reason) for reason in reasons],
    lambda documents: tuple(Reason(**document) for document in documents),
)
LABELS: JsonOf[tuple[Label, ...]] = JsonOf(
    lambda labels: [label_to_json(label) for label in labels],
    lambda documents: tuple(label_from_json(document) for document in documents),
)
LINK_TYPES: JsonOf[tuple[LinkType, ...]] = JsonOf(
    lambda types: [link_type_to_json(one) for one in types],
    lambda documents: tuple(link_type_from_json(document) for document in documents),
)
RULES: JsonOf[tuple[Rule, ...]] = JsonOf(
    lambda rules: [rule_to_json(rule) for rule in rules],
    lambda documents: tuple(rule_from_json(document) for document in documents),
)
ISSUES: JsonOf[tuple[Issue, ...]] = JsonOf(
    lambda issues: [issue_to_json(issue) for issue in issues],
    lambda documents: tuple(issue_from_json(document) for document in documents),
)
HEAD: JsonOf[ModelHead] = JsonOf(_plain_head, _head)
DRIFT_TESTS: JsonOf[tuple[DriftTest, ...]] = JsonOf(
    lambda tests: [asdict(test) for test in tests], lambda documents: tuple(DriftTest(**d) for d in documents)
)
CLASS_SHIFTS: JsonOf[tuple[ClassShift, ...]] = JsonOf(
    lambda shifts: [asdict(shift) for shift in shifts], lambda documents: tuple(ClassShift(**d) for d in documents)
)
SCORE_SHIFT: JsonOf[ScoreShift] = JsonOf(asdict, lambda document: ScoreShift(**document))
SOURCE_SHIFTS: JsonOf[tuple[SourceShift, ...]] = JsonOf(
    lambda shifts: [asdict(shift) for shift in shifts], lambda documents: tuple(SourceShift(**d) for d in documents)
)
PAIRS: JsonOf[tuple[Pair, ...]] = JsonOf(
    lambda pairs: [asdict(pair) for pair in pairs],
    lambda documents: tuple(Pair(**{**d, "reviewers": tuple(d["reviewers"])}) for d in documents),
)
VOTES: JsonOf[tuple[Mapping[str, str], ...]] = JsonOf(lambda votes: [dict(one) for one in votes], tuple)
MERGED: JsonOf[Merged] = JsonOf(
    lambda merged: {"shapes": [shape_to_json(shape) for shape in merged.shapes], "disputed": list(merged.disputed)},
    lambda d: Merged(tuple(shape_from_json(shape) for shape in d["shapes"]), tuple(d["disputed"])),
)
QUALITY_POLICY: JsonOf[QualityPolicy] = JsonOf(asdict, quality_of_document)
GUARANTEE: JsonOf[GuaranteeRules] = JsonOf(asdict, guarantee_of)
PROMISES: JsonOf[tuple[Promise, ...]] = JsonOf(
    lambda promises: [asdict(one) for one in promises], lambda documents: tuple(promise_of(d) for d in documents)
)
AUDIT_RATES: JsonOf[AuditRates] = JsonOf(asdict, audit_rates_of)
GROUP_THRESHOLDS: JsonOf[tuple[GroupThreshold, ...]] = JsonOf(
    lambda groups: [asdict(one) for one in groups],
    lambda documents: tuple(
        GroupThreshold(
            **{**d, "needed": tuple(d["needed"]), "reasons": tuple(Reason(**reason) for reason in d["reasons"])}
        )
        for d in documents
    ),
)
BROKEN: JsonOf[Broken] = JsonOf(
    lambda broken: {**asdict(broken), **{name: getattr(broken, name).isoformat() for name in _MOMENTS_OF_BROKEN}},
    lambda d: Broken(**{**d, **{name: datetime.fromisoformat(d[name]) for name in _MOMENTS_OF_BROKEN}}),
)
QUEUE_RULES: JsonOf[QueueRules] = JsonOf(asdict, rules_of)
FUNCTION_USES: JsonOf[tuple[FunctionUse, ...]] = JsonOf(
    lambda uses: [use_to_json(use) for use in uses],
    lambda documents: tuple(use_from_json(document) for document in documents),
)
GATE: JsonOf[GateRules] = JsonOf(asdict, gate_of)
WORKFLOW: JsonOf[Workflow] = JsonOf(asdict, workflow_of)
LOT_RULES: JsonOf[LotRules] = JsonOf(asdict, lot_rules_of)
LIMITS: JsonOf[RolloutLimits] = JsonOf(asdict, lambda document: RolloutLimits(**document))
CANARY_RULES: JsonOf[CanaryRules] = JsonOf(asdict, canary_rules_of)
CANARY_STANDING: JsonOf[CanaryStanding] = JsonOf(standing_to_json, standing_from_json)
SECRETS: JsonOf[tuple[Secret, ...]] = JsonOf(
    lambda secrets: [{"value": s.value, "until": s.until.isoformat() if s.until else None} for s in secrets],
    lambda documents: tuple(
        Secret(d["value"], datetime.fromisoformat(d["until"]) if d["until"] else None) for d in documents
    ),
)
