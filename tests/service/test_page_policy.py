"""The page's policy and its clips, in a browser, over the API without Ray."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from tests.clips import pictures, video
from tests.service.operating import Stage, nothing_is_cut_off, others_load_none_of, staged
from tests.test_dispatching import until

VIEWS = ("policy", "clips")

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("policy"), sqlite_template, "policy") as started:
        yield started


def policy_of(stage: Stage) -> dict:
    return stage.call("GET", "projects/shapes")["policy"]


def saved(stage: Stage, document: dict) -> None:
    """Up to what the page asks or answers."""
    stage.there_is("policy-document").click()
    stage.there_is("policy-text").fill(json.dumps(document))
    stage.there_is("save-policy").click()


def test_1_an_empty_project_says_what_to_do_first(stage: Stage) -> None:
    """In no view is its state an error, and no cycle can be started that has nothing to train on."""
    stage.call("POST", "projects", json={"id": "empty", "labels": ["cat", "dog"]})
    page = stage.page
    page.goto("about:blank")
    page.goto(f"{stage.url}/#/empty/review")
    first = stage.there_is("first-steps")
    for command in ("askance models add WEIGHTS --project empty", "askance items add FOLDER --project empty"):
        expect(first).to_contain_text(command)
    expect(page.get_by_text("Nothing to review yet")).to_be_visible()
    stage.show("quality")
    expect(stage.there_is("no-model")).to_have_count(3)
    stage.show("overview")
    expect(first).to_be_visible()
    expect(stage.there_is("start-cycle")).to_be_disabled()
    for view in ("quality", "lots", "overview", "items", "map", "reviewers", "work"):
        stage.show(view)
        expect(page.get_by_text("Fetching")).to_have_count(0)
        expect(page.locator(".callout.error")).to_have_count(0)
    page.goto(f"{stage.url}/#/shapes/overview")
    expect(stage.there_is("start-cycle")).to_be_disabled()
    stage.predict(1)
    stage.answer("reviewer", 5.0)
    expect(stage.there_is("start-cycle")).to_be_enabled(timeout=15_000)
    stage.show("policy")


def test_1_what_differs_of_a_policy_is_shown_then_saved_and_the_rest_stays(stage: Stage) -> None:
    """Also what somebody else changed since the text was begun."""
    expect(stage.there_is("policy-version")).to_have_text("version 1")
    stage.there_is("policy-document").click()
    document = json.loads(stage.there_is("policy-text").input_value())
    before = policy_of(stage)
    assert document == {name: value for name, value in before.items() if name != "version"}

    document["workflow"]["lots"]["size"] = 50
    saved(stage, document | {"treshold": 0.25})
    expect(stage.there_is("policy-refused")).to_contain_text("did you mean threshold?")
    saved(stage, document | {"threshold": 7})
    stage.there_is("confirm").click()
    refused = stage.there_is("policy-refused")
    expect(refused).to_contain_text("threshold: Input should be")
    expect(refused).to_contain_text("See /openapi.json")
    assert '"threshold": 7' in stage.there_is("policy-text").input_value()
    assert policy_of(stage) == before

    stage.policy(audit_rate=0.9)
    saved(stage, document | {"threshold": 0.25})
    lines = stage.there_is("policy-changes").locator("li")
    expect(lines).to_have_text(["threshold0 → 0.25", "workflow.lots.size200 → 50"])
    expect(stage.there_is("sure-dialog")).to_contain_text("begun from version 1, and the newest is 2")
    stage.there_is("confirm").click()
    stage.told("Policy version 3")
    expect(stage.there_is("policy-version")).to_have_text("version 3")
    lots = {**before["workflow"]["lots"], "size": 50}
    changed = {"threshold": 0.25, "audit_rate": 0.9, "workflow": {**before["workflow"], "lots": lots}, "version": 3}
    assert policy_of(stage) == before | changed


def test_1_form_and_document_are_two_views_of_one_draft(stage: Stage) -> None:
    """Settings are typed in their units, those that mean nothing now are not shown, and what the form does not have
    stays. What is out of range is told before anything is sent."""
    before = policy_of(stage)
    stage.there_is("policy-document").click()
    document = json.loads(stage.there_is("policy-text").input_value())
    weight = document["queue"]["risk_weight"] + 1
    document["queue"]["risk_weight"] = weight
    stage.there_is("policy-text").fill(json.dumps(document))
    stage.there_is("policy-form").click()
    stage.there_is("setting-audit_rate").fill("250")
    stage.there_is("save-policy").click()
    expect(stage.there_is("policy-refused")).to_contain_text("Audit rate: Give 0 to 100 %.")
    stage.there_is("setting-audit_rate").fill("2.5")
    stage.there_is("setting-lease_seconds").fill("420")
    stage.there_is("setting-queue.max_leases").fill("12")
    expect(stage.there_is("setting-workflow.share")).to_have_count(0)
    stage.there_is("setting-workflow.qa").select_option("share")
    stage.there_is("setting-workflow.share").fill("30")
    stage.there_is("setting-quality.golden.training").check()
    stage.there_is("policy-document").click()
    assert json.loads(stage.there_is("policy-text").input_value())["audit_rate"] == 0.025
    stage.there_is("policy-form").click()
    stage.there_is("save-policy").click()
    expect(stage.there_is("policy-changes").locator("li")).to_have_count(7)
    stage.there_is("confirm").click()
    stage.told("7 values changed")
    now = policy_of(stage)
    assert (now["audit_rate"], now["lease_seconds"], now["workflow"]["share"]) == (0.025, 420, 0.3)
    assert now["queue"] == before["queue"] | {"risk_weight": weight, "max_leases": 12}
    stage.policy(workflow={"qa": "off"}, audit_rate=before["audit_rate"])


def test_1_when_a_project_trains_by_itself_is_set_in_the_page(stage: Stage) -> None:
    """Only what was changed is sent; an empty field takes a trigger away."""
    stage.call("PATCH", "projects/shapes/triggers", json={"corrected": 30})
    stage.show("overview")
    stage.show("policy")
    expect(stage.there_is("setting-corrected")).to_have_value("30")
    expect(stage.there_is("save-triggers")).to_be_disabled()
    stage.there_is("setting-failure_rate").fill("120")
    stage.there_is("save-triggers").click()
    expect(stage.there_is("triggers-refused")).to_contain_text("Above a failure rate: Give 0.01 to 99.99 %")
    stage.there_is("setting-failure_rate").fill("7.5")
    stage.there_is("setting-corrected").fill("")
    stage.there_is("setting-drift").check()
    stage.there_is("save-triggers").click()
    stage.told("3 values changed")
    rules = stage.of_project("triggers")["rules"]
    assert (rules["failure_rate"], rules["corrected"], rules["drift"]) == (0.075, None, True)
    stage.call("PATCH", "projects/shapes/triggers", json={"failure_rate": None, "drift": False})


def test_1_triggers_that_hold_together_are_set_in_the_page(stage: Stage) -> None:
    """Groups, in each of which all must hold; one that is taken away is in no group any more. Overview tells each
    one's state."""
    stage.show("overview")
    stage.show("policy")
    stage.there_is("setting-corrected").fill("200")
    stage.there_is("setting-failure_rate").fill("5")
    stage.there_is("setting-drift").check()
    stage.there_is("together").select_option("groups")
    stage.there_is("group-0").get_by_label("On drift").uncheck()
    expect(stage.there_is("group-1").get_by_label("On drift")).to_be_checked()
    stage.there_is("save-triggers").click()
    stage.told("4 values changed")
    found = stage.of_project("triggers")
    assert found["rules"]["when"] == {"any": [{"all": ["corrected", "failure_rate"]}, "drift"]}
    stage.show("overview")
    told = "A cycle begins at 200 items corrected and a failure rate surely above 5%, or the drift alarm."
    expect(stage.there_is("triggers-together")).to_have_text(told)
    expect(stage.there_is("trigger-corrected")).to_contain_text("no")
    expect(stage.there_is("triggers")).to_contain_text(found["waiting"])
    stage.show("policy")
    stage.there_is("setting-failure_rate").fill("")
    stage.there_is("save-triggers").click()
    stage.told("2 values changed")
    assert stage.of_project("triggers")["rules"]["when"] == {"any": ["corrected", "drift"]}
    stage.call("PATCH", "projects/shapes/triggers", json={"corrected": None, "drift": False, "when": None})


def test_1_times_of_the_clock_are_typed_in_the_page(stage: Stage) -> None:
    """What is wrong is told at the field, by the page or by the service, and stays to be mended; what is saved is told
    with its next times. Without a time there are none."""
    stage.show("overview")
    stage.show("policy")
    at, zone = stage.there_is("setting-schedule.at"), stage.there_is("setting-schedule.zone")
    told, refused = stage.there_is("schedule-told"), stage.there_is("schedule-refused")
    expect(zone).to_have_count(0)
    at.fill("2:30")
    stage.there_is("save-triggers").click()
    expect(refused).to_contain_text("Give a time as 02:30")
    expect(stage.there_is("triggers-refused")).to_contain_text("At times of the clock: Give a time as 02:30")
    at.fill("02:30")
    for day in ("thu", "mon"):
        stage.there_is(f"schedule-{day}").check()
    zone.fill("Asia/Kalkutta")
    stage.there_is("save-triggers").click()
    expect(refused).to_contain_text("schedule.zone is 'Asia/Kalkutta', which is no time zone")
    zone.fill("Asia/Kolkata")
    expect(told).to_have_text("Monday and Thursday at 02:30 in Asia/Kolkata. Its next times show once it is saved.")
    stage.there_is("save-triggers").click()
    stage.told("1 value changed")
    found = stage.of_project("triggers")
    assert found["rules"]["schedule"] == {"at": "02:30", "days": ["mon", "thu"], "zone": "Asia/Kolkata"}
    there = [datetime.fromisoformat(time).astimezone(ZoneInfo("Asia/Kolkata")) for time in found["next_times"]]
    words = "; ".join(f"{time:%a} {time.day} {time:%b} 02:30" for time in there)
    expect(told).to_have_text(f"Monday and Thursday at 02:30 in Asia/Kolkata. Next: {words}.")
    at.fill("")
    stage.there_is("save-triggers").click()
    stage.told("1 value changed")
    assert stage.of_project("triggers")["rules"]["schedule"] is None


def test_1_triggers_that_another_operator_changed_meanwhile_are_not_written_over_unseen(stage: Stage) -> None:
    """What was changed is shown; who has seen it goes on with what was typed, and what the other changed besides
    stays."""
    stage.there_is("setting-corrected").fill("32")
    stage.call("PATCH", "projects/shapes/triggers", json={"corrected": 500, "quiet_hours": 7})
    stage.there_is("save-triggers").click()
    expect(stage.there_is("triggers-refused")).to_contain_text("somebody has changed the triggers of shapes")
    lines = stage.there_is("triggers-changes").locator("li")
    expect(lines).to_have_text(["correctednull → 500", "quiet_hours1 → 7"])
    expect(stage.there_is("setting-corrected")).to_have_value("32")
    expect(stage.there_is("setting-quiet_hours")).to_have_value("7")
    stage.there_is("go-on").click()
    expect(lines).to_have_count(0)
    stage.there_is("save-triggers").click()
    stage.told("1 value changed")
    rules = stage.of_project("triggers")["rules"]
    assert (rules["corrected"], rules["quiet_hours"]) == (32, 7)
    stage.call("PATCH", "projects/shapes/triggers", json={"corrected": None, "quiet_hours": 1})


def test_1_what_is_not_saved_is_there_when_one_comes_back(stage: Stage) -> None:
    """From another view, and after a reload, until it is thrown away."""
    before = stage.there_is("setting-lease_seconds").input_value()
    stage.there_is("setting-lease_seconds").fill("421")
    stage.there_is("setting-corrected").fill("31")
    stage.show("webhooks")
    stage.show("policy")
    for again in (False, True):
        if again:
            stage.page.reload()
        expect(stage.there_is("setting-lease_seconds")).to_have_value("421")
        expect(stage.there_is("setting-corrected")).to_have_value("31")
        expect(stage.there_is("not-saved")).to_have_count(2)
    for start_again in stage.page.get_by_role("button", name="Start again").all():
        start_again.click()
    expect(stage.there_is("not-saved")).to_have_count(0)
    expect(stage.there_is("setting-corrected")).to_have_value("")
    stage.show("webhooks")
    stage.show("policy")
    expect(stage.there_is("setting-lease_seconds")).to_have_value(before)


def test_2_a_video_becomes_frames_and_tasks(stage: Stage, tmp_path: Path) -> None:
    """What is no video is refused with what to do."""
    stage.show("clips")
    expect(stage.there_is("groups")).to_contain_text("None yet.")
    for name, content in (("no.mp4", b"nothing"), ("drive.mp4", video(pictures(8)))):
        (tmp_path / name).write_bytes(content)
    stage.there_is("clip-file").set_input_files(tmp_path / "no.mp4")
    stage.there_is("send-clip").click()
    expect(stage.there_is("clip-refused").locator("p")).to_have_count(2)
    stage.there_is("toast").get_by_label("Dismiss").click()

    stage.there_is("clip-file").set_input_files(tmp_path / "drive.mp4")
    stage.there_is("clip-number").fill("2")
    stage.there_is("clip-source").fill("camera-3")
    stage.there_is("send-clip").click()
    expect(stage.there_is("clip-came")).to_contain_text("drive.mp4: 4 frames added, 4 in all.")
    stage.told("The video was read")
    (group,) = stage.of_project("groups")["groups"]
    row = stage.there_is(f"group-{group['id']}")
    expect(row).to_contain_text("complete")

    row.get_by_role("button").click()
    stage.there_is("tasks-window").fill("2")
    stage.there_is("confirm").click()
    stage.told("2 tasks made")
    row.get_by_role("button").click()
    stage.there_is("confirm").click()
    expect(stage.there_is("tasks-refused").locator("p")).to_have_count(2)
    stage.there_is("tasks-dialog").get_by_label("Close").click()
    tasks = stage.of_project("summary")["tasks"]
    assert tasks["open"] + tasks["leased"] == 2  # where the page has shown the review, it asks for work now and then


def test_3_chosen_items_become_a_group(stage: Stage) -> None:
    """In the order in which they are listed, or came; what the service refuses stays open to be mended."""
    first, second, _ = stage.predict(3)
    stage.show("items")
    for digest in (first, second):
        stage.there_is(f"item-{digest}").get_by_role("checkbox").check()
    stage.there_is("group-chosen").click()
    expect(stage.there_is("group-dialog")).to_contain_text("Group 2 chosen items")
    expect(stage.there_is("confirm")).to_be_disabled()
    stage.there_is("group-name").fill("belt, morning")
    stage.there_is("group-kind").select_option("camera")
    stage.there_is("confirm").click()
    stage.told("belt, morning: 2 frames.")
    expect(stage.there_is("group-chosen")).to_be_disabled()
    made = stage.of_project("groups")["groups"][0]
    assert (made["kind"], made["name"], made["complete"]) == ("camera", "belt, morning", True)
    frames = stage.of_project(f"groups/{made['id']}")["page"]
    assert [frame["item_digest"] for frame in frames] == [first, second]


def test_4_other_views_know_a_policy_that_was_changed(stage: Stage) -> None:
    """In this page, or by somebody else while a view is looked at, without a reload."""
    stage.show("lots")
    expect(stage.there_is("lots")).to_contain_text("No new lots are made")
    stage.show("policy")
    stage.there_is("policy-document").click()
    document = json.loads(stage.there_is("policy-text").input_value())
    document["workflow"] |= {"qa": "lots", "lots": document["workflow"]["lots"] | {"size": 30}}
    saved(stage, document)
    stage.there_is("confirm").click()
    stage.told("Policy version")
    stage.show("lots")
    expect(stage.there_is("lots")).to_contain_text("Answers are judged in lots of 30")
    stage.policy(workflow={"lots": {"size": 40}})
    expect(stage.there_is("lots")).to_contain_text("Answers are judged in lots of 40", timeout=15_000)


def test_5_a_section_opens_where_it_was_left(stage: Stage) -> None:
    """And all of an operator's views fit into one row, and one for those of the section, at 1280 px."""
    stage.page.set_viewport_size({"width": 1280, "height": 800})
    stage.show("functions")
    stage.show("clips")
    stage.there_is("section-setup").click()
    expect(stage.there_is("tab-functions")).to_have_attribute("aria-current", "page")
    stage.show("review")
    expect(stage.there_is("queue-open")).to_be_visible()
    header = stage.page.locator("header.top").bounding_box()
    assert header is not None
    assert header["height"] <= 46
    expect(stage.page.locator("nav:not(.frames)")).to_have_count(1)  # work on a clip has one of its own


def test_5_an_unknown_project_is_told_and_nothing_of_another_is_leased(stage: Stage) -> None:
    """Those that there are can be opened from there."""
    stage.predict(1)
    tasks = stage.of_project("summary")["tasks"]
    assert tasks["open"] + tasks["leased"] > 0
    stage.page.goto(f"{stage.url}/#/nope/review")
    expect(stage.there_is("unknown-project")).to_contain_text("No project “nope”")
    stage.page.wait_for_load_state("networkidle")
    until(lambda: stage.of_project("summary")["tasks"]["leased"] == 0)  # what another view held is given back
    stage.page.goto(f"{stage.url}/#/nope/policy")
    stage.there_is("open-shapes").click()
    expect(stage.page).to_have_url(re.compile("#/shapes/policy$"))
    expect(stage.page.locator("section.card").first).to_be_visible()


@pytest.mark.parametrize("role", ["reviewer", "producer"])
def test_6_others_are_shown_none_of_it(stage: Stage, role: str) -> None:
    others_load_none_of(stage, VIEWS, role)


@pytest.mark.parametrize("width", [1670, 1280, 900, 800])
def test_7_nothing_is_cut_off(stage: Stage, width: int) -> None:
    """Nor are the names of the tabs, beside the figures of the queue."""
    nothing_is_cut_off(stage, ("review", *VIEWS), width)
