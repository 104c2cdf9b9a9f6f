"""What operators see beside the review: the map, drift and webhooks, in a real browser against the real service."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files

import numpy as np
import pyarrow as pa
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from askance.client import Client
from loop.demo.scenes import Pool, Scene, day_scenes, drifting_scenes
from selection.map_file import FACTS, facts_page, identities, map_table, read_map, write_map
from serving.api.schemas.predictions import PredictionOut
from tests.receivers import receiver
from tests.requirements import require_chromium
from tests.service.operating import show_view
from tests.service.running import ServiceProcess

PROJECT = "digits"
DAY, NIGHT = 60, 45

pytestmark = [pytest.mark.service, pytest.mark.browser, pytest.mark.timeout(600)]


@dataclass
class Stage:
    """A service, a browser's page signed in as its operator, and what was predicted so far."""

    service: ServiceProcess
    operator: Client
    page: Page
    answers: list[PredictionOut] = field(default_factory=list)

    def send(self, scenes: Iterable[Scene], source: str) -> None:
        self.answers += [self.operator.predict(PROJECT, scene.jpeg(), source=source) for scene in scenes]

    def show(self, tab: str) -> None:
        show_view(self.page, tab)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The demo's seed model, which has predicted a few day scenes; looks for drift are by hand, at small windows that
    show by chance, once in two hundred, what is not there. What a webhook does not take is given up after a second."""
    service = ServiceProcess(
        tmp_path_factory.mktemp("views"),
        {
            "ASKANCE_DRIFT__REFERENCE": "30",
            "ASKANCE_DRIFT__WINDOW": "40",
            "ASKANCE_DRIFT__EVERY_SECONDS": "0",
            "ASKANCE_DRIFT__LEVEL": "0.005",
            "ASKANCE_WEBHOOKS__ALLOW_PRIVATE": "true",
            "ASKANCE_WEBHOOKS__RETRIES_S": "1",
            "ASKANCE_SERVING__RUNTIME": "torch",
        },
    )
    service.start()
    try:
        with service.operator() as operator, sync_playwright() as playwright:
            operator.create_project(PROJECT, [str(digit) for digit in range(10)])
            operator.add_model(PROJECT, files("loop.demo").joinpath("seed.safetensors").read_bytes())
            operator.await_champion(PROJECT)
            browser = playwright.chromium.launch(
                executable_path=require_chromium(),
                args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            )
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            problems: list[str] = []
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.goto(f"{service.url}/#token={service.token}&/{PROJECT}/overview")
            yield Stage(service, operator, page)
            browser.close()
        assert problems == []
    finally:
        service.stop()


# --- the map -----------------------------------------------------------------------------------------------


def test_1_without_a_map_it_says_what_to_do(stage: Stage) -> None:
    """Nothing predicted: nothing to draw, and how to change that. Then a button makes the first map, and it shows by
    itself."""
    page = stage.page
    stage.show("map")
    expect(page.locator("[data-testid=no-map]")).to_contain_text("No map yet")
    page.locator("[data-testid=make-map]").click()
    expect(page.locator("[data-testid=no-map]")).to_contain_text("Predict some first")
    stage.send(day_scenes(0, DAY, Pool.STREAM), "day camera")
    page.locator("[data-testid=make-map]").click()
    expect(page.locator(f"[data-testid=map][data-points='{DAY}']")).to_be_visible(timeout=120_000)
    expect(page.locator("[data-testid=map-about]")).to_contain_text(str(stage.operator.project(PROJECT).champion_id))


def test_2_a_point_shows_what_it_is(stage: Stage) -> None:
    """Under the pointer: the image itself, its risk, what was found, and whether anybody has looked."""
    _point_at(stage.page, *_some_point(stage.page))
    card = stage.page.locator("[data-testid=map-point][data-item]")
    answer = _answer_of(stage, str(card.get_attribute("data-item")))
    expect(card.locator("[data-testid=map-risk]")).to_have_text(f"{answer.decision.risk:.2f}")
    image = card.locator("img")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == answer.width
    expect(card.locator("rect")).to_have_count(len(answer.detections))
    for detection in answer.detections:
        expect(card.locator("[data-testid=map-found]")).to_contain_text(detection.label)
    looked_at = "has, or had, a task" if answer.task_id else "nobody has looked"
    expect(card.locator("[data-testid=map-state]")).to_have_text(looked_at)


def test_3_it_can_be_reached_and_moved_by_keys(stage: Stage) -> None:
    """Plus and minus zoom, arrows move, what is in the middle is shown, Enter keeps it, F shows all again."""
    page, canvas = stage.page, stage.page.locator("[data-testid=map]")
    page.mouse.move(5, 5)
    canvas.focus()
    whole = canvas.get_attribute("data-scale")
    page.keyboard.press("+")
    expect(canvas).not_to_have_attribute("data-scale", str(whole))
    before = canvas.get_attribute("data-offset-x")
    page.keyboard.press("ArrowRight")
    expect(canvas).not_to_have_attribute("data-offset-x", str(before))
    for _ in range(9):
        page.keyboard.press("-")
    card = page.locator("[data-testid=map-point][data-item]")
    expect(card).to_be_visible()
    page.keyboard.press("Enter")
    page.keyboard.press("f")
    expect(canvas).to_have_attribute("data-scale", str(whole))
    expect(card).to_be_visible()


def test_3_it_follows_fingers(stage: Stage) -> None:
    """Two zoom it, one moves it, and neither picks anything."""
    canvas = stage.page.locator("[data-testid=map]")
    hands = stage.page.context.new_cdp_session(stage.page)

    def touch(kind: str, *fingers: tuple[int, int]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(fingers)]
        hands.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    whole = float(str(canvas.get_attribute("data-scale")))
    picked = stage.page.locator("[data-testid=map-point]").get_attribute("data-item")
    touch("touchStart", (400, 400))
    touch("touchStart", (400, 400), (500, 400))
    touch("touchMove", (350, 400), (550, 400))
    touch("touchEnd")
    _comes_to(stage.page, "scale", 2 * whole)
    left = float(str(canvas.get_attribute("data-offset-x")))
    touch("touchStart", (350, 400))
    touch("touchMove", (450, 400))
    touch("touchEnd")
    _comes_to(stage.page, "offset-x", left + 100)
    expect(stage.page.locator("[data-testid=map-point]")).to_have_attribute("data-item", str(picked))
    canvas.press("f")


@pytest.mark.parametrize("by", ["risk", "label", "state", "anomaly", "age", "source"])
def test_4_every_colouring_is_painted(stage: Stage, by: str) -> None:
    """With a legend whose groups can be hidden."""
    page = stage.page
    page.locator("[data-testid=map-colour]").select_option(by)
    groups = page.locator("[data-testid=map-legend] .group")
    if by in ("risk", "anomaly", "age"):
        expect(page.locator("[data-testid=map-legend] .ramp")).to_be_visible()
        assert _painted(page) > 0
        return
    shown = _painted(page)
    counts = [int(str(text)) for text in groups.locator(".muted").all_inner_texts()]
    assert (sum(counts), shown > 0) == (DAY, True)
    for number in range(len(counts)):
        groups.nth(number).click()
    page.wait_for_function(f"() => ({_PAINTED})() === 0")
    for number in range(len(counts)):
        groups.nth(number).click()
    page.wait_for_function(f"() => ({_PAINTED})() === {shown}")


def test_5_what_is_drawn_around_is_selected_and_queued(stage: Stage) -> None:
    """Shift and drag: how many, and their images. Those that nobody has looked at become tasks, and no others; then the
    map knows that they have one."""
    page = stage.page
    open_ones = [a.item_digest for a in stage.answers if a.task_id is None]
    tasks = stage.operator.summary(PROJECT).tasks["open"]
    _draw_around(page)
    expect(page.locator("[data-testid=selection-count]")).to_have_text(f"{DAY} images")
    expect(page.locator("[data-testid=selection-thumbnails] img")).to_have_count(24)
    page.locator("[data-testid=queue-selection]").click()
    page.locator("[data-testid=queue-dialog] [data-testid=confirm]").click()
    expect(page.locator("[data-testid=toast]")).to_contain_text(f"{len(open_ones)} queued for review")
    assert stage.operator.summary(PROJECT).tasks["open"] == tasks + len(open_ones)
    assert all(_has_a_task(stage, item) for item in open_ones)
    # The map is brought up to date by itself, and the selection stays.
    expect(page.locator("[data-testid=queue-selection]")).to_be_disabled(timeout=120_000)
    expect(page.locator("[data-testid=selection-count]")).to_have_text(f"{DAY} images")
    page.locator("[data-testid=map]").press("Escape")
    expect(page.locator("[data-testid=select-seen]")).to_be_visible()


def test_6_too_few_images_are_no_drift_and_no_failure(stage: Stage) -> None:
    """Nothing was compared yet. A look by hand takes the first predictions as the reference, and says that more have to
    come."""
    page = stage.page
    stage.show("overview")
    expect(page.locator("[data-testid=drift-nothing]")).to_contain_text("Not enough images yet")
    page.locator("[data-testid=check-drift]").click()
    toast = page.locator("[data-testid=toast]")
    expect(toast).to_contain_text("Too few images to say anything yet")
    expect(toast).to_have_class("toast info")
    stage.show("map")


def test_7_it_says_what_came_since_and_takes_it_in(stage: Stage) -> None:
    """Newer predictions are counted; a button has them placed, or all fitted anew, and the state shows meanwhile."""
    page = stage.page
    stage.send(drifting_scenes(3, NIGHT, Pool.STREAM, start=1.0), "night camera")
    expect(page.locator("[data-testid=map-behind]")).to_contain_text(f"{NIGHT} newer predictions", timeout=30_000)
    page.locator("[data-testid=map-refit]").click()
    expect(page.locator("[data-testid=map-state-badge]")).to_have_text(re.compile("waits for its turn|being drawn"))
    expect(page.locator(f"[data-testid=map][data-points='{DAY + NIGHT}']")).to_be_visible(timeout=120_000)
    expect(page.locator("[data-testid=map-behind]")).to_have_count(0)
    assert read_map(stage.operator.map(PROJECT)).num_rows == DAY + NIGHT


def test_7_a_hundred_thousand_points_are_read_and_selected(stage: Stage) -> None:
    """Whatever pieces their columns come in: the file is what the service writes of so many."""
    page, count = stage.page, 100_000
    made = stage.operator.map_status(PROJECT).model_dump(mode="json")
    made["drawn"] |= {"points": count, "made_at": "2026-05-01T12:00:00Z"}
    body = _a_map_of(count)
    page.route("**/map/status", lambda route: route.fulfill(json=made))
    page.route("**/map", lambda route: route.fulfill(body=body))
    expect(page.locator(f"[data-testid=map][data-points='{count}']")).to_be_visible(timeout=60_000)
    page.locator("[data-testid=select-seen]").click()
    expect(page.locator("[data-testid=selection-count]")).to_have_text("100,000 images")
    expect(page.locator("[data-testid=queue-selection]")).to_be_disabled()
    page.unroute_all(behavior="wait")


# --- drift ---------------------------------------------------------------------------------------------------


def test_8_drift_is_shown_with_what_moved(stage: Stage) -> None:
    """Each test with its adjusted p, and the classes that moved, as the newest report has them."""
    page = stage.page
    stage.show("overview")
    page.locator("[data-testid=check-drift]").click()
    expect(page.locator("[data-testid=drift-verdict]")).to_have_text("drift", timeout=30_000)
    (report,) = stage.operator.drift(PROJECT).reports
    drift = page.locator("[data-testid=drift]")
    for test in report.tests:
        row = drift.get_by_role("row").filter(has=page.get_by_role("rowheader", name=re.compile(f"^{test.name}")))
        expect(row).to_contain_text(f"{test.adjusted_p:.3f}")
        expect(row.get_by_text("drift")).to_have_count(1 if test.adjusted_p <= report.level else 0)
    moved = drift.locator("[data-testid=drift-classes] tbody th")
    assert moved.all_inner_texts() == [one.label for one in report.classes[:6]]


def test_9_what_is_normal_now_can_be_accepted(stage: Stage) -> None:
    """After a question; then there is too little to compare until more has come, and that looks the same."""
    page = stage.page
    page.locator("[data-testid=accept-drift]").click()
    expect(page.locator("[data-testid=accept-drift-dialog] [data-testid=confirm]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("[data-testid=toast]")).to_contain_text("Accepted as the new reference")
    expect(page.locator("[data-testid=drift-outdated]")).to_be_visible()
    page.locator("[data-testid=check-drift]").click()
    expect(page.locator("[data-testid=toast]")).to_contain_text("Too few images")
    stage.send(drifting_scenes(4, NIGHT, Pool.STREAM, start=1.0), "night camera")
    page.locator("[data-testid=check-drift]").click()
    expect(page.locator("[data-testid=drift-verdict]")).to_have_text("no drift", timeout=30_000)


# --- webhooks ------------------------------------------------------------------------------------------------


def test_10_what_did_not_arrive_is_shown_and_replayed(stage: Stage) -> None:
    """An endpoint that refuses is failing, with its dead deliveries and the last error; mended, it gets them at a
    click. It can be paused, after a question, and resumed."""
    page = stage.page
    expect(page.locator("[data-testid=webhooks]")).to_contain_text("Nobody is told of events")
    with receiver() as receiving:
        receiving.conduct = lambda _request, _before: 500
        endpoint = stage.operator.create_webhook(receiving.url, project=PROJECT, types=["task.created"])
        stage.send(drifting_scenes(5, 10, Pool.STREAM, start=1.0), "night camera")
        row = page.locator(f"[data-testid=webhook-{endpoint.id}]")
        expect(row.locator("[data-testid=webhook-state]")).to_have_text("failing", timeout=30_000)
        expect(row.locator("[data-testid=webhook-error]")).to_contain_text("500", timeout=30_000)
        expect(row.locator("[data-testid=replay-dead]")).to_contain_text("dead", timeout=30_000)
        receiving.conduct = lambda _request, _before: 204
        row.locator("[data-testid=replay-dead]").click()
        expect(row.locator("[data-testid=webhook-backlog]")).to_have_text("nothing waits", timeout=30_000)
        expect(row.locator("[data-testid=webhook-state]")).to_have_text("enabled", timeout=30_000)
        assert receiving.accepted
        row.locator("[data-testid=pause-webhook]").click()
        page.locator("[data-testid=pause-webhook-dialog] [data-testid=confirm]").click()
        expect(row.locator("[data-testid=webhook-state]")).to_have_text("paused")
        row.locator("[data-testid=resume-webhook]").click()
        expect(row.locator("[data-testid=webhook-state]")).to_have_text("enabled")


def test_11_reviewers_are_shown_none_of_it(stage: Stage) -> None:
    """The map and the figures tell audits from routed work, and audits are blind."""
    token = stage.operator.create_token("reviewer", "reviewer", PROJECT).secret
    other = stage.page.context.browser.new_page()
    other.goto(f"{stage.service.url}/#token={token}&/{PROJECT}/map")
    expect(other.locator("[data-testid=tab-review]")).to_be_visible()
    assert other.locator("[data-testid=tab-map], [data-testid=tab-overview], [data-testid=map]").count() == 0


# --- hands and eyes ------------------------------------------------------------------------------------------

# Pixels of the points' canvas that are not the ground's.
_PAINTED = """() => { const c = document.querySelector("[data-testid=map] canvas");
    const d = new Uint32Array(c.getContext("2d").getImageData(0, 0, c.width, c.height).data.buffer);
    let n = 0; for (const pixel of d) n += pixel !== 0xff0f0c0a; return n; }"""


def _painted(page: Page) -> int:
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return int(page.evaluate(_PAINTED))


def _comes_to(page: Page, name: str, value: float) -> None:
    """Waits until the map's attribute is that number, as good as."""
    page.wait_for_function(
        """([name, value]) => {
            const map = document.querySelector("[data-testid=map]");
            return Math.abs(map.getAttribute(name) - value) < 1e-3; }""",
        arg=[f"data-{name}", value],
    )


def _some_point(page: Page) -> tuple[float, float]:
    """Where one of the points is on the screen: of those painted, the pixel with most of its own colour around it."""
    found = """() => { const c = document.querySelector("[data-testid=map] canvas"), w = c.width, h = c.height;
        const d = new Uint32Array(c.getContext("2d").getImageData(0, 0, w, h).data.buffer);
        for (let y = 60; y < h - 60; y++) for (let x = 160; x < w - 60; x++) {
          const own = d[y * w + x];
          if (own !== 0xff0f0c0a && [-3 * w, 3 * w, -3, 3].every(near => d[y * w + x + near] === own)) return [x, y];
        } }"""
    x, y = page.evaluate(found)
    bounds = page.locator("[data-testid=map]").bounding_box()
    assert bounds is not None
    return bounds["x"] + x, bounds["y"] + y


def _point_at(page: Page, x: float, y: float) -> None:
    page.mouse.move(x - 30, y - 30)
    page.mouse.move(x, y, steps=4)


def _draw_around(page: Page) -> None:
    """All of the canvas, but for its last pixels and what the buttons cover."""
    bounds = page.locator("[data-testid=map]").bounding_box()
    assert bounds is not None
    left, top = bounds["x"] + 3, bounds["y"] + 3
    right, bottom = bounds["x"] + bounds["width"] - 3, bounds["y"] + bounds["height"] - 3
    page.keyboard.down("Shift")
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom)):
        page.mouse.move(x, y, steps=5)
    page.mouse.up()
    page.keyboard.up("Shift")


def _a_map_of(count: int) -> bytes:
    items = [f"{number:064x}" for number in range(count)]
    facts = facts_page(
        items=items, risk=[0.5] * count, anomaly_p=[1.0] * count, score=[None, 0.5] * (count // 2),
        label=[None, "7"] * (count // 2), source=[""] * count, predicted_at=[datetime(2026, 5, 1, tzinfo=UTC)] * count,
    )  # fmt: skip
    positions = np.random.default_rng(0).normal(0, 1, (count, 2)).astype(np.float32)
    nobody = identities([])
    table = map_table(
        pa.Table.from_batches([facts], FACTS), positions, np.ones(count, bool), tasks=nobody, truths=nobody
    )
    return write_map(table, {})


def _answer_of(stage: Stage, digest: str) -> PredictionOut:
    return next(answer for answer in stage.answers if answer.item_digest == digest)


def _has_a_task(stage: Stage, item: str) -> bool:
    prediction = stage.operator.item(PROJECT, item).prediction
    return prediction is not None and prediction.task_id is not None
