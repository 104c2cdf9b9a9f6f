"""Groups of items with an order: the frames of a clip, the images of a camera; and the work on them."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from typing import Any

from loop.domain.errors import Conflict, Invalid
from loop.domain.identity import digest_of
from loop.domain.item import ImageFacts, Item
from loop.domain.prediction import Detection

# Of one task: a page holds them, and an answer is written as so many ground truths in one transaction.
MOST_FRAMES_OF_TASK = 1_000
MOST_FRAMES_GIVEN = 10_000  # of a group that is made in one request
LONGEST_NAME = 200


class BadVideo(Invalid):
    code, title = "bad-video", "Not a readable video"


class GroupKind(StrEnum):
    CLIP = "clip"
    CAMERA = "camera"
    ANY = "any"  # an order and no more: its items may come into different splits

    @property
    def stays_together(self) -> bool:
        """Whether training and evaluation may not share its items."""
        return self is not GroupKind.ANY


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """frames: how many it has. complete: False while a video is being imported, or where an import was cut off.
    read_to: number of the last frame of the video that was looked at, -1 for none. repeats: frames that were left out
    since they have the very bytes of an earlier one. notes: what was found amiss, for people. meta: of the video."""

    id: str
    project_id: str
    kind: GroupKind
    name: str
    created_at: datetime
    frames: int = 0
    complete: bool = True
    read_to: int = -1
    repeats: int = 0
    notes: tuple[str, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """An item's place in a group. index: from 0, without gaps. seconds: since the first frame of the video, or as its
    owner gave it; None where nobody knows. number: of the frame in the video, from 0."""

    project_id: str
    group_id: str
    index: int
    item_digest: str
    seconds: float | None = None
    number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipWork:
    """A work on `count` frames of a group, from the index `first` on."""

    work_id: str
    project_id: str
    group_id: str
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class FrameView:
    """A frame as a reviewer gets it. detections: of the newest prediction."""

    frame: Frame
    item: Item
    detections: tuple[Detection, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadFrame:
    """number: in the video, from 0. seconds: since its first frame. content: an image file, upright."""

    number: int
    seconds: float
    content: bytes
    facts: ImageFacts


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which frames of a video are taken: each `every`th, or `fps` a second at most, each the first at or after its
    moment. Raises Invalid unless exactly one of them is given and can be used."""

    every: int | None = None
    fps: Fraction | None = None

    def __post_init__(self) -> None:
        if (self.every is None) == (self.fps is None):
            raise Invalid("a video is sampled by every or by fps.", hint="Give one of the two.")
        if self.every is not None and self.every < 1:
            raise Invalid(f"every is {self.every}.", hint="1 takes each frame, 5 each fifth.")
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise Invalid(f"fps is {float(self.fps):g}.", hint="Give frames a second, such as 2 or 0.5.")

    def __str__(self) -> str:
        return f"every {self.every}" if self.every is not None else f"fps {self.fps}"

    def due(self, seconds: Fraction) -> Fraction:
        """With fps: from when on the next frame is taken, after one at this moment."""
        if self.fps is None:
            raise ValueError("only with fps is a frame due at a moment")
        return Fraction(int(seconds * self.fps) + 1) / self.fps


def sampling_of(every: int | None, fps: float | str | None) -> Sampling:
    """Each frame where nothing is said. Raises Invalid."""
    if fps is None:
        return Sampling(every=every if every is not None else 1)
    try:
        exact = Fraction(str(fps)).limit_denominator(1_000_000)
    except (ValueError, ZeroDivisionError):
        raise Invalid(f"fps is {fps!r}.", hint="Give frames a second, such as 2 or 0.5.") from None
    return Sampling(every=every, fps=exact)


def clip_id(project_id: str, file_digest: str, sampling: Sampling, encoding: str) -> str:
    """The same video, sampled and written in the same way, is the same clip: importing it again adds nothing."""
    return "clip_" + digest_of("\0".join((project_id, file_digest, str(sampling), encoding)).encode())[:32]


def split_group(file_digest: str) -> str:
    """What all frames of a video share, however it is sampled."""
    return f"video-{file_digest[:32]}"


def checked_name(name: str) -> str:
    """Raises Invalid for a name that cannot be shown in a line."""
    if len(name) > LONGEST_NAME or not re.fullmatch(r"[^\x00-\x1f\x7f\ud800-\udfff]*", name):
        raise Invalid(f"the name {name[:80]!r} cannot be used.", hint=f"At most {LONGEST_NAME} printable characters.")
    return name


def in_order(given: Sequence[tuple[str, float | None]]) -> None:
    """Whether (digest, seconds) can be the frames of a group. Raises Invalid."""
    if not given:
        raise Invalid("a group of no items.", hint="Give at least one.")
    (most, times_there), *_ = Counter(digest for digest, _ in given).most_common(1)
    if times_there > 1:
        raise Invalid(f"item {most[:12]} is in the group {times_there} times.", hint="Give each item once.", item=most)
    times = [seconds for _, seconds in given if seconds is not None]
    if any(later <= earlier for earlier, later in pairwise(times)):
        raise Invalid("the times do not rise from item to item.", hint="Give the items in their order, in seconds.")


def positions_of(frames: Sequence[Frame]) -> dict[int, float]:
    """Where each frame lies on the axis along which tracks are interpolated: by its time where all have one, so that a
    variable frame rate bends nothing, else by its index."""
    if all(frame.seconds is not None for frame in frames):
        return {frame.index: frame.seconds for frame in frames if frame.seconds is not None}
    return {frame.index: float(frame.index) for frame in frames}


def windows(frames: int, size: int | None) -> Iterator[tuple[int, int]]:
    """(first, count) of each task over a group of so many frames: one of all, or of `size` each, the last of the rest.

    Raises Invalid for a group without frames, and for more frames than a task can have.
    """
    if frames < 1:
        raise Invalid("the group has no frames.", hint="Import them first.")
    size = frames if size is None else size
    if not 1 <= size <= MOST_FRAMES_OF_TASK:
        raise Invalid(
            f"a task of {size:,} frames.", hint=f"Ask for windows of at most {MOST_FRAMES_OF_TASK:,} frames (--window)."
        )
    return ((first, min(size, frames - first)) for first in range(0, frames, size))


def require_complete(group: Group) -> None:
    if not group.complete:
        raise Conflict(
            f"{group.id} is not imported to its end.",
            hint="Wait for the import, or start it again: it goes on where it was.",
            group=group.id,
        )


def same_windows(present: Sequence[ClipWork], wanted: Sequence[tuple[int, int]]) -> bool:
    """Whether a group's tasks are these already. Raises Conflict where it has others: a frame is in one task."""
    if present and [(work.first, work.count) for work in present] != list(wanted):
        raise Conflict(
            f"{present[0].group_id} has {len(present)} tasks over other windows.",
            hint="Work on those; to ask again for what was answered, re-open them (askance reopen TASK).",
            group=present[0].group_id,
        )
    return bool(present)
