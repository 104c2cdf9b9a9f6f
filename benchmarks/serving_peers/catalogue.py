"""The peers, and how each is started. With its usual runtime and its own batching, or given our runtime."""

import os
import sys
from collections.abc import Callable

from rich.console import Console

from benchmarks.service.load import multipart
from benchmarks.service.systems import Peer, Setup
from benchmarks.serving_peers.environments import BENTOML, LITSERVE, ROBOFLOW
from benchmarks.serving_peers.roboflow_package import package
from serving.transport import free_ports

Make = Callable[[Setup, str, Console], Peer]

JPEG = (("Content-Type", "image/jpeg"),)


def _name(name: str, detector: str) -> str:
    return name if detector == "usual" else f"{name} given our runtime"


def litserve(setup: Setup, detector: str, console: Console) -> Peer:
    command = [LITSERVE.python(console), "-m", "benchmarks.serving_peers.litserve_app"]
    return Peer(
        _name("LitServe", detector), setup, command, path="/predict", detector=detector, port=free_ports(1)[0],
        frame=multipart("request"),
    )  # fmt: skip


def bentoml(setup: Setup, detector: str, console: Console) -> Peer:
    (port,) = free_ports(1)
    command = [
        BENTOML.python(console), "-m", "bentoml", "serve", "benchmarks.serving_peers.bentoml_app:Cells",
        "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    return Peer(
        _name("BentoML", detector), setup, command, path="/predict", detector=detector, port=port,
        frame=multipart("images"), environment={"BENTOML_DO_NOT_TRACK": "True"},
    )  # fmt: skip


def ray_serve(setup: Setup, detector: str, console: Console) -> Peer:
    return _ray("Ray Serve", setup, detector, {})


def ray_serve_with_flags(setup: Setup, detector: str, console: Console) -> Peer:
    statistics, figures = free_ports(2)
    flags = {
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        # Others than those of the service under test, which stands beside it.
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(figures),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(statistics),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": "33000",
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": "34000",
    }
    return _ray("Ray Serve with flags and HAProxy", setup, detector, flags)


def _ray(name: str, setup: Setup, detector: str, environment: dict[str, str]) -> Peer:
    (port,) = free_ports(1)
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": str(os.cpu_count() or 1), "RAY_worker_niceness": "0"}
    return Peer(
        _name(name, detector), setup, [sys.executable, "-m", "benchmarks.serving_peers.ray_app"], path="/",
        detector=detector, port=port, frame=(JPEG, b"", b""), environment={**quiet, **environment},
    )  # fmt: skip


def roboflow(setup: Setup, detector: str, console: Console) -> Peer:
    """Its own ONNX runtime only; pictures travel as base64 in JSON, as its client sends them."""
    folder = package(setup.weights, setup.weights.parent / f"roboflow-{setup.size}")
    frame = (
        (("Content-Type", "application/json"),),
        b'{"model_id": "%b", "confidence": 0.25, "image": {"type": "base64", "value": "' % str(folder).encode(),
        b'"}}',
    )
    command = [ROBOFLOW.python(console), "-m", "benchmarks.serving_peers.roboflow_app"]
    return Peer(
        "Roboflow inference", setup, command, path="/infer/object_detection", detector=detector, port=free_ports(1)[0],
        frame=frame, base64=True,
    )  # fmt: skip


# By the name that --only takes: its maker, and the detector it serves.
PEERS: dict[str, tuple[Make, str]] = {
    "litserve": (litserve, "usual"),
    "bentoml": (bentoml, "usual"),
    "ray": (ray_serve, "usual"),
    "roboflow": (roboflow, "usual"),
    "litserve-ours": (litserve, "ours"),
    "bentoml-ours": (bentoml, "ours"),
    "ray-ours": (ray_serve, "ours"),
    "ray-flags-ours": (ray_serve_with_flags, "ours"),
}
