"""A Tryton server as a process beside ours: made on first start, filled with one legal entity, stopped by us.

Tryton is GPL: it is run and talked to over HTTP, never imported. PostgreSQL only (its SQLite back end fails
under concurrency). The server is trytond's own threaded one; `connections` bounds what runs at a time.
`home` keeps the configuration, the log, the passwords (0600) and the pid of the last run.
"""

import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from app.sandbox.tryton_access import SERVICE_LOGIN, add_service_user
from app.sandbox.tryton_company import CompanyBooks
from app.sandbox.tryton_database import TrytonDatabase
from app.sandbox.tryton_entity import LegalEntity
from app.sandbox.tryton_program import TrytonProgram, TrytonStartError, free_port
from app.sandbox.tryton_rpc import TrytonLoginError, TrytonRpc

ADMIN_LOGIN = "admin"
MODULE = "project_invoice"  # brings project_revenue, timesheet_cost, account_invoice and what they need
MAKE_S = 900
START_S = 60
PORTS_TRIED = 3

# The request timeout is also the longest that a call of a lost client can go on.
CONFIG = """\
[database]
uri = {uri}
list = False
language = en
maxconn = {connections}
[request]
timeout = 60
[web]
listen = 127.0.0.1:{port}
"""


@dataclass(frozen=True, slots=True)
class TrytonEndpoint:
    base_url: str
    database: str
    login: str
    password: str = field(repr=False)
    admin_login: str
    admin_password: str = field(repr=False)
    company_code: str


@dataclass(frozen=True, slots=True)
class Passwords:
    admin: str = field(repr=False)
    service: str = field(repr=False)

    @classmethod
    def kept_in(cls, path: Path) -> Self:
        """Read the file, which only its owner can read; make both up and write it when there is none."""
        if path.exists():
            stored = json.loads(path.read_text())
            return cls(admin=str(stored["admin"]), service=str(stored["service"]))
        made = cls(admin=secrets.token_urlsafe(24), service=secrets.token_urlsafe(24))
        unfinished = path.with_suffix(".new")
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump({"admin": made.admin, "service": made.service}, file)
        unfinished.replace(path)
        return made


class TrytonServer:
    """One server, one database, one legal entity. `today` decides which fiscal years are open.

    With `port` 0 each start takes a free port. A second start on the same database makes nothing anew.
    """

    def __init__(
        self,
        home: Path,
        *,
        database_url: str,
        company: LegalEntity,
        today: date,
        port: int = 0,
        connections: int = 16,
    ) -> None:
        self._home, self._database, self._company = home, TrytonDatabase(database_url), company
        self._today, self._port, self._connections = today, port, connections
        self._program = TrytonProgram(home)
        self._endpoint: TrytonEndpoint | None = None
        self.is_new = False

    def start(self) -> TrytonEndpoint:
        """Return when the service user can log in. Takes a minute on an empty database, else seconds."""
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._program.end_stale()
        passwords = Passwords.kept_in(self._home / "passwords.json")
        self._make(passwords)
        try:
            base_url = self._serve(passwords)
            self._fill(base_url, passwords)
        except BaseException:
            self.stop()
            raise
        self._endpoint = TrytonEndpoint(
            base_url=base_url,
            database=self._database.name,
            login=SERVICE_LOGIN,
            password=passwords.service,
            admin_login=ADMIN_LOGIN,
            admin_password=passwords.admin,
            company_code=self._company.code,
        )
        return self._endpoint

    def stop(self) -> None:
        """End the server that this object started, and wait until it is gone."""
        self._program.stop()
        self._endpoint = None

    def __enter__(self) -> TrytonEndpoint:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        return self._program.pid

    def ended_within(self, seconds: float) -> bool:
        """Wait that long at most; True as soon as the server has ended by itself."""
        return self._program.ended_within(seconds)

    def last_words(self) -> str:
        """The end of the server's log, for an error message."""
        return self._program.last_words()

    def is_filled(self) -> bool:
        """Whether an earlier start came to its end; the service user is the last thing that is made."""
        self._database.make()
        return self._database.is_ready() and self._database.has_user(SERVICE_LOGIN)

    @contextmanager
    def books(self) -> Iterator[CompanyBooks]:
        """The running server's legal entity, as its administrator sees it: add customers, change their tax."""
        if self._endpoint is None:
            raise TrytonStartError("Tryton is not running; call start() first.")
        with self._log_in(self._endpoint.base_url, ADMIN_LOGIN, self._endpoint.admin_password) as rpc:
            yield CompanyBooks(rpc, self._company)

    def _log_in(self, base_url: str, login: str, password: str) -> TrytonRpc:
        return TrytonRpc(base_url, self._database.name, login=login, password=password)

    def _configure(self, port: int) -> None:
        uri = self._database.server
        text = CONFIG.format(uri=uri, connections=self._connections, port=port)
        self._program.config.touch(mode=0o600)
        self._program.config.write_text(text)

    def _make(self, passwords: Passwords) -> None:
        self._configure(self._port)
        self._database.make()
        if self._database.is_ready():
            return
        # --password also mends a database whose first making was interrupted: it would have none.
        modules = ["-u", MODULE, "--activate-dependencies"]
        user = ["--administrator", "--email", "admin@example.com", "--password"]
        arguments = ["-d", self._database.name, *modules, *user]
        self._program.administer(arguments, password=passwords.admin, timeout_s=MAKE_S)
        self.is_new = True

    def _serve(self, passwords: Passwords) -> str:
        """Start the program and wait until the administrator can log in."""
        for _ in range(1 if self._port else PORTS_TRIED):
            port = self._port or free_port()
            self._configure(port)
            self._program.serve(self._database.name)
            base_url = f"http://127.0.0.1:{port}"
            if self._answers(base_url, passwords):
                return base_url
        raise TrytonStartError(f"trytond ended before it could serve. {self._program.last_words()}")

    def _answers(self, base_url: str, passwords: Passwords) -> bool:
        """False when the program has ended, as it does when another process took the port."""
        deadline = time.monotonic() + START_S
        while not self._program.ended_within(0.1):
            try:
                self._log_in(base_url, ADMIN_LOGIN, passwords.admin).close()
            except TrytonLoginError:
                self._reset_password(passwords)
                self._log_in(base_url, ADMIN_LOGIN, passwords.admin).close()
            except httpx.TransportError as not_yet:
                if time.monotonic() > deadline:
                    words = self._program.last_words()
                    raise TrytonStartError(f"trytond did not answer in {START_S} s. {words}") from not_yet
                continue
            return True
        return False

    def _reset_password(self, passwords: Passwords) -> None:
        """For a database older than our passwords: it came from elsewhere, or `home` was emptied."""
        arguments = ["-d", self._database.name, "--password", "--administrator"]
        self._program.administer(arguments, password=passwords.admin, timeout_s=START_S)

    def _fill(self, base_url: str, passwords: Passwords) -> None:
        with self._log_in(base_url, ADMIN_LOGIN, passwords.admin) as rpc:
            books = CompanyBooks(rpc, self._company)
            books.fill(self._today)
            try:
                self._log_in(base_url, SERVICE_LOGIN, passwords.service).close()
            except TrytonLoginError:
                add_service_user(rpc, books.company, passwords.service)
                self._log_in(base_url, SERVICE_LOGIN, passwords.service).close()
