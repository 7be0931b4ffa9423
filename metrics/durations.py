"""Durations of ended and open cases as counts by bucket, and the percentiles that they give.

Up to EXACT_UP_TO cases the durations themselves are read and every percentile is exact; above, it is interpolated
within a bucket (metrics/buckets.py) and the bucket's width is its error. One function does it for every KPI.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import add
from statistics import NormalDist
from typing import Final

import numpy as np

from metrics.buckets import BOUNDS, bucket, span
from sync_core.survival import (
    SAMPLE_FLOOR,
    Curve,
    Floats,
    Incidence,
    incidence,
    kaplan_meier,
    limits,
    quantile_within,
)

EXACT_UP_TO: Final = 5_000
BUCKETS: Final = len(BOUNDS) + 1
_BOUNDS: Final = np.array(BOUNDS)
_Z: Final = NormalDist().inv_cdf(0.975)


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
    n_ended: int = field(init=False, repr=False, compare=False, default=0)
    n_open: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_ended", sum(self.ended))
        object.__setattr__(self, "n_open", sum(self.still_open))

    @classmethod
    def of(cls, ended: Sequence[float], still_open: Sequence[float] = ()) -> "Durations":
        """From durations themselves; above EXACT_UP_TO of them only their buckets are kept."""
        known = (tuple(ended), tuple(still_open)) if len(ended) + len(still_open) <= EXACT_UP_TO else None
        return cls(_counted(ended), _counted(still_open), float(sum(ended)), known)

    @classmethod
    def counted(cls, ended: Iterable[tuple[float, int]], still_open: Iterable[tuple[float, int]] = ()) -> "Durations":
        """From (seconds, how many of them); for times of which many are alike, such as whole days."""
        ends, opens = list(ended), list(still_open)
        total = float(sum(seconds * n for seconds, n in ends))
        if sum(n for _, n in ends) + sum(n for _, n in opens) > EXACT_UP_TO:
            return cls(_weighed(ends), _weighed(opens), total, None)
        return cls.of([s for s, n in ends for _ in range(n)], [s for s, n in opens for _ in range(n)])

    @classmethod
    def from_buckets(cls, counts: Iterable[tuple[int, int]]) -> "Durations":
        """Ended cases of which (bucket, count) is known, not each duration."""
        ended = _added(counts)
        return cls(ended, exact=None if any(ended) else ((), ()))

    @property
    def n(self) -> int:
        return self.n_ended + self.n_open

    def __add__(self, other: "Durations") -> "Durations":
        for nothing, all_of_it in ((self, other), (other, self)):
            if not nothing.n and nothing.exact is not None:
                return all_of_it
        both = None
        if self.exact is not None and other.exact is not None and self.n + other.n <= EXACT_UP_TO:
            both = (self.exact[0] + other.exact[0], self.exact[1] + other.exact[1])
        return Durations(
            tuple(map(add, self.ended, other.ended)),
            tuple(map(add, self.still_open, other.still_open)),
            self.total_s + other.total_s,
            both,
        )

    def without_ended(self) -> "Durations":
        """The open ones alone."""
        exact = None if self.exact is None else ((), self.exact[1])
        return Durations(still_open=self.still_open, exact=exact)

    def within(self, seconds: int) -> float | None:
        """Share of the ended cases that took less than a bound of BOUNDS; None without any."""
        return sum(self.ended[: bucket(seconds)]) / self.n_ended if self.n_ended else None

    def percentile(self, p: float) -> Percentile:
        """Kaplan-Meier, open cases counted for as long as they have been open."""
        if self.n < SAMPLE_FLOOR:
            return Percentile(None)
        return _interpolated(self.ended, self.still_open, p) if self.exact is None else _exactly(*self.exact, p)

    def naive(self, p: float) -> Percentile:
        """Of the ended cases alone: too good, because what is slow is still open."""
        ended = self.exact[0] if self.exact is not None else None
        return Durations(self.ended, exact=None if ended is None else (ended, ())).percentile(p)

    def ended_by(self, other_ends: "Durations", seconds: int) -> float | None:
        """Aalen-Johansen: the share that ended by `seconds`, when `other_ends` (cancelled) ended otherwise.

        None below SAMPLE_FLOOR cases. From buckets, `seconds` must be one of BOUNDS.
        """
        if self.n + other_ends.n_ended < SAMPLE_FLOOR:
            return None
        if self.exact is not None and other_ends.exact is not None:
            return _incidence(self.exact[0], other_ends.exact[0], self.exact[1]).by(seconds)
        end = bucket(seconds)
        return float(_incidences(self.ended, other_ends.ended, self.still_open)[end - 1]) if end else 0.0


NONE: Final = Durations()


def bucketed(places: Iterable[int], counts: Iterable[int], total_s: float) -> Durations:
    """Ended cases of which only the buckets are known."""
    return Durations(_added(zip(places, counts, strict=True)), total_s=total_s, exact=None)


def open_of_buckets(pairs: Iterable[tuple[int, int]]) -> Durations:
    """Open cases of which (bucket, count) is known alone; a bucket may come more than once."""
    return Durations(still_open=_added(pairs), exact=None)


def _added(pairs: Iterable[tuple[int, int]]) -> tuple[int, ...]:
    found = [0] * BUCKETS
    for place, n in pairs:
        found[place] += n
    return tuple(found)


def _counted(seconds: Sequence[float]) -> tuple[int, ...]:
    places = np.searchsorted(_BOUNDS, np.asarray(seconds, dtype=np.float64), side="right")
    return tuple(np.bincount(places, minlength=BUCKETS).tolist())


def _weighed(times: Iterable[tuple[float, int]]) -> tuple[int, ...]:
    found = [0] * BUCKETS
    for seconds, n in times:
        found[bucket(seconds)] += n
    return tuple(found)


# One answer asks the same curve for several percentiles, and the same answer is asked for again and again.
@lru_cache(maxsize=256)
def _curve(ended: tuple[float, ...], still_open: tuple[float, ...]) -> tuple[Curve, tuple[Floats, Floats]]:
    """And its 95 % limits."""
    curve = kaplan_meier(ended, still_open)
    return curve, limits(curve)


@lru_cache(maxsize=1024)
def _exactly(ended: tuple[float, ...], still_open: tuple[float, ...], p: float) -> Percentile:
    curve, within = _curve(ended, still_open)
    found = quantile_within(curve, within, p)
    return Percentile(found.value, found.low, found.high, None, curve.longest if found.value is None else None)


@lru_cache(maxsize=64)
def _incidence(ended: tuple[float, ...], otherwise: tuple[float, ...], still_open: tuple[float, ...]) -> Incidence:
    return incidence(ended, otherwise, still_open)


@lru_cache(maxsize=64)
def _incidences(ended: tuple[int, ...], otherwise: tuple[int, ...], still_open: tuple[int, ...]) -> Floats:
    """The share that has ended by the end of each bucket; an open case is at risk for half of the one that it is in."""
    ends, others, opens = np.array(ended), np.array(otherwise), np.array(still_open)
    gone = ends + others + opens
    exposed = np.maximum(gone.sum() - np.cumsum(gone) + gone - opens / 2, 1e-9)
    survival = np.cumprod(1 - (ends + others) / exposed)
    return np.cumsum(np.concatenate([[1.0], survival[:-1]]) * ends / exposed)


@lru_cache(maxsize=512)
def _life_table(ended: tuple[int, ...], still_open: tuple[int, ...]) -> tuple[Floats, Floats, Floats]:
    """S at the end of each bucket, and its limits; an open case is at risk for half of the bucket that it is in."""
    ends, opens = np.array(ended), np.array(still_open)
    gone = np.concatenate([[0], np.cumsum(ends + opens)[:-1]])
    exposed = np.maximum(ends.sum() + opens.sum() - gone - opens / 2, 1e-9)
    survival = np.cumprod(np.clip(1 - ends / exposed, 0, 1))
    variance = np.cumsum(ends / np.maximum(exposed * (exposed - ends), 1e-9))
    return survival, _limit(survival, variance, -1), _limit(survival, variance, 1)


@lru_cache(maxsize=2048)
def _interpolated(ended: tuple[int, ...], still_open: tuple[int, ...], p: float) -> Percentile:
    survival, below, above = _life_table(ended, still_open)
    value, error = _at(survival, 1 - p)
    if value is None:
        return Percentile(None, at_least=span(int(np.add(ended, still_open).nonzero()[0][-1]))[0])
    return Percentile(value, _at(below, 1 - p)[0], _at(above, 1 - p)[0], error)


def _limit(survival: Floats, variance: Floats, sign: int) -> Floats:
    """Log-log limits of S, Greenwood's variance: `sign` -1 is the lower one. Where S is 0 there are none: NaN."""
    inner = np.clip(survival, 1e-12, 1 - 1e-12)
    exponent = np.exp(np.clip(sign * _Z * np.sqrt(variance) / np.log(inner), -700, 700))
    return np.where(survival >= 1, 1.0, np.where(survival <= 0, np.nan, inner**exponent))


def _at(survival: Floats, level: float) -> tuple[float | None, float | None]:
    """Where S comes down to `level`, linear within the bucket, and the bucket's width."""
    below = survival <= level + 1e-12
    index = int(below.argmax())
    if not below[index]:
        return None, None
    start, end = span(index)
    if end == float("inf"):
        return None, None
    above = float(survival[index - 1]) if index else 1.0
    drop = above - float(survival[index])
    share = (above - level) / drop if drop > 0 else 1.0
    return start + (end - start) * share, end - start
