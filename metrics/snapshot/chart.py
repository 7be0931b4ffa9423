"""Where points and ticks of a chart stand, between 0 and 1, so that whatever draws it only draws."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

_STEPS: Final = (1, 2, 2.5, 5, 10)
_TICKS: Final = 4


@dataclass(frozen=True, slots=True)
class Axis:
    low: float
    high: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        return round((value - self.low) / (self.high - self.low), 4)


def axis(values: Sequence[float], *, whole: bool = False) -> Axis:
    """From zero, or below it, in round steps to above the largest value. `whole`: nothing between whole numbers."""
    low, high = min((0.0, *values)), max((0.0, *values))
    if high == low:
        high = 1.0
    rough = (high - low) / _TICKS
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * one for one in _STEPS if size * one >= rough * 0.999)
    step = max(1.0, math.ceil(step)) if whole else step
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(round(step * n, 10) for n in range(first, last + 1))
    return Axis(ticks[0], ticks[-1], ticks)


def runs(values: Sequence[Decimal | None], scale: Axis) -> list[list[tuple[float, float]]]:
    """Points (x, y) of each stretch without a gap."""
    found: list[list[tuple[float, float]]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            found.append([])
        else:
            found[-1].append((round(place / max(len(values) - 1, 1), 4), scale.at(float(value))))
    return [run for run in found if run]
