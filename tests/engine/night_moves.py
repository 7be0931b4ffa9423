"""A nightly ERP and one that answers at once, and people who move contracts between them."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import httpx
import sqlalchemy as sa

from app.sandbox.in_process import InProcess
from sync_core.commands.desk import Desk
from sync_core.commands.moves import Leaving, Moves
from sync_core.commands.replays import Replays
from sync_core.desired import Kind
from sync_core.engine import claim as queue
from sync_core.engine.replaying import Replayer
from sync_core.errors import TielineError
from sync_core.estate.estate import Estate, load
from sync_core.keys import Lane
from sync_core.lanes.lanes import LaneGate
from sync_core.ports import CallContext, ErpConnector
from sync_core.reads import Reads
from sync_core.reads.moves import listed
from tests.engine.nights import ESTATE, Nights, at
from tests.engine.replays import ADA, LAX
from tests.memory_erp import MemoryConnector, MemoryErp

OLD, NEW = "old", "new"
_SECOND = '[[erp]]\nname = "new"\nkind = "sandbox_cloud"\nmax_in_flight = 4\n\n'


def both() -> Estate:
    """TN01 is billed from the nightly ERP, and there is another."""
    return replace(load(ESTATE.replace("[[entity]]", f"{_SECOND}[[entity]]", 1)), replay=LAX)


def cloud() -> MemoryErp:
    return MemoryErp(customers=set(), tax_codes={"TN-TVA"}, currency="TND")


class Dying(InProcess):
    """The worker dies as it sends a file: before it has arrived, or after."""

    at: asyncio.Event | None = None  # set when it happens; None: it lives
    arrived = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.at is None or request.method != "PUT":
            return await super().handle_async_request(request)
        if self.arrived:
            await super().handle_async_request(request)
        self.at.set()
        await asyncio.Event().wait()
        raise AssertionError("it is dead")


@dataclass
class TwoLanes(Nights):
    """`erp` is the nightly one. `live_twice`: projects that could be billed in both at the time of some write."""

    estate: Estate = field(default_factory=both)
    new: MemoryErp = field(default_factory=cloud)
    live_twice: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.way = Dying(self.erp)
        self.new.after = self._watch

    def connectors(self, gates: dict[str, LaneGate]) -> dict[str, ErpConnector]:
        gates[NEW] = LaneGate(Lane(NEW))
        there: dict[str, ErpConnector] = {NEW: MemoryConnector(self.new, gates[NEW], name=NEW)}
        return {**super().connectors(gates), **there}

    def transport(self) -> InProcess:
        return self.way

    async def dies_sending(self, replayer: Replayer, *, arrived: bool) -> None:
        """All that this worker does vanishes as it sends its file; nothing is given back, nothing more is written."""
        others, self.way.at, self.way.arrived = asyncio.all_tasks(), asyncio.Event(), arrived
        working = asyncio.create_task(replayer.drain())
        async with asyncio.timeout(20):
            await self.way.at.wait()
        mine = asyncio.all_tasks() - others
        for task in mine:
            task.cancel()
        await asyncio.gather(*mine, return_exceptions=True)
        self.way.at = None
        async with self.engine.begin() as conn:
            await conn.execute(sa.text("UPDATE core.lane_slot SET worker_id = NULL, lease_until = NULL"))
        assert working.done()

    def _watch(self, _operation: str, _ctx: CallContext) -> TielineError | None:
        self.watch()
        return None

    def watch(self) -> None:
        self.live_twice += [key for key, times in self.billable().items() if times > 1]

    def billable(self) -> Counter[str]:
        """How many projects of each contract can be billed, over both ERPs."""
        old = [str(doc["external_id"]) for doc in self.erp.store.all("project") if doc["status"] == "active"]
        new = [str(found.key) for found in self.new.of(Kind.PROJECT) if found.fields["billable"]]
        return Counter(old + new)

    async def go_on(self, replayer: Replayer, *moments: datetime) -> None:
        """At each of these moments the workers do what is due then, and what is due soon after."""
        for moment in moments:
            self.go_to(moment)
            self.erp.nights.advance(self.erp.now())
            self.watch()
            for _ in range(3):
                await replayer.drain()
                await self.lost()
                self.watch()
                self.go_to(self.clock.now() + timedelta(seconds=5))

    async def lost(self) -> None:
        """What a dead worker held is given back, as each of the others does it now and then."""
        async with self.engine.begin() as conn:
            await queue.release_lost(conn, now=self.clock.now())

    async def night(self, replayer: Replayer, day: int) -> None:
        """From the evening of this day of March until the ERP has answered."""
        await self.go_on(replayer, at("22:00", day), at("23:30", day), at("06:00", day + 1))

    def held_old(self, kind: str = "milestone") -> dict[str, tuple[str, object]]:
        """What the nightly ERP holds, by key: the amount, and whether it is billed."""
        found = {str(doc["external_id"]): doc for doc in self.erp.store.all(kind)}
        return {key.partition("#")[2]: (str(doc["amount"]), doc["billed"]) for key, doc in found.items()}

    def held_new(self, kind: Kind = Kind.MILESTONE) -> dict[str, str]:
        return {str(found.key).partition("#")[2]: str(found.fields["amount"]) for found in self.new.of(kind)}

    def values_old(self) -> list[tuple[object, object]]:
        """Status and value of its orders, the oldest first."""
        orders = [doc for doc in self.erp.store.all("project") if doc["status"] != "reversed"]
        return [(doc["status"], doc["contract_value"]) for doc in sorted(orders, key=lambda doc: str(doc["id"]))]

    def values_new(self) -> list[str]:
        return [str(found.fields["value"]) for found in self.new.of(Kind.PROJECT)]


class Movers:
    """Ada, who moves contracts of TN01."""

    def __init__(self, engine: sa.Engine, bench: TwoLanes) -> None:
        self.engine, self.bench = engine, bench
        desk = Desk(engine, bench.clock, bench.estate)
        self.moves, self.replays = Moves(desk), Replays(desk)

    async def begin(self, replayer: Replayer, *, back: bool = False) -> int:
        """A move of the entity that was previewed and confirmed; its number."""
        way = (NEW, OLD) if back else (OLD, NEW)
        made = self.moves.preview(ADA, Leaving(legal_entity="TN01"), move_from=way[0], move_to=way[1])
        await self.confirm(replayer, made.replay_id)
        return made.replay_id

    async def undo(self, replayer: Replayer, move_id: int) -> int:
        back = self.moves.undo(ADA, move_id)
        await self.confirm(replayer, back.replay_id)
        return back.replay_id

    async def confirm(self, replayer: Replayer, move_id: int) -> None:
        await replayer.drain()
        self.replays.confirm(ADA, move_id, reason="the entity goes to the other ERP")
        await replayer.drain()

    def items(self, move_id: int) -> dict[str, tuple[str, str]]:
        """State and words by the contract's name."""
        with self.engine.connect() as conn:
            found = conn.execute(sa.text(
                "SELECT c.external_id, i.state, i.words FROM core.replay_item AS i JOIN core.contract AS c"
                " USING (contract_id) WHERE i.replay_id = :id ORDER BY 1"), {"id": move_id})  # fmt: skip
            return {str(name): (str(state), str(words)) for name, state, words in found}

    def differences(self, move_id: int) -> set[object]:
        """What the reconciliation of a move leaves open, of any of its contracts."""
        reads = Reads(self.engine, clock=self.bench.clock, estate=self.bench.estate)
        return {row["difference"] for row in listed(reads.all_reconciled(move_id))}
