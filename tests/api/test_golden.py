"""Consensus, golden items and standings over HTTP."""

import os
from dataclasses import replace

import pytest

from loop.domain.access import Role
from loop.domain.identity import new_id
from loop.domain.recipes.rules import FunctionRule
from loop.domain.review.queueing import placed
from loop.domain.review.tasks import Task
from loop.domain.stage import Stage
from loop.domain.truth import GroundTruth
from loop.wiring import utc_now
from tests.api.conftest import picture
from tests.api.test_predictions import problem
from tests.api.test_queue import events, item, lease, one
from tests.api.test_review import BOX, submit

OTHER = BOX | {"box": [40, 30, 60, 45]}
NEAR = BOX | {"box": [5, 5, 20, 21]}
STANDING = {"bar": 0.8, "confidence": 0.9, "min_items": 3, "window": 20}


@pytest.fixture
def staff(service):
    """Reviewers ada, bob and cyd; gives the ids of their tokens."""
    ids = {}
    for name in ("ada", "bob", "cyd"):
        token, service.tokens[name] = service.services.tokens.create(name, Role.REVIEWER, "shapes")
        ids[name] = token.id
    return ids


def policy(service, **parts):
    response = service.call("PATCH", "/v1/projects/shapes/policy", json=parts)
    assert response.status_code == 200, response.text
    return response.json()


def call(service, method: str, path: str, role: str = "operator", status: int = 200, **request):
    response = service.call(method, f"/v1/projects/shapes/{path}", role, **request)
    assert response.status_code == status, response.text
    return response.json() if response.content else None


def golden(service, seed: int, shapes: list[dict] | None = None) -> str:
    """An item that is golden, and no task any more; gives its digest."""
    policy(service, threshold=1.0, audit_rate=0.0)
    digest = service.predict(picture(seed)).json()["item_digest"]
    policy(service, threshold=0.0)
    call(service, "PUT", f"items/{digest}/golden", json={"shapes": shapes or [BOX]})
    return digest


def kinds(value):
    """What a reviewer's program could tell values apart by, but for what they say."""
    if isinstance(value, dict):
        return {name: kinds(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [kinds(value[0])] if value else []
    return type(value).__name__


def test_what_hides_predictions_hides_those_of_golden_items(service, staff):
    """By the same lot: else a hidden one would tell that an item is not golden."""
    policy(service, score_threshold=0.001)
    digests = [golden(service, seed) for seed in range(2)]
    for seed in range(10, 13):
        service.predict(picture(seed))
    policy(service, quality={"golden": {"rate": 1.0}}, queue={"blind_share": 1.0})
    seen = []
    while tasks := lease(service, "ada")["tasks"]:
        seen.append((tasks[0]["item_digest"] in digests, tasks[0]["detections"]))
        assert submit(service, tasks[0], [BOX], "ada").status_code == 200
    assert sorted(golden for golden, _ in seen) == [False] * 3 + [True] * 2
    assert all(detections == [] for _, detections in seen)


def test_a_golden_task_looks_like_any_other(service, staff):
    """The lease, the tasks, the item, the answers to a heartbeat, a check and a submission: the same keys and
    kinds of values; its time is among those of other work, and no event of it is told to other programs."""
    policy(service, score_threshold=0.001)
    digests = [golden(service, seed) for seed in range(3)]
    for digest in digests:
        truth = GroundTruth(
            project_id="shapes", item_digest=digest, version=1, shapes=(), submission_ids=(), origin="import",
            created_at=utc_now(),
        )  # fmt: skip
        with service.services.store.begin() as tx:
            tx.truths.add(truth)
    assert item(service, digests[0])["truth"] is not None
    for seed in range(10, 16):
        service.predict(picture(seed))
    policy(service, quality={"golden": {"rate": 1.0}})
    answers, times = {True: [], False: []}, {True: [], False: []}
    while (leased := lease(service, "ada"))["tasks"]:
        (task,) = leased["tasks"]
        assert task["detections"]
        path, held = f"/v1/tasks/{task['id']}", {"epoch": task["epoch"]}
        beat = service.call("POST", f"{path}/heartbeat", "ada", json=held).json()
        check = service.call("POST", f"{path}/check", "ada", json={"shapes": [BOX]}).json()
        seen = item(service, task["item_digest"], "ada")
        sent = submit(service, task, [BOX], "ada").json()
        is_golden = task["item_digest"] in digests
        answers[is_golden].append(kinds([leased, beat, check, seen, sent]))
        times[is_golden].append(task["created_at"])
        assert "golden" not in str(leased)
        assert leased["open"] % 10 == 0
        # Nor after the answer, which gives other items their truth; nor by when it came, nor by what there is to do.
        assert seen["truth"] is None and item(service, task["item_digest"], "ada")["truth"] is None
        assert seen["created_at"] is None
        assert service.call("GET", "/v1/projects/shapes/summary", "ada").json()["tasks"] == {}
        versions = service.call("GET", "/v1/projects/shapes/recipe/versions", "ada").json()["versions"]
        assert [one["open_tasks"] for one in versions] == [None]
        assert sent["corrections"]
    assert [len(answers[True]), len(answers[False])] == [3, 6]
    assert all(look == answers[False][0] for look in answers[True] + answers[False])
    # Made a minute before the task that it stands in for, at most: not now, when it was handed out.
    assert max(times[True]) < max(times[False])
    assert {one["body"]["item_digest"] for one in events(service, "task.submitted")}.isdisjoint(digests)
    assert {one["body"]["item_digest"] for one in events(service, "golden.answered")} == set(digests)


def empty_work(service, seed: int) -> None:
    """A task that begins with an empty image, as those of a selection before there is a model."""
    policy(service, threshold=1.0, audit_rate=0.0)
    digest = service.predict(picture(seed)).json()["item_digest"]
    now = utc_now()
    with service.services.store.begin() as tx:
        project = tx.projects.get("shapes")
        task = Task(
            id=new_id("task", now, os.urandom(10)), project_id="shapes", item_digest=digest, prediction_id=None,
            stage=Stage.ANNOTATE, priority=0.5, policy_version=project.policy.version,
            recipe_version=project.recipe.version, created_at=now, reason="k-means: the image nearest to a centre",
        )  # fmt: skip
        tx.tasks.add(placed(task, project.policy.queue, (), begins=now))


def test_a_golden_task_of_an_empty_image_looks_like_any_other(service, staff):
    """Work without a proposal is replaced by golden items without one, whose own prediction is not shown, neither with
    the task nor by what the answer comes back with; also where a share of predictions is hidden by lot."""
    policy(service, score_threshold=0.001)
    digests = [golden(service, seed) for seed in range(2)]
    for seed in range(10, 14):
        empty_work(service, seed)
    policy(service, quality={"golden": {"rate": 1.0}}, queue={"blind_share": 1.0})
    looks = {True: [], False: []}
    while (leased := lease(service, "ada"))["tasks"]:
        (task,) = leased["tasks"]
        assert task["detections"] == []
        sent = submit(service, task, [BOX], "ada").json()
        assert sent["corrections"] == {}
        seen = item(service, task["item_digest"], "ada")
        looks[task["item_digest"] in digests].append((kinds([leased, seen, sent]), task["reason"]))
    assert [len(looks[True]), len(looks[False])] == [2, 4]
    assert all(look == looks[False][0] for look in looks[True] + looks[False])


def test_only_operators_see_what_is_golden(service, staff):
    """Marked with the item's truth or with shapes, listed, taken back; nothing of it is for reviewers."""
    digest = golden(service, 0)
    (listed,) = call(service, "GET", "golden")["golden"]
    assert (listed["item_digest"], listed["shapes"], listed["predicted"]) == (digest, [BOX], True)
    bare = service.predict(picture(1)).json()["item_digest"]
    path = f"/v1/projects/shapes/items/{bare}/golden"
    assert "trusted shapes" in problem(service.call("PUT", path, json={}), 404, "not-found")["hint"]
    strange = {"shapes": [BOX | {"label": "owl"}]}
    problem(service.call("PUT", path, json=strange), 422, "unknown-label")
    problem(service.call("DELETE", path), 404, "not-found")
    for method, where in (("PUT", path), ("DELETE", path), ("GET", "/v1/projects/shapes/golden")):
        assert service.call(method, where, "ada", json={} if method == "PUT" else None).status_code == 403
    for where in ("reviewers", f"reviewers/{staff['ada']}", "agreement"):
        assert service.call("GET", f"/v1/projects/shapes/{where}", "ada").status_code == 403
    call(service, "DELETE", f"items/{digest}/golden", status=204)
    assert call(service, "GET", "golden") == {"golden": []}


def test_a_school_tells_what_was_right(service, staff):
    """New people get golden items alone and see the trusted answer after theirs; then they are qualified."""
    for seed in range(3):
        golden(service, seed, [BOX, OTHER])
    policy(service, quality={"golden": {"qualification": True, "training": True, "rate": 0}, "standing": STANDING})
    leased = lease(service, "ada", 5)
    assert len(leased["tasks"]) == 3
    assert "not qualified yet" in leased["why"]
    mine = call(service, "GET", "me", "ada")
    assert (mine["standing"], mine["items"], mine["more"], mine["precision"]) == ("new", 0, 3, None)
    first, *rest = leased["tasks"]
    sent = submit(service, first, [BOX], "ada").json()
    assert sent["golden"] == {"shapes": [BOX, OTHER], "precision": 1.0, "recall": 0.5, "right": 1}
    for task in rest:
        submit(service, task, [BOX, OTHER], "ada")
    told = lease(service, "ada")
    assert told["tasks"] == []
    assert "askance golden add" in told["why"]
    golden(service, 3, [BOX, OTHER])
    golden(service, 4, [BOX, OTHER])
    for task in lease(service, "ada", 5)["tasks"]:
        submit(service, task, [BOX, OTHER], "ada")
    assert call(service, "GET", "me", "ada")["items"] == 5
    assert call(service, "GET", "me", "bob")["standing"] == "new"
    detail = call(service, "GET", f"reviewers/{staff['ada']}")
    assert detail["recall"]["value"] == pytest.approx(0.9)
    assert detail["recall"]["low"] < 0.9 < detail["recall"]["high"]
    assert detail["labels"]["circle"]["precision"]["value"] == 1.0
    assert {"true": "circle", "given": "", "count": 1} in detail["confusion"]
    assert detail["reasons"]
    assert call(service, "GET", "reviewers/ada") == detail


def test_operators_change_a_standing_with_a_reason(service, staff):
    """The person is told; a pause asks others for what was decided alone; training may be one person's."""
    service.predict(picture(0))
    submit(service, one(service, "ada"), [BOX], "ada")
    path = f"/v1/projects/shapes/reviewers/{staff['ada']}"
    problem(service.call("PATCH", path, json={"standing": "paused"}), 422, "invalid")
    problem(service.call("PATCH", path, json={}), 422, "invalid")
    problem(service.call("PATCH", "/v1/projects/shapes/reviewers/nobody", json={"training": True}), 404, "not-found")
    changed = call(service, "PATCH", "reviewers/ada", json={"standing": "paused", "reason": "draws too wide"})
    assert (changed["standing"], changed["actor"], changed["why"]) == ("paused", "operator", "draws too wide")
    assert "draws too wide" in lease(service, "ada")["why"]
    (paused,) = events(service, "reviewer.paused")
    assert paused["body"]["count"] == 1
    assert lease(service, "bob")["tasks"] == []
    assert service.services.standings.redo() == 1
    assert len(lease(service, "bob")["tasks"]) == 1
    assert call(service, "PATCH", "reviewers/bob", json={"training": True})["training"] is True
    assert call(service, "PATCH", "reviewers/bob", json={"training": None})["training"] is False
    listed = {person["name"]: person["standing"] for person in call(service, "GET", "reviewers")["reviewers"]}
    assert (listed["ada"], listed["bob"]) == ("paused", "qualified")


def test_operators_see_what_a_paused_person_answered_with_others(service, staff):
    """Nobody is asked for it again: they may ask."""
    policy(service, queue={"people": {"annotate": 2, "audit": 2}})
    digest = service.predict(picture(0)).json()["item_digest"]
    for name in ("ada", "bob"):
        submit(service, one(service, name), [BOX], name)
    paused = {"standing": "paused", "reason": "draws too wide"}
    detail = call(service, "PATCH", "reviewers/ada", json=paused)
    assert (detail["shared"], detail["shared_items"]) == (1, [digest])
    listed = {person["name"]: person["shared"] for person in call(service, "GET", "reviewers")["reviewers"]}
    assert (listed["ada"], listed["bob"]) == (1, 0)
    (told,) = events(service, "reviewer.paused")
    assert (told["body"]["count"], told["body"]["shared_count"]) == (0, 1)
    assert "shared" not in call(service, "GET", "me", "ada")


def test_people_who_differ_are_merged_or_asked_of_another(service, staff):
    """A dispute goes to one who sees the merged answer, with the ids of what is disputed; agreement is told."""
    policy(service, queue={"people": {"annotate": 2, "audit": 2}})
    digest = service.predict(picture(0)).json()["item_digest"]
    submit(service, one(service, "ada"), [BOX, OTHER], "ada")
    submit(service, one(service, "bob"), [NEAR], "bob")
    task = one(service, "cyd")
    assert len(task["answers"]) == 2
    by_id = {shape["id"]: shape for shape in task["merged"]["shapes"]}
    assert [by_id[name]["box"] for name in task["merged"]["disputed"]] == [OTHER["box"]]
    assert sorted(shape["box"] for shape in by_id.values()) == [[5, 5, 20, 20.5], OTHER["box"]]
    seen = item(service, digest)["agreement"]
    assert (seen["f1"], seen["adjudicated"]) == (pytest.approx(2 / 3), True)
    assert seen["reasons"][0]["code"] == "existence-unsure"
    assert item(service, digest, "ada")["agreement"] is None
    assert submit(service, task, task["merged"]["shapes"], "cyd").status_code == 200
    service.predict(picture(1))
    for name, shapes in (("ada", [BOX]), ("bob", [NEAR])):
        submit(service, one(service, name), shapes, name)
    told = call(service, "GET", "agreement")
    assert (told["works"], told["adjudicated"], told["f1"]) == (2, 0.5, pytest.approx(5 / 6))
    assert told["alpha"]["works"] == 2
    (pair,) = told["pairs"]
    assert (pair["reviewers"], pair["works"]) == (sorted([staff["ada"], staff["bob"]]), 2)


def test_what_a_rule_of_a_package_has_not_judged_is_not_merged(service, staff):
    """It judges each answer before it is taken, but nobody's merged shapes: a person who sees them decides. The same
    answers stand: each was judged."""
    with service.services.store.begin() as tx:
        recipe = tx.projects.get("shapes").recipe
        rules = (FunctionRule(id="r", function="of-a-package"),)
        tx.projects.save_recipe("shapes", replace(recipe, version=recipe.version + 1, rules=rules))
    policy(service, queue={"people": {"annotate": 2, "audit": 2}})
    for seed, (mine, theirs) in enumerate([(BOX, BOX), (BOX, NEAR)]):
        service.predict(picture(seed))
        submit(service, one(service, "ada"), [mine], "ada")
        submit(service, one(service, "bob"), [theirs], "bob")
    task = one(service, "cyd")
    assert [shape["box"] for shape in task["merged"]["shapes"]] == [[5, 5, 20, 20.5]]
    why = item(service, task["item_digest"])["agreement"]["reasons"][0]
    assert why["code"] == "rules-broken" and "has not judged" in why["detail"]
    assert lease(service, "cyd")["tasks"] == [task]


def test_a_policy_of_quality_is_checked_and_kept(service):
    """What is left out stays; what cannot be used is refused with what to do."""
    changed = policy(service, quality={"consensus": {"min_certainty": 0.9}, "golden": {"rate": 0.1}})["quality"]
    assert (changed["consensus"]["iou"], changed["consensus"]["min_certainty"]) == (0.5, 0.9)
    for quality in ({"golden": {"rate": 2}}, {"standing": {"bar": 1}}, {"consensus": {"iou": 0}}):
        told = problem(service.call("PATCH", "/v1/projects/shapes/policy", json={"quality": quality}), 422, "invalid")
        assert told["hint"]
    problem(service.call("PATCH", "/v1/projects/shapes/policy", json={"quality": {}}), 422, "invalid")
    assert service.call("PATCH", "/v1/projects/shapes/policy", json={"queue": {"agreement_iou": 1}}).status_code == 422
    assert service.call("GET", "/v1/projects/shapes").json()["policy"]["quality"] == changed


def test_an_item_is_named_by_the_beginning_of_its_digest(service):
    """Which the page shows: eight digits or more, wherever a call is about an item. One that is no item's, or that of
    several, is refused with what to do; another project's items are nobody's here."""
    digest = golden(service, 1)
    short = digest[:8]
    call(service, "DELETE", f"items/{short}/golden", status=204)
    assert call(service, "PUT", f"items/{short}/golden", json={"shapes": [BOX]})["item_digest"] == digest
    assert call(service, "GET", f"items/{short}")["digest"] == digest
    assert call(service, "POST", "items/tags", json={"items": [short], "add": ["seen"]})["items"] == 1
    assert service.call("GET", f"/v1/projects/shapes/items/{short}/image").status_code == 200
    assert service.call("GET", f"/v1/projects/shapes/items/{digest[:7]}").status_code == 404

    unknown = call(service, "PUT", "items/0000abcd/golden", status=404, json={})
    assert "no item of shapes has a digest that begins with 0000abcd" in unknown["detail"]
    twin = digest[:8] + ("0" if digest[8] != "0" else "1") + digest[9:]
    with service.services.store.begin() as tx:
        tx.items.add(replace(tx.items.get("shapes", digest), digest=twin))
    several = call(service, "PUT", f"items/{short}/golden", status=409, json={})
    assert digest in several["hint"] and twin in several["hint"]
    service.services.projects.create("others", ("circle",))
    assert service.call("GET", f"/v1/projects/others/items/{digest[:9]}").status_code == 404


def known_answers(service, seeds, shapes: list[dict]) -> list[str]:
    """Golden items to which bob gave that answer; their digests."""
    digests = [golden(service, seed, [BOX, OTHER]) for seed in seeds]
    call(service, "PATCH", "reviewers/bob", json={"standing": "new", "reason": "golden items alone"})
    for task in lease(service, "bob", 10)["tasks"]:
        assert submit(service, task, shapes, "bob").status_code == 200
    call(service, "PATCH", "reviewers/bob", json={"standing": "qualified", "reason": "done"})
    return digests


VERDICTS = {
    "accept": {},
    "return": {"issues": [{"message": "one is missing", "shapes": []}]},
    "submit": {"shapes": [BOX]},
}


def test_a_check_of_who_judges_looks_like_any_other_answer(service, staff):
    """The lease, the task, the item, the answers to a heartbeat, a check and to each verdict: the same keys and kinds
    of values, an id of the same form, an age among those of other work; no event of it is told to other programs."""
    policy(service, score_threshold=0.001, quality={"golden": {"rate": 0.0}})
    digests = known_answers(service, range(6), [BOX])
    policy(service, workflow={"qa": "all"})
    for seed in range(10, 16):
        service.predict(picture(seed))
        assert submit(service, one(service, "ada"), [BOX], "ada").status_code == 200
    policy(service, quality={"golden": {"rate": 1.0}})
    looks = {True: [], False: []}
    forms, times, verdicts = set(), {True: [], False: []}, list(VERDICTS) * 2
    while (leased := lease(service, "cyd"))["tasks"]:
        (task,) = leased["tasks"]
        is_check = task["item_digest"] in digests
        verdict = verdicts[len(looks[is_check])]
        assert (task["stage"], task["answers"]) == ("qa", [{"shapes": [BOX], "note": ""}])
        assert task["detections"]
        path, held = f"/v1/tasks/{task['id']}", {"epoch": task["epoch"]}
        beat = service.call("POST", f"{path}/heartbeat", "cyd", json=held).json()
        check = service.call("POST", f"{path}/check", "cyd", json={"shapes": [BOX]}).json()
        draft = service.call("POST", f"{path}/draft", "cyd", json=held | {"content": {}}).json()
        seen = item(service, task["item_digest"], "cyd")
        sent = service.call("POST", f"{path}/{verdict}", "cyd", json=held | VERDICTS[verdict])
        assert sent.status_code == 200, sent.text
        again = service.call("POST", f"{path}/{verdict}", "cyd", json=held | VERDICTS[verdict])
        assert again.json() == sent.json()
        other = service.call("POST", f"{path}/skip", "cyd", json=held | {"reason": "dark"})
        assert seen["truth"] is None and item(service, task["item_digest"], "cyd")["truth"] is None
        assert not {"golden", "judged", "right"} & set(str(leased).replace("'", " ").split())
        looks[is_check].append((verdict, kinds([leased, beat, check, draft, seen, sent.json(), other.json()["type"]])))
        forms.add((task["id"].count("_"), len(task["id"]), task["id"].rpartition("-")[2], leased["open"] % 10))
        times[is_check].append(task["created_at"])
    assert [len(looks[True]), len(looks[False])] == [6, 6]
    assert dict(looks[True]) == dict(looks[False])
    assert len(forms) == 1
    assert max(times[True]) < max(times[False])
    for kind in ("task.accepted", "task.returned", "task.submitted", "task.created"):
        assert {one["body"]["item_digest"] for one in events(service, kind)}.isdisjoint(digests)


def test_operators_see_and_say_how_people_judge(service, staff):
    """With intervals, apart from how they answer; a pause as a judge leaves them the other work."""
    policy(service, quality={"golden": {"rate": 0.0}}, workflow={"qa": "all"})
    known_answers(service, range(2), [BOX])
    known_answers(service, range(2, 4), [BOX, OTHER])
    service.predict(picture(10))
    submit(service, one(service, "ada"), [BOX], "ada")
    policy(service, quality={"golden": {"rate": 1.0}})
    for _ in range(4):
        task = one(service, "cyd")
        held = {"epoch": task["epoch"]}
        assert service.call("POST", f"/v1/tasks/{task['id']}/accept", "cyd", json=held).status_code == 200
    judging = call(service, "GET", "reviewers/cyd")["judging"]
    assert (judging["items"], judging["standing"]) == (4, "qualified")
    assert (judging["accepts"]["value"], judging["catches"]["value"]) == (1.0, 0.0)
    assert judging["catches"]["low"] == 0.0 < judging["catches"]["high"] < 1.0
    assert call(service, "GET", "reviewers/cyd")["precision"] is None
    assert call(service, "GET", "me", "cyd")["judging"]["catches"] is None  # as of yesterday
    path = f"/v1/projects/shapes/reviewers/{staff['cyd']}"
    problem(service.call("PATCH", path, json={"judging": "paused"}), 422, "invalid")
    changed = call(service, "PATCH", "reviewers/cyd", json={"judging": "paused", "reason": "lets all stand"})
    assert (changed["standing"], changed["judging"]["standing"]) == ("qualified", "paused")
    assert "lets all stand" in lease(service, "cyd")["why"]
    (told,) = events(service, "judge.paused")
    assert told["body"]["reviewer"] == staff["cyd"]
