"""Import and export: what is read, what is left out and told, and that doing it twice changes nothing."""

import gc
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from PIL import Image

from loop.domain.errors import AskanceError, BadDataset, Conflict, Invalid, NotFound, Unavailable
from loop.domain.identity import digest_of
from loop.domain.item import Item, Split
from loop.domain.project import Project, Recipe, labels_named
from loop.domain.recipes.rules import Count
from loop.domain.routing import Policy
from loop.domain.truth import Geometry, GroundTruth, Link, Shape, drawn
from loop.exchange import importer
from loop.exchange.coco import read_coco
from loop.exchange.exporter import ExportReport, export_dataset
from loop.exchange.formats import FORMATS
from loop.exchange.importer import ImportReport, import_dataset
from loop.exchange.reading import ReadBox, Remark
from loop.exchange.voc import read_voc
from loop.exchange.yolo import read_yolo
from loop.recipes.document import checked_document
from loop.recipes.versions import Recipes
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from serving.images import inspect_image
from tests.requirements import require_data
from tests.shapes import HEIGHT as HIGH
from tests.shapes import RECIPE, answers
from tests.shapes import WIDTH as WIDE

NOW = datetime(2026, 1, 2, tzinfo=UTC)
POLICY = Policy(version=1, threshold=0.5, audit_rate=0.02, score_threshold=0.25, failure_iou=0.5, lease_seconds=300)
WIDTH, HEIGHT = 64, 48


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Path:
    """A small PNG that differs by seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, format="JPEG" if path.suffix == ".jpg" else "PNG")
    return path


@dataclass(frozen=True)
class World:
    """A real store and real blobs; `create` is what the use case needs of `loop.projects`."""

    store: SqlStore
    blobs: FsspecBlobs

    def create(self, project_id: str, labels: tuple[str, ...], *, recipe: Recipe | None = None) -> Project:
        project = Project(
            id=project_id,
            recipe=recipe or Recipe(version=1, labels=labels_named(labels)),
            policy=POLICY,
            champion_id=None,
            created_at=NOW,
        )
        with self.store.begin() as tx:
            tx.projects.add(project)
        return project

    def load(self, folder: Path, layout: str, project_id: str = "p", **options: object) -> ImportReport:
        return import_dataset(
            self.store,
            self.blobs,
            self,
            project_id=project_id,
            format=layout,
            folder=folder,
            inspect_image=lambda content: inspect_image(content, max_pixels=10_000_000),
            clock=lambda: NOW,
            **options,
        )

    def rows(self, project_id: str = "p") -> list[tuple[Item, GroundTruth]]:
        with self.store.read() as tx:
            return list(tx.truths.all_current(project_id))

    def labels(self, project_id: str = "p") -> tuple[str, ...]:
        with self.store.read() as tx:
            return tx.projects.get(project_id).recipe.label_names

    def contents(self, project_id: str = "p") -> list[tuple[str, Split | None, list[tuple[str, list[float]]]]]:
        """What a data set holds: digests, splits, labelled boxes to a hundredth of a pixel."""
        return [
            (
                item.digest,
                item.split,
                sorted((shape.label, [round(value, 2) for value in shape.box]) for shape in truth.shapes),
            )
            for item, truth in self.rows(project_id)
        ]


@pytest.fixture
def world(store: SqlStore, tmp_path: Path) -> World:
    return World(store, FsspecBlobs.open(str(tmp_path / "blobs")))


# --- data sets to read -------------------------------------------------------------------------------


def voc_xml(name: str, *boxes: tuple[str, tuple[object, ...]], size: tuple[object, object] = (WIDTH, HEIGHT)) -> str:
    objects = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
        "</bndbox></object>"
        for label, (x1, y1, x2, y2) in boxes
    )
    return (
        f"<annotation><folder>x</folder><filename>{name}</filename><size><width>{size[0]}</width>"
        f"<height>{size[1]}</height></size>{objects}</annotation>"
    )


def voc(root: Path, annotations: dict[str, str], *, images: bool = True) -> Path:
    """`annotations`: stem → XML; each gets an image unless told otherwise."""
    (root / "Annotations").mkdir(parents=True, exist_ok=True)
    (root / "JPEGImages").mkdir(exist_ok=True)
    for seed, (stem, text) in enumerate(annotations.items()):
        (root / "Annotations" / f"{stem}.xml").write_text(text)
        if images:
            picture(root / "JPEGImages" / f"{stem}.jpg", seed)
    return root


BOLT = ("bolt", (2, 3, 30, 40))
NUT = ("nut", (10, 10, 20.5, 20.25))


def three(root: Path) -> Path:
    """A VOC set with a bolt, a bolt and a nut, and nothing."""
    return voc(
        root,
        {"a": voc_xml("a.jpg", BOLT), "b": voc_xml("b.jpg", BOLT, NUT), "c": voc_xml("c.jpg")},
    )


def coco(root: Path, body: dict[str, object], *, name: str = "annotations/instances_train.json") -> Path:
    for seed, image in enumerate(body.get("images", [])):
        if isinstance(image, dict) and str(image.get("file_name", "")).endswith(".png"):
            picture(root / "images" / image["file_name"], seed)
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(body))
    return root


CATEGORIES = [{"id": 7, "name": "nut"}, {"id": 3, "name": "bolt"}]


def coco_image(number: int, **more: object) -> dict[str, object]:
    return {"id": number, "file_name": f"{number}.png", "width": WIDTH, "height": HEIGHT, **more}


def coco_box(image: int, bbox: object, category: object = 3, **more: object) -> dict[str, object]:
    return {"id": 1, "image_id": image, "category_id": category, "bbox": bbox, "iscrowd": 0, **more}


def yolo(root: Path, rows: dict[str, str | None], described: dict[str, object] | None = None) -> Path:
    """`rows`: "split/stem" → label rows, None for no file."""
    for seed, (name, text) in enumerate(rows.items()):
        picture(root / "images" / f"{name}.png", seed)
        if text is not None:
            (root / "labels" / name).parent.mkdir(parents=True, exist_ok=True)
            (root / "labels" / f"{name}.txt").write_text(text)
    splits = {name.split("/")[0] for name in rows}
    described = described or {**{split: f"images/{split}" for split in splits}, "names": ["bolt", "nut"]}
    (root / "data.yaml").write_text(yaml.safe_dump(described))
    return root


def reasons(remarks: tuple[Remark, ...]) -> str:
    return "\n".join(f"{remark.path} {remark.what} {remark.why}" for remark in remarks)


# --- readers ----------------------------------------------------------------------------------------------


def test_voc_is_read(tmp_path):
    """Boxes are taken as written, labels in the order of the alphabet, no object means an empty image."""
    found = read_voc(three(tmp_path / "set"))
    assert found.labels == ("bolt", "nut")
    assert [image.path.name for image in found.images] == ["a.jpg", "b.jpg", "c.jpg"]
    assert found.images[1].boxes == (ReadBox("bolt", (2, 3, 30, 40)), ReadBox("nut", (10, 10, 20.5, 20.25)))
    assert found.images[2].boxes == found.skipped == ()
    assert (found.images[0].width, found.images[0].split) == (WIDTH, None)


def test_voc_image_sets_are_splits(tmp_path):
    """train, val and test become train, val and golden; who is in several belongs farthest from training."""
    root = three(tmp_path / "set" / "nested")
    sets = root / "ImageSets" / "Main"
    sets.mkdir(parents=True)
    (sets / "train.txt").write_text("a\nb\nc\n")
    (sets / "val.txt").write_text("b  1\n")
    (sets / "test.txt").write_text("c.jpg\n\n")
    (sets / "bolt_val.txt").write_text("a 1\n")
    found = read_voc(tmp_path / "set")
    assert [image.split for image in found.images] == [Split.TRAIN, Split.VAL, Split.GOLDEN]


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;">]>'
    "<annotation><filename>&y;</filename></annotation>"
)
BAD_XML = {
    "cut off": ("<annotation><filename>a.jpg", "cannot be read as XML"),
    "empty": ("", "cannot be read as XML"),
    "an entity bomb": (BOMB, "DOCTYPE"),
    "another file": ("<html></html>", "<html>"),
    "unknown encoding": ('<?xml version="1.0" encoding="nonsense"?><annotation/>', "cannot be read as XML"),
}


@pytest.mark.parametrize(("text", "why"), BAD_XML.values(), ids=BAD_XML.keys())
def test_bad_xml_costs_one_image(tmp_path, text, why):
    """An annotation that cannot be read is told, and its image is not taken for empty."""
    found = read_voc(voc(tmp_path / "set", {"a": text, "b": voc_xml("b.jpg", BOLT)}))
    assert [image.path.name for image in found.images] == ["b.jpg"]
    (remark,) = found.skipped
    assert (remark.path, remark.what) == ("Annotations/a.xml", "annotation")
    assert why in remark.why


def test_an_entity_bomb_in_utf16_is_refused(tmp_path):
    """Another encoding hides nothing from the check for entities."""
    root = voc(tmp_path / "set", {"a": "", "b": voc_xml("b.jpg", BOLT)})
    (root / "Annotations" / "a.xml").write_bytes(BOMB.replace("?><", ' encoding="utf-16"?><', 1).encode("utf-16"))
    assert "DOCTYPE" in reasons(read_voc(root).skipped)


def test_what_voc_leaves_out_is_told(tmp_path):
    """Missing images, images without annotation, other files, unnamed and unreadable boxes: each is a remark."""
    root = voc(
        tmp_path / "set",
        {"a": voc_xml("a.jpg", BOLT, ("", (1, 1, 5, 5)), ("nut", ("x", 1, 5, 5))), "gone": voc_xml("../../gone.jpg")},
    )
    (root / "JPEGImages" / "gone.jpg").unlink()
    picture(root / "JPEGImages" / "alone.jpg", 9)
    (root / "JPEGImages" / "notes.txt").write_text("hello")
    found = read_voc(root)
    assert len(found.images) == len(found.images[0].boxes) == 1
    told = reasons(found.skipped)
    assert "Annotations/gone.xml annotation its image gone.jpg is missing" in told
    assert "JPEGImages/alone.jpg image has no annotation" in told
    assert "JPEGImages/notes.txt file is no" in told
    assert "an object: has no <name>" in told
    assert "nut: has no readable <bndbox>" in told
    assert len(found.skipped) == 5


def test_coco_is_read(tmp_path):
    """xywh becomes xyxy, labels come in the order of the category ids, the file's name tells the split."""
    body = {
        "images": [coco_image(1), coco_image(2, group="clip 4")],
        "categories": CATEGORIES,
        "annotations": [coco_box(1, [2, 3, 28, 37]), coco_box(1, [10, 10, 10.5, 10.25], 7)],
    }
    found = read_coco(coco(tmp_path / "set", body, name="annotations/instances_val2017.json"))
    assert found.labels == ("bolt", "nut")
    first, second = found.images
    assert first.boxes == (ReadBox("bolt", (2, 3, 30, 40)), ReadBox("nut", (10, 10, 20.5, 20.25)))
    assert (second.boxes, second.group, second.split) == ((), "clip 4", Split.VAL)
    assert found.skipped == ()


@pytest.mark.parametrize(
    ("annotations", "images", "split"),
    [
        ("annotations/instances_train2017.json", "train2017", Split.TRAIN),
        ("test/_annotations.coco.json", "test", Split.GOLDEN),
        ("annotations.json", ".", None),
        ("labels.json", "images", None),
    ],
)
def test_coco_layouts(tmp_path, annotations, images, split):
    """COCO's own layout, Roboflow's, and one file beside its images are all found."""
    body = {"images": [coco_image(1)], "categories": CATEGORIES, "annotations": []}
    root = tmp_path / "set"
    picture(root / images / "1.png")
    path = root / annotations
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(body))
    (found,) = read_coco(root).images
    assert (found.path, found.split) == (root / images / "1.png", split)


def test_what_coco_leaves_out_is_told(tmp_path):
    """Crowds, unknown categories, unusable boxes, missing and climbing files, lost annotations: each a remark."""
    body = {
        "images": [
            coco_image(1),
            coco_image(2, file_name="gone.jpg"),
            coco_image(3, file_name="../../secret.png"),
            coco_image(1, file_name="again.png"),
            {"id": 4},
            "nonsense",
        ],
        "categories": CATEGORIES,
        "annotations": [
            coco_box(1, [0, 0, 9, 9]),
            coco_box(1, [0, 0, 9, 9], iscrowd=1),
            coco_box(1, [0, 0, 9, 9], 99),
            coco_box(1, [0, 0, 9, 9], None),
            coco_box(1, [0, 0, 9]),
            coco_box(1, None),
            coco_box(1, [0, 0, "9", 9]),
            coco_box(77, [0, 0, 9, 9]),
            coco_box(77, [0, 0, 9, 9]),
        ],
    }
    picture(tmp_path / "secret.png")
    found = read_coco(coco(tmp_path / "a" / "set", body))
    assert [len(image.boxes) for image in found.images] == [1]
    told = reasons(found.skipped)
    assert "is a crowd region" in told
    assert told.count("is not in the file") == 3
    assert told.count("has no bbox of four numbers") == 3
    assert "'gone.jpg' is missing" in told
    assert "'../../secret.png' is missing" in told
    assert "'again.png' has no id of its own" in told
    assert [remark.count for remark in found.skipped if "their image" in remark.why] == [2]


def test_a_broken_json_beside_a_good_one(tmp_path):
    """One unreadable file is told and does not stop the others; alone it is the error."""
    root = coco(tmp_path / "set", {"images": [coco_image(1)], "categories": CATEGORIES, "annotations": []})
    broken = root / "annotations" / "instances_val.json"
    broken.write_text('{"images": [')
    assert "instances_val.json annotation cannot be read as JSON" in reasons(read_coco(root).skipped)
    (root / "annotations" / "instances_train.json").unlink()
    with pytest.raises(BadDataset, match=r"instances_val\.json cannot be read as JSON"):
        read_coco(root)


def test_yolo_is_read(tmp_path):
    """Rows become boxes in fractions, polygons their outline; no file or an empty one is an empty image."""
    root = yolo(
        tmp_path / "set",
        {
            "train/a": "0 0.25 0.5 0.25 0.5\n\n1 0.5 0.25 1 0.25 0.75 0.75\n",
            "train/b": "",
            "val/c": None,
            "test/d": "1 0.5 0.5 0.1 0.1",
        },
    )
    found = read_yolo(root)
    assert found.labels == ("bolt", "nut")
    by_name = {image.path.stem: image for image in found.images}
    assert by_name["a"].boxes == (
        ReadBox("bolt", (0.125, 0.25, 0.375, 0.75)),
        ReadBox("nut", (0.5, 0.25, 1.0, 0.75), ((0.5, 0.25), (1.0, 0.25), (0.75, 0.75))),
    )
    assert by_name["b"].boxes == by_name["c"].boxes == ()
    assert [by_name[name].split for name in "abcd"] == [Split.TRAIN, Split.TRAIN, Split.VAL, Split.GOLDEN]
    assert found.skipped == ()


DESCRIBED: dict[str, Callable[[Path], dict[str, object]]] = {
    "folder": lambda root: {"train": "images/train"},
    "path is here": lambda root: {"path": ".", "train": "./images/train"},
    "under path": lambda root: {"path": "images", "train": "train"},
    "absolute path": lambda root: {"path": str(root.absolute()), "train": "images/train"},
    "path of another machine": lambda root: {"path": "/data/elsewhere", "train": "images/train"},
    "absolute folder": lambda root: {"train": str(root.absolute() / "images/train")},
    "Roboflow": lambda root: {"train": "../images/train", "val": None},
    "list of folders": lambda root: {"train": ["images/train", "images/train"]},
    "list of files": lambda root: {"train": "list.txt"},
}


@pytest.mark.parametrize("described", DESCRIBED.values(), ids=DESCRIBED.keys())
def test_yolo_layouts(tmp_path, described):
    """Every way in which data.yaml may name the images is followed, with classes by number too."""
    root = yolo(tmp_path / "set", {"train/a": "4 0.5 0.5 0.1 0.1"}, {"names": {4: "pen", 0: "bolt"}})
    (root / "list.txt").write_text("./images/train/a.png\n\n")
    (root / "data.yaml").write_text(yaml.safe_dump({**described(root), "names": {4: "pen", 0: "bolt"}}))
    found = read_yolo(root)
    assert found.labels == ("bolt", "pen")
    assert [box.label for image in found.images for box in image.boxes] == ["pen"]


def test_what_yolo_leaves_out_is_told(tmp_path):
    """Unknown classes, rows that are none, unreadable files, folders outside: each is a remark."""
    root = yolo(
        tmp_path / "set",
        {
            "train/a": "0 0.5 0.5 0.1 0.1\n9 0.5 0.5 0.1 0.1\n0 0.5 0.5 nan 0.1\n0 0.5 0.5\nzero 1 1 1 1\n"
            "0 0.5 0.5 0.1 0.1 0.9\n",
            "train/b": "",
        },
        {"train": "images/train", "val": "../../other", "test": ["/etc", "images/gone"], "names": ["bolt"]},
    )
    (root / "labels/train/b.txt").write_bytes(b"\xff\xfe\x00")
    (root / "images/train/Thumbs.db").write_bytes(b"x")
    found = read_yolo(root)
    assert [(image.path.stem, len(image.boxes)) for image in found.images] == [("a", 1)]
    told = reasons(found.skipped)
    assert "line 2: class 9 is not among the names" in told
    assert "line 3: nan is not finite" in told
    assert "line 4: 3 values are neither" in told
    assert "line 5: 'zero' is no number" in told
    assert "line 6: 6 values are neither" in told
    assert "labels/train/b.txt annotation cannot be read" in told
    assert "images/train/Thumbs.db file" in told
    assert "val names '../../other', which is not in this folder" in told
    assert "test names '/etc', which is not in this folder" in told
    assert "test names 'images/gone', which is not in this folder" in told


UNREADABLE: dict[str, Callable[[Path], None]] = {
    "missing": lambda folder: None,
    "a file": lambda folder: folder.write_text("x"),
    "empty": lambda folder: folder.mkdir(),
    "something else": lambda folder: picture(folder / "holiday" / "me.jpg"),
    "a list": lambda folder: (folder.mkdir(), (folder / "data.yaml").write_text("- 1")),
    "no names": lambda folder: (folder.mkdir(), (folder / "data.yaml").write_text("train: images")),
    "broken yaml": lambda folder: (folder.mkdir(), (folder / "data.yaml").write_text("a: [")),
    "annotations without images": lambda folder: voc(folder, {"a": voc_xml("a.jpg", BOLT)}, images=False),
    "other json": lambda folder: (folder.mkdir(), (folder / "package.json").write_text('{"images": 3}')),
}


@pytest.mark.parametrize("layout", ["voc", "coco", "yolo", "cvat", "label-studio", None])
@pytest.mark.parametrize("make", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_folder_that_is_no_data_set(world, tmp_path, make, layout):
    """A folder that holds no data set of the format is an error that says what was looked for, and writes nothing."""
    make(tmp_path / "set")
    with pytest.raises(BadDataset) as caught:
        world.load(tmp_path / "set", layout)
    assert caught.value.hint
    with world.store.read() as tx:
        assert tx.projects.all() == []


# --- importing ------------------------------------------------------------------------------------------------


def test_an_import_makes_the_project(world, tmp_path):
    """Images, ground truth, splits and the project's labels are there afterwards; the report counts them."""
    heard: list[tuple[int, int]] = []
    report = world.load(three(tmp_path / "set"), "voc", on_progress=lambda done, total: heard.append((done, total)))
    assert (report.created, report.imported, report.updated, report.unchanged, report.boxes) == (True, 3, 0, 0, 3)
    assert world.labels() == report.labels == ("bolt", "nut")
    assert heard == [(0, 3), (1, 3), (2, 3), (3, 3)]
    rows = {item.meta["path"]: (item, truth) for item, truth in world.rows()}
    item, truth = rows["JPEGImages/b.jpg"]
    assert truth.shapes == (Shape("bolt", (2, 3, 30, 40)), Shape("nut", (10, 10, 20.5, 20.25)))
    assert (truth.version, truth.origin, truth.submission_ids) == (1, "import", ())
    assert (item.width, item.height, item.media_type, item.source) == (WIDTH, HEIGHT, "image/jpeg", "set")
    assert world.blobs.get(item.digest) == (tmp_path / "set" / "JPEGImages" / "b.jpg").read_bytes()


def test_importing_again_changes_nothing(world, tmp_path):
    """The second import finds everything unchanged: no new item, version or event."""
    folder = three(tmp_path / "set")
    world.load(folder, "voc")
    before = world.rows()
    report = world.load(folder, "voc")
    assert (report.created, report.imported, report.updated, report.unchanged, report.boxes) == (False, 0, 0, 3, 0)
    assert world.rows() == before
    with world.store.read() as tx:
        assert [event.kind for event in tx.events.after("p", 0, 10)] == ["dataset.imported"]


def test_changed_boxes_are_a_new_version(world, tmp_path):
    """Where the data set's boxes changed, the ground truth gets its next version; the others stay."""
    folder = three(tmp_path / "set")
    world.load(folder, "voc")
    (folder / "Annotations" / "a.xml").write_text(voc_xml("a.jpg", NUT))
    report = world.load(folder, "voc")
    assert (report.imported, report.updated, report.unchanged) == (0, 1, 2)
    assert sorted(truth.version for _, truth in world.rows()) == [1, 1, 2]


def test_what_people_answered_stays(world, tmp_path):
    """An import never overwrites the ground truth that came of a review; it says so."""
    folder = three(tmp_path / "set")
    world.load(folder, "voc")
    item, truth = world.rows()[0]
    reviewed = replace(truth, version=2, shapes=(), submission_ids=("sub_1",), origin="review")
    reviewed = reviewed if truth.shapes else replace(reviewed, shapes=(Shape("nut", (0, 0, 5, 5)),))
    with world.store.begin() as tx:
        tx.truths.add(reviewed)
    report = world.load(folder, "voc")
    assert (report.updated, report.unchanged) == (0, 3)
    assert f"{item.meta['path']} annotation people reviewed this image" in reasons(report.skipped)
    assert world.rows()[0][1] == reviewed


@pytest.mark.parametrize("stop_at", [1, 3, 4, 7])
def test_a_killed_import_is_finished_by_the_next(world, tmp_path, monkeypatch, stop_at):
    """An import that dies anywhere leaves only whole chunks; running it again gives what one run would have."""
    monkeypatch.setattr(importer, "CHUNK", 2)
    folder = voc(tmp_path / "set", {f"{i}": voc_xml(f"{i}.jpg", BOLT) for i in range(7)})

    def die(done: int, total: int) -> None:
        if done == stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.load(folder, "voc", on_progress=die)
    kept = (stop_at - 1) // 2 * 2
    assert len(world.rows()) == kept
    report = world.load(folder, "voc")
    assert (report.imported, report.unchanged) == (7 - kept, kept)
    assert world.load(folder, "voc", "other").imported == 7
    assert world.contents("p") == world.contents("other")


def test_an_import_leaves_the_collector_as_it_was(world, tmp_path):
    """An import does without the garbage collector; afterwards, also after an error, it is on as before."""
    seen: list[bool] = []
    world.load(
        voc(tmp_path / "set", {"a": voc_xml("a.jpg", BOLT)}), "voc", on_progress=lambda *_: seen.append(gc.isenabled())
    )
    with pytest.raises(BadDataset):
        world.load(tmp_path / "nothing", "voc")
    assert seen and not any(seen)
    assert gc.isenabled()


def test_boxes_beyond_repair_are_skipped_and_told(world, tmp_path):
    """Boxes with no area, not finite or mostly outside are skipped; those a little outside are clipped and told."""
    boxes = {
        "zero": (5, 5, 5, 5),
        "inverted": (20, 5, 10, 9),
        "nan": ("nan", 5, 10, 10),
        "infinite": (0, 0, "inf", 10),
        "outside": (100, 5, 120, 10),
        "mostly": (60, 0, 90, 10),
        "a little": (-3, 0, 20, 20),
        "rounding": (0, 0, WIDTH + 0.5, 20),
        "whole": (0, 0, WIDTH, HEIGHT),
    }
    folder = voc(tmp_path / "set", {"a": voc_xml("a.jpg", *((name, box) for name, box in boxes.items()))})
    report = world.load(folder, "voc")
    kept = {shape.label: shape.box for shape in world.rows()[0][1].shapes}
    assert kept == {"a little": (0, 0, 20, 20), "rounding": (0, 0, WIDTH, 20), "whole": (0, 0, WIDTH, HEIGHT)}
    assert [remark.why.split(":")[0] for remark in report.skipped] == list(boxes)[:6]
    assert [remark.why.split(":")[0] for remark in report.repaired] == ["a little"]


def test_an_image_that_was_dropped_is_not_imported_again(world, tmp_path):
    """Whatever the data set says of it; the others come, and the report says so."""
    folder = three(tmp_path / "set")
    world.load(folder, "voc")
    gone = next(item for item, truth in world.rows() if len(truth.shapes) == 2)
    with world.store.begin() as tx:
        assert tx.items.drop("p", gone.digest, by="Ada", at=NOW)
    (folder / "Annotations" / "b.xml").write_text(voc_xml("b.jpg", NUT))
    report = world.load(folder, "voc")
    assert (report.imported, report.updated, report.unchanged) == (0, 0, 2)
    assert "JPEGImages/b.jpg image was dropped from the project, and is not kept again" in reasons(report.skipped)
    assert world.load(folder, "voc", "other").imported == 3


def test_images_that_cannot_be_used_are_told(world, tmp_path):
    """Files that are no image, other sizes than annotated, and the same bytes twice cost only themselves."""
    folder = voc(
        tmp_path / "set", {name: voc_xml(f"{name}.jpg", BOLT) for name in ("a", "b", "broken", "other", "zero")}
    )
    images = folder / "JPEGImages"
    (images / "b.jpg").write_bytes((images / "a.jpg").read_bytes())
    (images / "broken.jpg").write_bytes(b"not an image")
    (folder / "Annotations" / "other.xml").write_text(voc_xml("other.jpg", BOLT, size=(HEIGHT, WIDTH)))
    (folder / "Annotations" / "zero.xml").write_text(voc_xml("zero.jpg", BOLT, size=(0, 0)))
    report = world.load(folder, "voc")
    assert report.imported == 2
    told = reasons(report.skipped)
    assert "JPEGImages/b.jpg image has the same bytes as JPEGImages/a.jpg" in told
    assert "JPEGImages/broken.jpg image" in told
    assert "JPEGImages/other.jpg image annotated as 48 x 64 pixels, but the image has 64 x 48" in told
    assert len(report.skipped) == 3


def test_labels_the_project_lacks(world, tmp_path):
    """Their boxes are skipped and counted, or become labels with add_labels; images with no others are skipped."""
    world.create("p", ("bolt",))
    body = {
        "a": voc_xml("a.jpg", BOLT, NUT, NUT),
        "b": voc_xml("b.jpg", NUT),
        "c": voc_xml("c.jpg"),
    }
    folder = voc(tmp_path / "set", body)
    report = world.load(folder, "voc")
    assert (report.imported, report.labels) == (2, ("bolt",))
    assert [(r.path, r.count) for r in report.skipped if r.what == "box"] == [
        ("JPEGImages/a.jpg", 2),
        ("JPEGImages/b.jpg", 1),
    ]
    assert "JPEGImages/b.jpg image none of its labels is in the project's recipe" in reasons(report.skipped)
    report = world.load(folder, "voc", add_labels=True)
    assert (report.imported, report.updated, report.unchanged, report.skipped) == (1, 1, 1, ())
    with world.store.read() as tx:
        recipe = tx.projects.get("p").recipe
    assert (recipe.version, recipe.label_names) == (2, ("bolt", "nut"))
    assert len({label.key for label in recipe.labels}) == 2
    world.load(folder, "voc", add_labels=True)
    with world.store.read() as tx:
        assert tx.projects.get("p").recipe == recipe


def test_a_data_set_of_other_labels_is_refused(world, tmp_path):
    """Where no label of the data set is the project's, nothing is imported and both lists are shown."""
    world.create("p", ("cat", "dog"))
    with pytest.raises(BadDataset, match=r"bolt, nut.*cat, dog") as caught:
        world.load(three(tmp_path / "set"), "voc")
    assert "--add-labels" in caught.value.hint
    assert world.rows() == []


def test_a_split_can_be_forced(world, tmp_path):
    """`split` overrides what the data set says, for every image."""
    folder = yolo(tmp_path / "set", {"train/a": "", "val/b": "", "test/c": "0 0.5 0.5 0.5 0.5"})
    world.load(folder, "yolo", split="golden")
    assert {item.split for item, _ in world.rows()} == {Split.GOLDEN}


def test_a_fixed_split_stays(world, tmp_path):
    """A known image without a split takes the data set's; one that has another keeps it, and that is told."""
    folder = three(tmp_path / "set")
    world.load(folder, "voc")
    report = world.load(folder, "voc", split=Split.GOLDEN)
    assert {item.split for item, _ in world.rows()} == {Split.GOLDEN}
    assert report.skipped == ()
    report = world.load(folder, "voc", split=Split.TRAIN)
    assert {item.split for item, _ in world.rows()} == {Split.GOLDEN}
    assert reasons(report.skipped).count("is golden in the project and stays so") == 3


def test_images_are_grouped(world, tmp_path):
    """Groups come from the folder, from a function, or from the data set."""
    folder = yolo(tmp_path / "set", {"train/x/a": "", "train/y/b": "0 0.5 0.5 0.5 0.5"})
    world.load(folder, "yolo", "folders", group_by="folder")
    world.load(folder, "yolo", "names", group_by=lambda image: f"clip {image.path.stem}")
    world.load(folder, "yolo", "none")
    groups = [sorted(item.group for item, _ in world.rows(name)) for name in ("folders", "names", "none")]
    assert groups == [["images/train/x", "images/train/y"], ["clip a", "clip b"], ["", ""]]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"layout": "kitti"}, "voc, coco, yolo"),
        ({"split": "holdout"}, "train, val, golden"),
        ({"group_by": "magic"}, "folder or none"),
        ({"project_id": "No Slug!"}, "lower-case"),
    ],
)
def test_words_that_mean_nothing_are_refused(world, tmp_path, options, why):
    """A format, split, grouping or project name that does not exist is an error that lists those that do."""
    with pytest.raises(Invalid) as caught:
        world.load(three(tmp_path / "set"), **{"layout": "voc", **options})
    assert why in caught.value.hint


def test_a_report_reads_well(world, tmp_path):
    """The report says in lines what happened, and shortens long lists."""
    folder = voc(tmp_path / "set", {"a": voc_xml("a.jpg", BOLT, *[("bolt", (5, 5, 5, 5))] * 30)})
    lines = world.load(folder, "voc").lines(limit=3)
    assert lines[0].startswith("created p: 1 images imported, 0 updated, 0 unchanged, 1 boxes")
    assert lines[1:4] == ["skipped  JPEGImages/a.jpg: box, bolt: the box [5, 5, 5, 5] has no area."] * 3
    assert lines[4] == "skipped  … and 27 more"


# --- exporting --------------------------------------------------------------------------------------------------


def full(world: World, tmp_path: Path) -> None:
    """Project p: train, val and golden images in PNG and JPEG, one of them empty, boxes at fractions of pixels."""
    box = ("bolt", (0.123456789, 1 / 3, 20.987654321, HEIGHT))
    folder = voc(
        tmp_path / "set", {name: voc_xml(f"{name}.jpg", box, NUT) for name in "abcde"} | {"f": voc_xml("f.jpg")}
    )
    sets = folder / "ImageSets" / "Main"
    sets.mkdir(parents=True)
    for name, stems in {"train": "abc", "val": "d", "test": "ef"}.items():
        (sets / f"{name}.txt").write_text("\n".join(stems))
    (folder / "JPEGImages" / "a.jpg").unlink()
    picture(folder / "JPEGImages" / "a.png", 77, (300, 200))
    (folder / "Annotations" / "a.xml").write_text(voc_xml("a.png", ("nut", (1.5, 2.25, 299.999, 199)), size=(300, 200)))
    world.load(folder, "voc", group_by=lambda image: f"clip {image.path.stem}")


@pytest.mark.parametrize("layout", [layout.value for layout in FORMATS])
def test_what_is_exported_comes_back(world, tmp_path, layout):
    """Importing an export gives the same images, boxes, splits and labels, and exporting that the same again."""
    full(world, tmp_path)
    heard: list[tuple[int, int]] = []
    report = export_dataset(
        world.store,
        world.blobs,
        project_id="p",
        format=layout,
        folder=tmp_path / "out",
        on_progress=lambda done, total: heard.append((done, total)),
    )
    assert (report.images, report.boxes, dict(report.splits)) == (6, 9, {"train": 3, "val": 1, "test": 2})
    assert heard == [(done, 6) for done in range(7)]
    back = world.load(tmp_path / "out", layout, "back")
    assert (back.imported, back.skipped, back.repaired) == (6, (), ())
    assert world.contents("back") == world.contents("p")
    assert world.labels("back") == world.labels("p")
    if layout in ("coco", "askance"):
        assert sorted(item.group for item, _ in world.rows("back")) == [f"clip {name}" for name in "abcdef"]
    same = world.load(tmp_path / "out", layout, "p")
    assert (same.imported, same.updated, same.unchanged) == (0, 0, 6)


# --- shapes of all kinds ----------------------------------------------------------------------------------------


def drawn_project(world: World, tmp_path: Path, shapes: Sequence[Shape], project_id: str = "p") -> None:
    """A project with the recipe of the property tests and one image, of WIDE x HIGH pixels, with these shapes."""
    path = picture(tmp_path / "drawn.png", 5, (WIDE, HIGH))
    digest = world.blobs.put(path.read_bytes())
    item = Item(
        project_id=project_id, digest=digest, media_type="image/png", width=WIDE, height=HIGH, created_at=NOW,
        source="camera \u2028 7", group="clip", split=None, meta={"path": "x/y.png", "note": "é\n"},
    )  # fmt: skip
    truth = GroundTruth(
        project_id=project_id, item_digest=digest, version=1, shapes=tuple(shapes), submission_ids=("sub_1",),
        origin="review", created_at=NOW,
    )  # fmt: skip
    with world.store.begin() as tx:
        tx.projects.add(
            Project(id=project_id, recipe=replace(RECIPE, version=1), policy=POLICY, champion_id=None, created_at=NOW)
        )
        tx.items.add(item)
        tx.truths.add(truth)


def exported(world: World, folder: Path, layout: str, project_id: str = "p") -> ExportReport:
    return export_dataset(world.store, world.blobs, project_id=project_id, format=layout, folder=folder)


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(answers())
def test_the_own_form_loses_nothing(world, tmp_path, shapes):
    """Export, import as a new project: recipe, items with their metadata, shapes with all they have; twice the same."""
    names = [f"{word}{next(_NUMBERS)}" for word in ("from", "to")]
    drawn_project(world, tmp_path, shapes, names[0])
    report = exported(world, tmp_path / names[0], "askance", names[0])
    assert (report.images, report.boxes, report.left_out) == (1, len(shapes), {})
    back = world.load(tmp_path / names[0], "askance", names[1])
    assert (back.imported, back.skipped, back.repaired, back.boxes) == (1, (), (), len(shapes))
    ((before, truth),), ((after, again),) = world.rows(names[0]), world.rows(names[1])
    assert again.shapes == truth.shapes == shapes
    assert replace(after, project_id=names[0]) == before
    with world.store.read() as tx:
        assert tx.projects.get(names[1]).recipe == tx.projects.get(names[0]).recipe
    assert world.load(tmp_path / names[0], "askance", names[1]).unchanged == 1


_NUMBERS = itertools.count()

SHAPES = (
    Shape("box", (1, 2, 30, 40), id="a", attributes={"side": "left", "marks": ("a", "b")}, links=(Link("next", "b"),)),
    drawn(Geometry.POLYGON, "polygon", [(0, 0), (20, 0), (0, 10)], id="b", attributes={"doors": 2.5}, group="g"),
    drawn(Geometry.POINT, "point", [(5, 6)]),
    drawn(Geometry.POLYLINE, "polyline", [(5, 6), (7, 8)], track="t"),
)


@pytest.mark.parametrize(
    "change", [{"attributes": {"side": "right"}}, {"group": "h"}, {"links": []}, {"box": [1, 2, 30, 41]}, {"id": "c"}]
)
def test_any_difference_is_a_new_version(world, tmp_path, change):
    """Not the boxes alone: an image that has other attributes, links or groups than before has other ground truth."""
    drawn_project(world, tmp_path, (replace(SHAPES[0], links=()), SHAPES[1]))
    exported(world, tmp_path / "out", "askance")
    assert world.load(tmp_path / "out", "askance", "back").imported == 1
    lines = tmp_path / "out" / "items.jsonl"
    line = json.loads(lines.read_text())
    line["shapes"][0] |= change
    lines.write_text(json.dumps(line))
    again = world.load(tmp_path / "out", "askance", "back")
    assert (again.updated, again.unchanged) == ((0, 1) if change == {"links": []} else (1, 0))


def test_coco_holds_polygons_and_attributes(world, tmp_path):
    """A polygon is a segmentation with its area, attributes are beside it, and what is left out is told."""
    drawn_project(world, tmp_path, SHAPES)
    report = exported(world, tmp_path / "out", "coco")
    left_out = {"shapes (point)": 1, "shapes (polyline)": 1, "links": 1, "groups and tracks": 1}
    assert (report.boxes, report.left_out) == (2, left_out)
    assert "left out: 1 links, which this format cannot hold" in report.lines()
    (path,) = (tmp_path / "out" / "annotations").iterdir()
    box, polygon = json.loads(path.read_text())["annotations"]
    assert (box["bbox"], box["attributes"]) == ([1, 2, 29, 38], {"side": "left", "marks": ["a", "b"]})
    assert (polygon["segmentation"], polygon["area"]) == ([[0, 0, 20, 0, 0, 10]], 100)
    assert "segmentation" not in box


def test_coco_gives_a_recipe_what_it_asks_for(world, tmp_path):
    """Into a project with polygons and attributes they come back. One that is made for the data set has its attributes,
    and boxes, unless polygons are asked for."""
    drawn_project(world, tmp_path, SHAPES)
    exported(world, tmp_path / "out", "coco")
    world.create("q", ("box",))
    with world.store.begin() as tx:
        tx.projects.save_recipe("q", replace(RECIPE, version=2))
    assert world.load(tmp_path / "out", "coco", "q").skipped == ()
    ((_, truth),) = world.rows("q")
    assert truth.shapes == tuple(replace(shape, id="", links=(), group="") for shape in SHAPES[:2])
    report = world.load(tmp_path / "out", "coco", "new")
    ((_, truth),) = world.rows("new")
    assert [(shape.type, shape.box) for shape in truth.shapes] == [("box", (1, 2, 30, 40)), ("box", (0, 0, 20, 10))]
    assert [shape.attributes for shape in truth.shapes] == [shape.attributes for shape in SHAPES[:2]]
    assert [(remark.what, remark.count) for remark in report.skipped] == [("outline", 1)]
    assert world.load(tmp_path / "out", "coco", "drawn", polygons=True).skipped == ()
    assert world.rows("drawn")[0][1].shapes == tuple(replace(s, id="", links=(), group="") for s in SHAPES[:2])


def test_yolo_holds_boxes(world, tmp_path):
    """Polygons are there by their boxes; everything else is told."""
    drawn_project(world, tmp_path, SHAPES)
    report = exported(world, tmp_path / "out", "yolo")
    assert report.left_out == {
        "shapes (point)": 1,
        "shapes (polyline)": 1,
        "polygons but for their boxes": 1,
        "attributes": 3,
        "links": 1,
        "groups and tracks": 1,
    }
    (rows,) = (tmp_path / "out" / "labels").glob("*/*.txt")
    assert len(rows.read_text().splitlines()) == 2


def test_boxes_for_what_is_not_drawn_as_boxes_are_refused(world, tmp_path):
    """A box is no point and no polygon: each is told, and the rest of the image comes."""
    drawn_project(world, tmp_path, ())
    boxes = [voc_xml("a.jpg", *((name, (1, 1, 9, 9)) for name in ("box", "point", "polygon")))]
    report = world.load(voc(tmp_path / "set", {"a": boxes[0]}), "voc")
    told = reasons(report.skipped)
    assert "'point' is drawn as a point" in told
    assert "'polygon' is drawn as a polygon" in told
    assert [len(truth.shapes) for item, truth in world.rows() if item.width == WIDTH] == [1]


OWN_LINES: dict[str, tuple[dict[str, object], str]] = {
    "no file": ({"file": None}, "names no file"),
    "a file that is missing": ({"file": "images/none.png"}, "is missing"),
    "a file that climbs out": ({"file": "../drawn.png"}, "is missing"),
    "a split that is none": ({"split": "later"}, "'later' is no split"),
    "shapes that are none": ({"shapes": [7]}, "shape 0 cannot be read"),
    "a field that is not known": ({"shapes": [{"label": "box", "box": [1, 1, 2, 2], "hue": 1}]}, "'hue' is not known"),
    "an attribute of no kind": (
        {"shapes": [{"label": "box", "box": [1, 1, 2, 2], "attributes": {"a": {}}}]},
        "an attribute is neither",
    ),
    "metadata of no kind": ({"meta": {"a": 1}}, "meta is no object of texts"),
    "another size": ({"width": 12}, "annotated as 12 x"),
    "an unknown label": ({"shapes": [{"label": "cat", "box": [1, 1, 2, 2]}]}, "'cat' is not in the project's recipe"),
    "what the recipe does not allow": (
        {"shapes": [{"label": "point", "box": [1, 1, 2, 2]}]},
        "'point' is drawn as a point",
    ),
    "a box outside": ({"shapes": [{"label": "box", "box": [1, 1, 9999, 2]}]}, "does not lie in"),
    "NaN": ({"shapes": [{"label": "box", "box": [float("nan"), 1, 2, 2]}]}, "does not lie in"),
    "a link to nobody": (
        {"shapes": [{"label": "box", "box": [1, 1, 2, 2], "links": [{"type": "next", "to": "z"}]}]},
        "which no shape of this answer",
    ),
}


@pytest.mark.parametrize(("change", "why"), OWN_LINES.values(), ids=OWN_LINES.keys())
def test_a_bad_line_of_the_own_form_is_told(world, tmp_path, change, why):
    """What is wrong costs its line or its shape, with the reason, and the other lines come."""
    drawn_project(world, tmp_path, SHAPES)
    exported(world, tmp_path / "out", "askance")
    lines = tmp_path / "out" / "items.jsonl"
    good = json.loads(lines.read_text())
    picture(tmp_path / "out" / "images" / "other.png", 9, (WIDE, HIGH))
    lines.write_text("\n".join([json.dumps(good | {"file": "images/other.png"} | change), "{", json.dumps(good)]))
    report = world.load(tmp_path / "out", "askance", "back")
    told = reasons(report.skipped)
    assert why in told
    assert "line 2: is no JSON object" in told
    assert SHAPES in [truth.shapes for _, truth in world.rows("back")]


def test_a_recipe_that_changes_during_an_import(world, tmp_path):
    """What was read before is written under the names that hold when it is written."""
    world.create("p", ("bolt", "nut"))
    recipes = Recipes(world.store, lambda: (), lambda: NOW, lambda digest: False)

    def rename(done: int, total: int) -> None:
        if done == 1:
            body = {"labels": ["screw", "nut"], "renames": {"bolt": "screw"}}
            recipes.change("p", checked_document(body), "op")

    world.load(three(tmp_path / "set"), "voc", on_progress=rename)
    assert {shape.label for _, truth in world.rows() for shape in truth.shapes} == {"screw", "nut"}


def test_a_refused_shape_takes_the_links_to_it(world, tmp_path):
    """The rest of an image comes, with links only between what came."""
    drawn_project(world, tmp_path, SHAPES)
    exported(world, tmp_path / "out", "askance")
    lines = tmp_path / "out" / "items.jsonl"
    good = json.loads(lines.read_text())
    good["shapes"][1]["points"][0] = [5000, 5000]
    lines.write_text(json.dumps(good))
    report = world.load(tmp_path / "out", "askance", "back")
    assert len(report.skipped) == 1
    ((_, truth),) = world.rows("back")
    assert truth.shapes == (replace(SHAPES[0], links=()), *SHAPES[2:])


def test_added_labels_are_as_their_data_set_has_them(world, tmp_path):
    """Geometry and attributes come with a label of the own form; links and rules of the project stay."""
    drawn_project(world, tmp_path, SHAPES)
    exported(world, tmp_path / "out", "askance")
    world.create("q", ("box",))
    with world.store.begin() as tx:
        recipe = replace(tx.projects.get("q").recipe, version=2, rules=(Count(id="r", label="box", max=9),))
        tx.projects.save_recipe("q", recipe)
    world.load(tmp_path / "out", "askance", "q", add_labels=True)
    with world.store.read() as tx:
        added = tx.projects.get("q").recipe
    assert added.rules == recipe.rules
    assert [(label.name, label.geometry) for label in added.labels[1:]] == [
        ("point", "point"), ("polygon", "polygon"), ("polyline", "polyline"),
    ]  # fmt: skip
    assert added.labels[1].attributes == RECIPE.labels[1].attributes


def test_an_export_has_the_splits_of_a_snapshot(world, tmp_path):
    """Undecided images are exported on the side on which a cycle would use them."""
    world.load(voc(tmp_path / "set", {f"{i}": voc_xml(f"{i}.jpg", BOLT) for i in range(12)}), "voc")
    report = export_dataset(
        world.store, world.blobs, project_id="p", format="coco", folder=tmp_path / "out", val_share=0.5
    )
    assert report.splits["train"] + report.splits["val"] == 12
    assert 0 < report.splits["val"] < 12
    stored = world.blobs.get(world.rows()[0][0].digest)
    assert digest_of(stored) == world.rows()[0][0].digest


def test_an_export_for_ultralytics(world, tmp_path):
    """data.yaml names train and val, classes by number, and no path of this machine."""
    world.load(three(tmp_path / "set"), "voc", split="train")
    export_dataset(world.store, world.blobs, project_id="p", format="yolo", folder=tmp_path / "out")
    described = yaml.safe_load((tmp_path / "out" / "data.yaml").read_text())
    assert described == {"train": "images/train", "val": "images/val", "names": {0: "bolt", 1: "nut"}}
    assert (tmp_path / "out" / "images" / "val").is_dir()
    assert str(tmp_path) not in (tmp_path / "out" / "data.yaml").read_text()
    assert len(list((tmp_path / "out" / "labels" / "train").glob("*.txt"))) == 3


def test_an_export_never_overwrites(world, tmp_path):
    """A folder that holds anything, or a file, is refused and left as it is; an empty folder is used."""
    world.load(three(tmp_path / "set"), "voc")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").write_text("keep")
    (tmp_path / "file").write_text("keep")
    for name in ("taken", "file"):
        with pytest.raises(Conflict) as caught:
            export_dataset(world.store, world.blobs, project_id="p", format="coco", folder=tmp_path / name)
        assert "new folder" in caught.value.hint
    assert (tmp_path / "taken" / "mine").read_text() == "keep"
    (tmp_path / "empty").mkdir()
    assert (
        export_dataset(world.store, world.blobs, project_id="p", format="coco", folder=tmp_path / "empty").images == 3
    )


def test_an_export_appears_complete_or_not_at_all(world, tmp_path):
    """An export that is cut off leaves neither the folder nor anything beside it."""
    world.load(three(tmp_path / "set"), "voc")
    before = sorted(tmp_path.iterdir())

    def die(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_dataset(
            world.store, world.blobs, project_id="p", format="yolo", folder=tmp_path / "out", on_progress=die
        )
    assert sorted(tmp_path.iterdir()) == before


CANNOT: dict[str, tuple[dict[str, object], type[AskanceError]]] = {
    "no such format": ({"format": "kitti"}, Invalid),
    "no such project": ({"project_id": "nobody"}, NotFound),
    "nothing in it": ({"project_id": "void"}, BadDataset),
    "not a place to write": ({"folder": Path("/proc/nowhere/out")}, Unavailable),
}


@pytest.mark.parametrize(("options", "error"), CANNOT.values(), ids=CANNOT.keys())
def test_what_cannot_be_exported(world, tmp_path, options, error):
    """Each is a named error with what to do, and nothing is written."""
    world.load(three(tmp_path / "set"), "voc")
    world.create("void", ("bolt",))
    given = {"project_id": "p", "format": "coco", "folder": tmp_path / "out", **options}
    with pytest.raises(error) as caught:
        export_dataset(world.store, world.blobs, **given)
    assert caught.value.hint
    assert not (tmp_path / "out").exists()


# --- real data ------------------------------------------------------------------------------------------------------


def test_blood_cells(world):
    """BCCD: all 364 images in their three splits; its two boxes of no size are the only thing left out."""
    report = world.load(require_data("bccd"), "voc")
    assert (report.imported, report.boxes, report.repaired) == (364, 4886, ())
    assert report.labels == ("Platelets", "RBC", "WBC")
    assert [(remark.path, remark.what) for remark in report.skipped] == [
        ("BCCD/JPEGImages/BloodImage_00338.jpg", "box"),
        ("BCCD/JPEGImages/BloodImage_00343.jpg", "box"),
    ]
    assert all("has no area" in remark.why for remark in report.skipped)
    splits = [item.split for item, _ in world.rows()]
    assert [splits.count(split) for split in (Split.TRAIN, Split.VAL, Split.GOLDEN)] == [205, 87, 72]


def test_foreign_objects(world, tmp_path):
    """FOD-A: a slice of it comes in with whole sequences as groups, and goes out and back unchanged."""
    source = require_data("fod_a")
    lines = [line.split(",") for line in (source / "manifest.csv").read_text().splitlines()[1:]][:1200:30]
    sequence = {name: number for name, _, number, *_ in lines}
    for part, suffix in (("JPEGImages", ".jpg"), ("Annotations", ".xml")):
        (tmp_path / "fod" / part).mkdir(parents=True)
        for name in sequence:
            file = Path(name).with_suffix(suffix).name
            (tmp_path / "fod" / part / file).symlink_to(source / part / file)
    report = world.load(tmp_path / "fod", "voc", group_by=lambda image: sequence[image.path.name])
    assert (report.imported, report.skipped) == (40, ())
    assert {item.group for item, _ in world.rows()} == set(sequence.values())
    export_dataset(world.store, world.blobs, project_id="p", format="coco", folder=tmp_path / "out")
    world.load(tmp_path / "out", "coco", "back")
    assert [row[::2] for row in world.contents("back")] == [row[::2] for row in world.contents("p")]
    assert {item.group for item, _ in world.rows("back")} == set(sequence.values())
