"""What the page shows of models that are judged: a cycle's figures, canaries and shadows; and tasks that people do in
Label Studio. In a real browser against the API over a real store, without Ray; what was done is checked through the
API."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.api.test_evaluations import DARK, Forgetful, furnish, put, run
from tests.api.test_models_and_cycles import add, champion, settle
from tests.api.test_review import leased, submit
from tests.api.test_rollouts import OTHER, settle_rollouts
from tests.label_studio import StandIn, region
from tests.service.operating import Stage, nothing_is_cut_off, staged

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ROLLOUTS = "rollouts"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("models"), sqlite_template, "overview") as started:
        yield started


# --- nothing yet ---------------------------------------------------------------------------------------------


def test_1_with_nothing_to_tell_it_says_what_there_could_be(stage: Stage) -> None:
    """No canary can be started without another model; nothing was sent to Label Studio, and none is set up: the page
    says what to do about it."""
    expect(stage.there_is("rollouts")).to_contain_text("Neither a canary")
    expect(stage.there_is("start-rollout")).to_be_disabled()
    expect(stage.there_is("open-cycle")).to_have_count(0)
    stage.show("items")
    stage.there_is("open-label-studio").click()
    expect(stage.page).to_have_url(re.compile("#/shapes/items/label-studio$"))
    expect(stage.there_is("nothing-there")).to_be_visible()
    expect(stage.there_is("release-tasks")).to_be_disabled()
    refused = stage.service.call("POST", "/v1/projects/shapes/label-studio/push", json={"title": "Shapes"}).json()
    stage.there_is("push-tasks").click()
    error = stage.there_is("label-studio-error")
    for part in ("title", "detail", "hint"):
        assert refused[part]
        expect(error).to_contain_text(refused[part])


# --- beside the champion -------------------------------------------------------------------------------------


def test_2_a_canary_is_started_with_a_share(stage: Stage) -> None:
    """A tenth where nothing else is said, judged by the rules that are given, beside those of the settings; what is no
    share and no rule is not sent. It is what the command starts."""
    model = add(stage.service, OTHER).json()["id"]
    stage.show("overview")
    stage.there_is("start-rollout").click()
    form = stage.there_is("start-rollout-dialog")
    share, confirm = form.locator("[data-testid=rollout-share-typed]"), form.locator("[data-testid=confirm]")
    expect(share).to_have_value("10")
    for typed in ("0", "120", "some"):
        share.fill(typed)
        expect(form.get_by_role("alert")).to_contain_text("above 0 and at most 100")
        expect(confirm).to_be_disabled()
    share.fill("100")
    expect(form.locator("[data-testid=rollout-means]")).to_contain_text("answers do not judge it")
    expect(form.locator("[data-testid=canary-margin]")).to_have_count(0)
    share.fill("10")
    form.locator("[data-testid=canary-hours]").fill("0")
    expect(form.get_by_role("alert")).to_contain_text("hours above 0")
    expect(confirm).to_be_disabled()
    form.locator("[data-testid=canary-hours]").fill("12")
    form.locator("[data-testid=canary-margin]").fill("3")
    form.locator("[data-testid=canary-on-pass]").select_option("promote")
    form.locator("[data-testid=reason]").fill("try it")
    confirm.click()
    stage.told("Canary asked for")
    (canary,) = stage.of_project(ROLLOUTS)[ROLLOUTS]
    assert (canary["kind"], canary["model_id"], canary["share"], canary["reason"]) == ("canary", model, 0.1, "try it")
    judging = canary["judging"]
    assert (judging["margin"], judging["max_hours"], judging["on_pass"]) == (0.03, 12.0, "promote")
    assert judging["confidence"] == stage.service.services.settings.canary.confidence
    row = stage.there_is("rollout-canary")
    expect(row.locator("[data-testid=rollout-state]")).to_have_text("deploying")
    settle_rollouts(stage.service)
    expect(row.locator("[data-testid=rollout-state]")).to_have_text("active")
    expect(row).to_contain_text("10% of the predictions")
    expect(row).to_contain_text("nobody has looked")


def test_3_it_is_taken_back_with_a_reason(stage: Stage) -> None:
    """No reason, no end. It stays in the list, with why."""
    (canary,) = stage.of_project(ROLLOUTS)[ROLLOUTS]
    stage.there_is("end-canary").click()
    dialog = stage.there_is("end-rollout-dialog")
    expect(dialog.locator("[data-testid=confirm]")).to_be_disabled()
    dialog.locator("[data-testid=reason]").fill("wrong one")
    stage.page.keyboard.press("Enter")
    stage.told("Taken back")
    expect(stage.there_is("rollout-canary")).to_have_count(0)
    stage.page.get_by_text("Earlier ones").click()
    expect(stage.there_is(f"earlier-{canary['id']}")).to_contain_text("wrong one")
    (ended,) = stage.of_project(ROLLOUTS)[ROLLOUTS]
    assert (ended["state"], ended["error"]) == ("ended", "wrong one")


def test_4_how_a_canary_stands_is_told_as_the_service_has_it(stage: Stage) -> None:
    """By how many answers it was judged, the bounds of the difference, what is missing; after a look of the service at
    real answers. The address names it."""
    canary = _canary(stage, share=0.5)
    stage.policy(threshold=1.0, audit_rate=1.0, score_threshold=0.5)
    stage.predict(14)
    for number, task in enumerate(leased(stage.service, 14)):
        said = [{"type": "box", "label": one["label"], "box": one["box"]} for one in task["detections"]]
        extra = [{"type": "box", "label": "square", "box": [120, 120, 200, 190]}] if number < 4 else []
        assert submit(stage.service, task, [*said, *extra]).status_code == 200
    stage.service.services.canaries.look()
    stage.policy(audit_rate=0.0)
    standing = stage.of_project(f"{ROLLOUTS}/{canary}")["standing"]
    assert standing["canary"]["answers"] + standing["champion"]["answers"] == 14
    row = stage.there_is("rollout-canary")
    expect(row).to_contain_text(f"{standing['canary']['answers']} answer")
    expect(row).to_contain_text(standing["words"])
    stage.there_is("open-canary").click()
    expect(stage.page).to_have_url(re.compile(f"#/shapes/overview/{canary}$"))
    expect(stage.there_is("rollout-share")).to_have_text("50%")
    for arm in ("canary", "champion"):
        tile = stage.there_is(f"{arm}-answers")
        expect(tile).to_have_text(str(standing[arm]["answers"]))
        expect(tile.locator("..")).to_contain_text(f"{standing[arm]['failed']} had to be corrected")
    for end in ("low", "high"):
        expect(stage.there_is(f"standing-{end}")).to_have_text(f"{100 * standing[end]:.1f}".replace("-", "−"))
    expect(stage.there_is("standing-needed")).to_contain_text(f"{standing['needed']:,}")
    expect(stage.there_is("standing-words")).to_have_text(standing["words"])
    expect(stage.there_is("rollout-verdict")).to_have_text("not known yet")
    stage.there_is("back-to-overview").click()
    expect(row).to_be_visible()


def test_5_a_shadow_runs_beside_a_canary(stage: Stage) -> None:
    """One of each kind: then there is nothing more to start."""
    stage.there_is("start-rollout").click()
    form = stage.there_is("start-rollout-dialog")
    expect(form.locator("[data-testid=rollout-kind] option")).to_have_text(["shadow"])
    form.locator("[data-testid=rollout-share-typed]").fill("25")
    form.locator("[data-testid=confirm]").click()
    stage.told("Shadow asked for")
    expect(stage.there_is("rollout-shadow")).to_contain_text("25% of the predictions")
    expect(stage.there_is("start-rollout")).to_be_disabled()
    shadow = next(one for one in stage.of_project(ROLLOUTS)[ROLLOUTS] if one["kind"] == "shadow")
    assert shadow["share"] == 0.25
    stage.call("POST", f"projects/shapes/rollouts/{shadow['id']}/end", json={})


# --- Label Studio --------------------------------------------------------------------------------------------


def test_6_tasks_of_a_query_are_sent_to_label_studio(stage: Stage) -> None:
    """Those of the items that were looked for, as many as asked; a query that cannot be read is told with a hint."""
    there = _connected(stage)
    stage.policy(threshold=0.0)
    digests = stage.predict(4)
    stage.show("items")
    query = 'source = "line 1"'
    stage.there_is("query").fill(query)
    stage.there_is("query").press("Enter")
    expect(stage.there_is("items-count")).to_be_visible()
    stage.there_is("open-label-studio").click()
    asked = stage.there_is("push-query")
    expect(asked).to_have_value(query)
    asked.fill("sorce = a")
    stage.there_is("push-tasks").click()
    expect(stage.there_is("label-studio-error")).to_contain_text("Did you mean source?")
    asked.fill(query)
    stage.there_is("push-count").fill("0")
    expect(stage.there_is("push-tasks")).to_be_disabled()
    stage.there_is("push-count").fill("3")
    stage.there_is("push-tasks").click()
    done = stage.there_is("label-studio-done")
    expect(done).to_contain_text("3 tasks sent; 3 wait for an answer there.")
    expect(stage.there_is("label-studio-places")).to_contain_text(f"{there.address}/projects/")
    expect(stage.there_is("count-out")).to_have_text("3")
    assert list(there.titles) == ["Askance shapes"]
    (place,) = stage.of_project("label-studio")["places"]
    assert place["counts"] == {"out": 3}
    assert len(digests) == 4


def test_7_answers_are_fetched_and_what_cannot_be_taken_is_told(stage: Stage) -> None:
    """With what to do; what waits there still is called back after a question."""
    there = _connected(stage)
    good, bad, _ = sorted(there.bodies)
    there.annotate(good, region("circle", 10, 10, 20, 20))
    there.annotate(bad, region("dog", 10, 10, 20, 20))
    stage.there_is("pull-answers").click()
    done = stage.there_is("label-studio-done")
    expect(done).to_contain_text("1 answered, 1 problem.")
    (problem,) = stage.of_project("label-studio")["problems"]
    expect(done).to_contain_text(problem["why"])
    expect(stage.there_is("label-studio-problems")).to_contain_text("dog")
    expect(stage.there_is("count-answered")).to_have_text("1")
    stage.there_is("release-tasks").click()
    stage.there_is("release-dialog").get_by_role("button", name="Back", exact=True).click()
    assert len(there.bodies) == 3
    stage.there_is("release-tasks").click()
    stage.there_is("release-dialog").locator("[data-testid=confirm]").click()
    expect(done).to_contain_text("1 released")
    expect(stage.there_is("count-released")).to_have_text("1")
    (place,) = stage.of_project("label-studio")["places"]
    assert place["counts"] == {"answered": 1, "out": 1, "released": 1}
    stage.there_is("back-to-items").click()
    expect(stage.there_is("query")).to_have_value('source = "line 1"')


# --- a cycle's figures ---------------------------------------------------------------------------------------


def test_8_a_cycle_is_opened_with_all_that_it_measured(stage: Stage) -> None:
    """Of candidate beside champion: as a whole and by size, by label, of each slice with its margin and what the gate
    says of it, each clause with its numbers, and how long an image takes. As the service has them."""
    furnish(stage.service)
    assert put(stage.service, {"view": "dark", "margin": 0.02}).status_code == 200
    cycle = run(stage.service, Forgetful(DARK))
    stage.show("overview")
    stage.there_is("open-cycle").click()
    expect(stage.page).to_have_url(re.compile(f"#/shapes/overview/{cycle.id}$"))
    told = stage.of_project(f"cycles/{cycle.id}/evaluation")
    for name, measure in (("mAP 50–95", "ap"), ("mAP 50", "ap50"), ("mAP 50–95, small", "ap_small")):
        _tells(stage.there_is(f"measure-{name}").locator("td"), told["whole"], measure)
    for label, figures in told["classes"].items():
        cells = stage.there_is(f"label-{label}").locator("td")
        _tells(cells, figures, "ap", first=1)
        _tells(cells, figures, "ap50", first=4)
    for one in told["slices"]:
        row = stage.there_is(f"slice-{one['kind']}-{one['name']}")
        _tells(row.locator("td"), one["figures"], "ap", first=1)
        expect(row.locator("td").first).to_have_text(str(one["images"]))
    dark = stage.there_is("slice-view-dark")
    expect(dark.locator("[data-testid=slice-verdict]")).to_have_text("worse")
    expect(dark).to_contain_text("0.02")
    expect(stage.there_is("slice-past failures-past failures")).to_contain_text("stay mended")
    expect(stage.there_is("slice-source-belt")).to_contain_text("not judged")
    clauses = stage.of_project(f"cycles/{cycle.id}")["decision"]["clauses"]
    expect(stage.there_is("gate").locator(".clauses > li")).to_have_count(len(clauses))
    for clause in clauses:
        item = stage.there_is(f"clause-{clause['name']}")
        judged = not clause["detail"].startswith("not judged")
        expect(item).to_have_class("failed" if not clause["passed"] else "passed" if judged else "not-judged")
        expect(item).to_contain_text(clause["detail"])
        for name, number in clause["numbers"].items():
            fact = item.locator("dl > div").filter(has_text=re.compile(f"^{name.replace('_', ' ')}[-−–0-9]"))
            shown = fact.locator("dd").inner_text().replace("−", "-")
            assert (shown == "–") if number is None else (abs(float(shown) - number) < 1e-4), (clause["name"], name)
    expect(stage.there_is("gate-verdict")).to_have_text("refused")
    for name, one in (("Champion", told["latency"]["before"]), ("Candidate", told["latency"]["after"])):
        row = stage.there_is(f"latency-{name}")
        expect(row).to_contain_text(one["runtime"])
        expect(row).to_contain_text(f"{1000 * one['median']:.1f} ms")
        expect(row).to_contain_text(f"{1000 * one['p90']:.1f} ms")
    stage.there_is("back-to-overview").click()
    stage.there_is(f"promote-{cycle.candidate_id}").click()
    refused = stage.there_is("promote-dialog").locator("[data-testid=gate-refused]")
    expect(refused.locator(".clauses > li")).to_have_count(sum(not clause["passed"] for clause in clauses))
    stage.there_is("promote-dialog").get_by_label("Close").click()
    stage.page.go_back()
    with stage.page.context.expect_page() as opened:
        stage.there_is("cycle-report").click()
    expect(opened.value.locator("body")).to_contain_text(cycle.id)
    opened.value.close()


def test_9_earlier_cycles_are_opened_too(stage: Stage) -> None:
    """Also one that measured nothing, which says why; the back button leads to the overview."""
    measured = stage.of_project("cycles")["cycles"][0]["id"]
    bare = stage.call("POST", "projects/shapes/cycles", json={})["id"]
    stage.call("POST", f"projects/shapes/cycles/{bare}/cancel", json={"reason": "no data"})
    last = stage.call("POST", "projects/shapes/cycles", json={})["id"]
    stage.show("overview")
    earlier = stage.page.locator("details.card").filter(has_text="Earlier cycles")
    earlier.locator("summary").click()
    earlier.locator(f"[data-testid=open-{bare}]").click()
    expect(stage.there_is("cycle-figures")).to_contain_text("no data")
    expect(stage.there_is("gate")).to_have_count(0)
    expect(stage.there_is("not-fetched")).to_have_count(0)
    stage.page.go_back()
    earlier.locator("summary").click()
    earlier.locator(f"[data-testid=open-{measured}]").click()
    expect(stage.there_is("gate-verdict")).to_have_text("refused")
    stage.there_is("back-to-overview").click()
    expect(stage.there_is("cycle")).to_contain_text(last)
    stage.call("POST", f"projects/shapes/cycles/{last}/cancel", json={"reason": "seen enough"})


# --- promoted ------------------------------------------------------------------------------------------------


def test_10_a_canary_is_promoted_in_ones_name(stage: Stage) -> None:
    """The dialog says that people's answers have not shown yet that it may be; then it is the champion, and no canary
    any more."""
    canary = next(one for one in stage.of_project(ROLLOUTS)[ROLLOUTS] if one["state"] == "active")
    stage.there_is("open-canary").click()
    stage.there_is("pass-rollout").click()
    dialog = stage.there_is("pass-rollout-dialog")
    expect(dialog.locator("[data-testid=not-passed]")).to_contain_text("have not shown yet")
    expect(dialog.locator("[data-testid=confirm]")).to_be_disabled()
    dialog.locator("[data-testid=reason]").fill("good enough")
    dialog.locator("[data-testid=confirm]").click()
    stage.told("Promotion asked for")
    settle(stage.service)
    assert champion(stage.service) == canary["model_id"]
    expect(stage.there_is("rollout-state")).to_have_text("ended")
    expect(stage.there_is("rollout-why")).to_contain_text("it became the champion")
    expect(stage.there_is("pass-rollout")).to_have_count(0)


# --- who sees it, and where ----------------------------------------------------------------------------------


def test_11_producers_see_what_runs_and_decide_nothing(stage: Stage) -> None:
    """Nor are a cycle's figures theirs, whose address shows them the overview; nothing that is refused is asked."""
    cycle = stage.of_project("cycles")["cycles"][0]["id"]
    page = stage.browser.new_page()
    refused: list[str] = []
    page.on("response", lambda answer: refused.append(answer.url) if answer.status == 403 else None)
    for place in ("", f"/{cycle}", f"/{stage.of_project(ROLLOUTS)[ROLLOUTS][0]['id']}"):
        page.goto("about:blank")
        page.goto(f"{stage.url}/#token={stage.service.tokens['producer']}&/shapes/overview{place}")
        expect(page.locator("[data-testid=rollouts]")).to_contain_text("Neither a canary")
        for testid in ("start-rollout", "cycle-figures", "rollout", "open-cycle"):
            expect(page.locator(f"[data-testid={testid}]")).to_have_count(0)
    page.wait_for_load_state("networkidle")
    assert refused == []
    page.close()


@pytest.mark.parametrize("width", [1280, 1024, 800])
def test_12_nothing_is_cut_off(stage: Stage, width: int) -> None:
    """Neither of what is opened within a view, nor of the bar beside the figures of the review's queue."""
    cycle = next(one["id"] for one in stage.of_project("cycles")["cycles"] if "candidate" in one["evaluation"])
    canary = next(one["id"] for one in stage.of_project(ROLLOUTS)[ROLLOUTS] if one["standing"])
    places = (f"overview/{cycle}", f"overview/{canary}", "items/label-studio")
    # Half a screen is no place to draw boxes.
    nothing_is_cut_off(stage, ("overview", *places, *(["review"] if width > 800 else [])), width)


# --- hands ---------------------------------------------------------------------------------------------------


def _canary(stage: Stage, share: float) -> str:
    """Of the other model, which takes its share."""
    body = {"kind": "canary", "model_id": add(stage.service, OTHER).json()["id"], "share": share}
    started = stage.call("POST", f"projects/shapes/{ROLLOUTS}", json=body)
    settle_rollouts(stage.service)
    return str(started["id"])


def _connected(stage: Stage) -> StandIn:
    """The service speaks to this stand-in of Label Studio, the same each time."""
    services = stage.service.services
    there = services.label_studio_push.server
    if not isinstance(there, StandIn):
        there = StandIn()
        push, pull = (
            replace(services.label_studio_push, server=there),
            replace(services.label_studio_pull, server=there),
        )
        stage.rewire(replace(services, label_studio_push=push, label_studio_pull=pull))
    return there


def _tells(cells: Locator, compared: dict[str, dict[str, float | None]], measure: str, first: int = 0) -> None:
    """Champion, candidate and change, from that cell on."""
    before, after = compared["before"][measure], compared["after"][measure]
    shown = [cells.nth(first + place) for place in range(3)]
    for cell, number in zip(shown, (before, after), strict=False):
        expect(cell).to_have_text("–" if number is None else f"{number:.3f}")
    if before is not None and after is not None:
        expect(shown[2]).to_have_text(f"{after - before:+.3f}".replace("-", "−"))
