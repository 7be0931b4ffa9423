"""Alerts of notice dates: one for each number of days ahead, each once, on record and in the audit."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from jsonschema import Draft202012Validator, FormatChecker
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.delivery.messages import OUTGOING
from sync_core.delivery.renewals import RenewalAlerts
from sync_core.estate.delivery import PREFIX
from sync_core.estate.estate import load
from tests.delivery.support import announcer
from tests.engine.governed import Desk
from tests.sows import ESTATE_TOML, SIGNED_AT, cloud_event, milestone_terms, signed

NEAR = {"renews_on": "2026-06-01", "notice_by": "2026-04-01", "automatic": True}


@pytest.fixture
def desk(async_database: AsyncEngine, database: sa.Engine) -> Desk:
    return Desk(async_database, sync=database, estate=load(ESTATE_TOML))


def alerts(desk: Desk) -> RenewalAlerts:
    return RenewalAlerts(desk.engine, desk.estate, announcer(desk.engine).values)


def told(database: sa.Engine) -> list[dict[str, Any]]:
    with database.connect() as conn:
        rows = [dict(row._mapping) for row in conn.execute(sa.text("SELECT * FROM core.outgoing ORDER BY seq"))]
    for row in rows:
        schema = OUTGOING[row["type"]].schema()
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(row["data"])
    return rows


async def test_each_number_of_days_is_told_once(desk: Desk, database: sa.Engine) -> None:
    later = {"contract_id": "C-2", "revision": 2, "renewal": {**NEAR, "notice_by": "2027-04-01"}}
    gone = {"contract_id": "C-4", "revision": 2, "declined_on": "2026-03-02"}
    await desk.arrive(
        cloud_event("e1", "signed.v1", signed("C-1", milestone_terms(renewal=NEAR))),
        cloud_event("e2", "signed.v1", signed("C-2", milestone_terms(renewal=NEAR))),
        cloud_event("e3", "renewed.v1", later),
        cloud_event("e4", "signed.v1", signed("C-3")),
        cloud_event("e5", "signed.v1", signed("C-4", milestone_terms(renewal=NEAR))),
        cloud_event("e6", "renewal_declined.v1", gone),
    )
    await desk.run()
    look = alerts(desk).look
    assert await look(SIGNED_AT) == 1, "30 days before"
    assert await look(SIGNED_AT + timedelta(days=1)) == 0
    assert await look(datetime(2026, 3, 24, 22, tzinfo=UTC)) == 0, "8 days before"
    assert await look(datetime(2026, 3, 25, 12, tzinfo=UTC)) == 1
    assert await look(datetime(2026, 4, 2, 12, tzinfo=UTC)) == 0, "too late to tell"
    rows = [(row["data"]["contract"]["id"], row["data"]["days_ahead"], row["severity"]) for row in told(database)]
    assert rows == [("C-1", 30, "medium"), ("C-1", 7, "high")]
    assert {row["type"] for row in told(database)} == {f"{PREFIX}renewal.due.v1"}
    kept = await desk.rows("SELECT notice_by, days_ahead FROM core.renewal_alert ORDER BY days_ahead")
    assert kept == [(date(2026, 4, 1), 7), (date(2026, 4, 1), 30)]
    [(detail, items), _] = await desk.rows(
        "SELECT detail, items FROM core.audit WHERE action = 'renewal.alert' ORDER BY id"
    )
    assert (orjson.loads(detail), items) == ({"by_days_ahead": {"30": 1}}, 1)


async def test_the_first_look_tells_the_nearest_number_alone(desk: Desk, database: sa.Engine) -> None:
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1", milestone_terms(renewal=NEAR))))
    await desk.run()
    assert await alerts(desk).look(datetime(2026, 3, 30, tzinfo=UTC)) == 1
    assert [row["data"]["days_ahead"] for row in told(database)] == [7]


async def test_contracts_of_before_are_looked_at_first(desk: Desk, database: sa.Engine) -> None:
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1", milestone_terms(renewal=NEAR))))
    await desk.run()
    async with desk.engine.begin() as conn:
        await conn.execute(sa.text("UPDATE core.contract SET renewal = NULL, notice_by = NULL, renewal_due = NULL"))
    assert await alerts(desk).look(SIGNED_AT) == 1
    assert await desk.rows("SELECT renewal, notice_by, renewal_due FROM core.contract") == [
        ("automatic", date(2026, 4, 1), date(2026, 4, 1))
    ]


async def test_without_a_number_of_days_nobody_is_told(desk: Desk, database: sa.Engine) -> None:
    desk.estate = load(ESTATE_TOML + "[renewal]\nalert_days = []\n")
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1", milestone_terms(renewal=NEAR))))
    await desk.run()
    assert await alerts(desk).look(SIGNED_AT) == 0
    assert told(database) == []
