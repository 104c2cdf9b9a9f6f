"""A policy that sends doubtful labels back to people before a training, over HTTP and through the cycle."""

from dataclasses import replace

import pytest

from loop.cycle.label_check import DOUBTED
from loop.domain.cycle import Cycle, CycleState
from loop.domain.identity import digest_of
from loop.domain.item import Split
from loop.domain.truth import Shape
from tests.api.conftest import Service
from tests.api.test_label_errors import BOX, RIGHT, World
from tests.api.test_recipes import LABELS, Bench, _working, cycled
from tests.api.test_review import leased
from tests.tiny_models import tiny_weights

POLICY = "/v1/projects/shapes/policy"


@pytest.fixture
def wrong(service: Service) -> set[str]:
    """Items to train on whose truth a sure model contradicts, among thirty with which it agrees and one to judge by."""
    world = World(service)
    for _ in range(30):
        world.item([RIGHT])
    found = {world.item([Shape("square", BOX)]) for _ in range(2)}
    golden = world.item([RIGHT])
    with world.store.begin() as tx:
        tx.items.set_split("shapes", golden, Split.GOLDEN, "")
    for number in range(1, world.made + 1):
        service.services.blobs.put(str(number).encode())
    return found


def ended(service: Service) -> tuple[Cycle, set[str]]:
    """A cycle at its end, and what it trained on."""
    bench = Bench({digest_of(tiny_weights()): tuple(LABELS)})
    working = replace(_working(service.services.controller, bench), near_duplicates=None)
    cycle = cycled(working)
    assert cycle.error == ""
    (job,) = bench.jobs
    return cycle, {entry.digest for entry in job.train}


def test_a_cycle_ends_without_what_people_have_not_answered(service: Service, wrong: set[str]) -> None:
    """They are asked for it, and nobody has to answer for the cycle to go on."""
    answer = service.call("PATCH", POLICY, json={"quality": {"labels": {"recheck": 20}}})
    assert answer.json()["quality"]["labels"] == {"recheck": 20}
    cycle, trained = ended(service)
    assert cycle.state is CycleState.REFUSED and cycle.error == ""
    assert len(trained) == 30 and trained.isdisjoint(wrong)
    assert {task["item_digest"] for task in leased(service, 5)} == wrong
    told = service.call("GET", f"/v1/projects/shapes/cycles/{cycle.id}").json()["evaluation"]["label_check"]
    assert (told["asked"], told["held"], told["compared"], told["unseen"]) == (2, 2, 33, 0)
    head = service.call("GET", f"/v1/projects/shapes/snapshots/{cycle.snapshot_digest}").json()
    assert head["left_out"] == {DOUBTED: 2}


def test_nobody_is_asked_where_nobody_wanted_it(service: Service, wrong: set[str]) -> None:
    """As a project begins; a single cycle may want it, and it says how many at most."""
    cycle, trained = ended(service)
    assert trained >= wrong and leased(service, 5) == [] and "label_check" not in cycle.evaluation
    started = service.call("POST", "/v1/projects/shapes/cycles", json={"recheck": 1})
    assert started.json()["recipe"]["recheck"] == 1
    for bad in (-1, 1001):
        assert service.call("POST", "/v1/projects/shapes/cycles", json={"recheck": bad}).status_code == 422
        change = {"quality": {"labels": {"recheck": bad}}}
        assert service.call("PATCH", POLICY, json=change).status_code == 422
