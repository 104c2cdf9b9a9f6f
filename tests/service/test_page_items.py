"""The list of items in the page: from one to the next, and what is done with those that were chosen. In a browser, over
the API without Ray."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.service.operating import Stage, nothing_is_cut_off, staged

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PAGE = 60  # items that the list shows at once
COUNT = PAGE + 3


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("items"), sqlite_template, "items") as started:
        yield started


@pytest.fixture(scope="module")
def digests(stage: Stage) -> list[str]:
    """Of items that nobody has looked at, the narrowest first."""
    return [keep(stage, number) for number in range(COUNT)]


def keep(stage: Stage, number: int) -> str:
    content = io.BytesIO()
    Image.new("RGB", (40 + number, 48), (number, 90, 255 - number)).save(content, "PNG")
    made = stage.call("POST", "projects/shapes/items", params={"path": f"line/frame-{number:03}.png"},
                      content=content.getvalue())  # fmt: skip
    return str(made["digest"])


# --- from one to the next ------------------------------------------------------------------------------------


def test_1_one_goes_through_the_list_that_one_came_from(stage: Stage, digests: list[str]) -> None:
    """By its query and sort, with keys and buttons; beyond what is shown the next page comes by itself. Back in the
    list one is where one was."""
    page = stage.page
    page.reload()
    stage.there_is("query").fill("height = 48")
    page.keyboard.press("Enter")
    stage.there_is("sort").select_option("width")
    expect(stage.there_is("items-count")).to_have_text(f"{COUNT} items")
    stage.there_is(f"item-{digests[PAGE - 2]}").locator(".opens-item").click()
    expect(stage.there_is("item-place")).to_have_text(f"{PAGE - 1} of {COUNT}")
    expect(stage.there_is("item").get_by_role("heading")).to_have_text(f"line/frame-{PAGE - 2:03}.png")
    for key, place in (("j", PAGE - 1), ("ArrowRight", PAGE), ("k", PAGE - 1), ("ArrowLeft", PAGE - 2)):
        page.keyboard.press(key)
        expect(page).to_have_url(re.compile(f"#/shapes/items/{digests[place]}$"))
        expect(stage.there_is("item-place")).to_have_text(f"{place + 1} of {COUNT}")
        expect(stage.there_is("item").get_by_role("heading")).to_have_text(f"line/frame-{place:03}.png")
    for _ in range(COUNT - PAGE + 1):
        stage.there_is("next-item").click()
    expect(stage.there_is("item-place")).to_have_text(f"{COUNT} of {COUNT}")
    expect(stage.there_is("next-item")).to_be_disabled()
    page.keyboard.press("j")
    expect(page).to_have_url(re.compile(f"#/shapes/items/{digests[-1]}$"))

    stage.there_is("back-to-items").click()
    expect(stage.there_is("query")).to_have_value("height = 48")
    opened = stage.there_is(f"item-{digests[-1]}").locator(".opens-item")
    expect(opened).to_be_focused()
    expect(opened).to_be_in_viewport()


def test_2_the_list_stays_as_it_was_when_one_was_opened(stage: Stage, digests: list[str]) -> None:
    """What changes meanwhile, so that an item no longer meets the query, makes one miss none."""
    stage.there_is("query").fill("missing tag")
    stage.page.keyboard.press("Enter")
    expect(stage.page.locator(".fetched.old")).to_have_count(0)
    stage.there_is(f"item-{digests[0]}").locator(".opens-item").click()
    expect(stage.there_is("item-place")).to_have_text(f"1 of {COUNT}")
    body = {"items": digests[:2], "add": ["seen"]}
    stage.call("POST", "projects/shapes/items/tags", json=body)
    for keys, place in (("j", 1), ("jj", 3), ("kkk", 0)):  # however fast
        for key in keys:
            stage.page.keyboard.press(key)
        expect(stage.page).to_have_url(re.compile(f"{digests[place]}$"))
    expect(stage.there_is("previous-item")).to_be_disabled()


def test_3_who_comes_by_an_address_is_in_no_list(stage: Stage, digests: list[str]) -> None:
    stage.page.goto("about:blank")
    stage.page.goto(f"{stage.url}/#/shapes/items/{digests[5]}")
    expect(stage.there_is("item-canvas")).to_have_attribute("data-ready", "true")
    expect(stage.there_is("next-item")).to_have_count(0)
    stage.page.keyboard.press("j")
    expect(stage.page).to_have_url(re.compile(f"{digests[5]}$"))


# --- what is done with those that were chosen --------------------------------------------------------------


def test_4_people_are_asked_for_chosen_items_and_for_all_of_a_query(stage: Stage, digests: list[str]) -> None:
    """With a reason, which they read. What they have to do already is told, and nobody is asked for it twice."""
    stage.page.goto(f"{stage.url}/#/shapes/items")
    expect(stage.there_is("items-count")).to_have_text(f"{COUNT} items")
    stage.there_is("query").fill("width < 44")
    stage.page.keyboard.press("Enter")
    for digest in digests[:2]:
        stage.there_is(f"item-{digest}").get_by_role("checkbox").check()
    stage.there_is("ask-chosen").click()
    dialog = stage.there_is("ask-for-dialog")
    expect(dialog.get_by_role("heading")).to_have_text("Ask people for 2 chosen items")
    expect(dialog.locator("[data-testid=confirm]")).to_be_disabled()
    dialog.locator("[data-testid=reason]").fill("the bars look odd")
    dialog.locator("[data-testid=confirm]").click()
    stage.told("People are asked for 2 items")
    expect(stage.there_is(f"item-{digests[0]}")).to_contain_text("work open")
    expect(stage.there_is("ask-chosen")).to_be_disabled()  # nothing is chosen any more

    stage.there_is("ask-query").click()
    expect(dialog).to_contain_text("All items that meet the query, not only those shown: width < 44")
    dialog.locator("[data-testid=reason]").fill("all of them")
    dialog.locator("[data-testid=confirm]").click()
    expect(stage.there_is("toast")).to_contain_text("People are asked for 2 items")
    stage.told("2 items left out: people are asked for it already.")
    tasks = stage.call("POST", "projects/shapes/tasks/lease", "reviewer", json={"count": 9})["tasks"]
    reasons = {task["item_digest"]: task["reason"] for task in tasks}
    assert [reasons.pop(digest) for digest in digests[:2]] == ["the bars look odd"] * 2
    assert reasons == dict.fromkeys(digests[2:4], "all of them")
    for task in tasks[:3]:
        body = {"epoch": task["epoch"], "shapes": []}
        stage.call("POST", f"tasks/{task['id']}/submit", "reviewer", json=body)


def test_4_reviewers_see_the_name_of_the_file(stage: Stage, digests: list[str]) -> None:
    """Beside the image, without opening anything."""
    (held,) = stage.of_project("items", params={"q": "work = leased"})["items"]
    person = stage.browser.new_page()
    person.goto(f"{stage.url}/#token={stage.service.tokens['reviewer']}&/shapes/review")
    expect(person.locator("[data-testid=file]")).to_have_text(held["meta"]["path"].split("/")[1])
    person.close()


def test_5_chosen_items_with_truth_become_golden(stage: Stage, digests: list[str]) -> None:
    """The others are told, before and after, and stay as they are."""
    known = [one["digest"] for one in stage.of_project("items", params={"q": "has truth"})["items"]]
    assert len(known) == 3
    stage.there_is("query").fill("width < 45")
    stage.page.keyboard.press("Enter")
    expect(stage.there_is("items-count")).to_have_text("5 items")
    stage.there_is("choose-all").click()
    stage.there_is("golden-chosen").click()
    expect(stage.there_is("without-truth")).to_contain_text("2 chosen items have no ground truth to trust")
    stage.there_is("make-golden-dialog").get_by_role("button", name="Make 3 items golden").click()
    stage.told("3 items are golden")
    assert sorted(one["item_digest"] for one in stage.of_project("golden")["golden"]) == sorted(known)
    (bare,) = set(digests[4:5])
    stage.there_is(f"item-{bare}").get_by_role("checkbox").check()
    stage.there_is("golden-chosen").click()
    expect(stage.there_is("confirm")).to_be_disabled()
    stage.there_is("make-golden-dialog").get_by_label("Close").click()


@pytest.mark.parametrize("width", [1280, 900])
def test_9_nothing_is_cut_off(stage: Stage, width: int) -> None:
    nothing_is_cut_off(stage, ("items",), width)
