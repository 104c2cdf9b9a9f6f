"""On which device a network is trained where nobody names one."""

AUTO = "auto"


def device_of(wanted: str) -> str:
    """`wanted`, or for `auto` the best that torch sees in this process: cuda, else mps, else cpu. Ray hides the GPUs
    that a task has not reserved."""
    if wanted != AUTO:
        return wanted
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
