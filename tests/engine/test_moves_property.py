"""Histories with moves and faults between any two writes: the ERPs end as derived, and no contract is live in two."""

import asyncio
from itertools import count

import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.engine.replaying import Replayer
from tests.engine.histories import FAULTS, History
from tests.engine.moves import NEW, OLD, Movers, TwoErps
from tests.sows import cloud_event, signed

NAMES = ("A", "B")
_HISTORIES = count(1)

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("amend"), st.sampled_from(NAMES), st.integers(1, 90_000)),
        st.tuples(st.just("invoice"), st.sampled_from(NAMES), st.integers(0, 2)),
        st.tuples(st.just("move"), st.just(""), st.just(0)),
        st.tuples(st.just("back"), st.just(""), st.just(0)),
        st.tuples(st.just("cancel"), st.just(""), st.just(0)),
        st.tuples(st.just("work"), st.just(""), st.just(0)),
    ),
    max_size=12,
)


async def through(history: History, replayer: Replayer, steps: list[tuple[str, str, int]]) -> None:
    await history.work(replayer, rounds=1)
    for step, short, amount in [*steps, ("move", "", 0)]:
        if step == "amend":
            await history.amend(short, amount)
        elif step == "invoice":
            history.invoice(short, amount)
        elif step == "cancel":
            history.cancel()
        elif step == "work":
            await history.work(replayer, rounds=1)
        else:
            await history.move(replayer, *((NEW, OLD) if step == "back" else (OLD, NEW)))
    history.faults.clear()
    await history.work(replayer, rounds=12)


# Not shrunk: each history takes seconds of a real database.
@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(STEPS, FAULTS)
async def test_whatever_happens_between_two_erps_they_end_as_derived(
    async_database: AsyncEngine,
    database: sa.Engine,
    steps: list[tuple[str, str, int]],
    faults: dict[int, tuple[str, bool]],
) -> None:
    bench = TwoErps(async_database)
    history = History(bench, Movers(database, bench), dict(faults), next(_HISTORIES))
    bench.workers = history.number
    await bench.reroute(OLD)
    await bench.arrive(*(cloud_event(f"e-{n}", "signed.v1", signed(n)) for n in map(history.name, NAMES)))
    worker = await bench.worker()
    keeper = asyncio.create_task(worker.lanes.keep(worker.wake))  # its slots stay its own, however slow the machine is
    try:
        await through(history, Replayer(worker), steps)
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
    assert history.live_twice == []
    await history.ends_as_derived()
    history.nothing_invoiced_was_touched()
