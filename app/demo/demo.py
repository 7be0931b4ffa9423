"""The demo: the sandbox systems that the estate leaves to us, their history, and traffic that goes on.

A CLM of kind `sandbox`, an ERP of kind `sandbox_cloud` and one of kind `sandbox_legacy` without a URL are run here, in
one process, and keep their records in the home. With the estate that Tieline brings along, a made-up history is played
before they serve, once, and new contracts are signed for as long as they run.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.demo import alarms, books, tryton_beside
from app.demo import legacy as demo_legacy
from app.demo import master as demo_master
from app.demo.clock import BEGUN, MARK
from app.sandbox import history
from app.sandbox.clm.app import SandboxClm
from app.sandbox.clm.changes import Change, DeliveryFault, Repeat
from app.sandbox.clm.process import build_process
from app.sandbox.clm.webhooks import Target
from app.sandbox.cloud.serve import ResettableProtocol
from app.sandbox.cloud.server import SandboxCloud, build
from app.sandbox.legacy.server import SandboxLegacy
from app.sandbox.master_data import MasterDataFix, required
from app.sandbox.mdm.server import SandboxMdm
from app.sandbox.portfolio.firms import known_firms
from app.sandbox.portfolio.plan import Portfolio, live, sequel
from app.sandbox.portfolio.steps import Step
from app.settings import InvalidSettings
from app.web.serving import LOOPBACK, address, listen_or_adopt, serve
from app.wiring import Wiring, token_variable
from sync_core.estate.estate import Clm, Erp
from sync_core.estate.master import Mdm

log = logging.getLogger(__name__)

SEED = 7
LIVE_DEFECT_SHARE = 0.2  # keeps some open work, all of it new, however long the demo runs
_PLAYED = "played "

_EVENTS = sa.text("SELECT EXISTS (SELECT 1 FROM core.event)")
_READ_MARK = sa.text("SELECT value FROM core.watermark WHERE name = :name")
_SET_MARK = sa.text("""
    INSERT INTO core.watermark (name, value, updated_at) VALUES (:name, :value, :now)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
""")


@dataclass(frozen=True, slots=True)
class DemoSystems:
    """What the sandbox systems are made of, so that a history can make the same ones on its own clock."""

    seed: int
    clm: Clm
    clm_journal: Path
    clm_token: str = field(repr=False)
    erp: Erp
    erp_state: Path
    erp_secret: str = field(repr=False)
    admin_token: str = field(repr=False)
    legacy: demo_legacy.LegacySystem | None = None


def systems_of(wiring: Wiring, clm: Clm, erp: Erp) -> DemoSystems:
    """Raises InvalidSettings when a secret is missing; `Home.make_secrets` makes those of the demo estate."""
    folder = wiring.home.path / "sandbox"
    folder.mkdir(mode=0o700, exist_ok=True)
    return DemoSystems(
        seed=SEED,
        clm=clm,
        clm_journal=folder / f"{clm.name}.clm.jsonl",
        clm_token=_secret(wiring, token_variable(clm), f"CLM {clm.name}: token_env"),
        erp=erp,
        erp_state=folder / f"{erp.name}.erp.jsonl",
        erp_secret=_secret(wiring, erp.secret_env, f"ERP {erp.name}: secret_env"),
        admin_token=_secret(wiring, "TIELINE_SANDBOX_ADMIN_TOKEN", "the sandbox"),
        legacy=demo_legacy.system_of(wiring, SEED),
    )


async def play_history(wiring: Wiring, systems: DemoSystems) -> None:
    """Once, in a database without events; one that was cut short goes on where it was."""
    engine = wiring.async_engine(patient=True)
    try:
        until = await _due_until(engine, systems, wiring.clock.now())
        if until is None:
            return
        count = wiring.settings.demo_contracts
        portfolio = history.portfolio_of(systems.seed, until=until, contracts=count, estate=wiring.own_estate)

        async def reached(moment: datetime) -> None:
            await _mark(engine, f"{BEGUN}{until.isoformat()}", moment)

        with alarms.expected():
            await history.play(engine, portfolio=portfolio, systems=systems, say=log.info, reached=reached)
        await _mark(engine, f"{_PLAYED}{until.isoformat()} {count}", wiring.clock.now())
        log.info("the past is made: %s", await alarms.left_over(engine))
    finally:
        await engine.dispose()


async def _due_until(engine: AsyncEngine, systems: DemoSystems, now: datetime) -> datetime | None:
    """Until when a history is to be played; None when there was one, or there are contracts that nobody made up."""
    async with engine.connect() as conn:
        mark = str(await conn.scalar(_READ_MARK, {"name": MARK}) or "")
        if mark.startswith(BEGUN):
            return datetime.fromisoformat(mark.removeprefix(BEGUN))
        if mark or await conn.scalar(_EVENTS):
            return None
    for stale in (systems.clm_journal, systems.erp_state, *([systems.legacy.state] if systems.legacy else ())):
        stale.unlink(missing_ok=True)  # of a database that is no more
    await _mark(engine, f"{BEGUN}{now.isoformat()}", now)
    return now


async def _mark(engine: AsyncEngine, value: str, now: datetime) -> None:
    async with engine.begin() as conn:
        await conn.execute(_SET_MARK, {"name": MARK, "value": value, "now": now})


async def run(wiring: Wiring, stop: asyncio.Event, *, webhook_url: str, lively: bool) -> None:
    """Serve until `stop` is set; `lively`: with a history before, and new contracts all the time."""
    clms, erps = wiring.sandboxed()
    if not clms or not erps:
        raise InvalidSettings("the estate has no sandbox CLM and ERP without a url; there is nothing to run")
    systems, mdms = systems_of(wiring, clms[0], erps[0]), wiring.sandboxed_mdm()[:1]
    old = [systems.legacy] if systems.legacy else []
    named: tuple[Clm | Erp | Mdm, ...] = (systems.clm, systems.erp, *mdms, *(one.erp for one in old))
    fds = wiring.settings.listen_fds
    doors = [listen_or_adopt(system.name, LOOPBACK, 0, listen_fds=fds) for system in named]
    if lively and not await _unless_stopped(play_history(wiring, systems), stop):
        return
    target = Target(
        webhook_url, _secret(wiring, next(iter(systems.clm.secret_env), None), f"CLM {systems.clm.name}: secret_env")
    )
    clm = build_process(wiring.clock, seed=SEED, token=systems.clm_token, webhook=target, journal=systems.clm_journal)
    erp = build(
        wiring.clock,
        seed=SEED,
        client_id=systems.erp.user or "tieline",
        client_secret=systems.erp_secret,
        admin_token=systems.admin_token,
        state=systems.erp_state,
    )
    books.fill(erp.store, required(wiring.own_estate, known_firms()))
    master = demo_master.build_process(wiring, mdms[0]) if mdms else None
    others = Others(master, demo_legacy.build_process(old[0], wiring.clock, wiring.own_estate) if old else None)
    wiring.home.note_sandbox({one.name: address(door) for one, door in zip(named, doors, strict=True)})
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(serve(clm, doors[0], stop))
            group.create_task(serve(erp, doors[1], stop, http=ResettableProtocol, lifespan=False))
            for app, door in zip(others.apps, doors[2:], strict=True):
                group.create_task(serve(app, door, stop, http=ResettableProtocol, lifespan=False))
            going = [group.create_task(work) for work in _going_on(wiring, clm, erp, others)] if lively else []
            await stop.wait()
            for work in going:
                work.cancel()
    finally:
        erp.close()
        others.close()


async def _unless_stopped(work: Coroutine[None, None, None], stop: asyncio.Event) -> bool:
    """Whether the work came to its end before `stop` was set."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not working.done():
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        return False
    working.result()
    return True


@dataclass(frozen=True, slots=True)
class Others:
    """The sandbox systems beside the CLM and the cloud ERP, in the order of their doors."""

    master: SandboxMdm | None
    legacy: demo_legacy.OldErp | None

    @property
    def apps(self) -> list[SandboxMdm | SandboxLegacy]:
        return [*([self.master] if self.master else ()), *([self.legacy.app] if self.legacy else ())]

    def mend(self, fix: MasterDataFix) -> None:
        demo_master.mend(self.master, fix)
        if self.legacy is not None:
            self.legacy.mend(fix)

    def close(self) -> None:
        for app in self.apps:
            app.close()


def _going_on(
    wiring: Wiring, clm: SandboxClm, erp: SandboxCloud, others: Others
) -> Iterator[Coroutine[None, None, None]]:
    if wiring.settings.demo_per_minute:
        yield _traffic(wiring, clm, erp, others)
    if wiring.settings.beside:
        yield tryton_beside.sign(wiring, clm)


async def _traffic(wiring: Wiring, clm: SandboxClm, erp: SandboxCloud, others: Others) -> None:
    """New contracts, and the rest of the stories that the past began."""
    portfolio = await _played(wiring)
    before = await asyncio.to_thread(sequel, portfolio, published(clm)) if portfolio else []
    going_on = live(
        SEED,
        wiring.clock,
        rate_per_minute=wiring.settings.demo_per_minute,
        estate=wiring.own_estate,
        defect_share=LIVE_DEFECT_SHARE,
        before=before,
    )
    async for step in going_on:
        perform(step, clm, erp)
        if not isinstance(step.action, Change | Repeat | DeliveryFault):
            others.mend(step.action)


async def _played(wiring: Wiring) -> Portfolio | None:
    """What the past in this database was made of."""
    engine = wiring.async_engine(patient=True)
    try:
        async with engine.connect() as conn:
            mark = str(await conn.scalar(_READ_MARK, {"name": MARK}) or "")
    finally:
        await engine.dispose()
    until, _, contracts = mark.removeprefix(_PLAYED).partition(" ")
    if not mark.startswith(_PLAYED) or not contracts:
        return None
    at = datetime.fromisoformat(until)
    return history.portfolio_of(SEED, until=at, contracts=int(contracts), estate=wiring.own_estate)


def published(clm: SandboxClm) -> dict[str, list[str]]:
    """The types of each contract's events, oldest first; an event that was repeated counts once."""
    seen: set[str] = set()
    types: dict[str, list[str]] = {}
    for raw in clm.store.feed:
        event = orjson.loads(raw)
        if event["id"] not in seen:
            seen.add(event["id"])
            types.setdefault(event["subject"], []).append(event["type"])
    return types


def perform(step: Step, clm: SandboxClm, erp: SandboxCloud) -> None:
    """One step of a portfolio's story, in the system that it happens in."""
    if isinstance(step.action, Change | Repeat | DeliveryFault):
        clm.perform(step.action)
    else:
        books.mend(erp.store, step.action)


def _secret(wiring: Wiring, variable: str | None, whose: str) -> str:
    secret = wiring.secret(variable) if variable else None
    if not secret:
        missing = f"{variable} is not set" if variable else "is missing in the estate file"
        raise InvalidSettings(f"{whose}: {missing}; a sandbox system cannot run without it")
    return secret
