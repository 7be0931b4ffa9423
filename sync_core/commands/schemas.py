"""Versions of events that are registered while Tieline runs, and fields that came in anew: decided by a person.

A registration says how a version that this release does not know is read as one that it knows. What waits in
quarantine for it is released with it; the rest follows by the workers within minutes. Withdrawn, the version goes to
quarantine again; what was stored stays, in the form that the core reads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import sqlalchemy as sa

from sync_core.audit.audit import Entry
from sync_core.authority import Actor, Permission
from sync_core.commands.desk import Act, Changed, CommandRefused, Desk, InvalidInput, NotFound, reason_of, texts
from sync_core.intake import sql
from sync_core.intake.intake import Again, understood_again
from sync_core.intake.rows import as_json
from sync_core.schemas.registered import InvalidRegistration, Registered, Rename, registration

COMMANDS: Final[Mapping[str, Permission]] = {
    "preview": Permission.SCHEMAS_WRITE,
    "register": Permission.SCHEMAS_WRITE,
    "withdraw": Permission.SCHEMAS_WRITE,
    "acknowledge": Permission.SCHEMAS_WRITE,
}
MOST: Final = 200  # events released with the registration, fields acknowledged at once
_SHOWN: Final = 5

# Two releases at once share the rows out instead of waiting for each other.
_WAITING: Final = sa.text("""
    SELECT quarantine_id, source, event_id, body, received_by, correlation_id, occurred_at, recorded_at
    FROM core.quarantine
    WHERE released_at IS NULL AND dismissed_at IS NULL AND type = :type AND source = ANY(:sources)
    ORDER BY quarantine_id LIMIT :most FOR UPDATE SKIP LOCKED
""")
_COUNT: Final = sa.text("""
    SELECT count(*) FROM core.quarantine WHERE released_at IS NULL AND dismissed_at IS NULL AND type = :type
""")
_REGISTER: Final = sa.text("""
    INSERT INTO core.schema_registration (type, body, reads_as, renames, reason, registered_at, registered_by)
    VALUES (:type, CAST(:body AS jsonb), :reads_as, CAST(:renames AS jsonb), :reason, :now, :by)
    ON CONFLICT (type) WHERE withdrawn_at IS NULL DO NOTHING RETURNING registration_id
""")
_FIND: Final = sa.text("SELECT * FROM core.schema_registration WHERE registration_id = :id FOR UPDATE")
_WITHDRAW: Final = sa.text("""
    UPDATE core.schema_registration
    SET withdrawn_at = :now, withdrawn_by = :by, withdrawn_reason = :reason, version = version + 1
    WHERE registration_id = :id RETURNING version
""")
_STRAYS: Final = sa.text("""
    SELECT drift_id, source, type, path, events, acknowledged_at FROM core.schema_drift
    WHERE drift_id = ANY(:ids) ORDER BY drift_id FOR UPDATE
""")
_ACKNOWLEDGE: Final = sa.text("""
    UPDATE core.schema_drift
    SET acknowledged_at = :now, acknowledged_by = :by, acknowledged_as = :reason, version = version + 1
    WHERE drift_id = ANY(:ids)
""")


@dataclass(frozen=True, slots=True)
class Proposed:
    """A version to be registered. `schema`: JSON Schema as text; `renames`: (their field, ours)."""

    type: str
    schema: str
    reads_as: str
    renames: tuple[Rename, ...] = ()


@dataclass(frozen=True, slots=True)
class StillHeld:
    quarantine_id: int
    words: str


@dataclass(frozen=True, slots=True)
class RegistrationPreview:
    """Of what waits for it: how many were looked at, how many would be understood, and why others would not."""

    type: str
    waiting: int
    looked_at: int
    understood: int
    held: tuple[StillHeld, ...]


@dataclass(frozen=True, slots=True)
class SchemaRegistered:
    registration_id: int
    released: tuple[int, ...]  # quarantined events
    held: tuple[StillHeld, ...]


@dataclass(frozen=True, slots=True)
class SchemaWithdrawn:
    registration_id: int
    version: int


@dataclass(frozen=True, slots=True)
class DriftAcknowledged:
    drift_ids: tuple[int, ...]


class Schemas:
    """All raise Forbidden; also for whoever reaches some legal entities only: a schema is of the whole firm."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def preview(self, actor: Actor, proposed: Proposed) -> RegistrationPreview:
        """What registering would do; changes nothing. Raises InvalidInput."""
        _require_all(actor)
        with self._desk.engine.begin() as conn:
            return preview(Act(conn, actor, self._desk.clock.now(), self._desk.estate), proposed)

    def register(self, actor: Actor, proposed: Proposed, reason: str) -> SchemaRegistered:
        """Raises InvalidInput; CommandRefused when the version is registered already, or nothing would come of it."""
        return self._desk.run(actor, COMMANDS["register"], lambda act: register(act, proposed, reason))

    def withdraw(
        self, actor: Actor, registration_id: int, reason: str, *, version: int | None = None
    ) -> SchemaWithdrawn:
        """Raises NotFound, Changed, InvalidInput; CommandRefused when it was withdrawn before."""
        work = COMMANDS["withdraw"]
        return self._desk.run(actor, work, lambda act: withdraw(act, registration_id, reason, version=version))

    def acknowledge(self, actor: Actor, drift_ids: Sequence[int], reason: str) -> DriftAcknowledged:
        """Fields that are known now; they are told no more. Raises NotFound, InvalidInput; all or none."""
        return self._desk.run(actor, COMMANDS["acknowledge"], lambda act: acknowledge(act, drift_ids, reason))


def preview(act: Act, proposed: Proposed) -> RegistrationPreview:
    _require_all(act.actor)
    known = _checked(proposed)
    again = _again(act, known)
    waiting = int(act.conn.scalar(_COUNT, {"type": known.name}) or 0)
    looked_at = len(again.done) + len(again.still)
    return RegistrationPreview(known.name, waiting, looked_at, len(again.done), _held(again)[:_SHOWN])


def register(act: Act, proposed: Proposed, reason: str) -> SchemaRegistered:
    _require_all(act.actor)
    why, known = reason_of(reason), _checked(proposed)
    again = _again(act, known)
    if again.still and not again.done:
        first = again.still[0][1]
        raise CommandRefused(f"none of the {len(again.still)} events that were looked at would be understood: {first}")
    body = orjson.dumps(dict(known.schema)).decode()
    renames = orjson.dumps(known.renames).decode()
    bound = {"type": known.name, "body": body, "reads_as": known.reads_as, "renames": renames, "reason": why}
    made = act.conn.scalar(_REGISTER, {**bound, "now": act.now, "by": act.actor.name})
    if made is None:
        raise CommandRefused(f"{known.name} is registered already; withdraw that registration first")
    ids = tuple(row.quarantine_id for row in again.done)
    if ids:
        act.conn.execute(sql.STORE, {"rows": as_json(again.rows), "now": act.now, "releasing": True})
        act.conn.execute(sql.RELEASED_BY, {"ids": list(ids), "now": act.now, "by": act.actor.name})
        act.wakes = True
    detail = {"registration": made, "reads_as": known.reads_as, "renames": known.renames, "released": len(ids)}
    events = [{"quarantined": r.quarantine_id, "source": r.source, "event": r.event_id} for r in again.done]
    act.note(Entry("schema.register", f"schema {known.name}", why, detail=detail, items=events))
    return SchemaRegistered(int(made), ids, _held(again))


def withdraw(act: Act, registration_id: int, reason: str, *, version: int | None = None) -> SchemaWithdrawn:
    _require_all(act.actor)
    why = reason_of(reason)
    row = act.conn.execute(_FIND, {"id": registration_id}).one_or_none()
    if row is None:
        raise NotFound(f"there is no registration {registration_id}; `tieline schemas registrations` lists them")
    if version is not None and version != row.version:
        raise Changed(f"registration {registration_id} was changed since you read it; read it again, then decide")
    if row.withdrawn_at is not None:
        raise CommandRefused(f"{row.withdrawn_by} withdrew registration {registration_id} before")
    now = act.conn.scalar(_WITHDRAW, {"id": registration_id, "now": act.now, "by": act.actor.name, "reason": why})
    act.note(Entry("schema.withdraw", f"schema {row.type}", why, detail={"registration": registration_id}))
    return SchemaWithdrawn(registration_id, int(now or 0))


def acknowledge(act: Act, drift_ids: Sequence[int], reason: str) -> DriftAcknowledged:
    _require_all(act.actor)
    why = reason_of(reason)
    ids = sorted({int(one) for one in texts(drift_ids, most=MOST, what="fields")})
    rows = {row.drift_id: row for row in act.conn.execute(_STRAYS, {"ids": ids})}
    if missing := [one for one in ids if one not in rows]:
        raise NotFound(f"there is no field {missing[0]} that came in anew; nothing was changed")
    if known := [row for row in rows.values() if row.acknowledged_at is not None]:
        raise CommandRefused(f"{known[0].path} of {known[0].type} was acknowledged before; nothing was changed")
    act.conn.execute(_ACKNOWLEDGE, {"ids": ids, "now": act.now, "by": act.actor.name, "reason": why})
    fields: list[dict[str, Any]] = [
        {"drift": row.drift_id, "source": row.source, "type": row.type, "path": row.path, "events": row.events}
        for row in rows.values()
    ]
    subject = f"field {rows[ids[0]].path}" if len(ids) == 1 else f"{len(ids)} fields"
    act.note(Entry("schema.acknowledge", subject, why, detail={"fields": fields[:50]}, items=fields))
    return DriftAcknowledged(tuple(ids))


def _checked(proposed: Proposed) -> Registered:
    try:
        return registration(proposed.type, proposed.schema, proposed.reads_as, proposed.renames)
    except InvalidRegistration as wrong:
        raise InvalidInput(wrong.message) from wrong


def _again(act: Act, known: Registered) -> Again:
    bound = {"type": known.name, "sources": list(act.estate.clms), "most": MOST}
    found = act.conn.execute(_WAITING, bound).all()
    return understood_again(found, estate=act.estate, now=act.now, registered={known.name: known})


def _held(again: Again) -> tuple[StillHeld, ...]:
    return tuple(StillHeld(row.quarantine_id, words) for row, words in again.still)


def _require_all(actor: Actor) -> None:
    """Raises Forbidden: "" is within the reach of those alone who reach every legal entity."""
    actor.require(Permission.SCHEMAS_WRITE, entity="")
