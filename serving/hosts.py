"""Which machines the Ray cluster consists of, and what they must share to serve together."""

from collections.abc import Iterator

from loop.domain.errors import SettingsError
from loop.settings import Settings


def hosts() -> frozenset[str]:
    """IP addresses of the nodes of this process's Ray cluster. Several Ray nodes may run on one machine."""
    import ray

    return frozenset(node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"])


def require_shared_state(settings: Settings, machines: frozenset[str], *, wandering: bool = False) -> None:
    """Raises SettingsError where state would lie on one of several machines, out of the others' reach.

    wandering: whether the reconcile loop may move from machine to machine, and the registry of runs with it.
    """
    if len(machines) < 2:
        return
    found = list(_kept_on_one_machine(settings, wandering=wandering))
    if found:
        raise SettingsError(
            f"the Ray cluster has {len(machines)} machines, and they could not share "
            + " and ".join(what for what, _ in found)
            + ".",
            hint="Set " + "; ".join(instead for _, instead in found) + ". See docs/cluster.md.",
            keys=[instead.split(" ", 1)[0] for _, instead in found],
        )


def _kept_on_one_machine(settings: Settings, *, wandering: bool) -> Iterator[tuple[str, str]]:
    """What cannot be shared, and what to set instead."""
    if settings.database_url.startswith("sqlite"):
        yield "a SQLite database", "database.url (ASKANCE_DATABASE__URL) to a postgresql:// URL"
    if _is_local(settings.blobs_url):
        yield "a local blob folder", "blobs.url (ASKANCE_BLOBS__URL) to an object store such as s3://bucket/askance"
    if wandering and settings.mlflow_tracking_uri.startswith(("sqlite", "file:", "/")):
        yield "MLflow's file", "mlflow.tracking_uri (ASKANCE_MLFLOW__TRACKING_URI) to a server or a postgresql:// URL"
    if wandering and _is_local(settings.mlflow_artifact_root):
        yield "MLflow's artifact folder", "mlflow.artifact_root (ASKANCE_MLFLOW__ARTIFACT_ROOT) to an object store"


def _is_local(url: str) -> bool:
    return "://" not in url or url.startswith(("file:", "local:"))
