"""How long candidate and champion take for an image: by turns, on the runtime that would serve them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loop.cycle.latency import has_answered, latency_told, seconds_of
from loop.cycle.work import Examined, Latency, Subject, Timing
from loop.domain.errors import AskanceError, Conflict, CycleFailed, Unavailable
from loop.domain.model import ModelVersion
from loop.launching import workshop
from loop.launching.workshop import RayWorkshop
from loop.settings import Settings, load_settings
from loop.store.blobs import FsspecBlobs
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


# --- as a cycle keeps it ---------------------------------------------------------------------------

TIMING = Timing(["a", "b", "c"], ["d"])
MEASURED = Examined([], [Latency("openvino fp32", 0.01, 0.02), Latency("openvino fp32", 0.02, 0.04)])


def test_what_is_kept_is_what_the_gates_clause_asks_for() -> None:
    """First the champion, in seconds; nothing where not both were measured."""
    told = latency_told(("candidate", "champion"), TIMING, MEASURED)
    assert told["images"] == 3 and told["candidate"] == {"runtime": "openvino fp32", "median": 0.01, "p90": 0.02}
    assert seconds_of(told) == (0.02, 0.01) and has_answered(told)
    alone = latency_told(("candidate",), TIMING, replace(MEASURED, latency=MEASURED.latency[:1]))
    assert seconds_of(alone) is None and has_answered(alone)
    assert seconds_of({}) is None


def test_what_was_not_measured_says_why_and_has_not_answered() -> None:
    assert latency_told(("candidate",), TIMING, Examined([], unmeasured="no GPU.")) == {"unmeasured": "no GPU."}
    assert latency_told(("candidate",), None, Examined([])) == {}
    assert not has_answered({"unmeasured": "no GPU."}) and not has_answered({}) and not has_answered(None)


# --- for real --------------------------------------------------------------------------------------


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    environ = {
        "ASKANCE_DATA_DIR": str(tmp_path), "ASKANCE_SERVING__RUNTIME": "onnx", "ASKANCE_SERVING__PRECISION": "fp32",
        "ASKANCE_SERVING__THREADS": "1",
    }  # fmt: skip
    return load_settings(environ=environ)


def test_models_are_examined_in_one_process_and_timed_as_they_would_be_served(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What each finds on its own images; then its latency by the runtime that its own serving options and the settings
    choose, which is remembered for serving."""
    processes: list[Any] = []

    def here(function: Any, **given: Any) -> Any:
        processes.append(function)
        return _here(function, **given)

    monkeypatch.setattr(workshop, "run_in_ray", here)
    blobs = FsspecBlobs.open(settings.blobs_url)
    keys = [blobs.put(picture(seed)) for seed in range(4)]
    served = ({}, {"runtime": "torch"})
    made = [_version(blobs.put(tiny_weights(seed=seed)), own) for seed, own in enumerate(served)]
    shares: list[float] = []
    subjects = [Subject(made[0], keys), Subject(made[1], keys[1:])]
    works = RayWorkshop(settings, blobs)
    found = works.examine(subjects, Timing(keys, keys), lambda share, _: shares.append(share))
    assert len(processes) == 1
    assert [one.runtime for one in found.latency] == ["onnx fp32", "torch fp32"]
    assert all(0 < one.median <= one.p90 < 10 for one in found.latency)
    assert shares[-1] == pytest.approx(1.0) and shares == sorted(shares)
    assert any((settings.data_dir / "runtimes").iterdir())
    for subject, inferences in zip(subjects, found.inferences, strict=True):
        alone = works.infer(subject.model.digest, subject.image_keys, lambda share, _: None)
        assert [one.boxes.tolist() for one in inferences] == [one.boxes.tolist() for one in alone]


class Ends:
    """The process ends with an error once it has handed over so many parts."""

    def __init__(self, parts: int, error: AskanceError) -> None:
        self.parts, self.error = parts, error

    def __call__(self, function: Any, *, on_part: Any, **given: Any) -> Any:
        for _ in range(self.parts):
            on_part([])
        raise self.error


@pytest.mark.parametrize("error", [Unavailable("no GPU.", hint="Add one."), CycleFailed("it died.", hint="Again.")])
def test_what_was_found_is_kept_where_nothing_could_be_timed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, error: AskanceError
) -> None:
    """Even where the process died of it; what keeps a model from being judged is raised."""
    subjects = [Subject(a_model(1), []), Subject(a_model(0), [])]
    works = RayWorkshop(settings, FsspecBlobs.open(settings.blobs_url))
    monkeypatch.setattr(workshop, "run_in_ray", Ends(2, error))
    assert works.examine(subjects, TIMING, _ignored) == Examined([[], []], unmeasured=error.detail)
    monkeypatch.setattr(workshop, "run_in_ray", Ends(1, error))
    with pytest.raises(type(error)):
        works.examine(subjects, TIMING, _ignored)


def test_a_cycle_that_is_cancelled_while_models_are_timed_stops(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workshop, "run_in_ray", Ends(1, Conflict("cancelled.", hint="")))
    with pytest.raises(Conflict):
        works = RayWorkshop(settings, FsspecBlobs.open(settings.blobs_url))
        works.examine([Subject(a_model(), [])], TIMING, _ignored)


def _ignored(share: float, figures: object) -> None: ...


def _here(
    function: Any,
    *,
    on_progress: Any,
    num_cpus: float,
    num_gpus: float,
    anywhere: bool,
    on_part: Any = None,
    begin: Any = None,
    on_begun: Any = None,
    **given: Any,
) -> Any:
    if on_part is not None:
        given["hand_over"] = on_part
    return function(progress=on_progress, **given)


def _version(weights: str, serving: dict[str, object]) -> ModelVersion:
    return replace(a_model(), digest=weights, serving=serving)
