"""What becomes of sign-ins when nobody looks: refusals summed up for the audit, and what expired forgotten."""

from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.identity.api_tokens import forget_tokens
from app.identity.links import forget_links
from app.identity.login_attempts import forget_attempts
from app.identity.refusal_counts import sum_up
from app.identity.sessions import erase_id_tokens, forget_sessions
from sync_core.clock import Clock
from sync_core.commands.desk import forget_keys

EVERY: Final = timedelta(minutes=1)
_KEEP_SIGN_INS: Final = timedelta(days=90)


async def tidy(engine: AsyncEngine, clock: Clock) -> str:
    """Each minute: one audit row for each kind of refusal; expired tokens, sign-ins and idempotency keys go."""
    async with engine.begin() as conn:
        rows, gone = await conn.run_sync(_tidy, clock.now())
    return f"{rows} refusals audited, {gone} expired records forgotten"


def _tidy(conn: sa.Connection, now: datetime) -> tuple[int, int]:
    gone = forget_attempts(conn, now=now) + forget_tokens(conn, now=now) + forget_keys(conn, now=now)
    gone += erase_id_tokens(conn, now=now)
    return sum_up(conn, now=now), gone


def forget_sign_ins(conn: sa.Connection, *, now: datetime) -> int:
    """Sessions and links that ended long ago; the number deleted. The caller commits."""
    before = now - _KEEP_SIGN_INS
    return forget_links(conn, before=before) + forget_sessions(conn, before=before)
