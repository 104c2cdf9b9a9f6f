"""What the service costs beside its model and beside other services, and what it survives.

    python -m benchmarks.serving                                    over an hour
    QUICK=1 python -m benchmarks.serving                            some ten minutes
    python -m benchmarks.serving --only overload,swap --sizes 320   some figures
    python -m benchmarks.serving --only peers --peers ray,litserve  some peers

One model and the same pictures for all (benchmarks/service/model.py); no request has the bytes of another, so that
nothing is found in a cache. Figures that rest on each other are measured in interleaved rounds. Run it alone on the
machine: it measures all cores.
"""

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks.report import QUICK, Figure, at_most, publish
from benchmarks.service.detection import Chosen, chosen_for
from benchmarks.service.disturbance import Events, overloaded, swapped_under_load
from benchmarks.service.embedding import embedding_for_free
from benchmarks.service.load import Plan, Running
from benchmarks.service.model import SIZES, BenchModel, bench_model
from benchmarks.service.pictures import pictures
from benchmarks.service.stages import nms_alone, profile
from benchmarks.service.systems import Askance, InProcess, Setup, running
from benchmarks.service.throughput import (
    Pace,
    added_latency,
    against_bare,
    against_peer,
    against_ultralytics,
    compared,
    cpu_of_a_request,
    no_failures,
    rates,
)
from benchmarks.serving_peers.catalogue import PEERS

PACE = Pace(rounds=2, warm=1.0, seconds=3.0) if QUICK else Pace(rounds=5, warm=3.0, seconds=15.0)
EVENTS = Events(swaps=5, broken=2, rollbacks=2, requests=0) if QUICK else Events()
STEADY_SECONDS = 6.0 if QUICK else 120.0  # half of them before, half after
OVERLOAD_SECONDS = 20.0 if QUICK else 120.0
BUSY = (8,) if QUICK else (8, 32)  # concurrency beside the peers
PEER_SIZE = 640
LOAD_CPU_BAR_MS = 0.3


@dataclass(frozen=True, slots=True)
class Run:
    """What all figures share."""

    console: Console
    model: BenchModel
    scratch: Path
    asked: Chosen
    pace: Pace
    peers: Sequence[str]
    events: Events
    overload_seconds: float

    def setup(self, size: int) -> Setup:
        chosen = chosen_for(self.model.files[size], self.asked)
        self.console.print(f"{size} px: {chosen}")
        return Setup(self.model.files[size], size, chosen, pictures(), self.scratch)


def inside(run: Run, service: Askance, size: int) -> Iterator[Figure]:
    """Beside the model in the same process: share of its speed, latency added, CPU of a request."""
    with contextlib.ExitStack() as stack:
        bare, loop = (stack.enter_context(running(InProcess(service.setup, kind))) for kind in ("ours", "usual"))
        for concurrency in (8, 32):
            cells = compared([service, bare, loop], concurrency, run.pace)
            yield from against_bare(cells, size, concurrency)
            yield from against_ultralytics(cells, size, concurrency)
            if (size, concurrency) == (320, 8):
                yield from cpu_of_a_request(cells)
            yield from no_failures(cells, f"{size} px, concurrency {concurrency}")
            yield from rates(cells, f"{size} px, concurrency {concurrency}")
        cells = compared([service, bare], 1, run.pace)
        yield from added_latency(cells, size)
        yield from rates(cells, f"{size} px, concurrency 1")


def peers(run: Run, service: Askance, size: int) -> Iterator[Figure]:
    """Beside other services. One that cannot be installed or started is named, and its bar counts as not met."""
    if size != PEER_SIZE:
        return
    for key in run.peers:
        make, detector = PEERS[key]
        try:
            with running(make(service.setup, detector, run.console)) as peer:
                for concurrency in BUSY:
                    cells = compared([service, peer], concurrency, run.pace)
                    yield against_peer(cells, key, peer.name, size, concurrency)
                    yield from no_failures(cells, f"{size} px, concurrency {concurrency}, beside {peer.name}")
                    yield from rates({peer.name: cells[peer.name]}, f"{size} px, concurrency {concurrency}")
        except (OSError, RuntimeError, TimeoutError) as error:
            run.console.print(f"[red]{key} could not be measured:[/] {error}")
            yield Figure(f"images/s ÷ {key}, {size} px: could not be measured", 0.0, None, "ratio", 0, False)


def stages(run: Run, service: Askance, size: int) -> Iterator[Figure]:
    for concurrency in (1, 8):
        yield from profile(service, concurrency, warm=run.pace.warm, seconds=run.pace.seconds)
    if service.setup.chosen.runtime != "torch":
        yield nms_alone(service.setup)


def load_itself(run: Run, service: Askance, size: int) -> Iterator[Figure]:
    """What the load costs beside the service."""
    plan = Plan(service.target, service.setup.contents(), 0.0, run.pace.seconds, 8)
    with Running(plan) as load:
        report = load.report()
    n = len(report.answers)
    yield at_most(
        f"load generator, {size} px, concurrency 8", 1000 * report.cpu_seconds / max(1, n), LOAD_CPU_BAR_MS, "CPU ms", n
    )


def swap(run: Run, size: int, settings: dict[str, str], how: str) -> Iterator[Figure]:
    """With two replicas, one of which is killed: with one, a killed detector is seconds without any."""
    if size != min(SIZES):
        return
    with running(Askance(run.setup(size), {"ASKANCE_SERVING__DETECTOR_REPLICAS": "2", **settings})) as service:
        capacity = service.measure(32, warm=run.pace.warm, seconds=run.pace.seconds).rate
        found, remarks = swapped_under_load(service, capacity, run.events, how, steady_seconds=STEADY_SECONDS)
        run.console.print(*remarks, sep="\n")
        yield from found


def overload(run: Run, service: Askance, size: int) -> Iterator[Figure]:
    if size != min(SIZES):
        return
    capacity = service.measure(32, warm=run.pace.warm, seconds=run.pace.seconds).rate
    found, remarks = overloaded(service, capacity, run.overload_seconds)
    run.console.print(*remarks, sep="\n")
    yield from found


def embedding(run: Run, size: int) -> Iterator[Figure]:
    yield embedding_for_free(run.model.files[size].read_bytes(), size, pairs=50 if QUICK else 200)


# In this order, since an overload leaves a larger store behind.
OF_THE_SERVICE: dict[str, Callable[[Run, Askance, int], Iterator[Figure]]] = {
    "inside": inside,
    "peers": peers,
    "stages": stages,
    "load": load_itself,
    "overload": overload,
}
OF_THE_MODEL: dict[str, Callable[[Run, int], Iterator[Figure]]] = {
    "embedding": embedding,
    # As the service is by default, and with no model on standby, so that each swap and rollback deploys anew.
    "swap": partial(swap, settings={}, how=""),
    "swap-anew": partial(swap, settings={"ASKANCE_SERVING__STANDBY_SECONDS": "0"}, how=", none on standby"),
}
FIGURES = (*OF_THE_MODEL, *OF_THE_SERVICE)
USUAL = tuple(name for name in FIGURES if not (QUICK and name == "swap-anew"))


def main() -> int:
    arguments = _arguments()
    # As Ctrl-C does: what was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    console = Console()
    scratch = Path(tempfile.mkdtemp(prefix="askance-bench-"))
    try:
        model = bench_model()
        if not model.trained:
            console.print("[yellow]The data set is missing: random weights, which find next to nothing.[/]")
        found = list(_measured(_run(arguments, console, model, scratch), arguments.sizes, arguments.only))
        return publish("serving", found, console)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _measured(run: Run, sizes: Sequence[int], only: Sequence[str]) -> Iterator[Figure]:
    for size in sizes:
        for name in only:
            if name in OF_THE_MODEL:
                yield from _said(run, OF_THE_MODEL[name](run, size))
        wanted = [name for name in only if name in OF_THE_SERVICE]
        if wanted:
            with running(Askance(run.setup(size))) as service:
                for name in wanted:
                    yield from _said(run, OF_THE_SERVICE[name](run, service, size))


def _said(run: Run, figures: Iterator[Figure]) -> Iterator[Figure]:
    """Each as soon as it is known: a run is long."""
    for figure in figures:
        run.console.print(f"{figure.figure}: {figure.value:.4g} {figure.unit}", highlight=False)
        yield figure


def _run(arguments: argparse.Namespace, console: Console, model: BenchModel, scratch: Path) -> Run:
    seconds = arguments.seconds or PACE.seconds
    return Run(
        console=console,
        model=model,
        scratch=scratch,
        asked=Chosen(arguments.runtime, arguments.precision, arguments.threads),
        pace=Pace(arguments.rounds or PACE.rounds, min(PACE.warm, seconds), seconds),
        peers=arguments.peers,
        events=EVENTS if arguments.swaps is None else EVENTS.fewer(arguments.swaps),
        overload_seconds=arguments.overload_seconds or OVERLOAD_SECONDS,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", type=_some_of(FIGURES), default=list(USUAL), help=", ".join(FIGURES))
    parser.add_argument("--peers", type=_some_of(PEERS), default=list(PEERS), help=", ".join(PEERS))
    parser.add_argument("--sizes", type=_sizes, default=list(SIZES), help="input sizes in pixels")
    parser.add_argument("--runtime", default="auto", help="auto: the fastest here, for the service and its peers")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=0, help="0: the cores")
    parser.add_argument("--rounds", type=int, help="of each comparison")
    parser.add_argument("--seconds", type=float, help="of one measurement")
    parser.add_argument("--swaps", type=int, help="fewer than 20, and no least number of requests")
    parser.add_argument("--overload-seconds", type=float)
    return parser.parse_args()


def _some_of(known: Collection[str]) -> Callable[[str], list[str]]:
    def parsed(text: str) -> list[str]:
        if unknown := [name for name in text.split(",") if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
        return [name for name in known if name in text.split(",")]

    return parsed


def _sizes(text: str) -> list[int]:
    return [int(name) for name in _some_of([str(size) for size in SIZES])(text)]


if __name__ == "__main__":
    raise SystemExit(main())
