"""Detections of following frames linked into tracks, and tracks thinned to the key frames that they need.

A track goes on with the detection of the next frame that overlaps it best: one to one, for each label apart, by the
largest sum of IoU (Kuhn 1955, as answers are matched). It may miss up to `max_gap` frames. Key frames are then those
that interpolation needs to come near every detection (Ramer 1972; Douglas & Peucker 1973).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from loop.domain.geometry import Box
from loop.domain.prediction import Detection
from loop.domain.quality.answers import Answer, matched
from loop.domain.truth import Shape


@dataclass(frozen=True, slots=True)
class LinkingRules:
    """iou: that a detection has at least with the track's last one, in (0, 1]. max_gap: frames in which a track may be
    missed. tolerance: how far interpolation may leave an edge off a detection, in sides of its box."""

    iou: float = 0.3
    max_gap: int = 3
    tolerance: float = 0.1


@dataclass(slots=True)
class Track:
    """frames: indices, rising; boxes: of each, absolute pixels `xyxy`."""

    label: str
    frames: list[int] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)

    def add(self, frame: int, box: Box) -> None:
        self.frames.append(frame)
        self.boxes.append(box)


def linked(detections: Mapping[int, Sequence[Detection]], rules: LinkingRules) -> list[Track]:
    """The tracks of all detections, each in one of them. detections: by the index of their frame.

    By first frame, then from the surest detection to the least sure.
    """
    tracks: list[Track] = []
    for frame in sorted(detections):
        live = [track for track in tracks if frame - track.frames[-1] <= rules.max_gap + 1]
        found = sorted(detections[frame], key=lambda one: (-one.score, one.label, one.box))
        for label in dict.fromkeys(one.label for one in found):
            of_label = [one for one in found if one.label == label and _has_area(one.box)]
            ahead = [track for track in live if track.label == label]
            tracks += _continued(ahead, of_label, frame, label, rules.iou)
    return tracks


def _continued(ahead: list[Track], found: Sequence[Detection], frame: int, label: str, iou: float) -> list[Track]:
    """Adds to the tracks what goes on with them; the rest as new tracks."""
    last = Answer("", (label,) * len(ahead), np.array([track.boxes[-1] for track in ahead]))
    now = Answer("", (label,) * len(found), np.array([one.box for one in found]))
    taken = {match.other: ahead[match.row] for match in matched(last, now, iou=iou)}
    begun: list[Track] = []
    for row, one in enumerate(found):
        track = taken.get(row)
        if track is None:
            track = Track(label)
            begun.append(track)
        track.add(frame, one.box)
    return begun


def _has_area(box: Box) -> bool:
    return box[0] < box[2] and box[1] < box[3]


def key_frames(track: Track, positions: Mapping[int, float], tolerance: float) -> list[int]:
    """Indices of the frames, rising, between which interpolation comes within `tolerance` of every box of the track:
    no edge is further off than this many sides of the box (its width for left and right, its height for the others).

    positions: of the frames (`loop.domain.items.clips.positions_of`). The first and the last are always among them.
    """
    boxes = np.array(track.boxes, dtype=np.float64)
    at = np.array([positions[frame] for frame in track.frames], dtype=np.float64)
    return [track.frames[row] for row in sorted(set(_needed(boxes, at, tolerance)))]


def _needed(boxes: NDArray[np.float64], at: NDArray[np.float64], tolerance: float) -> Iterator[int]:
    stretches = [(0, len(at) - 1)]
    while stretches:
        first, last = stretches.pop()
        yield first
        yield last
        if last - first < 2:
            continue
        off = _off(boxes, at, first, last)
        worst = int(np.argmax(off))
        if off[worst] > tolerance:
            middle = first + 1 + worst
            stretches += [(first, middle), (middle, last)]


def _off(boxes: NDArray[np.float64], at: NDArray[np.float64], first: int, last: int) -> NDArray[np.float64]:
    """(last - first - 1,): how far the boxes inside lie off the line, in sides of each."""
    inside = slice(first + 1, last)
    share = ((at[inside] - at[first]) / (at[last] - at[first]))[:, None]
    line = boxes[first] + share * (boxes[last] - boxes[first])
    sides = np.tile(boxes[inside, 2:] - boxes[inside, :2], 2)
    return np.asarray(np.max(np.abs(line - boxes[inside]) / sides, axis=1))


def proposal(
    detections: Mapping[int, Sequence[Detection]], positions: Mapping[int, float], rules: LinkingRules
) -> list[Shape]:
    """What a model says of a clip, as an answer to its task: the key frames of the tracks, named t1, t2, ..."""
    shapes: list[Shape] = []
    for number, track in enumerate(linked(detections, rules), start=1):
        box_of = dict(zip(track.frames, track.boxes, strict=True))
        shapes += [
            Shape(track.label, box_of[frame], track=f"t{number}", frame=frame)
            for frame in key_frames(track, positions, rules.tolerance)
        ]
    return shapes
