"""`askance map`: what it asks the service for, and the files that it writes."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from typer.testing import CliRunner

from loop.cli import app
from loop.cli.map_colours import NAMED, OTHERS, ColourBy, categories
from loop.cli.map_html import page
from selection.map_file import FACTS, facts_page, identities, map_table, read_map, write_map
from serving.api.schemas.maps import MapOut
from tests.requirements import require_chromium

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
EVIL = "</script><img src=x onerror=\"document.title='hurt'\">{{title}} & <b>$x_1$</b>"


def columns(count: int = 200, labels: tuple[str, ...] = ("car", "bus"), *, p: float = 0.5) -> bytes:
    """A map of points in a square; every fifth shows nothing."""
    rows = range(count)
    facts = facts_page(
        items=[f"{row:064x}" for row in rows], risk=[row / count for row in rows], anomaly_p=[p] * count,
        score=[None if row % 5 == 4 else 0.75 for row in rows],
        label=[None if row % 5 == 4 else labels[row % len(labels)] for row in rows],
        source=[EVIL if row == 0 else "" for row in rows], predicted_at=[NOW] * count,
    )  # fmt: skip
    positions = np.random.default_rng(0).uniform(-3, 7, (count, 2)).astype(np.float32)
    looked_at = identities([f"{row:064x}" for row in range(3)])
    table = map_table(
        pa.Table.from_batches([facts], FACTS), positions, np.arange(count) % 2 == 0, tasks=looked_at,
        truths=looked_at[:1],
    )  # fmt: skip
    about = {"project": "street", "model_id": "model_1", "made_at": "2026-05-01T12:00:00+00:00", "fitted": "100"}
    return write_map(table, about)


class Service:
    """Stands in for the client, and notes what it is asked."""

    def __init__(self, content: bytes, *, error: str = "", behind: int = 0) -> None:
        self.content = content
        self.asked: list[bool] = []
        drawn = {
            "model_id": "model_1", "points": 200, "fitted": 100, "late": 0, "seed": 0, "fitted_at": NOW, "made_at": NOW,
        }  # fmt: skip
        self.status = MapOut.model_validate(
            {
                "project_id": "street", "state": "failed" if error else "ready", "error": error, "actor": "Ada",
                "updated_at": NOW, "behind": behind, "drawn": drawn,
            }
        )  # fmt: skip

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def ask_for_map(self, project: str, *, refit: bool) -> MapOut:
        assert project == "street"
        self.asked.append(refit)
        return self.status

    def await_map(self, _project: str) -> MapOut:
        return self.status

    def map_status(self, _project: str) -> MapOut:
        return self.status

    def map(self, _project: str) -> bytes:
        return self.content


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    made = Service(columns())
    monkeypatch.setenv("ASKANCE_TOKEN", "secret")
    monkeypatch.setattr("serving.client.Client", lambda _url, _token: made)
    return made


def askance(*arguments: str) -> str:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["map", "-p", "street", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*arguments: str) -> str:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["map", "-p", "street", *arguments])
    assert done.exit_code != 0
    return f"{done.output} {done.exception}"


# --- the command -----------------------------------------------------------------------------------


def test_a_map_is_brought_up_to_date_before_it_is_shown(service: Service, tmp_path: Path) -> None:
    """Fitted anew only where that is asked for, and left as it is where that is."""
    told = askance("--out", str(tmp_path / "a.arrow"))
    assert "200 images of model_1, the others placed beside the 100 that were fitted" in told
    askance("--out", str(tmp_path / "b.arrow"), "--refit")
    askance("--out", str(tmp_path / "c.arrow"), "--as-is")
    assert service.asked == [False, True]
    for name in ("a", "b", "c"):
        assert (tmp_path / f"{name}.arrow").read_bytes() == service.content


@pytest.mark.parametrize("colour", list(ColourBy))
def test_a_picture_shows_every_colouring(service: Service, tmp_path: Path, colour: ColourBy) -> None:
    """Names of any kind are shown, not interpreted."""
    out = tmp_path / "map.png"
    askance("--out", str(out), "--color", colour.value)
    pixels = np.asarray(Image.open(out).convert("RGB"))
    assert min(pixels.shape[:2]) > 900
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20


def test_what_the_map_lacks_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Predictions may come faster than maps."""
    late = Service(columns(), behind=1234)
    monkeypatch.setenv("ASKANCE_TOKEN", "secret")
    monkeypatch.setattr("serving.client.Client", lambda _url, _token: late)
    assert "1,234 newer predictions are not on it" in askance("--out", str(tmp_path / "a.arrow"))


def test_a_map_that_could_not_be_drawn_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And that the one before is there."""
    failed = Service(columns(), error="no memory.")
    monkeypatch.setenv("ASKANCE_TOKEN", "secret")
    monkeypatch.setattr("serving.client.Client", lambda _url, _token: failed)
    assert "no memory. What was drawn before is there still: --as-is." in refused("--out", str(tmp_path / "a.png"))
    askance("--out", str(tmp_path / "a.png"), "--as-is")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--out", "map.gif"), "a map cannot be a .gif. One of .png, .html, .arrow."),
        (("--out", "map"), "a map cannot be a file without a suffix."),
        (("--out", "no/such/map.png"), "there is no folder no/such."),
        (("--out", "map.png", "--refit", "--as-is"), "contradict each other"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_drawn(
    service: Service, arguments: tuple[str, ...], told: str
) -> None:
    assert told in refused(*arguments)
    assert service.asked == []


def test_a_place_that_cannot_be_written_is_told(service: Service, tmp_path: Path) -> None:
    for kind in ("png", "html", "arrow"):
        (tmp_path / f"map.{kind}").mkdir()
        assert "cannot be written to" in refused("--out", str(tmp_path / f"map.{kind}"))


# --- colours -----------------------------------------------------------------------------------------


def test_the_most_frequent_names_have_colours_of_their_own() -> None:
    """The others share one, and nothing detected is none of them."""
    labels = tuple(f"class {number}" for number in range(10) for _ in range(11 - number))
    found = categories(read_map(columns(1000, labels)), "label")
    counts = found.counts.tolist()
    assert counts == sorted(counts, reverse=True)
    assert found.colours == (*NAMED, OTHERS, OTHERS)
    assert (found.codes == -1).sum() == 200


def test_states_have_an_order_of_their_own() -> None:
    found = categories(read_map(columns()), "state")
    assert found.names == ("open", "task", "truth")
    assert found.counts.tolist() == [197, 2, 1]


# --- the page ------------------------------------------------------------------------------------------


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Page]:
    """A browser's page, which fails the test where its script does."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=require_chromium(), args=["--no-sandbox", "--disable-gpu"])
        shown = browser.new_page(viewport={"width": 1000, "height": 700})
        problems: list[str] = []
        shown.on("pageerror", lambda error: problems.append(str(error)))
        shown.on("console", lambda message: message.type == "error" and problems.append(message.text))
        requests: list[str] = []
        shown.on("request", lambda request: requests.append(request.url))
        yield shown
        browser.close()
    assert problems == []
    assert all(url.startswith("file:") for url in requests)


def show(opened: Page, folder: Path, content: bytes, by: ColourBy = ColourBy.risk, title: str = "a map") -> None:
    path = folder / "map.html"
    path.write_text(page(read_map(content), by, title=title), encoding="utf-8")
    opened.goto(path.as_uri())


def painted(opened: Page) -> int:
    """Pixels of the canvas that are not white."""
    count = """() => { const c = document.querySelector("canvas"), d = c.getContext("2d").getImageData(0, 0, c.width,
        c.height).data; let n = 0; for (let i = 0; i < d.length; i += 4) n += d[i] + d[i + 1] + d[i + 2] < 765;
        return n; }"""
    opened.wait_for_function("() => !waiting")
    return int(opened.evaluate(count))


@pytest.mark.browser
def test_a_page_shows_what_lies_under_the_pointer(opened: Page, tmp_path: Path) -> None:
    """Its digest, class, risk, source and state; a click keeps the whole digest."""
    show(opened, tmp_path, columns(), ColourBy.label)
    assert painted(opened) > 1000
    wanted = f"{3:064x}"
    opened.fill("#digest", wanted)
    opened.press("#digest", "Enter")
    assert wanted in opened.inner_text("#chosen")
    box = opened.locator("canvas").bounding_box()
    assert box is not None
    opened.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    told = opened.inner_text("#tip")
    assert [part in told for part in (wanted[:16], "bus (0.75)", "0.01", "(none)", "open: nobody has looked")] == [
        True
    ] * 5
    opened.fill("#digest", "ffff")
    opened.press("#digest", "Enter")
    assert "No image on this map" in opened.inner_text("#chosen")


@pytest.mark.browser
def test_names_hide_and_show_their_points(opened: Page, tmp_path: Path) -> None:
    show(opened, tmp_path, columns(), ColourBy.label)
    legend = opened.locator("#legend button")
    assert [text.split("\n")[0] for text in legend.all_inner_texts()] == ["car", "bus", "nothing detected"]
    every = painted(opened)
    for entry in legend.all():
        entry.click()
    assert painted(opened) == 0
    legend.first.click()
    assert 0 < painted(opened) < every


@pytest.mark.browser
@pytest.mark.parametrize("by", list(ColourBy))
def test_a_page_is_moved_zoomed_and_coloured(opened: Page, tmp_path: Path, by: ColourBy) -> None:
    """By wheel, keys and drag; the button brings all of it back."""
    show(opened, tmp_path, columns(), by)
    whole = painted(opened)
    opened.mouse.move(400, 400)
    opened.mouse.wheel(0, -3000)
    assert painted(opened) != whole
    opened.click("#whole")
    assert painted(opened) == whole
    opened.focus("canvas")
    for _ in range(40):
        opened.keyboard.press("ArrowLeft")
    assert painted(opened) == 0
    opened.keyboard.press("0")
    assert painted(opened) == whole
    opened.mouse.move(400, 400)
    opened.mouse.down()
    opened.mouse.move(500, 450)
    opened.mouse.up()
    assert painted(opened) > 0


@pytest.mark.browser
def test_a_page_runs_nothing_that_came_in_a_name(opened: Page, tmp_path: Path) -> None:
    """Markup in a source, a label or a title is text; what looks like a place to fill in is, too."""
    show(opened, tmp_path, columns(labels=(EVIL, "car")), ColourBy.source, title=EVIL)
    assert opened.title() == EVIL
    assert opened.inner_text("h1") == EVIL
    assert EVIL in opened.inner_text("#legend")
    assert opened.locator("img").count() == 0


@pytest.mark.browser
@pytest.mark.parametrize("count", [0, 1])
def test_a_page_of_nothing_is_a_page(opened: Page, tmp_path: Path, count: int) -> None:
    show(opened, tmp_path, columns(count))
    assert (painted(opened) > 0) == (count > 0)


@pytest.mark.browser
def test_that_anomalies_are_not_known_is_told(opened: Page, tmp_path: Path) -> None:
    show(opened, tmp_path, columns(p=1.0), ColourBy.anomaly)
    assert opened.is_visible("#unknown")
    show(opened, tmp_path, columns(p=0.01), ColourBy.anomaly)
    assert not opened.is_visible("#unknown")
