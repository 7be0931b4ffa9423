"""Twenty-six weeks of the demo's past, made by the real core: CLM, ERP and worker in one process on one virtual clock.

Nothing is inserted: contracts are drafted, signed and amended in the sandbox CLM, polled through its API, taken in,
reconciled with the sandbox ERP over its API, blocked, passed on between functions, mended at their source or approved,
resumed, invoiced, paid and disputed.
Time moves in ticks; within a tick everything happens in its order, and ERP calls take virtual time.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.demo import books
from app.sandbox.approver import Approver
from app.sandbox.clm import server as clm_server
from app.sandbox.clm.app import SandboxClm
from app.sandbox.clm.changes import Change, DeliveryFault, Repeat
from app.sandbox.colleagues import Colleagues
from app.sandbox.erp_troubles import Turn, turns
from app.sandbox.history_erps import Erps, erps_of
from app.sandbox.in_process import InProcess
from app.sandbox.portfolio.plan import Portfolio, plan
from app.sandbox.portfolio.steps import Step
from collectors import releases
from collectors.financial_status import collect
from metrics.refresh import refresh
from sync_core.clock import VirtualClock
from sync_core.commands.commands import Commands
from sync_core.connectors.clm import sandbox as clm_connector
from sync_core.engine.lane_watch import LaneWatch
from sync_core.engine.session import open_session
from sync_core.engine.worker import Worker
from sync_core.errors import ErpUnavailable
from sync_core.estate.estate import Estate
from sync_core.intake.polling import poll
from sync_core.lanes import lanes
from sync_core.ports import ClmConnector
from sync_core.writeback.writeback import write_back

if TYPE_CHECKING:
    from app.demo.demo import DemoSystems

log = logging.getLogger(__name__)

WEEKS = 26
TICK = timedelta(minutes=30)
DEFECT_SHARE = 0.25  # a firm's first half-year with a bridge; a third of them need nobody's help
OPEN_SHARE = 0.05  # of the contracts: exceptions that are open when the past ends
_CLOSING = timedelta(minutes=5)  # before the group's midnight, so that a day's end is told as it was then
_EACH_DAY = timedelta(days=9)
_RECHECKS = timedelta(hours=9)  # within which all have looked whether master data that changed has mended them

_DUE = sa.text("""
    SELECT EXISTS (SELECT 1 FROM core.contract WHERE due_at <= :now AND lease_owner IS NULL) AS now,
           least((SELECT min(due_at) FROM core.contract
                  WHERE due_at > :now AND lease_owner IS NULL AND (:rechecks OR state <> 'blocked')),
                 (SELECT min(probe_at) FROM core.lane WHERE breaker <> 'closed' AND probe_at > :now)) AS next
""")


@dataclass
class History:
    """The systems of one history, and the clock they share."""

    engine: AsyncEngine
    people: sa.Engine  # for what is sync: commands and measures
    clock: VirtualClock
    estate: Estate
    clm: SandboxClm
    erps: Erps
    clms: dict[str, ClmConnector]
    worker: Worker
    approver: Approver
    colleagues: Colleagues
    until: datetime
    measured: datetime | None = None  # the last end of a day that was looked at
    rechecks_until: datetime | None = None  # at other times no change of master data has mended a blocked contract

    async def play(
        self,
        steps: Iterator[Step],
        turns: Sequence[Turn],
        say: Callable[[str], None],
        reached: Callable[[datetime], Awaitable[None]],
    ) -> None:
        """Tick by tick to `until`; ticks in which nothing is due are skipped. `reached` is told once a virtual day."""
        await reached(self.clock.now())
        # Before anything is due: the collector needs a slot of its ERP even on a first day with drafts alone.
        await self.worker.drain()
        step = next(steps, None)
        collected, told = self.clock.now().date(), self.clock.now()
        wake: datetime | None = None
        while self.clock.now() < self.until:
            coming = [at for at in (step.at if step else None, wake, *(turn.at for turn in turns)) if at is not None]
            if not coming:
                break
            tick = min(_tick(min(coming)), self.until)
            self._measure_days(tick)
            news = False
            while step is not None and step.at <= tick:
                self.clock.advance_to(step.at)
                news |= self._perform(step)
                step = next(steps, None)
            self.clock.advance_to(tick)
            turns = await self._turned(turns, tick, say)
            if news:
                await self._poll()
            if await self._people(tick) or news or (wake is not None and wake <= tick):
                wake = await self._reconcile()
            if self.clock.now().date() > collected:
                collected = self.clock.now().date()
                await self._end_of_day(reached)
            if tick - told > timedelta(weeks=2):
                told = tick
                say(f"history has reached {tick:%d %b %Y}")

    def left_of(self, steps: Iterator[Step]) -> Iterator[Step]:
        """Without what the CLM's journal already holds. Master data is put again, which changes nothing."""
        told = len(self.clm.store.feed)
        while told and (step := next(steps, None)) is not None:
            self.clock.advance_to(step.at)
            if isinstance(step.action, Change | Repeat):
                told -= 1
            else:
                self._perform(step)
        return steps

    def _perform(self, step: Step) -> bool:
        """Whether there is something to look at: news of the CLM, or master data that was changed."""
        if isinstance(step.action, Change | Repeat | DeliveryFault):
            return self.clm.perform(step.action) is not None
        books.mend(self.erps.cloud.store, step.action)
        if self.erps.legacy is not None:
            self.erps.legacy.mend(step.action)
        self.rechecks_until = self.clock.now() + _RECHECKS
        return True

    async def _people(self, now: datetime) -> bool:
        """Whether something may go on that had waited for them."""
        await self.colleagues.work(now)
        return await self.approver.decide(now) > 0

    async def _turned(self, left: Sequence[Turn], now: datetime, say: Callable[[str], None]) -> Sequence[Turn]:
        """The ERP's faults and release as they are by now; the turns that are still to come."""
        due = bool(left) and left[0].at <= now
        while left and left[0].at <= now:
            self.erps.cloud.faults.clear()
            for fault in left[0].faults:
                self.erps.cloud.faults.add(fault())
            self.erps.cloud.api.release = left[0].release or self.erps.cloud.api.release
            if left[0].said:
                say(left[0].said)
            left = left[1:]
        if due:
            await releases.collect(self.engine, self.erps.connectors, self.clms, clock=self.clock)
        return left

    async def _poll(self) -> None:
        """What the scheduler does by now; polls that would find nothing are left out."""
        for clm in self.clms.values():
            await poll(self.engine, clm, estate=self.estate, clock=self.clock)

    async def _reconcile(self) -> datetime | None:
        """Whatever is due; when something will be due again."""
        due, wake = await self._due()
        if not due:
            return wake
        await self.worker.drain()
        return (await self._due())[1]

    async def _due(self) -> tuple[bool, datetime | None]:
        async with self.engine.connect() as conn:
            await conn.execution_options(isolation_level="AUTOCOMMIT")
            rechecks = self.rechecks_until is not None and self.clock.now() < self.rechecks_until
            row = (await conn.execute(_DUE, {"now": self.clock.now(), "rechecks": rechecks})).one()
        return row.now, row.next

    def _measure_days(self, tick: datetime) -> None:
        """Weeks and months that end before `tick`, in the zone of the group, so that reports know what was known then;
        of the last days, which pages compare with today, each.
        """
        while (end := self._next_end()) < tick:
            day = (end + _CLOSING).astimezone(ZoneInfo(self.estate.group.timezone)).date()
            if day.weekday() == 0 or day.day == 1 or end > self.until - _EACH_DAY:
                self.clock.advance_to(end)
                refresh(self.people, clock=self.clock, estate=self.estate)
            self.measured = end

    def _next_end(self) -> datetime:
        after = self.measured + _CLOSING if self.measured else self.clock.now()
        local = after.astimezone(ZoneInfo(self.estate.group.timezone))
        midnight = datetime.combine(local.date() + timedelta(days=1), time(), local.tzinfo)
        return midnight.astimezone(UTC) - _CLOSING

    async def _end_of_day(self, reached: Callable[[datetime], Awaitable[None]]) -> None:
        await self._report()
        await reached(self.clock.now())

    async def _report(self) -> None:
        """At the end of each day: to the CLM, and from the ERP."""
        await write_back(self.engine, self.clms, clock=self.clock)
        await releases.collect(self.engine, self.erps.connectors, self.clms, clock=self.clock)
        for erp in self.erps.connectors.values():
            try:
                await collect(self.engine, erp, clock=self.clock)
            except ErpUnavailable as down:
                # As the scheduled collector does: tomorrow's run reads on from the same cursor.
                log.info("financial status is left for tomorrow: %s", down)


def _tick(moment: datetime) -> datetime:
    """The end of the tick that `moment` falls into."""
    midnight = datetime.combine(moment.date(), time(), moment.tzinfo)
    return midnight + -((midnight - moment) // TICK) * TICK


def portfolio_of(seed: int, *, until: datetime, contracts: int, estate: Estate) -> Portfolio:
    """What the past up to `until` tells of."""
    return Portfolio(
        seed, until - timedelta(weeks=WEEKS), until, contracts, estate, defect_share=DEFECT_SHARE, open_share=OPEN_SHARE
    )


async def play(
    engine: AsyncEngine,
    *,
    portfolio: Portfolio,
    systems: "DemoSystems",
    say: Callable[[str], None],
    reached: Callable[[datetime], Awaitable[None]],
) -> None:
    """Make the past that the portfolio tells of. Closes the files of the sandboxes.

    A history that was cut short goes on where it was, when it is asked for with the same portfolio.
    """
    clock = VirtualClock(portfolio.start)
    async with AsyncExitStack() as stack:
        history = await _assemble(engine, clock, portfolio.estate, systems, portfolio.end, stack)
        await history.play(history.left_of(plan(portfolio)), turns(portfolio), say, reached)
        await history.worker.lanes.give_back()


async def _assemble(
    engine: AsyncEngine,
    clock: VirtualClock,
    estate: Estate,
    systems: "DemoSystems",
    until: datetime,
    stack: AsyncExitStack,
) -> History:
    clm = clm_server.build(clock, seed=systems.seed, token=systems.clm_token, journal=systems.clm_journal)
    stack.callback(clm.close)
    erps = erps_of(systems, clock, estate, stack)
    source = clm_connector.connect(
        replace(systems.clm, url="http://clm.sandbox", options={**systems.clm.options, "page_size": "1000"}),
        secrets=(systems.clm_token,),
        clock=clock,
        transport=InProcess(clm),
    )
    stack.push_async_callback(source.aclose)
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    session = await stack.enter_async_context(open_session(url, name="history", version="demo", now=clock.now()))
    known = [erp for erp in estate.erp if erp.name in erps.connectors]
    async with engine.begin() as conn:
        await lanes.declare(conn, [(erp, erps.connectors[erp.name].capabilities.settle_s) for erp in known])
    watch = LaneWatch(engine, erps.connectors, erps.gates, clock, session.worker_id)
    worker = Worker(engine, erps.connectors, watch, estate, clock, session.worker_id)
    people = sa.create_engine(engine.url)
    stack.callback(people.dispose)
    commands = Commands(people, clock=clock, estate=estate)
    approver = Approver(people, commands, systems.seed, until)
    colleagues = Colleagues(people, commands, systems.seed, estate)
    clms: dict[str, ClmConnector] = {systems.clm.source: source}
    return History(engine, people, clock, estate, clm, erps, clms, worker, approver, colleagues, until)
