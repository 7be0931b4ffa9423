"""The fixed buckets of durations: counts of two cells add up, so a percentile over any window comes from their sum.

Bounds rise by a quarter of a doubling from one minute to two years, and every target that Tieline measures against is
one of them, so that "within the target" is exact. Bucket 0 is below the first bound, the last one is open.
"""

from bisect import bisect_right
from typing import Final

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_TARGETS = (
    *(_MINUTE * m for m in (1, 5, 15)),
    *(_HOUR * h for h in (1, 2, 4, 8, 16, 24, 40, 80)),
    *(int(_HOUR * 8.5) * d for d in (1, 2, 3, 5, 7, 10, 14, 30)),  # working days of the usual hours
    *(_DAY * d for d in (1, 2, 3, 5, 7, 10, 14, 30, 60, 90, 365)),
)
BOUNDS: Final[tuple[int, ...]] = tuple(sorted({round(_MINUTE * 2 ** (k / 4)) for k in range(81)} | set(_TARGETS)))


def bucket(seconds: float) -> int:
    """As PostgreSQL's width_bucket(seconds, BOUNDS) says."""
    return bisect_right(BOUNDS, seconds)


def span(index: int) -> tuple[float, float]:
    """[from, to) in seconds; the last one has no end."""
    low = BOUNDS[index - 1] if index else 0.0
    return float(low), float(BOUNDS[index]) if index < len(BOUNDS) else float("inf")
