"""What other programs are told of: the types of events that webhooks carry, and their bodies.

The list is a contract. A type keeps its fields; new ones may be added to it, so receivers must let unknown ones pass.
What cannot be kept gets another name. The envelope has a `version`, which changes only with the envelope itself.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

VERSION = 1
# Kinds of the history that say that a prediction is settled, unless their body says that it does not settle.
SETTLING = ("task.submitted", "task.accepted", "task.settled")
LOT_DECIDED = ("lot.accepted", "lot.rejected", "lot.reopened")
# Bodies are smaller than this, as Standard Webhooks advises: they hold ids, and texts are cut.
MAX_BODY_BYTES = 20_000
_MAX_TEXT = 300  # characters, of which JSON makes at most twelve bytes each


@dataclass(frozen=True, slots=True)
class EventType:
    """says: when it is sent. example: its data; the keys are those that every event of this type has."""

    name: str
    says: str
    example: Mapping[str, object]


_ITEM = "9f2c" + 60 * "0"
_LOT = {
    "lot_id": "lot_1", "source": "", "items": 200, "inspected": 20, "defects": 1,
    "reason": "1 of 20 inspected have defects: accepted with at most 1",
}  # fmt: skip

# Nothing here tells an audit from a risky prediction: what a webhook says may end where reviewers read it.
EVENT_TYPES: Mapping[str, EventType] = {
    known.name: known
    for known in (
        EventType(
            "task.created",
            "A person is to look at an item: its prediction was routed, drawn for an audit, or selected.",
            {"task_id": "task_1", "item_digest": _ITEM, "prediction_id": "pred_1", "selection_id": None},
        ),
        EventType(
            "task.skipped",
            "A person could not say; the task is closed without an answer.",
            {"task_id": "task_1", "submission_id": "sub_1", "item_digest": _ITEM, "prediction_id": "pred_1"},
        ),
        EventType(
            "task.overdue",
            "A task was not done when it was due. It is more urgent now.",
            {"task_id": "task_1", "item_digest": _ITEM, "prediction_id": "pred_1", "due_at": "2026-03-01T12:00:00Z"},
        ),
        EventType(
            "task.escalated",
            "A task is still not done, so long after it was due that the escalation group gets it.",
            {
                "task_id": "task_1",
                "item_digest": _ITEM,
                "prediction_id": "pred_1",
                "due_at": "2026-03-01T12:00:00Z",
                "group": "leads",
            },
        ),
        EventType(
            "task.reopened",
            "An operator asks for an item again. What was answered stays, and counts once.",
            {"task_id": "task_1", "item_digest": _ITEM, "prediction_id": "pred_1", "round": 1},
        ),
        EventType(
            "reviewer.paused",
            "A person is not asked any more, by golden items or by hand. works: the first hundred of `count`, which "
            "the person decided alone, let stand in QA, or gave up, and others are asked for again. lots: those whose "
            "verdict was there before and rested on such answers, with their number. shared: the first hundred of "
            "`shared_count`, which the person answered among others; they are not asked for again.",
            {
                "reviewer": "tok_1",
                "why": "precision 0.60 (0.40 to 0.78)",
                "works": ["task_1"],
                "count": 1,
                "lots": [{"lot_id": "lot_1", "state": "accepted", "answers": 1}],
                "shared": ["task_2"],
                "shared_count": 1,
            },
        ),
        EventType(
            "judge.paused",
            "A person gets no answers of others to judge any more, by answers whose value is known or by hand; to "
            "answer they are asked as before. works: the first hundred of `count`, which others look at again. lots: "
            "as of reviewer.paused.",
            {
                "reviewer": "tok_1",
                "why": "wrong ones caught 0.40 (0.16 to 0.68)",
                "works": ["task_1"],
                "count": 1,
                "lots": [{"lot_id": "lot_1", "state": "accepted", "answers": 1}],
            },
        ),
        EventType(
            "prediction.reviewed",
            "A person answered, or all that the policy asks, and the answer passed QA and its lot if there were any: "
            "the prediction was right, or was corrected. corrections counts by kind of error.",
            {
                "prediction_id": "pred_1",
                "task_id": "task_1",
                "submission_id": "sub_1",
                "item_digest": _ITEM,
                "corrected": True,
                "corrections": {"missed": 1, "localisation": 2},
            },
        ),
        EventType("lot.accepted", "The answers of a lot are ground truth, by its sample or by hand.", _LOT),
        EventType("lot.rejected", "The sample spoke against a lot: people look at each of its answers.", _LOT),
        EventType("lot.reopened", "An operator has people look at each answer of a lot.", _LOT),
        EventType(
            "comment.created",
            "Somebody says something of an item: a comment, an issue, or a question about the guidelines.",
            {"comment_id": "comment_1", "item_digest": _ITEM, "task_id": "task_1", "kind": "question"},
        ),
        EventType(
            "comment.resolved",
            "A comment is settled.",
            {"comment_id": "comment_1", "item_digest": _ITEM, "task_id": "task_1", "kind": "question"},
        ),
        EventType(
            "cycle.finished",
            "A retraining ended. state: promoted, refused (by the gate) or failed (error says why).",
            {"cycle_id": "cycle_1", "state": "promoted", "candidate_id": "model_2", "error": ""},
        ),
        EventType(
            "model.promoted",
            "Another model serves. kind: first (previous_id is null), gate, or override (by a person).",
            {"model_id": "model_2", "previous_id": "model_1", "kind": "gate", "actor": "cycle_1"},
        ),
        EventType(
            "model.rolled_back",
            "The champion before serves again.",
            {"model_id": "model_1", "previous_id": "model_2", "kind": "rollback", "actor": "ada"},
        ),
        EventType(
            "rollout.rolled_back",
            "A canary or a shadow broke its limits, or a canary has not passed, and was taken back by itself.",
            {"rollout_id": "rollout_1", "kind": "canary", "model_id": "model_2", "share": 0.1, "why": "2 of 3 failed"},
        ),
        EventType(
            "rollout.passed",
            "People find a canary not worse than the champion by its margin, or it may be taken for that. promotes: "
            "whether it becomes the champion by itself. verdict: not_worse or undecided.",
            {
                "rollout_id": "rollout_1",
                "model_id": "model_2",
                "share": 0.1,
                "verdict": "not_worse",
                "promotes": False,
                "why": "it is not worse than the champion by 5.0%: 9.6% (32 of 334) of its answers failed",
            },
        ),
        EventType(
            "drift.found",
            "Production no longer looks like what the model was judged on; sent once, until it is over. classes: "
            "shares before and now. unlike: items. cycle_id: of the retraining that was asked for, if one was.",
            {
                "drift_id": "drift_1",
                "model_id": "model_1",
                "tests": {"embeddings": {"effect": 0.12, "adjusted_p": 0.006, "drift": True}},
                "classes": {"bicycle": [0.1, 0.4]},
                "unlike": [_ITEM],
                "cycle_id": None,
                "why_no_cycle": "drift.trigger_cycle is false",
            },
        ),
        EventType(
            "drift.over",
            "Production looks as before again, or is compared with something else now.",
            {"drift_id": "drift_2", "model_id": "model_1", "why": "the windows do not differ any more"},
        ),
        EventType(
            "guarantee.broken",
            "Of what passes without a person more fails than was promised; sent once, until it is over. group: of "
            "predictions. rate: that the audits estimate. version: of the thresholds from now on.",
            {
                "promise": 1,
                "group": "all",
                "alpha": 0.05,
                "rate": 0.12,
                "audits": 84,
                "since": "2026-03-01T12:00:00+00:00",
                "model_id": "model_1",
                "version": 7,
            },
        ),
        EventType(
            "guarantee.over",
            "New answers keep the promise that was broken, or an operator accepts it.",
            {"promise": 1, "model_id": "model_1", "version": 8, "why": "answers from since then keep the promise"},
        ),
        EventType(
            "recipe.changed",
            "What people annotate has another version; GET /v1/projects/{p}/recipe is the newest.",
            {"version": 2, "actor": "ada"},
        ),
        EventType(
            "recipe.migrated",
            "With another version of the recipe, open tasks or ground truth changed. moved: tasks; relabelled: items; "
            "dropped: shapes that are left out.",
            {"version": 2, "open_tasks": "move", "moved": 12, "relabelled": 340, "dropped": 0},
        ),
        EventType(
            "rule.failed",
            "A Python function among a recipe's rules has not answered, and answers are taken without it; told once an "
            "hour and rule.",
            {"rule": "plates", "function": "plate_format", "why": "it took longer than 1 s, or ended its process"},
        ),
        EventType(
            "function.failed",
            "A custom function has not done what it was called for, and is not tried again. outcome: missing, raised, "
            "timed_out, crashed, bad_result, refused or unavailable.",
            {
                "function": "redact",
                "package": "askance 0.1.0",
                "trigger": "task.completed",
                "item_digest": _ITEM,
                "attempts": 4,
                "outcome": "timed_out",
                "why": "it took longer than 60 s, and its process was ended",
            },
        ),
        EventType(
            "webhook.disabled",
            "Another endpoint was switched off, since it failed for days or said that it is gone.",
            {"endpoint_id": "hook_1", "why": "It answered 410 Gone."},
        ),
    )
}

# What a test of an endpoint sends. Nobody subscribes to it.
PING = EventType("ping", "An operator tests the endpoint.", {"endpoint_id": "hook_1"})


@dataclass(frozen=True, slots=True)
class Announcement:
    """type: a key of EVENT_TYPES."""

    type: str
    data: Mapping[str, object]


def announcement(kind: str, actor: str, body: Mapping[str, object]) -> Announcement | None:
    """What other programs are told of an event of the history (`loop.domain.ports.Event`); None for what only the
    history keeps. Raises KeyError where the event lacks a field of its type."""
    known = EVENT_TYPES.get(type_of(kind, body))
    if known is None:
        return None
    told = {**body, "actor": actor}
    return Announcement(known.name, {field: told[field] for field in known.example})


def kinds_behind(type_: str) -> tuple[str, ...]:
    """The kinds of the history of which events are announced as this type; `type_of` says which of them."""
    return {"prediction.reviewed": SETTLING, "model.rolled_back": ("model.promoted",)}.get(type_, (type_,))


def type_of(kind: str, body: Mapping[str, object]) -> str:
    """As what an event is announced; "" for one that is not. Kinds of the history that are announced under their own
    name need no line here."""
    if kind in SETTLING:
        return "prediction.reviewed" if body.get("prediction_id") and body.get("settles", True) else ""
    if kind == "task.skipped" and not body.get("closed", True):
        return ""
    if kind == "model.promoted" and body.get("kind") == "rollback":
        return "model.rolled_back"
    return kind


def body_of(type_: str, at: datetime, project_id: str, data: Mapping[str, object]) -> str:
    """The JSON that is sent and signed, in ASCII, below MAX_BODY_BYTES. project_id: "" for the whole installation."""
    return json.dumps(
        {
            "type": type_,
            "version": VERSION,
            "timestamp": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "project_id": project_id or None,
            "data": {name: _cut(value) for name, value in data.items()},
        },
        separators=(",", ":"),
        allow_nan=False,
    )


def _cut(value: object) -> object:
    if isinstance(value, str) and len(value) > _MAX_TEXT:
        return value[: _MAX_TEXT - 1] + "…"
    return value
