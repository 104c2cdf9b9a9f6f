"""The page's recipe, its runs of functions and its re-opening of items, in a browser, over the API without Ray."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from loop.domain.functions.calls import Asked, Ending, Ran
from loop.domain.ports import Event
from loop.functions.results import ran_event
from loop.wiring import utc_now
from tests.api.conftest import picture
from tests.service.operating import Stage, nothing_is_cut_off, others_load_none_of, staged

VIEWS = ("recipe", "functions")

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("recipe"), sqlite_template, "recipe") as started:
        yield started


def written(stage: Stage, text: str) -> None:
    stage.there_is("recipe-text").fill(text)
    stage.there_is("check-recipe").click()


# --- the recipe ----------------------------------------------------------------------------------------------


def test_1_every_error_of_a_document_is_told_with_its_place(stage: Stage) -> None:
    """And what is refused cannot be saved."""
    expect(stage.there_is("recipe-version")).to_have_text("version 1")
    written(stage, 'labels: [{name: "", geometry: round}]')
    expect(stage.there_is("flaw").filter(has_text="labels[0].name")).to_be_visible()
    expect(stage.there_is("flaw").filter(has_text="labels[0].geometry")).to_be_visible()
    expect(stage.there_is("save-recipe")).to_be_disabled()


def test_2_the_document_as_it_is_shown_changes_nothing(stage: Stage) -> None:
    stage.page.get_by_role("button", name="Start again").click()
    stage.there_is("check-recipe").click()
    expect(stage.there_is("recipe-document")).to_contain_text("It says what version 1 says.")
    expect(stage.there_is("save-recipe")).to_be_disabled()


def test_3_a_change_is_checked_then_saved_as_the_next_version(stage: Stage) -> None:
    """What it would do is told first; a text that was changed since is to be checked again."""
    document = json.loads(stage.there_is("recipe-text").input_value())
    document["labels"].append({"name": "hexagon", "geometry": "polygon"})
    document["rules"].append({"kind": "count", "label": "hexagon", "max": 3})
    written(stage, json.dumps(document))
    expect(stage.there_is("recipe-would-do")).to_contain_text("added hexagon; rules changed")
    assert stage.of_project("recipe")["version"] == 1
    stage.there_is("recipe-text").fill(json.dumps(document) + "\n")
    expect(stage.there_is("save-recipe")).to_be_disabled()
    stage.there_is("check-recipe").click()
    stage.there_is("save-recipe").click()
    stage.told("Version 2 was made")
    expect(stage.there_is("recipe-version")).to_have_text("version 2")
    expect(stage.there_is("recipe-label-hexagon")).to_contain_text("polygon")
    expect(stage.there_is("recipe")).to_contain_text("at most 3 of hexagon in an image")
    assert [label["name"] for label in stage.of_project("recipe")["labels"]][-1] == "hexagon"


def test_4_a_document_of_a_version_that_is_not_the_newest_any_more_is_refused(stage: Stage) -> None:
    """What was written stays, also while another view is looked at, and the page shows the newest."""
    document = json.loads(stage.there_is("recipe-text").input_value())
    stage.call("POST", "projects/shapes/recipe", json=document | {"guidelines": "Draw what you see."})
    written(stage, json.dumps(document | {"guidelines": "Mine."}))
    expect(stage.there_is("recipe-refused")).to_contain_text("made from version 2, and the newest is 3")
    expect(stage.there_is("recipe-version")).to_have_text("version 3")
    assert "Mine." in stage.there_is("recipe-text").input_value()
    stage.show("functions")
    stage.show("recipe")
    expect(stage.there_is("not-saved")).to_be_visible()
    assert "Mine." in stage.there_is("recipe-text").input_value()
    stage.page.get_by_role("button", name="Start again").click()
    expect(stage.there_is("not-saved")).to_have_count(0)


def test_5_an_older_version_is_shown_at_an_address_of_its_own(stage: Stage) -> None:
    stage.there_is("version-1").get_by_role("button").click()
    expect(stage.there_is("recipe-version")).to_have_text("version 1")
    expect(stage.there_is("recipe-document")).to_have_count(0)
    stage.there_is("newest-recipe").click()
    expect(stage.there_is("recipe-version")).to_have_text("version 3")


def test_5_guidelines_show_their_pictures(stage: Stage) -> None:
    """Which are asked for with the token of whoever reads them."""
    sent = stage.call("POST", "projects/shapes/guidelines/pictures", content=picture(3))
    recipe = stage.of_project("recipe") | {"guidelines": f"Like this: ![a torn label](picture:{sent['digest']})"}
    stage.call("POST", "projects/shapes/recipe", json=recipe)
    stage.page.reload()
    shown = stage.there_is("recipe").get_by_role("img", name="a torn label")
    expect(shown).to_be_visible()
    assert shown.evaluate("picture => picture.decode().then(() => picture.naturalWidth)") == sent["width"]


# --- functions -----------------------------------------------------------------------------------------------


def test_6_what_functions_did_and_which_rules_failed_is_told_with_the_errors(stage: Stage) -> None:
    stage.show("functions")
    expect(stage.there_is("function-runs")).to_contain_text("Nothing ran yet")
    expect(stage.there_is("failed-rules")).to_contain_text("None has.")
    (digest,) = stage.predict(1)
    services, now = stage.service.services, utc_now()
    with services.store.begin() as tx:
        asked = Asked(function="redact", project_id="shapes", trigger="manual", item=tx.items.get("shapes", digest))
        ran = Ran(ending=Ending.TIMED_OUT, why="it took longer than 60 s", package="askance 0.1.0", seconds=60.0)
        tx.events.add(ran_event(asked, ran, "operator", now, call_id="call_1", attempt=2))
        body = {"rule": "plates", "function": "plate_format", "why": "it raised"}
        tx.events.add(Event("rule.failed", "shapes", "rules", body, now))
    run = stage.there_is("function-runs").locator("tbody tr").first
    for words in ("redact", "timed out", "by hand", "1 min", "it took longer than 60 s"):
        expect(run).to_contain_text(words, timeout=20_000)
    expect(stage.there_is("failed-rule-plates")).to_contain_text("it raised", timeout=20_000)


def test_7_of_a_call_it_is_told_how_it_stands(stage: Stage) -> None:
    """It waits for its next try, or was given up."""
    stage.policy(functions=[{"name": "redact", "options": {"labels": ["circle"]}}])
    (item,) = stage.of_project("items?limit=1")["items"]
    body = {"item_digest": item["digest"]}
    call = stage.call("POST", "projects/shapes/functions/redact/calls", json=body)["id"]
    with stage.service.services.store.begin() as tx:
        asked = Asked(function="redact", project_id="shapes", trigger="manual")
        ran = Ran(ending=Ending.RAISED, why="no labels", seconds=1.0)
        tx.events.add(ran_event(asked, ran, "operator", utc_now(), call_id=call, attempt=1))
    expect(stage.there_is("calls-waiting")).to_have_text("1 call waits", timeout=20_000)
    run = stage.there_is("function-runs").locator("tbody tr").filter(has_text="raised")
    run.get_by_role("button").click()
    expect(stage.there_is("call-state")).to_have_text("waits")


# --- items ---------------------------------------------------------------------------------------------------


def test_8_an_item_is_asked_for_again(stage: Stage) -> None:
    """Where nothing of it is closed, what to do is told instead."""
    (item,) = stage.of_project("items?limit=1")["items"]
    digest = item["digest"]
    (task,) = stage.call("POST", "projects/shapes/tasks/lease", "reviewer", json={"count": 1})["tasks"]
    assert task["item_digest"] == digest
    stage.page.goto(f"{stage.url}/#/shapes/items/{digest}")
    stage.there_is("reopen-item").click()
    stage.there_is("confirm").click()
    stage.told("It is in the queue already.")
    answer = {"epoch": task["epoch"], "shapes": [], "note": ""}
    stage.call("POST", f"tasks/{task['id']}/submit", "reviewer", json=answer)
    stage.there_is("reopen-item").click()
    stage.there_is("confirm").click()
    stage.told("1 task is in the queue again")
    expect(stage.there_is("item-history")).to_contain_text("event task.reopened")


@pytest.mark.parametrize("role", ["reviewer", "producer"])
def test_9_others_are_shown_none_of_it(stage: Stage, role: str) -> None:
    others_load_none_of(stage, VIEWS, role)


@pytest.mark.parametrize("width", [1670, 1280, 800])
def test_10_nothing_is_cut_off(stage: Stage, width: int) -> None:
    """Nor are the names of the tabs, beside the figures of the queue."""
    nothing_is_cut_off(stage, ("review", *VIEWS), width)
