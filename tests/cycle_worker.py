"""The retrain cycle as the service runs it, in a process that can be killed at any of its steps.

Database, blobs, controller and succession are the real ones. What stands in for others: training and inference (the
workshop, which writes its scratch files and checkpoints as the real one does), the deployment (a line in a file) and
MLflow (lines in a file: its client takes seconds to connect, and every process here would).
"""

import json
import os
import random
import signal
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

# As the gate does, late, at 0.7 s: here, so that the process from which workers are forked has it.
import scipy.stats  # noqa: F401

from loop.cycle.controller import Controller, CycleSettings
from loop.cycle.label_check import LabelChecks
from loop.cycle.label_errors import LabelErrors
from loop.cycle.references import References
from loop.cycle.succession import Succession
from loop.cycle.telling import Telling
from loop.cycle.work import Progress, TrainedWeights, TrainingJob
from loop.domain import ports
from loop.domain.identity import digest_of, new_id
from loop.domain.item import Item, Split
from loop.domain.model import ModelHead, ModelVersion, Promotion
from loop.domain.prediction import Detection, Inference, Prediction
from loop.domain.routing import Action, Decision, Policy
from loop.domain.truth import GroundTruth, Shape
from loop.models.rollouts import Rollouts
from loop.models.versions import Models
from loop.projects import Projects
from loop.review.asking import Asking
from loop.store.blobs import FsspecBlobs, StagedBlob
from loop.store.database import SqlStore
from tests.examining import Examines
from training.gate_clauses import GateSettings
from training.head import read_head

LABELS = ("circle", "square", "bar")
PROJECT = "shapes"
POLICY = Policy(version=1, threshold=0.5, audit_rate=0.1, score_threshold=0.25, failure_iou=0.5, lease_seconds=60)
BOX = (1.0, 1.0, 9.0, 9.0)
EPOCHS, EPOCH_SECONDS = 3, 0.03
GOLDEN, TRAIN = 24, 12
BLIND, SEEING = 0, 1


def salted(weights: bytes, salt: int) -> bytes:
    """The same model in another file, for each salt below 2**64: blanks after the header, which safetensors ignores."""
    size = int.from_bytes(weights[:8], "little")
    header = weights[8 : 8 + size].rstrip()
    padded = header + b" " * (-len(header) % 8) + f"{salt:064b}".translate({48: " ", 49: "\n"}).encode()
    return len(padded).to_bytes(8, "little") + padded + weights[8 + size :]


def salt_of(weights: bytes) -> int:
    size = int.from_bytes(weights[:8], "little")
    return int(weights[8 + size - 64 : 8 + size].decode().translate({32: "0", 10: "1"}), 2)


@dataclass(frozen=True)
class Points:
    """What the process passes on its way, a line each. stop_at: number of the line where it kills itself; 0: none."""

    file: Path
    stop_at: int = 0

    def __call__(self, name: str) -> None:
        _append(self.file, name)
        if self.stop_at and len(self.lines()) == self.stop_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def lines(self) -> list[str]:
        return self.file.read_text().splitlines() if self.file.exists() else []


@dataclass(frozen=True)
class Site:
    """Where everything lies. stop_at: see Points."""

    url: str
    folder: Path
    stop_at: int = 0

    @cached_property
    def points(self) -> Points:
        return Points(self.folder / "points", self.stop_at)

    @property
    def scratch(self) -> Path:
        return self.folder / "cycles"

    @property
    def served(self) -> Path:
        """The ids of the models that were deployed, in their order."""
        return self.folder / "served"

    @property
    def blind(self) -> Path:
        """While this file is there, what is trained finds nothing."""
        return self.folder / "blind"

    @property
    def weights(self) -> Path:
        return self.folder / "tiny.safetensors"


class WatchedStore(SqlStore):
    """Passes a point before and after each commit. points: set when it was opened."""

    points: Points

    @contextmanager
    def begin(self) -> Iterator[ports.Transaction]:
        with super().begin() as tx:
            yield tx
            self.points("written, not committed")
        self.points("committed")


class WatchedBlobs(FsspecBlobs):
    points: Points

    def stage(self, content: bytes) -> StagedBlob:
        staged = super().stage(content)
        self.points("blob staged")
        return staged

    def put(self, content: bytes) -> str:
        key = super().put(content)
        self.points("blob kept")
        return key


@dataclass(frozen=True)
class Bench(Examines):
    """A workshop. A checkpoint is gone on with, as in training/train.py; a training that is done again ends in other
    weights, as on a GPU."""

    site: Site
    blobs: FsspecBlobs

    def train(self, job: TrainingJob, progress: Progress) -> TrainedWeights:
        folder = self.site.scratch / job.cycle_id
        (folder / "images").mkdir(parents=True, exist_ok=True)
        for entry in job.train:
            (folder / "images" / entry.digest).write_bytes(self.blobs.get(entry.digest))
        self.site.points("training: images written")
        checkpoint = folder / "last.json"
        at = json.loads(checkpoint.read_text()) if checkpoint.exists() else {"epoch": 0, "curves": []}
        while at["epoch"] < EPOCHS:
            time.sleep(EPOCH_SECONDS)
            at["epoch"] += 1
            figures = {"epoch": at["epoch"], "loss": 1 / at["epoch"]}
            at["curves"].append(figures)
            (folder / "last.json.partial").write_text(json.dumps(at))
            self.site.points("training: checkpoint half written")
            (folder / "last.json.partial").replace(checkpoint)
            progress(at["epoch"] / EPOCHS, figures)
            self.site.points("training: epoch done")
        content = salted(self.site.weights.read_bytes(), self._drawn())
        return TrainedWeights(content, read_head(content), {}, at["curves"])

    def _drawn(self) -> int:
        return 2 * random.SystemRandom().randrange(1, 2**60) + (BLIND if self.site.blind.exists() else SEEING)

    def infer(self, weights_key: str, image_keys: Sequence[str], progress: Progress) -> list[Inference]:
        sees = salt_of(self.blobs.get(weights_key)) % 2 == SEEING
        time.sleep(0.01)
        self.site.points("inference: under way")
        progress(1.0, {})
        return [_inference(sees, key) for key in image_keys]

    def clean(self, cycle_id: str) -> None:
        folder = self.site.scratch / cycle_id
        for file in sorted(folder.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        self.site.points("scratch files emptied")
        if folder.exists():
            folder.rmdir()

    def left(self) -> Collection[str]:
        return [folder.name for folder in self.site.scratch.iterdir()] if self.site.scratch.exists() else []


def _inference(sees: bool, key: str) -> Inference:
    count = int(sees)
    embedding = np.random.default_rng(int(key[:8], 16)).normal(size=4).astype(np.float32)
    return Inference(
        boxes=np.array([BOX][:count], np.float32).reshape(-1, 4),
        scores=np.full(count, 0.9, np.float32),
        classes=np.zeros(count, np.int64),
        class_scores=np.tile(np.array([[0.9, 0.0, 0.0]], np.float32), (count, 1)),
        embedding=embedding / np.linalg.norm(embedding),
    )


@dataclass(frozen=True)
class Ledger:
    """A registry of runs: one line of JSON for each thing that is kept, found again by what it is about."""

    site: Site

    @property
    def file(self) -> Path:
        return self.site.folder / "registry.jsonl"

    def lines(self, kind: str) -> list[dict[str, Any]]:
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return [line for line in map(json.loads, lines) if line["kind"] == kind]

    def _keep(self, kind: str, **told: object) -> None:
        _append(self.file, json.dumps({"kind": kind, **told}))
        self.site.points(f"registry: {kind}")

    def open(self) -> None: ...

    def run_of(self, project: str, cycle_id: str, begun_at: datetime) -> str:
        run_id = f"run of {cycle_id}"
        if all(line["run"] != run_id for line in self.lines("start")):
            self._keep("start", run=run_id)
        return run_id

    def describe(self, run_id: str, params: Mapping[str, object], tags: Mapping[str, str]) -> None:
        self._keep("describe", run=run_id, params=params, tags=tags)

    def log_metrics(self, run_id: str, figures: Mapping[str, float], step: int, at: datetime) -> None:
        self._keep("metrics", run=run_id, figures=figures, step=step, at=at.isoformat())

    def log_artifact_bytes(self, run_id: str, name: str, content: bytes) -> None:
        self._keep("artifact", run=run_id, name=name)

    def register(
        self, project: str, run_id: str, weights: bytes, digest: str, head: ModelHead, tags: Mapping[str, str]
    ) -> str:
        if all(line["digest"] != digest for line in self.lines("register")):
            self._keep("register", run=run_id, digest=digest, tags=dict(tags))
        return digest

    def set_aliases(self, project: str, versions: Mapping[str, str | None]) -> None:
        self._keep("aliases", versions=versions)

    def finish(self, run_id: str, status: str, at: datetime) -> None:
        self._keep("finish", run=run_id, status=status)


def _append(file: Path, line: str) -> None:
    """One write, so that a kill leaves whole lines."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


@dataclass(frozen=True)
class Service:
    site: Site
    store: SqlStore
    blobs: FsspecBlobs
    projects: Projects
    models: Models
    rollouts: Rollouts
    controller: Controller
    succession: Succession
    telling: Telling

    def deploy(self, model: ModelVersion) -> None:
        self.blobs.get(model.digest)
        time.sleep(0.01)
        self.site.points("deployment under way")
        _append(self.site.served, model.id)
        self.site.points("deployed")

    def start(self) -> None:
        """As serving/fleet.py does: what the database says is brought up."""
        with self.store.read() as tx:
            for project in tx.projects.all():
                if project.champion_id:
                    self.deploy(tx.models.get(project.id, project.champion_id))
        self.telling.open()

    def step(self) -> bool:
        """One turn of the loops of serving/background.py. Whether there was something to do."""
        due = self.succession.due(())
        for asked in due:
            assert isinstance(asked, Promotion)
            self.succession.settle(asked, self.deploy)
        with self.store.read() as tx:
            unfinished = tx.cycles.unfinished()
        for cycle in unfinished:
            self.controller.advance(cycle)
        self.controller.tidy()
        told = self.telling.advance()
        return bool(due or unfinished or told)


def open_site(site: Site) -> Service:
    store = WatchedStore.open(site.url)
    blobs = WatchedBlobs.open(str(site.folder / "blobs"))
    assert isinstance(store, WatchedStore) and isinstance(blobs, WatchedBlobs)
    store.points = blobs.points = site.points
    bench = Bench(site, blobs)
    models, rollouts = Models(store, blobs, read_head, _now, os.urandom), Rollouts(store, _now, os.urandom)
    references = References(store, blobs, bench, val_share=0.2, limit=50)
    settings = CycleSettings(
        training={"epochs": EPOCHS},
        gate=GateSettings(resamples=100),
        gate_seed=0,
        val_share=0.2,
        replay_limit=50,
        drift_reference=30,
    )
    asking = Asking(store, blobs.has, _now, os.urandom)
    checks = LabelChecks(store, blobs, LabelErrors(store, blobs), asking)
    controller = Controller(
        store=store, blobs=blobs, models=models, rollouts=rollouts, references=references, workshop=bench,
        settings=settings, clock=_now, entropy=os.urandom, check_labels=checks.before_training,
    )  # fmt: skip
    succession = Succession(store, blobs, read_head, references, _now)
    telling = Telling(store, blobs, Ledger(site), _now)
    return Service(site, store, blobs, Projects(store, POLICY, _now), models, rollouts, controller, succession, telling)


def furnished(url: str, folder: Path, weights: bytes) -> Service:
    """A project with a champion that finds nothing, and images with ground truth. weights: of LABELS."""
    site = Site(url, folder)
    site.weights.write_bytes(weights)
    made = open_site(site)
    made.projects.create(PROJECT, LABELS)
    for number in range(GOLDEN + TRAIN):
        add_image(made, number, Split.GOLDEN if number < GOLDEN else Split.TRAIN)
    made.models.register(PROJECT, salted(weights, BLIND), "ada")
    while made.step():
        pass
    return made


def add_image(
    service: Service,
    number: int,
    split: Split | None,
    shapes: tuple[Shape, ...] = (Shape("circle", BOX),),
    group: str = "",
) -> None:
    digest = service.blobs.put(_image(number))
    item = Item(
        project_id=PROJECT, digest=digest, media_type="image/png", width=64, height=64, created_at=_now(), split=split,
        group=group,
    )  # fmt: skip
    truth = GroundTruth(
        project_id=PROJECT, item_digest=digest, version=1, shapes=shapes, submission_ids=(), origin="import",
        created_at=_now(),
    )  # fmt: skip
    with service.store.begin() as tx:
        tx.items.add(item)
        tx.truths.add(truth)


def add_prediction(service: Service, number: int, model_id: str) -> None:
    """A sure model sees a circle in this image."""
    digest, now = digest_of(_image(number)), _now()
    decision = Decision(
        action=Action.ACCEPT, stage=None, risk=0.0, threshold=POLICY.threshold, policy_version=POLICY.version,
        audit_rate=POLICY.audit_rate, audit_drawn=False, inclusion_probability=POLICY.audit_rate, reasons=(),
    )  # fmt: skip
    prediction = Prediction(
        id=new_id("pred", now, os.urandom(10)), project_id=PROJECT, item_digest=digest, model_id=model_id,
        detections=(Detection("circle", 0.9, BOX),), embedding=np.ones(4, np.float32), signals={}, decision=decision,
        created_at=now, created_by="ada",
    )  # fmt: skip
    with service.store.begin() as tx:
        tx.predictions.add(prediction)


def _image(number: int) -> bytes:
    return f"image {number}".encode()


def _now() -> datetime:
    return datetime.now(UTC)


def work(site: Site) -> None:
    """Until nothing is left to do."""
    service = open_site(site)
    service.start()
    while service.step():
        pass
    service.store.close()
