"""Makes snapshots that were asked for: refresh, read, write the files, keep them. One at a time, in a worker."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from metrics import weeks
from metrics.asking import InvalidAsk
from metrics.refresh import refresh
from metrics.snapshot import keeping
from metrics.snapshot.keeping import Asked
from metrics.snapshot.lease import renewed
from metrics.snapshot.package import Package, package
from metrics.snapshot.take import moment_of, take
from sync_core.audit.checkpoint import Signer
from sync_core.clock import Clock
from sync_core.errors import TielineError
from sync_core.estate.estate import Estate

log = logging.getLogger(__name__)

TRIES: Final = 5
MAIL: Final = "mail:"  # before the variable, in the name of a target
_FIRST_WAIT: Final = timedelta(minutes=1)

_FILES = sa.text("""
    SELECT f.name, b.body FROM metrics.snapshot_file AS f JOIN metrics.snapshot_body AS b USING (sha256)
    WHERE f.snapshot_id = :snapshot_id ORDER BY f.name
""")


class NotMade(TielineError):
    """The snapshot could not be made; the message says why."""

    code = "snapshot.not_made"


@dataclass(frozen=True)
class Maker:
    """`engine` connects as the application's role, to the primary, with two connections."""

    engine: sa.Engine
    clock: Clock
    estate: Estate
    signer: Signer
    release: str
    base_url: str
    lease_s: float = keeping.LEASE_S

    @property
    def targets(self) -> list[str]:
        """Where every snapshot goes, as metrics.snapshot_delivery names it."""
        policy = self.estate.snapshot
        return [*policy.deliver, *(f"{MAIL}{variable}" for variable in policy.mail_env)]

    def make_next(self) -> Asked | None:
        """Make the one that waits longest; None when none does. What fails is tried again later."""
        one = keeping.claim(self.engine, now=self.clock.now(), lease_s=self.lease_s)
        if one is None:
            return None
        try:
            self.make(one)
        except InvalidAsk as wrong:
            keeping.failed(self.engine, one, wrong.message, again_at=None)
        except Exception as wrong:
            # The boundary of one snapshot: whatever it is, it is kept with the row and tried again.
            log.exception("snapshot %d could not be made", one.snapshot_id)
            keeping.failed(self.engine, one, _words(wrong), again_at=self._again(one))
        return one

    def make_here(self, one: Asked) -> Package:
        """Make one whose files the caller takes. What fails is kept with the row, and raised."""
        try:
            return self.make(one)
        except BaseException as wrong:
            keeping.failed(self.engine, one, _words(wrong), again_at=None)
            raise

    def make(self, one: Asked) -> Package:
        """Raises InvalidAsk where nothing is known of moment or week, NotMade when another has taken it over."""
        with renewed(self.engine, one, lease_s=self.lease_s):
            return self._make(one)

    def _make(self, one: Asked) -> Package:
        as_of = self._moment(one.wanted_as_of)
        over_at = weeks.end_of(one.week, self.estate.group.timezone)
        first = keeping.first_made(self.engine, one.week, as_of=as_of, over_at=over_at)
        since, versions = (None, None) if first is None else (first.as_of, first.versions)
        content = take(self.engine, self.estate, week=one.week, as_of=as_of, since=since, versions=versions)
        made = package(content, release=self.release, signer=self.signer)
        with self.engine.begin() as conn:
            kept = keeping.keep(
                conn, one, content, made, targets=self.targets, base_url=self.base_url, now=self.clock.now()
            )
        if not kept:
            raise NotMade(f"snapshot {one.snapshot_id} was taken over meanwhile, or is made already")
        name = weeks.week_name(one.week)
        log.info("snapshot %d of %s as of %s is made", one.snapshot_id, name, as_of.isoformat())
        return made

    def _moment(self, wanted: datetime | None) -> datetime:
        """Of now: what a refresh has just taken in."""
        if wanted is not None:
            return moment_of(self.engine, wanted)
        return refresh(self.engine, clock=self.clock, estate=self.estate, release=self.release).at

    def _again(self, one: Asked) -> datetime | None:
        return None if one.attempts >= TRIES else self.clock.now() + _FIRST_WAIT * 4 ** (one.attempts - 1)


def _words(wrong: BaseException) -> str:
    """For people: a sentence of ours is one already."""
    return wrong.message if isinstance(wrong, TielineError) else f"{type(wrong).__name__}: {wrong}"


def files_of(conn: sa.Connection, snapshot_id: int) -> Mapping[str, bytes]:
    """All files of a snapshot that was made."""
    return {str(row.name): bytes(row.body) for row in conn.execute(_FILES, {"snapshot_id": snapshot_id})}
