"""What a CLM and Tieline owe each other is sampled by CLM, and read again as it was sampled."""

from datetime import timedelta

import sqlalchemy as sa

from app.telemetry import exposition
from collectors import standing
from metrics.clm_backlog import ClmBacklog, sampled_clms
from metrics.technical import Technical
from sync_core.clock import VirtualClock
from tests import rows
from tests.reads.handmade import add_contract, add_event, add_quarantined, end_quarantined, insert
from tests.rows import NOW

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def sampled(engine: sa.Engine) -> dict[str, ClmBacklog]:
    standing.sample(engine, clock=VirtualClock(NOW), estate=rows.estate())
    with engine.connect() as conn:
        return sampled_clms(conn)


def test_a_clm_that_was_never_read_owes_nothing_yet(database: sa.Engine) -> None:
    assert sampled(database) == {"crm": ClmBacklog(None, 0, 0, 0, None)}


def test_the_backlog_by_hand(database: sa.Engine) -> None:
    """Two of the day's three events came by the poll, one of the two in quarantine waits, two reports are due."""
    insert(database, "watermark", name="clm:crm", value="7", updated_at=NOW - 5 * MINUTE)
    insert(database, "watermark", name="clm:other", value="7", updated_at=NOW)
    for by, hours in (("poll:crm", 1), ("poll:crm", 23), ("webhook", 2), ("poll:crm", 25), ("poll:other", 1)):
        add_event(database, "E-1", "com.tieline.contract.noted.v1", "{}", at=NOW - hours * HOUR, received_by=by)
    add_quarantined(database, "Q-1", hours=5)
    add_quarantined(database, "Q-2", hours=6)
    end_quarantined(database, at=NOW - HOUR, external_id="Q-2")
    for due in (-10 * MINUTE, -2 * MINUTE, MINUTE, None):
        add_contract(database, writeback_at=None if due is None else NOW + due)
    add_contract(database, source="urn:another:clm", writeback_at=NOW - HOUR)
    wanted = ClmBacklog(300.0, 2, 1, 2, 600.0)
    assert sampled(database) == {"crm": wanted}
    assert Technical(database, clock=VirtualClock(NOW)).report().clms == {"crm": wanted}
    shown = {family.name: [(s.labels, s.value) for s in family.samples] for family in exposition.clms({"crm": wanted})}
    crm = {"clm": "crm"}
    assert shown == {
        "tieline_clm_feed_age_seconds": [(crm, 300.0)], "tieline_clm_found_by_poll": [(crm, 2)],
        "tieline_clm_not_understood": [(crm, 1)], "tieline_clm_reports_due": [(crm, 2)],
        "tieline_clm_reports_oldest_age_seconds": [(crm, 600.0)],
    }  # fmt: skip
