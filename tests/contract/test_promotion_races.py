"""Who serves next, asked for by several people at one moment, on each database."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from loop.domain.errors import AskanceError, Conflict
from loop.domain.model import ModelVersion, Promotion, PromotionState
from tests.cycle_worker import LABELS, PROJECT, SEEING, Service, furnished, salted
from tests.tiny_models import tiny_weights

OPERATORS = 6
ROUNDS = 8


@pytest.fixture
def service(url: str, tmp_path: Path) -> Iterator[Service]:
    made = furnished(url, tmp_path, tiny_weights(LABELS))
    yield made
    made.store.close()


def _models(service: Service, count: int) -> list[str]:
    """So many versions, none of which serves."""
    contents = [salted(tiny_weights(LABELS), 2 * number + SEEING) for number in range(count)]
    return [service.models.register(PROJECT, content, "ada")[0].id for content in contents]


def _champion(service: Service) -> str | None:
    with service.store.read() as tx:
        return tx.projects.get(PROJECT).champion_id


def test_of_operators_who_promote_at_once_one_wins(service: Service) -> None:
    """Each asks for a model of their own: one is promoted, all others are told that another is under way."""
    models = _models(service, OPERATORS + 1)
    for turn in range(ROUNDS):
        start = threading.Barrier(OPERATORS)
        rivals = [model for model in models if model != _champion(service)][:OPERATORS]

        def ask(model: str, start: threading.Barrier = start) -> Promotion | AskanceError:
            start.wait()
            try:
                return service.models.override(PROJECT, model, f"operator {model}", "mine is better")
            except AskanceError as error:
                return error

        with ThreadPoolExecutor(OPERATORS) as pool:
            told = list(pool.map(ask, rivals))
        won = [one for one in told if isinstance(one, Promotion)]
        assert len(won) == 1, (turn, told)
        assert all(isinstance(one, Conflict) and "under way" in one.detail for one in told if one not in won)
        with service.store.read() as tx:
            assert tx.promotions.queued() == won
        assert service.succession.settle(won[0], service.deploy).state is PromotionState.ACTIVE
        assert _champion(service) == won[0].model_id


def test_of_promotions_that_are_settled_at_once_one_moves_the_pointer(service: Service) -> None:
    """Two that wait (no operator can ask for them, but a restored backup may hold them) are deployed side by side: one
    flips, the other fails since the champion is not the one that it was to take over from. There is one event."""
    first, second = _models(service, 2)
    one = service.models.override(PROJECT, first, "ann", "better")
    two = replace(one, id="promo_two", model_id=second, actor="bob")
    with service.store.begin() as tx:
        tx.promotions.add(two)
    both_stand = threading.Barrier(2)

    def deploy(model: ModelVersion) -> None:
        both_stand.wait(30)

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda asked: service.succession.settle(asked, deploy), (one, two)))
    assert sorted(promotion.state for promotion in done) == [PromotionState.ACTIVE, PromotionState.FAILED]
    won, lost = sorted(done, key=lambda promotion: promotion.state)
    assert _champion(service) == won.model_id and "champion changed" in lost.error
    with service.store.read() as tx:
        flips = [event for event in tx.events.after(PROJECT, 0, 1000) if event.kind == "model.promoted"]
        assert tx.promotions.queued() == []
    assert [event.body["model_id"] for event in flips[1:]] == [won.model_id]
