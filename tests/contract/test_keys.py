"""Many keys, each sent again and again at once, through the HTTP application on each database."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from loop.domain.access import Role
from loop.settings import load_settings
from loop.wiring import wire
from serving.api.app import create_app
from tests.api.conftest import LABELS, InProcess, Service, picture
from tests.contract.conftest import Databases
from tests.tiny_models import tiny_weights

# Each key is sent by a fifth of the callers; by all of them it is the same, and takes five times as long.
KEYS, CALLERS, GROUPS = 100, 100, 5
TRIES = 40
IMAGE = picture()


@pytest.fixture
def service(databases: Databases, tmp_path: Path) -> Iterator[Service]:
    """A project `shapes` with a champion, on an otherwise empty database. Every prediction becomes a task."""
    with databases() as url:
        environ = {"DATA_DIR": str(tmp_path), "DATABASE__URL": url, "POLICY__THRESHOLD": "0", "POLICY__AUDIT_RATE": "0"}
        settings = load_settings(environ={f"ASKANCE_{key}": value for key, value in environ.items()})
        services = wire(settings, inferencer := InProcess())
        tokens = {role: services.tokens.create(role, role, None)[1] for role in (Role.OPERATOR, Role.PRODUCER)}
        services.projects.create("shapes", tuple(LABELS))
        _, promotion = services.models.register("shapes", tiny_weights(), "test")
        assert promotion is not None
        services.succession.settle(promotion, deploy=lambda _model: None)
        with TestClient(create_app(services)) as client:
            yield Service(client, services, inferencer, {role.value: secret for role, secret in tokens.items()})
        services.store.close()


def test_a_key_that_many_send_at_once_makes_one_prediction(service: Service) -> None:
    """Whoever is answered is answered with that one, and has one task; whoever is told that it is under way (409), or
    that too much is (503), gets it when they ask again."""
    start = threading.Barrier(CALLERS)
    statuses: Counter[int] = Counter()
    told: dict[str, set[tuple[str, str]]] = defaultdict(set)

    def send(caller: int) -> None:
        """All of a group the same keys in the same order, so that each key is met by many at once."""
        start.wait()
        for key in (f"key-{number}" for number in range(caller % GROUPS, KEYS, GROUPS)):
            for _ in range(TRIES):
                answer = service.predict(IMAGE, headers={"Idempotency-Key": key})
                statuses[answer.status_code] += 1
                if answer.status_code == 200:
                    break
                assert answer.status_code in (409, 503), answer.text
                time.sleep(0.05)
            assert answer.status_code == 200, answer.text
            told[key].add((answer.json()["id"], answer.json()["task_id"]))

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(send, range(CALLERS)))
    assert [len(answers) for answers in told.values()] == [1] * KEYS
    assert statuses[200] == KEYS * CALLERS // GROUPS
    summary = service.call("GET", "/v1/projects/shapes/summary").json()
    assert (summary["predictions"], summary["tasks"]["open"]) == (KEYS, KEYS)
