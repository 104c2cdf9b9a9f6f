"""`askance up`: Ray (local, or a cluster that is there), Ray Serve, and the loop that works off promotions and cycles.

All state lives in the database, the blob store and the registry. This process may be killed at any moment; the
next start deploys the champions of the database and goes on with unfinished cycles at the step that was cut.
"""

import errno
import fcntl
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from loop import loaded
from loop.cycle.controller import Controller
from loop.cycle.latency import has_answered
from loop.domain.access import Role
from loop.domain.cycle import Cycle, Step
from loop.domain.errors import AskanceError, Conflict, PortInUse, Unauthenticated, Unavailable
from loop.domain.model import ModelVersion, Promotion, PromotionKind
from loop.domain.ports import Store
from loop.domain.rollout import Rollout
from loop.items.lists import catch_up
from loop.settings import Settings, serving_of
from loop.wiring import Services, wire
from serving.hosts import hosts, require_shared_state
from serving.line import clear
from serving.priority import BORN_AT, give_places, give_way
from serving.transport import LIBRARIES, set_environment, use_handles_in_threads

log = logging.getLogger("askance.serving")

Value = TypeVar("Value")

OPERATOR_TOKEN = "operator.token"  # noqa: S105 - the name of a file
# On a small machine an idle service should not be felt.
_RECONCILE_SECONDS = 0.5
_WORK_SECONDS = 1.0  # for what takes minutes anyway
_RETIRE_SECONDS = 2.0
_LOOK_AGAIN_SECONDS = 60.0
_LEARN_SECONDS = 20.0
_DEADLINE_SECONDS = 5.0  # deadlines of tasks are minutes and more
_GATE_SECONDS = 1.0  # those of callers who wait are seconds
_TIDY_SECONDS = 600.0
_DRIFT_SECONDS = 20.0  # from one look whether a window is full to the next
# Logical cores: tokens that Ray places replicas and tasks by, while the operating system shares the real ones. The
# embedded service must find room for every project's champion, a swap and a training on a machine of any size.
_FEWEST_RAY_CPUS = 64


def operator_token(settings: Settings, services: Services) -> str:
    """The operator's secret, kept in data_dir with mode 0600; made anew where there is none that this database knows
    (the first start, another database, a revoked token)."""
    path = settings.data_dir / OPERATOR_TOKEN
    secret = path.read_text().strip() if path.is_file() else ""
    try:
        services.administration.authenticate(secret)
    except Unauthenticated:
        _, secret = services.administration.create_token("operator", Role.OPERATOR, None, again=True)
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
    """The whole service, from the first import of Ray to its last process; on a cluster, what of it is Askance's.
    Raises PortInUse, Conflict; Unavailable where the cluster does not answer, SettingsError where it cannot be used."""
    alone = settings.serving.ray_address is None
    if alone:
        require_free_port(settings.server.host, settings.server.port)
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
                worker = Worker(settings, services)
                worker.deploy_models()
                deploy_gateway(settings)
                give_places()
                worker.start()
                try:
                    yield services
                finally:
                    _send_home(services)
                    worker.stop()
            finally:
                if alone:
                    serve.shutdown()
                    if (lines := lines_folder(settings)) is not None:
                        clear(lines)
                else:
                    withdraw()
        finally:
            ray.shutdown()


def _send_home(services: Services) -> None:
    """Calls that wait for a person get what they get without one: gateways are not waited for as long as that."""
    try:
        services.gates.set_closing(closing=True)
    except AskanceError as error:
        log.warning("calls that wait for people are cut: %s", error)


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


class Worker:
    """Threads beside the service. Promotions and rollouts take seconds, cycles minutes; a first model with many
    imported images waits for its reference set. Rollbacks therefore have a thread that takes nothing else."""

    def __init__(self, settings: Settings, services: Services) -> None:
        self._settings = settings
        self._services = services
        self._stop = threading.Event()
        self._under_way: set[str] = set()
        self._rehearsed: set[str] = set()  # names of applications
        self._leaving: set[str] = set()  # applications whose place a new one takes
        self._settled = threading.Event()  # something that served may be of no use any more
        self._only_needed: set[str] | None = None  # applications, when last nothing else was deployed
        self._taking = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        awaited: list[tuple[str, Callable[[Controller], bool], float]] = [
            ("rollbacks", _giving_way(partial(self._settle_next, _is_rollback), _A_LITTLE), _RECONCILE_SECONDS),
            ("promotions", _giving_way(partial(self._settle_next, lambda _: True), _A_LITTLE), _RECONCILE_SECONDS),
            ("cycles", _giving_way(self._cycles), _RECONCILE_SECONDS),
            ("annotations", _giving_way(self._annotations), _WORK_SECONDS),
            ("maps", _giving_way(self._maps), _WORK_SECONDS),
        ]
        loops: list[tuple[str, Callable[[Controller], object], float]] = [
            *((name, when_written(services.store, look), pause) for name, look, pause in awaited),
            ("retirements", _giving_way(self._retire_unused), _RETIRE_SECONDS),
            ("absent models", self._bring_back, _LOOK_AGAIN_SECONDS),
            ("risk", _giving_way(self._learn_risk), _LEARN_SECONDS),
            ("guarantee", _giving_way(self._keep_promises), _DEADLINE_SECONDS),
            ("canaries", _giving_way(self._judge_canaries), _DEADLINE_SECONDS),
            ("webhooks", _giving_way(self._send_webhooks), _WORK_SECONDS),
            ("drift", _giving_way(self._look_for_drift), _DRIFT_SECONDS),
            ("triggers", _giving_way(self._pull_triggers), _DRIFT_SECONDS),
            ("figures of production", _giving_way(self._tell_production), _DRIFT_SECONDS),
            ("deadlines", _giving_way(self._sound_alarms), _DEADLINE_SECONDS),
            ("lists of items", _giving_way(self._follow_items), _GATE_SECONDS),
            ("waiting callers", _giving_way(self._put_back), _GATE_SECONDS),
            ("answers", _giving_way(self._follow_answers), _DEADLINE_SECONDS),
            ("work to be done anew", _giving_way(self._do_anew), _DEADLINE_SECONDS),
            ("maps that grow", _giving_way(self._follow_maps), _LOOK_AGAIN_SECONDS),
            *((f"functions {n}", self._functions, _WORK_SECONDS) for n in range(settings.functions.at_once)),
            ("functions' leavings", _giving_way(self._tidy_functions), _TIDY_SECONDS),
        ]
        self._threads = [
            threading.Thread(target=self._run, args=(work, pause), name=name, daemon=True)
            for name, work, pause in loops
        ]
        # The first look at MLflow takes seconds; it need not be the first cycle that waits for them.
        self._threads.append(threading.Thread(target=self._open_registry, name="registry", daemon=True))

    def deploy_models(self) -> None:
        """Bring up what the database says serves; a model that cannot start leaves its project answering 503 and is
        tried again."""
        for model in self._serving():
            self._try(model)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._settled.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def _open_registry(self) -> None:
        try:
            self._services.controller.registry.open()
            self._services.succession.mirror_champions()
        except AskanceError as error:
            log.warning("%s", error)

    def _run(self, work: Callable[[Controller], object], pause_s: float) -> None:
        while not self._stop.wait(pause_s):
            try:
                work(self._services.controller)
            except Exception:
                # The store may be away for a while; what is queued stays queued.
                log.exception("the %s loop met an error and goes on", threading.current_thread().name)
                self._stop.wait(2.0)

    def _settle_next(self, mine: Callable[[Promotion | Rollout], bool], _: Controller) -> bool:
        """Whether there was one."""
        succession = self._services.succession
        with self._taking:
            due = [asked for asked in succession.due(self._under_way) if mine(asked)]
            if due:
                self._under_way.add(due[0].id)
        if not due:
            return False
        asked = due[0]
        try:
            if isinstance(asked, Rollout):
                succession.settle_rollout(asked, self._introduce, self._stop.is_set)
            else:
                succession.settle(asked, self._introduce, self._stop.is_set)
        finally:
            self._under_way.discard(asked.id)
            self._settled.set()
        return True

    def _bring_back(self, _: Controller) -> None:
        """Now and then: a model that should serve and does not (it failed at the start, its options were mended)."""
        give_places()  # to what was started again
        from serving.deployments import application_name, deployed_detectors

        running = deployed_detectors()
        for model in self._serving():
            if application_name(self._settings, model) not in running:
                self._try(model)

    def _learn_risk(self, _: Controller) -> None:
        """From what people have reviewed since."""
        self._services.risks.refit_due()

    def _keep_promises(self, _: Controller) -> None:
        """With what people have answered since."""
        self._services.guarantee.look_due()

    def _judge_canaries(self, _: Controller) -> None:
        """By what people have answered since."""
        self._services.canaries.look()

    def _send_webhooks(self, _: Controller) -> None:
        """Until the service stops."""
        self._services.dispatcher.run(self._stop)

    def _pull_triggers(self, _: Controller) -> None:
        """Of projects that retrain by themselves."""
        self._services.triggers.look()

    def _look_for_drift(self, _: Controller) -> None:
        """In the predictions since the last look."""
        self._services.drift.look_due()

    def _tell_production(self, _: Controller) -> None:
        """How good it is, for /metrics."""
        self._services.production.refresh()

    def _sound_alarms(self, _: Controller) -> None:
        """Of tasks that are not done when they are due, also where nobody leases."""
        self._services.escalation.sound()

    def _put_back(self, _: Controller) -> None:
        """What callers waited for until now, to where it is without them."""
        self._services.gates.put_back()

    def _follow_items(self, _: Controller) -> None:
        """For who asks for some not to wait while their lists learn what has changed."""
        catch_up(self._services.store)

    def _follow_answers(self, _: Controller) -> None:
        """Through quality assurance and lots, also where nobody leases or answers."""
        self._services.rework.free_lapsed()
        self._services.lots.advance_all()

    def _do_anew(self, _: Controller) -> None:
        """What people decided who have been paused since."""
        while self._services.standings.redo() and not self._stop.is_set():
            pass

    def _maps(self, _: Controller) -> bool:
        """Whether there was one to draw."""
        return self._services.maps.advance(self._stop.is_set)

    def _follow_maps(self, _: Controller) -> None:
        self._services.maps.follow()

    def _functions(self, _: Controller) -> None:
        """That events call; they run elsewhere, and this waits for them."""
        while not self._stop.is_set() and self._services.function_queue.advance(self._stop.is_set):
            pass

    def _tidy_functions(self, _: Controller) -> None:
        self._services.function_queue.tidy()

    def _try(self, model: ModelVersion) -> None:
        try:
            self._deploy(model)
        except Exception:
            log.exception("%s of %s should serve and could not be started", model.id, model.project_id)

    def _cycles(self, controller: Controller) -> bool:
        """Whether there was one that has not ended. One step of each after the other, and at once the next ones; what
        waits is looked at again later."""
        moved, unfinished = True, []
        while moved and not self._stop.is_set():
            with self._services.store.read() as tx:
                unfinished = tx.cycles.unfinished()
            moved = False
            for cycle in unfinished:
                moved |= self._advanced(controller, cycle)
        controller.tidy()
        return bool(unfinished)

    def _advanced(self, controller: Controller, cycle: Cycle) -> bool:
        """Whether it has come to another step."""
        if self._stop.is_set():
            return False
        after = controller.advance(cycle, self._stop.is_set)
        if cycle.step is Step.EVALUATE and has_answered(after.evaluation.get("latency")):
            self._need_no_rehearsal(after)
        return after.step is not cycle.step

    def _need_no_rehearsal(self, cycle: Cycle) -> None:
        """Its candidate was opened as it would serve, in a process of its own, compared and asked, and its runtime is
        kept: the cycle has rehearsed it."""
        from serving.deployments import application_name

        with self._services.store.read() as tx:
            candidate = tx.models.get(cycle.project_id, str(cycle.candidate_id))
        self._rehearsed.add(application_name(self._settings, candidate))

    def _annotations(self, _: Controller) -> bool:
        """Whether there was one that has not ended."""
        with self._services.store.read() as tx:
            unfinished = tx.annotations.unfinished()
        for job in unfinished:
            if self._stop.is_set():
                break
            self._services.annotator.advance(job, self._stop.is_set)
        return bool(unfinished)

    def _introduce(self, model: ModelVersion) -> None:
        """Deploy what may never have run here: tried first, unless it was since this service began. There was room for
        that beside what is on standby, whose end, which takes seconds, is then only waited for where it has to be."""
        from serving.deployments import application_name, deployed_detectors

        name = application_name(self._settings, model)
        if name not in self._rehearsed and name not in deployed_detectors():  # which costs 30 ms to ask
            self._rehearse(model)
        running = deployed_detectors()
        if name in running or serving_of(self._settings, model.serving).num_gpus:
            return self._deploy(model)
        standby = running - self._needed(timedelta(0))
        self._let_go(standby)
        try:
            self._start(model)
        except Unavailable:
            if not standby:
                raise
            self._retire(standby, timedelta(0))
            self._start(model)

    def _rehearse(self, model: ModelVersion) -> None:
        """Beside the model on standby, which a refusal then leaves there; without it where both do not fit."""
        from serving.rehearsal import ProcessEnded, rehearse

        images = self._images_of(model.project_id)
        if serving_of(self._settings, model.serving).num_gpus:
            self._make_room()
        try:
            rehearse(self._settings, model, images)
        except ProcessEnded:
            self._make_room()
            rehearse(self._settings, model, images)

    def _deploy(self, model: ModelVersion) -> None:
        from serving.deployments import application_name, deployed_detectors

        if application_name(self._settings, model) not in deployed_detectors():
            self._make_room()
        self._start(model)

    def _start(self, model: ModelVersion) -> None:
        from serving.deployments import application_name, deploy_detector

        name = application_name(self._settings, model)
        with self._lock_of(name):
            deploy_detector(self._settings, model, self._images_of(model.project_id))
        self._rehearsed.add(name)

    def _let_go(self, applications: set[str]) -> None:
        """They are retired, if nothing needs them by then; nobody waits for it."""
        with self._taking:
            self._leaving |= applications
        self._settled.set()

    def _make_room(self) -> None:
        """What starts may need the memory, or the GPU, of what is on standby."""
        from serving.deployments import deployed_detectors

        self._retire(deployed_detectors(), standby=timedelta(0))

    def _lock_of(self, application: str) -> threading.Lock:
        """An application is deployed or retired by one thread at a time: one that is about to serve must not be found
        running by its deployment and then be retired as unused."""
        with self._taking:
            return self._locks.setdefault(application, threading.Lock())

    def _images_of(self, project_id: str) -> list[str]:
        wanted = self._settings.parity.calibration_images
        return loaded.newest_images(self._services.store, self._services.blobs, project_id, wanted)

    def _retire_unused(self, _: Controller) -> None:
        """Stop detectors that are of no use any more, once requests that hold their handle are answered. In a thread of
        its own: nobody waits for what is done with."""
        # Rollouts and standby end by themselves, so it looks now and then; but asking Ray Serve costs 30 ms of CPU.
        settled = self._settled.wait(_LOOK_AGAIN_SECONDS / 4)
        if self._stop.is_set():
            return
        self._settled.clear()
        from serving.deployments import deployed_detectors

        with self._taking:
            leaving, self._leaving = self._leaving, set()
        self._retire(leaving, timedelta(0))
        standby = timedelta(seconds=self._settings.serving.standby_seconds)
        needed = self._needed(standby)
        if not settled and needed == self._only_needed:
            return
        if deployed_detectors() - needed:
            self._stop.wait(self._settings.limits.request_timeout_s / 10)
            self._retire(deployed_detectors(), standby)
        self._only_needed = needed

    def _retire(self, running: set[str], standby: timedelta) -> None:
        """Those of no use any more; returns when they are gone."""
        from serving.deployments import retire_detector

        for name in running:
            with self._lock_of(name):
                if name not in self._needed(standby):
                    retire_detector(name)

    def _needed(self, standby: timedelta) -> set[str]:
        """Applications whose models have to be loaded."""
        from serving.deployments import application_name

        with self._services.store.read() as tx:
            models = loaded.needed(tx, self._services.clock(), standby)
        return {application_name(self._settings, model) for model in models}

    def _serving(self) -> list[ModelVersion]:
        with self._services.store.read() as tx:
            return loaded.serving(tx)


def when_written(store: Store, look: Callable[[Controller], bool]) -> Callable[[Controller], None]:
    """Looks only where something may be new: the revision has risen since a look that found nothing."""
    idle_at: int | None = None

    def look_or_not(controller: Controller) -> None:
        nonlocal idle_at
        revision = store.revision()
        if revision != idle_at:
            idle_at = None if look(controller) else revision

    return look_or_not


# Of niceness. Swaps and rollbacks are in a hurry: a model that harms may be what keeps the machine busy.
_A_LITTLE = 5


def _giving_way(work: Callable[[Controller], Value], steps: int = BORN_AT) -> Callable[[Controller], Value]:
    """The same in a thread that comes after what serves."""

    def later(controller: Controller) -> Value:
        give_way(steps)
        return work(controller)

    return later


def _is_rollback(asked: Promotion | Rollout) -> bool:
    return isinstance(asked, Promotion) and asked.kind is PromotionKind.ROLLBACK


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
