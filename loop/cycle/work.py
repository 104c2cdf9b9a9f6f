"""What a cycle asks for outside the database: where the heavy work runs, and where its runs are recorded."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from loop.domain.cycle import Cycle
from loop.domain.errors import Unavailable
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
    """curves: the figures of each epoch, oldest first. batch: images a step that memory sufficed for; 0: not told."""

    content: bytes
    head: ModelHead
    metrics: Mapping[str, float]
    curves: Sequence[Mapping[str, float]] = ()
    batch: int = 0


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


class RegistryAway(Unavailable):
    """What the registry must keep cannot be kept now; the cycle waits for it."""


class RunRegistry(Protocol):
    """Runs and model versions as MLflow keeps them; the database decides, this mirrors.

    `start` and `register` give None where the registry is away and may be missed, and raise RegistryAway where it may
    not. For a run that is None nothing is kept.
    """

    def open(self) -> None:
        """May be called ahead of the first use, which is slow."""
        ...

    def start(self, cycle: Cycle, params: Mapping[str, object]) -> str | None: ...
    def metrics(self, run_id: str | None, figures: Mapping[str, float], step: int) -> None: ...
    def artifact(self, run_id: str | None, name: str, content: bytes) -> None: ...
    def register(self, run_id: str | None, model: ModelVersion, content: bytes) -> str | None: ...
    def alias(self, model: ModelVersion, name: Literal["champion", "candidate"]) -> None: ...
    def finish(self, run_id: str | None, succeeded: bool) -> None: ...
