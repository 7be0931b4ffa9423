"""Facts and rollups follow the core's tables, and what was known stays known."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from metrics.asking import Ask, By, Window
from metrics.facts import facts
from metrics.measures import Measures
from metrics.source import Source
from sync_core.clock import VirtualClock
from sync_core.reads.snapshot import snapshot
from tests import rows
from tests.databases import DatabaseUrls
from tests.metrics.support import caught_up

WINDOW = Window.weeks(rows.NOW, "Europe/London", 60)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)


@pytest.fixture
def seeded(database_urls: DatabaseUrls, database: sa.Engine) -> sa.Engine:
    rows.seed(database_urls.owner, 2_000)
    return database


def _every_measure(conn: sa.Connection) -> list[str]:
    return sorted(conn.scalars(sa.text("SELECT DISTINCT measure FROM metrics.cell")))


def test_rollups_equal_what_the_versions_add_up_to(seeded: sa.Engine, clock: VirtualClock) -> None:
    estate = rows.estate()
    done = caught_up(seeded, clock, estate, batch=700)
    assert done.contracts == 2_000
    with snapshot(seeded) as conn:
        measures = _every_measure(conn)
        assert len(measures) > 5
        for by in (None, By.WEEK, By.LEGAL_ENTITY, By.SERVICE_LINE, By.BILLING):
            latest = Source(conn, Ask(WINDOW), estate=estate).cells(measures, by)
            past = Source(conn, Ask(WINDOW, as_of=done.at), estate=estate, from_versions=True).cells(measures, by)
            assert latest
            assert sorted(map(repr, latest)) == sorted(map(repr, past))


def test_a_refresh_without_news_changes_nothing(seeded: sa.Engine, clock: VirtualClock) -> None:
    caught_up(seeded, clock, rows.estate())
    clock.advance(timedelta(minutes=1))
    again = caught_up(seeded, clock, rows.estate())
    assert again.contracts == 0
    with seeded.begin() as conn:
        for fact in facts().values():
            assert conn.scalar(sa.text(f"SELECT count(*) FROM {fact.table} WHERE known_to IS NOT NULL")) == 0


def test_a_measure_as_of_then_is_what_it_was_then(seeded: sa.Engine, clock: VirtualClock) -> None:
    estate, measures = rows.estate(), Measures(seeded, clock=clock, estate=rows.estate())
    first = caught_up(seeded, clock, estate)
    before = measures.kpi("cycle-time", Ask(WINDOW), By.WEEK)
    assert before.answer.value is not None
    clock.advance(timedelta(hours=3))
    with seeded.begin() as conn:
        conn.execute(sa.text("""
            UPDATE core.contract SET first_active_at = :now, state = 'active', service_line = 'tax'
            WHERE state IN ('waiting', 'blocked')"""), {"now": clock.now()})  # fmt: skip
        conn.execute(sa.text("""
            INSERT INTO core.run (run_id, contract_id, rev, lane, outcome, state, correlation_id, started_at,
                                  finished_at, recorded_at)
            SELECT gen_random_uuid(), contract_id, 2, lane, 'converged', 'active', 'k', :now, :now, :now
            FROM core.contract WHERE first_active_at = :now"""), {"now": clock.now()})  # fmt: skip
    caught_up(seeded, clock, estate)
    after = measures.kpi("cycle-time", Ask(WINDOW), By.WEEK)
    assert after.answer.n_open < before.answer.n_open
    again = measures.kpi("cycle-time", Ask(WINDOW, as_of=first.at), By.WEEK)
    assert again.answer == before.answer
    assert again.parts == before.parts
