"""A price that changes within a month, from the contract to the invoice: sandbox-cloud bills an hour by its day."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.sandbox.cloud import masterdata
from app.sandbox.cloud.serve import serving
from app.sandbox.cloud.server import build
from sync_core.desired import Kind
from tests.engine.governed import Desk
from tests.engine.moves import Movers, TwoErps, moved, settled
from tests.engine.test_lifecycle_cloud import MASTER, SECRET, CloudDesk
from tests.engine.test_moves import provisioned
from tests.sows import cloud_event, signed, tm_terms, two_prices

SENIOR = {"category": "SR", "name": "Senior consultant", "rate": "187.35", "planned_hours": "0", "line": "1"}
DEARER = {**SENIOR, "rate": "203.45"}


@pytest.fixture
async def desk(async_database: AsyncEngine, database: sa.Engine) -> AsyncIterator[CloudDesk]:
    """T-1 bills by the hour and is active. Nobody works by habit there: hours are those that a test books."""
    desk = CloudDesk(async_database, sync=database)
    desk.cloud = app = build(desk.clock, client_secret=SECRET)
    masterdata.put(app.store, MASTER)
    app.store.commit()
    async with serving(app) as url:
        desk.url = url
        await desk.arrive(cloud_event("e1", "signed.v1", signed("T-1", tm_terms(rates=[SENIOR]))))
        await desk.run()
        yield desk
        for connector in desk.connectors:
            await connector.aclose()
    app.close()


async def amend(desk: Desk, number: int, effective_on: str | None, **changes: object) -> None:
    header = {"number": number, "executed_at": desk.clock.now().isoformat(), "effective_on": effective_on}
    data = {"contract_id": "T-1", "revision": number + 1, "amendment": header, "changes": changes}
    await desk.arrive(cloud_event(f"a{number}", "amended.v1", data, at=desk.clock.now()))
    await desk.run()


async def at(desk: CloudDesk, month: int, day: int) -> None:
    await desk.run(after=datetime(2026, month, day, 16, tzinfo=UTC) - desk.clock.now())


def book(desk: CloudDesk, day: date, hours: str) -> None:
    assert desk.cloud is not None
    [project] = desk.cloud.store.all("project")
    desk.cloud.billing.book(project, "SR", day, Decimal(hours))


def bill(desk: CloudDesk, through: date) -> list[tuple[str, str]]:
    """All invoices after the bill runs up to that night, as day and amount."""
    assert desk.cloud is not None
    desk.cloud.billing.advance(through)
    return [(str(one["date"]), str(one["amount"])) for one in desk.held("invoice")]


def prices(desk: CloudDesk) -> dict[object, object]:
    return {one["valid_from"]: one["hourly_rate"] for one in desk.held("labour_rate")}


def writes(desk: CloudDesk) -> Mapping[str, int]:
    assert desk.cloud is not None
    found: dict[str, int] = {}
    for one in desk.cloud.ledger.requests:
        found[one.operation] = found.get(one.operation, 0) + 1
    return found


async def test_hours_on_both_sides_of_the_day_are_billed_at_their_own_price_however_late_they_are_booked(
    desk: CloudDesk,
) -> None:
    await at(desk, 6, 2)
    await amend(desk, 1, "2026-06-15", rates=[DEARER])
    assert prices(desk) == {None: "187.35", "2026-06-15": "203.45"}
    before = dict(writes(desk))
    book(desk, date(2026, 6, 11), "7.25")
    await at(desk, 6, 22)
    assert dict(writes(desk)) == before, "nothing is written on the day"
    book(desk, date(2026, 6, 15), "4.00")
    book(desk, date(2026, 6, 12), "5.00")  # booked late: worked before the day
    book(desk, date(2026, 6, 16), "4.50")
    # 12.25 h x 187.35 = 2,295.0375 and 8.5 h x 203.45 = 1,729.325, half to even: 2,295.04 + 1,729.32
    assert bill(desk, date(2026, 6, 30)) == [("2026-06-30", "4024.36")]
    await at(desk, 7, 6)
    book(desk, date(2026, 6, 12), "1.00")  # booked when its month was billed: 187.35
    assert bill(desk, date(2026, 7, 31)) == [("2026-06-30", "4024.36"), ("2026-07-31", "187.35")]
    assert await desk.cases() == []
    assert [one.external_id for one in desk.reads.verified().differences] == []


async def test_a_change_over_invoiced_hours_leaves_their_invoice_and_is_a_task_until_it_is_settled(
    desk: CloudDesk,
) -> None:
    assert desk.cloud is not None
    await at(desk, 6, 2)
    await amend(desk, 1, "2026-06-15", rates=[DEARER])
    for day, hours in ((11, "7.25"), (12, "5.00"), (15, "4.00"), (16, "4.50")):
        book(desk, date(2026, 6, day), hours)
    billed = bill(desk, date(2026, 6, 30))
    await at(desk, 7, 6)
    await amend(desk, 2, "2026-06-08", rates=[DEARER])  # the amendment was to hold a week earlier
    assert prices(desk) == {None: "187.35", "2026-06-08": "203.45", "2026-06-15": "203.45"}
    assert (await desk.states(), await desk.cases()) == (
        {"T-1": "active"}, [("billed_differs", "finance_operations", "open")],
    )  # fmt: skip
    ((money, words),) = await desk.rows("SELECT exposure, message FROM core.case")
    # 12.25 h were invoiced with 2,295.04 and are 12.25 x 203.45 = 2,492.26
    assert words == (
        "labour rate SR@2026-06-08 was invoiced with 2,295.04 USD and is 2,492.26 USD now; re-bill 197.22 USD"
    )  # fmt: skip
    assert money == Decimal("197.22")
    assert bill(desk, date(2026, 7, 5)) == billed
    [earlier] = [one for one in desk.held("labour_rate") if one["valid_from"] == "2026-06-08"]
    desk.cloud.billing.reprice(str(earlier["id"]), Decimal("203.45"))
    await at(desk, 7, 7)
    assert await desk.cases() == [("billed_differs", "finance_operations", "resolved")]
    assert sum(Decimal(amount) for _, amount in bill(desk, date(2026, 7, 6))) == Decimal("4221.58")
    assert [one.external_id for one in desk.reads.verified().differences] == []


async def test_what_somebody_changed_of_one_price_is_put_back_there_alone(desk: CloudDesk) -> None:
    assert desk.cloud is not None
    await at(desk, 6, 2)
    await amend(desk, 1, "2026-06-15", rates=[DEARER])
    [later] = [one for one in desk.cloud.store.all("labour_rate") if one["valid_from"]]
    desk.cloud.store.put("labour_rate", {**later, "hourly_rate": "1.00"})
    desk.cloud.store.commit()
    before = dict(writes(desk))
    await amend(desk, 2, None, title="Run support, second year")
    after = writes(desk)
    assert {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name)} == {
        "project.update": 1, "labour_rate.update": 1,
    }  # fmt: skip
    assert prices(desk) == {None: "187.35", "2026-06-15": "203.45"}


async def test_an_older_release_holds_one_price_and_finance_is_told_to_bill_before_the_day(
    desk: CloudDesk, caplog: pytest.LogCaptureFixture
) -> None:
    assert desk.cloud is not None
    # To a client that knows v1 the field is not there; its own name is unknown to it.
    desk.cloud.api.release, desk.cloud.api.names.renamed = "2025.4.0", {"labour_rate": {"valid_from": "starts"}}
    await at(desk, 5, 20)
    await amend(desk, 1, "2026-06-15", rates=[DEARER])
    assert "2025.4.0 has no labour_rate.valid_from: one price a category" in caplog.text
    assert (prices(desk), await desk.cases()) == ({None: "187.35"}, [])
    await at(desk, 6, 1)
    assert await desk.cases() == [("rate_change_unbilled", "finance_operations", "open")]
    ((words,),) = await desk.rows("SELECT message FROM core.case")
    assert "invoice the hours worked before 2026-06-15 until then" in words
    assert await desk.states() == {"T-1": "active"}
    await at(desk, 6, 15)
    assert prices(desk) == {None: "203.45"}
    ((words,),) = await desk.rows("SELECT message FROM core.case")
    assert "credit or re-bill" in words
    await desk.run(after=timedelta(days=16, hours=12))
    assert await desk.cases() == [("rate_change_unbilled", "finance_operations", "resolved")]
    desk.cloud.api.release, desk.cloud.api.names.renamed = "2026.3.1", {}
    await amend(desk, 2, None, title="Upgraded")
    assert prices(desk) == {None: "187.35", "2026-06-15": "203.45"}, "a release that holds them gets all of them"


async def test_an_erp_with_dated_prices_gets_all_of_them_of_one_with_a_single_price_a_category(
    async_database: AsyncEngine, database: sa.Engine
) -> None:
    bench = TwoErps(async_database)
    movers = Movers(database, bench)
    replayer = await provisioned(bench, "C-1", terms=tm_terms(rates=two_prices()))
    bench.erp.dated_rates = True
    assert movers.items(await moved(bench, movers, replayer)) == {"C-1": ("verified", "")}
    held = {f.key.partition("#R:")[2]: f.fields for f in bench.erp.of(Kind.LABOUR_RATE)}
    assert {key: (fields["rate"], fields["valid_from"]) for key, fields in held.items()} == {
        "SR": ("240", None), "SR@2026-06-15": ("260", "2026-06-15"),
    }  # fmt: skip
    made = movers.preview(back=True)
    await replayer.drain()
    movers.confirm(made.replay_id)
    await settled(bench, replayer)
    assert {f.key.partition("#R:")[2]: f.fields["rate"] for f in bench.old.of(Kind.LABOUR_RATE)} == {"SR": "240"}
