"""The one object that pages, the API and the command line read through. Each call is one read-only snapshot."""

from datetime import datetime
from importlib.metadata import version

import pandas as pd
import sqlalchemy as sa

from sync_core.clock import Clock
from sync_core.estate import Estate
from sync_core.reads import contract as detail
from sync_core.reads import running
from sync_core.reads.attention import CauseGroup, ageing, cause_groups, open_cases
from sync_core.reads.choices import Choices, choices
from sync_core.reads.contracts import ContractFilter, ContractPage, Sort, contract_listing
from sync_core.reads.exceptions import ExceptionFilter, ExceptionPage, ExceptionSort, exception_listing
from sync_core.reads.overview import Overview, overview
from sync_core.reads.paging import Window
from sync_core.reads.snapshot import snapshot

ALL_CONTRACTS = ContractFilter()
OPEN_EXCEPTIONS = ExceptionFilter()
FIRST_PAGE = Window()


class Reads:
    """Safe for many threads. `engine` connects as the application's role, to the primary or to a replica."""

    def __init__(self, engine: sa.Engine, *, clock: Clock, estate: Estate) -> None:
        self._engine, self._clock, self.estate = engine, clock, estate
        self._reporting, self._zone = estate.group.reporting_currency, estate.group.timezone
        self._product = version("tieline")

    @property
    def now(self) -> datetime:
        """The clock's, UTC: what ages are measured against."""
        return self._clock.now()

    @property
    def reporting_currency(self) -> str:
        return self._reporting

    def choices(self) -> Choices:
        """What the lists can be filtered by."""
        with snapshot(self._engine) as conn:
            return choices(conn, self.estate)

    def overview(self, *, weeks: int = 13, days: int = 28) -> Overview:
        """Now, and the last `weeks` ISO weeks and `days` days (the current ones included) in the group's zone."""
        with snapshot(self._engine) as conn:
            return overview(
                conn, now=self._clock.now(), zone=self._zone, reporting=self._reporting, weeks=weeks, days=days
            )

    def contracts(
        self, wanted: ContractFilter = ALL_CONTRACTS, *, sort: Sort = Sort.UPDATED, window: Window = FIRST_PAGE
    ) -> ContractPage:
        """One page, 50 rows unless the window says otherwise. Raises InvalidCursor."""
        with snapshot(self._engine) as conn:
            return contract_listing(wanted, sort, now=self._clock.now(), reporting=self._reporting).page(conn, window)

    def contract(self, contract: int | tuple[str, str]) -> detail.ContractDetail | None:
        """By our id, or by (CLM source, contract id); None when there is no such contract."""
        now, reporting = self._clock.now(), self._reporting
        with snapshot(self._engine) as conn:
            if isinstance(contract, int):
                return detail.contract_by_id(conn, contract, now=now, reporting=reporting)
            return detail.contract_by_key(conn, *contract, now=now, reporting=reporting)

    def exceptions(
        self,
        wanted: ExceptionFilter = OPEN_EXCEPTIONS,
        *,
        sort: ExceptionSort = ExceptionSort.MONEY,
        window: Window = FIRST_PAGE,
    ) -> ExceptionPage:
        """One page, 50 rows unless the window says otherwise. Raises InvalidCursor."""
        with snapshot(self._engine) as conn:
            return exception_listing(wanted, sort, reporting=self._reporting).page(conn, window)

    def exception_groups(self) -> tuple[CauseGroup, ...]:
        """Open exceptions by cause, most money first."""
        with snapshot(self._engine) as conn:
            return cause_groups(open_cases(conn, now=self._clock.now()), self._reporting)

    def ageing(self) -> pd.DataFrame:
        """Open exceptions: a row per function, a column per AGE_BUCKETS."""
        with snapshot(self._engine) as conn:
            return ageing(open_cases(conn, now=self._clock.now()))

    def lanes(self) -> list[running.LaneState]:
        with snapshot(self._engine) as conn:
            return running.lanes(conn, now=self._clock.now(), reporting=self._reporting)

    def workers(self) -> list[running.WorkerState]:
        with snapshot(self._engine) as conn:
            return running.workers(conn, now=self._clock.now())

    def jobs(self) -> list[running.JobState]:
        with snapshot(self._engine) as conn:
            return running.jobs(conn)

    def status(self) -> running.Status:
        with snapshot(self._engine) as conn:
            return running.status(conn, now=self._clock.now(), reporting=self._reporting, product=self._product)
