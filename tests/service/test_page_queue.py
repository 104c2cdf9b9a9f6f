"""The queue in the page: what waits, who holds it, and taking it back. In a real browser against the API over a real
store, without Ray; what was done is checked through the API."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from loop.domain.access import Role
from tests.service.operating import Stage, staged

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


LOOKS_AGAIN_MS = 20_000  # the page does every ten seconds


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("queue"), sqlite_template, "queue") as started:
        yield started


def test_1_what_waits_is_shown_and_found(stage: Stage) -> None:
    """With who holds it; by state, holder, and what nobody may do."""
    for name in ("ada", "bob"):
        token, stage.service.tokens[name] = stage.service.services.tokens.create(name, Role.REVIEWER, "shapes")
        stage.people[name] = token.id
    stage.policy(audit_rate=1.0)  # no prediction passes unseen
    stage.predict(3)
    (held,) = stage.call("POST", "projects/shapes/tasks/lease", "ada", json={"count": 1})["tasks"]
    rows = stage.page.locator("[data-testid^=queued-]")
    expect(rows).to_have_count(3, timeout=LOOKS_AGAIN_MS)
    mine = stage.there_is(f"queued-{held['id']}")
    expect(mine).to_contain_text("ada", timeout=LOOKS_AGAIN_MS)
    expect(mine).to_contain_text("ends in")
    stage.there_is("queue-state").select_option("open")
    expect(rows).to_have_count(2)
    expect(stage.there_is("queue-holder")).to_be_disabled()
    stage.there_is("queue-state").select_option("")
    stage.there_is("queue-holder").select_option("ada")
    expect(rows).to_have_count(1)
    expect(mine).to_be_visible()
    stage.there_is("queue-holder").select_option("")
    stage.there_is("queue-need").select_option("nobody")
    expect(stage.there_is("queue-empty")).to_contain_text("there is somebody")
    stage.page.get_by_text("Show all").click()
    expect(rows).to_have_count(3)


def test_2_a_lease_is_taken_back_after_a_question(stage: Stage) -> None:
    """Then anybody gets the task, and who held it is refused."""
    (held,) = stage.of_project("tasks", params={"state": "leased"})["tasks"]
    mine = stage.there_is(f"queued-{held['id']}")
    mine.locator("[data-testid=take-back]").click()
    dialog = stage.there_is("sure-dialog")
    expect(dialog).to_contain_text("refused")
    dialog.locator("[data-testid=confirm]").click()
    stage.told("Taken back from ada")
    expect(mine).not_to_contain_text("ada")
    body = {"epoch": held["epoch"], "shapes": []}
    late = stage.service.call("POST", f"/v1/tasks/{held['id']}/submit", "ada", json=body)
    assert late.status_code == 409
    (event,) = (one for one in stage.of_project("events")["events"] if one["kind"] == "task.taken_back")
    assert event["body"]["task_id"] == held["id"]


def test_3_a_lease_that_ended_meanwhile_is_not_taken_from_the_next(stage: Stage) -> None:
    """What was looked at is what is taken back: the dialog stays and says why not."""
    (held,) = stage.call("POST", "projects/shapes/tasks/lease", "ada", json={"count": 1})["tasks"]
    mine = stage.there_is(f"queued-{held['id']}")
    expect(mine).to_contain_text("ada", timeout=15_000)
    mine.locator("[data-testid=take-back]").click()
    stage.call("POST", f"tasks/{held['id']}/release", "ada", json={"epoch": held["epoch"]})
    stage.call("POST", "projects/shapes/tasks/lease", "bob", json={"count": 3})
    dialog = stage.there_is("sure-dialog")
    dialog.locator("[data-testid=confirm]").click()
    expect(dialog.get_by_role("alert")).to_contain_text("leased again")
    assert {one["holder"] for one in stage.of_project("tasks")["tasks"]} == {"bob"}
    dialog.get_by_label("Close").click()
