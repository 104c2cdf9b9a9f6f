"""Which runtimes and precisions there are, which of them this machine can run, and how each opens a model."""

import importlib
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass

from loop.domain.errors import BadWeights, SettingsError
from loop.domain.model import ModelHead
from loop.domain.ports import Detector
from serving.backends.graph_detector import SPARSE_BACKENDS, GraphDetector, Session

AUTO = "auto"
PRECISIONS = ("fp32", "bf16", "fp16", "int8")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to run a model: runtime and precision."""

    runtime: str
    precision: str

    def __str__(self) -> str:
        return f"{self.runtime} {self.precision}"


REFERENCE = Candidate("torch", "fp32")


@dataclass(frozen=True, slots=True)
class _Runtime:
    """module: what must be installed; extra: of this package, that brings it. Precisions by kind of device, in no
    order; those that the hardware lacks are found by trying."""

    module: str
    extra: str
    on_cpu: tuple[str, ...]
    on_gpu: tuple[str, ...]


RUNTIMES: Mapping[str, _Runtime] = {
    "torch": _Runtime("torch", "", ("fp32", "bf16"), ("fp32", "bf16", "fp16")),
    "onnx": _Runtime("onnxruntime", "", ("fp32", "int8"), ("fp32",)),
    "openvino": _Runtime("openvino", "", ("fp32", "bf16", "fp16", "int8"), ()),
    "tensorrt": _Runtime("tensorrt", "tensorrt", (), ("fp32", "bf16", "fp16", "int8")),
}


def candidates(runtime: str, precision: str, device: str) -> list[Candidate]:
    """What `runtime` and `precision`, each a name or auto, leave to try on `device`, best known first.

    Raises SettingsError for a name that is not known, a runtime that is not installed, and a pair that does not exist.
    """
    _check_known("runtime", runtime, RUNTIMES)
    _check_known("precision", precision, PRECISIONS)
    if runtime != AUTO:
        _check_installed(runtime)
    names = [name for name in RUNTIMES if installed(name)] if runtime == AUTO else [runtime]
    found = [Candidate(name, one) for name in names for one in precisions_of(name, device) if precision in (AUTO, one)]
    if AUTO in (runtime, precision):
        found = _promising(found)
    if not found:
        raise SettingsError(
            f"{_wish(runtime, precision)} does not run on {device!r}.",
            hint=f"There are here: {'; '.join(_offers(device))}. auto takes the fastest.",
        )
    return found


def _promising(found: list[Candidate]) -> list[Candidate]:
    """Without those that another is sure to beat, so that measuring stays short: where OpenVINO computes in bf16, torch
    in bf16, OpenVINO in fp16, and int8, which was slower even before the minute that its calibration takes."""
    if Candidate("openvino", "bf16") not in found:
        return found
    beaten = (Candidate("torch", "bf16"), Candidate("openvino", "fp16"))
    return [one for one in found if one not in beaten and one.precision != "int8"]


def precisions_of(runtime: str, device: str) -> tuple[str, ...]:
    """The precisions of an installed runtime on `device`."""
    if device == "cpu":
        if runtime == "openvino":
            from serving.backends.openvino import supported_precisions

            return supported_precisions()
        return RUNTIMES[runtime].on_cpu
    if device.startswith("cuda"):
        return RUNTIMES[runtime].on_gpu
    return ("fp32",) if runtime == "torch" else ()


def installed(runtime: str) -> bool:
    return importlib.util.find_spec(RUNTIMES[runtime].module) is not None


def _check_known(what: str, name: str, known: Mapping[str, object] | tuple[str, ...]) -> None:
    if name != AUTO and name not in known:
        raise SettingsError(
            f"the {what} {name!r} is not known.", hint=f"Set serving.{what} to one of: {', '.join((AUTO, *known))}."
        )


def _check_installed(runtime: str) -> None:
    if installed(runtime):
        return
    package = f"askance[{RUNTIMES[runtime].extra}]" if RUNTIMES[runtime].extra else "askance"
    raise SettingsError(
        f"the runtime {runtime} is not installed.", hint=f"pip install {package}, or set serving.runtime to auto."
    )


def _wish(runtime: str, precision: str) -> str:
    return f"the runtime {runtime} with precision {precision}"


def _offers(device: str) -> list[str]:
    return [f"{name} {'/'.join(precisions_of(name, device))}" for name in RUNTIMES if installed(name)]


# --- opening -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """Where a detector runs. device: a torch device. threads: CPU threads of this process. batch: the most images of
    one pass, where the runtime gains from several."""

    device: str
    threads: int
    batch: int


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prepared(candidate: Candidate, head: ModelHead, graph: bytes, place: Place) -> bytes:
    """What `opened` needs: the graph, or what is built from it. Raises BadWeights."""
    if candidate.runtime == "openvino":
        from serving.backends import openvino

        return openvino.prepared(graph, candidate.precision)
    if candidate.runtime != "tensorrt":
        return graph
    if head.backend in SPARSE_BACKENDS:
        raise BadWeights(f"TensorRT cannot run the NMS in the graph of a {head.backend} model.")
    from serving.backends.tensorrt import engine_of

    return engine_of(
        graph, device=place.device, image_size=head.image_size, batch=place.batch, precision=candidate.precision
    )


def opened(candidate: Candidate, head: ModelHead, artifact: bytes, place: Place) -> Detector:
    """A detector of a graph runtime, from what `prepared` gave. Raises BadWeights."""
    return GraphDetector(head, _session(candidate, head, artifact, place))


def _session(candidate: Candidate, head: ModelHead, artifact: bytes, place: Place) -> Session:
    sparse = head.backend in SPARSE_BACKENDS
    if candidate.runtime == "onnx":
        from serving.backends.onnx import OnnxSession

        return OnnxSession(artifact, device=place.device, streams=place.threads, batch=place.batch, sparse=sparse)
    if candidate.runtime == "openvino":
        from serving.backends.openvino import OpenvinoSession

        return OpenvinoSession(
            artifact,
            image_size=head.image_size,
            streams=place.threads,
            precision=candidate.precision,
            sparse=sparse,
        )
    from serving.backends.tensorrt import TensorrtSession

    return TensorrtSession(artifact, device=place.device, batch=place.batch)
