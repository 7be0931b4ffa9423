"""Sign-ins on their way through the identity provider: ten minutes, once, and only in the browser that began them.

The browser keeps one random cookie; nonce and PKCE verifier are made from it and the state, so the database holds
nothing that would let anyone finish the sign-in, and two tabs can sign in at once.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from sync_core.commands.access import secret_hash

VALID_FOR: Final = timedelta(minutes=10)

_BEGIN = sa.text("""
    INSERT INTO core.login_attempt (state_hash, browser_hash, return_to, created_at, expires_at)
    VALUES (:state_hash, :browser_hash, :return_to, :now, :expires_at)
""")
# The delete is what makes it single-use: of two callbacks at once one gets the row.
_USE = sa.text("""
    DELETE FROM core.login_attempt
    WHERE state_hash = :state_hash AND browser_hash = :browser_hash AND expires_at > :now
    RETURNING return_to, created_at
""")
_FORGET = sa.text("DELETE FROM core.login_attempt WHERE expires_at < :now")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to the provider and back."""

    state: str
    nonce: str
    verifier: str  # of PKCE, RFC 7636
    return_to: str
    begun_at: datetime

    @property
    def challenge(self) -> str:
        """S256 of the verifier."""
        return _text(hashlib.sha256(self.verifier.encode()).digest())


def new_browser() -> str:
    """The value of the cookie that binds attempts to a browser."""
    return secrets.token_urlsafe(32)


def begin(conn: sa.Connection, browser: str, *, return_to: str, now: datetime) -> Attempt:
    """`return_to` is a path of ours. The caller commits."""
    state = secrets.token_urlsafe(32)
    values = {"state_hash": secret_hash(state), "browser_hash": secret_hash(browser), "return_to": return_to}
    conn.execute(_BEGIN, values | {"now": now, "expires_at": now + VALID_FOR})
    return _attempt(browser, state, return_to, now)


def use(conn: sa.Connection, browser: str, state: str, *, now: datetime) -> Attempt | None:
    """None for a state that is unknown, used, late, or another browser's. The caller commits."""
    values = {"state_hash": secret_hash(state), "browser_hash": secret_hash(browser), "now": now}
    row = conn.execute(_USE, values).one_or_none()
    return None if row is None else _attempt(browser, state, row.return_to, row.created_at)


def forget_attempts(conn: sa.Connection, *, now: datetime) -> int:
    """Delete those that nobody finished; the number deleted. The caller commits."""
    return conn.execute(_FORGET, {"now": now}).rowcount


def local_path(asked: str) -> str:
    """A path of this site to go on to after the sign-in; "/" for anything that could lead elsewhere."""
    plain = asked.isascii() and asked.isprintable() and "\\" not in asked and len(asked) <= 2_000
    return asked if plain and asked.startswith("/") and not asked.startswith("//") else "/"


def _attempt(browser: str, state: str, return_to: str, begun_at: datetime) -> Attempt:
    nonce, verifier = (_made(browser, f"{what} {state}") for what in ("nonce", "verifier"))
    return Attempt(state, nonce, verifier, return_to, begun_at)


def _made(browser: str, of: str) -> str:
    return _text(hmac.digest(browser.encode(), of.encode(), "sha256"))


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
