"""Clips in data sets: which frame of which clip an image is, as COCO's relatives for videos say it (COCO-VID, TAO)."""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from loop.domain.errors import BadDataset, Invalid
from loop.domain.identity import DIGEST, digest_of
from loop.domain.items.clips import Frame, Group, GroupKind, checked_name, in_order
from loop.domain.ports import Clock, Store, Transaction
from loop.domain.truth import Shape
from loop.exchange.reading import MAX_ANNOTATION_BYTES, ReadGroup, Remark
from loop.items.grouped import save_group

GROUPS_FILE = "groups.jsonl"


@dataclass(frozen=True, slots=True)
class ExportedClips:
    """groups: of a project, by id; places: of the images that are exported, by group and index."""

    groups: Mapping[str, Group]
    places: tuple[Frame, ...]

    @classmethod
    def of(cls, tx: Transaction, project_id: str, exported: Callable[[str], bool]) -> "ExportedClips":
        """exported: whether an image is, by its digest."""
        places = tuple(place for place in tx.groups.places(project_id) if exported(place.item_digest))
        named = dict.fromkeys(place.group_id for place in places)
        return cls({group_id: tx.groups.get(project_id, group_id) for group_id in named}, places)

    def video_places(self) -> Mapping[str, Frame]:
        """By item; one that is in several clips counts for the first by id."""
        found: dict[str, Frame] = {}
        for place in self.places:
            if self.groups[place.group_id].kind.stays_together:
                found.setdefault(place.item_digest, place)
        return found

    def write(self, folder: Path) -> None:
        """A line for each group: {id, kind, name, frames: [{digest, time, number}]}. No file where there is none."""
        if not self.groups:
            return
        with (folder / GROUPS_FILE).open("w", encoding="utf-8", newline="\n") as lines:
            for group_id, places in groupby(self.places, key=lambda place: place.group_id):
                group = self.groups[group_id]
                frames = [
                    {"digest": place.item_digest, "time": place.seconds, "number": place.number} for place in places
                ]
                line = {"id": group.id, "kind": group.kind, "name": group.name, "meta": dict(group.meta)}
                lines.write(json.dumps(line | {"frames": frames}, allow_nan=False) + "\n")


class CocoVideos:
    """Numbers for clips and tracks of a COCO data set, the same in all its files."""

    def __init__(self, clips: ExportedClips) -> None:
        self._clips = clips
        self._places = clips.video_places()
        named = dict.fromkeys(place.group_id for place in self._places.values())
        self._numbers = {group_id: number for number, group_id in enumerate(named, start=1)}
        self._tracks: dict[tuple[str, str], int] = {}

    def image_fields(self, digest: str) -> dict[str, object]:
        place = self._places.get(digest)
        return {} if place is None else {"video_id": self._numbers[place.group_id], "frame_id": place.index}

    def shape_fields(self, digest: str, shape: Shape) -> dict[str, object]:
        place = self._places.get(digest)
        if place is None or not shape.track:
            return {}
        key = (place.group_id, shape.track)
        number = self._tracks.setdefault(key, len(self._tracks) + 1)
        return {"video_id": self._numbers[place.group_id], "track_id": number, "keyframe": shape.keyframe}

    def videos(self, digests: Iterable[str]) -> list[dict[str, object]]:
        """Those that these images are of."""
        present = dict.fromkeys(self._places[digest].group_id for digest in digests if digest in self._places)
        return [
            {"id": self._numbers[group_id], "name": self._clips.groups[group_id].name or group_id}
            for group_id in sorted(present, key=self._numbers.__getitem__)
        ]


def read_groups(folder: Path) -> tuple[tuple[ReadGroup, ...], tuple[Remark, ...]]:
    """What `ExportedClips.write` wrote; a line that cannot be read costs one group."""
    groups: list[ReadGroup] = []
    skipped: list[Remark] = []
    if not (folder / GROUPS_FILE).is_file():
        return (), ()
    with (folder / GROUPS_FILE).open("rb") as lines:
        number = 0
        while line := lines.readline(MAX_ANNOTATION_BYTES):
            number += 1
            try:
                groups += [_group(line)] if line.strip() else []
            except (KeyError, TypeError, ValueError, OverflowError, RecursionError, Invalid) as error:
                skipped.append(Remark(GROUPS_FILE, "annotation", f"line {number} cannot be read ({error})"))
    return tuple(groups), tuple(skipped)


def _group(line: bytes) -> ReadGroup:
    """Raises KeyError, TypeError, ValueError or Invalid."""
    body = json.loads(line)
    frames = tuple(_placed(one) for one in body["frames"])
    in_order([(digest, seconds) for digest, seconds, _ in frames])
    meta, own_id = body.get("meta", {}), body["id"]
    json.dumps(meta, allow_nan=False)
    if not isinstance(meta, dict) or not isinstance(own_id, str) or not own_id.isprintable():
        raise BadDataset("it has no id, or its meta is no object")
    return ReadGroup(own_id, GroupKind(body["kind"]), checked_name(body["name"]), meta, frames)


def _placed(frame: Mapping[str, object]) -> tuple[str, float | None, int | None]:
    digest, seconds, number = frame["digest"], frame.get("time"), frame.get("number")
    if not isinstance(digest, str) or not re.fullmatch(DIGEST, digest):
        raise BadDataset("a frame has no digest")
    if not isinstance(seconds, float | int | None) or not math.isfinite(seconds or 0.0):
        raise BadDataset("a frame's time is no number of seconds")
    if not isinstance(number, int | None) or not 0 <= (number or 0) < 2**31:
        raise BadDataset("a frame's number is none")
    return digest, seconds, number


def save_groups(store: Store, project_id: str, groups: Sequence[ReadGroup], clock: Clock) -> None:
    """Groups that the project does not have yet, of those of their images that it has."""
    for group in groups:
        with store.begin() as tx:
            known = tx.groups.split_groups(project_id, [digest for digest, _, _ in group.frames])
            frames = [frame for frame in group.frames if frame[0] in known]
            record = Group(
                id="group_" + digest_of(f"{project_id}\0{group.id}".encode())[:32],
                project_id=project_id,
                kind=group.kind,
                name=group.name,
                created_at=clock(),
                frames=len(frames),
                meta=group.meta,
            )
            if frames:
                save_group(tx, record, frames)
