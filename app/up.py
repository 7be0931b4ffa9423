"""`tieline up`: everything on one machine, in the order that each part needs, and back.

Order up: home, port, database, tables, web and its link, Tryton if asked for (nothing waits for it), sandbox systems
(their history first), workers. Down: web, workers, sandbox systems and Tryton, database.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from socket import socket
from typing import Any

import httpx

from app.cli import link_printing
from app.demo import tryton_beside
from app.demo.tryton_beside import TrytonBeside
from app.home import Home
from app.identity import oidc_client
from app.postgres.embedded import EmbeddedPostgres
from app.postgres.urls import DatabaseUrls, check, external, migrate, of_embedded
from app.processes import Part, Restarts, Supervisor, tieline
from app.progress import Progress
from app.settings import Settings
from app.web.serving import LOOPBACK, address, listen
from app.wiring import Wiring
from sync_core.estate.estate import Clm, Erp
from sync_core.estate.master import Mdm

_WATCH_S = 1.0
_ASK_AGAIN_S = 0.1


@dataclass
class Up:
    """One run of `tieline up`. `demo`: with a made-up history and traffic."""

    settings: Settings
    progress: Progress
    demo: bool
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    restarts: Restarts = field(default_factory=Restarts)
    supervisor: Supervisor | None = None

    async def run(self) -> None:
        """Until a signal. Raises Refusal for whatever an operator can mend."""
        if self.settings.beside:
            tryton_beside.require(self.settings)
        wiring = Wiring(self.settings, "up")
        oidc_client.client_of(wiring)
        wiring.check_systems()  # better known now than by a part that keeps ending
        home = Home(self.settings.home)
        home.prepare()
        with home.held(), contextlib.closing(listen(self.settings.host, self.settings.port)) as door:
            made_up = home.make_secrets()
            Wiring(self.settings, "up").require_secrets()
            home.note_running(pid=os.getpid(), url=self._url(door))
            async with self._database() as (urls, server):
                self.progress.done(f"database ready ({'embedded PostgreSQL' if urls.embedded else 'DATABASE_URL'})")
                await asyncio.to_thread(migrate, urls)
                self.progress.done("tables are those of this release")
                # The environment goes before what was made up.
                given = {name: self.settings.secret(name) or value for name, value in made_up.items()}
                await self._run_parts(door, urls, server, given)

    def _url(self, door: socket) -> str:
        return self.settings.public_url or address(door)

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[tuple[DatabaseUrls, EmbeddedPostgres | None]]:
        if found := external(self.settings):
            await asyncio.to_thread(check, found)
            yield found, None
            return
        server = EmbeddedPostgres(self.settings.home)
        self.progress.begin("starting the embedded PostgreSQL")
        try:
            urls = of_embedded(await asyncio.to_thread(server.start))
            yield urls, server
        finally:
            self.progress.begin("stopping the embedded PostgreSQL")
            await asyncio.to_thread(server.stop, attached_too=True)

    async def _run_parts(
        self, door: socket, urls: DatabaseUrls, server: EmbeddedPostgres | None, made_up: dict[str, str]
    ) -> None:
        if self.stop.is_set():
            return
        environment = {**made_up, **urls.environment(), "TIELINE_HOME": str(self.settings.home.absolute())}
        beside = TrytonBeside(self.settings, Home(self.settings.home)) if self.settings.beside else None
        environment |= beside.environment() if beside else {}
        supervisor = self.supervisor = Supervisor(self.settings.child_environment(environment), restarts=self.restarts)
        watch = asyncio.create_task(self._watch(server, urls, supervisor, environment))
        told: asyncio.Task[None] | None = None
        doors: list[socket] = []
        try:
            await self._start_web(supervisor, door)
            if not self.stop.is_set():
                wiring = Wiring(self.settings, "up", urls)
                await asyncio.to_thread(self._tell_where, wiring, self._url(door))
            if beside and not self.stop.is_set():
                told = await self._start_tryton(supervisor, beside, environment)
            doors = await self._start_sandbox(supervisor, environment, door)
            if not self.stop.is_set():
                await self._start_workers(supervisor)
            await self._until_stopped(supervisor, watch)
        finally:
            self.progress.begin("stopping")
            watch.cancel()
            if told:
                told.cancel()
            await supervisor.stop()
            for held in doors:
                held.close()

    def _tell_where(self, wiring: Wiring, url: str) -> None:
        if wiring.estate.identity.signs_people_in:
            self.progress.finish_at(url)
        else:
            self.progress.finish(link_printing.new_link(wiring, url))

    async def _start_tryton(
        self, supervisor: Supervisor, beside: TrytonBeside, environment: Mapping[str, str]
    ) -> asyncio.Task[None]:
        """Returns at once; the task says where it answers."""
        self.progress.begin("Tryton starts; the first time this takes a minute")
        await supervisor.start(beside.part())
        return asyncio.create_task(beside.tell(environment[beside.address_env], self.progress))

    async def _start_sandbox(self, supervisor: Supervisor, environment: dict[str, str], door: socket) -> list[socket]:
        wiring = Wiring(self.settings, "up")
        clms, erps = wiring.sandboxed()
        if not clms or not erps:
            return []
        more: tuple[Erp | Mdm, ...] = (*wiring.sandboxed_mdm()[:1], *wiring.sandboxed_legacy()[:1])
        run: tuple[Clm | Erp | Mdm, ...] = (clms[0], erps[0], *more)
        doors = {system.name: listen(LOOPBACK, 0) for system in run}
        for name, held in doors.items():
            environment[self.settings.address_env(name)] = address(held)
        # The sandbox itself runs those systems that have no address, so it must not see them.
        arguments = ["sandbox", "--webhook-url", f"{address(door)}/v1/events", "--lively" if self.demo else "--empty"]
        fds = {name: held.fileno() for name, held in doors.items()}
        unset = {self.settings.address_env(name): "" for name in doors}
        part = Part("sandbox", tieline(*arguments), fds=tuple(fds.values()), environment={**unset, **_fds(fds)})
        made = ", with a past that is made the first time while the dashboard shows it growing" if self.demo else ""
        self.progress.begin(f"starting the sandbox CLM and ERPs{made}")
        await supervisor.start(part)
        await self._answers(f"{address(doors[clms[0].name])}/healthz", supervisor)
        supervisor.environment.update(environment)
        if not self.stop.is_set():
            self.progress.done("sandbox CLM and ERPs answer")
        return list(doors.values())

    async def _start_web(self, supervisor: Supervisor, door: socket) -> None:
        self.progress.begin("starting the dashboard and the intake of events")
        fds = {"web": door.fileno()}
        part = Part("web", tieline("web"), stage=2, fds=tuple(fds.values()), environment=_fds(fds))
        await supervisor.start(part)
        await self._answers(f"{address(door)}/healthz", supervisor)

    async def _start_workers(self, supervisor: Supervisor) -> None:
        """Last: until the sandbox systems answer, the history's own worker does the work."""
        for number in range(1, self.settings.workers + 1):
            name = "worker" if self.settings.workers == 1 else f"worker-{number}"
            await supervisor.start(Part(name, tieline("worker"), stage=1, stop_s=10))
        self.progress.done("contracts signed from now on are provisioned as they come")

    async def _answers(self, url: str, supervisor: Supervisor) -> None:
        """Wait until the part answers, the user stops us, or the part is given up (raises its Refusal)."""
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            while not self.stop.is_set() and not supervisor.failed.done():
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(url)).status_code == 200:
                        return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_ASK_AGAIN_S):
                        await self.stop.wait()
        if supervisor.failed.done():
            raise supervisor.failed.result()

    async def _until_stopped(self, supervisor: Supervisor, watch: asyncio.Task[None]) -> None:
        stopped = asyncio.create_task(self.stop.wait())
        ends: set[asyncio.Future[Any]] = {stopped, supervisor.failed, watch}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if supervisor.failed.done():
            raise supervisor.failed.result()
        if watch.done():
            watch.result()

    async def _watch(
        self,
        server: EmbeddedPostgres | None,
        urls: DatabaseUrls,
        supervisor: Supervisor,
        environment: dict[str, str],
    ) -> None:
        """Restart the embedded server when it dies; parts begin anew when it had to take another port."""
        while server is not None:
            await asyncio.sleep(_WATCH_S)
            if not await asyncio.to_thread(server.ensure):
                continue
            self.progress.note("the embedded PostgreSQL had died and runs again")
            now = of_embedded(await asyncio.to_thread(server.start))
            if now.app != urls.app:
                urls = now
                await supervisor.restart_all(self.settings.child_environment({**environment, **urls.environment()}))
        await asyncio.Event().wait()


def _fds(handles: Mapping[str, int]) -> dict[str, str]:
    """How a part learns which sockets it was handed."""
    return {"TIELINE_LISTEN_FDS": json.dumps(handles)}
