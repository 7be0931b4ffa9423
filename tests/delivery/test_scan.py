"""What time alone brings about is announced once for its subject and date."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from jsonschema import Draft202012Validator, FormatChecker
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.delivery.messages import OUTGOING
from sync_core.delivery.scan import Scan
from tests import rows
from tests.delivery.support import announcer, told
from tests.reads.handmade import add_case, add_contract, add_event
from tests.rows import NOW

# The 27th of November 2026 is a Friday; the 28th and 29th are the weekend; bill runs are on the 15th and the last day.
THURSDAY = datetime(2026, 11, 26, 12, tzinfo=UTC)
SUNDAY = datetime(2026, 11, 29, 20, tzinfo=UTC)


@pytest.fixture
def scan(async_database: AsyncEngine) -> Scan:
    return Scan(async_database, rows.estate(), announcer(async_database).values)


def fits(row: sa.RowMapping) -> None:
    Draft202012Validator(OUTGOING[row["type"]].schema(), format_checker=FormatChecker()).validate(row["data"])


async def test_an_exception_is_overdue_once_and_not_if_it_was_before_the_first_look(
    database: sa.Engine, scan: Scan
) -> None:
    contract = add_contract(database)
    add_case(database, contract, "po_missing", due_at=NOW - timedelta(hours=1))
    late = add_case(database, contract, "rate_missing", due_at=NOW + timedelta(hours=1), severity="high")
    add_case(database, contract, "closed", due_at=NOW + timedelta(hours=1), state="resolved")
    assert await scan.overdue(NOW) == 0
    assert await scan.overdue(NOW + timedelta(minutes=59)) == 0
    assert await scan.overdue(NOW + timedelta(days=2)) == 1
    assert await scan.overdue(NOW + timedelta(days=3)) == 0
    [row] = told(database)
    fits(row)
    assert (row["subject"], row["severity"], row["occurred_at"]) == (
        f"exception/{late}", "high", NOW + timedelta(hours=1),
    )  # fmt: skip


async def test_an_amendment_that_the_next_bill_run_would_miss_is_late(database: sa.Engine, scan: Scan) -> None:
    amended = "com.tieline.contract.amended.v1"
    late = add_contract(database, took=1, state="blocked", active_at=THURSDAY - timedelta(days=9), external_id="L")
    add_event(database, "L", amended, "{}", at=THURSDAY - timedelta(days=1))
    add_contract(database, took=1, state="waiting", active_at=THURSDAY, external_id="BEFORE")
    add_event(database, "BEFORE", amended, "{}", at=THURSDAY - timedelta(days=1))
    add_contract(database, took=1, external_id="DONE")
    add_event(database, "DONE", amended, "{}", at=THURSDAY - timedelta(days=1))
    assert await scan.late_amendments(THURSDAY) == 0, "the run of the 30th is two working days away"
    assert await scan.late_amendments(SUNDAY) == 1
    assert await scan.late_amendments(SUNDAY + timedelta(hours=1)) == 0
    [row] = told(database)
    fits(row)
    assert (row["contract_id"], row["data"]["bill_run"][:10]) == (late, "2026-11-30")


async def test_an_entity_without_bill_runs_has_none_to_miss(async_database: AsyncEngine) -> None:
    bare = replace(rows.estate(), entity=tuple(replace(e, bill_runs=()) for e in rows.estate().entity))
    assert await Scan(async_database, bare, announcer(async_database).values).late_amendments(SUNDAY) == 0
