"""Light and dark: as the system says, or as the person chose. In a browser, over the API without Ray. That all text can
be read is computed in serving/web/src/app/theme.test.ts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.service.operating import Stage, nothing_is_cut_off, staged

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

GROUND = {"light": "rgb(241, 244, 247)", "dark": "rgb(13, 16, 20)"}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("theme"), sqlite_template, "overview") as started:
        yield started


def is_shown(page: Page, theme: str) -> None:
    expect(page.locator("body")).to_have_css("background-color", GROUND[theme])


def test_1_it_follows_the_system_until_one_is_chosen(stage: Stage) -> None:
    """The choice outlives a reload, and whoever chooses what the system has follows it again."""
    page = stage.page
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        is_shown(page, theme)
        expect(stage.there_is("theme")).to_have_attribute("data-theme-now", theme)
    stage.there_is("theme").click()
    is_shown(page, "light")
    page.reload()
    is_shown(page, "light")
    page.emulate_media(color_scheme="light")
    page.emulate_media(color_scheme="dark")
    is_shown(page, "light")
    stage.there_is("theme").click()
    is_shown(page, "dark")
    page.emulate_media(color_scheme="light")
    is_shown(page, "light")


def test_2_pictures_stand_on_black_in_both(stage: Stage) -> None:
    """What is drawn over them was made for that."""
    stage.predict(2)
    stage.page.emulate_media(color_scheme="light")
    stage.show("review")
    expect(stage.page.locator("[data-testid=canvas][data-ready=true]")).to_be_visible(timeout=20_000)
    view = stage.page.locator(".stage .view")
    expect(view).to_have_css("background-color", "rgb(10, 12, 15)")
    expect(view).to_have_css("color", "rgb(219, 226, 234)")
    expect(stage.page.locator(".toolbar")).to_have_css("background-color", "rgb(255, 255, 255)")


def test_3_who_is_signed_in_is_told_at_any_width(stage: Stage) -> None:
    """By name, or by the first letter where there is no room, which names the person when pointed at."""
    who = stage.there_is("who")
    for width, shown in ((1280, "operator"), (900, "O"), (800, "O")):
        stage.page.set_viewport_size({"width": width, "height": 800})
        expect(who).to_be_visible()
        assert who.inner_text().strip() == shown
        expect(who).to_have_attribute("title", "Signed in as operator, operator")
    nothing_is_cut_off(stage, ("review", "overview", "items"), 900)
