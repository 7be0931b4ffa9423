"""Percentiles and shares of ended and open cases: by hand, against slow fractions, and exact against bucketed."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.buckets import BOUNDS, bucket, span
from metrics.durations import EXACT_UP_TO, Durations
from sync_core.survival import aalen_johansen

_TIMES = st.lists(st.integers(0, 12), max_size=30)


def _bucketed(durations: Durations) -> Durations:
    return Durations(durations.ended, durations.still_open, durations.total_s, None)


def test_the_share_that_ended_by_then_by_hand() -> None:
    # One of four ends at 1 (1/4); one is cancelled at 2 (S falls to 3/4 * 2/3); one is open at 3; the last ends at 4.
    assert aalen_johansen([1, 4], [2], [3], 1) == pytest.approx(0.25)
    assert aalen_johansen([1, 4], [2], [3], 3.9) == pytest.approx(0.25)
    assert aalen_johansen([1, 4], [2], [3], 4) == pytest.approx(0.75)
    assert aalen_johansen([], [], [], 4) == 0


def test_a_cancelled_case_is_no_open_one() -> None:
    # 10 of 20 end at 1 d, 10 are cancelled at half a day: half was provisioned. As if they were open, it would be all.
    ended, cancelled = Durations.of([86_400] * 10), Durations.of([43_200] * 10)
    assert ended.ended_by(cancelled, 2 * 86_400) == pytest.approx(0.5)
    assert Durations.of([86_400] * 10, [43_200] * 10).ended_by(Durations.of(()), 2 * 86_400) == pytest.approx(1.0)


def _slow(ended: list[int], otherwise: list[int], still_open: list[int], by: int) -> Fraction:
    """Step by step over every second, with fractions."""
    everyone = ended + otherwise + still_open
    survival, reached = Fraction(1), Fraction(0)
    for t in range(by + 1):
        at_risk = sum(time >= t for time in everyone)
        if at_risk:
            reached += survival * Fraction(ended.count(t), at_risk)
            survival *= 1 - Fraction(ended.count(t) + otherwise.count(t), at_risk)
    return reached


@given(_TIMES, _TIMES, _TIMES, st.integers(0, 14))
def test_aalen_johansen_equals_the_slow_sum(
    ended: list[int], otherwise: list[int], still_open: list[int], by: int
) -> None:
    slow = float(_slow(ended, otherwise, still_open, by))
    assert aalen_johansen(ended, otherwise, still_open, by) == pytest.approx(slow)


def _slow_quantile(ended: list[int], still_open: list[int], p: Fraction) -> int | None:
    survival = Fraction(1)
    for t in sorted(set(ended)):
        at_risk = sum(time >= t for time in ended + still_open)
        survival *= 1 - Fraction(ended.count(t), at_risk)
        if survival <= 1 - p:
            return t
    return None


@given(st.lists(st.integers(0, 500), min_size=15, max_size=60), st.lists(st.integers(0, 500), min_size=5, max_size=60))
def test_a_percentile_equals_the_slow_one_and_says_at_least_where_it_is_not_reached(
    ended: list[int], still_open: list[int]
) -> None:
    found = Durations.of(ended, still_open).percentile(0.9)
    assert found.value == _slow_quantile(ended, still_open, Fraction(9, 10))
    assert found.at_least == (max(ended + still_open) if found.value is None else None)
    assert found.error is None


def test_below_twenty_cases_there_is_no_percentile_and_no_share() -> None:
    few = Durations.of([60] * 19)
    assert (few.percentile(0.5).value, few.percentile(0.5).at_least) == (None, None)
    assert few.ended_by(Durations.of(()), 86_400) is None
    assert Durations.of([60] * 20).percentile(0.5).value == 60


def test_at_the_border_exact_and_bucketed_agree_within_the_width_that_is_said() -> None:
    times = [60 + 37 * n % 400_000 for n in range(EXACT_UP_TO - 500)]
    still = [1_000 + 613 * n % 300_000 for n in range(500)]
    exact = Durations.of(times, still)
    over = exact + Durations.of([times[7]])
    assert exact.exact is not None
    assert over.exact is None
    for p in (0.1, 0.5, 0.9):
        one, other = exact.percentile(p), over.percentile(p)
        assert one.value is not None
        assert other.value is not None
        assert one.error is None
        assert other.error is not None
        assert abs(one.value - other.value) <= other.error
        assert one.low is not None
        assert other.low is not None
        assert one.high is not None
        assert other.high is not None
        assert one.low <= one.value <= one.high
        assert other.low <= other.value <= other.high
        assert abs(one.low - other.low) <= 2 * other.error
        assert abs(one.high - other.high) <= 2 * other.error


@given(
    st.lists(st.integers(60, 300_000), min_size=60, max_size=300),
    st.lists(st.integers(60, 300_000), max_size=40),
    st.lists(st.integers(60, 300_000), max_size=40),
)
def test_bucketed_shares_are_near_the_exact_ones(ended: list[int], still: list[int], otherwise: list[int]) -> None:
    exact, other = Durations.of(ended, still), Durations.of(otherwise)
    a, b = exact.ended_by(other, 86_400), _bucketed(exact).ended_by(_bucketed(other), 86_400)
    assert a is not None
    assert b is not None
    # Open and cancelled ones within a bucket count as if they left in its middle.
    assert abs(a - b) < 0.12


def test_counted_times_are_the_times_themselves() -> None:
    assert Durations.counted([(60, 2), (90, 1)], [(30, 3)]) == Durations.of([60, 60, 90], [30, 30, 30])
    many = Durations.counted([(60, 4_000)], [(86_400, 2_000)])
    assert (many.exact, many.n_ended, many.n_open, many.total_s) == (None, 4_000, 2_000, 240_000)
    assert many.still_open[bucket(86_400)] == 2_000


def test_never_reached_from_buckets_says_at_least() -> None:
    many = Durations.counted([(60, 1_000)], [(86_400, 6_000)]).percentile(0.9)
    assert many.value is None
    assert many.at_least == 86_400


def test_buckets_are_in_order_and_have_every_target() -> None:
    assert list(BOUNDS) == sorted(set(BOUNDS))
    assert all(span(bucket(bound))[0] == bound for bound in BOUNDS)
    for target in (4 * 3600, int(8.5 * 3600), 2 * int(8.5 * 3600), *(d * 86_400 for d in (1, 2, 5, 10))):
        assert target in BOUNDS
