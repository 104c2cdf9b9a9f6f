"""CVAT for video: tracks with key frames become shapes in the frames that there are images of."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from loop.domain.errors import BadDataset
from loop.domain.item import Split
from loop.domain.items.clips import Group, GroupKind
from loop.domain.truth import Geometry, Shape
from loop.exchange import cvat_tracks
from loop.exchange.cvat import read_cvat
from loop.items.grouped import save_group
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from tests.api.conftest import picture as pixels
from tests.contract.records import NOW, an_item
from tests.test_exchange import World, picture, reasons

TASK = """<id>7</id><name>n</name><size>13</size><mode>interpolation</mode>
  <start_frame>0</start_frame><stop_frame>12</stop_frame><frame_filter></frame_filter>
  <labels><label><name>car</name><type>rectangle</type><attributes>
    <attribute><name>colour</name><input_type>select</input_type><values>red
blue</values></attribute>
    <attribute><name>occluded</name><input_type>checkbox</input_type><values>false</values></attribute>
  </attributes></label><label><name>lane</name><type>polyline</type></label></labels>
  <original_size><width>64</width><height>48</height></original_size><source>drive.mp4</source>"""


def box(frame: int, left: float, **more: object) -> str:
    """Ten pixels wide. more: attributes of the element, and `text`, what is in it."""
    text = more.pop("text", "")
    facts = {"keyframe": 1, "outside": 0, "occluded": 0, "z_order": 0} | more
    given = " ".join(f'{name}="{value}"' for name, value in facts.items())
    return f'<box frame="{frame}" xtl="{left}" ytl="5" xbr="{left + 10}" ybr="15" {given}>{text}</box>'


def track(*shapes: str, label: str = "car", number: int = 0, **more: object) -> str:
    facts = "".join(f' {name}="{value}"' for name, value in more.items())
    return f'<track id="{number}" label="{label}" source="manual"{facts}>{"".join(shapes)}</track>'


def video(folder: Path, *tracks: str, meta: str = f"<task>{TASK}</task>") -> Path:
    folder.mkdir(exist_ok=True)
    text = f"<annotations><version>1.1</version><meta>{meta}</meta>{''.join(tracks)}</annotations>"
    (folder / "annotations.xml").write_text(text)
    return folder


def a_clip(world: World, name: str, numbers: Sequence[int], seed: int = 0, number: int | None = 0) -> dict[int, str]:
    """Of the project p: an image for each of these frames of a video; digests by frame."""
    digests = {frame: world.blobs.put(pixels(seed + frame)) for frame in numbers}
    with world.store.begin() as tx:
        for digest in digests.values():
            item = replace(an_item(0, project_id="p"), digest=digest, media_type="image/png", width=64, height=48)
            tx.items.add(replace(item, group="", split=None, meta={}))
        group = Group(
            id=f"group_{seed}", project_id="p", kind=GroupKind.CLIP, name=name, created_at=NOW, frames=len(digests)
        )
        frames = [(digest, None, None if number is None else frame) for frame, digest in digests.items()]
        save_group(tx, group, frames)
    return digests


def truths(world: World, digests: dict[int, str]) -> dict[int, tuple[Shape, ...]]:
    """Of the frames that have any."""
    frame_of = {digest: frame for frame, digest in digests.items()}
    return {frame_of[item.digest]: truth.shapes for item, truth in world.rows()}


def lefts(found: dict[int, tuple[Shape, ...]]) -> dict[int, list[float]]:
    return {frame: [round(shape.box[0], 6) for shape in shapes] for frame, shapes in sorted(found.items())}


@pytest.fixture
def world(store: SqlStore, tmp_path: Path) -> World:
    return World(store, FsspecBlobs.open(str(tmp_path / "blobs")))


def test_tracks_become_shapes_of_the_frames_that_are_items(world, tmp_path):
    """By the clip's name and the frames' numbers in the video: what was drawn, and between linearly by the number; the
    last shape stays to the end of the task, as in CVAT. Frames behind the task keep what they have: nothing."""
    world.create("p", ("car",))
    digests = a_clip(world, "drive.mp4", [0, 2, 4, 6, 8, 12, 20])
    report = world.load(video(tmp_path / "set", track(box(2, 10), box(8, 40))), "cvat")
    assert (report.imported + report.updated, report.skipped) == (6, ())
    found = truths(world, digests)
    assert lefts(found) == {0: [], 2: [10], 4: [20], 6: [30], 8: [40], 12: [40]}
    drawn = {frame: [shape.keyframe for shape in shapes] for frame, shapes in found.items() if shapes}
    assert drawn == {2: [True], 4: [False], 6: [False], 8: [True], 12: [False]}
    assert len({shape.track for shapes in found.values() for shape in shapes} - {""}) == 1
    assert world.load(tmp_path / "set", "cvat").unchanged == 6


def test_an_object_is_not_there_from_where_it_is_outside(world, tmp_path):
    """To the next shape of its track."""
    world.create("p", ("car",))
    digests = a_clip(world, "drive.mp4", range(13))
    world.load(
        video(tmp_path / "set", track(box(1, 0), box(4, 30, outside=1), box(9, 5), box(10, 5, outside=1))), "cvat"
    )
    assert lefts(truths(world, digests)) == {
        frame: {1: [0], 2: [10], 3: [20], 9: [5]}.get(frame, []) for frame in range(13)
    }


def test_what_cvat_says_of_each_frame_is_taken_as_it_is(world, tmp_path):
    """CVAT's own files have all frames, of which those with keyframe="0" were interpolated there."""
    world.create("p", ("car",))
    digests = a_clip(world, "drive.mp4", range(4))
    shapes = (box(0, 0), box(1, 17, keyframe=0), box(2, 21, keyframe=0), box(3, 30, outside=1))
    world.load(video(tmp_path / "set", track(*shapes)), "cvat")
    found = truths(world, digests)
    assert lefts(found) == {0: [0], 1: [17], 2: [21], 3: []}
    assert [found[frame][0].keyframe for frame in range(3)] == [True, False, False]


def test_a_track_keeps_its_attributes_group_and_order(world, tmp_path):
    """Of a frame and of the whole track; occluded while it is; groups; the highest last."""
    colour = '<attribute name="colour">red</attribute>'
    first = track(colour, box(0, 1, z_order=3), box(2, 3, occluded=1, z_order=3), group_id=4)
    second = track(box(0, 30, text='<attribute name="colour">blue</attribute>'), box(2, 32), group_id=4, number=1)
    folder = video(tmp_path / "set", first, second)
    for frame in range(3):
        picture(folder / f"images/frame_{frame:06}.png", frame, (64, 48))
    world.load(folder, "cvat")
    rows = sorted(world.rows(), key=lambda row: row[0].meta["path"])
    shapes = [truth.shapes for _, truth in rows]
    assert [[dict(shape.attributes) for shape in of_frame] for of_frame in shapes] == [
        [{"colour": "blue"}, {"colour": "red"}],
        [{"colour": "blue"}, {"colour": "red"}],
        [{}, {"colour": "red", "occluded": True}],
    ]
    assert [[shape.box[0] for shape in of_frame] for of_frame in shapes] == [[30, 1], [31, 2], [32, 3]]
    assert len({shape.group for of_frame in shapes for shape in of_frame}) == 1
    assert len({shape.track for of_frame in shapes for shape in of_frame}) == 2


def test_frames_that_come_along_stay_together(tmp_path):
    """Images of one video share a group of the split; the task's frames without a shape are images without one."""
    folder = video(tmp_path / "set", track(box(1, 10), box(2, 10, outside=1)))
    for frame in (0, 1, 2, 13):
        picture(folder / f"images/frame_{frame:06}.PNG", frame, (64, 48))
    found = read_cvat(folder)
    assert [(image.path.name, len(image.shapes), image.group) for image in found.images] == [
        ("frame_000000.PNG", 0, "drive.mp4"),
        ("frame_000001.PNG", 1, "drive.mp4"),
        ("frame_000002.PNG", 0, "drive.mp4"),
    ]  # fmt: skip
    assert found.skipped == ()


def test_lines_and_polygons_go_corner_by_corner(tmp_path):
    """Where the number of corners differs the earlier one stays; several points are tracks of their own."""
    line = '<polyline frame="{}" keyframe="1" outside="0" points="{}"/>'
    dots = '<points frame="{}" keyframe="1" outside="0" points="{}"/>'
    folder = video(
        tmp_path / "set",
        track(line.format(0, "0,0;10,10"), line.format(2, "10,0;20,30"), line.format(4, "1,1;2,2;3,3"), label="lane"),
        track(dots.format(0, "0,0;8,8"), dots.format(2, "2,2;4,4"), label="eye", number=1),
    )
    for frame in range(4):
        picture(folder / f"images/frame_{frame:06}.png", frame, (64, 48))
    found = [image.shapes for image in read_cvat(folder).images]
    assert [shape.points for shapes in found for shape in shapes if shape.type is Geometry.POLYLINE] == [
        ((0, 0), (10, 10)), ((5, 0), (15, 20)), ((10, 0), (20, 30)), ((10, 0), (20, 30)),
    ]  # fmt: skip
    assert [[shape.points[0] for shape in shapes if shape.label == "eye"] for shapes in found[:2]] == [
        [(0, 0), (8, 8)], [(1, 1), (6, 6)],
    ]  # fmt: skip
    assert len({shape.track for shapes in found for shape in shapes}) == 3


def test_only_frames_of_the_task_are_annotated(world, tmp_path):
    """A task that took each fourth frame says nothing of the others."""
    world.create("p", ("car",))
    digests = a_clip(world, "drive.mp4", range(13))
    meta = f"<task>{TASK.replace('<frame_filter>', '<frame_filter>step=4')}</task>"
    world.load(video(tmp_path / "set", track(box(4, 10), box(12, 30)), meta=meta), "cvat")
    assert lefts(truths(world, digests)) == {0: [], 4: [10], 8: [20], 12: [30]}


def test_without_a_task_a_track_ends_with_its_last_shape(world, tmp_path):
    """And the video goes from the first to the last frame that a track speaks of."""
    folder = video(tmp_path / "set", track(box(1, 10), box(3, 30)), track(box(4, 0), number=1), meta="")
    for frame in range(6):
        picture(folder / f"images/frame_{frame:06}.png", frame, (64, 48))
    assert [[shape.box[0] for shape in image.shapes] for image in read_cvat(folder).images] == [[10], [20], [30], [0]]


def test_key_frames_that_are_no_items_are_told(world, tmp_path):
    """What they make of the frames around them is kept; --strict refuses the whole."""
    world.create("p", ("car",))
    digests = a_clip(world, "drive.mp4", [0, 5])
    folder = video(tmp_path / "set", track(box(0, 0), box(4, 4), box(8, 12), box(9, 0, outside=1)))
    with pytest.raises(BadDataset, match="a key frame of which there is no image"):
        world.load(folder, "cvat", strict=True)
    report = world.load(folder, "cvat")
    assert report.counts() == {"frame": 2}
    assert lefts(truths(world, digests)) == {0: [0], 5: [6]}


@pytest.mark.parametrize("name", ["other.mp4", "drive", ""])
def test_a_clip_is_found_by_the_name_of_the_video(world, tmp_path, name):
    """With its suffix or without; another one is not taken for it, and that is told."""
    world.create("p", ("car",))
    a_clip(world, "drive.mp4", [0, 1])
    meta = f"<task>{TASK.replace('drive.mp4', name)}</task>"
    folder = video(tmp_path / "set", track(box(0, 0)), meta=meta)
    if name == "drive":
        assert world.load(folder, "cvat").skipped == ()
    else:
        with pytest.raises(BadDataset, match="the project has no clip called"):
            world.load(folder, "cvat")


def test_two_clips_of_one_name_are_not_confused(world, tmp_path):
    """A file of a name that two have is of neither, nor of one of two by what they share but for the suffix; the whole
    name comes first. A group without numbers is numbered by its order."""
    world.create("p", ("car",))
    first = a_clip(world, "drive.mp4", [0, 1, 2])
    a_clip(world, "drive.avi", [1, 3], seed=100)
    with pytest.raises(BadDataset, match="no clip called 'drive', or more than one"):
        world.load(video(tmp_path / "stem", track(box(0, 0)), meta="<source>drive</source>"), "cvat")
    world.load(video(tmp_path / "set", track(box(0, 0), box(2, 2))), "cvat")
    assert sorted(truths(world, first)) == [0, 1, 2]
    for number, name in enumerate(("night.mp4", "night.mp4")):
        a_clip(world, name, [number], seed=300 + number)
    with pytest.raises(BadDataset, match="more than one"):
        world.load(video(tmp_path / "night", track(box(0, 0)), meta="<source>night.mp4</source>"), "cvat")
    plain = a_clip(world, "walk", [5, 6], seed=200, number=None)
    world.load(video(tmp_path / "other", track(box(1, 0)), meta="<source>walk</source>"), "cvat")
    assert [item.digest for item, truth in world.rows() if item.digest == plain[6]] == [plain[6]]


def test_tasks_of_a_project_have_videos_of_their_own(world, tmp_path):
    """By the id of the task; a track of none of them is told."""
    world.create("p", ("car",))
    drive = a_clip(world, "drive.mp4", [0])
    walk = a_clip(world, "walk.mp4", [0], seed=100)
    other = TASK.replace("<id>7", "<id>8").replace("drive.mp4", "walk.mp4")
    meta = f"<project><tasks><task>{TASK}</task><task>{other}</task></tasks></project>"
    tracks = [track(box(0, left), task_id=task) for task, left in ((7, 1), (8, 2), (9, 3))]
    report = world.load(video(tmp_path / "set", *tracks, meta=meta), "cvat")
    assert report.counts() == {"track": 1}
    found = {item.digest: truth.shapes[0].box[0] for item, truth in world.rows()}
    assert found == {drive[0]: 1, walk[0]: 2}


def test_the_people_s_answer_and_the_split_stay(world, tmp_path):
    """As with any import."""
    world.create("p", ("car",))
    digests = a_clip(world, "drive.mp4", [0, 1])
    with world.store.begin() as tx:
        item = replace(tx.items.of("p", [digests[0]])[digests[0]], split=Split.VAL)
        tx.items.set_splits([item])
    world.load(video(tmp_path / "set", track(box(0, 0))), "cvat")
    assert {item.digest: item.split for item, _ in world.rows()} == {digests[0]: Split.VAL, digests[1]: None}


BAD = {
    "no frame": (track(box(0, 1), box(0, 2).replace('frame="0"', "")), "'' is no number of a frame"),
    "a frame below zero": (track(box(0, 1), box(-1, 2)), "'-1' is no number of a frame"),
    "a frame beyond all": (track(box(0, 1), box(10**12, 2)), "is no number of a frame"),
    "a frame twice": (track(box(0, 1), box(0, 2)), "frame 0 is there again"),
    "no place": (track(box(0, 1), box(1, 2).replace('xtl="2"', 'xtl="nan"')), "the coordinate nan is not finite"),
    "an ellipse": (track(box(0, 1), '<ellipse frame="1" cx="1" cy="1" rx="3" ry="3"/>'), "a ellipse has no place here"),
    "no shape": (track(box(0, 1)) + track('<mask frame="0"/>', number=1), "a mask has no place here"),
}


@pytest.mark.parametrize(("tracks", "why"), BAD.values(), ids=BAD.keys())
def test_a_bad_shape_costs_itself_alone(tmp_path, tracks, why):
    """With its line."""
    folder = video(tmp_path / "set", tracks)
    picture(folder / "images/frame_000000.png", 0, (64, 48))
    found = read_cvat(folder)
    assert [[shape.box[0] for shape in image.shapes] for image in found.images] == [[1]]
    assert why in reasons(found.skipped)
    assert found.skipped[0].path.startswith("annotations.xml, line ")


def test_a_short_file_does_not_come_to_any_number_of_shapes(tmp_path, monkeypatch):
    """Tracks that stay to the end of an endless task: what is too many is left out, and told."""
    monkeypatch.setattr(cvat_tracks, "MOST_SHAPES", 8)
    tracks = [track(box(0, 1), number=number) for number in range(4)]
    meta = f"<task>{TASK.replace('<stop_frame>12', '<stop_frame>999999999')}</task>"
    folder = video(tmp_path / "set", *tracks, meta=meta)
    for frame in range(3):
        picture(folder / f"images/frame_{frame:06}.png", frame, (64, 48))
    found = read_cvat(folder)
    assert [len(image.shapes) for image in found.images] == [2, 2, 2]
    assert [(remark.what, remark.count) for remark in found.skipped] == [("track", 2)]


def test_nor_one_of_many_points(tmp_path, monkeypatch):
    """One track of one element may ask for as many."""
    monkeypatch.setattr(cvat_tracks, "MOST_SHAPES", 100)
    many = ";".join(f"{n}.0,{n}.0" for n in range(40))
    points = f'<points frame="0" keyframe="1" outside="0" occluded="0" points="{many}"/>'
    folder = video(tmp_path / "set", track(box(0, 1)), track(points, number=1), meta=f"<task>{TASK}</task>")
    for frame in range(3):
        picture(folder / f"images/frame_{frame:06}.png", frame, (64, 48))
    found = read_cvat(folder)
    assert [len(image.shapes) for image in found.images] == [1, 1, 1]
    assert ("track", 1) in [(remark.what, remark.count) for remark in found.skipped]


def test_frames_are_asked_for_within_bounds(world, tmp_path, monkeypatch):
    """Of all tasks of a file together; what is left is told."""
    monkeypatch.setattr(cvat_tracks, "MOST_FRAMES", 4)
    world.create("p", ("car",))
    clip = a_clip(world, "drive.mp4", list(range(13)))
    report = world.load(video(tmp_path / "set", track(box(0, 0))), "cvat")
    assert sorted(truths(world, clip)) == [0, 1, 2, 3] and report.counts()["frame"] >= 3


def test_an_object_is_gone_where_the_file_says_so_without_a_place(tmp_path):
    """An `outside` shape whose points cannot be read is told, and still ends the object."""
    gone = '<polygon frame="2" keyframe="1" outside="1" occluded="0" points=""/>'
    there = '<polygon frame="0" keyframe="1" outside="0" occluded="0" points="1,1;9,1;9,9"/>'
    folder = video(tmp_path / "set", track(there, gone), meta=f"<task>{TASK}</task>")
    for frame in (0, 2, 4):
        picture(folder / f"images/frame_{frame:06}.png", frame, (64, 48))
    assert [len(image.shapes) for image in read_cvat(folder).images] == [1, 0, 0]
