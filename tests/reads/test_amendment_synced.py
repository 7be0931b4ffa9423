"""When an amendment was in the ERP: never before it was received, whatever else had raised the contract's revision, and
what of it waits for its day not before that.
"""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.reads.amendments import AmendmentRow, ReadBack, first_knowing
from tests.engine.governed import Desk
from tests.sows import SIGNED_AT, cloud_event, signed

NOON, HOUR = datetime(2026, 3, 2, 12, tzinfo=UTC), timedelta(hours=1)


def ran(rev: int, at: datetime) -> ReadBack:
    return ReadBack(rev, None, at, at + HOUR)


def test_a_run_of_before_the_amendment_knew_nothing_of_it_however_high_its_revision() -> None:
    inflated = ran(7, NOON - 2 * HOUR)
    assert first_knowing(1, 2, NOON, [inflated]) is None
    assert first_knowing(1, 2, NOON, [inflated, ran(8, NOON + HOUR), ran(9, NOON + 5 * HOUR)]) == NOON + 2 * HOUR


def test_a_run_with_fewer_events_did_not_see_it() -> None:
    assert first_knowing(1, 2, NOON, [ran(1, NOON + HOUR)]) is None


def test_what_was_active_up_to_the_amendment_has_it_though_its_run_began_before() -> None:
    active = ReadBack(None, 2, NOON + HOUR, NOON + HOUR)
    assert first_knowing(2, 3, NOON, [ran(3, NOON - HOUR), active]) == NOON + HOUR
    assert first_knowing(3, 4, NOON, [active]) is None


@pytest.fixture
async def desk(async_database: AsyncEngine, database: sa.Engine) -> Desk:
    desk = Desk(async_database, sync=database)
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1")))
    await desk.run()
    return desk


async def amended(desk: Desk, since: str, **changes: object) -> AmendmentRow:
    header = {"number": 1, "executed_at": SIGNED_AT.isoformat(), "effective_on": since}
    data = {"contract_id": "C-1", "revision": 2, "amendment": header, "changes": changes}
    await desk.arrive(cloud_event("a1", "amended.v1", data))
    await desk.run(after=timedelta(minutes=1))
    return row(desk)


def row(desk: Desk) -> AmendmentRow:
    story = desk.reads.amendments(1)
    assert story is not None
    [one] = story.amendments
    return one


def waiting(one: AmendmentRow) -> list[tuple[str, str | None]]:
    return [(change.field, change.after) for change in one.later]


async def test_what_waits_for_its_day_is_told_apart_from_what_is_in_the_erp(desk: Desk) -> None:
    billing = {"kind": "milestones", "payment_terms": "NET90"}
    one = await amended(desk, "2027-01-01", title="New", po_number="PO-2", billing=billing)
    assert waiting(one) == [("billing payment terms", "NET90"), ("po number", "PO-2")]
    assert one.later_from == datetime(2027, 1, 1, 5, tzinfo=UTC)
    assert one.synced_at is not None
    assert one.lag == one.synced_at - SIGNED_AT


async def test_of_which_all_waits_it_is_in_the_erp_on_its_day(desk: Desk) -> None:
    one = await amended(desk, "2026-06-01", po_number="PO-2")
    assert (one.synced_at, one.lag, waiting(one)) == (None, None, [("po number", "PO-2")])
    await desk.run(after=datetime(2026, 6, 1, 4, 1, tzinfo=UTC) - desk.clock.now())
    one = row(desk)
    assert one.synced_at is not None
    assert one.lag is not None
    assert (one.synced_at.date().isoformat(), one.lag < timedelta(minutes=2)) == ("2026-06-01", True)


@pytest.mark.parametrize("since", ["2026-03-02", "0001-01-01"])
async def test_nothing_waits_for_a_day_that_is_there(desk: Desk, since: str) -> None:
    one = await amended(desk, since, po_number="PO-2")
    assert (waiting(one), one.later_from, one.synced_at is not None) == ([], None, True)
