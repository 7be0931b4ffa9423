"""Releases go the way of all events: one transaction a batch, one query for what is on record, one audit row."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.authority import PERMISSIONS, Actor, Forbidden, Permission, Role, person
from sync_core.clock import VirtualClock
from sync_core.commands import ocds_import
from sync_core.commands.ocds_import import Imported, OcdsImport
from sync_core.estate.estate import Estate
from sync_core.ocds.deciding import Became
from sync_core.ocds.packaging import releases
from tests.intake.deliveries import contract_row, rows
from tests.ocds.releases import SOURCE, Json, contract, lines, ocds_estate, release

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ADMIN = person("ada@example.test", ["administrator"])
APRIL, MAY = "2025-04-05T12:00:00Z", "2025-05-05T12:00:00Z"


async def take_in(
    database: AsyncEngine,
    *documents: object,
    actor: Actor = ADMIN,
    estate: Estate | None = None,
    trial: bool = False,
    dry_run: bool = False,
) -> Imported:
    known = estate or ocds_estate()
    one = OcdsImport(database, clock=VirtualClock(NOW), estate=known)
    read = releases(lines(*documents))
    return await one.take_in(actor, known.clms[SOURCE], read, file="a.jsonl", trial=trial, dry_run=dry_run)


def counts(done: Imported) -> list[int]:
    return [done.count(kind) for kind in (Became.CONTRACT, Became.AMENDMENT, Became.FINDING, Became.REPEAT)]


def valued(amount: object, release_id: str, when: str) -> Json:
    return release(release_id, when, contracts=[contract(value={"amount": amount, "currency": "USD"})])


async def stored(database: AsyncEngine) -> Sequence[sa.Row[tuple[object, ...]]]:
    return await rows(database, "SELECT id, type, received_by FROM core.event ORDER BY seq")


async def test_a_release_becomes_a_contract_that_is_due_and_marked_by_its_source(async_database: AsyncEngine) -> None:
    done = await take_in(async_database, release())
    assert counts(done) == [1, 0, 0, 0]
    row = await contract_row(async_database, "ocds-test-1:1")
    assert (row.source, row.state, row.due_at, row.value) == (SOURCE, "waiting", NOW, Decimal("1200.50"))
    [event] = await stored(async_database)
    assert event.received_by == "import:public"
    [entry] = await rows(async_database, "SELECT actor, action, items, CAST(detail AS json) AS detail FROM core.audit")
    assert (entry.actor, entry.action, entry.items) == (ADMIN.name, "contracts.import", 1)
    assert entry.detail == {"file": "a.jsonl", "source": SOURCE, "contract": 1}


async def test_the_file_again_is_all_repeats_and_writes_nothing(async_database: AsyncEngine) -> None:
    file = [release(), valued(1500, "r-2", APRIL), release("r-9", MAY, contracts=[])]
    assert counts(await take_in(async_database, *file)) == [1, 1, 1, 0]
    before = await rows(async_database, "SELECT * FROM core.contract")
    again = await take_in(async_database, *file)
    assert counts(again) == [0, 0, 1, 2]
    assert await rows(async_database, "SELECT * FROM core.contract") == before
    assert len(await stored(async_database)) == 2
    assert len(await rows(async_database, "SELECT 1 FROM core.audit")) == 1


async def test_a_later_file_amends_what_an_earlier_one_brought(async_database: AsyncEngine) -> None:
    await take_in(async_database, release())
    assert counts(await take_in(async_database, valued(1500, "r-2", APRIL))) == [0, 1, 0, 0]
    assert counts(await take_in(async_database, valued(1600, "r-3", MAY), release())) == [0, 1, 0, 1]
    data = await rows(async_database, "SELECT data FROM core.event WHERE type LIKE '%amended%' ORDER BY seq")
    assert [row.data["amendment"]["number"] for row in data] == [1, 2]
    assert data[1].data["changes"]["value"] == "1600.00"


async def test_releases_of_a_file_are_put_in_order_by_their_dates(async_database: AsyncEngine) -> None:
    done = await take_in(async_database, valued(1500, "r-2", APRIL), valued(1600, "r-3", MAY), release())
    assert counts(done) == [1, 2, 0, 0]
    assert [one.became for one in done.taken] == [Became.CONTRACT, Became.AMENDMENT, Became.AMENDMENT]


async def test_a_release_with_several_contracts_is_counted_once_and_its_good_ones_are_taken(
    async_database: AsyncEngine,
) -> None:
    several = release(contracts=[contract(id="a"), contract(id="b", value=None), contract(id="c")])
    done = await take_in(async_database, several)
    assert counts(done) == [0, 0, 1, 0]
    assert [(one.contract, one.place.release_id) for one in done.findings] == [("b", "r-1")]
    found = await rows(async_database, "SELECT external_id FROM core.contract ORDER BY 1")
    assert [row.external_id for row in found] == ["ocds-test-1:a", "ocds-test-1:c"]


async def test_a_dry_run_says_the_same_and_stores_nothing(async_database: AsyncEngine) -> None:
    file = [release(), valued(1500, "r-2", APRIL), release("r-9", MAY, contracts=[])]
    said = await take_in(async_database, *file, dry_run=True)
    for table in ("event", "contract", "audit"):
        assert await rows(async_database, f"SELECT 1 FROM core.{table}") == []
    done = await take_in(async_database, *file)
    assert (said.became, said.findings, said.taken) == (done.became, done.findings, done.taken)


async def test_it_says_what_the_checks_will_stop(async_database: AsyncEngine) -> None:
    nobody = release(ocid="ocds-test-2", buyer=None)
    over = release(ocid="ocds-test-3", contracts=[contract(status="terminated")])
    stranger = await take_in(async_database, release(), nobody, over, dry_run=True)
    assert stranger.waiting == {"legal_entity_unknown": 2}
    ours = ocds_estate(legal_entity="US01", tax_code="US-CA-STD")
    assert (await take_in(async_database, release(), nobody, estate=ours, dry_run=True)).waiting == {
        "customer_missing": 1
    }


async def test_who_waits_is_counted_once_and_not_after_its_end(async_database: AsyncEngine) -> None:
    amended = [release(), valued(1500, "r-2", APRIL)]
    ended = [
        release(ocid="ocds-test-2"),
        release("r-3", MAY, ocid="ocds-test-2", contracts=[contract(status="terminated")]),
    ]
    said = await take_in(async_database, *amended, *ended, dry_run=True)
    assert [one.waits_for for one in said.taken if one.said.external_id == "ocds-test-2:1"] == [
        ("legal_entity_unknown",), ()
    ]  # fmt: skip
    assert said.waiting == {"legal_entity_unknown": 1}, "of the one that goes on, however often it was published"


async def test_a_trial_is_never_counted(async_database: AsyncEngine) -> None:
    await take_in(async_database, release(), trial=True)
    assert (await contract_row(async_database, "ocds-test-1:1")).test


async def test_batches_are_one_query_and_one_statement_however_many_releases(
    async_database: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    sa.event.listen(async_database.sync_engine, "before_cursor_execute", lambda *given: sent.append(given[2]))
    many = [release(ocid=f"ocds-test-{number}") for number in range(60)]
    await take_in(async_database, *many)
    once = len(sent)
    monkeypatch.setattr(ocds_import, "BATCH", 20)
    sent.clear()
    others = [release(ocid=f"ocds-other-{number}") for number in range(60)]
    assert counts(await take_in(async_database, *others)) == [60, 0, 0, 0]
    assert once < 12
    assert len(sent) < 3 * once
    assert sum("core.event (" in statement for statement in sent) == 3


async def test_two_imports_at_once_store_each_release_once(async_database: AsyncEngine) -> None:
    file = [release(), valued(1500, "r-2", APRIL), *(release(ocid=f"ocds-test-{n}") for n in range(5, 30))]
    done = await asyncio.gather(*(take_in(async_database, *file) for _ in range(3)))
    assert sorted(counts(one) for one in done) == [[0, 0, 0, 27], [0, 0, 0, 27], [26, 1, 0, 0]]
    assert len(await stored(async_database)) == 27


async def test_only_who_may_deliver_events_may_import(async_database: AsyncEngine) -> None:
    for role in Role:
        if Permission.EVENTS_WRITE not in PERMISSIONS[role]:
            with pytest.raises(Forbidden, match="events:write"):
                await take_in(async_database, release(), actor=person("eve@example.test", [role]))
    nearby, ours = person("uk@example.test", ["administrator@GB01"]), ocds_estate(legal_entity="GB01")
    for estate in (ocds_estate(), ocds_estate(legal_entity="US01")):
        with pytest.raises(Forbidden, match="events:write"):
            await take_in(async_database, release(), actor=nearby, estate=estate)
    assert await stored(async_database) == []
    assert counts(await take_in(async_database, release(), actor=nearby, estate=ours)) == [1, 0, 0, 0]
