"""The daily job: verifies all, keeps the result for the page, signs a checkpoint, and fails loudly when it must."""

import asyncio
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.jobs import audit_chain
from app.jobs.audit_chain import AuditBroken
from app.postgres.urls import DatabaseUrls as Urls
from app.settings import InvalidSettings, Settings
from app.wiring import Wiring
from sync_core.audit import audit
from sync_core.audit.reading import Interrupted
from sync_core.authority import person
from sync_core.reads import ChainStatus, Reads
from tests.databases import DatabaseUrls

ADA = person("ada@example.com", ["operator:tax"])


@pytest.fixture
def wiring(tmp_path: Path, database_urls: DatabaseUrls) -> Wiring:
    app = database_urls.app_libpq
    urls = Urls(app=app, owner=database_urls.owner_libpq, direct=app, read=app, embedded=False)
    return Wiring(Settings(home=tmp_path / "home"), "test", known_urls=urls)


def add(database: sa.Engine, rows: int) -> None:
    with database.begin() as conn:
        entries = [audit.Entry("exception.comment", f"exception {number}") for number in range(rows)]
        audit.append(conn, ADA, entries, now=datetime(2026, 11, 25, 9, tzinfo=UTC))


def status(wiring: Wiring) -> ChainStatus:
    engine = wiring.engine(pool_size=1)
    try:
        return Reads(engine, clock=wiring.clock, estate=wiring.estate).audit_status()
    finally:
        engine.dispose()


async def test_each_day_signs_what_is_new(wiring: Wiring, database: sa.Engine) -> None:
    assert await audit_chain.daily(wiring) == "0 audit rows verified, none since the last checkpoint"
    add(database, 3)
    assert await audit_chain.daily(wiring) == "3 audit rows verified, checkpoint signed at row 3"
    assert await audit_chain.daily(wiring) == "3 audit rows verified, none since the last checkpoint"
    add(database, 2)
    await audit_chain.daily(wiring)
    assert [path.name.split("-")[1] for path in audit_chain.kept(wiring)] == ["000000000003", "000000000005"]
    found = status(wiring)
    assert (found.whole, found.rows, found.rows_now, found.checkpoints) == (True, 5, 5, 2)


async def test_a_broken_chain_fails_the_job_is_kept_and_signs_nothing(
    wiring: Wiring, database: sa.Engine, database_urls: DatabaseUrls
) -> None:
    add(database, 3)
    with sa.create_engine(database_urls.owner, poolclass=sa.NullPool).begin() as conn:
        conn.execute(sa.text("UPDATE core.audit SET subject = 'other' WHERE id = 2"))
    with pytest.raises(AuditBroken, match="row 2 was changed"):
        await audit_chain.daily(wiring)
    found = status(wiring)
    assert (found.whole, found.row_id, audit_chain.kept(wiring)) == (False, 2, [])
    assert found.message.startswith("row 2 was changed")


async def test_a_checkpoint_that_was_edited_in_its_folder_is_found(wiring: Wiring, database: sa.Engine) -> None:
    add(database, 3)
    await audit_chain.daily(wiring)
    (path,) = audit_chain.kept(wiring)
    path.write_text(path.read_text().replace('"rows": 3', '"rows": 2'))
    with pytest.raises(AuditBroken, match="does not carry a valid signature"):
        await audit_chain.daily(wiring)


async def test_a_folder_of_checkpoints_that_is_not_there_is_not_taken_for_an_empty_one(
    wiring: Wiring, database: sa.Engine, tmp_path: Path, database_urls: DatabaseUrls
) -> None:
    add(database, 3)
    share = tmp_path / "share"
    settings = wiring.settings.model_copy(update={"audit_checkpoints": share})
    unmounted = Wiring(settings, "test", known_urls=wiring.urls)
    with pytest.raises(InvalidSettings, match="TIELINE_AUDIT_CHECKPOINTS"):
        await audit_chain.daily(unmounted)
    with pytest.raises(InvalidSettings, match="TIELINE_AUDIT_CHECKPOINTS"):
        audit_chain.verify(unmounted)
    assert not share.exists()
    share.mkdir()
    assert await audit_chain.daily(unmounted) == "3 audit rows verified, checkpoint signed at row 3"
    assert len(list(share.iterdir())) == 1


async def test_the_job_ends_when_the_worker_does(wiring: Wiring, database: sa.Engine) -> None:
    add(database, 1)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted):
        await asyncio.to_thread(audit_chain.verify, wiring, stop=stop)
