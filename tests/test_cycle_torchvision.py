"""A project whose champion is a detector of torchvision, through a whole cycle: registered, trained on, judged,
promoted, served. Only Ray and MLflow are stood in for: what would run in a task of Ray runs here."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loop.cycle.work import Progress
from loop.domain.cycle import Cycle, CycleState
from loop.domain.item import Split
from loop.domain.model import ModelVersion
from loop.launching import workshop
from loop.launching.workshop import RayWorkshop
from loop.recipes.document import checked_document
from loop.recipes.versions import Recipes
from loop.settings import load_settings
from serving.backends.load import load_detector
from tests.cycle_worker import PROJECT, Ledger, Service, Site, open_site
from tests.pictures import LABELS, SIZE, keep_picture, picture
from tests.tiny_models import tiny_torchvision, tiny_weights
from training.device import device_of
from training.snapshot import Snapshot

GOLDEN, TRAIN = 20, 6  # 20 is the least that the gate decides on


def run_here(
    function: Any,
    /,
    *,
    on_progress: Progress,
    num_cpus: float,
    num_gpus: float,
    anywhere: bool,
    on_part: Any = None,
    begin: Any = None,
    on_begun: Any = None,
    **given: Any,
) -> Any:
    """`training.launch.run_in_ray` without Ray."""
    if on_part is not None:
        given["hand_over"] = on_part
    return function(progress=on_progress, **given)


@pytest.fixture
def service(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A project with images, whose cycles train."""
    monkeypatch.setattr(workshop, "run_in_ray", run_here)
    database = tmp_path / "askance.db"
    database.write_bytes(sqlite_template.read_bytes())
    settings = load_settings(
        environ={
            "ASKANCE_DATA_DIR": str(tmp_path),
            "ASKANCE_DATABASE__URL": f"sqlite:///{database}",
            "ASKANCE_TRAINING__BASE": "ssdlite320_mobilenet_v3_large",
        }
    )
    made = open_site(Site(settings.database_url, tmp_path))
    trains = RayWorkshop(settings, made.blobs)
    references = replace(made.controller.references, workshop=trains)
    recipe = {"epochs": 1, "batch": 4, "image_size": SIZE, "flip": 0.0, "learning_rate": 1e-4}
    controller = replace(
        made.controller,
        workshop=trains,
        references=references,
        settings=replace(made.controller.settings, training=recipe),
    )
    made = replace(made, controller=controller, succession=replace(made.succession, references=references))
    made.projects.create(PROJECT, LABELS)
    for number in range(GOLDEN + TRAIN):
        keep_picture(made.store, made.blobs, PROJECT, number, Split.GOLDEN if number < GOLDEN else Split.TRAIN)
    yield made
    made.store.close()


def cycled(service: Service, ends: CycleState = CycleState.PROMOTED, **overrides: object) -> tuple[Cycle, ModelVersion]:
    """A cycle that has ended, and its candidate."""
    asked = service.controller.request(PROJECT, "ada", "try", {"mode": "non_inferior", **overrides})
    while service.step():
        pass
    with service.store.read() as tx:
        cycle = tx.cycles.get(PROJECT, asked.id)
        assert cycle.state is ends, cycle.error or cycle.decision
        return cycle, tx.models.get(PROJECT, str(cycle.candidate_id))


def test_a_registered_detector_is_trained_judged_promoted_and_served(service: Service) -> None:
    """With labels that came and were renamed since."""
    service.models.register(PROJECT, tiny_torchvision(LABELS), "ada")
    while service.step():
        pass
    recipes = Recipes(service.store, lambda: (), lambda: datetime.now(UTC), lambda digest: False)
    body = {"labels": ["green", "crimson", "blue"], "renames": {"red": "crimson"}}
    recipes.change(PROJECT, checked_document(body), "ada")
    for number in range(100, 104):
        keep_picture(service.store, service.blobs, PROJECT, number, Split.TRAIN, ("green", "blue"))
    cycle, candidate = cycled(service)
    assert candidate.head.labels == Snapshot.read(str(cycle.snapshot_digest), service.blobs.get).labels
    assert set(candidate.head.labels) == {"green", "crimson", "blue"} and candidate.head.backend == "torchvision"
    assert [row["epoch"] for row in candidate.notes["curves"]] == [1.0]  # type: ignore[attr-defined]
    assert candidate.reference_key and service.blobs.has(candidate.reference_key)
    assert service.site.served.read_text().splitlines()[-1] == candidate.id
    assert list(service.controller.workshop.left()) == []
    detector = load_detector(service.blobs.get(candidate.digest), threads=1)
    (answer,) = detector.predict([picture(7)[0]], score_floor=0.01)
    assert detector.labels == candidate.head.labels and len(answer.scores)
    assert np.isfinite(answer.embedding).all() and len(answer.embedding) == candidate.head.embedding_dim


def test_a_project_without_a_model_begins_with_the_one_that_is_configured(service: Service) -> None:
    """An epoch teaches random weights less than a first model has to know."""
    _, candidate = cycled(service, CycleState.REFUSED)
    assert candidate.head.architecture == {"builder": "ssdlite320_mobilenet_v3_large"}
    assert set(candidate.head.labels) == set(LABELS)


def test_the_model_and_mlflow_remember_on_which_device_it_was_trained(service: Service) -> None:
    """The settings say `auto`, of which nobody could tell later what it was."""
    _, candidate = cycled(service, CycleState.REFUSED)
    ledger = service.telling.registry
    assert isinstance(ledger, Ledger)
    (told,) = ledger.lines("register")
    assert candidate.notes["device"] == told["tags"]["askance.device"] == device_of("auto") != "auto"


def test_a_cycle_from_scratch_leaves_the_champion_aside(service: Service) -> None:
    """That is how a project comes to a network of the other library."""
    service.models.register(PROJECT, tiny_weights(LABELS), "ada")
    while service.step():
        pass
    _, candidate = cycled(service, start="scratch")
    assert candidate.head.backend == "torchvision"


def test_a_first_cycle_starts_from_the_base_that_was_added(service: Service) -> None:
    """Not from the configured one, which is of the other library; from scratch it is left aside, too."""
    service.models.register(PROJECT, tiny_weights(LABELS), "ada", base=True)
    _, candidate = cycled(service, CycleState.REFUSED)
    assert candidate.head.backend == "ultralytics"
    _, candidate = cycled(service, CycleState.REFUSED, start="scratch")
    assert candidate.head.backend == "torchvision"
