"""Moves from and to an ERP that takes batches at night: over its window and its answer, and never live in two."""

from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.sandbox.cloud.records import Doc
from sync_core.desired import Kind
from sync_core.engine.replaying import Replayer
from tests.engine.night_moves import NEW, OLD, Movers, TwoLanes
from tests.engine.nights import at, hourly, terms
from tests.engine.replays import ADA

EARLY = [{"key": "design", "name": "Design", "amount": "10000.000", "due_on": "2026-03-05", "line": "1"},
         {"key": "golive", "name": "Go-live", "amount": "15000.000", "due_on": "2026-09-30", "line": "1"}]  # fmt: skip


@pytest.fixture
def bench(async_database: AsyncEngine) -> TwoLanes:
    return TwoLanes(async_database)


@pytest.fixture
def movers(database: sa.Engine, bench: TwoLanes) -> Movers:
    return Movers(database, bench)


async def provisioned(
    bench: TwoLanes, name: str, agreed: dict[str, object] | None = None, **changes: object
) -> Replayer:
    """Active in the nightly ERP, in the morning of the fourth; the design is to be billed on the fifth."""
    replayer = Replayer(await bench.worker())
    await bench.sign(name, agreed or terms(**{"milestones": EARLY, **changes}))
    await bench.night(replayer, 3)
    assert set((await bench.states()).values()) == {"active"}
    return replayer


async def placed(bench: TwoLanes) -> list[tuple[object, ...]]:
    return await bench.rows("SELECT lane, leaving FROM core.placement")


async def test_a_contract_moves_from_the_nightly_erp_over_a_night_and_what_is_invoiced_stays(
    bench: TwoLanes, movers: Movers
) -> None:
    replayer = await provisioned(bench, "C-1")
    await bench.go_on(replayer, at("12:00", 7))  # the design was billed in the night to the sixth
    move_id = await movers.begin(replayer)
    assert await placed(bench) == [(NEW, OLD)]
    assert (await bench.waits())[0][1] == "old takes batches from 22:00 on 7 Mar 2026 (Africa/Tunis)"
    assert bench.billable() == {"clm/C-1": 1}
    await bench.go_on(replayer, at("22:00", 7), at("23:30", 7))
    assert len(bench.batches()) == 2
    assert (bench.held_new(), bench.billable()) == ({}, {"clm/C-1": 1})  # it still is where it was
    await bench.go_on(replayer, at("06:00", 8))
    assert movers.items(move_id) == {"C-1": ("verified", "")}
    assert bench.values_old() == [("closed", "25000.000")]
    assert bench.held_old() == {"M:design": ("10000.000", True)}
    assert bench.held_new() == {"M:golive": "15000"}
    assert bench.held_new(Kind.CONTRACT_LINE) == {"L:1": "15000"}
    assert bench.values_new() == ["15000"]
    assert await bench.states() == {"C-1": "active"}
    assert movers.differences(move_id) == {0}
    assert (bench.live_twice, bench.billable()) == ([], {"clm/C-1": 1})
    assert await bench.rows("SELECT cause FROM core.case") == []


async def test_the_journal_says_in_the_morning_that_the_nightly_erp_closed_it(bench: TwoLanes, movers: Movers) -> None:
    replayer = await provisioned(bench, "C-1")
    bench.go_to(at("12:00", 4))
    await movers.begin(replayer)
    await bench.night(replayer, 4)
    closes = "SELECT kind, status FROM core.operation WHERE action = 'close' AND kind = 'project' ORDER BY finished_at"
    assert await bench.rows(closes) == [("project", "handed"), ("project", "done")]


async def test_a_contract_moves_into_the_nightly_erp_and_is_billable_in_none_until_it_has_answered(
    bench: TwoLanes, movers: Movers
) -> None:
    replayer = await provisioned(bench, "C-1")
    bench.go_to(at("12:00", 4))
    there = await movers.begin(replayer)
    await bench.night(replayer, 4)
    assert movers.items(there) == {"C-1": ("verified", "")}
    bench.go_to(at("12:00", 5))
    back = await movers.begin(replayer, back=True)
    assert (bench.values_new(), bench.billable()) == ([], {})
    assert await placed(bench) == [(OLD, None)]
    await bench.night(replayer, 5)
    assert movers.items(back) == {"C-1": ("verified", "")}
    assert bench.values_old() == [("closed", "25000.000"), ("active", "25000.000")]
    assert bench.held_old() == {"M:design": ("10000.000", False), "M:golive": ("15000.000", False)}
    assert await bench.states() == {"C-1": "active"}
    assert movers.differences(back) == {0}
    assert (bench.live_twice, bench.billable()) == ([], {"clm/C-1": 1})


async def test_what_the_night_bills_before_it_closes_stays_behind(bench: TwoLanes, movers: Movers) -> None:
    """Confirmed before the design was billed, carried out by the night that bills it first."""
    replayer = await provisioned(bench, "C-1")
    bench.go_to(at("12:00", 5))
    move_id = await movers.begin(replayer)
    await bench.night(replayer, 5)
    assert movers.items(move_id) == {"C-1": ("verified", "")}
    assert bench.held_old() == {"M:design": ("10000.000", True)}
    assert (bench.held_new(), bench.values_new()) == ({"M:golive": "15000"}, ["15000"])
    assert movers.differences(move_id) == {0}
    assert bench.live_twice == []


async def test_a_move_is_taken_back_before_anything_is_billed_there(bench: TwoLanes, movers: Movers) -> None:
    replayer = await provisioned(bench, "C-1")
    await bench.go_on(replayer, at("12:00", 7))
    move_id = await movers.begin(replayer)
    await bench.night(replayer, 7)
    bench.go_to(at("12:00", 8))
    back = await movers.undo(replayer, move_id)
    await bench.night(replayer, 8)
    assert movers.items(back) == {"C-1": ("verified", "")}
    # With the first one, which is closed and has billed 10,000, it is the contract.
    assert bench.values_old() == [("closed", "25000.000"), ("active", "15000.000")]
    assert bench.held_old() == {"M:design": ("10000.000", True), "M:golive": ("15000.000", False)}
    assert (bench.held_new(), bench.values_new()) == ({}, [])
    assert movers.differences(move_id) == movers.differences(back) == {0}
    assert (bench.live_twice, bench.billable()) == ([], {"clm/C-1": 1})


@pytest.mark.parametrize("way", ["out of it", "into it"])
@pytest.mark.parametrize("landed", [True, False], ids=["its file arrived", "its file did not"])
async def test_a_worker_lost_inside_the_window_leaves_each_object_once(
    bench: TwoLanes, movers: Movers, landed: bool, way: str
) -> None:
    replayer = await provisioned(bench, "C-1")
    bench.go_to(at("12:00", 4))
    move_id = await movers.begin(replayer)
    day = 4
    if way == "into it":
        await bench.night(replayer, 4)
        day = 5
        bench.go_to(at("12:00", 5))
        move_id = await movers.begin(replayer, back=True)
    sent = len(bench.batches())
    bench.go_to(at("22:00", day))
    await bench.dies_sending(replayer, arrived=landed)
    assert len(bench.batches()) - sent == int(landed)
    other = Replayer(await bench.worker())
    await bench.go_on(other, at("22:10", day), at("23:30", day))
    assert len(bench.batches()) - sent == 1
    await bench.go_on(other, at("06:00", day + 1))
    assert movers.items(move_id) == {"C-1": ("verified", "")}
    assert await bench.states() == {"C-1": "active"}
    assert (bench.live_twice, bench.billable()) == ([], {"clm/C-1": 1})
    there = [status for status, _ in bench.values_old()]
    assert there == (["closed"] if way == "out of it" else ["closed", "active"])
    assert bench.held()["milestone", "clm/C-1#M:golive"] == int(way == "into it")


async def test_a_night_that_bills_all_of_it_before_it_closes_leaves_nothing_to_make(
    bench: TwoLanes, movers: Movers
) -> None:
    both = [{**milestone, "due_on": "2026-03-05"} for milestone in EARLY]
    replayer = await provisioned(bench, "C-1", milestones=both)
    bench.go_to(at("12:00", 5))
    move_id = await movers.begin(replayer)
    await bench.night(replayer, 5)
    assert movers.items(move_id)["C-1"][0] == "verified"
    assert bench.held_old() == {"M:design": ("10000.000", True), "M:golive": ("15000.000", True)}
    assert (bench.held_new(), bench.values_new()) == ({}, [])
    assert movers.differences(move_id) == {0}


async def test_hours_that_the_nightly_erp_billed_are_taken_off_value_cap_and_line(
    bench: TwoLanes, movers: Movers
) -> None:
    rates = [{"category": "SR", "name": "Senior", "rate": "240.000", "planned_hours": "200", "line": "1"}]
    replayer = await provisioned(bench, "C-1", hourly(starts_on="2026-03-01", rates=rates))
    billed_at = at("12:00", 31) + timedelta(days=2)
    await bench.go_on(replayer, billed_at)
    ((_, before),) = bench.values_old()
    (order,) = bench.erp.store.all("project")
    billed = Decimal(str(order["billed_amount"]))
    assert billed > 0
    move_id = await movers.begin(replayer)
    await bench.go_on(replayer, at("22:00", 31) + timedelta(days=2), at("06:00", 31) + timedelta(days=3))
    assert movers.items(move_id) == {"C-1": ("verified", "")}
    (project,) = bench.new.of(Kind.PROJECT)
    left = Decimal(str(before)) - billed
    assert [Decimal(str(project.fields[name])) for name in ("value", "not_to_exceed")] == [left, left]
    assert {key: Decimal(held) for key, held in bench.held_new(Kind.CONTRACT_LINE).items()} == {"L:1": left}
    assert (movers.differences(move_id), bench.live_twice) == ({0}, [])


async def test_cancelled_before_its_file_is_out_it_stays_and_afterwards_it_arrives(
    bench: TwoLanes, movers: Movers
) -> None:
    replayer = await provisioned(bench, "C-1")
    bench.go_to(at("12:00", 4))
    early = await movers.begin(replayer)
    movers.replays.cancel(ADA, early, reason="not this week")
    await bench.night(replayer, 4)
    assert (movers.items(early)["C-1"][0], bench.values_old()) == ("cancelled", [("active", "25000.000")])
    assert (await placed(bench), len(bench.batches())) == ([], 1)
    assert await bench.states() == {"C-1": "active"}
    bench.go_to(at("12:00", 5))
    late = await movers.begin(replayer)
    await bench.go_on(replayer, at("22:00", 5))
    movers.replays.cancel(ADA, late, reason="too late")
    await bench.go_on(replayer, at("06:00", 6))
    assert (bench.values_old()[0][0], bench.values_new()) == ("closed", ["15000"])  # the night billed the design first
    assert await bench.states() == {"C-1": "active"}
    assert (bench.live_twice, bench.billable()) == ([], {"clm/C-1": 1})


async def test_what_the_nightly_erp_refuses_to_take_over_is_an_exception_and_goes_in_the_next_night(
    bench: TwoLanes, movers: Movers
) -> None:
    replayer = await provisioned(bench, "C-1")
    bench.go_to(at("12:00", 4))
    await movers.begin(replayer)
    await bench.night(replayer, 4)
    period: Doc = {"id": "7700/2026-09", "legal_entity": "7700", "period": "2026-09", "status": "closed"}
    bench.erp.store.put("period", period)
    bench.erp.store.commit()
    bench.go_to(at("12:00", 5))
    back = await movers.begin(replayer, back=True)
    await bench.night(replayer, 5)
    assert movers.items(back) == {"C-1": ("failed", "period 2026-09 of company 7700 is closed (P01)")}
    assert (await bench.states(), bench.billable()) == ({"C-1": "blocked"}, {})
    bench.erp.store.drop("period", "7700/2026-09")
    bench.erp.store.commit()
    await bench.night(replayer, 6)
    assert (await bench.states(), bench.billable()) == ({"C-1": "active"}, {"clm/C-1": 1})
    assert await bench.rows("SELECT cause, state FROM core.case") == [("erp_rejected", "resolved")]
    assert bench.live_twice == []


async def test_an_amendment_that_comes_while_it_is_on_its_way_is_in_what_arrives(
    bench: TwoLanes, movers: Movers
) -> None:
    replayer = await provisioned(bench, "C-1")
    await bench.go_on(replayer, at("12:00", 7))
    move_id = await movers.begin(replayer)
    await bench.go_on(replayer, at("22:00", 7))
    more = [EARLY[0], {**EARLY[1], "amount": "17000.000"}]
    line = {"key": "1", "description": "Rollout", "amount": "27000.000"}
    await bench.amend("C-1", 1, {"value": "27000.000", "lines": [line], "milestones": more})
    await bench.go_on(replayer, at("06:00", 8))
    assert movers.items(move_id) == {"C-1": ("verified", "")}
    assert (bench.held_new(), bench.values_new()) == ({"M:golive": "17000"}, ["17000"])
    assert bench.held_old() == {"M:design": ("10000.000", True)}
    assert bench.live_twice == []
