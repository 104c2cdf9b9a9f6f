"""Work in a Ray task: what comes back, and what happens when its process does not."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from loop.domain.errors import BadWeights, CycleFailed, NoPlace, Unavailable
from training.launch import get_ready, gpus_for, run_in_ray

Progress = Callable[[float, Mapping[str, float]], None]

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def _ray() -> Iterator[None]:
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield
    ray.shutdown()


def count(upto: int, *, progress: Progress, add: int = 0) -> tuple[int, int]:
    for step in range(upto):
        progress(step / upto, {"step": float(step)})
    return upto + add, os.getpid()


def refuse(*, progress: Progress) -> None:
    raise BadWeights("not these.", hint="Others.", path="x")


def stumble(*, progress: Progress) -> None:
    raise KeyError("missing")


def die(*, progress: Progress) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def halves(*, progress: Progress, hand_over: Callable[[str], None], dies: bool) -> str:
    hand_over("one half")
    progress(0.5, {})
    hand_over("the other")
    if dies:
        # Not before both were taken: what is handed over goes first, as progress does.
        threading.Event().wait(2.0)
        os.kill(os.getpid(), signal.SIGKILL)
    return "whole"


def learn(told: Path) -> None:
    sys.modules["learned beforehand"] = sys
    told.write_text("ready")


def knows(*, progress: Progress) -> bool:
    return "learned beforehand" in sys.modules


def wait_for_ever(started: Path, *, progress: Progress) -> None:
    started.write_text(str(os.getpid()))
    progress(0.0, {})
    threading.Event().wait()


def test_without_ray_it_says_how_to_start_it() -> None:
    with pytest.raises(Unavailable, match="not connected") as caught:
        run_in_ray(count, 1)
    assert "askance up" in caught.value.hint


@pytest.mark.usefixtures("_ray")
def test_the_result_comes_back_after_all_progress_in_order() -> None:
    heard: list[tuple[float, dict[str, float]]] = []
    result, process = run_in_ray(
        count, 4, add=1, on_progress=lambda share, figures: heard.append((share, dict(figures))) if figures else None
    )
    assert result == 5
    assert heard == [(step / 4, {"step": float(step)}) for step in range(4)]
    assert process != os.getpid()


@pytest.mark.usefixtures("_ray")
def test_each_task_has_a_process_of_its_own() -> None:
    assert run_in_ray(count, 1)[1] != run_in_ray(count, 1)[1]


@pytest.mark.usefixtures("_ray")
def test_an_error_of_ours_arrives_whole() -> None:
    with pytest.raises(BadWeights) as caught:
        run_in_ray(refuse)
    assert (caught.value.detail, caught.value.hint, caught.value.ids) == ("not these.", "Others.", {"path": "x"})


@pytest.mark.usefixtures("_ray")
def test_any_other_error_fails_the_cycle_with_its_reason() -> None:
    with pytest.raises(CycleFailed, match="KeyError: 'missing'"):
        run_in_ray(stumble)


@pytest.mark.usefixtures("_ray")
def test_a_process_that_dies_fails_the_cycle() -> None:
    with pytest.raises(CycleFailed, match="process of the task died"):
        run_in_ray(die)


@pytest.mark.usefixtures("_ray")
def test_parts_are_here_whatever_becomes_of_the_rest() -> None:
    heard: list[object] = []
    told = run_in_ray(
        halves, dies=False, on_part=heard.append, on_progress=lambda share, _: heard.append(share) if share else None
    )
    assert (told, heard) == ("whole", ["one half", 0.5, "the other"])
    heard.clear()
    with pytest.raises(CycleFailed):
        run_in_ray(halves, dies=True, on_part=heard.append)
    assert heard == ["one half", "the other"]


@pytest.mark.usefixtures("_ray")
def test_what_is_done_first_in_the_process_is_told_first() -> None:
    heard: list[object] = []
    _, process = run_in_ray(
        count, 2, begin=os.getpid, on_begun=heard.append, on_progress=lambda share, figures: heard.append(figures)
    )
    assert [one for one in heard if one] == [process, {"step": 0.0}, {"step": 1.0}]


@pytest.mark.usefixtures("_ray")
def test_what_progress_raises_kills_the_task(tmp_path: Path) -> None:
    class Cancelled(Exception):
        pass

    def cancel(share: float, figures: Mapping[str, float]) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        run_in_ray(wait_for_ever, tmp_path / "pid", on_progress=cancel, num_cpus=2)
    # The next one needs both cores, so it runs only if the first is gone.
    assert run_in_ray(count, 1, num_cpus=2)[0] == 1


@pytest.mark.usefixtures("_ray")
def test_what_finds_no_place_is_told_in_time_and_can_be_cancelled_before(tmp_path: Path) -> None:
    """Others have what it reserves: it says what, and leaves nothing behind that would run later."""
    started, over = tmp_path / "pid", threading.Event()

    def until_over(share: float, figures: Mapping[str, float]) -> None:
        while not over.wait(0.1):
            pass
        raise KeyError

    with ThreadPoolExecutor(1) as thread:
        other = thread.submit(run_in_ray, wait_for_ever, started, on_progress=until_over, num_cpus=1.75)
        try:
            deadline = time.monotonic() + 60
            while not started.exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            with pytest.raises(NoPlace, match=r"reserves 1 CPUs, Ray has 0\.25 of 2 CPUs left") as caught:
                run_in_ray(wait_for_ever, tmp_path / "never", num_cpus=1, patience_s=0.5)
            assert "training.num_cpus" in caught.value.hint
            with pytest.raises(ZeroDivisionError):
                run_in_ray(wait_for_ever, tmp_path / "never", num_cpus=1, on_progress=lambda *_: 1 // 0)
        finally:
            over.set()
        with pytest.raises(KeyError):
            other.result(60)
    assert run_in_ray(count, 1, num_cpus=2)[0] == 1
    assert not (tmp_path / "never").exists()


@pytest.mark.usefixtures("_ray")
@pytest.mark.parametrize("wanted", [{"num_cpus": 3.0}, {"num_gpus": 1.0}], ids=["cores", "a GPU"])
def test_what_this_machine_can_never_give_is_refused_at_once(wanted: dict[str, float]) -> None:
    with pytest.raises(CycleFailed, match="this machine has") as caught:
        run_in_ray(count, 1, **wanted)
    assert f"training.{next(iter(wanted))}" in caught.value.hint


@pytest.mark.usefixtures("_ray")
@pytest.mark.parametrize(
    ("device", "gpus"), [("auto", 0.0), ("cpu", 0.0), ("mps", 0.0), ("cuda", 1.0), ("cuda:1", 1.0)]
)
def test_a_gpu_is_reserved_for_who_uses_one(device: str, gpus: float) -> None:
    """Where nobody says how much: auto has none on a machine without."""
    assert gpus_for(device) == gpus


@pytest.mark.usefixtures("_ray")
def test_the_next_task_meets_the_process_that_got_ready(tmp_path: Path) -> None:
    """What it imported is there; and it ends with that task, as any other."""
    told = tmp_path / "told"
    get_ready(learn, told)
    deadline = time.monotonic() + 60
    while not told.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert run_in_ray(knows)
    assert not run_in_ray(knows)
