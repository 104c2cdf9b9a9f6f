"""`askance golden`, `reviewers` and `agreement`: what they ask the service for, and what they show."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loop.cli import app
from loop.domain.errors import Invalid
from serving.api.schemas.quality import AgreementOut, GoldenOut, ReviewerDetailOut
from tests.test_cli_people import a_person

NOW = datetime(2026, 3, 1, tzinfo=UTC)
RATE = {"value": 0.9, "low": 0.8, "high": 0.95}
JUDGING = {
    "standing": "paused", "since": NOW, "why": "lets all stand", "reasons": [], "items": 7, "more": 5,
    "accepts": {"value": 1.0, "low": 0.7, "high": 1.0}, "catches": {"value": 0.25, "low": 0.1, "high": 0.5},
}  # fmt: skip
BOX = {"label": "cell", "box": [0, 0, 9, 9]}


def a_reviewer(**changes: object) -> ReviewerDetailOut:
    plain = {
        "id": "tok_ada", "name": "ada", "standing": "warned", "since": NOW, "why": "recall 0.70", "reasons": [],
        "items": 12, "more": None, "training": False, "precision": RATE, "recall": RATE, "iou": 0.81,
        "actor": "golden items", "labels": {"cell": {"precision": RATE, "recall": RATE}},
        "confusion": [{"true": "cell", "given": "", "count": 3}], "weak": [],
        "shared": 2, "shared_items": ["9f2c", "41b0"], "judging": JUDGING,
    }  # fmt: skip
    return ReviewerDetailOut.model_validate(plain | changes)


class Service:
    """Stands in for the client, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def mark_golden(self, project: str, digest: str, shapes: list[dict[str, object]] | None) -> GoldenOut:
        self.asked.append((project, digest, shapes))
        return GoldenOut.model_validate(
            {
                "item_digest": digest,
                "image_url": "/",
                "shapes": shapes or [BOX],
                "version": 1,
                "predicted": digest != "bare",
                "added_by": "op",
                "added_at": NOW,
            }
        )

    def remove_golden(self, project: str, digest: str) -> None:
        self.asked.append((project, digest))

    def golden(self, project: str) -> list[GoldenOut]:
        return [self.mark_golden(project, "9f2c", None)]

    def reviewers(self, project: str) -> list[ReviewerDetailOut]:
        return [a_reviewer()]

    def reviewer(self, project: str, person: str) -> ReviewerDetailOut:
        return a_reviewer()

    def change_reviewer(self, project: str, person: str, **changes: object) -> ReviewerDetailOut:
        self.asked.append((project, person, changes))
        return a_reviewer(standing=changes.get("standing", "warned"))

    def people(self) -> list[object]:
        return [a_person("ada"), a_person("bob")]

    def agreement(self, project: str, works: int) -> AgreementOut:
        pair = {"reviewers": ["tok_ada", "tok_bob"], "works": 4, "f1": 0.75, "iou": None}
        alpha = {"boxes": 0.5, "labels": None, "works": 3}
        return AgreementOut.model_validate(
            {"works": 4, "f1": 0.75, "iou": 0.9, "adjudicated": 0.25, "alpha": alpha, "pairs": [pair]}
        )


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    stand_in = Service()
    monkeypatch.setattr("loop.cli.quality.client_of", lambda *_: stand_in)
    return stand_in


def run(*arguments: str):
    return CliRunner().invoke(app, [*arguments, "--project", "p"])


def test_items_are_marked_with_their_truth_or_from_a_file(service: Service, tmp_path: Path) -> None:
    """Several at once with their truth, one with shapes; what is not among other work is told."""
    shown = " ".join(run("golden", "add", "9f2c", "bare").output.split())
    assert "golden: 9f2c, 1 shapes" in shown
    assert "only those who qualify" in shown
    path = tmp_path / "trusted.json"
    path.write_text(json.dumps({"shapes": [BOX]}))
    run("golden", "add", "9f2c", "--shapes", str(path))
    assert service.asked == [("p", "9f2c", None), ("p", "bare", None), ("p", "9f2c", [BOX])]
    path.write_text("[1")
    for arguments in (("9f2c", "--shapes", str(path)), ("a", "b", "--shapes", str(path))):
        assert isinstance(run("golden", "add", *arguments).exception, Invalid)
    assert "9f2c" in run("golden", "list").output
    run("golden", "remove", "9f2c")
    assert service.asked[-1] == ("p", "9f2c")


def test_reviewers_are_shown_with_intervals(service: Service) -> None:
    """Standing, why, figures, what is taken for what."""
    listed = run("reviewers", "list").output
    assert all(text in listed for text in ("ada", "warned", "12")), listed
    assert all(text in " ".join(listed.split()) for text in ("who judges answers", "paused 7 1.00")), listed
    shown = " ".join(run("reviewers", "show", "ada").output.split())  # however wide the terminal is
    for text in ("warned since 2026-03-01", "recall 0.70", "0.90 (0.80 to 0.95)", "(not marked)", "not like this",
        "as judge: paused", "lets all stand", "wrong ones caught 0.25 (0.10 to 0.50)", "more needed: 5",
    ):  # fmt: skip
        assert text in shown, shown


def test_a_standing_and_training_are_set(service: Service) -> None:
    """By hand, with a reason, as who answers or who judges; training is yes, no, or as the project says."""
    run("reviewers", "set", "ada", "--standing", "paused", "--reason", "errs")
    run("reviewers", "set", "ada", "--judging", "qualified", "--reason", "talked")
    run("reviewers", "set", "ada", "--training", "yes")
    run("reviewers", "set", "ada", "--training", "project")
    assert [changes for _, _, changes in service.asked] == [
        {"standing": "paused", "reason": "errs"}, {"judging": "qualified", "reason": "talked"},
        {"training": True}, {"training": None},
    ]  # fmt: skip
    assert isinstance(run("reviewers", "set", "ada").exception, Invalid)
    assert isinstance(run("reviewers", "set", "ada", "--training", "maybe").exception, Invalid)


def test_agreement_is_told_by_names(service: Service) -> None:
    shown = " ".join(run("agreement").output.split())
    assert "F1 0.75" in shown
    assert "labels -" in shown
    assert "bob" in shown
