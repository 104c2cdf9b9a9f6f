"""What Ray Serve is told before it starts: no listener but loopback, nothing that outlives the service."""

import os
import resource
import socket
import subprocess
from pathlib import Path

import pytest

from loop.settings import Settings, load_settings
from serving.transport import free_ports, set_environment

# As Ray 2.60 writes it, with the two lists that it offers to everybody, and the port of the API.
_CONFIGURATION = """frontend prometheus
    bind :{figures}
    mode http
frontend http_frontend
    bind *:8000
listen stats
  bind *:{statistics}
  stats enable
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in [name for name in os.environ if name.startswith("RAY_SERVE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    return load_settings(environ={"ASKANCE_DATA_DIR": str(tmp_path)})


def test_statistics_of_haproxy_are_on_loopback(settings: Settings, tmp_path: Path) -> None:
    """Its two lists, on ports that another service of the machine does not have; the API listens where it was told."""
    set_environment(settings)
    figures = os.environ["RAY_SERVE_HAPROXY_METRICS_PORT"]
    statistics = os.environ["RAY_SERVE_HAPROXY_STATS_PORT"]
    script = Path(os.environ["RAY_SERVE_HAPROXY_BINARY_PATH"])
    configuration = tmp_path / "haproxy.cfg"
    configuration.write_text(_CONFIGURATION.format(figures=figures, statistics=statistics))
    subprocess.run([script, "-c", "-f", configuration], check=False, capture_output=True)
    bound = [line.split()[1] for line in configuration.read_text().splitlines() if line.strip().startswith("bind")]
    assert bound == [f"127.0.0.1:{figures}", "*:8000", f"127.0.0.1:{statistics}"]


def test_haproxy_keeps_no_connection_that_says_nothing(settings: Settings, tmp_path: Path) -> None:
    """Whatever often it is started with the same file, and HAProxy takes it so."""
    set_environment(settings)
    script = Path(os.environ["RAY_SERVE_HAPROXY_BINARY_PATH"])
    configuration = tmp_path / "haproxy.cfg"
    configuration.write_text(
        "defaults\n    mode http\n    timeout connect 5s\n    timeout client 3600s\n    timeout server 3600s\n"
        "listen all\n    bind 127.0.0.1:18000\n"
    )
    for _ in range(2):
        subprocess.run([script, "-c", "-f", configuration], check=True, capture_output=True)
    lines = [line.strip() for line in configuration.read_text().splitlines()]
    assert lines.count("timeout http-request 30s") == lines.count("timeout http-keep-alive 300s") == 1
    assert "timeout client 3600s" in lines and "timeout server 3600s" in lines


@pytest.mark.parametrize(
    ("calls", "gateways", "files", "connections"),
    [
        (4000, 1, 30_000, 8096),
        (8000, 2, 100_000, 20_096),
        (4000, 1, 20_000, 7920),
        (4000, 1, 1024, 329),
        (4000, 1, -1, 8096),
    ],
)
def test_who_waits_for_people_leaves_room_for_others(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, calls: int, gateways: int, files: int, connections: int
) -> None:
    """As far as the machine lets HAProxy open files."""
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (files, files))
    limits = settings.limits.model_copy(update={"max_waiting_calls": calls})
    serving = settings.serving.model_copy(update={"gateway_replicas": gateways})
    set_environment(settings.model_copy(update={"limits": limits, "serving": serving}))
    assert os.environ["RAY_SERVE_HAPROXY_MAXCONN"] == str(connections)


def test_haproxy_is_the_one_that_ray_brings(settings: Settings) -> None:
    """The script starts it with the arguments that it was given."""
    set_environment(settings)
    script = os.environ["RAY_SERVE_HAPROXY_BINARY_PATH"]
    said = subprocess.run([script, "-v"], check=True, capture_output=True, text=True)
    assert "HAProxy version" in said.stdout


def test_what_the_user_has_set_stays(settings: Settings) -> None:
    """Their environment wins over ours."""
    os.environ["RAY_SERVE_THROUGHPUT_OPTIMIZED"] = "0"
    set_environment(settings)
    assert os.environ["RAY_SERVE_THROUGHPUT_OPTIMIZED"] == "0"


def test_the_proxy_needs_none_of_it(settings: Settings) -> None:
    """transport: proxy leaves Ray Serve as it is, but for telemetry."""
    serving = settings.serving.model_copy(update={"transport": "proxy"})
    set_environment(settings.model_copy(update={"serving": serving}))
    assert not [name for name in os.environ if name.startswith("RAY_SERVE_HAPROXY")]
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_gateways_of_two_services_are_after_different_ports(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that starts beside another leaves alone all ports of a block of which one is in use: else its HAProxy
    might ask a gateway of the other."""
    set_environment(settings)
    first = _gateways()
    # Few, so that chance would choose the first soon; several, since services of other tests may have some.
    monkeypatch.setattr("serving.transport._GATEWAY_PORTS", range(first.start, first.start + 4 * len(first)))
    with socket.socket() as gateway:
        gateway.bind(("127.0.0.1", first[1]))
        gateway.listen()
        for _ in range(20):
            for name in ("MIN", "MAX"):
                del os.environ[f"RAY_SERVE_DIRECT_INGRESS_{name}_HTTP_PORT"]
            set_environment(settings)
            assert first[1] not in _gateways()


def test_services_share_no_port_to_fall_back_to(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a service has no gateway yet, HAProxy asks a proxy of Ray Serve's, which must be of this service."""
    found = []
    for _ in range(2):
        monkeypatch.delenv("RAY_SERVE_FALLBACK_PROXY_HTTP_PORT", raising=False)
        set_environment(settings)
        found.append(os.environ["RAY_SERVE_FALLBACK_PROXY_HTTP_PORT"])
    assert found[0] != found[1]


def _gateways() -> range:
    lowest, highest = (int(os.environ[f"RAY_SERVE_DIRECT_INGRESS_{name}_HTTP_PORT"]) for name in ("MIN", "MAX"))
    return range(lowest, highest + 1)


def test_ports_are_not_those_that_connections_get() -> None:
    """Nobody who asks the system for just any port is given one of them before the listener starts."""
    ports = free_ports(50)
    lowest, _highest = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    assert len(set(ports)) == 50
    assert max(ports) < int(lowest)


def test_a_port_where_someone_listens_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is passed over; where none is left, the error says where was looked."""
    with socket.socket() as taken:
        (port,) = free_ports(1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        monkeypatch.setattr("serving.transport._UNASKED_PORTS", range(port, port + 1))
        with pytest.raises(OSError, match=f"range\\({port}, {port + 1}\\)"):
            free_ports(1)
