"""CVAT for video 1.1: one XML file with a <track> for each object, and images/frame_000000.png, … (CVAT's name for it).

    <annotations><meta><task>
        <size/><start_frame/><stop_frame/><frame_filter>step=N</frame_filter><source>drive.mp4</source>…
      <track id label group_id task_id><box|polygon|polyline|points frame outside occluded keyframe z_order …>

Shape: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/. A file of CVAT's own says where a track is in
every frame. One that says it in key frames alone is read as CVAT reads it: between two shapes it goes linearly, by the
number of the frame, corner by corner; attributes stay as at the earlier one; and the last one stays to the end of the
task. From a shape that is outside to the next one the object is not there. Frames are numbered as in the video, with
those that a task leaves out. A shape without a track is to CVAT a track that is outside from the next frame on.

Files that were written here (loop/exchange/cvat_clips.py) tell more, which CVAT does not look at: what image each frame
is, <frames> of the task; the name of a track; what is a key frame for CVAT's sake alone, interpolated="1".
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree.ElementTree import Element

from loop.domain.items.tracks import between
from loop.domain.truth import Shape
from loop.exchange.reading import IMAGE_SUFFIXES, Known, ReadImage, Remark, shown, split_named

# Of all tasks of a file together: beyond that they are none that people annotate, and a short file could ask for any
# number.
MOST_FRAMES = 1_000_000
# Shapes that one file may come to, some hundred bytes each, for the same reason.
MOST_SHAPES = 2_000_000

_FRAME_FILE = re.compile(r"frame_([0-9]{1,9})")
_NUMBER = re.compile(r"[0-9]{1,9}")
_DEPTH = re.compile(r"-?[0-9]{1,9}")
_STEP = re.compile(r"step=(\d{1,6})")
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


@dataclass(frozen=True, slots=True)
class Pictured:
    """The image that a frame is, as <image> of CVAT for images says it. subset: "" where nothing is said."""

    name: str
    subset: str
    width: int | None
    height: int | None


@dataclass(frozen=True, slots=True)
class Film:
    """The frames of a task. name: of its video. stop: number of the last frame, None where the file does not say.
    pictured: all that are annotated, by number, where the file says which; else none."""

    name: str
    start: int = 0
    stop: int | None = None
    step: int = 1
    width: int | None = None
    height: int | None = None
    pictured: Mapping[int, Pictured] = field(default_factory=dict)

    def numbers(self, tracks: Sequence["Track"]) -> range:
        """Of its frames; where the file does not say which, from the first to the last that these speak of."""
        start, stop = self.start, self.stop
        if stop is None:
            start = min(track.keys[0].frame for track in tracks)
            stop = max(track.keys[-1].frame for track in tracks)
        return range(start, stop + 1, self.step)

    def picture(self, number: int) -> Pictured:
        known = self.pictured.get(number)
        return known or Pictured(f"{self.name}/frame_{number:06d}", "", self.width, self.height)


@dataclass(frozen=True, slots=True)
class Key:
    """A track in a frame that its file speaks of. shapes: several for a <points> of several. depth: z_order."""

    frame: int
    shapes: tuple[Shape, ...]
    outside: bool = False
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Track:
    """keys: at least one, by rising frame. task: the id of its task, "" where the file names none. named: whether the
    file has a name for it."""

    keys: tuple[Key, ...]
    task: str
    named: bool = False

    def as_drawn(self, film: Film) -> "Track":
        """Without being a track where it is a shape of one frame that CVAT wrote as one."""
        first, *more = self.keys
        over = more[0].outside and more[0].frame == first.frame + film.step if more else first.frame == film.stop
        if self.named or first.outside or not over or not all(key.outside for key in more):
            return self
        alone = tuple(replace(shape, track="", keyframe=True) for shape in first.shapes)
        return replace(self, keys=(replace(first, shapes=alone), *more))


def films_of(meta: Element) -> Mapping[str, Film]:
    """By the id of the task; of a job, of several tasks of a project, and of what speaks of a video alone, too."""
    elements = [*meta.iter("task"), *meta.iterfind("job")] or [meta]
    return {(one.findtext("id") or "").strip(): _film(one, meta) for one in elements}


def _film(task: Element, meta: Element) -> Film:
    size = task.find("original_size")
    start, stop = _number(task, "start_frame") or 0, _number(task, "stop_frame")
    step = _STEP.search(task.findtext("frame_filter") or "")
    every = max(int(step[1]), 1) if step else 1
    if stop is None and (count := _number(task, "size")):
        stop = start + (count - 1) * every
    names = (task.findtext("source"), meta.findtext("source"), task.findtext("name"))
    return Film(
        name=next((name.strip() for name in names if name and name.strip()), ""),
        start=start,
        stop=stop,
        step=every,
        width=None if size is None else _number(size, "width"),
        height=None if size is None else _number(size, "height"),
        pictured={int(one.get("number", "")): _pictured(one) for one in task.iterfind(_FRAMES) if _is_whole(one)},
    )


_FRAMES = "frames/frame"


def _is_whole(frame: Element) -> bool:
    return bool(_NUMBER.fullmatch(frame.get("number", "")) and frame.get("name"))


def _pictured(frame: Element) -> Pictured:
    width, height = (
        int(text) if _NUMBER.fullmatch(text := frame.get(side, "")) else None for side in ("width", "height")
    )
    return Pictured(frame.get("name", ""), frame.get("subset", ""), width, height)


def _number(parent: Element, name: str) -> int | None:
    text = (parent.findtext(name) or "").strip()
    return int(text) if _NUMBER.fullmatch(text) else None


def shapes_in(track: Track, frames: Sequence[int], stop: int | None) -> Iterator[tuple[int, Key]]:
    """What the track has in those of the frames, which rise, in which it is to be seen. stop: the last frame of the
    task, until which its last shape stays; None: it ends with that."""
    keys, starts = track.keys, [key.frame for key in track.keys]
    last = keys[-1].frame if stop is None else max(stop, keys[-1].frame)
    for frame in frames[bisect_left(frames, starts[0]) : bisect_right(frames, last)]:
        at = bisect_right(starts, frame) - 1
        before = keys[at]
        if before.outside:
            continue
        if frame == before.frame:
            yield frame, before
        elif at + 1 == len(keys):
            yield frame, replace(before, frame=frame, shapes=_made(before.shapes))
        else:
            yield frame, _between(before, keys[at + 1], frame)


def _made(shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    return tuple(replace(shape, keyframe=False) for shape in shapes)


def _between(earlier: Key, later: Key, frame: int) -> Key:
    if [shape.type for shape in earlier.shapes] != [shape.type for shape in later.shapes]:
        return replace(earlier, frame=frame, shapes=_made(earlier.shapes))
    share = (frame - earlier.frame) / (later.frame - earlier.frame)
    pairs = zip(earlier.shapes, later.shapes, strict=True)
    return replace(earlier, frame=frame, shapes=tuple(between(a, b, share) for a, b in pairs))


@dataclass(slots=True)
class VideoFile:
    """One XML file, as it is read. shapes: what an element and its place in the file come to, none where that was told.
    located: the image file of a name, beside the file; skipped: where the rest is told."""

    path: Path
    folder: Path
    known: Known
    located: Callable[[str, Path], Path | None]
    shapes: Callable[[Element, str], Iterable[Shape]]
    skipped: list[Remark]
    films: Mapping[str, Film] = field(default_factory=dict)
    tracks: list[Track] = field(default_factory=list)
    _frames_left: int = field(default_factory=lambda: MOST_FRAMES)
    _shapes_left: int = field(default_factory=lambda: MOST_SHAPES)

    def declare(self, meta: Element) -> None:
        self.films = films_of(meta)
        told = sum(element.tag == "frame" for element in meta.iter())
        kept = sum(len(film.pictured) for film in self.films.values())
        self._skip("frame", "has no number and name of its own in <frames>", told - kept)

    def add(self, track: Element, own_id: str, where: str) -> None:
        """own_id: among all tracks of the data set, for one that the file does not name."""
        keys: dict[int, Key] = {}
        name = track.get("name", "")
        named = bool(_NAME.fullmatch(name))
        common = list(track.iterfind("attribute"))
        for element in track:
            if element.tag == "attribute":
                continue
            frame = element.get("frame", "")
            if not _NUMBER.fullmatch(frame):
                self.skipped.append(Remark(where, "shape", f"{track.get('label')}: {frame!r} is no number of a frame"))
                continue
            element.attrib |= {name: text for name in ("label", "group_id") if (text := track.get(name))}
            element[:0] = common
            key = _key(int(frame), element, name if named else own_id, self.shapes(element, where))
            if key.frame in keys:
                self.skipped.append(Remark(where, "shape", f"{track.get('label')}: frame {frame} is there again"))
            elif key.shapes or key.outside:
                keys[key.frame] = key
        if keys:
            self.tracks.append(Track(tuple(keys[frame] for frame in sorted(keys)), track.get("task_id", ""), named))

    def images(self) -> Iterator[tuple[str, ReadImage]]:
        """Each frame that there is an image of, under its name, with what the tracks have in it."""
        if len(self.films) < 2:
            film = next(iter(self.films.values()), Film(""))
            yield from self._images(film, self.tracks, self._files(film))
            return
        for task, film in self.films.items():
            yield from self._images(film, [track for track in self.tracks if track.task == task], {})
        lost = sum(track.task not in self.films for track in self.tracks)
        self._skip("track", "names none of the tasks in <meta>", lost)

    def _images(
        self, film: Film, tracks: Sequence[Track], files: Mapping[int, Path]
    ) -> Iterator[tuple[str, ReadImage]]:
        if not tracks and not film.pictured:
            return
        frames = self._pictures(film) if film.pictured else self._frames(film, film.numbers(tracks), files)
        if not frames:
            why = (
                "images/ has no frames (frame_000000.png, …), "
                f"and the project has no clip called {film.name!r}, or more than one"
            )
            self._skip("track", why, len(tracks))
            return
        self._tell_lacking(tracks, {*frames, *film.pictured})
        found = self._placed(film, tracks, list(frames))
        for number, (path, digest) in frames.items():
            keys = sorted(found.get(number, ()), key=lambda key: key.depth)
            shapes = tuple(shape for key in keys for shape in key.shapes)
            picture = film.picture(number)
            # Frames of a video are never torn apart by a split.
            yield (
                picture.name,
                ReadImage(
                    path=path,
                    boxes=(),
                    shapes=shapes,
                    width=picture.width,
                    height=picture.height,
                    split=split_named(picture.subset),
                    digest=digest,
                    group=film.name,
                ),
            )

    def _placed(self, film: Film, tracks: Sequence[Track], frames: Sequence[int]) -> Mapping[int, list[Key]]:
        """A track that the file has no shapes left for is left out whole, with those behind it."""
        found: dict[int, list[Key]] = {}
        for number, track in enumerate(tracks):
            placed: list[tuple[int, Key]] = []
            for frame, key in shapes_in(track.as_drawn(film), frames, film.stop):
                self._shapes_left -= len(key.shapes)
                if self._shapes_left < 0:
                    break
                placed.append((frame, key))
            if self._shapes_left < 0:
                self._skip("track", f"the file has come to {MOST_SHAPES:,} shapes before", len(tracks) - number)
                break
            for frame, key in placed:
                found.setdefault(frame, []).append(key)
        return found

    def _frames(self, film: Film, numbers: range, files: Mapping[int, Path]) -> dict[int, tuple[Path, str]]:
        """Path and digest of the images that there are; those of files have no digest yet, the project's no path that
        is read."""
        if files:
            return {number: (path, "") for number, path in sorted(files.items()) if number in numbers}
        asked = numbers[: self._frames_left]
        self._frames_left -= len(asked)
        self._skip("frame", f"the file has come to {MOST_FRAMES:,} frames before", len(numbers) - len(asked))
        known = ((number, self.known(film.picture(number).name)) for number in asked)
        return {number: (self.folder / digest, digest) for number, digest in known if digest}

    def _pictures(self, film: Film) -> dict[int, tuple[Path, str]]:
        """As `_frames`, of those that the file names the images of."""
        found: dict[int, tuple[Path, str]] = {}
        for number, picture in sorted(film.pictured.items()):
            path = self.located(picture.name, self.path)
            digest = "" if path else self.known(picture.name) or ""
            if path or digest:
                found[number] = (path or self.folder / digest, digest)
            else:
                self._skip("image", f"{picture.name!r} is missing", 1)
        return found

    def _files(self, film: Film) -> dict[int, Path]:
        """The frames in images/, beside the file or in the folder, by number."""
        found: dict[int, Path] = {}
        for folder in dict.fromkeys([self.path.parent / "images", self.folder / "images"]):
            for path in folder.iterdir() if folder.is_dir() else ():
                named = _FRAME_FILE.fullmatch(path.stem)
                if named and path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
                    found.setdefault(int(named[1]), path)
        return found

    def _tell_lacking(self, tracks: Sequence[Track], frames: Iterable[int]) -> None:
        there = frozenset(frames)
        drawn = (key for track in tracks for key in track.keys if not key.outside and key.shapes[0].keyframe)
        why = "a key frame of which there is no image; what it makes of the frames around it is kept"
        self._skip("frame", why, sum(key.frame not in there for key in drawn))

    def _skip(self, what: str, why: str, count: int) -> None:
        if count:
            self.skipped.append(Remark(shown(self.path, self.folder), what, why, count))


def _key(frame: int, element: Element, own_id: str, shapes: Iterable[Shape]) -> Key:
    drawn = element.get("keyframe") != "0" and element.get("interpolated") != "1"
    tracked = (
        replace(shape, track=own_id if number == 1 else f"{own_id}.{number}", keyframe=drawn)
        for number, shape in enumerate(shapes, start=1)
    )
    depth = element.get("z_order", "")
    return Key(frame, tuple(tracked), element.get("outside") == "1", int(depth) if _DEPTH.fullmatch(depth) else 0)
