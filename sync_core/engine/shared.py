"""Reservations of shared objects: a customer that two new contracts name is created once.

Unique (system, kind, business_key), state `creating`, committed before the create is sent. Whoever does not
hold the reservation waits and looks again. A reservation whose holder died is free once the ERP has settled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sync_core.clock import Clock
from sync_core.engine.commit import Batcher
from sync_core.keys import ErpRef


@dataclass(frozen=True, slots=True)
class Reservation:
    system: str
    kind: str
    key: str


# A confirmed row can be reserved too: the object was seen by nobody just now, so its ERP has lost it.
# Rows are sorted, so that two batches lock them in one order.
_RESERVE = sa.text("""
    WITH wanted AS (
        SELECT DISTINCT system, kind, key FROM jsonb_to_recordset(CAST(:wanted AS jsonb))
            AS w(system text, kind text, key text) ORDER BY system, kind, key
    )
    INSERT INTO core.crosswalk AS x (system, kind, business_key, state, holder, reserved_until)
    SELECT system, kind, key, 'creating', :worker, now() + make_interval(secs => :lease_s) FROM wanted
    ON CONFLICT (system, kind, business_key) DO UPDATE
    SET state = 'creating', holder = excluded.holder, reserved_until = excluded.reserved_until
    WHERE x.state <> 'creating' AND x.confirmed_at < CAST(:now AS timestamptz) - interval '1 min'
       OR x.state = 'creating' AND x.reserved_until + make_interval(secs => coalesce(
              (SELECT settle_s FROM core.lane WHERE lane = x.system), 0)) < now()
    RETURNING system, kind, business_key
""")
_CONFIRM = sa.text("""
    UPDATE core.crosswalk AS x SET state = 'confirmed', ref = w.ref, holder = NULL, reserved_until = NULL,
           confirmed_at = :now
    FROM jsonb_to_recordset(CAST(:made AS jsonb)) AS w(system text, kind text, key text, ref text)
    WHERE x.system = w.system AND x.kind = w.kind AND x.business_key = w.key AND x.holder = :worker
""")
_ABANDON = sa.text("""
    UPDATE core.crosswalk AS x SET holder = NULL, reserved_until = now()
    FROM jsonb_to_recordset(CAST(:wanted AS jsonb)) AS w(system text, kind text, key text)
    WHERE x.system = w.system AND x.kind = w.kind AND x.business_key = w.key AND x.holder = :worker
      AND x.state = 'creating'
""")


def _text(rows: Sequence[dict[str, str]]) -> str:
    return orjson.dumps(list(rows)).decode()


def _row(reservation: Reservation) -> dict[str, str]:
    return {"system": reservation.system, "kind": reservation.kind, "key": reservation.key}


async def reserve(
    conn: AsyncConnection, wanted: Sequence[Reservation], *, worker: int, lease_s: float, now: datetime
) -> set[Reservation]:
    """Those of `wanted` that are ours to create now. The caller commits before it sends anything."""
    rows = await conn.execute(
        _RESERVE, {"wanted": _text([_row(r) for r in wanted]), "worker": worker, "lease_s": lease_s, "now": now}
    )
    return {Reservation(row.system, row.kind, row.business_key) for row in rows}


async def confirm(
    conn: AsyncConnection, made: Sequence[tuple[Reservation, str]], *, worker: int, now: datetime
) -> None:
    rows = [{**_row(reservation), "ref": ref} for reservation, ref in made]
    await conn.execute(_CONFIRM, {"made": _text(rows), "worker": worker, "now": now})


async def abandon(conn: AsyncConnection, wanted: Sequence[Reservation], *, worker: int) -> None:
    """The create failed for certain or is ambiguous: the key is free again once the ERP has settled."""
    await conn.execute(_ABANDON, {"wanted": _text([_row(r) for r in wanted]), "worker": worker})


class Broker:
    """Reservations for one worker's contracts, many in one commit."""

    def __init__(self, engine: AsyncEngine, worker: int, clock: Clock, *, lease_s: float) -> None:
        self._engine, self._worker, self._clock, self._lease_s = engine, worker, clock, lease_s
        self._wanted: Batcher[Reservation, bool] = Batcher(self._reserve)
        self._made: Batcher[tuple[Reservation, str], None] = Batcher(self._confirm)

    async def reserve(self, wanted: Reservation) -> bool:
        """True: committed as ours, create it. False: somebody else is at it, look again later."""
        return await self._wanted.submit(wanted)

    async def confirm(self, made: Reservation, ref: ErpRef) -> None:
        await self._made.submit((made, ref))

    async def abandon(self, wanted: Reservation) -> None:
        async with self._engine.begin() as conn:
            await abandon(conn, [wanted], worker=self._worker)

    async def _reserve(self, wanted: Sequence[Reservation]) -> list[bool]:
        async with self._engine.begin() as conn:
            ours = await reserve(conn, wanted, worker=self._worker, lease_s=self._lease_s, now=self._clock.now())
        # Two contracts of this worker may want one object: the first gets it.
        return [item in ours and item not in wanted[:place] for place, item in enumerate(wanted)]

    async def _confirm(self, made: Sequence[tuple[Reservation, str]]) -> list[None]:
        async with self._engine.begin() as conn:
            await confirm(conn, made, worker=self._worker, now=self._clock.now())
        return [None] * len(made)
