"""Python functions among the rules: real processes, a real installed package, and functions that misbehave."""

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from loop.domain.access import Role, Token
from loop.domain.recipes.ontology import labels_named
from loop.domain.recipes.recipe import Recipe
from loop.domain.recipes.rules import FunctionRule, Scene, Severity
from loop.domain.truth import Shape
from loop.launching.rule_functions import RegisteredFunctions
from loop.review.checking import Checking
from loop.store.database import SqlStore
from tests.contract.records import PROJECT, a_project, a_task, an_item

FUNCTIONS = """
import ctypes, os, sys, time

def odd(scene):
    print("what it prints is no answer")
    for shape in scene.shapes:
        if int(shape.box[2] - shape.box[0]) % 2:
            yield f"{shape.label} is odd in {scene.width} x {scene.height}", [shape.id]

def plain(scene):
    return ["only a message"]

def broken(scene):
    raise ValueError("no such thing")

def forever(scene):
    while True:
        pass

def stuck(scene):
    ctypes.CDLL(None).sleep(600)

def gone(scene):
    os._exit(3)

def hoards(scene):
    bytearray(2**40)

def nonsense(scene):
    return 7

def endless(scene):
    while True:
        yield "again"

def forks(scene):
    if os.fork() == 0:
        time.sleep(600)
    while True:
        pass
"""
NAMES = ["odd", "plain", "broken", "forever", "stuck", "gone", "hoards", "nonsense", "endless", "forks"]
SCENE = Scene((Shape("a", (0, 0, 3, 4), id="x"), Shape("b", (0, 0, 4, 4), id="y")), 100, 80)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that registers functions, one of which cannot be imported."""
    (tmp_path / "judges.py").write_text(FUNCTIONS)
    info = tmp_path / "judges-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: judges\nVersion: 1.0\n")
    lines = [f"{name} = judges:{name}" for name in NAMES]
    (info / "entry_points.txt").write_text("\n".join(["[askance.rules]", *lines, "absent = nowhere:f"]))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))


@pytest.fixture
def functions(package: None) -> Iterator[RegisteredFunctions]:
    running = RegisteredFunctions()
    yield running
    running.close()


def children() -> list[psutil.Process]:
    return [
        one
        for one in psutil.Process().children(recursive=True)
        if "loop.launching.rule_worker" in " ".join(one.cmdline())
    ]


def test_a_function_finds_what_is_wrong(functions):
    """Messages with ids of shapes, or messages alone; what it prints does no harm."""
    assert functions.names == {*NAMES, "absent"}
    assert functions.ask("odd", SCENE) == [("a is odd in 100 x 80", ("x",))]
    assert functions.ask("plain", SCENE) == [("only a message", ())]
    assert len(functions.ask("endless", SCENE)) == 100


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("broken", "raised ValueError: no such thing"),
        ("forever", "longer than 1 s"),
        ("stuck", "longer than 1 s"),
        ("gone", "ended its process"),
        ("hoards", "MemoryError"),
        ("nonsense", "TypeError"),
        ("forks", "longer than 1 s"),
        ("absent", "cannot be imported"),
        ("nobody", "not registered"),
    ],
)
def test_a_function_that_misbehaves_is_told_and_harms_nobody(functions, name, why):
    """The answer is words, not an error, and the next question is answered."""
    assert why in functions.ask(name, SCENE)
    assert functions.ask("plain", SCENE) == [("only a message", ())]


def test_what_takes_too_long_is_killed_with_all_it_started(functions):
    """No process is left behind, nor after the end."""
    for name in ("forever", "forks"):
        functions.ask(name, SCENE)
    functions.ask("plain", SCENE)
    deadline = time.monotonic() + 30
    while sum(one.status() == psutil.STATUS_RUNNING for one in children()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(children()) <= 2
    functions.close()
    while children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert children() == []


def test_everybody_gets_an_answer_while_a_function_hangs(functions):
    """Whoever finds no free process is told so: nobody waits without end."""
    answers: list[object] = []
    threads = [threading.Thread(target=lambda: answers.append(functions.ask("forever", SCENE))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(answers) == 6
    assert all(isinstance(one, str) for one in answers)


def test_whoever_asks_while_the_processes_start_waits_for_them(package):
    """Also where that takes longer than a function may: else the first answers after a start would be unguarded."""
    functions = RegisteredFunctions(seconds=0.2)
    answers: list[object] = []
    threads = [threading.Thread(target=lambda: answers.append(functions.ask("plain", SCENE))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    functions.close()
    assert len(answers) == 4 and "all rule processes are busy" not in answers


def test_nothing_is_started_before_it_is_asked(package):
    """Nor where a recipe asks for no function."""
    functions = RegisteredFunctions()
    assert children() == []
    functions.close()


# --- with a recipe ---------------------------------------------------------------------------------------------

NOW = datetime(2026, 3, 1, tzinfo=UTC)
REVIEWER = Token(id="t", name="ann", role=Role.REVIEWER, secret_digest="", project_id=None, created_at=NOW)
BOX = Shape("a", (0, 0, 1, 5))


@dataclass
class Scripted:
    """Answers as told; counts who asks."""

    answer: object
    names: frozenset[str] = frozenset({"f"})
    asked: list[str] = field(default_factory=list)

    def ask(self, function: str, scene: Scene):
        self.asked.append(function)
        return self.answer


@pytest.fixture
def store(store: SqlStore) -> SqlStore:
    rules = (FunctionRule(id="mine", function="f"), FunctionRule(id="soft", function="f", severity=Severity.WARNING))
    with store.begin() as tx:
        tx.projects.add(replace(a_project(), recipe=Recipe(1, labels_named(("a",)), rules=rules)))
        tx.items.add(an_item())
        tx.tasks.add(a_task())
    return store


def failures(store: SqlStore) -> list[tuple[object, object]]:
    with store.read() as tx:
        events = tx.events.after(PROJECT, 0, 100)
    return [(one.body["rule"], one.body["why"]) for one in events if one.kind == "rule.failed"]


def test_what_a_function_finds_has_its_rules_severity(store):
    """One function under two rules: an error of the one, a warning of the other."""
    checking = Checking(store, Scripted([("odd", ("x",))]), lambda: NOW)
    for issues in (
        checking.check(REVIEWER, a_task().id, [BOX]),
        checking.function_issues(REVIEWER, a_task().id, [BOX]),
    ):
        assert [(one.rule, one.severity, one.shapes) for one in issues] == [
            ("mine", "error", ("x",)),
            ("soft", "warning", ("x",)),
        ]


def test_a_function_that_fails_is_reported_once_an_hour(store):
    """By rule, whichever process meets it; and nobody is kept from working."""
    now = [NOW]
    for _ in range(2):  # another process knows nothing of the first
        checking = Checking(store, Scripted("it raised"), lambda: now[0])
        for _ in range(3):
            assert checking.check(REVIEWER, a_task().id, [BOX]) == ()
    assert failures(store) == [("mine", "it raised"), ("soft", "it raised")]
    now[0] = NOW + timedelta(minutes=61)
    checking.check(REVIEWER, a_task().id, [BOX])
    assert len(failures(store)) == 4


def test_without_functions_submitting_reads_nothing_more(store):
    """Where the installation registers none, no task is even looked up."""
    silent = Scripted([], names=frozenset())
    assert Checking(store, silent, lambda: NOW).function_issues(REVIEWER, "no such task", [BOX]) == ()
    assert silent.asked == []
