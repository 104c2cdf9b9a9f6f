"""Several people with the pick-and-place recipe: persons, the points where they pick or put, and links between them."""

from pathlib import Path
from typing import Any

import pytest

from loop.domain.access import Role
from tests.api.conftest import picture
from tests.api.test_queue import item, one, policy
from tests.api.test_review import submit

RECIPE = Path(__file__).parents[2] / "configs/recipes/pick-and-place.yaml"
PEOPLE = ("ada", "bob", "cyd")


@pytest.fixture
def shop(service: Any) -> Any:
    """Where three people answer each item; dan decides between them."""
    for name in (*PEOPLE, "dan"):
        _, service.tokens[name] = service.services.tokens.create(name, Role.REVIEWER, "shapes")
    response = service.call("POST", "/v1/projects/shapes/recipe", content=RECIPE.read_bytes())
    assert response.is_success, response.text
    policy(service, people={"annotate": 3, "audit": 3})
    return service


def said(by: float, action: str = "pick", *, linked: str = "hand", name: str = "p") -> list[dict[str, Any]]:
    """A person and two points, everything `by` pixels to the right, under ids of one's own."""
    hands = {
        "hand": {
            "label": "interaction",
            "type": "point",
            "points": [[200 + by, 200]],
            "attributes": {"action": action},
        },
        "shelf": {
            "label": "interaction",
            "type": "point",
            "points": [[280 + by, 200]],
            "attributes": {"action": "put"},
        },
    }
    return [
        {
            "label": "person", "box": [100 + by, 50, 300 + by, 400], "id": name,
            "links": [{"type": "interacts", "to": f"{name}-{linked}"}],
        },
        *({**hand, "id": f"{name}-{which}"} for which, hand in hands.items()),
    ]  # fmt: skip


def asked(shop: Any, *answers: list[dict[str, Any]]) -> str:
    """One item, which each person answers; its digest."""
    digest = str(shop.predict(picture(0, 640, 480)).json()["item_digest"])
    for name, shapes in zip(PEOPLE, answers, strict=True):
        response = submit(shop, one(shop, name), shapes, name)
        assert response.status_code == 200, response.text
    return digest


def test_people_who_differ_by_pixels_settle_without_another(shop: Any) -> None:
    """Boxes, points, what is done there and who does it are merged; the truth names all three answers."""
    digest = asked(shop, said(0.0, name="a"), said(4.0, name="b")[::-1], said(-4.0, "put", name="c"))
    seen = item(shop, digest)
    assert seen["agreement"]["adjudicated"] is False, seen["agreement"]
    truth = seen["truth"]
    assert len(truth["submission_ids"]) == 3
    (person,) = [shape for shape in truth["shapes"] if shape["label"] == "person"]
    points = {shape.get("id"): shape for shape in truth["shapes"] if shape["label"] == "interaction"}
    assert person["box"] == [100, 50, 300, 400]
    (link,) = person["links"]
    assert points[link["to"]]["points"] == [[200, 200]]
    assert points[link["to"]]["attributes"] == {"action": "pick"}
    assert len(truth["shapes"]) == 3


def test_people_who_differ_in_what_is_done_do_not_agree(shop: Any) -> None:
    """Another person decides, and sees which point it is about; agreement is told without what they differ in."""
    digest = asked(shop, said(0.0, "pick"), said(4.0, "put"), said(-4.0, "nothing"))
    agreement = item(shop, digest)["agreement"]
    assert (agreement["adjudicated"], agreement["f1"]) == (True, pytest.approx(2 / 3))
    assert [reason["code"] for reason in agreement["reasons"]] == ["attribute-disputed"]
    deciding = one(shop, "dan")
    shown = {shape["id"]: shape for shape in deciding["merged"]["shapes"]}
    assert [shown[name]["points"] for name in deciding["merged"]["disputed"]] == [[[200, 200]]]
    assert submit(shop, deciding, deciding["merged"]["shapes"], "dan").status_code == 200
    assert item(shop, digest)["truth"]["submission_ids"] != []


def test_a_merged_answer_that_breaks_the_recipe_is_never_the_truth(shop: Any) -> None:
    """A person needs one link. Each answer has it, but of ends that two of three did not mark none is left."""
    answers = [said(0.0), said(4.0), said(-4.0)]
    for number, shapes in enumerate(answers):
        shapes[1]["points"] = [[120 + 60 * number, 100]]
        del shapes[2]
    digest = asked(shop, *answers)
    seen = item(shop, digest)
    assert seen["truth"] is None
    assert seen["agreement"]["adjudicated"] is True
    assert {reason["code"] for reason in seen["agreement"]["reasons"]} <= {"existence-unsure", "rules-broken"}
    assert seen["agreement"]["reasons"][0]["code"] == "rules-broken"


@pytest.mark.parametrize(("apart", "agreed"), [(0, True), (2, True), (90, False)])
def test_agreement_counts_points_by_where_they_are(shop: Any, apart: float, agreed: bool) -> None:
    """Not only what has a box: two pixels are as nothing, ninety are another place."""
    asked(shop, said(0), said(0), [*said(0)[:1], *said(apart)[1:]])
    response = shop.call("GET", "/v1/projects/shapes/agreement")
    assert (response.json()["alpha"]["boxes"] > 0.9) is agreed
