"""`askance up`: local Ray, Ray Serve, and the loop that works off promotions and cycles.

All state lives in the database, the blob store and the registry. This process may be killed at any moment; the
next start deploys the champions of the database and goes on with unfinished cycles at the step that was cut.
"""

import errno
import fcntl
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from loop.controller import Controller
from loop.domain.access import Role
from loop.domain.errors import AskanceError, Conflict, PortInUse, Unauthenticated
from loop.domain.model import ModelVersion
from loop.settings import Settings
from loop.wiring import Services, wire

log = logging.getLogger("askance.serving")

OPERATOR_TOKEN = "operator.token"  # noqa: S105 - the name of a file
_RECONCILE_SECONDS = 0.25
# Logical cores: tokens that Ray places replicas and tasks by, while the operating system shares the real ones. The
# embedded service must find room for every project's champion, a swap and a training on a machine of any size.
_FEWEST_RAY_CPUS = 64


def quiet_environment() -> None:
    """No telemetry, and no address but loopback, unless the user has set it otherwise. Before ray is imported."""
    defaults = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_SERVE_LOG_TO_STDERR": "0",
        "RAY_DEDUP_LOGS": "0",
        # Ray would give way to every other program (15); serving does not, the tasks of a cycle do (training.launch).
        "RAY_worker_niceness": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        "YOLO_AUTOINSTALL": "false",
        "YOLO_OFFLINE": "true",
        "YOLO_VERBOSE": "false",
        "OMP_NUM_THREADS": str(os.cpu_count() or 1),
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def operator_token(settings: Settings, services: Services) -> str:
    """The operator's secret, kept in data_dir with mode 0600; made anew where there is none that this database knows
    (the first start, another database, a revoked token)."""
    path = settings.data_dir / OPERATOR_TOKEN
    secret = path.read_text().strip() if path.is_file() else ""
    try:
        services.administration.authenticate(secret)
    except Unauthenticated:
        _, secret = services.administration.create_token("operator", Role.OPERATOR, None)
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    return secret


@contextmanager
def running(settings: Settings) -> Iterator[Services]:
    """The whole service, from the first import of Ray to its last process. Raises PortInUse, Conflict."""
    require_free_port(settings.server.host, settings.server.port)
    with only_one(settings.data_dir):
        quiet_environment()
        import ray
        from ray import serve

        from serving.deployments import RayInferencer, deploy_gateway

        cpus = settings.serving.ray_cpus or max(os.cpu_count() or 1, _FEWEST_RAY_CPUS)
        ray.init(
            address="local",
            num_cpus=cpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        try:
            serve.start(
                proxy_location="HeadOnly",
                http_options={"host": settings.server.host, "port": settings.server.port},
            )
            services = wire(settings, RayInferencer(settings.limits.request_timeout_s))
            worker = _Worker(settings, services)
            worker.deploy_champions()
            deploy_gateway(settings)
            worker.start()
            try:
                yield services
            finally:
                worker.stop()
        finally:
            serve.shutdown()
            ray.shutdown()


class _Worker:
    """Two threads beside the service: promotions (seconds) and cycles (minutes), so that a hand-made
    promotion or rollback never waits for a training."""

    def __init__(self, settings: Settings, services: Services) -> None:
        self._settings = settings
        self._services = services
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name=name, daemon=True)
            for name, work in (("promotions", self._promotions), ("cycles", self._cycles))
        ]
        # The first look at MLflow takes seconds; it need not be the first cycle that waits for them.
        self._threads.append(threading.Thread(target=self._open_registry, name="registry", daemon=True))

    def deploy_champions(self) -> None:
        """Bring up what the database says serves; a model that cannot start leaves its project answering 503."""
        for model in self._champions():
            try:
                self._deploy(model)
            except Exception:
                log.exception("the champion %s of %s could not be started", model.id, model.project_id)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def _open_registry(self) -> None:
        try:
            self._services.controller.registry.open()
        except AskanceError as error:
            log.warning("%s", error)

    def _run(self, work: Callable[[Controller], None]) -> None:
        while not self._stop.wait(_RECONCILE_SECONDS):
            try:
                work(self._services.controller)
            except Exception:
                # The store may be away for a while; what is queued stays queued.
                log.exception("the %s loop met an error and goes on", threading.current_thread().name)
                self._stop.wait(2.0)

    def _promotions(self, controller: Controller) -> None:
        with self._services.store.read() as tx:
            queued = tx.promotions.queued()
        for promotion in queued:
            controller.settle(promotion, self._deploy, self._stop.is_set)
        if queued:
            self._retire_unused()

    def _cycles(self, controller: Controller) -> None:
        with self._services.store.read() as tx:
            unfinished = tx.cycles.unfinished()
        for cycle in unfinished:
            if self._stop.is_set():
                return
            controller.advance(cycle, self._stop.is_set)

    def _deploy(self, model: ModelVersion) -> None:
        from serving.deployments import deploy_detector

        deploy_detector(self._settings, model.digest)

    def _retire_unused(self) -> None:
        """Stop detectors that no project points to, once requests that hold their handle are answered."""
        from serving.deployments import application_name, deployed_detectors, retire_detector

        self._stop.wait(self._settings.limits.request_timeout_s / 10)
        wanted = {application_name(model.digest) for model in self._champions()}
        with self._services.store.read() as tx:
            known = {m.digest for p in tx.projects.all() for m in tx.models.all(p.id)}
        running = deployed_detectors()
        for digest in known:
            name = application_name(digest)
            if name in running and name not in wanted:
                retire_detector(digest)

    def _champions(self) -> list[ModelVersion]:
        with self._services.store.read() as tx:
            return [tx.models.get(p.id, p.champion_id) for p in tx.projects.all() if p.champion_id is not None]


def require_free_port(host: str, port: int) -> None:
    """Raises PortInUse where another program listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                what = f"port {port} on {host} is taken by another program."
            else:
                what = f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}."
            hint = "Stop that program, or choose another: askance up --port 8001 (or ASKANCE_SERVER__PORT)."
            raise PortInUse(what, hint=hint, port=port) from None


@contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Two services on one data folder would fight over it; the lock goes with the process, however it ends."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "up.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Conflict(
                f"a service is running on {data_dir} already.",
                hint="Stop it, or choose another folder: ASKANCE_DATA_DIR=....",
            ) from None
        yield


def configure_logging(level: int = logging.INFO) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger("askance").handlers = [handler]
    logging.getLogger("askance").setLevel(level)
