"""configs/kuberay.yaml is what Kubernetes, KubeRay, Ray Serve and Askance each take, down to the last key."""

import copy
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from loop.settings import Settings, load_settings
from serving.hosts import require_shared_state
from tests.kuberay import RayService, of_kubernetes

MANIFEST = Path(__file__).resolve().parents[1] / "configs" / "kuberay.yaml"

Document = dict[str, Any]


@pytest.fixture
def documents() -> dict[str, Document]:
    return {document["kind"]: document for document in yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8"))}


@pytest.fixture
def service(documents: dict[str, Document]) -> Document:
    return documents["RayService"]


def check(documents: dict[str, Document]) -> None:
    for kind, document in documents.items():
        if kind == "RayService":
            RayService.model_validate(document)
        else:
            of_kubernetes(document)


def keys_of(tree: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every key whose name a schema knows: not those of maps that a user fills."""
    free = {"data", "limits", "requests", "matchLabels", "rayStartParams"}
    if isinstance(tree, dict):
        for key, inner in tree.items():
            if not path or path[-1] not in free:
                yield (*path, key)
            yield from keys_of(inner, (*path, key))
    elif isinstance(tree, list):
        for index, inner in enumerate(tree):
            yield from keys_of(inner, (*path, index))


def kinds_of(path: tuple[str | int, ...]) -> tuple[str, ...]:
    """What a key is, alike for each of several groups, containers and ports."""
    return tuple(part for part in path if isinstance(part, str))[-3:]


def misspelt(documents: dict[str, Document], path: tuple[str | int, ...]) -> dict[str, Document]:
    changed = copy.deepcopy(documents)
    parent: Any = changed
    for part in path[:-1]:
        parent = parent[part]
    parent[f"{path[-1]}z"] = parent.pop(path[-1])
    return changed


def test_the_manifest_fits_its_schemas(documents: dict[str, Document]) -> None:
    """It holds what it should, and every key and value is one that its reader knows."""
    assert set(documents) == {"ConfigMap", "RayService"}
    check(documents)


def test_any_misspelt_key_is_found(documents: dict[str, Document]) -> None:
    """One letter too many in any key, at any depth, fails the check."""
    paths = {kinds_of(path): path for path in keys_of(documents) if len(path) > 1}
    assert len(paths) > 60
    passed = []
    for path in paths.values():
        try:
            check(misspelt(documents, path))
        except ValueError:  # pydantic's too
            continue
        passed.append(path)
    assert passed == []


@pytest.mark.parametrize("path", [("rayClusterConfig",), ("rayClusterConfig", "headGroupSpec")], ids=".".join)
def test_what_the_definition_requires_is_required(documents: dict[str, Document], path: tuple[str, ...]) -> None:
    """Of the service, and of its cluster."""
    parent = documents["RayService"]["spec"]
    for part in path[:-1]:
        parent = parent[part]
    del parent[path[-1]]
    with pytest.raises(ValidationError, match=path[-1]):
        check(documents)


@pytest.mark.parametrize("key", ["groupName", "minReplicas", "maxReplicas", "template"])
def test_what_the_definition_requires_of_workers_is_required(documents: dict[str, Document], key: str) -> None:
    for group in documents["RayService"]["spec"]["rayClusterConfig"]["workerGroupSpecs"]:
        del group[key]
    with pytest.raises(ValidationError, match=key):
        check(documents)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("import_path:", "import_pth:"),
        ("route_prefix:", "route_prefx:"),
        ("proxy_location:", "proxy_locaton:"),
        ("EveryNode", "EveryNod"),
        ("host:", "hosts:"),
    ],
)
def test_a_misspelt_serve_configuration_is_found(documents: dict[str, Document], right: str, wrong: str) -> None:
    """The text inside serveConfigV2 is held to Ray Serve's own schema."""
    spec = documents["RayService"]["spec"]
    assert right in spec["serveConfigV2"]
    spec["serveConfigV2"] = spec["serveConfigV2"].replace(right, wrong)
    with pytest.raises(ValidationError):
        check(documents)


def test_every_import_path_is_a_builder(service: Document) -> None:
    """Ray Serve calls each import path with the application's arguments."""
    for application in yaml.safe_load(service["spec"]["serveConfigV2"])["applications"]:
        module, name = application["import_path"].split(":")
        builder = getattr(importlib.import_module(module), name)
        assert len(inspect.signature(builder).parameters) == 1


def test_the_settings_of_the_manifest_can_serve_on_several_machines(
    documents: dict[str, Document], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The config map, with the variables that its header has the secret hold, are settings that load, and that keep
    nothing on one machine."""
    monkeypatch.chdir(tmp_path)
    settings = settings_of(documents["ConfigMap"])
    require_shared_state(settings, frozenset({"10.0.0.1", "10.0.0.2"}), wandering=True)
    assert settings.serving.ray_address == "auto"
    assert str(settings.data_dir) in MANIFEST.read_text(encoding="utf-8").split("mountPath:")[1]


def settings_of(config_map: Document) -> Settings:
    secret = dict(re.findall(r"--from-literal=(ASKANCE_\w+)=(\S+)", MANIFEST.read_text(encoding="utf-8")))
    assert secret
    variables = {key: value for key, value in {**config_map["data"], **secret}.items() if key.startswith("ASKANCE_")}
    return load_settings(None, variables)


def test_every_node_is_told_the_same(service: Document) -> None:
    """Ray Serve's processes on all nodes must agree on how they carry requests."""
    cluster = service["spec"]["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    containers = [container for group in groups for container in group["template"]["spec"]["containers"]]
    assert {str(container["envFrom"]) for container in containers} == {str(containers[0]["envFrom"])}
    assert all(container["livenessProbe"] and container["readinessProbe"] for container in containers)
