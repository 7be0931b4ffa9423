"""Each change of the policy is noted once and audited, also back to an earlier version, whoever starts first."""

import asyncio

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.policy.activations import note
from tests.sows import SIGNED_AT

_ESTATE = sa.text("INSERT INTO core.estate_version (digest, body, activated_at) VALUES ('e', '', :now)")


async def starts(engine: AsyncEngine, version: str) -> bool:
    async with engine.begin() as conn:
        return await note(conn, version, f"# {version}", estate="e", now=SIGNED_AT)


async def test_workers_that_start_together_note_a_change_once(async_database: AsyncEngine, database: sa.Engine) -> None:
    async with async_database.begin() as conn:
        await conn.execute(_ESTATE, {"now": SIGNED_AT})
    for version in ("one", "two", "one"):
        told = await asyncio.gather(*(starts(async_database, version) for _ in range(4)))
        assert sorted(told) == [False, False, False, True]
    with database.connect() as conn:
        kept = conn.execute(sa.text("SELECT version, body, activated_by FROM core.policy ORDER BY policy_id")).all()
        audited = conn.execute(sa.text("SELECT action, subject FROM core.audit ORDER BY id")).all()
    assert [tuple(row) for row in kept] == [(one, f"# {one}", "tieline") for one in ("one", "two", "one")]
    assert [tuple(row) for row in audited] == [
        ("policy.activate", f"policy {one}") for one in ("one", "two", "one")
    ]  # fmt: skip
