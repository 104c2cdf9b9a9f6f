"""How long candidate and champion take for an image: by turns, on the runtime that would serve them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loop import workshop
from loop.cycle_work import Latency
from loop.domain.errors import Conflict, Unavailable
from loop.domain.model import ModelVersion
from loop.latency import Stopwatch, seconds_of
from loop.settings import load_settings
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from loop.workshop import RayWorkshop
from serving.backends.latency import interleaved
from tests.api.conftest import picture
from tests.contract.records import a_model
from tests.tiny_models import tiny_weights

IMAGES = [np.full((4, 4, 3), number, dtype=np.uint8) for number in range(6)]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Taking:
    """A detector that takes so long for an image, and more the first times."""

    def __init__(self, name: str, clock: Clock, log: list[tuple[str, int]], seconds: float) -> None:
        self.name, self.clock, self.log, self.seconds, self.cold = name, clock, log, seconds, 3

    def predict(self, images: Sequence[np.ndarray], *, score_floor: float) -> list[Any]:
        (image,) = images
        self.log.append((self.name, int(image[0, 0, 0])))
        self.clock.now += self.seconds + (10.0 if self.cold > 0 else 0.0)
        self.cold -= 1
        return []


def test_each_image_goes_to_both_by_turns_and_the_first_ones_do_not_count() -> None:
    """What slows the machine down meets both; who is first changes from image to image; nothing counts that is cold."""
    clock, log = Clock(), []
    both = [Taking("a", clock, log, 0.25), Taking("b", clock, log, 0.5)]
    shares: list[float] = []
    seconds = interleaved(both, IMAGES, score_floor=0.05, clock=clock, went_on=shares.append)  # type: ignore[arg-type]
    assert seconds.tolist() == [[0.25] * 6, [0.5] * 6]
    warm = log[6:]
    assert [image for _, image in warm] == [image for image in range(6) for _ in both]
    assert [name for name, _ in warm] == ["a", "b", "b", "a"] * 3
    assert shares[-1] == 1.0 and shares == sorted(shares)


def test_without_images_nothing_is_measured() -> None:
    assert interleaved([], [], score_floor=0.05).shape == (0, 0)


# --- in a cycle ------------------------------------------------------------------------------------


class Bench:
    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.asked = error, []

    def latency(self, models: Any, image_keys: Any, choose_by: Any, progress: Any) -> list[Latency]:
        self.asked.append((list(models), list(image_keys), list(choose_by)))
        if self.error:
            raise self.error
        return [Latency("openvino fp32", 0.01 * (1 + i), 0.02 * (1 + i)) for i, _ in enumerate(models)]


@pytest.fixture
def store(tmp_path: Path, sqlite_template: Path) -> SqlStore:
    copied = tmp_path / "askance.db"
    copied.write_bytes(sqlite_template.read_bytes())
    return SqlStore.open(f"sqlite:///{copied}")


MODELS = {"candidate": a_model(1), "champion": a_model(0)}


def timed(store: SqlStore, tmp_path: Path, bench: Bench, images: int = 3) -> dict[str, object]:
    blobs = FsspecBlobs.open(str(tmp_path / "blobs"))
    watch = Stopwatch(store, blobs, bench, images, 10)  # type: ignore[arg-type]
    return watch.of(MODELS, ["a", "b", "c", "d"], lambda share, figures: None)


def test_both_are_measured_in_one_run_on_as_many_images_as_are_wanted(store: SqlStore, tmp_path: Path) -> None:
    """What comes of it is what the gate's clause asks for: first the champion."""
    bench = Bench()
    told = timed(store, tmp_path, bench)
    assert bench.asked == [([a_model(1), a_model(0)], ["a", "b", "c"], [])]
    assert told["images"] == 3 and told["candidate"] == {"runtime": "openvino fp32", "median": 0.01, "p90": 0.02}
    assert seconds_of(told) == (0.02, 0.01)
    assert seconds_of({}) is None and seconds_of({"candidate": told["candidate"]}) is None
    assert timed(store, tmp_path, bench, images=0) == {} and len(bench.asked) == 1


def test_what_cannot_be_measured_says_why_and_a_cancelled_cycle_stops(store: SqlStore, tmp_path: Path) -> None:
    assert timed(store, tmp_path, Bench(Unavailable("no GPU.", hint="Add one."))) == {"unmeasured": "no GPU."}
    with pytest.raises(Conflict):
        timed(store, tmp_path, Bench(Conflict("cancelled.", hint="")))


# --- for real --------------------------------------------------------------------------------------


def test_models_are_timed_as_they_would_be_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by the runtime that its own serving options and the settings choose, which is remembered for serving."""
    monkeypatch.setattr(workshop, "run_in_ray", _here)
    environ = {
        "ASKANCE_DATA_DIR": str(tmp_path), "ASKANCE_SERVING__RUNTIME": "onnx", "ASKANCE_SERVING__PRECISION": "fp32",
        "ASKANCE_SERVING__THREADS": "1",
    }  # fmt: skip
    settings = load_settings(environ=environ)
    blobs = FsspecBlobs.open(settings.blobs_url)
    keys = [blobs.put(picture(seed)) for seed in range(4)]
    served = ({}, {"runtime": "torch"})
    made = [_version(blobs.put(tiny_weights(seed=seed)), own) for seed, own in enumerate(served)]
    shares: list[float] = []
    found = RayWorkshop(settings, blobs).latency(made, keys, keys, lambda share, _: shares.append(share))
    assert [one.runtime for one in found] == ["onnx fp32", "torch fp32"]
    assert all(0 < one.median <= one.p90 < 10 for one in found)
    assert shares[-1] == 1.0 and any((tmp_path / "runtimes").iterdir())


def _here(function: Any, *, on_progress: Any, num_cpus: float, num_gpus: float, **given: Any) -> Any:
    return function(progress=on_progress, **given)


def _version(weights: str, serving: dict[str, object]) -> ModelVersion:
    return replace(a_model(), digest=weights, serving=serving)
