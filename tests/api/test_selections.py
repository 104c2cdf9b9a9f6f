"""Selections over HTTP: who may make them, what they choose from, and what reviewers see of them."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import update

from loop.domain.model import ModelVersion
from loop.selecting import picks
from loop.selecting.picks import Wish
from loop.store.predictions import SqlPredictions
from loop.store.schema import models
from selection.pool import Pick, Pool
from selection.scores import Signals
from selection.strategies import uniform
from selection.strategies.table import STRATEGIES
from tests.api.conftest import Service, picture
from tests.api.test_predictions import problem
from tests.contract.records import a_cycle
from tests.tiny_models import tiny_weights
from training.evaluate import Found, Truth, evaluate

SELECTIONS = "/v1/projects/shapes/selections"


@pytest.fixture
def pool(service: Service) -> Iterator[list[str]]:
    """Ten predicted images that nobody was asked about; their digests."""
    policy = {"threshold": 1.0, "audit_rate": 0.0}
    assert service.call("PATCH", "/v1/projects/shapes/policy", json=policy).is_success
    answers = [service.predict(picture(seed), params={"source": f"camera {seed % 2}"}) for seed in range(10)]
    assert all(answer.is_success for answer in answers)
    yield [answer.json()["item_digest"] for answer in answers]


def select(service: Service, role: str = "operator", **body: object):
    return service.call("POST", SELECTIONS, role, json={"budget": 4, **body})


def test_a_selection_makes_tasks_that_say_why(service: Service, pool: list[str]) -> None:
    """Each pick has a task with its reason; the reviewer sees it."""
    body = select(service, strategy="hybrid", random_share=0.25, seed=7)
    assert body.status_code == 201
    made = body.json()
    assert (made["pool"], made["picked"], made["budget"], made["seed"]) == (10, 4, 4, 7)
    assert made["mix"] == {"random": 0.25, "hybrid": 0.75}
    assert [pick["rank"] for pick in made["picks"]] == [1, 2, 3, 4]
    assert {pick["item_digest"] for pick in made["picks"]} < set(pool)
    assert [pick["inclusion_probability"] for pick in made["picks"]] == [0.1, None, None, None]
    leased = service.call("POST", "/v1/projects/shapes/tasks/lease", "reviewer", json={"count": 10}).json()["tasks"]
    assert {task["id"] for task in leased} == {pick["task_id"] for pick in made["picks"]}
    # In the same words for all: who looks at a random draw must not know that it is one.
    forms = {re.sub(r"[0-9.]+", "#", task["reason"]) for task in leased}
    assert forms == {"Selected: the model's risk of being wrong is #"}


def test_what_was_selected_is_not_selected_again(service: Service, pool: list[str]) -> None:
    first, second = select(service, budget=6).json(), select(service, budget=6).json()
    assert second["pool"] == 4
    assert {pick["item_digest"] for pick in first["picks"]} | {p["item_digest"] for p in second["picks"]} == set(pool)
    assert second["notes"] == ["The pool has 4 items, fewer than the budget of 6: all were chosen."]
    problem(select(service), 422, "invalid")
    assert "all 10 items" in select(service).json()["detail"]


def test_routed_work_has_no_reason(service: Service) -> None:
    """Nothing tells an audit from a risky prediction."""
    service.predict(picture())
    (task,) = service.call("POST", "/v1/projects/shapes/tasks/lease", "reviewer", json={"count": 1}).json()["tasks"]
    assert task["reason"] == ""


def test_a_dry_run_makes_nothing(service: Service, pool: list[str]) -> None:
    body = select(service, dry_run=True, strategies={"entropy": 1, "anomaly": 1}, seed=1).json()
    assert body["dry_run"] and body["picked"] == 4
    assert {pick["task_id"] for pick in body["picks"]} == {None}
    assert service.call("GET", SELECTIONS).json()["selections"] == []
    assert service.call("POST", "/v1/projects/shapes/tasks/lease", "reviewer", json={"count": 9}).json()["tasks"] == []
    again = select(service, strategies={"entropy": 1, "anomaly": 1}, seed=1).json()
    assert [pick["item_digest"] for pick in again["picks"]] == [pick["item_digest"] for pick in body["picks"]]


def test_selections_are_found_again(service: Service, pool: list[str]) -> None:
    made = [select(service, budget=1).json() for _ in range(3)]
    page = service.call("GET", f"{SELECTIONS}?limit=2", "operator").json()
    assert [one["id"] for one in page["selections"]] == [made[2]["id"], made[1]["id"]]
    rest = service.call("GET", f"{SELECTIONS}?after={page['next']}", "operator").json()
    assert [one["id"] for one in rest["selections"]] == [made[0]["id"]]
    found = service.call("GET", f"{SELECTIONS}/{made[0]['id']}").json()
    assert found["picks"] == made[0]["picks"]
    problem(service.call("GET", f"{SELECTIONS}/sel_none"), 404, "not-found")


def test_only_operators_select(service: Service, pool: list[str]) -> None:
    """A reviewer would learn from the picks which tasks were drawn at random."""
    made = select(service).json()
    for role in ("producer", "reviewer"):
        problem(select(service, role), 403, "forbidden")
        problem(service.call("GET", f"{SELECTIONS}/{made['id']}", role), 403, "forbidden")
        problem(service.call("GET", SELECTIONS, role), 403, "forbidden")


def test_a_filter_narrows_the_pool(service: Service, pool: list[str]) -> None:
    body = select(service, budget=10, filter={"source": "camera 1"}).json()
    assert {pick["item_digest"] for pick in body["picks"]} == set(pool[1::2])
    assert body["conditions"] == {"source": "camera 1"}


def test_a_query_of_items_narrows_the_pool(service: Service, pool: list[str]) -> None:
    """It is kept with the selection, as it was understood; one that cannot be read is refused with the place."""
    query = "source = 'camera 1'  and digest != " + pool[1]
    body = select(service, budget=10, query=query, filter={"source": "camera 1"}).json()
    assert {pick["item_digest"] for pick in body["picks"]} == set(pool[3::2])
    kept = service.call("GET", f"{SELECTIONS}/{body['id']}").json()["conditions"]
    assert kept.keys() == {"source", "query"} and pool[1] in kept["query"]
    assert "the filter matches none of the 6 items" in select(service, query="width > 100000").json()["detail"]
    answer = select(service, query="width >")
    problem(answer, 422, "bad-query")
    assert answer.json()["ids"]["position"] == 7


def test_each_strategy_is_told_in_a_line(service: Service) -> None:
    """None is missing, those that can choose before there is a model are marked, and the default is told."""
    told = service.call("GET", "/v1/strategies", "reviewer").json()
    assert {one["name"] for one in told["strategies"]} == STRATEGIES.keys()
    assert all(one["takes"] for one in told["strategies"])
    assert {one["name"] for one in told["strategies"] if one["without_model"]} >= told["default_without_model"].keys()
    assert told["default"].keys() <= STRATEGIES.keys()


def test_neighbours_of_failures_are_queued(service: Service, pool: list[str]) -> None:
    """`like` names items; `failures` takes the newest that people corrected."""
    like = select(service, budget=2, like=[pool[3]], random_share=0.0).json()
    assert like["mix"] == {"like-this": 1.0}
    nearest = service.call("GET", f"/v1/projects/shapes/items/{pool[3]}/neighbours?k=1").json()["neighbours"]
    assert like["picks"][0]["item_digest"] == pool[3]  # nobody has looked at it yet
    assert like["picks"][1]["item_digest"] == nearest[0]["item_digest"]
    problem(select(service, failures=5), 422, "invalid")
    (task, _) = service.call("POST", "/v1/projects/shapes/tasks/lease", "reviewer", json={"count": 2}).json()["tasks"]
    answer = {"epoch": task["epoch"], "shapes": [{"label": "circle", "box": [1, 1, 20, 20]}]}
    assert service.call("POST", f"/v1/tasks/{task['id']}/submit", "reviewer", json=answer).is_success
    mined = select(service, failures=5, random_share=0.0).json()
    assert mined["like_items"] == [task["item_digest"]]
    assert all(task["item_digest"][:12] in pick["reason"] for pick in mined["picks"])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"strategy": "hybird"}, "'hybird' is not known"),
        ({"strategy": "like-this"}, "like-this needs something to resemble"),
        ({"strategy": "hybird", "failures": 3}, "'hybird' is not known"),
        ({"strategy": "consistency"}, "without the signal consistency"),
        ({"strategies": {"hybrid": -1}}, "cannot have the share -1"),
        ({"strategy": "hybrid", "failures": 3}, "nobody has corrected a prediction yet"),
        ({"strategy": "hybrid", "strategies": {"anomaly": 1}}, "both strategy and strategies"),
        ({"filter": {"colour": "red"}}, "cannot be filtered by 'colour'"),
        ({"filter": {"source": "camera 9"}}, "the filter matches none of the 10 items"),
        ({"like": ["0" * 64]}, "there is no item"),
    ],
)
def test_what_cannot_be_selected_is_refused(
    service: Service, pool: list[str], body: dict[str, object], words: str
) -> None:
    answer = select(service, **body)
    assert answer.status_code in (404, 422)
    assert words in answer.json()["detail"]
    assert service.call("GET", SELECTIONS).json()["selections"] == []


@pytest.mark.parametrize("budget", [0, -1, 20_001, "many"])
def test_a_budget_must_be_one(service: Service, budget: object) -> None:
    problem(select(service, budget=budget), 422, "invalid")


def test_an_empty_pool_says_how_to_fill_it(service: Service) -> None:
    answer = select(service)
    problem(answer, 422, "invalid")
    assert "has predicted no image" in answer.json()["detail"]
    assert "askance annotate" in answer.json()["hint"]


def test_images_that_were_not_kept_cannot_be_chosen(service: Service, pool: list[str]) -> None:
    for digest in pool[:7]:
        next(Path(service.services.settings.blobs_url).rglob(digest)).unlink()
    body = select(service, budget=10).json()
    assert body["picked"] == body["pool"] == 3
    assert "7 items could not be chosen, since their images were not kept" in body["notes"][0]


def test_an_item_that_got_its_task_meanwhile_gets_no_second_one(service: Service, pool: list[str]) -> None:
    """The pool is read before the tasks are written; what is queued in between is left out, and told."""
    selector = service.services.selector

    def queue_some(model: ModelVersion) -> NDArray[np.float32]:
        selector.select("shapes", Wish(budget=7), actor="other")
        return selector.references(model)

    selected = replace(selector, references=queue_some).select("shapes", Wish(budget=10), actor="late")
    assert selected.selection.picked == len(selected.picks) == 3
    assert [pick.rank for pick in selected.picks] == [1, 2, 3]
    assert "7 of the chosen items got a task or their truth meanwhile" in selected.notes[-1]
    with service.services.store.read() as tx:
        assert tx.items.settled("shapes", pool) == frozenset(pool)


def test_a_strategy_that_ignores_what_items_are_like_is_refused(service: Service, pool: list[str]) -> None:
    answer = select(service, like=[pool[0]], strategy="hybrid")
    problem(answer, 422, "invalid")
    assert "hybrid does not look at what items are like" in answer.json()["detail"]
    assert select(service, like=[pool[0]], strategies={"hybrid": 1, "like-this": 1}).status_code == 201


def test_failures_of_the_champion_before_are_left_out(service: Service, pool: list[str]) -> None:
    """They have no place in the new one's space, until their images are predicted again."""
    made = select(service, budget=2, random_share=0.0).json()
    leased = service.call("POST", "/v1/projects/shapes/tasks/lease", "reviewer", json={"count": 2}).json()["tasks"]
    for task in leased:
        answer = {"epoch": task["epoch"], "shapes": [{"label": "bar", "box": [1, 1, 9, 9]}]}
        assert service.call("POST", f"/v1/tasks/{task['id']}/submit", "reviewer", json=answer).is_success
    services = service.services
    newer, _ = services.models.register("shapes", tiny_weights(seed=1), "test")
    with services.store.begin() as tx:
        assert tx.projects.move_champion("shapes", expected=made["model_id"], to=newer.id)
    for seed in range(5):
        service.predict(picture(100 + seed))
    answer = select(service, failures=2)
    problem(answer, 422, "invalid")
    assert "has predicted none of the 2 corrected or ambiguous items" in answer.json()["detail"]
    again = next(seed for seed in range(10) if pool[seed] == leased[0]["item_digest"])
    service.predict(picture(again), params={"source": f"camera {again % 2}"})
    assert select(service, failures=2).json()["like_items"] == [leased[0]["item_digest"]]


def test_an_item_that_is_predicted_again_meanwhile_is_one_item(
    service: Service, pool: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool is read page by page, each in its own transaction."""
    monkeypatch.setattr(picks, "_PAGE", 4)
    selector = service.services.selector
    candidates = SqlPredictions.candidates

    def and_again(self: SqlPredictions, *arguments: object, **options: object):
        page = candidates(self, *arguments, **options)  # type: ignore[arg-type]
        if repeated:
            service.predict(picture(repeated.pop()))
        return page

    repeated = [1]
    monkeypatch.setattr(SqlPredictions, "candidates", and_again)
    selected = selector.select("shapes", Wish(budget=10), actor="test")
    assert len(selected.picks) == selected.selection.pool == 10


def test_predictions_from_before_a_signal_was_measured_are_chosen_from(
    service: Service, pool: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What all have decides; what only some have cannot."""
    as_dict = Signals.as_dict
    monkeypatch.setattr(Signals, "as_dict", lambda self: as_dict(self) | {"consistency": 0.5})
    newer = service.predict(picture(50)).json()["item_digest"]
    made = select(service, budget=11, strategy="entropy", dry_run=True).json()
    assert {pick["item_digest"] for pick in made["picks"]} == {*pool, newer}
    assert "without the signal consistency" in select(service, strategy="consistency").json()["detail"]
    only_new = select(service, strategy="consistency", filter={"source": ""}, random_share=0.0)
    assert [pick["item_digest"] for pick in only_new.json()["picks"]] == [newer]


def test_each_strategy_of_a_mix_finds_the_signals_that_it_ranks_by(service: Service, pool: list[str]) -> None:
    """Of a prediction only those are read that one of them looks at."""
    mix = {"rarity": 1, "max-class-entropy": 1, "mean-class-entropy": 1, "anomaly": 1}
    made = select(service, strategies=mix, budget=4, random_share=0.0, dry_run=True)
    assert {pick["strategy"] for pick in made.json()["picks"]} == mix.keys()


def test_strategies_know_how_the_champion_does_on_each_class(
    service: Service, pool: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the evaluation of the cycle that made it."""
    services, seen = service.services, []

    def watched(shown: Pool, free: NDArray[np.intp], budget: int, rng: np.random.Generator) -> list[Pick]:
        seen.append(shown.class_quality.tolist())
        return uniform.pick(shown, free, budget, rng)

    monkeypatch.setitem(STRATEGIES, "entropy", watched)  # type: ignore[arg-type]
    assert select(service, strategy="entropy", random_share=0.0, dry_run=True).is_success
    box = np.array([[10.0, 10.0, 40.0, 40.0]])
    found = [Found(box, np.array([0.9]), np.array([0])), Found(box[:0], np.empty(0), np.empty(0, dtype=int))]
    truth = [Truth(box, np.array([0])), Truth(box, np.array([1]))]
    with services.store.begin() as tx:
        model = tx.models.get("shapes", str(tx.projects.get("shapes").champion_id))
        labels = len(model.head.labels)
        evaluation = services.blobs.put(evaluate(found, truth, n_classes=labels).to_bytes())
        cycle = replace(a_cycle(project_id="shapes"), evaluation={"candidate": evaluation})
        tx.cycles.add(cycle)
        tx.models._connection.execute(update(models).where(models.c.id == model.id).values(cycle_id=cycle.id))  # type: ignore[attr-defined]
    assert select(service, strategy="entropy", random_share=0.0, dry_run=True).is_success
    assert seen == [[], [1.0, 0.0] + [0.5] * (labels - 2)]
