"""Comments on items, their replies, and who has had a part in an item."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, exists, func, insert, or_, select, union_all, update

from loop.domain.review.comments import Comment, CommentKind, CommentState, Part, Reply
from loop.store.groups import works_of_frame
from loop.store.schema import comment_replies, comments, submissions, tasks
from loop.store.statements import columns, newest_first, not_found, sorted_after


class SqlComments:
    """Implements `loop.domain.ports.Comments`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, comment: Comment) -> None:
        self._connection.execute(insert(comments).values(columns(comment)))

    def reply(self, reply: Reply) -> None:
        self._connection.execute(insert(comment_replies).values(columns(reply)))

    def for_update(self, comment_id: str) -> Comment:
        row = self._connection.execute(select(comments).where(comments.c.id == comment_id).with_for_update()).first()
        if row is None:
            raise not_found("comment", id=comment_id)
        return Comment(**row._mapping)

    def settle(self, comment: Comment) -> None:
        self._connection.execute(
            update(comments)
            .where(comments.c.id == comment.id)
            .values(state=comment.state, resolved_at=comment.resolved_at, resolved_by=comment.resolved_by)
        )

    def of_item(self, project_id: str, item_digest: str) -> list[Comment]:
        of_it = select(comments).where(comments.c.project_id == project_id, comments.c.item_digest == item_digest)
        order = sorted_after(self._connection, comments.c.created_at, comments.c.id)
        rows = self._connection.execute(of_it.order_by(*order))
        return [Comment(**row._mapping) for row in rows]

    def page(
        self,
        project_id: str,
        *,
        state: CommentState | None,
        kind: CommentKind | None,
        after: str | None,
        limit: int,
    ) -> list[Comment]:
        asked = ((comments.c.state, state), (comments.c.kind, kind))
        wanted = [column == value for column, value in asked if value is not None]
        rows = newest_first(
            self._connection,
            comments,
            key=comments.c.id,
            project_id=project_id,
            after=after,
            limit=limit,
            where=wanted,
        )
        return [Comment(**row._mapping) for row in rows]

    def replies(self, comment_ids: Sequence[str]) -> Mapping[str, list[Reply]]:
        found: dict[str, list[Reply]] = {}
        to_them = select(comment_replies).where(comment_replies.c.comment_id.in_(comment_ids))
        for row in self._connection.execute(to_them.order_by(comment_replies.c.created_at, comment_replies.c.id)):
            found.setdefault(row.comment_id, []).append(Reply(**row._mapping))
        return found

    def count_by(self, project_id: str, item_digest: str, author: str) -> int:
        counted = select(func.count()).where(
            comments.c.project_id == project_id, comments.c.item_digest == item_digest, comments.c.author == author
        )
        return int(self._connection.scalars(counted).one())

    def parts(self, project_id: str, item_digest: str, person: str) -> list[Part]:
        of_item = select(tasks.c.id, tasks.c.stage).where(
            tasks.c.project_id == project_id, tasks.c.item_digest == item_digest
        )
        answered = of_item.join(submissions, submissions.c.task_id == tasks.c.id).where(
            submissions.c.project_id == project_id,
            submissions.c.item_digest == item_digest,
            submissions.c.reviewer == person,
        )
        said = exists().where(submissions.c.task_id == tasks.c.id, submissions.c.reviewer == person)
        of_clip = select(tasks.c.id, tasks.c.stage).where(
            tasks.c.work_id.in_(works_of_frame(project_id, item_digest)), or_(tasks.c.owner == person, said)
        )
        either = union_all(of_item.where(tasks.c.owner == person), answered, of_clip).subquery()
        rows = self._connection.execute(select(either.c.id, either.c.stage).distinct().order_by(either.c.id))
        return [Part(row.id, row.stage) for row in rows]
