"""A temporary PostgreSQL server for tests: own folder, Unix socket only, gone with the `with` block."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg

from tests.requirements import missing


@dataclass
class PostgresCluster:
    """A running server; databases are made by copying a template."""

    socket_folder: Path
    _numbers: Iterator[int] = field(default_factory=count)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://askance@/{database}?host={self.socket_folder}"

    def new_database(self, template: str = "template1") -> str:
        """The name of a fresh copy of `template`, to which nobody may be connected."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(
            f"host={self.socket_folder} user=askance dbname={database}", autocommit=True
        ) as connection:
            connection.execute(statement.encode())


@contextmanager
def postgres_cluster(*, durable: bool = False) -> Iterator[PostgresCluster]:
    """Start a server, skip (or fail, see tests/requirements.py) where PostgreSQL is not installed. durable: a commit
    waits for the disk, as it does in production; else a crash of the machine may lose this server."""
    binaries = _binaries()
    with tempfile.TemporaryDirectory(prefix="askance-pg-") as name:
        folder = Path(name)
        account = _account()
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        _run(account, binaries / "initdb", "-D", folder / "data", "-U", "askance", "-A", "trust", "-E", "UTF8", "-N")
        syncs = "on" if durable else "off"
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync={syncs} -c max_connections=100"
        control = (binaries / "pg_ctl", "-D", folder / "data", "-w")
        _run(account, *control, "-l", folder / "log", "-o", options, "start")
        try:
            yield PostgresCluster(folder)
        finally:
            _run(account, *control, "-m", "immediate", "stop")


def _binaries() -> Path:
    candidates = []
    if found := shutil.which("initdb"):
        candidates.append(Path(found).parent)
    if config := shutil.which("pg_config"):
        printed = subprocess.run([config, "--bindir"], check=True, capture_output=True, text=True).stdout
        candidates.append(Path(printed.strip()))
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    for folder in candidates:
        if (folder / "initdb").is_file() and (folder / "pg_ctl").is_file():
            return folder
    return missing("PostgreSQL (apt-get install postgresql)")


def _version(folder: Path) -> float:
    try:
        return float(folder.parent.name)
    except ValueError:
        return 0.0


def _account() -> pwd.struct_passwd | None:
    """The server refuses to run as root; then another account must."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return missing("an account that PostgreSQL can run as")


def _run(account: pwd.struct_passwd | None, *command: str | Path) -> None:
    """Output goes to nowhere, not to a pipe: the server inherits it, and would keep the pipe open."""
    environment: Mapping[str, str] = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"}
    subprocess.run(
        command,
        check=True,
        cwd="/",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=None if account is None else account.pw_uid,
        group=None if account is None else account.pw_gid,
        extra_groups=None if account is None else [],
    )
