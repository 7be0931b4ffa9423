"""Durations of ended and open cases as counts by bucket, and the percentiles that they give.

Up to EXACT_UP_TO cases the durations themselves are read and every percentile is exact; above, it is interpolated
within a bucket (metrics/buckets.py) and the bucket's width is its error. One function does it for every KPI.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np

from metrics.buckets import BOUNDS, bucket, span
from sync_core.survival import SAMPLE_FLOOR, Floats, kaplan_meier, quantile

EXACT_UP_TO: Final = 5_000
BUCKETS: Final = len(BOUNDS) + 1


@dataclass(frozen=True, slots=True)
class Percentile:
    """In seconds. `value` None: never reached, so at least `at_least`; or too few cases, and then that is None too."""

    value: float | None
    low: float | None = None  # 95 % limits
    high: float | None = None
    error: float | None = None  # None: exact
    at_least: float | None = None


@dataclass(frozen=True, slots=True)
class Durations:
    """Seconds. `exact` has all ended and open ones, or is None where only counts by bucket are known."""

    ended: tuple[int, ...] = (0,) * BUCKETS  # by bucket
    still_open: tuple[int, ...] = (0,) * BUCKETS
    total_s: float = 0.0  # of the ended ones
    exact: tuple[tuple[float, ...], tuple[float, ...]] | None = ((), ())

    @classmethod
    def of(cls, ended: Sequence[float], still_open: Sequence[float] = ()) -> "Durations":
        """From durations themselves; above EXACT_UP_TO of them only their buckets are kept."""
        known = (tuple(ended), tuple(still_open)) if len(ended) + len(still_open) <= EXACT_UP_TO else None
        return cls(_counted(ended), _counted(still_open), float(sum(ended)), known)

    @classmethod
    def from_buckets(cls, counts: Iterable[tuple[int, int]]) -> "Durations":
        """Ended cases of which (bucket, count) is known, not each duration."""
        ended = [0] * BUCKETS
        for index, n in counts:
            ended[index] += n
        return cls(tuple(ended), exact=None if any(ended) else ((), ()))

    @property
    def n(self) -> int:
        return self.n_ended + self.n_open

    @property
    def n_ended(self) -> int:
        return sum(self.ended)

    @property
    def n_open(self) -> int:
        return sum(self.still_open)

    def __add__(self, other: "Durations") -> "Durations":
        both = None
        if self.exact is not None and other.exact is not None and self.n + other.n <= EXACT_UP_TO:
            both = (self.exact[0] + other.exact[0], self.exact[1] + other.exact[1])
        return Durations(
            tuple(map(sum, zip(self.ended, other.ended, strict=True))),
            tuple(map(sum, zip(self.still_open, other.still_open, strict=True))),
            self.total_s + other.total_s,
            both,
        )

    def within(self, seconds: int) -> float | None:
        """Share of the ended cases that took less than a bound of BOUNDS; None without any."""
        return sum(self.ended[: bucket(seconds)]) / self.n_ended if self.n_ended else None

    def percentile(self, p: float) -> Percentile:
        """Kaplan-Meier, open cases counted for as long as they have been open."""
        if self.n < SAMPLE_FLOOR:
            return Percentile(None)
        if self.exact is not None:
            curve = kaplan_meier(*self.exact)
            found = quantile(curve, p)
            return Percentile(found.value, found.low, found.high, None, curve.longest if found.value is None else None)
        return _interpolated(np.array(self.ended), np.array(self.still_open), p)

    def naive(self, p: float) -> Percentile:
        """Of the ended cases alone: too good, because what is slow is still open."""
        ended = self.exact[0] if self.exact is not None else None
        return Durations(self.ended, exact=None if ended is None else (ended, ())).percentile(p)

    def provisioned_by(self, other_ends: "Durations", seconds: int) -> float | None:
        """Aalen-Johansen: the share that ended by `seconds`, when `other_ends` (cancelled) ended otherwise."""
        if self.n + other_ends.n_ended == 0:
            return None
        survival, reached = 1.0, 0.0
        at_risk = float(self.n + other_ends.n_ended)
        for index in range(bucket(seconds)):
            ends, others, opens = self.ended[index], other_ends.ended[index], self.still_open[index]
            exposed = at_risk - opens / 2
            if exposed > 0:
                reached += survival * ends / exposed
                survival *= 1 - (ends + others) / exposed
            at_risk -= ends + others + opens
        return reached


NONE: Final = Durations()


def _counted(seconds: Sequence[float]) -> tuple[int, ...]:
    places = np.searchsorted(np.array(BOUNDS), np.asarray(seconds, dtype=np.float64), side="right")
    return tuple(np.bincount(places, minlength=BUCKETS).tolist())


def _interpolated(ended: Floats, still_open: Floats, p: float) -> Percentile:
    """The life-table estimate: an open case is at risk for half of the bucket in which it is open."""
    total = ended.sum() + still_open.sum()
    gone = np.concatenate([[0], np.cumsum(ended + still_open)[:-1]])
    exposed = np.maximum(total - gone - still_open / 2, 1e-9)
    survival = np.cumprod(np.clip(1 - ended / exposed, 0, 1))
    variance = np.cumsum(ended / np.maximum(exposed * (exposed - ended), 1e-9))
    value, error = _at(survival, 1 - p)
    if value is None:
        last = int(np.flatnonzero(ended + still_open)[-1])
        return Percentile(None, at_least=span(last)[0])
    low, high = (_at(_limit(survival, variance, sign), 1 - p)[0] for sign in (-1, 1))
    return Percentile(value, low, high, error)


def _limit(survival: Floats, variance: Floats, sign: int) -> Floats:
    """Log-log limits of S, Greenwood's variance."""
    z = NormalDist().inv_cdf(0.975)
    inner = np.clip(survival, 1e-12, 1 - 1e-12)
    exponent = np.exp(np.clip(-sign * z * np.sqrt(variance) / np.log(inner), -700, 700))
    return np.where(survival >= 1, 1.0, np.where(survival <= 0, 0.0, inner**exponent))


def _at(survival: Floats, level: float) -> tuple[float | None, float | None]:
    """Where S comes down to `level`, linear within the bucket, and the bucket's width."""
    below = np.flatnonzero(survival <= level + 1e-12)
    if not len(below):
        return None, None
    index = int(below[0])
    start, end = span(index)
    if end == float("inf"):
        return None, None
    above = float(survival[index - 1]) if index else 1.0
    drop = above - float(survival[index])
    share = (above - level) / drop if drop > 0 else 1.0
    return start + (end - start) * share, end - start
