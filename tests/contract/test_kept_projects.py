"""Projects stay in memory between transactions, and nobody can tell."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from loop.domain.ports import Transaction
from loop.store.database import SqlStore
from tests.contract.records import PROJECT, a_model, a_policy, a_recipe, a_token, furnish


@pytest.fixture
def furnished(store: SqlStore) -> SqlStore:
    furnish(store, models=2)
    return store


class _Crash(Exception):
    pass


def _change(tx: Transaction, what: str, number: int) -> None:
    """The project, in the transaction that read it before."""
    project = tx.projects.get(PROJECT)
    match what:
        case "policy":
            tx.projects.save_policy(PROJECT, replace(a_policy(project.policy.version + 1), lease_seconds=77))
        case "recipe":
            tx.projects.save_recipe(PROJECT, a_recipe(project.recipe.version + 1))
        case "champion":
            to = a_model(0 if project.champion_id != a_model(0).id else 1).id
            assert tx.projects.move_champion(PROJECT, expected=project.champion_id, to=to)
        case _:  # raises the revision too, and leaves the project
            tx.tokens.add(a_token(number))


def test_a_project_is_what_is_committed_or_what_this_transaction_wrote(url: str, furnished: SqlStore) -> None:
    """Any sequence of transactions that change it, some of which fail, of two processes that take turns: whoever reads
    it finds what a process that starts now finds."""
    other = SqlStore.open(url)
    used = iter(range(10**9))
    change = st.sampled_from(["policy", "recipe", "champion", "token"])
    steps = st.lists(st.tuples(st.booleans(), st.lists(change, max_size=3), st.booleans()), min_size=1, max_size=8)

    @given(steps)
    @settings(
        max_examples=50, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    def check(transactions: list[tuple[bool, list[str], bool]]) -> None:
        for mine, changes, crashes in transactions:
            with suppress(_Crash), (furnished if mine else other).begin() as tx:
                for what in changes:
                    before = tx.projects.get(PROJECT)
                    _change(tx, what, next(used))
                    assert (tx.projects.get(PROJECT) == before) is (what == "token")
                if crashes:
                    raise _Crash
            if not crashes:  # else nobody has read anything between what was rolled back and the next commit
                for store in (furnished, other):
                    _sees_what_is_committed(store, url)

    check()
    other.close()


def _sees_what_is_committed(store: SqlStore, url: str) -> None:
    fresh = SqlStore.open(url)
    with fresh.read() as tx:
        committed = tx.projects.get(PROJECT)
    fresh.close()
    with store.read() as tx:
        assert tx.projects.get(PROJECT) == committed
    with store.begin() as tx:
        assert tx.projects.get(PROJECT) == committed


def test_a_project_that_nobody_changed_is_read_once(furnished: SqlStore) -> None:
    with furnished.read() as tx:
        first = tx.projects.get(PROJECT)
    with furnished.begin() as tx:
        assert tx.projects.get(PROJECT) is first
        tx.tokens.add(a_token(901))
        assert tx.projects.get(PROJECT) is not first
