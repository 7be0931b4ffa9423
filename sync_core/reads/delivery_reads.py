"""The part of `Reads` about what others are told: subscribers, notification rules, outgoing events."""

from collections.abc import Callable

import sqlalchemy as sa

from sync_core.authority import Permission
from sync_core.clock import Clock
from sync_core.estate.estate import Estate
from sync_core.reads import deliveries
from sync_core.reads.paging import Window
from sync_core.reads.scope import Entities
from sync_core.reads.snapshot import snapshot

_FIRST_PAGE, _ALL = Window(), deliveries.DeliveryFilter()


class DeliveryReads:
    """Mixed into Reads, whose attributes it uses. All need subscribers:write, as its commands do."""

    _engine: sa.Engine
    _clock: Clock
    estate: Estate
    reach: Callable[[Permission], Entities]

    def subscribers(self) -> list[deliveries.SubscriberState]:
        """Those of the estate within reach, by name, with what waits for them."""
        entities = self.reach(Permission.SUBSCRIBERS_WRITE)
        with snapshot(self._engine) as conn:
            return deliveries.subscribers(conn, self.estate, now=self._clock.now(), entities=entities)

    def notices(self) -> list[deliveries.NoticeState]:
        """The notification rules of the estate and how their last sending went."""
        self.reach(Permission.SUBSCRIBERS_WRITE)
        with snapshot(self._engine) as conn:
            return deliveries.notices(conn, self.estate)

    def deliveries(
        self, wanted: deliveries.DeliveryFilter = _ALL, *, window: Window = _FIRST_PAGE
    ) -> deliveries.DeliveryPage:
        """Outgoing events, newest first, and who does not have them yet. Raises InvalidCursor."""
        entities, now = self.reach(Permission.SUBSCRIBERS_WRITE), self._clock.now()
        with snapshot(self._engine) as conn:
            states = deliveries.subscribers(conn, self.estate, now=now, entities=entities)
            return deliveries.delivery_listing(wanted, states, entities=entities).page(conn, window)
