"""Before there is a model: images are added, typical ones chosen for people, who begin with an empty image."""

import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from loop.cli import app
from loop.domain.errors import BadDataset
from loop.selecting import cold_start
from selection.colours import SPACE
from serving.client import ApiError
from tests.api.conftest import Service, listening, picture
from tests.api.test_predictions import problem

PROJECT = "/v1/projects/bare"


@pytest.fixture
def bare(service: Service) -> Service:
    """With a project `bare`, which has a label and nothing else."""
    assert service.call("POST", "/v1/projects", json={"id": "bare", "labels": ["bolt"]}).is_success
    return service


def coloured(colour: tuple[int, int, int], seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    pixels = (np.array(colour) + rng.integers(-12, 12, (48, 64, 3))).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


COLOURS = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40)]


def add(service: Service, content: bytes, role: str = "producer", **params: str) -> httpx.Response:
    return service.call("POST", f"{PROJECT}/items", role, content=content, params=params)


def filled(service: Service) -> dict[str, int]:
    """Twelve images of each of four colours; the colour's number by digest."""
    return {
        add(service, coloured(colour, 100 * number + seed), source=f"camera {number}").json()["digest"]: number
        for number, colour in enumerate(COLOURS)
        for seed in range(12)
    }


def select(service: Service, **body: object) -> httpx.Response:
    return service.call("POST", f"{PROJECT}/selections", json={"budget": 4, "seed": 1, **body})


def lease(service: Service, count: int = 10) -> list[dict]:
    return service.call("POST", f"{PROJECT}/tasks/lease", "reviewer", json={"count": count}).json()["tasks"]


def test_a_query_of_items_narrows_what_is_chosen_from(bare: Service) -> None:
    colours = filled(bare)
    made = select(bare, budget=20, query="source = 'camera 2' and has source").json()
    assert made["pool"] == 12 and {colours[pick["item_digest"]] for pick in made["picks"]} == {2}
    problem(select(bare, query="source = 'camera 9'"), 422, "invalid")


def test_an_image_is_kept_without_a_prediction(bare: Service) -> None:
    """Its facts and what its sender says of it; nobody is asked about it, and no model has looked."""
    content = picture(width=60, height=40)
    added = add(bare, content, source="camera 3", group="clip 7", path="/in/a.png")
    assert added.status_code == 201
    body = added.json()
    assert (body["width"], body["height"], body["media_type"], body["new"]) == (60, 40, "image/png", True)
    item = bare.call("GET", f"{PROJECT}/items/{body['digest']}").json()
    assert (item["source"], item["group"], item["meta"]) == ("camera 3", "clip 7", {"path": "/in/a.png"})
    assert (item["truth"], item["prediction"], lease(bare)) == (None, None, [])
    assert bare.call("GET", item["image_url"]).content == content


def test_an_image_that_is_sent_again_changes_nothing(bare: Service) -> None:
    first = add(bare, picture(), source="a").json()
    again = add(bare, picture(), source="b").json()
    assert again == {**first, "new": False}
    assert bare.call("GET", f"{PROJECT}/items").json()["items"][0]["source"] == "a"


def test_what_is_no_image_is_refused(bare: Service) -> None:
    """By the problems that a prediction gets; a truncated one is looked into. Nothing is kept."""
    problem(add(bare, b"hello"), 400, "bad-image")
    problem(add(bare, b""), 400, "bad-image")
    problem(add(bare, coloured((9, 99, 199), 0)[:700]), 400, "bad-image")
    problem(bare.call("POST", "/v1/projects/none/items", "producer", content=picture()), 404, "not-found")
    problem(add(bare, picture(), role="reviewer"), 403, "forbidden")
    assert bare.call("GET", f"{PROJECT}/items").json()["items"] == []


def test_a_folder_is_added_from_the_command_line(
    bare: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every image of it and below it, by the folder's name; what is none is told and left out."""
    folder = tmp_path / "camera 3"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.png").write_bytes(picture(1))
    (folder / "deep" / "b.png").write_bytes(picture(2))
    (folder / "c.jpg").write_bytes(b"no image")
    monkeypatch.setenv("ASKANCE_TOKEN", bare.tokens["producer"])
    with listening(bare) as url:
        for told in ("2 images added, 0 there already, 1 bad", "0 images added, 2 there already, 1 bad"):
            done = CliRunner().invoke(app, ["items", "add", str(folder), "-p", "bare", "--url", url])
            assert (done.exit_code, told in done.output, "c.jpg" in done.output) == (0, True, True), done.output
        missing = CliRunner().invoke(app, ["items", "add", str(tmp_path / "none"), "-p", "bare", "--url", url])
        assert isinstance(missing.exception, BadDataset)
        foreign = CliRunner().invoke(app, ["items", "add", str(folder), "-p", "none", "--url", url])
        assert isinstance(foreign.exception, ApiError)
        assert foreign.exception.type == "/problems/not-found"
    listed = bare.call("GET", f"{PROJECT}/items").json()["items"]
    assert {(one["source"], one["meta"]["path"]) for one in listed} == {
        ("camera 3", str(folder / name)) for name in ("a.png", "deep/b.png")
    }


def test_an_image_that_was_dropped_is_not_kept_again(bare: Service) -> None:
    digest = add(bare, picture()).json()["digest"]
    with bare.services.store.begin() as tx:
        tx.items.drop("bare", digest, by="ann", at=bare.services.clock())
    problem(add(bare, picture()), 409, "conflict")
    problem(select(bare), 422, "invalid")


def test_typical_images_of_each_kind_are_chosen(bare: Service) -> None:
    """One of each of four kinds of colours, with its reason; the selection names the descriptor, and no model."""
    kind = filled(bare)
    made = select(bare, random_share=0.0)
    assert made.status_code == 201
    body = made.json()
    assert {kind[pick["item_digest"]] for pick in body["picks"]} == {0, 1, 2, 3}
    assert all(pick["reason"].startswith("the most typical of ") for pick in body["picks"])
    assert all(pick["prediction_id"] is None for pick in body["picks"])
    assert (body["model_id"], body["space"], body["pool"]) == (None, SPACE, 48)
    kept = bare.call("GET", f"{PROJECT}/selections/{body['id']}").json()
    assert (kept["picks"], kept["space"]) == (body["picks"], SPACE)


def test_people_begin_with_an_empty_image_and_the_same_words(bare: Service) -> None:
    """Nothing is proposed, whatever chose it, and no task says what did; an answer becomes the truth."""
    filled(bare)
    picks = select(bare, budget=8, random_share=0.5).json()["picks"]
    assert {pick["strategy"] for pick in picks} == {"random", "typiclust"}
    tasks = lease(bare)
    assert {task["id"] for task in tasks} == {pick["task_id"] for pick in picks}
    assert {task["reason"] for task in tasks} == {"Selected: there is no model yet; draw everything that is there"}
    assert all(task["detections"] == [] for task in tasks)
    shape = {"label": "bolt", "box": [1, 1, 20, 20]}
    answer = {"epoch": tasks[0]["epoch"], "shapes": [shape]}
    assert bare.call("POST", f"/v1/tasks/{tasks[0]['id']}/submit", "reviewer", json=answer).is_success
    item = bare.call("GET", f"{PROJECT}/items/{tasks[0]['item_digest']}").json()
    assert [one["label"] for one in item["truth"]["shapes"]] == ["bolt"]


def test_what_has_a_task_counts_as_labelled(bare: Service) -> None:
    """The next choice takes none of it, and goes where nothing is labelled: to a fifth kind, which has no task."""
    kind = filled(bare)
    first = {pick["item_digest"] for pick in select(bare, random_share=0.0).json()["picks"]}
    for seed in range(12):
        kind[add(bare, coloured((200, 40, 200), 900 + seed)).json()["digest"]] = 4
    second = select(bare, budget=1, random_share=0.0).json()
    assert second["pool"] == 60 - 4
    assert [kind[pick["item_digest"]] for pick in second["picks"]] == [4]
    assert not first & {pick["item_digest"] for pick in second["picks"]}


def test_the_same_seed_gives_the_same_picks(bare: Service) -> None:
    """Also after the cache of descriptors is gone, or is damaged."""
    filled(bare)
    first = select(bare, dry_run=True).json()["picks"]
    (cache,) = bare.services.settings.data_dir.rglob(f"{SPACE}/bare.npz")
    for damage in (cache.unlink, lambda: cache.write_bytes(b"PK\x03\x04 cut"), lambda: None):
        damage()
        assert select(bare, dry_run=True).json()["picks"] == first


def test_images_are_described_once(bare: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second choice reads the blobs of new images only."""
    filled(bare)
    select(bare, dry_run=True)
    add(bare, coloured((90, 90, 90), 1))
    read: list[str] = []
    get = type(bare.services.blobs).get
    monkeypatch.setattr(type(bare.services.blobs), "get", lambda blobs, key: read.append(key) or get(blobs, key))
    assert select(bare, dry_run=True).json()["pool"] == 49
    assert len(read) == 1


def test_images_that_are_gone_are_left_out_and_told(bare: Service) -> None:
    kind = filled(bare)
    for digest in list(kind)[:5]:
        bare.services.blobs.remove(digest)
    body = select(bare).json()
    assert body["pool"] == 43
    assert "5 images could not be chosen" in " ".join(body["notes"])


def test_of_too_many_images_some_are_drawn(bare: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A draw at random from those that were drawn is one from all: its probability is that of both."""
    monkeypatch.setattr(cold_start, "MOST", 24)
    filled(bare)
    body = select(bare, budget=6, strategies={"random": 1}).json()
    assert body["pool"] == 24
    assert {pick["inclusion_probability"] for pick in body["picks"]} == {6 / 48}
    assert "50% of the images" in " ".join(body["notes"])


def test_a_filter_chooses_among_sources(bare: Service) -> None:
    kind = filled(bare)
    picks = select(bare, filter={"source": "camera 2"}).json()["picks"]
    assert {kind[pick["item_digest"]] for pick in picks} == {2}


REFUSED = {
    "a strategy that takes a model": ({"strategy": "hybrid"}, "hybrid"),
    "likeness": ({"failures": 3}, "without a model"),
    "near-duplicates": ({"no_duplicates": True}, "without a model"),
    "labels that a model sees": ({"filter": {"label": "bolt"}}, "without a model"),
    "a filter that fits nothing": ({"filter": {"source": "nowhere"}}, "matches no image"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_takes_a_model_is_refused_and_says_so(bare: Service, case: str) -> None:
    add(bare, picture())
    body, word = REFUSED[case]
    answer = select(bare, **body)
    problem(answer, 422, "invalid")
    assert word in answer.json()["detail"]
    assert answer.json()["hint"]


def test_a_project_without_images_says_how_to_add_some(bare: Service) -> None:
    answer = select(bare)
    problem(answer, 422, "invalid")
    assert "askance items add" in answer.json()["hint"]


def test_with_a_model_colours_are_not_looked_at(service: Service) -> None:
    """A project that has a champion chooses from what that has predicted, in its space alone."""
    service.call("POST", "/v1/projects/shapes/items", content=picture())
    answer = service.call("POST", "/v1/projects/shapes/selections", json={"budget": 1})
    problem(answer, 422, "invalid")
    assert "predicted no image" in answer.json()["detail"]
