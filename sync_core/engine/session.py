"""A worker's session: its number, the advisory lock that says it lives, and its ear for notifications.

One direct connection (never through a transaction pooler). When it dies, the server frees the lock, and every
other worker sees at once that what this one held is free.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sync_core.journal.bell import CHANNEL
from sync_core.locks import Lock

# A host that vanished is noticed in about 15 s instead of two hours.
KEEPALIVES = "keepalives=1 keepalives_idle=5 keepalives_interval=3 keepalives_count=3"

_REGISTER = """
    INSERT INTO core.worker (name, version, started_at, beat_at) VALUES (%s, %s, %s, %s) RETURNING worker_id
"""


@dataclass(slots=True)
class Session:
    worker_id: int
    connection: psycopg.AsyncConnection[tuple[object, ...]]

    async def listen(self, wake: asyncio.Event) -> None:
        """Set `wake` at each notification, until the connection dies (raises psycopg.OperationalError)."""
        async for _ in self.connection.notifies():
            wake.set()


@asynccontextmanager
async def open_session(direct_url: str, *, name: str, version: str, now: datetime) -> AsyncIterator[Session]:
    """Register a worker and hold its lock. `direct_url` is a libpq URL (postgresql://...)."""
    conn = await psycopg.AsyncConnection.connect(
        make_conninfo(direct_url, **conninfo_to_dict(KEEPALIVES)), autocommit=True
    )
    try:
        worker_id = await _register(conn, name, version, now)
        try:
            await conn.execute(f"LISTEN {CHANNEL}")
            yield Session(worker_id, conn)
        finally:
            with contextlib.suppress(psycopg.OperationalError):
                await conn.execute("DELETE FROM core.worker WHERE worker_id = %s", (worker_id,))
    finally:
        await conn.close()


async def _register(conn: psycopg.AsyncConnection[tuple[object, ...]], name: str, version: str, now: datetime) -> int:
    async with conn.transaction():
        row = await (await conn.execute(_REGISTER, (name, version, now, now))).fetchone()
        if row is None:
            raise psycopg.OperationalError("the worker could not be registered")
        worker_id = int(str(row[0]))
        # Held before the row is visible, so that nobody takes us for dead.
        await conn.execute("SELECT pg_advisory_lock(%s, %s)", (Lock.WORKER.value, worker_id))
    return worker_id
