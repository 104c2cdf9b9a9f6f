"""Comments on items and shapes."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from loop.domain.review.comments import MAX_SHAPE, MAX_TEXT, CommentKind, CommentState
from serving.api.schemas.wire import In, Out, Pixels

Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]


class CommentIn(In):
    text: Text
    kind: CommentKind = Field(default=CommentKind.COMMENT, description="question: about the guidelines")
    shape: Annotated[str, Field(min_length=1, max_length=MAX_SHAPE)] | None = Field(
        default=None, description="id of a shape of the answer"
    )
    at: Annotated[list[Pixels], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="x, y in absolute pixels"
    )
    task_id: str | None = Field(default=None, description="a task of the item: who has or had it may read this too")


class ReplyIn(In):
    text: Text


class ReplyOut(Out):
    id: str
    text: str
    author: str = Field(description="the name; for reviewers, of others only the role")
    created_at: datetime


class CommentOut(Out):
    id: str
    item_digest: str
    task_id: str | None
    text: str
    kind: CommentKind
    shape: str | None
    at: list[float] | None
    author: str = Field(description="the name; for reviewers, of others only the role")
    created_at: datetime
    state: CommentState
    resolved_at: datetime | None
    resolved_by: str | None = Field(description="as author")
    replies: list[ReplyOut] = Field(description="oldest first")


class CommentsOut(Out):
    comments: list[CommentOut] = Field(description="oldest first; for reviewers, those that they may read")


class CommentPage(Out):
    comments: list[CommentOut] = Field(description="newest first")
    next: str | None
