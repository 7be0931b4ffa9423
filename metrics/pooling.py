"""A trend where single weeks have too few cases for a percentile: each point is of the four weeks up to its own."""

from collections.abc import Mapping
from datetime import timedelta
from functools import reduce
from operator import add
from typing import Any, Final

from metrics.asking import Window
from metrics.kpi import Answer, Kpi
from metrics.source import Source
from sync_core.survival import SAMPLE_FLOOR

SPAN: Final = 4  # for all weeks alike, so that points compare


def too_few(week: Answer) -> bool:
    """A week that has no value because it has too few cases: its headline is of the four weeks up to it."""
    return week.value is None and week.n < SAMPLE_FLOOR


def four_weeks(week: Window) -> Window:
    """The four weeks that end with it."""
    return Window(week.end - timedelta(days=7 * SPAN), week.end)


def pooled(kpi: Kpi[Any], read: Mapping[str, Any], parts: Mapping[str, Answer], source: Source) -> dict[str, Answer]:
    """By week of the window; empty where most weeks can be told by themselves. What lies before it is in none."""
    some = [part for part in parts.values() if part.n]
    few = [part for part in some if too_few(part)]
    if not few or 2 * len(few) < len(some):
        return {}
    weeks = [monday.isoformat() for monday in source.ask.window.mondays]
    found: dict[str, Answer] = {}
    for place, week in enumerate(weeks):
        near = [read[one] for one in weeks[max(place - SPAN + 1, 0) : place + 1] if one in read]
        if near:
            found[week] = kpi.answer(reduce(add, near, kpi.nothing()), source)
    return found
