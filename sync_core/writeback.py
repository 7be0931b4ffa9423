"""Write-back: tells each CLM what became of its contracts, in bulk, without holding a row while it is told.

A contract to report has `writeback_at` set. It is claimed by moving that time ahead, committed, then sent; at last
the time is cleared where it is still the claim's. A state that changes in between sets another time, so the newer
state is sent next. A crash repeats what was sent, which replaces it with the same.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import Clock
from sync_core.errors import ClmError
from sync_core.keys import ExternalId
from sync_core.ports import ClmConnector, WriteBack

log = logging.getLogger(__name__)

CLAIM_FOR = timedelta(seconds=60)  # longer than a CLM takes to answer one call
GIVE_UP_AFTER = 3  # refusals in a row without one success: the CLM is in trouble, not one contract

_CLAIM = sa.text("""
    WITH picked AS (
        SELECT contract_id FROM core.contract WHERE source = :source AND writeback_at <= :now
        ORDER BY writeback_at LIMIT :most FOR UPDATE SKIP LOCKED
    )
    UPDATE core.contract AS c SET writeback_at = :until FROM picked WHERE c.contract_id = picked.contract_id
    RETURNING c.contract_id, c.external_id, c.state, c.project_ref, c.lane, c.first_active_at
""")
# Both lock in the order of the workers' group commit.
_DONE = sa.text("""
    WITH mine AS (
        SELECT contract_id FROM core.contract WHERE contract_id = ANY(:ids) AND writeback_at = :until
        ORDER BY source, external_id FOR UPDATE
    )
    UPDATE core.contract AS c SET writeback_at = NULL FROM mine WHERE c.contract_id = mine.contract_id
""")
# The longer it has been tried, the longer it waits: half the age of the contract's last change, 5 s to 10 min,
# spread by up to a quarter so that they do not come back all at once.
_LATER = sa.text("""
    WITH mine AS (
        SELECT contract_id FROM core.contract WHERE contract_id = ANY(:ids) AND writeback_at = :until
        ORDER BY source, external_id FOR UPDATE
    )
    UPDATE core.contract AS c
    SET writeback_at = CAST(:now AS timestamptz) + (0.875 + random() / 4)
        * greatest(interval '5 s', least(interval '10 min', (CAST(:now AS timestamptz) - c.updated_at) / 2))
    FROM mine WHERE c.contract_id = mine.contract_id
""")


@dataclass(frozen=True, slots=True)
class _Report:
    contract_id: int
    item: WriteBack


async def write_back(engine: AsyncEngine, clms: Mapping[str, ClmConnector], *, clock: Clock, most: int = 200) -> int:
    """Report every contract that is due, `most` in one call; how many were taken. Commits. Workers may overlap.

    `clms` by CloudEvents source. A CLM that fails is logged and its contracts stay due, later; nothing is raised.
    """
    taken = 0
    for source, clm in clms.items():
        while True:
            until = clock.now() + CLAIM_FOR
            reports = await _claim(engine, source, until=until, now=clock.now(), most=most)
            if not reports:
                break
            refused = await _send(clm, reports)
            told = [r.contract_id for r in reports if r not in refused]
            await _finish(engine, told, [r.contract_id for r in refused], until=until, now=clock.now())
            taken += len(told)
            if not told:
                break
    return taken


async def _claim(engine: AsyncEngine, source: str, *, until: datetime, now: datetime, most: int) -> list[_Report]:
    async with engine.begin() as conn:
        rows = await conn.execute(_CLAIM, {"source": source, "now": now, "until": until, "most": most})
        return [
            _Report(
                row.contract_id,
                WriteBack(ExternalId(row.external_id), row.state, row.project_ref, row.lane, row.first_active_at),
            )
            for row in rows
        ]


async def _send(clm: ClmConnector, reports: Sequence[_Report]) -> list[_Report]:
    """Those that were not taken. After a refusal one by one, because one contract may spoil the call for all."""
    try:
        await clm.write_back([report.item for report in reports])
    except ClmError as wrong:
        log.warning("write-back of %d contracts failed: %s", len(reports), wrong)
        return await _send_singly(clm, reports) if len(reports) > 1 else list(reports)
    return []


async def _send_singly(clm: ClmConnector, reports: Sequence[_Report]) -> list[_Report]:
    refused: list[_Report] = []
    for place, report in enumerate(reports):
        try:
            await clm.write_back([report.item])
        except ClmError as wrong:
            refused.append(report)
            if len(refused) == place + 1 == GIVE_UP_AFTER:
                return list(reports)
            log.info("write-back of %s failed: %s", report.item.external_id, wrong)
    return refused


async def _finish(
    engine: AsyncEngine, told: Sequence[int], refused: Sequence[int], *, until: datetime, now: datetime
) -> None:
    async with engine.begin() as conn:
        if told:
            await conn.execute(_DONE, {"ids": list(told), "until": until})
        if refused:
            await conn.execute(_LATER, {"ids": list(refused), "until": until, "now": now})
