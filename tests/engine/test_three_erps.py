"""Random histories on three ERPs, routed by entity and by policy: signed, amended, renewed, cancelled, ended; out of
order and repeated; moved between any two; with faults at any write. In the end each ERP holds what is derived."""

import asyncio
from dataclasses import dataclass, field, replace
from itertools import count, permutations

import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.engine.replaying import Replayer
from sync_core.estate.estate import Estate, load
from tests.engine.histories import FAULTS, History
from tests.engine.moves import NEW, OLD, Movers, TwoErps
from tests.engine.replays import LAX
from tests.memory_erp import MemoryErp
from tests.sows import ESTATE_TOML, cloud_event, milestone_terms, signed

BOOKS = "books"
LANES = (OLD, NEW, BOOKS)
WAYS = tuple(permutations(LANES, 2))
NAMES = ("A", "B", "C")
_HISTORIES = count(1)
_TWO_MORE = "".join(f'[[erp]]\nname = "{name}"\nkind = "sandbox_cloud"\nmax_in_flight = 8\n\n' for name in (OLD, BOOKS))
# US01 bills from the old ERP, GB01 from the cloud; whatever the entity, tax work from the third.
POLICY = f'[[route]]\nname = "Tax work"\nservice_line = "tax"\nerp = "{BOOKS}"\n'
TERMS = {
    "A": milestone_terms(),
    "B": milestone_terms(legal_entity="GB01", currency="GBP", tax={"tax_code": "GB-STD"}),
    "C": milestone_terms(service_line="tax"),
}
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["amend", "amend late"]), st.sampled_from(NAMES), st.integers(1, 90_000)),
        st.tuples(st.just("invoice"), st.sampled_from(NAMES), st.integers(0, 2)),
        st.tuples(st.just("renew"), st.sampled_from(NAMES), st.integers(0, 1)),
        st.tuples(st.sampled_from(["cancelled", "terminated"]), st.sampled_from(NAMES), st.just(0)),
        st.tuples(st.sampled_from(["repeat", "move"]), st.just(""), st.integers(0, 11)),
        st.tuples(st.sampled_from(["deliver", "stop", "work"]), st.just(""), st.just(0)),
    ),
    max_size=14,
)


def three_erps() -> Estate:
    text = ESTATE_TOML.replace("[[entity]]", f"{_TWO_MORE}[[entity]]", 1).replace('erp = "cloud"', f'erp = "{OLD}"', 1)
    return replace(load(text, POLICY), replay=LAX)


@dataclass
class ThreeErps(TwoErps):
    books: MemoryErp = field(default_factory=MemoryErp)
    estate: Estate = field(default_factory=three_erps)

    @property
    def erps(self) -> dict[str, MemoryErp]:
        return {OLD: self.old, NEW: self.erp, BOOKS: self.books}


async def happens(history: History, replayer: Replayer, step: str, short: str, amount: int) -> None:
    match step:
        case "amend" | "amend late":
            await history.amend(short, amount, late=step == "amend late")
        case "invoice":
            history.invoice(short, amount)
        case "renew":
            await history.say(short, "renewed.v1", renewal={}, ends_on=f"202{7 + amount}-12-31")
        case "cancelled" | "terminated":
            await history.say(short, f"{step}.v1", ended_on="2026-03-02", reason="as agreed")
        case "repeat":
            await history.repeat(amount)
        case "deliver":
            await history.deliver()
        case "stop":
            history.cancel()
        case "work":
            await history.work(replayer, rounds=1)
        case "move":
            await history.move(replayer, *WAYS[amount % len(WAYS)])


# Not shrunk: each history takes seconds of a real database.
@settings(
    max_examples=10, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(STEPS, FAULTS)
async def test_whatever_happens_among_three_erps_they_end_as_derived(
    async_database: AsyncEngine,
    database: sa.Engine,
    steps: list[tuple[str, str, int]],
    faults: dict[int, tuple[str, bool]],
) -> None:
    bench = ThreeErps(async_database)
    history = History(bench, Movers(database, bench), dict(faults), next(_HISTORIES), names=NAMES)
    bench.workers = history.number
    async with async_database.begin() as conn:
        await conn.execute(sa.text("UPDATE core.lane_slot SET worker_id = NULL, lease_until = NULL"))
    for short in NAMES:
        name = history.name(short)
        await bench.arrive(cloud_event(f"e-{name}", "signed.v1", signed(name, TERMS[short])))
    worker = await bench.worker()
    keeper = asyncio.create_task(worker.lanes.keep(worker.wake))  # its slots stay its own, however slow the machine is
    replayer = Replayer(worker)
    try:
        await history.work(replayer, rounds=1)
        for step, short, amount in steps:
            await happens(history, replayer, step, short, amount)
        await history.deliver()
        history.faults.clear()
        await history.work(replayer, rounds=12)
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
    assert history.live_twice == []
    await history.ends_as_derived()
    history.nothing_invoiced_was_touched()
