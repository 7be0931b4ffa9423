"""The part of `Reads` about contracts beside the engine's work: validated before signature, watched afterwards."""

from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa

from sync_core.authority import Permission
from sync_core.clock import Clock
from sync_core.estate.estate import Estate
from sync_core.reads.drift import DriftFilter, DriftPage, WatchState, drift_listing, to_mend, watch_state
from sync_core.reads.paging import Window
from sync_core.reads.scope import Entities
from sync_core.reads.snapshot import snapshot
from sync_core.reads.verify import Verified, masters_of, verify
from sync_core.references import store
from sync_core.references.validation import Draft, Validation, intended, validated

OPEN_DRIFT = DriftFilter()
_FIRST_PAGE = Window()


class WatchReads:
    """Mixed into Reads, whose attributes it uses."""

    _engine: sa.Engine
    _clock: Clock
    estate: Estate
    reach: Callable[[Permission], Entities]

    def drift(self, wanted: DriftFilter = OPEN_DRIFT, *, window: Window = _FIRST_PAGE) -> DriftPage:
        """Differences between CLM, Tieline and ERP, newest first. Raises InvalidCursor."""
        entities = self.reach(Permission.CONTRACTS_READ)
        with snapshot(self._engine) as conn:
            return drift_listing(wanted, entities=entities).page(conn, window)

    def drift_to_mend(self) -> int:
        """How many open differences are to be repaired or decided."""
        entities = self.reach(Permission.CONTRACTS_READ)
        with snapshot(self._engine) as conn:
            return to_mend(conn, entities=entities)

    def drift_watch(self) -> WatchState:
        """How the watch for them goes."""
        entities = self.reach(Permission.CONTRACTS_READ)
        with snapshot(self._engine) as conn:
            return watch_state(conn, entities=entities)

    def verified(
        self, *, as_of: datetime | None = None, entity: str = "", progress: Callable[[int], None] | None = None
    ) -> Verified:
        """All contracts rebuilt from their events, compared with the tables. Long: minutes for 100,000 contracts."""
        entities = self.reach(Permission.AUDIT_READ)
        with snapshot(self._engine) as conn:
            return verify(conn, self.estate, as_of=as_of, entity=entity, entities=entities, progress=progress)

    def validation(self, draft: Draft) -> Validation:
        """Whether these terms would be provisioned if they were signed now. One snapshot, no ERP call, no write.

        Raises Forbidden without validations:write for their legal entity, which the caller asks for itself.
        """
        self.reach(Permission.VALIDATIONS_WRITE)
        now = self._clock.now()
        with snapshot(self._engine) as conn:
            masters = masters_of(conn, {0: [draft.event(now)]}).get(0)
            asked = intended(draft, self.estate, now=now, masters=masters)
            known = store.read(conn, asked.questions) if asked.questions else {}
        return validated(asked, known, self.estate, now=now)
