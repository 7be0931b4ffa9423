"""The reconciler's loop: claim, run many contracts at once, commit their outcomes together.

`drain` works until nothing is due (simulation, tests, tools); `run` goes on until it is told to stop. Many
workers on many hosts run against one database; this file holds what one of them does.
"""

import asyncio
import contextlib
import logging
import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import Clock
from sync_core.engine import claim as queue
from sync_core.engine.claim import Claimed, Loaded
from sync_core.engine.commit import Batcher
from sync_core.engine.converge import Converger
from sync_core.engine.failure import judge
from sync_core.engine.lane_watch import LaneWatch
from sync_core.engine.outcome import MAX_ATTEMPTS, Outcome
from sync_core.engine.replayed import conclude
from sync_core.engine.shared import Broker
from sync_core.engine.traced import begun
from sync_core.errors import TielineError, WorkersLost
from sync_core.estate.estate import Estate
from sync_core.journal import journal
from sync_core.keys import ContractId
from sync_core.lanes.lanes import SLOT_LEASE_S
from sync_core.ports import CallContext, ErpConnector
from sync_core.references import store
from sync_core.telemetry import meters
from sync_core.telemetry.latencies import LATENCIES

log = logging.getLogger(__name__)

DATABASE_TROUBLE = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError, sa.exc.TimeoutError)
GATHER_S = 0.2  # the longest that a finished contract waits for others to be committed with it


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard a worker works. Times in seconds of the machine's clock."""

    in_flight: int = 48  # contracts at once, per lane twice its slots at most
    lease_s: float = 60.0
    call_timeout_s: float = 30.0
    idle_s: float = 1.0  # slow poll, when no notification comes
    sweep_s: float = 0.5  # look for lost workers this often


@dataclass(slots=True)
class Running:
    claimed: Claimed
    ctx: CallContext
    task: asyncio.Task[None] | None = None


@dataclass
class Worker:
    """One worker. `worker_id` names it in leases; the caller holds its advisory lock (see engine/session.py)."""

    engine: AsyncEngine
    connectors: Mapping[str, ErpConnector]
    lanes: LaneWatch
    estate: Estate
    clock: Clock
    worker_id: int
    pace: Pace = field(default_factory=Pace)
    running: dict[ContractId, Running] = field(default_factory=dict)
    chance: random.Random = field(default_factory=random.SystemRandom)
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._outcomes: Batcher[Outcome, bool] = Batcher(self._store, gather_s=GATHER_S, enough=self._enough)
        self._shared_at, self._references = -math.inf, store.Memory()
        for gate in self.lanes.gates.values():
            gate.contracts = 0  # those of a session that was lost
        broker = Broker(self.engine, self.worker_id, self.clock, lease_s=self.pace.lease_s)
        self._converger = Converger(self.connectors, self.estate, self.clock, broker, self.lanes.in_hand)

    # ---- the loop --------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then finish what is running. Raises when the database is lost."""
        keepers = [asyncio.create_task(self.lanes.keep(self.wake)), asyncio.create_task(self._keep_leases())]
        keepers.append(asyncio.create_task(self._sweep()))
        try:
            while not stop.is_set():
                self.wake.clear()
                if await self.claim_some() == 0:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self.pace.idle_s):
                            await self.wake.wait()
                for keeper in keepers:
                    if keeper.done():
                        keeper.result()
            await self.finish_running()
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)

    async def drain(self) -> int:
        """Work until nothing is due now; the number of runs."""
        runs = 0
        while True:
            if time.monotonic() > self._shared_at + SLOT_LEASE_S / 3:
                self._shared_at = time.monotonic()
                await self.lanes.share_slots(spare=1_000)
            await self.lanes.probe()
            claimed = await self.claim_some()
            runs += claimed
            if claimed == 0 and not self.running:
                return runs
            tasks = [r.task for r in self.running.values() if r.task]
            if tasks:
                await asyncio.wait(tasks, timeout=SLOT_LEASE_S / 3, return_when=asyncio.FIRST_COMPLETED)

    async def finish_running(self) -> None:
        """Wait for every running contract: nothing is cut off between a call and its journal."""
        tasks = [r.task for r in self.running.values() if r.task]
        if tasks:
            await asyncio.wait(tasks)

    async def claim_some(self) -> int:
        """Claim as many contracts as there is room for and start them; the number claimed."""
        room = self._room()
        if not room:
            return 0
        sent = time.monotonic()
        async with self.engine.begin() as conn:
            claimed = await queue.claim(
                conn, lanes=room, worker=self.worker_id, lease_s=self.pace.lease_s, now=self.clock.now()
            )
            loaded = await queue.load(conn, [c.contract_id for c in claimed]) if claimed else {}
        for item in claimed:
            ctx = CallContext(loaded[item.contract_id].correlation_id, self._send_before(sent))
            running = Running(item, ctx)
            self.running[item.contract_id] = running
            if item.lane in self.lanes.gates:
                self.lanes.gates[item.lane].contracts += 1
            running.task = asyncio.create_task(self._reconcile(running, loaded[item.contract_id]))
        if any(gate.outgrown for gate in self.lanes.gates.values()):
            self.lanes.want_more.set()
        return len(claimed)

    def _room(self) -> dict[str, int]:
        left = self.pace.in_flight - len(self.running)
        if left <= 0:
            return {}
        most = self.lanes.most(self.pace.in_flight)
        free = {lane: min(left, size - self.lanes.gates[lane].contracts) for lane, size in most.items()}
        # Half of a lane's contracts wait for a slot, so a quarter can be missing before any more are claimed: each
        # claim is a commit, and claiming one by one costs most of all.
        if self.running and not any(free[lane] * 4 >= size for lane, size in most.items()):
            return {}
        return {**{lane: places for lane, places in free.items() if places > 0}, "": left}

    def _enough(self) -> int:
        """Outcomes worth a commit: a quarter of what runs, and the only one at once."""
        return len(self.running) // 4

    def _send_before(self, sent: float) -> float:
        return sent + self.pace.lease_s - self.pace.call_timeout_s

    # ---- one contract ----------------------------------------------------------------------------------------

    async def _reconcile(self, running: Running, loaded: Loaded) -> None:
        """Whatever becomes of it, its place is free again: its lease is kept no longer than it runs."""
        claimed = running.claimed
        try:
            await self._carry(running, loaded)
        finally:
            self.running.pop(claimed.contract_id, None)
            if claimed.lane in self.lanes.gates:
                self.lanes.gates[claimed.lane].contracts -= 1
            self.wake.set()

    async def _carry(self, running: Running, loaded: Loaded) -> None:
        claimed = running.claimed
        step = begun(claimed, loaded)
        outcome = Outcome(uuid4(), claimed, loaded.wanted_rev, self.clock.now(), loaded.correlation_id, step.trace_id)
        running.ctx.traceparent = step.traceparent
        try:
            await self._attempt(claimed, loaded, outcome, running.ctx)
            await self._keep(outcome)
        except DATABASE_TROUBLE:
            # Nothing can be stored: the session ends or the lease runs out, and the contract is claimed again.
            log.exception("contract %s: the database is lost before its outcome was stored", claimed.external_id)
        finally:
            step.end(outcome.name, ok=outcome.error_class is None, words=outcome.error or "")
            meters.ran(claimed.lane, outcome.name, (self.clock.now() - outcome.started_at).total_seconds())

    async def _keep(self, outcome: Outcome) -> None:
        """Store the outcome, or that it could not be stored. When that fails too, the lease runs out: no loss."""
        try:
            await self._outcomes.submit(outcome)
            return
        except DATABASE_TROUBLE:
            raise
        except Exception as wrong:
            log.exception("contract %s: its outcome could not be stored", outcome.claimed.external_id)
            poor = Outcome(uuid4(), outcome.claimed, outcome.seen_rev, outcome.started_at, outcome.correlation_id)
            judge(wrong, poor, self._settle_s(outcome.claimed), self.clock.now(), self.chance)
            poor.sent = True  # nobody will know better
            conclude(poor, wrong)
        try:
            await self._outcomes.submit(poor)
        except Exception:
            log.exception("contract %s: nor could that", outcome.claimed.external_id)

    async def _attempt(self, claimed: Claimed, loaded: Loaded, outcome: Outcome, ctx: CallContext) -> None:
        try:
            if claimed.attempt > MAX_ATTEMPTS:
                raise WorkersLost(
                    f"{claimed.attempt - 1} attempts ended without a word; the last worker's log may say why"
                )
            await self._converger.run(claimed, loaded, outcome, ctx)
            self._succeeded(outcome)
            conclude(outcome, None)
        except DATABASE_TROUBLE:
            raise
        except Exception as wrong:
            # The boundary of one contract: whatever went wrong with it stops no other.
            if not isinstance(wrong, TielineError):
                log.exception("contract %s failed by a fault of ours", claimed.external_id)
            verdict = judge(wrong, outcome, self._settle_s(claimed), self.clock.now(), self.chance)
            conclude(outcome, wrong)
            await self.lanes.failed(outcome.lane or claimed.lane, verdict)
        outcome.calls = ctx.calls

    def _succeeded(self, outcome: Outcome) -> None:
        lane = outcome.lane
        if lane is None:
            return
        self.lanes.succeeded(lane)
        connector = self.connectors[lane]
        if outcome.claimed.unclean_at is None or connector.capabilities.upsert:
            outcome.settled = True
            return
        # A request of the lost worker may have landed after our look: look once more when none can be left.
        settled_at = outcome.claimed.unclean_at + timedelta(seconds=2 * connector.capabilities.settle_s)
        if outcome.started_at >= settled_at:  # a run may take longer than that, and has looked at its beginning
            outcome.settled = True
        else:
            again = self.clock.now() + timedelta(seconds=connector.capabilities.settle_s)
            outcome.next_due = min(again, outcome.next_due or again)

    def _settle_s(self, claimed: Claimed) -> float:
        connector = self.connectors.get(claimed.lane)
        return connector.capabilities.settle_s if connector else 0.0

    # ---- leases ----------------------------------------------------------------------------------------------

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(self.pace.lease_s / 4)
            await self.renew_leases()

    async def renew_leases(self) -> None:
        """Extend the leases of all running contracts; one that is no longer ours may send nothing more."""
        ids = list(self.running)
        if not ids:
            return
        sent = time.monotonic()
        async with self.engine.begin() as conn:
            tokens = await queue.renew(conn, ids, worker=self.worker_id, lease_s=self.pace.lease_s)
        for contract_id, running in self.running.items():
            if contract_id in ids:
                ours = tokens.get(contract_id) == running.claimed.lease_token
                running.ctx.send_before = self._send_before(sent) if ours else 0.0

    async def _sweep(self) -> None:
        while True:
            async with self.engine.begin() as conn:
                freed = await queue.release_lost(conn, now=self.clock.now())
            if freed:
                log.warning("%d contracts of lost workers are free again", freed)
                self.wake.set()
            await asyncio.sleep(self.pace.sweep_s)

    async def _store(self, outcomes: Sequence[Outcome]) -> list[bool]:
        now = self.clock.now()
        async with self.engine.begin() as conn:
            kept = await journal.store(conn, outcomes, worker=self.worker_id, estate=self.estate, now=now)
            learnt = await self._references.keep(conn, [outcome.answers for outcome in outcomes], now)
        self._references.stored(learnt)
        for outcome in outcomes:
            if outcome.mere_recheck:  # its calls are in no journal
                LATENCIES.calls(outcome.calls)
        return [o.claimed.contract_id in kept for o in outcomes]
