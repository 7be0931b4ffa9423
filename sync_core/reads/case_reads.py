"""The part of `Reads` about work on exceptions: one case, groups, ages, approvals, quarantine, saved filters."""

from collections.abc import Callable

import sqlalchemy as sa

from sync_core.authority import Permission
from sync_core.clock import Clock
from sync_core.estate.estate import Estate
from sync_core.reads import ages
from sync_core.reads.approvals import ApprovalPage, ApprovalStatus, approvals
from sync_core.reads.case import CaseDetail, case_detail
from sync_core.reads.case_groups import CaseGroup, case_groups
from sync_core.reads.exceptions import ExceptionFilter
from sync_core.reads.filters import SavedFilter, saved_filters
from sync_core.reads.paging import Window
from sync_core.reads.quarantine import (
    QuarantinedEvent,
    QuarantineFilter,
    QuarantinePage,
    Unread,
    quarantine,
    quarantined,
    unread,
)
from sync_core.reads.scope import Entities
from sync_core.reads.snapshot import snapshot
from sync_core.reads.tallies import Tallies, tallies

_FIRST_PAGE, _OPEN, _WAITING = Window(), ExceptionFilter(), QuarantineFilter()


class CaseReads:
    """Mixed into Reads, whose attributes it uses."""

    _engine: sa.Engine
    _clock: Clock
    _reporting: str
    estate: Estate
    reach: Callable[[Permission], Entities]

    def case(self, case_id: int) -> CaseDetail | None:
        """None when there is no such exception within reach."""
        entities, now = self.reach(Permission.EXCEPTIONS_READ), self._clock.now()
        with snapshot(self._engine) as conn:
            return case_detail(conn, case_id, self.estate, now=now, reporting=self._reporting, entities=entities)

    def case_groups(self, wanted: ExceptionFilter = _OPEN) -> tuple[CaseGroup, ...]:
        """Exceptions that one person can mend in one go, most money first; 500 at most."""
        entities = self.reach(Permission.EXCEPTIONS_READ)
        with snapshot(self._engine) as conn:
            return case_groups(conn, wanted, now=self._clock.now(), reporting=self._reporting, entities=entities)

    def tallies(self, person: str) -> Tallies:
        """Open exceptions and their money by function, of `person`, and of nobody yet."""
        entities = self.reach(Permission.EXCEPTIONS_READ)
        with snapshot(self._engine) as conn:
            return tallies(conn, person, reporting=self._reporting, entities=entities)

    def exception_ageing(self) -> ages.Ageing:
        """Open exceptions by age, in working days of their legal entity and in calendar days."""
        entities = self.reach(Permission.EXCEPTIONS_READ)
        with snapshot(self._engine) as conn:
            return ages.ageing(conn, self.estate, now=self._clock.now(), entities=entities)

    def approvals(
        self, *, status: ApprovalStatus = ApprovalStatus.WAITING, window: Window = _FIRST_PAGE
    ) -> ApprovalPage:
        """What waits for a decision, was refused or is decided in the CLM, oldest first. Raises InvalidCursor."""
        entities = self.reach(Permission.EXCEPTIONS_READ)
        with snapshot(self._engine) as conn:
            return approvals(conn, status, window, reporting=self._reporting, entities=entities)

    def unread(self) -> Unread:
        """How much waits in quarantine; of unknown contracts for those who see everything."""
        entities = self.reach(Permission.EXCEPTIONS_READ)
        with snapshot(self._engine) as conn:
            return unread(conn, entities=entities)

    def quarantine(self, wanted: QuarantineFilter = _WAITING, *, window: Window = _FIRST_PAGE) -> QuarantinePage:
        """Oldest first. Events of unknown contracts are seen by those who see everything. Raises InvalidCursor."""
        entities = self.reach(Permission.EXCEPTIONS_READ)
        with snapshot(self._engine) as conn:
            return quarantine(conn, wanted, window, entities=entities)

    def quarantined(self, quarantine_id: int) -> QuarantinedEvent | None:
        """One, with more of its body; None when there is none within reach."""
        entities = self.reach(Permission.EXCEPTIONS_READ)
        with snapshot(self._engine) as conn:
            return quarantined(conn, quarantine_id, entities=entities)

    def saved_filters(self, owner: str) -> tuple[SavedFilter, ...]:
        """The owner's own and those that others share."""
        self.reach(Permission.EXCEPTIONS_READ)
        with snapshot(self._engine) as conn:
            return saved_filters(conn, owner)
