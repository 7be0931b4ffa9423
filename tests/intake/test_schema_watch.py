"""Who sends which version, and which fields are new: counted once each behind a watermark, told once to integration."""

from datetime import timedelta

import orjson
import pytest
import sqlalchemy as sa
from jsonschema import Draft202012Validator, FormatChecker
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import VirtualClock
from sync_core.commands.desk import CommandRefused, NotFound
from sync_core.delivery.field_news import FieldNews
from sync_core.delivery.messages import OUTGOING
from sync_core.events import PREFIX
from sync_core.reads import Reads
from sync_core.schemas import watch as schema_watch
from sync_core.schemas.watch import MORE, WATERMARK, Watched, watch
from tests.commands import people
from tests.delivery.support import announcer, settled, told
from tests.intake.deliveries import NOW, deliver, drafting, event, rows, signing
from tests.sows import SOURCE, estate, milestone_terms, signed
from tests.versions import as_v2

V1, V2 = f"{PREFIX}signed.v1", f"{PREFIX}signed.v2"


async def watched(database: AsyncEngine) -> Watched:
    await settled(database)
    return await watch(database, clock=VirtualClock(NOW))


async def used(database: AsyncEngine) -> dict[tuple[str, str], int]:
    found = await rows(database, "SELECT type, received_by, events FROM core.schema_usage ORDER BY 1, 2")
    return {(row.type.removeprefix(PREFIX), row.received_by): row.events for row in found}


async def fields(database: AsyncEngine) -> dict[str, tuple[str, int]]:
    found = await rows(database, "SELECT path, shape, events FROM core.schema_drift ORDER BY path")
    return {row.path: (row.shape, row.events) for row in found}


async def test_use_is_counted_by_version_client_and_day_and_never_twice(
    async_database: AsyncEngine, database: sa.Engine
) -> None:
    await deliver(async_database, signing("C-1"), drafting("C-2"), by="webhook")
    await deliver(async_database, event("e", "signed.v2", as_v2(signed("C-3"))), by="poll:clm")
    assert (await watched(async_database)).events == 3
    assert (await watched(async_database)).events == 0
    await deliver(async_database, signing("C-4"), signing("C-4"), by="webhook", now=NOW + timedelta(days=1))
    assert (await watched(async_database)).events == 1
    assert await used(async_database) == {
        ("drafted.v1", "webhook"): 1, ("signed.v1", "webhook"): 1, ("signed.v2", "poll:clm"): 1,
    }  # fmt: skip
    assert len(await rows(async_database, "SELECT DISTINCT used_on FROM core.schema_usage")) == 2
    reads = Reads(database, clock=VirtualClock(NOW + timedelta(days=1)), estate=estate())
    [second] = [one for one in reads.schema_versions() if one.name == V2]
    assert [(one.source, one.received_by, one.events) for one in second.clients] == [(SOURCE, "poll:clm", 1)]


async def test_a_transaction_that_commits_late_is_counted_too(async_database: AsyncEngine) -> None:
    async with async_database.connect() as slow:
        await slow.begin()
        await slow.execute(sa.text("SELECT pg_current_xact_id()"))
        insert = """INSERT INTO core.event (source, id, type, external_id, occurred_at, recorded_at, received_by,
                    correlation_id, data, attributes)
                    VALUES (:s, 'late', :t, 'C-9', :n, :n, 'webhook', 'c', '{"contract_id": "C-9"}', '{}')"""
        await slow.execute(sa.text(insert), {"s": SOURCE, "t": V1, "n": NOW})
        await deliver(async_database, signing("C-1"))
        assert (await watch(async_database, clock=VirtualClock(NOW))).events == 0, "what is above it waits"
        await slow.commit()
    assert (await watched(async_database)).events == 2


async def test_new_fields_are_noted_with_their_path_type_and_count(async_database: AsyncEngine) -> None:
    terms = milestone_terms(risk={"class": "A"}, tomorrow=None)
    await deliver(async_database, signing("C-1"), event("a", "signed.v1", signed("C-2", terms) | {"more": 1}))
    assert (await watched(async_database)).new_fields == 3
    assert await fields(async_database) == {
        "more": ("number", 1), "terms.risk": ("object", 1), "terms.tomorrow": ("null", 1),
    }  # fmt: skip
    await deliver(async_database, event("b", "signed.v1", signed("C-3", milestone_terms(risk=1))))
    again = await watched(async_database)
    assert (again.events, again.new_fields) == (1, 0)
    assert (await fields(async_database))["terms.risk"] == ("object", 2)


async def test_endless_and_hostile_names_do_not_fill_the_table(
    async_database: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema_watch, "MOST_PATHS", 3)
    many = {f"field-{n}": n for n in range(10)} | {"x" * 900: 1, "<b>\u202e": 1}
    await deliver(async_database, event("a", "signed.v1", signed("C-1") | many))
    await watched(async_database)
    found = await fields(async_database)
    assert len(found) == 4
    assert found[MORE][1] == 9
    assert all(len(path) <= 200 for path in found)


async def test_a_database_that_was_restored_elsewhere_is_counted_from_now_on(async_database: AsyncEngine) -> None:
    await deliver(async_database, signing("C-1"))
    await watched(async_database)
    async with async_database.begin() as conn:
        place = orjson.dumps({"xid": str(2**60), "seq": 1, "since": "-infinity"}).decode()
        moved = {"n": WATERMARK, "v": place}
        await conn.execute(sa.text("UPDATE core.watermark SET value = :v WHERE name = :n"), moved)
    await deliver(async_database, signing("C-2"), now=NOW + timedelta(minutes=1))
    assert (await watched(async_database)).events == 1
    assert await used(async_database) == {("signed.v1", "test"): 2}


async def test_a_new_field_is_told_once_until_somebody_acknowledges_it(
    async_database: AsyncEngine, database: sa.Engine
) -> None:
    news = FieldNews(async_database, announcer(async_database).values)
    await deliver(async_database, event("a", "signed.v1", signed("C-1") | {"more": 1, "other": 1}))
    await watched(async_database)
    commands = people.commands(database, estate=estate())
    with pytest.raises(NotFound):
        commands.schemas.acknowledge(people.ADMINISTRATOR, [1, 99], "known to us")
    commands.schemas.acknowledge(people.ADMINISTRATOR, [1], "known to us")
    with pytest.raises(CommandRefused, match="acknowledged before"):
        commands.schemas.acknowledge(people.ADMINISTRATOR, [1], "known to us")
    assert (await news.look(NOW), await news.look(NOW + timedelta(hours=1))) == (1, 0)
    [row] = told(database)
    assert (row["function"], row["severity"], row["data"]["path"]) == ("integration", "medium", "other")
    schema = OUTGOING["com.tieline.schema.drifted.v1"].schema()
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(row["data"])
