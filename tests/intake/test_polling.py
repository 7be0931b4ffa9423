"""The poll finds what webhooks lost, whatever else happens to its pages."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import orjson
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import VirtualClock
from sync_core.errors import ClmError
from sync_core.intake.polling import poll
from sync_core.ports import PolledPage, WriteBack
from tests.intake.deliveries import NOW, deliver, rows, signing
from tests.sows import SOURCE, cloud_event, estate, signed


class Feed:
    """A CLM whose watermark is the place in its list."""

    name, source = "clm", SOURCE

    def __init__(self, entries: Sequence[bytes], *, page: int = 3) -> None:
        self.entries, self.page = list(entries), page
        self.fails_at: int | None = None

    async def poll(self, watermark: str | None) -> PolledPage:
        start = int(watermark or 0)
        await asyncio.sleep(0)
        if self.fails_at is not None and start >= self.fails_at:
            raise ClmError(self.source, "no answer")
        end = min(start + self.page, len(self.entries))
        return PolledPage(tuple(self.entries[start:end]), str(end), end < len(self.entries))

    async def write_back(self, items: Sequence[WriteBack]) -> None:
        raise AssertionError("a poll writes nothing back")

    async def aclose(self) -> None:
        return None


def entry(n: int) -> bytes:
    return orjson.dumps(cloud_event(f"C-{n}.r1", "signed.v1", signed(f"C-{n}")))


async def stored(database: AsyncEngine) -> int:
    return len(await rows(database, "SELECT 1 FROM core.event"))


async def test_it_finds_what_webhooks_lost_and_goes_on_from_there(async_database: AsyncEngine) -> None:
    await deliver(async_database, signing("C-1"), signing("C-4"))
    feed, clock = Feed([entry(n) for n in range(8)]), VirtualClock(NOW)
    assert await poll(async_database, feed, estate=estate(), clock=clock) == 6
    assert await poll(async_database, feed, estate=estate(), clock=clock) == 0
    feed.entries.append(entry(8))
    assert await poll(async_database, feed, estate=estate(), clock=clock) == 1
    [mark] = await rows(async_database, "SELECT name, value, updated_at FROM core.watermark")
    assert (mark.name, mark.value, mark.updated_at) == ("clm:clm", "9", NOW)
    assert len(await rows(async_database, "SELECT 1 FROM core.event WHERE received_by = 'poll:clm'")) == 7


async def test_a_poll_that_breaks_off_keeps_the_pages_it_had(async_database: AsyncEngine) -> None:
    feed, clock = Feed([entry(n) for n in range(8)]), VirtualClock(NOW)
    feed.fails_at = 6
    with pytest.raises(ClmError):
        await poll(async_database, feed, estate=estate(), clock=clock)
    assert await stored(async_database) == 6
    feed.fails_at = None
    assert await poll(async_database, feed, estate=estate(), clock=clock) == 2


async def test_what_is_no_event_of_this_clm_is_held_and_blocks_nothing(async_database: AsyncEngine) -> None:
    foreign = orjson.dumps(cloud_event("x", "signed.v1", signed("C-9")) | {"source": "urn:other"})
    feed = Feed([entry(1), b"{broken", foreign, b'{"id": "no source"}', entry(2)], page=2)
    clock = VirtualClock(NOW)
    assert await poll(async_database, feed, estate=estate(), clock=clock) == 5
    assert await stored(async_database) == 2
    held = await rows(async_database, "SELECT body, source, signature FROM core.quarantine")
    assert {row.body for row in held} == {b"{broken", foreign, b'{"id": "no source"}'}
    assert {(row.source, row.signature) for row in held} == {(SOURCE, True)}


async def test_overlapping_polls_store_each_event_once_and_never_go_back(async_database: AsyncEngine) -> None:
    feed = Feed([entry(n) for n in range(20)])
    clock = VirtualClock(NOW + timedelta(hours=1))
    found = await asyncio.gather(*(poll(async_database, feed, estate=estate(), clock=clock) for _ in range(4)))
    assert sum(found) == 20
    [mark] = await rows(async_database, "SELECT value FROM core.watermark")
    assert mark.value == "20"
    assert {row.wanted_rev for row in await rows(async_database, "SELECT wanted_rev FROM core.contract")} == {1}


async def test_a_feed_that_stands_still_ends_the_poll(async_database: AsyncEngine) -> None:
    class Stuck(Feed):
        async def poll(self, watermark: str | None) -> PolledPage:
            return PolledPage((entry(1),), "0", more=True)

    with pytest.raises(ClmError, match="paging is broken"):
        await poll(async_database, Stuck([]), estate=estate(), clock=VirtualClock(NOW))
    assert await stored(async_database) == 1
