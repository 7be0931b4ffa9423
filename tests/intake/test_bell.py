"""Many rings become few notifications, and the last ring is never lost."""

import asyncio
import time

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from sync_core.journal.bell import CHANNEL, Bell
from tests.databases import DatabaseUrls


async def heard(conn: psycopg.AsyncConnection[tuple[object, ...]], *, at_least: int, quiet_s: float) -> int:
    """Notifications until `at_least` came and then none for `quiet_s`."""
    count, deadline = 0, time.monotonic() + 10
    while time.monotonic() < deadline:
        came = [n async for n in conn.notifies(timeout=quiet_s)]
        count += len(came)
        if count >= at_least and not came:
            break
    return count


async def test_a_burst_is_few_notifications_and_the_last_ring_is_heard(
    database_urls: DatabaseUrls, async_database: AsyncEngine
) -> None:
    bell = Bell(async_database, interval_s=0.2)
    async with await psycopg.AsyncConnection.connect(database_urls.app_libpq, autocommit=True) as ear:
        await ear.execute(f"LISTEN {CHANNEL}")
        for _ in range(100):
            bell.ring()
            await asyncio.sleep(0)
        bell.ring()
        await bell.aclose()
        assert 1 <= await heard(ear, at_least=1, quiet_s=0.3) <= 3
        bell.ring()
        await bell.aclose()
        assert await heard(ear, at_least=1, quiet_s=0.3) == 1


async def test_an_unreachable_database_costs_a_warning_only(caplog: pytest.LogCaptureFixture) -> None:
    engine = create_async_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    bell = Bell(engine)
    bell.ring()
    await bell.aclose()
    assert "could not be woken" in caplog.text
    await engine.dispose()
