"""The shape of KubeRay's RayService (ray.io/v1, KubeRay 1.6), as far as its own custom resource definition says it.

Written by hand from the field reference of KubeRay, and compared with its definition: names and types of the fields of
the service and its upgrade, what is required of it, of its cluster and of workers (ray-project/kuberay,
helm-chart/kuberay-operator/crds/ray.io_rayservices.yaml at 02a80a6f, version v1). That file is a megabyte, nearly all
of it Kubernetes' own kinds, and is not copied: pod templates and services inside of it are held to the schemas that
kubernetes-validate brings. What the manifest does not use (options of the autoscaler, fault tolerance, network
policies, ingresses) is left out. Unknown keys are errors, as with `kubectl apply --validate=strict`.
"""

import functools
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import kubernetes_validate
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from ray.serve.schema import ServeDeploySchema
from yaml import safe_load

KUBERNETES = "1.34"

Json = dict[str, Any]
Count = Annotated[int, Field(ge=0, lt=2**31)]
Manager = Literal["ray.io/kuberay-operator", "kueue.x-k8s.io/multikueue"]


def of_kubernetes(document: Mapping[str, Any]) -> None:
    """Raises ValueError where Kubernetes does not know the kind, a key, or a value's type."""
    _validate(json.dumps(document, sort_keys=True))


@functools.cache
def _validate(document: str) -> None:
    try:
        kubernetes_validate.validate(json.loads(document), KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        raise ValueError(f"{'.'.join(map(str, error.path))}: {error.message}") from error
    except (KeyError, kubernetes_validate.SchemaNotFoundError) as error:
        raise ValueError(f"not a kind of Kubernetes: {error}") from error


def _pod_template(template: Json) -> Json:
    of_kubernetes({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}, "template": template})
    return template


def _service(service: Json) -> Json:
    of_kubernetes({"apiVersion": "v1", "kind": "Service", **service})
    return service


def _serve_config(text: str) -> str:
    given = safe_load(text)
    _only_fields(given, ServeDeploySchema.model_validate(given))
    return text


def _only_fields(given: Json, model: BaseModel) -> None:
    """Raises ValueError for a key that the model passes over."""
    for key, value in given.items():
        if key not in type(model).model_fields:
            raise ValueError(f"{type(model).__name__} has no field {key}")
        read = getattr(model, key)
        pairs = zip(value, read, strict=True) if isinstance(read, list) else [(value, read)]
        for inner, parsed in pairs:
            if isinstance(parsed, BaseModel):
                _only_fields(inner, parsed)


PodTemplate = Annotated[Json, AfterValidator(_pod_template)]
Service = Annotated[Json, AfterValidator(_service)]


class Kind(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class AuthOptions(Kind):
    mode: Literal["disabled", "token"] | None = None
    secretName: str | None = None  # noqa: N815 - Kubernetes' spelling, here and below
    enableK8sTokenAuth: bool | None = None  # noqa: N815


class HeadGroup(Kind):
    template: PodTemplate
    rayStartParams: dict[str, str] = {}  # noqa: N815
    headService: Service | None = None  # noqa: N815
    enableIngress: bool | None = None  # noqa: N815
    serviceType: Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] | None = None  # noqa: N815
    resources: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class ScaleStrategy(Kind):
    workersToDelete: list[str] | None = None  # noqa: N815


class WorkerGroup(Kind):
    groupName: str  # noqa: N815
    template: PodTemplate
    rayStartParams: dict[str, str] = {}  # noqa: N815
    replicas: Count = 0
    minReplicas: Count  # noqa: N815
    maxReplicas: Count  # noqa: N815
    numOfHosts: Count = 1  # noqa: N815
    idleTimeoutSeconds: Count | None = None  # noqa: N815
    suspend: bool | None = None
    scaleStrategy: ScaleStrategy | None = None  # noqa: N815
    resources: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class RayCluster(Kind):
    headGroupSpec: HeadGroup  # noqa: N815
    workerGroupSpecs: list[WorkerGroup] = []  # noqa: N815
    rayVersion: str | None = None  # noqa: N815
    authOptions: AuthOptions | None = None  # noqa: N815
    enableInTreeAutoscaling: bool | None = None  # noqa: N815
    headServiceAnnotations: dict[str, str] | None = None  # noqa: N815
    managedBy: Manager | None = None  # noqa: N815
    suspend: bool | None = None


class ClusterUpgrade(Kind):
    gatewayClassName: str  # noqa: N815
    intervalSeconds: Count  # noqa: N815
    stepSizePercent: Count  # noqa: N815
    maxSurgePercent: Count = 100  # noqa: N815


class UpgradeStrategy(Kind):
    type: Literal["NewClusterWithIncrementalUpgrade", "NewCluster", "None"] | None = None
    clusterUpgradeOptions: ClusterUpgrade | None = None  # noqa: N815


class RayServiceSpec(Kind):
    serveConfigV2: Annotated[str, AfterValidator(_serve_config)]  # noqa: N815
    rayClusterConfig: RayCluster  # noqa: N815
    upgradeStrategy: UpgradeStrategy | None = None  # noqa: N815
    serveService: Service | None = None  # noqa: N815
    excludeHeadPodFromServeSvc: bool | None = None  # noqa: N815
    rayClusterDeletionDelaySeconds: Count | None = None  # noqa: N815
    managedBy: Manager | None = None  # noqa: N815
    suspend: bool | None = None


class Metadata(Kind):
    name: str
    namespace: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class RayService(Kind):
    apiVersion: Literal["ray.io/v1"]  # noqa: N815
    kind: Literal["RayService"]
    metadata: Metadata
    spec: RayServiceSpec
