"""Where, and with which numbers, torch runs a network."""

import contextlib

import torch

from loop.domain.errors import BadWeights

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def on_device(network: torch.nn.Module, device: str, threads: int) -> torch.nn.Module:
    """`network` on a torch device, for inference only. Raises BadWeights for a device that is not there.

    threads: of this process, 0 leaves them as they are.
    """
    if threads > 0:
        torch.set_num_threads(threads)
    try:
        moved = network.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:  # torch says "not compiled with CUDA" by assertion
        raise BadWeights(
            f"the model cannot run on {device!r}: {str(error).splitlines()[0]}",
            hint="Set the device to cpu, or to one that this machine has.",
            device=device,
        ) from error
    return moved.eval().requires_grad_(False)


def in_precision(device: str, precision: str) -> contextlib.AbstractContextManager[object]:
    """Convolutions and products inside in `precision` (fp32 | fp16 | bf16); what needs float32 stays in it."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(torch.device(device).type, dtype=DTYPES[precision])
