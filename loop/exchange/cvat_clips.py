"""Clips with tracks as "CVAT for video 1.1" has them: an XML file for each, which CVAT takes into a task of its video.

A shape is written in each frame that it is in. CVAT keeps those of key frames and makes the others anew, linearly by
the number of the frame; so what it would make otherwise than it is becomes a key frame, as does the last frame before
an object goes. To CVAT a shape of one frame is a track that is outside from the next frame on.

What CVAT has no place for is written where it does not look: which images the frames are, since others of the clip may
have no ground truth; the name of a track, whose label or geometry may change, and which may be in one frame; what
became a key frame here.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, pairwise
from math import gcd
from xml.etree.ElementTree import Element, SubElement

from loop.domain.items.clips import Frame
from loop.domain.items.tracks import between
from loop.domain.truth import Shape
from loop.exchange.texts import fits_xml
from loop.exchange.writing import SPLIT_NAMES, Exported, file_name
from training.snapshot import Entry

# Pixels that a corner may be off where CVAT makes a shape anew. Times of a steady video are rounded to milliseconds.
_CLOSE = 0.5
_LAST_NUMBER = 10**9 - 1  # that is read again

# A shape, and the number of its group, 0 for none, as CVAT writes it.
Draw = Callable[[Shape, int], Element]


@dataclass(frozen=True)
class Clip:
    """file: name of its XML file. name: of its video. entries: its frames that have ground truth, by rising number."""

    file: str
    name: str
    entries: Mapping[int, Entry]

    @cached_property
    def stop(self) -> int:
        return max(self.entries)

    @cached_property
    def step(self) -> int:
        """The largest with which a task of CVAT has all these frames."""
        return gcd(*(later - earlier for earlier, later in pairwise(self.entries))) or 1


def tracked_clips(given: Exported) -> Iterator[Clip]:
    """Those with at least one track, one at a time."""
    places: dict[str, list[Frame]] = {group_id: [] for group_id in sorted(given.tracked)}
    for place in given.clips.places:
        if place.group_id in places and given.places[place.item_digest] is place:
            places[place.group_id].append(place)
    for number, (group_id, frames) in enumerate(places.items(), start=1):
        name = given.clips.groups[group_id].name
        entries = {entry.digest: entry for entry in given.snapshot.entries.only([one.item_digest for one in frames])}
        yield Clip(
            file=f"{number:03d}-{re.sub(r'[^A-Za-z0-9._-]', '_', name or group_id)}.xml",
            name=name if name and fits_xml(name) else group_id,
            entries={own: entries[one.item_digest] for own, one in zip(_numbers(frames), frames, strict=True)},
        )


def _numbers(frames: Sequence[Frame]) -> list[int]:
    """In the video, where all are known and rise; else in the clip."""
    known = [frame.number for frame in frames if frame.number is not None]
    rising = all(earlier < later for earlier, later in pairwise(known))
    if len(known) == len(frames) and rising and known[-1] <= _LAST_NUMBER:
        return known
    return [frame.index for frame in frames]


def film(clip: Clip) -> tuple[dict[str, object], tuple[Element, ...]]:
    """What <task> says of the frames: its texts, and the elements behind them."""
    start, *_ = clip.entries
    first = clip.entries[start]
    texts: dict[str, object] = {
        "name": clip.name,
        "size": len(range(start, clip.stop + 1, clip.step)),
        "mode": "interpolation",
        "start_frame": start,
        "stop_frame": clip.stop,
        "frame_filter": f"step={clip.step}" if clip.step > 1 else "",
        "source": clip.name,
    }
    size, frames = Element("original_size"), Element("frames")
    SubElement(size, "width").text, SubElement(size, "height").text = str(first.width), str(first.height)
    for number, entry in clip.entries.items():
        facts = {"name": file_name(entry), "subset": SPLIT_NAMES[entry.split]}
        SubElement(
            frames, "frame", {"number": str(number), **facts, "width": str(entry.width), "height": str(entry.height)}
        )
    return texts, (size, frames)


# --- tracks ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Seen:
    """A shape in a frame. frame: its place among those of the clip; number: as it is written; depth: its place among
    the frame's shapes."""

    frame: int
    number: int
    depth: int
    shape: Shape


def track_elements(clip: Clip, draw: Draw) -> Iterator[Element]:
    """A <track> for each object, one at a time."""
    named = (shape.group for entry in clip.entries.values() for shape in entry.shapes if shape.group)
    groups = {"": 0} | {name: number for number, name in enumerate(dict.fromkeys(named), start=1)}
    for number, seen in enumerate(_objects(clip)):
        shape = seen[0].shape
        facts = {"id": str(number), "label": shape.label, "source": "manual"}
        own = {groups[one.shape.group] for one in seen}
        if own != {0} and len(own) == 1:
            facts["group_id"] = str(groups[shape.group])
        track = Element("track", facts | ({"name": shape.track} if shape.track else {}))
        for one, outside, is_key in _written(seen, clip):
            track.append(_placed(draw(one.shape, groups[one.shape.group] if len(own) > 1 else 0), one, outside, is_key))
        yield track


def _objects(clip: Clip) -> Iterable[Sequence[_Seen]]:
    """What one <track> can hold: shapes of a track with one label and geometry, one in a frame; each shape without a
    track. Answers to tasks over parts of a clip call their tracks alike, so that one ends with its answer."""
    found: dict[tuple[object, ...], list[_Seen]] = {}
    for frame, (number, entry) in enumerate(clip.entries.items()):
        times: Counter[tuple[object, ...]] = Counter()
        for depth, shape in enumerate(entry.shapes):
            of_track = (shape.track, shape.label, shape.type, entry.submission_ids)
            key: tuple[object, ...] = of_track if shape.track else (frame, depth)
            found.setdefault((*key, times[key]), []).append(_Seen(frame, number, depth, shape))
            times[key] += 1
    return found.values()


def _written(seen: Sequence[_Seen], clip: Clip) -> Iterator[tuple[_Seen, bool, bool]]:
    """What is written of an object, whether it is outside there, and whether that is a key frame."""
    for stretch in _stretches(seen):
        keys = _keys(stretch)
        yield from ((one, False, place in keys) for place, one in enumerate(stretch))
        gone = replace(stretch[-1], number=stretch[-1].number + clip.step)
        if gone.number <= clip.stop:
            yield gone, True, True


def _stretches(seen: Sequence[_Seen]) -> Iterator[Sequence[_Seen]]:
    """Runs of frames of the clip in all of which the object is."""
    begins = [place for place, (one, other) in enumerate(pairwise(seen), start=1) if other.frame > one.frame + 1]
    return (seen[begin:end] for begin, end in pairwise([0, *begins, len(seen)]))


def _keys(stretch: Sequence[_Seen]) -> frozenset[int]:
    """Which of them are key frames: the ends, those that were drawn, and those between two where CVAT would make
    something else of one."""
    last = len(stretch) - 1
    keys = [place for place, one in enumerate(stretch) if one.shape.keyframe or place in (0, last)]
    bent = (
        range(begin + 1, end)
        for begin, end in pairwise(keys)
        if not all(_is_between(stretch[begin], stretch[end], one) for one in stretch[begin + 1 : end])
    )
    return frozenset(chain(keys, *bent))


def _is_between(earlier: _Seen, later: _Seen, one: _Seen) -> bool:
    """Whether CVAT makes it of the two key frames."""
    share = (one.number - earlier.number) / (later.number - earlier.number)
    made, shape = between(earlier.shape, later.shape, share), one.shape
    if made.attributes != shape.attributes or len(made.points) != len(shape.points):
        return False
    pairs = zip(_coordinates(made), _coordinates(shape), strict=True)
    return all(abs(one - other) <= _CLOSE for one, other in pairs)


def _coordinates(shape: Shape) -> list[float]:
    return [*shape.box, *chain.from_iterable(shape.points)]


def _placed(element: Element, one: _Seen, outside: bool, is_key: bool) -> Element:
    del element.attrib["label"]
    where = {"frame": one.number, "outside": int(outside), "keyframe": int(is_key), "z_order": one.depth}
    element.attrib |= {name: str(value) for name, value in where.items()}
    if is_key and not one.shape.keyframe:
        element.set("interpolated", "1")
    return element
