"""Intake stores each event once and makes its contract due."""

import asyncio
import random
from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from sync_core.intake.intake import Receipt, ReceiptStatus, accept
from tests.databases import DatabaseUrls
from tests.intake.deliveries import (
    NOW,
    amending,
    approval,
    contract_row,
    deliver,
    drafting,
    event,
    rows,
    set_state,
    signing,
)
from tests.sows import estate, signed, tm_terms


async def test_a_signature_makes_its_contract_wait_with_what_a_page_shows_of_it(async_database: AsyncEngine) -> None:
    [receipt] = await deliver(async_database, signing("C-1"))
    assert receipt.status is ReceiptStatus.ACCEPTED
    assert receipt.recorded_at == NOW
    row = await contract_row(async_database, "C-1")
    assert (row.state, row.state_since, row.due_at, row.received_at) == ("waiting", NOW, NOW, NOW)
    assert (row.title, row.customer_name, row.lane) == ("Claims platform rollout", "Harbour Mutual", "cloud")
    assert (row.value, row.value_reporting, row.bill_on.isoformat()) == (25000, 25000, "2026-05-29")
    assert row.priority == pytest.approx(25000 / 88)
    assert (row.wanted_rev, row.done_rev, row.revision, row.lease_owner) == (1, 0, 1, None)
    [stored] = await rows(async_database, "SELECT * FROM core.event")
    assert (stored.external_id, stored.correlation_id) == ("C-1", receipt.correlation_id)
    assert stored.attributes["subject"] == "C-1"


async def test_a_draft_is_shown_and_looked_at_after_all_that_was_signed(async_database: AsyncEngine) -> None:
    await deliver(async_database, drafting("C-1"), approval("C-1", 1))
    row = await contract_row(async_database, "C-1")
    assert (row.state, row.due_at, row.wanted_rev, row.title) == ("draft", NOW, 2, "Claims platform rollout")
    assert row.priority < 0


async def test_a_draft_that_is_signed_waits_with_the_signed_terms(async_database: AsyncEngine) -> None:
    await deliver(async_database, drafting("C-1", revision=5, title="Fifth draft"))
    later = NOW + timedelta(hours=1)
    await deliver(async_database, signing("C-1", revision=1, title="As signed"), now=later)
    await deliver(async_database, drafting("C-1", revision=9, title="Too late"), now=later)
    row = await contract_row(async_database, "C-1")
    assert (row.state, row.state_since, row.due_at) == ("waiting", later, later)
    assert (row.title, row.revision, row.received_at, row.wanted_rev) == ("As signed", 1, NOW, 3)


async def test_an_older_revision_never_takes_a_contract_back(async_database: AsyncEngine) -> None:
    await deliver(async_database, signing("C-1", revision=3, title="Third"))
    await deliver(async_database, signing("C-1", revision=2, title="Second"))
    row = await contract_row(async_database, "C-1")
    assert (row.title, row.revision, row.wanted_rev) == ("Third", 3, 2)


async def test_the_newest_terms_of_a_batch_are_shown_whatever_their_order(async_database: AsyncEngine) -> None:
    signings = [signing("C-1", revision=n, title=f"Revision {n}") for n in (2, 4, 1, 3)]
    await deliver(async_database, drafting("C-1", revision=9, title="A draft"), *signings, amending("C-1", 1))
    row = await contract_row(async_database, "C-1")
    assert (row.title, row.revision, row.wanted_rev, row.state) == ("Revision 4", 4, 6, "waiting")


@pytest.mark.parametrize("state", ["active", "ended", "blocked"])
async def test_a_new_event_wakes_a_settled_contract_and_leaves_its_lease(
    async_database: AsyncEngine, state: str
) -> None:
    await deliver(async_database, signing("C-1"))
    await set_state(
        async_database, "C-1", f"state = '{state}', due_at = NULL, lease_owner = 7, lease_token = 3, done_rev = 1"
    )
    later = NOW + timedelta(days=2)
    await deliver(async_database, approval("C-1", 2), now=later)
    row = await contract_row(async_database, "C-1")
    assert (row.state, row.state_since, row.due_at) == ("waiting", later, later)
    assert (row.lease_owner, row.lease_token, row.wanted_rev, row.done_rev) == (7, 3, 2, 1)


async def test_news_gives_a_contract_that_was_set_aside_its_attempts_back(async_database: AsyncEngine) -> None:
    await deliver(async_database, signing("C-1"))
    await set_state(async_database, "C-1", "state = 'set_aside', due_at = NULL, attempt = 8")
    await deliver(async_database, signing("C-1", revision=2), now=NOW + timedelta(hours=1))
    row = await contract_row(async_database, "C-1")
    assert (row.state, row.due_at, row.attempt) == ("set_aside", NOW + timedelta(hours=1), 0)


async def test_a_repeat_gives_no_attempts_back(async_database: AsyncEngine) -> None:
    await deliver(async_database, signing("C-1"))
    await set_state(async_database, "C-1", "attempt = 5")
    await deliver(async_database, signing("C-1"), now=NOW + timedelta(hours=1))
    assert (await contract_row(async_database, "C-1")).attempt == 5


async def test_a_waiting_contract_keeps_its_earlier_due_time_and_its_since(async_database: AsyncEngine) -> None:
    await deliver(async_database, signing("C-1"))
    await deliver(async_database, amending("C-1", 1), now=NOW + timedelta(hours=3))
    row = await contract_row(async_database, "C-1")
    assert (row.due_at, row.state_since, row.wanted_rev) == (NOW, NOW, 2)
    await set_state(async_database, "C-1", "due_at = '2027-01-01T00:00:00Z'")
    await deliver(async_database, amending("C-1", 2), now=NOW + timedelta(hours=4))
    assert (await contract_row(async_database, "C-1")).due_at == NOW + timedelta(hours=4)


async def test_an_amendment_before_its_signature_is_due_at_once(async_database: AsyncEngine) -> None:
    await deliver(async_database, amending("C-1", 1))
    row = await contract_row(async_database, "C-1")
    assert (row.state, row.due_at, row.title, row.signed_at) == ("draft", NOW, "", None)


async def test_an_entity_or_currency_the_estate_does_not_know_is_stored_all_the_same(
    async_database: AsyncEngine,
) -> None:
    await deliver(async_database, signing("C-1", legal_entity="XX99", currency="BRL"))
    row = await contract_row(async_database, "C-1")
    assert (row.lane, row.value, row.value_reporting, row.priority) == ("", Decimal(25000), None, 0)


async def test_time_and_materials_bill_at_the_end_of_their_first_month(async_database: AsyncEngine) -> None:
    await deliver(async_database, event("e-1", "signed.v1", signed("C-1", tm_terms())))
    row = await contract_row(async_database, "C-1")
    assert (row.billing, row.bill_on.isoformat()) == ("time_and_materials", "2026-04-30")


async def test_a_repeat_gets_the_first_receipt_and_changes_nothing(async_database: AsyncEngine) -> None:
    [first] = await deliver(async_database, signing("C-1"))
    before = await contract_row(async_database, "C-1")
    [again] = await deliver(async_database, signing("C-1"), now=NOW + timedelta(days=1), by="poll:clm")
    assert again == Receipt("C-1.r1", first.source, ReceiptStatus.DUPLICATE, NOW, first.correlation_id)
    assert await contract_row(async_database, "C-1") == before


async def test_a_repeat_within_a_batch_counts_once(async_database: AsyncEngine) -> None:
    one = signing("C-1")
    receipts = await deliver(async_database, one, one, signing("C-1", title="Other"))
    assert [r.status.value for r in receipts] == ["accepted", "duplicate", "duplicate"]
    assert [r.differs for r in receipts] == [False, False, True]
    assert (await contract_row(async_database, "C-1")).wanted_rev == 1


async def test_the_same_id_with_other_data_is_a_duplicate_that_says_so(
    async_database: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    await deliver(async_database, signing("C-1"))
    [again] = await deliver(async_database, signing("C-1", title="Other"))
    assert again.duplicate
    assert again.differs
    assert "came again with other content" in caplog.text
    assert (await contract_row(async_database, "C-1")).title == "Claims platform rollout"


async def test_numbers_that_are_written_otherwise_do_not_differ(async_database: AsyncEngine) -> None:
    await deliver(async_database, event("e-1", "signed.v1", signed("C-1") | {"weight": 1.0}))
    [again] = await deliver(async_database, event("e-1", "signed.v1", signed("C-1") | {"weight": 1}))
    assert not again.differs


async def test_nothing_is_left_when_the_caller_rolls_back(async_database: AsyncEngine) -> None:
    async with async_database.connect() as conn:
        await accept(conn, [signing("C-1")], estate=estate(), now=NOW, received_by="test")
        await conn.rollback()
    assert await rows(async_database, "SELECT 1 FROM core.event UNION ALL SELECT 1 FROM core.contract") == []


async def test_eight_writers_with_overlapping_shuffled_batches_neither_lock_up_nor_count_twice(
    database_urls: DatabaseUrls,
) -> None:
    engine = create_async_engine(database_urls.app, pool_size=8)
    contracts = [f"C-{n}" for n in range(20)]
    events = [signing(c, revision=r) for c in contracts for r in range(1, 6)] + [amending(c, 1) for c in contracts]
    chance = random.Random(7)

    async def write() -> list[Receipt]:
        mine, receipts = chance.sample(events, len(events)), []
        for start in range(0, len(mine), 30):
            async with engine.begin() as conn:
                receipts += await accept(conn, mine[start : start + 30], estate=estate(), now=NOW, received_by="test")
        return receipts

    answers = await asyncio.gather(*(write() for _ in range(8)))
    accepted = [r.event_id for receipts in answers for r in receipts if r.status is ReceiptStatus.ACCEPTED]
    assert sorted(accepted) == sorted(e.id for e in events)
    assert all(not r.differs for receipts in answers for r in receipts)
    found = await rows(engine, "SELECT wanted_rev, title, revision FROM core.contract")
    assert [(row.wanted_rev, row.revision) for row in found] == [(6, 5)] * 20
    await engine.dispose()


async def test_a_batch_of_a_thousand_is_one_statement(database_urls: DatabaseUrls) -> None:
    engine = create_async_engine(database_urls.app)
    statements: list[str] = []
    sa.event.listen(engine.sync_engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    await deliver(engine, *(signing(f"C-{n}") for n in range(1000)))
    assert len(statements) == 1
    assert len(await rows(engine, "SELECT 1 FROM core.contract")) == 1000
    await engine.dispose()
