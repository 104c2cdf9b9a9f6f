"""The map over HTTP: asked for, awaited, read as columns."""

from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa
import pytest

from loop.domain.embedding_map import Drawn
from loop.domain.errors import MapFailed
from loop.domain.ports import Blobs
from loop.selecting.map_drawing import MapDrawing, MapRecipe
from loop.selecting.maps import Maps
from selection.map_file import read_map
from tests.api.conftest import Service, picture
from tests.api.test_predictions import problem

PATH = "/v1/projects/shapes/map"
RECIPE = MapRecipe(representatives=100, neighbours=15, seed=0, refit_share=0.25)


class Drawing:
    """Draws in this process, where the service has one for it."""

    def __init__(self, services) -> None:
        self._drawing = MapDrawing(services.store, services.blobs, RECIPE, services.clock)
        self.wrong: list[Exception] = []

    def draw_map(self, project_id: str, *, refit: bool, stopping: Callable[[], bool]) -> Drawn:
        if self.wrong:
            raise self.wrong.pop()
        return self._drawing.draw(project_id, refit=refit)


@pytest.fixture
def drawing(service: Service) -> Drawing:
    """What works off the maps that are asked for, when `Maps.advance` is called."""
    made = Drawing(service.services)
    service.services = replace(service.services, maps=replace(service.services.maps, cartographer=made))
    service.client.app.state.services = service.services  # type: ignore[attr-defined]
    return made


@pytest.fixture
def maps(service: Service, drawing: Drawing) -> Maps:
    """Of a project with three predictions."""
    for seed in range(3):
        service.predict(picture(seed), params={"source": f"camera {seed}"})
    return service.services.maps


@pytest.fixture
def drawn(service: Service, maps: Maps) -> Maps:
    service.call("POST", PATH, json={})
    maps.advance()
    return maps


def test_nobody_has_a_map_who_did_not_ask(service: Service, maps: Maps) -> None:
    """404, with what to do."""
    for path in (PATH, f"{PATH}/status"):
        answer = service.call("GET", path)
        problem(answer, 404, "not-found")
        assert "POST /v1/projects/shapes/map" in answer.json()["hint"]
    problem(service.call("GET", "/v1/projects/nowhere/map"), 404, "not-found")


def test_a_map_is_asked_for_awaited_and_read(service: Service, maps: Maps) -> None:
    """202 until the first is drawn; then columns that any reader of Arrow streams reads."""
    asked = service.call("POST", PATH, json={})
    assert (asked.status_code, asked.json()["state"]) == (202, "queued")
    early = service.call("GET", PATH)
    assert (early.status_code, early.json()["drawn"], early.headers["retry-after"]) == (202, None, "2")
    assert maps.advance()
    status = service.call("GET", f"{PATH}/status").json()
    assert (status["state"], status["behind"], status["error"]) == ("ready", 0, "")
    assert (status["drawn"]["points"], status["drawn"]["fitted"], status["drawn"]["late"]) == (3, 3, 0)
    answer = service.call("GET", PATH)
    assert answer.headers["content-type"] == "application/vnd.apache.arrow.stream"
    table = pa.ipc.open_stream(answer.content).read_all()
    assert sorted(table["source"].to_pylist()) == ["camera 0", "camera 1", "camera 2"]
    assert set(table["state"].to_pylist()) == {"task"}
    assert read_map(answer.content).schema.metadata[b"model_id"].decode() == status["drawn"]["model_id"]


def test_who_has_it_already_is_sent_nothing(service: Service, drawn: Maps) -> None:
    """By its ETag, which changes with the map."""
    tag = service.call("GET", PATH).headers["etag"]
    for asked in (tag, f'"other", W/{tag}'):
        same = service.call("GET", PATH, headers={"If-None-Match": asked})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    service.predict(picture(7))
    service.call("POST", PATH, json={})
    drawn.advance()
    newer = service.call("GET", PATH, headers={"If-None-Match": tag})
    assert newer.status_code == 200
    assert read_map(newer.content).num_rows == 4


def test_what_was_drawn_before_is_read_while_the_next_is_drawn(service: Service, drawn: Maps) -> None:
    service.predict(picture(7))
    assert service.call("POST", PATH, json={"refit": True}).json()["behind"] == 1
    assert read_map(service.call("GET", PATH).content).num_rows == 3


def test_a_map_that_could_not_be_drawn_says_why(service: Service, maps: Maps, drawing: Drawing) -> None:
    """404 with the reason where there is none; with one, it is read on and the status says it."""
    drawing.wrong = [MapFailed("the machine ran out of memory.")]
    service.call("POST", PATH, json={})
    maps.advance()
    answer = service.call("GET", PATH)
    problem(answer, 404, "not-found")
    assert "ran out of memory" in answer.json()["detail"]
    service.call("POST", PATH, json={})
    maps.advance()
    drawing.wrong = [MapFailed("again.")]
    service.call("POST", PATH, json={})
    maps.advance()
    assert service.call("GET", PATH).status_code == 200
    assert service.call("GET", f"{PATH}/status").json()["error"] == "again."


def test_a_file_that_is_gone_is_a_problem_not_half_an_answer(service: Service, drawn: Maps) -> None:
    record = drawn.status("shapes").record.drawn
    assert record is not None
    blobs: Blobs = service.services.blobs
    blobs.remove(record.key)
    answer = service.call("GET", PATH)
    problem(answer, 404, "not-found")
    assert "askance map --refit" in answer.json()["hint"]


def test_only_operators_see_it(service: Service, drawn: Maps) -> None:
    """An item of low risk that has a task was drawn at random: who reviews must not know."""
    for role in ("reviewer", "producer"):
        for method, path in (("GET", PATH), ("GET", f"{PATH}/status"), ("POST", PATH)):
            problem(service.call(method, path, role, json={} if method == "POST" else None), 403, "forbidden")


@pytest.mark.parametrize("body", [{"refit": "perhaps"}, {"seed": 1}, [], "x"])
def test_rubbish_is_refused(service: Service, maps: Maps, body: object) -> None:
    problem(service.call("POST", PATH, json=body), 422, "invalid")


def test_a_project_without_predictions_cannot_be_drawn(service: Service, drawing: Drawing) -> None:
    answer = service.call("POST", PATH, json={})
    problem(answer, 422, "invalid")
    assert "annotate" in answer.json()["hint"]
