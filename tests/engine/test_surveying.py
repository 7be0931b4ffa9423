"""Reading the parts of many projects at once, and what is kept when an ERP stops answering in the middle."""

import asyncio

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.commands.adoptions import Adopting
from sync_core.errors import ErpRateLimited, ErpUnavailable, TielineError
from sync_core.moving.adoption import Result
from sync_core.ports import CallContext
from tests.engine.support import Bench
from tests.engine.test_adopting import decide, looked, running_firm

NAMES = tuple(f"C-{n:02d}" for n in range(12))


@pytest.fixture
async def bench(async_database: AsyncEngine) -> Bench:
    bench = Bench(async_database)
    await running_firm(bench, *NAMES)
    bench.erp.calls.clear()
    return bench


async def test_parts_are_read_side_by_side_and_told_in_the_order_of_the_contracts(bench: Bench) -> None:
    together = asyncio.Event()

    async def wait_for_others(operation: str, _ctx: CallContext) -> None:
        if operation == "list parts":
            if bench.erp.in_flight >= 4:
                together.set()
            async with asyncio.timeout(10):
                await together.wait()

    bench.erp.pause_before = wait_for_others
    found = await looked(bench)
    assert [one.name for one in found] == list(NAMES)
    assert {one.result for one in found} == {Result.MATCHED}
    assert bench.erp.calls.count("list parts") == len(NAMES)


async def test_what_was_read_is_kept_when_the_parts_of_one_contract_cannot_be(
    bench: Bench, database: sa.Engine
) -> None:
    failed: list[str] = []

    def once(operation: str, _ctx: CallContext) -> TielineError | None:
        if operation == "list parts" and not failed:
            failed.append(operation)
            return ErpUnavailable("cloud", "refused the connection")
        return None

    bench.erp.before = once
    found = await looked(bench)
    (unread,) = [one for one in found if one.result is Result.UNREAD]
    assert unread.words.endswith("could not be read: cloud: refused the connection")
    assert decide(database, bench, found) == Adopting(len(NAMES) - 1, 0, 0)
    ((decided,),) = await bench.rows(
        "SELECT count(*) FROM core.adoption WHERE contract_id <> :id", id=unread.contract_id
    )
    assert decided == len(NAMES) - 1


async def test_an_erp_that_asks_to_wait_is_asked_again(bench: Bench) -> None:
    asked: list[str] = []

    def busy(operation: str, _ctx: CallContext) -> TielineError | None:
        asked.append(operation)
        return ErpRateLimited("cloud", 0.01) if operation == "list parts" and len(asked) % 3 == 0 else None

    bench.erp.before = busy
    assert {one.result for one in await looked(bench)} == {Result.MATCHED}
    assert asked.count("list parts") > len(NAMES)


async def test_an_erp_that_is_away_is_not_asked_for_all_of_the_rest(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync_core.engine.pairing._AT_ONCE", 2)
    monkeypatch.setattr("sync_core.engine.pairing._IN_A_ROW", 3)

    def away(operation: str, _ctx: CallContext) -> TielineError | None:
        return ErpUnavailable("cloud", "refused the connection") if operation == "list parts" else None

    bench.erp.before = away
    assert {one.result for one in await looked(bench)} == {Result.UNREAD}
    assert bench.erp.calls.count("list parts") <= 4
