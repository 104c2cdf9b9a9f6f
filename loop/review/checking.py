"""What is wrong with an answer, as one works on it and before it is sent; and the Python functions among the rules."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from loop.domain.access import Permission, Token, require
from loop.domain.ports import Clock, Event, RuleFunctions, Store
from loop.domain.recipes.recipe import Recipe
from loop.domain.recipes.rules import MOST_FINDINGS, Issue, Scene
from loop.domain.truth import Shape
from loop.review.subjects import Judged, View, subject_of

log = logging.getLogger("askance.rules")

_REPORTED_EVERY = timedelta(hours=1)
_CLIP_SECONDS = 5.0  # that a person waits for one rule, however many frames
_TOO_LONG = f"it took longer than {_CLIP_SECONDS:g} s for the frames of a clip; the others were not asked about"


@dataclass(frozen=True, slots=True)
class Checking:
    """reported: when the last failure of a rule was told, by project and rule; spares a look into the history."""

    store: Store
    functions: RuleFunctions
    clock: Clock
    monotonic: Callable[[], float] = time.monotonic
    reported: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _reporting: threading.Lock = field(default_factory=threading.Lock)

    def check(self, token: Token, task_id: str, shapes: Sequence[Shape]) -> tuple[Issue, ...]:
        """The issues that submitting would meet, by the version of the recipe that the task was made with; nobody needs
        to hold the task. Raises what cannot be kept at all, as submitting does."""
        project_id, recipe, judged = self._judged(token, task_id, shapes)
        return (*judged.issues(recipe), *self._by_functions(project_id, recipe, judged.views))

    def function_issues(self, token: Token, task_id: str, shapes: Sequence[Shape]) -> tuple[Issue, ...]:
        """What the recipe's Python functions say; nothing is read where the installation registers none."""
        if not self.functions.names:
            return ()
        project_id, recipe, judged = self._judged(token, task_id, shapes)
        return self._by_functions(project_id, recipe, judged.views)

    def _judged(self, token: Token, task_id: str, shapes: Sequence[Shape]) -> tuple[str, Recipe, Judged]:
        with self.store.read() as tx:
            task = tx.tasks.get(task_id)
            require(token, Permission.REVIEW, task.project_id)
            recipe = tx.projects.recipe(task.project_id, task.recipe_version)
            subject = subject_of(tx, task)
        return task.project_id, recipe, subject.judged(recipe, shapes)

    def by_functions(self, project_id: str, recipe: Recipe, scene: Scene) -> tuple[Issue, ...]:
        """What the Python functions among a recipe's rules say of one image. Outside of any transaction."""
        return self._by_functions(project_id, recipe, (View(scene),))

    def _by_functions(self, project_id: str, recipe: Recipe, views: Sequence[View]) -> tuple[Issue, ...]:
        """Outside of any transaction: a function may take its second, and of all frames of a clip `_CLIP_SECONDS`. One
        that fails at a frame is not asked about the others; of each at most MOST_FINDINGS are told."""
        issues: list[Issue] = []
        for rule in recipe.functions:
            of_rule: list[Issue] = []
            until = self.monotonic() + _CLIP_SECONDS
            for view in views:
                asked = self.monotonic() <= until
                found = self.functions.ask(rule.function, view.scene) if asked else _TOO_LONG
                if isinstance(found, str):
                    self._report(project_id, rule.id, rule.function, found)
                    break
                of_rule += view.told([Issue(rule.id, rule.severity, message, shapes) for message, shapes in found])
            issues += of_rule[:MOST_FINDINGS]
        return tuple(issues)

    def _report(self, project_id: str, rule: str, function: str, why: str) -> None:
        """For the operator, once an hour and rule, whichever process meets it."""
        log.warning("rule %s of %s failed: %s", rule, project_id, why)
        now = self.clock()
        with self._reporting:
            last = self.reported.get((project_id, rule))
            if last is not None and now - last < _REPORTED_EVERY:
                return
            with self.store.begin() as tx:
                told = tx.events.since(project_id, "rule.failed", now - _REPORTED_EVERY)
                if not any(event.body.get("rule") == rule for event in told):
                    body = {"rule": rule, "function": function, "why": why}
                    tx.events.add(Event("rule.failed", project_id, "rules", body, now))
            self.reported[project_id, rule] = now
