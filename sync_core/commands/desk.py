"""Where commands are carried out: permission, work, audit and idempotency in one transaction.

A command's work runs with an `Act`; what it notes there is appended to the audit as the transaction's last write, so a
command without its audit row, or an audit row without its command, cannot exist.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import orjson
import sqlalchemy as sa

from sync_core.audit import audit
from sync_core.authority import Actor, Permission
from sync_core.clock import Clock
from sync_core.errors import TielineError
from sync_core.estate.estate import Estate
from sync_core.journal.bell import CHANNEL
from sync_core.locks import Lock

T = TypeVar("T")

_log = logging.getLogger(__name__)

REMEMBERED_FOR = timedelta(hours=24)  # how long a repeated Idempotency-Key gets the first answer


class CommandRefused(TielineError):
    """What was asked cannot be done as things are; the message says why and what can."""

    code = "command.refused"


class NotFound(CommandRefused):
    """There is no such thing, or not within the actor's reach: the two are not told apart."""

    code = "command.not_found"


class InvalidInput(CommandRefused):
    """A value of the request cannot be used; the message names it."""

    code = "command.invalid"


class Changed(CommandRefused):
    """Someone changed it since the caller read it: read again, then decide."""

    code = "command.changed"


class KeyReused(CommandRefused):
    """The Idempotency-Key came before with another request; use a new key."""

    code = "idempotency.key_reused"


class KeyInUse(CommandRefused):
    """The first request with this Idempotency-Key still runs; repeat it in a moment."""

    code = "idempotency.in_use"


@dataclass(frozen=True, slots=True)
class Once:
    """An Idempotency-Key with the fingerprint of its request."""

    key: str
    fingerprint: bytes


@dataclass(slots=True)
class Act:
    """One command under way. `conn` is its transaction; the desk commits."""

    conn: sa.Connection
    actor: Actor
    now: datetime
    estate: Estate
    entries: list[audit.Entry] = field(default_factory=list)
    wakes: bool = False  # set it when the command made work due: the workers are told after the commit

    def note(self, entry: audit.Entry) -> None:
        """What the audit shall say of this command."""
        self.entries.append(entry)


_TRY_KEY = sa.text(f"SELECT pg_try_advisory_xact_lock({Lock.ONCE}, hashtext(:name))")
_FIND_KEY = sa.text("""
    SELECT fingerprint, answer FROM core.idempotency WHERE actor = :actor AND key = :key AND created_at > :since
""")
_KEEP_KEY = sa.text("""
    INSERT INTO core.idempotency (actor, key, fingerprint, answer, created_at)
    VALUES (:actor, :key, :fingerprint, :answer, :now)
    ON CONFLICT (actor, key) DO UPDATE
    SET fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at
""")
_NOTIFY = sa.text("SELECT pg_notify(:channel, '')")
_FORGET_KEYS = sa.text("DELETE FROM core.idempotency WHERE created_at < :before")


@dataclass(frozen=True, slots=True)
class Answered:
    """What a command came to, as the JSON that programs get; `repeated`: it was done before under this key."""

    body: bytes
    repeated: bool


class Desk:
    """Safe for many threads; each command is one transaction of `engine` (the application's role)."""

    def __init__(self, engine: sa.Engine, clock: Clock, estate: Estate) -> None:
        self.engine, self.clock, self.estate = engine, clock, estate

    def run(self, actor: Actor, permission: Permission, work: Callable[[Act], T]) -> T:
        """Do `work` and audit it. Raises Forbidden, what `work` raises, and nothing has happened then.

        `permission` is asked for anywhere; the work asks again for the entity and function of what it touches.
        """
        actor.require(permission)
        with self.engine.begin() as conn:
            act = Act(conn, actor, self.clock.now(), self.estate)
            result = work(act)
            _append(act)
        self._wake(act)
        return result

    def run_once(self, actor: Actor, permission: Permission, once: Once | None, work: Callable[[Act], T]) -> Answered:
        """As `run`, for programs: a repeat under the same key gets the first answer and does nothing.

        Raises KeyReused and KeyInUse besides.
        """
        actor.require(permission)
        with self.engine.begin() as conn:
            act = Act(conn, actor, self.clock.now(), self.estate)
            if once is not None and (first := _first_answer(act, once)) is not None:
                return Answered(first, repeated=True)
            body = as_json(work(act))
            if once is not None:
                conn.execute(_KEEP_KEY, {"actor": actor.name, "key": once.key, "fingerprint": once.fingerprint,
                                         "answer": body, "now": act.now})  # fmt: skip
            _append(act)
        self._wake(act)
        return Answered(body, repeated=False)

    def _wake(self, act: Act) -> None:
        if not act.wakes:
            return
        try:
            with self.engine.begin() as conn:
                conn.execute(_NOTIFY, {"channel": CHANNEL})
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as wrong:
            _log.warning("the workers could not be woken, they will find the work by their poll: %s", wrong)


def _first_answer(act: Act, once: Once) -> bytes | None:
    if not act.conn.scalar(_TRY_KEY, {"name": f"{act.actor.name} {once.key}"}):
        raise KeyInUse("the first request with this Idempotency-Key still runs; repeat it in a moment")
    since = act.now - REMEMBERED_FOR
    found = act.conn.execute(_FIND_KEY, {"actor": act.actor.name, "key": once.key, "since": since}).one_or_none()
    if found is None:
        return None
    if bytes(found.fingerprint) != once.fingerprint:
        raise KeyReused("this Idempotency-Key came before with another request; use a new key")
    return bytes(found.answer)


def _append(act: Act) -> None:
    if not act.entries:
        raise RuntimeError("a command ended without an audit entry; note one, or raise CommandRefused")
    audit.append(act.conn, act.actor, act.entries, now=act.now)


def forget_keys(conn: sa.Connection, *, now: datetime) -> int:
    """Delete keys that are no longer remembered; the number deleted. The caller commits."""
    return conn.execute(_FORGET_KEYS, {"before": now - REMEMBERED_FOR}).rowcount


def as_json(result: object) -> bytes:
    """Decimals as texts, times in UTC, enums by value."""
    return orjson.dumps(result, default=_plain, option=orjson.OPT_UTC_Z)


def _plain(value: object) -> object:
    if isinstance(value, frozenset | set):
        return sorted(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)


def texts(given: Sequence[Any], *, most: int, what: str) -> list[Any]:
    """Refuses an empty or endless selection. Raises InvalidInput."""
    if not given:
        raise InvalidInput(f"no {what} was chosen; choose at least one")
    if len(given) > most:
        raise InvalidInput(f"{len(given):,} {what} at once; choose at most {most:,}")
    return list(given)


def reason_of(text: str, *, most: int = 2_000) -> str:
    """A reason that a reader of the audit can use. Raises InvalidInput."""
    reason = " ".join(text.split())
    if len(reason) < 3:
        raise InvalidInput("say why, in at least a few words; the reason is kept in the audit")
    if len(reason) > most:
        raise InvalidInput(f"the reason is longer than {most:,} characters; shorten it")
    return reason
