"""Reads that several KPIs share: durations of ended and open cases by group, exact while they are few."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from metrics.asking import By
from metrics.durations import BUCKETS, EXACT_UP_TO, Durations
from metrics.source import Source, chosen

# Of an open case f: the working time on its legal entity's calendar at the moment that was asked for.
WORKED_NOW = """LEFT JOIN (SELECT calendar, metrics.worked(calendar, :as_of) AS worked FROM metrics.calendar) AS now_of
    ON now_of.calendar = f.legal_entity CROSS JOIN (SELECT metrics.worked('', :as_of) AS worked) AS otherwise"""
WORKED_NOW_S = "coalesce(now_of.worked, otherwise.worked)"


@dataclass(frozen=True, slots=True)
class Timed:
    """Where durations are: `measure` has the ended ones by bucket; the SQL finds them and the open ones one by one."""

    fact: str  # the table's name, for instance "contract"
    measure: str  # for instance "contract.cycle"
    ended: str  # condition on f, an ended case
    ended_s: str  # its duration in seconds
    still_open: str  # condition on f, an open case; uses an index that has only these
    open_s: str  # how long it has been open, at :as_of
    joined: str = ""  # what `open_s` needs joined to f
    period: str = "f.period"


def group_of(by: By | None, period: str = "f.period", label: str = "''") -> str:
    """The column of the fact `f` that an answer is split by."""
    if by is None:
        return "''"
    if by is By.WEEK:
        return f"CAST({period} AS text)"
    return label if by is By.LABEL else f"f.{by}"


def durations(source: Source, timed: Timed, by: By | None) -> dict[str, Durations]:
    """By group. Two statements, and two more where there are few enough cases to be exact."""
    ended = _by_group((cell.group, cell.bucket, cell.n, float(cell.amount)) for cell in
                      source.cells([timed.measure], by))  # fmt: skip
    still_open = _by_group((*row, 0.0) for row in source.run(_open_counts(source, timed, by)))
    groups = sorted(ended.keys() | still_open.keys())
    none = _Counted((0,) * BUCKETS, 0.0)
    counted = {
        group: Durations(ended.get(group, none).counts, still_open.get(group, none).counts,
                         ended.get(group, none).total, None)
        for group in groups
    }  # fmt: skip
    if sum(one.n for one in counted.values()) > EXACT_UP_TO:
        return counted
    return _exact(source, timed, by, groups)


@dataclass(frozen=True, slots=True)
class _Counted:
    counts: tuple[int, ...]
    total: float


def _by_group(rows: Iterable[Sequence[object]]) -> dict[str, _Counted]:
    counts: dict[str, list[int]] = {}
    totals: dict[str, float] = {}
    for group, index, n, total in rows:
        counts.setdefault(str(group), [0] * BUCKETS)[int(str(index))] += int(str(n))
        totals[str(group)] = totals.get(str(group), 0.0) + float(str(total))
    return {group: _Counted(tuple(found), totals[group]) for group, found in counts.items()}


def _open_counts(source: Source, timed: Timed, by: By | None) -> str:
    return f"""
        SELECT {group_of(by, timed.period)} AS grp,
               width_bucket(CAST(greatest({timed.open_s}, 0) AS float8), CAST(:bounds AS float8[])) AS bucket, count(*)
        FROM metrics.{timed.fact}_fact AS f {timed.joined}
        WHERE {_open_rows(source, timed)} GROUP BY 1, 2
    """


def _open_rows(source: Source, timed: Timed) -> str:
    return (
        f"{source.valid()} AND {timed.still_open} AND {chosen('f')}"
        f" AND {timed.period} >= :start AND {timed.period} < :end"
    )


def _exact(source: Source, timed: Timed, by: By | None, groups: Sequence[str]) -> dict[str, Durations]:
    group = group_of(by, timed.period)
    ended = source.run(f"""
        SELECT {group} AS grp, array_agg({timed.ended_s} ORDER BY {timed.ended_s}) FROM metrics.{timed.fact}_fact AS f
        WHERE {source.valid()} AND {timed.ended} AND {chosen("f")}
          AND {timed.period} >= :start AND {timed.period} < :end GROUP BY 1
    """)
    still_open = source.run(f"""
        SELECT {group} AS grp, array_agg(CAST(greatest({timed.open_s}, 0) AS bigint)
                                         ORDER BY CAST(greatest({timed.open_s}, 0) AS bigint))
        FROM metrics.{timed.fact}_fact AS f {timed.joined} WHERE {_open_rows(source, timed)} GROUP BY 1
    """)
    ends: Mapping[str, Sequence[float]] = {str(row[0]): row[1] for row in ended}
    opens: Mapping[str, Sequence[float]] = {str(row[0]): row[1] for row in still_open}
    return {one: Durations.of(ends.get(one, ()), opens.get(one, ())) for one in groups}
