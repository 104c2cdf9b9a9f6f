"""Which models the loops beside the service try before they start them, and how a cycle goes on there."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest

from loop.domain.cycle import Cycle, CycleState
from loop.domain.errors import CycleFailed, NoPlace, Unavailable
from loop.domain.model import ModelVersion, PromotionState
from loop.settings import load_settings
from serving.background import Worker
from serving.fleet import Fleet
from tests.api.conftest import Service
from tests.api.test_evaluations import Forgetful, furnished  # noqa: F401
from tests.api.test_recipes import _working
from tests.tiny_models import tiny_weights


@dataclass
class Stage:
    """Where models are tried and started, in place of Ray. broken: what does not start, and why. standby: applications
    that run beside; crowded: nothing starts before they are gone, full: nothing finds a place to be tried. may_go: they
    do not end before that. patience: how long each start was to wait for a place."""

    rehearsed: list[str] = field(default_factory=list)
    full: bool = False
    patience: list[float | None] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    broken: str = ""
    standby: set[str] = field(default_factory=set)
    crowded: bool = False
    may_go: threading.Event = field(default_factory=threading.Event)

    def rehearse(
        self, _settings: object, model: ModelVersion, _images: object, patience_s: float | None = None
    ) -> None:
        if self.full and self.standby:
            self.may_go.set()
            raise NoPlace("no place", hint="The champion stays.")
        self.rehearsed.append(model.id)

    def start(
        self, _settings: object, model: ModelVersion, _images: object, _given_up: object, patience_s: float | None
    ) -> None:
        self.patience.append(patience_s)
        if model.serving.get("num_cpus") == 64:
            raise NoPlace("no place", hint="End others.")
        if self.broken:
            raise Unavailable(self.broken, hint="The champion stays.")
        if self.crowded and self.standby:
            self.may_go.set()
            raise Unavailable("out of memory", hint="The champion stays.")
        self.started.append(model.id)

    def retire(self, application: str) -> None:
        self.may_go.wait(60)
        self.standby.discard(application)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    from serving import deployments, rehearsal

    made = Stage()
    monkeypatch.setattr(deployments, "deployed_detectors", lambda: set(made.standby))
    monkeypatch.setattr(deployments, "retire_detector", made.retire)
    monkeypatch.setattr(deployments, "deploy_detector", made.start)
    monkeypatch.setattr(rehearsal, "rehearse", made.rehearse)
    return made


@contextmanager
def at_work(service: Service, bench: Forgetful) -> Iterator[None]:
    controller = _working(service.services.controller, bench)
    succession = replace(service.services.succession, references=controller.references)
    services = replace(service.services, controller=controller, succession=succession)
    worker = Worker(services.settings, services)
    worker.start()
    try:
        yield
    finally:
        worker.stop()


def ended(service: Service) -> Cycle:
    """A cycle, worked off by the loops."""
    asked = service.services.controller.request("shapes", "op", "test", {"mode": "non_inferior"})

    def stored() -> Cycle:
        with service.services.store.read() as tx:
            return tx.cycles.get("shapes", asked.id)

    _await(lambda: stored().state.finished)
    return stored()


def _await(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_candidate_that_its_cycle_has_timed_is_not_tried_again(furnished: Service, stage: Stage) -> None:  # noqa: F811
    """It has answered on the runtime that serves it since this service began; it starts at once."""
    with at_work(furnished, Forgetful()):
        cycle = ended(furnished)
    assert cycle.state is CycleState.PROMOTED, cycle.error
    assert (stage.rehearsed, stage.started) == ([], [cycle.candidate_id])


def test_a_candidate_that_could_not_be_timed_is_tried_first(furnished: Service, stage: Stage) -> None:  # noqa: F811
    bench = Forgetful()
    bench.broken = "there is no such GPU."
    with at_work(furnished, bench):
        cycle = ended(furnished)
    assert cycle.state is CycleState.PROMOTED, cycle.error
    assert stage.rehearsed == stage.started == [cycle.candidate_id]


def test_a_candidate_that_was_timed_and_does_not_start_takes_no_traffic(
    furnished: Service,  # noqa: F811
    stage: Stage,
) -> None:
    """Its first answer as a replica still comes before the pointer moves."""
    stage.broken = "it answers with NaN"
    with furnished.services.store.read() as tx:
        champion = tx.projects.get("shapes").champion_id
    with at_work(furnished, Forgetful()):
        cycle = ended(furnished)
    assert cycle.state is CycleState.FAILED and "answers with NaN" in cycle.error
    with furnished.services.store.read() as tx:
        assert tx.projects.get("shapes").champion_id == champion


class Hungry(Forgetful):
    """Its candidates take all memory when they are examined."""

    def examine(self, *_: object):  # type: ignore[no-untyped-def]
        raise CycleFailed("it took 9.1 GB of memory, and may take 2.0 GB.", hint="The champion stays.")


def test_a_candidate_that_takes_too_much_memory_fails_its_cycle(furnished: Service, stage: Stage) -> None:  # noqa: F811
    """The cycle keeps the reason, the champion its place, and nothing is tried or started."""
    with furnished.services.store.read() as tx:
        champion = tx.projects.get("shapes").champion_id
    with at_work(furnished, Hungry()):
        cycle = ended(furnished)
    assert cycle.state is CycleState.FAILED and "it took 9.1 GB of memory" in cycle.error
    assert (stage.rehearsed, stage.started) == ([], [])
    with furnished.services.store.read() as tx:
        assert tx.projects.get("shapes").champion_id == champion


def test_what_people_promote_is_tried_first(furnished: Service, stage: Stage) -> None:  # noqa: F811
    """No cycle has looked at it."""
    model, _ = furnished.services.models.register("shapes", tiny_weights(seed=7), "op")
    asked = furnished.services.models.override("shapes", model.id, "op", "better")

    def state() -> PromotionState:
        with furnished.services.store.read() as tx:
            return tx.promotions.get(asked.id).state

    bench = Forgetful()
    bench.labels_of[model.digest] = model.head.labels
    with at_work(furnished, bench):
        _await(lambda: state() is not PromotionState.QUEUED)
    assert state() is PromotionState.ACTIVE
    assert stage.rehearsed == stage.started == [model.id]


def test_a_candidate_does_not_wait_for_the_end_of_what_is_on_standby(furnished: Service, stage: Stage) -> None:  # noqa: F811
    """There was room for both when it was tried; draining takes seconds, and goes on meanwhile."""
    stage.standby = {"det-before"}
    with at_work(furnished, Forgetful()):
        cycle = ended(furnished)
        assert cycle.state is CycleState.PROMOTED, cycle.error
        assert stage.standby and stage.started == [cycle.candidate_id]
        stage.may_go.set()
        _await(lambda: not stage.standby)


def test_what_does_not_start_beside_a_model_on_standby_starts_in_its_place(
    furnished: Service,  # noqa: F811
    stage: Stage,
) -> None:
    """Its memory may be what was missing."""
    stage.standby, stage.crowded = {"det-before"}, True
    with at_work(furnished, Forgetful()):
        cycle = ended(furnished)
    assert cycle.state is CycleState.PROMOTED, cycle.error
    assert stage.started == [cycle.candidate_id] and not stage.standby


def test_what_finds_no_place_beside_a_model_on_standby_takes_it(furnished: Service, stage: Stage) -> None:  # noqa: F811
    """At once: it does not wait until the standby ends by itself."""
    model, _ = furnished.services.models.register("shapes", tiny_weights(seed=7), "op")
    stage.standby, stage.full = {"det-before"}, True
    _fleet(furnished).introduce(model)
    assert (stage.rehearsed, stage.started, stage.standby) == ([model.id], [model.id], set())


def _fleet(service: Service, **serving: str) -> Fleet:
    folder = str(service.services.settings.data_dir)
    settings = load_settings(
        environ={"ASKANCE_DATA_DIR": folder, **{f"ASKANCE_SERVING__{key}": value for key, value in serving.items()}}
    )
    return Fleet(settings, service.services.store, service.services.blobs, service.services.clock)


def _with_champions(service: Service, *options: dict[str, object]) -> list[str]:
    """Ids of champions of further projects, each with options of its own."""
    models = []
    for number, own in enumerate(options):
        service.services.projects.create(f"p{number}", ("circle", "square", "bar"))
        model, promotion = service.services.models.register(f"p{number}", tiny_weights(seed=40 + number), "op")
        assert promotion is not None
        service.services.succession.settle(promotion, deploy=lambda _model: None)
        with service.services.store.begin() as tx:
            tx.models.configure(f"p{number}", model.id, own)
        models.append(model.id)
    return models


def test_models_without_a_place_hold_up_none_that_has_one(
    service: Service, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """When the service begins the first is waited for, the others are only looked at; each is told of, with its
    reason."""
    no_place, also_none, small = _with_champions(service, {"num_cpus": 64}, {"num_cpus": 64}, {"num_cpus": 0.25})
    _fleet(service).deploy_serving()
    assert small in stage.started and {no_place, also_none}.isdisjoint(stage.started)
    assert stage.patience == [None, 0.0, 0.0, 0.0]
    for model in (no_place, also_none):
        assert any(model in line and "no place" in line for line in caplog.messages)


def test_options_that_shared_processes_cannot_have_are_told_when_the_model_starts(
    service: Service, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Given before processes were shared; it serves without, and its owner reads how to take them back."""
    (model,) = _with_champions(service, {"num_cpus": 2, "detector_replicas": 3, "score_floor": 0.1})
    _fleet(service, SHARED_REPLICAS="1").deploy_serving()
    assert model in stage.started
    (said,) = [line for line in caplog.messages if model in line]
    assert f"askance models configure {model} detector_replicas=null num_cpus=null -p p0" in said
    caplog.clear()
    _fleet(service).deploy_serving()
    assert not any(model in line for line in caplog.messages)


class Noting(Forgetful):
    """Which work was asked for, and when its loop had looked at everything."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[str] = []

    def train(self, *given: object):  # type: ignore[no-untyped-def]
        self.noted.append("trained")
        return super().train(*given)  # type: ignore[arg-type]

    def examine(self, *given: object):  # type: ignore[no-untyped-def]
        self.noted.append("examined")
        return super().examine(*given)  # type: ignore[arg-type]

    def left(self) -> list[str]:
        self.noted.append("looked")
        return []


def test_a_cycle_goes_from_step_to_step_without_a_pause(furnished: Service, stage: Stage) -> None:  # noqa: F811
    """In one look of its loop it goes as far as it can: both models are examined, at once, behind the training."""
    bench = Noting()
    with at_work(furnished, bench):
        assert ended(furnished).state is CycleState.PROMOTED
    begun = bench.noted.index("trained")
    assert bench.noted[begun : begun + 3] == ["trained", "examined", "looked"]
    assert bench.noted.count("examined") == 1
