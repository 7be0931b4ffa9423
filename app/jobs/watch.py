"""The scheduled jobs that look at ERPs besides the runs: master data for validations, and the watch for drift."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from app.jobs.scheduler import Job
from app.wiring import Wiring
from collectors import references
from collectors.drift import Watch
from sync_core.ports import ClmConnector, ErpConnector

REFERENCES_EVERY: Final = timedelta(minutes=1)
DRIFT_EVERY: Final = timedelta(seconds=15)


def jobs(
    wiring: Wiring,
    engine: AsyncEngine,
    erps: Mapping[str, ErpConnector],
    clms: Mapping[str, ClmConnector],
    wake: asyncio.Event,
) -> list[Job]:
    """`wake` is set when contracts became due."""
    found: list[Job] = []
    for lane, erp in erps.items():
        watch = Watch(engine, erp, clms, wiring.estate, wiring.clock)
        found.append(Job(f"references:{lane}", REFERENCES_EVERY, partial(_references, wiring, engine, erp)))
        found.append(Job(f"drift:{lane}", DRIFT_EVERY, partial(_drift, watch, per_round(wiring), wake)))
    return found


def per_round(wiring: Wiring) -> int:
    per_minute = wiring.estate.watch.drift_per_minute
    return -(-per_minute * int(DRIFT_EVERY.total_seconds()) // 60)


async def _references(wiring: Wiring, engine: AsyncEngine, erp: ErpConnector) -> str:
    reads = await references.collect(engine, erp, estate=wiring.estate, clock=wiring.clock)
    return f"{reads} reads of master data"


async def _drift(watch: Watch, most: int, wake: asyncio.Event) -> str:
    words, woken = await watch.round(most=most)
    if woken:
        wake.set()
    return words
