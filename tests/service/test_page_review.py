"""What reviewers do beyond boxes, in a real browser against the real service: a recipe with points, polygons,
attributes and links; rules as one works; drafts at another computer; a decision between the answers of others; the
objects of a clip; an answer that goes back to its author."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from askance.client import Client
from loop.demo.scenes import Pool, day_scenes
from serving.api.schemas.predictions import PredictionOut
from serving.api.schemas.shapes import ShapeIO
from tests.clips import pictures, video
from tests.requirements import require_chromium
from tests.service.running import ServiceProcess

PROJECT, VOTES, CLIPS, CHECKS = "scenes", "votes", "clips", "checks"
DIGITS = [str(digit) for digit in range(10)]
RECIPE: dict[str, Any] = {
    "labels": [
        *({"name": digit, "key": digit} for digit in DIGITS),
        {
            "name": "sign",
            "key": "g",
            "geometry": "polygon",
            "attributes": [
                {"name": "state", "type": "select", "options": ["clean", "worn"], "required": True},
                {"name": "lit", "type": "boolean", "default": False},
            ],
        },
        {"name": "post", "key": "p", "geometry": "point"},
    ],
    "links": [{"name": "stands on", "from": ["sign"], "to": ["post"], "min_out": 1, "max_out": 1}],
    "guidelines": "Draw **all** signs <script>document.title = 'broken'</script>",
}

pytestmark = [pytest.mark.service, pytest.mark.browser, pytest.mark.timeout(600)]


@dataclass
class Stage:
    """A service whose people see every image, and a browser."""

    service: ServiceProcess
    operator: Client
    browser: Browser
    problems: list[str]

    def page(self, token: str, project: str) -> Page:
        """A browser's page of its own, with nothing kept from others, on its first task."""
        page = self.browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.goto(f"{self.service.url}/#token={token}&/{project}/review")
        page.locator("[data-testid=canvas][data-ready=true]").wait_for(timeout=30_000)
        return page

    def reviewer(self, name: str, project: str) -> str:
        return self.operator.create_token(name, "reviewer", project).secret

    def make(self, project: str, scenes: int) -> list[PredictionOut]:
        """A project of the demo's seed model, and what that says of its first images."""
        self.operator.create_project(project, DIGITS)
        self.operator.add_model(project, files("loop.demo").joinpath("seed.safetensors").read_bytes())
        self.operator.await_champion(project)
        if project == VOTES:
            self.operator.change_policy(VOTES, queue={"people": {"audit": 2, "annotate": 2}, "people_share": 1.0})
        else:
            self.operator.change_recipe(PROJECT, RECIPE)
        return [self.operator.predict(project, scene.jpeg()) for scene in day_scenes(0, scenes, Pool.STREAM)]

    def truth(self, project: str, digest: str) -> list[ShapeIO]:
        truth = self.operator.item(project, digest).truth
        assert truth is not None
        return truth.shapes


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    service = ServiceProcess(
        tmp_path_factory.mktemp("review"),
        {
            "ASKANCE_DRIFT__EVERY_SECONDS": "0",
            "ASKANCE_POLICY__AUDIT_RATE": "1.0",
            "ASKANCE_SERVING__RUNTIME": "torch",
        },
    )
    service.start()
    problems: list[str] = []
    try:
        with service.operator() as operator, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=require_chromium(),
                args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            )
            yield Stage(service, operator, browser, problems)
            browser.close()
        assert problems == []
    finally:
        service.stop()


def test_1_all_that_a_recipe_asks_for_is_drawn_said_and_linked(stage: Stage) -> None:
    """A polygon click by click, its attributes, a point and the link to it; rules tell what is missing until nothing
    is, and what was drawn at one computer is there at another, which sends it."""
    answers = stage.make(PROJECT, 2)
    token = stage.reviewer("ada", PROJECT)
    page = stage.page(token, PROJECT)
    task = str(page.locator("[data-testid=canvas]").get_attribute("data-task-id"))
    expect(page.locator("[data-testid=guidelines] strong")).to_have_text("all")
    assert page.title() != "broken"

    page.keyboard.press("g")
    _click(page, 20, 20)
    _click(page, 90, 20)
    _click(page, 90, 80)
    page.keyboard.press("Enter")
    expect(page.locator("[data-testid=matter-error]")).to_have_count(2)  # no state, no link
    page.keyboard.press("Enter")
    expect(page.locator("[data-testid=canvas]")).to_have_attribute("data-task-id", task)

    page.keyboard.press("p")
    _click(page, 150, 150)
    page.keyboard.press("j")  # to the sign, of which the issues are
    page.keyboard.press("l")
    page.keyboard.press("Enter")
    page.keyboard.press("a")
    page.locator("[data-testid=attribute-state]").select_option("worn")
    page.keyboard.press("Escape")
    expect(page.locator("[data-testid=matter-error]")).to_have_count(0)
    with page.expect_response(lambda response: response.url.endswith("/draft")):
        page.keyboard.press("Tab")

    elsewhere = stage.page(token, PROJECT)
    expect(elsewhere.locator("[data-testid=draft-restored]")).to_be_visible()
    elsewhere.keyboard.press("Enter")
    expect(elsewhere.locator("[data-testid=done-count]")).to_have_text("1")
    truth = stage.truth(PROJECT, next(answer.item_digest for answer in answers if answer.task_id == task))
    (sign,) = (shape for shape in truth if shape.label == "sign")
    (post,) = (shape for shape in truth if shape.label == "post")
    assert sign.points == [pytest.approx(point, abs=2) for point in ([20, 20], [90, 20], [90, 80])]
    assert sign.attributes == {"state": "worn", "lit": False}
    assert [(link.type, link.to) for link in sign.links or []] == [("stands on", post.id)]


def test_2_somebody_decides_between_two_answers(stage: Stage) -> None:
    """It begins with what they come to, disputed shapes listed. Both are shown, one is hidden by a key, one shape is
    taken by a click, all of the other by a key."""
    (answer,) = stage.make(VOTES, 1)
    said = ([ShapeIO(label="1", box=[20, 20, 80, 80])], [ShapeIO(label="2", box=[150, 150, 220, 220])])
    for name, shapes in zip(("bob", "cyd"), said, strict=True):
        with Client(stage.service.url, stage.reviewer(name, VOTES)) as client:
            (task,) = client.lease(VOTES, 1).tasks
            client.submit(task.id, task.epoch, shapes)
    page = stage.page(stage.reviewer("dan", VOTES), VOTES)
    rows = page.locator("[data-testid^=shape-row-]")
    expect(rows).to_have_count(2)
    expect(page.get_by_text("People disagree on this 1")).to_be_visible()
    expect(page.get_by_text("People disagree on this 2")).to_be_visible()
    for left in (1, 0):
        rows.first.locator(".remove").click()
        expect(rows).to_have_count(left)
    page.keyboard.press("Shift+Digit2")
    expect(page.locator("[data-testid=answer-2]")).not_to_be_checked()
    _click(page, 185, 185)  # hidden, hence not to be taken
    expect(rows).to_have_count(0)
    page.keyboard.press("Tab")  # to no button: Enter is the answer
    expect(page.locator("[data-testid=canvas]")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(page.locator("[data-testid=canvas]")).not_to_be_focused()
    _click(page, 50, 50)
    expect(rows).to_have_count(1)
    page.keyboard.press("Alt+Shift+Digit2")
    expect(page.locator("[data-testid=shape-row-0]")).to_have_attribute("data-label", "2")
    page.keyboard.press("Control+z")
    expect(page.locator("[data-testid=shape-row-0]")).to_have_attribute("data-label", "1")
    page.keyboard.press("Enter")
    expect(page.locator("[data-testid=done-count]")).to_have_text("1")
    expect(page.locator("[data-testid=done]")).to_have_attribute("title", "In this session: 1 answered")
    assert [shape.label for shape in stage.truth(VOTES, answer.item_digest)] == ["1"]


def test_3_an_object_is_followed_through_a_clip(stage: Stage, tmp_path: Path) -> None:
    """Drawn in a frame, moved in another, outside from a third on. In between it is shown where the truth will have it,
    by time; who decides between two answers sees of both what they say of the frame, and takes whole objects."""
    file = tmp_path / "drive.mkv"
    times = [Fraction(second) for second in (0, 1, 2, 3, 9, 10)]
    file.write_bytes(video(pictures(6), times=times, container="matroska"))
    stage.operator.create_project(CLIPS, ["car"])
    stage.operator.change_policy(CLIPS, queue={"people": {"annotate": 2}, "people_share": 1.0})
    clip = stage.operator.upload_clip(CLIPS, file)
    stage.operator.make_clip_tasks(CLIPS, clip.id)

    page = stage.page(stage.reviewer("ada of clips", CLIPS), CLIPS)
    rows = page.locator("[data-testid^=shape-row-]")
    _frame(page, 1, ".")
    _drag(page, (4, 4), (14, 14))
    first = _box(rows.first)
    assert first == pytest.approx([4, 4, 14, 14], abs=0.5)
    page.keyboard.press("k")
    _frame(page, 4, "...")
    page.keyboard.press("k")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    last = _box(rows.first)
    assert last[0] == pytest.approx(first[0] + 40)
    _frame(page, 2, ",,")
    expect(rows).to_have_count(0)
    eighth = [first[0] + 5, first[1], first[2] + 5, first[3]]  # one second of eight
    _click(page, first[2] + 2, 9)  # where it is by time only, not by index
    assert _box(rows.first) == pytest.approx(eighth)
    page.keyboard.press("Control+z")
    _frame(page, 5, "...")
    page.locator("[data-testid=tool-outside]").click()
    expect(page.locator("[data-testid=is-outside]")).to_be_visible()
    page.keyboard.press("o")
    expect(page.locator("[data-testid=is-outside]")).to_have_count(0)
    page.keyboard.press("o")
    page.keyboard.press("Enter")
    expect(page.locator("[data-testid=done-count]")).to_have_text("1")

    digests = [frame.item_digest for frame in stage.operator.group(CLIPS, clip.id).page]
    (said,) = stage.operator.item(CLIPS, digests[0]).submissions
    keys = [(one.frame, one.box, one.outside) for one in said.shapes]
    assert keys == [(1, first, None), (4, last, None), (5, last, True)]

    theirs = [ShapeIO(label="car", box=[30, 30, 40, 40], frame=frame, track="t1") for frame in (0, 2)]
    with Client(stage.service.url, stage.reviewer("bob of clips", CLIPS)) as client:
        (task,) = client.lease(CLIPS, 1).tasks
        client.submit(task.id, task.epoch, theirs)
    page = stage.page(stage.reviewer("dan of clips", CLIPS), CLIPS)
    for index, (of_ada, of_bob) in enumerate([(0, 1), (1, 1), (1, 1), (1, 0), (1, 0), (0, 0)]):
        _frame(page, index, "." if index else "")
        expect(page.locator(".answer").nth(0).locator("li")).to_have_count(of_ada)
        expect(page.locator(".answer").nth(1).locator("li")).to_have_count(of_bob)
    _frame(page, 2, ",,,")
    _click(page, first[2] + 2, 9)  # of ada's, which is on its way
    _click(page, 35, 35)
    page.keyboard.press("Enter")
    expect(page.locator("[data-testid=done-count]")).to_have_text("1")
    truths = [sorted(shape.box for shape in stage.truth(CLIPS, digest)) for digest in digests]
    bobs = [30, 30, 40, 40]
    assert [[box for box in truth if box != bobs] for truth in truths] == [
        [], [first], [pytest.approx(eighth)], [pytest.approx([first[0] + 10, first[1], first[2] + 10, first[3]])],
        [last], [],
    ]  # fmt: skip
    assert [truth.count(bobs) for truth in truths] == [1, 1, 1, 0, 0, 0]


def test_4_an_answer_goes_back_and_is_accepted_when_it_is_mended(stage: Stage) -> None:
    """Another person says what is wrong with a shape; its author reads it at that shape, mends it, and only then it is
    the truth."""
    image = io.BytesIO()
    Image.new("RGB", (320, 240), (40, 90, 160)).save(image, "PNG")
    stage.operator.create_project(CHECKS, ["car"])
    stage.operator.change_policy(CHECKS, workflow={"qa": "all"})
    item = stage.operator.add_item(CHECKS, image.getvalue())
    stage.operator.ask_for(CHECKS, "all of it", items=[item.digest])

    author = stage.page(stage.reviewer("ada of checks", CHECKS), CHECKS)
    _drag(author, (40, 40), (200, 120))
    drawn = _box(author.locator("[data-testid=shape-row-0]"))
    author.keyboard.press("Enter")
    expect(author.locator("[data-testid=empty-queue]")).to_be_visible()
    assert stage.operator.item(CHECKS, item.digest).truth is None

    judge = stage.page(stage.reviewer("bob of checks", CHECKS), CHECKS)
    expect(judge.locator("[data-testid=qa]")).to_be_visible()
    judge.keyboard.press("Tab")
    judge.keyboard.press("r")
    judge.keyboard.type("too wide")
    judge.keyboard.press("Enter")
    expect(judge.locator("[data-testid=return]")).to_contain_text("Return with 1")
    judge.keyboard.press("Enter")
    expect(judge.locator("[data-testid=done-count]")).to_have_text("1")

    _check_now(author)
    expect(author.locator("[data-testid=returned]")).to_contain_text("This came back to you")
    expect(author.locator("[data-testid=matter-returned]")).to_contain_text("too wide")
    author.keyboard.press("j")
    for _ in range(5):
        author.keyboard.press("Alt+Shift+ArrowLeft")
    author.keyboard.press("Enter")
    expect(author.locator("[data-testid=done-count]")).to_have_text("2")
    assert stage.operator.item(CHECKS, item.digest).truth is None

    _check_now(judge)
    expect(judge.locator("[data-testid=qa]")).to_be_visible()
    judge.keyboard.press("y")
    expect(judge.locator("[data-testid=done-count]")).to_have_text("2")
    assert [shape.box for shape in stage.truth(CHECKS, item.digest)] == [
        pytest.approx([drawn[0], drawn[1], drawn[2] - 50, drawn[3]])
    ]


def _frame(page: Page, index: int, keys: str) -> None:
    """These keys lead to that frame, whose image is then on screen."""
    for key in keys:
        page.keyboard.press(key)
    expect(page.locator(f"[data-testid=frame-{index}]")).to_have_attribute("aria-current", "true")
    page.locator("[data-testid=canvas][data-ready=true]").wait_for()


def _check_now(page: Page) -> None:
    page.get_by_role("button", name="Check now").click()
    page.locator("[data-testid=canvas][data-ready=true]").wait_for()


def _box(row: Locator) -> list[float]:
    return [float(side) for side in str(row.get_attribute("data-box")).split(",")]


def _click(page: Page, x: float, y: float) -> None:
    """At pixels of the image."""
    page.mouse.click(*_place(page, x, y))


def _drag(page: Page, begin: tuple[float, float], end: tuple[float, float]) -> None:
    """From pixels of the image to others."""
    page.mouse.move(*_place(page, *begin))
    page.mouse.down()
    page.mouse.move(*_place(page, *end), steps=3)
    page.mouse.up()


def _place(page: Page, x: float, y: float) -> tuple[float, float]:
    """On screen."""
    canvas = page.locator("[data-testid=canvas]")
    bounds = canvas.bounding_box()
    assert bounds is not None
    scale, left, top = (float(str(canvas.get_attribute(f"data-{n}"))) for n in ("scale", "offset-x", "offset-y"))
    return bounds["x"] + left + x * scale, bounds["y"] + top + y * scale
