"""Percentiles of buckets, worked out by hand, and against the durations themselves."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.histograms import Histogram, Quantile
from metrics.slo import API_WITHIN_S, ERP_WITHIN_S
from sync_core.telemetry.latencies import BOUNDS, Kind, bucket

HTTP = BOUNDS[Kind.WEB]
ERP = BOUNDS[Kind.ERP]


def test_a_quantile_is_linear_inside_its_bucket() -> None:
    """Ten calls in (0.1, 0.25], ten in (0.25, 0.5]: the 5th of 20 is at half of the first, the 15th of the second."""
    found = Histogram({0.25: 10, 0.5: 10}, 5.0)
    for q, value_s, error_s in ((0.25, 0.175, 0.15), (0.5, 0.25, 0.15), (0.75, 0.375, 0.25)):
        quantile = found.quantile(q, HTTP)
        assert quantile.value_s == pytest.approx(value_s)
        assert quantile.error_s == pytest.approx(error_s)
    assert found.mean_s == 0.25


def test_beyond_the_last_bound_only_at_least_is_known() -> None:
    found = Histogram({0.005: 1, math.inf: 9}, 900.0)
    slow = found.quantile(0.9, HTTP)
    assert (slow.value_s, slow.at_least_s, slow.says) == (None, 10.0, ">= 10 s")
    assert found.quantile(0.1, HTTP).value_s == pytest.approx(0.005)


def test_no_calls_have_no_quantile() -> None:
    assert Histogram().quantile(0.5, HTTP) == Quantile(None)
    assert (Histogram().mean_s, Histogram().n, Histogram().quantile(0.5, HTTP).says) == (None, 0, "no calls")


def test_histograms_add_and_percentiles_do_not_average() -> None:
    """99 fast calls of one minute and 1 slow of another: the median of both is fast, the mean of medians is not."""
    fast, slow = Histogram({0.01: 99}, 0.9), Histogram({10.0: 1}, 9.0)
    both = fast + slow
    assert both.n == 100
    assert both.total_s == pytest.approx(9.9)
    assert both.quantile(0.5, HTTP).value_s == pytest.approx(0.005 + 0.005 * 50 / 99)
    assert fast + Histogram() == fast


def test_counts_within_a_bound_are_exact_and_nothing_else_is_asked_for() -> None:
    found = Histogram({0.25: 3, 0.5: 4, 0.75: 2, math.inf: 1}, 1.0)
    assert found.within(0.5, HTTP) == 7
    with pytest.raises(ValueError, match="is no bound"):
        found.within(0.6, HTTP)


def test_every_objective_has_a_bound_at_its_threshold() -> None:
    assert API_WITHIN_S in HTTP
    assert ERP_WITHIN_S in ERP


def test_cumulative_counts_end_with_all() -> None:
    found = Histogram({0.01: 2, 10.0: 3, math.inf: 4}, 1.0).cumulative(HTTP)
    assert found[0] == (0.005, 0)
    assert found[1] == (0.01, 2)
    assert found[-2:] == [(10.0, 5), (math.inf, 9)]


@given(
    st.lists(st.floats(0, 200, allow_nan=False), min_size=1, max_size=200),
    st.sampled_from((0.5, 0.9, 0.95, 0.99)),
    st.sampled_from((Kind.ERP, Kind.WEB, Kind.DB)),
)
def test_the_true_quantile_is_within_the_error_of_its_bucket(seconds: list[float], q: float, kind: Kind) -> None:
    counts: dict[float, int] = {}
    for one in seconds:
        counts[bucket(kind, one)] = counts.get(bucket(kind, one), 0) + 1
    found = Histogram(counts, sum(seconds)).quantile(q, BOUNDS[kind])
    true = sorted(seconds)[max(0, math.ceil(q * len(seconds) - 1e-9) - 1)]
    if found.value_s is None:
        assert found.at_least_s is not None
        assert true > found.at_least_s
    else:
        assert found.error_s is not None
        assert abs(found.value_s - true) <= found.error_s + 1e-9


@given(st.lists(st.floats(0, 200), max_size=50), st.lists(st.floats(0, 200), max_size=50))
def test_the_sum_of_two_is_the_histogram_of_both(one: list[float], other: list[float]) -> None:
    def of(values: list[float]) -> Histogram:
        return Histogram.of((bucket(Kind.ERP, value), 1, value) for value in values)

    assert (of(one) + of(other)).counts == of(one + other).counts
