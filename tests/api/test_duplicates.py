"""Near-duplicates over HTTP, and selections that leave them out."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.api.conftest import Service, picture
from tests.api.test_predictions import problem
from tests.api.test_selections import select

DUPLICATES = "/v1/projects/shapes/duplicates"


def copy_of(content: bytes, changed: int) -> bytes:
    """The same picture but for one pixel: another file, and hardly another embedding."""
    pixels = np.array(Image.open(io.BytesIO(content)))
    pixels[0, changed] ^= 1
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def predicted(service: Service, content: bytes) -> str:
    answer = service.predict(content)
    assert answer.is_success
    return answer.json()["item_digest"]


@pytest.fixture
def copies(service: Service) -> list[list[str]]:
    """Three copies of one picture, two of another, and one of a third; nobody was asked about any."""
    policy = {"threshold": 1.0, "audit_rate": 0.0}
    assert service.call("PATCH", "/v1/projects/shapes/policy", json=policy).is_success
    # Drawn at random pictures look alike to an untrained network: these differ in brightness.
    pictures = [picture(seed=1), flat(20), flat(230)]
    numbers = [3, 2, 1]
    return [
        sorted(predicted(service, copy_of(content, number)) for number in range(count))
        for content, count in zip(pictures, numbers, strict=True)
    ]


def flat(grey: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((48, 64, 3), grey, dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def clusters(service: Service, **parameters: object) -> dict:
    answer = service.call("GET", DUPLICATES, params={"threshold": 0.99999, **parameters})
    assert answer.is_success, answer.text
    return answer.json()


def test_clusters_are_told_the_largest_first(service: Service, copies: list[list[str]]) -> None:
    found = clusters(service)
    assert (found["items"], found["clusters"], found["spare"]) == (6, 2, 3)
    assert found["page"] == [{"size": 3, "items": copies[0]}, {"size": 2, "items": copies[1]}]
    assert found["threshold"] == 0.99999 and found["model_id"].startswith("model_") and found["next"] is None


def test_pages_follow_each_other(service: Service, copies: list[list[str]]) -> None:
    first = clusters(service, limit=1, members=2)
    assert first["page"] == [{"size": 3, "items": copies[0][:2]}]
    second = clusters(service, limit=1, after=first["next"])
    assert second["page"] == [{"size": 2, "items": copies[1]}] and second["next"] is None


def test_what_was_just_predicted_counts(service: Service, copies: list[list[str]]) -> None:
    assert clusters(service)["clusters"] == 2
    late = predicted(service, copy_of(flat(230), 9))
    assert clusters(service)["page"][1:] in (
        [{"size": 2, "items": copies[1]}, {"size": 2, "items": sorted([*copies[2], late])}],
        [{"size": 2, "items": sorted([*copies[2], late])}, {"size": 2, "items": copies[1]}],
    )


@pytest.mark.parametrize(
    "parameters",
    [{"threshold": 0}, {"threshold": 1.1}, {"threshold": "x"}, {"limit": 0}, {"members": 1001}, {"after": "x"},
     {"after": "-1:a"}, {"after": "9" * 40}],
)  # fmt: skip
def test_rubbish_is_refused(service: Service, parameters: dict[str, object]) -> None:
    problem(service.call("GET", DUPLICATES, params=parameters), 422, "invalid")


def test_only_operators_may_have_everything_compared(service: Service) -> None:
    for role in ("producer", "reviewer"):
        problem(service.call("GET", DUPLICATES, role), 403, "forbidden")
    assert service.call("POST", "/v1/projects", json={"id": "bare", "labels": ["a"]}).is_success
    problem(service.call("GET", "/v1/projects/bare/duplicates"), 409, "no-champion")
    assert service.call("GET", DUPLICATES).json()["page"] == []


# --- selections ----------------------------------------------------------------------------------


def test_of_near_duplicates_one_is_chosen(service: Service, copies: list[list[str]]) -> None:
    """Any one of each cluster, so that a draw speaks for the clusters; and it is told."""
    made = select(service, budget=6, no_duplicates=True, strategy="random", dry_run=True).json()
    chosen = {pick["item_digest"] for pick in made["picks"]}
    assert [len(chosen & set(cluster)) for cluster in copies] == [1, 1, 1]
    assert made["pool"] == 3 and "3 near-duplicates were left out of the pool" in made["notes"][0]
    assert all(pick["inclusion_probability"] == 1.0 for pick in made["picks"])
    stays = {
        pick["item_digest"]
        for seed in range(12)
        for pick in select(service, budget=6, no_duplicates=True, seed=seed, dry_run=True).json()["picks"]
    }
    assert stays >= set(copies[1])


def test_the_same_seed_leaves_the_same_ones_out(service: Service, copies: list[list[str]]) -> None:
    one, other = (select(service, no_duplicates=True, seed=5, dry_run=True).json()["picks"] for _ in range(2))
    assert one == other


def test_what_is_like_something_settled_is_left_out(service: Service, copies: list[list[str]]) -> None:
    """Of a cluster with a task no other item is chosen; where nothing is left it says so."""
    first = select(service, budget=1, like=[copies[0][1]], random_share=0.0).json()
    assert first["picks"][0]["item_digest"] in copies[0]
    made = select(service, budget=6, no_duplicates=True, dry_run=True).json()
    assert {pick["item_digest"] for pick in made["picks"]} & set(copies[0]) == set()
    assert made["pool"] == 2
    assert select(service, budget=2, no_duplicates=True).json()["picked"] == 2
    refused = problem(select(service, no_duplicates=True), 422, "invalid")
    assert "near-duplicates of some that have a task" in refused["detail"]
    assert select(service, budget=9).json()["picked"] == 3
