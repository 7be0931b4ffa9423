"""What a worker does for delivery beside its contracts: announce facts, send to subscribers, notify people.

Each goes on by itself: a fault of ours in one is logged and tried again, and stops neither the others nor the worker.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy.ext.asyncio import AsyncEngine

from app.jobs.scheduler import Job
from app.wiring import Wiring
from sync_core.clock import Clock
from sync_core.delivery.announce import Announcer, forget
from sync_core.delivery.field_news import FieldNews
from sync_core.delivery.notify import Notifier
from sync_core.delivery.renewals import RenewalAlerts
from sync_core.delivery.scan import Scan
from sync_core.delivery.send import Sender, http_client

log = logging.getLogger(__name__)

ANNOUNCE_EVERY_S = 1.0
_AFTER_A_FAULT_S = 30.0

Lost = tuple[type[Exception], ...]


async def run(wiring: Wiring, engine: AsyncEngine, lost: Lost) -> None:
    """Until cancelled. Raises only `lost`: what says that the database is gone."""
    announcer = _announcer(wiring, engine)
    client = http_client()
    sender = Sender(
        engine,
        wiring.clock,
        wiring.estate.subscriber,
        wiring.subscriber_keys(),
        client,
        source=wiring.event_source,
        base_url=wiring.base_url,
    )
    notifier = Notifier(engine, wiring.clock, wiring.estate, wiring.channels(), base_url=wiring.base_url)
    try:
        async with asyncio.TaskGroup() as group:
            for name, work in (
                ("announcing", partial(_announce, announcer)),
                ("sending", sender.run),
                ("notifying", notifier.run),
            ):
                group.create_task(_keep(name, work, lost))
    finally:
        await client.aclose()


def jobs(wiring: Wiring, engine: AsyncEngine) -> list[Job]:
    """What is looked for by time."""
    values = _announcer(wiring, engine).values
    scan, alerts = Scan(engine, wiring.estate, values), RenewalAlerts(engine, wiring.estate, values)
    return [
        Job("announce-overdue", timedelta(minutes=1), partial(_scan, scan.overdue, wiring.clock)),
        Job("announce-late-amendments", timedelta(minutes=15), partial(_scan, scan.late_amendments, wiring.clock)),
        Job("announce-objectives", timedelta(minutes=1), partial(_scan, scan.objectives, wiring.clock)),
        Job("announce-fields", timedelta(minutes=1), partial(_scan, FieldNews(engine, values).look, wiring.clock)),
        Job("announce-renewals", timedelta(hours=1), partial(_scan, alerts.look, wiring.clock)),
        Job("forget-events", timedelta(days=1), partial(_forget, engine, wiring.clock)),
    ]


def _announcer(wiring: Wiring, engine: AsyncEngine) -> Announcer:
    reporting = wiring.estate.group.reporting_currency
    return Announcer(engine, wiring.clock, base_url=wiring.base_url, reporting=reporting)


async def _announce(announcer: Announcer) -> None:
    while True:
        await announcer.announce()
        await asyncio.sleep(ANNOUNCE_EVERY_S)


async def _keep(name: str, work: Callable[[], Awaitable[None]], lost: Lost) -> None:
    while True:
        try:
            await work()
            return  # there is nothing of it in the estate
        except Exception as wrong:
            # The boundary of one of three: only a lost database ends the worker's session.
            if _is_of(wrong, lost):
                raise
            log.exception("%s failed by a fault of ours, again in %d s", name, _AFTER_A_FAULT_S)
        await asyncio.sleep(_AFTER_A_FAULT_S)


def _is_of(wrong: BaseException, kinds: Lost) -> bool:
    """Of these kinds, or a group with one of them in it."""
    if isinstance(wrong, BaseExceptionGroup):
        return any(_is_of(one, kinds) for one in wrong.exceptions)
    return isinstance(wrong, kinds)


async def _scan(look: Callable[[datetime], Awaitable[int]], clock: Clock) -> str:
    return f"{await look(clock.now())} announced"


async def _forget(engine: AsyncEngine, clock: Clock) -> str:
    return f"{await forget(engine, now=clock.now())} old events forgotten"
