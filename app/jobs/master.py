"""The scheduled polls of master-data systems."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

from sqlalchemy.ext.asyncio import AsyncEngine

from app.jobs.scheduler import Job
from app.wiring import Wiring
from sync_core.estate.master import Mdm
from sync_core.master.polling import poll


def jobs(wiring: Wiring, engine: AsyncEngine, wake: asyncio.Event) -> Iterator[Job]:
    """One for each system of the estate that has an address."""
    for mdm in wiring.estate.mdm:
        if wiring.mdm_url(mdm) is not None:
            every = timedelta(seconds=mdm.poll_every_s)
            yield Job(f"master-data:{mdm.name}", every, partial(_poll, wiring, engine, wake, mdm))


async def _poll(wiring: Wiring, engine: AsyncEngine, wake: asyncio.Event, mdm: Mdm) -> str:
    connector = wiring.mdm(mdm)
    try:
        kept = await poll(engine, connector, clock=wiring.clock)
    finally:
        await connector.aclose()
    if kept.woken:
        wake.set()
    return f"{kept.changed} records changed, {kept.woken} contracts look again"
