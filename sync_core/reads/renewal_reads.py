"""The part of `Reads` about renewals."""

from collections.abc import Callable, Mapping
from datetime import date
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from sync_core.authority import Permission
from sync_core.clock import Clock
from sync_core.life.life_row import RenewalState
from sync_core.reads.amounts import MoneyTotal
from sync_core.reads.paging import Window
from sync_core.reads.renewals import RenewalFilter, RenewalPage, renewal_listing, renewal_totals
from sync_core.reads.scope import Entities
from sync_core.reads.snapshot import snapshot

_NEAR = RenewalFilter()
_FIRST_PAGE = Window()


class RenewalReads:
    """Mixed into Reads, whose attributes it uses. Days are those of the group's zone."""

    _engine: sa.Engine
    _clock: Clock
    _reporting: str
    _zone: str
    reach: Callable[[Permission], Entities]

    def renewals(self, wanted: RenewalFilter = _NEAR, *, window: Window = _FIRST_PAGE) -> RenewalPage:
        """One page, the nearest first. Raises InvalidCursor."""
        entities, today = self.reach(Permission.CONTRACTS_READ), self.today
        with snapshot(self._engine) as conn:
            listing = renewal_listing(wanted, today=today, reporting=self._reporting, entities=entities)
            return listing.page(conn, window)

    def renewal_totals(self, wanted: RenewalFilter = _NEAR) -> Mapping[RenewalState, MoneyTotal]:
        """How many there are and how much money is in them, by what becomes of them."""
        entities, today = self.reach(Permission.CONTRACTS_READ), self.today
        with snapshot(self._engine) as conn:
            return renewal_totals(conn, wanted, today=today, reporting=self._reporting, entities=entities)

    @property
    def today(self) -> date:
        return self._clock.now().astimezone(ZoneInfo(self._zone)).date()
