"""Detectors in real Ray Serve applications: own processes per model, processes that models share, models that break."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from loop.domain.errors import ModelGone, NoPlace, Unavailable
from loop.domain.item import ImageFacts
from loop.domain.model import ModelVersion
from loop.domain.prediction import Inference
from loop.settings import Settings, load_settings
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from loop.wiring import projects_of, utc_now
from serving import detectors
from serving.image_queue import ImageQueue
from serving.memory_watch import MemoryWatch, Place
from tests.api.conftest import picture
from tests.test_dispatching import until
from tests.tiny_models import tiny_weights
from training.head import metadata_of, read_head

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Ray of its own, and the data folder of the settings."""
    import ray

    folder = tmp_path_factory.mktemp("data")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(address="local", num_cpus=16, include_dashboard=False, log_to_driver=False, configure_logging=False)
    from ray import serve

    serve.start(proxy_location="Disabled")
    yield folder
    serve.shutdown()
    ray.shutdown()


def settings_of(folder: Path, **serving: str) -> Settings:
    # One runtime: which of them is the fastest is another test's question.
    chosen = {"RUNTIME": "torch"} | serving
    return load_settings(
        environ={"ASKANCE_DATA_DIR": str(folder), **{f"ASKANCE_SERVING__{k}": v for k, v in chosen.items()}}
    )


def model_of(settings: Settings, weights: bytes) -> ModelVersion:
    digest = FsspecBlobs.open(settings.blobs_url).put(weights)
    return ModelVersion(
        id=f"model_{digest[:8]}",
        project_id="p",
        digest=digest,
        head=read_head(weights),
        origin="registered",
        cycle_id=None,
        reference_key=None,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def embeddings(settings: Settings, *models: ModelVersion) -> list[np.ndarray]:
    """What each model sees in one picture, asked at the same time."""
    from serving.deployments import RayInferencer

    async def ask() -> list[np.ndarray]:
        inferencer = RayInferencer(settings)
        deadline = asyncio.get_running_loop().time() + 60.0
        answers = await asyncio.gather(*(inferencer.infer(model, picture(), deadline) for model in models))
        return [answer.inference.embedding for answer in answers]

    return asyncio.run(ask())


def broken(weights: bytes) -> bytes:
    """The same model with weights so large that its answers are infinite, though each of them is finite."""
    tensors = {
        name: np.full_like(tensor, 1e30) if tensor.dtype == np.float32 and tensor.ndim == 4 else tensor
        for name, tensor in safetensors.numpy.load(weights).items()
    }
    content: bytes = safetensors.numpy.save(tensors, metadata=metadata_of(weights))
    return content


def test_each_model_has_an_application_of_its_own(folder: Path) -> None:
    """Named by its weights and options: other options are another application, the same ones are found running."""
    from serving.deployments import application_name, deploy_detector, deployed_detectors, retire_detector

    settings = settings_of(folder)
    one = model_of(settings, tiny_weights())
    configured = replace(one, serving={"max_ongoing_requests": 8})
    other = model_of(settings, tiny_weights(seed=1))
    for model in (one, configured, other, one):
        deploy_detector(settings, model, ())
    names = {application_name(settings, model) for model in (one, configured, other)}
    assert len(names) == 3
    assert deployed_detectors() == names
    seen = embeddings(settings, one, configured, other)
    assert np.allclose(seen[0], seen[1])
    assert not np.allclose(seen[0], seen[2])
    for name in names:
        retire_detector(name)
    with pytest.raises(ModelGone):
        embeddings(settings, one)


def test_applications_are_made_while_others_are_asked_for(folder: Path) -> None:
    """The loops beside the service do both, in threads of their own; Ray Serve by itself mixes them up."""
    from serving.deployments import deploy_detector, deployed_detectors, gateway_application, retire_detector

    settings = settings_of(folder)
    deploy_detector(settings, model_of(settings, tiny_weights()), ())
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(lambda: [deployed_detectors() for _ in range(60)])
        while not asked.done():
            gateway_application(settings)
        (running,) = {frozenset(found) for found in asked.result()}
    for name in running:
        retire_detector(name)


def test_models_may_share_processes(folder: Path) -> None:
    """Two models, one process that keeps one of them loaded: each answers for itself, whichever was asked last. Ray
    Serve can ask it for its health."""
    from ray import serve

    from serving.deployments import deploy_detector, deployed_detectors, retire_detector

    own = settings_of(folder)
    shared = settings_of(folder, SHARED_REPLICAS="1", MODELS_PER_REPLICA="1")
    models = [model_of(shared, tiny_weights()), model_of(shared, tiny_weights(seed=1))]
    for model in models:
        deploy_detector(shared, model, ())
    assert deployed_detectors() == {"det-shared"}
    together = [embeddings(shared, model)[0] for model in (*models, *models)]
    assert serve.get_app_handle("det-shared").check_health.remote().result(timeout_s=60) is None
    retire_detector("det-shared")
    for model, seen, again in zip(models, together[:2], together[2:], strict=True):
        deploy_detector(own, model, ())
        assert np.allclose(seen, embeddings(own, model)[0], atol=1e-5)
        assert np.allclose(seen, again)
    for name in deployed_detectors():
        retire_detector(name)


class Loaded:
    """A model of a shared process: it answers, fails with `error`, or hangs behind a closed door."""

    labels, embedding_dim, streams, batch = ("thing",), 2, 1, 1

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None
        self.door, self.inside = threading.Event(), threading.Event()
        self.door.set()

    def predict(self, images: Sequence[np.ndarray], *, score_floor: float) -> list[Inference]:
        self.asked += 1
        self.inside.set()
        self.door.wait()
        if self.error is not None:
            raise self.error
        none = np.zeros((0, 4), dtype=np.float32)
        scores, classes = np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.int64)
        one = Inference(boxes=none, scores=scores, classes=classes, class_scores=none, embedding=scores)
        return [one] * len(images)


class Process:
    """A shared process without Ray, with models that were opened in it."""

    def __init__(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        self.models = {"a": Loaded(), "b": Loaded()}
        self.queues: dict[str, ImageQueue] = {}
        monkeypatch.setattr(detectors, "_PROVEN_SECONDS", -1.0)  # what has answered before says nothing
        monkeypatch.setattr(detectors, "open_images", lambda _settings, digest, _keys: self.queue_of(digest))
        self.process = detectors.shared_detectors(2)(settings)

    def queue_of(self, digest: str) -> ImageQueue:
        facts, pixels = ImageFacts(4, 4, "image/png"), np.zeros((4, 4, 3), dtype=np.uint8)
        self.queues[digest] = ImageQueue(
            self.models[digest], decode=lambda _: (facts, pixels), score_floor=0.05, batch_wait_s=0, decoders=1
        )
        return self.queues[digest]

    def open(self, *digests: str) -> None:
        for digest in digests:
            asyncio.run(self.process.opened(f"{digest} {{}}"))

    def check(self) -> None:
        asyncio.run(self.process.check_health())

    @property
    def asked(self) -> list[int]:
        return [model.asked for model in self.models.values()]


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    process = Process(settings_of(tmp_path), monkeypatch)
    yield process
    for queue in process.queues.values():
        queue.close()


def test_a_shared_process_is_as_healthy_as_the_model_that_was_silent_the_longest(process: Process) -> None:
    """So each has its turn; without a model it is healthy."""
    process.check()
    process.open("a", "b")
    for _ in range(4):
        process.check()
    assert process.asked == [2, 2]
    process.models["b"].error = Unavailable("its output is not finite.", hint="Roll back.")
    with pytest.raises(Unavailable, match="not finite"):
        for _ in range(2):
            process.check()


def test_a_shared_process_that_hangs_never_says_that_it_is_healthy(process: Process) -> None:
    """Until it goes on: Ray Serve's patience is shorter."""
    process.open("a")
    model = process.models["a"]
    model.door.clear()

    async def check() -> None:
        asked = asyncio.create_task(process.process.check_health())
        await asyncio.to_thread(model.inside.wait)
        assert not asked.done()
        model.door.set()
        await asked

    asyncio.run(check())


def test_a_model_that_was_unloaded_says_nothing_of_its_process(process: Process) -> None:
    """The next is asked in its place."""
    process.open("a", "b")
    process.queues["a"].close()
    process.check()
    assert process.asked == [0, 1]
    process.queues["b"].close()
    process.check()


def test_each_model_of_a_process_waits_for_company_and_decodes_by_its_own_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """batch_wait_ms: one waits for company, the other does not. decode_threads: three images are decoded at once."""
    together = threading.Barrier(3)

    def decode(content: bytes, **_: object) -> tuple[ImageFacts, np.ndarray]:
        if content == b"meets two others":
            together.wait(30)
        return ImageFacts(4, 4, "image/png"), np.zeros((4, 4, 3), dtype=np.uint8)

    batched = Loaded()
    batched.batch = 4
    monkeypatch.setattr(detectors, "decode_image", decode)
    monkeypatch.setattr(detectors, "fastest_detector", lambda *_, **__: batched)
    settings = settings_of(tmp_path, BATCH_WAIT_MS="0", DECODE_THREADS="1")
    digest = model_of(settings, tiny_weights()).digest
    process = detectors.shared_detectors(2)(settings)

    def opened(options: str) -> ImageQueue:
        images: ImageQueue = asyncio.run(process.opened(f"{digest} {options}"))
        return images

    patient, hasty, broad = opened('{"batch_wait_ms": 10000}'), opened("{}"), opened('{"decode_threads": 3}')
    waiting = patient.submit(b"", 60)
    assert hasty.submit(b"", 60).result(30)
    assert not waiting.done()  # its company is three more
    assert all(answer.result(30) for answer in [waiting, *(patient.submit(b"", 60) for _ in range(3))])
    assert all(answer.result(30) for answer in [broad.submit(b"meets two others", 30) for _ in range(3)])
    for images in (patient, hasty, broad):
        images.close()


@pytest.mark.parametrize("shared", ["0", "1"])
def test_a_model_that_answers_with_nan_never_serves(folder: Path, shared: str) -> None:
    """Its deployment fails with the reason, and leaves nothing behind that a request could reach."""
    from serving.deployments import deploy_detector, deployed_detectors, retire_detector

    settings = settings_of(folder, SHARED_REPLICAS=shared)
    with pytest.raises(Unavailable, match="not finite"):
        deploy_detector(settings, model_of(settings, broken(tiny_weights())), ())
    for name in deployed_detectors() & {"det-shared"}:
        retire_detector(name)
    assert not deployed_detectors()


def test_a_model_that_was_tried_starts_by_what_was_chosen_then(folder: Path) -> None:
    """What was chosen is there for the replicas."""
    from serving.deployments import deployed_detectors
    from serving.rehearsal import rehearse

    settings = settings_of(folder, RUNTIME="onnx")
    rehearse(settings, model_of(settings, tiny_weights(seed=2)), ())
    assert not deployed_detectors()
    assert any("serving by onnx" in choice.read_text() for choice in (folder / "runtimes").glob("*/choice.json"))


def test_models_are_tried_by_the_same_process_one_after_the_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken one, too: it starts and imports once, for so many trials. Its memory is watched during a trial, not
    between two."""
    from serving import rehearsal

    places: list[Place] = []
    threads: set[str] = set()

    class Noted(MemoryWatch):
        def begin(self, place: Place) -> None:
            places.append(place)
            super().begin(place)

        def over(self) -> None:
            threads.update(thread.name for thread in threading.enumerate() if thread.name.startswith("memory watch"))
            super().over()

    monkeypatch.setattr(rehearsal, "MemoryWatch", Noted)
    monkeypatch.setattr(rehearsal, "_TRIALS", 2)
    rehearsal._task.cache_clear()
    settings = settings_of(folder)
    with pytest.raises(Unavailable, match="not finite"):
        rehearsal.rehearse(settings, model_of(settings, broken(tiny_weights())), ())
    rehearsal.rehearse(settings, model_of(settings, tiny_weights(seed=3)), ())
    assert len({place.pid for place in places}) == 1 and len(places) == 2
    rehearsal.rehearse(settings, model_of(settings, tiny_weights(seed=4)), ())
    assert places[2].pid != places[1].pid, "so many trials are all of a process"
    assert threads
    until(lambda: not any(thread.name.startswith("memory watch") for thread in threading.enumerate()))


def test_a_broken_model_is_refused_when_it_is_tried(folder: Path) -> None:
    """With the model's own reason, and before anything of it is deployed."""
    from serving.deployments import deployed_detectors
    from serving.rehearsal import rehearse

    settings = settings_of(folder)
    with pytest.raises(Unavailable, match=r"could not be started: .*not finite"):
        rehearse(settings, model_of(settings, broken(tiny_weights())), ())
    incomplete = safetensors.numpy.load(tiny_weights())
    del incomplete[next(iter(incomplete))]
    partial = safetensors.numpy.save(incomplete, metadata=metadata_of(tiny_weights()))
    with pytest.raises(Unavailable, match="could not be started: the weights do not fit"):
        rehearse(settings, model_of(settings, partial), ())
    absent = replace(model_of(settings, tiny_weights()), digest="0" * 64)
    with pytest.raises(Unavailable, match="could not be started"):
        rehearse(settings, absent, ())
    assert not deployed_detectors()


@pytest.mark.parametrize("options", [{"NUM_GPUS": "1"}, {"NUM_CPUS": "17"}], ids=["a GPU", "more cores"])
def test_what_this_machine_cannot_place_is_refused_at_once(folder: Path, options: dict[str, str]) -> None:
    """Ray would wait for it without end, and the service with it; neither tried nor started."""
    from serving.deployments import deploy_detector, deployed_detectors
    from serving.rehearsal import rehearse

    settings = settings_of(folder, **options)
    model = model_of(settings, tiny_weights())
    for begin in (rehearse, deploy_detector):
        with pytest.raises(Unavailable, match="this machine has"):
            begin(settings, model, ())
    assert not deployed_detectors()


def test_a_model_that_serves_with_fewer_processes_than_it_should_is_told(
    folder: Path, store: SqlStore, caplog: pytest.LogCaptureFixture
) -> None:
    """It serves with those that found a place. Said once, by the second look, since what starts is short for a while;
    and when it has all of them."""
    from serving.deployments import application_name, deploy_detector, retire_detector, short_of_processes
    from serving.fleet import Fleet

    settings = settings_of(folder)
    model = replace(model_of(settings, tiny_weights()), serving={"num_cpus": 6.0, "detector_replicas": 3})
    projects_of(settings, store).create("p", ["circle"])
    with store.begin() as tx:
        tx.models.add(model)
        assert tx.projects.move_champion("p", expected=None, to=model.id)
    fleet = Fleet(settings, store, FsspecBlobs.open(settings.blobs_url), utc_now)
    with caplog.at_level("INFO", logger="askance.serving"):
        deploy_detector(settings, model, ())
        until(lambda: short_of_processes() == {application_name(settings, model): (2, 3)})
        for _ in range(3):
            fleet.tell_short()
        (told,) = [line for line in caplog.messages if "processes" in line]
        assert (
            f"{model.id} of p serves with 2 of 3 processes. Each reserves 6 CPUs, and Ray has 4 of 16 CPUs left" in told
        )
        assert len(embeddings(settings, model)) == 1
        caplog.clear()
        retire_detector(application_name(settings, model))
        fleet.tell_short()
        assert f"{model.id} has all of its processes." in caplog.messages


def test_where_others_have_all_places_that_is_told_in_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither tried nor started; what serves goes on, and whoever waits for a place has it once there is one."""
    from serving import rehearsal
    from serving.deployments import application_name, deploy_detector, deployed_detectors, retire_detector

    monkeypatch.setattr(rehearsal, "_PLACE_SECONDS", 1.0)
    settings = settings_of(folder)
    large = replace(model_of(settings, tiny_weights()), serving={"num_cpus": 15.75})
    further = model_of(settings, tiny_weights(seed=1))
    deploy_detector(settings, large, ())
    for begin in (rehearsal.rehearse, deploy_detector):
        begun = time.monotonic()
        with pytest.raises(NoPlace, match=r"It reserves 0\.5 CPUs; Ray has 0\.25 of 16 CPUs left") as caught:
            begin(settings, further, ())
        assert time.monotonic() - begun < 10
        assert "serving.ray_cpus" in caught.value.hint and "serving.shared_replicas" in caught.value.hint
    assert deployed_detectors() == {application_name(settings, large)}
    assert len(embeddings(settings, large)) == 1
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(lambda: deploy_detector(settings, further, (), patience_s=60.0))
        time.sleep(1.0)
        assert not waiting.done()
        retire_detector(application_name(settings, large))
        waiting.result(120)
    assert len(embeddings(settings, further)) == 1
    retire_detector(application_name(settings, further))


def test_whoever_waits_for_a_place_may_give_it_up(folder: Path) -> None:
    """As when the service is to end meanwhile."""
    from serving.deployments import application_name, deploy_detector, deployed_detectors, retire_detector

    settings = settings_of(folder)
    large = replace(model_of(settings, tiny_weights()), serving={"num_cpus": 15.75})
    deploy_detector(settings, large, ())
    begun = time.monotonic()
    with pytest.raises(Unavailable, match="the service ends"):
        deploy_detector(settings, model_of(settings, tiny_weights(seed=1)), (), lambda: True)
    assert time.monotonic() - begun < 30
    assert application_name(settings, large) in deployed_detectors()
    for name in deployed_detectors():
        retire_detector(name)


def test_a_model_that_nobody_waits_for_any_more_is_given_up(folder: Path) -> None:
    """As when the service is to end while it begins."""
    from serving.deployments import deploy_detector, deployed_detectors

    settings = settings_of(folder)
    with pytest.raises(Unavailable, match="the service ends"):
        deploy_detector(settings, model_of(settings, tiny_weights(seed=77)), (), lambda: True)
    deadline = time.monotonic() + 60
    while deployed_detectors() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not deployed_detectors()


def test_the_number_of_a_models_processes_follows_the_load_within_its_own_bounds(folder: Path) -> None:
    """Ray Serve is told them, and starts as many as there are to be at least."""
    from ray.serve.context import _get_global_client

    from serving.deployments import application_name, deploy_detector, retire_detector, short_of_processes

    settings = settings_of(folder)
    model = replace(model_of(settings, tiny_weights()), serving={"min_replicas": 2, "max_replicas": 3})
    name = application_name(settings, model)
    deploy_detector(settings, model, ())
    until(lambda: not short_of_processes())
    (deployment,) = _get_global_client().get_serve_details()["applications"][name]["deployments"].values()
    scaling = deployment["deployment_config"]["autoscaling_config"]
    assert (scaling["min_replicas"], scaling["max_replicas"]) == (2, 3)
    assert scaling["target_ongoing_requests"] == settings.serving.calls_in_flight
    assert len(deployment["replicas"]) == 2
    retire_detector(name)


def test_a_process_that_dies_while_it_tries_a_model_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the system does it where memory runs out."""
    from serving import rehearsal

    def dies(*asked: Any) -> Iterator[object]:
        from serving import rehearsal

        yield next(iter(rehearsal._tried(*asked)))
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(rehearsal, "_tried", dies)
    settings = settings_of(folder)
    with pytest.raises(Unavailable, match=r"the process that tried it ended .*memory"):
        rehearsal.rehearse(settings, model_of(settings, tiny_weights()), ())


def test_a_model_that_takes_too_much_memory_is_ended_and_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it still takes more: a thread that keeps Python to itself does not hide it. The reason names what it took,
    and the setting; what serves meanwhile answers on."""
    from serving import rehearsal
    from serving.deployments import application_name, deploy_detector, deployed_detectors, retire_detector
    from serving.memory import free

    def hoards(*_: object) -> None:
        hoard: list[bytes] = []
        while len(hoard) < 80:  # 4 GB, so that a machine on which nobody watches stays whole
            hoard.append(b"x" * 50_000_000)

    def tried(*asked: Any) -> Iterator[object]:
        from serving import rehearsal

        rehearsal.open_images = hoards  # type: ignore[assignment]  # in the process of the trial
        yield from rehearsal._tried(*asked)

    monkeypatch.setattr(rehearsal, "_tried", tried)
    settings = settings_of(folder)
    serving = model_of(settings, tiny_weights())
    deploy_detector(settings, serving, ())
    there = free()
    assert there is not None
    held = settings_of(folder, REHEARSAL_MEMORY=f"{1e9 / there:.6f}")
    with pytest.raises(rehearsal.ProcessEnded, match=r"could not be started: it took 1\.\d GB of memory") as caught:
        rehearsal.rehearse(held, model_of(settings, tiny_weights(seed=1)), ())
    assert "serving.rehearsal_memory" in caught.value.detail
    assert "serving.rehearsal_memory" in caught.value.hint
    assert deployed_detectors() == {application_name(settings, serving)}
    assert len(embeddings(settings, serving)) == 1
    retire_detector(application_name(settings, serving))
