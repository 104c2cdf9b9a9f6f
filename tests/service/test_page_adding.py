"""What begins in the page: a project, and images in it. In a browser, over the API without Ray."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Route, expect

from tests.service.operating import Stage, nothing_is_cut_off, staged

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("adding"), sqlite_template, "overview") as started:
        yield started


def files(folder: Path, count: int, first: int = 0) -> list[Path]:
    """Images that all differ."""
    folder.mkdir(exist_ok=True)
    made = []
    for number in range(first, first + count):
        path = folder / f"frame-{number:03}.png"
        Image.new("RGB", (64, 48), (number, 90, 255 - number)).save(path)
        made.append(path)
    return made


def add(stage: Stage, paths: list[Path]) -> None:
    stage.there_is("image-files").set_input_files(paths)
    stage.there_is("send-images").click()


def test_1_a_project_is_made_with_its_labels_and_opened(stage: Stage) -> None:
    """What cannot be is said before it is sent; a token for somebody else is shown once."""
    stage.there_is("new-project").click()
    stage.there_is("project-name").fill("My Yard")
    expect(stage.there_is("name-help")).to_contain_text("as in “my-yard”")
    stage.there_is("project-name").fill("shapes")
    expect(stage.there_is("name-help")).to_contain_text("There is a project of this name")
    stage.there_is("project-name").fill("yard")
    stage.there_is("project-labels").fill("cat\ncat")
    expect(stage.there_is("labels-help")).to_contain_text("“cat” is there twice")
    expect(stage.there_is("create-project")).to_be_disabled()
    stage.there_is("project-labels").fill("cat #FF8800\ntraffic light\n")
    stage.there_is("create-project").click()

    stage.there_is("token-name").fill("ada")
    stage.there_is("make-token").click()
    expect(stage.there_is("made-token")).to_contain_text("The token of ada, shown once")
    secret = stage.there_is("secret").inner_text()
    person = stage.service.services.tokens.authenticate(secret)
    assert (person.name, person.role, person.project_id) == ("ada", "reviewer", "yard")
    stage.there_is("open-made").click()

    expect(stage.page).to_have_url(re.compile("#/yard/overview$"))
    expect(stage.there_is("project-picker")).to_have_value("yard")
    expect(stage.there_is("first-steps")).to_be_visible()
    labels = stage.call("GET", "projects/yard")["recipe"]["labels"]
    assert [label["name"] for label in labels] == ["cat", "traffic light"]
    assert labels[0]["color"] == "#ff8800"


def test_2_images_are_added_and_those_there_already_are_told(stage: Stage, tmp_path: Path) -> None:
    """A file that is no image says so, and stops no other; what was added is a list of its own. Images of a folder keep
    their paths."""
    stage.there_is("add-first-images").click()
    (tmp_path / "notes.txt").write_text("not an image")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 not a JPEG at all")
    add(stage, [*files(tmp_path / "a", 12), broken, tmp_path / "notes.txt"])
    expect(stage.there_is("upload-progress")).to_have_text("12 added, 1 not taken.")
    failures = stage.there_is("upload-failures")
    expect(failures).to_contain_text("broken.jpg")
    expect(failures.locator("li")).to_have_count(1)
    expect(failures.locator("li .muted")).not_to_be_empty()  # what to do
    assert len(stage.call("GET", "projects/yard/items")["items"]) == 12
    stage.told("12 added, 1 not taken.")

    stage.there_is("add-more").click()
    files(tmp_path / "b", 5, first=10)
    stage.there_is("image-folder").set_input_files(tmp_path / "b")
    stage.there_is("send-images").click()
    expect(stage.there_is("upload-progress")).to_have_text("3 added, 2 there already.")
    stage.there_is("show-added").click()
    expect(stage.there_is("items-count")).to_have_text(re.compile(r"^\d+ items$"))
    expect(stage.there_is("query")).to_have_value(re.compile("^created_at >= "))
    (named,) = stage.call("GET", "projects/yard/items", params={"q": "meta.path = b/frame-014.png"})["items"]
    tile = stage.there_is(f"item-{named['digest']}")
    expect(tile).to_contain_text("frame-014.png")
    tile.get_by_role("button").click()
    expect(stage.there_is("item").get_by_role("heading")).to_have_text("b/frame-014.png")
    stage.there_is("back-to-items").click()


def test_3_people_are_asked_for_what_was_added(stage: Stage, tmp_path: Path) -> None:
    """Where there is no model, from the same place."""
    stage.there_is("add-images").click()
    stage.there_is("ask-people").click()
    stage.there_is("ask-budget").fill("20")
    stage.there_is("confirm").click()
    stage.told("15 images queued for review")
    assert stage.call("GET", "projects/yard/summary")["tasks"]["open"] == 15


def test_3_with_ground_truth_a_cycle_is_the_next_step(stage: Stage) -> None:
    """As long as no model serves."""
    (task,) = stage.call("POST", "projects/yard/tasks/lease", json={"count": 1})["tasks"]
    stage.call("POST", f"tasks/{task['id']}/submit", json={"epoch": task["epoch"], "shapes": [], "note": ""})
    stage.show("overview")
    stage.there_is("first-cycle").click()
    stage.there_is("start-cycle-dialog").get_by_label("Close").click()
    stage.show("items")
    stage.there_is("add-images").click()


def test_4_sending_is_cancelled_and_the_rest_sent_later(stage: Stage, tmp_path: Path) -> None:
    """An outage is waited out, and it goes on while another view is looked at."""
    stage.there_is("add-more").click()
    down = True

    def answer(route: Route) -> None:
        if down:
            route.abort()
        else:
            route.continue_()

    stage.page.route("**/v1/projects/yard/items?*path=*", answer)
    add(stage, files(tmp_path / "c", 6, first=100))
    expect(stage.there_is("upload-waits")).to_contain_text("It goes on by itself")
    stage.there_is("cancel-upload").click()
    expect(stage.there_is("upload-progress")).to_have_text("Cancelled: 0 added, 6 not sent.")
    down = False
    stage.there_is("send-again").click()
    stage.show("recipe")
    stage.show("items")
    stage.there_is("add-images").click()
    expect(stage.there_is("upload-progress")).to_have_text("6 added.")
    stage.page.unroute("**/v1/projects/yard/items?*path=*")


def test_5_with_a_model_they_are_predicted_and_routed_or_only_kept(stage: Stage, tmp_path: Path) -> None:
    """What has a prediction is not predicted again."""
    stage.page.goto(f"{stage.url}/#/shapes/items/add")
    stage.there_is("treatment-keep").check()
    stage.there_is("add-source").fill("camera-3")
    kept = files(tmp_path / "d", 2, first=50)
    add(stage, kept)
    expect(stage.there_is("upload-progress")).to_have_text("2 added.")
    assert stage.of_project("summary")["predictions"] == 0

    stage.there_is("add-more").click()
    expect(stage.there_is("treatment-predict")).to_be_checked()
    add(stage, [*kept, *files(tmp_path / "d", 1, first=60)])
    expect(stage.there_is("upload-progress")).to_contain_text("1 added, 2 there already; 3 predicted")
    stage.there_is("add-more").click()
    add(stage, kept)
    expect(stage.there_is("upload-progress")).to_have_text("0 added, 2 there already.")
    assert stage.of_project("summary")["predictions"] == 3
    assert len(stage.of_project("items", params={"q": "source = camera-3"})["items"]) == 2


def test_6_who_may_make_no_project_is_told_the_command(stage: Stage) -> None:
    """An operator of one project; reviewers have no such button."""
    bound = stage.call("POST", "tokens", json={"name": "yard's", "role": "operator", "project_id": "yard"})["secret"]
    page = stage.browser.new_page()
    page.goto(f"{stage.url}/#token={bound}&/yard/overview")
    page.locator("[data-testid=new-project]").click()
    expect(page.locator("[data-testid=not-allowed]")).to_contain_text("askance project create NAME --labels")
    page.close()
    page = stage.browser.new_page()
    page.goto(f"{stage.url}/#token={stage.service.tokens['reviewer']}")
    expect(page.locator("[data-testid=sign-out]")).to_be_visible()
    expect(page.locator("[data-testid=new-project]")).to_have_count(0)
    page.close()


@pytest.mark.parametrize("width", [1280, 800])
def test_7_nothing_is_cut_off(stage: Stage, width: int) -> None:
    stage.page.goto(f"{stage.url}/#/yard/overview")
    nothing_is_cut_off(stage, ("items/add", "overview"), width)
