"""The bare loop that the core is measured against: claim, make the recorded calls, commit the finished state.

No events are read, nothing is folded, planned, checked, read back or journalled. Claims, room, group commit and
HTTP are the core's own, so that what differs is the reconciliation alone.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.recording import Stages, replay
from sync_core.clock import Clock
from sync_core.connectors.http import ErpHttp
from sync_core.engine import claim as queue
from sync_core.engine.claim import Claimed
from sync_core.engine.commit import Batcher
from sync_core.engine.worker import GATHER_S
from sync_core.ports import CallContext

Finished = tuple[int, int, str]  # contract, lease token, project

_FINISH = sa.text("""
    UPDATE core.contract AS c SET state = 'active', state_since = :now, due_at = NULL, done_rev = c.wanted_rev,
           attempt = 0, lease_owner = NULL, lease_until = NULL, project_ref = f.project, first_active_at = :now,
           active_at = :now, updated_at = :now
    FROM jsonb_to_recordset(CAST(:finished AS jsonb)) AS f(id bigint, token bigint, project text)
    WHERE c.contract_id = f.id AND c.lease_token = f.token
""")


@dataclass
class BareLoop:
    """One worker's loop. `room` is how many contracts of each lane it works on at once."""

    engine: AsyncEngine
    https: Mapping[str, ErpHttp]
    recorded: Sequence[Stages]  # by the contract's number, the digits at the end of its id
    clock: Clock
    worker_id: int
    room: int
    lease_s: float
    calls: int = 0
    running: dict[str, int] = field(default_factory=dict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._finished: Batcher[Finished, None] = Batcher(
            self._store, gather_s=GATHER_S, enough=lambda: sum(self.running.values()) // 4
        )

    async def run(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                self.wake.clear()
                if await self._claim_some(group) == 0:
                    await self.wake.wait()

    async def _claim_some(self, group: asyncio.TaskGroup) -> int:
        free = {lane: self.room - self.running.get(lane, 0) for lane in self.https}
        if not any(places * 4 >= self.room for places in free.values()):
            return 0
        sent = time.monotonic()
        async with self.engine.begin() as conn:
            claimed = await queue.claim(
                conn, lanes=free, worker=self.worker_id, lease_s=self.lease_s, now=self.clock.now()
            )
        for item in claimed:
            self.running[item.lane] = self.running.get(item.lane, 0) + 1
            group.create_task(self._one(item, sent + self.lease_s))
        return len(claimed)

    async def _one(self, claimed: Claimed, send_before: float) -> None:
        number = int(claimed.external_id.rpartition("-")[2])
        ctx = CallContext(claimed.external_id, send_before)
        project = await replay(self.recorded[number], self.https[claimed.lane], ctx)
        self.calls += len(ctx.calls)
        await self._finished.submit((claimed.contract_id, claimed.lease_token, project))
        self.running[claimed.lane] -= 1
        self.wake.set()

    async def _store(self, finished: Sequence[Finished]) -> list[None]:
        rows = [{"id": contract, "token": token, "project": project} for contract, token, project in finished]
        async with self.engine.begin() as conn:
            await conn.execute(_FINISH, {"finished": orjson.dumps(rows).decode(), "now": self.clock.now()})
        return [None] * len(finished)
