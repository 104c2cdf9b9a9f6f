"""The page's selections: what would be chosen and why, then tasks for it; what looks alike; the index; the risk; a
cycle told as it goes on; data sets in and out. In a browser, over the API without Ray."""

import functools
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from pathlib import Path

import pytest
from playwright.sync_api import expect

from loop.domain.cycle import Cycle, CycleState, Step
from serving.backends.load import load_detector
from serving.image_queue import ImageQueue
from serving.images import decode_image
from tests.contract.records import a_cycle
from tests.service.operating import Stage, nothing_is_cut_off, others_load_none_of, staged
from tests.tiny_models import tiny_weights

VIEWS = ("selections",)

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@functools.cache
def with_objects() -> ImageQueue:
    """The same detector, with an embedding of each detection."""
    decode = functools.partial(decode_image, max_pixels=40_000_000, enough=64)
    detector = load_detector(tiny_weights(), threads=1, objects=True)
    return ImageQueue(detector, decode=decode, score_floor=0.0001, batch_wait_s=0.0, decoders=1)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Stage]:
    """Two reviewed predictions, and ten that nobody was asked about."""
    with staged(tmp_path_factory.mktemp("selections"), sqlite_template, "selections") as started:
        started.service.inferencer._images = with_objects  # type: ignore[method-assign]
        started.policy(score_threshold=0.0001)
        started.predict(2)
        for _ in range(2):
            started.answer("reviewer", 5.0)
        started.policy(threshold=1.0)
        started.predict(10)
        yield started


def made(stage: Stage) -> list[dict]:
    """Newest first."""
    return stage.of_project("selections")["selections"]


def tasks(stage: Stage) -> int:
    return int(stage.of_project("items", params={"q": "work = open", "count": True})["count"])


# --- choosing ------------------------------------------------------------------------------------------------


def test_1_what_would_be_chosen_is_shown_before_anything_is_queued(stage: Stage) -> None:
    """With what chose each, its score and why; then these very ones are queued, and listed with their reasons."""
    expect(stage.there_is("no-selections")).to_be_visible()
    expect(stage.there_is("takes-1")).to_have_text("as configured: balanced-herding")
    expect(stage.there_is("add-part")).to_be_disabled()
    stage.there_is("strategy-1").select_option("hybrid")
    expect(stage.there_is("takes-1")).to_contain_text("risk × distance")
    stage.there_is("add-part").click()
    stage.there_is("strategy-2").select_option("random")
    stage.there_is("share-2").fill("40")
    stage.there_is("budget").fill("5")
    stage.there_is("show-picks").click()
    picks = stage.there_is("picks").locator("li")
    expect(picks).to_have_count(5)
    expect(stage.there_is("would")).to_contain_text("5 images of 10 would be queued")
    expect(picks.filter(has_text="hybrid").first).to_contain_text(re.compile(r"score [0-9.e-]+.*risk", re.DOTALL))
    expect(picks.filter(has_text="random").first).to_contain_text("drawn at random from 10 items")
    expect(picks.first.locator("img")).to_be_visible()
    shown = [one.get_attribute("data-testid") for one in picks.all()]
    assert (made(stage), tasks(stage)) == ([], 0)

    stage.there_is("queue-picks").click()
    stage.told("5 images queued for review")
    (one,) = made(stage)
    expect(stage.page).to_have_url(re.compile(f"#/shapes/selections/{one['id']}$"))
    expect(stage.there_is("selection-facts")).to_contain_text("60% hybrid, 40% random")
    kept = stage.of_project(f"selections/{one['id']}")["picks"]
    assert [f"pick-{pick['item_digest']}" for pick in kept] == shown
    assert [one.get_attribute("data-testid") for one in stage.there_is("picks").locator("li").all()] == shown
    expect(stage.there_is("picks").locator("li").last).to_contain_text(kept[-1]["reason"])
    assert tasks(stage) == 5
    stage.there_is("back-to-selections").click()
    expect(stage.there_is(f"selection-{one['id']}")).to_contain_text("60% hybrid, 40% random")


def test_2_it_is_narrowed_by_a_query_of_items(stage: Stage) -> None:
    """One that cannot be read is shown with the place; what was shown goes when the wish changes."""
    stage.there_is("select-query").fill("sorce = x")
    stage.there_is("show-picks").click()
    expect(stage.there_is("bad-query").locator("mark")).to_have_text("sorce")
    free = stage.of_project("items", params={"q": "missing work"})["items"]
    query = f"digest in ({free[0]['digest']}, {free[1]['digest']})"
    stage.there_is("select-query").fill(query)
    expect(stage.there_is("bad-query")).to_have_count(0)
    stage.there_is("show-picks").click()
    expect(stage.there_is("would")).to_contain_text("2 images of 2 would be queued")
    expect(stage.there_is("would")).to_contain_text("fewer than the budget of 5")
    stage.there_is("budget").fill("0")
    expect(stage.there_is("would")).to_have_count(0)
    stage.there_is("show-picks").click()
    expect(stage.there_is("select-refused")).to_contain_text("1 to 20,000")
    stage.there_is("select-query").fill("")


def test_3_the_index_is_told_and_read(stage: Stage) -> None:
    expect(stage.there_is("index-phase")).to_have_text("not read yet")
    expect(stage.there_is("index-facts")).to_contain_text("12: the next search adds them")
    stage.there_is("read-index").click()
    expect(stage.there_is("index-phase")).to_have_text("ready")
    expect(stage.there_is("index-facts")).to_contain_text("Images in it12")


@pytest.mark.parametrize("of", ["image", "box"])
def test_4_what_looks_alike_is_queued(stage: Stage, of: str) -> None:
    """Of an item, and of a box on it; what people have to do already cannot be chosen."""
    (asked, *_) = stage.of_project("items", params={"q": "missing work and missing truth"})["items"]
    stage.page.goto(f"{stage.url}/#/shapes/items/{asked['digest']}")
    if of == "image":
        stage.there_is("more-like-this").click()
        path = "neighbours?k=24"
    else:
        stage.there_is("like-box-0").click()
        path = "objects/0/neighbours?k=96"
    nearest = stage.of_project(f"items/{asked['digest']}/{path}")["neighbours"]
    order = list(dict.fromkeys(one["item_digest"] for one in nearest))
    entries = stage.there_is("alike").locator("li")
    expect(entries).to_have_count(len(order))
    assert [entry.get_attribute("data-testid") for entry in entries.all()] == [f"alike-{digest}" for digest in order]
    expect(entries.first).to_contain_text(f"{nearest[0]['similarity']:.2f}")
    expect(entries.first.locator("svg rect")).to_have_count(0 if of == "image" else 1)
    free = {one["digest"] for one in stage.of_project("items", params={"q": "missing work"})["items"]}
    taken = next(digest for digest in order if digest not in free)
    wanted = next(digest for digest in order if digest in free)
    expect(stage.there_is(f"alike-{taken}").get_by_role("checkbox")).to_be_disabled()
    before = tasks(stage)
    stage.there_is(f"alike-{wanted}").get_by_role("checkbox").check()
    stage.there_is("queue-alike").click()
    stage.told("1 queued for review")
    expect(stage.there_is(f"alike-{wanted}")).to_contain_text("work open")
    assert tasks(stage) == before + 1
    assert made(stage)[0]["mix"] == {"like-this": 1.0}
    stage.there_is("close-alike").click()


# --- the risk, and a cycle ---------------------------------------------------------------------------------


def test_5_how_good_the_risk_is_is_told(stage: Stage) -> None:
    """By the rule while there is too little to learn from, with what is missing."""
    stage.show("quality")
    told = stage.of_project("risk")
    expect(stage.there_is("risk-in-use")).to_have_text("fixed rule")
    expect(stage.there_is("risk-source")).to_contain_text(told["why"])
    expect(stage.there_is("risk-row").locator("td").first).to_have_text("2")
    expect(stage.there_is("risk-row")).to_contain_text(f"{told['routed_by']['brier']:.3f}")
    expect(stage.there_is("risk").locator("svg.plot circle")).to_have_count(len(told["routed_by"]["reliability"]))


def cycles_asked(stage: Stage) -> list[str]:
    """Lists of cycles that the page asks for from now on."""
    asked: list[str] = []
    stage.page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/cycles") else None)
    return asked


def goes_on(stage: Stage, cycle: Cycle, **change: object) -> Cycle:
    later = replace(cycle, updated_at=cycle.updated_at + timedelta(seconds=1), **change)  # type: ignore[arg-type]
    with stage.service.services.store.begin() as tx:
        tx.cycles.save(later)
    return later


def test_6_a_cycle_starts_with_what_was_chosen_for_it(stage: Stage) -> None:
    stage.show("overview")
    stage.there_is("start-cycle").click()
    stage.there_is("cycle-from").select_option("scratch")
    stage.there_is("cycle-epochs").fill("3")
    stage.there_is("cycle-recheck").fill("7")
    with stage.page.expect_request(re.compile("/cycles$")) as sent:
        stage.there_is("start-cycle-confirm").click()
    assert sent.value.post_data_json == {"epochs": 3, "recheck": 7, "start": "scratch"}
    stage.told("Cycle started")
    (cycle,) = stage.of_project("cycles")["cycles"]
    assert (cycle["recipe"]["epochs"], cycle["state"]) == (3, "queued")
    stage.call("POST", f"projects/shapes/cycles/{cycle['id']}/cancel", json={"reason": "another comes"})


@pytest.mark.parametrize("streams", [True, False])
def test_7_a_running_cycle_is_told_as_it_goes_on(stage: Stage, streams: bool) -> None:
    """By its events, without asking for the list of cycles again; where there are none, by asking."""
    pattern = "**/cycles/*/events"
    refuse = lambda route: route.fulfill(status=503)  # noqa: E731 - the same object is taken off again
    if not streams:
        stage.page.route(pattern, refuse)
    begun = stage.service.services.clock()
    cycle = replace(
        a_cycle(1 + streams, project_id="shapes", at=begun),
        state=CycleState.RUNNING, step=Step.TRAIN, progress=0.25,
    )  # fmt: skip
    with stage.service.services.store.begin() as tx:
        tx.cycles.add(cycle)
    card = stage.there_is("cycle")
    expect(card).to_contain_text("train 25%", timeout=15_000)
    stage.page.wait_for_timeout(1_000)  # in which the stream begins
    asked = cycles_asked(stage)
    cycle = goes_on(stage, cycle, progress=0.75)
    expect(card).to_contain_text("train 75%", timeout=15_000)
    stage.page.wait_for_timeout(2_500)  # longer than from one look at the figures to the next
    assert (asked == []) == streams
    goes_on(stage, cycle, state=CycleState.FAILED, error="it was a test", finished_at=begun)
    expect(stage.there_is("cycle-why")).to_contain_text("it was a test", timeout=15_000)
    if not streams:
        stage.page.unroute(pattern, refuse)


# --- data sets -----------------------------------------------------------------------------------------------


def coco(stage: Stage) -> bytes:
    """Three images with a circle each, one of them with a label that the project does not have."""
    files = {f"images/{number}.jpg": scene.jpeg() for number, scene in enumerate(islice(stage.scenes, 3))}
    body = {
        "images": [{"id": number, "file_name": f"{number}.jpg"} for number in range(3)],
        "categories": [{"id": 0, "name": "circle"}, {"id": 1, "name": "nobody"}],
        "annotations": [
            {"image_id": number, "category_id": kind, "bbox": [10, 10, 30, 30]}
            for number, kind in ((0, 0), (1, 0), (2, 0), (2, 1))
        ],
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("annotations/instances_train.json", json.dumps(body))
        for name, image in files.items():
            archive.writestr(name, image)
    return content.getvalue()


def test_8_a_data_set_comes_in_and_the_ground_truth_goes_out(stage: Stage) -> None:
    """What was left out is told, the same again changes nothing, and an export has all of it."""
    stage.page.goto(f"{stage.url}/#/shapes/items/add")
    known = stage.of_project("exports/coco")["images"]
    archive = {"name": "set.zip", "mimeType": "application/zip", "buffer": coco(stage)}
    for came in ("3 images are new; 3 shapes.", "0 images are new, 3 were there already"):
        stage.there_is("import-file").set_input_files([archive])  # type: ignore[list-item]
        stage.there_is("import-send").click()
        expect(stage.there_is("imported")).to_contain_text(came)
        expect(stage.there_is("imported")).to_contain_text("Left out: 1 × box.")
        stage.told("Data set imported")
    stage.there_is("import-file").set_input_files([archive | {"buffer": b"no archive"}])  # type: ignore[list-item]
    stage.there_is("import-send").click()
    expect(stage.there_is("import-refused")).to_be_visible()
    stage.there_is("toast").get_by_label("Dismiss").click()

    stage.show("snapshots")
    stage.there_is("export").click()
    stage.there_is("export-format").select_option("yolo")
    expect(stage.there_is("export-preview")).to_contain_text(f"{known + 3} images with ground truth")
    with stage.page.expect_download() as coming:
        stage.there_is("confirm").click()
    stage.told("Ground truth exported")
    assert coming.value.suggested_filename == "shapes-yolo.zip"
    with zipfile.ZipFile(coming.value.path()) as exported:
        assert json.loads(exported.read("askance-export.txt"))["images"] == known + 3


@pytest.mark.parametrize("role", ["reviewer", "producer"])
def test_9_others_are_shown_none_of_it(stage: Stage, role: str) -> None:
    others_load_none_of(stage, VIEWS, role)


@pytest.mark.parametrize("width", [1280, 800])
def test_9_nothing_is_cut_off(stage: Stage, width: int) -> None:
    nothing_is_cut_off(stage, ("selections", f"selections/{made(stage)[0]['id']}", "items/add", "quality"), width)
