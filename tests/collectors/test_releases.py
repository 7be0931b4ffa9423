"""Which releases were seen when: upgrades, roll-backs, rolling upgrades, and systems that do not answer."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from collectors.releases import collect
from sync_core.authority import Forbidden, person
from sync_core.clock import VirtualClock
from sync_core.errors import ErpUnavailable
from sync_core.keys import Lane
from sync_core.lanes.lanes import LaneGate
from sync_core.ports import CallContext, ErpConnector, TellsVersion
from sync_core.reads import Reads
from sync_core.telemetry import releases
from tests.memory_erp import MemoryConnector, MemoryErp
from tests.sows import estate

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Telling(MemoryConnector):
    """The memory ERP, which says its release; None: it does not answer."""

    release: str | None = "2026.1"

    async def version(self, ctx: CallContext) -> str | None:
        if self.release is None:
            raise ErpUnavailable("cloud", "is down")
        return self.release


@pytest.fixture
def erp() -> Telling:
    return Telling(MemoryErp(), LaneGate(Lane("cloud")))


async def see(engine: AsyncEngine, after: timedelta, **versions: str) -> tuple[str, ...]:
    async with engine.begin() as conn:
        return await releases.seen(conn, versions, now=NOW + after)


async def history(engine: AsyncEngine, system: str = "tieline") -> list[tuple[str, timedelta, timedelta]]:
    """Version, first and last seen after NOW; oldest first."""
    async with engine.connect() as conn:
        found = await conn.execute(sa.text("""
            SELECT version, first_seen_at, last_seen_at FROM core.release WHERE system = :system ORDER BY release_id
        """), {"system": system})  # fmt: skip
        return [(row[0], row[1] - NOW, row[2] - NOW) for row in found]


async def test_an_upgrade_and_the_way_back_are_three_releases(async_database: AsyncEngine) -> None:
    seen = ((0, "1.0"), (2, "1.0"), (30, "1.0"), (31, "1.1"), (33, "1.1"), (35, "1.0"))
    told = [await see(async_database, hours * HOUR, tieline=version) for hours, version in seen]
    assert told == [("tieline",), (), (), ("tieline",), (), ("tieline",)]
    assert await history(async_database) == [
        ("1.0", 0 * HOUR, 30 * HOUR), ("1.1", 31 * HOUR, 33 * HOUR), ("1.0", 35 * HOUR, 35 * HOUR),
    ]  # fmt: skip


async def test_versions_side_by_side_each_go_on_and_do_not_take_turns(async_database: AsyncEngine) -> None:
    for minutes in range(0, 60, 5):
        await see(async_database, timedelta(minutes=minutes), tieline="1.0" if minutes % 10 else "1.1")
    assert [version for version, *_ in await history(async_database)] == ["1.1", "1.0"]


async def test_a_pause_alone_is_no_release_and_time_never_runs_backwards(async_database: AsyncEngine) -> None:
    await see(async_database, 100 * HOUR, tieline="1.0")
    assert await see(async_database, 50 * HOUR, tieline="1.0") == ()
    assert await see(async_database, 500 * HOUR, tieline="1.0") == ()
    assert await history(async_database) == [("1.0", 100 * HOUR, 500 * HOUR)]


async def test_workers_that_begin_together_note_one_release(async_database: AsyncEngine) -> None:
    told = await asyncio.gather(*(see(async_database, timedelta(), tieline="1.0") for _ in range(6)))
    assert sorted(told) == [(), (), (), (), (), ("tieline",)]
    assert len(await history(async_database)) == 1


async def test_workers_the_database_and_erps_that_can_tell_are_looked_at(
    async_database: AsyncEngine, erp: Telling
) -> None:
    clock = VirtualClock(NOW)
    silent = MemoryConnector(MemoryErp(), LaneGate(Lane("legacy")))
    assert not isinstance(silent, TellsVersion)
    erps: Mapping[str, ErpConnector] = {"cloud": erp, "legacy": silent}
    async with async_database.begin() as conn:
        for version, ago in (("0.9", 20), ("0.8", 500)):  # the second one is dead
            await conn.execute(sa.text("""
                INSERT INTO core.worker (name, version, started_at, beat_at) VALUES ('w', :version, :now, :beat)
            """), {"version": version, "now": NOW, "beat": NOW - timedelta(seconds=ago)})  # fmt: skip
    first = await collect(async_database, erps, {}, clock=clock, tieline="1.0")
    assert sorted(first) == ["erp:cloud", "postgresql", "tieline", "tieline"]
    clock.advance(HOUR)
    erp.release = None
    assert await collect(async_database, erps, {}, clock=clock, tieline="1.0") == ()
    erp.release = "  2026.2\n<b>" + "x" * 200
    assert await collect(async_database, erps, {}, clock=clock, tieline="1.0") == ("erp:cloud",)
    assert [version for version, *_ in await history(async_database, "erp:cloud")] == [
        "2026.1",
        f"2026.2 <b>{'x' * 70}",
    ]
    assert [version for version, *_ in await history(async_database)] == ["0.9", "1.0"]


def test_they_are_read_newest_first_with_what_they_replaced(database: sa.Engine) -> None:
    insert = sa.text("""
        INSERT INTO core.release (system, version, first_seen_at, last_seen_at) VALUES (:system, :version, :at, :at)
    """)
    with database.begin() as conn:
        for hours, system, version in ((0, "tieline", "1.0"), (1, "erp:cloud", "7"), (2, "tieline", "1.1")):
            conn.execute(insert, {"system": system, "version": version, "at": NOW + hours * HOUR})
    reads = Reads(database, clock=VirtualClock(NOW), estate=estate())
    assert [(one.name, one.version, one.replaced) for one in reads.releases().rows] == [
        ("tieline", "1.1", "1.0"), ("cloud", "7", None), ("tieline", "1.0", None),
    ]  # fmt: skip
    with pytest.raises(Forbidden):
        reads.within(person("new@example.com", [])).releases()
