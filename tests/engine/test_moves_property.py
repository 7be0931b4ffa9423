"""Histories with moves and faults between any two writes: the ERPs end as derived, and no contract is live in two."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count

import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.commands.desk import CommandRefused
from sync_core.commands.moves import Leaving
from sync_core.derive import derive
from sync_core.desired import Found, Kind
from sync_core.engine import claim as queue
from sync_core.engine.replaying import Replayer
from sync_core.errors import ErpAmbiguous, ErpUnavailable, TielineError
from sync_core.fold import fold
from sync_core.keys import ContractId
from sync_core.moving import Placement, rest
from sync_core.plan import diff
from sync_core.ports import CallContext
from tests.engine.moves import NEW, OLD, Movers, TwoErps
from tests.engine.replays import ADA
from tests.memory_erp import MemoryErp
from tests.sows import SIGNED_AT, cloud_event, milestone_terms, on, signed

WRITES = ("create", "update", "activate", "close")
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
# At the n-th write: before or after it took effect, the worker dies, the answer is lost, or the ERP is away.
FAULTS = st.dictionaries(
    st.integers(0, 60), st.tuples(st.sampled_from(["dies", "lost", "away"]), st.booleans()), max_size=6
)


@dataclass
class History:
    """Two contracts with their ERPs, and what went wrong. Nothing asserts inside of a worker: it would be caught."""

    bench: TwoErps
    movers: Movers
    faults: dict[int, tuple[str, bool]]
    number: int
    writes: "count[int]" = field(default_factory=count)
    at: int = 0
    live_twice: list[str] = field(default_factory=list)
    invoiced: dict[str, Found] = field(default_factory=dict)  # as it stood when it was invoiced
    amended: Counter[str] = field(default_factory=Counter)
    moves: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        for erp in self.bench.erps.values():
            erp.before, erp.after = self.before, self.after

    def name(self, short: str) -> str:
        return f"{short}{self.number}"

    def before(self, operation: str, _ctx: CallContext) -> TielineError | None:
        if not operation.startswith(WRITES):
            return None
        self.at = next(self.writes)
        kind, is_after = self.faults.get(self.at, ("", True))
        return None if is_after else self._fault(kind)

    def after(self, operation: str, _ctx: CallContext) -> TielineError | None:
        self.live_twice += [key for key, times in self.bench.billable().items() if times > 1]
        if not operation.startswith(WRITES):
            return None
        kind, is_after = self.faults.pop(self.at, ("", False))
        return self._fault(kind) if is_after else None

    def _fault(self, kind: str) -> TielineError | None:
        if kind == "dies":
            raise asyncio.CancelledError  # its task vanishes, and its lease with its worker
        if kind == "lost":
            return ErpAmbiguous("erp", "no answer came")
        return ErpUnavailable("erp", "refused the connection") if kind == "away" else None

    async def work(self, replayer: Replayer, *, rounds: int = 3) -> None:
        for _ in range(rounds):
            await replayer.drain()
            async with self.bench.engine.begin() as conn:
                await queue.release_lost(conn, now=self.bench.clock.now())
            self.bench.virtual.advance(timedelta(minutes=7))

    async def amend(self, short: str, amount: int) -> None:
        """The last milestone is worth something else from now on."""
        name = self.name(short)
        self.amended[name] += 1
        number, last = self.amended[name], f"{amount}.00"
        terms = milestone_terms(value=f"{10_000 + amount}.00")
        lines = [{"key": "1", "description": "Rollout", "amount": terms["value"]}]
        milestones = [terms["milestones"][0], {**terms["milestones"][1], "amount": last}]  # type: ignore[index]
        changes = {"value": terms["value"], "lines": lines, "milestones": milestones}
        header = {"number": number, "executed_at": (SIGNED_AT + timedelta(minutes=number)).isoformat()}
        data = {"contract_id": name, "revision": number + 1, "amendment": header, "changes": changes}
        await self.bench.arrive(cloud_event(f"{name}.{number}", "amended.v1", data))

    def invoice(self, short: str, which: int) -> None:
        """An ERP invoices milestones of a project that it may bill, and no others."""
        for erp in self.bench.erps.values():
            live = {f.ref for f in erp.of(Kind.PROJECT) if f.fields["billable"]}
            due = [f for f in erp.of(Kind.MILESTONE) if not f.billed and f.parent in live]
            of = sorted((f for f in due if f.key.startswith(f"clm/{self.name(short)}#")), key=lambda f: f.key)
            for found in of[: 1 if which < 2 else 2]:
                billed = replace(found, billed=True)
                erp.hold(billed)
                assert found.key not in self.invoiced, f"{found.key} is invoiced twice"
                self.invoiced[found.key] = billed

    async def move(self, replayer: Replayer, *, back: bool) -> None:
        way = (NEW, OLD) if back else (OLD, NEW)
        ids = self.movers.rows("SELECT contract_id FROM core.contract WHERE external_id = ANY(:names)",
                               names=[self.name(short) for short in NAMES])  # fmt: skip
        leaving = Leaving(tuple(int(str(row[0])) for row in ids))
        made = self.movers.moves.preview(ADA, leaving, move_from=way[0], move_to=way[1])
        await replayer.drain()
        try:
            self.movers.confirm(made.replay_id)
            self.moves.append(made.replay_id)
            await replayer.dispatcher.tick()
        except CommandRefused:
            self.movers.replays.cancel(ADA, made.replay_id, reason="nothing to move")

    def cancel(self) -> None:
        for move_id in self.moves:
            try:
                self.movers.replays.cancel(ADA, move_id, reason="not now")
            except CommandRefused:
                continue

    async def ends_as_derived(self) -> None:
        bench = self.bench
        rows = await bench.rows("SELECT contract_id, external_id, state FROM core.contract WHERE external_id = ANY(:n)",
                                n=[self.name(short) for short in NAMES])  # fmt: skip
        async with bench.engine.connect() as conn:
            loaded = await queue.load(conn, [ContractId(int(row[0])) for row in rows])
        for number, name, state in rows:
            known = loaded[ContractId(int(number))]
            contract = fold(known.events)
            placement = known.placement or Placement(OLD)
            assert placement.leaving is None
            wanted = rest(derive(contract, bench.estate, on=on("2026-03-02")), contract.terms, placement)
            here, there = bench.erps[placement.lane], bench.erps[NEW if placement.lane == OLD else OLD]
            assert diff(wanted, of(here, name)).writes == (), (name, placement)
            left = [f for f in of(there, name) if f.active and not f.billed and not f.kind.shared]
            assert left == [], (name, placement)
            assert state == ("active" if wanted.project else "ended")

    def nothing_invoiced_was_touched(self) -> None:
        for erp in self.bench.erps.values():
            for found in erp.of(Kind.MILESTONE):
                if found.billed:
                    assert self.invoiced[found.key] == found
        held = [f.key for erp in self.bench.erps.values() for f in erp.of(Kind.MILESTONE) if f.key in self.invoiced]
        assert sorted(held) == sorted(self.invoiced)  # each once, over both ERPs


def of(erp: MemoryErp, name: str) -> list[Found]:
    customer = Found(Kind.CUSTOMER, "CUST-1", "C-CUST-1", {})  # type: ignore[arg-type]
    return [customer, *(f for f in erp.objects.values() if f.key.partition("#")[0] == f"clm/{name}")]


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
            await history.move(replayer, back=step == "back")
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
