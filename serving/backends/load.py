"""From the bytes of a model file to a detector that runs it."""

from loop.domain.errors import BadWeights
from loop.domain.ports import Detector
from training.weights import read_weights


def load_detector(content: bytes, *, device: str = "cpu", threads: int = 0) -> Detector:
    """The detector in `content` (a file of training.weights), ready on `device` (a torch device).

    threads: CPU threads of this process for one forward pass; 0 leaves torch's choice. Raises BadWeights for a
    file that cannot be read or whose backend is unknown, and for a device that is not there.
    """
    head, state = read_weights(content)
    if head.backend == "ultralytics":
        from serving.backends.ultralytics import UltralyticsDetector

        return UltralyticsDetector(head, state, device=device, threads=threads)
    if head.backend == "torchvision":
        from serving.backends.torchvision import TorchvisionDetector

        return TorchvisionDetector(head, state, device=device, threads=threads)
    raise BadWeights(
        f"the model file wants the backend {head.backend!r}, which is not known here.",
        hint="Known backends: torchvision, ultralytics. Update this service if the file is from a newer one.",
        backend=head.backend,
    )
