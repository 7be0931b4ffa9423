"""Test only: events as a CLM would send them, parsed, and the one way to hand them to intake in a transaction."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.intake.cloudevents import CloudEvent, parse_structured
from sync_core.intake.intake import Receipt, accept
from tests.sows import cloud_event, estate, milestone_terms, signed

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def event(event_id: str, kind: str, data: dict[str, object], **attributes: object) -> CloudEvent:
    return parse_structured(orjson.dumps(cloud_event(event_id, kind, data) | attributes))


def signing(contract: str, *, event_id: str | None = None, revision: int = 1, **terms: object) -> CloudEvent:
    data = signed(contract, milestone_terms(**terms), revision=revision)
    return event(event_id or f"{contract}.r{revision}", "signed.v1", data)


def drafting(contract: str, *, revision: int = 1, **terms: object) -> CloudEvent:
    data = {"contract_id": contract, "revision": revision, "terms": milestone_terms(**terms)}
    return event(f"{contract}.d{revision}", "drafted.v1", data)


def approval(contract: str, number: int) -> CloudEvent:
    data: dict[str, object] = {"contract_id": contract, "revision": number, "approval": "approved"}
    return event(f"{contract}.a{number}", "approved.v1", data)


def amending(contract: str, number: int) -> CloudEvent:
    data: dict[str, object] = {
        "contract_id": contract,
        "revision": number + 1,
        "amendment": {"number": number, "executed_at": (NOW + timedelta(days=number)).isoformat()},
        "changes": {"po_number": f"PO-{number}"},
    }
    return event(f"{contract}.m{number}", "amended.v1", data)


async def deliver(database: AsyncEngine, *events: CloudEvent, now: datetime = NOW, by: str = "test") -> list[Receipt]:
    async with database.begin() as conn:
        return await accept(conn, events, estate=estate(), now=now, received_by=by)


async def contract_row(database: AsyncEngine, contract: str) -> sa.Row[tuple[object, ...]]:
    async with database.connect() as conn:
        found = await conn.execute(sa.text("SELECT * FROM core.contract WHERE external_id = :id"), {"id": contract})
        return found.one()


async def rows(database: AsyncEngine, sql: str) -> Sequence[sa.Row[tuple[object, ...]]]:
    async with database.connect() as conn:
        return (await conn.execute(sa.text(sql))).all()


async def set_state(database: AsyncEngine, contract: str, assignments: str) -> None:
    """As if a worker had written it."""
    async with database.begin() as conn:
        await conn.execute(sa.text(f"UPDATE core.contract SET {assignments} WHERE external_id = :id"), {"id": contract})
