"""Quality assurance over HTTP: who looks at an answer, what they can say, and what becomes of it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from loop.wiring import utc_now
from tests.api.conftest import picture
from tests.api.test_predictions import problem
from tests.api.test_queue import ELSEWHERE, events, item, lease, one, person, skip, staff  # noqa: F401 - a fixture
from tests.api.test_review import BOX, submit


@pytest.fixture
def all_in_qa(service, staff):  # noqa: F811
    workflow(service, qa="all")
    return staff


def workflow(service, **changes):
    response = service.call("PATCH", "/v1/projects/shapes/policy", json={"workflow": changes})
    assert response.status_code == 200, response.text
    return response.json()["workflow"]


def answered(service, by: str, shapes=(BOX,), seed: int = 0) -> str:
    """An item that somebody answered; gives its digest."""
    service.predict(picture(seed))
    task = one(service, by)
    assert submit(service, task, list(shapes), by).status_code == 200
    return task["item_digest"]


def accept(service, task: dict, by: str, **more):
    return service.call("POST", f"/v1/tasks/{task['id']}/accept", by, json={"epoch": task["epoch"], **more})


def give_back(service, task: dict, by: str, *issues: tuple[str, list[str]], **more):
    body = {"epoch": task["epoch"], "issues": [{"message": text, "shapes": shapes} for text, shapes in issues], **more}
    return service.call("POST", f"/v1/tasks/{task['id']}/return", by, json=body)


def truth(service, digest: str) -> list[dict] | None:
    found = item(service, digest)["truth"]
    return None if found is None else found["shapes"]


def test_an_answer_counts_only_when_another_person_accepts_it(service, all_in_qa):
    """Until then there is no truth, and its author cannot judge it; the truth names both."""
    digest = answered(service, "ada")
    assert truth(service, digest) is None
    assert lease(service, "ada")["tasks"] == []
    judging = one(service, "bob")
    assert judging["stage"] == "qa"
    assert judging["answers"] == [{"shapes": [BOX], "note": ""}]
    assert accept(service, judging, "bob").status_code == 200
    found = item(service, digest)
    assert found["truth"]["shapes"] == [BOX]
    assert [said["outcome"] for said in found["submissions"]] == ["submitted", "accepted"]
    assert found["truth"]["submission_ids"] == [said["id"] for said in found["submissions"]]
    assert [said["settles"] for said in found["submissions"]] == [False, True]


def test_who_judges_is_told_by_judgements(service, all_in_qa):
    """Not as somebody who skips everything; and whose answers came back is told of who gave them."""
    answered(service, "ada")
    assert accept(service, one(service, "bob"), "bob").status_code == 200
    answered(service, "ada", seed=1)
    assert give_back(service, one(service, "bob"), "bob", ("no", [])).status_code == 200
    rows = {row["name"]: row for row in service.call("GET", "/v1/projects/shapes/work").json()["rows"]}
    assert (rows["bob"]["tasks"], rows["bob"]["judged"], rows["bob"]["skips"], rows["bob"]["skip_share"]) == (
        0,
        2,
        0,
        0,
    )
    assert rows["bob"]["judging_median_seconds"] > 0
    assert (rows["bob"]["median_seconds"], rows["bob"]["inspected"], rows["bob"]["defect_share"]) == (None, 0, None)
    assert (rows["ada"]["tasks"], rows["ada"]["judged"], rows["ada"]["judging_median_seconds"]) == (2, 0, None)
    assert (rows["ada"]["inspected"], rows["ada"]["defect_share"]) == (2, 0.5)


def test_without_qa_nothing_changes(service, staff):  # noqa: F811
    """The answer is the truth at once, and the task says of its stage only that it is a review."""
    service.predict(picture())
    task = one(service, "ada")
    assert (task["stage"], task["returned"], task["answers"]) == ("review", None, [])
    submit(service, task, [BOX], "ada")
    assert truth(service, task["item_digest"]) == [BOX]
    assert lease(service, "bob")["tasks"] == []


def test_qa_can_correct(service, all_in_qa):
    """What it submits is the truth, and its own answer alone."""
    digest = answered(service, "ada")
    submitted = submit(service, one(service, "bob"), [ELSEWHERE], "bob")
    assert submitted.status_code == 200
    found = item(service, digest)["truth"]
    assert (found["shapes"], found["submission_ids"]) == ([ELSEWHERE], [submitted.json()["id"]])


def test_what_is_returned_goes_to_its_author_with_what_is_wrong(service, all_in_qa):
    """To nobody else; after the rework the same person may judge again, and gets it before other tasks."""
    digest = answered(service, "ada")
    judging = one(service, "bob")
    told = give_back(service, judging, "bob", ("too wide", ["#0"]), note="look again")
    assert told.status_code == 200, told.text
    assert truth(service, digest) is None
    service.predict(picture(1))
    assert {task["item_digest"] for task in lease(service, "cyd", 5)["tasks"]}.isdisjoint({digest})
    again = next(task for task in lease(service, "ada", 5)["tasks"] if task["item_digest"] == digest)
    assert again["stage"] == "review"
    assert again["returned"] == {
        "shapes": [BOX],
        "note": "look again",
        "issues": [{"rule": "qa", "severity": "error", "message": "too wide", "shapes": ["#0"]}],
    }
    assert submit(service, again, [ELSEWHERE], "ada").status_code == 200
    assert truth(service, digest) is None
    for seed in range(2, 5):
        service.predict(picture(seed))
    rejudging = one(service, "bob")
    assert rejudging["answers"][0]["shapes"] == [ELSEWHERE]
    assert rejudging["epoch"] > judging["epoch"]
    assert accept(service, rejudging, "bob").status_code == 200
    assert truth(service, digest) == [ELSEWHERE]


def test_after_so_many_returns_qa_must_decide(service, all_in_qa):
    workflow(service, max_returns=1)
    answered(service, "ada")
    give_back(service, one(service, "bob"), "bob", note="no")
    submit(service, one(service, "ada"), [BOX], "ada")
    rejudging = one(service, "bob")
    told = problem(give_back(service, rejudging, "bob", note="no"), 409, "conflict")
    assert "1 times" in told["detail"]
    assert accept(service, rejudging, "bob").status_code == 200


def test_the_same_verdict_sent_again_is_the_same_submission(service, all_in_qa):
    """Another one under that epoch is refused, as is a stale epoch."""
    answered(service, "ada")
    judging = one(service, "bob")
    first = give_back(service, judging, "bob", ("wrong", []))
    assert give_back(service, judging, "bob", ("wrong", [])).json() == first.json()
    problem(give_back(service, judging, "bob", ("other", [])), 409, "already-submitted")
    problem(accept(service, judging, "bob"), 409, "already-submitted")
    submit(service, one(service, "ada"), [BOX], "ada")
    rejudging = one(service, "bob")
    problem(accept(service, judging | {"epoch": judging["epoch"] + 1}, "bob"), 409, "stale-lease")
    accepted = accept(service, rejudging, "bob", note="fine")
    assert accept(service, rejudging, "bob", note="fine").json() == accepted.json()


def test_a_verdict_without_meaning_is_refused(service, all_in_qa):
    """Nothing said, a shape that is not there, a task that is no QA task: told what to do, and nothing changes."""
    service.predict(picture())
    task = one(service, "ada")
    problem(accept(service, task, "ada"), 409, "conflict")
    problem(give_back(service, task, "ada", note="no"), 409, "conflict")
    submit(service, task, [BOX], "ada")
    judging = one(service, "bob")
    problem(give_back(service, judging, "bob"), 422, "invalid")
    problem(give_back(service, judging, "bob", note="  "), 422, "invalid")
    told = problem(give_back(service, judging, "bob", ("wrong", ["#1"])), 422, "invalid")
    assert "#1" in told["detail"]
    assert give_back(service, judging, "bob", ("", [])).status_code == 422
    assert accept(service, judging, "bob").status_code == 200


def test_rework_falls_to_anybody_when_its_author_is_gone_or_slow(service, all_in_qa):
    """A revoked token at once, a patient person after the patience of the policy; then another judges."""
    workflow(service, rework_patience_seconds=1000)
    first = answered(service, "ada")
    give_back(service, one(service, "bob"), "bob", note="no")
    second = answered(service, "cyd", seed=1)
    give_back(service, one(service, "bob"), "bob", note="no")
    assert lease(service, "dan", 5)["tasks"] == []
    service.call("DELETE", f"/v1/tokens/{all_in_qa['ada']}")
    fallen = one(service, "dan")
    assert (fallen["item_digest"], fallen["returned"]["note"]) == (first, "no")
    desk = replace(service.services.desk, clock=lambda: utc_now() + timedelta(seconds=1001))
    with service.services.store.read() as tx:
        dan = tx.tokens.get(all_in_qa["dan"])
    assert second in {one.task.item_digest for one in desk.lease(dan, "shapes", 5).assignments}


def test_rework_falls_to_anybody_when_its_author_is_paused(service, all_in_qa):
    """Who gets golden items alone could not do it for as long as the policy is patient."""
    digest = answered(service, "ada")
    give_back(service, one(service, "bob"), "bob", note="no")
    assert lease(service, "dan")["tasks"] == []
    body = {"standing": "paused", "reason": "draws too wide"}
    assert service.call("PATCH", "/v1/projects/shapes/reviewers/ada", json=body).status_code == 200
    assert one(service, "dan")["item_digest"] == digest


def test_a_rework_that_its_author_skips_goes_to_others(service, all_in_qa):
    response = service.call("PATCH", "/v1/projects/shapes/policy", json={"queue": {"skips_before_expert": 2}})
    assert response.status_code == 200
    digest = answered(service, "ada")
    give_back(service, one(service, "bob"), "bob", note="no")
    assert skip(service, one(service, "ada"), "ada").status_code == 200
    assert one(service, "cyd")["item_digest"] == digest


def test_who_answered_in_an_earlier_round_does_not_judge(service, all_in_qa):
    """Not even what another person made of the answer."""
    digest = answered(service, "ada")
    give_back(service, one(service, "bob"), "bob", note="no")
    service.call("PATCH", "/v1/projects/shapes/policy", json={"queue": {"skips_before_expert": 2}})
    skip(service, one(service, "ada"), "ada")
    submit(service, one(service, "cyd"), [BOX], "cyd")
    assert lease(service, "ada")["tasks"] == []
    assert lease(service, "cyd")["tasks"] == []
    assert one(service, "dan")["item_digest"] == digest


def test_a_group_can_be_named_for_qa(service, all_in_qa):
    person(service, all_in_qa["dan"], groups=["leads"])
    service.call("PATCH", "/v1/projects/shapes/policy", json={"queue": {"stage_groups": {"qa": ["leads"]}}})
    answered(service, "ada")
    assert lease(service, "bob")["tasks"] == []
    assert one(service, "dan")["stage"] == "qa"


def test_what_an_adjudicator_decides_is_judged_by_who_gave_none_of_the_answers(service, all_in_qa):
    """And goes back to the adjudicator, with the answers that there were."""
    service.call("PATCH", "/v1/projects/shapes/policy", json={"queue": {"people": {"annotate": 2, "audit": 2}}})
    service.predict(picture())
    submit(service, one(service, "ada"), [BOX], "ada")
    submit(service, one(service, "bob"), [ELSEWHERE], "bob")
    submit(service, one(service, "cyd"), [BOX], "cyd")
    for name in ("ada", "bob", "cyd"):
        assert lease(service, name)["tasks"] == []
    judging = one(service, "dan")
    assert judging["stage"] == "qa"
    give_back(service, judging, "dan", note="no")
    again = one(service, "cyd")
    assert (again["stage"], len(again["answers"]), again["returned"]["shapes"]) == ("adjudicate", 2, [BOX])
    submit(service, again, [ELSEWHERE], "cyd")
    assert accept(service, one(service, "dan"), "dan").status_code == 200
    assert truth(service, again["item_digest"]) == [ELSEWHERE]


def test_a_skip_of_qa_ends_the_item_without_an_answer(service, all_in_qa):
    """As any skip does where nobody else is asked; an operator can ask again."""
    digest = answered(service, "ada")
    assert skip(service, one(service, "bob"), "bob").status_code == 200
    assert truth(service, digest) is None
    assert lease(service, "cyd")["tasks"] == []
    assert service.call("POST", f"/v1/projects/shapes/items/{digest}/reopen").status_code == 200
    submit(service, one(service, "ada"), [ELSEWHERE], "ada")
    assert accept(service, one(service, "bob"), "bob").status_code == 200
    assert truth(service, digest) == [ELSEWHERE]


def test_a_share_of_the_answers_is_looked_at(service, staff):  # noqa: F811
    """Drawn by a keyed lot: the same work always or never."""
    workflow(service, qa="share", share=0.5)
    digests = [answered(service, "ada", seed=seed) for seed in range(12)]
    waiting = [digest for digest in digests if truth(service, digest) is None]
    assert 0 < len(waiting) < 12
    assert {task["item_digest"] for task in lease(service, "bob", 20)["tasks"]} == set(waiting)


def test_the_prediction_is_reviewed_when_the_answer_counts(service, all_in_qa):
    """Not before: one line of the history tells of it, and risk learns from it once."""
    digest = answered(service, "ada")
    with service.services.store.read() as tx:
        champion = tx.projects.get("shapes").champion_id
        assert tx.submissions.count_reviewed("shapes", champion) == 0
    accept(service, one(service, "bob"), "bob")
    with service.services.store.read() as tx:
        assert tx.submissions.count_reviewed("shapes", champion) == 1
    (told,) = events(service, "task.accepted")
    assert told["body"]["item_digest"] == digest


def test_proposals_can_be_hidden(service, staff):  # noqa: F811
    """People see nothing of the model; it is compared with them all the same."""
    service.call("PATCH", "/v1/projects/shapes/policy", json={"score_threshold": 0.0001})
    service.predict(picture())
    shown = one(service, "ada")
    assert shown["detections"]
    service.call("POST", f"/v1/tasks/{shown['id']}/release", "ada", json={"epoch": shown["epoch"]})
    assert workflow(service, proposals="hidden")["proposals"] == "hidden"
    blind = one(service, "ada")
    assert blind["detections"] == []
    assert submit(service, blind, [BOX], "ada").json()["corrections"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"share": 1.5}, "share"),
        ({"max_returns": -1}, "max_returns"),
        ({"rework_patience_seconds": 0}, "rework_patience_seconds"),
        ({"lots": {"size": 0}}, "lots.size"),
        ({"lots": {"close_after_seconds": 0}}, "lots.close_after_seconds"),
        ({"lots": {"plan": "single", "aql": 0.2, "ltpd": 0.1}}, "0.2"),
        ({"lots": {"share": 0}}, "share"),
    ],
)
def test_a_workflow_that_cannot_work_is_refused(service, changes, named):
    before = service.call("GET", "/v1/projects/shapes").json()["policy"]
    told = problem(service.call("PATCH", "/v1/projects/shapes/policy", json={"workflow": changes}), 422, "invalid")
    assert named in told["detail"]
    assert service.call("PATCH", "/v1/projects/shapes/policy", json={"workflow": {"qa": "maybe"}}).status_code == 422
    assert service.call("PATCH", "/v1/projects/shapes/policy", json={"workflow": {"lot": {}}}).status_code == 422
    assert service.call("GET", "/v1/projects/shapes").json()["policy"] == before


def test_what_a_change_of_the_workflow_leaves_out_stays(service):
    workflow(service, qa="lots", lots={"size": 50, "by": "source"})
    changed = workflow(service, lots={"plan": "sequential"})
    assert (changed["qa"], changed["lots"]["size"], changed["lots"]["by"]) == ("lots", 50, "source")
