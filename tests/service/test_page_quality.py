"""What the page tells of promises, of the quality of production and of items, and how long callers wait for reviewers. In
a real browser against the API over a real store, without Ray."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.service.operating import Stage, staged
from tests.test_dispatching import until

OVER = "nobody waits any more; your answer still counts"

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("quality"), sqlite_template, "comments") as started:
        yield started


# --- a caller waits ------------------------------------------------------------------------------------------


def test_1_a_reviewer_sees_how_long_a_caller_waits(stage: Stage) -> None:
    """In seconds, and that it is over; the answer counts all the same. Work that nobody waits for says nothing."""
    stage.policy(audit_rate=0.0, gate={"min_review_seconds": 0})
    scene = next(stage.scenes)
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(stage.service.predict, scene.jpeg(), params={"wait": 8})
        until(lambda: stage.call("GET", "projects/shapes/summary")["tasks"].get("open", 0) == 1)
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
