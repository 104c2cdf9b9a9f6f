"""Who is trusted: standings after golden items and by hand, what follows from them, and what reviewers may know."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from loop.domain.access import Token, reviews
from loop.domain.errors import AlreadySubmitted, Conflict, Invalid, NotFound, StaleLease
from loop.domain.policy.quality_rules import QualityPolicy, Standing
from loop.domain.ports import Clock, Event, Store, Transaction
from loop.domain.project import Project
from loop.domain.quality.golden import Decided, KnownStanding, Redo, Shared, checks_of
from loop.domain.quality.judging import JudgedCheck, JudgeQuality, judge_quality_of, judging_after
from loop.domain.quality.reviewer_quality import Quality, quality_of
from loop.domain.quality.standing import Check, StandingDecision, Vouching, queued_again, standing_after
from loop.domain.review import tasks as review
from loop.domain.review.lot import LotState
from loop.domain.review.qa import AnswerStanding
from loop.domain.review.tasks import QA_SEAT, Outcome, Submission, Task, TaskState
from loop.domain.stage import Stage
from loop.review import lots, qa
from loop.review.people import reopen_work

_MOST_CHECKS = 500  # golden items that are read of a person
_TOLD_WORKS = 100  # of those to be done anew, in the event
_AT_ONCE = 100  # works to be opened again, of a look
_ALWAYS = datetime.min.replace(tzinfo=UTC)
BY_GOLDEN = "golden items"
_Said = TypeVar("_Said", Decided, Shared)


def present_standing(known: KnownStanding | None, quality: QualityPolicy, *, judging: bool = False) -> Standing:
    """Who was never given one is new where people have to qualify; as who judges nobody has to."""
    if known is not None:
        return known.standing
    return Standing.NEW if quality.golden.qualification and not judging else Standing.QUALIFIED


def trained(known: KnownStanding | None, quality: QualityPolicy) -> bool:
    """Whether trusted answers are shown; what is said of a person comes before what is said of the project."""
    return quality.golden.training if known is None or known.training is None else known.training


@dataclass(frozen=True, slots=True)
class JudgingReport:
    """Of a person as who judges answers. known, decision: as of ReviewerReport. quality: of the last checks; None
    before the first."""

    standing: Standing
    known: KnownStanding | None
    decision: StandingDecision
    quality: JudgeQuality | None


@dataclass(frozen=True, slots=True)
class ReviewerReport:
    """known: where a standing was ever given. decision: what golden items say now. quality: of the last golden items;
    None before the first. shared: of who is paused, what rests on their answers among others' and nobody trusts since
    the last good golden item; it is not asked for again."""

    reviewer: str
    name: str
    standing: Standing
    known: KnownStanding | None
    decision: StandingDecision
    quality: Quality | None
    training: bool
    shared: tuple[Shared, ...]
    judging: JudgingReport


@dataclass(frozen=True, slots=True)
class Standings:
    store: Store
    clock: Clock

    def all(self, project_id: str) -> list[ReviewerReport]:
        """Of everybody who may review in the project, oldest token first."""
        with self.store.read() as tx:
            project = tx.projects.get(project_id)
            known = tx.standings.all(project_id)
            return [
                _report(tx, project, token.id, token.name, known.get(token.id)) for token in _reviewers(tx, project_id)
            ]

    def of(self, project_id: str, reviewer: str) -> ReviewerReport:
        """Raises NotFound for who may not review here."""
        with self.store.read() as tx:
            project = tx.projects.get(project_id)
            token = _reviewer(tx, project_id, reviewer)
            return _report(tx, project, token.id, token.name, tx.standings.get(project_id, token.id))

    def own(self, token: Token, project_id: str) -> ReviewerReport:
        """What a reviewer may know. For who cannot tell golden items from others it is as of the last midnight (UTC):
        figures that move with an answer would tell them."""
        with self.store.read() as tx:
            project = tx.projects.get(project_id)
            known = tx.standings.get(project_id, token.id)
            quality = project.policy.quality
            blind = not (present_standing(known, quality).waits or trained(known, quality))
            midnight = self.clock().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            before = midnight if blind else None
            return _report(tx, project, token.id, token.name, known, before=before, judged_before=midnight)

    def change(
        self,
        operator: Token,
        project_id: str,
        reviewer: str,
        *,
        standing: Standing | None = None,
        judging: Standing | None = None,
        reason: str = "",
        training: Mapping[str, bool | None] | None = None,
    ) -> ReviewerReport:
        """Give a reviewer a standing by hand, as who answers or (judging) as who judges, for a reason, or another mode
        of training (`{"training": None}`: as the project says). Raises NotFound, Invalid."""
        if (standing or judging) and not reason.strip():
            raise Invalid("a standing by hand needs a reason.", hint="Say why; it is kept, and the person is told.")
        with self.store.begin() as tx:
            project = tx.projects.get(project_id)
            token = _reviewer(tx, project_id, reviewer)
            tx.people.for_update(token.id)
            now = self.clock()
            known = tx.standings.get(project_id, token.id)
            if training is not None:
                known = replace(
                    known or _untouched(project, token.id, judging=False), training=training.get("training")
                )
                tx.standings.save(known)
            for given, judges in ((standing, False), (judging, True)):
                if given is not None:
                    _move(tx, project, token.id, given, operator.name, reason.strip(), now, judging=judges)
            return _report(tx, project, token.id, token.name, tx.standings.get(project_id, token.id))

    def redo(self) -> int:
        """Open again what paused people decided; how many were looked at. Stopped anywhere, the next call goes on."""
        with self.store.read() as tx:
            wanted = tx.standings.redos(limit=_AT_ONCE)
        for one in wanted:
            with self.store.begin() as tx:
                _redo(tx, one, self.clock())
        return len(wanted)


def reconsider(tx: Transaction, project: Project, reviewer: str, now: datetime, *, judging: bool = False) -> None:
    """After a golden item, or a check of a verdict: the standing that follows, with all that follows from it. The
    person's row is locked."""
    known = tx.standings.get(project.id, reviewer, judging=judging)
    decision = (_judging_decision if judging else _decision)(tx, project, reviewer, known)
    if decision.standing is not present_standing(known, project.policy.quality, judging=judging):
        _move(tx, project, reviewer, decision.standing, BY_GOLDEN, decision.reasons[0].detail, now, judging=judging)


def why_alone(tx: Transaction, project: Project, reviewer: str, known: KnownStanding | None, found: int) -> str:
    """What somebody is told who gets golden items alone. found: how many this lease gave."""
    decision = _decision(tx, project, reviewer, known)
    paused = present_standing(known, project.policy.quality) is Standing.PAUSED
    state = f"You are paused: {known.why}." if paused and known else "You are not qualified yet."
    fewest = "some" if decision.more is None else f"about {max(decision.more, 1)}"
    if found:
        return f"{state} Until you are qualified you get items whose answer is known, {fewest} more."
    return (
        f"{state} No item whose answer is known is left for you: "
        f"an operator has to mark {fewest} more (askance golden add)."
    )


def why_no_judge(tx: Transaction, project: Project, reviewer: str, known: KnownStanding) -> str:
    """What somebody is told who is warned as a judge of answers, or gets none to judge."""
    if known.standing is Standing.WARNED:
        return f"You are warned as who checks the answers of others: {known.why}."
    if not known.standing.waits:
        return ""
    more = _judging_decision(tx, project, reviewer, known).more
    fewest = "some" if more is None else f"about {max(more, 1)}"
    return (
        f"You check no answers of others: {known.why}. "
        f"Until you may again you get answers whose value is known, {fewest} more."
    )


def _move(
    tx: Transaction,
    project: Project,
    reviewer: str,
    standing: Standing,
    actor: str,
    why: str,
    now: datetime,
    *,
    judging: bool,
) -> None:
    known = tx.standings.get(project.id, reviewer, judging=judging) or _untouched(project, reviewer, judging=judging)
    tx.standings.save(replace(known, standing=standing, since=now, actor=actor, why=why))
    body: dict[str, object] = {"reviewer": reviewer, "before": known.standing.value, "why": why}
    if standing is Standing.PAUSED:
        _free_held(tx, project, reviewer, now, judging=judging)
        again = _asked_again(tx, project, reviewer, now, judging=judging)
        works = [one.work_id for one in again]
        body |= {"works": works[:_TOLD_WORKS], "count": len(works), "lots": _decided_lots(again)[:_TOLD_WORKS]}
        shared = [] if judging else [one.work_id for one in _shared(tx, project, reviewer, now)]
        body |= {"shared": shared[:_TOLD_WORKS], "shared_count": len(shared)}
    who = "judge" if judging else "reviewer"
    tx.events.add(Event(f"{who}.{standing}", project.id, actor, body, now))


def _free_held(tx: Transaction, project: Project, reviewer: str, now: datetime, *, judging: bool) -> None:
    """What a paused person holds goes back to the queue, but for golden items; of a judge what QA is to look at."""
    for task in tx.tasks.held_by(project.id, reviewer, now):
        if task.stage is Stage.QA if judging else task.stage is not Stage.GOLDEN:
            try:
                tx.tasks.save(review.released(task, owner=reviewer, epoch=task.epoch, now=now))
            except (AlreadySubmitted, StaleLease):
                continue  # answered at this moment, before the pause


def _asked_again(tx: Transaction, project: Project, reviewer: str, now: datetime, *, judging: bool) -> list[Decided]:
    """Works that this person decided since the last good golden item: by an answer alone, a verdict of QA, a skip. Of a
    judge what was said in QA, since the last wrong answer that was caught."""
    said = [one for one in tx.standings.decided(project.id, reviewer, now) if one.judging or not judging]
    checks = _judged(tx, project, reviewer) if judging else _checks(tx, project, reviewer)
    again = _doubtful(said, checks, project, now)
    tx.standings.ask_again(
        [
            Redo(work_id=one.work_id, project_id=project.id, submission_id=one.submission_id, reviewer=reviewer)
            for one in again
        ]
    )
    return again


def _shared(tx: Transaction, project: Project, reviewer: str, paused_at: datetime) -> list[Shared]:
    shared = tx.standings.shared(project.id, reviewer, paused_at)
    return _doubtful(shared, _checks(tx, project, reviewer), project, paused_at)


def _doubtful(said: Sequence[_Said], checks: Sequence[Vouching], project: Project, paused_at: datetime) -> list[_Said]:
    """Of what a paused person said, that which no check vouches for, in its order."""
    found = {one.submission_id: one for one in said}
    names = queued_again(
        {submission: one.created_at for submission, one in found.items()},
        checks,
        paused_at=paused_at,
        rules=project.policy.quality.standing,
    )
    return [found[name] for name in names]


def _decided_lots(again: Sequence[Decided]) -> list[dict[str, object]]:
    """Those whose verdict was there already, which rested on such answers: an operator may think otherwise of it."""
    counts = Counter((one.lot_id, one.lot_state) for one in again if one.lot_state is not None)
    return [
        {"lot_id": lot_id, "state": state.value, "answers": count}
        for (lot_id, state), count in counts.items()
        if state.decided
    ]


def _redo(tx: Transaction, wanted: Redo, now: datetime) -> None:
    """Only where what was said still decides: who did it anew meanwhile need not do it again."""
    said = next(one for one in tx.submissions.of_work(wanted.work_id) if one.id == wanted.submission_id)
    if said.outcome is Outcome.ACCEPTED:
        _look_again(tx, said, now)
    else:
        work = tx.tasks.work_for_update(wanted.work_id)
        decides = _still_ended if said.outcome is Outcome.SKIPPED else _still_stands
        if said.round == work[0].round and decides(tx, said, work, now):
            reopen_work(tx, work, "service", now)
    tx.standings.done_again(wanted.submission_id)


def _look_again(tx: Transaction, said: Submission, now: datetime) -> None:
    """A verdict that let an answer stand is taken back: QA asks another person, and the lot, if there is one, does not
    count it. The truth stays what it is until then."""
    lot_id = tx.tasks.get(said.task_id).lot_id
    lot = None if lot_id is None else tx.lots.for_update(lot_id)  # before its works
    work = tx.tasks.work_for_update(said.work_id)
    held = tx.held_answers.find(said.work_id)
    if said.round != work[0].round or held is None or not _in_truth(tx, said):
        return
    tx.submissions.settle(said.id, settles=False)
    if lot is not None:
        lots.look_again(tx, lot, said.work_id, now)
    qa.call(tx, tx.projects.get(said.project_id), work, held, now)


def _in_truth(tx: Transaction, said: Submission) -> bool:
    truth = tx.truths.current(said.project_id, said.item_digest)
    return truth is not None and said.id in truth.submission_ids


def _still_ended(tx: Transaction, said: Submission, work: Sequence[Task], now: datetime) -> bool:
    """By that skip; no truth came from elsewhere since. One that is of this work is of an earlier round, whatever the
    clock says, which may have gone back."""
    skipped = next(task for task in work if task.id == said.task_id)
    truth = tx.truths.current(said.project_id, said.item_digest)
    own = {one.id for one in tx.submissions.of_work(said.work_id)}
    known = truth is not None and truth.created_at > said.created_at and own.isdisjoint(truth.submission_ids)
    return skipped.state is TaskState.SKIPPED and skipped.owner == said.reviewer and not known


def _still_stands(tx: Transaction, said: Submission, work: Sequence[Task], now: datetime) -> bool:
    """As the truth, or on its way there with a lot: before its verdict, or let through by it. What somebody looks at,
    or is to look at, is left to QA."""
    if not any(task.finished for task in work):
        return False
    if _in_truth(tx, said):
        return True
    held = tx.held_answers.find(said.work_id)
    if held is None or held.lot_id is None or held.standing not in (AnswerStanding.WAITING, AnswerStanding.RECALLED):
        return False
    looked_at = any(task.seat == QA_SEAT and not task.finished and not review.is_leasable(task, now) for task in work)
    return tx.lots.state(held.lot_id) is not LotState.REJECTED and not looked_at


def _untouched(project: Project, reviewer: str, *, judging: bool) -> KnownStanding:
    return KnownStanding(
        project_id=project.id,
        reviewer=reviewer,
        standing=present_standing(None, project.policy.quality, judging=judging),
        since=_ALWAYS,
        actor=BY_GOLDEN,
        why="",
        judging=judging,
    )


def _decision(
    tx: Transaction, project: Project, reviewer: str, known: KnownStanding | None, before: datetime | None = None
) -> StandingDecision:
    quality = project.policy.quality
    return standing_after(
        present_standing(known, quality),
        _checks(tx, project, reviewer, quality.standing.window, before),
        since=known.since if known else _ALWAYS,
        rules=quality.standing,
    )


def _judging_decision(
    tx: Transaction, project: Project, reviewer: str, known: KnownStanding | None, before: datetime | None = None
) -> StandingDecision:
    quality = project.policy.quality
    return judging_after(
        present_standing(known, quality, judging=True),
        _judged(tx, project, reviewer, quality.standing.window, before),
        since=known.since if known else _ALWAYS,
        rules=quality.standing,
    )


def _judged(
    tx: Transaction, project: Project, reviewer: str, limit: int = _MOST_CHECKS, before: datetime | None = None
) -> list[JudgedCheck]:
    checks = tx.golden.judged(project.id, reviewer, limit=limit)
    return [check for check in checks if before is None or check.at < before]


def _judging_report(tx: Transaction, project: Project, reviewer: str, before: datetime | None) -> JudgingReport:
    known = tx.standings.get(project.id, reviewer, judging=True)
    if present_standing(known, project.policy.quality, judging=True).waits:
        before = None  # all that there is to judge are checks then
    checks = _judged(tx, project, reviewer, project.policy.quality.standing.window, before)
    return JudgingReport(
        standing=present_standing(known, project.policy.quality, judging=True),
        known=known,
        decision=_judging_decision(tx, project, reviewer, known, before),
        quality=judge_quality_of(checks) if checks else None,
    )


def _checks(
    tx: Transaction, project: Project, reviewer: str, limit: int = _MOST_CHECKS, before: datetime | None = None
) -> list[Check]:
    checks = checks_of(tx.golden.scored(project.id, reviewer, limit=limit), project.recipe)
    return [check for check in checks if before is None or check.at < before]


def _report(
    tx: Transaction,
    project: Project,
    reviewer: str,
    name: str,
    known: KnownStanding | None,
    before: datetime | None = None,
    judged_before: datetime | None = None,
) -> ReviewerReport:
    quality = project.policy.quality
    checks = _checks(tx, project, reviewer, quality.standing.window, before)
    standing = present_standing(known, quality)
    shared = _shared(tx, project, reviewer, known.since) if known and standing is Standing.PAUSED else ()
    return ReviewerReport(
        reviewer=reviewer,
        name=name,
        standing=standing,
        known=known,
        decision=_decision(tx, project, reviewer, known, before),
        quality=quality_of([check.score for check in checks]) if checks else None,
        training=trained(known, quality),
        shared=tuple(shared),
        judging=_judging_report(tx, project, reviewer, judged_before),
    )


def _reviewers(tx: Transaction, project_id: str) -> list[Token]:
    return [token for token in tx.tokens.all() if reviews(token, project_id)]


def _reviewer(tx: Transaction, project_id: str, reviewer: str) -> Token:
    """By the id of the token, or by a name that is one person's."""
    found = [token for token in _reviewers(tx, project_id) if reviewer in (token.id, token.name)]
    if len(found) > 1:
        ids = ", ".join(token.id for token in found)
        raise Conflict(f"{len(found)} reviewers are called {reviewer!r}.", hint=f"Name the id: {ids}.")
    if not found:
        raise NotFound(
            f"there is no reviewer {reviewer!r} in {project_id!r}.",
            hint="See askance reviewers list.",
            reviewer=reviewer,
            project=project_id,
        )
    return found[0]
