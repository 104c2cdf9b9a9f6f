"""Comments on items and shapes: who writes, reads, answers and resolves them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loop.domain.access import Permission, Token, may, require
from loop.domain.errors import Forbidden, Invalid, NotFound
from loop.domain.identity import new_id
from loop.domain.ports import Clock, Entropy, Event, Store, Transaction
from loop.domain.review.comments import (
    MOST_OF_ONE,
    MOST_REPLIES,
    Comment,
    CommentKind,
    CommentState,
    Reply,
    checked_place,
    checked_text,
    readable,
    require_part,
    require_room,
)


@dataclass(frozen=True, slots=True)
class Thread:
    """A comment with its replies, oldest first. names: of their authors and of who resolved it, by token, as the reader
    may know them."""

    comment: Comment
    replies: tuple[Reply, ...]
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Discussion:
    store: Store
    clock: Clock
    entropy: Entropy

    def of_item(self, token: Token, project_id: str, item_digest: str) -> list[Thread]:
        """What the caller may read, oldest first. Raises Forbidden for a reviewer without a task of the item."""
        require(token, Permission.REVIEW, project_id)
        with self.store.read() as tx:
            tx.items.get(project_id, item_digest)
            found = tx.comments.of_item(project_id, item_digest)
            if not may(token, Permission.OPERATE):
                parts = tx.comments.parts(project_id, item_digest, token.id)
                require_part(parts, item_digest)
                found = [comment for comment in found if readable(comment, token.id, parts)]
            return _threads(tx, found, token)

    def page(
        self,
        token: Token,
        project_id: str,
        *,
        state: CommentState | None,
        kind: CommentKind | None,
        after: str | None,
        limit: int,
    ) -> list[Thread]:
        """Of a project, newest first; for operators."""
        require(token, Permission.OPERATE, project_id)
        with self.store.read() as tx:
            tx.projects.get(project_id)
            page = tx.comments.page(project_id, state=state, kind=kind, after=after, limit=limit)
            return _threads(tx, page, token)

    def write(
        self,
        token: Token,
        project_id: str,
        item_digest: str,
        *,
        text: str,
        kind: CommentKind = CommentKind.COMMENT,
        shape: str | None = None,
        at: Sequence[float] | None = None,
        task_id: str | None = None,
    ) -> Thread:
        """task_id: of the item; who has or had that task may read it too. Raises Forbidden, Invalid, Conflict."""
        require(token, Permission.REVIEW, project_id)
        now = self.clock()
        with self.store.begin() as tx:
            item = tx.items.get(project_id, item_digest)
            _require_place(tx, token, project_id, item_digest, task_id)
            require_room(tx.comments.count_by(project_id, item_digest, token.id), MOST_OF_ONE, "comments of yours here")
            comment = Comment(
                id=new_id("comment", now, self.entropy(10)),
                project_id=project_id,
                item_digest=item_digest,
                text=checked_text(text),
                kind=kind,
                author=token.id,
                created_at=now,
                task_id=task_id,
                shape=shape,
                at=checked_place(at, item),
            )
            tx.comments.add(comment)
            tx.events.add(_event("comment.created", comment, token, now))
            return _threads(tx, [comment], token)[0]

    def reply(self, token: Token, comment_id: str, text: str) -> Thread:
        now = self.clock()
        with self.store.begin() as tx:
            comment = _readable(tx, token, comment_id)
            require_room(len(tx.comments.replies([comment_id]).get(comment_id, ())), MOST_REPLIES, "replies to this")
            reply = Reply(
                id=new_id("reply", now, self.entropy(10)),
                comment_id=comment_id,
                text=checked_text(text),
                author=token.id,
                created_at=now,
            )
            tx.comments.reply(reply)
            tx.events.add(_event("comment.replied", comment, token, now, reply_id=reply.id, text=reply.text))
            return _threads(tx, [comment], token)[0]

    def resolve(self, token: Token, comment_id: str) -> Thread:
        """What is resolved stays as it is."""
        now = self.clock()
        return self._settle(
            token,
            comment_id,
            lambda comment: replace(comment, state=CommentState.RESOLVED, resolved_at=now, resolved_by=token.id),
            "comment.resolved",
        )

    def reopen(self, token: Token, comment_id: str) -> Thread:
        """What is open stays as it is."""
        return self._settle(
            token,
            comment_id,
            lambda comment: replace(comment, state=CommentState.OPEN, resolved_at=None, resolved_by=None),
            "comment.reopened",
        )

    def _settle(self, token: Token, comment_id: str, change: Callable[[Comment], Comment], kind: str) -> Thread:
        with self.store.begin() as tx:
            comment = _readable(tx, token, comment_id)
            changed = change(comment)
            if changed.state is not comment.state:
                tx.comments.settle(changed)
                tx.events.add(_event(kind, changed, token, self.clock()))
                comment = changed
            return _threads(tx, [comment], token)[0]


def _require_place(tx: Transaction, token: Token, project_id: str, item_digest: str, task_id: str | None) -> None:
    """The caller may write here: an operator of every task of the item, a reviewer of their own."""
    if not may(token, Permission.OPERATE):
        parts = tx.comments.parts(project_id, item_digest, token.id)
        require_part(parts, item_digest)
        if task_id is not None and all(part.task_id != task_id for part in parts):
            raise Forbidden("that task is not yours.", hint="Name a task that you have or had, or none.", task=task_id)
    elif task_id is not None:
        task = tx.tasks.get(task_id)
        of_item = task.item_digest == item_digest or task.work_id in tx.tasks.works_of_item(project_id, item_digest)
        if task.project_id != project_id or not of_item:
            raise Invalid("that task is of another item.", hint="Name a task of this item, or none.", task=task_id)


def _readable(tx: Transaction, token: Token, comment_id: str) -> Comment:
    """Locked. For who may not read it, it is not there: neither its project nor that it exists is told."""
    comment = tx.comments.for_update(comment_id)
    if token.project_id in (None, comment.project_id) and may(token, Permission.REVIEW):
        if may(token, Permission.OPERATE):
            return comment
        if readable(comment, token.id, tx.comments.parts(comment.project_id, comment.item_digest, token.id)):
            return comment
    raise NotFound(
        f"there is no comment with id {comment_id!r}.",
        hint="Check the id, and that it is of this project.",
        id=comment_id,
    )


def _threads(tx: Transaction, comments: Sequence[Comment], reader: Token) -> list[Thread]:
    replies = tx.comments.replies([comment.id for comment in comments])
    names = _names(tx.tokens.all() if comments else (), reader)
    return [Thread(comment, tuple(replies.get(comment.id, ())), names) for comment in comments]


def _names(tokens: Sequence[Token], reader: Token) -> Mapping[str, str]:
    """Reviewers learn nobody's name but their own."""
    known = may(reader, Permission.OPERATE)
    return {token.id: token.name if known or token.id == reader.id else token.role.value for token in tokens}


def _event(kind: str, comment: Comment, token: Token, at: datetime, **more: object) -> Event:
    body = {
        "comment_id": comment.id,
        "item_digest": comment.item_digest,
        "task_id": comment.task_id,
        "kind": comment.kind,
        "text": comment.text,
    }
    return Event(kind, comment.project_id, token.id, body | more, at)
