"""`askance items` and `askance views`: what they ask the service for, and what they show."""

from dataclasses import replace

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


def test_metadata_of_items_is_set_and_removed(predicted):
    """Of items by digest or by a query; a value may have an equals sign in it, or be empty."""
    assert "3 items changed" in run("items", "set", "-q", "", "site=a=b", "note=")
    assert "1 item changed" in run("items", "set", "site=north", "--item", predicted[0], "--remove", "note")
    assert "1 item changed" in run("items", "set", "site=north", "--item", predicted[0], "--item", predicted[1])
    shown = run("items", "list", "-q", "meta.site = north and missing meta.note")
    assert predicted[0] in shown and predicted[1] not in shown
    assert "item.described" in run("items", "history", predicted[0])
    for wrong in (["-q", ""], ["-q", "", "site"], ["-q", "", "=x"], ["site=x"]):
        with pytest.raises(Invalid):
            run("items", "set", *wrong)


def test_people_are_asked_for_items_by_digest_and_by_query(predicted, service):  # noqa: F811
    """Once: those that they have to do already are counted, with why."""
    path = "/v1/projects/shapes/items"
    kept = [service.call("POST", path, content=picture(seed)).json()["digest"] for seed in range(10, 13)]
    assert "asked for 1 item\n" in run("items", "ask", "--item", kept[0][:10], "--reason", "odd bars")
    shown = run("items", "ask", "-q", "missing work", "--reason", "odd bars", "--most", "1")
    assert "asked for 1 item\n" in shown
    assert "there are more that meet the query" in shown
    shown = run("items", "ask", "-q", "", "--reason", "odd bars")
    assert "asked for 1 item\n" in shown
    assert "not for 5 items: people are asked for it already." in shown
    with pytest.raises(Invalid, match="which items"):
        run("items", "ask", "--reason", "odd bars")


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


def test_the_first_digits_of_a_digest_name_its_item(predicted, service, monkeypatch):  # noqa: F811
    """At least eight, wherever an item is named: in a selection, a golden item, work that is opened again."""
    for module in ("selections", "quality", "people", "comments"):
        monkeypatch.setattr(f"loop.cli.{module}.client_of", lambda *_: client_within(service))
    short = predicted[0][:8]
    assert "cam-0" in run("items", "history", short)
    assert "1 item\n" in run("items", "tag", "--item", short, "--add", "mine")
    assert predicted[0] in run("items", "list", "-q", "tag = mine")
    with pytest.raises(ApiError, match="all 3 items that the champion has predicted have a task"):
        run("select", "-b", "1", "--like", short, "--dry-run")
    with pytest.raises(ApiError, match=f"item {predicted[0][:12]} has 0 detections"):
        run("select", "-b", "1", "--like-box", f"{short}:0", "--dry-run")
    with pytest.raises(ApiError, match="this item has no ground truth to trust"):
        run("golden", "add", short)
    with pytest.raises(ApiError, match="no task of this item is closed"):
        run("reopen", short)
    assert run("comments", "list", "--item", short)


def test_digits_that_name_no_item_or_several_are_refused(predicted, service):  # noqa: F811
    """In the words of who gave them, with what to give instead."""
    with pytest.raises(ApiError, match="no item of shapes has a digest that begins with 00000000"):
        run("items", "history", "00000000")
    twin = predicted[0][:8] + ("0" if predicted[0][8] != "0" else "1") + predicted[0][9:]
    with service.services.store.begin() as tx:
        tx.items.add(replace(tx.items.get("shapes", predicted[0]), digest=twin))
    with pytest.raises(ApiError, match="2 items of shapes have a digest") as error:
        run("items", "history", predicted[0][:8])
    assert predicted[0] in error.value.hint and twin in error.value.hint
    assert "cam-0" in run("items", "history", predicted[0][:9])
