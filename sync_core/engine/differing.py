"""What the watch saw a CLM say otherwise than its own events: a task of each run until the watch no longer sees it."""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sync_core.errors import ErrorClass, Function
from sync_core.findings import Finding
from sync_core.keys import ContractId

_LONGEST = 2_000

_DIFFERING = sa.text("""
    SELECT contract_id, words FROM core.drift
    WHERE closed_at IS NULL AND contract_id = ANY(:ids) AND kind = 'contract' AND stands = 'owner'
    ORDER BY contract_id, drift_id
""")


async def differing(conn: AsyncConnection, ids: Sequence[ContractId]) -> dict[ContractId, str]:
    """Of these contracts, in one statement: in words what the CLM says otherwise."""
    told: dict[ContractId, list[str]] = {}
    for row in await conn.execute(_DIFFERING, {"ids": list(ids)}):
        told.setdefault(ContractId(row.contract_id), []).append(row.words)
    return {number: "; ".join(dict.fromkeys(words))[:_LONGEST] for number, words in told.items()}


def tasks(words: str | None) -> Iterator[Finding]:
    if words:
        yield Finding(ErrorClass.OWNERSHIP_CONFLICT, "clm_differs", Function.LEGAL, words)
