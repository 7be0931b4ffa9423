"""Which policy came into force when: noted and audited by the first worker that starts with it, if no person did it.

That worker also makes due what it decides differently, as far as that is known, and all that is blocked.
"""

from datetime import datetime, timedelta
from typing import Final

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
_UNWOKEN = sa.text("""
    UPDATE core.policy AS p SET woken_at = :now
    WHERE p.policy_id = (SELECT max(policy_id) FROM core.policy) AND p.version = :version AND p.woken_at IS NULL
    RETURNING coalesce((SELECT changed FROM core.policy_proposal AS q WHERE q.proposal_id = p.proposal_id),
                       CAST('{}' AS bigint[])) AS changed
""")
# A little later, when every worker of before has ended; a run that is under way is followed by another.
_DUE = sa.text("""
    UPDATE core.contract SET wanted_rev = wanted_rev + 1, due_at = least(coalesce(due_at, :at), :at)
    WHERE state = 'blocked' OR (contract_id = ANY(:changed) AND state IN ('waiting', 'active', 'suspended'))
""")
_OTHERS_END: Final = timedelta(seconds=5)


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


async def wake(conn: AsyncConnection, version: str, *, now: datetime) -> int:
    """Once for each activation; how many contracts were made due. The caller commits."""
    changed = await conn.scalar(_UNWOKEN, {"version": version, "now": now})
    if changed is None:
        return 0
    return (await conn.execute(_DUE, {"changed": changed, "at": now + _OTHERS_END})).rowcount
