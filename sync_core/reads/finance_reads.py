"""The part of `Reads` about what finance stated: exchange rates, the baseline, assumptions."""

from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa

from sync_core.authority import Permission
from sync_core.estate.estate import Estate
from sync_core.finance import Stated
from sync_core.reads import finance
from sync_core.reads.paging import Window
from sync_core.reads.scope import Entities
from sync_core.reads.snapshot import snapshot

_FIRST_PAGE, _ALL = Window(), finance.RateFilter()


class FinanceReads:
    """Mixed into Reads, whose attributes it uses. All need kpi:read, and hold for every legal entity."""

    _engine: sa.Engine
    estate: Estate
    reach: Callable[[Permission], Entities]

    def exchange_rates(self, wanted: finance.RateFilter = _ALL, *, window: Window = _FIRST_PAGE) -> finance.RatePage:
        """Rates, recorded last first. Raises InvalidCursor."""
        self.reach(Permission.KPI_READ)
        listing = finance.rate_listing(wanted, reporting=self.estate.group.reporting_currency)
        with snapshot(self._engine) as conn:
            return listing.page(conn, window)

    def stated(self, kind: Stated, *, as_of: datetime | None = None) -> list[finance.StatedNumber]:
        """The baseline or the assumptions, as recorded by a moment (aware); None is now."""
        self.reach(Permission.KPI_READ)
        with snapshot(self._engine) as conn:
            return finance.stated_numbers(conn, kind, as_of=as_of)
