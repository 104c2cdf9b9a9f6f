"""The same service on a Ray cluster of three nodes, one of which dies under load."""

import re
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
import pytest
from ray._private.node import Node
from ray.cluster_utils import Cluster

from loop.demo.scenes import Pool, drifting_scenes
from serving.transport import free_ports
from tests.service.running import ServiceProcess
from tests.tiny_models import tiny_weights

PROJECT = "nodes"
LABELS = ("circle", "square", "bar")
CALLERS = 6
PACE_S = 0.1
PATIENCE_S = 120.0


class Nodes:
    """Three Ray nodes on this machine, each with its own HAProxy, as on machines of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (self.head_port,) = free_ports(1)
        self.ports: dict[str, int] = {}
        self._cluster = Cluster(
            initialize_head=True,
            connect=False,
            # No cores of its own, as KubeRay's guide has it: the head coordinates.
            head_node_args={"num_cpus": 0, "include_dashboard": False, "env_vars": self._variables("head")},
        )
        self.workers = {name: self._add(name) for name in ("first", "second")}

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def _add(self, name: str) -> Node:
        return self._cluster.add_node(num_cpus=4, env_vars=self._variables(name))

    def _variables(self, name: str) -> dict[str, str]:
        """What docs/cluster.md asks of every node, and ports and files that nodes of one machine cannot share."""
        own = self._folder / name
        own.mkdir()
        self.ports[name], statistics, figures = free_ports(3)
        return {
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
            "RAY_SERVE_ENABLE_HA_PROXY": "1",
            "RAY_SERVE_HAPROXY_NBTHREAD": "1",
            "RAY_SERVE_LOG_TO_STDERR": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
            # Three nodes start on the cores of one.
            "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
            # Nothing but this test stands before the proxies: a gateway that ends need not wait for other balancers.
            "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
            "RAY_SERVE_WORKER_PROXY_HTTP_PORT": str(self.ports[name]),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(statistics),
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(figures),
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(own / "haproxy.cfg"),
            "RAY_SERVE_HAPROXY_SOCKET_PATH": str(own / "admin.sock"),
            "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(own / "metrics.sock"),
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(own),
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(own / "server-state"),
        }

    def serving_on(self, name: str) -> Counter[str]:
        """How many replicas of each deployment a node has."""
        titles = [" ".join(process.cmdline()) for process in family_of(self.workers[name])]
        return Counter(match[1] for title in titles if (match := re.match(r"ray::ServeReplica:[^:]+:(\w+)", title)))

    def kill(self, name: str) -> None:
        """SIGKILL for all that runs on a node, at once, as when its power fails."""
        node = self.workers.pop(name)
        victims = family_of(node)
        for process in victims:
            process.kill()
        self._cluster.remove_node(node, allow_graceful=False)
        assert not psutil.wait_procs(victims, timeout=30)[1]

    def close(self) -> None:
        self._cluster.shutdown()


def family_of(node: Node) -> list[psutil.Process]:
    """Everything that runs below a Ray node's own processes."""
    processes = [info.process.pid for infos in node.all_processes.values() for info in infos]
    return [child for pid in processes for child in psutil.Process(pid).children(recursive=True)]


@dataclass(frozen=True)
class Sent:
    """A request, by the clock of this process. id: of the prediction that was acknowledged; None where none was.
    by_gateway: whether a gateway said what was wrong, rather than a proxy or a broken connection."""

    began: float
    ended: float
    id: str | None
    trouble: str = ""
    by_gateway: bool = False


@dataclass
class Load:
    """Callers who never stop, on the ports of nodes that stay, as a load balancer would send them; each at a pace that
    leaves room for replicas to start."""

    ports: Sequence[int]
    token: str
    sent: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(CALLERS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def answered(self) -> int:
        return sum(1 for sent in self.sent if sent.id is not None)

    def await_more(self, count: int) -> None:
        """Returns once so many more were answered."""
        goal = self.answered() + count
        await_until(lambda: self.answered() >= goal, "the load stands still")

    def _call(self, number: int) -> None:
        url = f"http://127.0.0.1:{self.ports[number % len(self.ports)]}/v1/projects/{PROJECT}/predictions"
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "image/jpeg"}
        with httpx.Client(headers=headers, trust_env=False, timeout=60) as client:
            for scene in drifting_scenes(number, 100_000, Pool.STREAM, start=0.5):
                if self._stop.is_set():
                    return
                content = scene.jpeg()
                self.sent.append(self._one(client, url, content))
                self._stop.wait(PACE_S)

    @staticmethod
    def _one(client: httpx.Client, url: str, content: bytes) -> Sent:
        began = time.monotonic()
        try:
            answer = client.post(url, content=content)
        except httpx.TransportError as error:
            return Sent(began, time.monotonic(), None, repr(error))
        if answer.is_success:
            return Sent(began, time.monotonic(), answer.json()["id"])
        by_gateway = answer.headers.get("content-type") == "application/problem+json"
        return Sent(began, time.monotonic(), None, f"{answer.status_code} {answer.text[:300]}", by_gateway)


def await_until(done: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.1)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    # HAProxy's sockets need a short path.
    with TemporaryDirectory(prefix="nodes-") as folder:
        cluster = Nodes(Path(folder))
        try:
            yield cluster
        finally:
            cluster.close()


@pytest.fixture
def service(nodes: Nodes, tmp_path: Path) -> Iterator[ServiceProcess]:
    up = ServiceProcess(
        tmp_path / "state",
        {
            "ASKANCE_SERVING__RAY_ADDRESS": nodes.address,
            "ASKANCE_SERVING__GATEWAY_REPLICAS": "2",
            "ASKANCE_SERVING__DETECTOR_REPLICAS": "2",
            # One forward pass is all that is asked of the network here.
            "ASKANCE_SERVING__RUNTIME": "torch",
            "ASKANCE_SERVING__PRECISION": "fp32",
            "ASKANCE_SERVING__THREADS": "1",
        },
    )
    up.start()
    try:
        with up.operator() as operator:
            operator.create_project(PROJECT, list(LABELS))
            operator.add_model(PROJECT, tiny_weights())
            operator.await_champion(PROJECT)
        yield up
    finally:
        up.stop()


@pytest.mark.service
@pytest.mark.timeout(600)
def test_a_node_that_dies_under_load_costs_only_what_was_in_flight_on_it(nodes, service):
    """Gateways and detectors stand on both workers. One worker is killed under load: each acknowledged prediction is
    in the store; a request fails only if it was under way when the node died; everything that is sent later is
    answered 2xx, while and after Serve makes up for the lost replicas, which nobody has to ask it for. No gateway that
    lives answers with an error. Stopping the service then ends its replicas, and leaves the cluster."""
    assert nodes.serving_on("first") == nodes.serving_on("second") == {"Gateway": 1, "Detector": 1}
    with Load([service.port, nodes.ports["second"]], service.token) as load:
        load.await_more(60)
        killed = time.monotonic()
        nodes.kill("first")
        died = time.monotonic()
        load.await_more(60)
        await_until(
            lambda: nodes.serving_on("second") == {"Gateway": 2, "Detector": 2}, "the lost replicas do not come back"
        )
        load.await_more(60)
    failed = [sent for sent in load.sent if sent.id is None]
    assert all(sent.began < died and sent.ended > killed for sent in failed), failed
    assert len(failed) <= CALLERS
    assert not [sent for sent in failed if sent.by_gateway]
    acknowledged = {sent.id for sent in load.sent if sent.id is not None}
    assert acknowledged <= stored(service)
    service.stop()
    assert nodes.serving_on("second") == {}


def stored(service: ServiceProcess) -> set[str]:
    """Ids of the predictions in the database."""
    database = sqlite3.connect(f"file:{service.data_dir / 'askance.db'}?mode=ro", uri=True)
    try:
        return {row[0] for row in database.execute("SELECT id FROM predictions")}
    finally:
        database.close()
