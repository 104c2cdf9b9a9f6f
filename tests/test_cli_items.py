"""`askance items` and `askance views`: what they ask the service for, and what they show."""

import pytest
from typer.testing import CliRunner

from loop.cli import app
from loop.domain.errors import Invalid
from serving.client import ApiError
from tests.api.conftest import client_within, picture, service  # noqa: F401

RUNNER = CliRunner()


@pytest.fixture
def predicted(service, monkeypatch: pytest.MonkeyPatch) -> list[str]:  # noqa: F811
    """Digests of three images; commands reach the service that predicted them."""

    client = client_within(service)
    monkeypatch.setattr("loop.cli.items.client_of", lambda *_: client)
    return [service.predict(picture(seed), params={"source": f"cam-{seed}"}).json()["item_digest"] for seed in range(3)]


def run(*arguments: str) -> str:
    """What it printed, without the folds of a narrow terminal."""
    result = RUNNER.invoke(app, [*arguments, "-p", "shapes"], env={"COLUMNS": "300"})
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_items_are_listed_by_a_query(predicted):
    shown = run("items", "list", "-q", "source = cam-1", "--count")
    assert predicted[1] in shown
    assert predicted[0] not in shown
    assert "1 in all" in shown
    page = run("items", "list", "--limit", "2", "--sort", "width")
    after = page.split("--after '")[1].split("'")[0]
    rest = run("items", "list", "--limit", "2", "--sort", "width", "--after", after)
    assert sorted(digest for digest in predicted if digest in page + rest) == sorted(predicted)


def test_a_query_that_cannot_be_read_is_one_line(predicted):
    with pytest.raises(ApiError, match=r"at 1: found sorce.*Did you mean source"):
        run("items", "list", "-q", "sorce = 1")


def test_items_are_tagged_by_digest_and_by_query(predicted):
    assert "3 items" in run("items", "tag", "-q", "", "--add", "all", "--add", "old")
    assert "1 item\n" in run("items", "tag", "--item", predicted[0], "--add", "first", "--remove", "old")
    assert "all, first" in run("items", "list", "-q", "tag = first")
    assert predicted[0] not in run("items", "list", "-q", "tag = old")
    with pytest.raises(Invalid, match="which items"):
        run("items", "tag", "--add", "x")


def test_views_are_saved_shown_and_removed(predicted):
    run("views", "save", "one camera", "-q", "source = cam-2", "--sort", "-risk")
    assert "source = cam-2" in run("views", "list")
    shown = run("items", "list", "--view", "one camera")
    assert predicted[2] in shown
    assert predicted[1] not in shown
    with pytest.raises(Invalid, match="both"):
        run("items", "list", "--view", "one camera", "-q", "has tag")
    run("views", "remove", "one camera")
    assert "one camera" not in run("views", "list")


def test_a_history_is_shown(predicted):
    shown = run("items", "history", predicted[0])
    assert "prediction" in shown
    assert "cam-0" in shown
