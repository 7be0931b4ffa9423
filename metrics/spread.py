"""How the time from signature to activation is spread over the contracts provisioned, in steps of a logarithmic scale.

A step is half of a doubling from one minute on, made of whole buckets (metrics/buckets.py), so that counts add up.
"""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from metrics.buckets import span
from metrics.source import Source

_MEASURE: Final = "contract.cycle_work"
_STEPS: Final = tuple(round(60 * 2 ** (k / 2)) for k in range(41))  # each is a bound of the buckets


@dataclass(frozen=True, slots=True)
class Bin:
    """Contracts that took [start, end) in working seconds. The first begins at 0, the last one has no end."""

    start: float
    end: float
    cases: int


def spread(source: Source) -> tuple[Bin, ...]:
    """From the shortest to the longest that there is, none between left out; empty where nothing was provisioned."""
    counts = [0] * (len(_STEPS) + 1)
    for one in source.counts([_MEASURE]):
        for bucket, n in zip(one.buckets, one.n, strict=True):
            counts[bisect_right(_STEPS, span(bucket)[0])] += n
    filled = [place for place, n in enumerate(counts) if n]
    if not filled:
        return ()
    edges = (0.0, *map(float, _STEPS), float("inf"))
    return tuple(Bin(edges[p], edges[p + 1], counts[p]) for p in range(filled[0], filled[-1] + 1))
