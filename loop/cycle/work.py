"""What a cycle asks for outside the database: where the heavy work runs, and where its runs are recorded."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from loop.domain.model import ModelHead, ModelVersion
from loop.domain.prediction import Inference
from training.snapshot import Entry

# What a long step calls as it goes: share done in [0, 1], and the figures of the moment.
Progress = Callable[[float, Mapping[str, float]], None]

# Of a cycle's recipe, what its training does not take: the mode of the gate, the rules of a canary, where it starts.
CYCLE_ONLY = frozenset({"mode", "canary", "start"})

# Candidates of a detector that are kept for evaluation: low enough that average precision sees the whole curve.
EVALUATION_FLOOR = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """start_key: blob of the weights to start from, None for fresh weights of the configured architecture. renamed:
    what labels of these are called now, where it is something else."""

    cycle_id: str
    start_key: str | None
    labels: tuple[str, ...]
    recipe: Mapping[str, object]
    train: tuple[Entry, ...]
    renamed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrainedWeights:
    """curves: the figures of each epoch, oldest first. batch: images a step that memory sufficed for; 0: not told.
    device: that it was trained on; "": not told."""

    content: bytes
    head: ModelHead
    metrics: Mapping[str, float]
    curves: Sequence[Mapping[str, float]] = ()
    batch: int = 0
    device: str = ""


@dataclass(frozen=True, slots=True)
class Latency:
    """Of a model on the runtime that would serve it. median, p90: seconds for one image."""

    runtime: str
    median: float
    p90: float


@dataclass(frozen=True, slots=True)
class Subject:
    """A model that is examined, and the images that it is asked about."""

    model: ModelVersion
    image_keys: Sequence[str]


@dataclass(frozen=True, slots=True)
class Timing:
    """image_keys: that each model is timed on. choose_by: images that the runtimes are chosen by."""

    image_keys: Sequence[str]
    choose_by: Sequence[str]


@dataclass(frozen=True, slots=True)
class Examined:
    """Of each subject, in their order. inferences: one for each of its images, with candidates above EVALUATION_FLOOR.
    latency: empty where nobody wanted it, and where `unmeasured` says why there is none."""

    inferences: Sequence[Sequence[Inference]]
    latency: Sequence[Latency] = ()
    unmeasured: str = ""


class Workshop(Protocol):
    """Where the heavy work runs: Ray tasks, on a GPU where there is one."""

    def train(self, job: TrainingJob, progress: Progress) -> TrainedWeights: ...

    def infer(self, weights_key: str, image_keys: Sequence[str], progress: Progress) -> list[Inference]:
        """One inference per image, in their order, with the candidates above EVALUATION_FLOOR."""
        ...

    def examine(self, subjects: Sequence[Subject], timing: Timing | None, progress: Progress) -> Examined:
        """What the models find, and then, with a `timing`, how long each takes on the runtime that would serve it, in
        one process. Raises what keeps one of them from its inferences; not what keeps it from being timed."""
        ...

    def clean(self, cycle_id: str) -> None:
        """The cycle is over: its scratch files may go."""
        ...

    def left(self) -> Collection[str]:
        """The ids of cycles that have scratch files here."""
        ...


class RunRegistry(Protocol):
    """Runs and model versions as MLflow keeps them; the database decides, this mirrors (loop/cycle/telling.py).

    Each method may be called again with the same, and then changes nothing. Each raises Unavailable where the registry
    cannot be reached, and Declined where it is there and says no. Moments become its own, in milliseconds.
    """

    def open(self) -> None:
        """May be called ahead of the first use, which is slow."""
        ...

    def run_of(self, project: str, cycle_id: str, begun_at: datetime) -> str:
        """The id of the cycle's run, begun then if there is none."""
        ...

    def describe(self, run_id: str, params: Mapping[str, object], tags: Mapping[str, str]) -> None: ...
    def log_metrics(self, run_id: str, figures: Mapping[str, float], step: int, at: datetime) -> None: ...
    def log_artifact_bytes(self, run_id: str, name: str, content: bytes) -> None: ...
    def register(
        self, project: str, run_id: str, weights: bytes, digest: str, head: ModelHead, tags: Mapping[str, str]
    ) -> str:
        """The number of the version."""
        ...

    def set_aliases(self, project: str, versions: Mapping[str, str | None]) -> None:
        """By alias; None takes it away."""
        ...

    def finish(self, run_id: str, status: str, at: datetime) -> None: ...
