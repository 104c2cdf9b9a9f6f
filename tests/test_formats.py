"""Formats of data sets: what each writes it reads back, but for what it says that it cannot hold."""

import json
import math
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from loop.cli.data import DataFormat
from loop.domain.errors import BadDataset, Invalid, PayloadTooLarge
from loop.domain.item import Item, Split
from loop.domain.recipes.ontology import Attribute, AttributeType
from loop.domain.recipes.recipe import Recipe, ShapeCheck
from loop.domain.truth import Geometry, GroundTruth, Link, Shape, drawn
from loop.exchange.archives import opened
from loop.exchange.clips import ExportedClips
from loop.exchange.cvat import read_cvat
from loop.exchange.formats import FORMATS, recognised
from loop.exchange.json_records import records
from loop.exchange.label_studio import read_label_studio
from loop.exchange.reading import Dataset, Fitted, Layout, fitted
from loop.exchange.texts import attribute_of, fits_xml
from loop.exchange.writing import Exported
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from tests.requirements import require_data
from tests.shapes import HEIGHT, RECIPE, WIDTH, answers
from tests.test_exchange import BOLT, NOW, NUT, World, exported, full, picture, reasons, three, voc, voc_xml
from training.snapshot import freeze

OTHERS = [layout for layout in Layout if layout is not Layout.ASKANCE]
# Pixels: YOLO's ten digits of a share of a side, and the sums of floats.
CLOSE = 1e-5


@pytest.fixture
def world(store: SqlStore, tmp_path: Path) -> World:
    return World(store, FsspecBlobs.open(str(tmp_path / "blobs")))


def frozen(layout: Layout, shapes: Sequence[Shape], recipe: Recipe = RECIPE, split: Split = Split.VAL) -> Exported:
    """One image with these shapes, ready to be written."""
    item = Item(
        project_id="p",
        digest="ab" * 32,
        media_type="image/png",
        width=WIDTH,
        height=HEIGHT,
        created_at=NOW,
        split=split,
    )
    truth = GroundTruth(
        project_id="p", item_digest=item.digest, version=1, shapes=tuple(shapes), submission_ids=(), origin="import",
        created_at=NOW,
    )  # fmt: skip
    snapshot = freeze([(item, truth)], labels=recipe.label_names, val_share=0.5)
    return Exported(recipe, lambda: [(item, truth)], snapshot, ExportedClips({}, ()), FORMATS[layout].images)


def written(folder: Path, layout: Layout, data: Exported) -> Path:
    folder.mkdir(parents=True)
    FORMATS[layout].write(folder, data)
    place = folder / data.place(data.snapshot.entries[0])
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"not looked at")
    return folder


def fit(dataset: Dataset, recipe: Recipe = RECIPE) -> Fitted:
    (image,) = dataset.images
    return fitted(image, width=WIDTH, height=HEIGHT, check=ShapeCheck(recipe), name="image")


def boxes_for_polygons(layout: Layout) -> Recipe:
    """RECIPE, with boxes for polygons where the format has only these."""
    if FORMATS[layout].holds.outlines:
        return RECIPE
    labels = (replace(one, geometry=Geometry.BOX) if one.name == "polygon" else one for one in RECIPE.labels)
    return replace(RECIPE, labels=tuple(labels))


def held(shape: Shape, layout: Layout, gone: set[str]) -> Shape:
    """What must come back of a shape, of those that the format has a place for."""
    holds = FORMATS[layout].holds
    attributes = shape.attributes if holds.attributes else {}
    if holds.xml:
        texts = {name: value for name, value in attributes.items() if not isinstance(value, str) or fits_xml(value)}
        attributes = texts
    links = tuple(link for link in shape.links if link.to not in gone) if holds.links else ()
    named = shape.id if layout is Layout.LABEL_STUDIO else ""
    kept = replace(shape, attributes=attributes, links=links, track="", id=named, group=shape.group * holds.groups)
    if shape.type is Geometry.POLYGON and not holds.outlines:
        return replace(kept, type=Geometry.BOX, points=())
    return kept


def numbered(shapes: Sequence[Shape]) -> list[Shape]:
    """With groups by number: formats keep who belongs together, and not by what name."""
    names: dict[str, str] = {"": ""}
    return [replace(shape, group=names.setdefault(shape.group, str(len(names)))) for shape in shapes]


def numbers(shape: Shape) -> list[float]:
    return [*shape.box, *(value for point in shape.points for value in point)]


def assert_same(found: Sequence[Shape], expected: Sequence[Shape]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(numbered(found), numbered(expected), strict=True):
        assert replace(one, box=other.box, points=other.points) == other
        assert numbers(one) == pytest.approx(numbers(other), abs=CLOSE)


def is_thin(shape: Shape) -> bool:
    """Narrower than what rounding may take away."""
    x1, y1, x2, y2 = shape.box
    return shape.type.is_region and min(x2 - x1, y2 - y1) < 100 * CLOSE


_NUMBERS = iter(range(10**9))


@pytest.mark.parametrize("layout", OTHERS)
@settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
@given(given_shapes=answers())
def test_what_a_format_holds_comes_back(tmp_path, layout, given_shapes):
    """Whatever people drew: all shapes, attributes, links and groups that the format has a place for return, in their
    order, and what it has none for is counted beforehand, no more and no less."""
    shapes = [shape for shape in given_shapes if not is_thin(shape)]
    left = {shape.id for shape in shapes}
    shapes = [replace(s, links=tuple(link for link in s.links if link.to in left)) for s in shapes]
    data = frozen(layout, shapes)
    dataset = FORMATS[layout].read(written(tmp_path / str(next(_NUMBERS)), layout, data), lambda name: None)
    found = fit(dataset, boxes_for_polygons(layout))
    holds = FORMATS[layout].holds
    gone = {shape.id for shape in shapes if shape.type not in holds.shapes}
    kept = [shape for shape in shapes if shape.type in holds.shapes]
    expected = [held(shape, layout, gone) for shape in kept]
    assert_same(found.shapes, expected)
    assert (dataset.skipped, found.skipped, found.repaired) == ((), (), ())
    assert dataset.images[0].split is Split.VAL
    lost = holds.left_out(data)
    assert sum(count for what, count in lost.items() if what.startswith("shapes")) == len(shapes) - len(kept)
    assert sum(count for what, count in lost.items() if what.startswith("attributes")) == sum(
        len(a.attributes) - len(b.attributes) for a, b in zip(kept, expected, strict=True)
    )
    assert lost.get("links", 0) == sum(len(a.links) - len(b.links) for a, b in zip(kept, expected, strict=True))
    assert lost.get("groups and tracks", 0) == sum(
        bool(a.track) + (bool(a.group) and not b.group) for a, b in zip(kept, expected, strict=True)
    )


def test_the_command_line_knows_every_format():
    """What can be typed is what there is."""
    assert [one.value for one in DataFormat] == [one.value for one in Layout] == [one.value for one in FORMATS]


@pytest.mark.parametrize("layout", OTHERS)
def test_text_comes_back_as_it_is(tmp_path, layout):
    """Also line ends, what XML uses itself, and space around it."""
    text = ' a\r\nb\rc\td <&> ]]> "é" \n'
    shape = Shape("box", (1, 2, 30, 40), attributes={"note": text})
    found = fit(FORMATS[layout].read(written(tmp_path / "out", layout, frozen(layout, [shape])), lambda name: None))
    assert dict(found.shapes[0].attributes) == ({"note": text} if FORMATS[layout].holds.attributes else {})


# --- which format a folder holds ---------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", list(FORMATS))
def test_a_format_is_recognised_by_what_lies_in_the_folder(world, tmp_path, layout):
    """Each export is recognised as what it is; both kinds of YOLO are read alike."""
    full(world, tmp_path)
    exported(world, tmp_path / "out", layout)
    assert recognised(tmp_path / "out") is (Layout.YOLO if layout is Layout.YOLO_SEGMENT else layout)
    assert world.load(tmp_path / "out", None, "back").imported == 6


def test_a_folder_of_several_formats_is_not_guessed(tmp_path):
    """The message names those that it looks like, and the way to say which is meant."""
    folder = three(tmp_path / "set")
    (folder / "data.yaml").write_text("names: [bolt]\ntrain: JPEGImages\n")
    with pytest.raises(BadDataset, match="looks like voc and like yolo") as caught:
        recognised(folder)
    assert "--format" in caught.value.hint
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadDataset, match="no data set that is recognised"):
        recognised(tmp_path / "empty")


# --- independent readers -------------------------------------------------------------------------------------------

PLAIN = (
    Shape("box", (1, 2, 30.5, 40.25)),
    drawn(Geometry.POLYGON, "polygon", [(0, 0), (200, 0), (0, 100)]),
)


def test_the_reference_reader_of_coco_agrees(tmp_path):
    """Boxes, areas, outlines and names as pycocotools' successor reads them."""
    from faster_coco_eval import COCO

    folder = written(tmp_path / "out", Layout.COCO, frozen(Layout.COCO, PLAIN))
    coco = COCO(str(folder / "annotations" / "instances_val.json"))
    box, polygon = coco.loadAnns(coco.getAnnIds())
    assert (box["bbox"], coco.loadCats(box["category_id"])[0]["name"]) == ([1, 2, 29.5, 38.25], "box")
    assert coco.annToMask(polygon).sum() == pytest.approx(200 * 100 / 2, rel=0.02)


@pytest.mark.parametrize(("layout", "segments"), [(Layout.YOLO, 0), (Layout.YOLO_SEGMENT, 2)])
def test_ultralytics_reads_yolo_alike(tmp_path, layout, segments):
    """Every row of a file is a box, or every row a polygon, as its loader wants it; the boxes are the same."""
    from ultralytics.data.utils import verify_image_label

    folder = written(tmp_path / "out", layout, frozen(layout, PLAIN))
    image = picture(next((folder / "images" / "val").iterdir()), 1, (WIDTH, HEIGHT))
    rows = folder / "labels" / "val" / f"{image.stem}.txt"
    _, found, _, outlines, _, _, _, _, corrupt, message = verify_image_label(
        (str(image), str(rows), "", False, len(RECIPE.labels), 0, 0, False)
    )
    assert (corrupt, message, len(outlines)) == (0, "", segments)
    corners = [((x - w / 2) * WIDTH, (y - h / 2) * HEIGHT, (x + w / 2) * WIDTH, (y + h / 2) * HEIGHT)
               for _, x, y, w, h in found.tolist()]  # fmt: skip
    assert corners == [pytest.approx(shape.box, abs=1e-3) for shape in PLAIN]


def test_torchvision_reads_voc_alike(tmp_path):
    """Names and edges of boxes, as written."""
    from xml.etree.ElementTree import parse

    from torchvision.datasets import VOCDetection

    folder = written(tmp_path / "out", Layout.VOC, frozen(Layout.VOC, PLAIN))
    (path,) = (folder / "Annotations").iterdir()
    body = VOCDetection.parse_voc_xml(parse(path).getroot())["annotation"]
    first, second = body["object"]
    assert (first["name"], first["bndbox"]) == ("box", {"xmin": "1", "ymin": "2", "xmax": "30.5", "ymax": "40.25"})
    assert second["bndbox"] == {"xmin": "0", "ymin": "0", "xmax": "200", "ymax": "100"}
    assert (body["size"]["width"], body["segmented"]) == (str(WIDTH), "0")


# --- Pascal VOC ----------------------------------------------------------------------------------------------------


def test_flags_of_voc_are_attributes(world, tmp_path):
    """difficult, truncated and occluded where they are raised, as truth values, and out again as VOC has them."""
    text = voc_xml("a.jpg", BOLT, NUT).replace("<name>bolt</name>", "<name>bolt</name><difficult>1</difficult>")
    world.load(voc(tmp_path / "set", {"a": text}), "voc")
    ((_, truth),) = world.rows()
    assert [dict(shape.attributes) for shape in truth.shapes] == [{"difficult": True}, {}]
    assert exported(world, tmp_path / "out", "voc").left_out == {}
    (path,) = (tmp_path / "out" / "Annotations").iterdir()
    assert "<difficult>1</difficult>" in path.read_text()
    assert world.load(tmp_path / "out", "voc").unchanged == 1


# --- CVAT ----------------------------------------------------------------------------------------------------------

# After the example in CVAT's documentation of the format, shortened.
CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><name>t</name><labels>
    <label><name>car</name><type>rectangle</type><attributes>
      <attribute><name>model</name><mutable>False</mutable><input_type>select</input_type>
        <default_value>a</default_value><values>a
mazda</values></attribute>
      <attribute><name>parked</name><input_type>checkbox</input_type><values>false</values></attribute>
    </attributes></label>
    <label><name>lane</name><type>polyline</type><attributes></attributes></label>
    <label><name>eye</name><type>points</type></label>
  </labels></task></meta>
  <image id="0" name="sub/1.png" subset="Train" width="640" height="480">
    <box label="car" occluded="0" xtl="302.00" ytl="150.00" xbr="471.00" ybr="305.00" z_order="2" group_id="7">
      <attribute name="model">mazda</attribute><attribute name="parked">true</attribute></box>
    <box label="car" occluded="1" xtl="10" ytl="20" xbr="30" ybr="60" z_order="1" group_id="7" rotation="90.0"></box>
    <polyline label="lane" occluded="0" points="0.0,1.5;10.0,20.25;30,40" z_order="0"></polyline>
    <points label="eye" occluded="0" points="1.0,2.0;3.0,4.0" z_order="0"></points>
    <ellipse label="car" cx="1" cy="1" rx="3" ry="3"></ellipse>
    <box label="car" xtl="nan" ytl="150.00" xbr="471.00" ybr="305.00"></box>
    <polygon label="car" points="1,2;3"></polygon>
    <tag label="night" source="manual"></tag>
  </image>
  <image id="1" name="2.png" width="640" height="480"></image>
  <image id="2" name="2.png" width="640" height="480"></image>
  <image id="3" name="../../gone.png" width="640" height="480"></image>
  <track id="0" label="car"><box frame="0" outside="0" xtl="1" ytl="1" xbr="2" ybr="2"></box></track>
</annotations>
"""


def cvat(folder: Path, text: str | bytes = CVAT) -> Path:
    for number, name in enumerate(("sub/1.png", "2.png")):
        picture(folder / "images" / name, number, (640, 480))
    (folder / "annotations.xml").write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def test_cvat_is_read(tmp_path):
    """Shapes from the lowest to the highest, groups, attributes, what <meta> says of labels; turned boxes by the box
    around them, several points as several shapes; each thing that has no place is told with its line."""
    found = read_cvat(cvat(tmp_path / "set"))
    first, second = found.images
    assert (first.split, second.split, second.shapes) == (Split.TRAIN, None, ())
    assert [(shape.type, shape.label) for shape in first.shapes] == [
        ("polyline", "lane"), ("point", "eye"), ("point", "eye"), ("box", "car"), ("box", "car"),
    ]  # fmt: skip
    lane, _, _, turned, car = first.shapes
    assert lane.points == ((0, 1.5), (10, 20.25), (30, 40))
    assert (turned.box, dict(turned.attributes)) == (pytest.approx((0, 30, 40, 50)), {"occluded": "true"})
    assert (car.box, car.group == turned.group != "") == ((302, 150, 471, 305), True)
    told = reasons(found.skipped)
    assert "annotations.xml, line 14 shape car: a ellipse has no place here" in told
    assert "car: the coordinate nan is not finite" in told
    assert "car: has no points of the form x,y;x,y" in told
    assert "night: a tag has no place here" in told
    assert "rotation car: the box around the turned box is kept" in told
    assert "points eye: 2 points in one are shapes of their own" in told
    assert "'2.png' is there again" in told
    assert "'../../gone.png' is missing" in told
    assert "images/ has no frames (frame_000000.png, …), and the project has no clip called 't'" in told
    assert len(found.skipped) == 9


def test_a_project_made_for_cvat_has_its_labels(world, tmp_path):
    """Geometry, options and truth values as <meta> states them, and what it knows as occluded."""
    world.load(cvat(tmp_path / "set"), "cvat")
    with world.store.read() as tx:
        labels = {label.name: label for label in tx.projects.get("p").recipe.labels}
    assert {name: label.geometry for name, label in labels.items()} == {
        "car": "box", "lane": "polyline", "eye": "point",
    }  # fmt: skip
    assert labels["car"].attributes == (
        Attribute("model", AttributeType.SELECT, ("a", "mazda")),
        Attribute("parked", AttributeType.BOOLEAN),
        Attribute("occluded", AttributeType.BOOLEAN),
    )
    truth = next(truth for item, truth in world.rows() if item.meta["path"].endswith("1.png"))
    assert dict(truth.shapes[-1].attributes) == {"model": "mazda", "parked": True}
    assert world.load(tmp_path / "set", "cvat").unchanged == 2


BOMB = '<!DOCTYPE b [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
BAD_XML: dict[str, tuple[bytes, str]] = {
    "broken off": (CVAT[: CVAT.index("<track")].encode(), "no element found"),
    "a DOCTYPE": ((BOMB + CVAT.split("?>", 1)[1]).encode(), "DOCTYPE"),
    "a DOCTYPE in UTF-16": ((BOMB + CVAT.split("?>", 1)[1]).encode("utf-16"), "DOCTYPE"),
    "another encoding": (CVAT.replace("mazda", "é").encode("latin-1"), "cannot be read as XML"),
    "an unknown encoding": (CVAT.replace('"utf-8"', '"klingon"').encode(), "cannot be read as XML"),
    "too deep": (("<annotations>" + "<image>" * 200).encode(), "nested more than"),
}


@pytest.mark.parametrize(("content", "why"), BAD_XML.values(), ids=BAD_XML.keys())
def test_bad_xml_is_told(tmp_path, content, why):
    """No entity is ever expanded; what came before a break is kept, and the break is told."""
    found = FORMATS[Layout.CVAT].read(cvat(tmp_path / "set", content), lambda name: None)
    assert why in reasons(found.skipped)
    assert len(found.images) == (2 if why == "no element found" else 0)


# --- Label Studio --------------------------------------------------------------------------------------------------


def region(own: str, kind: str, value: dict[str, object], **more: object) -> dict[str, object]:
    sizes = {"original_width": 640, "original_height": 480, "image_rotation": 0}
    return {"id": own, "type": kind, "from_name": "label", "to_name": "image", "value": value, **sizes, **more}


RECTANGLE = {"x": 10, "y": 20, "width": 5, "height": 10, "rotation": 0, "rectanglelabels": ["car"]}


def label_studio(folder: Path, *tasks: object) -> Path:
    picture(folder / "images" / "1.png", 1, (640, 480))
    picture(folder / "images" / "2.png", 2, (640, 480))
    (folder / "tasks.json").write_text(json.dumps(tasks))
    return folder


def answer(*results: object, image: str = "/data/local-files/?d=images/1.png", **more: object) -> dict[str, object]:
    return {"id": 1, "data": {"image": image}, "annotations": [{"id": 2, "result": list(results), **more}]}


def test_label_studio_is_read(tmp_path):
    """Percent become pixels, results with a region's id its attributes, relations links; what has no place is told."""
    found = read_label_studio(
        label_studio(
            tmp_path / "set",
            answer(
                region("a", "rectanglelabels", RECTANGLE),
                region("a", "choices", RECTANGLE | {"choices": ["red"]}, from_name="colour"),
                region("a", "number", RECTANGLE | {"number": 4}, from_name="doors"),
                region("b", "polygonlabels", {"points": [[0, 0], [50, 0], [0, 100]], "polygonlabels": ["roof"]}),
                region("c", "keypointlabels", {"x": 50, "y": 50, "width": 0.2, "keypointlabels": ["eye"]}),
                {"type": "relation", "from_id": "a", "to_id": "b", "direction": "left", "labels": ["on"]},
                {"type": "relation", "from_id": "a", "to_id": "zz", "direction": "right"},
                region("d", "rectanglelabels", RECTANGLE | {"rotation": 90}),
                region("e", "brushlabels", {"format": "rle", "rle": [1], "brushlabels": ["car"]}),
                region("f", "rectanglelabels", RECTANGLE | {"x": float("nan")}),
                region("g", "rectanglelabels", RECTANGLE | {"rectanglelabels": ["a", "b"]}),
                region("h", "polygonlabels", {"points": [[0, 0], [1, 1]], "closed": False, "polygonlabels": ["roof"]}),
                {"id": "q", "type": "choices", "from_name": "weather", "value": {"choices": ["rain"]}},
            ),
        )
    )
    (image,) = found.images
    car, roof, eye, turned = image.shapes
    assert (car.box, dict(car.attributes)) == (pytest.approx((64, 96, 96, 144)), {"colour": "red", "doors": 4})
    assert (roof.points, roof.links) == (((0, 0), (320, 0), (0, 480)), (Link("on", "a"),))
    assert (eye.type, eye.points) == ("point", ((320, 240),))
    assert turned.box == pytest.approx((64 - 48, 96, 64, 96 + 32))
    assert (image.width, image.height, found.labels) == (640, 480, ("car", "eye", "roof"))
    told = reasons(found.skipped)
    for why in (
        "leads from or to no shape", "the box around the turned box", "a region of brushlabels has no place",
        "f: has no x that is a finite number", "g: has 2 labels, not one", "not closed",
        "'weather' is said of no shape",
    ):  # fmt: skip
        assert why in told
    assert len(found.skipped) == 7


@pytest.mark.parametrize(
    ("task", "why"),
    [
        ({"data": {"image": "1.png"}, "predictions": [{"result": []}]}, "has predictions, which nobody answered"),
        ({"data": {"image": "1.png"}, "annotations": [{"result": [], "was_cancelled": True}]}, "has no answer"),
        ({"data": {"text": "hello"}}, "names no image"),
        (answer(image="../../secret.png"), "'../../secret.png' is missing"),
        (answer(image="/data/local-files/?d=../../secret.png"), "is missing"),
        ("nonsense", "names no image"),
    ],
)
def test_tasks_without_an_answer_are_told(tmp_path, task, why):
    """Predictions are nobody's answer, and a cancelled one is none."""
    picture(tmp_path / "secret.png")
    found = read_label_studio(label_studio(tmp_path / "a" / "set", answer(image="2.png"), task))
    assert [image.path.name for image in found.images] == ["2.png"]
    assert why in reasons(found.skipped)


@pytest.mark.parametrize(
    "image",
    ["images/1.png", "1.png", "/data/upload/7/0123abcd-1.png", "s3://bucket/some/1.png", "https://x.org/1.png?a=b"],
)
def test_label_studio_images_are_found(tmp_path, image):
    """By their path in the folder, or by their name, also with what an upload puts before it."""
    (found,) = read_label_studio(label_studio(tmp_path / "set", answer(image=image))).images
    assert found.path == tmp_path / "set" / "images" / "1.png"


def test_one_of_several_answers_is_taken(tmp_path):
    """The ground truth, else the last; and the others are told."""

    def body(label: str, **more: object) -> dict[str, object]:
        return {"result": [region("a", "rectanglelabels", RECTANGLE | {"rectanglelabels": [label]})], **more}

    for answers_given, label in (
        ([body("x", ground_truth=True), body("y")], "x"),
        ([body("x"), body("y")], "y"),
        ([body("x"), body("y", was_cancelled=True)], "x"),
    ):
        task = {"data": {"image": "1.png"}, "annotations": answers_given}
        found = read_label_studio(
            label_studio(tmp_path / label / str(len(answers_given)) / str(answers_given[0].keys()), task)
        )
        assert [shape.label for shape in found.images[0].shapes] == [label]
        assert ("has 2 answers" in reasons(found.skipped)) is (not any("was_cancelled" in one for one in answers_given))


def test_shapes_without_ids_stay_so(world, tmp_path):
    """Label Studio wants an id for each region; importing its file again changes nothing all the same."""
    full(world, tmp_path)
    exported(world, tmp_path / "out", "label-studio")
    assert world.load(tmp_path / "out", "label-studio").unchanged == 6


# --- streams of JSON -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [1, 2, 7, 1 << 20])
def test_json_is_read_in_pieces(tmp_path, monkeypatch, piece):
    """Wherever a piece ends, also inside numbers, escapes and characters of several bytes."""
    monkeypatch.setattr("loop.exchange.json_records._PIECE", piece)
    body = {"a": [1234, -5.5e3, {"ü": ['\\"\u2028', None]}], "b": "text", "c": {}, "d": [], "e": 12345}
    path = tmp_path / "x.json"
    path.write_text("\ufeff" + json.dumps(body, ensure_ascii=False, indent=1), encoding="utf-8")
    assert list(records(path)) == [
        ("a", 1234), ("a", -5.5e3), ("a", {"ü": ["\\\"\u2028", None]}), ("b", "text"), ("c", {}), ("e", 12345),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "7", '{"a": [1, 2', '{"a": [1 2]}', '{"a" 1}', "[1] 2", '{"a": [1,]}', "[" * 5000]
)
def test_bad_json_is_told(tmp_path, text):
    """Wherever it breaks off, with the place."""
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(BadDataset, match="cannot be read as JSON"):
        list(records(path))


# --- data sets without images --------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["coco", "voc", "cvat", "label-studio", "askance"])
def test_images_that_the_project_has_need_not_be_sent(world, tmp_path, layout):
    """Annotations alone, corrected elsewhere, find their images by the names that an export gave them."""
    full(world, tmp_path)
    report = world.load(three_bare(world, tmp_path, layout), layout)
    assert (report.imported, report.updated, report.unchanged, report.skipped) == (0, 0, 6, ())
    with pytest.raises(BadDataset, match="no image of"):
        world.load(tmp_path / "out", layout, "elsewhere")


def three_bare(world: World, tmp_path: Path, layout: str) -> Path:
    """The export of project p without its images."""
    from loop.exchange.exporter import export_dataset

    export_dataset(world.store, world.blobs, project_id="p", format=layout, folder=tmp_path / "out", images=False)
    return tmp_path / "out"


def test_images_are_found_by_the_path_they_came_from(world, tmp_path):
    """A name that two images have is no name of either."""
    folder = voc(tmp_path / "set", {"a": voc_xml("a.jpg", BOLT), "b": voc_xml("b.jpg", BOLT)})
    world.load(folder, "voc")
    (folder / "JPEGImages" / "a.jpg").unlink()
    (folder / "Annotations" / "a.xml").write_text(voc_xml("a.jpg", NUT))
    report = world.load(folder, "voc", add_labels=True)
    assert (report.updated, report.unchanged, report.skipped) == (1, 1, ())


# --- strictness ----------------------------------------------------------------------------------------------------


def test_a_strict_import_writes_nothing_where_anything_would_be_lost(world, tmp_path):
    """Not even the project; without anything to tell it is an import like others."""
    folder = voc(tmp_path / "set", {"a": voc_xml("a.jpg", BOLT), "b": voc_xml("b.jpg", ("nut", (5, 5, 5, 5)))})
    with pytest.raises(BadDataset, match=r"1 things .*JPEGImages/b.jpg: box, nut: the box"):
        world.load(folder, "voc", strict=True)
    with world.store.read() as tx:
        assert tx.projects.all() == []
    assert world.load(three(tmp_path / "good"), "voc", strict=True).imported == 3
    with pytest.raises(BadDataset, match="not in the project's recipe"):
        world.load(voc(tmp_path / "other", {"a": voc_xml("a.jpg", BOLT, ("pen", (1, 1, 9, 9)))}), "voc", strict=True)


def test_a_report_counts_by_kind(world, tmp_path):
    """How much of what was skipped, and how to add labels, behind the first remarks."""
    world.create("p", ("bolt",))
    report = world.load(voc(tmp_path / "set", {"a": voc_xml("a.jpg", BOLT, NUT, NUT)}), "voc")
    assert report.counts() == {"box": 2}
    assert report.lines()[-2:] == [
        "skipped in all: 2 x box",
        "labels that the project lacks are added with --add-labels",
    ]


# --- archives ------------------------------------------------------------------------------------------------------


def test_a_zip_is_a_folder(world, tmp_path):
    """Also one that wraps the data set in a folder of its own; nothing stays on the disk."""
    for number, wrapped in enumerate(("", "set")):
        base = tmp_path / f"base{number}"
        three(base / wrapped)
        shutil.make_archive(str(tmp_path / f"{number}"), "zip", base)
        with opened(tmp_path / f"{number}.zip", max_bytes=10**6, within=tmp_path) as folder:
            assert world.load(folder, None, f"p{number}").imported == 3
        assert not folder.exists()


def zipped(path: Path, name: str | zipfile.ZipInfo = "a.txt", content: bytes = b"x") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return path


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


@pytest.mark.parametrize("name", ["../evil.txt", "a/../../evil.txt", "/etc/evil", "C:/evil", link("link")], ids=str)
def test_an_archive_cannot_lead_out_of_its_folder(tmp_path, name):
    """Neither by names that climb, nor absolute ones, nor by links."""
    with pytest.raises(BadDataset, match="leads out of it"), opened(zipped(tmp_path / "x.zip", name), max_bytes=99):
        pass
    assert not list(tmp_path.rglob("evil*"))


def test_an_archive_that_swells_is_stopped(tmp_path):
    """Bytes are counted as they come out, whatever the archive claims."""
    bomb = zipped(tmp_path / "x.zip", content=b"\0" * 10**7)
    assert bomb.stat().st_size < 20_000
    with pytest.raises(PayloadTooLarge, match="unpacks to more than"), opened(bomb, max_bytes=10**6):
        pass
    with opened(bomb, max_bytes=10**7):
        pass


def test_a_damaged_archive_and_other_files_are_told(tmp_path):
    content = bytearray(zipped(tmp_path / "x.zip", content=bytes(range(256)) * 9).read_bytes())
    content[60] ^= 0xFF
    (tmp_path / "x.zip").write_bytes(content)
    (tmp_path / "x.rar").write_bytes(b"Rar!")
    for name, why in (("x.zip", "cannot be unpacked"), ("x.rar", "is no data set")):
        with pytest.raises(BadDataset, match=why), opened(tmp_path / name, max_bytes=10**6):
            pass


# --- small decisions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "guess", "expected"),
    [
        ([True, False], False, Attribute("a", AttributeType.BOOLEAN)),
        (["true", "no"], True, Attribute("a", AttributeType.BOOLEAN)),
        (["true"], False, Attribute("a", AttributeType.TEXT)),
        ([1, 2.5], False, Attribute("a", AttributeType.NUMBER)),
        (["1", "2.5"], True, Attribute("a", AttributeType.NUMBER)),
        ([("x",), ("x", "y")], False, Attribute("a", AttributeType.MULTISELECT, ("x", "y"))),
        (['["x"]', "[]"], True, Attribute("a", AttributeType.MULTISELECT, ("x",))),
        (["nan"], True, Attribute("a", AttributeType.TEXT)),
        (["red", 5], False, Attribute("a", AttributeType.TEXT)),
    ],
)
def test_an_attribute_is_what_its_values_are(values, guess, expected):
    """The narrowest type that holds them all; text stands for others only where the format has nothing else."""
    assert attribute_of("a", values, guess=guess) == expected


def test_labels_that_xml_cannot_hold_are_refused(world, tmp_path):
    """With the label, before anything is written."""
    world.create("p", ("a\x01b",))
    world.load(three(tmp_path / "set"), "voc", add_labels=True)
    for layout in ("voc", "cvat", "label-studio"):
        with pytest.raises(Invalid, match="cannot hold the label"):
            exported(world, tmp_path / layout, layout)
        assert not (tmp_path / layout).exists()


# --- real data -----------------------------------------------------------------------------------------------------


def test_blood_cells_go_through_every_format(world, tmp_path):
    """BCCD, a part of it, out and in again in each: the same boxes, labels and splits."""
    source = require_data("bccd") / "BCCD"
    for part in ("Annotations", "JPEGImages"):
        (tmp_path / "set" / part).mkdir(parents=True)
        for path in sorted((source / part).iterdir())[:40]:
            (tmp_path / "set" / part / path.name).symlink_to(path)
    (tmp_path / "set" / "ImageSets").symlink_to(source / "ImageSets")
    assert world.load(tmp_path / "set", "voc").imported == 40
    for layout in FORMATS:
        exported(world, tmp_path / layout, layout)
        report = world.load(tmp_path / layout, layout, f"from-{layout}")
        assert (report.imported, report.skipped, report.repaired) == (40, (), ())
        assert [row[::2] for row in world.contents(f"from-{layout}")] == [row[::2] for row in world.contents()]
        assert math.isclose(report.boxes, sum(len(truth.shapes) for _, truth in world.rows()))
