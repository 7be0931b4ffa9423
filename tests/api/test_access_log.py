"""What programs read of contracts is in the audit: single things at once, lists by the minute."""

import asyncio
import contextlib
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app.api import access_log
from app.api.access_log import AccessLog
from sync_core.audit.audit import items_root
from sync_core.audit.reading import verify_database
from sync_core.authority import Permission, program
from sync_core.clock import VirtualClock
from tests.api.door import Door, detail
from tests.databases import DatabaseUrls
from tests.reads.handmade import add_contract
from tests.rows import NOW, SOURCE

P = Permission


async def test_one_contract_is_audited_before_it_is_sent(door: Door, firm: dict[str, int]) -> None:
    async with door.calls(P.CONTRACTS_READ) as program_:
        await program_.get(f"/contracts/{firm['L-1']}")
        await program_.get(f"/contracts/by-key?source={SOURCE}&external_id=N-1")
        await program_.get("/contracts/999")
    rows = door.audited("contract.read")
    assert [(row["subject"], row["contract_id"], row["legal_entity"], row["actor_kind"]) for row in rows] == [
        ("contract L-1", firm["L-1"], "GB01", "program"), ("contract N-1", firm["N-1"], "US01", "program"),
    ]  # fmt: skip


async def test_other_single_things_are_too(door: Door, firm: dict[str, int]) -> None:
    async with door.calls() as program_:
        for address in (f"/exceptions/{firm['case L-1']}", "/quarantine/1", "/audit/1"):
            assert (await program_.get(address)).is_success
    for action in ("exception.read", "quarantine.read", "audit.read"):
        assert len(door.audited(action)) == 1, action


async def test_what_cannot_be_audited_is_not_sent(
    door: Door, firm: dict[str, int], database_urls: DatabaseUrls
) -> None:
    async with door.calls(P.CONTRACTS_READ) as program_:
        owner = sa.create_engine(database_urls.owner)
        with owner.begin() as conn:
            conn.execute(sa.text("REVOKE INSERT ON core.audit FROM tieline_app"))
        owner.dispose()
        answer = await program_.get(f"/contracts/{firm['L-1']}")
    assert answer.status_code == 500
    assert "L-1" not in answer.text


async def test_lists_of_a_minute_are_one_row_with_a_root_over_the_contracts(door: Door, firm: dict[str, int]) -> None:
    assert isinstance(door.clock, VirtualClock)
    async with door.calls(P.CONTRACTS_READ, P.EXCEPTIONS_READ) as one, door.calls(P.CONTRACTS_READ) as two:
        for _ in range(3):
            await one.get("/contracts?limit=2&sort=value")
        await one.get("/exceptions")
        await two.get("/contracts")
        assert door.audited("api.list") == []
        assert door.log.write(before=NOW.replace(second=0)) == 0
        door.clock.advance(timedelta(minutes=1))
        await two.get("/contracts?text=nothing")
        assert door.log.write(before=door.clock.now().replace(second=0)) == 3
        assert door.log.write() == 1
        assert door.log.write() == 0
    first, of_exceptions, second, empty = map(detail, door.audited("api.list"))
    top = sorted([firm["N-1"], firm["X-1"]])
    assert (first["requests"], first["contracts"], first["contract_ids"]) == (3, 2, top)
    assert bytes(door.audited("api.list")[0]["items_root"]) == items_root(top)
    assert (of_exceptions["requests"], of_exceptions["contracts"], second["contracts"]) == (1, 3, 3)
    assert (empty["requests"], empty["contracts"], empty["contract_ids"]) == (1, 0, [])
    subjects = [row["subject"] for row in door.audited("api.list")]
    assert subjects[1].startswith("exceptions:read 2026-11-23 06:00")
    assert verify_database(door.engine, []).finding is None


def test_many_contracts_are_told_by_their_root_and_memory_has_a_limit(
    database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "MOST_HELD", 1_000)
    log, actor = AccessLog(database, VirtualClock(NOW)), program("bulk", ["contracts:read"])
    log.listed(actor, P.CONTRACTS_READ, range(1, 1_001))
    assert log.write() == 1
    log.listed(actor, P.CONTRACTS_READ, range(1, 1_002))
    assert log.write() == 0  # written at once
    with database.connect() as conn:
        rows = conn.execute(sa.text("SELECT * FROM core.audit ORDER BY id")).mappings().all()
    told = detail(rows[1])
    assert (told["contracts"], told["first"], told["last"], "contract_ids" in told) == (1_001, 1, 1_001, False)
    assert bytes(rows[1]["items_root"]) == items_root(range(1, 1_002))


def test_what_could_not_be_written_is_kept_for_the_next_time(database: sa.Engine) -> None:
    gone = sa.create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none", poolclass=sa.NullPool)
    log, actor = AccessLog(gone, VirtualClock(NOW)), program("bulk", ["contracts:read"])
    log.listed(actor, P.CONTRACTS_READ, [1, 2])
    with pytest.raises(sa.exc.OperationalError):
        log.write()
    log.listed(actor, P.CONTRACTS_READ, [2, 3])
    log._engine = database
    assert log.write() == 1
    with database.connect() as conn:
        [row] = conn.execute(sa.text("SELECT * FROM core.audit")).mappings().all()
    assert (detail(row)["requests"], detail(row)["contract_ids"]) == (2, [1, 2, 3])


async def test_an_application_that_ends_writes_what_is_left(door: Door) -> None:
    add_contract(door.engine, external_id="W-1")
    async with door.app.router.lifespan_context(door.app):
        async with door.calls(P.CONTRACTS_READ) as program_:
            await program_.get("/contracts")
        assert door.audited("api.list") == []
    assert len(door.audited("api.list")) == 1


async def test_a_cancelled_writer_still_writes(database: sa.Engine) -> None:
    log = AccessLog(database, VirtualClock(NOW))
    log.listed(program("bulk", ["contracts:read"]), P.CONTRACTS_READ, [1])
    writing = asyncio.create_task(log.run())
    await asyncio.sleep(0)
    writing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writing
    assert log.write() == 0
