"""Groups and their frames, on both databases: who belongs where, importing twice at once, and works on frames."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from loop.domain.errors import Conflict, Invalid, NotFound
from loop.domain.item import ImageFacts
from loop.domain.items.clips import BadVideo, ClipWork, Frame, Group, GroupKind, ReadFrame, Sampling
from loop.domain.items.linking import LinkingRules
from loop.domain.review.tasks import Task
from loop.domain.truth import Shape
from loop.items.clips import Clips
from loop.review.assignments import Assignment
from loop.review.desk import Desk
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from loop.wiring import utc_now
from tests.contract.records import (
    NOW,
    ODD,
    PROJECT,
    a_prediction,
    a_task,
    a_token,
    a_truth,
    an_item,
    digest,
    furnish,
    later,
)

ALL = Sampling(every=1)


def a_group(number: int = 0, *, kind: GroupKind = GroupKind.CLIP, frames: int = 0) -> Group:
    return Group(
        id=f"group_{number}",
        project_id=PROJECT,
        kind=kind,
        name=ODD,
        created_at=later(number),
        frames=frames,
        notes=(ODD, ""),
        meta={"rate": 1 / 3, ODD: None},
    )


def frame(index: int, *, item: int | None = None, group: int = 0, seconds: float | None = None) -> Frame:
    return Frame(
        project_id=PROJECT,
        group_id=f"group_{group}",
        index=index,
        item_digest=digest(index if item is None else item),
        seconds=seconds,
        number=2 * index,
    )


class Reel:
    """A video of made frames, which may be held up at one of them. Stands in for FFmpeg, whose tests are its own."""

    encoding = "test"

    def __init__(self, contents: list[bytes], breaks_at: int | None = None) -> None:
        self.contents = contents
        self.breaks_at = breaks_at
        self.encoded: list[int] = []

    meta: Mapping[str, Any] = {"codec": "test"}
    notes: tuple[str, ...] = ()

    @contextmanager
    def open(self, path: Path) -> Iterator["Reel"]:
        yield self

    def frames(self, sampling: Sampling, *, after: int, limit: int) -> Iterator[ReadFrame]:
        for number, content in enumerate(self.contents):
            if number == self.breaks_at:
                raise KeyboardInterrupt
            if number > after:
                self.encoded.append(number)
                yield ReadFrame(number, number / 7, content, ImageFacts(10, 20, "image/png"))


def clips(store: SqlStore, folder: Path, reel: Reel) -> Clips:
    blobs = FsspecBlobs.open(str(folder / "blobs"))
    return Clips(store, blobs, reel, 10_000, LinkingRules(), utc_now, os.urandom)


def a_file(folder: Path) -> Path:
    path = folder / "video.mp4"
    if not path.exists():
        path.write_bytes(b"the same bytes")
    return path


def brought(store: SqlStore, folder: Path, reel: Reel):
    return clips(store, folder, reel).import_file(PROJECT, a_file(folder), name="v", sampling=ALL, actor="test")


def places(store: SqlStore) -> list[tuple[int, str, float | None, int | None]]:
    with store.read() as tx:
        return [(one.index, one.item_digest, one.seconds, one.number) for one in tx.groups.places(PROJECT)]


# --- rows -----------------------------------------------------------------------------------------------------


def test_groups_and_frames_come_back_as_they_were(store: SqlStore) -> None:
    """Every field, frames by index from where one asks, groups newest first."""
    furnish(store, items=3)
    with store.begin() as tx:
        assert tx.groups.add(a_group(0, frames=3))
        assert not tx.groups.add(replace(a_group(0), name="other"))
        tx.groups.add(a_group(1, kind=GroupKind.ANY))
        tx.groups.append([frame(2, seconds=2 / 3), frame(0, seconds=0.0), frame(1)])
    with store.read() as tx:
        assert tx.groups.get(PROJECT, "group_0") == a_group(0, frames=3)
        assert tx.groups.find(PROJECT, "group_9") is None
        assert [group.id for group in tx.groups.page(PROJECT, after=None, limit=5)] == ["group_1", "group_0"]
        assert [group.id for group in tx.groups.page(PROJECT, after="group_1", limit=5)] == ["group_0"]
        found = tx.groups.frames(PROJECT, "group_0", first=1, limit=5)
        assert found == [(frame(1), an_item(1)), (frame(2, seconds=2 / 3), an_item(2))]
        assert tx.groups.among("group_0", [digest(1), digest(7)]) == {digest(1)}
        with pytest.raises(NotFound):
            tx.groups.get("other", "group_0")


@pytest.mark.parametrize(
    "wrong", [frame(1, item=0), frame(0, item=1), frame(1, item=9), frame(-1, item=1), frame(1, group=5)]
)
def test_a_frame_is_one_item_at_one_place(store: SqlStore, wrong: Frame) -> None:
    """No item twice in a group, no place twice, nothing that there is not."""
    furnish(store, items=2)
    with store.begin() as tx:
        tx.groups.add(a_group())
        tx.groups.append([frame(0)])
    with pytest.raises(IntegrityError), store.begin() as tx:
        tx.groups.append([wrong])


def test_what_shares_a_frame_shares_a_split(store: SqlStore) -> None:
    """Items that are to stay together take along whatever they had to stay with."""
    furnish(store, items=0)
    groups = {0: "", 1: "a", 2: "a", 3: "b", 4: "", 5: "c"}
    with store.begin() as tx:
        tx.items.add_all([replace(an_item(number), group=group) for number, group in groups.items()])
        tx.groups.keep_together(PROJECT, [digest(0), digest(1), digest(3)], "clip")
    with store.read() as tx:
        after = tx.groups.split_groups(PROJECT, [digest(number) for number in range(7)])
    assert after == {digest(n): group for n, group in enumerate(["clip", "clip", "clip", "clip", "", "c"])}


def test_the_newest_of_each_item(store: SqlStore) -> None:
    """Detections and risk of the newest prediction, the version of the newest truth; items without are left out."""
    furnish(store, items=3)
    with store.begin() as tx:
        tx.predictions.add(a_prediction(0, item=0))
        newer = replace(a_prediction(1, item=0, at=later(9)), detections=())
        newer = replace(newer, decision=replace(newer.decision, risk=0.125))
        tx.predictions.add(newer)
        tx.predictions.add(a_prediction(2, item=1))
        for version in (1, 2):
            tx.truths.add(a_truth(version, item=1))
    digests = [digest(number) for number in range(3)]
    with store.read() as tx:
        found = tx.predictions.latest_detections(PROJECT, digests)
        assert found == {digest(0): (), digest(1): a_prediction(2, item=1).detections}
        risk = a_prediction(2, item=1).decision.risk
        assert tx.predictions.latest_risks(PROJECT, digests) == {digest(0): 0.125, digest(1): risk}
        assert tx.truths.versions(PROJECT, digests) == {digest(1): 2}


def test_a_window_is_one_work(store: SqlStore) -> None:
    """By its first task; a second over the same frames cannot be."""
    furnish(store, items=2)

    def work(task: Task, first: int) -> ClipWork:
        return ClipWork(work_id=task.id, project_id=PROJECT, group_id="group_0", first=first, count=1)

    tasks = [a_task(number, item=number) for number in range(2)]
    with store.begin() as tx:
        tx.groups.add(a_group(frames=2))
        tx.groups.append([frame(0), frame(1)])
        tx.tasks.add_all(tasks)
        tx.groups.add_works([work(tasks[1], 1), work(tasks[0], 0)])
    with store.read() as tx:
        assert [one.first for one in tx.groups.works("group_0")] == [0, 1]
        assert tx.groups.work(tasks[1].id) == work(tasks[1], 1)
        assert tx.groups.work("task_x") is None
    with store.begin() as tx:
        other = a_task(2, item=0)
        tx.tasks.add(other)
    with pytest.raises(IntegrityError), store.begin() as tx:
        tx.groups.add_works([work(other, 0)])


# --- importing ------------------------------------------------------------------------------------------------

CONTENTS = [b"frame %d" % number for number in range(50)]


def test_an_import_that_is_cut_off_goes_on(store: SqlStore, tmp_path: Path) -> None:
    """What is committed is not encoded again, nothing is there twice, and the end is as if nothing had happened."""
    furnish(store, items=0)
    with pytest.raises(KeyboardInterrupt):
        brought(store, tmp_path, Reel(CONTENTS, breaks_at=37))
    with store.read() as tx:
        (begun,) = tx.groups.page(PROJECT, after=None, limit=5)
    assert (begun.complete, begun.frames) == (False, 32)
    rest = Reel(CONTENTS)
    done = brought(store, tmp_path, rest)
    assert rest.encoded == list(range(32, 50))
    assert (done.added, done.group.frames, done.group.complete) == (18, 50, True)
    assert [place[0] for place in places(store)] == [place[3] for place in places(store)] == list(range(50))
    assert len({place[1] for place in places(store)}) == 50
    again = Reel(CONTENTS)
    assert brought(store, tmp_path, again).added == 0
    assert again.encoded == []


def test_two_who_import_the_same_file_at_once_add_it_once(store: SqlStore, tmp_path: Path) -> None:
    """Whoever is faster; both are told the whole clip."""
    furnish(store, items=0)
    together = threading.Barrier(2)
    told: list[int] = []

    def bring() -> None:
        together.wait()
        told.append(brought(store, tmp_path, Reel(CONTENTS)).group.frames)

    a_file(tmp_path)
    threads = [threading.Thread(target=bring) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [50, 50]
    with store.read() as tx:
        assert [group.repeats for group in tx.groups.page(PROJECT, after=None, limit=5)] == [0]
    assert [(place[0], place[3]) for place in places(store)] == [(number, number) for number in range(50)]


def test_frames_with_the_same_bytes_are_one(store: SqlStore, tmp_path: Path) -> None:
    """Wherever they are; indices have no gaps, and times stay those of the video."""
    furnish(store, items=0)
    contents = [b"a", b"a", b"b", *[b"%d" % n for n in range(20)], b"a", b"z"]
    group = brought(store, tmp_path, Reel(contents)).group
    assert (group.frames, group.repeats) == (23, 2)
    assert [place[0] for place in places(store)] == list(range(23))
    assert [place[3] for place in places(store)] == [0, *range(2, 23), 24]
    assert places(store)[-1][2] == 24 / 7


def test_a_video_without_frames_is_no_clip(store: SqlStore, tmp_path: Path) -> None:
    """And leaves none."""
    furnish(store, items=0)
    with pytest.raises(BadVideo):
        brought(store, tmp_path, Reel([]))
    with store.read() as tx:
        assert tx.groups.page(PROJECT, after=None, limit=5) == []


def test_frames_of_a_video_share_their_split(store: SqlStore, tmp_path: Path) -> None:
    """Also one whose image was there before, with what that had to stay with."""
    furnish(store, items=0)
    known = clips(store, tmp_path, Reel([])).blobs.put(CONTENTS[3])
    with store.begin() as tx:
        tx.items.add(replace(an_item(0), digest=known, group="old"))
        tx.items.add(replace(an_item(1), group="old"))
    brought(store, tmp_path, Reel(CONTENTS))
    digests = [place[1] for place in places(store)] + [digest(1)]
    with store.read() as tx:
        assert len(set(tx.groups.split_groups(PROJECT, digests).values())) == 1


def test_tasks_wait_for_the_end_of_the_import(store: SqlStore, tmp_path: Path) -> None:
    """A task over half a clip would miss the rest."""
    furnish(store, items=0)
    with pytest.raises(KeyboardInterrupt):
        brought(store, tmp_path, Reel(CONTENTS, breaks_at=37))
    use = clips(store, tmp_path, Reel(CONTENTS))
    with store.read() as tx:
        (begun,) = tx.groups.page(PROJECT, after=None, limit=5)
    with pytest.raises(Conflict, match="not imported to its end"):
        use.make_tasks(PROJECT, begun.id, None, "test")
    with pytest.raises(Invalid):
        use.make_tasks(PROJECT, brought(store, tmp_path, Reel(CONTENTS)).group.id, 0, "test")


def test_two_who_ask_for_tasks_at_once_get_the_same(store: SqlStore, tmp_path: Path) -> None:
    """One makes them."""
    furnish(store, items=0)
    group = brought(store, tmp_path, Reel(CONTENTS)).group
    use = clips(store, tmp_path, Reel([]))
    told: list[tuple[bool, tuple[str, ...]]] = []
    together = threading.Barrier(2)

    def ask() -> None:
        together.wait()
        made = use.make_tasks(PROJECT, group.id, 20, "test")
        told.append((made.made, tuple(task.id for task in made.tasks)))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made for made, _ in told) == [False, True]
    assert told[0][1] == told[1][1]
    with store.read() as tx:
        assert [(work.first, work.count) for work in tx.groups.works(group.id)] == [(0, 20), (20, 20), (40, 10)]
        assert sum(tx.tasks.counts(PROJECT, NOW).values()) == 3


# --- answering ------------------------------------------------------------------------------------------------


def test_an_answer_is_the_truth_of_every_frame(store: SqlStore, tmp_path: Path) -> None:
    """Interpolated by time, in one transaction, each with the submission's id and the item's next version; while others
    answer the same frames as ordinary items, a refused answer leaves nothing and may be sent again."""
    furnish(store, items=0)
    group = brought(store, tmp_path, Reel(CONTENTS)).group
    (clip,) = clips(store, tmp_path, Reel([])).make_tasks(PROJECT, group.id, None, "test").tasks
    digests = [place[1] for place in places(store)]
    contested = [replace(a_task(number), item_digest=digests[number]) for number in range(0, 50, 10)]
    with store.begin() as tx:
        for number in range(6):
            tx.tokens.add(a_token(number))
        tx.tasks.add_all(contested)
    desk = Desk(store, lambda: NOW, os.urandom)
    held = desk.lease(a_token(0), PROJECT, 6).assignments
    together = threading.Barrier(6)
    refused: list[Conflict] = []

    def answer(one: Assignment) -> None:
        shapes = [Shape("seven", (0.0, 0.0, 5.0, 5.0))]
        if one.task.id == clip.id:
            ends = ((0, 0.0), (49, 4.9))
            shapes = [Shape("seven", (x, 0.0, x + 5.0, 5.0), track="t", frame=frame) for frame, x in ends]
        together.wait()
        while True:
            try:
                desk.submit(a_token(0), one.task.id, one.task.epoch, shapes, "")
                return
            except Conflict as error:
                refused.append(error)

    threads = [threading.Thread(target=answer, args=(one,)) for one in held]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as tx:
        (submission,) = tx.submissions.of_work(clip.id)
        versions = tx.truths.versions(PROJECT, digests)
        assert [versions[digest] for digest in digests] == [1 + (number % 10 == 0) for number in range(50)]
        for number, digest in enumerate(digests):
            truth = tx.truths.current(PROJECT, digest)
            assert truth is not None
            if number % 10:
                assert truth.submission_ids == (submission.id,)
                assert truth.shapes[0].box[0] == pytest.approx(number / 10)
                assert (truth.shapes[0].track, truth.shapes[0].frame) == ("t", None)
    assert all(error.hint for error in refused)
