"""Which exchange rates the numbers of a snapshot were converted at, and what each rate was used for.

Flows are converted at what is known as of the snapshot, each state at what was known as of its own moment. So one
currency may have several rates.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from metrics.asking import Ask
from metrics.rates import rates_of
from metrics.snapshot.content import Rate, Restatement
from metrics.snapshot.corrected import Corrected, News
from metrics.source import Source
from metrics.weeks import week_name

FLOWS: Final = "flows, as of the snapshot"
STATES: Final = "states, as of the end of the week"
STATES_SO_FAR: Final = "states, as of the snapshot"  # of a week that still runs
STATES_BEFORE: Final = "states of the week before, as of its end"
FIRST_MADE: Final = "restatement, as first made"
KNOWN_NOW: Final = "restatement, as known now"
_SEVEN: Final = timedelta(days=7)

_One = tuple[str, Decimal, date]


def rates_used(
    flows: Source, ends: Mapping[date, Source], *, week: date, over: bool, told: Restatement
) -> tuple[Rate, ...]:
    """By currency, that of the flows first. `ends`: of each week of the trend (its Monday) what its states were read
    from, where anything was measured by then.
    """
    sources = {FLOWS: flows}
    if week in ends:
        sources[STATES if over else STATES_SO_FAR] = ends[week]
    if week - _SEVEN in ends:
        sources[STATES_BEFORE] = ends[week - _SEVEN]
    if told.since is not None and told.kpis:
        sources[FIRST_MADE] = Source(flows.conn, Ask(flows.ask.window, told.since), estate=flows.estate)
        sources[KNOWN_NOW] = Corrected(flows, flows.ask, News(told.since))
    used: dict[_One, list[str]] = {}
    for what, source in sources.items():
        for one in _known(source):
            used.setdefault(one, []).append(what)
    drawn: dict[_One, list[date]] = {}
    for monday, source in ends.items():
        for one in _known(source) if monday < week - _SEVEN else ():
            drawn.setdefault(one, []).append(monday)
    by_currency = sorted({**used, **drawn}, key=lambda one: one[0])  # which keeps the order of the uses
    return tuple(Rate(*one, tuple(used.get(one, ())), _trend_of(drawn.get(one, ()))) for one in by_currency)


def _known(source: Source) -> list[_One]:
    return [(currency, rate.rate, rate.valid_on) for currency, rate in rates_of(source).known.items()]


def _trend_of(mondays: Sequence[date]) -> str:
    """`trend of states, as of the ends of 2026-W35 to 2026-W41, 2026-W43`."""
    runs: list[list[date]] = []
    for monday in sorted(mondays):
        if runs and runs[-1][-1] == monday - _SEVEN:
            runs[-1].append(monday)
        else:
            runs.append([monday])
    if not runs:
        return ""
    named = (week_name(run[0]) if len(run) == 1 else f"{week_name(run[0])} to {week_name(run[-1])}" for run in runs)
    return f"trend of states, as of the {'end' if len(mondays) == 1 else 'ends'} of {', '.join(named)}"
