"""One byte that has changed in what a cycle works with: it is found before it is used, and the champion stays."""

import random
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from loop.domain.cycle import Cycle, CycleState, Step
from loop.domain.errors import BadDataset, BadWeights, Unavailable
from loop.domain.model import ModelVersion, PromotionState
from loop.exchange.formats import FORMATS
from loop.exchange.reading import Layout, nothing_known
from loop.launching.workshop import infer_blobs
from loop.selecting.search import ReferenceSpaces
from serving.backends.choice_cache import Kept, read, write
from serving.backends.runtimes import Candidate
from tests.cycle_worker import LABELS, PROJECT, Service, furnished
from tests.test_exchange import (
    BOLT,
    CATEGORIES,
    NUT,
    coco,
    coco_box,
    coco_image,
    picture,
    voc,
    voc_xml,
    yolo,
)
from tests.tiny_models import tiny_weights
from training.head import read_head
from training.snapshot import Head
from training.snapshot import read_head as read_snapshot_head

CHANGES = 100  # of each kind of file
MODE = {"mode": "non_inferior"}


@dataclass
class Finished:
    """A cycle that has promoted its candidate."""

    service: Service
    cycle: Cycle
    candidate: ModelVersion

    @property
    def champion(self) -> str | None:
        with self.service.store.read() as tx:
            return tx.projects.get(PROJECT).champion_id

    def path(self, key: str) -> Path:
        return self.service.site.folder / "blobs" / key[:2] / key

    def again_from(self, step: Step) -> Cycle:
        """A cycle that has come as far as this one had at `step`."""
        asked = self.service.controller.request(PROJECT, "ada", "again", MODE)
        return replace(
            asked,
            state=CycleState.RUNNING,
            step=step,
            champion_id=self.cycle.champion_id,
            snapshot_digest=self.cycle.snapshot_digest,
            candidate_id=self.cycle.candidate_id,
            evaluation=self.cycle.evaluation,
        )


@pytest.fixture
def finished(tmp_path: Path, sqlite_template: Path) -> Iterator[Finished]:
    database = tmp_path / "askance.db"
    database.write_bytes(sqlite_template.read_bytes())
    service = furnished(f"sqlite:///{database}", tmp_path, tiny_weights(LABELS))
    asked = service.controller.request(PROJECT, "ada", "try", MODE)
    while service.step():
        pass
    with service.store.read() as tx:
        cycle = tx.cycles.get(PROJECT, asked.id)
        assert cycle.state is CycleState.PROMOTED, cycle.error
        candidate = tx.models.get(PROJECT, str(cycle.candidate_id))
    yield Finished(service, cycle, candidate)
    service.store.close()


def changed(content: bytes, within: range | None = None) -> Iterator[bytes]:
    """CHANGES times the same with one other byte, spread over all of it (or `within`)."""
    rng = random.Random(7)
    places = within or range(len(content))
    for number in range(CHANGES):
        place = places[number * len(places) // CHANGES]
        damaged = bytearray(content)
        damaged[place] ^= rng.randrange(1, 256)
        yield bytes(damaged)


def cycle_fails_at(step: Step) -> Callable[[Finished, str], None]:
    def check(finished: Finished, key: str) -> None:
        ended = finished.service.controller.advance(finished.again_from(step))
        assert ended.state is CycleState.FAILED and key in ended.error and "damaged" in ended.error, ended

    return check


def no_promotion(finished: Finished, key: str) -> None:
    """The champion of before is asked for again, whose file it is."""
    service = finished.service
    asked = service.models.rollback(PROJECT, "ada", "go back")
    done = service.succession.settle(asked, service.deploy)
    assert done.state is PromotionState.FAILED and key in done.error and "damaged" in done.error


def no_anomaly_test(finished: Finished, key: str) -> None:
    with pytest.raises(Unavailable, match="damaged"):
        ReferenceSpaces(finished.service.blobs, 5).anomaly_p(finished.candidate, np.zeros(4, np.float32))


def no_inference(finished: Finished, key: str) -> None:
    """As the workshop's tasks do it."""
    with pytest.raises(Unavailable, match="damaged"):
        infer_blobs(
            blobs_url=str(finished.service.site.folder / "blobs"), weights_key=key, image_keys=[], device="cpu",
            max_pixels=10**6, progress=lambda share, figures: None,
        )  # fmt: skip


def _weights_before(finished: Finished) -> str:
    with finished.service.store.read() as tx:
        return tx.models.get(PROJECT, str(finished.cycle.champion_id)).digest


def _head(finished: Finished) -> Head:
    return read_snapshot_head(str(finished.cycle.snapshot_digest), finished.service.blobs.get)


CASES: dict[str, tuple[Callable[[Finished], object], Callable[[Finished, str], None]]] = {
    "manifest": (lambda f: f.cycle.snapshot_digest, cycle_fails_at(Step.TRAIN)),
    "weights that are evaluated": (lambda f: f.candidate.digest, cycle_fails_at(Step.EVALUATE)),
    "weights that infer": (lambda f: f.candidate.digest, no_inference),
    "evaluation of the candidate": (lambda f: f.cycle.evaluation["candidate"], cycle_fails_at(Step.GATE)),
    "evaluation of the champion": (lambda f: f.cycle.evaluation["champion"], cycle_fails_at(Step.GATE)),
    "weights that are promoted": (_weights_before, no_promotion),
    "columns of the items": (lambda f: _head(f).items, cycle_fails_at(Step.TRAIN)),
    "columns of the shapes": (lambda f: _head(f).shapes, cycle_fails_at(Step.TRAIN)),
    "slices": (lambda f: f.cycle.evaluation["slices"], cycle_fails_at(Step.GATE)),
    "evaluation beside, of the candidate": (
        lambda f: f.cycle.evaluation["candidate_beside"],
        cycle_fails_at(Step.GATE),
    ),
    "evaluation beside, of the champion": (lambda f: f.cycle.evaluation["champion_beside"], cycle_fails_at(Step.GATE)),
    "COCO's figures of the candidate": (lambda f: f.cycle.evaluation["candidate_coco"], cycle_fails_at(Step.GATE)),
    "COCO's figures of the champion": (lambda f: f.cycle.evaluation["champion_coco"], cycle_fails_at(Step.GATE)),
    "references": (lambda f: f.candidate.reference_key, no_anomaly_test),
}


@pytest.mark.parametrize("case", CASES)
def test_a_changed_byte_is_found_where_the_file_is_read(finished: Finished, case: str) -> None:
    """A hundred of each kind of file, one after the other: whoever reads it fails, naming the file; the champion stays,
    and nothing waits. With the right bytes all goes on."""
    key_of, check = CASES[case]
    key, before = str(key_of(finished)), finished.champion
    path = finished.path(key)
    content = path.read_bytes()
    for damaged in changed(content):
        path.write_bytes(damaged)
        check(finished, key)
    assert finished.champion == before
    with finished.service.store.read() as tx:
        assert tx.cycles.unfinished() == [] and tx.promotions.queued() == []
    assert finished.service.blobs.put(content) == key
    finished.service.controller.request(PROJECT, "ada", "the file was restored", MODE)
    while finished.service.step():
        pass
    with finished.service.store.read() as tx:
        assert tx.cycles.page(PROJECT, after=None, limit=1)[0].state is CycleState.PROMOTED


def test_a_changed_label_in_a_model_file_is_found(finished: Finished) -> None:
    """Also where the file is as readable as before and only calls a class by another name: by its digest."""
    key = finished.candidate.digest
    path = finished.path(key)
    content = path.read_bytes()
    begin = content.index(b"circle")
    readable = 0
    for damaged in changed(content, range(begin, begin + len(b"circle"))):
        path.write_bytes(damaged)
        no_inference(finished, key)
        with suppress(BadWeights):
            readable += read_head(damaged).labels != LABELS
    assert readable


# --- the graph that a runtime opens -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["choice.json", "model.bin"])
def test_a_changed_byte_of_an_exported_graph_is_never_served(tmp_path: Path, name: str) -> None:
    """Neither of the graph nor of what says how it runs: both count as absent, so that it is exported again."""
    folder = tmp_path / "choice"
    kept = Kept(Candidate("onnx", "fp32"), bytes(range(256)) * 40, "12.5 ms, torch 40.0 ms")
    write(folder, kept)
    content = (folder / name).read_bytes()
    for damaged in changed(content):
        (folder / name).write_bytes(damaged)
        assert read(folder) is None
    (folder / name).write_bytes(content)
    assert read(folder) == kept


# --- labels that are imported -----------------------------------------------------------------------------------------

CVAT = (
    '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
    '<image id="0" name="1.png" width="64" height="48">\n'
    '<box label="bolt" xtl="2" ytl="3" xbr="30" ybr="40"></box>\n</image>\n</annotations>\n'
)


def a_cvat_set(root: Path) -> Path:
    picture(root / "1.png")
    (root / "annotations.xml").write_text(CVAT)
    return root


def a_coco_set(root: Path) -> Path:
    boxes = [coco_box(1, [1, 2, 10, 20]), coco_box(2, [3, 4, 10, 20], 7) | {"id": 2}]
    return coco(root, {"images": [coco_image(1), coco_image(2)], "categories": CATEGORIES, "annotations": boxes})


LABEL_FILES: dict[Layout, tuple[Callable[[Path], Path], str]] = {
    Layout.VOC: (lambda root: voc(root, {"a": voc_xml("a.jpg", BOLT, NUT)}), "Annotations/a.xml"),
    Layout.COCO: (a_coco_set, "annotations/instances_train.json"),
    Layout.YOLO: (lambda root: yolo(root, {"train/a": "0 0.5 0.5 0.25 0.25\n" * 5}), "labels/train/a.txt"),
    Layout.CVAT: (a_cvat_set, "annotations.xml"),
}


def told_of(layout: Layout, root: Path) -> str:
    """What a reader says of what it cannot use."""
    try:
        return "\n".join(f"{one.path}: {one.why}" for one in FORMATS[layout].read(root, nothing_known).skipped)
    except BadDataset as error:
        return str(error)


@pytest.mark.parametrize("layout", LABEL_FILES)
def test_a_byte_that_has_no_place_in_a_label_file_is_told_with_the_file_and_the_place(
    tmp_path: Path, layout: Layout
) -> None:
    """Wherever it is; nothing is read past it as if all were well."""
    make, name = LABEL_FILES[layout]
    root = make(tmp_path / "set")
    content = (root / name).read_bytes()
    assert told_of(layout, root) == ""
    for number in range(CHANGES):
        damaged = bytearray(content)
        damaged[number * len(content) // CHANGES] = 0
        (root / name).write_bytes(damaged)
        assert re.search(rf"{name}\b.*\b(line|character) \d+", told_of(layout, root)), (number, told_of(layout, root))


@pytest.mark.parametrize("layout", LABEL_FILES)
def test_any_other_byte_in_a_label_file_breaks_no_reader(tmp_path: Path, layout: Layout) -> None:
    """What it makes of the file is read, or told."""
    make, name = LABEL_FILES[layout]
    root = make(tmp_path / "set")
    for damaged in changed((root / name).read_bytes()):
        (root / name).write_bytes(damaged)
        told_of(layout, root)
