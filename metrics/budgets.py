"""How the error budget of each objective was spent over its 30 days: what was left after each day, up to now."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from metrics.burn import NO_EVENTS, PERIOD, Events
from metrics.slo import Standing


@dataclass(frozen=True, slots=True)
class Left:
    """Of the budget of the whole period: 1 untouched, below 0 overspent."""

    at: datetime
    left: float


def budgets(found: Iterable[Standing]) -> dict[str, list[Left]]:
    """By objective, oldest first, as it stood when it was evaluated; absent without events or without a budget."""
    kept = {one.name: spent(one.days, one.objective, now=one.evaluated_at) for one in found if one.evaluated_at}
    return {name: points for name, points in kept.items() if points}


def spent(days: Mapping[int, Events], objective: float, *, now: datetime) -> list[Left]:
    """Pure. The budget is that of all events of the period, so the last point is what is left now."""
    allowed = sum(one.total for one in days.values()) * (1 - objective)
    if not allowed:
        return []
    bad = accumulate((days.get(ago, NO_EVENTS).bad for ago in reversed(range(PERIOD.days))), initial=0)
    return [Left(now - PERIOD + timedelta(days=day), 1 - sum_ / allowed) for day, sum_ in enumerate(bad)]
