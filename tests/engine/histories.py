"""Test only: histories of contracts with moves and faults between any two writes, and how they must end."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count

import orjson
from hypothesis import strategies as st

from sync_core.commands.desk import CommandRefused
from sync_core.commands.moves import Leaving
from sync_core.derive import derive
from sync_core.desired import Found, Kind
from sync_core.engine import claim as queue
from sync_core.engine.replaying import Replayer
from sync_core.errors import ErpAmbiguous, ErpUnavailable, TielineError
from sync_core.intake.cloudevents import parse_structured
from sync_core.intake.intake import accept
from sync_core.keys import ContractId
from sync_core.moving.moving import Placement, rest
from sync_core.plan import diff
from sync_core.ports import CallContext
from tests.engine.moves import Movers, TwoErps
from tests.engine.replays import ADA
from tests.folds import fold
from tests.memory_erp import MemoryErp
from tests.sows import SIGNED_AT, cloud_event, milestone_terms, on

WRITES = ("create", "update", "activate", "close")
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
    revisions: Counter[str] = field(default_factory=Counter)
    names: tuple[str, ...] = ("A", "B")
    held_back: list[dict[str, object]] = field(default_factory=list)  # published, and not delivered yet
    published: list[dict[str, object]] = field(default_factory=list)
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

    async def arrive(self, event: dict[str, object]) -> None:
        """By the real intake, which knows what came before."""
        given = [parse_structured(orjson.dumps(event))]
        async with self.bench.engine.begin() as conn:
            await accept(conn, given, estate=self.bench.estate, now=self.bench.clock.now(), received_by="webhook")

    async def say(self, short: str, kind: str, late: bool = False, **data: object) -> None:
        """The CLM publishes the contract's next revision; `late`: it is delivered some other time."""
        name = self.name(short)
        self.revisions[name] += 1
        revision = self.revisions[name] + 1
        event = cloud_event(f"{name}.{revision}", kind, {"contract_id": name, "revision": revision, **data})
        self.published.append(event)
        if late:
            self.held_back.append(event)
        else:
            await self.arrive(event)

    async def deliver(self) -> None:
        """What was held back comes, the newest first."""
        events, self.held_back = self.held_back[::-1], []
        for event in events:
            await self.arrive(event)

    async def repeat(self, which: int) -> None:
        """The CLM sends something again."""
        if self.published:
            await self.arrive(self.published[which % len(self.published)])

    async def amend(self, short: str, amount: int, *, late: bool = False) -> None:
        """The last milestone is worth something else from now on."""
        name = self.name(short)
        self.amended[name] += 1
        number, last = self.amended[name], f"{amount}.00"
        terms = milestone_terms(value=f"{10_000 + amount}.00")
        lines = [{"key": "1", "description": "Rollout", "amount": terms["value"]}]
        milestones = [terms["milestones"][0], {**terms["milestones"][1], "amount": last}]  # type: ignore[index]
        changes = {"value": terms["value"], "lines": lines, "milestones": milestones}
        header = {"number": number, "executed_at": (SIGNED_AT + timedelta(minutes=number)).isoformat()}
        await self.say(short, "amended.v1", late, amendment=header, changes=changes)

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

    async def move(self, replayer: Replayer, move_from: str, move_to: str) -> None:
        ids = self.movers.rows("SELECT contract_id FROM core.contract WHERE external_id = ANY(:names)",
                               names=[self.name(short) for short in self.names])  # fmt: skip
        leaving = Leaving(tuple(int(str(row[0])) for row in ids))
        made = self.movers.moves.preview(ADA, leaving, move_from=move_from, move_to=move_to)
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
                                n=[self.name(short) for short in self.names])  # fmt: skip
        async with bench.engine.connect() as conn:
            loaded = await queue.load(conn, [ContractId(int(row[0])) for row in rows])
        for number, name, state in rows:
            known = loaded[ContractId(int(number))]
            contract = fold(known.events)
            derived = derive(contract, bench.estate, on=on("2026-03-02"))
            placement = known.placement or Placement(bench.estate.lane_of(contract.terms) or "")
            assert placement.leaving is None
            wanted = rest(derived, contract.terms, placement)
            assert diff(wanted, of(bench.erps[placement.lane], name)).writes == (), (name, placement)
            others = [erp for lane, erp in bench.erps.items() if lane != placement.lane]
            left = [f for erp in others for f in of(erp, name) if f.active and not f.billed and not f.kind.shared]
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
