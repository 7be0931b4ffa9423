"""Weekly snapshots: ask for one, which a worker makes, and take a file of one out of Tieline.

They are of the whole group, so only who reaches every legal entity may do either.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from sync_core.audit.audit import Entry
from sync_core.authority import Actor, Permission
from sync_core.commands import words
from sync_core.commands.desk import Act, CommandRefused, Desk, InvalidInput, NotFound
from sync_core.reads.scope import whole_group

COMMANDS: Final[Mapping[str, Permission]] = {
    "make": Permission.SNAPSHOT_WRITE,
    "file": Permission.SNAPSHOT_READ,
}
MOST_WAITING: Final = 20
_SEVEN: Final = timedelta(days=7)

# Of the schedule there is one a week; who comes second gets no row.
_ASK = sa.text("""
    INSERT INTO metrics.snapshot (week, asked_at, asked_by, scheduled, wanted_as_of, location, lease_until, lease_token)
    VALUES (:week, :now, :actor, :scheduled, :as_of, :location,
            CASE WHEN CAST(:location AS text) IS NOT NULL THEN now() + interval '1 h' END,
            CASE WHEN CAST(:location AS text) IS NOT NULL THEN 1 ELSE 0 END)
    ON CONFLICT (week) WHERE scheduled DO NOTHING RETURNING snapshot_id
""")
_WAITING = sa.text("SELECT count(*) FROM metrics.snapshot WHERE state = 'asked'")
_FIRST_MEASURED = sa.text("SELECT min(finished_at) FROM metrics.refresh")
_FILE = sa.text("""
    SELECT f.name, f.sha256, b.body, s.week
    FROM metrics.snapshot_file AS f JOIN metrics.snapshot_body AS b USING (sha256)
         JOIN metrics.snapshot AS s USING (snapshot_id)
    WHERE f.snapshot_id = :snapshot_id AND f.name = :name
""")


@dataclass(frozen=True, slots=True)
class SnapshotAsked:
    """A worker makes it within some seconds; `Reads.snapshot` says how far it is."""

    snapshot_id: int
    week: date  # its Monday


@dataclass(frozen=True, slots=True)
class SnapshotBody:
    """One file of a snapshot, as it was made."""

    name: str
    sha256: str
    body: bytes


class Snapshots:
    """`desk` carries the commands out."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def make(self, actor: Actor, *, week: date | None = None, as_of: datetime | None = None) -> SnapshotAsked:
        """Of a week (its Monday; the last that is over without one), as of a moment (now without one).

        Raises Forbidden, InvalidInput, and CommandRefused while too many wait.
        """
        return self._desk.run(actor, COMMANDS["make"], lambda act: make(act, week=week, as_of=as_of))

    def file(self, actor: Actor, snapshot_id: int, name: str) -> SnapshotBody:
        """Taking a file is audited. Raises Forbidden and NotFound."""
        return self._desk.run(actor, COMMANDS["file"], lambda act: file(act, snapshot_id, name))


def make(
    act: Act, *, week: date | None = None, as_of: datetime | None = None, scheduled: bool = False,
    location: str | None = None,
) -> SnapshotAsked:  # fmt: skip
    """`location`: the caller makes it there itself, within an hour."""
    whole_group(act.actor, Permission.SNAPSHOT_WRITE)
    this_week = _monday(act)
    monday = this_week - _SEVEN if week is None else week
    if monday.weekday():
        raise InvalidInput(f"week: {monday} is no Monday; a week is named by its Monday, or written like 2026-W47")
    if monday > this_week:
        raise InvalidInput(f"week: the week of {monday} has not begun yet")
    if as_of is not None:
        _possible(act, monday, as_of)
    if not scheduled and int(act.conn.scalar(_WAITING) or 0) >= MOST_WAITING:
        raise CommandRefused(f"{MOST_WAITING} snapshots wait to be made already; is a worker running?")
    bound = {"week": monday, "now": act.now, "actor": act.actor.name, "scheduled": scheduled, "as_of": as_of,
             "location": location}  # fmt: skip
    snapshot_id = act.conn.scalar(_ASK, bound)
    if snapshot_id is None:
        raise CommandRefused(f"the snapshot of the week of {monday} was asked for by the schedule already")
    detail = {"week": monday, "as_of": as_of, "scheduled": scheduled, "location": location}
    act.note(Entry("snapshot.make", f"snapshot {snapshot_id}", detail=detail))
    return SnapshotAsked(int(snapshot_id), monday)


def _possible(act: Act, monday: date, as_of: datetime) -> None:
    """What the worker would refuse is refused at the door. Raises InvalidInput."""
    if as_of.tzinfo is None or as_of > act.now:
        raise InvalidInput("as_of: a moment with its zone that is not in the future, such as 2026-11-23T06:00:00Z")
    told = f"{as_of.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if monday > _monday_of(act, as_of):
        raise InvalidInput(f"as_of: the week of {monday} had not begun as of {told}; name a later moment")
    first = act.conn.scalar(_FIRST_MEASURED)
    if first is None or as_of < first:
        since = "nothing was measured yet" if first is None else f"the first measures are of {first:%Y-%m-%d %H:%M} UTC"
        raise InvalidInput(f"as_of: nothing is known as of {told}; {since}")


def file(act: Act, snapshot_id: int, name: str) -> SnapshotBody:
    whole_group(act.actor, Permission.SNAPSHOT_READ)
    row = act.conn.execute(_FILE, {"snapshot_id": snapshot_id, "name": name}).one_or_none()
    if row is None:
        raise NotFound(f"snapshot {snapshot_id} has no file {words.visible(name)[:60]!r}")
    detail = {"file": row.name, "sha256": row.sha256, "week": row.week}
    act.note(Entry("snapshot.read", f"snapshot {snapshot_id}", detail=detail))
    return SnapshotBody(row.name, row.sha256, bytes(row.body))


def _monday(act: Act) -> date:
    return _monday_of(act, act.now)


def _monday_of(act: Act, moment: datetime) -> date:
    today = moment.astimezone(ZoneInfo(act.estate.group.timezone)).date()
    return today - timedelta(days=today.weekday())
