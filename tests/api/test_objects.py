"""More like this box: objects that look alike, over HTTP and as what a selection looks for."""

import functools
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import pytest

from loop.domain.search_index import IndexPhase
from loop.selecting.following import IndexState
from loop.selecting.search import ServedIndex
from selection.lists import Lists
from serving.backends.load import load_detector
from serving.image_queue import ImageQueue
from serving.images import decode_image
from tests.api.conftest import Service, picture
from tests.api.test_predictions import problem
from tests.tiny_models import tiny_weights


@functools.cache
def _looking() -> ImageQueue:
    detector = load_detector(tiny_weights(), threads=1, objects=True)
    decode = functools.partial(decode_image, max_pixels=40_000_000, enough=64)
    return ImageQueue(detector, decode=decode, score_floor=0.0001, batch_wait_s=0.0, decoders=1)


@pytest.fixture
def plain(service: Service) -> Service:
    """Every image has detections, and nobody is asked about any."""
    policy = {"threshold": 1.0, "audit_rate": 0.0, "score_threshold": 0.0001}
    assert service.call("PATCH", "/v1/projects/shapes/policy", json=policy).is_success
    return service


@pytest.fixture
def looking(plain: Service) -> Iterator[Service]:
    """The champion gives embeddings of objects."""
    plain.inferencer._images = _looking  # type: ignore[method-assign]
    yield plain


def predicted(service: Service, count: int, first: int = 0) -> list[dict]:
    return [service.predict(picture(seed)).json() for seed in range(first, first + count)]


def neighbours(service: Service, digest: str, number: int = 0, **params: object):
    path = f"/v1/projects/shapes/items/{digest}/objects/{number}/neighbours"
    return service.call("GET", path, params=params)


def test_the_state_of_the_index_is_told_and_it_is_read_when_asked_for(plain: Service) -> None:
    """For operators alone: how much a model has seen tells when it saw what."""
    index = "/v1/projects/shapes/index"
    predicted(plain, 3)
    unread = plain.call("GET", index).json()
    assert (unread["phase"], unread["embeddings"], unread["waiting"]) == ("unread", 0, 3)
    assert unread["progress"] is unread["lists"] is None
    assert plain.call("GET", index).json() == unread  # asking begins nothing
    asked = plain.call("POST", index)
    assert asked.status_code == 202
    assert (asked.json()["phase"], asked.json()["embeddings"], asked.json()["waiting"]) == ("ready", 3, 0)
    predicted(plain, 1, first=3)
    assert plain.call("GET", index).json()["waiting"] == 1
    for role in ("producer", "reviewer"):
        problem(plain.call("GET", index, role), 403, "forbidden")


def test_what_its_lists_find_and_how_far_new_ones_are_is_told(plain: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = Lists(made_for=900, count=20, searched=20, compressed=True, wanted=0.98, recall=0.91)
    state = IndexState(
        model_id="m", phase=IndexPhase.REBUILDING, progress=0.25, embeddings=950, waiting=0, lists=lists, kept=0,
        kept_at=None,
    )  # fmt: skip
    monkeypatch.setattr(ServedIndex, "state", lambda _self, _model: state)
    told = plain.call("GET", "/v1/projects/shapes/index").json()
    assert (told["phase"], told["progress"], told["lists"]) == ("rebuilding", 0.25, asdict(lists))


def test_the_objects_that_look_most_alike_are_found_in_other_items(looking: Service) -> None:
    """Each with what was said of it; the most similar first."""
    answers = {one["item_digest"]: one for one in predicted(looking, 5)}
    asked = next(iter(answers))
    found = neighbours(looking, asked, 2, k=7).json()["neighbours"]
    assert len(found) == 7
    similarities = [one["similarity"] for one in found]
    assert similarities == sorted(similarities, reverse=True) and max(similarities) <= 1.0001
    for one in found:
        assert one["item_digest"] in answers.keys() - {asked}
        answer = answers[one["item_digest"]]
        assert one["prediction_id"] == answer["id"]
        assert one["detection"] == answer["detections"][one["number"]]


def test_they_are_those_that_a_comparison_of_all_would_find(looking: Service) -> None:
    answers = predicted(looking, 4)
    with looking.services.store.read() as tx:
        features = {one["item_digest"]: tx.objects.of(one["id"]) for one in answers}
    asked = answers[1]["item_digest"]
    query = features[asked][3].astype(np.float32)
    cosines = [
        (float(vector.astype(np.float32) @ query), digest, number)
        for digest, vectors in features.items()
        for number, vector in enumerate(vectors)
        if digest != asked
    ]
    best = sorted(cosines, reverse=True)[:5]
    found = neighbours(looking, asked, 3, k=5).json()["neighbours"]
    assert [one["similarity"] for one in found] == pytest.approx([cosine for cosine, _, _ in best], abs=2e-3)


def test_only_what_is_answered_keeps_its_embedding(looking: Service) -> None:
    """Candidates below the policy's score threshold are no detections, and can be found by nobody."""
    (answer,) = predicted(looking, 1)
    middle = answer["detections"][len(answer["detections"]) // 2]["score"]
    assert looking.call("PATCH", "/v1/projects/shapes/policy", json={"score_threshold": middle}).is_success
    (fewer,) = predicted(looking, 1, first=1)
    assert looking.call("PATCH", "/v1/projects/shapes/policy", json={"score_threshold": 1.0}).is_success
    (none,) = predicted(looking, 1, first=2)
    with looking.services.store.read() as tx:
        kept = {one["id"]: tx.objects.of(one["id"]) for one in (answer, fewer, none)}
    assert len(kept[answer["id"]]) == len(answer["detections"])
    assert 0 < len(kept[fewer["id"]]) == len(fewer["detections"]) < len(answer["detections"])
    assert none["detections"] == [] and kept[none["id"]] is None


def test_what_was_just_predicted_is_found_and_what_was_predicted_again_is_found_once(looking: Service) -> None:
    first = predicted(looking, 2)
    asked = first[0]["item_digest"]
    assert neighbours(looking, asked, k=200).is_success
    (late,) = predicted(looking, 1, first=7)
    predicted(looking, 2)
    found = neighbours(looking, asked, k=200).json()["neighbours"]
    assert late["item_digest"] in {one["item_digest"] for one in found}
    assert asked not in {one["item_digest"] for one in found}
    places = [(one["item_digest"], one["number"]) for one in found]
    assert len(places) == len(set(places))


def test_without_embeddings_it_says_which_option_gives_them(plain: Service) -> None:
    (answer,) = predicted(plain, 1)
    body = problem(neighbours(plain, answer["item_digest"]), 404, "not-found")
    assert "object_embeddings=true" in body["hint"] and answer["model_id"] in body["hint"]


def test_an_object_that_is_not_there_is_not_found(looking: Service) -> None:
    (answer,) = predicted(looking, 1)
    count = len(answer["detections"])
    detail = problem(neighbours(looking, answer["item_digest"], count), 404, "not-found")["detail"]
    assert f"has {count} detections; there is none of number {count}" in detail


def test_rubbish_is_refused(looking: Service) -> None:
    (answer,) = predicted(looking, 1)
    problem(neighbours(looking, "0" * 64), 404, "not-found")
    problem(neighbours(looking, answer["item_digest"], -1), 422, "invalid")
    problem(neighbours(looking, answer["item_digest"], "x"), 422, "invalid")  # type: ignore[arg-type]
    problem(neighbours(looking, answer["item_digest"], k=201), 422, "invalid")


# --- selections ----------------------------------------------------------------------------------


def select(service: Service, **body: object):
    return service.call("POST", "/v1/projects/shapes/selections", json={"budget": 3, "random_share": 0.0, **body})


def test_items_with_an_object_like_the_box_are_queued(looking: Service) -> None:
    """The item itself first, since nobody has looked at it; then the items of its neighbours, nearest first."""
    asked, *_ = predicted(looking, 8)
    box = f"{asked['item_digest']}:4"
    made = select(looking, like_boxes=[box]).json()
    assert made["mix"] == {"like-this": 1.0} and made["like_items"] == [box]
    near = [one["item_digest"] for one in neighbours(looking, asked["item_digest"], 4, k=200).json()["neighbours"]]
    assert [pick["item_digest"] for pick in made["picks"]] == [asked["item_digest"], *list(dict.fromkeys(near))[:2]]
    assert f"like box 4 of item {asked['item_digest'][:12]}" in made["picks"][1]["reason"]
    assert looking.call("GET", f"/v1/projects/shapes/selections/{made['id']}").json()["like_items"] == [box]


def test_boxes_and_items_take_turns(looking: Service) -> None:
    one, other, *_ = predicted(looking, 8)
    made = select(looking, budget=8, like=[one["item_digest"]], like_boxes=[f"{other['item_digest']}:0"]).json()
    assert made["like_items"] == [one["item_digest"], f"{other['item_digest']}:0"]
    words = {pick["reason"].split(":")[0] for pick in made["picks"]}
    assert words == {f"like item {one['item_digest'][:12]}", f"like box 0 of item {other['item_digest'][:12]}"}


def test_items_without_embeddings_are_like_no_box(plain: Service) -> None:
    """They are told of, and come last; the strategies that compare all detections refuse."""
    older = predicted(plain, 2)
    plain.inferencer._images = _looking  # type: ignore[method-assign]
    asked, other = predicted(plain, 2, first=5)
    body = {"like_boxes": [f"{asked['item_digest']}:0"], "dry_run": True}
    made = select(plain, **body).json()
    assert [pick["item_digest"] for pick in made["picks"]][:2] == [asked["item_digest"], other["item_digest"]]
    assert made["picks"][2]["score"] == -1.0
    assert "2 items have no embeddings of their detections" in made["notes"][0]
    for strategy in ("ppal", "entropy-enms"):
        refused = problem(select(plain, strategy=strategy), 422, "invalid")
        assert "2 of 4 items have no embeddings" in refused["detail"] and "object_embeddings=true" in refused["hint"]
    missing = problem(select(plain, like_boxes=[f"{older[0]['item_digest']}:0"]), 404, "not-found")
    assert "object_embeddings=true" in missing["hint"]


@pytest.mark.parametrize("strategy", ["ppal", "entropy-enms"])
def test_strategies_that_compare_detections_choose(looking: Service, strategy: str) -> None:
    predicted(looking, 9)
    made = select(looking, strategy=strategy, seed=1, dry_run=True).json()
    assert made["picked"] == 3 and {pick["strategy"] for pick in made["picks"]} == {strategy}
    assert made["picks"] == select(looking, strategy=strategy, seed=1, dry_run=True).json()["picks"]


@pytest.mark.parametrize("box", ["", "x", "abc:", ":1", "abc:-1", "abc:one", "abc:1.5", "abc:99999", "abc:²"])
def test_what_names_no_box_is_refused(looking: Service, box: str) -> None:
    assert "names no detection" in problem(select(looking, like_boxes=[box]), 422, "invalid")["detail"]


def test_a_box_that_is_not_there_is_refused(looking: Service) -> None:
    (answer,) = predicted(looking, 1)
    digest = answer["item_digest"]
    assert "none of number 999" in problem(select(looking, like_boxes=[f"{digest}:999"]), 404, "not-found")["detail"]
    problem(select(looking, like_boxes=[f"{'0' * 64}:0"]), 404, "not-found")
    refused = problem(select(looking, like_boxes=[f"{digest}:0"], strategy="hybrid"), 422, "invalid")
    assert "does not look at what items are like" in refused["detail"]
    problem(select(looking, like_boxes=[f"{digest}:0"] * 51), 422, "invalid")
