"""Detectors in real Ray Serve applications: own processes per model, processes that models share, models that break."""

import asyncio
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from loop.domain.errors import ModelGone, Unavailable
from loop.domain.model import ModelVersion
from loop.settings import Settings, load_settings
from loop.store.blobs import FsspecBlobs
from tests.api.conftest import picture
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
    """Two models, one process that keeps one of them loaded: each answers for itself, whichever was asked last."""
    from serving.deployments import deploy_detector, deployed_detectors, retire_detector

    own = settings_of(folder)
    shared = settings_of(folder, SHARED_REPLICAS="1", MODELS_PER_REPLICA="1")
    models = [model_of(shared, tiny_weights()), model_of(shared, tiny_weights(seed=1))]
    for model in models:
        deploy_detector(shared, model, ())
    assert deployed_detectors() == {"det-shared"}
    together = [embeddings(shared, model)[0] for model in (*models, *models)]
    retire_detector("det-shared")
    for model, seen, again in zip(models, together[:2], together[2:], strict=True):
        deploy_detector(own, model, ())
        assert np.allclose(seen, embeddings(own, model)[0], atol=1e-5)
        assert np.allclose(seen, again)
    for name in deployed_detectors():
        retire_detector(name)


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
    """The process that tried it is gone, and what it chose is there for the replicas."""
    from serving.deployments import deployed_detectors
    from serving.rehearsal import rehearse

    settings = settings_of(folder, RUNTIME="onnx")
    rehearse(settings, model_of(settings, tiny_weights(seed=2)), ())
    assert not deployed_detectors()
    assert any("serving by onnx" in choice.read_text() for choice in (folder / "runtimes").glob("*/choice.json"))


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


def test_a_process_that_dies_while_it_tries_a_model_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the system does it where memory runs out."""
    from serving import rehearsal

    def dies(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(rehearsal, "_tried", dies)
    settings = settings_of(folder)
    with pytest.raises(Unavailable, match=r"the process that tried it ended .*memory"):
        rehearsal.rehearse(settings, model_of(settings, tiny_weights()), ())
