"""The demonstration from the first day scene to the table, over HTTP like any other user of the service.

    day, then drift ──► predictions ──► risky ones ──► scripted reviewer ──► cycle ──► gate ──► promotion
                                                                                                   │
    the table ◄── the drifted stream again, under the new champion ◄───────────────────────────────┘

The project, its seed model and its imported scenes (`write_scenes`) must be there before.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from loop.demo.dataset import write_dataset
from loop.demo.reviewer import Desk, ScriptedReviewer
from loop.demo.scenes import Pool, Scene, day_scenes, drifting_scenes
from loop.demo.score import RoutingScore, score_routing
from loop.domain.corrections import corrections
from loop.domain.cycle import CycleState, Step
from loop.domain.errors import AskanceError, CycleFailed
from loop.domain.geometry import Box
from loop.domain.identity import digest_of
from loop.domain.prediction import Detection
from loop.domain.truth import Shape
from serving.api.schemas.models import CycleIn, CycleOut
from serving.api.schemas.predictions import PredictionOut
from serving.api.schemas.projects import ProjectOut

_SOURCE = "demo camera"  # where the stream's items say they come from


class Counting(Protocol):
    """requests: HTTP requests sent so far, retries too; failures: those of them without a 2xx answer."""

    @property
    def requests(self) -> int: ...
    @property
    def failures(self) -> int: ...


class Producer(Counting, Protocol):
    """What a production system does with the service; `askance.client.Client` is one."""

    def predict(
        self, project: str, image: bytes, *, source: str = "", group: str = "", key: str | None = None
    ) -> PredictionOut: ...


class Reviewer(Desk, Counting, Protocol):
    pass


class Operator(Counting, Protocol):
    """What an ML team does with the service; `askance.client.Client` is one."""

    def project(self, project: str) -> ProjectOut: ...
    def start_cycle(self, project: str, cycle: CycleIn) -> CycleOut: ...
    def follow_cycle(self, project: str, cycle_id: str, *, every_s: float = 0.5) -> Iterator[CycleOut]: ...


@dataclass(frozen=True, slots=True)
class Users:
    """Three callers, each with a token of its role."""

    producer: Producer
    reviewer: Reviewer
    operator: Operator

    @property
    def requests(self) -> int:
        return sum(client.requests for client in self._clients())

    @property
    def failures(self) -> int:
        return sum(client.failures for client in self._clients())

    def _clients(self) -> list[Counting]:
        """Each once, whoever shares one."""
        clients: list[Counting] = [self.producer, self.reviewer, self.operator]
        return list({id(client): client for client in clients}.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long the demonstration is. Counts are scenes; `per_second` bounds the stream so that one can watch.

    training, golden: imported before it starts (day scenes; drifted scenes of held-out strokes). day, drifting,
    drifted: the stream before the cycle, of which `drifting` lead from day to the full drift. after: drifted scenes
    under the new champion.
    """

    training: int = 250
    golden: int = 160
    day: int = 40
    drifting: int = 160
    drifted: int = 220
    after: int = 120
    per_second: float = 10.0
    per_second_during_cycle: float = 2.0
    cycle: CycleIn = field(
        # Mirrored digits mean something else; the scenes are as large as they will be, so little zoom and no mosaic.
        default_factory=lambda: CycleIn(
            reason="the stream drifted", epochs=10, learning_rate=0.002, flip=0.0, mosaic=0.0, scale=0.2
        )
    )

    @property
    def before(self) -> int:
        return self.day + self.drifting + self.drifted


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """The table. Shares and mAP in [0, 1]; the routing figures are those of the stream before the cycle, the mAP
    figures those of the gate's evaluation on held-out drifted scenes. `drifted_before` and `drifted_after` compare
    like with like: the fully drifted stream, under the old champion and under the new one."""

    seconds: float
    requests: int
    requests_failed: int
    share_failing: float
    share_routed: float
    share_failing_drifted_before: float
    share_failing_drifted_after: float
    share_routed_drifted_before: float
    share_routed_drifted_after: float
    failures_caught: float
    failures_caught_by_random: float
    failures_caught_by_perfect: float
    map50_before: float
    map50_after: float
    map50_gain_interval: tuple[float, float]
    promoted: bool
    champion: str

    def to_json(self) -> dict[str, object]:
        return asdict(self) | {"map50_gain_interval": list(self.map50_gain_interval)}


def write_scenes(folder: Path, *, seed: int, plan: Plan) -> None:
    """The data set to import before the demonstration (YOLO layout): splits `train`, day scenes of the strokes that
    the seed model knows, and `golden`, scenes of the drifted stream with strokes that nothing else uses."""
    write_dataset(folder, day_scenes(seed, plan.training, Pool.SEED), "train")
    write_dataset(folder, drifting_scenes(seed, plan.golden, Pool.HELD_OUT, start=1.0), "golden")


@dataclass(frozen=True, slots=True)
class Answered:
    """failing: a person would have to correct this prediction."""

    failing: bool
    routed: bool


@dataclass(slots=True)
class Camera:
    """Sends scenes, and remembers their truth for the reviewer before the service knows them.

    failed: predictions that got no answer.
    """

    producer: Producer
    project: ProjectOut
    truths: dict[str, tuple[Shape, ...]]
    failed: int = 0

    def send(self, scenes: Iterable[Scene], *, per_second: float) -> Iterator[Answered]:
        """One prediction after the other, at most `per_second`."""
        due = time.monotonic()
        for scene in scenes:
            answer = self._predict(scene)
            if answer is not None:
                yield answer
            due = max(due + 1.0 / per_second, time.monotonic() - 1.0)  # catch up by one second at most
            time.sleep(max(0.0, due - time.monotonic()))

    def _predict(self, scene: Scene) -> Answered | None:
        image = scene.jpeg()
        self.truths[digest_of(image)] = scene.shapes
        try:
            prediction = self.producer.predict(self.project.id, image, source=_SOURCE)
        except AskanceError:
            self.failed += 1
            return None
        found = [Detection(d.label, d.score, _box(d.box)) for d in prediction.detections]
        errors = corrections(found, scene.shapes, iou=self.project.policy.failure_iou)
        return Answered(failing=bool(errors), routed=prediction.task_id is not None)


def _box(values: Sequence[float]) -> Box:
    x1, y1, x2, y2 = values
    return (x1, y1, x2, y2)


def run_demo(users: Users, console: Console, *, project: str, seed: int, plan: Plan) -> DemoResult:
    """The whole loop; returns when the last scene has its answer. Raises CycleFailed where the cycle broke.

    What the new champion sends to people stays in the queue: it is for the visitor.
    """
    started = time.monotonic()
    camera = Camera(users.producer, users.operator.project(project), {})
    reviewer = ScriptedReviewer(users.reviewer, project, camera.truths)
    with _Show(console) as show:
        with _beside(reviewer.work):
            stream = camera.send(production(seed, plan), per_second=plan.per_second)
            before = show.stream("production drifts", stream, plan.before, reviewer)
        with _beside(reviewer.work), _beside(lambda finish: _trickle(camera, finish, seed, plan)):
            cycle = show.cycle(users.operator.start_cycle(project, plan.cycle), users.operator)
        later = drifting_scenes(seed, plan.after, Pool.LATER, start=1.0)
        after = show.stream("after the cycle", camera.send(later, per_second=plan.per_second), plan.after, reviewer)
    champion = users.operator.project(project).champion_id
    streams = _routing(before), _routing(before[-plan.drifted :]), _routing(after)
    return _result(users, cycle, streams, champion or "", time.monotonic() - started)


def production(seed: int, plan: Plan) -> Iterator[Scene]:
    """The stream before the cycle: day, then the drift, then what it has drifted to."""
    return chain(
        day_scenes(seed, plan.day, Pool.STREAM),
        drifting_scenes(seed, plan.drifting, Pool.STREAM),
        drifting_scenes(seed + _OTHER, plan.drifted, Pool.STREAM, start=1.0),
    )


_OTHER = 1_000_000  # between the seeds of streams that shall not repeat each other's scenes


def _trickle(camera: Camera, finish: threading.Event, seed: int, plan: Plan) -> None:
    """Production does not wait for a training: scenes go on coming until the cycle is over."""
    scenes = drifting_scenes(seed + 2 * _OTHER, _ENDLESS, Pool.STREAM, start=1.0)
    for _ in camera.send(scenes, per_second=plan.per_second_during_cycle):
        if finish.is_set():
            return


_ENDLESS = 100_000


@contextmanager
def _beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run `work` in a thread while the block runs; then ask it to finish, wait, and raise what it raised."""
    finish = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work, finish)
        try:
            yield
        finally:
            finish.set()
        future.result()


def _routing(stream: Sequence[Answered]) -> RoutingScore:
    return score_routing([one.failing for one in stream], [one.routed for one in stream])


def _result(
    users: Users,
    cycle: CycleOut,
    streams: tuple[RoutingScore, RoutingScore, RoutingScore],
    champion: str,
    seconds: float,
) -> DemoResult:
    """streams: all that came before the cycle, its fully drifted end, and what came after."""
    before, drifted, after = streams
    change = cycle.decision["map50"]
    if change["interval"] is None:
        hint = "Give the plan more golden scenes."
        raise CycleFailed("the gate had too few images to say how much the candidate gained.", hint=hint)
    low, high = change["interval"]
    return DemoResult(
        seconds=round(seconds, 1),
        requests=users.requests,
        requests_failed=users.failures,
        share_failing=before.share_failing,
        share_routed=before.share_routed,
        share_failing_drifted_before=drifted.share_failing,
        share_failing_drifted_after=after.share_failing,
        share_routed_drifted_before=drifted.share_routed,
        share_routed_drifted_after=after.share_routed,
        failures_caught=before.caught,
        failures_caught_by_random=before.by_random,
        failures_caught_by_perfect=before.by_perfect,
        map50_before=float(change["champion"]),
        map50_after=float(change["candidate"]),
        map50_gain_interval=(float(low), float(high)),
        promoted=cycle.state is CycleState.PROMOTED,
        champion=champion,
    )


# --- what one sees -----------------------------------------------------------------------------------


class _Show:
    """Progress bars while the loop runs: the stream, the people, the cycle."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<17}"),
            BarColumn(bar_width=8),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        )

    def __enter__(self) -> "_Show":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def stream(self, title: str, answers: Iterable[Answered], total: int, reviewer: ScriptedReviewer) -> list[Answered]:
        """Follow a stream to its end."""
        bar = self._progress.add_task(title, total=total, note="")
        seen: list[Answered] = []
        for answer in answers:
            seen.append(answer)
            self._progress.update(bar, completed=len(seen), note=_stream_note(seen, reviewer))
        return seen

    def cycle(self, cycle: CycleOut, operator: Operator) -> CycleOut:
        """Follow a cycle to its end. Raises CycleFailed."""
        bars: dict[Step, TaskID] = {}
        for state in operator.follow_cycle(cycle.project_id, cycle.id):
            cycle = state
            self._step(bars, cycle)
        if cycle.state is CycleState.FAILED:
            raise CycleFailed(f"the cycle {cycle.id} failed: {cycle.error}", hint="The log of the service says more.")
        return cycle

    def _step(self, bars: dict[Step, TaskID], cycle: CycleOut) -> None:
        for step, bar in bars.items():
            if step is not cycle.step:
                self._progress.update(bar, completed=100)
        if cycle.step is not Step.DONE:
            bar = bars.setdefault(cycle.step, self._bar(bars, cycle.step))
            self._progress.update(bar, completed=round(cycle.progress * 100))

    def _bar(self, bars: dict[Step, TaskID], step: Step) -> TaskID:
        return bars[step] if step in bars else self._progress.add_task(f"cycle: {step}", total=100, note="")


def _stream_note(seen: Sequence[Answered], reviewer: ScriptedReviewer) -> str:
    """Of the last 50 predictions; short, so that it fits a terminal of 80 columns."""
    recent = seen[-50:]
    routed = sum(one.routed for one in recent) / len(recent)
    wrong = sum(one.failing for one in recent) / len(recent)
    return f"{wrong:.0%} wrong, {routed:.0%} routed, {reviewer.answered} fixed"


def table(result: DemoResult) -> Table:
    """The result for people."""
    low, high = result.map50_gain_interval
    grid = Table(title="Askance demo", show_header=True, header_style="bold")
    for column in ("", "before", "after"):
        grid.add_column(column, justify="left" if not column else "right")
    grid.add_row("mAP50 on held-out drifted scenes", f"{result.map50_before:.3f}", f"{result.map50_after:.3f}")
    grid.add_row("  gain, 95 % interval", "", f"{low:+.3f} … {high:+.3f}")
    wrong = result.share_failing_drifted_before, result.share_failing_drifted_after
    routed = result.share_routed_drifted_before, result.share_routed_drifted_after
    grid.add_row("drifted stream: predictions that were wrong", *(f"{share:.1%}" for share in wrong))
    grid.add_row("drifted stream: sent to a person", *(f"{share:.1%}" for share in routed))
    grid.add_section()
    grid.add_row("whole stream: predictions that were wrong", f"{result.share_failing:.1%}", "")
    grid.add_row("whole stream: sent to a person", f"{result.share_routed:.1%}", "")
    grid.add_row("failures caught by routing", f"{result.failures_caught:.1%}", "")
    grid.add_row("  by a random draw of that size", f"{result.failures_caught_by_random:.1%}", "")
    grid.add_row("  by a perfect ranking", f"{result.failures_caught_by_perfect:.1%}", "")
    grid.add_section()
    grid.add_row("promoted", "", "yes" if result.promoted else "no: the gate refused")
    grid.add_row("requests, of which failed", "", f"{result.requests}, {result.requests_failed}")
    grid.add_row("seconds", "", f"{result.seconds:.0f}")
    return grid
