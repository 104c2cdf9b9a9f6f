"""The databases that the contract of the store is run on."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from loop.store.database import SqlStore
from loop.store.schema import metadata
from tests.conftest import migrate
from tests.postgres import PostgresCluster, postgres_cluster

# Gives the URL of an empty, migrated database; its contents are gone when the block ends.
Databases = Callable[[], AbstractContextManager[str]]


@pytest.fixture(scope="session")
def cluster() -> Iterator[PostgresCluster]:
    with postgres_cluster() as running:
        yield running


@pytest.fixture(scope="session")
def postgres_template(cluster: PostgresCluster) -> str:
    name = cluster.new_database()
    migrate(cluster.url(name))
    return name


@pytest.fixture(scope="session")
def postgres_database(cluster: PostgresCluster, postgres_template: str) -> str:
    return cluster.new_database(postgres_template)


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Databases:
    """Makes empty, migrated databases of one kind; a test with this fixture is run on both kinds."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        return lambda: _sqlite(tmp_path, template)
    cluster: PostgresCluster = request.getfixturevalue("cluster")
    name: str = request.getfixturevalue("postgres_database")
    return lambda: _postgres(cluster, name)


@contextmanager
def _sqlite(folder: Path, template: Path) -> Iterator[str]:
    path = folder / "askance.db"
    shutil.copyfile(template, path)
    yield f"sqlite:///{path}"
    for left in folder.glob("askance.db*"):
        left.unlink()


@contextmanager
def _postgres(cluster: PostgresCluster, name: str) -> Iterator[str]:
    """One database for all tests, emptied after each: ten times faster than making one."""
    yield cluster.url(name)
    emptying = "; ".join(f"DELETE FROM {table}" for table in metadata.tables)
    cluster.execute(f"SET session_replication_role = replica; {emptying}", database=name)


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    with databases() as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    cluster: PostgresCluster = request.getfixturevalue("cluster")
    name = cluster.new_database()
    yield cluster.url(name)
    cluster.drop_database(name)


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    opened = SqlStore.open(url)
    yield opened
    opened.close()
