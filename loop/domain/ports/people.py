"""People: what they may do, how good they are by golden items, what their work took, what they say of items."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from loop.domain.quality.golden import (
    Decided,
    GoldenAnswer,
    GoldenItem,
    GoldenSeat,
    KnownStanding,
    Redo,
    Scored,
    Shared,
    Tally,
)
from loop.domain.quality.judging import Judgeable, JudgedCheck
from loop.domain.review.comments import Comment, CommentKind, CommentState, Part, Reply
from loop.domain.review.cost import Rates
from loop.domain.review.efforts import Effort, Inspected
from loop.domain.review.people import Person, Reviewer
from loop.domain.review.tasks import Submission
from loop.domain.truth import Shape


class Efforts(Protocol):
    """What submissions took, one record each, and what an hour costs."""

    def add(self, effort: Effort) -> None: ...
    def between(self, project_id: str, since: datetime, until: datetime) -> Iterator[Effort]:
        """From `since` on, before `until`, oldest first; not all of them are held at once."""
        ...

    def newest(self, project_id: str, since: datetime, until: datetime, limit: int) -> list[Effort]:
        """The last `limit` of those."""
        ...

    def drawn(self, project_id: str, since: datetime, until: datetime) -> list[tuple[bool, int]]:
        """Of answers to tasks where the lot decided whether the prediction was shown: whether it was, and by how many
        shapes the answer differs from it. Without adjudications, and predictions of nothing, which look the same
        either way."""
        ...

    def inspected(self, project_id: str, since: datetime, until: datetime) -> Mapping[str, Inspected]:
        """What QA said in that time, by whose answer it looked at; without answers of several people together."""
        ...

    def shapes_of(self, submission_ids: Sequence[str]) -> Mapping[str, tuple[Shape, ...]]: ...
    def count_served(self, project_id: str, since: datetime, until: datetime) -> int:
        """Items that were predicted in that time, each once."""
        ...

    def rates(self, project_id: str) -> Rates | None:
        """None where nobody has set them."""
        ...

    def save_rates(self, project_id: str, rates: Rates) -> None: ...


class Comments(Protocol):
    """What people say of items."""

    def add(self, comment: Comment) -> None: ...
    def reply(self, reply: Reply) -> None: ...
    def for_update(self, comment_id: str) -> Comment:
        """Locked until the transaction ends. Raises NotFound."""
        ...

    def settle(self, comment: Comment) -> None:
        """Write whether it is resolved, when and by whom."""
        ...

    def of_item(self, project_id: str, item_digest: str) -> list[Comment]:
        """Oldest first."""
        ...

    def page(
        self,
        project_id: str,
        *,
        state: CommentState | None,
        kind: CommentKind | None,
        after: str | None,
        limit: int,
    ) -> list[Comment]:
        """Newest first; `after` is a comment id. None: whatever it is."""
        ...

    def replies(self, comment_ids: Sequence[str]) -> Mapping[str, list[Reply]]:
        """By comment, oldest first; those without any are left out."""
        ...

    def count_by(self, project_id: str, item_digest: str, author: str) -> int: ...
    def parts(self, project_id: str, item_digest: str, person: str) -> list[Part]:
        """Tasks of the item that the person has, had last, or answered or skipped."""
        ...


class People(Protocol):
    def for_update(self, token_id: str) -> Person:
        """Whoever else asks so for the same person waits until this transaction ends. Who is not described has no
        groups and no skills."""
        ...

    def all(self) -> Mapping[str, Person]:
        """Those that are described, by token."""
        ...

    def reviewers(self, project_id: str | None, *, after: str | None, limit: int) -> list[Reviewer]:
        """Whose tokens count and may review, in this project alone or (None) anywhere, oldest token first, behind the
        token `after`. Raises NotFound for an unknown `after`."""
        ...

    def reviewer(self, token_id: str) -> Reviewer:
        """Whatever the token may do. Raises NotFound."""
        ...

    def save(self, person: Person) -> None: ...


class Golden(Protocol):
    """Golden items, who got which, and what they answered; nothing of it is among submissions."""

    def save(self, item: GoldenItem) -> None:
        """Marked for the first time, or with another version."""
        ...

    def remove(self, project_id: str, item_digest: str) -> bool:
        """Whether it was golden. Its versions go on where it is marked again."""
        ...

    def version(self, project_id: str, item_digest: str) -> int:
        """The last it had, also where it is golden no more; 0 for none."""
        ...

    def get(self, project_id: str, item_digest: str) -> GoldenItem | None: ...
    def all(self, project_id: str) -> list[GoldenItem]:
        """Newest first."""
        ...

    def tally(self, project_id: str, reviewer: str) -> Tally: ...
    def eligible(self, project_id: str, reviewer: str, *, given_before: datetime, predicted: bool) -> list[str]:
        """Digests of what the person may get: not given since then, and never answered as ordinary work. predicted:
        only those that have a prediction."""
        ...

    def judgeable(self, project_id: str, reviewer: str, *, given_before: datetime, predicted: bool) -> list[Judgeable]:
        """Answers of others to items that the person may get (`eligible`), whose value is known against the present
        trusted shapes; the newest thousand."""
        ...

    def answered(self, answer_id: str) -> GoldenAnswer:
        """Raises NotFound."""
        ...

    def give(self, seat: GoldenSeat) -> None: ...
    def seat(self, task_id: str) -> GoldenSeat:
        """Raises NotFound."""
        ...

    def waiting(self, project_id: str, reviewer: str) -> list[GoldenSeat]:
        """Seats that are not closed, oldest first."""
        ...

    def close(self, task_id: str) -> None: ...
    def answer(self, answer: GoldenAnswer) -> None:
        """Raises AlreadySubmitted where the task has one under this epoch."""
        ...

    def said(self, task_id: str) -> list[Submission]: ...
    def scored(self, project_id: str, reviewer: str, *, limit: int) -> list[Scored]:
        """Answers with a score against the present trusted shapes of an item that is still golden; newest first."""
        ...

    def judged(self, project_id: str, reviewer: str, *, limit: int) -> list[JudgedCheck]:
        """The person's verdicts on answers whose value is known against the present trusted shapes of an item that is
        still golden; newest first."""
        ...

    def count_since(self, project_id: str, reviewer: str, moment: datetime) -> int:
        """Answers and skips."""
        ...


class Standings(Protocol):
    """Of who answers; where `judging`, of who judges answers."""

    def get(self, project_id: str, reviewer: str, *, judging: bool = False) -> KnownStanding | None: ...
    def all(self, project_id: str, *, judging: bool = False) -> Mapping[str, KnownStanding]:
        """By reviewer."""
        ...

    def save(self, known: KnownStanding) -> None: ...
    def decided(self, project_id: str, reviewer: str, until: datetime) -> list[Decided]:
        """Works that this person's answer alone decided, or will with their lots; whose answer this person let stand in
        QA; that ended with this person's skip. Oldest first, without what was opened anew since, and what QA is to look
        at."""
        ...

    def shared(self, project_id: str, reviewer: str, until: datetime) -> list[Shared]:
        """Works that were not opened anew since, and whose truth is merged, or will be, of this person's answer and
        others; oldest first."""
        ...

    def ask_again(self, redos: Sequence[Redo]) -> None:
        """What is asked for already stays as it is."""
        ...

    def redos(self, *, limit: int) -> list[Redo]: ...
    def done_again(self, submission_id: str) -> None: ...
