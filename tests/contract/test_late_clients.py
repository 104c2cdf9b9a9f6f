"""64 clients over HTTP who all pause for longer than their leases last. The clock is moved by hand."""

import asyncio
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from loop.domain.identity import digest_of
from loop.domain.policy.queue_rules import QueueRules
from loop.review.desk import Desk
from loop.settings import load_settings
from loop.store.database import SqlStore
from loop.wiring import wire
from serving.api.app import create_app
from tests.api_server import NoInference
from tests.contract.records import PROJECT, a_token, later
from tests.contract.test_queue_races import CLIENTS, LEASE_SECONDS, Clock, opened, together

TAKEN = 48  # of the tasks of those who pause others take so many meanwhile
HERE = [{"label": "seven", "box": [0, 0, 1, 100]}]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def clients(store: SqlStore, url: str, tmp_path: Path, clock: Clock) -> Iterator[list[httpx.Client]]:
    """So many who pause, then as many others, each with a connection of their own to the API."""
    opened(store, QueueRules(), works=CLIENTS)
    with store.begin() as tx:
        for number in range(2 * CLIENTS):
            token = replace(a_token(number), id=f"tok_http_{number}", secret_digest=digest_of(_secret(number).encode()))
            tx.tokens.add(token)
    services = wire(
        load_settings(environ={"ASKANCE_DATA_DIR": str(tmp_path), "ASKANCE_DATABASE__URL": url}), NoInference()
    )
    app = create_app(replace(services, desk=Desk(services.store, clock, os.urandom)))
    with _served(app) as address:
        made = [_client(address, number) for number in range(2 * CLIENTS)]
        yield made
        for one in made:
            one.close()
    services.store.close()


def _client(address: str, number: int) -> httpx.Client:
    # Reading all certificates for each of them, which nobody needs here, would take longer than all the rest.
    headers = {"Authorization": f"Bearer {_secret(number)}"}
    return httpx.Client(base_url=address, headers=headers, timeout=60, verify=False, trust_env=False)


@contextmanager
def _served(app: Any) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=2 * CLIENTS) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def _secret(number: int) -> str:
    return f"ask_{number}"


def _lease(client: httpx.Client) -> dict[str, Any]:
    answer = client.post(f"/v1/projects/{PROJECT}/tasks/lease", json={"count": 1})
    assert answer.status_code == 200, answer.text
    (task,) = answer.json()["tasks"]
    found: dict[str, Any] = task
    return found


def _submit(client: httpx.Client, task: dict[str, Any], note: str) -> int:
    body = {"epoch": task["epoch"], "shapes": HERE, "note": note}
    return client.post(f"/v1/tasks/{task['id']}/submit", json=body).status_code


def test_whoever_comes_late_is_refused_and_nobody_is_credited_twice(
    clients: list[httpx.Client], store: SqlStore, clock: Clock
) -> None:
    """All 64 hold a task each when they stop. Others take most of these tasks, and half of them are done when all 64
    come back and submit, together with the other half; each of the 64 tries twice, and gets a 409 each time. Who holds
    a task now is heard. What nobody took is as open as before."""
    slow, others = clients[:CLIENTS], clients[CLIENTS:]
    held: list[Any] = together(lambda number: _lease(slow[number]))
    assert len({task["id"] for task in held}) == CLIENTS
    clock.now = later(LEASE_SECONDS)
    taken: list[Any] = together(lambda number: _lease(others[number]) if number < TAKEN else None)
    before = together(lambda n: _submit(others[n], taken[n], "new") if n < TAKEN and n % 2 else None)

    def late_among_others(number: int) -> tuple[int, int, int | None]:
        first = _submit(slow[number], held[number], "late")
        new = _submit(others[number], taken[number], "new") if number < TAKEN and number % 2 == 0 else None
        return first, _submit(slow[number], held[number], "late"), new

    told: list[Any] = together(late_among_others)
    assert [one[:2] for one in told] == [(409, 409)] * CLIENTS
    heard = [*before, *(new for _, _, new in told)]
    assert Counter(heard) == Counter({200: TAKEN, None: 2 * CLIENTS - TAKEN})
    with store.read() as tx:
        kept = tx.submissions.page(PROJECT, after=None, limit=999)
    assert {one.note for one in kept} == {"new"}
    assert Counter(one.task_id for one in kept) == Counter(task["id"] for task in taken[:TAKEN])
    assert Counter(one.reviewer for one in kept) == Counter(f"tok_http_{CLIENTS + number}" for number in range(TAKEN))
    rest = {_lease(one)["id"] for one in others[TAKEN:]}
    assert rest == {task["id"] for task in held} - {task["id"] for task in taken[:TAKEN]}
