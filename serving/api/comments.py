"""Comments on items and shapes: written by who works on them, answered and resolved."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from loop.domain.access import Permission, Token
from loop.domain.review.comments import CommentKind, CommentState
from loop.review.comments import Thread
from serving.api.auth import Operator, Wired, needs
from serving.api.item_names import ItemDigest
from serving.api.schemas.comments import CommentIn, CommentOut, CommentPage, CommentsOut, ReplyIn, ReplyOut

router = APIRouter(prefix="/v1", tags=["comments"])

ProjectReviewer = Annotated[Token, Depends(needs(Permission.REVIEW))]
# The project of a comment is known only once it is read; the use case checks whether the caller may read it.
SomeReviewer = Annotated[Token, Depends(needs(Permission.REVIEW, somewhere=True))]


@router.get("/projects/{project_id}/items/{digest}/comments")
def list_comments(project_id: str, digest: ItemDigest, token: ProjectReviewer, wired: Wired) -> CommentsOut:
    """Of an item. A reviewer must have, or have had, a task of it, and reads their own comments and those that name
    a task of theirs: what others say of it would colour the answer."""
    return CommentsOut(comments=[_out(thread) for thread in wired.discussion.of_item(token, project_id, digest)])


@router.post("/projects/{project_id}/items/{digest}/comments", status_code=201)
def write(project_id: str, digest: ItemDigest, body: CommentIn, token: ProjectReviewer, wired: Wired) -> CommentOut:
    return _out(wired.discussion.write(token, project_id, digest, **body.model_dump()))


@router.get("/projects/{project_id}/comments")
def page_of_comments(
    project_id: str,
    token: Operator,
    wired: Wired,
    state: CommentState | None = None,
    kind: CommentKind | None = None,
    after: Annotated[str | None, Query(description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> CommentPage:
    """Of all items, newest first; for operators."""
    page = wired.discussion.page(token, project_id, state=state, kind=kind, after=after, limit=limit)
    return CommentPage(
        comments=[_out(thread) for thread in page], next=page[-1].comment.id if len(page) == limit else None
    )


@router.post("/comments/{comment_id}/replies", status_code=201)
def reply(comment_id: str, body: ReplyIn, token: SomeReviewer, wired: Wired) -> CommentOut:
    """The comment with all its replies."""
    return _out(wired.discussion.reply(token, comment_id, body.text))


@router.post("/comments/{comment_id}/resolve")
def resolve(comment_id: str, token: SomeReviewer, wired: Wired) -> CommentOut:
    """Whoever may read it may say that it is settled; what is resolved stays as it is."""
    return _out(wired.discussion.resolve(token, comment_id))


@router.post("/comments/{comment_id}/reopen")
def reopen(comment_id: str, token: SomeReviewer, wired: Wired) -> CommentOut:
    return _out(wired.discussion.reopen(token, comment_id))


def _out(thread: Thread) -> CommentOut:
    comment = thread.comment
    return CommentOut(
        id=comment.id,
        item_digest=comment.item_digest,
        task_id=comment.task_id,
        text=comment.text,
        kind=comment.kind,
        shape=comment.shape,
        at=None if comment.at is None else list(comment.at),
        author=thread.names[comment.author],
        created_at=comment.created_at,
        state=comment.state,
        resolved_at=comment.resolved_at,
        resolved_by=None if comment.resolved_by is None else thread.names[comment.resolved_by],
        replies=[
            ReplyOut(id=one.id, text=one.text, author=thread.names[one.author], created_at=one.created_at)
            for one in thread.replies
        ],
    )
