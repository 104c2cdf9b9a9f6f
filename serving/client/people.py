"""People: who they are, what they say of items, how good they are."""

from collections.abc import Mapping
from typing import Any

from serving.api.schemas.comments import CommentOut, CommentPage, CommentsOut
from serving.api.schemas.quality import (
    AgreementOut,
    GoldenListOut,
    GoldenOut,
    ReviewerDetailOut,
    ReviewerOut,
    ReviewersOut,
)
from serving.api.schemas.queue import PersonOut
from serving.client.calls import Call, Steps, delete, get, given, list_of, method, path, post

_PAGE = 1000  # people of one answer


class PeopleCalls:
    @method
    def people(self) -> Steps[list[PersonOut]]:
        """All who may review, oldest token first; asked for in pages."""
        found: list[PersonOut] = []
        while True:
            after = found[-1].token_id if found else None
            page = yield from Call(
                method="GET",
                path=path("people"),
                params=given(after=after, limit=_PAGE),
                read=list_of(PersonOut),
                repeatable=True,
            )
            found += page
            if len(page) < _PAGE:
                return found

    @method
    def describe_person(self, /, token_id: str, **changes: object) -> Call[PersonOut]:
        """groups, skills, max_leases, max_tasks_a_day; what is left out stays as it is."""
        return post(PersonOut, path("people", token_id), changes, method="PATCH")

    @method
    def reviewers(self, project: str) -> Call[list[ReviewerOut]]:
        return get(ReviewersOut, path("projects", project, "reviewers")).giving(lambda told: told.reviewers)

    @method
    def reviewer(self, project: str, person: str) -> Call[ReviewerDetailOut]:
        """By name or token id."""
        return get(ReviewerDetailOut, path("projects", project, "reviewers", person))

    @method
    def change_reviewer(self, /, project: str, person: str, **changes: object) -> Call[ReviewerDetailOut]:
        """standing with reason; training."""
        return post(ReviewerDetailOut, path("projects", project, "reviewers", person), changes, method="PATCH")

    @method
    def agreement(self, project: str, works: int = 200) -> Call[AgreementOut]:
        """Over the last works that several people answered."""
        return get(AgreementOut, path("projects", project, "agreement"), works=works)

    # --- golden items ------------------------------------------------------------------------------------

    @method
    def mark_golden(self, project: str, digest: str, shapes: list[dict[str, Any]] | None = None) -> Call[GoldenOut]:
        """Trust these shapes of an item, or its ground truth."""
        body: Mapping[str, object] = {"shapes": shapes}
        return post(GoldenOut, path("projects", project, "items", digest, "golden"), body, method="PUT")

    @method
    def remove_golden(self, project: str, digest: str) -> Call[None]:
        return delete(path("projects", project, "items", digest, "golden"))

    @method
    def golden(self, project: str) -> Call[list[GoldenOut]]:
        """Newest first."""
        return get(GoldenListOut, path("projects", project, "golden")).giving(lambda told: told.golden)

    # --- comments ----------------------------------------------------------------------------------------

    @method
    def comments(
        self,
        project: str,
        *,
        state: str | None = None,
        kind: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> Call[CommentPage]:
        """Newest first; for operators."""
        where = path("projects", project, "comments")
        return get(CommentPage, where, state=state, kind=kind, after=after, limit=limit)

    @method
    def comments_of(self, project: str, digest: str) -> Call[list[CommentOut]]:
        """Of an item, oldest first."""
        return get(CommentsOut, path("projects", project, "items", digest, "comments")).giving(
            lambda told: told.comments
        )

    @method
    def comment(self, /, project: str, digest: str, text: str, **more: object) -> Call[CommentOut]:
        """more: fields of `CommentIn`."""
        return post(CommentOut, path("projects", project, "items", digest, "comments"), {"text": text, **more})

    @method
    def reply_to_comment(self, comment_id: str, text: str) -> Call[CommentOut]:
        return post(CommentOut, path("comments", comment_id, "replies"), {"text": text})

    @method
    def resolve_comment(self, comment_id: str) -> Call[CommentOut]:
        return post(CommentOut, path("comments", comment_id, "resolve"), repeatable=True)

    @method
    def reopen_comment(self, comment_id: str) -> Call[CommentOut]:
        return post(CommentOut, path("comments", comment_id, "reopen"), repeatable=True)
