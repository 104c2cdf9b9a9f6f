"""What the page tells of promises, of the quality of production, of items and cycles, and how long callers wait. In a
real browser against the API over a real store, without Ray."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from loop.domain.identity import digest_of
from loop.domain.prediction import Detection
from loop.domain.truth import Shape
from tests.api.test_recipes import Bench, _working, cycled
from tests.service.operating import Stage, nothing_is_cut_off, others_load_none_of, staged
from tests.test_dispatching import until
from tests.tiny_models import tiny_weights

SQUARE = Shape("square", (120.0, 120.0, 200.0, 190.0))
CIRCLE = Shape("circle", (20.0, 20.0, 90.0, 90.0))
TRUTH = [{"type": "box", "label": shape.label, "box": list(shape.box)} for shape in (CIRCLE, SQUARE)]
OVER = "nobody waits any more; your answer still counts"

VIEWS = ("quality", "items")

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("quality"), sqlite_template, "comments") as started:
        yield started


# --- nothing yet ---------------------------------------------------------------------------------------------


def test_1_with_nothing_to_tell_it_says_what_is_missing(stage: Stage) -> None:
    """How a promise is made, why there are no figures, what an item is; no error for want of work."""
    for view, words in {
        "quality": ("promises nothing", "Nothing was predicted", "No audit of this version", "No caller has said"),
        "items": ("No item yet",),
    }.items():
        stage.show(view)
        for said in words:
            expect(stage.page.get_by_text(said)).to_be_visible()
        expect(stage.page.get_by_text("Fetching")).to_have_count(0)
        assert stage.there_is("not-fetched").count() == 0, view


# --- promises ------------------------------------------------------------------------------------------------


def test_2_a_promise_is_made_in_a_form(stage: Stage) -> None:
    """Which tells before what it would come to, and at each field what is refused; it makes what the command makes."""
    stage.policy(audit_rate=0.1)
    stage.show("quality")
    stage.there_is("make-promise").click()
    form = stage.there_is("promise-dialog")
    field, confirm = form.locator("input[data-testid=alpha]"), form.locator("[data-testid=confirm]")
    expect(form.locator("[data-testid=promise-preview]")).to_contain_text("0 answers to 0 predictions")
    for typed, says in (("some", "Give a number."), ("0", "alpha is 0. Use a rate above 0"), ("120", "alpha is 1.2.")):
        field.fill(typed)
        expect(form.locator("[data-testid=flaw-alpha]")).to_contain_text(says)
        expect(confirm).to_be_disabled()
    field.fill("7")
    form.locator("[data-testid=audit_rate]").fill("0")
    expect(form.locator("[data-testid=flaw-audit_rate]")).to_contain_text("without audits")
    form.locator("[data-testid=audit_rate]").fill("20")
    expect(form.locator("[role=alert]")).to_have_count(0)
    form.locator("[data-testid=loss]").select_option("cost")
    form.locator("[data-testid=false_alarm_weight]").fill("0.25")
    form.locator("[data-testid=by]").select_option("source")
    form.locator("[data-testid=statement]").select_option("expected")
    form.locator("[data-testid=classes]").get_by_label("circle").check()
    expect(form.locator("[data-testid=promise-words]")).to_contain_text("on average at most 7%")
    confirm.click()
    stage.told("It is promised")
    policy = stage.call("GET", "projects/shapes")["policy"]
    assert policy["audit_rate"] == 0.2
    (made,) = policy["guarantee"]["promises"]
    assert made == {
        "alpha": 0.07, "delta": 0.1, "statement": "expected", "loss": "cost", "classes": ["circle"], "by": "source",
        "missed_weight": 1.0, "false_alarm_weight": 0.25,
    }  # fmt: skip
    stage.show("overview")
    stage.there_is("promise-decides").click()
    expect(stage.there_is("promises")).to_be_visible()


def test_2_a_promise_is_changed_or_taken_back(stage: Stage) -> None:
    """Each by itself; not over what somebody else promised meanwhile."""
    (made,) = stage.call("GET", "projects/shapes")["policy"]["guarantee"]["promises"]
    stage.there_is("make-promise").click()
    form = stage.there_is("promise-dialog")
    expect(form.locator("[data-testid=promise-preview]")).to_contain_text("All 2 promises share")
    form.locator("[data-testid=confirm]").click()
    stage.told("It is promised")
    stage.there_is("change-promise-1").click()
    expect(form.locator("[data-testid=alpha]")).to_have_value("7")
    form.locator("[data-testid=alpha]").fill("9")
    form.locator("[data-testid=confirm]").click()
    stage.told("It is promised")
    usual = {"alpha": 0.05, "statement": "high-probability", "loss": "failure", "classes": [], "by": "none"}
    changed, beside = stage.call("GET", "projects/shapes")["policy"]["guarantee"]["promises"]
    assert changed == made | {"alpha": 0.09} and beside == made | usual | {"false_alarm_weight": 1.0}
    stage.there_is("take-back-promise-2").click()
    stage.policy(guarantee={"promises": [beside]})
    stage.there_is("take-back-dialog").locator("[data-testid=confirm]").click()
    stage.told("Somebody changed the promises meanwhile")
    assert stage.call("GET", "projects/shapes")["policy"]["guarantee"]["promises"] == [beside]
    stage.page.reload()
    stage.there_is("take-back-promise-1").click()
    stage.there_is("take-back-dialog").locator("[data-testid=confirm]").click()
    stage.told("Promise 1 is taken back")
    expect(stage.there_is("nothing-promised")).to_be_visible()
    stage.policy(audit_rate=0.0)


def test_2_a_promise_is_told_with_what_is_missing(stage: Stage) -> None:
    """Crawling: in words, with the number of answers that it takes."""
    stage.policy(audit_rate=0.9, guarantee={"promises": [{"alpha": 0.3}], "evidence_share": 1.0})
    stage.service.services.guarantee.look_due()
    stage.page.reload()
    stage.show("quality")
    expect(stage.there_is("phase")).to_have_text("crawl")
    promises = stage.there_is("promises")
    expect(promises).to_contain_text("at most 30% fail and pass without a person")
    (fewest,) = stage.of_project("guarantee")["fewest"]
    expect(promises).to_contain_text(f"Takes {fewest} answers")
    expect(stage.there_is("too-few-answers")).to_be_visible()
    expect(stage.there_is("capacity")).to_have_text("not known yet")
    expect(stage.page.locator(".callout.error, .badge.bad")).to_have_count(0)
    expect(stage.there_is("capacity")).to_be_visible()


def test_3_thresholds_have_their_bounds_and_what_would_let_more_pass(stage: Stage) -> None:
    """As the API has them; each record is in the history."""
    stage.policy(score_threshold=0.0001)
    _audited(stage, 30, wrong=3)
    stage.service.services.guarantee.look_due()
    told = stage.of_project("guarantee")
    (group,) = told["thresholds"]["groups"]
    stage.page.reload()
    expect(stage.there_is("phase")).to_have_text(told["phase"])
    row = stage.there_is("group-1-all")
    expect(row).to_contain_text("all predictions")
    expect(row).to_contain_text(f"{group['answered']} ({group['audits']} at random)")
    if group["value"] > 0:
        expect(row).to_contain_text(f"{group['value']:.3f}")
        expect(row).to_contain_text(f"{100 * group['bound']:.1f}%")
    for needed in group["needed"]:
        audits = {None: "too much fails", 0: "enough"}.get(needed["audits"], f"{needed['audits']} more")
        expect(row).to_contain_text(f"{100 * needed['automation']:.0f}%: {audits}")
    expect(stage.there_is("capacity")).to_be_visible()
    expect(stage.there_is("guarantee-curve").locator("svg polyline")).to_have_count(3)
    for record in stage.of_project("guarantee/thresholds")["thresholds"]:
        expect(stage.there_is(f"thresholds-{record['version']}")).to_be_visible()


def test_4_an_alarm_is_accepted_with_a_reason(stage: Stage) -> None:
    """It says what is broken; without a reason nothing is accepted. Afterwards routing goes on."""
    _break_the_promise(stage)
    alarm = stage.of_project("guarantee")["thresholds"]["alarm"]
    assert alarm is not None
    stage.page.reload()
    expect(stage.there_is("alarm")).to_contain_text(f"Promise {alarm['promise']} is broken")
    expect(stage.there_is("alarm")).to_contain_text(f"{100 * alarm['rate']:.1f}%")
    stage.there_is("accept-alarm").click()
    dialog = stage.there_is("accept-alarm-dialog")
    expect(dialog.locator("[data-testid=confirm]")).to_be_disabled()
    dialog.locator("[data-testid=reason]").fill("a holiday")
    stage.page.keyboard.press("Enter")
    stage.told("The alarm is over")
    expect(stage.there_is("alarm")).to_have_count(0)
    record = stage.of_project("guarantee")["thresholds"]
    assert (record["alarm"], record["why"]) == (None, "accepted")


# --- quality of production -----------------------------------------------------------------------------------


def test_5_figures_of_production_have_their_intervals(stage: Stage) -> None:
    """In total and by what is chosen; where there is too little it is said."""
    stage.page.reload()
    told = stage.of_project("quality", params={"by": "source"})
    total = stage.there_is("production-total")
    for name in ("failure_rate", "precision", "recall"):
        plain = told["total"][name]["plain"]
        expect(total).to_contain_text(f"{100 * plain['low']:.0f}–{100 * plain['high']:.0f}%")
    for note in told["notes"]:
        expect(stage.there_is("production-note").filter(has_text=note)).to_be_visible()
    rows = stage.there_is("production-rows")
    expect(rows.get_by_role("rowheader", name="line 1")).to_be_visible()
    stage.there_is("production-by").select_option("label")
    expect(rows.get_by_role("rowheader", name="circle")).to_be_visible()
    stage.there_is("production-by").select_option("day")
    (day,) = stage.of_project("quality", params={"by": "day"})["rows"]
    expect(rows.get_by_role("rowheader", name=day["key"])).to_be_visible()
    last = stage.of_project("quality/series")["points"][-1]
    expect(stage.there_is("series-last")).to_contain_text(f"Now {100 * last['value']:.1f}%")
    expect(stage.there_is("series-last")).to_contain_text(f"{100 * last['high']:.1f}%")


def test_6_what_callers_report_is_apart_and_marked_as_biased(stage: Stage) -> None:
    """It changes none of the figures."""
    before = stage.there_is("production-total").inner_text()
    made = stage.service.predict(next(stage.scenes).jpeg()).json()
    stage.call("POST", f"projects/shapes/predictions/{made['id']}/outcome", json={"outcome": "wrong"})
    stage.page.reload()
    outcomes = stage.there_is("outcomes")
    expect(outcomes).to_contain_text("1 prediction was said to be wrong, 0 to be right")
    expect(outcomes).to_contain_text("biased")
    assert stage.there_is("production-total").inner_text() == before


# --- items ---------------------------------------------------------------------------------------------------


def test_7_items_are_found_by_a_query(stage: Stage) -> None:
    """Sorted, page by page; what cannot be read is shown with its place."""
    stage.show("items")
    items = stage.page.locator("li[data-testid^=item-]")
    everything = stage.of_project("items", params={"count": True, "limit": 1000})
    assert everything["count"] > 60
    expect(stage.there_is("items-count")).to_have_text(f"{everything['count']} items")
    expect(items).to_have_count(60)
    stage.there_is("more-items").click()
    expect(items).to_have_count(min(everything["count"], 120))
    query = stage.there_is("query")
    query.fill("sorce = a")
    query.press("Enter")
    expect(stage.there_is("bad-query").locator("mark")).to_have_text("sorce")
    expect(stage.there_is("bad-query")).to_contain_text("Did you mean source?")
    expect(query).to_be_focused()
    query.fill("risk >")
    query.press("Enter")
    expect(stage.there_is("bad-query")).to_contain_text("at 7")
    query.fill("failed = yes")
    query.press("Enter")
    stage.there_is("sort").select_option("-risk")
    found = stage.of_project("items", params={"q": "failed = yes", "sort": "-risk"})["items"]
    expect(stage.there_is("bad-query")).to_have_count(0)
    until(  # as many as before it was sorted anew
        lambda: (
            [str(one.get_attribute("data-testid")).removeprefix("item-") for one in items.all()]
            == [one["digest"] for one in found]
        )
    )
    expect(items.first.locator("img")).to_be_visible()


def test_8_items_are_tagged_and_queries_kept_and_histories_shown(stage: Stage) -> None:
    """Those that were chosen, or all that meet the query; a view brings its query back; an item leads to what happened
    to it, and back to the same list."""
    items = stage.page.locator("li[data-testid^=item-]")
    found = [one["digest"] for one in stage.of_project("items", params={"q": "failed = yes", "sort": "-risk"})["items"]]
    items.first.get_by_role("checkbox").check()
    stage.there_is("tag-chosen").click()
    dialog = stage.there_is("tag-dialog")
    expect(dialog.locator("[data-testid=confirm]")).to_be_disabled()
    dialog.locator("[data-testid=add-tags]").fill("night, odd")
    dialog.locator("[data-testid=confirm]").click()
    stage.told("Tags changed")
    expect(items.first).to_contain_text("odd")
    assert _tagged(stage, "odd") == found[:1]
    stage.there_is("tag-query").click()
    dialog.locator("[data-testid=add-tags]").fill("look again")
    dialog.locator("[data-testid=remove-tags]").fill("odd")
    dialog.locator("[data-testid=confirm]").click()
    stage.told("Tags changed")
    expect(items.first).not_to_contain_text("odd")
    assert _tagged(stage, "look again") == sorted(found) and _tagged(stage, "odd") == []

    stage.there_is("save-view").click()
    stage.there_is("save-view-dialog").locator("[data-testid=view-name]").fill("to look at")
    stage.page.keyboard.press("Enter")
    stage.told("View saved")
    (view,) = stage.of_project("views")["views"]
    assert (view["name"], view["query"], view["sort"]) == ("to look at", "failed = yes", "-risk")
    stage.there_is("view").select_option("")
    expect(items).to_have_count(60)
    stage.there_is("view").select_option("to look at")
    expect(stage.there_is("query")).to_have_value("failed = yes")
    expect(items).to_have_count(len(found))

    items.first.get_by_role("button").click()
    expect(stage.page).to_have_url(re.compile(f"#/shapes/items/{found[0]}$"))
    for entry in stage.of_project(f"items/{found[0]}/history")["entries"]:
        told = stage.page.locator(f'[data-testid=entry-{entry["kind"]}][data-id="{entry["id"]}"]')
        expect(told.first).to_be_visible()
    stage.there_is("back-to-items").click()
    expect(items).to_have_count(len(found))
    stage.there_is("remove-view").click()
    stage.there_is("remove-view-dialog").locator("[data-testid=confirm]").click()
    stage.told("View removed")
    assert stage.of_project("views")["views"] == []


def test_8_an_item_shows_what_was_found_and_what_is_true(stage: Stage) -> None:
    """Over its picture and in a list, each of which can be switched off; in its history people have names."""
    (digest,) = stage.predict(1)
    item = stage.of_project(f"items/{digest}")
    reviewer = stage.call("GET", "me", "reviewer")
    detections = (
        Detection("circle", 0.874, (22.0, 20.0, 92.0, 90.0)),
        Detection("bar", 0.4, (5.0, 150.0, 60.0, 170.0)),
    )
    services = stage.service.services
    with services.store.begin() as tx:
        newest = tx.predictions.get("shapes", item["prediction"]["id"])
        tx.predictions.add(
            replace(newest, id=newest.id[:-4] + "ffff", detections=detections, created_at=services.clock())
        )
    while held := stage.call("POST", "projects/shapes/tasks/lease", "reviewer", json={"count": 10})["tasks"]:
        for task in held:
            body = {"epoch": task["epoch"], "shapes": TRUTH if task["item_digest"] == digest else []}
            stage.call("POST", f"tasks/{task['id']}/submit", "reviewer", json=body)
    stage.page.goto(f"{stage.url}/#/shapes/items/{digest}")
    canvas = stage.there_is("item-canvas")
    expect(canvas).to_have_attribute("data-ready", "true")
    expect(canvas).to_have_attribute("data-drawn", "4")
    expect(stage.there_is("prediction-shape")).to_have_text([re.compile("circle 0.87.*22, 20"), re.compile("bar 0.40")])
    expect(stage.there_is("truth-shape")).to_have_text([re.compile("circle.*20, 20"), re.compile("square")])
    stage.there_is("show-prediction").uncheck()
    expect(canvas).to_have_attribute("data-drawn", "2")
    expect(stage.there_is("entry-submission")).to_contain_text(f"by {reviewer['name']}")


def test_8_an_item_that_there_is_not_is_told_once(stage: Stage) -> None:
    """And nothing of it can be asked for again."""
    stage.page.goto(f"{stage.url}/#/shapes/items/{64 * '0'}")
    expect(stage.there_is("not-fetched")).to_have_count(1)
    expect(stage.there_is("item-history")).to_have_count(0)
    expect(stage.there_is("reopen-item")).to_have_count(0)


def test_8_truth_that_a_model_doubts_is_shown_and_asked_for_again(stage: Stage) -> None:
    """With both over the picture, and what is wrong in words; an item leads to itself."""
    stage.policy(audit_rate=1.0)  # whatever the promises let pass by now, people answer each of these
    stage.show("items")
    wrong, missing, *sound = stage.predict(24)
    services = stage.service.services
    sure = (Detection("circle", 0.95, CIRCLE.box),)
    with services.store.begin() as tx:
        for digest in (wrong, missing, *sound):
            newest = tx.predictions.get("shapes", stage.of_project(f"items/{digest}")["prediction"]["id"])
            again = replace(newest, id=newest.id[:-4] + "eeee", detections=sure, created_at=services.clock())
            tx.predictions.add(again)
    answers = {wrong: [{**TRUTH[0], "label": "square"}], missing: []}
    while held := stage.call("POST", "projects/shapes/tasks/lease", "reviewer", json={"count": 10})["tasks"]:
        for task in held:
            body = {"epoch": task["epoch"], "shapes": answers.get(task["item_digest"], TRUTH[:1])}
            stage.call("POST", f"tasks/{task['id']}/submit", "reviewer", json=body)
    stage.there_is("open-label-errors").click()
    entries = {digest: stage.there_is(f"doubtful-{digest}") for digest in (wrong, missing)}
    expect(entries[wrong]).to_contain_text("square where the model sees circle 0.95", timeout=30_000)
    expect(entries[missing]).to_contain_text("no box where the model sees circle 0.95")
    expect(entries[wrong].locator("rect.truth, rect.prediction")).to_have_count(2)
    expect(entries[missing].locator("rect.prediction")).to_have_count(1)
    expect(entries[wrong].locator("img")).to_be_visible()
    assert not {digest for digest in sound if stage.there_is(f"doubtful-{digest}").count()}
    for entry in entries.values():
        entry.get_by_role("checkbox").check()
    stage.there_is("ask-again").click()
    stage.told("People are asked for 2 items")
    found = stage.of_project("items", params={"q": "work = open"})["items"]
    assert {one["digest"] for one in found} == {wrong, missing}
    entries[missing].locator(".opens-item").click()
    expect(stage.there_is("item-canvas")).to_have_attribute("data-ready", "true")
    stage.policy(audit_rate=0.9)


def test_8_all_of_a_large_project_is_compared_when_asked(stage: Stage) -> None:
    """Before that the page says for how many those stand that were."""
    asked: list[str] = []

    def large(route: Route) -> None:
        answer = route.fetch()
        asked.append(route.request.url.partition("?")[2])
        body = answer.json() | ({"total": 50_000, "more": True} if "most=" in route.request.url else {})
        route.fulfill(response=answer, json=body)

    stage.page.route(re.compile(r"/label-errors\?"), large)
    stage.show("overview")
    stage.page.reload()  # so that nothing is shown that was fetched before
    stage.page.evaluate("() => { window.location.hash = '#/shapes/items/label-errors' }")
    compared = stage.there_is("label-errors-compared")
    expect(compared).to_contain_text("of 50,000 with truth, for which they stand", timeout=30_000)
    stage.there_is("compare-all").click()
    expect(stage.there_is("compare-all")).to_have_count(0, timeout=30_000)
    expect(compared).to_contain_text("compared.")
    assert asked == ["limit=60&most=20000", "limit=60"]
    stage.page.unroute(re.compile(r"/label-errors\?"))


# --- a caller waits ------------------------------------------------------------------------------------------


def test_9_a_reviewer_sees_how_long_a_caller_waits(stage: Stage) -> None:
    """In seconds, and that it is over; the answer counts all the same. Work that nobody waits for says nothing."""
    stage.policy(audit_rate=0.0, guarantee={"promises": []}, gate={"min_review_seconds": 0})
    scene, before = next(stage.scenes), _open_tasks(stage)
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(stage.service.predict, scene.jpeg(), params={"wait": 8})
        until(lambda: _open_tasks(stage) > before)
        page = stage.browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{stage.url}/#token={stage.service.tokens['reviewer']}&/shapes/review")
        waits = page.locator("[data-testid=caller-waits]")
        expect(waits.get_by_role("timer")).to_have_text(re.compile("^a caller waits: 0:0[1-8]$"), timeout=15_000)
        expect(waits.get_by_role("status")).to_have_text("a caller waits for 10 more seconds at most")
        expect(waits.get_by_role("timer")).to_have_text(
            "nobody waits any more; your answer still counts", timeout=15_000
        )
        late = call.result(30).json()
    assert late["status"] == "provisional"
    page.locator("[data-testid=submit]").click()
    until(lambda: stage.of_project(f"predictions/{late['id']}")["status"] == "final")
    stage.predict(1)
    page.locator("[data-testid=canvas][data-ready=true]").wait_for(timeout=30_000)
    expect(waits).to_have_count(0)
    page.close()


# --- cycles --------------------------------------------------------------------------------------------------


def test_10_a_cycle_is_cancelled_with_a_reason_and_its_report_opened(stage: Stage) -> None:
    """In a tab of its own; one that was not evaluated has none. What asks for cycles by itself stands beside."""
    stage.call("PATCH", "projects/shapes/triggers", json={"reviewed": 100_000})
    cycle = stage.call("POST", "projects/shapes/cycles", json={})
    stage.show("overview")
    expect(stage.there_is("trigger-reviewed")).to_contain_text("100,000 items reviewed")
    expect(stage.there_is("triggers")).to_contain_text(stage.of_project("triggers")["waiting"])
    why = stage.there_is("cycle-why")
    expect(why).to_have_count(0)
    _made_to_wait(stage, cycle["id"], "MLflow cannot be reached.")
    expect(why).to_contain_text("It waits", timeout=15_000)
    expect(why).to_contain_text("MLflow cannot be reached.")
    stage.there_is("cancel-cycle").click()
    dialog = stage.there_is("cancel-cycle-dialog")
    expect(dialog.locator("[data-testid=confirm]")).to_be_disabled()
    dialog.locator("[data-testid=reason]").fill("wrong data")
    stage.page.keyboard.press("Enter")
    stage.told("Cycle cancelled")
    ended = stage.of_project(f"cycles/{cycle['id']}")
    assert ended["state"] == "failed" and "wrong data" in ended["error"]
    expect(why).to_contain_text("It stopped")
    expect(stage.there_is("cycle-report")).to_have_count(0)
    bench = Bench({digest_of(tiny_weights()): ("circle", "square", "bar")})
    evaluated = cycled(_working(stage.service.services.controller, bench))
    with stage.page.context.expect_page() as opened:
        stage.there_is("cycle-report").click()
    expect(opened.value.locator("body")).to_contain_text(evaluated.id)
    assert opened.value.url.startswith("blob:")
    opened.value.close()


# --- who sees it, and where ----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["reviewer", "producer"])
def test_11_others_are_shown_none_of_it(stage: Stage, role: str) -> None:
    """It tells of audits and golden items; nothing of these views is even loaded."""
    others_load_none_of(stage, VIEWS, role)


@pytest.mark.parametrize("width", [1280, 800])
def test_12_nothing_is_cut_off(stage: Stage, width: int) -> None:
    """At the width of a laptop and of half a screen the page itself never scrolls sideways."""
    nothing_is_cut_off(stage, VIEWS, width)


# --- hands ---------------------------------------------------------------------------------------------------


def _audited(stage: Stage, count: int, *, wrong: int) -> None:
    """So many predictions, all answered: the first so many have something to correct, the others nothing."""
    stage.predict(count)
    answered = 0
    while held := stage.call("POST", "projects/shapes/tasks/lease", "reviewer", json={"count": 10})["tasks"]:
        for task in held:
            shown = [{"type": "box", "label": one["label"], "box": one["box"]} for one in task["detections"]]
            extra = [{"type": "box", "label": SQUARE.label, "box": list(SQUARE.box)}] if answered < wrong else []
            body = {"epoch": task["epoch"], "shapes": [*shown, *extra]}
            stage.call("POST", f"tasks/{task['id']}/submit", "reviewer", json=body)
            answered += 1


def _break_the_promise(stage: Stage) -> None:
    """What passes now fails, and so much at once that no threshold follows it."""
    for wrong in (0, 50):
        _audited(stage, 50, wrong=wrong)
        _looked(stage)


def _looked(stage: Stage) -> None:
    """A look rests for twenty times as long as the one before took."""
    until = time.monotonic() + 60
    while not stage.service.services.guarantee.look_due() and time.monotonic() < until:
        time.sleep(0.2)


def _made_to_wait(stage: Stage, cycle_id: str, error: str) -> None:
    """As a cycle does for what must be reached and cannot be."""
    with stage.service.services.store.begin() as tx:
        tx.cycles.save(replace(tx.cycles.get("shapes", cycle_id), error=error))


def _open_tasks(stage: Stage) -> int:
    return int(stage.of_project("summary")["tasks"].get("open", 0))


def _tagged(stage: Stage, tag: str) -> list[str]:
    return sorted(one["digest"] for one in stage.of_project("items", params={"q": f'tag = "{tag}"'})["items"])
