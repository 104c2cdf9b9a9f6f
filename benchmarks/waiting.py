"""Calls that wait for a person: what a thousand of them cost a gateway and the calls beside them.

    python -m benchmarks.waiting            some minutes
    QUICK=1 python -m benchmarks.waiting    under a minute: fewer rounds

The gateway is a process of its own that listens on loopback; only the network is a stand-in, which answers at once, so
that nothing hides what the gateway itself takes. Calls beside those that wait are measured in turns, without and with
them, and hundreds of kilobytes of image come with each call. Answers are given through another process.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil
import uvicorn
from rich.console import Console

from benchmarks.report import QUICK, Figure, at_most, publish, reading
from loop.domain.access import Role, Token
from loop.domain.item import ImageFacts
from loop.domain.model import ModelHead, ModelVersion, Promotion, PromotionKind, PromotionState
from loop.domain.prediction import Inference, Timed
from loop.domain.truth import Shape
from loop.review.desk import Desk
from loop.settings import load_settings
from loop.store.database import SqlStore
from loop.wiring import wire
from serving.api.app import create_app
from serving.transport import free_ports

WAITING = 1_000
OTHERS = 600 if QUICK else 2_000  # calls of a block
ROUNDS = 2 if QUICK else 6
ANSWERS = 20 if QUICK else 100
CALLERS = 2
AT_ONCE = 20  # calls that begin to wait together
IMAGE = os.urandom(200_000)
PROJECT = "street"
MEGABYTE = 1_000_000


# --- the gateway's process -------------------------------------------------------------------------------


class AtOnce:
    """The network's stand-in: ten boxes, and an embedding as long as a detector's."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    async def infer(self, model: ModelVersion, content: bytes, deadline: float) -> Timed:
        rng = self._rng
        inference = Inference(
            boxes=np.sort(rng.uniform(0, 64, (10, 2, 2)), axis=1).reshape(10, 4).astype(np.float32),
            scores=np.sort(rng.uniform(0.3, 1, 10).astype(np.float32))[::-1],
            classes=np.zeros(10, np.int64),
            class_scores=np.ones((10, 1), np.float32),
            embedding=rng.normal(size=256).astype(np.float32),
        )
        return Timed(inference, ImageFacts(width=64, height=64, media_type="image/jpeg"), 0.0, 0.0, 0.0)


def serve(folder: Path, port: int) -> None:
    """The child's part; prints the operator's secret when it is about to listen."""
    settings = load_settings(environ={"ASKANCE_DATA_DIR": str(folder), "ASKANCE_POLICY__AUDIT_RATE": "0"})
    services = wire(settings, AtOnce())
    services.projects.create(PROJECT, ("car",))
    _give_champion(services.store)
    _, secret = services.tokens.create("bench", Role.OPERATOR, None)
    print(secret, flush=True)
    uvicorn.run(create_app(services), host="127.0.0.1", port=port, log_level="error", access_log=False, backlog=4096)


def _give_champion(store: SqlStore) -> None:
    head = ModelHead(backend="ultralytics", architecture={}, labels=("car",), image_size=64, embedding_dim=256)
    model = ModelVersion(
        id="model_1", project_id=PROJECT, digest="0" * 64, head=head, origin="registered", cycle_id=None,
        reference_key=None, created_at=now(),
    )  # fmt: skip
    promotion = Promotion(
        id="promo_1", project_id=PROJECT, model_id=model.id, previous_id=None, kind=PromotionKind.FIRST, actor="bench",
        reason="", state=PromotionState.ACTIVE, error="", created_at=now(),
    )  # fmt: skip
    with store.begin() as tx:
        tx.models.add(model)
        tx.promotions.add(promotion)
        tx.projects.move_champion(PROJECT, expected=None, to=model.id)


def now() -> datetime:
    return datetime.now(UTC)


# --- callers ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gateway:
    port: int
    secret: str
    process: psutil.Process

    async def call(self, query: str, number: int) -> bytes:
        """The answer; raises where it is none."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            head = (
                f"POST /v1/projects/{PROJECT}/predictions?{query} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n"
                f"Authorization: Bearer {self.secret}\r\nContent-Length: {len(IMAGE) + 8}\r\n\r\n"
            )
            writer.write(head.encode() + IMAGE + number.to_bytes(8, "big"))
            await writer.drain()
            answer = await reader.read()
        finally:
            writer.close()
        if b" 200 " not in answer.split(b"\r\n", 1)[0]:
            raise RuntimeError(f"{query}: {answer[:500]!r}")
        return answer

    @property
    def megabytes(self) -> float:
        return float(self.process.memory_info().rss / MEGABYTE)

    @property
    def cpu(self) -> float:
        return float(sum(self.process.cpu_times()[:2]))


class Bench:
    def __init__(self, gateway: Gateway, store: SqlStore) -> None:
        self._gateway = gateway
        self._numbers = iter(range(10**9))
        self._store = store
        self._token = Token(
            id="tok_reviewer", name="r", role=Role.REVIEWER, secret_digest="", project_id=None, created_at=now()
        )
        self._desk = Desk(store, now, os.urandom)
        self.waiting: list[asyncio.Task[bytes]] = []

    async def others(self, count: int = OTHERS) -> list[float]:
        """Milliseconds of calls that need no person, by a few callers in a closed loop."""
        took: list[float] = []

        async def caller() -> None:
            while len(took) < count:
                begun = time.perf_counter()
                await self._gateway.call("review=never", next(self._numbers))
                took.append(1000 * (time.perf_counter() - begun))

        await asyncio.gather(*(caller() for _ in range(CALLERS)))
        return took

    async def begin_to_wait(self, wait: float = 300.0) -> None:
        """A thousand; returns when all of them wait."""
        made = self._tasks()
        for _ in range(0, WAITING, AT_ONCE):
            self.waiting += [
                asyncio.ensure_future(self._gateway.call(f"review=always&wait={wait}", next(self._numbers)))
                for _ in range(AT_ONCE)
            ]
            made += AT_ONCE
            while self._tasks() < made:
                await asyncio.sleep(0.02)

    async def hang_up(self) -> None:
        for call in self.waiting:
            call.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self.waiting, return_exceptions=True)
        self.waiting = []
        await asyncio.sleep(0.5)

    async def answered(self) -> list[float]:
        """Milliseconds from an answer's commit to its caller's hearing of it."""
        took = []
        for _ in range(ANSWERS):
            (one,) = self._desk.lease(self._token, PROJECT, 1).assignments
            self._desk.submit(self._token, one.task.id, one.task.epoch, [Shape("car", (1, 1, 9, 9))], "")
            begun = time.perf_counter()
            done, rest = await asyncio.wait(self.waiting, return_when=asyncio.FIRST_COMPLETED)
            took.append(1000 * (time.perf_counter() - begun))
            for call in done:
                if b'"status":"final"' not in call.result():
                    raise RuntimeError("a call was answered by nobody")
            self.waiting = list(rest)
        return took

    def _tasks(self) -> int:
        with self._store.read() as tx:
            return tx.predictions.counts(PROJECT)["routed"]


async def figures(gateway: Gateway, store: SqlStore) -> list[Figure]:
    bench = Bench(gateway, store)
    await bench.others(200)
    await bench.begin_to_wait(wait=0.0)  # the same without a wait, so that nothing is new when it counts
    await bench.hang_up()
    alone: list[float] = []
    beside: list[float] = []
    more: list[float] = []
    idle: list[float] = []
    heard: list[float] = []
    for number in range(ROUNDS):
        if number % 2 == 0:
            alone += await bench.others()
        before = gateway.megabytes
        await bench.begin_to_wait()
        more.append(gateway.megabytes - before)
        cpu, begun = gateway.cpu, time.perf_counter()
        await asyncio.sleep(3.0)
        idle.append((gateway.cpu - cpu) / (time.perf_counter() - begun))
        beside += await bench.others()
        if number == 0:  # later, tasks whose callers have hung up are before those of this round
            heard = await bench.answered()
        await bench.hang_up()
        if number % 2 == 1:
            alone += await bench.others()
    one, other = (float(np.percentile(took, 99)) for took in (alone, beside))
    calls = len(alone)
    return [
        at_most(f"memory of {WAITING:,} calls that wait", max(more), 50.0, "MB", ROUNDS),
        reading("a call beside nobody who waits, median", statistics.median(alone), "ms", calls),
        reading("a call beside nobody who waits, p99", one, "ms", calls),
        reading(f"a call beside {WAITING:,} that wait, median", statistics.median(beside), "ms", len(beside)),
        at_most(f"its p99, beside {WAITING:,} that wait", other / one, 1.3, "times", len(beside)),
        reading(f"CPU of {WAITING:,} calls that wait", 100 * statistics.median(idle), "% of a core", ROUNDS),
        reading("from an answer to its caller, median", statistics.median(heard), "ms", len(heard)),
        reading("from an answer to its caller, longest", max(heard), "ms", len(heard)),
    ]


def run(folder: Path) -> list[Figure]:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "benchmarks.waiting", "--serve", str(folder), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            secret = (process.stdout or sys.stdin).readline().strip()
            gateway = Gateway(port, secret, psutil.Process(process.pid))
            store = SqlStore.open(f"sqlite:///{folder / 'askance.db'}")
            asyncio.run(_when_it_listens(gateway))
            found = asyncio.run(figures(gateway, store))
            store.close()
        finally:
            process.kill()
    return found


async def _when_it_listens(gateway: Gateway) -> None:
    for _ in range(600):
        try:
            await gateway.call("review=never", 10**9)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            return
    raise TimeoutError("the gateway does not listen")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting", description=__doc__)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.serve:
        serve(chosen.serve, chosen.port)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder))
    return publish("waiting", found, Console())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
