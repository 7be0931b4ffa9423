"""Sessions of the dashboard: who is signed in, until when, and how that ends.

A session is 256 random bits in a cookie; the database keeps SHA-256 of it, so a stolen backup opens nothing. It is a
row: ending it acts within `CACHE_FOR` in this process and in every other. It ends by itself at its own end, and once
its person has done nothing for a while.
"""

import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

import sqlalchemy as sa

from sync_core.audit import audit
from sync_core.authority import Actor, person
from sync_core.clock import Clock
from sync_core.commands.access import secret_hash

CACHE_FOR: Final = timedelta(seconds=1)
_SEEN_EVERY: Final = timedelta(minutes=1)
_CACHE_LIMIT: Final = 10_000

INSERT_SESSION = sa.text("""
    INSERT INTO core.session (session_hash, email, grants, issuer, subject, idp_session, id_token, created_at,
                              last_seen_at, expires_at)
    VALUES (:session_hash, :email, CAST(:grants AS text[]), :issuer, :subject, :idp_session, :id_token, :now, :now,
            :expires_at)
""")
# With a provider in the estate, a session that a one-time link began before is no session any more.
READ_SESSION = sa.text("""
    SELECT email, grants FROM core.session
    WHERE session_hash = :session_hash AND revoked_at IS NULL AND expires_at > :now AND last_seen_at > :idle_since
        AND (CAST(:issuer AS text) IS NULL OR issuer = :issuer)
""")
TOUCH_SESSION = sa.text("""
    UPDATE core.session SET last_seen_at = :now
    WHERE session_hash = :session_hash AND last_seen_at < :now AND last_seen_at > :idle_since
""")
# The lock lets one of two sign-outs read the id token, which the provider's sign-out page wants back.
END_SESSION = sa.text("""
    WITH live AS (
        SELECT session_hash, email, grants, issuer, id_token FROM core.session
        WHERE session_hash = :session_hash AND revoked_at IS NULL FOR UPDATE
    )
    UPDATE core.session AS s SET revoked_at = :now, id_token = NULL FROM live
    WHERE s.session_hash = live.session_hash RETURNING live.email, live.grants, live.issuer, live.id_token
""")
# Sessions younger than the provider's notice stay: a notice that is sent again later ends nothing new.
END_OF_PROVIDER = sa.text("""
    UPDATE core.session SET revoked_at = :now, id_token = NULL
    WHERE issuer = :issuer AND revoked_at IS NULL AND created_at <= :before
        AND (CAST(:subject AS text) IS NULL OR subject = :subject)
        AND (CAST(:idp_session AS text) IS NULL OR idp_session = :idp_session)
    RETURNING session_id, email
""")
ERASE_ID_TOKENS = sa.text("UPDATE core.session SET id_token = NULL WHERE id_token IS NOT NULL AND expires_at <= :now")
# Kept a while after their end so that "who was signed in" can be answered; then nothing needs them.
FORGET_SESSIONS = sa.text("DELETE FROM core.session WHERE expires_at < :before")


@dataclass(frozen=True)
class Person:
    """A signed-in person with the grants that they had when they signed in, as texts."""

    email: str
    grants: tuple[str, ...]

    def __post_init__(self) -> None:
        # Both travel in HTTP headers to Streamlit, the grants joined by commas.
        for word in (self.email, *self.grants):
            if not word or not word.isascii() or not word.isprintable() or "," in word:
                raise ValueError(f"{word!r} cannot name a person or role; use printable ASCII without a comma")

    @cached_property
    def actor(self) -> Actor:
        """Raises InvalidGrant."""
        return person(self.email, self.grants)


@dataclass(frozen=True, slots=True)
class Provided:
    """What the identity provider calls this session; kept to end it there and to be told that it ended there."""

    issuer: str
    subject: str
    idp_session: str | None
    id_token: str


@dataclass(frozen=True, slots=True)
class Rules:
    """How long sessions last, and whose they must be."""

    valid_for: timedelta = timedelta(hours=12)
    idle_after: timedelta = timedelta(hours=1)
    issuer: str | None = None  # None: any, one-time links too


@dataclass(frozen=True, slots=True)
class Ended:
    """A session that was just ended by its person."""

    email: str
    issuer: str | None
    id_token: str | None


def start_session(
    conn: sa.Connection, who: Person, *, now: datetime, rules: Rules, provided: Provided | None = None, how: str
) -> str:
    """The secret for the session cookie. The caller has proved who this is, and commits. Audited; `how`: the means."""
    secret = secrets.token_urlsafe(32)
    given = {
        "issuer": provided and provided.issuer,
        "subject": provided and provided.subject,
        "idp_session": provided and provided.idp_session,
        "id_token": provided and provided.id_token,
    }
    values = {"session_hash": secret_hash(secret), "email": who.email, "grants": list(who.grants), "now": now}
    conn.execute(INSERT_SESSION, values | given | {"expires_at": now + rules.valid_for})
    detail = {"how": how, "issuer": given["issuer"], "subject": given["subject"]}
    audit.append(conn, who.actor, [audit.Entry("session.begin", f"person {who.email}", detail=detail)], now=now)
    return secret


def read_session(conn: sa.Connection, secret: str, *, now: datetime, rules: Rules) -> Person | None:
    """The person of a live session; None once it has ended."""
    values = {"session_hash": secret_hash(secret), "now": now, "issuer": rules.issuer}
    row = conn.execute(READ_SESSION, values | {"idle_since": now - rules.idle_after}).one_or_none()
    return Person(row.email, tuple(row.grants)) if row is not None else None


def end_session(conn: sa.Connection, secret: str, *, now: datetime) -> Ended | None:
    """Sign out; None when it has ended already. Audited; the caller commits."""
    row = conn.execute(END_SESSION, {"session_hash": secret_hash(secret), "now": now}).one_or_none()
    if row is None:
        return None
    actor = Person(row.email, tuple(row.grants)).actor
    audit.append(conn, actor, [audit.Entry("session.sign_out", f"person {row.email}")], now=now)
    return Ended(row.email, row.issuer, row.id_token)


def erase_id_tokens(conn: sa.Connection, *, now: datetime) -> int:
    """Of sessions that ended by themselves; the number erased. The caller commits."""
    return conn.execute(ERASE_ID_TOKENS, {"now": now}).rowcount


def forget_sessions(conn: sa.Connection, *, before: datetime) -> int:
    """Delete sessions that expired before a moment; the number deleted. The caller commits."""
    return conn.execute(FORGET_SESSIONS, {"before": before}).rowcount


class Sessions:
    """Sessions of this process: each call is one short transaction, look-ups are remembered for `CACHE_FOR`.

    The dashboard asks for every file it loads, about a hundred on a cold tab; without the memory each would be a query.
    """

    def __init__(self, engine: sa.Engine, clock: Clock, rules: Rules = Rules()) -> None:
        self.engine, self.clock, self.rules = engine, clock, rules
        self._lock = threading.Lock()
        self._known: dict[bytes, tuple[Person, datetime]] = {}
        self._seen: dict[bytes, datetime] = {}

    def remembered(self, secret: str) -> Person | None:
        """The person if asked a moment ago; never touches the database, so an event loop may call it."""
        with self._lock:
            who, until = self._known.get(secret_hash(secret), (None, None))
        return who if until is not None and self.clock.now() < until else None

    def find(self, secret: str) -> Person | None:
        """The person of a live session, at most `CACHE_FOR` late about its end."""
        if (who := self.remembered(secret)) is not None:
            return who
        now = self.clock.now()
        with self.engine.connect() as conn:
            who = read_session(conn, secret, now=now, rules=self.rules)
        self._remember(secret_hash(secret), who, now)
        return who

    def is_seen(self, secret: str) -> bool:
        """Whether `see` was called within the last minute and would do nothing now."""
        with self._lock:
            seen = self._seen.get(secret_hash(secret))
        return seen is not None and self.clock.now() - seen < _SEEN_EVERY

    def see(self, secret: str) -> None:
        """The person does something: the session is not idle. Written about once a minute."""
        if self.is_seen(secret):
            return
        key, now = secret_hash(secret), self.clock.now()
        with self._lock:
            if len(self._seen) >= _CACHE_LIMIT:
                self._seen = {known: at for known, at in self._seen.items() if now - at < _SEEN_EVERY}
            self._seen[key] = now
        with self.engine.begin() as conn:
            values = {"session_hash": key, "now": now, "idle_since": now - self.rules.idle_after}
            conn.execute(TOUCH_SESSION, values)

    def end(self, secret: str) -> Ended | None:
        """Sign out, here at once and elsewhere within `CACHE_FOR`."""
        with self.engine.begin() as conn:
            ended = end_session(conn, secret, now=self.clock.now())
        with self._lock:
            self._known.pop(secret_hash(secret), None)
        return ended

    def _remember(self, key: bytes, who: Person | None, now: datetime) -> None:
        with self._lock:
            if len(self._known) >= _CACHE_LIMIT:
                self._known = {known: entry for known, entry in self._known.items() if entry[1] > now}
            # Strangers are not remembered: made-up cookies would fill the memory.
            if who is None:
                self._known.pop(key, None)
            else:
                self._known[key] = (who, now + CACHE_FOR)


def roles_header(grants: Sequence[str]) -> str:
    """Grants as one header value; `roles_of` reads it back."""
    return ",".join(grants)


def roles_of(header: str | None) -> tuple[str, ...]:
    """The inverse of `roles_header`."""
    return tuple(grant for grant in (header or "").split(",") if grant)
