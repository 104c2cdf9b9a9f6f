"""Clips with tracks are exported as "CVAT for video" has them: what is written, and that it comes back."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from loop.domain.item import Item, Split
from loop.domain.items.clips import Frame, Group, GroupKind
from loop.domain.items.tracks import expanded
from loop.domain.recipes.recipe import ShapeCheck
from loop.domain.truth import Geometry, GroundTruth, Shape, drawn
from loop.exchange.clips import ExportedClips
from loop.exchange.cvat import read_cvat, write_cvat
from loop.exchange.exporter import export_dataset, preview_export
from loop.exchange.formats import recognised
from loop.exchange.reading import Layout, fitted
from loop.exchange.writing import SPLIT_NAMES, Exported
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from tests.contract.records import NOW
from tests.shapes import HEIGHT, RECIPE, WIDTH, answers
from tests.test_cvat_video import TASK, a_clip, box, lefts, track, truths, video
from tests.test_exchange import World, exported, picture, reasons
from tests.test_formats import held, numbered, numbers
from training.snapshot import freeze

CLIP = Group(id="clip_1", project_id="p", kind=GroupKind.CLIP, name="drive.mp4", created_at=NOW)
FILE = "annotations/001-drive.mp4.xml"

Frames = Mapping[int, Sequence[Shape]]


def a_video(
    frames: Frames, clip: Group = CLIP, numbers: Sequence[int | None] = (), answers: Sequence[str] = ()
) -> Exported:
    """A clip whose frames of these numbers have these shapes, ready to be written. numbers: others, in their order;
    answers: of each frame."""
    whose = answers or [""] * len(frames)
    rows = [(an_item(one[0]), a_truth(*one, answer)) for one, answer in zip(frames.items(), whose, strict=True)]
    told = zip(frames, numbers or frames, strict=True)
    places = tuple(a_frame(index, *pair, clip) for index, pair in enumerate(told))
    snapshot = freeze(rows, labels=RECIPE.label_names, val_share=0.5)
    return Exported(RECIPE, lambda: rows, snapshot, ExportedClips({clip.id: clip}, places), "images")


def digest(number: int) -> str:
    return f"{number:064x}"


def an_item(number: int) -> Item:
    return Item(
        project_id="p", digest=digest(number), media_type="image/png", width=WIDTH, height=HEIGHT, created_at=NOW,
        split=Split.VAL,
    )  # fmt: skip


def a_truth(number: int, shapes: Sequence[Shape], answer: str) -> GroundTruth:
    return GroundTruth(
        project_id="p", item_digest=digest(number), version=1, shapes=tuple(shapes),
        submission_ids=(answer,) if answer else (), origin="review", created_at=NOW,
    )  # fmt: skip


def a_frame(index: int, item: int, number: int | None, clip: Group) -> Frame:
    return Frame(project_id="p", group_id=clip.id, index=index, item_digest=digest(item), number=number)


def written(folder: Path, frames: Frames, **more: object) -> Path:
    folder.mkdir()
    write_cvat(folder, a_video(frames, **more))
    return folder


def read_back(folder: Path) -> dict[int, tuple[Shape, ...]]:
    """By the number that `digest` made the image's of; as RECIPE has them."""
    dataset = read_cvat(folder, lambda name: name.removesuffix(".png") if name.endswith(".png") else None)
    assert (dataset.skipped, {image.split for image in dataset.images}) == ((), {Split.VAL})
    found: dict[int, tuple[Shape, ...]] = {}
    for image in dataset.images:
        fit = fitted(image, width=WIDTH, height=HEIGHT, check=ShapeCheck(RECIPE), name="image")
        assert (fit.skipped, fit.repaired) == ((), ())
        found[int(image.digest, 16)] = fit.shapes
    return found


def tracked(left: float, name: str = "t", **more: object) -> Shape:
    return Shape("box", (left, 5, left + 10, 15), track=name, **more)


def elements(folder: Path) -> list[list[tuple[str, ...]]]:
    """Of each track: frame, outside, keyframe and left edge of what is written."""
    facts = ("frame", "outside", "keyframe", "xtl")
    tracks = ElementTree.parse(folder / FILE).getroot().iter("track")
    return [[tuple(one.get(fact, "") for fact in facts) for one in track.iter("box")] for track in tracks]


def as_cvat_keeps(folder: Path) -> Path:
    """What comes back from a task of CVAT: the shapes of key frames, and nothing that only we know of a track."""
    root = ElementTree.parse(folder / FILE)
    for element in root.iter("track"):
        element.attrib.pop("name", None)
        for shape in list(element):
            shape.attrib.pop("interpolated", None)
            if shape.get("keyframe") == "0":
                element.remove(shape)
    root.write(folder / FILE)
    return folder


@pytest.fixture
def world(store: SqlStore, tmp_path: Path) -> World:
    return World(store, FsspecBlobs.open(str(tmp_path / "blobs")))


def test_a_clip_with_tracks_is_a_file_of_its_own(tmp_path):
    """As CVAT takes it into a task of the video: a <track> for each object, which is outside where it goes before the
    clip ends; a shape without a track is in one frame. annotations.xml is not there where no image is left for it."""
    made = replace(tracked(5), keyframe=False)
    frames = {0: (tracked(0),), 5: (made,), 10: (tracked(10),), 15: (), 20: (tracked(50, ""), tracked(7))}
    folder = written(tmp_path / "set", frames)
    assert [path.name for path in folder.iterdir()] == ["annotations"]
    assert elements(folder) == [
        [("0", "0", "1", "0.0"), ("5", "0", "0", "5.0"), ("10", "0", "1", "10.0"), ("15", "1", "1", "10.0"),
         ("20", "0", "1", "7.0")],
        [("20", "0", "1", "50.0")],
    ]  # fmt: skip
    task = ElementTree.parse(folder / FILE).getroot().find("meta/task")
    texts = {name: task.findtext(name) for name in ("size", "start_frame", "stop_frame", "frame_filter", "source")}
    assert texts == {
        "size": "5", "start_frame": "0", "stop_frame": "20", "frame_filter": "step=5", "source": "drive.mp4",
    }  # fmt: skip
    assert read_back(folder) == frames


def test_a_track_says_of_an_object_what_an_image_does(tmp_path):
    """Its label and group; in each frame whether it is occluded, its other attributes, and its place in the order."""
    hidden = {"occluded": True, "side": "left"}
    frames = {
        0: (tracked(1, "", group="g"), tracked(0, group="h", attributes=hidden)),
        1: (tracked(0, group="h"), tracked(2, "a", group="g")),
        2: (tracked(2, "a"),),
    }
    tracks = list(ElementTree.parse(written(tmp_path / "set", frames) / FILE).getroot().iter("track"))
    facts = ("id", "label", "group_id", "name")
    assert [tuple(one.get(fact) for fact in facts) for one in tracks] == [
        ("0", "box", "1", None), ("1", "box", "2", "t"), ("2", "box", None, "a"),
    ]  # fmt: skip
    first, second, gone = tracks[1]
    assert [(one.get("occluded"), one.get("z_order")) for one in (first, second)] == [("1", "1"), ("0", "0")]
    assert [(one.get("name"), one.text) for one in first] == [("side", "left")]
    assert (list(second), gone.get("outside")) == ([], "1")
    assert [one.get("group_id") for one in tracks[2]] == ["1", None]


def test_a_track_ends_with_its_answer(tmp_path):
    """The t1 of the next part of the clip is another object, though it comes back under that name."""
    frames = {number: (tracked(number, "t1"),) for number in range(4)}
    folder = written(tmp_path / "set", frames, answers=["sub_1", "sub_1", "sub_2", "sub_2"])
    assert [[(frame, outside) for frame, outside, _, _ in one] for one in elements(folder)] == [
        [("0", "0"), ("1", "0"), ("2", "1")], [("2", "0"), ("3", "0")],
    ]  # fmt: skip
    assert read_back(folder) == frames


@pytest.mark.parametrize("numbers", [(None, None, 4), (3, 2, 4), (3, 3, 4), (1, 2, 10**9)])
def test_frames_without_usable_numbers_are_numbered_by_their_order(tmp_path, numbers):
    """And a clip without a name is called by its id."""
    frames = {7: (tracked(0),), 8: (tracked(5),), 9: (tracked(5),)}
    folder = written(tmp_path / "set", frames, clip=replace(CLIP, name=""), numbers=numbers)
    (path,) = folder.rglob("*.xml")
    task = ElementTree.parse(path).getroot().find("meta/task")
    assert (path.name, task.findtext("source")) == ("001-clip_1.xml", "clip_1")
    assert [frame.get("number") for frame in task.iter("frame")] == ["0", "1", "2"]
    assert read_back(folder) == frames


def test_a_key_frame_is_what_cvat_cannot_make(tmp_path):
    """Where the line between two key frames leads elsewhere, as in a video whose rate varies, what lies between them is
    key frames; so is the last frame before an object goes. That they were not drawn is not lost."""
    made = {"keyframe": False}
    bent = {0: (tracked(0),), 1: (tracked(2, **made),), 2: (tracked(3, **made),), 3: (tracked(3),)}
    (told,) = elements(written(tmp_path / "bent", bent))
    assert [key for _, _, key, _ in told] == ["1", "1", "1", "1"]
    assert read_back(tmp_path / "bent") == bent
    ends = {0: (tracked(0),), 1: (tracked(1, **made),), 2: (tracked(2, **made),), 3: ()}
    (told,) = elements(written(tmp_path / "ends", ends))
    assert told[1:] == [("1", "0", "0", "1.0"), ("2", "0", "1", "2.0"), ("3", "1", "1", "2.0")]
    other = {0: (tracked(0),), 1: (tracked(1, attributes={"side": "left"}, **made),), 2: (tracked(2),)}
    (told,) = elements(written(tmp_path / "other", other))
    assert [key for _, _, key, _ in told] == ["1", "1", "1"]


_FOLDERS = itertools.count()
_PARTS = st.tuples(answers(), st.sampled_from(["", "a", "b"]), st.sampled_from(["", "g", "h"]), st.booleans())
_FRAMES = st.dictionaries(st.integers(0, 12), st.lists(_PARTS, max_size=2), min_size=1, max_size=6)


def in_cvat(parts: Sequence[tuple[Sequence[Shape], str, str, bool]]) -> list[Shape]:
    """What CVAT holds of answers, of these tracks and groups."""
    return [
        replace(held(shape, Layout.CVAT, set()), track=name, group=group, links=(), keyframe=key or not name)
        for shapes, name, group, key in parts
        for shape in shapes
    ]


@settings(max_examples=80, suppress_health_check=list(HealthCheck), deadline=None)
@given(drawn_frames=_FRAMES)
def test_what_is_written_comes_back(tmp_path, drawn_frames):
    """Whatever lies in the frames, with gaps, tracks of several labels and several of one in a frame: all shapes in
    their order, with tracks, groups and attributes, what was drawn and what was not, and the frames without any."""
    frames = {number: in_cvat(drawn_frames[number]) for number in sorted(drawn_frames)}
    found = read_back(written(tmp_path / str(next(_FOLDERS)), frames))
    assert {n: numbered(shapes) for n, shapes in found.items()} == {n: numbered(shapes) for n, shapes in frames.items()}


_PLACES = st.dictionaries(st.sampled_from("abc"), st.tuples(st.integers(0, 40), st.booleans()), max_size=3)
_CLIPS = st.dictionaries(st.integers(0, 12), _PLACES, min_size=1, max_size=6).filter(lambda one: any(one.values()))


def as_drawn(name: str, left: int, **more: object) -> Shape:
    """Of a track that is boxes, or, c, polygons."""
    more |= {"track": name, "attributes": {"note": name}}
    if name == "c":
        return drawn(Geometry.POLYGON, "polygon", [(left, 0), (left + 9, 0), (2 * left, 30)], **more)
    return Shape("box", (left, 5, 2 * left + 10, 15), **more)


def as_imported(clip: Mapping[int, Mapping[str, tuple[int, bool]]]) -> Frames:
    """Any shape may be said to lie between others."""
    return {
        number: [as_drawn(name, left, keyframe=flag) for name, (left, flag) in clip[number].items()]
        for number in sorted(clip)
    }


def as_answered(clip: Mapping[int, Mapping[str, tuple[int, bool]]]) -> Frames:
    """Key frames, some of them outside, and what lies between."""
    shapes = [
        as_drawn(name, left, frame=number, outside=flag)
        for number, places in clip.items()
        for name, (left, flag) in places.items()
    ]
    found = expanded(shapes, {number: float(number) for number in sorted(clip)})
    return {number: [replace(one.shape, frame=None) for one in placed] for number, placed in found.items()}


@pytest.mark.parametrize("made", [as_imported, as_answered])
@settings(max_examples=80, suppress_health_check=list(HealthCheck), deadline=None)
@given(clip=_CLIPS)
def test_cvat_makes_the_same_of_key_frames(tmp_path, made, clip):
    """Which alone it keeps: each frame has the same shapes then, to half a pixel."""
    frames = made(clip)
    assume(any(frames.values()))
    found = read_back(as_cvat_keeps(written(tmp_path / str(next(_FOLDERS)), frames)))
    assert found.keys() == frames.keys()
    for number, shapes in frames.items():
        there = {one.attributes["note"]: numbers(one) for one in found[number]}
        assert there == {one.attributes["note"]: pytest.approx(numbers(one), abs=0.5) for one in shapes}


def test_what_was_interpolated_in_a_steady_video_stays_so(tmp_path):
    """Key frames and the last frame before an object goes are key frames; nothing else is, though some frames of the
    video have no ground truth."""
    shapes = [tracked(0, frame=0), tracked(30, frame=10), tracked(0, frame=25, outside=True), tracked(9, frame=30)]
    found = expanded(shapes, {number: float(number) for number in (0, 5, 10, 20, 25, 30, 35)})
    frames = {number: [replace(one.shape, frame=None) for one in placed] for number, placed in found.items()}
    (told,) = elements(written(tmp_path / "set", frames))
    assert [(frame, outside) for frame, outside, key, _ in told if key == "1"] == [
        ("0", "0"), ("10", "0"), ("20", "0"), ("25", "1"), ("30", "0"), ("35", "1"),
    ]  # fmt: skip


# --- from a project to the next --------------------------------------------------------------------------------------


def an_annotated_clip(world: World, folder: Path, seed: int = 0, name: str = "drive.mp4") -> dict[int, str]:
    """Of the project p: five frames of a video, of which the third has no ground truth; digests by frame."""
    digests = a_clip(world, name, [0, 5, 10, 15, 20], seed)
    shapes = (box(0, seed), box(10, seed + 10), box(15, 9, outside=1))
    meta = f"<task>{TASK.replace('<stop_frame>12', '<stop_frame>20')}</task>"
    written_out = video(folder, track(*shapes), track(box(20, 3), box(21, 3, outside=1), number=1), meta=meta)
    for frame in (0, 5, 15, 20):
        place = written_out / f"images/frame_{frame:06}.png"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(world.blobs.get(digests[frame]))
    world.load(written_out, "cvat")
    return digests


def shapes_of(world: World, project_id: str = "p") -> dict[str, tuple[Shape, ...]]:
    return {item.digest: truth.shapes for item, truth in world.rows(project_id)}


def test_a_project_takes_its_own_export(world, tmp_path):
    """Without images, too: each frame is the image that it was, though two clips have one name, nothing changes, and a
    frame without ground truth stays without."""
    world.create("p", ("car",))
    digests = an_annotated_clip(world, tmp_path / "one")
    assert lefts(truths(world, digests)) == {0: [0], 5: [5], 15: [], 20: [3]}
    an_annotated_clip(world, tmp_path / "two", seed=30)
    before = shapes_of(world)
    out = tmp_path / "out"
    export_dataset(world.store, world.blobs, project_id="p", format="cvat", folder=out, images=False)
    assert sorted(path.name for path in out.rglob("*.xml")) == ["001-drive.mp4.xml", "002-drive.mp4.xml"]
    assert recognised(out) is Layout.CVAT
    world.load(out, "cvat", strict=True)
    assert shapes_of(world) == before
    assert world.load(out, "cvat").unchanged == 8


def test_another_project_takes_it_with_its_images(world, tmp_path):
    """With the splits that they have, and beside the images that are in no clip."""
    world.create("p", ("car",))
    digests = an_annotated_clip(world, tmp_path / "one")
    loose = tmp_path / "loose"
    picture(loose / "images/a.png", 77)
    (loose / "annotations.xml").write_text(
        '<annotations><image id="0" name="a.png" width="64" height="48">'
        '<box label="car" xtl="1" ytl="1" xbr="9" ybr="9"/></image></annotations>'
    )
    world.load(loose, "cvat")
    report = exported(world, tmp_path / "out", "cvat")
    assert (report.images, report.left_out) == (5, {})
    assert world.load(tmp_path / "out", "cvat", "q", strict=True).imported == 5
    assert shapes_of(world, "q") == shapes_of(world)
    assert len({item.group for item, _ in world.rows("q") if item.digest in digests.values()}) == 1
    splits = {split: count for split, count in report.splits.items() if count}
    assert Counter(SPLIT_NAMES[item.split] for item, _ in world.rows("q")) == splits


def test_what_has_no_place_is_counted(world, tmp_path):
    """Tracks of images in no clip; which frame an image is of a clip without a track, whose images are images."""
    world.create("p", ("car",))
    digests = a_clip(world, "walk.mp4", [0, 1])
    plain_boxes = [f'<image id="{n}" name="{one}"/>' for n, one in digests.items()]
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "annotations.xml").write_text(f"<annotations>{''.join(plain_boxes)}</annotations>")
    world.load(tmp_path / "plain", "cvat")
    folder = video(tmp_path / "set", track(box(0, 0), box(1, 1), box(2, 1, outside=1)))
    for frame in range(2):
        picture(folder / f"images/frame_{frame:06}.png", 50 + frame)
    world.load(folder, "cvat")
    report = preview_export(world.store, project_id="p", format="cvat")
    assert report.left_out == {"places of images in clips": 2, "groups and tracks": 2}
    exported(world, tmp_path / "out", "cvat")
    assert [path.name for path in (tmp_path / "out").glob("**/*.xml")] == ["annotations.xml"]


# --- what the reader makes of it -------------------------------------------------------------------------------------


def test_cvat_s_shape_of_one_frame_is_no_track(world, tmp_path):
    """A file of CVAT's has it as a track that is outside from the next frame of the task on, or in the last alone."""
    world.create("p", ("car",))
    digests = a_clip(world, "drive.mp4", [0, 4, 8, 12])
    meta = f"<task>{TASK.replace('<frame_filter>', '<frame_filter>step=4')}</task>"
    shapes = [(box(0, 1), box(4, 1, outside=1)), (box(12, 2),), (box(0, 3), box(8, 3, outside=1)), (box(8, 4),)]
    tracks = [track(*keys, number=number) for number, keys in enumerate(shapes)]
    world.load(video(tmp_path / "set", *tracks, meta=meta), "cvat")
    found = {frame: {one.box[0]: bool(one.track) for one in s} for frame, s in truths(world, digests).items()}
    assert found == {0: {1: False, 3: True}, 4: {3: True}, 8: {4: True}, 12: {2: False, 4: True}}


def test_frames_that_name_their_image_are_told_where_it_is_missing(tmp_path):
    """So is what names none; the others are read, and no frame besides them."""
    named = ('number="0" name="a.png" subset="test"', 'number="4" name="b.png"', 'number="5"', 'name="c.png"')
    listed = "".join(f"<frame {one}/>" for one in named)
    meta = f"<task>{TASK}<frames>{listed}</frames></task>"
    folder = video(tmp_path / "set", track(box(0, 1), box(8, 9)), meta=meta)
    for name in ("a.png", "frame_000002.png", "c.png"):
        picture(folder / "images" / name)
    found = read_cvat(folder)
    assert [(one.path.name, one.split, len(one.shapes)) for one in found.images] == [("a.png", Split.GOLDEN, 1)]
    assert [(one.what, one.count) for one in found.skipped] == [("frame", 2), ("image", 1), ("frame", 1)]
    assert "'b.png' is missing" in reasons(found.skipped)


@pytest.mark.parametrize("name", ["../t", "a b", "t" * 65])
def test_a_name_that_no_track_can_have_is_not_taken(tmp_path, name):
    """The track gets one of its own."""
    folder = video(tmp_path / "set", track(box(0, 1), name=name), track(box(0, 1), number=1, name="t"))
    picture(folder / "images/frame_000000.png")
    first, second = (one.track for one in read_cvat(folder).images[0].shapes)
    assert (first.startswith("track-"), second) == (True, "t")
