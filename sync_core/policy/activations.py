"""Which policy came into force when: noted and audited by the first worker that starts with it."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sync_core import audit
from sync_core.audit import Entry
from sync_core.authority import SYSTEM
from sync_core.locks import Lock

# Workers that start together would each see the version before.
_ONE_AT_A_TIME = sa.text(f"SELECT pg_advisory_xact_lock({Lock.POLICY}, 1)")
_LATEST = sa.text("SELECT version FROM core.policy ORDER BY policy_id DESC LIMIT 1")
_NOTE = sa.text("""
    INSERT INTO core.policy (version, body, estate, activated_at, activated_by)
    VALUES (:version, :body, :estate, :now, :by)
""")


async def note(conn: AsyncConnection, version: str, body: str, *, estate: str, now: datetime) -> bool:
    """Whether `version` is not the one in force until now. `estate`: digest of a stored estate. The caller commits."""
    await conn.execute(_ONE_AT_A_TIME)
    before = await conn.scalar(_LATEST)
    if before == version:
        return False
    await conn.execute(_NOTE, {"version": version, "body": body, "estate": estate, "now": now, "by": SYSTEM.name})
    entry = Entry("policy.activate", f"policy {version}", detail={"before": before, "after": version, "estate": estate})
    await conn.run_sync(lambda sync: audit.append(sync, SYSTEM, [entry], now=now))
    return True
