"""Answers from Label Studio: each goes the way of every answer, under the epoch that its task was sent with.

What was taken is kept with the number of the annotation and a digest of what it said. A process that dies between the
submission and that finds the same submission when it sends it again, since the desk answers a repeated submission with
the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from loop.domain.access import Permission, Token, require
from loop.domain.errors import AlreadySubmitted, AskanceError, Conflict, Invalid, NotFound, RulesBroken, StaleLease
from loop.domain.outgoing.label_studio import (
    BRIDGE,
    LIVE,
    SKIPPED_THERE,
    Annotation,
    Link,
    LinkState,
    RemoteTask,
    What,
    taken,
    the_answer,
)
from loop.domain.ports import Clock, LabelStudio, Store, Transaction
from loop.domain.recipes.rules import require_no_errors
from loop.domain.review import tasks as review
from loop.domain.review.tasks import Submission
from loop.domain.truth import Shape
from loop.exchange.label_studio import answer_read
from loop.label_studio.push import known_author
from loop.review.desk import Desk
from loop.review.people import reopen_work
from loop.review.subjects import subject_of

AT_ONCE = 50  # tasks that one call looks at, each by calls of its own
_AFTER = "Correct it in Label Studio, and pull again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """remote: the task there. why: "" where there is nothing to say."""

    what: What
    place: int
    remote: int | None
    task_id: str
    author: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Pulled:
    """next: `after` of the next call; None where this was the last."""

    told: tuple[Told, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class _Cursor:
    """place, page: what is looked at next. behind: number of the last task of the page before."""

    place: int
    page: int = 1
    behind: int = 0

    def __str__(self) -> str:
        return f"{self.place}.{self.page}.{self.behind}"


@dataclass(frozen=True, slots=True)
class LabelStudioPull:
    """hold: as of the push; it begins anew when a pull finds a task waiting, and half of it is over."""

    store: Store
    desk: Desk
    server: LabelStudio
    hold: timedelta
    clock: Clock

    def pull(self, operator: Token, project_id: str, *, after: str | None = None, take_edits: bool = False) -> Pulled:
        """What a page of one of the project's projects there says; again with `next` until it is None. take_edits: an
        answer that was changed there after it was taken becomes the next version here."""
        require(operator, Permission.OPERATE, project_id)
        with self.store.read() as tx:
            tx.projects.get(project_id)
            places = sorted({link.place for link in tx.label_studio.of_project(project_id, server=self.server.address)})
        if not places:
            return Pulled((), None)
        cursor = _Cursor(places[0]) if after is None else _cursor(after)
        try:
            listed, last = self.server.tasks(cursor.place, cursor.page)
        except NotFound as error:  # what it holds is not given up: the token may be another person's
            why = f"{error.detail} {error.hint}"
            told = Told(what=What.PROBLEM, place=cursor.place, remote=None, task_id="", why=why)
            return Pulled((told,), _following(cursor, places, None))
        with self.store.read() as tx:
            links = tx.label_studio.of_project(project_id, server=self.server.address, place=cursor.place)
        by_key = {link.id: link for link in links}
        found: list[Told] = []
        for remote in listed:
            if link := by_key.get(remote.key):
                found += self._looked_at(operator, link, remote, take_edits)
        upto = None if last else listed[-1].id
        missing = [link for link in links if _should_be_there(link, listed, cursor.behind, upto)]
        found += [one for link in missing[:AT_ONCE] for one in self._missing(link)]
        return Pulled(tuple(found), _following(cursor, places, upto))

    def release(self, operator: Token, project_id: str, task_ids: Sequence[str] | None) -> tuple[list[Told], bool]:
        """Call tasks back: they are deleted there, and in the queue here again. None: all that wait there. Also says
        whether there are more than one call does. What has an answer there stays, and is told."""
        require(operator, Permission.OPERATE, project_id)
        with self.store.read() as tx:
            live = tx.label_studio.of_project(project_id, server=self.server.address, states=LIVE)
        wanted = [link for link in live if task_ids is None or link.task_id in task_ids]
        answered = [link for link in wanted if link.state is LinkState.OUT and link.problem]
        fresh = wanted if task_ids is not None else [link for link in wanted if link not in answered]
        return [self._released(link) for link in fresh[:AT_ONCE]], len(fresh) > AT_ONCE

    # --- one task ---------------------------------------------------------------------------------

    def _looked_at(self, operator: Token, link: Link, remote: RemoteTask, take_edits: bool) -> list[Told]:
        if link.state is LinkState.SENDING:
            found = self._adopted(link, remote)
            if found is None:
                return []
            link = found
        if link.remote not in (None, remote.id):
            return self._copy(link, remote)
        if link.state is LinkState.OUT and remote.answers == 0:
            return self._waits(link)
        if link.seen == remote.changed or remote.answers == 0:
            return []
        annotation = the_answer(self.server.annotations(remote.id) or [])
        if annotation is None:
            return []
        if link.state in (LinkState.ANSWERED, LinkState.SKIPPED):
            return self._changed(operator, link, remote, annotation, take_edits)
        if link.state is LinkState.OUT:
            return [self._taken(self._held(link) or link, remote, annotation)]
        return [self._late(link, remote, annotation, f"The task was {link.state} here before.")]

    def _adopted(self, given: Link, remote: RemoteTask) -> Link | None:
        """Who made it there died before it could say so; None while it may still be at it."""
        now = self.clock()
        with self.store.begin() as tx:
            link = tx.label_studio.for_update(given.id)
            if link.state is not LinkState.SENDING:
                return link
            if link.claimed_until is not None and now < link.claimed_until:
                return None
            link = replace(link, state=LinkState.OUT, remote=remote.id, claimed_until=None, problem="")
            tx.label_studio.save(link)
        return link

    def _taken(self, link: Link, remote: RemoteTask, annotation: Annotation) -> Told:
        try:
            submission = self._submitted(link, annotation)
        except (AlreadySubmitted, StaleLease) as error:
            return self._too_late(link, remote, annotation, error)
        except (Invalid, Conflict) as error:
            return _told(What.PROBLEM, link, remote, annotation, self._kept(link, problem=_why(error)).problem)
        self._save(link, taken(link, annotation, submission.id, remote.changed))
        return _told(What.SKIPPED if annotation.cancelled else What.ANSWERED, link, remote, annotation)

    def _submitted(self, link: Link, annotation: Annotation) -> Submission:
        """Raises what the desk does, and Invalid for what an answer here has no place for."""
        now = self.clock()
        shapes = () if annotation.cancelled else self._shapes(link, annotation)
        with self.store.begin() as tx:
            author = known_author(tx, annotation.author, now)
        task_id, epoch, seconds = link.task_id, link.epoch, annotation.seconds
        if annotation.cancelled:
            return self.desk.skip(author, task_id, epoch, SKIPPED_THERE, active_seconds=seconds, held_by=BRIDGE)
        return self.desk.submit(author, task_id, epoch, shapes, "", active_seconds=seconds, held_by=BRIDGE)

    def _shapes(self, link: Link, annotation: Annotation) -> tuple[Shape, ...]:
        with self.store.read() as tx:
            task = tx.tasks.get(link.task_id)
            item = tx.items.get(link.project_id, task.item_digest)
            recipe = tx.projects.recipe(link.project_id, task.recipe_version)
        shapes, lost = answer_read(annotation.result, recipe, item.width, item.height)
        if lost:
            raise Invalid(f"not all of it can be kept: {'; '.join(lost)}.", hint=_AFTER)
        return shapes

    def _too_late(self, link: Link, remote: RemoteTask, annotation: Annotation, error: Conflict) -> Told:
        """Unless the answer under this epoch is one of Label Studio's: of a pull that died before it kept that, and
        that was changed there since."""
        with self.store.read() as tx:
            ours = [
                one
                for one in tx.submissions.of_work(link.work_id)
                if (one.task_id, one.epoch) == (link.task_id, link.epoch) and one.reviewer.startswith(BRIDGE)
            ]
        if ours:
            of_skip = ours[0].outcome is review.Outcome.SKIPPED
            state = LinkState.SKIPPED if of_skip else LinkState.ANSWERED
            problem = _CHANGED.format(author=annotation.author)
            self._save(link, replace(link, state=state, submission_id=ours[0].id, problem=problem))
            return _told(What.CHANGED, link, remote, annotation, problem)
        return self._late(link, remote, annotation, error.detail)

    def _late(self, link: Link, remote: RemoteTask, annotation: Annotation, why: str) -> Told:
        state = link.state if link.state is LinkState.RELEASED else LinkState.REFUSED
        problem = f"{why} Its answer there does not count; delete task {remote.id} in Label Studio."
        self._save(link, replace(link, state=state, seen=remote.changed, problem=problem))
        return _told(What.LATE, link, remote, annotation, problem)

    def _waits(self, link: Link) -> list[Told]:
        """Nobody has answered it there: its hold begins anew. Where it was lost, nothing that comes back can count."""
        if link.problem:  # of an answer that is not there any more
            link = self._kept(link, problem="")
        held = self._held(link)
        if held is not None:
            return []
        why = f"The task went on here. Delete task {link.remote} in Label Studio: no answer to it can count."
        self._save(link, replace(link, state=LinkState.REFUSED, problem=why))
        return [Told(what=What.LATE, place=link.place, remote=link.remote, task_id=link.task_id, why=why)]

    def _held(self, given: Link) -> Link | None:
        """The link of a task that is held for long enough still, or anew; None where somebody else has it, or had it.
        Where the hold ran out and nobody took the task, it is held under another epoch, so that no answer is lost."""
        now, seconds = self.clock(), int(self.hold.total_seconds())
        with self.store.read() as tx:
            task = tx.tasks.get(given.task_id)
        if task.epoch == given.epoch and task.expires_at is not None and task.expires_at - now > self.hold / 2:
            return given
        with self.store.begin() as tx:
            link, task = tx.label_studio.for_update(given.id), tx.tasks.for_update(given.task_id)
            if task.finished or (task.owner, task.epoch) != (BRIDGE, link.epoch):
                return None
            if review.is_leasable(task, now):
                task = review.leased(task, owner=BRIDGE, now=now, seconds=seconds)
            else:
                task = review.renewed(task, owner=BRIDGE, epoch=task.epoch, now=now, seconds=seconds)
            tx.tasks.save(task)
            link = replace(link, epoch=task.epoch)
            tx.label_studio.save(link)
        return link

    def _copy(self, link: Link, remote: RemoteTask) -> list[Told]:
        why = f"It is a copy of task {link.remote}, which counts."
        if remote.answers == 0:
            self.server.delete(remote.id)
            why += " It was deleted."
        return [Told(what=What.COPY, place=link.place, remote=remote.id, task_id=link.task_id, why=why)]

    def _missing(self, link: Link) -> list[Told]:
        """What should be on a page and was not: it may have been made after the page was read."""
        if link.remote is None or self.server.annotations(link.remote) is not None:
            return []
        why = "It was deleted in Label Studio; people get it here again."
        self._freed(link)
        return [Told(what=What.GONE, place=link.place, remote=link.remote, task_id=link.task_id, why=why)]

    # --- what was changed after it was taken --------------------------------------------------------

    def _changed(
        self, operator: Token, link: Link, remote: RemoteTask, annotation: Annotation, take_edits: bool
    ) -> list[Told]:
        if (annotation.id, annotation.digest) == (link.annotation, link.answer):
            self._kept(link, seen=remote.changed, problem="")
            return []
        why = _CHANGED.format(author=annotation.author)
        if take_edits:
            try:
                return [self._taken(self._opened_for(operator, link, annotation), remote, annotation)]
            except (Invalid, Conflict) as error:
                why = _why(error)
        return [_told(What.CHANGED, link, remote, annotation, self._kept(link, problem=why).problem)]

    def _opened_for(self, operator: Token, link: Link, annotation: Annotation) -> Link:
        """The work once more, held for what is there now. Raises Conflict where others have a say in it, Invalid where
        what is there could not be taken."""
        if annotation.cancelled:
            raise Conflict("it was skipped there after it was answered.", hint="Re-open it here: askance reopen TASK.")
        shapes, now = self._shapes(link, annotation), self.clock()
        with self.store.begin() as tx:
            work = tx.tasks.work_for_update(link.task_id)
            task = next(one for one in work if one.id == link.task_id)
            _require_alone(tx, task, link)
            recipe = tx.projects.recipe(task.project_id, task.recipe_version)
            require_no_errors(subject_of(tx, task).judged(recipe, shapes).issues(recipe))
            opened = reopen_work(tx, work, operator.name, now)
            seat = next(one for one in opened if one.id == link.task_id)
            held = review.leased(seat, owner=BRIDGE, now=now, seconds=int(self.hold.total_seconds()))
            tx.tasks.save(held)
            present = tx.label_studio.for_update(link.id)
            anew = replace(
                present,
                state=LinkState.OUT,
                round=held.round,
                epoch=held.epoch,
                submission_id=None,
                annotation=None,
                answer="",
                seen="",
                problem="",
            )
            tx.label_studio.save(anew)
        return anew

    # --- calling back -----------------------------------------------------------------------------

    def _released(self, link: Link) -> Told:
        there = [] if link.remote is None else [link.remote]
        if link.state is LinkState.SENDING:
            there = self.server.find(link.place, link.id)
        answered = [remote for remote in there if self.server.annotations(remote)]
        remote = next(iter(there), None)
        told = Told(what=What.RELEASED, place=link.place, remote=remote, task_id=link.task_id)
        if answered:
            why = "It has an answer there. Pull first; what cannot be taken, delete in Label Studio."
            return replace(told, what=What.PROBLEM, why=self._kept(link, problem=why).problem)
        self._freed(link)
        for one in there:
            self.server.delete(one)
        return told

    def _freed(self, given: Link) -> None:
        """Before it is deleted there: an answer that comes between counts no more, and is told."""
        now = self.clock()
        with self.store.begin() as tx:
            link = tx.label_studio.for_update(given.id)
            task = tx.tasks.for_update(link.task_id)
            if link.state not in LIVE:
                return
            tx.label_studio.save(replace(link, state=LinkState.RELEASED, claimed_until=None, problem=""))
            if task.epoch == link.epoch and task.owner == BRIDGE and not review.is_leasable(task, now):
                tx.tasks.save(review.released(task, owner=BRIDGE, epoch=link.epoch, now=now))

    def _kept(self, link: Link, *, problem: str, seen: str | None = None) -> Link:
        return self._save(link, replace(link, problem=problem, seen=link.seen if seen is None else seen))

    def _save(self, before: Link, after: Link) -> Link:
        """Unless another pull or push has gone on with the link meanwhile, which then counts."""
        with self.store.begin() as tx:
            present = tx.label_studio.for_update(before.id)
            if (present.state, present.epoch) == (before.state, before.epoch):
                tx.label_studio.save(after)
        return after


_CHANGED = (
    "{author} changed it, or answered it anew, after it was taken. Pull with take_edits (--take-edits) to make that "
    "the next version."
)


def _require_alone(tx: Transaction, task: review.Task, link: Link) -> None:
    """Raises Conflict where the work was opened anew since, or is of several people."""
    said = [one for one in tx.submissions.of_work(task.work_id) if one.round == task.round]
    if task.people > 1 or [one.id for one in said] != [link.submission_id]:
        raise Conflict(
            "others have a say in this work, so that it is not opened again for one of them.",
            hint="Re-open it here where that is meant: askance reopen TASK.",
        )


def _told(what: What, link: Link, remote: RemoteTask, annotation: Annotation, why: str = "") -> Told:
    return Told(what=what, place=link.place, remote=remote.id, task_id=link.task_id, author=annotation.author, why=why)


def _why(error: AskanceError) -> str:
    if isinstance(error, RulesBroken):
        said = [str(issue.get("message")) for issue in error.ids.get("issues", ()) if isinstance(issue, dict)]  # type: ignore[attr-defined]
        return f"It breaks the recipe's rules: {'; '.join(said) or error.detail}. {_AFTER}"
    return f"{error.detail} {error.hint if isinstance(error, Conflict) else _AFTER}"


def _should_be_there(link: Link, listed: Sequence[RemoteTask], behind: int, upto: int | None) -> bool:
    """Whether it waits there by our account, in the stretch of numbers of a page, and is not on it."""
    number = link.remote
    if link.state is not LinkState.OUT or number is None or number <= behind or (upto is not None and number > upto):
        return False
    return all(remote.id != number for remote in listed)


def _following(cursor: _Cursor, places: Sequence[int], upto: int | None) -> str | None:
    if upto is not None:
        return str(_Cursor(cursor.place, cursor.page + 1, upto))
    later = [place for place in places if place > cursor.place]
    return str(_Cursor(later[0])) if later else None


def _cursor(text: str) -> _Cursor:
    parts = text.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise Invalid(f"a pull cannot go on after {text[:40]!r}.", hint="Take `after` from the answer before.")
    return _Cursor(*map(int, parts))
