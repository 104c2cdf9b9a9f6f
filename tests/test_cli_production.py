"""`askance quality` and `askance outcomes`: what they ask for, and what they show."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loop.cli import app
from loop.domain.errors import Invalid
from serving.api.schemas.outcomes import OutcomeKeptOut, OutcomesKeptOut
from serving.api.schemas.production import ProductionOut, ProductionSeriesOut, SuggestedAuditRatesOut

NOTHING = {"plain": None, "assisted": None, "worst": None}
RATE = {"value": 0.05, "low": 0.03, "high": 0.08, "n": 400, "effective_n": 390.0}
ROW = {
    "key": "[north]", "predictions": 9000, "answers": 400, "audits": 200, "unanswered": 0,
    "failure_rate": {"plain": RATE, "assisted": RATE | {"high": 0.07}, "worst": None}, "perfect_rate": NOTHING,
    "precision": NOTHING, "recall": NOTHING, "more_audits": 600, "words": "",
}  # fmt: skip
WINDOW = {
    "project_id": "street", "model_id": "model_1", "since": datetime(2026, 3, 1, tzinfo=UTC),
    "until": datetime(2026, 3, 31, tzinfo=UTC), "basis": "audits", "cut": True, "waiting": 3,
    "notes": ["It ends before [something]."],
}  # fmt: skip
POINT = {"day": "2026-03-02", "audits": 20, "value": 0.05, "low": 0.0, "high": 0.31}
OUTCOME = {
    "prediction_id": "pred_1", "outcome": "wrong", "reason": "", "labels": [], "at": datetime(2026, 3, 1, tzinfo=UTC),
    "reported_by": "tok_1", "created_at": datetime(2026, 3, 1, tzinfo=UTC), "task_id": "task_1", "note": "",
}  # fmt: skip


class Service:
    """Stands in for the client, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def quality(self, project: str, **more: object) -> ProductionOut:
        self.asked.append(("quality", project, {name: value for name, value in more.items() if value is not None}))
        rows = [ROW] if more["by"] else []
        told = {"wrong": 2, "right": 1}
        return ProductionOut.model_validate(
            {**WINDOW, "by": more["by"], "total": ROW | {"key": ""}, "rows": rows, "outcomes": told}
        )

    def quality_series(self, project: str, **more: object) -> ProductionSeriesOut:
        self.asked.append(("series", project))
        return ProductionSeriesOut.model_validate({**WINDOW, "points": [POINT]})

    def quality_csv(self, project: str, path: str, **more: object) -> str:
        self.asked.append(("csv", project, path, more["params"]))
        return "key,audits\n"

    def audit_rates(self, project: str, *, rate: float) -> SuggestedAuditRatesOut:
        self.asked.append(("rates", project, rate))
        return SuggestedAuditRatesOut(audit_rate=0.012, by_risk=[(0.1, 0.03)], worth=1.2, seen=5000)

    def change_policy(self, project: str, **changes: object) -> None:
        self.asked.append(("policy", project, changes))

    def report_outcome(self, project: str, prediction: str, **body: object) -> OutcomeKeptOut:
        self.asked.append(("outcome", project, prediction, body))
        return OutcomeKeptOut.model_validate(OUTCOME)

    def report_outcomes(self, project: str, entries: list[dict[str, object]]) -> OutcomesKeptOut:
        self.asked.append(("outcomes", project, entries))
        refused = [
            {"place": place, "prediction_id": str(one["prediction_id"]), "why": "there is no such prediction."}
            for place, one in enumerate(entries)
            if one["prediction_id"] == "pred_none"
        ]
        return OutcomesKeptOut.model_validate(
            {"kept": len(entries) - len(refused), "unchanged": 0, "tasks": 0, "notes": [], "refused": refused}
        )


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    stand_in = Service()
    for module in ("production", "outcomes"):
        monkeypatch.setattr(f"loop.cli.{module}.client_of", lambda *_: stand_in)
    return stand_in


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


def test_quality_is_a_table_with_intervals(service: Service) -> None:
    """With what to know of it, and what callers reported apart."""
    shown = run("quality", "-p", "street", "--by", "source", "--last", "50").output
    assert "[north]" in shown and "5.0% (3.0% to 8.0%)" in shown and "5.0% (3.0% to 7.0%)" in shown
    assert "from audits alone" in shown and "It ends before [something]." in shown
    assert "Outcomes: 2 wrong, 1 right. Reported by callers" in shown and "askance risk report" in shown
    assert service.asked == [("quality", "street", {"by": "source", "last": 50})]


def test_quality_comes_as_json_and_csv(service: Service) -> None:
    assert json.loads(run("quality", "-p", "street", "--json").output)["total"]["audits"] == 200
    assert run("quality", "-p", "street", "--csv", "--by", "day").output == "key,audits\n"
    assert service.asked[-1] == ("csv", "street", "", {"model": None, "by": "day", "last": None})
    assert run("quality", "-p", "street", "--csv", "--series").exit_code == 0
    assert service.asked[-1][2] == "series"


def test_a_series_is_a_row_a_day(service: Service) -> None:
    """From audits alone, so that it cannot be by something else."""
    assert "2026-03-02  20      5.0%          0.0% to 31.0%" in run("quality", "-p", "street", "--series").output
    refused = run("quality", "-p", "street", "--series", "--by", "label")
    assert isinstance(refused.exception, Invalid)


def test_audit_rates_are_told_and_made_the_policys_if_asked(service: Service) -> None:
    shown = run("audit-rates", "-p", "street", "--rate", "0.02").output
    assert "0.1        3.000%" in shown and "1.20 drawn at one rate" in shown and "nothing was changed" in shown
    assert service.asked == [("rates", "street", 0.02)]
    assert "it is the policy's now" in run("audit-rates", "-p", "street", "--apply").output
    changes = {"audit_rate": 0.012, "audit_rates": {"by_risk": [[0.1, 0.03]]}}
    assert service.asked[-1] == ("policy", "street", changes)
    assert json.loads(run("audit-rates", "-p", "street", "--json").output)["worth"] == 1.2


def test_an_outcome_is_reported(service: Service) -> None:
    shown = run("outcomes", "add", "pred_1", "wrong", "-p", "street", "--label", "bar", "--review").output
    assert "wrong: pred_1; task task_1" in shown
    body = {"outcome": "wrong", "reason": "", "labels": ["bar"], "send_to_review": True}
    assert service.asked == [("outcome", "street", "pred_1", body)]


def test_many_outcomes_come_from_a_file(service: Service, tmp_path: Path) -> None:
    """NDJSON or CSV, 500 at a time; those that are refused are named, and the exit status tells."""
    lines = tmp_path / "outcomes.ndjson"
    lines.write_text('{"prediction_id": "p0", "outcome": "right"}\n\n{"prediction_id": "p1", "outcome": "wrong"}\n')
    done = run("outcomes", "import", str(lines), "-p", "street", "--review")
    assert done.exit_code == 0 and "kept: 2" in done.output
    assert [one["send_to_review"] for one in service.asked[0][2]] == [False, True]  # type: ignore[index, union-attr]
    table = tmp_path / "outcomes.csv"
    rows = "".join(f"p{n},wrong,a;b,\n" for n in range(501)) + "pred_none,right,,2026-03-01T00:00:00Z\n"
    table.write_text("\ufeffprediction_id,outcome,labels,at\n" + rows, encoding="utf-8")
    done = run("outcomes", "import", str(table), "-p", "street")
    assert done.exit_code == 1 and "entry 502: there is no such prediction." in done.output
    first, second = (asked[2] for asked in service.asked[1:])
    assert len(first) == 500 and len(second) == 2  # type: ignore[arg-type]
    assert first[0] == {"prediction_id": "p0", "outcome": "wrong", "labels": ["a", "b"]}  # type: ignore[index]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "prediction_id,verdict\np,wrong\n"),
        ("a.csv", "prediction_id,outcome,colour\np,wrong,red\n"),
        ("a.csv", "prediction_id,outcome\np,maybe\n"),
        ("a.csv", ""),
        ("a.ndjson", '{"prediction_id": "p", "outcome": "wrong"}\n{"prediction_id"'),
        ("a.ndjson", "[1]"),
        ("a.ndjson", '{"prediction_id": 1, "outcome": "wrong"}'),
        ("a.ndjson", '{"prediction_id": "p", "outcome": "wrong", "at": "yesterday"}'),
        ("a.ndjson", '{"prediction_id": "p", "outcome": ["wrong"]}'),
        ("none.ndjson", None),
    ],
)
def test_a_file_with_a_mistake_sends_nothing(service: Service, tmp_path: Path, name: str, text: str | None) -> None:
    """The line is named, before anything is sent."""
    file = tmp_path / name
    if text is not None:
        file.write_text(text)
    refused = run("outcomes", "import", str(file), "-p", "street")
    assert isinstance(refused.exception, Invalid), refused.output
    assert service.asked == []
