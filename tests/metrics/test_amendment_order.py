"""Amendments in any order, against a slow walk through the events."""

from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync_core.clock import VirtualClock
from tests import rows
from tests.metrics.amendment_rows import HOUR, MONDAY, active, done
from tests.metrics.flow_rows import amended, asked, facts


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)  # Monday 2026-11-23 6:00 in London


_STORY = st.lists(
    st.tuples(st.integers(1, 5), st.integers(0, 40), st.integers(0, 40), st.one_of(st.none(), st.integers(50, 150))),
    max_size=6, unique_by=lambda one: one[0],
)  # fmt: skip


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stories=st.lists(st.tuples(_STORY, st.lists(st.tuples(st.integers(1, 5), st.integers(0, 80)), max_size=4)),
                        min_size=1, max_size=5))  # fmt: skip
def test_any_order_gives_what_a_slow_walk_gives(
    database: sa.Engine,
    clock: VirtualClock,
    stories: list[tuple[list[tuple[int, int, int, int | None]], list[tuple[int, int]]]],
) -> None:
    expected: dict[tuple[int, int], tuple[str, int | None, int | None, Decimal]] = {}
    for story, read_backs in stories:
        contract = active(database)
        for number, executed, late, value in story:
            amended(database, contract, number, MONDAY + executed * HOUR, received=MONDAY + (executed + late) * HOUR,
                    value=None if value is None else Decimal(value))  # fmt: skip
        for number, hours in read_backs:
            done(database, contract, number, MONDAY + hours * HOUR)
        for number, walked in _walked(story, read_backs).items():
            expected[contract.contract_id, number] = walked
    asked(database, clock, "amendment-lag")
    known = {
        (row["contract_id"], row["number"]): (row["outcome"], row["lag_s"], row["ordering_s"], row["delta"])
        for row in facts(database, "amendment")
    }
    assert {key: known[key] for key in expected} == expected
    of_these = {contract for contract, _ in expected}
    assert {key for key in known if key[0] in of_these} == set(expected)


def _walked(
    story: list[tuple[int, int, int, int | None]], read_backs: list[tuple[int, int]]
) -> dict[int, tuple[str, int | None, int | None, Decimal]]:
    """Amendment by amendment, in hours."""
    found: dict[int, tuple[str, int | None, int | None, Decimal]] = {}
    received = {number: executed + late for number, executed, late, _ in story}
    value = Decimal(100)
    for number, executed, late, after in sorted(story):
        before, value = value, Decimal(after) if after is not None else value
        ends = [hours for known, hours in read_backs if known >= number and hours >= executed + late]
        outcome = "synced" if ends else "open"
        complete = all(earlier in received for earlier in range(1, number))
        waited = max(received[earlier] for earlier in range(1, number + 1)) - received[number] if complete else None
        lag = (min(ends) - executed) * 3600 if ends else None
        found[number] = (outcome, lag, None if waited is None else waited * 3600, value - before)
    return found
