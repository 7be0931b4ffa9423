"""Who may get in: the programs with their secrets, and the people who are signed in. For administrators."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from sync_core.reads.scope import Entities, bound

# A client without a limit is seen only by whoever has none.
_CLIENTS = sa.text("""
    SELECT client_id, description, scopes, entities, created_by, created_at, disabled_at, version
    FROM core.api_client
    WHERE CAST(:entities AS text[]) IS NULL OR entities <@ CAST(:entities AS text[])
    ORDER BY client_id
""")
_SECRETS = sa.text("""
    SELECT secret_id, client_id, created_at, last_used_at FROM core.api_client_secret
    WHERE revoked_at IS NULL AND client_id = ANY(CAST(:client_ids AS text[])) ORDER BY secret_id
""")
_SESSIONS = sa.text("""
    SELECT session_id, email, grants, issuer, created_at, last_seen_at, expires_at FROM core.session
    WHERE revoked_at IS NULL AND expires_at > :now ORDER BY last_seen_at DESC, session_id
""")


@dataclass(frozen=True, slots=True)
class Secret:
    """A valid secret, without the secret."""

    secret_id: int
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class ApiClient:
    """A program that may get tokens. `entities` None: every one."""

    client_id: str
    description: str
    scopes: tuple[str, ...]
    entities: tuple[str, ...] | None
    created_by: str
    created_at: datetime
    disabled_at: datetime | None
    version: int
    secrets: tuple[Secret, ...]


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that has neither ended nor been ended; it may have grown idle."""

    session_id: int
    email: str
    grants: tuple[str, ...]
    issuer: str | None  # None: by a one-time link
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime


def clients(conn: sa.Connection, entities: Entities) -> tuple[ApiClient, ...]:
    """By name, all of them."""
    rows = conn.execute(_CLIENTS, bound(entities)).all()
    secrets: dict[str, list[Secret]] = {}
    for row in conn.execute(_SECRETS, {"client_ids": [row.client_id for row in rows]}):
        secrets.setdefault(row.client_id, []).append(Secret(row.secret_id, row.created_at, row.last_used_at))
    return tuple(
        ApiClient(
            row.client_id,
            row.description,
            tuple(row.scopes),
            None if row.entities is None else tuple(row.entities),
            row.created_by,
            row.created_at,
            row.disabled_at,
            row.version,
            tuple(secrets.get(row.client_id, ())),
        )
        for row in rows
    )


def sessions(conn: sa.Connection, *, now: datetime) -> tuple[OpenSession, ...]:
    """Last seen first, all of them."""
    return tuple(
        OpenSession(
            row.session_id,
            row.email,
            tuple(row.grants),
            row.issuer,
            row.created_at,
            row.last_seen_at,
            row.expires_at,
        )
        for row in conn.execute(_SESSIONS, {"now": now})
    )
