"""`askance guarantee`: what it asks the service for, and what it shows."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from loop.cli import app
from loop.domain.policy.promises import GuaranteeRules, Loss, Promise, PromiseBy
from loop.domain.project import Project, Recipe
from loop.domain.routing import Policy
from serving.api.presenters import project_out
from serving.api.schemas.guarantee import (
    GuaranteeCurveOut,
    GuaranteeOut,
    GuaranteePreviewOut,
    GuaranteeRulesOut,
    PromiseOut,
    ThresholdsOut,
    ThresholdsPage,
)
from serving.api.schemas.projects import PolicyOut, ProjectOut

NOW = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
PROMISE = Promise(alpha=0.05, loss=Loss.MISSED, classes=("car",), by=PromiseBy.SOURCE)


def record(**changes: object) -> ThresholdsOut:
    group = {
        "promise": 1, "group": "source=[red]cam", "value": 0.31, "passing": 0.012, "bound": 0.047, "automation": 0.64,
        "size": 900, "answered": 420, "audits": 120, "reasons": [{"code": "promise-kept", "detail": "kept"}],
        "needed": [{"automation": 0.1, "audits": 0}, {"automation": 0.5, "audits": 70},
                   {"automation": 0.9, "audits": None}],
    }  # fmt: skip
    return ThresholdsOut.model_validate(
        {
            "version": 7, "model_id": "model_1", "risk_key": None, "policy_version": 3, "created_at": NOW,
            "why": "answers", "basis": "seen", "window_from": NOW, "window_until": NOW, "size": 900, "answered": 420,
            "closed": 3, "overdue": 1, "promises": [GuaranteeRulesOut.model_validate(RULES).promises[0]],
            "groups": [group], "automation": 0.64, "review_share": 0.4, "relaxed": None, "alarm": None,
        } | changes
    )  # fmt: skip


RULES = GuaranteeRules(promises=(PROMISE,))


class Service:
    """Stands in for the client, and notes what it is asked."""

    def __init__(self, **changes: object) -> None:
        self.changes = changes
        self.asked: list[object] = []

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def guarantee(self, project: str) -> GuaranteeOut:
        self.asked.append(project)
        return GuaranteeOut.model_validate(
            {
                "project_id": project, "model_id": "model_1", "phase": "run", "unmet": False, "waits_for": "",
                "fewest": [47], "rules": GuaranteeRulesOut.model_validate(RULES), "audit_rate": 0.1,
                "thresholds": record(), "currency": "EUR", "economics": None,
                "capacity": {
                    "seconds": 36.0, "predictions_a_day": 1000.0, "hours_needed": 3.2, "hours_had": 2.0, "queue": 12,
                    "queue_hours": 0.1, "hours_for_queue": 0.0, "short": True,
                    "says": "needs 3.2 reviewer-hours a day, have 2.0",
                },
            } | self.changes
        )  # fmt: skip

    def guarantee_history(self, project: str) -> ThresholdsPage:
        alarm = {
            "promise": 1, "group": "source=[red]cam", "since": NOW, "found_at": NOW, "seen": 84, "rate": 0.2,
        }  # fmt: skip
        return ThresholdsPage(thresholds=[record(alarm=alarm), record(version=6)], next=None)

    def guarantee_curve(self, project: str, *, promise: int, group: str | None) -> GuaranteeCurveOut:
        self.asked.append((promise, group))
        point = {"threshold": 0.3, "automation": 0.6, "passing": 0.01, "bound": 0.04, "kept": True}
        priced = {
            "threshold": 0.3, "automation": 0.6, "reviews": 40.0, "errors": 8.0, "cost": 48.0, "saved": 52.0,
            "hours_saved": 6.0,
        }  # fmt: skip
        return GuaranteeCurveOut.model_validate(
            {
                "promise": promise, "group": "all", "groups": ["all"], "alpha": 0.05, "present": 0.3, "points": [point],
                "currency": "EUR", "priced": [priced], "cheapest": 0.3, "worth": 0.02,
            }
        )  # fmt: skip

    def accept_guarantee(self, project: str, reason: str) -> ThresholdsOut:
        self.asked.append(reason)
        return record(version=8)


def shown(monkeypatch: pytest.MonkeyPatch, service: Service, *arguments: str) -> str:
    monkeypatch.setattr("loop.cli.guarantee.client_of", lambda *_: service)
    monkeypatch.setenv("COLUMNS", "160")
    result = CliRunner().invoke(app, ["guarantee", *arguments, "-p", "street"])
    assert result.exit_code == 0, result.output
    return result.output


def test_what_is_promised_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """With thresholds, what is missing, and what people have to do; names are shown as they are."""
    said = " ".join(shown(monkeypatch, Service(), "show").split())
    assert "promise 1: at most 5.00% of the predictions of each source miss an object of car and pass" in said
    assert "source=[red]cam 0.3100 64.0% 1.20% 4.70% 420 120" in said
    assert "more audits to let pass: 70 for 50%, 90% never" in said
    assert "needs 3.2 reviewer-hours a day, have 2.0; 12 tasks wait" in said
    assert "not kept" not in said


def test_an_unmet_promise_and_what_it_waits_for_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said = shown(monkeypatch, Service(unmet=True, phase="crawl", waits_for="about 20 more.", thresholds=None), "show")
    assert "A promise is not kept" in said and "about 20 more." in said and said.startswith("crawl")


def test_records_curve_and_acceptance(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service()
    assert "promise 1 (source=[red]cam)" in shown(monkeypatch, service, "history")
    curve = shown(monkeypatch, service, "curve", "--promise", "2", "--group", "all")
    assert "48" in curve and "Cheapest: people from risk 0.3000 on" in curve
    assert "version 8" in shown(monkeypatch, service, "accept", "--reason", "a holiday")
    assert service.asked == [(2, "all"), "a holiday"]


def test_a_preview_tells_what_would_come_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what makes it less than it seems. The promise is the one that would be made."""
    asked: list[object] = []

    class Previewing(Service):
        def preview_guarantee(
            self, project: str, promises: list[dict[str, object]], *, audit_rate: float | None
        ) -> GuaranteePreviewOut:
            asked.append((promises, audit_rate))
            return GuaranteePreviewOut(
                model_id="model_1", promises=[PromiseOut(**one) for one in promises], groups=record().groups,
                fewest=[47], automation=0.64, review_share=0.4, size=900, answered=420, anew=False, learned_from=True,
            )  # fmt: skip

    cost = ("--loss", "cost", "--missed-weight", "0.5", "--false-alarm-weight", "0.1", "--statement", "expected")
    said = shown(monkeypatch, Previewing(), "promise", "--alpha", "0.05", *cost, "--audit-rate", "0.2", "--preview")
    assert "47 answers without a failure" in said and "source=[red]cam" in said and "learned again first" in said
    assert "64.0% would pass" in said and "nothing was changed" in said
    wanted = {"alpha": 0.05, "loss": "cost", "missed_weight": 0.5, "false_alarm_weight": 0.1, "statement": "expected"}
    assert asked == [([FILLED | wanted], 0.2)]


def test_everything_can_be_had_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    assert json.loads(shown(monkeypatch, Service(), "show", "--json"))["thresholds"]["version"] == 7
    assert len(json.loads(shown(monkeypatch, Service(), "history", "--json"))["thresholds"]) == 2
    assert json.loads(shown(monkeypatch, Service(), "curve", "--json"))["cheapest"] == 0.3


def test_a_promise_is_made_beside_others_or_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent is the policy's whole list, since the service replaces it."""
    given = Policy(version=1, threshold=0.5, audit_rate=0.02, score_threshold=0.25, failure_iou=0.5, lease_seconds=60)
    sent: list[dict[str, object]] = []

    class Policies(Service):
        def project(self, project: str) -> ProjectOut:
            recipe = Recipe(version=1, labels=(), guidelines="")
            policy = replace(given, guarantee=RULES)
            return project_out(Project(id=project, recipe=recipe, policy=policy, champion_id=None, created_at=NOW))

        def change_policy(self, project: str, **changes: object) -> PolicyOut:
            sent.append(changes)
            promises = changes["guarantee"]["promises"]  # type: ignore[index]
            policy = self.project(project).policy
            rules = policy.guarantee.model_copy(update={"promises": [PromiseOut(**FILLED | one) for one in promises]})
            return policy.model_copy(update={"guarantee": rules})

    service = Policies()
    said = shown(monkeypatch, service, "promise", "--alpha", "0.1", "--class", "bus", "--audit-rate", "0.1")
    assert "at most 10.00%" in said and "promise 2" not in said
    assert sent[-1]["audit_rate"] == 0.1
    said = shown(monkeypatch, service, "promise", "--alpha", "0.1", "--beside")
    assert "promise 1: at most 5.00%" in said and "promise 2: at most 10.00%" in said
    assert "nothing is promised" in shown(monkeypatch, service, "promise", "--none")
    assert sent[-1] == {"guarantee": {"promises": []}}
    monkeypatch.setattr("loop.cli.guarantee.client_of", lambda *_: service)
    for wrong in ([], ["--alpha", "0.1", "--none"]):
        result = CliRunner().invoke(app, ["guarantee", "promise", "-p", "street", *wrong])
        assert result.exit_code != 0 and "--alpha" in str(result.exception)


FILLED = {
    "statement": "high-probability", "missed_weight": 1.0, "false_alarm_weight": 1.0, "classes": [], "by": "none",
    "loss": "failure", "delta": 0.1,
}  # fmt: skip
