"""Tryton beside the demo, as `tieline up --with tryton` runs it: one more part, one more lane, one more database.

Nothing waits for it: its lane is down until it answers. It is made and filled on a port that nobody is told, so that
what answers at the announced one is complete; a login that is tried too early would also lock the service user out.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from app.cli.refusals import Exit, Refusal
from app.home import Home
from app.postgres.embedded import Endpoint, Role
from app.postgres.home import read_record
from app.processes import Part, tieline
from app.progress import Progress
from app.sandbox.clm.app import SandboxClm
from app.sandbox.tryton_firm import contract_ids, legal_entity, signed_contracts
from app.sandbox.tryton_program import TrytonStartError, free_port
from app.sandbox.tryton_server import ADMIN_LOGIN, Passwords, TrytonServer
from app.settings import InvalidSettings, Settings
from app.wiring import Wiring

DATABASE = "tieline_tryton"
_PACKAGE = "trytond-project-invoice"
_SECRET = "TIELINE_TRYTON_SECRET"  # noqa: S105 - the variable that estate_tryton.toml names
_LANE = "tryton"
_CONNECTIONS = 8
_LOOK_EVERY_S, _ASK_AGAIN_S = 60.0, 0.5
_STOP_S = 15.0
_NICE = 5  # making it costs a minute of a processor, which the demo's past needs more


def require(settings: Settings, *, package: str = _PACKAGE) -> None:
    """Raises Refusal or InvalidSettings for what `--with tryton` cannot do here, before anything starts."""
    if settings.estate is not None:
        raise InvalidSettings(
            "TIELINE_BESIDE: Tryton goes beside the demo estate; unset TIELINE_ESTATE, or name it there"
        )
    if settings.database_url is not None and settings.tryton_database_url is None:
        words = (
            "a role that may create databases, and the database to make, for instance postgresql://.../tieline_tryton"
        )
        raise InvalidSettings(f"TIELINE_TRYTON_DATABASE_URL: with a DATABASE_URL, Tryton needs one too: {words}")
    try:
        distribution(package)
    except PackageNotFoundError as missing:
        words = "`make up WITH=tryton` installs it, or `pip install 'tieline[tryton]'`"
        raise Refusal(f"Tryton is not installed here ({package} is missing): {words}.", Exit.SETTINGS) from missing


@dataclass(frozen=True, slots=True)
class TrytonBeside:
    """For the supervisor. What it keeps is in `tryton/` of the home."""

    settings: Settings
    home: Home

    @property
    def folder(self) -> Path:
        return self.home.path / "tryton"

    @property
    def address_env(self) -> str:
        return self.settings.address_env(_LANE)

    def environment(self) -> Mapping[str, str]:
        """What all parts are told: the estate's overlay, where that ERP answers, its service user's password."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        name = urlsplit(_database_url(self.settings)).path.lstrip("/")
        return {
            "TIELINE_BESIDE": "tryton",
            self.address_env: f"http://127.0.0.1:{self._port()}/{name}",
            _SECRET: Passwords.kept_in(self._passwords).service,
        }

    def part(self) -> Part:
        return Part("tryton", tieline("tryton"), stop_s=_STOP_S)

    async def tell(self, url: str, progress: Progress) -> None:
        """Wait until it answers; then say where it is and how to look."""
        await answered(url)
        at = urlsplit(url)
        progress.done(
            f"Tryton answers at {at.scheme}://{at.netloc}, database {at.path.lstrip('/')}, user {ADMIN_LOGIN}, "
            f'password: "admin" in {self._passwords}'
        )
        progress.begin("open it with any Tryton 8.2 client, or ask its API as README.md does")

    @property
    def _passwords(self) -> Path:
        return self.folder / "passwords.json"

    def _port(self) -> int:
        """That of the last time when it is still free, so that a client's profile stays good."""
        kept = self.folder / "port"
        port = int(kept.read_text()) if kept.exists() else 0
        if not port or not _is_free(port):
            port = free_port()
            kept.write_text(f"{port}\n")
        return port


def run(wiring: Wiring) -> None:
    """The part itself: until SIGTERM. Raises Refusal that ends with Tryton's own last words."""
    # Tryton's programs die with the thread that starts them, so this is no work for a pool of threads.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.nice(_NICE)
    try:
        _serve(wiring)
    except KeyboardInterrupt:
        return
    except TrytonStartError as wrong:
        raise Refusal(str(wrong), Exit.PART_DIES) from wrong


def _serve(wiring: Wiring) -> None:
    url = wiring.settings.address(_LANE)
    if url is None:
        variable = wiring.settings.address_env(_LANE)
        raise InvalidSettings(f"{variable}: is not set; `tieline up --with tryton` starts Tryton and sets it")
    if not _server(wiring, port=0).is_filled():
        with _server(wiring, port=0):
            pass
    server = _server(wiring, port=urlsplit(url).port or 0)
    with server:
        while not server.ended_within(_LOOK_EVERY_S):
            pass
        raise TrytonStartError(f"trytond ended by itself. {server.last_words()}")


def _server(wiring: Wiring, *, port: int) -> TrytonServer:
    now = wiring.clock.now()
    return TrytonServer(
        wiring.home.path / "tryton",
        database_url=_database_url(wiring.settings),
        company=legal_entity(wiring.estate, now),
        today=now.date(),
        port=port,
        connections=_CONNECTIONS,
    )


def _database_url(settings: Settings) -> str:
    """With the owner's rights on the embedded server; asked anew at each start, for that server may move."""
    if settings.tryton_database_url is not None:
        return settings.tryton_database_url.get_secret_value()
    record = read_record(settings.home)
    return Endpoint(record.port or 0, record.passwords).libpq_url(Role.OWNER, DATABASE)


async def answered(url: str) -> None:
    """Returns when something speaks HTTP at `url`, whatever it says."""
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        while True:
            try:
                await client.get(url)
            except httpx.TransportError:
                await asyncio.sleep(_ASK_AGAIN_S)
            else:
                return


async def sign(wiring: Wiring, clm: SandboxClm) -> None:
    """Once in the life of the CLM's journal: the contracts that are worth looking at in Tryton."""
    url, known = wiring.settings.address(_LANE), set(clm.store.contract_ids())
    if url is None or known.issuperset(contract_ids(wiring.estate)):
        return
    await answered(url)
    for contract in signed_contracts(wiring.estate, wiring.clock.now()):
        if contract.contract_id not in known:
            for change in contract.changes:
                clm.perform(change)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
