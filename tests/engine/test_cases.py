"""The life of an exception: it reopens within seven days, is a new one after; a decision stands until something new."""

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.cases.sla import due
from sync_core.errors import Function
from tests.commands.people import EVERYTHING, TAX
from tests.engine.governed import Desk
from tests.sows import cloud_event, milestone_terms, signed


@pytest.fixture
async def desk(async_database: AsyncEngine, database: sa.Engine) -> Desk:
    made = Desk(async_database, sync=database)
    made.erp.tax_codes.clear()
    return made


async def opened(desk: Desk) -> int:
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1")))
    await desk.run()
    return await desk.case_id("tax_profile_missing")


async def mended(desk: Desk, *, after: timedelta = timedelta(minutes=1)) -> None:
    desk.erp.tax_codes.add("US-CA-STD")
    await desk.run(after=after)
    assert await desk.states() == {"C-1": "active"}


async def lost_again(desk: Desk, *, after: timedelta, revision: int) -> None:
    desk.erp.tax_codes.clear()
    desk.virtual.advance(after)
    await desk.arrive(cloud_event(f"e{revision}", "signed.v1", signed("C-1", revision=revision)))
    await desk.run()
    assert await desk.states() == {"C-1": "blocked"}


async def test_it_says_where_it_arose_and_what_it_is_like(desk: Desk) -> None:
    for n in (1, 2):
        await desk.arrive(cloud_event(f"e{n}", "signed.v1", signed(f"C-{n}", milestone_terms(title=f"Title {n}"))))
    british = milestone_terms(legal_entity="GB01", currency="GBP", tax={"tax_code": "GB-STD"})
    await desk.arrive(cloud_event("e3", "signed.v1", signed("C-3", british)))
    await desk.run()
    rows = await desk.rows("SELECT operation, group_key FROM core.case WHERE cause = 'tax_profile_missing'")
    assert {row[0] for row in rows} == {"check.references"}
    assert len({row[1] for row in rows}) == 2
    groups = desk.reads.case_groups()
    assert [(g.legal_entity, g.exposure.count, g.function) for g in groups if g.cause == "tax_profile_missing"] == [
        ("US01", 2, "tax"), ("GB01", 1, "tax"),
    ]  # fmt: skip


async def test_within_seven_days_the_same_one_reopens(desk: Desk) -> None:
    first = await opened(desk)
    desk.people.cases.assign(EVERYTHING, [first], "ada@example.com")
    desk.people.cases.acknowledge(EVERYTHING, [first])
    await mended(desk, after=timedelta(hours=1))
    await lost_again(desk, after=timedelta(days=6, hours=23), revision=2)
    assert await desk.case_id("tax_profile_missing") == first
    assert await desk.told(first) == ["opened", "assigned", "acknowledged", "resolved", "reopened"]
    detail = desk.reads.case(first)
    assert detail is not None
    assert (detail.row.assignee, detail.row.acknowledged_by, detail.row.closed_how) == ("ada@example.com", None, None)
    assert detail.row.first_opened_at is not None
    assert detail.row.first_opened_at < detail.row.opened_at
    desk.virtual.advance(timedelta(hours=2))
    assert desk.reads.case(first).open_for == timedelta(hours=3)  # type: ignore[union-attr]


async def test_after_seven_days_it_is_a_new_one(desk: Desk) -> None:
    first = await opened(desk)
    await mended(desk)
    await lost_again(desk, after=timedelta(days=7, minutes=1), revision=2)
    second = await desk.case_id("tax_profile_missing")
    assert second > first
    assert (await desk.told(first), await desk.told(second)) == (["opened", "resolved"], ["opened"])
    assert [c[2] for c in await desk.cases()] == ["resolved", "open"]
    await mended(desk)
    assert [c[2] for c in await desk.cases()] == ["resolved", "resolved"]


async def test_a_decision_stands_while_it_is_only_found_again(desk: Desk) -> None:
    case = await opened(desk)
    desk.people.cases.decide(TAX, [case], "we bill it by hand")
    for _ in range(3):
        await desk.run(after=timedelta(hours=4))
    assert await desk.states() == {"C-1": "blocked"}
    assert await desk.told(case) == ["opened", "decided"]
    await desk.run(after=timedelta(days=9))
    assert [c[2] for c in await desk.cases()] == ["decided"]


async def test_a_new_event_reopens_what_was_decided(desk: Desk) -> None:
    case = await opened(desk)
    desk.people.cases.decide(TAX, [case], "we bill it by hand")
    await lost_again(desk, after=timedelta(hours=1), revision=2)
    assert await desk.told(case) == ["opened", "decided", "reopened"]
    [row] = await desk.rows("SELECT state, decided_by, decided_rev, closed_how FROM core.case")
    assert row == ("open", None, None, None)


async def test_an_event_that_came_before_the_decision_does_not_reopen_it(desk: Desk) -> None:
    case = await opened(desk)
    await desk.arrive(cloud_event("e2", "signed.v1", signed("C-1", revision=2)))
    desk.people.cases.decide(TAX, [case], "we saw the new one too")
    await desk.run()
    assert await desk.told(case) == ["opened", "decided"]


async def test_other_words_reopen_what_was_decided(desk: Desk) -> None:
    case = await opened(desk)
    async with desk.engine.begin() as conn:
        await conn.execute(sa.text("UPDATE core.case SET message = 'as it was understood then'"))
    desk.people.cases.decide(TAX, [case], "we bill it by hand")
    await desk.run(after=timedelta(hours=4))
    assert await desk.told(case) == ["opened", "decided", "reopened"]


async def test_found_again_it_stays_with_whom_people_gave_it(desk: Desk) -> None:
    case = await opened(desk)
    desk.people.cases.hand_over(EVERYTHING, [case], Function.MASTER_DATA, "ours to set up")
    desk.people.cases.assign(EVERYTHING, [case], "ada@example.com")
    await lost_again(desk, after=timedelta(hours=1), revision=2)
    [row] = await desk.rows("SELECT function, assignee, occurrences, version FROM core.case")
    assert row == ("master_data", "ada@example.com", 2, 4)  # the event that was seen is news to who read it before


async def test_what_reopens_with_another_function_has_the_time_of_that_function(desk: Desk) -> None:
    case = await opened(desk)
    desk.people.cases.hand_over(EVERYTHING, [case], Function.FINANCE_OPERATIONS, "ours to set up")
    await mended(desk)
    await lost_again(desk, after=timedelta(days=1), revision=2)
    [row] = await desk.rows("SELECT function, due_at, opened_at FROM core.case")
    assert row[0] == Function.FINANCE_OPERATIONS
    assert row[1] == due(desk.estate, Function.FINANCE_OPERATIONS, "US01", row[2])


async def test_a_decision_and_a_run_at_the_same_time_do_not_lose_each_other(desk: Desk) -> None:
    """Decided while the run was on its way: the run's commit finds it decided, and leaves it."""
    case = await opened(desk)
    worker = await desk.worker()
    desk.virtual.advance(timedelta(hours=1))

    asked = desk.erp.before

    def decide_first(operation: str, ctx: object) -> None:
        if desk.erp.before is not asked:
            desk.erp.before = asked
            desk.people.cases.decide(TAX, [case], "just now")

    desk.erp.before = decide_first
    await worker.drain()
    assert await desk.told(case) == ["opened", "decided"]


async def test_workers_and_bulk_commands_never_wait_for_each_other_in_a_circle(desk: Desk) -> None:
    """Both lock contracts before exceptions, and exceptions by id; PostgreSQL would kill one of a circle."""
    await desk.arrive(*(cloud_event(f"e{n}", "signed.v1", signed(f"C-{n}")) for n in range(60)))
    await desk.run()
    ids = [int(row[0]) for row in await desk.rows("SELECT case_id FROM core.case ORDER BY case_id DESC")]
    assert len(ids) == 60

    def work(who: str) -> None:
        people = desk.people.cases
        for n in range(8):
            people.assign(EVERYTHING, ids, f"{who}-{n}@example.com")
            if who == "ada":
                people.decide(EVERYTHING, ids[n * 7 : n * 7 + 7], "we let these be")

    async def runs() -> None:
        for n in range(1, 7):
            events = (cloud_event(f"e{c}.{n}", "signed.v1", signed(f"C-{c}", revision=n + 1)) for c in range(60))
            await desk.arrive(*events)
            await desk.run(after=timedelta(minutes=1))

    await asyncio.gather(runs(), asyncio.to_thread(work, "ada"), asyncio.to_thread(work, "bob"))
    await desk.run(after=timedelta(hours=5))
    kinds = await desk.rows("""
        SELECT count(*) FILTER (WHERE state = 'open'), count(*) FILTER (WHERE state = 'decided'), count(*)
        FROM core.case
    """)
    assert kinds[0][2] == 60
    assert kinds[0][0] + kinds[0][1] == 60
    told = await desk.rows("SELECT what, count(*) FROM core.case_history GROUP BY 1")
    counts = {str(what): int(n) for what, n in told}
    assert counts["opened"] == 60
    assert counts["decided"] - counts.get("reopened", 0) == kinds[0][1]
