"""A map drawn where the service has it drawn: in a process of Ray, apart from what serves."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loop.domain.errors import Invalid, MapFailed
from loop.launching.workshop import RayWorkshop
from loop.selecting.maps import Maps
from loop.settings import Settings, load_settings
from loop.store.database import SqlStore
from loop.wiring import open_blobs, open_store, utc_now
from selection.map_file import read_map
from tests.contract.records import PROJECT, a_model, a_project
from tests.test_maps import an_item, prediction

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def _ray() -> Iterator[None]:
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield
    ray.shutdown()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(environ={"ASKANCE_DATA_DIR": str(tmp_path), "ASKANCE_MAP__REPRESENTATIVES": "100"})


@pytest.fixture
def store(settings: Settings) -> Iterator[SqlStore]:
    """A champion that has predicted 150 items."""
    opened = open_store(settings)
    with opened.begin() as tx:
        tx.projects.add(a_project())
        tx.models.add(a_model())
    with opened.begin() as tx:
        tx.items.add_all([an_item(number) for number in range(150)])
        tx.predictions.add_all([prediction(number) for number in range(150)])
        assert tx.projects.move_champion(PROJECT, expected=None, to=a_model().id)
    yield opened
    opened.close()


@pytest.mark.usefixtures("_ray")
def test_a_map_is_drawn_in_a_process_of_its_own(settings: Settings, store: SqlStore) -> None:
    """What it raises comes back as it was, and so does a wish to stop."""
    blobs = open_blobs(settings)
    workshop = RayWorkshop(settings, blobs)
    maps = Maps(store, blobs, workshop, utc_now)
    maps.ask(PROJECT, refit=False, actor="Ada")
    assert maps.advance()
    record = maps.status(PROJECT).record
    assert record.error == ""
    assert record.drawn is not None
    assert (record.drawn.points, record.drawn.fitted) == (150, 100)
    assert read_map(b"".join(maps.columns(record.drawn))).num_rows == 150
    with pytest.raises(MapFailed, match="the service stops"):
        workshop.draw_map(PROJECT, refit=True, stopping=lambda: True)
    with store.begin() as tx:
        tx.models.add(a_model(1))
        assert tx.projects.move_champion(PROJECT, expected=a_model().id, to=a_model(1).id)
    with pytest.raises(Invalid, match="has predicted no image"):
        workshop.draw_map(PROJECT, refit=True, stopping=lambda: False)


def test_what_serves_imports_nothing_that_draws() -> None:
    """Seconds of imports and compiling, and their memory, are for the process that draws."""
    script = (
        "import sys, loop.wiring, serving.app, serving.api.app, serving.deployments\n"
        "print([m for m in ('umap', 'numba', 'pynndescent', 'loop.selecting.map_drawing') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
