"""When an amendment was in the ERP: never before it was received, whatever else had raised the contract's revision."""

from datetime import UTC, datetime, timedelta

from sync_core.reads.amendments import ReadBack, first_knowing

NOON, HOUR = datetime(2026, 3, 2, 12, tzinfo=UTC), timedelta(hours=1)


def ran(rev: int, at: datetime) -> ReadBack:
    return ReadBack(rev, None, at, at + HOUR)


def test_a_run_of_before_the_amendment_knew_nothing_of_it_however_high_its_revision() -> None:
    inflated = ran(7, NOON - 2 * HOUR)
    assert first_knowing(1, 2, NOON, [inflated]) is None
    assert first_knowing(1, 2, NOON, [inflated, ran(8, NOON + HOUR), ran(9, NOON + 5 * HOUR)]) == NOON + 2 * HOUR


def test_a_run_with_fewer_events_did_not_see_it() -> None:
    assert first_knowing(1, 2, NOON, [ran(1, NOON + HOUR)]) is None


def test_what_was_active_up_to_the_amendment_has_it_though_its_run_began_before() -> None:
    active = ReadBack(None, 2, NOON + HOUR, NOON + HOUR)
    assert first_knowing(2, 3, NOON, [ran(3, NOON - HOUR), active]) == NOON + HOUR
    assert first_knowing(3, 4, NOON, [active]) is None
