"""Test only: contracts that were active before they were amended, and what was read back of them."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from tests.metrics.flow_rows import Made, made, said, step

MONDAY = datetime(2026, 11, 9, 10, tzinfo=UTC)  # 10:00 in London
SIGNED = MONDAY - timedelta(days=30)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def active(engine: sa.Engine, *, entity: str = "GB01", **columns: object) -> Made:
    contract = made(engine, SIGNED, SIGNED + HOUR, entity=entity, **columns)
    said(engine, contract, "signed", SIGNED, revision=1, signed_at=SIGNED.isoformat(), terms={"value": "100"})
    step(engine, contract, "active", SIGNED + HOUR)
    return contract


def done(engine: sa.Engine, contract: Made, number: int, at: datetime) -> None:
    step(engine, contract, "active", at, amendment=number)
