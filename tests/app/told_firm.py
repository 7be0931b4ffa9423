"""Test only: a firm of which every KPI has a value, measured at the end of the last week and now; what it is asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from app.postgres.embedded import Endpoint
from metrics import weeks
from metrics.asking import Window
from metrics.catalog import kpis
from sync_core.authority import Permission
from sync_core.clock import VirtualClock
from tests import databases, rows
from tests.api.door import Door
from tests.metrics.support import caught_up

ZONE, CURRENCY = rows.estate().group.timezone, rows.estate().group.reporting_currency
WINDOW = Window.weeks(rows.NOW, ZONE, 13)
LAST = weeks.last_ended(rows.NOW, ZONE)
WEEK_END = weeks.end_of(LAST, ZONE)

# What the rows of rows.py lack for a median: payments, exceptions that ended, and something to save against.
_PAID = sa.text("""
    INSERT INTO core.financial_fact (system, kind, ref, project_key, contract_id, invoice_ref, amount, currency,
                                     status, occurred_on, recorded_at)
    SELECT lane, kind, 'W-' || kind || contract_id, 'crm/' || external_id, contract_id,
        CASE WHEN kind = 'payment' THEN 'W-invoice' || contract_id END, value, currency, 'posted',
        CAST(signed_at AS date) + days, signed_at + make_interval(days => days)
    FROM core.contract CROSS JOIN (VALUES ('invoice', 8), ('payment', 15)) AS fact(kind, days)
    WHERE state = 'active' AND signed_at > CAST(:now AS timestamptz) - interval '100 days'
      AND signed_at < CAST(:now AS timestamptz) - interval '16 days'
""")
_ENDED = sa.text("""
    WITH opened AS (
        INSERT INTO core.case (contract_id, cause, error_class, function, severity, message, exposure, currency,
                               exposure_reporting, bill_on, state, opened_at, seen_at, due_at, resolved_at)
        SELECT contract_id, 'tax_code_missing', 'missing_data', 'tax', 'normal', 'complete it', value, currency,
            value_reporting, bill_on, 'resolved', received_at, received_at, received_at + interval '2 d',
            received_at + interval '1 d'
        FROM core.contract
        WHERE state = 'active' AND contract_id % 3 = 0
          AND signed_at > CAST(:now AS timestamptz) - interval '80 days'
        RETURNING case_id, opened_at, resolved_at
    )
    INSERT INTO core.case_history (case_id, what, function, occurred_at, recorded_at)
    SELECT case_id, what, 'tax', at, at
    FROM opened CROSS JOIN LATERAL (VALUES ('opened', opened_at), ('resolved', resolved_at)) AS happened(what, at)
""")
_STATED = sa.text("""
    INSERT INTO metrics.stated_value (kind, name, value, reason, recorded_at, recorded_by, batch)
    VALUES (:kind, :name, :value, 'the year before', :now, 'fay@example.com', 'b')
""")


@contextmanager
def told_firm(server: Endpoint, template: str) -> Iterator[sa.Engine]:
    """Measured once for all tests of a module: what they write besides, no measure counts."""
    urls = databases.clone(server, template)
    before = WEEK_END - timedelta(minutes=30)
    rows.seed(urls.owner, 1_500, now=before)
    engine = sa.create_engine(urls.app)
    with engine.begin() as conn:
        conn.execute(_PAID, {"now": before})
        conn.execute(_ENDED, {"now": before})
        for kind, name, value in (("baseline", "setup_hours", 40), ("assumption", "cost_of_setup_hour", 80)):
            conn.execute(_STATED, {"kind": kind, "name": name, "value": Decimal(value), "now": before})
    for now in (before, rows.NOW):
        caught_up(engine, VirtualClock(now), rows.estate())
    yield engine
    engine.dispose()
    databases.drop(server, urls)


async def answered(door: Door, window: Window = WINDOW, as_of: datetime | None = None) -> dict[str, Any]:
    """What the API answers of every KPI, by slug."""
    then = f"&as_of={as_of:%Y-%m-%dT%H:%M:%SZ}" if as_of else ""
    async with door.calls(Permission.KPI_READ) as program:
        return {
            slug: (await program.get(f"/kpis/{slug}?from={window.start}&to={window.end}{then}")).json()
            for slug in kpis()
        }


def value_of(answer: dict[str, Any]) -> Decimal | None:
    """Money is told as text with its currency, all else as a number."""
    told = answer["value"]
    if told is None:
        return None
    assert not isinstance(told, dict) or told["currency"] == CURRENCY
    return Decimal(str(told["amount"] if isinstance(told, dict) else told))
