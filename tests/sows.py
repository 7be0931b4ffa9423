"""Statements of work for tests: payloads of both billing kinds, and a small estate that they belong to."""

from datetime import UTC, date, datetime
from decimal import Decimal

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sync_core.estate.estate import Estate, load

SOURCE = "urn:test:clm"
SIGNED_AT = datetime(2026, 3, 2, 10, tzinfo=UTC)

ESTATE_TOML = """
[group]
name = "Test Partners"
reporting_currency = "USD"
timezone = "Europe/London"

[[clm]]
name = "clm"
source = "urn:test:clm"
kind = "sandbox"

[[erp]]
name = "cloud"
kind = "sandbox_cloud"
max_in_flight = 8

[[entity]]
code = "US01"
name = "Test Partners LLC"
country = "US"
currency = "USD"
timezone = "America/New_York"
erp = "cloud"
create_customers = true

[[entity]]
code = "GB01"
name = "Test Partners Ltd"
country = "GB"
currency = "GBP"
timezone = "Europe/London"
erp = "cloud"
po_required = true

[[revenue]]
recognition = "point_in_time"
account = "4000"
category = "REV-MILESTONE"
billing = "milestones"

[[revenue]]
recognition = "as_invoiced"
account = "4100"
category = "REV-TM"
billing = "time_and_materials"

[[owner]]
function = "master_data"
name = "Master data"
email = "md@example.test"
sla_working_hours = 8

[[exchange_rate]]
currency = "GBP"
rate = "1.25"
valid_from = 2025-01-01
"""


def estate() -> Estate:
    return load(ESTATE_TOML)


def milestone_terms(**changes: object) -> dict[str, object]:
    terms: dict[str, object] = {
        "title": "Claims platform rollout",
        "customer": {"code": "CUST-1", "name": "Harbour Mutual", "tax_id": "US-99-1", "country": "US"},
        "legal_entity": "US01",
        "service_line": "consulting",
        "geography": "north_america",
        "currency": "USD",
        "value": "25000.00",
        "starts_on": "2026-04-01",
        "ends_on": "2026-12-31",
        "billing": {"kind": "milestones", "payment_terms": "NET30"},
        "lines": [{"key": "1", "description": "Rollout", "amount": "25000.00"}],
        "milestones": [
            {"key": "design", "name": "Design", "amount": "10000.00", "due_on": "2026-05-29", "line": "1"},
            {"key": "golive", "name": "Go-live", "amount": "15000.00", "due_on": "2026-09-30", "line": "1"},
        ],
        "tax": {"tax_code": "US-CA-STD"},
        "po_number": "PO-77",
    }
    return {**terms, **changes}


def tm_terms(**changes: object) -> dict[str, object]:
    terms = milestone_terms(
        title="Run support",
        value="48000.00",
        billing={"kind": "time_and_materials", "payment_terms": "NET30", "not_to_exceed": "48000.00"},
        lines=[{"key": "1", "description": "Support", "amount": "48000.00"}],
        milestones=[],
        rates=[
            {"category": "SR", "name": "Senior consultant", "rate": "240.00", "planned_hours": "120", "line": "1"},
            {"category": "JR", "name": "Consultant", "rate": "160.00", "planned_hours": "120", "line": "1"},
        ],
    )
    return {**terms, **changes}


def two_prices() -> list[dict[str, object]]:
    """Rates of one category: 240 an hour, and 260 from 15 June 2026 on."""
    senior = {"category": "SR", "name": "Senior consultant", "planned_hours": "120", "line": "1"}
    return [{**senior, "rate": "240.00"}, {**senior, "rate": "260.00", "valid_from": "2026-06-15"}]


def signed(contract_id: str, terms: dict[str, object] | None = None, *, revision: int = 1) -> dict[str, object]:
    """The `data` of a signed event."""
    return {
        "contract_id": contract_id,
        "revision": revision,
        "signed_at": SIGNED_AT.isoformat(),
        "terms": terms or milestone_terms(),
    }


def amended(contract_id: str, number: int = 1, *, revision: int | None = None, **changes: object) -> dict[str, object]:
    """The `data` of an amended event; the revision after the number if none is given."""
    header = {"number": number, "executed_at": SIGNED_AT.isoformat()}
    return {"contract_id": contract_id, "revision": revision or number + 1, "amendment": header, "changes": changes}


def cloud_event(event_id: str, kind: str, data: dict[str, object], *, at: datetime = SIGNED_AT) -> dict[str, object]:
    """A CloudEvent in structured form; `kind` such as "signed.v1"."""
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": SOURCE,
        "type": f"com.tieline.contract.{kind}",
        "subject": data["contract_id"],
        "time": at.isoformat(),
        "datacontenttype": "application/json",
        "data": data,
    }


_EVENT = sa.text("""
    INSERT INTO core.event (source, id, type, external_id, occurred_at, recorded_at, received_by, correlation_id, data,
                            attributes)
    SELECT e ->> 'source', e ->> 'id', e ->> 'type', e ->> 'subject', CAST(e ->> 'time' AS timestamptz), :now, 'test',
           'corr-' || (e ->> 'id'), e -> 'data', '{}'
    FROM jsonb_array_elements(CAST(:events AS jsonb)) AS e
""")
_CONTRACT = sa.text("""
    INSERT INTO core.contract AS c (source, external_id, state, state_since, lane, due_at, received_at, updated_at)
    SELECT DISTINCT e ->> 'source', e ->> 'subject', 'waiting', CAST(:now AS timestamptz), :lane,
           CAST(:now AS timestamptz), CAST(:now AS timestamptz), CAST(:now AS timestamptz)
    FROM jsonb_array_elements(CAST(:events AS jsonb)) AS e
    ON CONFLICT (source, external_id) DO UPDATE
    SET wanted_rev = c.wanted_rev + 1, due_at = least(c.due_at, excluded.due_at), state = 'waiting'
""")


async def arrive(
    conn: AsyncConnection, *events: dict[str, object], now: datetime = SIGNED_AT, lane: str = "cloud"
) -> None:
    """Store understood events and make their contracts due, without the intake's checks. The caller commits."""
    text = orjson.dumps(list(events)).decode()
    await conn.execute(_EVENT, {"events": text, "now": now})
    await conn.execute(_CONTRACT, {"events": text, "now": now, "lane": lane})


def total(terms: dict[str, object]) -> Decimal:
    return Decimal(str(terms["value"]))


def on(day: str) -> date:
    return date.fromisoformat(day)
