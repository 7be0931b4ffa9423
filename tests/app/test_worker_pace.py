"""How long a worker may hold a contract depends on how long its ERPs may take."""

from dataclasses import replace

import pytest

from app.settings import InvalidSettings
from app.worker import pace_of
from sync_core.estate import Estate
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
