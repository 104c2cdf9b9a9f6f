"""Recipes over HTTP, and the rules where people work."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from loop.cycle.controller import Controller
from loop.cycle.work import Latency, TrainedWeights, TrainingJob
from loop.domain.cycle import Cycle, Step
from loop.domain.errors import Invalid
from loop.domain.identity import digest_of
from loop.domain.model import ModelVersion
from loop.domain.prediction import Inference
from loop.domain.recipes.recipe import recipe_to_json
from loop.domain.truth import shape_from_json, shape_to_json
from tests.api.conftest import picture
from tests.api.test_predictions import problem
from tests.api.test_review import BOX, leased, submit
from tests.examining import Examines
from tests.shapes import HEIGHT, RECIPE, WIDTH, answers
from tests.tiny_models import tiny_weights
from training.head import read_sound_head

PATH = "/v1/projects/shapes/recipe"
LABELS = ["circle", "square", "bar"]
HAND = {"name": "hand", "geometry": "point", "attributes": [{"name": "does", "type": "select", "options": ["pick"]}]}
FULL = {
    "labels": [*LABELS, HAND],
    "links": [{"name": "by", "from": ["circle"], "to": ["hand"], "min_out": 1, "max_in": 1}],
    "rules": [{"id": "few", "kind": "count", "label": "bar", "max": 1, "severity": "warning"}],
    "migrate": {"open_tasks": "move"},
}


def post(service, body: object, role: str = "operator", **params):
    return service.call("POST", PATH, role, content=json.dumps(body), params=params)


def changed(service, body: object) -> dict:
    response = post(service, body)
    assert response.status_code == 200, response.text
    return response.json()


def check(service, task: dict, shapes: list[dict], role: str = "reviewer"):
    return service.call("POST", f"/v1/tasks/{task['id']}/check", role, json={"shapes": shapes})


def test_a_recipe_is_read_changed_and_read_again(service):
    """What is read can be sent; each version stays readable; everybody of the project may read."""
    first = service.call("GET", PATH, "reviewer").json()
    assert (first["version"], [label["name"] for label in first["labels"]]) == (1, LABELS)
    outcome = changed(service, first | FULL)
    assert (outcome["saved"], outcome["change"]["added"]) == (True, ["hand"])
    assert not any("does not know" in line for line in outcome["consequences"])  # no detector learns a point
    newest = service.call("GET", PATH, "producer").json()
    assert newest == outcome["recipe"] == service.call("GET", f"{PATH}/2").json()
    assert [(one["name"], one["min_out"], one["max_in"]) for one in newest["links"]] == [("by", 1, 1)]
    assert service.call("GET", f"{PATH}/1").json() == first
    assert changed(service, newest)["saved"] is False
    versions = service.call("GET", f"{PATH}/versions").json()["versions"]
    assert [one["recipe"]["version"] for one in versions] == [2, 1]
    problem(service.call("GET", f"{PATH}/3"), 404, "not-found")
    problem(service.call("GET", f"{PATH}/{10**30}"), 422, "invalid")


def test_yaml_is_as_good_as_json(service):
    """By what it is, whatever the content type says."""
    text = yaml.safe_dump(FULL)
    response = service.call("POST", PATH, content=text, headers={"Content-Type": "application/yaml"})
    assert response.json()["recipe"]["version"] == 2


def test_a_dry_run_saves_nothing(service):
    """It tells what would change."""
    outcome = post(service, FULL, dry_run=True).json()
    assert (outcome["saved"], outcome["change"]["added"], outcome["recipe"]["version"]) == (False, ["hand"], 2)
    assert service.call("GET", PATH).json()["version"] == 1


def test_only_operators_change_recipes(service):
    """Reviewers and producers read."""
    for role in ("reviewer", "producer"):
        problem(post(service, FULL, role), 403, "forbidden")


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({"labels": []}, ["labels"]),
        ({"labels": ["a"], "rules": [{"kind": "count", "label": "b"}]}, ["rules[0].label"]),
        (
            {
                "labels": ["a", "b"],
                "links": [
                    {"name": "l", "from": ["a"], "to": ["b"], "min_out": 1},
                    {"name": "m", "from": ["b"], "to": ["a"], "min_out": 1},
                ],
            },
            ["links[0].min_out"],
        ),
        ({"labels": ["a"], "rules": [{"kind": "function", "function": "nobody's"}]}, ["rules[0].function"]),
        ([], [""]),
        ("labels", [""]),
    ],
    ids=["no labels", "unknown label", "cycle", "unknown function", "list", "text"],
)
def test_errors_are_named_by_their_path(service, body, paths):
    """All of them, as values in the problem."""
    found = problem(post(service, body), 422, "bad-recipe")
    assert [flaw["path"] for flaw in found["ids"]["flaws"]] == paths
    assert all(flaw["problem"] and flaw["hint"] for flaw in found["ids"]["flaws"])


def test_rubbish_is_refused(service):
    """Bytes that are no text, YAML that refers to itself, megabytes of nothing."""
    for content in (b"\xff\xfe\x00", b"a: &a [*a]", b"[" * 50_000, b""):
        problem(service.call("POST", PATH, content=content), 422, "bad-recipe")
    problem(service.call("POST", PATH, content=b" " * 2_000_000), 413, "too-large")


def test_orphans_are_refused_with_their_number(service):
    """A champion that predicts the label, a task that shows it, ground truth that holds it: each is spoken of."""
    service.predict(picture())
    (task,) = leased(service)
    assert submit(service, task, [BOX]).status_code == 200
    service.predict(picture(1))
    smaller = {"labels": ["square", "bar"]}
    found = problem(post(service, smaller), 409, "recipe-orphans")
    assert found["ids"]["shapes"] == {"circle": 1}
    assert found["ids"]["open_tasks"] == 1
    migrate = {"open_tasks": "move", "ground_truth": "drop"}
    outcome = changed(service, smaller | {"migrate": migrate})
    assert (outcome["moved"], outcome["relabelled"], outcome["dropped"]) == (1, 1, 1)
    assert any("goes on predicting 'circle'" in line for line in outcome["consequences"])
    (task,) = leased(service)
    assert task["recipe_version"] == 2
    assert not any(one["label"] == "circle" for one in task["detections"])
    problem(submit(service, task, [BOX]), 422, "unknown-label")
    assert submit(service, task, [BOX | {"label": "bar"}]).status_code == 200
    kinds = [event["kind"] for event in service.call("GET", "/v1/projects/shapes/events").json()["events"]]
    assert {"recipe.changed", "recipe.migrated"} <= set(kinds)


def test_the_service_goes_on_after_a_label_is_gone(service):
    """The champion predicts it still, and its predictions are taken and answered as before."""
    changed(service, {"labels": ["square", "bar"], "migrate": {"open_tasks": "keep"}})
    prediction = service.predict(picture())
    assert prediction.status_code in (200, 201, 202), prediction.text
    (task,) = leased(service)
    answer = submit(service, task, [])
    assert answer.status_code == 200
    stored = service.call("GET", f"/v1/projects/shapes/predictions/{prediction.json()['id']}").json()
    assert stored["task_state"] == "done"


def test_issues_are_the_same_while_working_and_at_the_end(service):
    """check needs no lease; submit refuses with the same issues, and keeps what it only warns of."""
    changed(service, FULL)
    service.predict(picture())
    (task,) = leased(service)
    hand = {"type": "point", "label": "hand", "points": [[6, 6]], "id": "h"}
    bars = [{"label": "bar", "box": [1, 1, 9, 9]}, {"label": "bar", "box": [20, 1, 29, 9], "id": "b"}]
    bad = [BOX | {"id": "c"}, hand, *bars]
    found = check(service, task, bad, "operator").json()["issues"]
    assert [(one["rule"], one["severity"], one["shapes"]) for one in found] == [
        ("by.out", "error", ["c"]),
        ("few", "warning", ["#2", "b"]),
    ]
    refused = problem(submit(service, task, bad), 422, "rules-broken")
    assert refused["ids"]["issues"] == found
    good = [BOX | {"id": "c", "links": [{"type": "by", "to": "h"}]}, *bad[1:]]
    assert [one["rule"] for one in check(service, task, good).json()["issues"]] == ["few"]
    taken = submit(service, task, good)
    assert [one["rule"] for one in taken.json()["issues"]] == ["few"]
    again = submit(service, task, good)
    assert again.json() == taken.json()
    truth = service.call("GET", f"/v1/projects/shapes/items/{task['item_digest']}").json()
    shapes = json.dumps(truth)
    assert '"links": [{"type": "by", "to": "h"}]' in shapes


@pytest.mark.parametrize(
    ("shapes", "code"),
    [
        ([{"type": "point", "label": "circle", "points": [[5, 5]]}], "bad-shape"),
        ([{"type": "point", "label": "hand", "points": [[5, 500]]}], "bad-shape"),
        ([{"type": "point", "label": "hand", "points": [[5, 5]], "attributes": {"does": "put"}}], "bad-shape"),
        ([BOX | {"id": "a"}, BOX | {"id": "a"}], "bad-shape"),
        ([BOX | {"links": [{"type": "by", "to": "nobody"}]}], "bad-shape"),
        ([BOX | {"id": "a", "links": [{"type": "by", "to": "a"}]}], "bad-shape"),
        ([BOX | {"label": "cat"}], "unknown-label"),
        ([BOX | {"attributes": {"does": {"deep": 1}}}], "invalid"),
        ([{"type": "point", "label": "hand", "points": []}], "invalid"),
        ([{"label": "bar"}], "invalid"),
    ],
)
def test_what_cannot_be_kept_is_refused_while_working_too(service, shapes, code):
    """check and submit say the same of it, and the task stays."""
    changed(service, FULL)
    service.predict(picture())
    (task,) = leased(service)
    for act in (check, submit):
        problem(act(service, task, shapes), 422, code)


def test_not_a_number_is_refused(service):
    """JSON has no NaN, but parsers take it."""
    service.predict(picture())
    (task,) = leased(service)
    for shape in (
        '{"label": "bar", "box": [NaN, 1, 5, 5]}',
        '{"label": "bar", "type": "point", "points": [[1, Infinity]]}',
    ):
        body = f'{{"shapes": [{shape}]}}'
        headers = {"Content-Type": "application/json"}
        path = f"/v1/tasks/{task['id']}/check"
        problem(service.call("POST", path, "reviewer", content=body, headers=headers), 422, "invalid")


def test_megabytes_of_points_are_refused(service):
    """Before they are looked at."""
    service.predict(picture())
    (task,) = leased(service)
    shape = {"type": "polygon", "label": "bar", "points": [[1.25, 2.5]] * 900_000}
    problem(check(service, task, [shape]), 413, "too-large")
    shape["points"] = [[1.25, 2.5]] * 20_000
    problem(check(service, task, [shape]), 422, "invalid")


def test_only_reviewers_of_the_project_check(service):
    """Producers may not, nor those of another project; an unknown task is not found."""
    service.predict(picture())
    (task,) = leased(service)
    problem(check(service, task, [], "producer"), 403, "forbidden")
    service.services.projects.create("other", ("a",))
    made = service.call("POST", "/v1/tokens", json={"name": "o", "role": "reviewer", "project_id": "other"}).json()
    service.tokens["other"] = made["secret"]
    problem(check(service, task, [], "other"), 403, "forbidden")
    problem(check(service, {"id": "task_nobody"}, []), 404, "not-found")


def test_every_answer_comes_back_over_http(service):
    """Hypothesis: what a reviewer sends is what the item's ground truth says, whatever it is made of."""
    body = recipe_to_json(replace(RECIPE, version=1)) | {"migrate": {"open_tasks": "keep"}}
    changed(service, body)

    @settings(max_examples=15, suppress_health_check=list(HealthCheck))
    @given(answers())
    def sent_and_read(shapes):
        content = picture(int.from_bytes(os.urandom(4), "big"), WIDTH, HEIGHT)
        service.predict(content)
        (task,) = leased(service)
        wire = [shape_to_json(shape) for shape in shapes]
        assert check(service, task, wire).json() == {"issues": []}
        assert submit(service, task, wire).status_code == 200
        truth = service.call("GET", f"/v1/projects/shapes/items/{task['item_digest']}").json()["truth"]
        assert tuple(shape_from_json(one) for one in truth["shapes"]) == shapes

    sent_and_read()


# --- a cycle after a change --------------------------------------------------------------------------------------


class Bench(Examines):
    """Trains nothing and finds, in every image, one object of each label that the model knows where BOX is."""

    def __init__(self, labels_of: dict[str, tuple[str, ...]]) -> None:
        self.labels_of = labels_of  # by the digest of the weights
        self.jobs: list[TrainingJob] = []
        self.seconds = 0.010, 0.010  # for an image, with the champion and with what was trained

    def train(self, job: TrainingJob, progress: object) -> TrainedWeights:
        self.jobs.append(job)
        content = tiny_weights(job.labels, seed=1)
        self.labels_of[digest_of(content)] = job.labels
        return TrainedWeights(content, read_sound_head(content), {})

    def infer(self, weights_key: str, image_keys: Sequence[str], progress: object) -> list[Inference]:
        count = len(self.labels_of[weights_key])
        one = Inference(
            boxes=np.tile(np.array(BOX["box"], dtype=np.float32), (count, 1)),
            scores=np.linspace(0.9, 0.8, count, dtype=np.float32),
            classes=np.arange(count, dtype=np.int64),
            class_scores=np.eye(count, dtype=np.float32),
            embedding=np.eye(1, 4, dtype=np.float32)[0],
        )
        return [one for _ in image_keys]

    def latency(
        self, models: Sequence[ModelVersion], image_keys: Sequence[str], choose_by: Sequence[str], progress: object
    ) -> list[Latency]:
        """Of the champion, whose weights are the first, and of whatever else there is."""
        champion = next(iter(self.labels_of))
        took = [self.seconds[0] if model.digest == champion else self.seconds[1] for model in models]
        return [Latency("torch fp32", median, 1.5 * median) for median in took]

    def clean(self, cycle_id: str) -> None:
        pass

    def left(self) -> list[str]:
        return []


def _working(controller: Controller, bench: Bench) -> Controller:
    references = replace(controller.references, workshop=bench)
    return replace(controller, references=references, workshop=bench)


def cycled(controller: Controller) -> Cycle:
    cycle = controller.request("shapes", "op", "test", {})
    while not cycle.state.finished and cycle.step is not Step.PROMOTE:
        cycle = controller.advance(cycle)
    return cycle


def test_a_cycle_learns_what_is_left_under_its_new_name(service):
    """Points train nobody, a renamed label keeps what is known of it, and what the champion says of a removed one is
    neither right nor wrong."""
    changed(service, {"labels": [*LABELS, HAND], "migrate": {"open_tasks": "move"}})
    hand = {"type": "point", "label": "hand", "points": [[6, 6]]}
    for seed in range(12):
        service.predict(picture(seed))
        (task,) = leased(service)
        assert submit(service, task, [BOX, hand]).status_code == 200
    changed(service, {"labels": ["disc", "square", HAND], "renames": {"circle": "disc"}})
    bench = Bench({digest_of(tiny_weights()): ("circle", "square", "bar")})
    controller = _working(service.services.controller, bench)
    cycle = cycled(controller)
    assert cycle.error == ""
    (job,) = bench.jobs
    assert (job.labels, job.renamed) == (("disc", "square"), {"circle": "disc"})
    assert {(shape.label, shape.type) for entry in job.train for shape in entry.shapes} == {("disc", "box")}
    # Of the champion's three objects disc is right, square wrong, and bar is not looked at: as of the candidate's two.
    before, after = cycle.evaluation["before"], cycle.evaluation["after"]
    assert before == after


def test_a_cycle_that_began_before_a_change_ends(service):
    """Its labels are those of its snapshot; the model is then judged and used under the new recipe."""
    for seed in range(12):
        service.predict(picture(seed))
        (task,) = leased(service)
        assert submit(service, task, [BOX]).status_code == 200
    bench = Bench({digest_of(tiny_weights()): ("circle", "square", "bar")})
    controller = _working(service.services.controller, bench)
    cycle = controller.request("shapes", "op", "test", {})
    cycle = controller.advance(cycle)
    assert cycle.step is Step.TRAIN
    changed(service, {"labels": ["disc", "square"], "renames": {"circle": "disc"}})
    while not cycle.state.finished and cycle.step is not Step.PROMOTE:
        cycle = controller.advance(cycle)
    assert cycle.error == ""
    assert (bench.jobs[0].labels, bench.jobs[0].renamed) == (("circle", "square", "bar"), {})


def test_the_gate_knows_where_images_come_from_and_how_often_they_decided(service):
    """Each source with enough images has its clause; asked again, the same images prove less, and it says so."""
    for seed in range(140):
        service.predict(picture(seed), params={"source": "belt"})
        (task,) = leased(service)
        assert submit(service, task, [BOX]).status_code == 200
    bench = Bench({digest_of(tiny_weights()): ("circle", "square", "bar")})
    controller = _working(service.services.controller, bench)
    decisions = [cycled(controller).decision for _ in range(2)]
    assert all("slice source belt" in [clause["name"] for clause in one["clauses"]] for one in decisions)
    assert [one["clauses"][0]["numbers"]["uses"] for one in decisions] == [1, 2]


def test_a_model_that_served_once_may_serve_again(service):
    """A label that was removed since keeps nobody from going back; a foreign one does."""
    other = tiny_weights(("circle", "square"), seed=3)
    model, _ = service.services.models.register("shapes", other, "test")
    changed(service, {"labels": ["square", "bar"], "migrate": {"open_tasks": "keep"}})
    service.services.models.override("shapes", model.id, "op", "back")
    (promotion,) = service.services.succession.due(())
    service.services.succession.settle(promotion, deploy=lambda _model: None)
    with service.services.store.read() as tx:
        assert tx.projects.get("shapes").champion_id == model.id
    with pytest.raises(Invalid, match="no label for"):
        service.services.models.register("shapes", tiny_weights(("circle", "cat")), "test")


# --- new projects --------------------------------------------------------------------------------------------


def create(service, body: object, role: str = "operator"):
    return service.call("POST", "/v1/projects", role, content=json.dumps(body))


def test_a_project_begins_with_a_whole_recipe(service):
    """As the next version of a recipe would be written, also one that was read from another project."""
    made = create(service, FULL | {"id": "hands"})
    assert made.status_code == 201, made.text
    changed(service, FULL)
    recipe = service.call("GET", PATH).json()
    assert recipe["version"] == 2
    assert made.json()["recipe"] == recipe | {"version": 1}
    copied = create(service, recipe | {"id": "copied"}).json()
    assert copied["recipe"] == recipe | {"version": 1}


def test_plain_names_of_labels_are_enough(service):
    """Those that are a key of the keyboard have it."""
    labels = create(service, {"id": "digits", "labels": ["cat", "1", "7"]}).json()["recipe"]["labels"]
    assert [(one["name"], one["key"], one["geometry"]) for one in labels] == [
        ("cat", "2", "box"), ("1", "1", "box"), ("7", "7", "box"),
    ]  # fmt: skip


def test_a_project_may_be_written_as_yaml(service):
    """By what it is, as a recipe may."""
    made = service.call("POST", "/v1/projects", content="id: hands\nlabels: [left, right]\n")
    assert [label["name"] for label in made.json()["recipe"]["labels"]] == ["left", "right"]


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({"labels": ["a"]}, ["id"]),
        ({"id": 7, "labels": ["a"]}, ["id"]),
        ({"id": "p"}, ["labels"]),
        ({"id": "p", "labels": ["a"], "champion": "x"}, ["champion"]),
        ({"id": "p", "labels": ["a", "a"]}, ["labels[1].name"]),
        ({"id": "p", "labels": ["a"], "rules": [{"kind": "count", "label": "b"}]}, ["rules[0].label"]),
        ({"id": "p", "labels": ["a"], "rules": [{"kind": "function", "function": "x"}]}, ["rules[0].function"]),
        ({"id": "p", "labels": ["a"], "renames": {"b": "a"}}, ["renames"]),
    ],
)
def test_a_project_is_refused_as_a_recipe_is(service, body, paths):
    """Each error by its place; nothing is made."""
    found = problem(create(service, body), 422, "bad-recipe")
    assert [flaw["path"] for flaw in found["ids"]["flaws"]] == paths
    assert all(flaw["hint"] for flaw in found["ids"]["flaws"])
    repeated = service.call("POST", "/v1/projects", content='{"id": "p", "labels": ["a"], "id": "q"}')
    assert "twice" in problem(repeated, 422, "bad-recipe")["detail"]
    problem(create(service, {"id": "No Slug", "labels": ["a"]}), 422, "invalid")
    assert [one["id"] for one in service.call("GET", "/v1/projects").json()] == ["shapes"]


# --- pictures of the guidelines --------------------------------------------------------------------------------

PICTURES = "/v1/projects/shapes/guidelines/pictures"


def with_guidelines(service, text: str):
    recipe = service.call("GET", "/v1/projects/shapes/recipe").json()
    return service.call("POST", "/v1/projects/shapes/recipe", json=recipe | {"guidelines": text})


def test_guidelines_have_pictures(service):
    """Sent first, then named by what the answer says to write; reviewers see it, in versions before too. Sent again, it
    is the same."""
    sent = service.call("POST", PICTURES, content=picture(7))
    assert (sent.status_code, sent.json()["width"], sent.json()["media_type"]) == (201, 64, "image/png")
    assert service.call("POST", PICTURES, content=picture(7)).json() == sent.json()
    where = f"{PICTURES}/{sent.json()['digest']}"
    problem(service.call("GET", where, "reviewer"), 404, "not-found")  # nobody names it yet
    assert with_guidelines(service, f"Like this: {sent.json()['markdown']}").status_code == 200
    for text in ("Like this.", "Or that."):
        shown = service.call("GET", where, "reviewer")
        assert (shown.status_code, shown.content) == (200, picture(7))
        assert shown.headers["content-type"] == "image/png" and "sandbox" in shown.headers["content-security-policy"]
        assert with_guidelines(service, text).status_code == 200


def test_pictures_that_cannot_be_are_refused(service):
    """What is no image, and too large; guidelines that name one that was never sent, by its place; who may not."""
    problem(service.call("POST", PICTURES, content=b"no image"), 400, "bad-image")
    problem(service.call("POST", PICTURES, content=b""), 400, "bad-image")
    problem(service.call("POST", PICTURES, content=b"x" * 5_000_001), 413, "too-large")
    problem(service.call("POST", PICTURES, "reviewer", content=picture(7)), 403, "forbidden")
    found = problem(with_guidelines(service, f"![x](picture:{'0' * 64})"), 422, "bad-recipe")
    assert [flaw["path"] for flaw in found["ids"]["flaws"]] == ["guidelines"]
    assert service.call("GET", "/v1/projects/shapes/recipe").json()["guidelines"] == ""
