"""Custom functions for people: buttons while one annotates, and for operators what ran, and running one by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loop.domain.access import Permission, Token, require
from loop.domain.errors import AskanceError, FunctionFailed, FunctionTimedOut, Invalid, NotFound, Unavailable
from loop.domain.functions.calls import Asked, Ending, FunctionCall, Ran
from loop.domain.identity import new_id
from loop.domain.item import Item
from loop.domain.policy.function_uses import BUTTON, BY_HAND, FunctionUse, use_named
from loop.domain.ports import Blobs, Clock, CustomFunctions, Entropy, Event, Store
from loop.domain.project import Project
from loop.domain.recipes.recipe import Recipe
from loop.domain.review import tasks as review
from loop.domain.truth import Shape
from loop.functions.results import derived, failed_event, judged, made_by, ran_event


@dataclass(frozen=True, slots=True)
class Pressed:
    """shapes: to go on with, in place of those that were sent."""

    shapes: tuple[Shape, ...]
    messages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FunctionHistory:
    """waiting: calls on events that are not done. runs: events `function.ran`, newest first."""

    waiting: int
    runs: list[Event]


@dataclass(frozen=True, slots=True)
class _Desk:
    """What a press of a button is about."""

    project: Project
    recipe: Recipe
    item: Item


@dataclass(frozen=True, slots=True)
class Functions:
    """button_seconds: from a press to its answer."""

    store: Store
    blobs: Blobs
    functions: CustomFunctions
    button_seconds: float
    clock: Clock
    entropy: Entropy

    @property
    def packages(self) -> Mapping[str, str]:
        """What is installed: package and version by the function's name."""
        return self.functions.packages

    def buttons(self, project_id: str) -> list[FunctionUse]:
        """In the order in which the project declares them. Who looks at them will press one: it is made ready."""
        with self.store.read() as tx:
            found = [use for use in tx.projects.get(project_id).policy.functions if use.button is not None]
        if found:
            self.functions.prepare()
        return found

    def press(
        self, token: Token, task_id: str, epoch: int, name: str, shapes: Sequence[Shape], selected: Sequence[str]
    ) -> Pressed:
        """What a function makes of an answer that is being drawn. Nothing is kept of it but a new image: the person
        goes on with the shapes, and submits them or not.

        Only for who holds the task. Raises StaleLease, NotFound, Invalid for the selection; FunctionTimedOut,
        FunctionFailed, Unavailable where it has no result.
        """
        desk = self._desk(token, task_id, epoch)
        use = _button_of(desk.project, name)
        _require_selected(use, shapes, selected)
        asked = Asked(
            function=name,
            project_id=desk.project.id,
            trigger=BUTTON,
            event={"task_id": task_id},
            item=desk.item,
            shapes=tuple(shapes),
            selected=tuple(selected),
            options=use.options,
        )
        ran = judged(self.functions.run(asked, seconds=self.button_seconds), desk.recipe, desk.item)
        made = self._record(asked, ran, token, task_id)
        if ran.ending is not Ending.DONE:
            raise _error_of(asked, ran)
        if made is not None:
            return Pressed(tuple(shapes), (*ran.returned.messages, f"A new image is kept as item {made}."))
        returned = ran.returned.shapes
        return Pressed(tuple(shapes) if returned is None else returned, ran.returned.messages)

    def call(self, project_id: str, name: str, item_digest: str, actor: str) -> FunctionCall:
        """Put a run of a declared function on an item into the queue. Raises NotFound."""
        now = self.clock()
        call_id = new_id("call", now, self.entropy(10))
        with self.store.begin() as tx:
            _declared(tx.projects.get(project_id), name)
            tx.items.get(project_id, item_digest)
            call = FunctionCall(
                id=call_id,
                project_id=project_id,
                function=name,
                trigger=BY_HAND,
                subject=call_id,
                item_digest=item_digest,
                actor=actor,
                body={"item_digest": item_digest},
                created_at=now,
                due_at=now,
            )
            tx.function_calls.add(call)
        return call

    def called(self, project_id: str, call_id: str) -> FunctionCall:
        """Raises NotFound."""
        with self.store.read() as tx:
            return tx.function_calls.get(project_id, call_id)

    def history(self, project_id: str, limit: int) -> FunctionHistory:
        with self.store.read() as tx:
            tx.projects.get(project_id)
            runs = tx.events.newest(project_id, "function.ran", limit=limit)
            return FunctionHistory(tx.function_calls.unfinished(project_id), runs)

    def _desk(self, token: Token, task_id: str, epoch: int) -> _Desk:
        with self.store.read() as tx:
            task = tx.tasks.get(task_id)
            require(token, Permission.REVIEW, task.project_id)
            review.require_live(task, token.id, epoch, self.clock())
            return _Desk(
                tx.projects.get(task.project_id),
                tx.projects.recipe(task.project_id, task.recipe_version),
                tx.items.get(task.project_id, task.item_digest),
            )

    def _record(self, asked: Asked, ran: Ran, token: Token, task_id: str) -> str | None:
        """The run in the history, and its image as an item, whose digest this is."""
        now = self.clock()
        image = ran.returned.image if ran.ending is Ending.DONE else None
        digest = None if image is None else self.blobs.put(image.content)
        with self.store.begin() as tx:
            if image is not None and digest is not None and asked.item is not None:
                tx.items.add(derived(asked.item, image, digest, made_by(asked, ran), now))
            tx.events.add(ran_event(asked, ran, token.id, now, task_id=task_id, made=digest))
            if ran.ending is not Ending.DONE:
                tx.events.add(failed_event(asked, ran, token.id, now, attempts=1))
        return digest


def _declared(project: Project, name: str) -> FunctionUse:
    use = use_named(project.policy.functions, name)
    if use is None:
        there = ", ".join(one.name for one in project.policy.functions) or "none"
        raise NotFound(
            f"the project {project.id} does not use a function {name!r}.",
            hint=f"It uses: {there}. An operator declares functions in the project's policy (docs/functions.md).",
            function=name,
        )
    return use


def _button_of(project: Project, name: str) -> FunctionUse:
    use = _declared(project, name)
    if use.button is None:
        raise NotFound(
            f"the function {name!r} has no button in {project.id}.",
            hint="An operator gives it one in the project's policy.",
            function=name,
        )
    return use


def _require_selected(use: FunctionUse, shapes: Sequence[Shape], selected: Sequence[str]) -> None:
    ids = {shape.id for shape in shapes if shape.id}
    if unknown := [one for one in selected if one not in ids]:
        raise Invalid(
            f"{unknown[0]!r} is selected, and no shape that was sent has this id.",
            hint="Give the shapes ids, and send those of the selected ones.",
            selected=unknown,
        )
    if use.button is not None and use.button.needs_selection and not selected:
        raise Invalid(f"{use.button.label!r} works on selected shapes.", hint="Select some of them first.")


def _error_of(asked: Asked, ran: Ran) -> AskanceError:
    detail = f"the function {asked.function!r} has no result: {ran.why}."
    hint = "Your shapes are as they were. The operator finds the run in the project's history (askance functions runs)."
    kind: type[AskanceError] = FunctionFailed
    if ran.ending is Ending.TIMED_OUT:
        kind = FunctionTimedOut
    elif ran.ending is Ending.UNAVAILABLE:
        kind = Unavailable
    return kind(detail, hint=hint, function=asked.function, outcome=ran.ending.value)
