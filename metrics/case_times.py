"""How long exceptions and the functions that had them took, ended and open ones together: few statements for all.

Every kind of time is read in one pass over the same rows; exact while they are few, as metrics/durations.py says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from metrics.asking import By
from metrics.cells import Counts
from metrics.durations import EXACT_UP_TO, NONE, Durations
from metrics.reading import WORKED_NOW, WORKED_NOW_S, group_of, keys_of, seconds_since
from metrics.source import Source, chosen

_WORKED_S: Final = f"greatest({WORKED_NOW_S} - {{}}, 0)"


@dataclass(frozen=True, slots=True)
class Time:
    """One kind of time of a fact's rows `f`."""

    name: str
    measure: str  # cells of the ended ones, by bucket, with the function as label
    ended: str
    ended_s: str
    still_open: str  # among the open rows
    open_s: str


_UNANSWERED: Final = "f.response_s IS NULL"
_RESOLVED: Final = "f.outcome = 'resolved'"
_CASE: Final = (
    Time("working", "case.ttr_work", _RESOLVED, "f.spent_work_s", "true",
         f"f.spent_work_s + {_WORKED_S.format('f.open_since_work_s')}"),
    Time("calendar", "case.ttr", _RESOLVED, "f.spent_s", "true",
         f"f.spent_s + greatest({seconds_since('f.open_since')}, 0)"),
    Time("answer", "case.response_work", "f.response_s IS NOT NULL", "f.response_work_s", _UNANSWERED,
         _WORKED_S.format("f.opened_work_s")),
    Time("answer_calendar", "case.response", "f.response_s IS NOT NULL", "f.response_s", _UNANSWERED,
         f"greatest({seconds_since('f.opened_at')}, 0)"),
)  # fmt: skip
_HELD: Final = (
    Time("held", "case_time.spent_work", "true", "f.spent_work_s", "true",
         f"f.spent_work_s + {_WORKED_S.format('f.open_since_work_s')}"),
    Time("held_calendar", "case_time.spent", "true", "f.spent_s", "true",
         f"f.spent_s + greatest({seconds_since('f.open_since')}, 0)"),
)  # fmt: skip
# By fact: its times, what all its open rows meet (the condition of an index that has only these), what its ended ones.
_FACTS: Final[Mapping[str, tuple[tuple[Time, ...], str, str]]] = {
    "case": (_CASE, "f.outcome = 'open'", "(f.outcome = 'resolved' OR f.response_s IS NOT NULL)"),
    "case_time": (_HELD, "f.open_since IS NOT NULL", "f.open_since IS NULL"),
}
TIME_MEASURES: Final = tuple(time.measure for times, _, _ in _FACTS.values() for time in times)
HEADLINE_MEASURES: Final = tuple(time.measure for time in _CASE)  # all of them say whether cases are many

Times = dict[str, dict[str, Durations]]  # by group, then by name


def case_times(source: Source, by: By | None, *, only: frozenset[str] | None = None) -> Times:
    """`working` and `calendar`: all open intervals; `answer`: to the first action; `held`: of each function apart.

    `only`: these names alone.
    """
    found: Times = {}
    for fact, (all_times, is_open, is_ended) in _FACTS.items():
        times = tuple(time for time in all_times if only is None or time.name in only)
        if not times:
            continue
        own = source.counts([time.measure for time in all_times], by)
        opens = _listed(source, by, fact, is_open, [(time.still_open, time.open_s) for time in times])
        if _many(own, opens, all_times):
            ends = {group: [_bucketed(own, group, time) for time in times] for group in {one.group for one in own}}
        else:
            listed = _listed(source, by, fact, is_ended, [(time.ended, time.ended_s) for time in times])
            ends = {group: [Durations.of(one) for one in lists] for group, lists in listed.items()}
        for group in ends.keys() | opens.keys():
            ended = ends.get(group, [NONE] * len(times))
            still = [Durations.of((), one) for one in opens.get(group, [()] * len(times))]
            named = {time.name: a + b for time, a, b in zip(times, ended, still, strict=True)}
            found.setdefault(group, {}).update(named)
    return found


def _many(counts: Sequence[Counts], opens: Mapping[str, Sequence[Sequence[int]]], times: Sequence[Time]) -> bool:
    """Whether there are more than are read one by one."""
    ended = max(sum(sum(one.n) for one in counts if one.measure == time.measure) for time in times)
    return ended + sum(len(lists[0]) for lists in opens.values()) > EXACT_UP_TO


def _bucketed(counts: Sequence[Counts], group: str, time: Time) -> Durations:
    own = [one for one in counts if one.group == group and one.measure == time.measure]
    return Durations.from_buckets(pair for one in own for pair in zip(one.buckets, one.n, strict=True))


def _listed(
    source: Source, by: By | None, fact: str, which: str, wanted: Sequence[tuple[str, str]]
) -> dict[str, list[Sequence[int]]]:
    """Of each group, for each wanted (condition, seconds) the list of seconds."""
    lists = ", ".join(f"coalesce(array_agg({seconds}) FILTER (WHERE {that}), '{{}}')" for that, seconds in wanted)
    rows = source.run(f"""
        SELECT {group_of(by, label="f.function")} AS grp, {lists} FROM metrics.{fact}_fact AS f {WORKED_NOW}
        WHERE {source.valid()} AND {which} AND NOT f.test AND {chosen("f")}
          AND f.period >= :start AND f.period < :end GROUP BY {keys_of(by)}
    """)
    return {str(row[0]): list(row[1:]) for row in rows}
