"""The example flows in configs/flows: each is applied to a project as it stands in its file, and played through."""

from pathlib import Path

import pytest
import yaml

from tests.api.conftest import picture
from tests.api.test_lots import detail, judge, listed
from tests.api.test_qa import truth, workflow
from tests.api.test_queue import lease, policy, staff  # noqa: F401 - a fixture
from tests.api.test_review import BOX, submit

FLOWS = Path("configs/flows")


def apply(service, name: str) -> dict:
    document = yaml.safe_load((FLOWS / f"{name}.yaml").read_text())
    response = service.call("PATCH", "/v1/projects/shapes/policy", json=document)
    assert response.status_code == 200, response.text
    return response.json()


def all_annotated(service, by: str) -> dict[str, str]:
    """Whoever works until nothing is left; items by task."""
    done = {}
    while tasks := [task for task in lease(service, by, 20)["tasks"] if task["stage"] == "review"]:
        for task in tasks:
            assert submit(service, task, [BOX], by).status_code == 200
            done[task["id"]] = task["item_digest"]
    return done


def test_all_examples_are_played() -> None:
    assert {path.stem for path in FLOWS.glob("*.yaml")} == {"blind", "pre-annotation", "sampled-qa"}


@pytest.mark.parametrize(("name", "sees"), [("blind", False), ("pre-annotation", True)])
def test_people_answer_without_the_model_or_with_it(service, staff, name, sees):  # noqa: F811
    """Everything goes to a person; how the model differs is counted either way, and the answer is the truth."""
    apply(service, name)
    service.call("PATCH", "/v1/projects/shapes/policy", json={"score_threshold": 0.0001})  # the tiny model is shy
    assert service.predict(picture()).json()["decision"]["action"] == "review"
    (task,) = lease(service, "ada")["tasks"]
    assert bool(task["detections"]) is sees
    answer = submit(service, task, [BOX], "ada").json()
    assert answer["corrections"]
    assert truth(service, task["item_digest"]) == [BOX]
    with service.services.store.read() as tx:
        champion = tx.projects.get("shapes").champion_id
        (reviewed,) = tx.submissions.reviewed("shapes", champion)
    assert reviewed.failed


@pytest.mark.parametrize(("wrong", "state", "looked_at"), [(1, "accepted", 5), (2, "rejected", 50)])
def test_a_tenth_decides_about_a_lot(service, staff, wrong, state, looked_at):  # noqa: F811
    """One defect in five lets the lot of 50 through; two have each of its tasks looked at. All end with their truth."""
    apply(service, "sampled-qa")
    for seed in range(50):
        service.predict(picture(seed))
    items = all_annotated(service, "ada")
    (lot,) = listed(service)
    assert (len(items), lot["state"], lot["in_qa"], lot["waiting"]) == (50, "inspecting", 5, 45)
    assert not any(truth(service, digest) for digest in items.values())
    for number in range(5):
        if listed(service)[0]["state"] == "inspecting":
            judge(service, "bob", right=number >= wrong)
    shown = detail(service, lot["id"])
    assert (shown["state"], shown["defects"]) == (state, wrong)
    while lease(service, "bob")["tasks"]:
        judge(service, "bob")
    assert all(truth(service, digest) for digest in items.values())
    seen = sum(task["defect"] is not None for task in detail(service, lot["id"])["tasks"])
    assert seen <= looked_at
    assert (seen == 50) is (state == "rejected")


# --- a flow that changes under open tasks (docs/adr/0048-stages.md) -----------------------------------------------


def test_a_task_keeps_how_many_people_it_was_made_for(service, staff):  # noqa: F811
    """The policy asks for one only from then on; who answered first waits for the second still."""
    policy(service, people={"annotate": 2, "audit": 2})
    service.predict(picture(0))
    policy(service, people={"annotate": 1, "audit": 1})
    service.predict(picture(1))
    first, second = sorted(lease(service, "ada", 5)["tasks"], key=lambda task: task["created_at"])
    for task in (first, second):
        submit(service, task, [BOX], "ada")
    assert truth(service, first["item_digest"]) is None
    assert truth(service, second["item_digest"]) == [BOX]
    (left,) = lease(service, "bob", 5)["tasks"]
    submit(service, left, [BOX], "bob")
    assert (left["item_digest"], truth(service, first["item_digest"])) == (first["item_digest"], [BOX])


def test_a_task_keeps_its_lot_and_the_lot_its_plan(service, staff):  # noqa: F811
    """Also where the policy has another plan since, or no lots at all."""
    workflow(service, qa="lots", lots={"size": 2, "share": 0.5, "threshold": 0.0})
    for seed in range(2):
        service.predict(picture(seed))
    workflow(service, qa="off", lots={"size": 9, "share": 1.0})
    digests = all_annotated(service, "ada").values()
    assert [truth(service, digest) for digest in digests] == [None, None]
    judge(service, "bob")
    (lot,) = listed(service)
    assert (lot["state"], lot["inspected"], lot["rules"]["share"]) == ("accepted", 1, 0.5)
    assert [truth(service, digest) for digest in digests] == [[BOX], [BOX]]


def test_whether_qa_looks_is_decided_at_the_answer(service, staff):  # noqa: F811
    """Of a task in no lot: by the policy of that moment, whichever it was made under; QA that was called looks."""
    service.predict(picture(0))
    workflow(service, qa="all")
    (made_before,) = all_annotated(service, "ada").values()
    assert truth(service, made_before) is None
    service.predict(picture(1))
    workflow(service, qa="off")
    (made_meanwhile,) = all_annotated(service, "ada").values()
    assert truth(service, made_meanwhile) == [BOX]
    assert judge(service, "bob") == made_before
    assert truth(service, made_before) == [BOX]
