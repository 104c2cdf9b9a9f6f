"""Clips in snapshots and data sets: never torn apart, and found again."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from loop.domain.items.clips import Group, GroupKind
from loop.domain.ports import Store
from loop.domain.truth import GroundTruth, Shape
from loop.exchange.exporter import export_dataset
from loop.items.grouped import save_group
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from tests.api.conftest import picture
from tests.contract.records import NOW, an_item
from tests.test_exchange import World
from training.snapshot import freeze

CLIPS, FRAMES = 12, 6


@pytest.fixture
def world(store: SqlStore, tmp_path: Path) -> World:
    return World(store, FsspecBlobs.open(str(tmp_path / "blobs")))


def a_clip(world: World, number: int, *, kind: GroupKind = GroupKind.CLIP) -> list[str]:
    """Six frames with a track through all of them; digests in their order."""
    digests = [world.blobs.put(picture(FRAMES * number + index)) for index in range(FRAMES)]
    with world.store.begin() as tx:
        for index, digest in enumerate(digests):
            plain = replace(an_item(0, project_id="p"), digest=digest, media_type="image/png", width=64, height=48)
            tx.items.add(replace(plain, group="", split=None, meta={}))
            shape = Shape("car", (index, 1, index + 9, 9), track="a", keyframe=index in (0, FRAMES - 1))
            tx.truths.add(
                GroundTruth(
                    project_id="p", item_digest=digest, version=1, shapes=(shape,), submission_ids=("sub_1",),
                    origin="review", created_at=NOW,
                )
            )  # fmt: skip
        group = Group(
            id=f"group_{number:02}", project_id="p", kind=kind, name=f"drive {number}", created_at=NOW, frames=FRAMES
        )
        save_group(tx, group, [(digest, index / 4, 2 * index) for index, digest in enumerate(digests)])
    return digests


def places(store: Store, project: str) -> list[tuple[int, str, float | None, int | None]]:
    with store.read() as tx:
        return [(one.index, one.item_digest, one.seconds, one.number) for one in tx.groups.places(project)]


def test_frames_of_a_clip_are_never_on_both_sides_of_a_split(world):
    """Whatever the share; and clips are spread over both sides."""
    world.create("p", ("car",))
    clips = [a_clip(world, number) for number in range(CLIPS)]
    snapshot = freeze(world.rows(), labels=("car",), val_share=0.5)
    split_of = {entry.digest: entry.split for entry in snapshot.entries}
    sides = [{split_of[digest] for digest in clip} for clip in clips]
    assert all(len(side) == 1 for side in sides)
    assert len(set().union(*sides)) == 2


def test_an_order_alone_does_not_bind_a_split(world):
    """Items of a group of the kind `any` are drawn one by one."""
    world.create("p", ("car",))
    for number in range(3):
        a_clip(world, number, kind=GroupKind.ANY)
    snapshot = freeze(world.rows(), labels=("car",), val_share=0.5)
    split_of = {entry.digest: entry.split for entry in snapshot.entries}
    with world.store.read() as tx:
        first = [place.item_digest for place in tx.groups.places("p") if place.group_id == "group_00"]
    assert len({split_of[digest] for digest in first}) == 2


def test_our_own_form_brings_clips_back(world, tmp_path):
    """Kind, name, order and times, and which shapes were drawn; importing again adds nothing."""
    world.create("p", ("car",))
    digests = a_clip(world, 0)
    a_clip(world, 1, kind=GroupKind.CAMERA)
    report = export_dataset(world.store, world.blobs, project_id="p", format="askance", folder=tmp_path / "out")
    assert report.left_out == {}
    for _ in range(2):
        world.load(tmp_path / "out", "askance", "q")
        assert places(world.store, "q") == places(world.store, "p") != []
    with world.store.read() as tx:
        before, after = (tx.groups.page(project, after=None, limit=9) for project in ("p", "q"))
        assert {(one.kind, one.name, one.frames) for one in after} == {
            (one.kind, one.name, one.frames) for one in before
        }
        keys = [tx.truths.current("q", digest).shapes[0].keyframe for digest in digests]
        assert len(set(tx.groups.split_groups("q", digests).values())) == 1
    assert keys == [True, False, False, False, False, True]


def a_line(**changes: object) -> str:
    return json.dumps({"id": "g", "kind": "clip", "name": "", "frames": [{"digest": "a" * 64}]} | changes)


@pytest.mark.parametrize(
    "line",
    [
        "no json", "{}", "[]", a_line(kind="film"), a_line(name="\n"), a_line(id=3), a_line(meta=[]),
        a_line(meta={"rate": float("inf")}), a_line(frames=[]), a_line(frames=[{"digest": "a"}]), a_line(frames=["a"]),
        a_line(frames=[{"digest": "a" * 64, "time": "x"}]), a_line(frames=[{"digest": "a" * 64, "number": -1}]),
        a_line(frames=[{"digest": "a" * 64, "time": float("nan")}]), a_line(frames=[{"digest": "a" * 64}] * 2),
    ],
)  # fmt: skip
def test_a_group_that_cannot_be_read_costs_itself_alone(world, tmp_path, line):
    """The images come, the other groups too, and the report names the line."""
    world.create("p", ("car",))
    a_clip(world, 0)
    export_dataset(world.store, world.blobs, project_id="p", format="askance", folder=tmp_path / "out")
    file = tmp_path / "out" / "groups.jsonl"
    file.write_text(line + "\n" + file.read_text())
    report = world.load(tmp_path / "out", "askance", "q")
    assert report.imported == FRAMES
    assert len(places(world.store, "q")) == FRAMES
    assert any("line 1" in remark.why for remark in report.skipped)


def test_coco_says_which_frame_of_which_clip(world, tmp_path):
    """As COCO-VID and TAO do: videos, video_id and frame_id of images, track_id of annotations, one for each track."""
    world.create("p", ("car",))
    clips = {number: a_clip(world, number) for number in range(CLIPS)}
    report = export_dataset(
        world.store, world.blobs, project_id="p", format="coco", folder=tmp_path / "out", val_share=0.5
    )
    assert report.left_out == {}
    tracks: set[int] = set()
    for path in sorted((tmp_path / "out" / "annotations").glob("*.json")):
        body = json.loads(path.read_text())
        names = {one["id"]: one["name"] for one in body["videos"]}
        of_image = {one["id"]: one for one in body["images"]}
        assert {one["video_id"] for one in body["images"]} == set(names)
        for image in body["images"]:
            number = int(names[image["video_id"]].split()[1])
            assert clips[number][image["frame_id"]] + ".png" == image["file_name"]
        of_video = {(one["video_id"], one["track_id"]) for one in body["annotations"]}
        assert len(of_video) == len(names)
        assert not tracks & {track for _, track in of_video}
        tracks |= {track for _, track in of_video}
        for one in body["annotations"]:
            assert one["keyframe"] == (of_image[one["image_id"]]["frame_id"] in (0, FRAMES - 1))
    assert len(tracks) == CLIPS
    assert world.load(tmp_path / "out", "coco", "q").imported == CLIPS * FRAMES


def test_yolo_says_what_it_leaves_out(world, tmp_path):
    """Places in clips, and tracks."""
    world.create("p", ("car",))
    a_clip(world, 0)
    report = export_dataset(world.store, world.blobs, project_id="p", format="yolo", folder=tmp_path / "out")
    assert report.left_out == {"places of images in clips": FRAMES, "groups and tracks": FRAMES}
