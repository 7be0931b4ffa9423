"""Versions of an event at the door: read in the core's form, kept as sent; removed, registered, released."""

from dataclasses import replace
from datetime import date, timedelta

import orjson
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.commands.commands import Commands
from sync_core.commands.desk import CommandRefused, InvalidInput
from sync_core.commands.schemas import Proposed
from sync_core.estate.schemas import SchemaPlan
from sync_core.events import PREFIX, REGISTRY
from sync_core.intake.cloudevents import CloudEvent
from sync_core.intake.intake import accept, release
from sync_core.schemas.registered import registration
from tests.commands import people
from tests.commands.people import audited
from tests.intake.deliveries import NOW, contract_row, deliver, event, rows, signing
from tests.sows import estate, signed
from tests.versions import V3, as_v2, as_v3, v3_schema

V1, V2 = f"{PREFIX}signed.v1", f"{PREFIX}signed.v2"
RENAMES = (("terms.total", "terms.value"), ("terms.lines[].sum", "terms.lines[].amount"))
PROPOSED = Proposed(V3, v3_schema(), V2, RENAMES)


def second(contract: str) -> CloudEvent:
    return event(f"{contract}.v2", "signed.v2", as_v2(signed(contract)))


def third(contract: str) -> CloudEvent:
    return event(f"{contract}.v3", "signed.v3", as_v3(signed(contract)))


def desk(database: sa.Engine) -> Commands:
    return people.commands(database, estate=estate())


async def test_both_versions_make_the_same_contract_and_keep_what_was_sent(async_database: AsyncEngine) -> None:
    receipts = await deliver(async_database, signing("C-1"), second("C-2"))
    assert [one.status.value for one in receipts] == ["accepted", "accepted"]
    one, other = await rows(async_database, "SELECT type, data, sent_type, sent FROM core.event ORDER BY external_id")
    assert (one.type, one.sent_type, one.sent) == (V1, None, None)
    assert (other.type, other.sent_type, other.sent) == (V1, V2, as_v2(signed("C-2")))
    assert other.data == {**one.data, "contract_id": "C-2"}
    first, second_ = [await contract_row(async_database, name) for name in ("C-1", "C-2")]
    assert (first.value, first.currency, first.state) == (second_.value, second_.currency, second_.state)


async def test_a_repeat_of_another_version_is_held_against_what_was_sent(async_database: AsyncEngine) -> None:
    await deliver(async_database, second("C-1"))
    [again] = await deliver(async_database, second("C-1"))
    assert (again.duplicate, again.differs) == (True, False)
    [other] = await deliver(async_database, replace(signing("C-1"), id="C-1.v2"))
    assert (other.duplicate, other.differs) == (True, True)


async def test_what_was_removed_is_quarantined_and_what_was_stored_stays(async_database: AsyncEngine) -> None:
    await deliver(async_database, signing("C-1"))
    without = replace(estate(), schema=(SchemaPlan(V1, date(2026, 1, 1), date(2026, 2, 1), NOW.date()),))
    async with async_database.begin() as conn:
        gone, taken = await accept(conn, [signing("C-2"), second("C-3")], estate=without, now=NOW, received_by="test")
    assert gone.reason == f"{V1} is taken no more since 2026-03-02; send {V2}"
    assert taken.reason is None
    assert len(await rows(async_database, "SELECT 1 FROM core.event")) == 2
    async with async_database.begin() as conn:
        earlier = NOW - timedelta(days=1)
        [before] = await accept(conn, [signing("C-4")], estate=without, now=earlier, received_by="test")
    assert before.reason is None


async def test_an_unknown_version_waits_whole_and_is_released_with_its_registration(
    async_database: AsyncEngine, database: sa.Engine
) -> None:
    receipts = await deliver(async_database, *(third(f"C-{n}") for n in range(3)), signing("C-9"))
    assert [one.status.value for one in receipts] == [*["quarantined"] * 3, "accepted"]
    commands = desk(database)
    seen = commands.schemas.preview(people.ADMINISTRATOR, PROPOSED)
    assert (seen.waiting, seen.understood, seen.held) == (3, 3, ())
    done = commands.schemas.register(people.ADMINISTRATOR, PROPOSED, "the CLM was upgraded")
    assert len(done.released) == 3
    stored = await rows(
        async_database, "SELECT type, sent_type, sent, data FROM core.event WHERE sent_type IS NOT NULL"
    )
    assert {(row.type, row.sent_type) for row in stored} == {(V1, V3)}
    assert stored[0].sent == as_v3(signed("C-0"))
    assert stored[0].data["terms"]["value"] == "25000.00"
    for name in ("C-0", "C-1", "C-2"):
        row = await contract_row(async_database, name)
        assert (row.state, str(row.value), row.received_at) == ("waiting", "25000.00", NOW)
    assert await rows(async_database, "SELECT 1 FROM core.quarantine WHERE released_at IS NULL") == []
    [audit] = audited(database)
    assert (audit["action"], audit["actor"]) == ("schema.register", "admin@example.com")
    # From now on it comes in by itself, and a repeat gets its first receipt.
    [direct] = await deliver(async_database, third("C-7"))
    assert direct.reason is None
    [again] = await deliver(async_database, third("C-0"))
    assert (again.duplicate, again.differs, again.correlation_id) == (True, False, receipts[0].correlation_id)


async def test_workers_release_what_came_before_the_registration_and_was_more_than_it_took(
    async_database: AsyncEngine, database: sa.Engine
) -> None:
    commands = desk(database)
    commands.schemas.register(people.ADMINISTRATOR, PROPOSED, "the CLM was upgraded")
    commands.schemas.withdraw(people.ADMINISTRATOR, 1, "too early")
    await deliver(async_database, third("C-1"))
    assert await rows(async_database, "SELECT 1 FROM core.event") == []
    commands.schemas.register(people.ADMINISTRATOR, PROPOSED, "now it is time")
    assert len(await rows(async_database, "SELECT 1 FROM core.event")) == 1
    async with async_database.begin() as conn:
        assert (await release(conn, estate=estate(), now=NOW)).receipts == ()
    commands.schemas.withdraw(people.ADMINISTRATOR, 2, "their release went back")
    [held] = await deliver(async_database, third("C-2"))
    assert "not registered" in str(held.reason)
    with database.begin() as conn:
        conn.execute(sa.text("UPDATE core.schema_registration SET withdrawn_at = NULL WHERE registration_id = 2"))
    async with async_database.begin() as conn:
        freed = await release(conn, estate=estate(), now=NOW)
    assert [one.event_id for one in freed.receipts] == ["C-2.v3"]


async def test_a_registration_that_reads_nothing_is_refused_with_the_first_reason(
    async_database: AsyncEngine, database: sa.Engine
) -> None:
    await deliver(async_database, third("C-1"))
    commands = desk(database)
    unnamed = Proposed(V3, v3_schema(), V2, RENAMES[:1])
    assert commands.schemas.preview(people.ADMINISTRATOR, unnamed).held[0].words.endswith("Field required")
    with pytest.raises(CommandRefused, match=r"none of the 1 events .* terms\.lines\.0\.amount"):
        commands.schemas.register(people.ADMINISTRATOR, unnamed, "a try")
    commands.schemas.register(people.ADMINISTRATOR, PROPOSED, "the right one")
    with pytest.raises(CommandRefused, match="registered already"):
        commands.schemas.register(people.ADMINISTRATOR, PROPOSED, "twice")
    with pytest.raises(InvalidInput, match="part of this release already"):
        commands.schemas.register(people.ADMINISTRATOR, replace(PROPOSED, type=V2), "again")


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_a_known_version_cannot_be_registered_over(name: str) -> None:
    with pytest.raises(Exception, match="part of this release already"):
        registration(name, b"{}", name, ())


def test_the_examples_differ_only_in_names() -> None:
    assert orjson.dumps(as_v3(signed("C-1"))) != orjson.dumps(as_v2(signed("C-1")))
