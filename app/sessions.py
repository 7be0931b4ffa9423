"""Who may open the dashboard: one-time links, and the sessions they start.

A link or session is 256 random bits that only its holder has; the database keeps SHA-256 of it, so a stolen backup
opens nothing. A link works once, whatever arrives at the same time. A session is a row: revoking it acts within
`CACHE_FOR` in this process and in every other.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from sync_core.clock import Clock

CACHE_FOR = timedelta(seconds=2)
LINK_VALID_FOR = timedelta(hours=1)
SESSION_VALID_FOR = timedelta(hours=12)
_SEEN_EVERY = timedelta(minutes=1)
_CACHE_LIMIT = 10_000

INSERT_LINK = sa.text("""
    INSERT INTO core.login_link (token_hash, email, roles, expires_at)
    VALUES (:token_hash, :email, CAST(:roles AS text[]), :expires_at)
""")

# The row lock of the UPDATE makes the link one-time: of two requests the second sees used_at set.
USE_LINK = sa.text("""
    UPDATE core.login_link SET used_at = :now
    WHERE token_hash = :token_hash AND used_at IS NULL AND expires_at > :now
    RETURNING token_hash, email, roles
""")

INSERT_SESSION = sa.text("""
    INSERT INTO core.session (session_hash, email, roles, created_at, last_seen_at, expires_at)
    VALUES (:session_hash, :email, CAST(:roles AS text[]), :now, :now, :expires_at)
""")

READ_SESSION = sa.text("""
    SELECT session_hash, email, roles, last_seen_at FROM core.session
    WHERE session_hash = :session_hash AND revoked_at IS NULL AND expires_at > :now
""")

TOUCH_SESSION = sa.text("UPDATE core.session SET last_seen_at = :now WHERE session_hash = :session_hash")

REVOKE_SESSION = sa.text("""
    UPDATE core.session SET revoked_at = :now WHERE session_hash = :session_hash AND revoked_at IS NULL
""")

REVOKE_SESSIONS_OF = sa.text("""
    UPDATE core.session SET revoked_at = :now WHERE email = :email AND revoked_at IS NULL
""")

# Kept a while after their end so that "who was signed in" can be answered; then nothing needs them.
FORGET_LINKS = sa.text("DELETE FROM core.login_link WHERE expires_at < :before")
FORGET_SESSIONS = sa.text("DELETE FROM core.session WHERE expires_at < :before")


@dataclass(frozen=True, slots=True)
class Identity:
    """A signed-in person, as given when the link was made."""

    email: str
    roles: tuple[str, ...]

    def __post_init__(self) -> None:
        # Both travel in HTTP headers to Streamlit, the roles joined by commas.
        for word in (self.email, *self.roles):
            if not word or not word.isascii() or not word.isprintable() or "," in word:
                raise ValueError(f"{word!r} cannot name a person or role; use printable ASCII without a comma")


def create_link(
    conn: sa.Connection, identity: Identity, *, now: datetime, valid_for: timedelta = LINK_VALID_FOR
) -> str:
    """The token for `/enter?t=`. It is shown once and cannot be read back. The caller commits."""
    token = secrets.token_urlsafe(32)
    values = {"token_hash": _hash(token), "email": identity.email, "roles": list(identity.roles)}
    conn.execute(INSERT_LINK, values | {"expires_at": now + valid_for})
    return token


def redeem_link(
    conn: sa.Connection, token: str, *, now: datetime, valid_for: timedelta = SESSION_VALID_FOR
) -> str | None:
    """Use the link up and start a session: its secret, or None for a link that is unknown, used or expired."""
    row = conn.execute(USE_LINK, {"token_hash": _hash(token), "now": now}).one_or_none()
    if row is None or not hmac.compare_digest(bytes(row.token_hash), _hash(token)):
        return None
    return start_session(conn, Identity(row.email, tuple(row.roles)), now=now, valid_for=valid_for)


def start_session(
    conn: sa.Connection, identity: Identity, *, now: datetime, valid_for: timedelta = SESSION_VALID_FOR
) -> str:
    """The secret for the session cookie. The caller has proved who this is, and commits."""
    secret = secrets.token_urlsafe(32)
    values = {"session_hash": _hash(secret), "email": identity.email, "roles": list(identity.roles)}
    conn.execute(INSERT_SESSION, values | {"now": now, "expires_at": now + valid_for})
    return secret


def read_session(conn: sa.Connection, secret: str, *, now: datetime) -> Identity | None:
    """The person of a live session; None once revoked or expired. Notes about once a minute that it was seen."""
    row = conn.execute(READ_SESSION, {"session_hash": _hash(secret), "now": now}).one_or_none()
    if row is None or not hmac.compare_digest(bytes(row.session_hash), _hash(secret)):
        return None
    if now - row.last_seen_at >= _SEEN_EVERY:
        conn.execute(TOUCH_SESSION, {"session_hash": _hash(secret), "now": now})
    return Identity(row.email, tuple(row.roles))


def revoke_session(conn: sa.Connection, secret: str, *, now: datetime) -> None:
    """End one session (sign out). Ending an ended one changes nothing."""
    conn.execute(REVOKE_SESSION, {"session_hash": _hash(secret), "now": now})


def revoke_sessions_of(conn: sa.Connection, email: str, *, now: datetime) -> int:
    """End every session of a person (leaver, lost laptop); the number ended."""
    return conn.execute(REVOKE_SESSIONS_OF, {"email": email, "now": now}).rowcount


def forget(conn: sa.Connection, *, before: datetime) -> int:
    """Delete links and sessions that expired before a moment; the number deleted."""
    links = conn.execute(FORGET_LINKS, {"before": before}).rowcount
    return links + conn.execute(FORGET_SESSIONS, {"before": before}).rowcount


class Sessions:
    """Sessions of this process: each call is one short transaction, look-ups are remembered for `CACHE_FOR`.

    The dashboard asks for every file it loads, about a hundred on a cold tab; without the memory each would be a query.
    """

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[bytes, tuple[Identity, datetime]] = {}

    def redeem(self, token: str) -> str | None:
        """See `redeem_link`."""
        with self._engine.begin() as conn:
            return redeem_link(conn, token, now=self._clock.now())

    def remembered(self, secret: str) -> Identity | None:
        """The person if asked a moment ago; never touches the database, so an event loop may call it."""
        with self._lock:
            identity, until = self._known.get(_hash(secret), (None, None))
        return identity if until is not None and self._clock.now() < until else None

    def find(self, secret: str) -> Identity | None:
        """The person of a live session, at most `CACHE_FOR` late about its end."""
        if (identity := self.remembered(secret)) is not None:
            return identity
        now = self._clock.now()
        with self._engine.begin() as conn:
            identity = read_session(conn, secret, now=now)
        self._remember(_hash(secret), identity, now)
        return identity

    def revoke(self, secret: str) -> None:
        """End the session, here at once and elsewhere within `CACHE_FOR`."""
        with self._engine.begin() as conn:
            revoke_session(conn, secret, now=self._clock.now())
        with self._lock:
            self._known.pop(_hash(secret), None)

    def _remember(self, key: bytes, identity: Identity | None, now: datetime) -> None:
        with self._lock:
            if len(self._known) >= _CACHE_LIMIT:
                self._known = {known: entry for known, entry in self._known.items() if entry[1] > now}
            # Strangers are not remembered: made-up cookies would fill the memory.
            if identity is None:
                self._known.pop(key, None)
            else:
                self._known[key] = (identity, now + CACHE_FOR)


def roles_header(roles: Sequence[str]) -> str:
    """Roles as one header value; `roles_of` reads it back."""
    return ",".join(roles)


def roles_of(header: str | None) -> tuple[str, ...]:
    """The inverse of `roles_header`."""
    return tuple(role for role in (header or "").split(",") if role)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
