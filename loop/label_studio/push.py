"""Tasks for Label Studio: chosen, held here, and made there with their images and what the model says.

A task is held first, in one transaction with its link; then it is made there; then its number is kept. A process that
dies between leaves a link that is SENDING: whoever goes on looks there for its key before making it again, and not
before the one that began can no longer be at it.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

from loop.domain.access import Permission, Token, require
from loop.domain.errors import AlreadySubmitted, Conflict, Invalid, NotFound, StaleLease
from loop.domain.identity import new_id
from loop.domain.items.queries import Sort
from loop.domain.outgoing.label_studio import (
    BRIDGE,
    KEY,
    LIVE,
    Link,
    LinkState,
    author_of,
    checked_title,
    may_be_sent,
    require_controls,
)
from loop.domain.policy.queue_rules import lane_of
from loop.domain.policy.workflow import Proposals
from loop.domain.ports import Blobs, Clock, Entropy, Event, LabelStudio, Store, Transaction
from loop.domain.prediction import Detection
from loop.domain.project import Project
from loop.domain.recipes.recipe import Recipe
from loop.domain.review import tasks as review
from loop.domain.review.people import Person
from loop.domain.review.tasks import Task
from loop.domain.stage import Stage
from loop.domain.truth import Geometry
from loop.exchange.label_studio import HOLDS, controls_of, prediction, recipe_config
from loop.items.lists import asked, catch_up
from loop.review.assignments import Assignment, assignment, drawn

AT_ONCE = 20  # tasks that one call sends: each takes some tenths of a second
_LOOKED_AT = 100
_SUFFIX = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """title: of the project there. count: so many tasks shall wait there for an answer, with those that do already. Of
    a selection, of the items that meet a query, or else the most urgent; of one stage, or of any that may go."""

    title: str
    count: int
    selection: str | None = None
    query: str | None = None
    stage: Stage | None = None

    def __post_init__(self) -> None:
        checked_title(self.title)
        if self.selection is not None and self.query is not None:
            raise Invalid("both a selection and a query are given.", hint="Give one of them.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What one call did. problems: what is not there, with why. waiting: how many wait there for an answer. in_hand:
    how many somebody else is sending, or was sending when it died. more: whether another call would do more."""

    place: int
    sent: tuple[Link, ...]
    problems: tuple[Link, ...]
    waiting: int
    in_hand: int
    more: bool


@dataclass(frozen=True, slots=True)
class LabelStudioPush:
    """hold: for how long a task is held here without news from there. claim: after so long nobody is sending any
    more."""

    store: Store
    blobs: Blobs
    server: LabelStudio
    hold: timedelta
    claim: timedelta
    clock: Clock
    entropy: Entropy

    def interface(self, project_id: str) -> str:
        """For labelling by the project's recipe, as XML. Raises Conflict for what Label Studio cannot draw."""
        with self.store.read() as tx:
            recipe = tx.projects.get(project_id).recipe
        undrawn = [label.name for label in recipe.labels if label.geometry not in HOLDS.shapes]
        if undrawn:
            raise Conflict(
                f"the recipe draws {', '.join(undrawn)} as Label Studio cannot (polylines).",
                hint="Such images are labelled in Askance's own page.",
                project=project_id,
            )
        return recipe_config(recipe)

    def push(self, operator: Token, project_id: str, wish: Wish) -> Pushed:
        """At most AT_ONCE tasks; again until `more` is False. Cut anywhere, the next call goes on. Raises what the
        server's port does, NotFound, BadQuery."""
        require(operator, Permission.OPERATE, project_id)
        wanted = self.interface(project_id)
        there = self.server.project(wish.title, wanted)
        require_controls(controls_of(wanted), controls_of(there.interface), wish.title)
        held = self._hold(operator, project_id, there.id, wish)
        sending = self._links(project_id, there.id, LinkState.SENDING)
        sent: list[Link] = []
        problems: list[Link] = []
        for link in sorted(sending, key=lambda link: bool(link.problem))[:AT_ONCE]:
            done = self._send(link)
            if done is not None:
                (problems if done.problem else sent).append(done)
        waiting = self._links(project_id, there.id, *LIVE)
        now = self.clock()
        unsent = [link for link in waiting if link.state is LinkState.SENDING and not link.problem]
        in_hand = sum(_claimed(link, now) for link in unsent)
        return Pushed(
            place=there.id,
            sent=tuple(sent),
            problems=tuple(problems),
            waiting=len(waiting),
            in_hand=in_hand,
            more=len(unsent) > in_hand or (held == AT_ONCE and len(waiting) < wish.count),
        )

    def _links(self, project_id: str, place: int, *states: LinkState) -> list[Link]:
        with self.store.read() as tx:
            return tx.label_studio.of_project(project_id, server=self.server.address, place=place, states=states)

    # --- holding ----------------------------------------------------------------------------------

    def _hold(self, operator: Token, project_id: str, place: int, wish: Wish) -> int:
        """How many more tasks are held now, for `place`."""
        secret = self.store.secret()  # before the transaction: the first who asks writes it
        now, server = self.clock(), self.server.address
        if wish.query is not None:
            catch_up(self.store)
        with self.store.begin() as tx:
            project = tx.projects.get(project_id)
            known_author(tx, "", now)
            bridge = tx.people.for_update(BRIDGE)  # one push at a time counts what waits
            live = tx.label_studio.of_project(project_id, server=server, place=place, states=LIVE)
            wanted = min(wish.count - len(live), AT_ONCE)
            if wanted <= 0:
                return 0
            chosen = list(islice(self._fitting(tx, operator, project, bridge, wish, now), wanted))
            seconds = int(self.hold.total_seconds())
            taken = [
                drawn(tx, secret, project, review.leased(task, owner=BRIDGE, now=now, seconds=seconds))
                for task in tx.tasks.take(chosen, now=now, limit=wanted)
            ]
            for task in taken:
                tx.tasks.save(task)
            links = [_link(task, server, place, operator, now, self.entropy) for task in taken]
            tx.label_studio.add_all(links)
            if links:
                body = {"place": place, "tasks": [link.task_id for link in links]}
                tx.events.add(Event("label_studio.pushed", project_id, operator.name, body, now))
            return len(links)

    def _fitting(
        self, tx: Transaction, operator: Token, project: Project, bridge: Person, wish: Wish, now: datetime
    ) -> Iterator[Task]:
        """Tasks that may go, in the order of the wish; of each work one at a time, since one person there must not
        answer for two."""
        works: set[str] = set()
        for task in self._candidates(tx, operator, project, bridge, wish, now):
            if (
                task.work_id not in works
                and review.is_leasable(task, now)
                and may_be_sent(task)
                and wish.stage in (None, task.stage)
                and bridge.may_do(lane_of(task.lane))
                and tx.label_studio.rounds([task.work_id]).get(task.work_id, -1) < task.round
            ):
                works.add(task.work_id)
                yield task

    def _candidates(
        self, tx: Transaction, operator: Token, project: Project, bridge: Person, wish: Wish, now: datetime
    ) -> Iterable[Task]:
        if wish.selection is not None:
            tx.selections.get(project.id, wish.selection)
            picked = (pick.task_id for pick in tx.selections.picks(wish.selection))
            return (tx.tasks.get(task_id) for task_id in picked if task_id is not None)
        if wish.query is not None:
            return _of_items(tx, operator, project.id, wish.query, now)
        return _urgent(tx, project.id, bridge, now)

    # --- sending ----------------------------------------------------------------------------------

    def _send(self, given: Link) -> Link | None:
        """The link as it is then, with why where it cannot be there; None where somebody else has it in hand."""
        now = self.clock()
        with self.store.begin() as tx:
            link = tx.label_studio.for_update(given.id)
            if link.state is not LinkState.SENDING or _claimed(link, now):
                return None
            tried = link.claimed_until is not None
            if refused := _lost(tx, link, now):
                link = replace(link, state=LinkState.REFUSED, claimed_until=None, problem=refused)
            else:
                link = replace(link, claimed_until=now + self.claim)
            tx.label_studio.save(link)
        if link.state is LinkState.REFUSED:
            return link
        try:
            remote = (self._there(link) if tried else None) or self._made(link, again=tried)
        except (Invalid, NotFound) as error:
            return self._settled(link, None, f"{error.detail} {error.hint}")
        return None if remote is None else self._settled(link, remote, "")

    def _there(self, link: Link) -> int | None:
        """Where it was made before; should it have been made twice, the one that has an answer, or the first. The other
        goes."""
        found = self.server.find(link.place, link.id)
        answered = [remote for remote in found if self.server.annotations(remote)] if len(found) > 1 else []
        kept = next(iter(answered or found), None)
        for remote in found:
            if remote != kept and remote not in answered:
                self.server.delete(remote)
        return kept

    def _made(self, link: Link, *, again: bool) -> int | None:
        with self.store.read() as tx:
            project = tx.projects.get(link.project_id)
            task = tx.tasks.get(link.task_id)
            shown = assignment(tx, project, task, None)
            recipe = tx.projects.recipe(project.id, task.recipe_version)
            model = tx.predictions.get(project.id, task.prediction_id).model_id if task.prediction_id else ""
        item = shown.item
        name = f"{item.digest[:40]}{_SUFFIX[item.media_type]}"
        image = self.server.upload(link.place, name, self.blobs.get(item.digest), again=again)
        body: dict[str, object] = {"data": {"image": image, KEY: link.id}}
        if not _is_blind(task, project):
            body["predictions"] = [_said(shown, recipe, model)]
        return self.server.send(link.place, body)

    def _settled(self, given: Link, remote: int | None, problem: str) -> Link:
        with self.store.begin() as tx:
            link = tx.label_studio.for_update(given.id)
            called_back = link.state is LinkState.RELEASED
            if link.state is LinkState.SENDING:
                state = LinkState.SENDING if remote is None else LinkState.OUT
                link = replace(link, remote=remote, state=state, claimed_until=None, problem=problem)
                tx.label_studio.save(link)
        if called_back and remote is not None:
            self.server.delete(remote)
        return link


def known_author(tx: Transaction, email: str, now: datetime) -> Token:
    """The token of who answers there; "": of the bridge itself."""
    author = author_of(email, now)
    try:
        return tx.tokens.get(author.id)
    except NotFound:
        with suppress(Conflict):  # another pull made it at this moment
            tx.tokens.add(author)
        return author


def _link(task: Task, server: str, place: int, operator: Token, now: datetime, entropy: Entropy) -> Link:
    return Link(
        id=new_id("ls", now, entropy(10)),
        project_id=task.project_id,
        server=server,
        place=place,
        task_id=task.id,
        work_id=task.work_id,
        round=task.round,
        epoch=task.epoch,
        created_at=now,
        created_by=operator.name,
    )


def _claimed(link: Link, now: datetime) -> bool:
    return link.claimed_until is not None and now < link.claimed_until


def _lost(tx: Transaction, link: Link, now: datetime) -> str:
    """Why the task is not held any more; "" where it is."""
    try:
        review.require_live(tx.tasks.for_update(link.task_id), BRIDGE, link.epoch, now)
    except (StaleLease, AlreadySubmitted) as error:
        return error.detail
    return ""


def _is_blind(task: Task, project: Project) -> bool:
    return task.proposal_shown is False or project.policy.workflow.proposals is Proposals.HIDDEN


def _said(shown: Assignment, recipe: Recipe, model: str) -> dict[str, object]:
    """The score is that of the detections alone: the risk would tell audits from what was routed for it."""
    boxes = [one for one in shown.proposal if _is_box(one, recipe)]
    score = sum(one.score for one in boxes) / len(boxes) if boxes else 0.0
    return prediction(boxes, width=shown.item.width, height=shown.item.height, model=model, score=score)


def _is_box(detection: Detection, recipe: Recipe) -> bool:
    label = recipe.label_of(detection.label)
    return label is not None and label.geometry is Geometry.BOX


def _urgent(tx: Transaction, project_id: str, bridge: Person, now: datetime) -> Iterator[Task]:
    """What is free, the most urgent first."""
    queues = [one for one in tx.tasks.queues(project_id, by_source=False) if bridge.may_do(lane_of(one.lane))]
    seen, limit = 0, _LOOKED_AT
    while True:
        free = [
            task
            for queue in queues
            for task in tx.tasks.leasable(project_id, queue, person=BRIDGE, now=now, limit=limit)
        ]
        window = sorted(free, key=lambda task: (task.rank, task.created_at, task.id))[:limit]
        yield from window[seen:]
        if len(window) < limit:
            return
        seen, limit = limit, 4 * limit


def _of_items(tx: Transaction, operator: Token, project_id: str, text: str, now: datetime) -> Iterator[Task]:
    """Tasks of the items that meet a query."""
    query, behind = asked(operator, text), None
    while True:
        found = tx.item_queries.places(project_id, query, Sort(), after=behind, limit=_LOOKED_AT, now=now)
        for place in found:
            for work in tx.tasks.works_of_item(project_id, place.digest):
                yield from tx.tasks.work_for_update(work)
        if len(found) < _LOOKED_AT:
            return
        behind = found[-1]
