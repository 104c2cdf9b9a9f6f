"""Which detectors run: what the database says serves is brought up, what is of no use any more is let go."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from loop.domain.errors import NoPlace, Unavailable
from loop.domain.model import ModelVersion
from loop.domain.ports import Blobs, Clock, Store
from loop.models import loaded
from loop.settings import Settings, serving_of, without_effect
from serving.priority import give_places

log = logging.getLogger("askance.serving")

# Rollouts and standby end by themselves, so what runs is looked at now and then.
_LOOK_AGAIN_SECONDS = 15.0


class Fleet:
    """Of one process. Its methods may be called by several threads."""

    def __init__(
        self, settings: Settings, store: Store, blobs: Blobs, clock: Clock, ending: Callable[[], bool] = lambda: False
    ) -> None:
        """ending: whether the service is to end, so that nobody waits for a model any more."""
        self._settings = settings
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._ending = ending
        self._closed = threading.Event()
        self._changed = threading.Event()  # something that served may be of no use any more
        self._rehearsed: set[str] = set()  # names of applications
        self._leaving: set[str] = set()  # applications whose place a new one takes
        self._only_needed: set[str] | None = None  # applications, when last nothing else was deployed
        self._short: Mapping[str, tuple[int, int]] = {}  # what was last seen to have too few processes
        self._told_short: dict[str, tuple[int, int]] = {}
        self._taking = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def close(self) -> None:
        """Whoever waits in `retire_unused` returns."""
        self._closed.set()
        self._changed.set()

    def deploy_serving(self) -> None:
        """Bring up what the database says serves; a model that cannot start leaves its project answering 503 and is
        tried again."""
        self._bring_up(self._serving())

    def bring_back(self) -> None:
        """A model that should serve and does not: it failed at the start, its options were mended."""
        give_places()  # to what was started again
        from serving.deployments import application_name, deployed_detectors

        running = deployed_detectors()
        self._bring_up(model for model in self._serving() if application_name(self._settings, model) not in running)

    def tell_short(self) -> None:
        """Say which models serve with fewer processes than they should: Ray waits for a place for the others without a
        word. Those that were short at the last look, too: one that has just been started is for some seconds. Once for
        each number."""
        from serving.deployments import application_name, short_of_processes

        before, self._short = self._short, short_of_processes()
        lasting = {name: counts for name, counts in self._short.items() if name in before}
        models = {application_name(self._settings, model): model for model in self._serving()}
        for name, (running, wanted) in lasting.items():
            if self._told_short.get(name) != (running, wanted) and name in models:
                log.warning("%s", _short_of(models[name], self._settings, running, wanted))
        for name in self._told_short.keys() - self._short.keys():
            log.info("%s has all of its processes.", models[name].id if name in models else name)
        self._told_short = lasting

    def needs_no_rehearsal(self, model: ModelVersion) -> None:
        """It was opened as it would serve, in a process of its own, compared and asked, and its runtime is kept."""
        from serving.deployments import application_name

        self._rehearsed.add(application_name(self._settings, model))

    def introduce(self, model: ModelVersion) -> None:
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

    def look_again(self) -> None:
        """What serves has changed: something may be of no use any more."""
        self._changed.set()

    def retire_unused(self) -> None:
        """Stop detectors that are of no use any more, once requests that hold their handle are answered. Waits until
        something has changed, or for a while. In a thread of its own: nobody waits for what is done with."""
        changed = self._changed.wait(_LOOK_AGAIN_SECONDS)
        if self._closed.is_set():
            return
        self._changed.clear()
        from serving.deployments import deployed_detectors

        with self._taking:
            leaving, self._leaving = self._leaving, set()
        self._retire(leaving, timedelta(0))
        standby = timedelta(seconds=self._settings.serving.standby_seconds)
        needed = self._needed(standby)
        if not changed and needed == self._only_needed:  # asking Ray Serve costs 30 ms of CPU
            return
        if deployed_detectors() - needed:
            self._closed.wait(self._settings.limits.request_timeout_s / 10)
            self._retire(deployed_detectors(), standby)
        self._only_needed = needed

    def _given_up(self) -> bool:
        return self._closed.is_set() or self._ending()

    def _bring_up(self, models: Iterable[ModelVersion]) -> None:
        """Once one has waited for a place in vain the next wait for none, so that many of them do not hold up the start
        of the service, nor those that find one."""
        patience_s = None
        for model in models:
            if self._given_up():
                return
            if isinstance(self._refused(model, patience_s), NoPlace):
                patience_s = 0.0

    def _refused(self, model: ModelVersion, patience_s: float | None) -> Exception | None:
        """Why it could not be started, which is logged; None where it serves."""
        try:
            self._deploy(model, patience_s)
        except Exception as error:
            if not self._given_up():
                # What is Unavailable says all that there is to say.
                trace = None if isinstance(error, Unavailable) else error
                told = model.id, model.project_id, error
                log.error("%s of %s should serve and could not be started: %s", *told, exc_info=trace)
            return error
        return None

    def _rehearse(self, model: ModelVersion) -> None:
        """Beside the model on standby, which a refusal then leaves there; without it where both do not fit."""
        from serving.rehearsal import ProcessEnded, rehearse

        images = self._images_of(model.project_id)
        if serving_of(self._settings, model.serving).num_gpus:
            self._make_room()
        try:
            rehearse(self._settings, model, images, patience_s=0.0)
        except (ProcessEnded, NoPlace):
            self._make_room()
            rehearse(self._settings, model, images)

    def _deploy(self, model: ModelVersion, patience_s: float | None = None) -> None:
        from serving.deployments import application_name, deployed_detectors

        if application_name(self._settings, model) not in deployed_detectors():
            self._make_room()
        self._start(model, patience_s)

    def _start(self, model: ModelVersion, patience_s: float | None = None) -> None:
        from serving.deployments import application_name, deploy_detector

        name = application_name(self._settings, model)
        if idle := without_effect(self._settings, model.serving):
            log.warning(
                "%s of %s shares its processes (serving.shared_replicas), so that its own %s has no effect; "
                "take it back: askance models configure %s %s -p %s",
                model.id, model.project_id, ", ".join(idle), model.id, " ".join(f"{key}=null" for key in idle),
                model.project_id,
            )  # fmt: skip
        with self._lock_of(name):
            deploy_detector(self._settings, model, self._images_of(model.project_id), self._given_up, patience_s)
        self._rehearsed.add(name)

    def _let_go(self, applications: set[str]) -> None:
        """They are retired, if nothing needs them by then; nobody waits for it."""
        with self._taking:
            self._leaving |= applications
        self._changed.set()

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
        return loaded.newest_images(self._store, self._blobs, project_id, self._settings.parity.calibration_images)

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

        with self._store.read() as tx:
            models = loaded.needed(tx, self._clock(), standby)
        return {application_name(self._settings, model) for model in models}

    def _serving(self) -> list[ModelVersion]:
        with self._store.read() as tx:
            return loaded.serving(tx)


def _short_of(model: ModelVersion, settings: Settings, running: int, wanted: int) -> str:
    from training.launch import in_words

    shared = settings.serving.shared_replicas
    serving = settings.serving if shared else serving_of(settings, model.serving)
    needs, left = in_words({"CPU": serving.num_cpus, "GPU": serving.num_gpus})
    who = "the shared processes of models serve" if shared else f"{model.id} of {model.project_id} serves"
    number = "serving.shared_replicas" if shared else "detector_replicas"
    return (
        f"{who} with {running} of {wanted} processes. Each reserves {needs}, and Ray has {left} left. "
        f"Lower {number} or num_cpus, raise serving.ray_cpus, or end canaries and shadows that are not needed."
    )
