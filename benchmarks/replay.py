"""What a replay costs: previews per second, and items verified per second, of contracts that turn out unchanged.

`python -m benchmarks.replay`: one worker process on one PostgreSQL (fsync on), against an ERP that is a stub in the
same process: once it answers at once, once after 50 ms. Every item is previewed by a fresh read, confirmed, dispatched
at 60,000 a minute at most, read again, found as confirmed, journalled and verified. The last line on stdout is JSON.
"""

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from decimal import Decimal

import orjson
import psycopg
import sqlalchemy as sa
import uvloop
from sqlalchemy.ext.asyncio import create_async_engine

from app.postgres.embedded import Endpoint, Role
from benchmarks import firm, processes
from benchmarks.stub_erp import StubErp
from benchmarks.usage import database_use, machine_busy_s
from sync_core.authority import person
from sync_core.clock import SystemClock
from sync_core.commands.desk import Desk
from sync_core.commands.replays import Replays, Selection, StuckFilter
from sync_core.engine.lane_watch import LaneWatch
from sync_core.engine.replaying import Replayer
from sync_core.engine.session import open_session
from sync_core.engine.worker import Worker
from sync_core.estate.estate import ReplayPolicy
from sync_core.intake import intake
from sync_core.journal.progress import State
from sync_core.keys import Lane
from sync_core.lanes import lanes
from sync_core.lanes.lanes import LaneGate

SLOW_S = 0.05
MEASURED = (
    "previews_per_s", "items_per_s", "worker_cpu_ms", "postgres_cpu_ms", "preview_commits", "replay_commits",
)  # fmt: skip
_BATCH, _DEADLINE_S, _LOOK_EVERY_S = 200, 1200.0, 0.2
_LAX = ReplayPolicy(Decimal(10**12), 10**6, per_minute=60_000, ticket_required=False)
_ADA = person("ada@bench.example", ["operator"])


@dataclass(frozen=True, slots=True)
class Round:
    """`others_busy`: share of the machine that went to processes which are no part of this (PostgreSQL is)."""

    latency_ms: float
    previews_per_s: float
    items_per_s: float
    worker_cpu_ms: float  # per item, preview and replay together, as is the next
    postgres_cpu_ms: float
    preview_commits: float  # per item, as is the next; what looks whether it is over is counted too
    replay_commits: float
    others_busy: float


class Bench:
    """A running worker with so many active contracts."""

    def __init__(self, endpoint: Endpoint, contracts: int, slots: int) -> None:
        self._contracts, self._clock = contracts, SystemClock()
        self.estate = replace(firm.estate(1, slots=slots), replay=_LAX)
        self.lane = firm.lane_of(0)
        gate = LaneGate(Lane(self.lane))
        self.gates, self.erp = {self.lane: gate}, StubErp(self.lane, gate)
        self.engine = create_async_engine(endpoint.url(Role.APP), pool_size=16)
        self._people = sa.create_engine(endpoint.url(Role.APP))
        self._admin = psycopg.connect(endpoint.libpq_url(Role.OWNER), autocommit=True)
        self._replays = Replays(Desk(self._people, self._clock, self.estate))

    @asynccontextmanager
    async def working(self, direct_url: str) -> AsyncIterator[None]:
        await self._take_in()
        async with open_session(direct_url, name="bench", version="0", now=self._clock.now()) as session:
            connectors = {self.lane: self.erp}
            watch = LaneWatch(self.engine, connectors, self.gates, self._clock, session.worker_id)
            worker = Worker(self.engine, connectors, watch, self.estate, self._clock, session.worker_id)
            stop = asyncio.Event()
            tasks = [asyncio.create_task(worker.run(stop)), asyncio.create_task(Replayer(worker).run())]
            await self._until("SELECT count(*) FROM core.contract WHERE state = 'active'", self._contracts)
            yield
            stop.set()
            worker.wake.set()
            await tasks[0]
            tasks[1].cancel()
            await asyncio.gather(tasks[1], return_exceptions=True)
        await self.engine.dispose()
        self._people.dispose()
        self._admin.close()

    async def round(self, latency_s: float) -> Round:
        self.erp.latency_s = latency_s
        await asyncio.to_thread(self._admin.execute, "VACUUM (ANALYZE)")  # else it comes in the middle of a round
        before = await asyncio.to_thread(database_use, self._admin)
        busy, cpu, begun = machine_busy_s(), time.process_time(), time.perf_counter()
        chosen = Selection(stuck=StuckFilter(states=(State.ACTIVE,)))
        made = await asyncio.to_thread(self._replays.preview, _ADA, chosen)
        await self._until("SELECT count(*) FROM core.replay WHERE state = 'previewing'", 0)
        previewed = time.perf_counter()
        between = await asyncio.to_thread(database_use, self._admin)
        await asyncio.to_thread(self._replays.confirm, _ADA, made.replay_id, reason="benchmark")
        await self._until("SELECT count(*) FROM core.replay WHERE finished_at IS NULL", 0)
        ended = time.perf_counter()
        busy, cpu = machine_busy_s() - busy, time.process_time() - cpu
        after = await asyncio.to_thread(database_use, self._admin)
        spent = after.since(before)
        self._checked(made.replay_id)
        return Round(
            latency_ms=latency_s * 1000,
            previews_per_s=self._contracts / (previewed - begun),
            items_per_s=self._contracts / (ended - previewed),
            worker_cpu_ms=cpu / self._contracts * 1000,
            postgres_cpu_ms=spent.cpu_s / self._contracts * 1000,
            preview_commits=between.since(before).commits / self._contracts,
            replay_commits=after.since(between).commits / self._contracts,
            others_busy=max(0.0, (busy - cpu - spent.cpu_s) / ((ended - begun) * (os.cpu_count() or 1))),
        )

    async def _take_in(self) -> None:
        async with self.engine.begin() as conn:
            await lanes.declare(conn, [(self.estate.erp[0], 0.0)])
        for begin in range(0, self._contracts, _BATCH):
            events = [firm.signed_event(f"R-{n:06d}", n, 1) for n in range(begin, min(begin + _BATCH, self._contracts))]
            async with self.engine.begin() as conn:
                await intake.accept(conn, events, estate=self.estate, now=self._clock.now(), received_by="bench")

    def _checked(self, replay_id: int) -> None:
        row = self._admin.execute(
            "SELECT count(*) FILTER (WHERE state = 'verified'), count(*) FILTER (WHERE no_ops > 0),"
            " sum(creates + updates + activates + closes) FROM core.replay_item WHERE replay_id = %s",
            [replay_id],
        ).fetchone()
        if row != (self._contracts, self._contracts, 0):
            raise RuntimeError(f"of {self._contracts} no-ops were verified, were no-ops, wrote: {row}")

    async def _until(self, statement: str, wanted: int) -> None:
        deadline = time.monotonic() + _DEADLINE_S
        while await asyncio.to_thread(self._number, statement) != wanted:
            if time.monotonic() > deadline:
                raise RuntimeError(f"not within {_DEADLINE_S:g} s: {statement} is {wanted}")
            await asyncio.sleep(_LOOK_EVERY_S)

    def _number(self, statement: str) -> int:
        row = self._admin.execute(statement.encode()).fetchone()
        return int(str(row[0])) if row else -1


async def measure(contracts: int, slots: int, rounds: int, say: Callable[[str], None]) -> dict[str, object]:
    """A round that warms up, then both latencies by turns."""
    found: list[Round] = []
    with processes.database() as endpoint:
        bench = Bench(endpoint, contracts, slots)
        async with bench.working(endpoint.libpq_url(Role.APP)):
            await bench.round(0.0)
            for number in range(1, rounds + 1):
                for latency_s in (0.0, SLOW_S):
                    found.append(await bench.round(latency_s))
                    say(f"round {number}: {_line(found[-1])}")
    return {"contracts": contracts, "slots": slots, **_summary(found), "rounds": [_rounded(r) for r in found]}


def _summary(found: list[Round]) -> dict[str, float]:
    """Median, least and most of each kind of round."""
    told: dict[str, float] = {}
    for name, latency_ms in (("fast", 0.0), ("slow", SLOW_S * 1000)):
        rounds = [r for r in found if r.latency_ms == latency_ms]
        for what in MEASURED:
            values = [float(getattr(r, what)) for r in rounds]
            told[f"{name}_{what}"] = round(statistics.median(values), 3)
            told[f"{name}_{what}_min"], told[f"{name}_{what}_max"] = round(min(values), 3), round(max(values), 3)
    return told


def _rounded(one: Round) -> dict[str, float]:
    return {name: round(value, 3) for name, value in asdict(one).items()}


def _line(one: Round) -> str:
    return (
        f"ERP {one.latency_ms:.0f} ms: {one.previews_per_s:7.1f} previews/s, {one.items_per_s:7.1f} items verified/s; "
        f"CPU ms per item: worker {one.worker_cpu_ms:.2f}, PostgreSQL {one.postgres_cpu_ms:.2f}; commits per "
        f"preview {one.preview_commits:.3f}, per replay {one.replay_commits:.3f}; "
        f"others took {one.others_busy:.0%} of the machine"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=__doc__)
    parser.add_argument("--contracts", type=int, default=10_000)
    parser.add_argument("--slots", type=int, default=64, help="calls in flight at the ERP")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="nothing but the JSON line on stdout")
    given = parser.parse_args()
    report = sys.stderr if given.json else sys.stdout

    def say(line: str) -> None:
        print(line, file=report, flush=True)

    print(orjson.dumps(uvloop.run(measure(given.contracts, given.slots, given.rounds, say))).decode())


if __name__ == "__main__":
    main()
