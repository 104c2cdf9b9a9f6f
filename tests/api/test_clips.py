"""Clips over HTTP: uploading a video, a task over its frames, and an answer that becomes the truth of each."""

import itertools
from dataclasses import replace

import pytest

from loop.domain.access import Role
from loop.domain.items.clips import MOST_FRAMES_OF_TASK
from loop.domain.recipes.rules import FunctionRule, Severity
from loop.domain.truth import Shape
from loop.review.checking import Checking
from loop.store.truths import SqlTruths
from loop.wiring import utc_now
from tests.api.conftest import picture
from tests.api.test_predictions import problem
from tests.api.test_review import leased, submit
from tests.clips import pictures, sound, video

FRAMES = 8


def upload(service, content: bytes, role: str = "operator", **asked):
    params = {"name": "drive", **asked}
    return service.call("POST", "/v1/projects/shapes/clips", role, content=content, params=params)


def a_clip(service, count: int = FRAMES, **asked) -> dict:
    answer = upload(service, video(pictures(count)), **asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def tasks_over(service, clip: dict, window: int | None = None):
    return service.call("POST", f"/v1/projects/shapes/groups/{clip['id']}/tasks", json={"window": window})


def a_task(service, clip: dict, window: int | None = None) -> dict:
    assert tasks_over(service, clip, window).status_code == 200
    return leased(service)[0]


def item(service, digest: str) -> dict:
    return service.call("GET", f"/v1/projects/shapes/items/{digest}").json()


def truths(service, task: dict) -> list[dict | None]:
    return [item(service, frame["digest"])["truth"] for frame in task["frames"]]


def box(frame: int, x: float = 5, label: str = "circle", **more) -> dict:
    return {"type": "box", "label": label, "box": [x, 5, x + 10, 15], "track": "a", "frame": frame, **more}


# --- upload ---------------------------------------------------------------------------------------------------


def test_a_video_becomes_items_in_their_order(service):
    """Frames are items, with their times, and can be paged and seen."""
    clip = a_clip(service, every=2, source="camera-3")
    assert (clip["kind"], clip["name"], clip["frames"], clip["added"], clip["complete"]) == (
        "clip",
        "drive",
        4,
        4,
        True,
    )
    path = f"/v1/projects/shapes/groups/{clip['id']}"
    first = service.call("GET", path, params={"limit": 3}).json()
    rest = service.call("GET", path, params={"limit": 3, "after": first["next"]}).json()
    frames = first["page"] + rest["page"]
    assert rest["next"] is None
    assert [(one["index"], one["number"], one["time"]) for one in frames] == [
        (0, 0, 0.0), (1, 2, 0.2), (2, 4, 0.4), (3, 6, 0.6),
    ]  # fmt: skip
    assert service.call("GET", frames[0]["image_url"], "reviewer").headers["content-type"] == "image/jpeg"
    kept = item(service, frames[3]["item_digest"])
    assert kept["source"] == "camera-3"
    assert kept["meta"] == {"clip": clip["id"], "frame": "6", "seconds": "0.6"}
    assert [one["id"] for one in service.call("GET", "/v1/projects/shapes/groups").json()["groups"]] == [clip["id"]]


def test_the_same_video_again_adds_nothing(service):
    """Sampled in the same way it is the same clip; sampled otherwise it is another, of the same items and group."""
    first, again, other = a_clip(service), a_clip(service, name="another name"), a_clip(service, fps=5)
    assert (again["id"], again["added"], again["name"]) == (first["id"], 0, "drive")
    assert other["id"] != first["id"]
    assert len(service.call("GET", "/v1/projects/shapes/items").json()["items"]) == FRAMES


def test_frames_that_are_the_very_same_are_kept_once(service):
    """A standing picture would otherwise be one item with two truths; the import says how many."""
    still = pictures(1) * 3
    clip = upload(service, video([*still, *pictures(2, seed=1)], codec="ffv1", container="matroska")).json()
    assert (clip["frames"], clip["repeats"]) == (3, 2)
    assert "2 frames are left out" in clip["notes"][0]


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "holds no video"), (b"rubbish" * 999, "cannot be opened"), (sound(), "no video in it, but audio")],
)
def test_what_is_no_video_is_refused_and_leaves_nothing(service, content, says):
    """422 with what to do; no group, no item, no file."""
    answer = upload(service, content)
    problem(answer, 422, "bad-video")
    assert says in answer.json()["detail"]
    assert answer.json()["hint"]
    assert service.call("GET", "/v1/projects/shapes/groups").json()["groups"] == []
    assert not list(service.services.settings.data_dir.glob("clip-*"))


def test_an_upload_has_a_limit(service):
    """It is refused by its declared length, or as soon as more arrives, and nothing of it stays."""
    limits = service.services.settings.limits
    object.__setattr__(limits, "max_video_bytes", 1000)
    problem(upload(service, b"x" * 1001), 413, "too-large")
    problem(upload(service, iter([b"x" * 600, b"x" * 600])), 413, "too-large")
    assert not list(service.services.settings.data_dir.glob("clip-*"))


def test_videos_are_sampled_one_way_and_sent_as_they_are(service):
    """every and fps exclude each other; forms are not read; an unknown project is 404."""
    problem(upload(service, video(pictures(1)), every=2, fps=3), 422, "invalid")
    form = {"content-type": "multipart/form-data; boundary=x"}
    path = "/v1/projects/shapes/clips?name=x"
    problem(service.call("POST", path, content=b"--x--", headers=form), 422, "invalid")
    answer = service.call("POST", "/v1/projects/nowhere/clips?name=x", content=video(pictures(1)))
    problem(answer, 404, "not-found")


def test_only_operators_bring_clips(service):
    """Producers may look; reviewers, who could tell by a clip's age what work is of now, may not."""
    clip = a_clip(service)
    for role in ("reviewer", "producer"):
        problem(upload(service, b"x", role), 403, "forbidden")
        path = f"/v1/projects/shapes/groups/{clip['id']}"
        problem(service.call("POST", f"{path}/tasks", role, json={}), 403, "forbidden")
        assert service.call("GET", path, role).status_code == (403 if role == "reviewer" else 200)
    problem(service.call("GET", "/v1/projects/shapes/groups", "reviewer"), 403, "forbidden")


# --- groups of items that are there ---------------------------------------------------------------------------


def test_items_that_are_there_can_be_a_group(service):
    """In the order given, with times; each item once, of this project."""
    digests = [service.predict(picture(seed)).json()["item_digest"] for seed in range(3)]
    frames = [{"item_digest": digest, "time": 0.5 * index} for index, digest in enumerate(digests)]
    body = {"kind": "camera", "name": "north gate", "frames": frames}
    made = service.call("POST", "/v1/projects/shapes/groups", json=body)
    assert made.status_code == 201, made.text
    assert (made.json()["kind"], made.json()["frames"]) == ("camera", 3)
    assert {item(service, digest)["group"] for digest in digests} == {made.json()["id"]}
    for wrong, code in (
        ([frames[0], frames[0]], 422), (frames[::-1], 422), ([{"item_digest": "f" * 64}], 404), ([], 422),
    ):  # fmt: skip
        assert service.call("POST", "/v1/projects/shapes/groups", json={**body, "frames": wrong}).status_code == code


def test_an_order_alone_leaves_splits_as_they_are(service):
    """A group of the kind `any` keeps nothing together."""
    digest = service.predict(picture()).json()["item_digest"]
    body = {"kind": "any", "name": "", "frames": [{"item_digest": digest}]}
    assert service.call("POST", "/v1/projects/shapes/groups", json=body).status_code == 201
    assert item(service, digest)["group"] == ""


# --- tasks ----------------------------------------------------------------------------------------------------


def test_a_clip_is_one_task_with_all_its_frames(service):
    """With what the newest prediction of each frame says, and the proposal as tracks; ordinary tasks have neither."""
    assert service.call("PATCH", "/v1/projects/shapes/policy", json={"score_threshold": 0.001}).status_code == 200
    clip = a_clip(service)
    frames = service.call("GET", f"/v1/projects/shapes/groups/{clip['id']}").json()["page"]
    content = service.call("GET", frames[0]["image_url"]).content
    prediction = service.predict(content).json()
    assert tasks_over(service, clip).json()["made"]
    of_image, of_clip = sorted(leased(service, 5), key=lambda task: task["frames"] is not None)
    assert (of_image["frames"], of_image["tracks"]) == (None, None)
    assert [one["index"] for one in of_clip["frames"]] == list(range(FRAMES))
    assert of_clip["frames"][0]["digest"] == of_clip["item_digest"] == prediction["item_digest"]
    proposed = [{name: one[name] for name in ("label", "score", "box")} for one in prediction["detections"]]
    assert of_clip["frames"][0]["detections"] == proposed != []
    assert of_clip["frames"][1]["detections"] == []
    assert {(one["frame"], one["label"]) for one in of_clip["tracks"]} == {
        (0, one["label"]) for one in prediction["detections"]
    }


def test_asking_again_makes_no_second_task(service):
    """The same windows are the same tasks, others are refused: a frame is in one task."""
    clip = a_clip(service)
    first, again = tasks_over(service, clip, 3).json(), tasks_over(service, clip, 3).json()
    assert len(first["task_ids"]) == 3
    assert (again["task_ids"], again["made"]) == (first["task_ids"], False)
    problem(tasks_over(service, clip), 409, "conflict")
    assert [len(task["frames"]) for task in leased(service, 5)] == [3, 3, 2]


def test_the_riskiest_window_is_handed_out_first(service):
    """By the highest risk among its frames, as the queue orders images; what no model has seen comes last, in the
    order of the clip."""
    clip = a_clip(service)
    frames = service.call("GET", f"/v1/projects/shapes/groups/{clip['id']}").json()["page"]
    risks = [0.0] * 4
    for index in (3, 4, 5):  # of the second window one frame, of the third both
        content = service.call("GET", frames[index]["image_url"]).content
        risk = service.predict(content).json()["decision"]["risk"]
        risks[index // 2] = max(risks[index // 2], risk)
    assert 0 < risks[1] != risks[2] > 0
    made = tasks_over(service, clip, 2).json()["task_ids"]
    with service.services.store.read() as tx:
        assert [tx.tasks.get(task).priority for task in made] == risks
    given = [task["frames"][0]["index"] for task in leased(service, 10) if task["frames"]]
    assert given == sorted((0, 2, 4, 6), key=lambda first: -risks[first // 2]) != [0, 2, 4, 6]


def test_a_task_has_so_many_frames_at_most(service):
    """More are asked for in windows."""
    clip = a_clip(service)
    for window in (0, -1, MOST_FRAMES_OF_TASK + 1):
        assert tasks_over(service, clip, window).status_code == 422
    problem(tasks_over(service, {"id": "group_x"}), 404, "not-found")


# --- answers --------------------------------------------------------------------------------------------------


def test_tracks_become_the_truth_of_every_frame(service):
    """Key frames as drawn, what lies between them interpolated; frames without an object have the empty truth."""
    task = a_task(service, a_clip(service))
    answer = submit(service, task, [box(1, 0), box(5, 40), {"label": "bar", "box": [0, 0, 9, 9], "frame": 7}])
    assert answer.status_code == 200, answer.text
    found = truths(service, task)
    assert [[round(shape["box"][0], 9) for shape in truth["shapes"]] for truth in found] == [
        [], [0.0], [10.0], [20.0], [30.0], [40.0], [], [0.0],
    ]  # fmt: skip
    assert [shape.get("keyframe", True) for truth in found for shape in truth["shapes"]] == [
        True, False, False, False, True, True,
    ]  # fmt: skip
    assert {shape.get("track") for truth in found for shape in truth["shapes"]} == {"a", None}
    assert not any("frame" in shape for truth in found for shape in truth["shapes"])
    assert {tuple(truth["submission_ids"]) for truth in found} == {(answer.json()["id"],)}
    assert submit(service, task, [box(1, 0), box(5, 40), {"label": "bar", "box": [0, 0, 9, 9], "frame": 7}]).json() == (
        answer.json()
    )


def test_what_is_kept_of_an_answer_is_what_was_drawn(service):
    """The submission has the key frames, also those outside, in the order sent, under their frames."""
    task = a_task(service, a_clip(service))
    sent = [box(5, 40, outside=True), box(0, 0), box(1, 7, keyframe=False)]
    assert submit(service, task, sent).status_code == 200
    (kept,) = item(service, task["item_digest"])["submissions"]
    assert kept["shapes"] == sent[:2]
    assert [len(truth["shapes"]) for truth in truths(service, task)] == [1, 1, 1, 1, 1, 0, 0, 0]


def test_a_window_knows_its_own_frames_only(service):
    """Frames are named by their index in the clip; those of another window are refused."""
    clip = a_clip(service)
    assert tasks_over(service, clip, 4).status_code == 200
    _, second = sorted(leased(service, 2), key=lambda task: task["frames"][0]["index"])
    assert [one["index"] for one in second["frames"]] == [4, 5, 6, 7]
    problem(submit(service, second, [box(3)]), 422, "bad-shape")
    assert submit(service, second, [box(4, 0), box(6, 20)]).status_code == 200
    assert [len(truth["shapes"]) for truth in truths(service, second)] == [1, 1, 1, 0]


@pytest.mark.parametrize(
    ("shapes", "code", "says"),
    [
        ([box(0), box(0, 9)], "bad-shape", "A track has one shape in a frame"),
        ([box(0), box(1, label="bar")], "bad-shape", "one object with one label"),
        ([{"label": "bar", "box": [0, 0, 9, 9]}], "bad-shape", "names no frame"),
        ([box(3, 60)], "bad-shape", "in frame 3, shape 0 has the box [60"),
        ([box(0, 40, track="b"), box(0), box(3, 60)], "bad-shape", "in frame 3, shape 2 has the box [60"),
        ([box(2, label="dog")], "unknown-label", "in frame 2"),
        ([box(0, outside=True, x=60), box(1)], "bad-shape", "in frame 0"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_frame(service, shapes, code, says):
    """And no frame gets a truth."""
    task = a_task(service, a_clip(service))
    answer = submit(service, task, shapes)
    problem(answer, 422, code)
    assert says in answer.json()["detail"] + answer.json()["hint"]
    assert truths(service, task) == [None] * FRAMES


@pytest.mark.parametrize("more", [{"frame": 0}, {"outside": True}, {"keyframe": False}])
def test_an_ordinary_task_has_no_frames(service, more):
    """What speaks of frames is refused there, rather than dropped in silence."""
    service.predict(picture())
    (task,) = leased(service)
    problem(submit(service, task, [{"label": "circle", "box": [5, 5, 20, 20], "track": "a", **more}]), 422, "bad-shape")


def test_rules_are_kept_in_every_frame(service):
    """Also where nobody drew: the issue tells the frame, and which shape of the answer it is about."""
    document = {
        "labels": ["circle", "square", "bar"],
        "rules": [{"kind": "overlap", "label": "circle", "max_iou": 0.5, "id": "apart"}],
    }
    assert service.call("POST", "/v1/projects/shapes/recipe", json=document).status_code in (200, 201)
    task = a_task(service, a_clip(service))
    crossing = [box(0, 0), box(4, 40), box(0, 40, track="b"), box(4, 0, track="b")]
    answer = submit(service, task, crossing)
    problem(answer, 422, "rules-broken")
    (issue,) = answer.json()["ids"]["issues"]
    assert (issue["rule"], issue["frame"], sorted(issue["shapes"])) == ("apart", 2, ["#0", "#2"])
    checked = service.call("POST", f"/v1/tasks/{task['id']}/check", "reviewer", json={"shapes": crossing}).json()
    assert [one["frame"] for one in checked["issues"]] == [2]


def test_a_rule_of_a_package_keeps_nobody_waiting_for_all_frames(service):
    """Of a clip it may take five seconds; then the operator is told, and the answer is taken as it is."""
    seconds = itertools.count()

    class Slow:
        names = frozenset({"slow"})
        asked = 0

        def ask(self, function: str, scene: object) -> list[tuple[str, tuple[str, ...]]]:
            self.asked += 1
            return [("look again", ())]

    task = a_task(service, a_clip(service))
    services = service.services
    with services.store.begin() as tx:
        recipe = tx.projects.get("shapes").recipe
        rule = FunctionRule(id="r", function="slow", severity=Severity.WARNING)
        changed = replace(recipe, version=recipe.version + 1, rules=(rule,))
        tx.projects.save_recipe("shapes", changed)
        tx.tasks.move_to_recipe("shapes", changed.version)
    slow = Slow()
    checking = Checking(services.store, slow, utc_now, lambda: float(next(seconds)))
    token = services.tokens.authenticate(service.tokens["reviewer"])
    issues = checking.check(token, task["id"], [Shape("circle", (0, 0, 9, 9), frame=0)])
    assert (len(issues), slow.asked) == (5, 5)
    told = service.call("GET", "/v1/projects/shapes/events", params={"limit": 500}).json()["events"]
    assert ["longer than 5 s" in one["body"]["why"] for one in told if one["kind"] == "rule.failed"] == [True]


def test_links_are_between_shapes_of_one_frame(service):
    """To a shape that is there in that frame, drawn or interpolated; never across frames."""
    document = {
        "labels": ["circle", "square", "bar"],
        "links": [{"name": "holds", "from": ["circle"], "to": ["bar"]}],
    }
    assert service.call("POST", "/v1/projects/shapes/recipe", json=document).status_code in (200, 201)
    task = a_task(service, a_clip(service))
    bars = [box(0, 40, label="bar", track="b", id="b"), box(2, 40, label="bar", track="b", id="b")]
    linked = {"links": [{"type": "holds", "to": "b"}]}
    problem(submit(service, task, [box(5, **linked), *bars]), 422, "bad-shape")
    assert submit(service, task, [box(1, **linked), box(4), *bars]).status_code == 200
    links = [[shape["track"] for shape in truth["shapes"] if "links" in shape] for truth in truths(service, task)]
    assert links == [[], ["a"], ["a"], [], [], [], [], []]


def test_all_frames_or_none(service, monkeypatch):
    """One transaction: where a frame's truth cannot be written, none is, the task stays mine, and I can send again."""
    clip = a_clip(service)
    task = a_task(service, clip)
    written = SqlTruths.add_all

    def breaks(self, given):
        written(self, given)
        raise RuntimeError("the power fails")

    monkeypatch.setattr(SqlTruths, "add_all", breaks)
    assert submit(service, task, [box(0), box(7)]).status_code == 500
    monkeypatch.undo()
    assert truths(service, task) == [None] * FRAMES
    assert submit(service, task, [box(0), box(7)]).status_code == 200


# --- the queue ------------------------------------------------------------------------------------------------


def test_a_clip_is_like_any_other_work(service):
    """Heartbeat, draft, release, skip, re-open."""
    task = a_task(service, a_clip(service))

    def act(what: str, **body):
        return service.call("POST", f"/v1/tasks/{task['id']}/{what}", "reviewer", json={"epoch": task["epoch"], **body})

    assert act("heartbeat").status_code == 200
    assert act("draft", content={"shapes": [box(0)]}).status_code == 200
    assert act("release").status_code == 204
    (task,) = leased(service)
    assert task["draft"]["content"] == {"shapes": [box(0)]}
    assert act("skip", reason="too dark").json()["outcome"] == "skipped"
    assert leased(service) == []
    assert service.call("POST", f"/v1/tasks/{task['id']}/reopen").status_code == 200
    (task,) = leased(service)
    assert submit(service, task, [box(0)]).status_code == 200
    frame = task["frames"][3]["digest"]
    assert service.call("POST", f"/v1/projects/shapes/items/{frame}/reopen").json() == {"task_ids": [task["id"]]}
    (task,) = leased(service)
    assert submit(service, task, []).status_code == 200
    assert {truth["version"] for truth in truths(service, task)} == {2}
    assert [truth["shapes"] for truth in truths(service, task)] == [[]] * FRAMES


def test_each_frame_can_be_spoken_of(service):
    """By who has the task, before and after the answer, and by operators who name it; by nobody else."""
    task = a_task(service, a_clip(service, count=3))
    places = [f"/v1/projects/shapes/items/{frame['digest']}/comments" for frame in task["frames"]]
    said = {"text": "is this one car or two?", "task_id": task["id"]}
    for place in places:
        assert service.call("POST", place, "reviewer", json=said).status_code == 201
        assert service.call("POST", place, json=said).status_code == 201
    assert submit(service, task, [box(0)]).is_success
    secret = service.services.tokens.create("bob", Role.REVIEWER, None)[1]
    for place in places:
        assert len(service.call("GET", place, "reviewer").json()["comments"]) == 2
        stranger = {"Authorization": f"Bearer {secret}"}
        assert service.client.get(place, headers=stranger).status_code == 403


@pytest.mark.parametrize("alike", [True, False])
def test_several_people_on_a_clip(service, alike):
    """The same key frames are the truth; else another person decides between the answers, none of which is merged."""
    policy = {"queue": {"people": {"annotate": 2}}}
    assert service.call("PATCH", "/v1/projects/shapes/policy", json=policy).status_code == 200
    clip = a_clip(service)
    assert tasks_over(service, clip).status_code == 200
    for name in ("ada", "bob", "cy"):
        body = {"name": name, "role": "reviewer"}
        service.tokens[name] = service.call("POST", "/v1/tokens", json=body).json()["secret"]

    def lease_of(name: str) -> list[dict]:
        return service.call("POST", "/v1/projects/shapes/tasks/lease", name, json={"count": 1}).json()["tasks"]

    (first,), (second,) = lease_of("ada"), lease_of("bob")
    assert submit(service, first, [box(0), box(7)], "ada").status_code == 200
    assert truths(service, first) == [None] * FRAMES
    assert submit(service, second, [box(0), box(7 if alike else 6)], "bob").status_code == 200
    if alike:
        assert {len(truth["submission_ids"]) for truth in truths(service, first)} == {2}
        return
    assert truths(service, first) == [None] * FRAMES
    (deciding,) = lease_of("cy")
    assert [[one["frame"] for one in answer["shapes"]] for answer in deciding["answers"]] == [[0, 7], [0, 6]]
    assert len(deciding["frames"]) == FRAMES
    assert submit(service, deciding, [box(0), box(7)], "cy").status_code == 200
    assert [len(truth["shapes"]) for truth in truths(service, first)] == [1] * FRAMES
