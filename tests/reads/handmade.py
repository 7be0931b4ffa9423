"""Test only: single rows with the columns that a test names and plain defaults for the rest."""

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count

import sqlalchemy as sa

from tests.rows import NOW, SOURCE

_numbers = count(1)


def insert(engine: sa.Engine, table: str, returning: str = "", **columns: object) -> int:
    """Insert one row; the value of `returning`, or 0."""
    names, binds = ", ".join(columns), ", ".join(f":{name}" for name in columns)
    text = f"INSERT INTO core.{table} ({names}) VALUES ({binds})" + (f" RETURNING {returning}" if returning else "")
    with engine.begin() as conn:
        result = conn.execute(sa.text(text), columns)
        return int(result.scalar_one()) if returning else 0


def add_contract(
    engine: sa.Engine, *, signed: float | None = 24.0, took: float | None = None, **columns: object
) -> int:
    """A contract signed so many hours before NOW, active `took` hours later; its id."""
    signed_at = None if signed is None else NOW - timedelta(hours=signed)
    active_at = None if signed_at is None or took is None else signed_at + timedelta(hours=took)
    values: dict[str, object] = {
        "source": SOURCE,
        "external_id": f"H-{next(_numbers)}",
        "state": "draft" if signed_at is None else "waiting" if active_at is None else "active",
        "lane": "cloud",
        "state_since": active_at or signed_at or NOW,
        "signed_at": signed_at,
        "first_active_at": active_at,
        "received_at": signed_at or NOW,
        "updated_at": active_at or signed_at or NOW,
        "title": "Cloud migration",
        "customer_code": "CU-1",
        "customer_name": "Northwind",
        "legal_entity": "US01",
        "currency": "USD",
        "value": Decimal(100),
        "value_reporting": Decimal(100),
    }
    return insert(engine, "contract", "contract_id", **(values | columns))


def add_progress(engine: sa.Engine, contract_id: int, *steps: str, at: datetime = NOW) -> None:
    for step in steps:
        insert(engine, "progress", contract_id=contract_id, step=step, occurred_at=at, recorded_at=at)


def add_case(engine: sa.Engine, contract_id: int, cause: str, *, hours: float = 1.0, **columns: object) -> int:
    """An exception opened so many hours before NOW; its id."""
    opened_at = NOW - timedelta(hours=hours)
    values: dict[str, object] = {
        "contract_id": contract_id,
        "cause": cause,
        "error_class": "missing_data",
        "function": "tax",
        "severity": "normal",
        "message": "complete it",
        "exposure": Decimal(100),
        "currency": "USD",
        "exposure_reporting": Decimal(100),
        "state": "open",
        "opened_at": opened_at,
        "seen_at": opened_at,
    }
    return insert(engine, "case", "case_id", **(values | columns))


def add_quarantined(engine: sa.Engine, external_id: str, *, hours: float, signature: bool = True) -> None:
    at = NOW - timedelta(hours=hours)
    insert(
        engine, "quarantine", source=SOURCE, event_id=f"q-{external_id}", type="signed.v9", external_id=external_id,
        reason="not registered", signature=signature, body=b"{}", received_by="webhook", correlation_id="q",
        occurred_at=at, recorded_at=at,
    )  # fmt: skip


def end_quarantined(engine: sa.Engine, *, at: datetime, how: str = "released_at", external_id: str = "%") -> None:
    """`how`: released_at or dismissed_at."""
    text = f"UPDATE core.quarantine SET {how} = :at, ended_xid = pg_current_xact_id() WHERE external_id LIKE :name"
    with engine.begin() as conn:
        conn.execute(sa.text(text), {"at": at, "name": external_id})


def add_event(
    engine: sa.Engine, external_id: str, event_type: str, data: str, *, at: datetime = NOW, correlation_id: str = "k",
    received_by: str = "webhook",
) -> None:  # fmt: skip
    values = {
        "source": SOURCE, "id": f"h-{next(_numbers)}", "type": event_type, "external_id": external_id, "at": at,
        "correlation_id": correlation_id, "data": data, "received_by": received_by,
    }  # fmt: skip
    text = """INSERT INTO core.event (source, id, type, external_id, occurred_at, recorded_at, received_by,
        correlation_id, data, attributes) VALUES (:source, :id, :type, :external_id, :at, :at, :received_by,
        :correlation_id, CAST(:data AS jsonb), '{}')"""
    with engine.begin() as conn:
        conn.execute(sa.text(text), values)
