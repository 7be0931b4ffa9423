"""Tieline's own access tokens: given to clients of `tieline client create` at POST /oauth/token, looked up per call.

A token is 256 random bits; the database keeps SHA-256 of it. It dies with its secret, its client and its hour, and its
scopes and entities are never more than the client has at the moment of the call.
"""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from app.identity.signed_tokens import InvalidToken
from sync_core.authority import Actor, program
from sync_core.clock import Clock
from sync_core.commands.access import secret_hash

TOKEN_PREFIX: Final = "tlt_"  # noqa: S105
VALID_FOR: Final = timedelta(hours=1)

_SECRETS = sa.text("""
    SELECT c.client_id, c.scopes, s.secret_id, s.secret_hash
    FROM core.api_client AS c JOIN core.api_client_secret AS s USING (client_id)
    WHERE c.client_id = :client_id AND c.disabled_at IS NULL AND s.revoked_at IS NULL
""")
_EXISTS = sa.text("SELECT EXISTS (SELECT FROM core.api_client WHERE client_id = :client_id)")
_INSERT_TOKEN = sa.text("""
    INSERT INTO core.api_token (token_hash, client_id, secret_id, scopes, issued_at, expires_at)
    VALUES (:token_hash, :client_id, :secret_id, CAST(:scopes AS text[]), :now, :expires_at)
""")
_USED = sa.text("UPDATE core.api_client_secret SET last_used_at = :now WHERE secret_id = :secret_id")
_FIND_TOKEN = sa.text("""
    SELECT c.client_id, c.entities, ARRAY(SELECT unnest(t.scopes) INTERSECT SELECT unnest(c.scopes)) AS scopes
    FROM core.api_token AS t
    JOIN core.api_client AS c USING (client_id) JOIN core.api_client_secret AS s USING (secret_id)
    WHERE t.token_hash = :token_hash AND t.expires_at > :now AND c.disabled_at IS NULL AND s.revoked_at IS NULL
""")
_FORGET = sa.text("DELETE FROM core.api_token WHERE expires_at < :now")


class InvalidClient(Exception):
    """Unknown client, wrong or revoked secret, or disabled: not told apart."""


class InvalidScope(Exception):
    """More was asked for than the client has."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A new access token: the only time that it can be read."""

    token: str
    scopes: tuple[str, ...]
    expires_in_s: int


class ApiTokens:
    """Safe for many threads; each call is one transaction."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def is_client(self, client_id: str) -> bool:
        """Whether there is or was one of this name."""
        if not client_id.isprintable():  # PostgreSQL takes no U+0000
            return False
        with self._engine.connect() as conn:
            return bool(conn.scalar(_EXISTS, {"client_id": client_id}))

    def issue(self, client_id: str, secret: str, scope: str) -> Issued:
        """`scope`: names with spaces between, "" for all that the client has. Raises InvalidClient, InvalidScope."""
        if not client_id.isprintable():
            raise InvalidClient
        with self._engine.begin() as conn:
            now = self._clock.now()
            rows = conn.execute(_SECRETS, {"client_id": client_id}).all()
            row = _matching(rows, secret)
            asked = tuple(dict.fromkeys(scope.split())) or tuple(row.scopes)
            if not frozenset(asked) <= frozenset(row.scopes):
                raise InvalidScope
            token = f"{TOKEN_PREFIX}{secrets.token_urlsafe(32)}"
            values = {"token_hash": secret_hash(token), "client_id": row.client_id, "secret_id": row.secret_id}
            conn.execute(_INSERT_TOKEN, values | {"scopes": list(asked), "now": now, "expires_at": now + VALID_FOR})
            conn.execute(_USED, {"secret_id": row.secret_id, "now": now})
        return Issued(token, asked, int(VALID_FOR.total_seconds()))

    def reads(self, token: str) -> bool:
        return token.startswith(TOKEN_PREFIX)

    def actor_of(self, token: str) -> Actor:
        """Raises InvalidToken."""
        with self._engine.connect() as conn:
            row = conn.execute(_FIND_TOKEN, {"token_hash": secret_hash(token), "now": self._clock.now()}).one_or_none()
        if row is None:
            raise InvalidToken("the access token is unknown, has expired or was taken back")
        return program(row.client_id, row.scopes, entities=None if row.entities is None else frozenset(row.entities))


def forget_tokens(conn: sa.Connection, *, now: datetime) -> int:
    """Delete those that have expired; the number deleted. The caller commits."""
    return conn.execute(_FORGET, {"now": now}).rowcount


def _matching(rows: Sequence[sa.Row[tuple[object, ...]]], secret: str) -> sa.Row[tuple[object, ...]]:
    given, found = secret_hash(secret), None
    # Every secret is compared, and each in constant time: the answer's delay says nothing about how near a guess was.
    for row in rows:
        if hmac.compare_digest(bytes(row.secret_hash), given):
            found = row
    if found is None:
        raise InvalidClient
    return found
