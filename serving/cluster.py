"""Askance as applications of a Serve configuration (`serve deploy`, KubeRay's RayService), without `askance up`.

The gateway and the reconcile loop are declared; detectors are not: which models serve is what the database says, and
the reconcile loop runs their applications beside the declared ones. It is itself a replica that Ray Serve keeps
alive, on whichever node has room, so that no machine of the cluster has to live for promotions to go on.
"""

import os
import threading

from ray import serve

from loop.settings import Settings, load_settings
from loop.wiring import wire
from serving.app import configure_logging, operator_token
from serving.background import Worker
from serving.deployments import RayInferencer, gateway_application
from serving.hosts import hosts, require_shared_state

# It calls detectors from threads, which Ray Serve allows where its own loops have threads of their own.
_ENVIRONMENT = {
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "1",
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "1",
}


def gateway(_: dict[str, str]) -> serve.Application:
    """API and page, to be served at /. Settings come from the variables of the nodes. Raises SettingsError."""
    return gateway_application(_settings())


def reconciler(_: dict[str, str]) -> serve.Application:
    """What deploys models, settles promotions and runs cycles; without a route. Raises SettingsError."""
    settings = _settings()
    deployment = serve.deployment(
        Reconciler,
        name="Reconciler",
        num_replicas=1,
        ray_actor_options={"num_cpus": settings.serving.num_cpus, "runtime_env": {"env_vars": _ENVIRONMENT}},
        graceful_shutdown_timeout_s=settings.serving.drain_seconds,
    )
    return deployment.bind(settings)


def token() -> str:
    """The operator's token of this database; made anew where this machine knows none."""
    settings = _settings()
    return operator_token(settings, wire(settings, RayInferencer(settings)))


class Reconciler:
    """Ready once every model that should serve was brought up, so that a cluster takes no traffic before it can
    answer."""

    def __init__(self, settings: Settings) -> None:
        """Raises SettingsError where the machines of the cluster could not share its state."""
        configure_logging()
        require_shared_state(settings, hosts(), wandering=True)
        self._worker = Worker(settings, wire(settings, RayInferencer(settings)))
        # Not here: this thread runs an event loop, in which Ray Serve refuses to wait.
        bringing_up = threading.Thread(target=self._worker.fleet.deploy_serving, name="bring-up")
        bringing_up.start()
        bringing_up.join()
        self._worker.start()

    def __del__(self) -> None:
        if hasattr(self, "_worker"):
            self._worker.stop()


def _settings() -> Settings:
    return load_settings(None, os.environ)
