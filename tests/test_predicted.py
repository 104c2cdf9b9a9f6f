"""Predictions as files: every box comes back from COCO, YOLO and Label Studio as it was predicted."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from loop.domain.errors import BadDataset, Conflict, Invalid, NotFound
from loop.domain.items.annotation import AnnotationResult, AnnotationState
from loop.domain.prediction import Detection
from loop.exchange.predicted import PredictionFormat, PredictionReport, export_predictions
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from tests.contract.records import ODD, PROJECT, a_model, a_prediction, a_project, an_item
from tests.contract.test_annotations import running

SIDES = {0: (640, 480), 1: (333, 77)}
BOXES = {
    0: (Detection(ODD, 0.75, (1.0, 2.5, 639.0, 480.0)), Detection("seven", 0.5, (0.0, 0.0, 3.25, 4.0))),
    1: (),
}


class Exported:
    """A finished job: two images with content of their own, the first at two paths, and a bad one."""

    def __init__(self, store: SqlStore, blobs: FsspecBlobs, folder: Path) -> None:
        self.store, self.blobs, self.folder = store, blobs, folder
        self.contents = [b"first", b"second"]
        self.keys = [blobs.put(content) for content in self.contents]
        job = replace(running(found=4), done=3, bad=1, state=AnnotationState.DONE)
        self.job_id = job.id
        with store.begin() as tx:
            tx.projects.add(a_project())
            tx.models.add(a_model())
            tx.annotations.add(job)
            for number, key in enumerate(self.keys):
                width, height = SIDES[number]
                tx.items.add(replace(an_item(), digest=key, media_type="image/png", width=width, height=height))
            for position, number in enumerate((0, 1, 0)):
                prediction = replace(a_prediction(position), item_digest=self.keys[number], detections=BOXES[number])
                tx.predictions.add(prediction)
                tx.annotations.record([AnnotationResult(
                    job_id=job.id, position=position, url=f"/in/{position}.png", item_digest=self.keys[number],
                    prediction_id=prediction.id,
                )])  # fmt: skip
            tx.annotations.record([AnnotationResult(job_id=job.id, position=3, url="/in/3.png", reason="no image")])

    def export(self, kind: PredictionFormat | str, name: str = "out", **changes: str) -> PredictionReport:
        asked = {"project_id": PROJECT, "job_id": self.job_id} | changes
        return export_predictions(self.store, self.blobs, format=kind, folder=self.folder / name, **asked)

    def json(self, name: str):
        return json.loads((self.folder / "out" / name).read_text(encoding="utf-8"))


@pytest.fixture
def exported(store: SqlStore, tmp_path: Path) -> Exported:
    return Exported(store, FsspecBlobs.open(str(tmp_path / "blobs")), tmp_path)


def close(boxes, expected) -> bool:
    return [pytest.approx(box, abs=1e-6) for box in expected] == list(boxes)


def test_coco_keeps_boxes_scores_and_where_images_were(exported):
    """One image per content, with its first path; categories are the recipe's labels."""
    report = exported.export("coco")
    assert (report.images, report.boxes, report.missing) == (2, 2, 0)
    body = exported.json("annotations/predictions.json")
    names = {category["id"]: category["name"] for category in body["categories"]}
    assert set(names.values()) == {ODD, "seven"}
    assert [(i["source"], i["width"], i["height"]) for i in body["images"]] == [
        ("/in/0.png", 640, 480), ("/in/1.png", 333, 77),
    ]  # fmt: skip
    for image, content in zip(body["images"], exported.contents, strict=True):
        assert (exported.folder / "out" / "images" / image["file_name"]).read_bytes() == content
    found = [(names[a["category_id"]], a["score"], a["image_id"]) for a in body["annotations"]]
    assert found == [(ODD, 0.75, 1), ("seven", 0.5, 1)]
    back = [(x, y, x + w, y + h) for x, y, w, h in (a["bbox"] for a in body["annotations"])]
    assert close(back, [d.box for d in BOXES[0]])


def test_yolo_keeps_boxes(exported):
    """A label file per image, empty where nothing was found; five columns, as its format has them."""
    exported.export("yolo")
    out = exported.folder / "out"
    names = yaml.safe_load((out / "data.yaml").read_text(encoding="utf-8"))["names"]
    rows = [line.split() for line in (out / "labels/train" / f"{exported.keys[0]}.txt").read_text().splitlines()]
    assert [names[int(row[0])] for row in rows] == [ODD, "seven"]
    back = []
    for _, cx, cy, w, h in ([float(value) for value in row] for row in rows):
        back.append(((cx - w / 2) * 640, (cy - h / 2) * 480, (cx + w / 2) * 640, (cy + h / 2) * 480))
    assert close(back, [d.box for d in BOXES[0]])
    assert (out / "labels/train" / f"{exported.keys[1]}.txt").read_text() == ""
    assert (out / "images/train" / f"{exported.keys[1]}.png").read_bytes() == b"second"


def test_label_studio_gets_tasks_and_the_interface_that_fits(exported):
    """Rectangles in percent with their scores, in the names that label_config.xml gives; images lie where the task
    says, below the folder."""
    exported.export("label-studio")
    tasks = exported.json("tasks.json")
    config = ET.fromstring((exported.folder / "out" / "label_config.xml").read_text(encoding="utf-8"))
    rectangles, image = config.find("RectangleLabels"), config.find("Image")
    assert rectangles is not None and image is not None
    assert {label.get("value") for label in rectangles} == {ODD, "seven"}
    assert image.get("value") == "$image"
    assert [task["data"]["source"] for task in tasks] == ["/in/0.png", "/in/1.png"]
    for task, content in zip(tasks, exported.contents, strict=True):
        file = task["data"]["image"].removeprefix("/data/local-files/?d=")
        assert (exported.folder / "out" / file).read_bytes() == content
        (prediction,) = task["predictions"]
        assert prediction["model_version"] == a_model().id
        assert prediction["score"] == pytest.approx(2 / 3)
    regions = tasks[0]["predictions"][0]["result"]
    back = []
    for region in regions:
        assert (region["from_name"], region["to_name"]) == (rectangles.get("name"), image.get("name"))
        assert (region["type"], region["original_width"], region["original_height"]) == ("rectanglelabels", 640, 480)
        value = region["value"]
        x, y, w, h = (value[side] / 100 for side in ("x", "y", "width", "height"))
        back.append((x * 640, y * 480, (x + w) * 640, (y + h) * 480))
    assert close(back, [d.box for d in BOXES[0]])
    assert [(r["value"]["rectanglelabels"], r["score"]) for r in regions] == [([ODD], 0.75), (["seven"], 0.5)]
    assert len({region["id"] for region in regions}) == 2
    assert tasks[1]["predictions"][0]["result"] == []


@pytest.mark.parametrize("kind", PredictionFormat)
def test_images_that_were_not_kept_are_counted(exported, kind):
    """A policy may drop the images of accepted predictions: their boxes are exported all the same."""
    path = exported.folder / "blobs" / exported.keys[1][:2] / exported.keys[1]
    path.unlink()
    report = exported.export(kind)
    assert (report.images, report.missing) == (2, 1)
    assert "1 image" in "\n".join(report.lines())


def test_what_cannot_be_exported_says_so(exported):
    """An unknown format, job or project, an unfinished job, one without predictions, a folder that holds something."""
    with pytest.raises(Invalid, match="voc"):
        exported.export("voc")
    for wrong in ({"job_id": "ann_x"}, {"project_id": "other"}):
        with pytest.raises(NotFound):
            exported.export("coco", **wrong)
    empty = replace(running(2, found=1), bad=1, state=AnnotationState.DONE)
    with exported.store.begin() as tx:
        tx.annotations.add(running(1))
        tx.annotations.add(empty)
    with pytest.raises(Conflict, match="running"):
        exported.export("coco", job_id="ann_1")
    with pytest.raises(BadDataset, match="no image"):
        exported.export("coco", job_id=empty.id)
    with pytest.raises(Conflict, match="blobs"):
        exported.export("coco", "blobs")
    assert not (exported.folder / "out").exists()
