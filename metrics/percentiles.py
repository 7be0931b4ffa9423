"""A percentile as figures: the value, its 95 % limits, and in words what it is not."""

from metrics.durations import Durations, Percentile
from metrics.kpi import Figure, Unit
from sync_core.survival import SAMPLE_FLOOR

HOUR_S, DAY_S = 3600, 86_400


def figures(key: str, label: str, found: Percentile, unit_s: int, unit: Unit) -> tuple[Figure, ...]:
    """`key`, `key`_low and `key`_high; one that was never reached says "at least" in its note."""
    return (
        Figure(key, label, in_unit(found.value, unit_s), unit, _note(found, unit_s),
               at_least=in_unit(found.at_least, unit_s)),
        Figure(f"{key}_low", f"{label}, 95 % lower limit", in_unit(found.low, unit_s), unit,
               _unreached(found.low, found)),
        Figure(f"{key}_high", f"{label}, 95 % upper limit", in_unit(found.high, unit_s), unit,
               _unreached(found.high, found)),
    )  # fmt: skip


def in_unit(seconds: float | None, unit_s: int) -> float | None:
    return None if seconds is None else seconds / unit_s


def why_none(found: Durations, percentile: Percentile, unit_s: int, unit: str) -> str:
    """In words; "" where there is a value."""
    if percentile.value is not None:
        return ""
    if found.n < SAMPLE_FLOOR:
        return f"n = {found.n}: below {SAMPLE_FLOOR} cases a percentile says nothing"
    return f"not reached: at least {(percentile.at_least or 0) / unit_s:.1f} {unit}"


def _unreached(limit: float | None, found: Percentile) -> str:
    """Of too few cases there is neither a percentile nor a limit."""
    too_few = found.value is None and found.at_least is None
    return "" if limit is not None or too_few else "not reached: too few have ended for it"


def _note(found: Percentile, unit_s: int) -> str:
    if found.at_least is not None:
        return f"not reached: at least {found.at_least / unit_s:.1f}"
    return f"read from buckets, this one {found.error / unit_s:.2g} wide" if found.error is not None else ""
