"""Under which policy a process runs, and that it ends when people bring another one into force.

Whoever started it starts it again: `tieline up` does so by itself, a service manager by its restart setting. Work in
hand is finished first; what is cut short all the same converges again, as after any crash.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import sqlalchemy as sa

from app.wiring import Wiring
from sync_core.policy import in_force

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 2.0
_LOST: Final = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError, sa.exc.TimeoutError)


class Ruled:
    """Made before anything asks `wiring` for its estate. Use as a context manager: it holds one connection."""

    def __init__(self, wiring: Wiring) -> None:
        """Without the database the file's policy holds; the first look that succeeds sees the right one."""
        self._engine = wiring.engine(pool_size=1)
        self.another = False
        self.policy_id = in_force.NOBODYS
        with contextlib.suppress(*_LOST), self._engine.connect() as conn:
            self.policy_id = wiring.govern(conn)

    def __enter__(self) -> "Ruled":
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.dispose()

    async def run(self, work: Callable[[asyncio.Event], Awaitable[None]], stop: asyncio.Event) -> None:
        """Do `work` until `stop`, which is set as well when another policy is in force; `another` says so."""
        watching = asyncio.create_task(self._watch(stop))
        try:
            await work(stop)
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching

    async def _watch(self, stop: asyncio.Event) -> None:
        while not self.another:
            await asyncio.sleep(LOOK_EVERY_S)
            with contextlib.suppress(*_LOST):
                self.another = await asyncio.to_thread(self._newest) != self.policy_id
        log.info("another policy is in force: this process begins again under it")
        stop.set()

    def _newest(self) -> int:
        with self._engine.connect() as conn:
            found = in_force.latest(conn)
        return found.policy_id if found else in_force.NOBODYS
