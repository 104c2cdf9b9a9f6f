"""The API over a real store, without Ray, and a browser that shows its page to an operator."""

import re
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from loop.demo.scenes import Pool, Scene, day_scenes
from loop.domain.truth import Shape
from loop.webhooks.outgoing import HttpSender
from loop.wiring import Services, utc_now
from serving.api.app import create_app
from serving.transport import free_ports
from tests.api.conftest import Service, running_in
from tests.receivers import Receiver, receiver
from tests.requirements import require_chromium
from tests.test_dispatching import dispatcher, running, until


@dataclass
class Stage:
    """A service with some work done, a receiver of its webhooks that refuses them, and a browser's page signed in as
    the operator."""

    service: Service
    there: Receiver
    url: str
    browser: Browser
    page: Page
    scenes: Iterator[Scene]
    app: FastAPI  # that listens
    people: dict[str, str] = field(default_factory=dict)  # token ids
    golden: list[str] = field(default_factory=list)

    def rewire(self, services: Services) -> None:
        """From the next request on it is these that answer."""
        self.service.services = services
        self.app.state.services = self.service.client.app.state.services = services

    def call(self, method: str, path: str, role: str = "operator", **request: Any) -> Any:
        response = self.service.call(method, f"/v1/{path}", role, **request)
        assert response.is_success, response.text
        return response.json() if response.content else None

    def of_project(self, path: str, **request: Any) -> Any:
        return self.call("GET", f"projects/shapes/{path}", **request)

    def policy(self, **parts: object) -> None:
        self.call("PATCH", "projects/shapes/policy", json=parts)

    def predict(self, count: int) -> list[str]:
        """Digests of new items, each with a task."""
        answers = [
            self.service.predict(scene.jpeg(), params={"source": "line 1"}) for scene in islice(self.scenes, count)
        ]
        return [str(answer.json()["item_digest"]) for answer in answers]

    def answer(self, name: str, seconds: float, *shapes: Shape) -> str:
        """The person's next task, taken so long ago and answered now; gives its item."""
        person = self.service.services.tokens.authenticate(self.service.tokens[name])
        desk = self.service.services.desk
        early = replace(desk, clock=lambda: utc_now() - timedelta(seconds=seconds))
        (taken,) = early.lease(person, "shapes", 1).assignments
        desk.submit(person, taken.task.id, taken.task.epoch, shapes, "", active_seconds=seconds)
        return taken.task.item_digest

    def show(self, view: str) -> None:
        show_view(self.page, view)

    def there_is(self, testid: str) -> Locator:
        return self.page.locator(f'[data-testid="{testid}"]')

    def told(self, words: str) -> None:
        """What the page says of what was just done, which is then dismissed."""
        expect(self.there_is("toast")).to_contain_text(words)
        self.there_is("toast").get_by_label("Dismiss").click()


SECTIONS = {
    "data": ("items", "selections", "clips", "snapshots", "map"),
    "quality": ("quality", "lots"),
    "people": ("reviewers", "queue", "work", "comments"),
    "setup": ("recipe", "policy", "functions", "webhooks"),
}


def show_view(page: Page, view: str) -> None:
    """By the tab, of the section that the view is in."""
    for section, views in SECTIONS.items():
        if view in views:
            page.locator(f"[data-testid=section-{section}]").click()
    page.locator(f"[data-testid=tab-{view}]").click()


@contextmanager
def staged(folder: Path, template: Path, view: str) -> Iterator[Stage]:
    """Without Ray, over a store in the folder; the browser shows that view. template: a migrated database."""
    with running_in(folder, template) as service, receiver() as there:
        services = service.services
        sender = HttpSender(allow_private=True, timeout_s=5.0, clock=services.clock)
        webhooks = replace(services.webhooks, sender=sender, allow_private=True)
        sending = dispatcher(services.store, sender, pauses=())
        service.services = replace(services, webhooks=webhooks, dispatcher=sending)
        service.client.app.state.services = service.services
        app = create_app(service.services)
        with (
            listening(app) as url,
            running(sending),
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(
                executable_path=require_chromium(),
                args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            )
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            problems: list[str] = []
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.goto(f"{url}/#token={service.tokens['operator']}&/shapes/{view}")
            scenes = day_scenes(0, 200, Pool.STREAM)
            yield Stage(service, there, url, browser, page, scenes, app)
            browser.close()
            assert problems == []


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """Over HTTP; gives the address."""
    port = free_ports(1)[0]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)


def others_load_none_of(stage: "Stage", views: Collection[str], role: str) -> None:
    """Who asks for these views by their addresses without being an operator is shown another, and their browser loads
    no part of them. An operator's does, at the same addresses: so it would be seen."""
    parts = re.compile(r"/assets/(\w+)Page[^/]*\.js")
    page = stage.browser.new_page()
    loaded: set[str] = set()
    page.on("request", lambda request: loaded.update(name.lower() for name in parts.findall(request.url)))
    for view in views:
        _opened(stage, page, view, role)
        expect(page.locator("nav .tab")).to_have_count(1)
        expect(page.locator(f"[data-testid=tab-{view}]")).to_have_count(0)
        page.wait_for_load_state("networkidle")  # whatever it loads by itself has come
    assert loaded.isdisjoint(views)
    for view in views:
        _opened(stage, page, view, "operator")
        expect(page.locator("section.card").first).to_be_visible()
    assert loaded.issuperset(views)
    page.close()


def _opened(stage: "Stage", page: Page, view: str, role: str) -> None:
    """From the beginning, as the address alone says."""
    page.goto("about:blank")
    page.goto(f"{stage.url}/#token={stage.service.tokens[role]}&/shapes/{view}")


def nothing_is_cut_off(stage: "Stage", views: Iterable[str], width: int) -> None:
    """At this width neither the page itself nor its top bar scrolls sideways in any of the views, and every tab can be
    seen. views: with the place within, as in overview/cycle_…; the review with the figures of its queue."""
    stage.page.set_viewport_size({"width": width, "height": 800})
    for view in views:
        name, _, place = view.partition("/")
        stage.show(name)
        if place:
            stage.page.evaluate("(place) => { window.location.hash += `/${place}` }", place)
            expect(stage.page.locator("button.back")).to_be_visible()
        if name == "review":
            expect(stage.there_is("queue-open")).to_have_text(re.compile(r"^\d+$"))
        else:
            expect(stage.page.locator("section.card").first).to_be_visible()
        expect(stage.page.get_by_text("Fetching")).to_have_count(0)
        wide = stage.page.evaluate(
            "() => [document.documentElement, ...document.querySelectorAll('main, header.top, header.top nav')]"
            ".map(e => e.scrollWidth - e.clientWidth)"
        )
        assert wide == [0, 0, 0, 0], view
        for part in stage.page.locator("header.top > :visible, nav .tab").all():
            box = part.bounding_box()
            assert box is not None
            assert box["x"] >= 0 and box["x"] + box["width"] <= width, (view, part.inner_text())
