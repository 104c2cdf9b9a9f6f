"""Snapshots as they were kept at first: one JSON document. They are read still, and never written."""

import json
from collections.abc import Mapping
from typing import Any

from loop.domain.item import Split
from loop.domain.truth import shape_from_json, shape_to_json
from training.snapshot_columns import canonical
from training.snapshot_entry import Entry

FORMAT = "askance-snapshot/1"


def document_of(labels: tuple[str, ...], val_share: float, entries: list[Entry]) -> bytes:
    body = {
        "format": FORMAT,
        "labels": list(labels),
        "val_share": val_share,
        "entries": [_entry_to_json(entry) for entry in entries],
    }
    return canonical(body).encode()


def entries_of(document: bytes) -> tuple[tuple[str, ...], float, list[Entry]]:
    """Labels, val_share and entries. Raises AttributeError, KeyError, TypeError or ValueError unless `document_of`
    would write the same bytes."""
    body = json.loads(document)
    labels, entries = tuple(body["labels"]), [_entry_from_json(entry) for entry in body["entries"]]
    if document_of(labels, body["val_share"], entries) != document:
        raise ValueError("the document is not as it was written")
    return labels, body["val_share"], entries


def _entry_to_json(entry: Entry) -> dict[str, object]:
    return {
        "digest": entry.digest,
        "width": entry.width,
        "height": entry.height,
        "media_type": entry.media_type,
        "group": entry.group,
        "truth_version": entry.truth_version,
        "submission_ids": list(entry.submission_ids),
        "shapes": [shape_to_json(shape) for shape in entry.shapes],
        "split": str(entry.split),
    }


def _entry_from_json(body: Mapping[str, Any]) -> Entry:
    return Entry(
        digest=body["digest"],
        width=body["width"],
        height=body["height"],
        media_type=body["media_type"],
        group=body["group"],
        truth_version=body["truth_version"],
        submission_ids=tuple(body["submission_ids"]),
        shapes=tuple(shape_from_json(shape) for shape in body["shapes"]),
        split=Split(body["split"]),
    )
