"""The part of `Reads` about replay: what is stuck, replays, their items."""

from collections.abc import Callable, Mapping, Sequence

import sqlalchemy as sa

from sync_core.authority import Permission
from sync_core.clock import Clock
from sync_core.estate.estate import Estate
from sync_core.reads.elsewhere import Elsewhere, elsewhere
from sync_core.reads.moves import ReconciledPage, ReconciledRow, Reconciliation, reconciled, reconciliation
from sync_core.reads.paging import Window
from sync_core.reads.replay_asked import Asked, asked
from sync_core.reads.replay_items import (
    ItemDetail,
    ItemFilter,
    ItemPage,
    ItemSort,
    item_detail,
    item_listing,
    sort_of,
)
from sync_core.reads.replays import ReplayDetail, ReplayPage, replay_detail, replay_page, replay_version
from sync_core.reads.scope import Entities
from sync_core.reads.snapshot import snapshot
from sync_core.reads.stuck import StuckPage, StuckSort, stuck_listing
from sync_core.replay.replay import MOST_ITEMS, ReplayState
from sync_core.replay.selection import StuckFilter

_FIRST_PAGE, _ALL_STUCK, _ALL_ITEMS = Window(), StuckFilter(), ItemFilter()


class ReplayReads:
    """Mixed into Reads, whose attributes it uses. All need replay:read."""

    _engine: sa.Engine
    _clock: Clock
    _reporting: str
    estate: Estate
    reach: Callable[[Permission], Entities]

    def stuck(
        self, wanted: StuckFilter = _ALL_STUCK, *, sort: StuckSort = StuckSort.MONEY, window: Window = _FIRST_PAGE
    ) -> StuckPage:
        """Contracts that do not get on, or with `states` those in these states. Raises InvalidCursor."""
        entities, now = self.reach(Permission.REPLAY_READ), self._clock.now()
        with snapshot(self._engine) as conn:
            return stuck_listing(wanted, sort, now=now, estate=self.estate, entities=entities).page(conn, window)

    def replays(
        self, *, states: Sequence[ReplayState] = (), moves: bool | None = None, window: Window = _FIRST_PAGE
    ) -> ReplayPage:
        """Newest first: those of which anything is within reach. Without `states`: in any; `moves`: only those, or
        none. Raises InvalidCursor.
        """
        entities = self.reach(Permission.REPLAY_READ)
        with snapshot(self._engine) as conn:
            return replay_page(conn, window, entities=entities, states=states, moves=moves)

    def reconciliation(self, move_id: int) -> Reconciliation | None:
        """Both ERPs against what was signed, currency by currency; None when there is no such move within reach."""
        entities = self.reach(Permission.REPLAY_READ)
        with snapshot(self._engine) as conn:
            return reconciliation(conn, move_id, entities=entities)

    def reconciled(self, move_id: int, *, window: Window = _FIRST_PAGE) -> ReconciledPage:
        """Contract by contract, what differs most first. Empty for no move. Raises InvalidCursor."""
        entities = self.reach(Permission.REPLAY_READ)
        with snapshot(self._engine) as conn:
            return reconciled(move_id, entities=entities).page(conn, window)

    def elsewhere(self, contract_id: int) -> Elsewhere:
        """Whether it was moved, and whether its ERP is only observed. Needs contracts:read."""
        entities = self.reach(Permission.CONTRACTS_READ)
        with snapshot(self._engine) as conn:
            return elsewhere(conn, contract_id, entities=entities)

    def all_reconciled(self, move_id: int) -> Sequence[ReconciledRow]:
        """For a file."""
        entities = self.reach(Permission.REPLAY_READ)
        with snapshot(self._engine) as conn:
            return reconciled(move_id, entities=entities).first(conn, MOST_ITEMS)

    def replay(self, replay_id: int) -> ReplayDetail | None:
        """None when there is no such replay, or nothing in it is within reach."""
        entities = self.reach(Permission.REPLAY_READ)
        with snapshot(self._engine) as conn:
            return replay_detail(conn, replay_id, reporting=self._reporting, entities=entities)

    def replays_asked(self, ids: Sequence[int], *, most: int) -> Mapping[int, Asked]:
        """What approving each of these would carry out; the first `most` contracts of each, most money first."""
        entities = self.reach(Permission.REPLAY_READ)
        with snapshot(self._engine) as conn:
            return asked(conn, ids, most=most, reporting=self._reporting, entities=entities)

    def replay_items(
        self,
        replay_id: int,
        wanted: ItemFilter = _ALL_ITEMS,
        *,
        sort: ItemSort | None = None,
        window: Window = _FIRST_PAGE,
    ) -> ItemPage:
        """Only contracts within reach. Without `sort`: what went wrong first once the replay is over, else in the order
        of dispatch, and further pages as the first. Empty for no replay. Raises InvalidCursor.
        """
        entities = self.reach(Permission.REPLAY_READ)
        with snapshot(self._engine) as conn:
            order = sort or sort_of(conn, replay_id, window.cursor)
            listing = item_listing(replay_id, wanted, order, reporting=self._reporting, entities=entities)
            return listing.page(conn, window)

    def replay_version(self, replay_id: int) -> int | None:
        """Raised by every decision on it; costs next to nothing. None when nothing of it is within reach."""
        entities = self.reach(Permission.REPLAY_READ)
        with snapshot(self._engine) as conn:
            return replay_version(conn, replay_id, entities=entities)

    def replay_item(self, replay_id: int, contract_id: int) -> ItemDetail | None:
        """With its plan, field by field; None when it is not in the replay or not within reach."""
        entities = self.reach(Permission.REPLAY_READ)
        with snapshot(self._engine) as conn:
            return item_detail(conn, replay_id, contract_id, reporting=self._reporting, entities=entities)
