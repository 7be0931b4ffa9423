"""What is done about quarantined events: try them again now, or dismiss them with a reason.

An event whose contract is known is within reach as its contract is; any other one is for those who reach everything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from sync_core.audit.audit import Entry
from sync_core.authority import Actor, Permission
from sync_core.commands import words
from sync_core.commands.desk import Act, CommandRefused, Desk, NotFound, texts
from sync_core.intake import sql
from sync_core.intake.intake import registered_of, understood_again
from sync_core.intake.rows import as_json

MOST: Final = 200  # bodies are read whole

COMMANDS: Final[Mapping[str, Permission]] = {
    "release": Permission.QUARANTINE_WRITE,
    "dismiss": Permission.QUARANTINE_WRITE,
}


@dataclass(frozen=True, slots=True)
class Held:
    """One event that stays where it is, and why."""

    quarantine_id: int
    words: str


@dataclass(frozen=True, slots=True)
class QuarantineChanged:
    changed: tuple[int, ...]
    held: tuple[Held, ...] = ()


class Quarantine:
    """Both raise Forbidden, NotFound for a single event, CommandRefused when nothing could be done, InvalidInput."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def release(self, actor: Actor, quarantine_ids: Sequence[int], *, reason: str = "") -> QuarantineChanged:
        """Try again now, as the workers do every few minutes. Those still not understood stay, with the reason."""
        return self._desk.run(actor, COMMANDS["release"], lambda act: release(act, quarantine_ids, reason=reason))

    def dismiss(self, actor: Actor, quarantine_ids: Sequence[int], reason: str) -> QuarantineChanged:
        """Never to be tried again; kept whole all the same."""
        return self._desk.run(actor, COMMANDS["dismiss"], lambda act: dismiss(act, quarantine_ids, reason))


_CHOSEN = sa.text("""
    SELECT q.quarantine_id, q.source, q.event_id, q.type, q.body, q.received_by, q.correlation_id, q.occurred_at,
           q.recorded_at, q.released_at, q.dismissed_at, q.dismissed_by, coalesce(c.legal_entity, '') AS legal_entity
    FROM core.quarantine AS q LEFT JOIN core.contract AS c USING (source, external_id)
    WHERE q.quarantine_id = ANY(:ids) ORDER BY q.quarantine_id FOR UPDATE OF q
""")
_DISMISS = sa.text("""
    UPDATE core.quarantine
    SET dismissed_at = :now, dismissed_by = :actor, dismissed_reason = :reason, ended_xid = pg_current_xact_id()
    WHERE quarantine_id = ANY(:ids)
""")


def release(act: Act, quarantine_ids: Sequence[int], *, reason: str = "") -> QuarantineChanged:
    why = words.reason(reason) if reason.strip() else ""
    rows, held = _choose(act, quarantine_ids)
    registered = registered_of(act.conn.execute(sql.REGISTERED, {"types": None}))
    again = understood_again(rows, estate=act.estate, now=act.now, registered=registered)
    held += [Held(row.quarantine_id, said) for row, said in again.still]
    ids = [row.quarantine_id for row in again.done]
    if not ids:
        raise CommandRefused(f"nothing could be released: {held[0].words}")
    act.conn.execute(sql.STORE, {"rows": as_json(again.rows), "now": act.now, "releasing": True})
    act.conn.execute(sql.RELEASED_BY, {"ids": ids, "now": act.now, "by": act.actor.name})
    act.wakes = True
    _note(act, "quarantine.release", again.done, held, why)
    return QuarantineChanged(tuple(ids), tuple(held))


def dismiss(act: Act, quarantine_ids: Sequence[int], reason: str) -> QuarantineChanged:
    why = words.reason(reason)
    rows, held = _choose(act, quarantine_ids)
    ids = [row.quarantine_id for row in rows]
    act.conn.execute(_DISMISS, {"ids": ids, "now": act.now, "actor": act.actor.name, "reason": why})
    _note(act, "quarantine.dismiss", rows, held, why)
    return QuarantineChanged(tuple(ids), tuple(held))


def _choose(act: Act, quarantine_ids: Sequence[int]) -> tuple[list[sa.Row[Any]], list[Held]]:
    """Those that still wait, locked, and the others with words. Raises NotFound, CommandRefused."""
    ids = sorted({int(one) for one in texts(quarantine_ids, most=MOST, what="quarantined events")})
    found = {
        row.quarantine_id: row
        for row in act.conn.execute(_CHOSEN, {"ids": ids})
        if act.actor.may(Permission.QUARANTINE_WRITE, entity=row.legal_entity)
    }
    held = [Held(one, f"there is no quarantined event {one} within your reach") for one in ids if one not in found]
    if not found:
        raise NotFound(held[0].words)
    ended = {one: row for one, row in found.items() if row.released_at or row.dismissed_at}
    held += [Held(one, _ended(row)) for one, row in ended.items()]
    waiting = [row for one, row in found.items() if one not in ended]
    if not waiting:
        raise CommandRefused(held[-1].words)
    return waiting, held


def _ended(row: sa.Row[Any]) -> str:
    if row.released_at:
        return f"event {row.quarantine_id} was released already"
    return f"event {row.quarantine_id} was dismissed by {row.dismissed_by}"


def _note(act: Act, action: str, rows: Sequence[sa.Row[Any]], held: Sequence[Held], why: str) -> None:
    events = [{"quarantined": r.quarantine_id, "source": r.source, "event": r.event_id, "type": r.type} for r in rows]
    one = len(events) == 1
    subject = f"quarantined event {rows[0].quarantine_id}" if one else f"{len(events):,} quarantined events"
    detail = {"events": events, "held": [item.quarantine_id for item in held]}
    act.note(
        Entry(action, subject, why, legal_entity=rows[0].legal_entity or None if one else None,
              correlation_id=rows[0].correlation_id if one else "", detail=detail, items=events)
    )  # fmt: skip
