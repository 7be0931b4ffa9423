"""The watch for drift: contracts that nothing happens to are compared with their CLM and their ERP, oldest first.

An ERP is read as a run reads it, through the connector, so each read holds a slot of its lane; a lane whose breaker is
not closed is left alone, and trouble of the ERP ends the round. What a run or an event did to a contract while it was
compared makes the comparison void: it is made anew later. Nothing is written to any ERP.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sync_core.clock import Clock
from sync_core.commands.own_events import OWN
from sync_core.contract import Contract
from sync_core.engine import claim as queue
from sync_core.engine.claim import Loaded
from sync_core.engine.look import Intent, answers_of, intend, see
from sync_core.errors import ClmError, ErpError, ErrorClass, TielineError
from sync_core.estate.estate import Estate
from sync_core.fold import fold
from sync_core.intake.fetching import Fetches
from sync_core.keys import ContractId
from sync_core.ports import CallContext, ClmConnector, ErpConnector
from sync_core.references import store
from sync_core.telemetry.latencies import LATENCIES
from sync_core.watch import drift_rows
from sync_core.watch.drift import Compared, Told, of_clm, of_erp
from sync_core.watch.drift_rows import Check, Due

log = logging.getLogger(__name__)

MOST_ASKED: Final = 200  # compared in a round besides, where people wait for it
_AT_ONCE: Final = 4
_OF_THE_ERP: Final = frozenset({ErrorClass.TRANSIENT, ErrorClass.CREDENTIALS, ErrorClass.SCHEMA_UNKNOWN})

_BREAKER = sa.text("SELECT breaker FROM core.lane WHERE lane = :lane")


class Watch:
    """For one ERP and the CLMs whose contracts it bills."""

    def __init__(
        self, engine: AsyncEngine, erp: ErpConnector, clms: Mapping[str, ClmConnector], estate: Estate, clock: Clock,
        *, call_timeout_s: float = 60.0,
    ) -> None:  # fmt: skip
        self._engine, self._erp, self._clms, self._estate, self._clock = engine, erp, clms, estate, clock
        self._timeout_s = call_timeout_s
        self._references = store.Memory()
        self._whole_at: datetime | None = None  # when all contracts were last looked through for new ones

    async def round(self, *, most: int, asked: int = MOST_ASKED) -> tuple[str, bool]:
        """Compare up to `most` contracts; what came of it in words, and whether the engine has work now. Commits.

        Raises what the ERP's trouble is, after what was compared until then is kept.
        """
        async with self._engine.begin() as conn:
            if await conn.scalar(_BREAKER, {"lane": self._erp.name}) != "closed":
                return "the lane is not open", False
            await self._enrol(conn)
            due = await drift_rows.due(conn, self._erp.name, most=most, asked=asked, now=self._clock.now())
            loaded = await queue.load(conn, [one.contract_id for one in due]) if due else {}
        compared = opened = closed = 0
        woken = False
        for at in range(0, len(due), _AT_ONCE):
            checks, trouble = await self._together(due[at : at + _AT_ONCE], loaded)
            async with self._engine.begin() as conn:
                names = [clm.name for clm in self._estate.clm]
                kept = await drift_rows.keep(conn, checks, clms=names, now=self._clock.now())
            compared, opened, closed = compared + kept.kept, opened + kept.opened, closed + kept.closed
            woken = woken or kept.woken
            if trouble is not None:
                raise trouble
        return f"{compared} compared, {opened} differences opened, {closed} closed", woken

    async def _enrol(self, conn: AsyncConnection) -> None:
        now = self._clock.now()
        whole = self._whole_at is None or now >= self._whole_at + drift_rows.WHOLE_EVERY
        if await drift_rows.enrol(conn, self._erp.name, whole=whole) and whole:
            self._whole_at = now

    async def _together(
        self, some: Sequence[Due], loaded: Mapping[ContractId, Loaded]
    ) -> tuple[list[Check], TielineError | None]:
        """What could be compared, and what troubles the ERP, if anything does."""
        known = [one for one in some if one.contract_id in loaded]
        ended = await asyncio.gather(
            *(self._compare(one, loaded[one.contract_id]) for one in known), return_exceptions=True
        )
        trouble: TielineError | None = None
        checks: list[Check] = []
        for result in ended:
            if isinstance(result, Check):
                checks.append(result)
            elif isinstance(result, TielineError):
                trouble = result
            else:
                raise result
        return checks, trouble

    async def _compare(self, due: Due, loaded: Loaded) -> Check:
        """Raises what concerns the whole ERP."""
        compared: list[Compared] = []
        unread: list[str] = []
        try:
            intent = intend(loaded, self._estate, {self._erp.name: self._erp}, now=self._clock.now())
        except TielineError as wrong:
            return Check(due, (), wrong.message)
        try:
            compared += await self._with_erp(intent, loaded, unread)
        except ErpError as wrong:
            if wrong.error_class in _OF_THE_ERP:
                raise
            unread.append(wrong.message)
        try:
            compared += await self._with_clm(due, fold(loaded.events, day_at=self._estate.day_at), loaded)
        except ClmError as wrong:
            unread.append(wrong.message)
        return Check(due, tuple(compared), "; ".join(unread))

    async def _with_erp(self, intent: Intent, loaded: Loaded, unread: list[str]) -> list[Compared]:
        if intent.stops:
            unread.append(intent.stops[0].message)
            return []
        if intent.desired is None or intent.connector is None or intent.lane != self._erp.name:
            return []
        ctx = CallContext(loaded.correlation_id, time.monotonic() + self._timeout_s, loaded.traceparent)
        now = self._clock.now()
        try:
            sight = await see(intent, intent.desired, intent.connector, loaded, self._estate, ctx, now=now)
        finally:
            LATENCIES.calls(ctx.calls)
        async with self._engine.begin() as conn:
            learnt = await self._references.keep(conn, [answers_of(sight, intent.connector, now)], now)
        self._references.stored(learnt)
        return [of_erp(sight, self._erp.name)]

    async def _with_clm(self, due: Due, contract: Contract, loaded: Loaded) -> list[Compared]:
        clm = self._clms.get(due.source)
        if not isinstance(clm, Fetches):
            return []  # it is known by its events alone, which is what the ERP was compared with
        held = await clm.fetch(due.external_id)
        theirs = [event for event in loaded.events if not event.id.startswith(OWN)]
        told = Told(due.state, due.project_ref) if due.writeback_at is None else None
        return [of_clm(contract, fold(theirs, day_at=self._estate.day_at) if theirs else None, held, clm.name, told)]
