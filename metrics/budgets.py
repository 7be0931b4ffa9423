"""How the error budget of each objective was spent over its 30 days: what was left after each day, up to now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

import sqlalchemy as sa

from metrics.burn import NO_EVENTS, PERIOD, Events
from metrics.slo import OBJECTIVES, Objective
from metrics.slo_events import Looked
from sync_core.estate import Estate


@dataclass(frozen=True, slots=True)
class Left:
    """Of the budget of the whole period: 1 untouched, below 0 overspent."""

    at: datetime
    left: float


def budgets(
    conn: sa.Connection, *, now: datetime, estate: Estate, objectives: Sequence[Objective] = OBJECTIVES
) -> dict[str, list[Left]]:
    """By objective, oldest first; absent without events, and where nothing may be bad, so that there is no budget."""
    looked = Looked(conn, now, estate)
    read = {one.name: spent(one.read.by_day(looked), one.objective, now=now) for one in objectives if one.objective < 1}
    return {name: points for name, points in read.items() if points}


def spent(days: Mapping[int, Events], objective: float, *, now: datetime) -> list[Left]:
    """Pure. The budget is that of all events of the period, so the last point is what is left now."""
    allowed = sum(one.total for one in days.values()) * (1 - objective)
    if not allowed:
        return []
    bad = accumulate((days.get(ago, NO_EVENTS).bad for ago in reversed(range(PERIOD.days))), initial=0)
    return [Left(now - PERIOD + timedelta(days=day), 1 - sum_ / allowed) for day, sum_ in enumerate(bad)]
