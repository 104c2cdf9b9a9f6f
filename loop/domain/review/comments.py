"""What people say to each other about an item or a shape, and who may read it.

Answers are to be each person's own, and nothing may tell an audit from other work. So a reviewer reads the comments
that they wrote, and those that were addressed to a task of theirs; never what others say of the same item, nor
whether they say anything.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from loop.domain.errors import Conflict, Forbidden, Invalid
from loop.domain.item import Item
from loop.domain.stage import Stage

MAX_TEXT = 4000  # characters
MAX_SHAPE = 200
MOST_OF_ONE = 100  # comments of one person on one item: a limit on all would tell that others wrote some
MOST_REPLIES = 100  # to one comment

# Who does these sees what others answered, so that there is nothing to keep from them.
_SEEING = frozenset({Stage.ADJUDICATE})


class CommentKind(StrEnum):
    COMMENT = "comment"
    ISSUE = "issue"  # something is wrong
    QUESTION = "question"  # about the guidelines


class CommentState(StrEnum):
    OPEN = "open"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """author: token id."""

    id: str
    comment_id: str
    text: str
    author: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """shape: the id of a shape of the answer, as who wrote it knows it. at: a place in the image, pixels. task_id: the
    task whose people it is for, besides operators. author, resolved_by: token ids."""

    id: str
    project_id: str
    item_digest: str
    text: str
    kind: CommentKind
    author: str
    created_at: datetime
    task_id: str | None = None
    shape: str | None = None
    at: tuple[float, float] | None = None
    state: CommentState = CommentState.OPEN
    resolved_at: datetime | None = None
    resolved_by: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A task of an item that a person has, or had."""

    task_id: str
    stage: Stage


def readable(comment: Comment, reader: str, parts: Sequence[Part]) -> bool:
    """Whether a reviewer may read it. parts: the reader's, in the comment's item; with none, nothing may be read."""
    own = comment.author == reader or any(part.task_id == comment.task_id for part in parts)
    return bool(parts) and (own or any(part.stage in _SEEING for part in parts))


def require_part(parts: Sequence[Part], item_digest: str) -> None:
    """Raises Forbidden for a reviewer who has had no task of the item."""
    if not parts:
        raise Forbidden(
            "comments on an item are for those who have had a task of it.",
            hint="Lease its task first, or ask an operator.",
            item=item_digest,
        )


def checked_text(text: str) -> str:
    """`text` without the space around it. Raises Invalid."""
    kept = text.strip()
    if not 0 < len(kept) <= MAX_TEXT:
        raise Invalid(
            f"the text has {len(kept):,} characters.", hint=f"Write 1 to {MAX_TEXT:,} that are not all space."
        )
    return kept


def checked_place(at: Sequence[float] | None, item: Item) -> tuple[float, float] | None:
    """Raises Invalid for a place that is not in the image."""
    if at is None:
        return None
    x, y = at
    if not (math.isfinite(x) and math.isfinite(y) and 0 <= x <= item.width and 0 <= y <= item.height):
        raise Invalid(
            f"[{x:g}, {y:g}] is no place in an image of {item.width} x {item.height} pixels.",
            hint="Give x and y in pixels from the upper left corner, or leave `at` out.",
            item=item.digest,
        )
    return float(x), float(y)


def require_room(count: int, most: int, what: str) -> None:
    """Raises Conflict where there are `most` already."""
    if count >= most:
        raise Conflict(f"there are {count} {what} already.", hint="Go on in one of those that are there.")
