"""The PostgreSQL that Tieline supervises when no DATABASE_URL is set: start, attach, recover, stop.

The server outlives whoever started it; the next start attaches to it. Every decision is made under the home's
lock, and a server counts as ours only when its process serves our directory and a real connection
reports that directory. A restart may change the port: after `ensure` has said True, `start` gives the new Endpoint.
"""

import logging
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import TimeoutExpired

import psycopg

from app.postgres import postmaster
from app.postgres.account import account_for
from app.postgres.binaries import installed_binaries, reachable_binaries
from app.postgres.cluster import Cluster
from app.postgres.errors import (
    CredentialsRefused,
    DataMissing,
    EmbeddedPostgresError,
    OldProcessesRemain,
    PermissionRefused,
    PortTaken,
    StartFailed,
    StartTimedOut,
    os_errors_named,
)
from app.postgres.home import (
    HOST,
    Endpoint,
    Record,
    Role,
    choose_place,
    locked,
    make_passable,
    read_record,
    record_path,
    write_record,
)

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "Endpoint", "Role"]

_log = logging.getLogger(__name__)

FALLBACK = Path("/var/lib/tieline")
_LEFTOVER_GRACE_S = 5.0
_PORT_TRIES = 5


class EmbeddedPostgres:
    """One server for one home. Raises only EmbeddedPostgresError, and OSError of kinds that it does not name.

    `port` None means any free one, kept for later starts. `settings` are added to those of the cluster.
    `fallback` is where root puts data and programs that the server's account cannot reach in their place.
    """

    def __init__(
        self,
        home: Path,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        fallback: Path = FALLBACK,
        timeout_s: float = 60.0,
    ) -> None:
        self.home = home.absolute()
        self._port, self._settings, self._fallback, self._timeout_s = port, settings or {}, fallback, timeout_s
        self._cluster: Cluster | None = None
        self._pid: int | None = None
        self._started_pid: int | None = None

    def start(self) -> Endpoint:
        """Makes the database if there is none, attaches to its server if it runs, starts it otherwise."""
        with self._exclusively():
            return self._start()

    def ensure(self) -> bool:
        """Restarts the server if it died; True when the server is another than before. For a loop of a second or so.

        A server that is alive but has no connection to spare, or is still recovering, is left alone.
        """
        with self._exclusively():
            if self._cluster is not None:
                found = postmaster.find_postmaster(self._cluster.data_dir)
                if found is not None and found.pid == self._pid:
                    postmaster.shorten_log(self._cluster)
                    return False
            self._start()
            return True

    def running(self) -> bool:
        """Whether our server is alive and answers a connection as itself."""
        with os_errors_named(self.home):
            record = read_record(self.home)
            data_dir = (Path(record.place or self.home) / "postgres").resolve()
            found = postmaster.find_postmaster(data_dir)
            return found is not None and self._answers(found, record, data_dir)

    def stop(self, *, attached_too: bool = False) -> bool:
        """Stops the server if this object started it, or in any case when asked to; says whether it did."""
        if not self.home.exists():
            return False
        with self._exclusively():
            record = read_record(self.home)
            if not record.initialised:
                return False
            cluster = self._locate(record)
            found = postmaster.find_postmaster(cluster.data_dir)
            if found is None or (found.pid != self._started_pid and not attached_too):
                return False
            postmaster.halt(cluster, timeout_s=self._timeout_s)
            self._started_pid = None
            return True

    def destroy(self) -> None:
        """Stops the server, whoever started it, and deletes the database with all that is in it."""
        with self._exclusively():
            record = read_record(self.home)
            place = Path(record.place or self.home)
            if (place / "postgres").exists():
                cluster = self._locate(record)
                if postmaster.find_postmaster(cluster.data_dir) is not None:
                    postmaster.halt(cluster, timeout_s=self._timeout_s)
                shutil.rmtree(cluster.data_dir)
            if record.place and place.exists():
                shutil.rmtree(place)
            record_path(self.home).unlink(missing_ok=True)
            self._cluster = self._pid = self._started_pid = None

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        with os_errors_named(self.home):
            make_passable(self.home)
            try:
                # another process may use up its own time before we get ours
                with locked(self.home, timeout_s=self._timeout_s * 2):
                    yield
            except TimeoutExpired as error:
                raise StartTimedOut(error.timeout, f"{Path(error.cmd[0]).name} did not end") from error

    def _start(self) -> Endpoint:
        record = read_record(self.home)
        cluster = self._cluster = self._locate(record)
        if not cluster.data_dir.exists():
            self._create(cluster, record)
        cluster.check_version()
        if not record.passwords:
            self._set_new_passwords(cluster, record)
        record.initialised = True
        if not self._attached(cluster, record):
            self._launch(cluster, record)
        found = self._ready(cluster, record)
        self._pid, record.port = found.pid, found.port
        write_record(self.home, record)
        postmaster.shorten_log(cluster)
        return Endpoint(found.port or 0, record.passwords, cluster.socket_dir)

    def _locate(self, record: Record) -> Cluster:
        data_dir = Path(record.place or self.home) / "postgres"
        account = account_for(data_dir)
        if not data_dir.exists():
            if record.initialised:
                raise DataMissing(data_dir, record_path(self.home))
            record.place = choose_place(self.home, account, fallback=self._fallback)
        place = Path(record.place or self.home).resolve()
        if not account.reaches(place):
            raise PermissionRefused(place, f"PostgreSQL runs as {account.name}, who may not pass through to it")
        binaries = reachable_binaries(account, fallback=self._fallback, installed=installed_binaries())
        return Cluster(place / "postgres", account, binaries, self._settings)

    def _create(self, cluster: Cluster, record: Record) -> None:
        record.new_passwords()
        write_record(self.home, record)
        _log.info("making a database in %s", cluster.data_dir)
        cluster.create(record.passwords)

    def _set_new_passwords(self, cluster: Cluster, record: Record) -> None:
        _log.warning("the passwords of %s were lost, setting new ones", cluster.data_dir)
        if postmaster.find_postmaster(cluster.data_dir) is not None:
            postmaster.halt(cluster, timeout_s=self._timeout_s)
        record.new_passwords()
        write_record(self.home, record)
        cluster.reset_passwords(record.passwords)

    def _attached(self, cluster: Cluster, record: Record) -> bool:
        """Waits for a live server to be ready, or to be gone when it was about to stop."""
        deadline = time.monotonic() + self._timeout_s
        while (found := postmaster.find_postmaster(cluster.data_dir)) is not None:
            if self._answers(found, record, cluster.data_dir):
                return True
            if time.monotonic() > deadline:
                raise StartTimedOut(self._timeout_s, postmaster.last_words(cluster))
            time.sleep(0.05)
        return False

    def _launch(self, cluster: Cluster, record: Record) -> None:
        deadline = time.monotonic() + self._timeout_s
        postmaster.await_leftovers(cluster.data_dir, grace_s=_LEFTOVER_GRACE_S, timeout_s=self._timeout_s)
        port = self._port or record.port or _free_port()
        ports_left = _PORT_TRIES
        while True:
            cluster.configure(port)
            try:
                postmaster.launch(cluster, port=port, timeout_s=self._timeout_s)
                break
            except PortTaken:
                ports_left -= 1
                if self._port is not None or not ports_left:
                    raise
                _log.warning("port %d is taken, choosing another", port)
                port = _free_port()
            except OldProcessesRemain:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        found = postmaster.find_postmaster(cluster.data_dir)
        self._started_pid = found.pid if found else None

    def _ready(self, cluster: Cluster, record: Record) -> postmaster.Postmaster:
        found = postmaster.find_postmaster(cluster.data_dir)
        if found is None or not self._answers(found, record, cluster.data_dir):
            raise StartFailed(cluster.data_dir, postmaster.last_words(cluster))
        return found

    def _answers(self, found: postmaster.Postmaster, record: Record, data_dir: Path) -> bool:
        """Whether a connection to the recorded port reaches this very directory."""
        if found.port is None or not record.passwords:
            return False
        try:
            with psycopg.connect(
                host=HOST,
                port=found.port,
                user=Role.OWNER,
                password=record.passwords[Role.OWNER],
                dbname="postgres",
                connect_timeout=5,
                sslmode="disable",
                autocommit=True,
            ) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise CredentialsRefused(record_path(self.home)) from error
            return False
        return row is not None and Path(row[0]) == data_dir


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
