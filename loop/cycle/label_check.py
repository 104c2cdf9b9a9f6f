"""Before a training: labels that are doubted go back to people, and it does without them until they have answered."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol

from loop.cycle.label_errors import Doubt, DoubtfulItem, LabelErrors
from loop.domain.cycle import Cycle
from loop.domain.errors import AskanceError, Conflict
from loop.domain.item import Split
from loop.domain.policy.label_rules import room, still_held
from loop.domain.ports import Blobs, Store
from training.snapshot import Snapshot

log = logging.getLogger("askance.cycle")

DOUBTED = "people look at their labels again"  # why images are left out of a snapshot
_KEPT = "label_check"  # among what a cycle keeps of its evaluation
_LOOKED_BACK = 50  # cycles
_NAMED = 3  # doubts of one item, in words


class Asks(Protocol):
    """As `loop.review.asking.Asking`."""

    def again(self, actor: str, project_id: str, digest: str, *, reason: str) -> None:
        """Raises Conflict where people cannot be asked for it."""
        ...

    def with_people(self, project_id: str, digests: Sequence[str]) -> frozenset[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubted:
    """One item that this training was to do without. why: what speaks against its labels, in words. asked: whether
    people could be asked for it; held: whether the training did without."""

    item_digest: str
    score: float
    why: str
    asked: bool
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCheck:
    """What was found before one training. compared: items with truth that a model could speak of, unseen: the others.
    doubted: the worst first. waiting: items that earlier trainings asked for and nobody has answered. asked: every item
    that was ever asked for, by digest, with the version of its truth that was doubted."""

    compared: int
    unseen: int
    doubted: tuple[Doubted, ...]
    waiting: tuple[str, ...]
    asked: Mapping[str, int] = field(default_factory=dict)

    @property
    def held(self) -> list[str]:
        """Items that the training does without."""
        return [*self.waiting, *(one.item_digest for one in self.doubted if one.held)]

    def released(self) -> "LabelCheck":
        """People are asked all the same; the training does with them."""
        return replace(self, doubted=tuple(replace(one, held=False) for one in self.doubted), waiting=())

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def read(cls, content: bytes) -> "LabelCheck":
        body = json.loads(content)
        doubted = tuple(Doubted(**one) for one in body.pop("doubted"))
        return cls(**{**body, "doubted": doubted, "waiting": tuple(body["waiting"])})


def label_check_of(cycle: Cycle, get: Callable[[str], bytes]) -> LabelCheck | None:
    """None where the cycle asked for none, or what it found cannot be read any more."""
    kept = cycle.evaluation.get(_KEPT)
    if not isinstance(kept, Mapping):
        return None
    try:
        return LabelCheck.read(get(str(kept["kept"])))
    except AskanceError as error:
        log.warning("what %s found of its labels cannot be read: %s", cycle.id, error)
        return None


@dataclass(frozen=True, slots=True)
class LabelChecks:
    store: Store
    blobs: Blobs
    errors: LabelErrors
    asks: Asks

    def before_training(self, cycle: Cycle, snapshot: Snapshot) -> tuple[Snapshot, dict[str, object]]:
        """The snapshot without the items that people look at again, and what the cycle keeps of that. Where neither the
        policy nor the cycle asks for it, the same snapshot and nothing.

        Only images to train on are asked for. Each is asked for once: what people answered then stands, whatever models
        say later. A step that is done again finds the same items with people, and holds them.
        """
        with self.store.read() as tx:
            usual = tx.projects.get(cycle.project_id).policy.quality.labels.recheck
        wanted = cycle.recipe.get("recheck", usual)
        if not isinstance(wanted, int) or not wanted:
            return snapshot, {}
        check = self._checked(cycle, snapshot, wanted)
        held = snapshot.among(check.held)
        left = snapshot.only(~held, {DOUBTED: int(held.sum())})
        if not any(left.counts()[Split.TRAIN].boxes.values()):
            left, check = snapshot, check.released()  # doubtful boxes teach more than none
        told = {
            "asked": sum(one.asked for one in check.doubted),
            "held": len(check.held),
            "compared": check.compared,
            "unseen": check.unseen,
        }
        log.info("labels: %(asked)d items go back to people, training does without %(held)d", told)
        return left, {_KEPT: {**told, "kept": self.blobs.put(check.to_bytes())}}

    def _checked(self, cycle: Cycle, snapshot: Snapshot, wanted: int) -> LabelCheck:
        entries = snapshot.of_split(Split.TRAIN)
        asked = self._asked_before(cycle)
        versions = {entry.digest: entry.truth_version for entry in entries.only(asked)}
        waiting = still_held(asked, versions, self.asks.with_people(cycle.project_id, list(versions)))
        most = room(wanted, len(entries), waiting)
        found = self.errors.found(
            cycle.project_id,
            limit=most,
            wanted=lambda digest: digest not in asked and snapshot.trains_on(digest),
        )
        doubted = tuple(self._asked(cycle, one) for one in found.items)
        given = {
            one.item_digest: one.truth_version for one, told in zip(found.items, doubted, strict=True) if told.held
        }
        return LabelCheck(
            compared=found.compared,
            unseen=found.unseen,
            doubted=doubted,
            waiting=tuple(waiting),
            asked={**asked, **given},
        )

    def _asked(self, cycle: Cycle, one: DoubtfulItem) -> Doubted:
        """Asked, too, where people are asked for it already: for another reason, or since this step is done again."""
        why = "; ".join(_in_words(doubt) for doubt in one.doubts[:_NAMED])
        asked = True
        try:
            self.asks.again(
                cycle.actor,
                cycle.project_id,
                one.item_digest,
                reason=f"its labels are doubted before a training: {why}",
            )
        except Conflict:
            asked = bool(self.asks.with_people(cycle.project_id, [one.item_digest]))
        return Doubted(item_digest=one.item_digest, score=one.score, why=why, asked=asked, held=asked)

    def _asked_before(self, cycle: Cycle) -> Mapping[str, int]:
        """By the newest cycle that kept it."""
        with self.store.read() as tx:
            earlier = tx.cycles.page(cycle.project_id, after=cycle.id, limit=_LOOKED_BACK)
        found = (label_check_of(one, self.blobs.get) for one in earlier)
        return next((one.asked for one in found if one is not None), {})


def _in_words(doubt: Doubt) -> str:
    there = "no box" if doubt.shape is None else f"a box of {doubt.shape.label}"
    seen = "nothing" if doubt.detection is None else f"{doubt.detection.label} ({doubt.detection.score:.2f})"
    return f"{doubt.flaw}: {there}, where the model sees {seen}"
