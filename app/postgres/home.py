"""What Tieline keeps in its home about the embedded PostgreSQL: lock, record (passwords, port, place), endpoint.

The record `postgres.json` (mode 0600) is written before the data directory exists, so that no crash leaves a
database whose passwords nobody knows. `place` is where `postgres/` lives: empty for the home itself, which
may be moved, or, where the account that runs the server cannot reach the home, a directory below /var/lib/tieline.
"""

import fcntl
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

from app.postgres.account import Account
from app.postgres.errors import PermissionRefused, StartTimedOut

HOST = "127.0.0.1"
DATABASE = "tieline"


class Role(StrEnum):
    """The owner makes and migrates the schema; the application gets its rights from the migrations."""

    OWNER = "tieline_owner"
    APP = "tieline_app"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a running server answers. `socket_dir` is None where the path is too long for a Unix socket."""

    port: int
    passwords: Mapping[str, str] = field(repr=False)
    socket_dir: Path | None = None
    host: str = HOST

    def url(self, role: Role, database: str = DATABASE) -> str:
        """For SQLAlchemy."""
        return self._url("postgresql+psycopg", role, database)

    def libpq_url(self, role: Role, database: str = DATABASE) -> str:
        """For psycopg, psql and whatever else reads a plain PostgreSQL URL."""
        return self._url("postgresql", role, database)

    def _url(self, scheme: str, role: Role, database: str) -> str:
        # token_urlsafe needs no quoting
        return f"{scheme}://{role}:{self.passwords[role]}@{self.host}:{self.port}/{database}"


@dataclass(slots=True)
class Record:
    """The content of postgres.json. `initialised` is set when the data directory was made whole once."""

    place: str = ""
    port: int | None = None
    initialised: bool = False
    passwords: dict[str, str] = field(default_factory=dict)

    def new_passwords(self) -> None:
        self.passwords = {role: secrets.token_urlsafe(24) for role in Role}


def record_path(home: Path) -> Path:
    return home / "postgres.json"


def read_record(home: Path) -> Record:
    """The record, or an empty one when there is none yet."""
    path = record_path(home)
    if not path.exists():
        return Record()
    kept = json.loads(path.read_text())
    return Record(kept["place"], kept["port"], kept["initialised"], kept["passwords"])


def write_record(home: Path, record: Record) -> None:
    new = home / "postgres.json.new"
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(asdict(record), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    new.replace(record_path(home))
    sync_directory(home)


def sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_passable(directory: Path) -> None:
    """Makes a directory that others may pass through and not list, so that the server's account gets to its data."""
    if not directory.exists():
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o711 if os.geteuid() == 0 else 0o700)


@contextmanager
def locked(home: Path, *, timeout_s: float) -> Iterator[None]:
    """One process, and one thread in it, at a time. The kernel frees the lock of a process that died."""
    deadline = time.monotonic() + timeout_s
    handle = os.open(home / "postgres.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _try_lock(handle):
            if time.monotonic() > deadline:
                raise StartTimedOut(timeout_s, f"another process holds {home / 'postgres.lock'}")
            time.sleep(0.05)
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def choose_place(home: Path, account: Account, *, fallback: Path) -> str:
    """Empty for the home, or a fresh directory below `fallback` when the account cannot reach the home."""
    if account.reaches(home):
        return ""
    make_passable(fallback)
    # A home that was deleted and made again must not find the database of the former one, hence the suffix.
    name = f"{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}-{secrets.token_hex(3)}"
    place = fallback / name
    make_passable(place)
    (place / "home").write_text(f"{home}\n")
    if not account.reaches(place):
        raise PermissionRefused(
            home, f"PostgreSQL runs as {account.name}, who reaches neither this directory nor {fallback}"
        )
    return str(place)
