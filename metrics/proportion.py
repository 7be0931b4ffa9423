"""How sure a share is: with few cases 1 of 4 says little, and an interval says how little."""

from math import sqrt
from statistics import NormalDist
from typing import Final

_Z: Final = NormalDist().inv_cdf(0.975)


def wilson(k: int, n: int) -> tuple[float, float] | None:
    """The 95 % limits of k of n (Wilson's score interval); None without cases."""
    if n == 0:
        return None
    share, squared = k / n, _Z * _Z
    middle = share + squared / (2 * n)
    half = _Z * sqrt(share * (1 - share) / n + squared / (4 * n * n))
    below = 1 + squared / n
    # Rounding must not push a limit past what is possible.
    return max(0.0, (middle - half) / below), min(1.0, (middle + half) / below)
