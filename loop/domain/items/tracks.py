"""Tracks: one object through the frames of a clip, drawn in key frames and interpolated between them.

An answer to a task of a clip is shapes with a `frame`; those of one `track` are one object. Between two key frames
boxes, points, polygons and polylines go linearly from one to the other, corner by corner; attributes stay as at the
earlier one. Where the number of corners differs, the earlier shape stays until the later one. A track begins with its
first key frame and ends with its last: nothing is invented beyond. From a key frame that is `outside` to the next one
the object is not there. A shape without a track is in its frame alone.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from loop.domain.errors import BadShape
from loop.domain.geometry import Point, bounds_of
from loop.domain.truth import Shape

MOST_TRACKS = 1_000
# Of all frames together, after interpolation: an answer is written in one transaction.
MOST_SHAPES = 100_000


@dataclass(frozen=True, slots=True)
class Placed:
    """A shape in its frame. source: the number, in the answer, of the shape that it is, or that is its key frame
    before."""

    shape: Shape
    source: int


@dataclass(frozen=True, slots=True)
class _Key:
    shape: Shape
    source: int
    frame: int


def expanded(shapes: Sequence[Shape], positions: Mapping[int, float]) -> dict[int, tuple[Placed, ...]]:
    """The shapes of each frame. positions: of all frames that may be named, by index, rising (`positions_of`).

    Shapes that are no key frames are left out and made anew, so that what was expanded once may be sent again. The
    order of `shapes` does not matter; those of a frame come by track, then by what they are. Raises BadShape for what
    is no track: see `_keys_of`.
    """
    frames = sorted(positions)
    found: dict[int, list[Placed]] = {frame: [] for frame in frames}
    loose, tracks = _keys_of(shapes, positions)
    for key in loose:
        found[key.frame].append(Placed(key.shape, key.source))
    for keys in tracks.values():
        for frame, placed in _along(keys, frames, positions):
            found[frame].append(placed)
    count = sum(map(len, found.values()))
    if count > MOST_SHAPES:
        raise BadShape(
            f"the answer has {count:,} shapes in all frames.",
            hint=f"At most {MOST_SHAPES:,}; ask for tasks over shorter windows.",
        )
    links = _Links(tracks)
    return {
        frame: tuple(links.kept(frame, sorted(placed, key=lambda one: _order(one.shape))))
        for frame, placed in found.items()
    }


def key_shapes(shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    """Those that a person drew, in the order given."""
    return tuple(shape for shape in shapes if shape.keyframe)


def _keys_of(shapes: Sequence[Shape], positions: Mapping[int, float]) -> tuple[list[_Key], dict[str, list[_Key]]]:
    """Shapes without a track; and the key frames of each track, by frame.

    Raises BadShape for a frame that the task does not have, two shapes of a track in a frame, two labels or geometries
    in a track, an interpolated or outside shape without a track, a track without a key frame, too many tracks.
    """
    loose: list[_Key] = []
    tracks: dict[str, dict[int, _Key]] = defaultdict(dict)
    unkeyed: dict[str, int] = {}
    for index, shape in enumerate(shapes):
        frame = _frame_of(shape, index, positions)
        key = _Key(shape, index, frame)
        if not shape.track:
            _require_alone(key)
            loose.append(key)
        elif not shape.keyframe:
            unkeyed.setdefault(shape.track, index)
        else:
            _require_one_object(tracks[shape.track], key)
            tracks[shape.track][frame] = key
    for track, index in unkeyed.items():
        if track not in tracks:
            raise _bad(index, f"is of the track {track!r}, which has no key frame.", "Send the shapes that were drawn.")
    if len(tracks) > MOST_TRACKS:
        raise BadShape(f"the answer has {len(tracks):,} tracks.", hint=f"At most {MOST_TRACKS:,}.")
    return loose, {track: [keys[frame] for frame in sorted(keys)] for track, keys in tracks.items()}


def _frame_of(shape: Shape, index: int, positions: Mapping[int, float]) -> int:
    if shape.frame is None:
        raise _bad(index, "names no frame.", "The task is of a clip: give the index of a frame of it.")
    if shape.frame not in positions:
        raise _bad(
            index,
            f"is in frame {shape.frame}, which the task does not have.",
            f"Its frames are {min(positions)} to {max(positions)}.",
        )
    return shape.frame


def _require_alone(key: _Key) -> None:
    if not key.shape.keyframe or key.shape.outside:
        what = "is outside" if key.shape.outside else "is no key frame"
        raise _bad(key.source, f"{what}, and has no track.", "Give it its track, or leave it out.")


def _require_one_object(keys: Mapping[int, _Key], key: _Key) -> None:
    shape = key.shape
    if key.frame in keys:
        raise _bad(
            key.source,
            f"is in frame {key.frame} of the track {shape.track!r}, as shape {keys[key.frame].source} is.",
            "A track has one shape in a frame.",
        )
    other = next(iter(keys.values()), None)
    if other is not None and (other.shape.label, other.shape.type) != (shape.label, shape.type):
        raise _bad(
            key.source,
            f"is a {shape.label!r} ({shape.type}) and of the track {shape.track!r}, whose shape {other.source} is a "
            f"{other.shape.label!r} ({other.shape.type}).",
            "A track is one object with one label; give the other a track of its own.",
        )


def _along(keys: Sequence[_Key], frames: Sequence[int], positions: Mapping[int, float]) -> list[tuple[int, Placed]]:
    """A track's shape in each frame from its first key frame to its last, but where it is outside."""
    starts = [key.frame for key in keys]
    found: list[tuple[int, Placed]] = []
    for frame in frames:
        at = bisect_right(starts, frame) - 1
        if at < 0 or keys[at].shape.outside or (frame != starts[at] and at + 1 == len(keys)):
            continue
        before = keys[at]
        if frame == before.frame:
            shape = before.shape
        else:
            begin, end = positions[before.frame], positions[keys[at + 1].frame]
            shape = between(before.shape, keys[at + 1].shape, (positions[frame] - begin) / (end - begin))
        found.append((frame, Placed(replace(shape, frame=frame), before.source)))
    return found


def between(earlier: Shape, later: Shape, share: float) -> Shape:
    """The shape at a share, in (0, 1), of the way from one key frame to the next."""
    if len(earlier.points) != len(later.points):
        return replace(earlier, keyframe=False)
    if not earlier.points:
        x1, y1, x2, y2 = (_mixed(a, b, share) for a, b in zip(earlier.box, later.box, strict=True))
        return replace(earlier, box=(x1, y1, x2, y2), keyframe=False)
    points: tuple[Point, ...] = tuple(
        (_mixed(a[0], b[0], share), _mixed(a[1], b[1], share))
        for a, b in zip(earlier.points, later.points, strict=True)
    )
    return replace(earlier, points=points, box=bounds_of(points), keyframe=False)


def _mixed(a: float, b: float, share: float) -> float:
    """Between the two, whatever rounding does."""
    return min(max(a + (b - a) * share, min(a, b)), max(a, b))


class _Links:
    """Links of interpolated shapes: to the same objects as in the key frame, where these are in the frame."""

    def __init__(self, tracks: Mapping[str, Sequence[_Key]]) -> None:
        self._track_of = {(key.frame, key.shape.id): track for track, keys in tracks.items() for key in keys}
        self._start = {key.source: key.frame for keys in tracks.values() for key in keys}

    def kept(self, frame: int, placed: Sequence[Placed]) -> list[Placed]:
        if not any(one.shape.links for one in placed):
            return list(placed)
        ids = {one.shape.track: one.shape.id for one in placed if one.shape.track}
        present = {one.shape.id for one in placed if one.shape.id}
        return [one if one.shape.keyframe else self._carried(one, ids, present) for one in placed]

    def _carried(self, one: Placed, ids: Mapping[str, str], present: set[str]) -> Placed:
        """ids: of the tracks' shapes in this frame."""
        links = []
        for link in one.shape.links:
            track = self._track_of.get((self._start[one.source], link.to))
            to = link.to if track is None else ids.get(track, "")
            if to in present and to != one.shape.id:
                links.append(replace(link, to=to))
        return replace(one, shape=replace(one.shape, links=tuple(dict.fromkeys(links))))


def _order(shape: Shape) -> tuple[object, ...]:
    return not shape.track, shape.track, shape.label, shape.type, shape.box, shape.points, shape.id


def _bad(index: int, what: str, hint: str) -> BadShape:
    return BadShape(f"shape {index} {what}", hint=hint, shape=index)
