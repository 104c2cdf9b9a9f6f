"""Which runtime serves a model, and what is remembered of that."""

import fcntl
import functools
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from loop.demo.scenes import Pool, day_scenes
from loop.domain.errors import BadWeights, SettingsError
from loop.domain.ports import Detector
from loop.domain.prediction import Inference
from serving.backends import choice_cache
from serving.backends.choice import Measuring, choose
from serving.backends.choice_cache import Kept
from serving.backends.graph import graph_of
from serving.backends.load import load_detector, load_fastest
from serving.backends.openvino import supported_precisions
from serving.backends.parity import ParityLimits, compared
from serving.backends.runtimes import REFERENCE, RUNTIMES, Candidate, Place, candidates, opened, prepared
from serving.backends.synthetic_images import synthetic_images
from tests.tiny_models import tiny_weights
from training.head import read_head

LIMITS = ParityLimits()
ONNX, OPENVINO = Candidate("onnx", "fp32"), Candidate("openvino", "fp32")
ROOT = Path(__file__).resolve().parents[1]


@functools.cache
def trained() -> bytes:
    """The demo's detector: small, and sure of what it sees."""
    return (ROOT / "loop/demo/seed.safetensors").read_bytes()


@functools.cache
def trained_graph() -> bytes:
    return graph_of(trained())[1]


@functools.cache
def scenes() -> tuple[NDArray[np.uint8], ...]:
    return tuple(scene.image for scene in day_scenes(7, 40, Pool.STREAM))


def measuring(
    graph: bytes | None = None, images: Sequence[NDArray[np.uint8]] | None = None, limits: ParityLimits = LIMITS
) -> Measuring:
    images = scenes() if images is None else images
    return Measuring(
        head=read_head(trained()),
        graph=trained_graph if graph is None else lambda: graph,
        torch=lambda precision: load_detector(trained(), threads=1, precision=precision),
        images=images,
        calibration=images,
        place=Place("cpu", 2, 4),
        limits=limits,
    )


def load(cache: Path, weights: bytes | None = None, **arguments: object) -> Detector:
    """A model so small that measuring it takes no time."""
    given: dict[str, object] = {"cache": cache, "threads": 2, "runtime": "onnx", "precision": "fp32"}
    return load_fastest(weights or tiny_weights(), **(given | arguments))  # type: ignore[arg-type]


def answers(detector: Detector) -> bool:
    return len(detector.predict(synthetic_images(1, 64), score_floor=0.0)[0].scores) > 0


# --- choosing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("candidate", [ONNX, OPENVINO, Candidate("openvino", "bf16")], ids=str)
def test_a_sound_graph_of_a_trained_model_passes(candidate: Candidate) -> None:
    if candidate not in candidates(candidate.runtime, "auto", "cpu"):
        pytest.skip(f"this CPU does not compute in {candidate.precision}")
    chosen = choose([candidate], measuring())
    assert chosen.candidate == candidate
    assert chosen.artifact is not None
    assert (chosen.artifact == trained_graph()) == (candidate.precision == "fp32")  # others are marked where not to
    (one,) = chosen.detector.predict(scenes()[:1], score_floor=0.25)
    (other,) = load_detector(trained()).predict(scenes()[:1], score_floor=0.25)
    assert one.classes.tolist() == other.classes.tolist()


def damaged(graph: bytes, name: str, factor: float) -> bytes:
    """The graph with one of its weights scaled."""
    model = onnx.load_from_string(graph)
    (tensor,) = [one for one in model.graph.initializer if one.name == name]
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(factor), name))
    return model.SerializeToString()


def largest_weight(graph: bytes) -> str:
    weights = [one for one in onnx.load_from_string(graph).graph.initializer if len(one.dims) == 4]
    return max(weights, key=lambda one: int(np.prod(one.dims))).name


@pytest.mark.parametrize("candidate", [ONNX, OPENVINO], ids=str)
def test_a_damaged_graph_is_refused_and_torch_serves(candidate: Candidate) -> None:
    graph = damaged(trained_graph(), largest_weight(trained_graph()), 3.0)
    chosen = choose([REFERENCE, candidate], measuring(graph))
    assert chosen.candidate == REFERENCE and chosen.artifact is None
    assert f"{candidate}" in chosen.report and "refused" in chosen.report


def test_runtimes_are_compared_with_what_is_open_already(tmp_path: Path) -> None:
    """Here that of another model, whose answers no runtime gives: then itself serves, and is not opened again."""
    other = load_detector(tiny_weights(seed=1), max_batch_size=8)
    with pytest.raises(BadWeights, match="refused"):
        load(tmp_path / "one", reference=other)
    assert load(tmp_path / "two", runtime="auto", reference=other) is other
    assert answers(load(tmp_path / "three", reference=load_detector(tiny_weights(), max_batch_size=8)))


def test_where_nothing_that_was_asked_for_passes_the_reasons_are_named() -> None:
    graph = damaged(trained_graph(), largest_weight(trained_graph()), 3.0)
    with pytest.raises(BadWeights, match=r"onnx fp32.*have a partner") as caught:
        choose([ONNX], measuring(graph))
    assert "auto" in caught.value.hint


def test_a_graph_that_does_not_load_counts_as_refused() -> None:
    chosen = choose([REFERENCE, ONNX, OPENVINO], measuring(b"not a graph"))
    assert chosen.candidate == REFERENCE
    assert chosen.report.count("cannot load the graph") == 2


def test_int8_needs_real_images_to_calibrate_on() -> None:
    with pytest.raises(BadWeights, match="int8 needs 100 images to calibrate on, 40 are here"):
        choose([Candidate("onnx", "int8")], measuring())


def test_int8_serves_where_it_was_calibrated_and_parity_holds() -> None:
    """The limits are those of a test of eight-bit numbers on few images; the defaults are stricter."""
    lax = replace(LIMITS, calibration_images=20, matched=0.8, iou=0.7, score_difference=0.5, cosine=0.9)
    chosen = choose([Candidate("onnx", "int8")], measuring(limits=lax))
    assert b"QuantizeLinear" in (chosen.artifact or b"")
    (one,) = chosen.detector.predict(scenes()[:1], score_floor=0.25)
    assert len(one.scores) > 0


def test_the_choice_is_told_in_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="askance.runtime"):
        choose([REFERENCE, ONNX], measuring(b"not a graph"))
    (record,) = caplog.records
    assert record.name == "askance.runtime"
    assert record.getMessage().startswith("serving by torch fp32, measured in")
    assert "onnx fp32 not timed, refused: onnxruntime cannot load the graph" in record.getMessage()


def test_a_ranking_is_followed_to_the_first_that_passes(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is timed, and what comes after the first that passes is not even opened."""
    sound = choose([REFERENCE, ONNX, OPENVINO], measuring(), [OPENVINO, ONNX, REFERENCE])
    assert sound.candidate == OPENVINO and sound.ranking == ()
    graph = damaged(trained_graph(), largest_weight(trained_graph()), 3.0)
    with caplog.at_level(logging.INFO, logger="askance.runtime"):
        damaged_one = choose([REFERENCE, ONNX, OPENVINO], measuring(graph), [OPENVINO, REFERENCE, ONNX])
    assert damaged_one.candidate == REFERENCE
    assert "ranked as others of its network, compared in" in caplog.text
    assert "openvino fp32 not timed, refused" in caplog.text and "onnx fp32" not in caplog.text


def test_what_is_not_ranked_is_tried_last() -> None:
    """Another model's failure to open does not exclude it for this one."""
    graph = damaged(trained_graph(), largest_weight(trained_graph()), 3.0)
    with pytest.raises(BadWeights, match=r"openvino fp32 .*refused.*; onnx fp32 .*refused"):
        choose([ONNX, OPENVINO], measuring(graph), [OPENVINO])


def test_what_was_timed_is_ranked_the_fastest_first() -> None:
    chosen = choose([REFERENCE, ONNX], measuring())
    assert set(chosen.ranking) == {REFERENCE, ONNX}
    assert chosen.ranking[0] == chosen.candidate
    assert choose([REFERENCE, ONNX], measuring(b"not a graph")).ranking == (REFERENCE,)


def test_drawn_images_are_the_same_each_time_and_differ_from_each_other() -> None:
    one, other = synthetic_images(3, 96), synthetic_images(3, 96)
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert {max(image.shape) for image in one} == {96} and len({image.tobytes() for image in one}) == 3


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"runtime": "tensorflow"}, "openvino"),
        ({"precision": "fp8"}, "bf16"),
        ({"runtime": "onnx", "precision": "bf16"}, "onnx fp32/int8"),
        ({"runtime": "openvino", "precision": "auto", "device": "cuda"}, "torch"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(tmp_path: Path, asked: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, **asked)
    assert named in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_a_runtime_that_is_not_installed_is_refused_with_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RUNTIMES, "tensorrt", replace(RUNTIMES["tensorrt"], module="no_such_package"))  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="tensorrt is not installed") as caught:
        load(tmp_path, runtime="tensorrt")
    assert "pip install askance[tensorrt]" in caught.value.hint


def test_auto_passes_over_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for runtime in ("onnx", "openvino", "tensorrt"):
        monkeypatch.setitem(RUNTIMES, runtime, replace(RUNTIMES[runtime], module="no_such_package"))  # type: ignore[arg-type]
    assert {one.runtime for one in candidates("auto", "auto", "cpu")} == {"torch"}


@pytest.mark.parametrize("content", [b"", b"not weights", b"\x80\x04cposix\nsystem\n."], ids=["none", "text", "pickle"])
def test_what_is_not_a_model_file_is_refused_before_anything_runs(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BadWeights, match="not a readable model file"):
        load_fastest(content, cache=tmp_path)


def test_what_was_asked_for_by_name_is_what_serves(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="askance.runtime"):
        detector = load(tmp_path, runtime="openvino", precision="fp32")
    assert "serving by openvino fp32" in caplog.text
    assert (detector.streams, detector.batch) == (2, 1)


def test_torch_by_name_measures_nothing_and_keeps_nothing(tmp_path: Path) -> None:
    detector = load(tmp_path, runtime="torch", precision="fp32", max_batch_size=4)
    assert (detector.streams, detector.batch) == (1, 4)
    assert not list(tmp_path.iterdir())


def test_bf16_meets_parity_by_what_it_leaves_in_float32() -> None:
    """The first convolution and the class branches decide most; rounded like the rest, they miss the limits."""
    if "bf16" not in supported_precisions():
        pytest.skip("this processor does not compute bf16")
    head, graph = read_head(trained()), trained_graph()
    images = [scene.image for scene in day_scenes(7, 60, Pool.STREAM)]

    def answered(precision: str) -> list[Inference]:
        candidate, place = Candidate("openvino", precision), Place(device="cpu", threads=1, batch=1)
        detector = opened(candidate, head, prepared(candidate, head, graph, place), place)
        return [answer for image in images for answer in detector.predict([image], score_floor=0.0)]

    verdict = compared(answered("fp32"), answered("bf16"), LIMITS)
    assert verdict.passed, verdict.reasons
    assert verdict.compared > 200


# --- remembering ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache after onnx was chosen once."""
    cache = tmp_path_factory.mktemp("runtimes")
    load(cache)
    return cache


def kept(cache: Path) -> Path:
    (folder,) = (entry for entry in cache.iterdir() if entry.is_dir())
    return folder


def test_a_second_start_measures_nothing(measured: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="askance.runtime"):
        detector = load(measured)
    assert [record.getMessage() for record in caplog.records] == ["serving by onnx fp32, as remembered"]
    assert answers(detector)


def test_a_second_start_by_another_runtime_than_torch_does_not_import_torch(measured: Path, tmp_path: Path) -> None:
    """A process that serves holds the graph only: torch alone takes hundreds of megabytes."""
    weights = tmp_path / "tiny.safetensors"
    weights.write_bytes(tiny_weights())
    code = (
        "import sys; from pathlib import Path; from serving.backends.load import load_fastest; import numpy as np\n"
        f"content, cache = Path({str(weights)!r}).read_bytes(), Path({str(measured)!r})\n"
        "detector = load_fastest(content, cache=cache, runtime='onnx', precision='fp32', threads=2)\n"
        "detector.predict([np.zeros((64, 64, 3), dtype=np.uint8)], score_floor=0.25)\n"
        "sys.exit('torch was imported' if 'torch' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_graph_for_embeddings_of_objects_is_another(
    measured: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither is taken for the other, each is remembered, and who does not ask finds what was kept before."""
    cache = copied(measured, tmp_path)
    (plain,) = (entry.name for entry in cache.iterdir() if entry.is_dir())

    def objects(wanted: bool) -> bool:
        (answer,) = load(cache, objects=wanted).predict(synthetic_images(1, 64), score_floor=0.0)
        return answer.objects is not None

    assert objects(True) and not objects(False) and objects(True)
    folders = {entry.name for entry in cache.iterdir() if entry.is_dir()}
    assert plain in folders and len(folders) == 2
    with caplog.at_level(logging.INFO, logger="askance.runtime"):
        assert objects(True) and not objects(False)
    assert [record.getMessage() for record in caplog.records] == ["serving by onnx fp32, as remembered"] * 2


def copied(measured: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(measured, tmp_path / "runtimes"))


def test_another_model_of_the_network_is_compared_not_timed(
    measured: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Other weights and other names for as many labels are the same network; another image size is not."""
    cache = copied(measured, tmp_path)
    with caplog.at_level(logging.INFO, logger="askance.runtime"):
        assert answers(load(cache, tiny_weights(labels=("cat", "dog", "cow"), seed=1)))
        load(cache, tiny_weights(image_size=96))
        load(cache, tiny_weights(labels=("cat", "dog")))
    ways = [record.getMessage().split(" in ")[0] for record in caplog.records]
    assert ways == [
        "serving by onnx fp32, ranked as others of its network, compared",
        "serving by onnx fp32, measured",
        "serving by onnx fp32, measured",
    ]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"runtime": "abacus", "precision": "fp32"}]', "[]"])
def test_a_damaged_ranking_is_measured_anew(
    measured: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    cache = copied(measured, tmp_path)
    (ranking,) = cache.glob("*.ranking.json")
    whole = ranking.read_text()
    ranking.write_text(content)
    with caplog.at_level(logging.INFO, logger="askance.runtime"):
        load(cache, tiny_weights(seed=1))
    assert "serving by onnx fp32, measured in" in caplog.text
    assert ranking.read_text() == whole


@pytest.mark.parametrize("damage", ["no description", "not JSON", "another graph", "no graph", "an unknown runtime"])
def test_a_damaged_memory_is_measured_anew(
    measured: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    folder = tmp_path / kept(measured).name
    shutil.copytree(kept(measured), folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    description, graph = folder / "choice.json", folder / "model.bin"
    if damage == "no description":
        description.unlink()
    elif damage == "not JSON":
        description.write_text("{")
    elif damage == "another graph":
        graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    elif damage == "no graph":
        graph.unlink()
    else:
        fields = json.loads(description.read_text())
        description.write_text(json.dumps(fields | {"candidate": {"runtime": "abacus", "precision": "fp32"}}))
    with caplog.at_level(logging.INFO, logger="askance.runtime"):
        assert answers(load(tmp_path))
    assert "serving by onnx fp32, measured in" in caplog.text
    assert {path.name for path in folder.iterdir()} == before.keys()
    assert graph.read_bytes() == before["model.bin"]


@pytest.mark.parametrize(
    "other", [{"limits": replace(LIMITS, score=0.3)}, {"threads": 1}, {"runtime": "openvino"}], ids=str
)
def test_other_limits_threads_or_wishes_are_measured_anew(
    measured: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, other: dict[str, object]
) -> None:
    (tmp_path / kept(measured).name).symlink_to(kept(measured))
    with caplog.at_level(logging.INFO, logger="askance.runtime"):
        load(tmp_path, **other)
    assert "as remembered" not in caplog.text


KEEP = """
import sys; from pathlib import Path; from serving.backends import choice_cache
from serving.backends.choice_cache import Kept; from serving.backends.runtimes import Candidate
for name in sys.argv[2:]:
    with choice_cache.alone(Path(sys.argv[1]) / name):
        graph = None if name == "torch" else b"graph"
        choice_cache.write(Path(sys.argv[1]) / name, Kept(Candidate("onnx", "fp32"), graph, "measured"))
"""
USE = """
import sys; from pathlib import Path; from serving.backends import choice_cache
print(choice_cache.read(Path(sys.argv[1])).report, flush=True); sys.stdin.read()
"""


def kept_before(cache: Path, *names: str) -> None:
    """By a process that has ended, the first the longest ago."""
    subprocess.run([sys.executable, "-c", KEEP, str(cache), *names], cwd=ROOT, check=True)
    for age, name in enumerate(reversed(names)):
        aged(cache / name, days=age + 1)


def aged(path: Path, *, days: float) -> None:
    moment = path.stat().st_mtime - 86_400 * days
    os.utime(path, (moment, moment))


@contextmanager
def used_elsewhere(folder: Path) -> Iterator[None]:
    """By a process that started long ago and still runs."""
    command = [sys.executable, "-c", USE, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"measured\n"
        aged(folder, days=200)
        yield
        process.communicate()


def names(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir())


def keep_one_more(cache: Path, name: str = "newest") -> None:
    with choice_cache.alone(cache / name):
        choice_cache.write(cache / name, Kept(ONNX, b"graph", "measured"))


def test_what_was_chosen_for_many_models_is_remembered(tmp_path: Path) -> None:
    """A service may have hundreds; each that is forgotten is measured at every start."""
    several = [f"model-{number}" for number in range(300)]
    kept_before(tmp_path, *several[:80])
    for name in several[80:]:
        keep_one_more(tmp_path, name)
    assert all(choice_cache.read(tmp_path / name) is not None for name in several)


def test_the_longest_unused_go_first_and_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does the lock of a model that nothing was kept for."""
    monkeypatch.setattr(choice_cache, "_MOST", 2)
    kept_before(tmp_path, "one", "two")
    with choice_cache.alone(tmp_path / "failed"):
        pass
    keep_one_more(tmp_path)
    assert names(tmp_path) == [".newest.lock", ".two.lock", "newest", "two"]


def test_what_nothing_has_begun_with_for_months_goes(tmp_path: Path) -> None:
    """Libraries were replaced since, or the model is not served any more; rankings likewise."""
    kept_before(tmp_path, "old", "rare")
    aged(tmp_path / "old", days=100)
    for name, days in (("a", 100), ("b", 80)):
        (tmp_path / f"{name}.ranking.json").write_text("[]")
        aged(tmp_path / f"{name}.ranking.json", days=days)
    keep_one_more(tmp_path)
    assert names(tmp_path) == [".newest.lock", ".rare.lock", "b.ranking.json", "newest", "rare"]


def test_what_is_used_stays_however_long_ago_that_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the process that uses it ends; so does what a process just measures for."""
    monkeypatch.setattr(choice_cache, "_MOST", 1)
    kept_before(tmp_path, "one", "torch", "two")
    used = used_elsewhere(tmp_path / "one"), used_elsewhere(tmp_path / "torch")
    with used[0], used[1], choice_cache.alone(tmp_path / "two"):
        keep_one_more(tmp_path)
        assert names(tmp_path) == [
            ".newest.lock", ".one.lock", ".torch.lock", ".two.lock", "newest", "one", "torch", "two"
        ]  # fmt: skip
    keep_one_more(tmp_path)
    assert names(tmp_path) == [".newest.lock", "newest"]


def test_who_waited_for_a_lock_that_was_dropped_takes_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes never measure for one model side by side."""
    lock, flock = tmp_path / ".model.lock", fcntl.flock
    dropped: list[int] = []

    def dropped_meanwhile(file: IO[str], operation: int) -> None:
        flock(file, operation)
        if not dropped:
            dropped.append(lock.stat().st_ino)
            lock.rename(tmp_path / "away")

    monkeypatch.setattr("fcntl.flock", dropped_meanwhile)
    with choice_cache.alone(tmp_path / "model"), lock.open() as other:
        assert lock.stat().st_ino not in dropped
        with pytest.raises(BlockingIOError):
            flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_cache_that_cannot_be_written_does_not_keep_a_model_from_serving(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    occupied = tmp_path / "cache"
    occupied.write_text("a file where the folder should be")
    assert answers(load(occupied))
    assert "cannot be kept" in caplog.text


def test_an_untrained_model_is_served_too(tmp_path: Path) -> None:
    """It is sure of nothing and has no images: drawn ones and its highest-scoring candidates decide."""
    detector = load(tmp_path, runtime="auto", precision="auto")
    assert detector.labels == ("circle", "square", "bar")
    assert answers(detector)
