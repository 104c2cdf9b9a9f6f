"""One image of a snapshot."""

from dataclasses import dataclass

from loop.domain.item import Split
from loop.domain.truth import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """digest: SHA-256 of its bytes; width, height: pixels; `truth_version` and `submission_ids` say whose answer
    `shapes` is; group: "" where the image stands alone."""

    digest: str
    width: int
    height: int
    media_type: str
    group: str
    truth_version: int
    submission_ids: tuple[str, ...]
    shapes: tuple[Shape, ...]
    split: Split
