"""What serves comes before what starts: workers are born low, and take their place when they serve."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from serving import priority
from serving.priority import BORN_AT, give_places, take_place, variables

LOWERED = "RAY_worker_niceness"

THREADS_AFTER = """
import os, threading
from pathlib import Path
from serving.priority import take_place
begun, done = threading.Event(), threading.Event()
thread = threading.Thread(target=lambda: (begun.set(), done.wait(60)))
os.nice(15)
thread.start()
begun.wait(60)
take_place()
print({os.getpriority(os.PRIO_PROCESS, int(t.name)) for t in Path("/proc/self/task").iterdir()})
done.set()
"""


FIRST_ON_THE_LINE = """
import os, socket, sys, time
from concurrent.futures import Future
from pathlib import Path
from serving.line import LineServer
os.nice(15)
def mine():
    return os.getpriority(os.PRIO_PROCESS, os.getpid())
def answered(content, budget_s):
    return Future()
server = LineServer(Path(sys.argv[1]), "det", answered)
time.sleep(0.2)
print(mine())
gateway = socket.socket(socket.AF_UNIX)
gateway.connect(str(next(Path(sys.argv[1]).iterdir())))
until = time.monotonic() + 30
while mine() > 10 and time.monotonic() < until:
    time.sleep(0.01)
print(mine())
"""


@pytest.fixture
def lowered() -> dict[str, str]:
    found = variables()
    if found[LOWERED] != str(BORN_AT):
        pytest.skip("this user may not raise a priority again")
    return found


def test_every_thread_of_what_serves_takes_its_place(lowered: dict[str, str]) -> None:
    """Also those that the runtime began while the model was loaded."""
    ended = subprocess.run(
        [sys.executable, "-c", THREADS_AFTER], env={**os.environ, **lowered}, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == str({os.getpriority(os.PRIO_PROCESS, 0)})


def test_a_model_takes_its_place_when_a_gateway_is_on_its_line(lowered: dict[str, str]) -> None:
    """Not when it is loaded: what Ray Serve does before the first image would disturb the model that serves."""
    with tempfile.TemporaryDirectory() as folder:  # shorter than pytest's: a socket's path is 108 bytes at most
        ended = subprocess.run(
            [sys.executable, "-c", FIRST_ON_THE_LINE, folder],
            env={**os.environ, **lowered},
            capture_output=True,
            text=True,
            check=True,
        )
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert ended.stdout.split() == [str(min(own + 15, 19)), str(own)]


def test_ray_serves_own_processes_get_their_place_and_others_stay(
    lowered: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HAProxy carries every request; a training may wait."""
    monkeypatch.setenv("_ASKANCE_PRIORITY", lowered["_ASKANCE_PRIORITY"])
    running = {}
    for name in ("haproxy", "training"):
        program = shutil.copy(shutil.which("sleep") or "/bin/sleep", tmp_path / name)
        running[name] = subprocess.Popen([program, "60"], preexec_fn=lambda: os.nice(BORN_AT))
    try:
        own = os.getpriority(os.PRIO_PROCESS, 0)
        until = time.monotonic() + 30
        while time.monotonic() < until:  # until both have become what they are called
            give_places()
            found = {name: os.getpriority(os.PRIO_PROCESS, process.pid) for name, process in running.items()}
            if found == {"haproxy": own, "training": own + BORN_AT}:
                break
        assert found == {"haproxy": own, "training": own + BORN_AT}
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def test_who_could_not_come_back_is_not_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that serves at a low priority for ever would be worse than one that disturbs for seconds."""
    asked: list[int] = []

    def may_only_lower(_which: int, _who: int, niceness: int) -> None:
        asked.append(niceness)
        if len(asked) > 1:
            raise PermissionError

    monkeypatch.setattr(priority.os, "setpriority", may_only_lower)
    assert variables() == {LOWERED: "0"}
    assert asked[0] - asked[1] == 1
    monkeypatch.delenv("_ASKANCE_PRIORITY", raising=False)
    take_place()
    give_places()
    assert len(asked) == 2
