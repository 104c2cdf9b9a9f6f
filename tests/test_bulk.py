"""What passes between the stages of the bulk pipeline, without Ray."""

import numpy as np
import pyarrow as pa
import pytest

from loop.domain.errors import AnnotationFailed, BadWeights, Unavailable
from loop.domain.prediction import Inference
from loop.settings import load_settings
from serving.bulk import RayBulk, _failure, packed, read_batch, unpacked


@pytest.mark.parametrize("objects", [None, np.random.default_rng(0).random((7, 128)).astype(np.float16)])
@pytest.mark.parametrize("consistency", [None, 0.1 + 0.2])
@pytest.mark.parametrize("count", [0, 1, 300])
def test_an_inference_survives_the_wire(count, consistency, objects):
    """All arrays with their shapes and types, to the last bit, also when nothing was found; and what is a number."""
    rng = np.random.default_rng(count)
    inference = Inference(
        boxes=rng.random((count, 4)).astype(np.float32),
        scores=rng.random(count).astype(np.float32),
        classes=rng.integers(0, 3, count),
        class_scores=rng.random((count, 3)).astype(np.float32)[:, ::-1],
        embedding=rng.random(16).astype(np.float32),
        objects=objects,
        consistency=consistency,
    )
    back = unpacked(packed(inference))
    assert back.consistency == consistency
    assert (back.objects is None) == (objects is None)
    for name in (
        "boxes",
        "scores",
        "classes",
        "class_scores",
        "embedding",
        *(["objects"] if objects is not None else []),
    ):
        before, after = getattr(inference, name), getattr(back, name)
        assert (before.shape, before.dtype) == (after.shape, after.dtype)
        assert np.array_equal(before, after)


def test_bytes_are_read_whole_and_what_cannot_be_read_says_why(tmp_path):
    """Zero bytes at the end stay; a missing and a too large file are reasons, never errors."""
    (tmp_path / "a.png").write_bytes(b"ab\0\0")
    (tmp_path / "large.png").write_bytes(b"x" * 9)
    urls = [str(tmp_path / name) for name in ("a.png", "none.png", "large.png")]
    table = read_batch(pa.table({"position": [4, 5, 6], "url": urls}), max_bytes=8).to_pydict()
    assert table["position"] == [4, 5, 6]
    assert table["content"] == [b"ab\0\0", b"", b""]
    assert table["reason"][0] == ""
    assert "none.png" in table["reason"][1]
    assert "larger than 8" in table["reason"][2]


def test_an_error_of_a_detector_is_told_as_it_was():
    """However deeply Ray wrapped it; anything else names its last line."""
    wrapped = RuntimeError("task failed")
    wrapped.__cause__ = ValueError("x")
    wrapped.__cause__.__cause__ = BadWeights("no such device.", hint="Use cpu.")
    assert isinstance(_failure(wrapped), BadWeights)
    other = _failure(RuntimeError("Traceback\n  File x\nMemoryError: too much\n"))
    assert isinstance(other, AnnotationFailed)
    assert "MemoryError: too much" in other.detail


def test_without_ray_it_says_so(tmp_path):
    """Where the process is not connected."""
    settings = load_settings(environ={"ASKANCE_DATA_DIR": str(tmp_path)})
    with pytest.raises(Unavailable, match="not connected to Ray"):
        next(RayBulk(settings).infer(None, []))
