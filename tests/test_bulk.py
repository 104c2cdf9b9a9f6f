"""What passes between the stages of the bulk pipeline, and what each does with it, without Ray."""

import io
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from loop.domain.errors import AnnotationFailed, BadWeights, Unavailable
from loop.domain.prediction import Inference
from loop.settings import Settings, load_settings
from loop.store.blobs import FsspecBlobs
from serving import bulk
from serving.backends.load import load_detector
from serving.bulk import _HOPELESS, BulkDetector, RayBulk, _failure, packed, read_batch, unpacked
from serving.image_queue import ImageQueue
from serving.images import decode_image
from tests.tiny_models import tiny_weights


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


# --- the detector ------------------------------------------------------------------------------------


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """By one runtime: which is the fastest is another test's question. An untrained model's detections are kept."""
    monkeypatch.setattr("os.nice", lambda _: 0)  # of these tests themselves, for good
    chosen = {"DATA_DIR": str(tmp_path), "SERVING__RUNTIME": "torch", "SERVING__SCORE_FLOOR": "0"}
    return load_settings(environ={f"ASKANCE_{name}": value for name, value in chosen.items()})


def detector(settings: Settings, urls: Sequence[str] = ()) -> BulkDetector:
    return BulkDetector(settings, FsspecBlobs.open(settings.blobs_url).put(tiny_weights()), False, urls)


def encoded(grey: int, side: int = 32, suffix: str = "PNG") -> bytes:
    """An image of that grey in its middle, noisy around it."""
    pixels = np.random.default_rng(grey).integers(0, 256, (side, side, 3), dtype=np.uint8)
    pixels[side // 4 : -side // 4, side // 4 : -side // 4] = grey
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, suffix)
    return buffer.getvalue()


def batch(contents: Sequence[bytes]) -> pa.Table:
    columns = {"position": range(len(contents)), "content": contents, "reason": [""] * len(contents)}
    return pa.table({name: list(values) for name, values in columns.items()})


class Fragile:
    """The model, where whatever breaks it does not: `breaks` may raise for the grey of an image's middle."""

    def __init__(self, breaks: Callable[[int], None], settings: Settings, weights: bytes, **given: object) -> None:
        self._breaks, self._detector, self.given = breaks, load_detector(weights), given

    def predict(self, images: Sequence[np.ndarray], *, score_floor: float) -> list[Inference]:
        for image in images:
            self._breaks(int(image[image.shape[0] // 2, image.shape[1] // 2, 0]))
        return self._detector.predict(images, score_floor=score_floor)


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[int, Exception]]:
    """What the network raises, by the grey of an image; a blank one's is 0."""
    errors: dict[int, Exception] = {}

    def breaks(grey: int) -> None:
        if grey in errors:
            raise errors[grey]

    monkeypatch.setattr(bulk, "fastest_detector", partial(Fragile, breaks))
    return errors


def test_an_image_that_the_network_fails_on_is_bad_and_the_others_are_answered(settings, breaking):
    """Whatever it raises, the reason is told in a line; images of the same batch have the answers of any other."""
    breaking[101] = Unavailable("its output is not finite.", hint="Roll back.")
    breaking[102] = MemoryError()
    breaking[103] = RuntimeError("could not create a primitive\n  at 0x1\n")
    contents = [encoded(grey) for grey in (100, 101, 102, 103, 104)]
    bulk_detector = detector(settings)
    told = bulk_detector(batch([*contents, b"no image"])).to_pylist()
    assert [row["reason"] for row in told[:5]] == [
        "", "its output is not finite.", "memory does not suffice for it.",
        "RuntimeError: could not create a primitive", "",
    ]  # fmt: skip
    assert "not an image" in told[5]["reason"]
    assert [bool(row["inference"]) for row in told] == [True, False, False, False, True, False]
    assert [bool(row["content"]) for row in told] == [True, False, False, False, True, False]
    alone = bulk_detector(batch([contents[4]])).to_pylist()
    assert np.allclose(unpacked(told[4]["inference"]).boxes, unpacked(alone[0]["inference"]).boxes, atol=1e-3)


def test_a_batch_of_nothing_but_bad_images_stops_nothing(settings, breaking):
    """Nor does one after the other, while others between them are answered."""
    breaking[101] = Unavailable("its output is not finite.", hint="Roll back.")
    bulk_detector = detector(settings)
    for _ in range(4):
        told = bulk_detector(batch([encoded(101)] * (_HOPELESS - 1))).to_pylist()
        assert {row["reason"] for row in told} == {"its output is not finite."}
        assert bulk_detector(batch([encoded(100)])).to_pylist()[0]["reason"] == ""


def test_a_network_that_fails_on_a_blank_image_too_ends_the_work(settings, breaking):
    """At the first image, so that none is called bad for it."""
    breaking[101] = breaking[0] = RuntimeError("CUDA error: the device is gone")
    with pytest.raises(AnnotationFailed, match="on a blank image, too: RuntimeError: CUDA error: the device is gone"):
        detector(settings)(batch([encoded(101), encoded(100)]))


@pytest.mark.parametrize("size", [1, 8, 64])
def test_a_network_that_fails_on_all_real_images_ends_the_work(settings, breaking, size):
    """After so many in a row, however many a batch has; what cannot be decoded is not counted."""
    breaking[101] = Unavailable("its output is not finite.", hint="Roll back.")
    bulk_detector = detector(settings)
    full, rest = divmod(_HOPELESS - 1, size)
    for count in [size] * full + [rest]:
        bulk_detector(batch([encoded(101)] * count + [b"no image"]))
    with pytest.raises(AnnotationFailed, match=rf"fails on {_HOPELESS} images in a row.*: its output is not finite"):
        bulk_detector(batch([encoded(101)]))


@pytest.mark.parametrize("shape", [(512, "JPEG"), (512, "PNG"), (32, "JPEG")], ids=str)
def test_it_sees_what_online_requests_see(settings, shape):
    """A photograph is decoded no larger than the network needs, and its boxes are in pixels of the whole image."""
    content = encoded(100, *shape)
    (row,) = detector(settings)(batch([content])).to_pylist()
    found = unpacked(row["inference"])
    decode = partial(decode_image, max_pixels=10**6, enough=64)
    online = ImageQueue(
        load_detector(tiny_weights()), decode=decode, score_floor=settings.serving.score_floor, batch_wait_s=0,
        decoders=1,
    )  # fmt: skip
    expected = online.submit(content, 60.0).result().inference
    online.close()
    assert (row["width"], row["height"]) == (shape[0], shape[0])
    assert len(found.boxes) == len(expected.boxes) > 0
    assert np.allclose(found.boxes, expected.boxes, atol=1e-3)
    assert np.allclose(found.embedding, expected.embedding, atol=1e-5)


def test_runtimes_are_compared_on_images_of_the_job(settings, breaking, tmp_path):
    """On as many as online, or int8, which is calibrated with them, never serves; what cannot be read is left out."""
    names = ["a.png", "none.png", "text.png", "b.png"]
    for name, content in zip(names, (encoded(100), None, b"no image", encoded(104)), strict=True):
        if content is not None:
            (tmp_path / name).write_bytes(content)
    taken = detector(settings, [str(tmp_path / name) for name in names])._detector.given["images"]
    assert [int(image[16, 16, 0]) for image in taken] == [100, 104]
    assert RayBulk(settings)._wanted_images >= settings.parity.calibration_images >= 100
