"""The systems compared, behind one interface: start, measure at a concurrency, stop."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import httpx
import numpy as np

from askance.client import Client
from benchmarks.service.detection import Chosen
from benchmarks.service.load import ROOT, Plan, Running, Target
from benchmarks.service.model import LABELS
from benchmarks.service.processes import MARK, Tree, wait_until
from loop.domain.access import Role
from loop.settings import KEYS
from tests.service.running import ServiceProcess

START_SECONDS = 240.0
IDLE_SECONDS = 2.0
PROJECT = "cells"


@dataclass(frozen=True, slots=True)
class Cell:
    """One measurement. rate: images/s; latencies: seconds, (n,); cpu_seconds: of the system for each image, less what
    it takes when idle; failed: requests without a 2xx answer."""

    rate: float
    latencies: np.ndarray
    cpu_seconds: float
    failed: int

    @property
    def count(self) -> int:
        return len(self.latencies)

    def percentile(self, share: float) -> float:
        """Seconds; NaN where nothing was answered."""
        return float(np.percentile(self.latencies, share)) if self.count else float("nan")


class System(Protocol):
    @property
    def name(self) -> str: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def measure(self, concurrency: int, *, warm: float, seconds: float) -> Cell: ...
    def paused(self) -> contextlib.AbstractContextManager[None]: ...


@dataclass(frozen=True, slots=True)
class Setup:
    """What all systems of a run share. scratch: a folder that is removed afterwards."""

    weights: Path
    size: int
    chosen: Chosen
    pictures: Sequence[Path]
    scratch: Path

    def contents(self) -> list[bytes]:
        return [path.read_bytes() for path in self.pictures]


class InProcess:
    """kind: ours (this project's runtime) | usual (ultralytics.YOLO.predict on torch)."""

    def __init__(self, setup: Setup, kind: str) -> None:
        self.setup, self.kind = setup, kind
        self.name = "bare runtime" if kind == "ours" else "ultralytics loop"
        self._tree = Tree()
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.service.in_process"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, MARK: self._tree.mark},
        )  # fmt: skip
        self._ask(
            {
                "kind": self.kind,
                "weights": str(self.setup.weights),
                "chosen": asdict(self.setup.chosen),
                "pictures": [str(path) for path in self.setup.pictures],
            }
        )

    def _ask(self, question: Mapping[str, object]) -> dict[str, float | list[float]]:
        assert self._process is not None and self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended; see above")
        answer: dict[str, float | list[float]] = json.loads(line)
        return answer

    def measure(self, concurrency: int, *, warm: float, seconds: float) -> Cell:
        found = self._ask({"callers": concurrency, "warm": warm, "seconds": seconds})
        latencies = np.asarray(found["latencies"])
        rate = len(latencies) / seconds
        return Cell(rate, latencies, float(found["cpu_seconds"]) / max(1, len(latencies)), 0)  # type: ignore[arg-type]

    def paused(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()  # it waits for a line

    def stop(self) -> None:
        self._tree.kill()
        if self._process is not None:
            self._process.wait()


class Served:
    """Any system behind HTTP: `target` says where, `tree` which processes it is."""

    name: str
    tree: Tree
    target: Target
    setup: Setup

    def __init__(self) -> None:
        self._idle = 0.0

    def measure(self, concurrency: int, *, warm: float, seconds: float) -> Cell:
        plan = Plan(self.target, self.setup.contents(), 0.0, warm + seconds, concurrency)
        with Running(plan) as load:
            _sleep_until(load.opens + warm)
            before, begun = self.tree.cpu_seconds(), time.monotonic()
            _sleep_until(load.closes)
            cpu, ended = self.tree.cpu_seconds() - before, time.monotonic()
            report = load.report()
        answered = [a for a in report.answers if begun <= a.received < ended and a.good]
        failed = sum(not a.good for a in report.answers)
        cpu -= self._idle * (ended - begun)
        latencies = np.array([a.latency for a in answered])
        return Cell(len(answered) / (ended - begun), latencies, cpu / max(1, len(answered)), failed)

    def paused(self) -> contextlib.AbstractContextManager[None]:
        return self.tree.paused()

    def _settled(self) -> None:
        """One request to see that it answers, a few to warm it, then its CPU while idle."""
        for count in (1, 8):
            self.measure(count, warm=0.2, seconds=0.8)
        time.sleep(1.0)
        before = self.tree.cpu_seconds()
        time.sleep(IDLE_SECONDS)
        self._idle = max(0.0, self.tree.cpu_seconds() - before) / IDLE_SECONDS

    @property
    def idle_cores(self) -> float:
        return self._idle


class Askance(Served):
    """The service as its users start it, with an embedding and a durable row for each answer.

    The policy sends the riskiest of the pictures to people, besides the usual audits: about one answer in eight makes
    a task, as where routing is in use. Routing each of them (the short-trained model is sure of none) would be another
    benchmark.
    """

    name = "askance"

    def __init__(self, setup: Setup, settings: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.setup, self.tree = setup, Tree()
        wanted = {"serving.runtime": setup.chosen.runtime, "serving.precision": setup.chosen.precision}
        pinned = {"ASKANCE_" + key.upper().replace(".", "__"): value for key, value in wanted.items() if key in KEYS}
        self._process = ServiceProcess(
            setup.scratch / f"askance-{self.tree.mark[:8]}", {MARK: self.tree.mark, **pinned, **(settings or {})}
        )

    def start(self) -> None:
        self._process.start()
        operator = self.operator()
        operator.create_project(PROJECT, LABELS)
        operator.add_model(PROJECT, self.setup.weights.read_bytes())
        operator.await_champion(PROJECT, timeout_s=START_SECONDS)
        self._route_the_riskiest(operator)
        secret = operator.create_token("benchmark", Role.PRODUCER.value, PROJECT).secret
        self.target = Target(
            self._process.port,
            f"/v1/projects/{PROJECT}/predictions",
            (("Authorization", f"Bearer {secret}"), ("Content-Type", "application/octet-stream")),
        )
        wait_until(operator.ready, START_SECONDS, "the service to be ready")
        self._settled()

    def _route_the_riskiest(self, operator: Client) -> None:
        risks = sorted(operator.predict(PROJECT, content).decision.risk for content in self.setup.contents())
        operator.change_policy(PROJECT, threshold=(risks[-2] + risks[-1]) / 2)

    def operator(self) -> Client:
        return self._process.operator()

    def metrics(self) -> str:
        """The figures for Prometheus, as text."""
        return self._get("/metrics").text

    def predictions(self, after: str | None) -> tuple[list[str], str | None]:
        """Ids of a page, newest first, and where the next begins."""
        page = self._get(f"/v1/projects/{PROJECT}/predictions?limit=1000" + (f"&after={after}" if after else ""))
        body = page.raise_for_status().json()
        return [one["id"] for one in body["predictions"]], body["next"]

    def _get(self, path: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._process.token}"}
        return httpx.get(self._process.url + path, headers=headers, timeout=120, trust_env=False)

    def stop(self) -> None:
        self._process.stop()
        self.tree.kill()


class Peer(Served):
    """Another model service. command: of its first process; `PEER_…` variables say what it serves."""

    def __init__(
        self,
        name: str,
        setup: Setup,
        command: Sequence[str],
        *,
        path: str,
        detector: str,
        port: int,
        environment: Mapping[str, str] | None = None,
        frame: tuple[tuple[tuple[str, str], ...], bytes, bytes] = ((), b"", b""),
        base64: bool = False,
    ) -> None:
        super().__init__()
        self.name, self.setup, self.tree, self._command = name, setup, Tree(), command
        headers, prefix, suffix = frame
        self.target = Target(port, path, headers, prefix, suffix, base64=base64)
        self._scratch = setup.scratch / f"peer-{self.tree.mark[:8]}"
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DO_NOT_TRACK": "1",
            "PEER_WEIGHTS": str(setup.weights),
            "PEER_DETECTOR": detector,
            "PEER_RUNTIME": setup.chosen.runtime,
            "PEER_PRECISION": setup.chosen.precision,
            "PEER_THREADS": str(setup.chosen.threads),
            "PEER_PORT": str(port),
            "PEER_SCRATCH": str(self._scratch),
            **(environment or {}),
        }

    def start(self) -> None:
        self._scratch.mkdir(parents=True)
        log = self._scratch / "log"
        self.tree.start(self._command, self._environment, log, self._scratch)

        def answers() -> bool:
            if self.tree.ended:
                raise RuntimeError(f"{self.name} ended:\n{log.read_text(errors='replace')[-2000:]}")
            return self._detects()

        wait_until(answers, START_SECONDS, f"{self.name} to answer (log: {log})")
        self._settled()

    def _detects(self) -> bool:
        """Whether it answers a picture with boxes."""
        plan = Plan(self.target, self.setup.contents()[:1], 0.0, 0.1, 1, timeout_s=60.0)
        with Running(plan) as load:
            report = load.report()
        if any(a.good for a in report.answers):
            return True
        time.sleep(0.5)
        return False

    def stop(self) -> None:
        self.tree.stop()


Started = TypeVar("Started", bound=System)


@contextlib.contextmanager
def running(system: Started) -> Iterator[Started]:
    """Ended in any case, also on Ctrl-C while it starts."""
    try:
        system.start()
        yield system
    finally:
        system.stop()


def _sleep_until(instant: float) -> None:
    time.sleep(max(0.0, instant - time.monotonic()))
