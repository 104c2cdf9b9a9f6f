"""`askance work`, `ambiguous`, `bias`, `cost` and `comments`: what they ask for, and what they show."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loop.cli import app
from loop.domain.errors import Invalid
from serving.api.schemas.comments import CommentOut, CommentPage
from serving.api.schemas.work import AmbiguousOut, BiasOut, CostOut, RatesIO, RequeuedOut, WorkOut

SPAN = {"since": datetime(2026, 3, 1, tzinfo=UTC), "until": datetime(2026, 4, 1, tzinfo=UTC)}
ADA = {
    "key": "tok_ada", "name": "=ada()", "tasks": 3, "shapes": 6, "skips": 1, "judged": 0, "median_seconds": 20.0,
    "judging_median_seconds": None, "judging_low_seconds": None, "judging_high_seconds": None, "inspected": 4,
    "defect_share": 0.5, "low_seconds": 10.0, "high_seconds": 40.0, "hours": 0.02, "tasks_per_hour": 154.3,
    "corrected_share": 1 / 3, "skip_share": 0.25,
}  # fmt: skip
BOB = ADA | {
    "name": "bob", "tasks": 0, "median_seconds": None, "low_seconds": None, "high_seconds": None,
    "judged": 8, "judging_median_seconds": 6.5, "judging_low_seconds": 4.0, "judging_high_seconds": 9.0,
    "tasks_per_hour": 400.0, "corrected_share": None, "skip_share": 0.0, "inspected": 0, "defect_share": None,
}  # fmt: skip
SPENT = {"key": "cell", "name": "cell", "items": 4, "tasks": 5, "minutes": 10.0, "minutes_per_item": 2.5, "money": 7.5}
ABOUT = {"value": 100.0, "low": 80.0, "high": 120.0}
COMMENT = {
    "id": "comment_1", "item_digest": "9f2c" + 60 * "0", "task_id": None, "text": "which [rule]?", "kind": "question",
    "shape": None, "at": None, "author": "ada", "created_at": SPAN["since"], "state": "open", "resolved_at": None,
    "resolved_by": None,
    "replies": [{"id": "reply_1", "text": "the third", "author": "olga", "created_at": SPAN["until"]}],
}  # fmt: skip


class Service:
    """Stands in for the client, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.everything: dict[str, object] | None = {
            "items": 9, "audits": False, "sample": 12, "minutes": ABOUT, "saved": ABOUT, "money": ABOUT,
            "money_saved": ABOUT,
        }  # fmt: skip

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def _noted(self, *what: object, **more: object) -> None:
        self.asked.append((*what, {name: value for name, value in more.items() if value is not None}))

    def work(self, project: str, **more: object) -> WorkOut:
        self._noted("work", project, **more)
        return WorkOut.model_validate({**SPAN, "by": more["by"], "rows": [ADA, BOB]})

    def ambiguous(self, project: str, **more: object) -> AmbiguousOut:
        self._noted("ambiguous", project, **more)
        item = {
            "item_digest": "9f2c" + 60 * "0", "ambiguity": 0.9, "agreement": None, "deviation": 2.0, "seconds": 80.0,
            "answers": 1,
        }  # fmt: skip
        return AmbiguousOut.model_validate({**SPAN, "found": 1, "items": [item]})

    def requeue_ambiguous(self, project: str, **more: object) -> RequeuedOut:
        self._noted("requeue", project, **more)
        return RequeuedOut(items=["a", "b"], left=[])

    def bias(self, project: str, **more: object) -> BiasOut:
        self._noted("bias", project, **more)
        return BiasOut.model_validate(
            {**SPAN, "hidden": 2.0, "shown": 1.5, "difference": 0.5, "low": 0.1, "high": 0.9, "hidden_tasks": 20,
             "shown_tasks": 80, "found": True}
        )  # fmt: skip

    def cost(self, project: str, **more: object) -> CostOut:
        self._noted("cost", project, **more)
        return CostOut.model_validate(
            {**SPAN, "currency": "EUR", "by": more["by"], "rows": [SPENT] if more["by"] else [],
             "total": SPENT | {"minutes": 12.0}, "everything": self.everything}
        )  # fmt: skip

    def cost_rates(self, project: str) -> RatesIO:
        return RatesIO(currency="EUR", per_hour=30)

    def set_cost_rates(self, project: str, rates: dict[str, object]) -> RatesIO:
        self._noted("rates", project, **rates)
        return RatesIO.model_validate(rates)

    def comments(self, project: str, **more: object) -> CommentPage:
        self._noted("comments", project, **more)
        return CommentPage(comments=[CommentOut.model_validate(COMMENT)], next="comment_1")

    def comments_of(self, project: str, digest: str) -> list[CommentOut]:
        self._noted("comments of", project, digest)
        return [CommentOut.model_validate(COMMENT), CommentOut.model_validate(COMMENT | {"state": "resolved"})]

    def reply_to_comment(self, comment_id: str, text: str) -> CommentOut:
        self._noted("reply", comment_id, text)
        return CommentOut.model_validate(COMMENT)

    def resolve_comment(self, comment_id: str) -> CommentOut:
        self._noted("resolve", comment_id)
        return CommentOut.model_validate(COMMENT | {"state": "resolved"})

    def reopen_comment(self, comment_id: str) -> CommentOut:
        self._noted("reopen", comment_id)
        return CommentOut.model_validate(COMMENT)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    stand_in = Service()
    monkeypatch.setattr("loop.cli.work.client_of", lambda *_: stand_in)
    monkeypatch.setattr("loop.cli.comments.client_of", lambda *_: stand_in)
    return stand_in


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


def test_work_is_a_table(service):
    """What is not known is a dash."""
    shown = run("work", "-p", "street", "--by", "day", "--tz", "Europe/Berlin", "--since", "2026-03-01")
    assert shown.exit_code == 0, shown.output
    assert [line.split() for line in shown.output.splitlines()[1:]] == [
        ["=ada()", "3", "0", "6", "20.0", "10-40", "-", "154.3", "0.02", "33%", "25%", "50%"],
        ["bob", "0", "8", "6", "-", "-", "6.5", "400.0", "0.02", "-", "0%", "-"],
    ]
    assert service.asked == [("work", "street", {"by": "day", "tz": "Europe/Berlin", "since": datetime(2026, 3, 1)})]


def test_csv_has_all_columns_and_runs_nothing(service):
    """A name that a spreadsheet would take for a formula is a text there."""
    rows = list(csv.DictReader(io.StringIO(run("work", "-p", "street", "--csv").output)))
    assert [row["name"] for row in rows] == ["'=ada()", "bob"]
    assert (rows[0]["median_seconds"], rows[1]["median_seconds"]) == ("20.0", "")
    assert set(rows[0]) == set(ADA)


def test_ambiguous_items_are_shown_and_asked_for_again_only_where_one_says_so(service):
    """--requeue takes the same bounds as the list."""
    assert "9f2c" in run("ambiguous", "-p", "street").output
    assert [asked[0] for asked in service.asked] == ["ambiguous"]
    shown = run("ambiguous", "-p", "street", "--above", "0.7", "--limit", "5", "--requeue").output
    assert "experts: 2" in shown
    assert service.asked[-1] == ("requeue", "street", {"above": 0.7, "most": 5})


def test_bias_is_told_with_its_interval(service):
    """And in a sentence."""
    shown = run("bias", "-p", "street").output
    assert "+0.50 [+0.10, +0.90]" in shown
    assert "let stand" in shown


def test_cost_is_told_with_what_everything_would_have_taken(service):
    """With the interval, and what it rests on; by label a row for each."""
    shown = run("cost", "-p", "street", "--by", "label").output
    assert "cell" in shown
    assert "100.0 (80.0 to 120.0)" in shown
    assert "12 answers" in shown
    service.everything = None
    assert "from ten answers on" in run("cost", "-p", "street").output
    assert "minutes_per_item" in run("cost", "-p", "street", "--csv").output


def test_rates_come_from_a_file(service, tmp_path: Path):
    """Without one they are shown."""
    assert "per_hour: 30" in run("cost", "rates", "-p", "street").output
    file = tmp_path / "rates.yaml"
    file.write_text("currency: CHF\nper_hour: 40\n")
    assert run("cost", "rates", "-p", "street", str(file)).exit_code == 0
    assert service.asked == [("rates", "street", {"currency": "CHF", "per_hour": 40})]


@pytest.mark.parametrize("content", ["[1]", "a: [", None])
def test_a_file_that_holds_no_rates_is_refused(service, tmp_path: Path, content: str | None):
    """And nothing is asked for; nor without a project."""
    file = tmp_path / "rates.yaml"
    if content is not None:
        file.write_text(content)
    assert isinstance(run("cost", "rates", "-p", "street", str(file)).exception, Invalid)
    assert isinstance(run("cost").exception, Invalid)
    assert service.asked == []


def test_comments_are_listed_with_their_replies(service):
    """As they were written, with brackets; of a project or an item, and those of a state only."""
    shown = run("comments", "list", "-p", "street", "--state", "open", "--kind", "question").output
    assert "which [rule]?" in shown
    assert "olga: the third" in shown
    assert "--limit" in shown
    shown = run("comments", "list", "-p", "street", "--item", "9f2c", "--state", "resolved").output
    assert shown.count("comment_1") == 1
    assert service.asked == [
        ("comments", "street", {"state": "open", "kind": "question", "limit": 50}),
        ("comments of", "street", "9f2c", {}),
    ]


def test_comments_are_answered_and_settled(service):
    """By their ids."""
    assert "open" in run("comments", "reply", "comment_1", "see [3]").output
    assert "resolved" in run("comments", "resolve", "comment_1").output
    assert run("comments", "reopen", "comment_1").exit_code == 0
    assert [asked[:2] for asked in service.asked] == [
        ("reply", "comment_1"), ("resolve", "comment_1"), ("reopen", "comment_1"),
    ]  # fmt: skip
