"""The scheduled poll of a CLM: finds what its webhooks lost.

A page's events and the watermark behind it are committed together, so a crash repeats a page and never skips one.
Overlapping polls are harmless: intake knows repeats, and the watermark moves only from where its reader saw it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sync_core.clock import Clock
from sync_core.errors import ClmError, MalformedEvent
from sync_core.estate.estate import Estate
from sync_core.intake.cloudevents import CloudEvent, parse_structured
from sync_core.intake.intake import ReceiptStatus, accept, hold_unreadable
from sync_core.ports import ClmConnector, PolledPage
from sync_core.telemetry.latencies import Kind, timed

WATERMARKS: Final = "clm:"  # and a CLM's name: how far its feed was read, and when

_READ = sa.text("SELECT value FROM core.watermark WHERE name = :name")

# Only from the value that was read: a slower poll must not take the watermark back behind a faster one.
_MOVE = sa.text("""
    INSERT INTO core.watermark AS w (name, value, updated_at) VALUES (:name, :value, :now)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
    WHERE w.value IS NOT DISTINCT FROM CAST(:seen AS text)
    RETURNING name
""")


@dataclass(frozen=True, slots=True)
class _Stored:
    new: int
    moved: bool  # False: another poll is ahead of this one


def watermark_name(clm: str) -> str:
    return f"{WATERMARKS}{clm}"


async def poll(engine: AsyncEngine, clm: ClmConnector, *, estate: Estate, clock: Clock) -> int:
    """Read all pages behind the watermark; how many events were new, quarantined ones included. Commits per page.

    Ring the bell afterwards if any were. Raises ClmError when the CLM cannot be read or its feed stands still.
    """
    new = 0
    async with engine.connect() as conn:
        await conn.execution_options(isolation_level="AUTOCOMMIT")
        seen: str | None = await conn.scalar(_READ, {"name": watermark_name(clm.name)})
    while True:
        with timed(Kind.CLM, clm.name, "poll", writes=False):
            page = await clm.poll(seen)
        async with engine.begin() as conn:
            stored = await _store(conn, clm, page, seen=seen, estate=estate, now=clock.now())
        new += stored.new
        if not (page.more and stored.moved):
            return new
        if page.watermark == seen:
            raise ClmError(clm.source, f"its feed says there is more but stays at {seen!r}; its paging is broken")
        seen = page.watermark


async def _store(
    conn: AsyncConnection, clm: ClmConnector, page: PolledPage, *, seen: str | None, estate: Estate, now: datetime
) -> _Stored:
    events: list[CloudEvent] = []
    unreadable: list[tuple[bytes, str]] = []
    for entry in page.events:
        try:
            events.append(_event(entry, clm.source))
        except MalformedEvent as wrong:
            unreadable.append((entry, wrong.message))
    by = f"poll:{clm.name}"
    receipts = await accept(conn, events, estate=estate, now=now, received_by=by)
    held = await hold_unreadable(conn, unreadable, source=clm.source, now=now, received_by=by)
    new = sum(receipt.status is not ReceiptStatus.DUPLICATE for receipt in receipts) + held
    moved = await conn.execute(
        _MOVE, {"name": watermark_name(clm.name), "value": page.watermark, "seen": seen, "now": now}
    )
    return _Stored(new, moved.first() is not None)


def _event(entry: bytes, source: str) -> CloudEvent:
    event = parse_structured(entry)
    if event.source != source:
        raise MalformedEvent(f"its source is {event.source!r} in the feed of {source!r}; a CLM speaks for itself alone")
    return event
