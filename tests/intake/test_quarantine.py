"""What is not understood is kept whole, stops nothing else, and is released when it is understood."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.estate.estate import Clm, Estate
from sync_core.intake.cloudevents import CloudEvent, parse_binary, parse_structured
from sync_core.intake.intake import Receipt, ReceiptStatus, Released, accept, hold_unreadable, release
from tests.intake.deliveries import NOW, contract_row, deliver, event, rows, signing
from tests.sows import SOURCE, cloud_event, estate, milestone_terms, signed

OTHER = "urn:test:acquired"


def wider_estate() -> Estate:
    """The estate after the acquired firm's CLM was added to it."""
    now = estate()
    return replace(now, clm=(*now.clm, Clm("acquired", OTHER, "sandbox")))


def from_acquired(event_id: str, contract: str) -> CloudEvent:
    return event(event_id, "signed.v1", signed(contract), source=OTHER)


async def freed(database: AsyncEngine, *, after: int = 0, most: int = 500) -> Released:
    async with database.begin() as conn:
        return await release(conn, estate=wider_estate(), now=NOW + timedelta(days=3), after=after, most=most)


NOT_UNDERSTOOD = {
    "not registered": event("x", "signed.v9", signed("C-9")),
    "contract_id": event(
        "x", "signed.v1", {"revision": 1, "signed_at": "2026-01-01T00:00:00Z"} | {"contract_id": None}
    ),
    "signed_at": event("x", "signed.v1", signed("C-9") | {"signed_at": "0001-01-01T00:00:00+02:00"}),
    "U+0000": event("x", "signed.v1", signed("C-9", milestone_terms(title="a\0b"))),
    "terms.value": event("x", "signed.v1", signed("C-9", milestone_terms(value="1e300"))),
    "finite number": event("x", "signed.v1", signed("C-9", milestone_terms(value="NaN"))),
    "revision": event("x", "signed.v1", signed("C-9", revision=2**62 + 1)),
    "revision: it must be a whole number": event("x", "signed.v1", signed("C-9") | {"revision": True}),
    "value: it must be a plain decimal number": event("x", "signed.v1", signed("C-9", milestone_terms(value="1_0"))),
    "text/xml": parse_binary(
        {"ce-id": "x", "ce-source": SOURCE, "ce-specversion": "1.0", "ce-type": "t", "content-type": "text/xml"},
        b"<a/>",
    ),
    "not in the estate": from_acquired("x", "C-9"),
}


@pytest.mark.parametrize("reason", NOT_UNDERSTOOD)
async def test_it_is_kept_whole_with_its_reason_and_stops_no_other(async_database: AsyncEngine, reason: str) -> None:
    odd = NOT_UNDERSTOOD[reason]
    receipts = await deliver(async_database, signing("C-1"), odd, signing("C-2"))
    assert [r.status.value for r in receipts] == ["accepted", "quarantined", "accepted"]
    assert reason in str(receipts[1].reason)
    [held] = await rows(async_database, "SELECT * FROM core.quarantine")
    assert (held.event_id, held.body, held.recorded_at, held.released_at) == ("x", odd.body, NOW, None)
    assert held.signature == (odd.type != "t")
    assert len(await rows(async_database, "SELECT 1 FROM core.event")) == 2


async def test_delivered_again_it_is_a_duplicate_of_its_first_receipt(async_database: AsyncEngine) -> None:
    [first] = await deliver(async_database, from_acquired("q-1", "C-1"))
    [again] = await deliver(async_database, from_acquired("q-1", "C-1"), now=NOW + timedelta(hours=1))
    expected = Receipt("q-1", OTHER, ReceiptStatus.DUPLICATE, NOW, first.correlation_id, first.reason)
    assert again == expected
    assert len(await rows(async_database, "SELECT 1 FROM core.quarantine")) == 1


async def test_an_understood_repeat_of_a_quarantined_id_does_not_pass_it_by(async_database: AsyncEngine) -> None:
    await deliver(async_database, event("q-1", "signed.v9", signed("C-1")))
    [again] = await deliver(async_database, event("q-1", "signed.v1", signed("C-1")))
    assert (again.duplicate, again.differs) == (True, True)
    assert await rows(async_database, "SELECT 1 FROM core.event") == []


async def test_garbage_under_the_id_of_a_stored_event_is_a_duplicate_too(async_database: AsyncEngine) -> None:
    await deliver(async_database, signing("C-1", event_id="e-1"))
    [again] = await deliver(async_database, event("e-1", "signed.v1", {"contract_id": "C-1"}))
    assert (again.duplicate, again.differs, again.reason) == (True, True, None)
    assert await rows(async_database, "SELECT 1 FROM core.quarantine") == []


async def test_release_lets_it_go_the_way_of_all_others(async_database: AsyncEngine) -> None:
    [first] = await deliver(async_database, from_acquired("q-1", "C-1"))
    await deliver(async_database, event("q-2", "signed.v9", signed("C-2")))
    done = await freed(async_database)
    assert [(r.event_id, r.correlation_id) for r in done.receipts] == [("q-1", first.correlation_id)]
    assert done.last is None
    row = await contract_row(async_database, "C-1")
    assert (row.state, row.received_at, row.due_at) == ("waiting", NOW, NOW + timedelta(days=3))
    [stored] = await rows(async_database, "SELECT * FROM core.event")
    assert (stored.received_by, stored.recorded_at) == ("test", NOW + timedelta(days=3))
    [still] = await rows(async_database, "SELECT event_id FROM core.quarantine WHERE released_at IS NULL")
    assert still.event_id == "q-2"


async def test_release_is_idempotent_and_a_repeat_after_it_gets_the_first_receipt(async_database: AsyncEngine) -> None:
    [first] = await deliver(async_database, from_acquired("q-1", "C-1"))
    await freed(async_database)
    assert (await freed(async_database)).receipts == ()
    async with async_database.begin() as conn:
        [again] = await accept(
            conn, [from_acquired("q-1", "C-1")], estate=wider_estate(), now=NOW + timedelta(days=4), received_by="test"
        )
    assert again == Receipt("q-1", OTHER, ReceiptStatus.DUPLICATE, NOW, first.correlation_id)
    assert (await contract_row(async_database, "C-1")).wanted_rev == 1


async def test_releases_that_overlap_and_page_release_each_event_once(async_database: AsyncEngine) -> None:
    await deliver(async_database, *(from_acquired(f"q-{n}", f"C-{n}") for n in range(30)))

    async def all_pages() -> list[Receipt]:
        receipts: list[Receipt] = []
        after: int | None = 0
        while after is not None:
            done = await freed(async_database, after=after, most=7)
            receipts, after = [*receipts, *done.receipts], done.last
        return receipts

    answers = await asyncio.gather(*(all_pages() for _ in range(4)))
    assert sorted(r.event_id for receipts in answers for r in receipts) == sorted(f"q-{n}" for n in range(30))
    assert {row.wanted_rev for row in await rows(async_database, "SELECT wanted_rev FROM core.contract")} == {1}


async def test_unreadable_entries_are_held_once_by_their_digest(async_database: AsyncEngine) -> None:
    async def hold() -> int:
        async with async_database.begin() as conn:
            return await hold_unreadable(
                conn, [(b"\x00not json", "no JSON"), (b"{}", "no id")], source=SOURCE, now=NOW, received_by="poll:clm"
            )

    assert (await hold(), await hold()) == (2, 0)
    [one, _] = await rows(async_database, "SELECT * FROM core.quarantine ORDER BY quarantine_id")
    assert {one.body, _.body} == {b"\x00not json", b"{}"}
    assert (await freed(async_database)).receipts == ()


async def test_the_body_of_a_structured_event_is_kept_byte_by_byte(async_database: AsyncEngine) -> None:
    spaced = orjson.dumps(cloud_event("q-1", "signed.v9", signed("C-1")), option=orjson.OPT_INDENT_2)
    await deliver(async_database, parse_structured(spaced))
    [held] = await rows(async_database, "SELECT body, external_id FROM core.quarantine")
    assert (held.body, held.external_id) == (spaced, "C-1")
