"""A log line about one event carries the correlation id of its receipt, also in a batch and in another's request."""

import asyncio
import logging

import orjson
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.telemetry.logs import JsonLines
from sync_core.intake.intake import release
from sync_core.telemetry.log_context import concerns
from tests.intake.deliveries import NOW, deliver, event, rows
from tests.sows import estate, signed


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Correlation id and words of what intake said, as a service writes them."""
    told = [record for record in caplog.records if record.name == "sync_core.intake.intake"]
    found = [orjson.loads(JsonLines("api").format(record)) for record in told]
    return [(line["correlation_id"], line["message"].partition(" of ")[0]) for line in found]


async def test_what_is_not_understood_and_what_differs_are_told_under_their_own_ids(
    async_database: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async def requested() -> None:
        concerns(correlation_id="call-1")
        await deliver(
            async_database,
            event("e-1", "signed.v9", signed("C-1"), correlationid="k-1"),
            event("e-2", "signed.v9", signed("C-2"), correlationid="k-2"),
            event("e-3", "signed.v1", signed("C-3"), correlationid="k-3"),
        )
        await deliver(async_database, event("e-3", "signed.v1", signed("C-4"), correlationid="k-4"))

    await asyncio.create_task(requested())
    assert lines(caplog) == [("k-1", "event e-1"), ("k-2", "event e-2"), ("k-3", "event e-3")]


async def test_what_stays_in_quarantine_is_told_under_the_id_of_its_receipt(
    async_database: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    [receipt] = await deliver(async_database, event("e-1", "signed.v1", signed("C-1") | {"signed_at": "no day"}))
    caplog.clear()
    with caplog.at_level(logging.INFO):
        async with async_database.begin() as conn:
            await release(conn, estate=estate(), now=NOW)
    assert len(await rows(async_database, "SELECT 1 FROM core.quarantine")) == 1
    assert lines(caplog) == [(receipt.correlation_id, "event e-1")]
