"""Lots over HTTP: how they fill and close, what is looked at, and what their verdict does."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from loop.wiring import utc_now
from tests.api.conftest import picture
from tests.api.test_merged_answers import RECIPE, said
from tests.api.test_predictions import problem
from tests.api.test_qa import accept, answered, give_back, truth, workflow
from tests.api.test_queue import ELSEWHERE, events, lease, one, skip, staff  # noqa: F401 - a fixture
from tests.api.test_review import BOX, submit

PATH = "/v1/projects/shapes/lots"


def lots_of(service, size: int, **rules):
    return workflow(service, qa="lots", lots={"size": size, **rules})


def listed(service) -> list[dict]:
    response = service.call("GET", PATH)
    assert response.status_code == 200, response.text
    return response.json()["lots"]


def detail(service, lot_id: str) -> dict:
    response = service.call("GET", f"{PATH}/{lot_id}")
    assert response.status_code == 200, response.text
    return response.json()


def decide(service, lot: dict, how: str, reason: str = "seen", **more):
    return service.call("POST", f"{PATH}/{lot['id']}/{how}", json={"reason": reason, **more})


def judge(service, by: str, right: bool = True) -> str:
    """The next of QA; gives its item."""
    task = one(service, by)
    assert task["stage"] == "qa", task
    response = accept(service, task, by) if right else submit(service, task, [ELSEWHERE], by)
    assert response.status_code == 200, response.text
    return task["item_digest"]


def later(service, seconds: float):
    return replace(service.services.lots, clock=lambda: utc_now() + timedelta(seconds=seconds))


def test_a_sample_that_is_right_lets_all_answers_through(service, staff):  # noqa: F811
    """Before the verdict no answer of the lot is the truth but those that QA has accepted; after it all are."""
    lots_of(service, 4, share=0.5, threshold=0.25)
    digests = [answered(service, "ada", seed=seed) for seed in range(4)]
    (lot,) = listed(service)
    assert (lot["state"], lot["items"], lot["in_qa"], lot["waiting"]) == ("inspecting", 4, 2, 2)
    assert [truth(service, digest) for digest in digests] == [None] * 4
    first = judge(service, "bob")
    assert [digest for digest in digests if truth(service, digest)] == [first]
    judge(service, "bob")
    assert [truth(service, digest) for digest in digests] == [[BOX]] * 4
    (lot,) = listed(service)
    assert (lot["state"], lot["inspected"], lot["defects"], lot["settled"]) == ("accepted", 2, 0, 4)
    assert lease(service, "bob")["tasks"] == []
    (told,) = events(service, "lot.accepted")
    assert told["body"] | {"reason": ""} == told["body"] | {
        "lot_id": lot["id"], "items": 4, "inspected": 2, "defects": 0, "plan": "share", "reason": "",
    }  # fmt: skip
    assert len(events(service, "task.settled")) == 2


def test_a_sample_that_is_wrong_has_every_answer_looked_at(service, staff):  # noqa: F811
    """By itself: each task that was not inspected gets one of QA, and answers that come later too."""
    lots_of(service, 4, share=0.5, threshold=0.0)
    for seed in range(4):
        service.predict(picture(seed))
    tasks = lease(service, "ada", 4)["tasks"]
    (lot,) = listed(service)
    service.services.lots.advance_all()
    order = [task["task_id"] for task in detail(service, lot["id"])["tasks"]]
    by_id = {task["id"]: task for task in tasks}
    for task_id in order[:3]:
        submit(service, by_id[task_id], [BOX], "ada")
    drawn = {by_id[task_id]["item_digest"] for task_id in order[:2]}
    assert judge(service, "bob", right=False) in drawn
    (lot,) = listed(service)
    assert (lot["state"], lot["inspected"], lot["defects"], lot["reject_at"]) == ("rejected", 1, 1, 1)
    assert len(events(service, "lot.rejected")) == 1
    held = lease(service, "bob", 5)["tasks"]
    assert [task["stage"] for task in held] == ["qa", "qa"]
    submit(service, by_id[order[3]], [BOX], "ada")
    for _ in range(3):
        judge(service, "bob")
    assert [truth(service, task["item_digest"]) is not None for task in tasks] == [True] * 4
    assert detail(service, lot["id"])["defects"] == 1


def test_a_returned_answer_is_a_defect_once(service, staff):  # noqa: F811
    """What becomes of it after does not change the lot."""
    lots_of(service, 2, share=1.0, threshold=0.5)
    for seed in range(2):
        answered(service, "ada", seed=seed)
    give_back(service, one(service, "bob"), "bob", note="no")
    submit(service, one(service, "ada"), [ELSEWHERE], "ada")
    judge(service, "bob")
    (lot,) = listed(service)
    assert (lot["inspected"], lot["defects"]) == (1, 1)
    judge(service, "bob")
    (lot,) = listed(service)
    assert (lot["state"], lot["inspected"], lot["defects"]) == ("accepted", 2, 1)


def test_a_correction_that_changes_little_is_no_defect(service, staff):  # noqa: F811
    """By the IoU of the policy that tells right from wrong."""
    lots_of(service, 1, share=1.0, threshold=0.0)
    answered(service, "ada")
    nearly = BOX | {"box": [5, 5, 21, 20]}
    submit(service, one(service, "bob"), [nearly], "bob")
    (lot,) = listed(service)
    assert (lot["state"], lot["defects"]) == ("accepted", 0)


def test_one_after_the_other_only_while_it_is_not_clear(service, staff):  # noqa: F811
    """A sequential plan has one answer in QA at a time."""
    lots_of(service, 12, plan="sequential", aql=0.0, ltpd=0.5)
    digests = [answered(service, "ada", seed=seed) for seed in range(12)]
    looked = 0
    while (lot := listed(service)[0])["state"] == "inspecting":
        assert lot["in_qa"] == 1
        judge(service, "bob")
        looked += 1
    assert lot["state"] == "accepted"
    assert lot["inspected"] == looked < 6
    assert all(truth(service, digest) for digest in digests)


def test_a_lot_is_closed_by_age_and_by_source(service, staff):  # noqa: F811
    lots_of(service, 100, by="source", close_after_seconds=1000, share=1.0)
    service.predict(picture(0), params={"source": "north"})
    service.predict(picture(1), params={"source": "south"})
    assert {lot["source"]: lot["items"] for lot in listed(service)} == {"north": 1, "south": 1}
    submit(service, one(service, "ada"), [BOX], "ada")
    assert lease(service, "bob", 5)["tasks"][0]["stage"] == "review"
    later(service, 1001).advance_all()
    assert {lot["state"] for lot in listed(service)} == {"inspecting"}
    service.predict(picture(2), params={"source": "north"})
    assert len(listed(service)) == 3


def test_what_ends_without_an_answer_is_as_if_it_had_not_been_there(service, staff):  # noqa: F811
    """Another is looked at instead; a lot of such tasks alone is accepted."""
    lots_of(service, 2, share=0.5, threshold=0.0)
    for seed in range(2):
        service.predict(picture(seed))
    (lot,) = listed(service)
    service.services.lots.advance_all()
    first, second = (task["task_id"] for task in detail(service, lot["id"])["tasks"])
    by_id = {task["id"]: task for task in lease(service, "ada", 2)["tasks"]}
    skip(service, by_id[first], "ada")
    submit(service, by_id[second], [BOX], "ada")
    assert judge(service, "bob") == by_id[second]["item_digest"]
    shown = detail(service, lot["id"])
    assert (shown["state"], shown["void"], shown["inspected"]) == ("accepted", 1, 1)
    lots_of(service, 1)
    service.predict(picture(9))
    skip(service, one(service, "ada"), "ada")
    newest = listed(service)[0]
    assert (newest["state"], newest["reason"]) == ("accepted", "nothing was answered")


def test_an_operator_accepts_and_reopens_by_hand(service, staff):  # noqa: F811
    """With a reason, which is kept. What somebody is looking at stays with them; what QA has seen is not looked at
    again."""
    lots_of(service, 3, share=1.0, threshold=0.0)
    digests = [answered(service, "ada", seed=seed) for seed in range(3)]
    seen = judge(service, "bob")
    held = one(service, "bob")
    (lot,) = listed(service)
    assert decide(service, lot, "accept", "").status_code == 422
    accepted = decide(service, lot, "accept", "the camera is known").json()
    assert (accepted["state"], accepted["reason"], accepted["actor"]) == ("accepted", "the camera is known", "operator")
    assert {digest for digest in digests if truth(service, digest)} == set(digests) - {held["item_digest"]}
    assert accept(service, held, "bob").status_code == 200
    assert lease(service, "cyd")["tasks"] == []
    problem(decide(service, lot, "accept"), 409, "conflict")
    told = problem(decide(service, lot, "reopen", version=lot["version"]), 409, "conflict")
    assert "accepted by operator" in told["detail"]
    reopened = decide(service, accepted, "reopen", "it was not", version=accepted["version"]).json()
    assert reopened["state"] == "rejected"
    (left,) = lease(service, "bob", 5)["tasks"]
    assert left["item_digest"] not in (seen, held["item_digest"])
    assert truth(service, left["item_digest"]) == [BOX]
    submit(service, left, [ELSEWHERE], "bob")
    assert truth(service, left["item_digest"]) == [ELSEWHERE]
    kinds = [event["kind"] for event in service.call("GET", "/v1/projects/shapes/events").json()["events"]]
    assert [kind for kind in kinds if kind.startswith("lot.")] == ["lot.closed", "lot.accepted", "lot.reopened"]


def test_a_lot_that_is_rejected_can_be_let_through(service, staff):  # noqa: F811
    """QA tasks that nobody holds end; who held one and lost it is refused."""
    lots_of(service, 3, share=0.3, threshold=0.0)
    digests = [answered(service, "ada", seed=seed) for seed in range(3)]
    judge(service, "bob", right=False)
    (lot,) = listed(service)
    assert (lot["state"], lot["in_qa"]) == ("rejected", 2)
    given_up = one(service, "bob")
    service.call("POST", f"/v1/tasks/{given_up['id']}/release", "bob", json={"epoch": given_up["epoch"]})
    assert decide(service, lot, "accept").status_code == 200
    assert all(truth(service, digest) for digest in digests)
    problem(accept(service, given_up, "bob"), 409, "already-submitted")
    assert lease(service, "cyd")["tasks"] == []


def test_an_open_lot_can_be_decided(service, staff):  # noqa: F811
    """It takes no more tasks then."""
    lots_of(service, 100)
    digest = answered(service, "ada")
    (lot,) = listed(service)
    assert lot["state"] == "open"
    assert decide(service, lot, "accept").status_code == 200
    assert truth(service, digest) == [BOX]
    answered(service, "ada", seed=1)
    assert [one["items"] for one in listed(service)] == [1, 1]


def test_work_that_is_reopened_stays_in_its_lot(service, staff):  # noqa: F811
    """And waits for it again."""
    lots_of(service, 2, share=0.5)
    service.predict(picture(1))
    digest = answered(service, "ada")
    lot = listed(service)[0]
    assert (lot["unanswered"], lot["waiting"] + lot["in_qa"]) == (1, 1)
    assert service.call("POST", f"/v1/projects/shapes/items/{digest}/reopen").status_code == 200
    lot = listed(service)[0]
    assert (lot["unanswered"], lot["waiting"] + lot["in_qa"]) == (2, 0)


def test_tasks_from_before_belong_to_no_lot(service, staff):  # noqa: F811
    """Their answers are the truth at once; a lot keeps its rules when the policy changes."""
    service.predict(picture())
    lots_of(service, 2, share=1.0, threshold=0.0)
    before = one(service, "ada")
    submit(service, before, [BOX], "ada")
    assert truth(service, before["item_digest"]) == [BOX]
    first = answered(service, "ada", seed=1)
    workflow(service, qa="off", lots={"share": 0.5})
    assert truth(service, first) is None
    free = answered(service, "ada", seed=2)
    assert truth(service, free) == [BOX]
    assert listed(service)[0]["rules"]["share"] == 1.0


def test_the_curve_of_a_plan_is_data(service):
    """That of the policy, or of what is asked for; accepts fall with the defects."""
    found = service.call("GET", f"{PATH}/curve?plan=single&aql=0.01&ltpd=0.1&size=200").json()
    accepts = [point["accepts"] for point in found["points"]]
    assert (found["size"], accepts[0], accepts[-1]) == (200, 1.0, 0.0)
    assert accepts == sorted(accepts, reverse=True)
    assert accepts[[point["defects"] for point in found["points"]].index(20)] <= 0.1
    assert 0 < found["points"][0]["inspects"] <= found["most"] < 200
    assert service.call("GET", f"{PATH}/curve").json()["rules"]["plan"] == "share"
    problem(service.call("GET", f"{PATH}/curve?plan=single&aql=0.2&ltpd=0.1"), 422, "invalid")
    assert service.call("GET", f"{PATH}/curve?size=100000").status_code == 422
    assert service.call("GET", f"{PATH}/curve?plan=perfect").status_code == 422


def test_lots_are_paged_and_only_operators_see_them(service, staff):  # noqa: F811
    lots_of(service, 1)
    for seed in range(3):
        service.predict(picture(seed))
    first = service.call("GET", f"{PATH}?limit=2").json()
    rest = service.call("GET", f"{PATH}?limit=2&after={first['next']}").json()
    assert len({lot["id"] for lot in first["lots"] + rest["lots"]}) == 3
    assert rest["next"] is None
    problem(service.call("GET", f"{PATH}/lot_none"), 404, "not-found")
    assert service.call("GET", PATH, "reviewer").status_code == 403
    assert decide(service, {"id": "lot_none"}, "accept").status_code == 404
    service.services.projects.create("other", ("a",))
    lot = first["lots"][0]
    response = service.call("POST", f"/v1/projects/other/lots/{lot['id']}/accept", json={"reason": "mine"})
    assert response.status_code == 404


@pytest.mark.parametrize("crash", [1, 2, 3, 4])
def test_a_verdict_is_followed_after_a_crash(service, staff, crash, monkeypatch):  # noqa: F811
    """Killed before any of the transactions after the answer: the background does what is left, once."""
    lots_of(service, 4, share=0.5, threshold=0.25)
    digests = [answered(service, "ada", seed=seed) for seed in range(4)]
    steps = iter(range(1, 100))
    real = type(service.services.lots)._step

    def dies(self, lot_id):
        if next(steps) >= crash:
            raise KeyboardInterrupt
        return real(self, lot_id)

    monkeypatch.setattr(type(service.services.lots), "_step", dies)
    for _ in range(2):
        task = one(service, "bob")
        with service.services.store.read() as tx:
            bob = tx.tokens.get(staff["bob"])
        with suppress(KeyboardInterrupt):
            service.services.desk.accept(bob, task["id"], task["epoch"])
    monkeypatch.undo()
    service.services.lots.advance_all()
    assert [truth(service, digest) for digest in digests] == [[BOX]] * 4
    assert len(events(service, "lot.accepted")) == 1
    assert service.services.lots.advance_all() == 0


@pytest.mark.parametrize(("pixels", "defects"), [(2, 0), (60, 1)])
def test_a_point_that_is_corrected_a_little_is_no_defect(service, staff, pixels, defects):  # noqa: F811
    """By the likeness that people are compared with; nor is a link under ids of one's own."""
    recipe = service.call("POST", "/v1/projects/shapes/recipe", content=RECIPE.read_bytes())
    assert recipe.is_success, recipe.text
    lots_of(service, 1, share=1.0, threshold=0.0)
    service.predict(picture(0, 640, 480))
    assert submit(service, one(service, "ada"), said(0), "ada").status_code == 200
    moved = [*said(0, name="q")[:1], *said(pixels, name="q")[1:]]
    assert submit(service, one(service, "bob"), moved, "bob").status_code == 200
    (lot,) = listed(service)
    assert lot["defects"] == defects
