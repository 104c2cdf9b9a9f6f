"""Custom functions over HTTP and on events, in real Ray processes, from a real installed package; some misbehave."""

import io
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import psutil
import pytest
from PIL import Image

from loop.domain.functions import GROUP
from loop.domain.functions.calls import Asked, Ending
from loop.domain.truth import Shape
from loop.launching.functions import RayFunctions
from loop.wiring import utc_now
from tests.api.conftest import picture
from tests.api.test_predictions import problem
from tests.api.test_review import BOX, leased, submit
from tests.packages import install, shipped_functions

pytestmark = pytest.mark.service

FUNCTIONS = """
import ctypes, os, sys, time
from dataclasses import replace
from pathlib import Path

import numpy as np

from loop.domain.functions import Result
from loop.domain.truth import Shape

def echo(context):
    print("what it prints is no answer")
    image = context.item.image()
    said = [context.project, context.trigger, context.options, context.selected, image.shape, str(image.dtype)]
    return Result(messages=[repr(said)])

def grows(context):
    return Result([replace(one, box=(one.box[0], one.box[1], one.box[2] + 1, one.box[3])) for one in context.shapes])

def nothing(context):
    return None

def negative(context):
    return Result(image=255 - context.item.image(), shapes=context.shapes)

def forever(context):
    Path(context.options["pid"]).write_text(str(os.getpid()))
    ctypes.PyDLL(None).sleep(600)  # and holds the interpreter's lock

def forks(context):
    child = os.fork()
    if child == 0:
        time.sleep(600)
    Path(context.options["pid"]).write_text(str(child))
    while True:
        pass

def broken(context):
    raise ValueError("no such thing")

def leaves(context):
    sys.exit(1)

def gone(context):
    os._exit(3)

def number(context):
    return 7

def words(context):
    return Result(["a shape"])

def infinite(context):
    return Result([Shape("circle", (0, 0, float("inf"), 1))])

def odd_attributes(context):
    return Result([Shape("circle", (0, 0, 1, 1), attributes={"a": object()})])

def unlabelled(context):
    return Result([Shape("triangle", (0, 0, 9, 9))])

def outside(context):
    return Result([Shape("circle", (0, 0, 900, 9))])

def many(context):
    def endless():
        while True:
            yield Shape("circle", (0, 0, 9, 9))
    return Result(endless())

def no_image(context):
    return Result(image=b"GIF89a and no more")

def flat_image(context):
    return Result(image=np.zeros((4, 4), np.uint8))

def talks(context):
    return Result(messages=["x" * 10_000] * 1000)
"""
NAMES = [line[4 : line.index("(")] for line in FUNCTIONS.splitlines() if line.startswith("def ")]
SHAPES = (Shape("circle", (5.0, 5.0, 20.0, 20.0), id="a"), Shape("bar", (1.0, 1.0, 9.0, 9.0), id="b"))


@pytest.fixture(scope="module")
def _ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Ray with a package that registers functions, one of which cannot be imported, beside our own."""
    import ray

    points = {name: f"doers:{name}" for name in NAMES} | {"absent": "nowhere:f"}
    with pytest.MonkeyPatch.context() as patch:
        install(tmp_path_factory.mktemp("doers"), patch, "doers", FUNCTIONS, GROUP, points)
        install(tmp_path_factory.mktemp("ours"), patch, "ours", "", GROUP, shipped_functions())
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
        yield
        ray.shutdown()


@pytest.fixture
def working(_ray, service):
    """The service, with an image that was predicted."""
    service.predict(picture())
    return service


def functions_of(service) -> RayFunctions:
    functions = service.services.functions.functions
    assert isinstance(functions, RayFunctions)
    return functions


def asked(service, function: str, **options: object) -> Asked:
    with service.services.store.read() as tx:
        (item,) = tx.items.page("shapes", after=None, limit=1)
    return Asked(
        function=function,
        project_id="shapes",
        trigger="manual",
        item=item,
        shapes=SHAPES,
        selected=("a",),
        options=options,
    )


def run(service, function: str, seconds: float = 30.0, **options: object):
    return functions_of(service).run(asked(service, function, **options), seconds=seconds)


def declare(service, *uses: dict, status: int = 200):
    response = service.call("PATCH", "/v1/projects/shapes/policy", json={"functions": list(uses)})
    assert response.status_code == status, response.text
    return response


def button(name: str, **more: object) -> dict:
    return {"name": name, "button": {"label": name, **more}}


def press(service, task: dict, name: str, selected=(), shapes=None, role="reviewer", epoch=None):
    body = {
        "epoch": task["epoch"] if epoch is None else epoch,
        "shapes": [BOX | {"id": "a"}, BOX | {"id": "b"}, BOX] if shapes is None else shapes,
        "selected": list(selected),
    }
    return service.call("POST", f"/v1/tasks/{task['id']}/actions/{name}", role, json=body)


def events(service, kind: str) -> list[dict]:
    found = service.call("GET", "/v1/projects/shapes/events?limit=1000").json()["events"]
    return [event for event in found if event["kind"] == kind]


def ended(pid: int) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


# --- in a process of Ray's --------------------------------------------------------------------------------


def test_a_function_gets_its_context(working):
    """Project, options, selection, and the pixels as RGB; what it prints does no harm."""
    ran = run(working, "echo", k=[1])
    assert (ran.ending, ran.package) == (Ending.DONE, "doers 1.0")
    assert ran.returned.messages == (repr(["shapes", "manual", {"k": [1]}, ("a",), (48, 64, 3), "uint8"]),)
    assert ran.seconds > 0


def test_what_it_returns_comes_back(working):
    """Shapes, an image that was looked at, or nothing at all."""
    assert [one.box for one in run(working, "grows").returned.shapes] == [(5, 5, 21, 20), (1, 1, 10, 9)]
    assert run(working, "nothing").returned.shapes is None
    image = run(working, "negative").returned.image
    assert (image.facts.width, image.facts.height, image.facts.media_type) == (64, 48, "image/png")
    talk = run(working, "talks").returned.messages
    assert (len(talk), len(talk[0])) == (20, 500)


@pytest.mark.parametrize(
    ("name", "ending", "why"),
    [
        ("broken", Ending.RAISED, "ValueError: no such thing"),
        ("leaves", Ending.RAISED, "SystemExit"),
        ("gone", Ending.CRASHED, "its process ended"),
        ("absent", Ending.MISSING, "cannot be imported"),
        ("nobody", Ending.MISSING, "no installed package"),
        ("number", Ending.BAD_RESULT, "int, not a Result"),
        ("words", Ending.BAD_RESULT, "is str, not a Shape"),
        ("infinite", Ending.BAD_RESULT, "cannot be kept"),
        ("odd_attributes", Ending.BAD_RESULT, "cannot be kept"),
        ("many", Ending.BAD_RESULT, "more than 5,000 shapes"),
        ("no_image", Ending.BAD_RESULT, "image cannot be used"),
        ("flat_image", Ending.BAD_RESULT, "(4, 4) uint8"),
    ],
)
def test_a_function_that_misbehaves_is_told_and_harms_nobody(working, name, ending, why):
    """It is an answer, never an error of the service; and the next one is served."""
    ran = run(working, name)
    assert ran.ending is ending, ran
    assert why in ran.why
    assert run(working, "nothing").ending is Ending.DONE


@pytest.mark.parametrize("name", ["forever", "forks"])
def test_what_takes_too_long_is_ended_for_real(working, tmp_path, name):
    """Its process is gone, also where it holds the interpreter, and so is what it started."""
    run(working, "nothing")  # the start of a process is not what is waited for here
    path = tmp_path / "pid"
    ran = run(working, name, seconds=3.0, pid=str(path))
    assert ran.ending is Ending.TIMED_OUT, ran
    assert ended(int(path.read_text()))
    assert run(working, "nothing").ending is Ending.DONE


def test_a_packages_version_is_known(working):
    """By the function's name; our own too."""
    packages = functions_of(working).packages
    assert packages["echo"] == "doers 1.0"
    assert packages["redact"].split()[0] in ("ours", "askance")


# --- buttons ------------------------------------------------------------------------------------------------


def test_buttons_are_listed(working):
    """Those that have one, with what the page shows; to whoever may read."""
    declare(
        working,
        {"name": "redact", "on": ["task.completed"], "options": {"labels": ["circle"]}},
        button("group_shapes", label="Group", key="g", description="One group id.", needs_selection=True),
        button("snap_to_image"),
    )
    found = working.call("GET", "/v1/projects/shapes/functions", "reviewer").json()
    assert found == {
        "functions": [
            {
                "name": "group_shapes",
                "label": "Group",
                "key": "g",
                "description": "One group id.",
                "needs_selection": True,
            },
            {"name": "snap_to_image", "label": "snap_to_image", "key": "", "description": "", "needs_selection": False},
        ]
    }
    policy = working.call("GET", "/v1/projects/shapes").json()["policy"]
    assert policy["functions"][0]["options"] == {"labels": ["circle"]}
    installed = working.call("GET", "/v1/functions").json()["functions"]
    assert {"name": "echo", "package": "doers 1.0"} in installed
    assert working.call("GET", "/v1/functions", "reviewer").status_code == 403


def test_who_looks_at_buttons_makes_a_process_ready(working):
    """Without waiting for it, and once for all who look; what is pressed then is served."""
    functions = functions_of(working)
    working.call("GET", "/v1/projects/shapes/functions", "reviewer")
    assert functions._prepared is None  # no button, nothing to make ready
    declare(working, button("nothing"))
    working.call("GET", "/v1/projects/shapes/functions", "reviewer")
    first = functions._prepared
    assert first is not None
    working.call("GET", "/v1/projects/shapes/functions", "reviewer")
    assert functions._prepared == first
    (task,) = leased(working)
    assert press(working, task, "nothing").status_code == 200


def test_a_declaration_that_cannot_be_is_refused(working):
    """With the nearest name; and nothing changes."""
    told = problem(declare(working, {"name": "group_shape"}, status=422), 422, "invalid")
    assert "group_shapes" in told["hint"]
    told = problem(declare(working, {"name": "echo", "on": ["task.completd"]}, status=422), 422, "invalid")
    assert "task.completed" in told["hint"]
    assert declare(working, {"name": "echo", "evnts": []}, status=422)
    assert working.call("GET", "/v1/projects/shapes").json()["policy"]["functions"] == []
    assert declare(working, {"name": "echo"}).json()["functions"][0]["name"] == "echo"
    assert declare(working).json()["functions"] == []


def test_a_button_groups_the_selected_shapes(working):
    """The others come back as they were; nothing is submitted; the run is in the history."""
    declare(working, button("group_shapes", needs_selection=True))
    (task,) = leased(working)
    response = press(working, task, "group_shapes", ["a", "b"])
    assert response.status_code == 200, response.text
    answer = response.json()
    assert [shape.get("group") for shape in answer["shapes"]] == ["g1", "g1", None]
    assert answer["messages"] == ["2 shapes are the group g1."]
    (ran,) = events(working, "function.ran")
    assert (ran["body"]["trigger"], ran["body"]["task_id"], ran["body"]["outcome"]) == ("button", task["id"], "done")
    assert ran["body"]["shapes_in"] != ran["body"]["shapes_out"]
    runs = working.call("GET", "/v1/projects/shapes/functions/runs").json()
    assert (runs["waiting"], [one["sequence"] for one in runs["runs"]]) == (0, [ran["sequence"]])
    assert leased(working)[0]["epoch"] == task["epoch"]


def test_shapes_that_stick_out_can_be_mended(working):
    """What a function gets need not be an answer yet; what it gives must be one that can be kept."""
    declare(working, {**button("snap_to_image"), "options": {"pixels": 3}})
    (task,) = leased(working)
    answer = press(working, task, "snap_to_image", shapes=[BOX | {"box": [-30, 2, 61.5, 40]}]).json()
    assert answer["shapes"] == [BOX | {"box": [0, 0, 64, 40]}]


def test_only_who_holds_the_task_may_press(working):
    """By the live lease; others, and those of an old one, are told."""
    declare(working, button("nothing"))
    (task,) = leased(working)
    problem(press(working, task, "nothing", epoch=task["epoch"] + 1), 409, "stale-lease")
    problem(press(working, task, "nothing", role="operator"), 409, "stale-lease")
    problem(press(working, task, "nothing", role="producer"), 403, "forbidden")
    problem(press(working, {"id": "nope", "epoch": 1}, "nothing"), 404, "not-found")
    assert events(working, "function.ran") == []
    assert submit(working, task, [BOX]).status_code == 200
    problem(press(working, task, "nothing"), 409, "already-submitted")


def test_a_button_that_is_not_there_or_has_nothing_to_do(working):
    """A name that the project does not use, one without a button, ids that no shape has, no selection."""
    declare(working, button("group_shapes", needs_selection=True), {"name": "echo", "on": ["task.completed"]})
    (task,) = leased(working)
    for name in ("snap_to_image", "echo"):
        problem(press(working, task, name), 404, "not-found")
    assert "'z'" in problem(press(working, task, "group_shapes", ["a", "z"]), 422, "invalid")["detail"]
    assert "Select" in problem(press(working, task, "group_shapes"), 422, "invalid")["hint"]
    assert press(working, task, "group_shapes", shapes=[BOX] * 5001).status_code == 422


@pytest.mark.parametrize(
    ("name", "status", "code", "told"),
    [
        ("broken", 502, "function-failed", "no such thing"),
        ("gone", 502, "function-failed", "its process ended"),
        ("number", 502, "function-failed", "not a Result"),
        ("unlabelled", 502, "function-failed", "'triangle'"),
        ("outside", 502, "function-failed", "64 x 48"),
        ("many", 502, "function-failed", "5,000"),
        ("forever", 504, "function-timed-out", "longer than 3 s"),
    ],
)
def test_a_button_that_fails_tells_the_person_and_the_operator(working, tmp_path, name, status, code, told):
    """What is wrong, and that nothing is lost; the lease and the service go on."""
    functions = replace(working.services.functions, button_seconds=3.0 if name == "forever" else 30.0)
    run(working, "nothing")
    object.__setattr__(working.services, "functions", functions)
    declare(working, {**button(name), "options": {"pid": str(tmp_path / "pid")}})
    (task,) = leased(working)
    answer = problem(press(working, task, name), status, code)
    assert told in answer["detail"], answer
    assert "as they were" in answer["hint"]
    (failed,) = events(working, "function.failed")
    assert told in failed["body"]["why"]
    assert submit(working, task, [BOX]).status_code == 200


def test_a_button_that_makes_an_image_keeps_it(working):
    """As an item of its own, with where it comes from; the shapes of the answer stay."""
    declare(working, {**button("redact"), "options": {"labels": ["circle"]}})
    (task,) = leased(working)
    answer = press(working, task, "redact", shapes=[BOX]).json()
    assert answer["shapes"] == [BOX]
    (ran,) = events(working, "function.ran")
    made = working.call("GET", f"/v1/projects/shapes/items/{ran['body']['made']}").json()
    assert made["meta"]["derived_from"] == task["item_digest"]
    assert made["meta"]["derived_by"].startswith("redact (")
    before = np.asarray(Image.open(io.BytesIO(picture())))
    content = working.call("GET", f"/v1/projects/shapes/items/{ran['body']['made']}/image", "reviewer").content
    after = np.asarray(Image.open(io.BytesIO(content)))
    changed = (before != after).any(axis=2)
    assert changed[6:19, 6:19].any()
    assert not changed[30:, 30:].any()


def test_presses_do_not_take_all_threads(working):
    """Beyond a number at once people are told to press again; all else is served."""
    declare(working, {**button("forever"), "options": {"pid": os.devnull}})
    functions = replace(working.services.functions, button_seconds=6.0)
    object.__setattr__(working.services, "functions", functions)
    (task,) = leased(working)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(press(working, task, "forever"))) for _ in range(10)]
    for thread in threads:
        thread.start()
    assert working.call("GET", "/v1/projects/shapes/summary").status_code == 200
    for thread in threads:
        thread.join(120)
    statuses = [answer.status_code for answer in answers]
    assert len(statuses) == 10
    assert statuses.count(503) >= 2
    assert set(statuses) <= {503, 504}


# --- on events ---------------------------------------------------------------------------------------------


def work(service) -> int:
    count = 0
    while service.services.function_queue.advance():
        count += 1
    return count


def test_an_answer_is_redacted_on_its_event(working):
    """The copy takes the truth, and the first is dropped, since the project says both."""
    declare(
        working,
        {
            "name": "redact",
            "on": ["task.completed"],
            "options": {"labels": ["circle"]},
            "shapes": "truth",
            "original": "drop",
        },
    )
    (task,) = leased(working)
    submit(working, task, [BOX])
    assert work(working) == 1
    (ran,) = events(working, "function.ran")
    assert ran["body"]["outcome"] == "done", ran
    made = working.call("GET", f"/v1/projects/shapes/items/{ran['body']['made']}").json()
    assert (made["truth"]["shapes"], made["truth"]["origin"]) == ([BOX], "function:redact")
    assert working.call("GET", f"/v1/projects/shapes/items/{task['item_digest']}/image").status_code == 404


def test_an_image_that_comes_calls_functions(working):
    """With what the model proposes as shapes; one that was there before calls nothing."""
    declare(working, {"name": "echo", "on": ["item.created"]})
    working.predict(picture())
    assert work(working) == 0
    working.predict(picture(7))
    assert work(working) == 1
    (ran,) = events(working, "function.ran")
    assert (ran["body"]["trigger"], ran["body"]["outcome"]) == ("item.created", "done")


def test_another_model_calls_functions(working):
    """Without an image."""
    declare(working, {"name": "nothing", "on": ["model.promoted"]})
    with working.services.store.begin() as tx:
        from loop.domain.ports import Event

        body = {"model_id": "m", "previous_id": None, "kind": "gate"}
        tx.events.add(Event("model.promoted", "shapes", "gate", body, utc_now()))
    assert work(working) == 1
    assert events(working, "function.ran")[0]["body"]["item_digest"] is None


def test_an_operator_runs_one_by_hand(working):
    """On an item, through the same queue; what came of it can be asked for."""
    declare(working, {"name": "echo"})
    with working.services.store.read() as tx:
        (item,) = tx.items.page("shapes", after=None, limit=1)
    path = "/v1/projects/shapes/functions"
    problem(working.call("POST", f"{path}/redact/calls", json={"item_digest": item.digest}), 404, "not-found")
    problem(working.call("POST", f"{path}/echo/calls", json={"item_digest": "d" * 64}), 404, "not-found")
    made = working.call("POST", f"{path}/echo/calls", json={"item_digest": item.digest})
    assert (made.status_code, made.json()["state"]) == (202, "pending")
    assert work(working) == 1
    call = working.call("GET", f"{path}/calls/{made.json()['id']}").json()
    assert (call["state"], "(48, 64, 3)" in call["messages"][0]) == ("done", True)
    assert working.call("POST", f"{path}/echo/calls", "reviewer", json={"item_digest": "x"}).status_code == 403
