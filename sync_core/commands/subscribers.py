"""Subscribers of outgoing events: hold one back, let it go on, send again from a moment, and try whether it listens.

Who they are is the estate's matter; here is only where they stand. Each command takes the subscriber away from the
worker that serves it, so nothing that was under way can move its place afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
import sqlalchemy as sa

from sync_core.audit.audit import Entry
from sync_core.authority import Actor, Permission
from sync_core.commands import words
from sync_core.commands.desk import Act, Changed, CommandRefused, Desk, InvalidInput, NotFound
from sync_core.delivery.announce import LOCK
from sync_core.delivery.messages import PING
from sync_core.delivery.send_sql import DECLARE

COMMANDS: Final[Mapping[str, Permission]] = {
    "pause": Permission.SUBSCRIBERS_WRITE,
    "resume": Permission.SUBSCRIBERS_WRITE,
    "replay_from": Permission.SUBSCRIBERS_WRITE,
    "test": Permission.SUBSCRIBERS_WRITE,
}

_LOCK = sa.text("""
    SELECT name, sent_seq, paused_by, paused_at, version, (SELECT coalesce(max(seq), 0) FROM core.outgoing) AS head
    FROM core.subscriber WHERE name = :name FOR UPDATE
""")
_TAKEN = "version = version + 1, lease_token = lease_token + 1, lease_until = NULL"
_PAUSE = sa.text(f"""
    UPDATE core.subscriber SET paused_by = :actor, paused_at = :now, pause_reason = :reason, {_TAKEN}
    WHERE name = :name RETURNING version
""")
_RESUME = sa.text(f"""
    UPDATE core.subscriber SET paused_by = NULL, paused_at = NULL, pause_reason = NULL, failures = 0, next_at = NULL,
           {_TAKEN}
    WHERE name = :name RETURNING version
""")
_PLACE = sa.text(f"""
    UPDATE core.subscriber SET sent_seq = :seq, failures = 0, next_at = NULL, {_TAKEN}
    WHERE name = :name RETURNING version
""")
_BEFORE = sa.text("""
    SELECT coalesce((SELECT seq - 1 FROM core.outgoing WHERE recorded_at >= :since ORDER BY recorded_at, seq LIMIT 1),
                    (SELECT coalesce(max(seq), 0) FROM core.outgoing)) AS seq
""")
_PING = sa.text("""
    INSERT INTO core.outgoing (id, type, subject, addressee, legal_entity, severity, occurred_at, recorded_at, data)
    VALUES (replace(CAST(gen_random_uuid() AS text), '-', ''), :type, :subject, :name, '*', 'low', :now, :now,
            CAST(:data AS jsonb))
    RETURNING seq
""")


@dataclass(frozen=True, slots=True)
class SubscriberChanged:
    name: str
    version: int


@dataclass(frozen=True, slots=True)
class SentAgain:
    """`from_seq`: the first event that is sent, if its type and legal entity are the subscriber's."""

    name: str
    from_seq: int
    version: int


@dataclass(frozen=True, slots=True)
class PingQueued:
    """It is delivered when the subscriber's place is at `seq` or behind it; `Reads.subscribers` says so."""

    name: str
    seq: int


class Subscribers:
    """All raise Forbidden, NotFound for one that is not in the estate or beyond the actor's reach, and Changed."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def pause(self, actor: Actor, name: str, reason: str, *, version: int | None = None) -> SubscriberChanged:
        """Nothing is sent until somebody resumes it; what comes meanwhile waits, for ninety days."""
        return self._desk.run(actor, COMMANDS["pause"], lambda act: pause(act, name, reason, version=version))

    def resume(self, actor: Actor, name: str, *, version: int | None = None) -> SubscriberChanged:
        """Go on where it stopped, at once; also for one that waits after failures."""
        return self._desk.run(actor, COMMANDS["resume"], lambda act: resume(act, name, version=version))

    def replay_from(
        self,
        actor: Actor,
        name: str,
        reason: str,
        *,
        seq: int | None = None,
        since: datetime | None = None,
        version: int | None = None,
    ) -> SentAgain:
        """Send all events again from a number or from a moment (aware) on, with their first ids. One of the two."""
        return self._desk.run(
            actor,
            COMMANDS["replay_from"],
            lambda act: replay_from(act, name, reason, seq=seq, since=since, version=version),
        )

    def test(self, actor: Actor, name: str) -> PingQueued:
        """Queue `com.tieline.test.ping.v1` for this subscriber alone; workers send it after what waits already."""
        return self._desk.run(actor, COMMANDS["test"], lambda act: test(act, name))


def pause(act: Act, name: str, reason: str, *, version: int | None = None) -> SubscriberChanged:
    why, row = words.reason(reason), _chosen(act, name, version)
    if row.paused_at is not None:
        raise CommandRefused(f"subscriber {name} is paused already, by {row.paused_by}")
    bound = {"name": name, "actor": act.actor.name, "now": act.now, "reason": why}
    now_at = int(act.conn.execute(_PAUSE, bound).scalar_one())
    act.note(Entry("subscriber.pause", f"subscriber {name}", why, detail={"sent_seq": row.sent_seq}))
    return SubscriberChanged(name, now_at)


def resume(act: Act, name: str, *, version: int | None = None) -> SubscriberChanged:
    row = _chosen(act, name, version)
    now_at = int(act.conn.execute(_RESUME, {"name": name}).scalar_one())
    detail = {"was_paused_by": row.paused_by, "sent_seq": row.sent_seq}
    act.note(Entry("subscriber.resume", f"subscriber {name}", detail=detail))
    return SubscriberChanged(name, now_at)


def replay_from(
    act: Act,
    name: str,
    reason: str,
    *,
    seq: int | None = None,
    since: datetime | None = None,
    version: int | None = None,
) -> SentAgain:
    why = words.reason(reason)
    row = _chosen(act, name, version)
    place = _place(act, row.head, seq, since)
    now_at = int(act.conn.execute(_PLACE, {"name": name, "seq": place}).scalar_one())
    detail = {"from_seq": place + 1, "since": since, "before": row.sent_seq}
    act.note(Entry("subscriber.replay", f"subscriber {name}", why, detail=detail))
    return SentAgain(name, place + 1, now_at)


def test(act: Act, name: str) -> PingQueued:
    row = _chosen(act, name, None)
    if row.paused_at is not None:
        raise CommandRefused(f"subscriber {name} is paused by {row.paused_by}; resume it first")
    act.conn.execute(LOCK)
    # Its page is of no use to anybody, but every event has one.
    data = {"subscriber": name, "by": act.actor.name, "links": {"page": "/"}}
    bound = {"type": PING, "subject": f"subscriber/{name}", "name": name, "now": act.now,
             "data": orjson.dumps(data).decode()}  # fmt: skip
    seq = int(act.conn.execute(_PING, bound).scalar_one())
    act.conn.execute(_PLACE, {"name": name, "seq": row.sent_seq})  # whatever it waited for, it is tried now
    act.note(Entry("subscriber.test", f"subscriber {name}", detail={"seq": seq}))
    return PingQueued(name, seq)


def _chosen(act: Act, name: str, version: int | None) -> sa.Row[Any]:
    declared = act.estate.subscribers.get(name)
    reach = act.actor.entities(Permission.SUBSCRIBERS_WRITE)
    within = reach is None or (declared is not None and declared.entities and reach.issuperset(declared.entities))
    if declared is None or not within:
        raise NotFound(f"there is no subscriber {words.visible(name)[:60]!r}; [[subscriber]] in the estate names them")
    act.conn.execute(DECLARE, {"names": [name]})
    row = act.conn.execute(_LOCK, {"name": name}).one()
    if version is not None and row.version != version:
        raise Changed(f"subscriber {name} was changed since you read it; look at it again, then decide")
    return row


def _place(act: Act, head: int, seq: int | None, since: datetime | None) -> int:
    if (seq is None) == (since is None):
        raise InvalidInput("say from where: a number of an event or a moment, one of the two")
    if since is not None:
        if since.tzinfo is None:
            raise InvalidInput("the moment has no time zone; give one, such as 2026-11-23T06:00:00Z")
        return int(act.conn.execute(_BEFORE, {"since": since}).scalar_one())
    if seq is None or not 1 <= seq <= head + 1:
        raise InvalidInput(f"event {seq} is not there; the newest is {head}")
    return seq - 1
