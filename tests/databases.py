"""Databases for tests: one real server per test run, templates made once, clones in tens of milliseconds.

tests/washed.py lends one clone to many tests.

The server is shared by the workers of one pytest-xdist run. Each user holds a shared lock on a file while it
uses the server, and whoever finds itself the last one removes everything; the kernel drops the locks of killed
workers, so the next run removes what a killed run left.

In conftest.py (import the module, not the names: pytest collects a name that starts with `test_`):

    @pytest.fixture(scope="session")
    def server(testrun_uid: str) -> Iterator[Endpoint]:
        with databases.test_server(testrun_uid) as endpoint:
            yield endpoint
"""

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from app.postgres.embedded import EmbeddedPostgres, Endpoint, Role

Connection = psycopg.Connection[tuple[object, ...]]

_PREFIX = "tieline-tests-"

# Nobody needs these databases after a power cut; the rest keeps the server light beside the tests.
TEST_SETTINGS: Mapping[str, str] = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_size": "256MB",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "io_method": "sync",
    "shared_buffers": "128MB",
    "authentication_timeout": "10s",  # DROP DATABASE waits for whoever was killed while signing in
}

# Files of databases come and go by the thousand. ext4 without a journal passes over each inode that was given back in
# the last minutes before it gives out one: there 1,000 new files took 1,300 ms, in memory 50 ms; clones 590 and 25 ms.
# Where there is as little of it as a container has by default, databases are made on the disk.
_MEMORY, _MEMORY_BYTES = Path("/dev/shm"), 3 * 2**30

# Median of a clone of 87 tables with 261 indexes on 2 cores, in memory: FILE_COPY 25 ms, WAL_LOG 385 ms.
STRATEGY = "FILE_COPY"


@dataclass(slots=True)
class DatabaseUrls:
    """One database for one test. `owner` and `app` are for SQLAlchemy, the `libpq` ones for psycopg and psql."""

    endpoint: Endpoint = field(repr=False)
    name: str
    owned: bool = False  # somebody asked for the owner's URL, who may change more than rows

    @property
    def app(self) -> str:
        return self.endpoint.url(Role.APP, self.name)

    @property
    def app_libpq(self) -> str:
        return self.endpoint.libpq_url(Role.APP, self.name)

    @property
    def owner(self) -> str:
        self.owned = True
        return self.endpoint.url(Role.OWNER, self.name)

    @property
    def owner_libpq(self) -> str:
        self.owned = True
        return self.endpoint.libpq_url(Role.OWNER, self.name)


@contextmanager
def test_server(run: str) -> Iterator[Endpoint]:
    """The server of the test run named `run` (xdist's fixture `testrun_uid`): started by the first user of it."""
    home = home_of(run)
    _sweep(home.parent)
    lock = _join(home)
    try:
        yield EmbeddedPostgres(home / "home", settings=TEST_SETTINGS).start()
    finally:
        _leave(home, lock)


def home_of(run: str) -> Path:
    return root() / f"{_PREFIX}{run}"


def root() -> Path:
    """Where tests make databases: the same for all processes of this machine."""
    in_memory = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).total >= _MEMORY_BYTES
    return (_MEMORY if in_memory else Path(tempfile.gettempdir())).resolve()


def template(endpoint: Endpoint, name: str, build: Callable[[str], None]) -> str:
    """Makes the template `name` unless it stands already; `build` gets the owner's SQLAlchemy URL of an empty database.

    Safe across workers: one builds, the others wait. A build that fails leaves nothing, and the next one tries again.
    """
    unfinished = f"{name}_unfinished"
    with maintenance(endpoint) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [name])
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            return name
        _execute(connection, "DROP DATABASE IF EXISTS {} WITH (FORCE)", unfinished)
        _execute(connection, "CREATE DATABASE {}", unfinished)
        build(endpoint.url(Role.OWNER, unfinished))
        # a connection to a template would make every clone of it fail
        _execute(connection, "ALTER DATABASE {} WITH ALLOW_CONNECTIONS false", unfinished)
        _terminate_sessions(connection, unfinished)
        _execute(connection, "ALTER DATABASE {} RENAME TO {}", unfinished, name)
    return name


def clone(endpoint: Endpoint, template: str) -> DatabaseUrls:
    """A new database that equals the template, owned by the owner role; both roles can connect."""
    made = DatabaseUrls(endpoint, _new_name())
    with maintenance(endpoint) as connection:
        _execute(connection, f"CREATE DATABASE {{}} TEMPLATE {{}} STRATEGY {STRATEGY}", made.name, template)
    return made


def renamed(connection: Connection, database: DatabaseUrls) -> DatabaseUrls:
    """The database under a new name, which only the caller knows, after its sessions were ended."""
    new = DatabaseUrls(database.endpoint, _new_name())
    _terminate_sessions(connection, database.name)
    _execute(connection, "ALTER DATABASE {} RENAME TO {}", database.name, new.name)
    return new


def drop(endpoint: Endpoint, database: DatabaseUrls) -> None:
    """Removes a clone, ending sessions that a test left open."""
    with maintenance(endpoint) as connection:
        _execute(connection, "DROP DATABASE IF EXISTS {} WITH (FORCE)", database.name)


def _new_name() -> str:
    return f"test_{secrets.token_hex(8)}"


def maintenance(endpoint: Endpoint) -> Connection:
    """As the owner, in none of the databases of tests."""
    return psycopg.connect(endpoint.libpq_url(Role.OWNER, "postgres"), autocommit=True)


def _execute(connection: Connection, statement: str, *names: str) -> None:
    # a named constant of this file and quoted names: nothing else gets into the text
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _terminate_sessions(connection: Connection, database: str) -> None:
    connection.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [database])


def _join(home: Path) -> int:
    """A shared lock on a home that nobody is removing."""
    while True:
        if not home.exists():
            home.mkdir(exist_ok=True)
            home.chmod(0o711)
        try:
            lock = os.open(home / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            continue  # removed between these lines by the last user
        fcntl.flock(lock, fcntl.LOCK_SH)
        if _still_there(home, lock):
            return lock
        os.close(lock)


def _leave(home: Path, lock: int) -> None:
    try:
        if _alone(lock) and _still_there(home, lock):
            _remove(home)
    finally:
        os.close(lock)


def _sweep(root: Path) -> None:
    """Removes servers of runs whose every process is gone."""
    for home in root.glob(f"{_PREFIX}*"):
        try:
            lock = os.open(home / "users.lock", os.O_RDWR)
        except (FileNotFoundError, PermissionError):
            continue  # just removed, or another account's
        _leave(home, lock)


def _remove(home: Path) -> None:
    EmbeddedPostgres(home / "home").destroy()
    shutil.rmtree(home)


def _alone(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _still_there(home: Path, lock: int) -> bool:
    try:
        return (home / "users.lock").stat().st_ino == os.fstat(lock).st_ino
    except FileNotFoundError:
        return False
