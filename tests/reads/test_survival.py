"""Kaplan-Meier against cases worked out by hand."""

import math

import pytest

from sync_core.survival import kaplan_meier, limits, naive_quantile, quantile

# The remission times of 21 leukaemia patients under 6-MP (Freireich 1963), the textbook's worked example.
ENDED = [6, 6, 6, 7, 10, 13, 16, 22, 23]
OPEN = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]


def test_without_open_cases_the_curve_is_the_share_not_yet_ended() -> None:
    curve = kaplan_meier([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    assert curve.survival == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0])
    assert quantile(curve, 0.5).value == 5
    assert quantile(curve, 0.9).value == 9


def test_the_textbook_curve_and_median_are_met() -> None:
    curve = kaplan_meier(ENDED, OPEN)
    assert curve.times.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert curve.survival == pytest.approx([0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482], abs=5e-5)
    assert quantile(curve, 0.5).value == 23


def test_greenwood_and_log_log_limits_are_those_of_the_textbook() -> None:
    curve = kaplan_meier(ENDED, OPEN)
    error_at_6 = float(curve.survival[0]) * math.sqrt(float(curve.greenwood[0]))
    assert error_at_6 == pytest.approx(0.0764, abs=5e-5)  # sqrt(6/7 * 1/7 / 21)
    low, high = limits(curve)
    # theta = ln(-ln S), error = sqrt(G) / |ln S|, S^exp(+-1.96 error): by hand for t = 6
    spread = math.exp(1.959964 * math.sqrt(3 / (21 * 18)) / abs(math.log(18 / 21)))
    assert low[0] == pytest.approx((18 / 21) ** spread, rel=1e-6)
    assert high[0] == pytest.approx((18 / 21) ** (1 / spread), rel=1e-6)
    assert (low[0], high[0]) == pytest.approx((0.6197, 0.9516), abs=5e-5)


def test_the_limits_of_a_median_bracket_it_and_may_be_open_above() -> None:
    median = quantile(kaplan_meier(ENDED, OPEN), 0.5)
    assert (median.low, median.value, median.high) == (13, 23, None)


def test_a_quantile_never_reached_is_none_and_the_longest_time_is_kept() -> None:
    curve = kaplan_meier([1, 2], [50, 60, 70])
    assert quantile(curve, 0.9).value is None
    assert curve.longest == 70


def test_an_open_case_is_at_risk_at_its_own_time() -> None:
    # One of two ends at 5 while the other is open at 5: half is left, not none.
    assert kaplan_meier([5], [5]).survival.tolist() == [0.5]


def test_open_cases_make_the_median_longer_than_the_naive_one() -> None:
    ended, still_open = [1.0, 2.0, 3.0], [10.0, 10.0, 10.0]
    assert naive_quantile(ended, 0.5) == 2
    assert quantile(kaplan_meier(ended, still_open), 0.5).value == 3


def test_no_cases_give_no_value() -> None:
    curve = kaplan_meier([])
    assert (curve.cases, curve.longest, quantile(curve, 0.5).value, naive_quantile([], 0.5)) == (0, None, None, None)


def test_only_open_cases_give_no_quantile() -> None:
    curve = kaplan_meier([], [3, 4])
    assert (curve.longest, quantile(curve, 0.5).value, curve.open) == (4, None, 2)
