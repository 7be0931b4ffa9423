"""Weekly snapshots in a worker: asked for by the calendar, made one at a time, delivered; and what the CLI shares.

The work is done in threads of the worker, never in the web process. The key is made once in the home unless
TIELINE_SNAPSHOT_KEY has it; several hosts need the same.
"""

import asyncio
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app.demo.clock import DemoClock
from app.jobs.scheduler import Job
from app.settings import InvalidSettings
from app.telemetry import logs
from app.wiring import Wiring
from metrics import weeks
from metrics.snapshot.delivery import Deliverer, secrets_in
from metrics.snapshot.making import Maker
from sync_core.audit.checkpoint import InvalidKey, Signer
from sync_core.authority import SYSTEM, Permission
from sync_core.commands import snapshots
from sync_core.commands.desk import CommandRefused, Desk
from sync_core.estate.estate import Estate

KEY: Final = "TIELINE_SNAPSHOT_KEY"
ORDER_EVERY = timedelta(minutes=10)
MAKE_EVERY = timedelta(seconds=10)
DELIVER_EVERY = timedelta(seconds=30)
_PAST: Final = "the past is being made"

_SCHEDULED = sa.text("SELECT EXISTS (SELECT FROM metrics.snapshot WHERE scheduled AND week = :week)")
# Before anything was measured in the week there is nothing to say of it.
_MEASURED = sa.text("SELECT min(finished_at) FROM metrics.refresh")


def signer(wiring: Wiring) -> Signer:
    """Raises InvalidSettings for a key that is none."""
    known = wiring.secret(KEY)
    if known is None:
        wiring.home.prepare()
        known = wiring.home.make_secrets()[KEY]
    return _parsed(known)


def _parsed(text: str) -> Signer:
    try:
        return Signer.parse(text)
    except InvalidKey as wrong:
        words = wrong.message.replace("the audit's key", "the snapshots' key")
        raise InvalidSettings(f"{KEY}: {words}") from wrong


def maker(wiring: Wiring, engine: sa.Engine) -> Maker:
    """`engine`: as the application, to the primary."""
    return Maker(engine, wiring.clock, wiring.estate, signer(wiring), version("tieline"), wiring.base_url)


def deliverer(wiring: Wiring, engine: sa.Engine, targets: list[str]) -> Deliverer:
    """`targets`: those of the estate as it is now; what was meant for others stays where it is."""
    home = Path(wiring.home.path) / "snapshots"

    def secret(variable: str) -> str | None:
        found = wiring.secret(variable)
        for part in secrets_in(found or ""):
            logs.hide(part)
        return found

    return Deliverer(engine, wiring.clock, wiring.estate, home, secret, tuple(targets), wiring.base_url)


def jobs(wiring: Wiring, engine: sa.Engine | None = None) -> list[Job]:
    """`engine`: as the application, with two connections; one of their own without it."""
    work = _Work(wiring, engine or wiring.engine(pool_size=2))
    return [
        Job("snapshot", ORDER_EVERY, work.order),
        Job("snapshot-making", MAKE_EVERY, work.make),
        Job("snapshot-delivery", DELIVER_EVERY, work.deliver),
    ]


def due_week(estate: Estate, now: datetime) -> datetime | None:
    """The moment, in the group's zone, from which the last ended week's snapshot is due; None before it."""
    monday = weeks.week_of(now, estate.group.timezone)
    at = datetime.combine(monday, estate.snapshot.at, ZoneInfo(estate.group.timezone))
    return at if at <= now else None


class _Work:
    """Each method is one job."""

    def __init__(self, wiring: Wiring, engine: sa.Engine) -> None:
        self._wiring, self._engine = wiring, engine
        self._demo = DemoClock(self._engine) if wiring.settings.estate is None else None

    async def order(self) -> str:
        return await asyncio.to_thread(self._order)

    async def make(self) -> str:
        return await asyncio.to_thread(self._make)

    async def deliver(self) -> str:
        return await asyncio.to_thread(self._deliver)

    def _order(self) -> str:
        """Asks for the week that ended, once; after downtime for the last one only."""
        now, estate = self._wiring.clock.now(), self._wiring.estate
        if self._past_is_being_made:
            return _PAST
        week = weeks.last_ended(now, estate.group.timezone)
        if due_week(estate, now) is None:
            return f"{weeks.week_name(week)} is not due yet"
        with self._engine.connect() as conn:
            there, measured = conn.scalar(_SCHEDULED, {"week": week}), conn.scalar(_MEASURED)
        if there or measured is None:
            return f"{weeks.week_name(week)} was asked for before" if there else "nothing was measured yet"
        desk = Desk(self._engine, self._wiring.clock, estate)
        try:
            asked = desk.run(
                SYSTEM, Permission.SNAPSHOT_WRITE, lambda act: snapshots.make(act, week=week, scheduled=True)
            )
        except CommandRefused as another:
            return another.message
        return f"snapshot {asked.snapshot_id} of {weeks.week_name(week)} asked for"

    @property
    def _past_is_being_made(self) -> bool:
        """The demo's: it measures itself, on a clock of its own."""
        return self._demo is not None and self._demo.notice() is not None

    def _make(self) -> str:
        if self._past_is_being_made:
            return _PAST
        one = maker(self._wiring, self._engine)
        made = 0
        while one.make_next() is not None:
            made += 1
        return f"{made} snapshots made"

    def _deliver(self) -> str:
        one = maker(self._wiring, self._engine)
        work = deliverer(self._wiring, self._engine, one.targets)
        brought = 0
        while work.deliver_next():
            brought += 1
        return f"{brought} deliveries tried"
