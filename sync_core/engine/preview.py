"""Previews of replays, a job of the workers: fold, check, derive, look, plan, and nothing is written to any ERP.

The plan is worked out by the functions that a run uses (sync_core/engine/look.py), through the same connectors and the
same lane limits. While contracts are being worked on, no more previews of a lane are taken in hand than half of its
slots (one at least); those that are in hand when the contracts come are finished.
"""

import asyncio
import contextlib
import logging
import random
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import Clock
from sync_core.engine import claim as queue
from sync_core.engine import preview_rows as rows
from sync_core.engine.adopting import ahead
from sync_core.engine.claim import Loaded
from sync_core.engine.commit import Batcher
from sync_core.engine.failure import Verdict
from sync_core.engine.lane_watch import LaneWatch
from sync_core.engine.leaving import survey
from sync_core.engine.look import Intent, intend, see
from sync_core.engine.only_observing import withheld
from sync_core.engine.originals import release_of
from sync_core.engine.outcome import retry_at
from sync_core.engine.preview_rows import Preview, Ticket
from sync_core.engine.worker import DATABASE_TROUBLE, GATHER_S, Pace
from sync_core.errors import ErpRateLimited, ErrorClass, LeaseLost, TielineError
from sync_core.estate.estate import Estate
from sync_core.keys import ContractId
from sync_core.lanes.lanes import LaneGate
from sync_core.life.summary import Summary, summarise
from sync_core.ports import CallContext, ErpConnector
from sync_core.replay.replay import PREVIEW_TRIES, Origin, PreviewState, effects_of
from sync_core.telemetry.latencies import LATENCIES

log = logging.getLogger(__name__)

_AT_ONCE = 2  # times what a worker has in flight: a preview holds nothing but memory until its slot is free
_TRY_AGAIN = (ErrorClass.TRANSIENT, ErrorClass.CREDENTIALS, ErrorClass.SCHEMA_UNKNOWN)


class Previewer:
    """One worker's. `run` goes on until it is cancelled; `drain` until nothing is due now."""

    def __init__(
        self,
        engine: AsyncEngine,
        connectors: Mapping[str, ErpConnector],
        lanes: LaneWatch,
        estate: Estate,
        clock: Clock,
        worker_id: int,
        pace: Pace,
    ) -> None:
        self._engine, self._connectors, self._lanes, self._estate = engine, connectors, lanes, estate
        self._clock, self._worker_id, self._pace = clock, worker_id, pace
        self._kept: Batcher[Preview, None] = Batcher(self._keep, gather_s=GATHER_S, enough=self._enough)
        self._running: set[asyncio.Task[None]] = set()
        for gate in lanes.gates.values():
            gate.previews = 0  # those of a session that was lost
        self._room_again = asyncio.Event()
        self._chance = random.SystemRandom()

    async def run(self) -> None:
        """Raises when the database is lost."""
        try:
            while True:
                self._room_again.clear()
                if await self.claim_some() == 0:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._pace.idle_s):
                            await self._room_again.wait()
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def drain(self) -> int:
        """How many previews were tried."""
        tried = 0
        while True:
            await self._lanes.share_slots(spare=1_000)
            claimed = await self.claim_some()
            tried += claimed
            if not claimed and not self._running:
                return tried
            await asyncio.wait(list(self._running), return_when=asyncio.FIRST_COMPLETED)

    async def claim_some(self) -> int:
        """Claim as many items as there is room for and start them; the number claimed. Raises what one of them met."""
        for task in [task for task in self._running if task.done()]:
            self._running.discard(task)
            task.result()
        room = self._room()
        if not room:
            return 0
        sent = time.monotonic()
        tickets, loaded = await self._claim(room)
        for ticket in tickets:
            self._count(ticket, 1)
            work = self._preview(ticket, loaded.get(ticket.contract_id), self._send_before(sent))
            self._running.add(asyncio.create_task(work))
        if any(gate.outgrown for gate in self._lanes.gates.values()):
            self._lanes.want_more.set()
        return len(tickets)

    def _room(self) -> dict[str, int]:
        """How many to claim of each lane; of "" and of lanes that the estate has not: under ""."""
        most = _AT_ONCE * self._pace.in_flight
        left = most - len(self._running)
        gates = {lane: gate for lane, gate in self._lanes.gates.items() if lane not in self._lanes.closed}
        free = {lane: min(left, _most(gate) - gate.previews) for lane, gate in gates.items()}
        # Each claim is a commit, so it waits until half are free: the other half keeps the slots busy meanwhile.
        if self._running and not any(places * 2 >= min(_most(gates[lane]), most) for lane, places in free.items()):
            return {}
        return {lane: places for lane, places in {**free, "": left}.items() if places > 0}

    def _count(self, ticket: Ticket, change: int) -> None:
        if ticket.lane in self._lanes.gates:
            self._lanes.gates[ticket.lane].previews += change

    def _enough(self) -> int:
        return max(1, len(self._running) // 3)

    def _send_before(self, sent: float) -> float:
        return sent + self._pace.lease_s - self._pace.call_timeout_s

    async def _claim(self, room: Mapping[str, int]) -> tuple[list[Ticket], dict[ContractId, Loaded]]:
        """In one commit, but for original payloads: their release locks contracts, which go before items."""
        async with self._engine.begin() as conn:
            lease_s, now = self._pace.lease_s, self._clock.now()
            known = list(self._lanes.gates)
            tickets = await rows.claim(conn, room, known=known, worker=self._worker_id, lease_s=lease_s, now=now)
            ids = [ticket.contract_id for ticket in tickets]
            original = [ticket.contract_id for ticket in tickets if ticket.origin is Origin.ORIGINAL]
            if not original:
                return tickets, await queue.load(conn, ids) if ids else {}
        async with self._engine.begin() as conn:
            await release_of(conn, original, estate=self._estate, now=self._clock.now())
            return tickets, await queue.load(conn, ids)

    async def _preview(self, ticket: Ticket, loaded: Loaded | None, send_before: float) -> None:
        try:
            if loaded is None:
                preview = _failed(ticket, "no event of it is stored; publish it again from the CLM")
            else:
                preview = await self._attempt(ticket, loaded, send_before)
            await self._submit(preview)
        finally:
            self._count(ticket, -1)
            self._room_again.set()

    async def _submit(self, preview: Preview) -> None:
        try:
            await self._kept.submit(preview)
        except DATABASE_TROUBLE:
            raise
        except Exception as wrong:
            log.exception("the preview of contract %s could not be stored", preview.ticket.contract_id)
            await self._kept.submit(_failed(preview.ticket, f"its preview could not be stored: {type(wrong).__name__}"))

    async def _attempt(self, ticket: Ticket, loaded: Loaded, send_before: float) -> Preview:
        trace = loaded.traceparent.split("-")[1] if loaded.traceparent else secrets.token_hex(16)
        ctx = CallContext(loaded.correlation_id, send_before, f"00-{trace}-{secrets.token_hex(8)}-01")
        try:
            return await self._look(ticket, loaded, ctx)
        except DATABASE_TROUBLE:
            raise
        except TielineError as wrong:
            return await self._stopped(ticket, wrong)
        except Exception as wrong:
            # The boundary of one item: whatever went wrong with it stops no other.
            log.exception("the preview of contract %s failed by a fault of ours", ticket.contract_id)
            return _failed(ticket, f"{type(wrong).__name__}: {wrong}")
        finally:
            LATENCIES.calls(ctx.calls)

    async def _look(self, ticket: Ticket, loaded: Loaded, ctx: CallContext) -> Preview:
        now = self._clock.now()
        if ticket.move is not None:
            behind = loaded.placement.behind if loaded.placement else {}
            loaded = replace(loaded, placement=replace(ticket.move, behind=behind))
        intent = intend(loaded, self._estate, self._connectors, now=now)
        if not intent.signed:
            return _failed(ticket, "not signed yet")
        terms = intent.contract.terms
        summary = summarise(terms, self._estate, on=now.date()) if terms else None
        known = _with_money(Preview(ticket, PreviewState.DONE, lane=intent.lane), summary)
        if intent.stops:
            return replace(known, findings=intent.stops)
        if intent.desired is None or intent.connector is None:
            return known  # ended, and no ERP holds anything of it
        if ticket.move is not None:
            return await self._survey(known, intent, loaded, ctx)
        sight = await see(intent, intent.desired, intent.connector, loaded, self._estate, ctx, now=now)
        sight = await ahead(loaded.adoption, sight, intent.connector, ctx)
        self._lanes.succeeded(intent.lane)
        findings = (*sight.findings, *withheld(intent, sight, self._estate))
        return replace(known, effects=effects_of(sight.plan), findings=findings)

    async def _survey(self, known: Preview, intent: Intent, loaded: Loaded, ctx: CallContext) -> Preview:
        """Of a move: both ERPs."""
        assert loaded.placement is not None  # noqa: S101 - the ticket's
        found = await survey(
            intent, loaded.placement, self._connectors, loaded, self._estate, ctx, now=self._clock.now(),
            undo=known.ticket.undo,
        )  # fmt: skip
        self._lanes.succeeded(intent.lane)
        return replace(
            known, lane=loaded.placement.lane, effects=found.effects, findings=found.findings,
            billed=found.behind.billed, to_bill=found.to_bill,
        )  # fmt: skip

    async def _stopped(self, ticket: Ticket, wrong: TielineError) -> Preview:
        """Trouble of the ERP passes, or stops its lane; what is the contract's own is told at once."""
        now, spent = self._clock.now(), not isinstance(wrong, LeaseLost | ErpRateLimited)
        tries = ticket.tries + spent
        if wrong.error_class not in _TRY_AGAIN or tries >= PREVIEW_TRIES:
            return _failed(ticket, wrong.message)
        if spent:
            pause = wrong.error_class is not ErrorClass.TRANSIENT
            await self._lanes.failed(ticket.lane, Verdict(wrong.message, lane_trouble=True, pause_lane=pause))
        wait = timedelta(seconds=wrong.retry_after_s) if isinstance(wrong, ErpRateLimited) else None
        due_at = now + wait if wait else retry_at(now, ticket.tries, self._chance.random())
        return Preview(ticket, PreviewState.PENDING, wrong.message, due_at, tries)

    async def _keep(self, previews: Sequence[Preview]) -> list[None]:
        async with self._engine.begin() as conn:
            await rows.keep(conn, previews, now=self._clock.now())
        return [None] * len(previews)


def _most(gate: LaneGate) -> int:
    """In hand at once. Half of them wait for a slot, so that none stands idle; beside contracts in work none waits, so
    that these keep half of the slots.
    """
    return max(1, gate.size // 2) if gate.contracts else 2 * max(1, gate.size)


def _failed(ticket: Ticket, why: str) -> Preview:
    return Preview(ticket, PreviewState.FAILED, why, tries=ticket.tries + 1)


def _with_money(preview: Preview, summary: Summary | None) -> Preview:
    if summary is None:
        return preview
    return replace(
        preview,
        money=summary.value,
        currency=summary.currency,
        money_reporting=summary.value_reporting,
        bill_on=summary.bill_on,
    )
