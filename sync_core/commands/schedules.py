"""Scheduled jobs: run one now, pause one, let it go on. The workers see it within two seconds, whichever host has it.

Pausing stops the timetable alone: what runs goes on, and a run that is asked for is made all the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from sync_core.audit.audit import Entry
from sync_core.authority import Actor, Permission
from sync_core.commands.desk import Act, Changed, CommandRefused, Desk, NotFound, reason_of
from sync_core.schedules import RUNNING, lock_oid

COMMANDS: Final[Mapping[str, Permission]] = {
    "run_now": Permission.SCHEDULES_WRITE,
    "pause": Permission.SCHEDULES_WRITE,
    "resume": Permission.SCHEDULES_WRITE,
}

_FIND = sa.text(f"""
    SELECT s.job, s.every_s, s.paused_at, s.paused_by, s.pause_reason, s.wanted_at, s.version,
           {RUNNING.format(key="CAST(:key AS oid)")} AS running
    FROM core.schedule AS s WHERE s.job = :job FOR UPDATE
""")
_WANT = sa.text("""
    UPDATE core.schedule SET wanted_at = :now, wanted_by = :actor, version = version + 1 WHERE job = :job
    RETURNING version
""")
_PAUSE = sa.text("""
    UPDATE core.schedule SET paused_at = :now, paused_by = :actor, pause_reason = :reason, version = version + 1
    WHERE job = :job RETURNING version
""")
_RESUME = sa.text("""
    UPDATE core.schedule SET paused_at = NULL, paused_by = NULL, pause_reason = NULL, version = version + 1
    WHERE job = :job RETURNING version
""")


@dataclass(frozen=True, slots=True)
class ScheduleChanged:
    """A job as it is now."""

    job: str
    paused: bool
    wanted: bool  # a worker takes it up in a moment
    version: int


class Schedules:
    """`desk` carries the commands out."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def run_now(self, actor: Actor, job: str, reason: str) -> ScheduleChanged:
        """Ask for a run besides the timetable. Raises Forbidden, NotFound; CommandRefused while it runs or waits to."""
        return self._desk.run(actor, Permission.SCHEDULES_WRITE, lambda act: run_now(act, job, reason))

    def pause(self, actor: Actor, job: str, reason: str, *, version: int | None = None) -> ScheduleChanged:
        """Raises Forbidden, NotFound, Changed; CommandRefused when it is paused already."""
        return self._desk.run(actor, Permission.SCHEDULES_WRITE, lambda act: pause(act, job, reason, version=version))

    def resume(self, actor: Actor, job: str, reason: str, *, version: int | None = None) -> ScheduleChanged:
        """Raises Forbidden, NotFound, Changed; CommandRefused when it is not paused."""
        return self._desk.run(actor, Permission.SCHEDULES_WRITE, lambda act: resume(act, job, reason, version=version))


def run_now(act: Act, job: str, reason: str) -> ScheduleChanged:
    why, row = reason_of(reason), _found(act, job, None)
    if row.running:
        raise CommandRefused(f"{job} runs just now; wait until it has ended, then ask again")
    if row.wanted_at is not None:
        raise CommandRefused(
            f"{job} was asked for at {row.wanted_at:%H:%M:%S} UTC and begins as soon as a worker is there"
        )
    version = act.conn.scalar(_WANT, {"job": job, "now": act.now, "actor": act.actor.name})
    act.note(_entry("schedule.run", row, why))
    return ScheduleChanged(job, row.paused_at is not None, wanted=True, version=version)


def pause(act: Act, job: str, reason: str, *, version: int | None = None) -> ScheduleChanged:
    why, row = reason_of(reason), _found(act, job, version)
    if row.paused_at is not None:
        raise CommandRefused(f"{job} was paused by {row.paused_by} at {row.paused_at:%Y-%m-%d %H:%M} UTC")
    now = act.conn.scalar(_PAUSE, {"job": job, "now": act.now, "actor": act.actor.name, "reason": why})
    act.note(_entry("schedule.pause", row, why))
    return ScheduleChanged(job, paused=True, wanted=row.wanted_at is not None, version=now)


def resume(act: Act, job: str, reason: str, *, version: int | None = None) -> ScheduleChanged:
    why, row = reason_of(reason), _found(act, job, version)
    if row.paused_at is None:
        raise CommandRefused(f"{job} is not paused")
    now = act.conn.scalar(_RESUME, {"job": job})
    act.note(_entry("schedule.resume", row, why))
    return ScheduleChanged(job, paused=False, wanted=row.wanted_at is not None, version=now)


def _found(act: Act, job: str, version: int | None) -> sa.Row[Any]:
    """Jobs work for the whole firm, so whoever reaches some legal entities only does not reach them."""
    act.actor.require(Permission.SCHEDULES_WRITE)
    known = job.isprintable() and act.actor.entities(Permission.SCHEDULES_WRITE) is None
    row = act.conn.execute(_FIND, {"job": job, "key": lock_oid(job)}).one_or_none() if known else None
    if row is None:
        raise NotFound(f"there is no scheduled job {job[:80]!r}; `tieline schedules list` names them")
    if version is not None and version != row.version:
        raise Changed(f"{job} was changed since you read it; read it again, then decide")
    return row


def _entry(action: str, row: sa.Row[Any], reason: str) -> Entry:
    return Entry(
        action, f"job {row.job}", reason, detail={"every_s": row.every_s, "was_paused": row.paused_at is not None}
    )
