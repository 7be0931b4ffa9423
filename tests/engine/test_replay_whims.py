"""Whatever people and the ERP do in whatever order: items add up, marks are right, and nothing is made twice."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import create_async_engine

from sync_core.clock import VirtualClock
from sync_core.commands.desk import CommandRefused
from sync_core.engine.replaying import Replayer
from sync_core.errors import ErpUnavailable
from sync_core.ports import CallContext
from tests.databases import DatabaseUrls
from tests.engine.replays import ADA, Staff, lose, provisioned
from tests.engine.support import Bench
from tests.sows import SIGNED_AT, cloud_event

ACTS = [
    "confirm",
    "pause",
    "resume",
    "cancel",
    "again",
    "tick",
    "preview",
    "work",
    "lose",
    "amend",
    "down",
    "up",
    "late",
]
_numbers = itertools.count(1)


class Play:
    """One firm with three contracts and a replay of them."""

    def __init__(self, bench: Bench, staff: Staff, replayer: Replayer, names: list[str]) -> None:
        self.bench, self.staff, self.replayer, self.names = bench, staff, replayer, names
        self.replay_id = staff.preview(*names).replay_id

    async def act(self, name: str) -> None:
        act: Callable[[], Awaitable[None]] = getattr(self, name)
        with suppress(CommandRefused):
            await act()

    async def confirm(self) -> None:
        self.staff.confirm(self.replay_id, per_minute=30)

    async def pause(self) -> None:
        self.staff.replays.pause(ADA, self.replay_id)

    async def resume(self) -> None:
        self.staff.replays.resume(ADA, self.replay_id)

    async def cancel(self) -> None:
        self.staff.replays.cancel(ADA, self.replay_id, reason="on a whim")

    async def again(self) -> None:
        self.replay_id = self.staff.replays.offer_again(ADA, self.replay_id).replay_id

    async def tick(self) -> None:
        self.bench.virtual.advance(timedelta(seconds=2))
        await self.replayer.dispatcher.tick()

    async def preview(self) -> None:
        await self.replayer.previewer.drain()

    async def work(self) -> None:
        await self.replayer.drain()

    async def lose(self) -> None:
        lose(self.bench, self.names[:1])

    async def amend(self) -> None:
        number = next(_numbers)
        name = self.names[number % len(self.names)]
        data: dict[str, object] = {"contract_id": name, "revision": 1, "overrides": 1,
                                   "changes": {"title": f"Title {number}"}}  # fmt: skip
        await self.bench.arrive(cloud_event(f"a{number}", "corrected.v1", data))

    async def down(self) -> None:
        def gone(_operation: str, _ctx: CallContext) -> ErpUnavailable:
            return ErpUnavailable("cloud", "gone")

        self.bench.erp.before = gone

    async def up(self) -> None:
        self.bench.erp.before = lambda _operation, _ctx: None

    async def late(self) -> None:
        self.bench.virtual.advance(timedelta(minutes=16))

    def sound(self) -> None:
        marks = self.staff.rows("SELECT contract_id, replay_id FROM core.contract WHERE replay_id IS NOT NULL")
        dispatched = self.staff.rows(
            "SELECT contract_id, replay_id FROM core.replay_item WHERE state = 'pending' AND dispatched_at IS NOT NULL"
        )
        assert sorted(marks) == sorted(dispatched)
        ended = "state <> 'pending'"
        assert self.staff.rows(f"SELECT 1 FROM core.replay_item WHERE ({ended}) <> (finished_at IS NOT NULL)") == []
        counted = "SELECT replay_id FROM core.replay AS r WHERE items <> (SELECT count(*) FROM core.replay_item AS i"
        assert self.staff.rows(f"{counted} WHERE i.replay_id = r.replay_id)") == []
        over = "SELECT 1 FROM core.replay AS r JOIN core.replay_item AS i USING (replay_id) WHERE i.state = 'pending'"
        assert self.staff.rows(f"{over} AND r.finished_at IS NOT NULL") == []

    async def rest(self) -> None:
        """In the end everything is quiet, and the ERP holds each object once."""
        await self.up()
        with suppress(CommandRefused):
            await self.resume()
        for _ in range(40):
            self.bench.virtual.advance(timedelta(seconds=20))
            await self.replayer.drain()
        self.sound()
        assert (
            self.staff.rows("SELECT 1 FROM core.contract WHERE lease_owner IS NOT NULL OR replay_id IS NOT NULL") == []
        )
        times = Counter((found.kind, found.key) for found in self.bench.erp.objects.values() if found.active)
        assert set(times.values()) <= {1}


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(acts=st.lists(st.sampled_from(ACTS), min_size=3, max_size=14))
def test_whatever_happens_items_add_up_and_nothing_is_made_twice(
    database: sa.Engine, database_urls: DatabaseUrls, acts: list[str]
) -> None:
    asyncio.run(_play(database, database_urls, acts))


async def _play(database: sa.Engine, urls: DatabaseUrls, acts: list[str]) -> None:
    with database.begin() as conn:
        conn.execute(sa.text("UPDATE core.lane SET breaker = 'closed'"))
    engine = create_async_engine(urls.app)
    try:
        bench = Bench(engine, clock=VirtualClock(SIGNED_AT))
        number = next(_numbers)
        names = [f"W-{number}-{n}" for n in range(3)]
        _forget_others(database)
        replayer = await provisioned(bench, *names)
        play = Play(bench, Staff(database, bench), replayer, names)
        for act in acts:
            await play.act(act)
            play.sound()
        await play.rest()
    finally:
        await engine.dispose()


def _forget_others(database: sa.Engine) -> None:
    """Contracts of the examples before are none of this ERP's."""
    with database.begin() as conn:
        conn.execute(sa.text("UPDATE core.contract SET due_at = NULL, state = 'active', replay_id = NULL"))
        conn.execute(sa.text("UPDATE core.replay_item SET state = 'cancelled', finished_at = preview_due_at"
                             " WHERE state = 'pending'"))  # fmt: skip
