"""A cycle's examination in a process of Ray: how much memory it may take, and what becomes of one that takes more."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loop.cycle.work import Examined, Latency, Subject, Timing
from loop.domain.errors import BadWeights, CycleFailed
from loop.domain.prediction import Inference
from loop.launching import workshop
from loop.launching.workshop import RayWorkshop
from loop.settings import load_settings
from loop.store.blobs import FsspecBlobs
from serving.memory import free
from tests.contract.records import a_model

pytestmark = pytest.mark.service

SUBJECTS = [Subject(replace(a_model(number), digest=f"{number}" * 64), []) for number in (1, 2)]
TIMING = Timing(["a"], ["b"])
FIRST_TO_GO = 1000

HandOver = Callable[[list[Inference]], None]


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    import ray

    lower = {"worker_oom_score_adjustment": 300}  # Ray's workers are all the first to go, if nobody says otherwise
    ray.init(
        address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False,
        _system_config=lower,
    )  # fmt: skip
    yield
    ray.shutdown()


def hoard() -> None:
    """4 GB, so that a machine on which nobody watches stays whole; a moment after what was handed over before."""
    threading.Event().wait(0.5)
    held: list[bytes] = []
    while len(held) < 80:
        held.append(b"x" * 50_000_000)


def hoards_at_once(*, hand_over: HandOver, **_: Any) -> list[Latency]:
    hoard()
    return []


def hoards_at_the_second(*, hand_over: HandOver, **_: Any) -> list[Latency]:
    hand_over([])
    hoard()
    return []


def hoards_when_it_times(*, subjects: Sequence[Subject], hand_over: HandOver, **_: Any) -> list[Latency]:
    for _subject in subjects:
        hand_over([])
    hoard()
    return []


def looks_and_hoards(**_: Any) -> list[Inference]:
    hoard()
    return []


def refuses(**_: Any) -> list[Latency]:
    raise BadWeights("not these.", hint="Others.")


def rank(*, subjects: Sequence[Subject], hand_over: HandOver, **_: Any) -> list[Latency]:
    for _subject in subjects:
        hand_over([])
    return [Latency("rank", float(Path("/proc/self/oom_score_adj").read_text()), 0.0)]


def examined(
    folder: Path, monkeypatch: pytest.MonkeyPatch, function: Callable[..., list[Latency]], share: float
) -> Examined:
    monkeypatch.setattr(workshop, "examine_models", function)
    return works_of(folder, share).examine(SUBJECTS, TIMING, lambda share, figures: None)


def works_of(folder: Path, share: float) -> RayWorkshop:
    chosen = {"ASKANCE_DATA_DIR": str(folder), "ASKANCE_TRAINING__EXAMINATION_MEMORY": f"{share:.6f}"}
    settings = load_settings(environ=chosen)
    return RayWorkshop(settings, FsspecBlobs.open(settings.blobs_url))


def a_gigabyte() -> float:
    """As a share of what is free."""
    there = free()
    assert there is not None
    return 1e9 / there


@pytest.mark.parametrize(("function", "at"), [(hoards_at_once, 0), (hoards_at_the_second, 1)])
def test_an_examination_that_takes_too_much_memory_is_ended_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: Callable[..., list[Latency]], at: int
) -> None:
    """The cycle's reason names the model it had come to, what was taken, and the setting; the next one is as any."""
    with pytest.raises(CycleFailed, match=r"it took 1\.\d GB of memory, and may take 1\.0 GB") as caught:
        examined(tmp_path, monkeypatch, function, a_gigabyte())
    assert f"the model {SUBJECTS[at].model.digest[:12]}: it took" in caught.value.detail
    assert "training.examination_memory" in caught.value.detail
    assert "training.examination_memory" in caught.value.hint
    assert len(examined(tmp_path, monkeypatch, rank, a_gigabyte()).inferences) == 2


def test_too_much_memory_for_a_runtime_costs_the_latency_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found of both models is there; and so is why there is no latency."""
    found = examined(tmp_path, monkeypatch, hoards_when_it_times, a_gigabyte())
    assert (found.inferences, found.latency) == ([[], []], ())
    assert "training.examination_memory" in found.unmeasured


def test_whoever_looks_at_a_model_alone_is_held_to_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for the references of a version that people brought: before it was tried."""
    monkeypatch.setattr(workshop, "infer_blobs", looks_and_hoards)
    with pytest.raises(CycleFailed, match=r"the model abcabcabcabc: it took 1\.\d GB") as caught:
        works_of(tmp_path, a_gigabyte()).infer("abc" * 20, [], lambda share, figures: None)
    assert "training.examination_memory" in caught.value.hint


def test_what_fails_for_another_reason_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadWeights, match="not these"):
        examined(tmp_path, monkeypatch, refuses, 1.0)


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="only Linux ranks processes")
def test_what_is_examined_goes_before_what_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory runs out all the same, the system takes it first."""
    found = examined(tmp_path, monkeypatch, rank, 1.0)
    assert [one.median for one in found.latency] == [FIRST_TO_GO]
