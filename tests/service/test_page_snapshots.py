"""What the page shows of snapshots and slices: which there are, what two differ in, how one is had as a file. In a real
browser against the API over a real store, without Ray; what was done is checked through the API."""

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import expect

from loop.domain.errors import NotFound
from loop.domain.ports import Blobs
from tests.api.test_evaluations import DARK, Forgetful, furnish, run
from tests.service.operating import Stage, nothing_is_cut_off, others_load_none_of, staged

VIEWS = ("snapshots",)

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("snapshots"), sqlite_template, "snapshots") as started:
        yield started


class WithImages:
    """These blobs, and some bytes for each image that was never sent."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def __getattr__(self, name: str) -> object:
        return getattr(self._blobs, name)

    def get(self, key: str) -> bytes:
        try:
            return self._blobs.get(key)
        except NotFound:
            return key.encode()


def snapshots(stage: Stage) -> list[dict]:
    """Newest first."""
    return stage.of_project("snapshots", params={"counts": True})["snapshots"]


def test_1_with_nothing_to_tell_it_says_what_there_could_be(stage: Stage) -> None:
    expect(stage.there_is("no-snapshots")).to_contain_text("A cycle begins with one")
    expect(stage.there_is("no-slices")).to_be_visible()
    expect(stage.there_is("compare")).to_be_disabled()
    stage.there_is("add-slice").click()
    expect(stage.there_is("add-slice-dialog")).to_contain_text("All views are slices")
    expect(stage.there_is("confirm")).to_be_disabled()
    stage.page.keyboard.press("Escape")


def test_2_a_slice_is_added_with_how_many_items_it_has(stage: Stage) -> None:
    """A margin that is none is not sent; that of a slice before stays."""
    furnish(stage.service)
    stage.call("PUT", "projects/shapes/views/all of it", json={"query": "truth = yes", "sort": "-created_at"})
    stage.page.reload()
    for view, margin in (("dark", "0.05"), ("all of it", "")):
        stage.there_is("add-slice").click()
        stage.there_is("slice-view").select_option(view)
        stage.there_is("slice-margin").fill("5")
        expect(stage.there_is("confirm")).to_be_disabled()
        stage.there_is("slice-margin").fill(margin)
        stage.there_is("confirm").click()
        stage.told("Slice added")
    kept = stage.of_project("slices")["slices"]
    assert [(one["view"], one["margin"]) for one in kept] == [("all of it", None), ("dark", 0.05)]
    count = stage.of_project("items", params={"q": "truth = yes", "count": True})["count"]
    whole = stage.there_is("slice-all of it").locator("td")
    assert count > 0
    expect(whole.nth(1)).to_have_text(str(count))
    expect(whole.first).to_contain_text("not judged yet")
    expect(stage.there_is("slice-dark").locator("td").nth(4)).to_have_text("5%")


def test_3_the_champions_last_figure_is_told(stage: Stage) -> None:
    """Of the newest cycle that judged it, which is named."""
    cycle = run(stage.service, Forgetful(DARK))
    stage.page.reload()
    (told,) = [one for one in stage.of_project(f"cycles/{cycle.id}/evaluation")["slices"] if one["name"] == "dark"]
    cells = stage.there_is("slice-dark").locator("td")
    expect(cells.nth(2)).to_have_text(str(told["images"]))
    expect(cells.nth(3)).to_have_text(f"{told['figures']['before']['ap']:.3f}")
    link = stage.there_is("slices").locator(f"a[href$='{cycle.id}']")
    expect(link).to_be_visible()


def test_4_snapshots_are_listed_with_what_is_in_them(stage: Stage) -> None:
    """The same snapshot of two cycles is one row."""
    run(stage.service, Forgetful(DARK))
    (digest,) = {row["digest"] for row in snapshots(stage)}
    told = snapshots(stage)[0]
    stage.page.reload()
    row = stage.there_is(f"snapshot-{digest}")
    expect(row).to_have_count(1)
    expect(row.locator("td").nth(1)).to_have_text(str(sum(told["images"].values())))
    expect(row).to_contain_text(f"{told['images']['val']} val")
    expect(row.locator("td").nth(3)).to_have_text(str(told["boxes"]))
    expect(row.locator("td").nth(4)).to_have_text(str(told["labels"]))
    expect(row).to_contain_text("and 1 more")
    row.locator("button.link").click()
    expect(stage.page).to_have_url(re.compile(f"#/shapes/snapshots/{digest}$"))
    expect(stage.there_is("snapshot").locator("tbody tr").first).to_contain_text(str(told["images"]["train"]))
    stage.there_is("back-to-snapshots").click()


def test_5_two_are_compared(stage: Stage) -> None:
    """From the older to the newer, whichever was chosen first; the back button leads to the list."""
    before = snapshots(stage)[0]["digest"]
    with stage.service.services.store.begin() as tx:
        (_, truth), (other, _), *_ = list(tx.truths.all_current("shapes"))
        tx.truths.add(replace(truth, version=truth.version + 1, shapes=()))
        assert tx.items.drop("shapes", other.digest, by="ada", at=stage.service.services.clock())
    run(stage.service, Forgetful(DARK))
    after = snapshots(stage)[0]["digest"]
    assert after != before
    stage.page.reload()
    for digest in (after, before):
        stage.there_is(f"snapshot-{digest}").get_by_role("checkbox").check()
    stage.there_is("compare").click()
    expect(stage.page).to_have_url(re.compile(f"#/shapes/snapshots/{before}..{after}$"))
    removed, changed = stage.there_is("changed-Removed"), stage.there_is("changed-With other ground truth")
    expect(removed.locator("summary")).to_have_text("Removed: 1")
    removed.locator("summary").click()
    expect(removed.locator("a")).to_have_attribute("title", other.digest)
    changed.locator("summary").click()
    expect(changed).to_contain_text(f"version {truth.version} → {truth.version + 1}")
    stage.there_is("turn-round").click()
    expect(stage.there_is("changed-Added").locator("summary")).to_have_text("Added: 1")
    stage.there_is("back-to-snapshots").click()
    expect(stage.there_is("snapshots")).to_be_visible()


def test_6_one_is_downloaded(stage: Stage) -> None:
    """As it was, in the format that was chosen; what is refused is said in the dialog."""
    services = stage.service.services
    digest = snapshots(stage)[0]["digest"]
    stage.there_is(f"download-{digest}").click()
    dialog = stage.there_is("download-dialog")
    dialog.locator("[data-testid=confirm]").click()
    expect(dialog.locator("[data-testid=dialog-refused]")).to_be_visible(timeout=15_000)  # its images were never sent
    stage.rewire(replace(services, blobs=WithImages(services.blobs)))
    dialog.locator("[data-testid=format]").select_option("yolo")
    with stage.page.expect_download() as coming:
        dialog.locator("[data-testid=confirm]").click()
    stage.told("Snapshot downloaded")
    assert coming.value.suggested_filename == f"shapes-{digest[:12]}-yolo.zip"
    with zipfile.ZipFile(coming.value.path()) as archive:
        report = json.loads(archive.read("askance-export.txt"))
        images = [name for name in archive.namelist() if name.startswith("images/")]
    assert (report["snapshot"], report["format"], len(images)) == (digest, "yolo", report["images"])
    stage.rewire(services)


def test_7_a_slice_is_taken_back(stage: Stage) -> None:
    """The view stays, and so do the other slices."""
    stage.there_is("remove-slice-dark").click()
    stage.there_is("sure-dialog").locator("[data-testid=confirm]").click()
    stage.told("No slice any more")
    assert [one["view"] for one in stage.of_project("slices")["slices"]] == ["all of it"]
    stage.call("DELETE", "projects/shapes/views/all of it")
    stage.page.reload()
    expect(stage.there_is("slice-all of it")).to_contain_text("the view was removed")


@pytest.mark.parametrize("role", ["reviewer", "producer"])
def test_8_others_are_shown_none_of_it(stage: Stage, role: str) -> None:
    others_load_none_of(stage, VIEWS, role)


@pytest.mark.parametrize("width", [1280, 800])
def test_9_nothing_is_cut_off(stage: Stage, width: int) -> None:
    """Also of one snapshot and of two."""
    newest, *_, oldest = snapshots(stage)
    places = (newest["digest"], f"{oldest['digest']}..{newest['digest']}")
    nothing_is_cut_off(stage, ("snapshots", *(f"snapshots/{place}" for place in places)), width)
