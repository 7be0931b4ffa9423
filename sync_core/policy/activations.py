"""Which policy came into force when: noted and audited by the first worker that starts with it, if no person did it.

That worker also makes due what it decides differently, as far as that is known, and all that is blocked.
"""

from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sync_core.audit import audit
from sync_core.audit.audit import Entry
from sync_core.authority import SYSTEM
from sync_core.locks import Lock

# Workers that start together would each see the version before.
_ONE_AT_A_TIME = sa.text(f"SELECT pg_advisory_xact_lock({Lock.POLICY}, 1)")
_LATEST = sa.text("SELECT version FROM core.policy ORDER BY policy_id DESC LIMIT 1")
_ACTIVATED = sa.text("SELECT body FROM core.policy WHERE proposal_id IS NOT NULL ORDER BY policy_id DESC LIMIT 1")
_NOTE = sa.text("""
    INSERT INTO core.policy (version, body, estate, activated_at, activated_by)
    VALUES (:version, :body, :estate, :now, :by)
""")
_UNWOKEN = sa.text("""
    UPDATE core.policy AS p SET woken_at = :now
    WHERE p.policy_id = (SELECT max(policy_id) FROM core.policy) AND p.version = :version AND p.woken_at IS NULL
    RETURNING coalesce((SELECT changed FROM core.policy_proposal AS q WHERE q.proposal_id = p.proposal_id),
                       CAST('{}' AS bigint[])) AS changed,
              (SELECT proposed_at FROM core.policy_proposal AS q WHERE q.proposal_id = p.proposal_id) AS tested_at
""")
# A little later, when every worker of before has ended; a run that is under way is followed by another. What was signed
# after the back-test is in none, so all of it looks again. Locked in the order in which everybody locks contracts.
_DUE = sa.text("""
    WITH ours AS MATERIALIZED (
        SELECT contract_id FROM core.contract
        WHERE state = 'blocked' OR (state IN ('waiting', 'active', 'suspended') AND (
            contract_id = ANY(:changed) OR signed_at > CAST(:tested_at AS timestamptz)))
        ORDER BY source, external_id FOR UPDATE
    )
    UPDATE core.contract AS c SET wanted_rev = c.wanted_rev + 1, due_at = least(coalesce(c.due_at, :at), :at)
    FROM ours WHERE c.contract_id = ours.contract_id
""")
_OTHERS_END: Final = timedelta(seconds=5)


async def note(conn: AsyncConnection, version: str, body: str, *, estate: str, now: datetime) -> bool:
    """Whether `version` is not the one in force until now. `estate`: digest of a stored estate. The caller commits.

    What people activated stands above `body`: a worker that began before they did has nothing to note.
    """
    await conn.execute(_ONE_AT_A_TIME)
    activated = await conn.scalar(_ACTIVATED)
    if activated is not None and activated != body:
        return False
    before = await conn.scalar(_LATEST)
    if before == version:
        return False
    await conn.execute(_NOTE, {"version": version, "body": body, "estate": estate, "now": now, "by": SYSTEM.name})
    entry = Entry("policy.activate", f"policy {version}", detail={"before": before, "after": version, "estate": estate})
    await conn.run_sync(lambda sync: audit.append(sync, SYSTEM, [entry], now=now))
    return True


async def wake(conn: AsyncConnection, version: str, *, now: datetime) -> int:
    """Once for each activation; how many contracts were made due. The caller commits, with nothing else."""
    row = (await conn.execute(_UNWOKEN, {"version": version, "now": now})).one_or_none()
    if row is None:
        return 0
    bound = {"changed": row.changed, "tested_at": row.tested_at, "at": now + _OTHERS_END}
    return (await conn.execute(_DUE, bound)).rowcount
