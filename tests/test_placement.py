"""Where work is done on a cluster of several machines."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from loop.domain.errors import CycleFailed, NoPlace
from training.device import device_of
from training.launch import gpus_for, on_each_machine, run_in_ray

Progress = Callable[[float, Mapping[str, float]], None]


def where(*, progress: Progress) -> str:
    import ray

    machine: str = ray.get_runtime_context().get_node_id()
    return machine


def gpus(*, progress: Progress) -> str:
    return os.environ.get("CUDA_VISIBLE_DEVICES", "")


def note(folder: Path) -> None:
    import ray

    (folder / ray.get_runtime_context().get_node_id()).touch()


def wait_for_ever(started: Path, *, progress: Progress) -> None:
    started.touch()
    threading.Event().wait()


@pytest.mark.parametrize(
    ("cuda", "mps", "best"), [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto_is_the_best_device_that_torch_sees(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, best: str
) -> None:
    """One that somebody has named stays, also where it is not there: that is told when it is used."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert device_of("auto") == best
    assert [device_of(name) for name in ("cpu", "mps", "cuda:1")] == ["cpu", "mps", "cuda:1"]


@pytest.mark.service
def test_on_a_cluster_work_that_may_be_anywhere_is_where_its_place_is(tmp_path: Path) -> None:
    """This machine has no GPU, another one has: work that is bound to this one is refused, and `auto` is the CPU. What
    may be anywhere reserves the GPU and goes there; where that machine is lost meanwhile it is to be tried again, and a
    place that no machine has yet is waited for."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    other = cluster.add_node(num_cpus=1, num_gpus=1)
    ray.init(address=cluster.address, log_to_driver=False, configure_logging=False)
    try:
        here = ray.get_runtime_context().get_node_id()
        assert gpus_for("auto") == 0.0 and gpus_for("auto", anywhere=True) == 1.0
        assert gpus_for("auto", anywhere=True, beside=0.2) == 0.0  # of what serves
        with pytest.raises(CycleFailed, match="of GPUs the task reserves 1, and this machine has 0"):
            run_in_ray(where, num_gpus=1)
        assert run_in_ray(where) == here
        there = run_in_ray(where, num_gpus=1, anywhere=True)
        assert there != here
        assert run_in_ray(gpus, num_gpus=1, anywhere=True) == "0"
        on_each_machine(note, tmp_path)
        _await(lambda: {one.name for one in tmp_path.iterdir()} == {here, there})
        with pytest.raises(NoPlace, match=r"reserves 0\.5 CPUs and 2 GPUs"):
            run_in_ray(where, num_gpus=2, anywhere=True, patience_s=0.5)
        with ThreadPoolExecutor(1) as thread:
            work = thread.submit(run_in_ray, wait_for_ever, tmp_path / "begun", num_gpus=1, anywhere=True)
            _await((tmp_path / "begun").exists)
            cluster.remove_node(other, allow_graceful=False)
            with pytest.raises(NoPlace, match="machine of the task was lost"):
                work.result(120)
    finally:
        ray.shutdown()
        cluster.shutdown()


def _await(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)
