"""Two memory ERPs and people who move contracts between them."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

import sqlalchemy as sa

from sync_core.authority import Actor
from sync_core.commands.desk import Desk
from sync_core.commands.moves import Leaving, Moves
from sync_core.commands.replays import ReplayConfirmed, ReplayMade, Replays
from sync_core.desired import Found, Kind
from sync_core.engine.lane_watch import LaneWatch
from sync_core.engine.replaying import Replayer
from sync_core.engine.worker import Pace, Worker
from sync_core.estate.estate import Estate, load
from sync_core.keys import Lane
from sync_core.lanes import lanes
from sync_core.lanes.lanes import LaneGate
from sync_core.reads import Reads
from sync_core.reads.moves import ReconciledTotal, listed
from tests.engine.replays import ADA, LAX
from tests.engine.support import Bench
from tests.memory_erp import MemoryConnector, MemoryErp
from tests.sows import ESTATE_TOML

OLD, NEW = "legacy", "cloud"
_SECOND = """
[[erp]]
name = "legacy"
kind = "sandbox_cloud"
max_in_flight = 8
"""


def two_erps(*, routed: str = OLD, more: str = "") -> Estate:
    """The usual test estate with a second ERP, from which US01 is billed; `more` is added to its file."""
    text = ESTATE_TOML.replace("[[entity]]", f"{_SECOND}\n[[entity]]", 1) + more
    return replace(load(text.replace('erp = "cloud"', f'erp = "{routed}"', 1)), replay=LAX)


@dataclass
class TwoErps(Bench):
    """`erp` is the new one."""

    old: MemoryErp = field(default_factory=MemoryErp)
    estate: Estate = field(default_factory=two_erps)

    @property
    def erps(self) -> dict[str, MemoryErp]:
        return {OLD: self.old, NEW: self.erp}

    async def worker(self, *, pace: Pace | None = None, worker_id: int | None = None) -> Worker:
        self.workers += 1
        number = worker_id or self.workers
        gates = {name: LaneGate(Lane(name)) for name in self.erps}
        connectors = {
            name: MemoryConnector(erp, gates[name], name=name, settle_s=self.settle_s)
            for name, erp in self.erps.items()
        }
        async with self.engine.begin() as conn:
            await lanes.declare(conn, [(erp, connectors[erp.name].settle_s) for erp in self.estate.erp])
        watch = LaneWatch(self.engine, connectors, gates, self.clock, number)
        return Worker(self.engine, connectors, watch, self.estate, self.clock, number, pace or Pace())

    async def reroute(self, lane: str) -> None:
        """Workers made from now on work under another route; those of before are gone, and their slots are free."""
        self.estate = two_erps(routed=lane)
        async with self.engine.begin() as conn:
            await conn.execute(sa.text("UPDATE core.lane_slot SET worker_id = NULL, lease_until = NULL"))

    def billable(self) -> Counter[str]:
        """How many projects of each contract can be billed, over both ERPs."""
        projects = [found for erp in self.erps.values() for found in erp.of(Kind.PROJECT)]
        return Counter(str(found.key) for found in projects if found.fields["billable"])

    def invoice(self, where: MemoryErp, *keys: str) -> None:
        """Milestones are invoiced, as the ERP does it."""
        for found in where.of(Kind.MILESTONE):
            if found.key in keys:
                where.hold(replace(found, billed=True))

    def earn(self, where: MemoryErp, amount: str | None) -> None:
        """So much of each project would be invoiced if finance asked the ERP to, also after it was closed."""
        for found in [f for f in where.objects.values() if f.kind is Kind.PROJECT]:
            where.hold(replace(found, earned=Decimal(amount) if amount else None))

    def invoice_hours(self, where: MemoryErp, amount: str) -> None:
        for found in where.of(Kind.LABOUR_RATE):
            where.hold(replace(found, billed=True))
        for found in where.of(Kind.PROJECT):
            where.hold(replace(found, billed=True, billed_amount=Decimal(amount)))


class Movers:
    """Ada, who moves contracts of `bench`."""

    def __init__(self, engine: sa.Engine, bench: TwoErps) -> None:
        self.engine, self.bench = engine, bench
        desk = Desk(engine, bench.clock, bench.estate)
        self.moves, self.replays = Moves(desk), Replays(desk)

    def preview(self, *, entity: str = "US01", back: bool = False, actor: Actor = ADA) -> ReplayMade:
        way = (NEW, OLD) if back else (OLD, NEW)
        return self.moves.preview(actor, Leaving(legal_entity=entity), move_from=way[0], move_to=way[1])

    def confirm(self, move_id: int, **more: object) -> ReplayConfirmed:
        return self.replays.confirm(ADA, move_id, reason="the entity goes to the cloud", **more)  # type: ignore[arg-type]

    def rows(self, sql: str, **values: object) -> list[tuple[object, ...]]:
        with self.engine.connect() as conn:
            return [tuple(row) for row in conn.execute(sa.text(sql), values)]

    def items(self, move_id: int) -> dict[str, tuple[str, str]]:
        """State and words by the contract's name."""
        found = self.rows(
            "SELECT c.external_id, i.state, i.words FROM core.replay_item AS i JOIN core.contract AS c"
            " USING (contract_id) WHERE i.replay_id = :id ORDER BY 1", id=move_id,
        )  # fmt: skip
        return {str(name): (str(state), str(words)) for name, state, words in found}

    @property
    def reads(self) -> Reads:
        return Reads(self.engine, clock=self.bench.clock, estate=self.bench.estate)

    def reconciled(self, move_id: int) -> list[dict[str, object]]:
        return listed(self.reads.all_reconciled(move_id))

    def totals(self, move_id: int) -> tuple[ReconciledTotal, ...]:
        found = self.reads.reconciliation(move_id)
        assert found is not None
        return found.totals

    def differences(self, move_id: int) -> set[object]:
        """What the reconciliation of a move leaves open, of any of its contracts."""
        return {row["difference"] for row in self.reconciled(move_id)}

    def placed(self) -> list[tuple[object, ...]]:
        return self.rows(
            "SELECT c.external_id, p.lane, p.leaving FROM core.placement AS p JOIN core.contract AS c"
            " USING (contract_id) ORDER BY 1"
        )  # fmt: skip


async def moved(bench: TwoErps, movers: Movers, replayer: Replayer, **more: object) -> int:
    """A move of US01 that was previewed, confirmed and carried out; its number."""
    made = movers.preview(**more)  # type: ignore[arg-type]
    await replayer.drain()
    movers.confirm(made.replay_id)
    await settled(bench, replayer)
    return made.replay_id


async def settled(bench: TwoErps, replayer: Replayer, *, rounds: int = 8) -> None:
    for _ in range(rounds):
        await replayer.drain()
        bench.virtual.advance(timedelta(seconds=2))


def amounts(erp: MemoryErp, kind: Kind = Kind.MILESTONE) -> dict[str, str]:
    """What the ERP holds and has not invoiced, by key."""
    return {str(f.key): str(f.fields["amount"]) for f in unbilled(erp, kind)}


def unbilled(erp: MemoryErp, kind: Kind) -> list[Found]:
    return [found for found in erp.of(kind) if not found.billed]


def value(erp: MemoryErp) -> list[str]:
    return [str(found.fields["value"]) for found in erp.of(Kind.PROJECT)]
