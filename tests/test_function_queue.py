"""Functions on events: what is kept of their results, retries, and a process that is killed in the middle. Here they
answer as they are told; real ones are in tests/api/test_functions.py."""

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loop.domain.errors import Unavailable
from loop.domain.functions.calls import Asked, CallState, Ending, FunctionCall, NewImage, Ran, Returned
from loop.domain.identity import digest_of
from loop.domain.item import ImageFacts, Item, Split
from loop.domain.policy.function_uses import FunctionUse, Original, Shapes
from loop.domain.ports import Event
from loop.domain.recipes.ontology import labels_named
from loop.domain.recipes.recipe import Recipe
from loop.domain.recipes.rules import Count
from loop.domain.truth import GroundTruth, Shape
from loop.functions.queue import FunctionQueue, QueueSettings
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from tests.contract.records import PROJECT, a_policy, a_project, a_task

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CONTENT = b"the image"
ITEM = Item(
    project_id=PROJECT, digest=digest_of(CONTENT), media_type="image/png", width=100, height=80, created_at=NOW,
    source="north", split=Split.VAL, meta={"camera": "3"},
)  # fmt: skip
FIRST = Shape("a", (0.0, 0.0, 10.0, 10.0))
BETTER = Shape("a", (0.0, 0.0, 12.0, 10.0))
COPY = NewImage(b"another image", ImageFacts(50, 40, "image/jpeg"))
PAUSES = (5.0, 60.0)


DONE = Ran(ending=Ending.DONE, package="pack 1.0", seconds=0.5)


@dataclass
class Scripted:
    """Answers as told; meanwhile does what it is told to."""

    answer: Ran = DONE
    meanwhile: Callable[[], object] = lambda: None
    asked: list[Asked] = field(default_factory=list)
    packages = {"f": "pack 1.0"}  # noqa: RUF012 - never changed

    def run(self, asked: Asked, *, seconds: float, start_seconds: float | None = None) -> Ran:
        self.asked.append(asked)
        self.meanwhile()
        return self.answer

    def prepare(self) -> None:
        raise AssertionError("nobody waits for a queue")

    def returns(self, **result: object) -> None:
        self.answer = replace(self.answer, returned=Returned(**result))


@dataclass
class Setting:
    store: SqlStore
    blobs: FsspecBlobs
    functions: Scripted
    now: datetime = NOW

    def uses(self, *uses: FunctionUse) -> None:
        with self.store.begin() as tx:
            policy = tx.projects.get(PROJECT).policy
            tx.projects.save_policy(PROJECT, replace(policy, version=policy.version + 1, functions=uses))

    def answers(self, *shapes: Shape) -> None:
        """A person answers: the truth, and the event that tells of it."""
        with self.store.begin() as tx:
            current = tx.truths.current(PROJECT, ITEM.digest)
            version = 1 if current is None else current.version + 1
            tx.truths.add(a_truth(version, shapes))
            body = {"submission_id": f"sub_{version}", "item_digest": ITEM.digest, "prediction_id": None}
            tx.events.add(Event("task.submitted", PROJECT, "ann", body, self.now))

    def queue(self, **changes) -> FunctionQueue:
        settings = QueueSettings(seconds=60, start_seconds=30, pauses=PAUSES, keep=timedelta(days=1))
        made = FunctionQueue(self.store, self.blobs, self.functions, lambda *_: (), settings, lambda: self.now)
        return replace(made, **changes)

    def truth(self, digest: str = ITEM.digest) -> GroundTruth | None:
        with self.store.read() as tx:
            return tx.truths.current(PROJECT, digest)

    def events(self, kind: str) -> list[Event]:
        with self.store.read() as tx:
            return [event for event in tx.events.after(PROJECT, 0, 1000) if event.kind == kind]

    def call(self, number: int = -1) -> FunctionCall:
        call_id = self.events("function.ran")[number].body["call_id"]
        with self.store.read() as tx:
            return tx.function_calls.get(PROJECT, call_id)


def a_truth(version: int, shapes) -> GroundTruth:
    return GroundTruth(
        project_id=PROJECT, item_digest=ITEM.digest, version=version, shapes=tuple(shapes),
        submission_ids=(f"sub_{version}",), origin="review", created_at=NOW,
    )  # fmt: skip


@pytest.fixture
def setting(store: SqlStore, tmp_path: Path) -> Setting:
    blobs = FsspecBlobs.open(str(tmp_path / "blobs"))
    blobs.put(CONTENT)
    with store.begin() as tx:
        recipe = Recipe(1, labels_named(("a", "b")), rules=(Count(id="few", label="a", min=0, max=2),))
        tx.projects.add(replace(a_project(), recipe=recipe, policy=a_policy()))
        tx.items.add(ITEM)
    return Setting(store, blobs, Scripted())


ON_ANSWERS = FunctionUse(name="f", on=("task.completed",), options={"k": 3})
MENDS = replace(ON_ANSWERS, shapes=Shapes.TRUTH)


def test_a_function_gets_what_happened_and_is_recorded(setting):
    """The item, its truth, the options, the event; the history has package, trigger, duration, outcome and digests."""
    setting.uses(ON_ANSWERS)
    setting.answers(FIRST)
    assert setting.queue().advance()
    assert not setting.queue().advance()
    (asked,) = setting.functions.asked
    assert (asked.item, asked.shapes, asked.options) == (ITEM, (FIRST,), {"k": 3})
    assert (asked.trigger, asked.event["submission_id"]) == ("task.completed", "sub_1")
    (ran,) = setting.events("function.ran")
    told = [ran.body[name] for name in ("function", "package", "trigger", "outcome", "seconds", "attempt")]
    assert told == ["f", "pack 1.0", "task.completed", "done", 0.5, 1]
    assert len(ran.body["shapes_in"]) == 64
    assert ran.body["shapes_out"] is None
    assert setting.call().state is CallState.DONE


def test_shapes_are_truth_only_where_the_project_says_so(setting):
    """Then as its next version, with whose answer it came from; else they change nothing."""
    setting.functions.returns(shapes=(BETTER,))
    setting.uses(ON_ANSWERS)
    setting.answers(FIRST)
    setting.queue().advance()
    assert setting.truth().version == 1
    setting.uses(MENDS)
    setting.answers(FIRST)
    setting.queue().advance()
    truth = setting.truth()
    assert (truth.version, truth.shapes, truth.origin) == (3, (BETTER,), "function:f")
    assert truth.submission_ids == ("sub_2",)
    assert not setting.queue().advance()  # what it wrote calls nothing


def test_an_answer_that_came_meanwhile_stays(setting):
    """People go before functions; that answer calls the function again."""
    setting.functions.returns(shapes=(BETTER,))
    setting.uses(MENDS)
    setting.answers(FIRST)
    setting.functions.meanwhile = lambda: setting.functions.asked[1:] or setting.answers(FIRST, FIRST)
    setting.queue().advance()
    assert setting.truth().shapes == (FIRST, FIRST)
    assert "People answered anew" in setting.call().messages[0]
    setting.queue().advance()
    assert (setting.truth().version, setting.truth().shapes) == (3, (BETTER,))


@pytest.mark.parametrize(
    ("shapes", "why"),
    [
        ((Shape("c", (0, 0, 1, 1)),), "'c'"),
        ((Shape("a", (0, 0, 1000, 1)),), "does not lie in the 100 x 80 image"),
        ((FIRST,) * 3, "few"),
    ],
    ids=["unknown label", "outside", "a rule"],
)
def test_what_the_recipe_refuses_is_not_kept(setting, shapes, why):
    """A label, a place, a rule: nothing is lost, and the operator is told."""
    setting.functions.returns(shapes=shapes)
    setting.uses(MENDS)
    setting.answers(FIRST)
    setting.queue().advance()
    assert setting.truth().version == 1
    body = setting.events("function.ran")[0].body
    assert body["outcome"] == "refused"
    assert why in body["why"]


def test_a_function_that_fails_is_tried_again_and_then_given_up(setting):
    """After the pauses, not before; each try is in the history, and the end is told."""
    setting.functions.answer = Ran(ending=Ending.RAISED, why="it raised ValueError: no", package="pack 1.0")
    setting.uses(ON_ANSWERS)
    setting.answers(FIRST)
    for pause in PAUSES:
        assert setting.queue().advance()
        assert not setting.queue().advance()
        setting.now += timedelta(seconds=pause - 1)
        assert not setting.queue().advance()
        setting.now += timedelta(seconds=1)
    assert setting.events("function.failed") == []
    assert setting.queue().advance()
    assert [event.body["attempt"] for event in setting.events("function.ran")] == [1, 2, 3]
    (failed,) = setting.events("function.failed")
    assert (failed.body["attempts"], failed.body["why"]) == (3, "it raised ValueError: no")
    setting.now += timedelta(days=9)
    assert not setting.queue().advance()


def test_what_the_project_uses_no_more_is_not_run(setting):
    """Also where it was called before; it is over at once."""
    setting.uses(ON_ANSWERS)
    setting.answers(FIRST)
    setting.uses(replace(ON_ANSWERS, on=()))
    setting.queue().advance()
    assert setting.functions.asked == []
    assert setting.call().state is CallState.FAILED


# --- new images --------------------------------------------------------------------------------------------


def test_a_new_image_is_an_item_that_says_where_it_comes_from(setting):
    """It goes where the first goes when data are split, and calls no function: that could go on without end."""
    setting.functions.returns(image=COPY, shapes=(FIRST,), messages=("one region",))
    setting.uses(replace(ON_ANSWERS, on=("task.completed", "item.created")))
    setting.answers(FIRST)
    setting.queue().advance()
    digest = digest_of(COPY.content)
    with setting.store.read() as tx:
        made = tx.items.get(PROJECT, digest)
    assert (made.width, made.height, made.media_type) == (50, 40, "image/jpeg")
    assert (made.source, made.split, made.group) == ("north", Split.VAL, ITEM.digest)
    assert made.meta["camera"] == "3"
    assert (made.meta["derived_from"], made.meta["derived_by"]) == (ITEM.digest, "f (pack 1.0)")
    assert setting.blobs.get(digest) == COPY.content
    assert setting.blobs.get(ITEM.digest) == CONTENT
    assert setting.truth(digest) is None
    assert setting.call().messages[0] == "one region"
    assert not setting.queue().advance()


def test_the_copy_takes_the_truth_and_the_first_is_dropped(setting):
    """Where the project says both; the bytes are gone, and the first's truth counts no more."""
    setting.functions.returns(image=COPY, shapes=(FIRST,))
    setting.uses(replace(MENDS, original=Original.DROP))
    setting.answers(FIRST)
    setting.queue().advance()
    digest = digest_of(COPY.content)
    truth = setting.truth(digest)
    assert (truth.version, truth.shapes, truth.origin, truth.submission_ids) == (1, (FIRST,), "function:f", ("sub_1",))
    assert not setting.blobs.has(ITEM.digest)
    with setting.store.read() as tx:
        assert [item.digest for item, _ in tx.truths.all_current(PROJECT)] == [digest]


def test_an_image_with_an_open_task_is_not_dropped(setting):
    """Who works on it sees it; that it is kept is told."""
    setting.functions.returns(image=COPY)
    setting.uses(replace(ON_ANSWERS, original=Original.DROP))
    setting.answers(FIRST)
    with setting.store.begin() as tx:
        tx.tasks.add(replace(a_task(), item_digest=ITEM.digest, prediction_id=None))
    setting.queue().advance()
    assert setting.blobs.has(ITEM.digest)
    assert "a task on it is open" in setting.call().messages[-1]


def test_a_dropped_image_goes_although_the_store_of_images_was_away(setting):
    """What could not be removed, or was left by a kill, is removed later."""

    class Away(FsspecBlobs):
        def remove(self, key: str) -> None:
            raise Unavailable("away.", hint="")

    setting.functions.returns(image=COPY)
    setting.uses(replace(ON_ANSWERS, original=Original.DROP))
    setting.answers(FIRST)
    away = Away.open(str(setting.blobs._folder._root))
    with pytest.raises(Unavailable):
        setting.queue(blobs=away).advance()
    assert setting.blobs.has(ITEM.digest)
    setting.queue().tidy()
    assert not setting.blobs.has(ITEM.digest)


# --- crashes -----------------------------------------------------------------------------------------------

KILLED = """
import sys, time
from datetime import UTC, datetime, timedelta
from loop.functions.queue import FunctionQueue, QueueSettings
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore

class Hangs:
    packages = {"f": "pack 1.0"}
    def run(self, asked, *, seconds, start_seconds=None):
        print("running", flush=True)
        time.sleep(600)

settings = QueueSettings(seconds=60, start_seconds=30, pauses=(5.0,), keep=timedelta(days=1))
store, blobs = SqlStore.open(sys.argv[1]), FsspecBlobs.open(sys.argv[2])
now = datetime.fromisoformat(sys.argv[3])
FunctionQueue(store, blobs, Hangs(), lambda *_: (), settings, lambda: now).advance()
"""


def test_a_call_survives_the_kill_of_who_runs_it(setting, tmp_path):
    """It is run again once the claim has run out, and counts once; nobody runs it before."""
    setting.uses(MENDS)
    setting.functions.returns(shapes=(BETTER,))
    setting.answers(FIRST)
    arguments = [f"sqlite:///{tmp_path / 'askance.db'}", str(tmp_path / "blobs"), NOW.isoformat()]
    process = subprocess.Popen([sys.executable, "-c", KILLED, *arguments], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"running\n"
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    setting.now += timedelta(seconds=60)
    assert not setting.queue().advance()
    setting.now += timedelta(seconds=61)
    assert setting.queue().advance()
    assert (setting.truth().version, setting.truth().shapes) == (2, (BETTER,))
    assert len(setting.events("function.ran")) == 1


def test_a_stop_of_the_service_is_no_fault_of_the_function(setting):
    """What was cut is run by the next start at once, with all its tries."""
    setting.functions.answer = Ran(ending=Ending.CRASHED, why="its process ended")
    setting.uses(ON_ANSWERS)
    setting.answers(FIRST)
    setting.queue().advance(lambda: True)
    assert setting.events("function.ran") == []
    setting.functions.answer = DONE
    setting.queue().advance(lambda: True)
    (ran,) = setting.events("function.ran")
    assert (ran.body["outcome"], ran.body["attempt"]) == ("done", 1)


def test_who_was_overtaken_writes_nothing(setting):
    """A process that slept through its claim finds that another has run the call."""
    setting.uses(MENDS)
    setting.functions.returns(shapes=(BETTER,), image=None)
    setting.answers(FIRST)
    slow = setting.queue()

    def another() -> None:
        setting.functions.meanwhile = lambda: None
        setting.now += timedelta(seconds=121)
        assert setting.queue().advance()

    setting.functions.meanwhile = another
    assert slow.advance()
    assert setting.truth().version == 2
    assert len(setting.events("function.ran")) == 1


def test_a_result_that_cannot_be_kept_is_tried_again(setting):
    """The blob store is away for a moment."""

    class Away(FsspecBlobs):
        def put(self, content: bytes) -> str:
            raise Unavailable("the disk is full.", hint="")

    setting.functions.returns(image=COPY)
    setting.uses(ON_ANSWERS)
    setting.answers(FIRST)
    setting.queue(blobs=Away.open(str(setting.blobs._folder._root))).advance()
    assert setting.call().state is CallState.PENDING
    assert "the disk is full" in setting.call().error
    setting.now += timedelta(seconds=5)
    setting.queue().advance()
    assert setting.blobs.has(digest_of(COPY.content))


def test_calls_of_long_ago_are_forgotten(setting):
    """After they were kept so long."""
    setting.uses(ON_ANSWERS)
    setting.answers(FIRST)
    setting.queue().advance()
    kept = setting.call()
    setting.queue().tidy()
    assert setting.call() == kept
    setting.now += timedelta(days=2)
    setting.queue().tidy()
    with setting.store.begin() as tx:
        assert tx.function_calls.add(kept)
