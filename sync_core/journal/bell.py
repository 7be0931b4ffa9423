"""The bell: tells the workers that contracts became due.

Rung after the commit, never inside it: a NOTIFY in a transaction takes a lock over the whole database at commit and
would put all intake in one line. Many rings become one; a lost one costs a worker's slow poll, not a contract.
"""

import asyncio
import logging

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

CHANNEL = "tieline_due"

_log = logging.getLogger(__name__)
_NOTIFY = sa.text("SELECT pg_notify(:channel, '')")


async def notify(conn: AsyncConnection) -> None:
    """Wake the workers that listen, once the caller's (otherwise empty) transaction commits."""
    await conn.execute(_NOTIFY, {"channel": CHANNEL})


class Bell:
    """Rings at most once per `interval_s` in this process, and always once after the last `ring`."""

    def __init__(self, engine: AsyncEngine, *, interval_s: float = 0.05) -> None:
        self._engine, self._interval_s = engine, interval_s
        self._next_at = 0.0
        self._pending: asyncio.Task[None] | None = None
        self._wanted = False

    def ring(self) -> None:
        """Returns at once. Call it in the event loop, after the commit."""
        self._wanted = True
        if self._pending is None or self._pending.done():
            self._pending = asyncio.create_task(self._ring_later())

    async def aclose(self) -> None:
        """Wait until what was rung is sent."""
        if self._pending is not None:
            await self._pending

    async def _ring_later(self) -> None:
        loop = asyncio.get_running_loop()
        while self._wanted:
            await asyncio.sleep(max(0.0, self._next_at - loop.time()))
            self._wanted = False
            self._next_at = loop.time() + self._interval_s
            try:
                async with self._engine.begin() as conn:
                    await notify(conn)
            except (sa.exc.DBAPIError, sa.exc.TimeoutError) as wrong:
                _log.warning("the workers could not be woken, they will find the work by their poll: %s", wrong)
