"""Percentiles of counts by fixed buckets. Histograms are added, percentiles are never averaged. Pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Quantile:
    """Seconds. `value_s` None: there is nothing, or it lies beyond the last bound, then `at_least_s` has that bound."""

    value_s: float | None
    error_s: float | None = None  # the bucket's width: the true value is within it
    at_least_s: float | None = None

    @property
    def says(self) -> str:
        """For people: `0.31 s ± 0.15`, `>= 120 s`, `no calls`."""
        if self.value_s is not None:
            return f"{self.value_s:.3g} s"
        return f">= {self.at_least_s:g} s" if self.at_least_s is not None else "no calls"


NO_QUANTILE = Quantile(None)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by the upper bound of their bucket, which is in it; the last one is infinity."""

    counts: Mapping[float, int] = field(default_factory=dict)
    total_s: float = 0.0

    @classmethod
    def of(cls, rows: Iterable[tuple[float, int, float]]) -> "Histogram":
        """From (upper bound, count, sum of seconds); the same bound may come more than once."""
        counts: dict[float, int] = {}
        total_s = 0.0
        for le, n, seconds in rows:
            counts[le] = counts.get(le, 0) + n
            total_s += seconds
        return cls(counts, total_s)

    def __add__(self, other: "Histogram") -> "Histogram":
        bounds = self.counts.keys() | other.counts.keys()
        return Histogram(
            {le: self.counts.get(le, 0) + other.counts.get(le, 0) for le in bounds}, self.total_s + other.total_s
        )

    @property
    def n(self) -> int:
        return sum(self.counts.values())

    @property
    def mean_s(self) -> float | None:
        return self.total_s / self.n if self.n else None

    def quantile(self, q: float, bounds: tuple[float, ...]) -> Quantile:
        """Linear inside the bucket that the q-th observation is in; `bounds` are all finite upper bounds, rising."""
        if not self.n:
            return NO_QUANTILE
        wanted, below, low = q * self.n, 0, 0.0
        for le in bounds:
            here = self.counts.get(le, 0)
            if here and below + here >= wanted:
                return Quantile(low + (le - low) * max(wanted - below, 0.0) / here, le - low)
            below, low = below + here, le
        return Quantile(None, at_least_s=low)

    def within(self, seconds: float, bounds: tuple[float, ...]) -> int:
        """How many took at most so long. Exact, for `seconds` is a bound; raises ValueError for anything else."""
        if seconds not in bounds:
            raise ValueError(f"{seconds:g} s is no bound of a bucket")
        return sum(n for le, n in self.counts.items() if le <= seconds)

    def cumulative(self, bounds: tuple[float, ...]) -> list[tuple[float, int]]:
        """As OpenMetrics wants them: up to and including each bound, infinity last."""
        below, found = 0, []
        for le in (*bounds, math.inf):
            below += self.counts.get(le, 0)
            found.append((le, below))
        return found
