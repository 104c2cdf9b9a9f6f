"""What people answered, on its way to the ground truth: submissions, agreement, lots, truths."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from loop.domain.item import Item
from loop.domain.quality.settling import WorkAgreement
from loop.domain.review.feed import ReviewsAfter
from loop.domain.review.lot import Lot, LotState, Member, Order
from loop.domain.review.qa import AnswerStanding, HeldAnswer
from loop.domain.review.tasks import Submission
from loop.domain.truth import GroundTruth


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A prediction that a person answered. failed: the answer differed. probability: with which it could have come to
    a person (`Decision.inclusion_probability`). risk: as it was routed by. audit: drawn by lot, with the probability
    audit_rate."""

    prediction_id: str
    signals: Mapping[str, float]
    failed: bool
    probability: float
    risk: float
    audit: bool
    audit_rate: float


class Submissions(Protocol):
    def add(self, submission: Submission) -> None:
        """Raises AlreadySubmitted where there is one under this epoch, or by this person for this round of the work."""
        ...

    def of_work(self, work_id: str) -> list[Submission]:
        """Answers and skips of all rounds, oldest first."""
        ...

    def of_item(self, project_id: str, item_digest: str) -> list[Submission]:
        """Of all works and rounds, oldest first."""
        ...

    def count_since(self, project_id: str, reviewer: str, moment: datetime) -> int:
        """How many a person has sent, skips too."""
        ...

    def settle(self, submission_id: str, *, settles: bool) -> None:
        """Say whether it brought its item the truth, which is known only later where answers wait for others."""
        ...

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[Submission]: ...
    def reviewed(self, project_id: str, model_id: str) -> list[Reviewed]:
        """The predictions of this version that routing or the audit lot sent to people and that were answered, in the
        order of the answers; not those that were selected, since how probable that was is not known."""
        ...

    def count_reviewed(self, project_id: str, model_id: str) -> int:
        """How many those are."""
        ...

    def count_corrected_since(self, project_id: str, moment: datetime | None) -> int:
        """Items of which a prediction had to be corrected by an answer that settled them after `moment`."""
        ...

    def failed_items(self, project_id: str, digests: Sequence[str]) -> frozenset[str]:
        """Those of the items of which some prediction, by whichever model, had to be corrected by the answer that
        settled them."""
        ...


class HeldAnswers(Protocol):
    """By work. Who writes one has locked the work (`Tasks.work_for_update`)."""

    def find(self, work_id: str) -> HeldAnswer | None: ...
    def get(self, work_id: str) -> HeldAnswer:
        """Raises NotFound."""
        ...

    def save(self, answer: HeldAnswer) -> None:
        """In place of that of an earlier round."""
        ...

    def stand(self, work_id: str, standing: AnswerStanding) -> None: ...
    def drop(self, work_id: str) -> None: ...


class Lots(Protocol):
    """Who locks a lot and works locks the lot first; who has locked works does not ask for a lot's lock."""

    def add(self, lot: Lot) -> bool:
        """False where the project has one that is filling for this source."""
        ...

    def get(self, project_id: str, lot_id: str) -> Lot:
        """Raises NotFound."""
        ...

    def state(self, lot_id: str) -> LotState: ...
    def for_update(self, lot_id: str) -> Lot:
        """Locked until the transaction ends. Raises NotFound."""
        ...

    def filling(self, project_id: str, source: str) -> Lot | None:
        """That which takes tasks, locked."""
        ...

    def save(self, lot: Lot) -> None:
        """Of a locked lot."""
        ...

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[Lot]:
        """Newest first; `after` is a lot's id."""
        ...

    def put(self, lot_id: str, works: Mapping[str, str]) -> None:
        """works: the item of each."""
        ...

    def draw(self, work_ids: Sequence[str]) -> None:
        """The order of inspection."""
        ...

    def members(self, lot_id: str) -> list[Member]:
        """By place."""
        ...

    def order(self, lot_id: str) -> Order:
        """Of inspection; what it tells costs the same however large the lot is."""
        ...

    def waiting(self, lot_id: str, places: range, *, limit: int) -> tuple[list[str], bool]:
        """Works at these places whose answers wait and that QA has not looked at, by place; and whether there are
        waiting answers whose place is not noted, which are to be noted first."""
        ...

    def place(self, work_id: str) -> int | None:
        """In the order of inspection; None before it is drawn."""
        ...

    def note_places(self, lot_id: str) -> int:
        """Of answers that came while the order was drawn, or before; how many they were. Locks these answers without
        their works: the transaction must end with it."""
        ...

    def inspected(self, work_id: str, *, defect: bool) -> None:
        """What QA found; the first time counts."""
        ...

    def uninspected(self, work_id: str) -> bool:
        """QA has not looked at it, where it found no defect; whether that was so."""
        ...

    def set_void(self, work_id: str, *, void: bool) -> None: ...
    def recall(self, lot_id: str) -> None:
        """The answers that are in QA, from there."""
        ...

    def withdraw(self, lot_id: str) -> None:
        """The answers that became the truth without QA wait again."""
        ...

    def unfollowed(self, lot_id: str, *, limit: int) -> list[str]:
        """Works whose answers wait, or were recalled, by id."""
        ...

    def stirring(self) -> list[str]:
        """Lots of all projects that are not decided, or have answers which their verdict has not reached."""
        ...

    def counts(self, lot_ids: Sequence[str]) -> Mapping[str, Mapping[AnswerStanding, int]]:
        """Of the answers of each."""
        ...

    def voids(self, lot_ids: Sequence[str]) -> Mapping[str, int]:
        """How many works of each ended without an answer."""
        ...


class Agreements(Protocol):
    def add(self, agreement: WorkAgreement) -> None: ...
    def get(self, work_id: str, round_: int) -> WorkAgreement | None: ...
    def of_item(self, project_id: str, item_digest: str) -> WorkAgreement | None:
        """The newest."""
        ...

    def last(self, project_id: str, *, limit: int) -> list[WorkAgreement]:
        """Newest first."""
        ...

    def votes(self, project_id: str, *, limit: int) -> list[Mapping[str, str]]:
        """Of the last `limit` works: of each object, what each person called it."""
        ...


class Truths(Protocol):
    def add(self, truth: GroundTruth) -> None:
        """Raises Conflict unless its version is the item's next."""
        ...

    def add_all(self, given: Sequence[GroundTruth]) -> None:
        """The next versions of many items, each once, that the caller has read in this transaction and keeps others
        from changing. Raises Conflict where one is there already; the transaction is then spoilt."""
        ...

    def current(self, project_id: str, item_digest: str) -> GroundTruth | None: ...
    def current_of(self, project_id: str, digests: Sequence[str]) -> Mapping[str, GroundTruth]:
        """The newest of each of many items; items without truth are left out."""
        ...

    def versions(self, project_id: str, digests: Sequence[str]) -> Mapping[str, int]:
        """The newest of each item; items without truth are left out."""
        ...

    def items(self, project_id: str) -> Iterator[str]:
        """Digests of the items that have theirs, each once."""
        ...

    def all_current(self, project_id: str) -> Iterator[tuple[Item, GroundTruth]]:
        """Each item with its newest ground truth, in the order of the digests; without those whose image was dropped
        (`Items.drop`)."""
        ...

    def count_reviewed_since(self, project_id: str, moment: datetime | None) -> int:
        """Items whose truth people have made or changed after `moment`; None: ever."""
        ...

    def label_counts(self, project_id: str) -> Mapping[str, int]:
        """How many shapes have each label in those; labels without any are left out."""
        ...


class Reviews(Protocol):
    """What people have settled, as a feed for other programs."""

    def after(self, project_id: str, cursor: int, limit: int) -> ReviewsAfter:
        """At most `limit` behind the cursor; start with 0. Cursors are in the order of the commits: going on from
        `next` misses nothing and gives nothing twice. A transaction does not see its own here."""
        ...
