"""The part of `Reads` about weekly snapshots. They are of the whole group: who reaches a part of it gets Forbidden."""

from datetime import date

import sqlalchemy as sa

from sync_core.authority import Actor, Permission
from sync_core.reads.paging import Window
from sync_core.reads.scope import whole_group
from sync_core.reads.snapshot import snapshot
from sync_core.reads.snapshots import (
    SnapshotDetail,
    SnapshotDiff,
    SnapshotPage,
    one_snapshot,
    snapshot_diff,
    snapshot_listing,
    snapshot_restated,
)

_FIRST_PAGE = Window()


class SnapshotReads:
    """Mixed into Reads, whose attributes it uses. All need snapshot:read for every legal entity."""

    _engine: sa.Engine
    _actor: Actor | None

    def snapshots(self, week: date | None = None, *, window: Window = _FIRST_PAGE) -> SnapshotPage:
        """Of all weeks, or of one (its Monday); last asked for first. Raises InvalidCursor."""
        self._whole_group()
        with snapshot(self._engine) as conn:
            return snapshot_listing(week).page(conn, window)

    def snapshot(self, snapshot_id: int) -> SnapshotDetail | None:
        """With its files and where it went; None when there is none."""
        self._whole_group()
        with snapshot(self._engine) as conn:
            return one_snapshot(conn, snapshot_id)

    def snapshot_diff(self, week: date, other: date) -> SnapshotDiff | None:
        """How the newest snapshots of two weeks (Mondays) differ; None where one of them has none."""
        self._whole_group()
        with snapshot(self._engine) as conn:
            return snapshot_diff(conn, week, other)

    def snapshot_restated(self, snapshot_id: int) -> SnapshotDiff | None:
        """How it differs from the first snapshot of its week; None where it is the first itself."""
        self._whole_group()
        with snapshot(self._engine) as conn:
            return snapshot_restated(conn, snapshot_id)

    def _whole_group(self) -> None:
        if self._actor is not None:
            whole_group(self._actor, Permission.SNAPSHOT_READ)
