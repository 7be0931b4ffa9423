"""How long a worker may hold a contract depends on how long its ERPs may take."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from app.settings import InvalidSettings, load
from app.wiring import Wiring
from app.worker import DATABASE_LOST, pace_of
from sync_core.estate.estate import Estate
from tests.databases import DatabaseUrls
from tests.sows import estate


def with_timeouts(*seconds: float) -> Estate:
    known = estate()
    return replace(known, erp=tuple(replace(known.erp[0], name=f"erp{s}", timeout_s=s) for s in seconds))


def test_a_call_may_take_as_long_as_the_slowest_erp_is_given() -> None:
    pace = pace_of(with_timeouts(5, 20), None)
    assert (pace.lease_s, pace.call_timeout_s) == (60, 20)


def test_a_very_slow_erp_makes_the_lease_longer() -> None:
    pace = pace_of(with_timeouts(5, 90), None)
    assert (pace.lease_s, pace.call_timeout_s) == (180, 90)


def test_a_lease_that_leaves_no_time_to_send_is_refused_by_name() -> None:
    assert pace_of(with_timeouts(2), 4).lease_s == 4
    with pytest.raises(InvalidSettings, match=r"TIELINE_WORKER_LEASE_S: must be at least 4"):
        pace_of(with_timeouts(2), 3.9)


async def test_a_worker_that_stands_still_in_a_transaction_gives_its_locks_back(
    database_urls: DatabaseUrls, database: sa.Engine
) -> None:
    wiring = Wiring(load(DATABASE_URL=database_urls.app_libpq), "worker")
    engine = wiring.async_engine(stalls_s=0.2)
    async with engine.connect() as stalled:
        await stalled.execute(sa.text("SELECT pg_advisory_xact_lock(4711)"))
        with database.begin() as other:
            other.execute(sa.text("SET LOCAL lock_timeout = '10s'"))
            other.execute(sa.text("SELECT pg_advisory_xact_lock(4711)"))
        with pytest.raises(DATABASE_LOST):  # so the worker begins anew
            await stalled.execute(sa.text("SELECT 1"))
        await stalled.invalidate()
    await engine.dispose()
