"""One worker process of the provisioning benchmark: `python -m benchmarks.provision_worker`, an Order on its stdin.

Says "ready" when it has its session, begins on the line "go" and ends on the line "stop"; then it says what it used.
"""

import asyncio
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import orjson
import uvloop
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from benchmarks import firm
from benchmarks.bare import BareLoop
from benchmarks.recording import Recording, RecordingHttp, load
from sync_core.clock import SystemClock
from sync_core.connectors.erp.sandbox_cloud.connector import SandboxCloud
from sync_core.connectors.http import ErpHttp
from sync_core.connectors.oauth2 import ClientCredentials
from sync_core.engine.lane_watch import LaneWatch
from sync_core.engine.session import open_session
from sync_core.engine.worker import Pace, Worker
from sync_core.estate.estate import Erp
from sync_core.keys import Lane
from sync_core.lanes.lanes import LaneGate, unlimited


@dataclass(frozen=True, slots=True)
class Order:
    """What one worker is to do. `record_to`: the core notes its calls there. `replay`: the bare loop sends these."""

    database: str  # SQLAlchemy URL
    database_libpq: str
    erps: list[dict[str, str]]  # url, client_id, client_secret, by place
    slots: int  # calls in flight per ERP, over all workers
    workers: int
    bare: bool
    record_to: str | None = None
    replay: list[str] = field(default_factory=list)
    profile_to: str | None = None


@dataclass(frozen=True, slots=True)
class Used:
    cpu_s: float
    calls: int  # the bare loop's; the core journals its own


class Parts:
    """What both kinds of loop are made of."""

    def __init__(self, order: Order) -> None:
        self.order, self.clock = order, SystemClock()
        self.recording = Recording()
        self.estate = firm.estate(len(order.erps), slots=order.slots)
        # As the worker process makes it (app/wiring.py).
        self.engine: AsyncEngine = create_async_engine(order.database, pool_size=16, pool_use_lifo=True)
        mine = order.slots // order.workers
        self.gates = {
            erp.name: unlimited(erp.name, mine) if order.bare else LaneGate(Lane(erp.name)) for erp in self.estate.erp
        }
        self.https = {
            erp.name: self._http(replace(erp, url=known["url"]), known)
            for erp, known in zip(self.estate.erp, order.erps, strict=True)
        }

    def _http(self, erp: Erp, known: dict[str, str]) -> ErpHttp:
        kind = RecordingHttp if self.order.record_to else ErpHttp
        http = kind(erp.name, str(erp.url), gate=self.gates[erp.name], clock=self.clock, timeout_s=erp.timeout_s)
        if isinstance(http, RecordingHttp):
            http.recording = self.recording
        http.credentials = ClientCredentials(
            http, "/oauth/token", client_id=known["client_id"], client_secret=known["client_secret"], clock=self.clock
        )
        return http

    def core(self, worker_id: int) -> Worker:
        connectors = {name: SandboxCloud(name, http, upsert=True, settle_s=0) for name, http in self.https.items()}
        watch = LaneWatch(self.engine, connectors, self.gates, self.clock, worker_id)
        return Worker(self.engine, connectors, watch, self.estate, self.clock, worker_id)

    def bare(self, worker_id: int) -> BareLoop:
        recorded = load([Path(path) for path in self.order.replay])
        by_number = [stages for _, stages in sorted(recorded.items())]
        room = 2 * (self.order.slots // self.order.workers)  # the core's rule: per lane twice its slots
        lease_s = Pace().lease_s
        return BareLoop(self.engine, self.https, by_number, self.clock, worker_id, room, lease_s)

    async def close(self) -> None:
        for http in self.https.values():
            await http.aclose()
        await self.engine.dispose()


async def work(order: Order) -> Used:
    parts = Parts(order)
    stop = asyncio.Event()
    now = parts.clock.now()
    async with open_session(order.database_libpq, name="bench", version="0", now=now) as session:
        loop = parts.bare(session.worker_id) if order.bare else parts.core(session.worker_id)
        _say("ready")
        await _told("go")
        before = _cpu_s()
        working = asyncio.create_task(_profiled(order.profile_to, lambda: loop.run(stop)))
        told = asyncio.create_task(_told("stop"))
        await asyncio.wait([working, told], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        loop.wake.set()
        await working
        if isinstance(loop, Worker):
            await loop.lanes.give_back()  # else the next half's workers wait for these slots
        used = Used(_cpu_s() - before, loop.calls if isinstance(loop, BareLoop) else 0)
        await parts.close()
    if order.record_to:
        parts.recording.save(Path(order.record_to))
    return used


async def _profiled(path: str | None, run: Callable[[], Awaitable[None]]) -> None:
    if path is None:
        await run()
        return
    import cProfile  # slows a worker down by half; only for looking where the time goes

    profile = cProfile.Profile(time.process_time)  # CPU, whatever else the machine does
    profile.enable()
    try:
        await run()
    finally:
        profile.disable()
        profile.dump_stats(path)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _say(what: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(what) + b"\n")
    sys.stdout.buffer.flush()


async def _told(word: str) -> None:
    """Wait for this line; an end of input is a stop."""
    line = await asyncio.to_thread(sys.stdin.readline)
    if line.strip() not in (word, ""):
        raise ValueError(f"expected {word!r}, got {line!r}")


if __name__ == "__main__":
    _say(asdict(uvloop.run(work(Order(**orjson.loads(sys.stdin.readline()))))))
