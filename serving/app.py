"""`askance up`: Ray (local, or a cluster that is there), Ray Serve, and what goes on beside the requests.

All state lives in the database, the blob store and the registry. This process may be killed at any moment; the
next start deploys the champions of the database and goes on with unfinished cycles at the step that was cut.
"""

import errno
import fcntl
import io
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from loop.domain.access import Role
from loop.domain.errors import AskanceError, Conflict, PortInUse, Unauthenticated, Unavailable
from loop.settings import ServingSettings, Settings
from loop.wiring import Services, wire
from serving.backends.runtimes import AUTO, candidates
from serving.background import Worker
from serving.hosts import hosts, require_shared_state
from serving.line import clear
from serving.priority import give_places
from serving.transport import LIBRARIES, set_environment, use_handles_in_threads

log = logging.getLogger("askance.serving")

OPERATOR_TOKEN = "operator.token"  # noqa: S105 - the name of a file
# Logical cores: tokens that Ray places replicas and tasks by, while the operating system shares the real ones. The
# embedded service must find room for every project's champion, a swap and a training on a machine of any size.
_FEWEST_RAY_CPUS = 64


def operator_token(settings: Settings, services: Services) -> str:
    """The operator's secret, kept in data_dir with mode 0600; made anew where there is none that this database knows
    (the first start, another database, a revoked token)."""
    path = settings.data_dir / OPERATOR_TOKEN
    secret = path.read_text().strip() if path.is_file() else ""
    try:
        services.tokens.authenticate(secret)
    except Unauthenticated:
        _, secret = services.tokens.create("operator", Role.OPERATOR, None, again=True)
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    return secret


@contextmanager
def running(settings: Settings, ending: Callable[[], bool] = lambda: False) -> Iterator[Services]:
    """The whole service, from the first import of Ray to its last process; on a cluster, what of it is Askance's.
    ending: whether it is to end already, so that models are waited for no longer. API and page answer before the models
    do. Raises PortInUse, Conflict; Unavailable where the cluster does not answer, SettingsError where it, or the
    runtime of models, cannot be used."""
    alone = settings.serving.ray_address is None
    if alone:
        require_free_port(settings.server.host, settings.server.port)
        require_runtime(settings.serving)
    with only_one(settings.data_dir):
        set_environment(settings)
        import ray

        with _own_end():
            begin_ray(settings)
        use_handles_in_threads()  # after Ray's processes were started, before ray.serve is imported here
        from ray import serve

        from serving.deployments import RayInferencer, deploy_gateway, withdraw
        from serving.detectors import lines_folder

        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        try:
            if not alone and not serve.status().proxies:
                require_free_port(settings.server.host, settings.server.port)
            serve.start(
                proxy_location="HeadOnly" if alone else "EveryNode",
                http_options={"host": settings.server.host, "port": settings.server.port},
            )
            try:
                services = wire(settings, RayInferencer(settings))
                services.gates.set_closing(closing=False)
                worker = Worker(settings, services, ending)
                deploy_gateway(settings)
                worker.fleet.deploy_serving()
                give_places()
                worker.start()
                try:
                    yield services
                finally:
                    _send_home(services)
                    worker.stop()
            finally:
                if alone:
                    with _last_words_of_ray():
                        serve.shutdown()
                    if (lines := lines_folder(settings)) is not None:
                        clear(lines)
                else:
                    withdraw()
        finally:
            with _last_words_of_ray():
                ray.shutdown()


def _send_home(services: Services) -> None:
    """Calls that wait for a person get what they get without one: gateways are not waited for as long as that."""
    try:
        services.gates.set_closing(closing=True)
    except AskanceError as error:
        log.warning("calls that wait for people are cut: %s", error)


@contextmanager
def _last_words_of_ray() -> Iterator[None]:
    """While it ends, Ray prints to standard output that calls of its own were cut short, which is how it ends."""
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            yield
    finally:
        if said.getvalue():
            log.debug("Ray ended: %s", said.getvalue().strip())


@contextmanager
def _own_end() -> Iterator[None]:
    """Ray, where it is initialised, takes SIGTERM for itself and ends the process on the spot; whoever handles it here
    goes on doing so, and nothing is left behind on a cluster."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if callable(handler) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def begin_ray(settings: Settings) -> None:
    """Start the local Ray, or join the cluster of the settings. Raises Unavailable, SettingsError."""
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    address = settings.serving.ray_address
    if address is None:
        cpus = settings.serving.ray_cpus or max(os.cpu_count() or 1, _FEWEST_RAY_CPUS)
        ray.init(
            address="local",
            num_cpus=cpus,
            include_dashboard=False,
            **quiet,
        )
        return
    try:
        ray.init(address=address, runtime_env={"env_vars": dict(LIBRARIES)}, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise Unavailable(
            f"no Ray cluster answers at {address}: {error}",
            hint="Run this on a node of the cluster (ray status), with its RAY_AUTH_MODE and token, or unset "
            "serving.ray_address.",
        ) from error
    try:
        require_shared_state(settings, hosts())
    except BaseException:
        ray.shutdown()
        raise


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


def require_runtime(asked: ServingSettings) -> None:
    """Raises SettingsError where this machine has no such runtime, or not in that precision. Of a cluster each node
    finds out by itself."""
    if (asked.runtime, asked.precision) != (AUTO, AUTO):
        candidates(asked.runtime, asked.precision, asked.device)


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
