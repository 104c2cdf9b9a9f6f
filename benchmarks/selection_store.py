"""A selection as `askance select` makes it: pool from the database, images looked for, choice, tasks."""

import os
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import Figure, at_most, reading
from loop.domain.item import Item
from loop.domain.model import ModelHead, ModelVersion
from loop.domain.prediction import Detection, Prediction
from loop.domain.routing import Action, Decision
from loop.selecting.picks import Wish
from loop.settings import Settings, load_settings
from loop.wiring import open_blobs, open_store, projects_of, wire

PROJECT = "street"
LABELS = tuple(f"class-{number}" for number in range(20))
SIDE = 640
_BATCH = 5_000
_BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
_SIGNALS = (
    "count", "least_confidence", "mean_entropy", "max_entropy", "sum_class_entropy", "least_margin",
    "near_threshold_mass", "anomaly_p", "smallest_box", "largest_box", "largest_rarity", "sum_rarity",
    "sum_least_confidence", "max_class_entropy", "sum_margin",
)  # fmt: skip


def selection_figures(points: NDArray[np.float32], picked: int) -> Iterator[Figure]:
    """points: (n, d), the embeddings of as many predicted images, three detections each."""
    with tempfile.TemporaryDirectory(prefix="askance-bench-") as folder:
        settings = load_settings(environ={"ASKANCE_DATA_DIR": folder})
        _fill(settings, points)
        selector = wire(settings, None).selector  # type: ignore[arg-type]  # nothing is predicted
        begun, cpu = time.perf_counter(), time.process_time()
        selected = selector.select(PROJECT, Wish(budget=picked, seed=1), actor="benchmark")
        wall, used = time.perf_counter() - begun, time.process_time() - cpu
        if len(selected.picks) != picked or not all(pick.task_id for pick in selected.picks):
            raise RuntimeError(f"{len(selected.picks)} of {picked} were chosen")
        what = f"a selection of {picked:,} of {len(points):,} from the database, with tasks"
        yield at_most(what, wall, 60.0, "s", 1)
        yield reading(f"{what}: CPU", used, "s", 1)


def _fill(settings: Settings, points: NDArray[np.float32]) -> None:
    store, rng = open_store(settings), np.random.default_rng(0)
    projects_of(settings, store).create(PROJECT, LABELS)
    head = ModelHead(
        backend="ultralytics", architecture={}, labels=LABELS, image_size=64, embedding_dim=points.shape[1]
    )
    model = ModelVersion(
        id="model_1", project_id=PROJECT, digest="0" * 64, head=head, origin="registered", cycle_id=None,
        reference_key=None, created_at=_BEGUN,
    )  # fmt: skip
    with store.begin() as tx:
        tx.models.add(model)
        assert tx.projects.move_champion(PROJECT, expected=None, to="model_1")
    for begin in range(0, len(points), _BATCH):
        numbers = range(begin, min(begin + _BATCH, len(points)))
        with store.begin() as tx:
            tx.items.add_all([_item(number) for number in numbers])
            tx.predictions.add_all([_prediction(number, points[number], rng) for number in numbers])
    _images(Path(settings.data_dir), len(points), open_blobs(settings).put(b"an image"))


def _images(data_dir: Path, count: int, example: str) -> None:
    """Empty files where images lie: whether they are kept is all that is asked."""
    (found,) = data_dir.rglob(example)
    folder = found.parent.parent
    for prefix in range(256):
        (folder / f"{prefix:02x}").mkdir(exist_ok=True)
    for number in range(count):
        os.close(os.open(folder / _digest(number)[:2] / _digest(number), os.O_CREAT | os.O_WRONLY))


def _digest(number: int) -> str:
    """Spread over folders as those of images are."""
    return f"{number % 256:02x}{number:062x}"


def _at(number: int) -> datetime:
    return _BEGUN + timedelta(seconds=number)


def _item(number: int) -> Item:
    return Item(
        project_id=PROJECT, digest=_digest(number), media_type="image/png", width=SIDE, height=SIDE,
        created_at=_at(number), source=f"camera-{number % 5}",
    )  # fmt: skip


def _prediction(number: int, embedding: NDArray[np.float32], rng: np.random.Generator) -> Prediction:
    decision = Decision(
        action=Action.ACCEPT, stage=None, risk=float(rng.uniform()), threshold=1.0, policy_version=1, audit_rate=0.0,
        audit_drawn=False, inclusion_probability=1.0, reasons=(),
    )  # fmt: skip
    scores, classes = np.sort(rng.uniform(0.25, 1.0, 3).astype(np.float32))[::-1], rng.integers(0, len(LABELS), 3)
    corners = rng.uniform(0.0, SIDE / 2, (3, 2)).astype(np.float32)
    detections = tuple(
        Detection(
            LABELS[kind], float(score), (float(x), float(y), float(x + 90), float(y + 90)), round(float(score), 4)
        )
        for kind, score, (x, y) in zip(classes, scores, corners, strict=True)
    )
    signals = dict(zip(_SIGNALS, rng.uniform(size=len(_SIGNALS)).tolist(), strict=True))
    return Prediction(
        id=f"pred_{number:08}", project_id=PROJECT, item_digest=_digest(number), model_id="model_1",
        detections=detections, embedding=embedding, signals=signals,
        decision=decision, created_at=_at(number), created_by="tok_1",
    )  # fmt: skip
