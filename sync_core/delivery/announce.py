"""The announcer: makes outgoing events of facts, after they were committed and without a write on their way.

Facts are read by the id of the transaction that recorded them, below the oldest one that still runs: what a slow
transaction commits late is read late, and never passed over. The audit is read by its own ids, which come in the
order of commits. Rows and watermark are one transaction under one lock, so a fact is announced once, however many try.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sync_core.clock import Clock
from sync_core.delivery.announce_sql import announcement
from sync_core.estate.delivery import PREFIX
from sync_core.locks import Lock

log = logging.getLogger(__name__)

WATERMARK: Final = "delivery"
KEPT: Final = timedelta(days=90)
TOLD_KEPT: Final = timedelta(days=30)
_FAR: Final = 1_000  # transactions without a fact after which the watermark moves all the same

# Held until the commit by whoever adds to core.outgoing: rows come to be seen in the order of their numbers.
_TRY_LOCK = sa.text(f"SELECT pg_try_advisory_xact_lock({Lock.ANNOUNCEMENT}, 1)")
LOCK: Final = sa.text(f"SELECT pg_advisory_xact_lock({Lock.ANNOUNCEMENT}, 1)")
_CUT = sa.text("""
    SELECT CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS cut, (SELECT id FROM core.audit_head) AS audit,
           (SELECT value FROM core.watermark WHERE name = :name) AS watermark
""")
_ANNOUNCE = announcement(PREFIX)
_MOVE = sa.text("""
    INSERT INTO core.watermark (name, value, updated_at) VALUES (:name, :value, :now)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
""")
# What somebody has still to be told stays, but for those who were paused or failed for all that time.
_FORGET = sa.text("DELETE FROM core.outgoing WHERE recorded_at < :before")
_FORGET_TOLD = sa.text("DELETE FROM core.notice_told WHERE told_at < :before")


@dataclass(frozen=True, slots=True)
class Place:
    """Everything below is announced."""

    xid: int
    audit: int

    @classmethod
    def parse(cls, text: str) -> "Place":
        read = orjson.loads(text)
        return cls(int(read["xid"]), int(read["audit"]))

    def __str__(self) -> str:
        return orjson.dumps({"xid": str(self.xid), "audit": self.audit}).decode()


class Announcer:
    """`base_url`: where links point. Safe to run on every worker at once."""

    def __init__(self, engine: AsyncEngine, clock: Clock, *, base_url: str, reporting: str) -> None:
        self._engine, self._clock = engine, clock
        self.values: dict[str, object] = {"base": base_url.rstrip("/"), "reporting": reporting}

    async def announce(self) -> int:
        """Announce all that is committed; how many events were made. 0 also while another worker is at it.

        The first time ever it makes none: what was before is not announced.
        """
        async with self._engine.begin() as conn:
            if not await conn.scalar(_TRY_LOCK):
                return 0
            row = (await conn.execute(_CUT, {"name": WATERMARK})).one()
            head = Place(int(row.cut), int(row.audit))
            if row.watermark is None:
                await self._move(conn, head)
                return 0
            return await self._from(conn, Place.parse(row.watermark), head)

    async def _from(self, conn: AsyncConnection, place: Place, head: Place) -> int:
        if head.xid < place.xid:
            # The database was restored elsewhere, and its transactions are counted anew.
            log.warning("the database counts transactions from anew; events begin again from now")
            await self._move(conn, head)
            return 0
        if head == place:
            return 0
        new = {"since": str(place.xid), "cut": str(head.xid), "audit": place.audit, "audit_head": head.audit}
        made = (await conn.execute(_ANNOUNCE, {**self.values, **new, "now": self._clock.now()})).rowcount
        if made or head.audit != place.audit or head.xid - place.xid > _FAR:
            await self._move(conn, head)
        return made

    async def _move(self, conn: AsyncConnection, place: Place) -> None:
        await conn.execute(_MOVE, {"name": WATERMARK, "value": str(place), "now": self._clock.now()})


async def forget(engine: AsyncEngine, *, now: datetime) -> int:
    """Delete events older than ninety days; the number deleted."""
    async with engine.begin() as conn:
        await conn.execute(_FORGET_TOLD, {"before": now - TOLD_KEPT})
        return (await conn.execute(_FORGET, {"before": now - KEPT})).rowcount
