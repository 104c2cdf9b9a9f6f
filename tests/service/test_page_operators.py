"""What operators decide in the page beside models and maps: lots, reviewers, golden items, work and cost, webhooks and
comments. In a real browser against the API over a real store, without Ray; what was done is checked through the API."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from loop.domain.access import Role
from loop.domain.errors import Unauthenticated
from loop.domain.truth import Shape
from tests.service.operating import Stage, nothing_is_cut_off, others_load_none_of, staged
from tests.test_dispatching import until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

CIRCLE = Shape("circle", (20.0, 20.0, 90.0, 90.0))
SQUARE = Shape("square", (120.0, 120.0, 200.0, 190.0))
TRUSTED = [{"type": "box", "label": "circle", "box": [20, 20, 90, 90]}]
VIEWS = ("lots", "reviewers", "queue", "work", "webhooks", "comments")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("operators"), sqlite_template, "lots") as started:
        yield started


# --- nothing yet ---------------------------------------------------------------------------------------------


def test_1_a_view_with_nothing_in_it_says_how_that_changes(stage: Stage) -> None:
    """And no view shows an error for want of work."""
    for view, words in {
        "lots": "No lot yet",
        "reviewers": "nothing tells how good people are",
        "queue": "Nothing waits for people",
        "work": "Nobody has answered in the last 30 days",
        "webhooks": "Add an address",
        "comments": "Nothing is open",
    }.items():
        stage.show(view)
        expect(stage.page.get_by_text(words)).to_be_visible()
        expect(stage.page.get_by_text("Fetching")).to_have_count(0)
        assert stage.there_is("not-fetched").count() == 0, view


# --- reviewers and golden items ------------------------------------------------------------------------------


def test_2_golden_items_are_added_by_id_and_taken_back(stage: Stage) -> None:
    """What has no truth is refused with what to do, stays to be mended, and keeps no other from being added."""
    for name in ("ada", "bob", "cyd", "dan"):
        token, stage.service.tokens[name] = stage.service.services.tokens.create(name, Role.REVIEWER, "shapes")
        stage.people[name] = token.id
    stage.policy(quality={"standing": {"bar": 0.8, "confidence": 0.9, "min_items": 3, "window": 20}})
    stage.predict(4)
    answered = [stage.answer("ada", 20.0 + number, CIRCLE) for number in range(3)]
    (bare,) = stage.predict(1)
    stage.show("reviewers")
    stage.there_is("add-golden").click()
    dialog = stage.there_is("add-golden-dialog")
    dialog.locator("textarea").fill("\n".join([answered[0][:8], *answered[1:], bare]))
    dialog.locator("[data-testid=confirm]").click()
    expect(stage.there_is("golden-refused")).to_contain_text(bare)
    expect(stage.there_is("golden-refused")).to_contain_text("no ground truth to trust")
    expect(dialog.locator("textarea")).to_have_value(bare)
    dialog.get_by_label("Close").click()
    stage.told("3 items are golden")
    stage.golden = [one["item_digest"] for one in stage.of_project("golden")["golden"]]
    assert sorted(stage.golden) == sorted(answered)
    row = stage.there_is(f"golden-{answered[0]}")
    expect(row.locator("img")).to_be_visible()
    row.locator("[data-testid=remove-golden]").click()
    stage.there_is("remove-golden-dialog").locator("[data-testid=confirm]").click()
    stage.told("Golden no more")
    assert len(stage.of_project("golden")["golden"]) == 2


def test_3_figures_of_reviewers_have_their_intervals(stage: Stage) -> None:
    """As the API has them; who is warned or paused, and why."""
    digests = _golden_items(stage, 8)
    stage.policy(quality={"golden": {"rate": 1.0}})
    for name, shapes in (("ada", (CIRCLE,)), ("bob", (SQUARE,))):
        for number in range(len(digests)):
            stage.answer(name, 12.0 + number, *shapes)
    stage.policy(quality={"golden": {"rate": 0.0}})
    known = {one["name"]: one for one in stage.of_project("reviewers")["reviewers"]}
    assert known["bob"]["standing"] != "qualified"
    stage.page.reload()
    for one in known.values():
        row = stage.there_is(f"reviewer-{one['id']}")
        expect(row).to_contain_text(one["standing"])
        expect(row).to_contain_text(str(one["items"]))
        for why in [one["why"]] if one["why"] else [reason["detail"] for reason in one["reasons"]]:
            expect(row).to_contain_text(why)
        if one["precision"] and one["precision"]["value"] is not None:
            low, high = (f"{100 * one['precision'][end]:.0f}" for end in ("low", "high"))
            expect(row).to_contain_text(f"{low}–{high}%")


def test_4_a_reviewer_is_paused_with_a_reason(stage: Stage) -> None:
    """No reason, no pause; then the person is told, and the address names who is shown."""
    stage.there_is(f"reviewer-{stage.people['ada']}").get_by_role("button").click()
    expect(stage.page).to_have_url(re.compile(f"#/shapes/reviewers/{stage.people['ada']}$"))
    expect(stage.there_is("reviewer-labels")).to_contain_text("circle")
    stage.there_is("change-standing").click()
    dialog = stage.there_is("standing-dialog")
    expect(dialog.locator("[data-testid=confirm]")).to_be_disabled()
    dialog.locator("[data-testid=new-standing]").select_option("paused")
    expect(dialog.locator("[data-testid=confirm]")).to_be_disabled()
    dialog.locator("[data-testid=reason]").fill("draws too wide")
    stage.page.keyboard.press("Enter")
    stage.told("ada is paused")
    expect(stage.there_is("standing")).to_have_text("paused")
    expect(stage.there_is("standing-why")).to_contain_text("draws too wide")
    ada = stage.of_project("reviewers/ada")
    assert (ada["standing"], ada["why"], ada["actor"]) == ("paused", "draws too wide", "operator")
    stage.call("PATCH", "projects/shapes/reviewers/ada", json={"standing": "qualified", "reason": "better"})
    stage.call("PATCH", "projects/shapes/reviewers/bob", json={"standing": "qualified", "reason": "better"})


def test_5_what_tasks_somebody_gets_is_changed_beside(stage: Stage) -> None:
    """Groups and limits; a field that is empty is as the project says."""
    card = stage.there_is("person")
    expect(card.get_by_role("button")).to_be_disabled()
    card.get_by_label("Groups").fill("leads, night")
    card.get_by_label("Tasks a day").fill("40")
    card.get_by_role("button").click()
    stage.told("Changed")
    (ada,) = (one for one in stage.call("GET", "people") if one["name"] == "ada")
    assert (ada["groups"], ada["max_tasks_a_day"], ada["max_leases"]) == (["leads", "night"], 40, None)
    stage.page.go_back()
    expect(stage.there_is("reviewers")).to_be_visible()


# --- work and cost -------------------------------------------------------------------------------------------


def test_5_a_token_is_made_for_somebody_and_revoked(stage: Stage) -> None:
    """Its secret is shown once; whom it was made for is a reviewer then, and nobody once it is revoked."""
    stage.show("reviewers")
    stage.there_is("add-token").click()
    stage.there_is("token-name").fill("flo")
    stage.there_is("make-token").click()
    expect(stage.there_is("made-token")).to_contain_text("The token of flo, shown once")
    secret = stage.there_is("secret").inner_text()
    authenticate = stage.service.services.tokens.authenticate
    assert (authenticate(secret).name, authenticate(secret).project_id) == ("flo", "shapes")
    stage.there_is("token-name").fill("flo")
    stage.page.keyboard.press("Enter")
    expect(stage.there_is("token-refused")).to_contain_text("there is a reviewer token 'flo'")
    stage.there_is("token-done").click()
    row = stage.there_is("token-flo")
    expect(row).to_contain_text("reviewer")
    row.locator("[data-testid=revoke-token]").click()
    stage.there_is("sure-dialog").locator("[data-testid=confirm]").click()
    stage.told("flo is out")
    expect(row).to_have_count(0)
    with pytest.raises(Unauthenticated):
        authenticate(secret)
    expect(stage.there_is("token-operator").locator("[data-testid=revoke-token]")).to_be_disabled()


def test_6_work_is_told_with_its_times(stage: Stage) -> None:
    """By whatever was chosen."""
    stage.policy(queue={"people": {"audit": 2, "annotate": 2}, "people_share": 1.0})
    while stage.service.call("GET", "/v1/projects/shapes/summary").json()["tasks"].get("open", 0):
        stage.answer("cyd", 30.0, CIRCLE)
    stage.predict(3)
    for name, shapes in (("ada", (CIRCLE,)), ("bob", (SQUARE,))):
        for _ in range(3):
            stage.answer(name, 45.0, *shapes)
    stage.policy(queue={"people": {"audit": 1, "annotate": 1}, "people_share": 0.0})
    while stage.service.call("GET", "/v1/projects/shapes/summary").json()["tasks"].get("open", 0):
        stage.answer("cyd", 30.0, CIRCLE)
    stage.show("work")
    work = stage.there_is("work")
    rows = stage.of_project("work", params={"by": "reviewer"})["rows"]
    for row in rows:
        shown = work.get_by_role("row").filter(has=stage.page.get_by_role("rowheader", name=row["name"], exact=True))
        expect(shown).to_contain_text(f"{row['hours']:.2f} h")
    stage.there_is("work-by").select_option("label")
    expect(work.get_by_role("rowheader", name="circle")).to_be_visible()


def test_7_rates_make_money_of_minutes(stage: Stage) -> None:
    """Of everybody, and of single people; what cannot be is refused before it is sent."""
    spent = stage.there_is("cost-spent")
    expect(stage.there_is("cost")).to_contain_text("no rate is known")
    stage.there_is("change-rates").click()
    dialog = stage.there_is("rates-dialog")
    dialog.locator("[data-testid=per-hour]").fill("cheap")
    expect(dialog.get_by_role("alert")).to_contain_text("0 or more")
    dialog.locator("[data-testid=currency]").fill("chf")
    dialog.locator("[data-testid=per-hour]").fill("30")
    dialog.get_by_label("bob").fill("60")
    dialog.locator("[data-testid=confirm]").click()
    stage.told("Rates changed")
    expect(spent).to_contain_text("CHF")
    assert stage.of_project("cost/rates") == {
        "currency": "CHF", "per_hour": 30.0, "people": {stage.people["bob"]: 60.0},
    }  # fmt: skip
    total = stage.of_project("cost", params={"by": "label"})["total"]
    expect(spent).to_have_text(f"CHF {total['money']:.2f}")
    expect(stage.there_is("cost-saved")).to_contain_text("CHF")
    expect(stage.there_is("bias-waits")).to_contain_text("blind_share")


def test_8_experts_are_asked_for_ambiguous_items(stage: Stage) -> None:
    """After a question; without a group of experts nobody could be asked."""
    expect(stage.there_is("ambiguous-item")).to_have_count(3)
    expect(stage.there_is("requeue")).to_be_disabled()
    stage.call("PATCH", f"people/{stage.people['dan']}", json={"groups": ["experts"]})
    stage.policy(queue={"expert_group": "experts"})
    stage.page.reload()
    stage.there_is("requeue").click()
    stage.there_is("requeue-dialog").locator("[data-testid=confirm]").click()
    stage.told("3 items are open again for the experts")
    hard = {item["item_digest"] for item in stage.of_project("items/ambiguous")["items"]}
    assert {stage.answer("dan", 60.0, CIRCLE) for _ in range(3)} == hard


def test_8_automation_bias_is_told_with_its_interval(stage: Stage) -> None:
    """Once there are answers of both kinds."""
    stage.policy(score_threshold=0.0001)
    for share, shapes in ((1.0, (CIRCLE, SQUARE)), (1e-12, ())):
        stage.policy(queue={"blind_share": share})
        stage.predict(10)
        for _ in range(10):
            stage.answer("cyd", 25.0, *shapes)
    stage.page.reload()
    found = stage.of_project("bias")
    bias = stage.there_is("bias")
    for name in ("difference", "low", "high"):
        expect(bias).to_contain_text(f"{found[name]:+.2f}".replace("-", "−"))
    expect(stage.there_is("bias-verdict")).to_contain_text("let stand" if found["found"] else "bias")
    stage.policy(queue={"blind_share": 0.0})


# --- lots ----------------------------------------------------------------------------------------------------


def test_9_a_lot_shows_its_numbers_and_what_its_plan_can_tell(stage: Stage) -> None:
    """In the list and by itself; the curve in numbers too, as the API has it."""
    lots = {"size": 8, "plan": "share", "share": 0.5, "threshold": 0.25}
    stage.policy(workflow={"qa": "lots", "lots": lots}, queue={"expert_group": ""})
    stage.predict(12)
    for _ in range(8):
        stage.answer("ada", 15.0, CIRCLE)
    stage.service.services.lots.advance_all()
    _correct_one(stage)
    stage.show("lots")
    full = next(lot for lot in stage.of_project("lots")["lots"] if lot["state"] == "inspecting")
    row = stage.there_is(f"lot-{full['id']}")
    expect(row).to_contain_text("inspecting")
    row.get_by_role("button").press("Enter")
    expect(stage.there_is("all-lots")).to_be_focused()
    expect(stage.there_is("lot-inspected")).to_have_text("1")
    expect(stage.there_is("lot-defects")).to_have_text("1")
    expect(stage.there_is("lot-item")).to_have_count(8)
    expect(stage.there_is("lot-item").first.locator("img")).to_be_visible()
    curve = stage.of_project("lots/curve", params=lots)
    stage.there_is("lot-curve").get_by_text("In numbers").click()
    for point in curve["points"][:3]:
        expect(stage.there_is("lot-curve").get_by_role("table")).to_contain_text(f"{point['accepts']:.3f}")
    stage.page.reload()
    expect(stage.there_is("lot-state")).to_have_text("inspecting")


def test_10_a_lot_is_decided_by_hand_and_opened_again(stage: Stage) -> None:
    """With a reason that is kept. Somebody else's decision meanwhile is not overruled unseen."""
    lot = next(one for one in stage.of_project("lots")["lots"] if one["state"] == "inspecting")
    stage.there_is("accept-lot").click()
    dialog = stage.there_is("decide-lot-dialog")
    expect(dialog.locator("[data-testid=reason]")).to_be_focused()
    dialog.locator("[data-testid=reason]").fill("looked at all of them")
    stage.page.keyboard.press("Enter")
    stage.told("Accepted")
    expect(stage.there_is("lot-state")).to_have_text("accepted")
    decided = stage.of_project(f"lots/{lot['id']}")
    assert (decided["state"], decided["actor"], decided["reason"]) == ("accepted", "operator", "looked at all of them")
    expect(stage.there_is("accept-lot")).to_be_disabled()

    stage.there_is("reopen-lot").click()
    dialog.locator("[data-testid=reason]").fill("a defect was found later")
    stage.call("POST", f"projects/shapes/lots/{lot['id']}/reopen", json={"reason": "by another"})
    stage.page.keyboard.press("Enter")
    expect(stage.there_is("dialog-refused")).to_contain_text("rejected")
    expect(dialog.locator("[data-testid=reason]")).to_have_value("a defect was found later")
    dialog.get_by_label("Close").click()
    expect(stage.there_is("lot-reason")).to_contain_text("by another")
    stage.there_is("all-lots").click()
    expect(stage.there_is(f"lot-{lot['id']}")).to_contain_text("rejected")


# --- webhooks ------------------------------------------------------------------------------------------------


def test_11_an_endpoint_is_added_and_its_secret_shown_once(stage: Stage) -> None:
    """With the types of events that were ticked; the secret signs what is sent, as a ping. An address that is refused
    stays with what is wrong."""
    stage.show("webhooks")
    stage.there_is("add-webhook").click()
    dialog = stage.there_is("add-webhook-dialog")
    dialog.locator("[data-testid=webhook-url]").fill("ftp://example.org/hook")
    dialog.get_by_label("task.created").check()
    dialog.locator("[data-testid=confirm]").click()
    expect(stage.there_is("dialog-refused")).to_be_visible()
    expect(dialog.locator("[data-testid=webhook-url]")).to_have_value("ftp://example.org/hook")
    dialog.locator("[data-testid=webhook-url]").fill(stage.there.url)
    dialog.locator("[data-testid=confirm]").click()
    stage.there.secret = stage.there_is("secret").inner_text()
    stage.there_is("kept").click()
    assert stage.there_is("secret").count() == 0
    (endpoint,) = stage.call("GET", "webhooks")["webhooks"]
    assert (endpoint["types"], endpoint["project_id"]) == (["task.created"], "shapes")
    stage.there_is(f"endpoint-{endpoint['id']}").get_by_role("button").click()
    stage.there_is("ping").click()
    stage.told("It answered 204")
    assert (len(stage.there.accepted), stage.there.forged) == (1, [])


def test_12_one_dead_delivery_is_replayed_and_then_all(stage: Stage) -> None:
    """With their last error and each attempt; those that were not asked for stay dead."""
    stage.there.conduct = lambda _request, _before: 500
    stage.policy(workflow={"qa": "off"})
    stage.predict(3)
    (endpoint,) = stage.call("GET", "webhooks")["webhooks"]
    until(lambda: stage.call("GET", "webhooks")["webhooks"][0]["dead"] == 3)
    expect(stage.there_is("endpoint-state")).to_have_text("failing")
    stage.there_is("deliveries-state").select_option("dead")
    dead = stage.page.locator("tr[data-testid^=delivery-]")
    expect(dead).to_have_count(3)
    expect(dead.first).to_contain_text("500")
    name = str(dead.first.get_attribute("data-testid")).removeprefix("delivery-")
    dead.first.get_by_role("button", name="task.created").click()
    expect(stage.there_is("deliveries").locator("pre")).to_contain_text('"task_id"')
    stage.there.conduct = lambda _request, _before: 204
    dead.first.locator("[data-testid=replay]").click()
    stage.told("Sent again")
    path = f"webhooks/{endpoint['id']}/deliveries"
    until(lambda: stage.call("GET", f"{path}/{name}")["state"] == "delivered")
    assert len(stage.call("GET", path, params={"state": "dead"})["deliveries"]) == 2
    expect(dead).to_have_count(2)
    stage.there_is("replay-all").click()
    stage.there_is("sure-dialog").locator("[data-testid=confirm]").click()
    stage.told("Replayed")
    until(lambda: stage.call("GET", path, params={"state": "dead"})["deliveries"] == [])
    expect(stage.there_is("endpoint-backlog")).to_have_text("nothing waits")


def test_13_an_endpoint_is_paused_resumed_and_removed(stage: Stage) -> None:
    """Each after a question, but for resuming; a new secret is shown once."""
    (endpoint,) = stage.call("GET", "webhooks")["webhooks"]
    stage.there_is("pause").click()
    stage.there_is("pause-webhook-dialog").locator("[data-testid=confirm]").click()
    stage.told("Paused")
    assert stage.call("GET", f"webhooks/{endpoint['id']}")["enabled"] is False
    stage.there_is("resume").click()
    stage.told("Resumed")
    assert stage.call("GET", f"webhooks/{endpoint['id']}")["enabled"] is True
    stage.there_is("rotate").click()
    stage.there_is("sure-dialog").locator("[data-testid=confirm]").click()
    new = stage.there_is("secret").inner_text()
    assert new.startswith("whsec_")
    assert new != stage.there.secret
    stage.there_is("kept").click()
    expect(stage.there_is("endpoint")).to_contain_text("The old secret signs until")
    stage.there_is("remove").click()
    stage.there_is("sure-dialog").locator("[data-testid=confirm]").click()
    stage.told("Removed")
    assert stage.call("GET", "webhooks")["webhooks"] == []
    expect(stage.there_is("endpoints")).to_be_visible()


# --- comments ------------------------------------------------------------------------------------------------


def test_14_a_question_is_answered_and_resolved(stage: Stage) -> None:
    """Open ones are listed, of the kind that was chosen; the answer is there for who asked."""
    stage.predict(1)
    task = stage.call("POST", "projects/shapes/tasks/lease", "cyd", json={"count": 4})["tasks"][-1]
    digest = task["item_digest"]
    asked = stage.call(
        "POST", f"projects/shapes/items/{digest}/comments", "cyd",
        json={"text": "Does a dented circle count?", "kind": "question", "task_id": task["id"], "at": [20, 20]},
    )  # fmt: skip
    stage.show("comments")
    thread = stage.there_is(f"thread-{asked['id']}")
    expect(thread).to_contain_text("Does a dented circle count?")
    stage.there_is("comments-kind").select_option("issue")
    expect(thread).to_have_count(0)
    stage.there_is("comments-kind").select_option("question")
    thread.get_by_label("Reply to").fill("It does.")
    stage.page.keyboard.press("Enter")
    stage.told("Sent")
    thread.locator("[data-testid=settle]").click()
    stage.told("Resolved")
    expect(thread).to_have_count(0)
    (seen,) = stage.of_project(f"items/{digest}/comments", role="cyd")["comments"]
    assert (seen["state"], [reply["text"] for reply in seen["replies"]]) == ("resolved", ["It does."])


# --- who sees it, and where ----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["reviewer", "producer"])
def test_15_others_are_shown_none_of_it(stage: Stage, role: str) -> None:
    """Golden items, standings and lots would tell them what their work is; nothing of these views is even loaded."""
    others_load_none_of(stage, VIEWS, role)


def test_16_what_cannot_be_fetched_says_so_and_is_asked_for_again(stage: Stage) -> None:
    """At a click. What was there stays, and is told to be old."""
    page = stage.page
    page.route("**/lots?*", lambda route: route.abort())
    stage.show("lots")
    expect(stage.there_is("not-fetched")).to_contain_text("No connection")
    page.unroute("**/lots?*")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("[data-testid^=lot-]").first).to_be_visible()
    page.route("**/lots?*", lambda route: route.abort())
    expect(page.get_by_text("what is shown may be old")).to_be_visible(timeout=15_000)
    expect(page.locator("[data-testid^=lot-]").first).to_be_visible()
    page.unroute_all(behavior="wait")


@pytest.mark.parametrize("width", [1280, 800])
def test_17_nothing_is_cut_off(stage: Stage, width: int) -> None:
    """At the width of a laptop and of half a screen the page itself never scrolls sideways, and all views are named."""
    nothing_is_cut_off(stage, VIEWS, width)


# --- hands ---------------------------------------------------------------------------------------------------


def _golden_items(stage: Stage, count: int) -> list[str]:
    """Items that are golden, and no tasks any more."""
    stage.policy(threshold=1.0, audit_rate=0.0)
    digests = stage.predict(count)
    stage.policy(threshold=0.0)
    for digest in digests:
        stage.call("PUT", f"projects/shapes/items/{digest}/golden", json={"shapes": TRUSTED})
    stage.predict(2 * count)
    return digests


def _correct_one(stage: Stage) -> None:
    """bob looks at the next answer in QA, and corrects it."""
    held = stage.call("POST", "projects/shapes/tasks/lease", "bob", json={"count": 20})["tasks"]
    task = next(task for task in held if task["stage"] == "qa")
    shapes = [{"type": "box", "label": "square", "box": [120, 120, 200, 190]}]
    stage.call("POST", f"tasks/{task['id']}/submit", "bob", json={"epoch": task["epoch"], "shapes": shapes})
