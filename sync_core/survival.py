"""How long things take when some of them are not finished yet: Kaplan-Meier and its quantiles, Aalen-Johansen.

A median over finished cases alone is too good: what is slow is still open and so not in it. Here an open case
counts for as long as it has been open. Quantile p is the smallest t with S(t) <= 1 - p; its limits invert the
log-log limits of S(t) with Greenwood's variance (Brookmeyer and Crowley 1982; Kalbfleisch and Prentice 1980).
Every result is exact: cost is that of one sort.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SAMPLE_FLOOR = 20  # below this many cases a percentile says nothing
# S(t) is a product of ratios: 0.5 may come out as 0.5000000000000001.
_TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class Curve:
    """S(t) at each time at which a case ended, ascending. Times are in the unit they came in."""

    times: Floats
    survival: Floats
    greenwood: Floats  # sum of d / (n (n - d)); infinite where S is 0
    longest: float | None  # longest time seen, ended or open; None without cases
    ended: int
    open: int

    @property
    def cases(self) -> int:
        return self.ended + self.open


@dataclass(frozen=True, slots=True)
class Quantile:
    """None where the curve never comes down so far: the value is then at least `Curve.longest`."""

    value: float | None
    low: float | None
    high: float | None


def kaplan_meier(ended: Sequence[float] | Floats, still_open: Sequence[float] | Floats = ()) -> Curve:
    """`ended` are times to the end, `still_open` times so far, in one unit and not negative.

    A case that ended at t and one still open at t: the open one counts as at risk at t.
    """
    ends = np.sort(np.asarray(ended, dtype=np.float64))
    opens = np.sort(np.asarray(still_open, dtype=np.float64))
    total = len(ends) + len(opens)
    times, deaths = np.unique(ends, return_counts=True)
    gone = np.searchsorted(ends, times, side="left") + np.searchsorted(opens, times, side="left")
    at_risk = total - gone
    left = at_risk - deaths
    survival = np.cumprod(left / at_risk, dtype=np.float64)
    terms = np.full(len(times), np.inf)
    np.divide(deaths, at_risk * left, out=terms, where=left > 0)
    longest = max([*ends[-1:], *opens[-1:]], default=None)
    return Curve(times, survival, np.cumsum(terms), None if longest is None else float(longest), len(ends), len(opens))


def aalen_johansen(
    ended: Sequence[float] | Floats,
    otherwise: Sequence[float] | Floats,
    still_open: Sequence[float] | Floats,
    by: float,
) -> float:
    """The share of all cases that have ended by the time `by`, where others ended `otherwise` and never will."""
    return incidence(ended, otherwise, still_open).by(by)


@dataclass(frozen=True, slots=True)
class Incidence:
    """The share of all cases that have ended by each time at which one did, ascending."""

    times: Floats
    share: Floats

    def by(self, time: float) -> float:
        """0 before the first end."""
        place = int(np.searchsorted(self.times, time, side="right"))
        return float(self.share[place - 1]) if place else 0.0


def incidence(
    ended: Sequence[float] | Floats, otherwise: Sequence[float] | Floats, still_open: Sequence[float] | Floats
) -> Incidence:
    """The sum over times t of S(t-) d(t) / n(t), S being Kaplan-Meier's of both kinds of end.

    Aalen and Johansen 1978. As in `kaplan_meier`, a case still open at t is at risk at t. Without cases it is 0.
    """
    ends = np.sort(np.asarray(ended, dtype=np.float64))
    both = kaplan_meier(np.concatenate([ends, np.asarray(otherwise, dtype=np.float64)]), still_open)
    times, deaths = np.unique(ends, return_counts=True)
    place = np.searchsorted(both.times, times)
    before = np.concatenate([[1.0], both.survival])[place]
    opens = np.sort(np.asarray(still_open, dtype=np.float64))
    other = np.sort(np.asarray(otherwise, dtype=np.float64))
    gone = sum(np.searchsorted(one, times, side="left") for one in (ends, other, opens))
    return Incidence(times, np.cumsum(before * deaths / (both.cases - gone)))


def quantile(curve: Curve, p: float, *, confidence: float = 0.95) -> Quantile:
    """The time by which a share `p` has ended, with its limits; each None where the curve does not reach it."""
    return quantile_within(curve, limits(curve, confidence=confidence), p)


def quantile_within(curve: Curve, within: tuple[Floats, Floats], p: float) -> Quantile:
    """The same, with the curve's limits at hand."""
    low, high = within
    return Quantile(
        _first(curve.times, curve.survival, 1 - p),
        _first(curve.times, low, 1 - p),
        _first(curve.times, high, 1 - p),
    )


def limits(curve: Curve, *, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Pointwise limits of S(t). Where S is 0 the log-log limits do not exist: NaN."""
    low, high = np.full(len(curve.times), np.nan), np.full(len(curve.times), np.nan)
    inside = (curve.survival > 0) & (curve.survival < 1)
    s = curve.survival[inside]
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    spread = np.exp(z * np.sqrt(curve.greenwood[inside]) / np.abs(np.log(s)))
    low[inside], high[inside] = s**spread, s ** (1 / spread)
    return low, high


def naive_quantile(ended: Sequence[float] | Floats, p: float) -> float | None:
    """Of the finished cases alone, by the same rule; None without any."""
    ends = np.sort(np.asarray(ended, dtype=np.float64))
    return float(ends[max(0, int(np.ceil(p * len(ends) - _TOLERANCE)) - 1)]) if len(ends) else None


def _first(times: Floats, curve: Floats, level: float) -> float | None:
    reached = curve <= level + _TOLERANCE
    first = int(reached.argmax()) if len(reached) else 0
    return float(times[first]) if len(reached) and reached[first] else None
