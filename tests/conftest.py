"""What holds for all tests."""

import gc
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from loop.store.database import SqlStore

# A deadline for each example is a timed assertion: it fails on a busy machine, and says nothing of the rule.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_finish() -> None:
    """What was imported stays, and the collector need not look at it again and again: a tenth of the tests' CPU."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database to copy, which is faster than migrating for each test."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def store(tmp_path: Path, sqlite_template: Path) -> Iterator[SqlStore]:
    """An empty one on SQLite, in `tmp_path`/askance.db."""
    path = tmp_path / "askance.db"
    shutil.copyfile(sqlite_template, path)
    store = SqlStore.open(f"sqlite:///{path}")
    yield store
    store.close()


def migrate(url: str) -> None:
    store = SqlStore.open(url)
    store.migrate()
    store.close()
