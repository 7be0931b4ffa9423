"""The one object that pages, the API and the command line read through. Each call is one read-only snapshot.

What Tieline itself reads by has no limit; `within` makes the view that a person or a program may see.
"""

import copy
from datetime import datetime
from importlib.metadata import version
from itertools import count
from typing import TYPE_CHECKING, Self

import sqlalchemy as sa

from sync_core.authority import Actor, Permission
from sync_core.clock import Clock
from sync_core.estate.estate import Estate
from sync_core.reads import access, arrivals, running
from sync_core.reads import audit as audits
from sync_core.reads import contract as detail
from sync_core.reads import releases as history
from sync_core.reads import schedules as timetable
from sync_core.reads import trace as traces
from sync_core.reads.ages import cuts_of
from sync_core.reads.amendments import AmendmentHistory, amendment_history
from sync_core.reads.attention import CauseGroup, cause_groups
from sync_core.reads.case_reads import CaseReads
from sync_core.reads.choices import Choices, choices
from sync_core.reads.contracts import ContractFilter, ContractPage, Sort, contract_listing
from sync_core.reads.delivery_reads import DeliveryReads
from sync_core.reads.exceptions import ExceptionFilter, ExceptionPage, ExceptionSort, exception_listing
from sync_core.reads.finance_reads import FinanceReads
from sync_core.reads.holds import HoldFilter, HoldPage, hold_listing
from sync_core.reads.paging import Listed, Window
from sync_core.reads.policies import PolicyReads
from sync_core.reads.renewal_reads import RenewalReads
from sync_core.reads.replay_reads import ReplayReads
from sync_core.reads.schema_reads import SchemaReads
from sync_core.reads.scope import Entities, scope_of
from sync_core.reads.snapshot import snapshot
from sync_core.reads.snapshot_reads import SnapshotReads
from sync_core.reads.told import Told, told
from sync_core.reads.watch_reads import WatchReads

if TYPE_CHECKING:
    import pandas as pd

ALL_CONTRACTS = ContractFilter()
OPEN_EXCEPTIONS = ExceptionFilter()
ALL_AUDIT = audits.AuditFilter()
HOLDS_IN_FORCE = HoldFilter()
FIRST_PAGE = Window()
_NUMBERS = count()  # an id() could be given again


class Reads(
    CaseReads, ReplayReads, DeliveryReads, SnapshotReads, FinanceReads, SchemaReads,
    WatchReads, RenewalReads, PolicyReads,
):  # fmt: skip
    """Safe for many threads. `engine` connects as the application's role, to the primary or to a replica."""

    def __init__(self, engine: sa.Engine, *, clock: Clock, estate: Estate) -> None:
        self._engine, self._clock, self.estate = engine, clock, estate
        self._reporting, self._zone = estate.group.reporting_currency, estate.group.timezone
        self._product = version("tieline")
        self._number = next(_NUMBERS)
        self._actor: Actor | None = None

    def within(self, actor: Actor) -> Self:
        """The same reads, limited to the legal entities within the actor's reach. Within a limited view: that actor's.

        Things out of reach are None or absent. Raises nothing itself; reads raise Forbidden without their permission.
        """
        limited = copy.copy(self)
        limited._actor = actor
        return limited

    @property
    def key(self) -> str:
        """What keeps a value apart from those of other viewers and other databases: views with one key read the same.

        Not for what is "mine": two viewers of one reach have one key.
        """
        seen = "everything" if self._actor is None else f"within {scope_of(self._actor)}"
        return f"{self._number} {seen}"

    def reach(self, permission: Permission) -> Entities:
        """The legal entities that this view may read with the permission; None is all. Raises Forbidden."""
        if self._actor is None:
            return None
        self._actor.require(permission)
        return self._actor.entities(permission)

    def _may(self, permission: Permission) -> bool:
        return self._actor is None or self._actor.may(permission)

    def _contracts(self) -> Entities:
        return self.reach(Permission.CONTRACTS_READ)

    def _exceptions(self) -> Entities:
        return self.reach(Permission.EXCEPTIONS_READ)

    @property
    def now(self) -> datetime:
        """The clock's, UTC: what ages are measured against."""
        return self._clock.now()

    @property
    def reporting_currency(self) -> str:
        return self._reporting

    def choices(self) -> Choices:
        """What the lists can be filtered by."""
        entities = self._contracts()
        with snapshot(self._engine) as conn:
            return choices(conn, self.estate, entities=entities)

    def newest(self) -> datetime | None:
        """When the last event came or the last contract changed, whosever it is; None: nothing ever came in."""
        self._contracts()
        with snapshot(self._engine) as conn:
            return arrivals.newest(conn)

    def intake(self, *, days: int = 28) -> "pd.DataFrame":
        """Events stored per day of the group's zone, today's included. Columns: day, events; see arrivals.intake."""
        entities, now = self._contracts(), self._clock.now()
        with snapshot(self._engine) as conn:
            return arrivals.intake(conn, now=now, zone=self._zone, days=days, entities=entities)

    def contracts(
        self, wanted: ContractFilter = ALL_CONTRACTS, *, sort: Sort = Sort.UPDATED, window: Window = FIRST_PAGE
    ) -> ContractPage:
        """One page, 50 rows unless the window says otherwise. Raises InvalidCursor."""
        now, reporting, entities = self._clock.now(), self._reporting, self._contracts()
        with snapshot(self._engine) as conn:
            return contract_listing(wanted, sort, now=now, reporting=reporting, entities=entities).page(conn, window)

    def amendments(self, contract_id: int) -> AmendmentHistory | None:
        """Before and after each; None when there is no such contract within reach."""
        entities = self._contracts()
        with snapshot(self._engine) as conn:
            return amendment_history(conn, contract_id, self.estate, entities=entities)

    def told(self, contract_id: int) -> Told | None:
        """What its CLM was told last; None when nothing was, or there is no such contract within reach."""
        entities = self._contracts()
        with snapshot(self._engine) as conn:
            return told(conn, contract_id, entities=entities)

    def contract(self, contract: int | tuple[str, str]) -> detail.ContractDetail | None:
        """By our id, or by (CLM source, contract id); None when there is no such contract within reach."""
        now, reporting, entities = self._clock.now(), self._reporting, self._contracts()
        cases_of = self._exceptions() if self._may(Permission.EXCEPTIONS_READ) else frozenset()
        with snapshot(self._engine) as conn:
            if isinstance(contract, int):
                return detail.contract_by_id(
                    conn, contract, now=now, reporting=reporting, entities=entities, cases_of=cases_of,
                    day_at=self.estate.day_at,
                )  # fmt: skip
            return detail.contract_by_key(
                conn, *contract, now=now, reporting=reporting, entities=entities, cases_of=cases_of,
                day_at=self.estate.day_at,
            )  # fmt: skip

    def exceptions(
        self,
        wanted: ExceptionFilter = OPEN_EXCEPTIONS,
        *,
        sort: ExceptionSort = ExceptionSort.MONEY,
        window: Window = FIRST_PAGE,
    ) -> ExceptionPage:
        """One page, 50 rows unless the window says otherwise. Raises InvalidCursor."""
        entities, reporting = self._exceptions(), self._reporting
        cuts = None if wanted.age is None else cuts_of(self.estate, self._clock.now())
        listing = exception_listing(wanted, sort, reporting=reporting, entities=entities, cuts=cuts)
        with snapshot(self._engine) as conn:
            return listing.page(conn, window)

    def exception_groups(self, wanted: ExceptionFilter = OPEN_EXCEPTIONS) -> tuple[CauseGroup, ...]:
        """Those exceptions by cause, most money first. The filter's age is not looked at."""
        entities = self._exceptions()
        with snapshot(self._engine) as conn:
            return cause_groups(conn, wanted, now=self._clock.now(), reporting=self._reporting, entities=entities)

    def audit(self, wanted: audits.AuditFilter = ALL_AUDIT, *, window: Window = FIRST_PAGE) -> audits.AuditPage:
        """One page, newest first. Raises InvalidCursor."""
        entities = self.reach(Permission.AUDIT_READ)
        with snapshot(self._engine) as conn:
            return audits.audit_listing(wanted, entities=entities).page(conn, window)

    def audit_row(self, row_id: int) -> audits.AuditRow | None:
        """None when there is no such row within reach."""
        entities = self.reach(Permission.AUDIT_READ)
        with snapshot(self._engine) as conn:
            return audits.one_row(conn, row_id, entities=entities)

    def audit_choices(self) -> audits.AuditChoices:
        """What the audit can be filtered by."""
        entities = self.reach(Permission.AUDIT_READ)
        with snapshot(self._engine) as conn:
            return audits.audit_choices(conn, entities=entities)

    def audit_status(self) -> audits.ChainStatus:
        """What the last daily verification of the whole chain found."""
        self.reach(Permission.AUDIT_READ)
        with snapshot(self._engine) as conn:
            return audits.chain_status(conn)

    def holds(self, wanted: HoldFilter = HOLDS_IN_FORCE, *, window: Window = FIRST_PAGE) -> HoldPage:
        """Legal holds, one page, newest first. Raises InvalidCursor."""
        entities = self._contracts()
        with snapshot(self._engine) as conn:
            return hold_listing(wanted, entities=entities).page(conn, window)

    def clients(self) -> tuple[access.ApiClient, ...]:
        """Programs that may get tokens, by name. Raises Forbidden."""
        entities = self.reach(Permission.ACCESS_WRITE)
        with snapshot(self._engine) as conn:
            return access.clients(conn, entities)

    def sessions(self) -> tuple[access.OpenSession, ...]:
        """Who is signed in, last seen first; nothing for whoever reaches some legal entities only. Raises Forbidden."""
        if self.reach(Permission.ACCESS_WRITE) is not None:
            return ()
        with snapshot(self._engine) as conn:
            return access.sessions(conn, now=self._clock.now())

    def lanes(self) -> list[running.LaneState]:
        """All lanes; what waits in them is that of the legal entities within reach."""
        entities = self._contracts()
        with snapshot(self._engine) as conn:
            return running.lanes(conn, now=self._clock.now(), reporting=self._reporting, entities=entities)

    def workers(self) -> list[running.WorkerState]:
        with snapshot(self._engine) as conn:
            return running.workers(conn, now=self._clock.now())

    def jobs(self) -> list[running.JobState]:
        with snapshot(self._engine) as conn:
            return running.jobs(conn)

    def schedules(self) -> tuple[timetable.Schedule, ...]:
        """All scheduled jobs, by name. Raises Forbidden."""
        self.reach(Permission.KPI_READ)
        with snapshot(self._engine) as conn:
            return timetable.schedules(conn, now=self._clock.now())

    def releases(self, window: Window = FIRST_PAGE) -> Listed[history.Release]:
        """Which versions of Tieline, its database, ERPs and CLMs were seen, newest first. Raises Forbidden and
        InvalidCursor.
        """
        self.reach(Permission.KPI_READ)
        with snapshot(self._engine) as conn:
            return history.releases(conn, window)

    def newest_releases(self, most: int) -> tuple[history.Release, ...]:
        """Those of `releases`, so many at most, without their number. Raises Forbidden."""
        self.reach(Permission.KPI_READ)
        with snapshot(self._engine) as conn:
            return history.newest(conn, most)

    def job_history(self, job: str) -> tuple[timetable.JobRun, ...]:
        """The last fifty runs of one job, newest first. Raises Forbidden."""
        self.reach(Permission.KPI_READ)
        with snapshot(self._engine) as conn:
            return timetable.history(conn, job)

    def trace(self, contract_id: int) -> traces.ContractTrace | None:
        """What one contract's journal says of its events, runs, operations and calls; None when it is out of reach."""
        entities = self._contracts()
        with snapshot(self._engine) as conn:
            return traces.contract_trace(conn, contract_id, entities=entities)

    def status(self) -> running.Status:
        now, entities = self._clock.now(), self._contracts()
        with snapshot(self._engine) as conn:
            return running.status(conn, now=now, reporting=self._reporting, product=self._product, entities=entities)
