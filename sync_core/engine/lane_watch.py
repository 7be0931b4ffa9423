"""One worker's view of the lanes: its slots, its count of failures, and the breaker's probe."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import Clock
from sync_core.engine.failure import Verdict
from sync_core.errors import TielineError
from sync_core.lanes import breaker, lanes
from sync_core.lanes.answers_needed import DeclaresNeeds
from sync_core.lanes.lanes import LaneGate
from sync_core.ports import CallContext, ErpConnector
from sync_core.telemetry.latencies import LATENCIES

log = logging.getLogger(__name__)

BREAKER_AFTER = 5  # failures in a row, with no success between, that stop a lane
PROBE_TIMEOUT_S = 30.0
SHARE_EVERY_S = lanes.SLOT_LEASE_S / 6
SHARE_SOONEST_S = 0.1  # when a burst wants more slots than the last share gave


class LaneWatch:
    """Keeps `gates` supplied with slots and `closed` true: the lanes from which nothing may be claimed."""

    def __init__(
        self,
        engine: AsyncEngine,
        connectors: Mapping[str, ErpConnector],
        gates: Mapping[str, LaneGate],
        clock: Clock,
        worker_id: int,
    ) -> None:
        self.gates = gates
        self.closed: frozenset[str] = frozenset()
        self.want_more = asyncio.Event()
        self._engine, self._connectors, self._clock, self._worker_id = engine, connectors, clock, worker_id
        self._failures: dict[str, int] = {}

    async def keep(self, wake: asyncio.Event) -> None:
        """Share slots and probe, for ever; wakes the worker because there may be more room than before.

        A probe waits for an ERP, so it runs beside: the slots of all lanes depend on this loop.
        """
        probing: asyncio.Task[None] | None = None
        while True:
            await self.share_slots()
            if probing is not None and probing.done():
                probing.result()
                probing = None
            if probing is None and self.closed:
                probing = asyncio.create_task(self.probe())
            wake.set()
            await asyncio.sleep(SHARE_SOONEST_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SHARE_EVERY_S - SHARE_SOONEST_S):
                    await self.want_more.wait()
            self.want_more.clear()

    async def share_slots(self, *, spare: int = 2) -> None:
        async with self._engine.begin() as conn:
            views = await lanes.share_slots(conn, list(self.gates.values()), worker=self._worker_id, spare=spare)
        self.closed = frozenset(view.lane for view in views if view.breaker != "closed")

    def most(self, in_flight: int) -> dict[str, int]:
        """Contracts that may be in hand of each lane that is open: twice its slots. Of an ERP with batches as many as
        there may be at all, so that they go out in one file.
        """
        batched = {lane for lane, erp in self._connectors.items() if erp.capabilities.batches}
        wide = {lane: in_flight if lane in batched else max(gate.size, 1) * 2 for lane, gate in self.gates.items()}
        return {lane: size for lane, size in wide.items() if lane not in self.closed}

    def in_hand(self, lane: str) -> int:
        """Contracts of a lane that this worker is at."""
        return self.gates[lane].contracts if lane in self.gates else 1

    async def give_back(self) -> None:
        async with self._engine.begin() as conn:
            await lanes.give_back(conn, worker=self._worker_id)

    def succeeded(self, lane: str) -> None:
        self._failures[lane] = 0

    async def failed(self, lane: str, verdict: Verdict) -> None:
        """Count the ERP's trouble; enough of it, or trouble that needs a person, stops the lane for all workers."""
        if not verdict.lane_trouble or lane not in self.gates:
            return
        self._failures[lane] = self._failures.get(lane, 0) + 1
        if lane in self.closed or not (verdict.pause_lane or self._failures[lane] >= BREAKER_AFTER):
            return
        now = self._clock.now()
        self.closed |= {lane}
        log.warning("lane %s stops: %s", lane, verdict.words)
        probe_at = now + timedelta(seconds=1)
        async with self._engine.begin() as conn:
            await breaker.open_breaker(
                conn, lane, reason=verdict.words, paused=verdict.pause_lane, now=now, probe_at=probe_at
            )

    async def probe(self) -> None:
        """Send the probe of each lane whose turn it is; a good answer opens the lane again for all workers."""
        if not self.closed:
            return
        async with self._engine.begin() as conn:
            mine = await breaker.take_probes(conn, sorted(self.closed), worker=self._worker_id, now=self._clock.now())
        for lane in mine:
            await self._probe(lane)

    async def _probe(self, lane: str) -> None:
        ctx = CallContext("probe", time.monotonic() + PROBE_TIMEOUT_S)
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                connector = self._connectors[lane]
                await connector.ping(ctx)
                if isinstance(connector, DeclaresNeeds):
                    await connector.check(ctx)
        except (TielineError, TimeoutError) as wrong:
            log.info("lane %s is still down: %s", lane, wrong)
            return
        finally:
            LATENCIES.calls(ctx.calls)
        async with self._engine.begin() as conn:
            await breaker.close_breaker(conn, lane, now=self._clock.now())
        self._failures[lane] = 0
        self.closed -= {lane}
        log.warning("lane %s works again", lane)
