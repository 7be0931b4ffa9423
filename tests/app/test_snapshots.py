"""The worker's jobs: a snapshot of the week that ended, once, early on Monday in the group's zone."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.jobs.snapshots import due_week, jobs, signer
from app.postgres.urls import DatabaseUrls as Urls
from app.settings import InvalidSettings, Settings
from app.wiring import Wiring
from metrics.snapshot.package import verify
from sync_core.clock import VirtualClock
from sync_core.estate.estate import load
from tests import rows
from tests.databases import DatabaseUrls
from tests.metrics.support import caught_up

# 25 October 2026 is the end of summer time in London: that night, Monday begins at 00:00 UTC.
SUNDAY_NIGHT = datetime(2026, 10, 25, 23, 59, tzinfo=UTC)


@pytest.fixture
def wiring(tmp_path: Path, database_urls: DatabaseUrls, database: sa.Engine) -> Wiring:
    rows.seed(database_urls.owner, 120, now=SUNDAY_NIGHT)
    estate = tmp_path / "estate.toml"
    estate.write_text(rows.ESTATE_TEXT)
    app = database_urls.app_libpq
    urls = Urls(app=app, owner=database_urls.owner_libpq, direct=app, read=app, embedded=False)
    made = Wiring(Settings(home=tmp_path / "home", estate=estate), "worker", urls)
    made.clock = VirtualClock(SUNDAY_NIGHT)
    caught_up(database, made.clock, made.estate)
    return made


async def test_the_week_that_ended_is_asked_for_made_and_brought_once(wiring: Wiring, database: sa.Engine) -> None:
    work = {job.name: job.work for job in jobs(wiring, database)}
    assert isinstance(wiring.clock, VirtualClock)
    assert "of 2026-W42 asked for" in await work["snapshot"]()
    wiring.clock.advance_to(datetime(2026, 10, 26, 3, 59, tzinfo=UTC))
    assert await work["snapshot"]() == "2026-W43 is not due yet"
    wiring.clock.advance_to(datetime(2026, 10, 26, 4, 0, tzinfo=UTC))
    assert "of 2026-W43 asked for" in await work["snapshot"]()
    assert await work["snapshot"]() == "2026-W43 was asked for before"
    assert await work["snapshot-making"]() == "2 snapshots made"
    assert await work["snapshot-delivery"]() == "2 deliveries tried"
    assert await work["snapshot-delivery"]() == "0 deliveries tried"
    [folder] = (wiring.home.path / "snapshots" / "2026-W43").iterdir()
    key = signer(wiring).public
    assert verify(folder, {key.id: key}).week == "2026-W43"
    wiring.clock.advance(timedelta(days=21, hours=3))  # nobody worked for three weeks: the last one alone is caught up
    assert "of 2026-W46 asked for" in await work["snapshot"]()
    with database.connect() as conn:
        asked = conn.execute(sa.text("SELECT week, asked_by, scheduled FROM metrics.snapshot ORDER BY week")).all()
        audited = conn.execute(sa.text("SELECT actor FROM core.audit WHERE action = 'snapshot.make'")).all()
    assert [f"{row.week}" for row in asked] == ["2026-10-12", "2026-10-19", "2026-11-09"]
    assert {(row.asked_by, row.scheduled) for row in asked} == {("tieline", True)}
    assert len(audited) == 3


def test_it_is_due_by_the_clock_of_the_groups_zone() -> None:
    estate = load(rows.ESTATE_TEXT.replace('timezone = "Europe/London"', 'timezone = "America/Los_Angeles"', 1))
    assert due_week(estate, datetime(2026, 11, 23, 11, 59, tzinfo=UTC)) is None  # 03:59 there
    assert due_week(estate, datetime(2026, 11, 23, 12, 0, tzinfo=UTC)) is not None
    assert due_week(estate, datetime(2026, 11, 23, 7, 0, tzinfo=UTC)) is not None  # Sunday there: of the week before


def test_a_key_that_is_none_is_refused_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIELINE_SNAPSHOT_KEY", "not a key")
    with pytest.raises(InvalidSettings, match="TIELINE_SNAPSHOT_KEY: the snapshots' key is neither"):
        signer(Wiring(Settings(home=tmp_path), "worker"))
