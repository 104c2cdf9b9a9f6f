"""Clips: videos into items in an order, groups of items that are there already, and tasks over their frames."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from loop.domain.errors import Invalid, NotFound
from loop.domain.events import task_created
from loop.domain.identity import new_id
from loop.domain.item import Item
from loop.domain.items.clips import (
    BadVideo,
    ClipWork,
    Frame,
    FrameView,
    Group,
    GroupKind,
    ReadFrame,
    Sampling,
    checked_name,
    clip_id,
    in_order,
    positions_of,
    require_complete,
    same_windows,
    split_group,
    windows,
)
from loop.domain.items.linking import LinkingRules, proposal
from loop.domain.ports import Blobs, Clock, Entropy, Event, Store, Transaction
from loop.domain.project import Project
from loop.domain.review.queueing import seats
from loop.domain.review.tasks import Task
from loop.domain.routing import asks_several
from loop.domain.stage import Stage
from loop.domain.truth import Shape
from loop.items.grouped import save_group

# Frames of one transaction: what a kill can cost to decode again.
CHUNK = 16
_HASHED_AT_ONCE = 1 << 20


class OpenVideo(Protocol):
    """A video that is being read."""

    @property
    def meta(self) -> Mapping[str, Any]:
        """What its header says, as JSON."""
        ...

    def frames(self, sampling: Sampling, *, after: int, limit: int) -> Iterator[ReadFrame]:
        """In their order; those up to the number `after` are decoded, but not given. At most `limit` are taken, with
        those. A video that breaks off ends the frames, and so does the limit; `notes` then says so."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found amiss, once the frames are through."""
        ...


class Videos(Protocol):
    """How videos are read."""

    @property
    def encoding(self) -> str:
        """How frames are written, such as jpeg-95."""
        ...

    def open(self, path: Path) -> AbstractContextManager[OpenVideo]:
        """Raises BadVideo, PayloadTooLarge."""
        ...


@dataclass(frozen=True, slots=True)
class Imported:
    """added: frames that this import brought."""

    group: Group
    added: int


@dataclass(frozen=True, slots=True)
class MadeTasks:
    """made: False where they were there already. tasks: the first of each window."""

    tasks: tuple[Task, ...]
    made: bool


@dataclass(frozen=True, slots=True)
class Clips:
    """most_frames: of one video."""

    store: Store
    blobs: Blobs
    videos: Videos
    most_frames: int
    linking: LinkingRules
    clock: Clock
    entropy: Entropy

    # --- groups -----------------------------------------------------------------------------------

    def create(
        self,
        project_id: str,
        kind: GroupKind,
        name: str,
        given: Sequence[tuple[str, float | None]],
        actor: str,
    ) -> Group:
        """A group of items that the project has, in the order of `given`: digests, each with its seconds or None.

        Items of a clip or a camera stay on one side of every split from now on. Raises Invalid, NotFound.
        """
        in_order(given)
        digests = [digest for digest, _ in given]
        now = self.clock()
        group = Group(
            id=new_id("group", now, self.entropy(10)),
            project_id=project_id,
            kind=kind,
            name=checked_name(name),
            created_at=now,
            frames=len(given),
        )
        with self.store.begin() as tx:
            tx.projects.get(project_id)
            present = tx.groups.split_groups(project_id, digests)
            if missing := [digest for digest in digests if digest not in present]:
                raise NotFound(
                    f"the project has no item {missing[0][:64]!r}.",
                    hint="Send its image first, as a prediction or with askance import.",
                    item=missing[0][:64],
                )
            save_group(tx, group, [(digest, seconds, None) for digest, seconds in given])
            body = {"group_id": group.id, "kind": kind.value, "frames": group.frames}
            tx.events.add(Event("group.created", project_id, actor, body, now))
        return group

    # --- videos -----------------------------------------------------------------------------------

    def import_file(
        self,
        project_id: str,
        path: Path,
        *,
        name: str,
        sampling: Sampling,
        actor: str,
        source: str = "",
        on_progress: Callable[[int], None] = lambda done: None,
    ) -> Imported:
        """The frames of a video as items. An import that was cut off goes on where it was; one that is complete adds
        nothing. `on_progress` hears of the frames that are there.

        Raises NotFound for the project, BadVideo for a file without frames, Invalid, PayloadTooLarge.
        """
        file_digest = _digest_of_file(path)
        group = Group(
            id=clip_id(project_id, file_digest, sampling, self.videos.encoding),
            project_id=project_id,
            kind=GroupKind.CLIP,
            name=checked_name(name),
            created_at=self.clock(),
            complete=False,
            meta={"file": file_digest, "sampling": str(sampling), "encoding": self.videos.encoding},
        )
        with self.store.read() as tx:
            tx.projects.get(project_id)
            known = tx.groups.find(project_id, group.id)
        if known is not None and known.complete:
            return Imported(known, 0)
        with self.videos.open(path) as video:
            begun = replace(group, meta={**group.meta, **video.meta})
            reading = _Reading(self, begun, split_group(file_digest), source)
            for frame in video.frames(sampling, after=known.read_to if known else -1, limit=self.most_frames):
                reading.add(frame)
                on_progress(reading.frames)
            reading.save()
            return Imported(self._completed(begun, video.notes, reading.added, actor), reading.added)

    def _completed(self, group: Group, notes: Sequence[str], added: int, actor: str) -> Group:
        with self.store.begin() as tx:
            present = tx.groups.find(group.project_id, group.id)
            if present is None:
                raise BadVideo(
                    "the file has no frame that can be decoded" + (f" ({notes[0]})." if notes else "."),
                    hint="Play it, or write it anew: ffmpeg -i FILE -c:v libx264 OUT.mp4.",
                )
            done = replace(present, complete=True, notes=(*_repeats(present), *notes))
            tx.groups.save(done)
            body = {"group_id": done.id, "name": done.name, "frames": done.frames, "added": added}
            tx.events.add(Event("clip.imported", done.project_id, actor, body, self.clock()))
        return done

    def unpredicted(self, group: Group) -> Iterator[Item]:
        """Frames of which no model has said anything, in their order."""
        with self.store.read() as tx:
            rows = tx.groups.frames(group.project_id, group.id, first=0, limit=group.frames)
            known = tx.predictions.latest_detections(group.project_id, [item.digest for _, item in rows])
        return (item for _, item in rows if item.digest not in known)

    # --- tasks ------------------------------------------------------------------------------------

    def make_tasks(self, project_id: str, group_id: str, window: int | None, actor: str) -> MadeTasks:
        """One task over all frames of a group, or over each `window` of them, the riskiest first, else in the order of
        the clip. A group whose tasks are these already gets no others. Raises Invalid, NotFound, Conflict where it has
        others or is not complete."""
        now, secret = self.clock(), self.store.secret()
        with self.store.begin() as tx:
            group = tx.groups.for_update(project_id, group_id)
            require_complete(group)
            wanted = list(windows(group.frames, window))
            present = tx.groups.works(group_id)
            if same_windows(present, wanted):
                return MadeTasks(tuple(tx.tasks.get(work.work_id) for work in present), made=False)
            project = tx.projects.get(project_id)
            firsts: list[Task] = []
            for number, (first, count) in enumerate(wanted):
                frames = tx.groups.frames(project_id, group_id, first=first, limit=count)
                # Apart by nothing that counts, so that of equal risks the first of the clip is handed out first.
                task = self._task(tx, project, [item for _, item in frames], now + timedelta(microseconds=number))
                several = asks_several(secret, task.id, project.policy)
                tasks = seats(task, project.policy.queue, (), several=several)
                tx.tasks.add_all(tasks)
                work = ClipWork(work_id=task.id, project_id=project_id, group_id=group_id, first=first, count=count)
                tx.groups.add_works([work])
                firsts.append(tasks[0])
                tx.events.announce(task_created(one, actor) for one in tasks)
            body = {"group_id": group_id, "tasks": len(firsts), "window": window}
            tx.events.add(Event("clip.tasks_made", project_id, actor, body, now))
        return MadeTasks(tuple(firsts), made=True)

    def _task(self, tx: Transaction, project: Project, frames: Sequence[Item], now: datetime) -> Task:
        """By the highest risk among its frames: one that is wrong is reason enough to look. What nobody predicted has
        none."""
        first, risks = frames[0], tx.predictions.latest_risks(project.id, [item.digest for item in frames])
        return Task(
            id=new_id("task", now, self.entropy(10)),
            project_id=project.id,
            item_digest=first.digest,
            prediction_id=None,
            stage=Stage.ANNOTATE,
            priority=max(risks.values(), default=0.0),
            policy_version=project.policy.version,
            recipe_version=project.recipe.version,
            created_at=now,
            source=first.source,
        )

    def proposal(self, frames: Sequence[FrameView]) -> list[Shape]:
        """What the model says of a task's frames, as tracks with key frames."""
        detections = {view.frame.index: view.detections for view in frames}
        return proposal(detections, positions_of([view.frame for view in frames]), self.linking)


@dataclass(slots=True)
class _Reading:
    """Frames on their way into a group; of their bytes only those of the last one are held."""

    clips: Clips
    group: Group
    split_group: str
    source: str
    added: int = 0
    frames: int = 0
    _waiting: list[tuple[ReadFrame, Item]] = field(default_factory=list)

    def add(self, read: ReadFrame) -> None:
        digest = self.clips.blobs.put(read.content)
        self._waiting.append((replace(read, content=b""), self._item(read, digest)))
        if len(self._waiting) == CHUNK:
            self.save()

    def _item(self, read: ReadFrame, digest: str) -> Item:
        return Item(
            project_id=self.group.project_id,
            digest=digest,
            media_type=read.facts.media_type,
            width=read.facts.width,
            height=read.facts.height,
            created_at=self.clips.clock(),
            source=self.source,
            group=self.split_group,
            meta={"clip": self.group.id, "frame": str(read.number), "seconds": repr(read.seconds)},
        )

    def save(self) -> None:
        """In one transaction: items, frames, and how far the video is read. Where another import of the same file was
        faster, what it has is left out."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        with self.clips.store.begin() as tx:
            tx.groups.add(self.group)
            group = tx.groups.for_update(self.group.project_id, self.group.id)
            late = [(read, item) for read, item in waiting if read.number > group.read_to]
            if not late:
                return
            seen = tx.groups.among(group.id, [item.digest for _, item in late])
            first = {item.digest: read.number for read, item in reversed(late)}
            kept = [
                (read, item) for read, item in late if item.digest not in seen and first[item.digest] == read.number
            ]
            tx.items.add_all([item for _, item in kept])
            tx.groups.keep_together(group.project_id, [item.digest for _, item in kept], self.split_group)
            tx.groups.append(
                [_frame(group, group.frames + place, read, item) for place, (read, item) in enumerate(kept)]
            )
            self.frames = group.frames + len(kept)
            tx.groups.save(
                replace(
                    group,
                    frames=self.frames,
                    read_to=late[-1][0].number,
                    repeats=group.repeats + len(late) - len(kept),
                )
            )
        self.added += len(kept)


def _frame(group: Group, index: int, read: ReadFrame, item: Item) -> Frame:
    return Frame(
        project_id=group.project_id,
        group_id=group.id,
        index=index,
        item_digest=item.digest,
        seconds=read.seconds,
        number=read.number,
    )


def _repeats(group: Group) -> tuple[str, ...]:
    if not group.repeats:
        return ()
    return (f"{group.repeats} frames are left out: they have the very bytes of an earlier one.",)


def _digest_of_file(path: Path) -> str:
    """SHA-256. Raises Invalid where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while part := file.read(_HASHED_AT_ONCE):
                digest.update(part)
    except OSError as error:
        raise Invalid(f"{path} cannot be read ({error.strerror or error}).", hint="Name a video file.") from error
    return digest.hexdigest()
