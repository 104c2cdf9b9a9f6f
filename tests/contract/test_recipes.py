"""Recipes through the store: versions, what a change does to tasks and ground truth, answers that come meanwhile."""

import os
import threading
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from loop.domain.access import Role, Token
from loop.domain.errors import Conflict, NotFound, RulesBroken, UnknownLabel
from loop.domain.ports import Transaction
from loop.domain.recipes.changes import RecipeOrphans, carried
from loop.domain.recipes.ontology import labels_named
from loop.domain.recipes.recipe import BadRecipe, Recipe
from loop.domain.recipes.rules import Issue, Severity
from loop.domain.truth import GroundTruth, Link, Shape
from loop.recipes.document import RecipeDocument, checked_document
from loop.recipes.versions import Recipes
from loop.review.desk import Desk
from loop.store.configuration import raise_revision
from loop.store.database import SqlStore
from tests.contract.records import (
    NOW,
    PROJECT,
    a_model,
    a_prediction,
    a_project,
    a_submission,
    a_task,
    a_truth,
    an_item,
    digest,
)
from tests.shapes import RECIPE, answers

REVIEWER = Token(id="tok_r", name="ann", role=Role.REVIEWER, secret_digest="", project_id=None, created_at=NOW)
BOX = (0.0, 0.0, 1.0, 50.0)  # the item is 1 pixel wide


def document(*labels: str, **more: object) -> RecipeDocument:
    return checked_document({"labels": list(labels), **more})


def recipes_of(store: SqlStore) -> Recipes:
    return Recipes(store, lambda: (), lambda: NOW, lambda digest: False)


@pytest.fixture
def project(store: SqlStore) -> SqlStore:
    """Labels car, van and bus; three items; a task on the second, and truth of car and bus on the first."""
    with store.begin() as tx:
        tx.projects.add(replace(a_project(), recipe=Recipe(1, labels_named(("car", "van", "bus")))))
        for number in range(3):
            tx.items.add(an_item(number))
        tx.tasks.add(a_task(1, item=1))
        tx.truths.add(
            replace(a_truth(), shapes=(Shape("car", BOX, id="c"), Shape("bus", BOX, links=(Link("l", "c"),))))
        )
    return store


def truth_of(store: SqlStore, item: int = 0) -> GroundTruth:
    with store.read() as tx:
        truth = tx.truths.current(PROJECT, digest(item))
    assert truth is not None
    return truth


def told(store: SqlStore, kind: str) -> list[Mapping[str, object]]:
    with store.read() as tx:
        return [event.body for event in tx.events.after(PROJECT, 0, 100) if event.kind == kind]


def submit(store: SqlStore, *shapes: Shape) -> None:
    desk = Desk(store, lambda: NOW, os.urandom)
    (assignment,) = desk.lease(REVIEWER, PROJECT, 1).assignments
    desk.submit(REVIEWER, assignment.task.id, assignment.task.epoch, shapes, "")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answers())
def test_shapes_come_back(project: SqlStore, shapes: tuple[Shape, ...]) -> None:
    """Every geometry, attribute and link survives the store, in submissions and in ground truth."""

    class Undone(Exception):
        pass

    with pytest.raises(Undone), project.begin() as tx:
        submission = replace(a_submission(tx.tasks.get(a_task(1).id)), shapes=shapes)
        tx.submissions.add(submission)
        tx.truths.add(replace(a_truth(2), shapes=shapes))
        assert tx.submissions.of_work(submission.work_id) == [submission]
        current = tx.truths.current(PROJECT, digest(0))
        assert current is not None
        assert current.shapes == shapes
        raise Undone


def test_old_rows_read_as_before(project: SqlStore) -> None:
    """What was written before there was more than boxes is a box, a recipe without rules, an answer without issues."""
    with project.begin() as tx:
        connection = tx.truths._connection  # type: ignore[attr-defined]
        shapes = '[{"label": "car", "box": [0, 0, 1, 5]}]'
        connection.exec_driver_sql(f"UPDATE ground_truths SET shapes = '{shapes}'")
        labels = '[{"name": "car", "color": "#e69f00", "key": "1"}]'
        connection.exec_driver_sql(f"UPDATE recipes SET labels = '{labels}'")
        raise_revision(connection)  # what is changed by hand is seen from the next revision on
    assert truth_of(project).shapes == (Shape("car", (0.0, 0.0, 1.0, 5.0)),)
    assert recipes_of(project).newest(PROJECT) == Recipe(1, labels_named(("car",)))


def test_a_recipe_of_everything_comes_back(project: SqlStore) -> None:
    """Attributes, links, rules, and the warnings of an answer."""
    full = checked_document(
        {
            "labels": [{"name": "a", "attributes": [{"name": "x", "type": "number", "min": 0.1, "default": 3}]}, "b"],
            "links": [{"name": "l", "from": ["a"], "to": ["b"], "max_in": 2}],
            "rules": [{"kind": "size", "labels": ["a"], "unit": "share", "max_area": 0.1, "severity": "warning"}],
        }
    ).recipe(2)
    issues = (Issue("r", Severity.WARNING, "m", ("a", "#1")),)
    with project.begin() as tx:
        tx.projects.save_recipe(PROJECT, full)
        tx.submissions.add(replace(a_submission(tx.tasks.get(a_task(1).id)), issues=issues))
    with project.read() as tx:
        assert tx.projects.get(PROJECT).recipe == tx.projects.recipe(PROJECT, 2) == full
        (stored,) = tx.submissions.of_work(a_task(1).id)
        assert stored.issues == issues
        with pytest.raises(NotFound, match="no version 3"):
            tx.projects.recipe(PROJECT, 3)


def test_versions_are_kept(project: SqlStore) -> None:
    """Each change is a next version; the old ones can be read, with the open tasks that are answered under them."""
    recipes = recipes_of(project)
    recipes.change(PROJECT, document("car", "van", "bus", "bike"), "op")
    recipes.change(PROJECT, document("car", "van", "bus", "bike", guidelines="Look."), "op")
    versions = recipes.versions(PROJECT)
    assert [(one.recipe.version, len(one.recipe.labels), one.open_tasks) for one in versions] == [
        (3, 4, 0),
        (2, 4, 0),
        (1, 3, 1),
    ]
    assert recipes.version(PROJECT, 1).label_names == ("car", "van", "bus")
    with pytest.raises(NotFound):
        recipes.versions("nobody")


def test_saying_the_same_makes_no_version(project: SqlStore) -> None:
    """A repeated request changes nothing and is told so."""
    recipes = recipes_of(project)
    first = recipes.change(PROJECT, document("car", "van", "bus", "bike"), "op")
    again = recipes.change(PROJECT, document("car", "van", "bus", "bike"), "op")
    assert (first.saved, again.saved, again.recipe) == (True, False, first.recipe)
    assert len(told(project, "recipe.changed")) == 1


def test_a_rename_that_is_sent_again_changes_nothing(project: SqlStore) -> None:
    """A file of a repository may keep its renames."""
    renaming = document("car", "van", "coach", renames={"bus": "coach"})
    for saved in (True, False):
        assert recipes_of(project).change(PROJECT, renaming, "op").saved is saved
    assert truth_of(project).version == 2


def test_a_document_made_from_an_older_version_is_refused(project: SqlStore) -> None:
    """Two people who edit the same version do not undo each other."""
    recipes = recipes_of(project)
    recipes.change(PROJECT, document("car", "van", "bus", "bike", version=1), "op")
    with pytest.raises(Conflict, match="made from version 1, and the newest is 2"):
        recipes.change(PROJECT, document("car", "van", "bus", "tram", version=1), "op")


def test_shapes_are_not_orphaned_silently(project: SqlStore) -> None:
    """Without a word on open tasks and ground truth nothing changes, and the refusal counts both."""
    recipes = recipes_of(project)
    for more in ({}, {"migrate": {"open_tasks": "move"}}, {"migrate": {"ground_truth": "drop"}}):
        for act in (recipes.preview, lambda *given: recipes.change(*given, "op")):
            with pytest.raises(RecipeOrphans) as caught:
                act(PROJECT, document("car", "van", **more))
    assert (caught.value.ids["shapes"], caught.value.ids["open_tasks"]) == ({"bus": 1}, 1)
    assert "migrate" in caught.value.hint
    assert recipes.newest(PROJECT).version == 1
    assert truth_of(project).version == 1


def test_a_label_without_shapes_may_go_when_nobody_works(project: SqlStore) -> None:
    """Only what would be lost has to be spoken of."""
    with project.begin() as tx:
        tx.tasks._connection.exec_driver_sql("DELETE FROM tasks")  # type: ignore[attr-defined]
    assert recipes_of(project).change(PROJECT, document("car", "bus"), "op").change.removed == ("van",)


def test_dropping_leaves_out_and_keeps_the_old_version(project: SqlStore) -> None:
    """The newest ground truth has no bus; the one before still has; who answered, and when, stays."""
    before = truth_of(project)
    migrate = {"open_tasks": "keep", "ground_truth": "drop"}
    outcome = recipes_of(project).change(PROJECT, document("car", "van", migrate=migrate), "op")
    assert (outcome.moved, outcome.relabelled, outcome.dropped) == (0, 1, 1)
    after = truth_of(project)
    assert after == replace(before, version=2, shapes=before.shapes[:1])
    (event,) = told(project, "recipe.migrated")
    assert event == {"version": 2, "open_tasks": "keep", "moved": 0, "relabelled": 1, "dropped": 1}


def test_a_rename_takes_the_shapes_along(project: SqlStore) -> None:
    """Ground truth is written anew under the new name, with nothing lost and nothing to be agreed to."""
    before = truth_of(project)
    outcome = recipes_of(project).change(PROJECT, document("car", "van", "coach", renames={"bus": "coach"}), "op")
    assert (outcome.relabelled, outcome.dropped) == (1, 0)
    assert truth_of(project).shapes == (before.shapes[0], replace(before.shapes[1], label="coach"))
    assert any("'bus' in the ground truth become 'coach'" in line for line in outcome.consequences)
    with project.read() as tx:
        assert tx.truths.label_counts(PROJECT) == {"car": 1, "coach": 1}


def test_moved_tasks_are_answered_under_the_new_version(project: SqlStore) -> None:
    """The old label is refused, the new one taken, and the move is in the history."""
    migrate = {"open_tasks": "move", "ground_truth": "drop"}
    assert recipes_of(project).change(PROJECT, document("car", "tram", migrate=migrate), "op").moved == 1
    with pytest.raises(UnknownLabel):
        submit(project, Shape("van", BOX))
    submit(project, Shape("tram", BOX))
    assert truth_of(project, 1).shapes == (Shape("tram", BOX),)


def test_kept_tasks_are_answered_under_their_version(project: SqlStore) -> None:
    """What the reviewer was asked is what is checked; the ground truth has what there is a label for now."""
    migrate = {"open_tasks": "keep", "ground_truth": "drop"}
    changed = document("auto", "tram", migrate=migrate, renames={"car": "auto"})
    recipes_of(project).change(PROJECT, changed, "op")
    with pytest.raises(UnknownLabel):
        submit(project, Shape("auto", BOX))
    submit(project, Shape("car", BOX), Shape("van", BOX))
    assert truth_of(project, 1).shapes == (Shape("auto", BOX),)
    with project.read() as tx:
        (answer,) = tx.submissions.of_work(a_task(1).id)
        assert [shape.label for shape in answer.shapes] == ["car", "van"]


def test_a_task_is_judged_by_its_version_only(project: SqlStore) -> None:
    """A stricter rule that came later refuses nobody who began before."""
    strict = document("car", "van", "bus", rules=[{"kind": "count", "label": "car", "min": 2}])
    recipes_of(project).change(PROJECT, strict, "op")
    submit(project, Shape("car", BOX))
    assert truth_of(project, 1).shapes == (Shape("car", BOX),)


def test_a_broken_rule_refuses_and_a_warning_is_kept(project: SqlStore) -> None:
    """Refused, the task stays; taken, the submission says what was odd."""
    rules = [
        {"id": "some", "kind": "count", "label": "car", "min": 1},
        {"id": "few", "kind": "count", "label": "car", "max": 1, "severity": "warning"},
    ]
    changed = document("car", "van", "bus", rules=rules, migrate={"open_tasks": "move"})
    recipes_of(project).change(PROJECT, changed, "op")
    with pytest.raises(RulesBroken, match="some: "):
        submit(project, Shape("van", BOX))
    submit(project, Shape("car", BOX), Shape("car", (0, 60, 1, 90)))
    with project.read() as tx:
        (answer,) = tx.submissions.of_work(a_task(1).id)
    assert [(issue.rule, issue.shapes) for issue in answer.issues] == [("few", ("#0", "#1"))]


def with_champion(tx: Transaction, *labels: str) -> None:
    model = replace(a_model(), head=replace(a_model().head, labels=labels))
    tx.models.add(model)
    tx.projects.move_champion(PROJECT, expected=None, to=model.id)


def test_what_it_means_for_the_champion_is_said(project: SqlStore) -> None:
    """A label that it does not know, one that it goes on predicting, and one that it knows by another name."""
    with project.begin() as tx:
        with_champion(tx, "car", "van", "bus")
    migrate = {"open_tasks": "keep", "ground_truth": "drop"}
    changed = document("auto", "van", "tram", migrate=migrate, renames={"car": "auto"})
    lines = recipes_of(project).preview(PROJECT, changed).consequences
    assert any("does not know 'tram'" in line for line in lines)
    assert any("goes on predicting 'bus'" in line and "not shown it" in line for line in lines)
    assert any("goes on predicting 'car'" in line and "see it as 'auto'" in line for line in lines)


def test_what_the_champion_says_of_a_removed_label_does_not_count(project: SqlStore) -> None:
    """It is not proposed, and it is no error that people did not draw it."""
    with project.begin() as tx:
        with_champion(tx, "car", "van", "bus")
        found = a_prediction()
        detections = tuple(replace(found.detections[0], label=label, box=BOX) for label in ("car", "bus"))
        tx.predictions.add(replace(found, detections=detections))
        tx.tasks.add(a_task(2, prediction=0, priority=0.9))
    migrate = {"open_tasks": "move", "ground_truth": "drop"}
    recipes_of(project).change(PROJECT, document("auto", "van", migrate=migrate, renames={"car": "auto"}), "op")
    desk = Desk(project, lambda: NOW, os.urandom)
    (assignment,) = desk.lease(REVIEWER, PROJECT, 1).assignments
    assert [one.label for one in assignment.proposal] == ["auto"]
    answer = desk.submit(REVIEWER, assignment.task.id, assignment.task.epoch, [Shape("auto", BOX)], "")
    assert answer.corrections == {}


def test_a_bad_recipe_changes_nothing(project: SqlStore) -> None:
    """Nor does a rename that leads nowhere."""
    recipes = recipes_of(project)
    for bad in (
        document("car", rules=[{"kind": "count", "label": "cat"}]),
        document("car", "van", "coach", renames={"tram": "coach"}),
        document("car", "van", "bus", rules=[{"kind": "function", "function": "nowhere"}]),
    ):
        with pytest.raises(BadRecipe):
            recipes.change(PROJECT, bad, "op")
    assert recipes.newest(PROJECT).version == 1


def test_many_truths_are_added_at_once(project: SqlStore) -> None:
    """As one by one; none of them where one is there already."""
    with project.begin() as tx:
        tx.truths.add_all([])
        tx.truths.add_all([a_truth(2), a_truth(1, item=1)])
    assert (truth_of(project), truth_of(project, 1)) == (a_truth(2), a_truth(1, item=1))
    with pytest.raises(Conflict), project.begin() as tx:
        tx.truths.add_all([a_truth(1, item=2), a_truth(2)])
    with project.read() as tx:
        assert tx.truths.current(PROJECT, digest(2)) is None


def test_racing_changes_have_one_winner(project: SqlStore) -> None:
    """Of changes made from the same version one is saved, the others are told to read again."""
    results: list[object] = []
    barrier = threading.Barrier(4)

    def change(number: int) -> None:
        barrier.wait()
        try:
            made = document("car", "van", "bus", f"label {number}", version=1)
            results.append(recipes_of(project).change(PROJECT, made, "op").recipe.version)
        except Conflict as error:
            results.append(error)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, filter(lambda one: isinstance(one, int), results))) == ["2"]
    assert recipes_of(project).newest(PROJECT).version == 2


def test_an_answer_that_comes_during_a_change_leaves_no_old_label(project: SqlStore) -> None:
    """Whichever is first, the newest ground truth has the new names only."""
    with project.begin() as tx:
        for number in range(2, 8):
            tx.tasks.add(a_task(number, item=2))
    barrier = threading.Barrier(2)

    def answer_all() -> None:
        desk = Desk(project, lambda: NOW, os.urandom)
        held = desk.lease(REVIEWER, PROJECT, 20).assignments
        barrier.wait()
        for one in held:
            desk.submit(REVIEWER, one.task.id, one.task.epoch, [Shape("bus", BOX)], "")

    reviewer = threading.Thread(target=answer_all)
    reviewer.start()
    barrier.wait()
    recipes_of(project).change(PROJECT, document("car", "van", "coach", renames={"bus": "coach"}), "op")
    reviewer.join()
    with project.read() as tx:
        assert set(tx.truths.label_counts(PROJECT)) == {"car", "coach"}


def test_an_answer_that_waited_for_a_change_is_in_its_words(project: SqlStore) -> None:
    """Where the database lets it begin, it has read the recipe from before; its ground truth has the new names."""
    begun = threading.Event()

    def entropy(count: int) -> bytes:
        begun.set()
        return os.urandom(count)

    desk = Desk(project, lambda: NOW, entropy)
    (held,) = desk.lease(REVIEWER, PROJECT, 1).assignments
    given = (REVIEWER, held.task.id, held.task.epoch, [Shape("bus", BOX)], "")
    reviewer = threading.Thread(target=desk.submit, args=given)
    second = carried(recipes_of(project).newest(PROJECT), document("car", "van", "coach").recipe(2), {"bus": "coach"})
    with project.begin() as tx:
        tx.projects.save_recipe(PROJECT, second)
        reviewer.start()
        begun.wait(1.0)  # SQLite lets nobody begin to write: then there is nothing to wait for
    reviewer.join()
    assert truth_of(project, 1).shapes == (Shape("coach", BOX),)


def test_the_recipe_of_the_property_tests_is_sound(project: SqlStore) -> None:
    """It can be saved and read as any other."""
    with project.begin() as tx:
        tx.projects.save_recipe(PROJECT, replace(RECIPE, version=2))
    assert recipes_of(project).version(PROJECT, 2) == replace(RECIPE, version=2)
