"""The scheduled jobs that measure Tieline itself: journal, samples, objectives, and months that come and go."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from app.jobs.scheduler import Job
from app.wiring import Wiring
from collectors import journal, standing
from metrics import slo
from sync_core.clock import Clock
from sync_core.estate.estate import Estate
from sync_core.telemetry.sql import (
    BY_HOUR,
    BY_MINUTE,
    DROP_MONTHS,
    HOUR_MONTHS,
    MINUTE_MONTHS,
    OPEN_MONTHS,
    month_before,
)

EVERY: Final = timedelta(minutes=1)
_AHEAD: Final = timedelta(days=40)  # the next month's tables are there before it begins


def jobs(wiring: Wiring) -> list[Job]:
    """They compute in threads, on a connection of their own."""
    engine, clock = wiring.engine(pool_size=1), wiring.clock  # connects when it is first used

    async def telemetry() -> str:
        return await asyncio.to_thread(collect, engine, clock=clock, estate=wiring.estate)

    async def objectives() -> str:
        found = await asyncio.to_thread(slo.evaluate, engine, clock=clock, estate=wiring.estate)
        broken = [one.name for one in found if one.severity is not None]
        return f"{', '.join(broken) or 'none'} of {len(found)} broken"

    async def months() -> str:
        return await asyncio.to_thread(keep_months, engine, now=clock.now())

    return [
        Job("telemetry", EVERY, telemetry),
        Job("objectives", EVERY, objectives),
        Job("telemetry-months", timedelta(days=1), months),
    ]


def collect(engine: sa.Engine, *, clock: Clock, estate: Estate) -> str:
    """Everything of this minute, in a few words."""
    counted = journal.collect(engine, clock=clock)
    made = standing.sample(engine, clock=clock, estate=estate)
    return f"{counted.runs} runs with {counted.calls} calls counted, {made} samples"


def keep_months(engine: sa.Engine, *, now: datetime) -> str:
    """Open the months to come and drop those that are over for good. Commits."""
    keep = dict.fromkeys(BY_MINUTE, MINUTE_MONTHS) | dict.fromkeys(BY_HOUR, HOUR_MONTHS)
    with engine.begin() as conn:
        opened = conn.scalar(OPEN_MONTHS, {"first": now, "last": now + _AHEAD})
        dropped = sum(
            conn.scalar(DROP_MONTHS, {"of_table": table, "before": month_before(now, months)}) or 0
            for table, months in keep.items()
        )
    return f"{opened} tables of months opened, {dropped} dropped"
