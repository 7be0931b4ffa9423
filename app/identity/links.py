"""One-time links: how people get into a Tieline that has no identity provider, that is, a trial or the demo.

A link is 256 random bits that only its holder has; the database keeps SHA-256 of it. It works once, whatever arrives at
the same time.
"""

import secrets
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from app.identity.sessions import Person
from sync_core.audit import audit
from sync_core.authority import Actor
from sync_core.commands.access import secret_hash

LINK_VALID_FOR: Final = timedelta(hours=1)
# Whoever prints a link on this machine may do everything there.
OPERATOR: Final = Person("operator@localhost", ("administrator", "operator", "approver", "auditor", "executive"))

INSERT_LINK = sa.text("""
    INSERT INTO core.login_link (token_hash, email, grants, expires_at)
    VALUES (:token_hash, :email, CAST(:grants AS text[]), :expires_at)
""")
# The row lock of the UPDATE makes the link one-time: of two requests the second sees used_at set.
USE_LINK = sa.text("""
    UPDATE core.login_link SET used_at = :now
    WHERE token_hash = :token_hash AND used_at IS NULL AND expires_at > :now
    RETURNING email, grants
""")
# Kept a while after its end so that "who was let in" can be answered; then nothing needs it.
FORGET_LINKS = sa.text("DELETE FROM core.login_link WHERE expires_at < :before")


def create_link(
    conn: sa.Connection, person: Person, *, by: Actor, now: datetime, valid_for: timedelta = LINK_VALID_FOR
) -> str:
    """The token for `/enter?t=`. It is shown once and cannot be read back. Audited as `by`'s; the caller commits."""
    token = secrets.token_urlsafe(32)
    values = {"token_hash": secret_hash(token), "email": person.email, "grants": list(person.grants)}
    conn.execute(INSERT_LINK, values | {"expires_at": now + valid_for})
    detail = {"grants": person.grants, "expires_at": now + valid_for}
    audit.append(conn, by, [audit.Entry("link.create", f"person {person.email}", detail=detail)], now=now)
    return token


def redeem_link(conn: sa.Connection, token: str, *, now: datetime) -> Person | None:
    """Use the link up: its person, or None for a link that is unknown, used or expired. The caller commits."""
    row = conn.execute(USE_LINK, {"token_hash": secret_hash(token), "now": now}).one_or_none()
    return Person(row.email, tuple(row.grants)) if row is not None else None


def forget_links(conn: sa.Connection, *, before: datetime) -> int:
    """Delete links that expired before a moment; the number deleted. The caller commits."""
    return conn.execute(FORGET_LINKS, {"before": before}).rowcount
