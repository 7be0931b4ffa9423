"""Reads that several KPIs share: durations of ended and open cases by group, exact while they are few."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from metrics.asking import By
from metrics.durations import BUCKETS, EXACT_UP_TO, Durations
from metrics.kpi import I
from metrics.source import Source, chosen

K = TypeVar("K")
V = TypeVar("V", Durations, int, float, Decimal)

# Of an open case f: the working time on its legal entity's calendar at the moment that was asked for. OFFSET 0 keeps
# the planner from working it out anew for each row: 1 ms instead of 59 ms for 1,000 open cases.
WORKED_NOW = """LEFT JOIN (SELECT calendar, metrics.worked(calendar, :as_of) AS worked FROM metrics.calendar OFFSET 0)
    AS now_of ON now_of.calendar = f.legal_entity
    CROSS JOIN (SELECT metrics.worked('', :as_of) AS worked OFFSET 0) AS otherwise"""
WORKED_NOW_S = "coalesce(now_of.worked, otherwise.worked)"


@dataclass(frozen=True, slots=True)
class Timed:
    """Where durations are: `measure` has the ended ones by bucket; the SQL finds them and the open ones one by one."""

    fact: str  # the table's name, for instance "contract"
    measure: str  # for instance "contract.cycle"
    ended: str  # condition on f, an ended case
    ended_s: str  # its duration in seconds
    still_open: str = "false"  # condition on f, an open case; uses an index that has only these
    open_s: str = "0"  # how long it has been open, at :as_of
    joined: str = ""  # what `open_s` and `label` of an open case need joined to f
    period: str = "f.period"
    label: str = "''"  # what the cells of `measure` have as label, of an open case
    ended_joined: str = ""  # what `ended_s` and `ended_label` need joined to f
    ended_label: str = ""  # of an ended case; `label` when empty


def together(parts: Iterable[tuple[str, I]]) -> dict[str, I]:
    """What was read of each group, piece by piece, as one."""
    found: dict[str, I] = {}
    for group, one in parts:
        found[group] = found[group] + one if group in found else one
    return found


def group_of(by: By | None, period: str = "f.period", label: str = "''") -> str:
    """The column of the fact `f` that an answer is split by."""
    if by is None:
        return "''"
    if by is By.WEEK:
        return f"CAST({period} AS text)"
    return label if by is By.LABEL else f"f.{by}"


def merged(one: Mapping[K, V], other: Mapping[K, V]) -> Mapping[K, V]:
    """Both, added up where a name is in both."""
    if not one or not other:
        return one or other
    return {**one, **{name: one[name] + more if name in one else more for name, more in other.items()}}


def durations(source: Source, timed: Timed, by: By | None) -> dict[str, Durations]:
    """By group. Two statements, and two more where there are few enough cases to be exact."""
    return durations_of(source, {"": timed}, by).get("", {})


def durations_of(source: Source, timed: Mapping[str, Timed], by: By | None) -> dict[str, dict[str, Durations]]:
    """The same of several kinds of time: by their name, then by group. The ended ones are read together."""
    found: dict[str, dict[str, Durations]] = {}
    for name, keys in _read(source, timed, by).items():
        for (group, label), one in keys.items():
            of_name, place = found.setdefault(name, {}), label if by is By.LABEL else group
            of_name[place] = of_name[place] + one if place in of_name else one
    return found


def labelled(source: Source, timed: Timed, by: By | None) -> dict[str, dict[str, Durations]]:
    """By group and, within each, by label; statements as those of `durations`."""
    found: dict[str, dict[str, Durations]] = {}
    for (group, label), one in _read(source, {"": timed}, by).get("", {}).items():
        found.setdefault(group, {})[label] = one
    return found


_Key = tuple[str, str]  # group, label
_Row = tuple[str, str, int, int, float]  # and bucket, how many, their seconds


def _read(source: Source, timed: Mapping[str, Timed], by: By | None) -> dict[str, dict[_Key, Durations]]:
    by = None if by is By.LABEL else by  # the label is always read
    cells: dict[str, list[_Row]] = {one.measure: [] for one in timed.values()}
    for cell in source.cells(cells, by):
        cells[cell.measure].append((cell.group, cell.label, cell.bucket, cell.n, float(cell.amount)))
    return {name: _of(source, one, by, _by_key(cells[one.measure])) for name, one in timed.items()}


def _of(source: Source, timed: Timed, by: By | None, ended: Mapping[_Key, "_Counted"]) -> dict[_Key, Durations]:
    opens = [] if timed.still_open == "false" else source.run(_open_counts(source, timed, by))
    still_open = _by_key((str(row[0]), str(row[1]), int(row[2]), int(row[3]), 0.0) for row in opens)
    keys = sorted(ended.keys() | still_open.keys())
    none = _Counted((0,) * BUCKETS, 0.0)
    counted = {
        key: Durations(ended.get(key, none).counts, still_open.get(key, none).counts, ended.get(key, none).total, None)
        for key in keys
    }
    if sum(one.n for one in counted.values()) > EXACT_UP_TO:
        return counted
    return _exact(source, timed, by, keys) if keys else {}


@dataclass(frozen=True, slots=True)
class _Counted:
    counts: tuple[int, ...]
    total: float


def _by_key(rows: Iterable[_Row]) -> dict[_Key, _Counted]:
    counts: dict[_Key, list[int]] = {}
    totals: dict[_Key, float] = {}
    for group, label, index, n, total in rows:
        key = group, label
        counts.setdefault(key, [0] * BUCKETS)[index] += n
        totals[key] = totals.get(key, 0.0) + total
    return {key: _Counted(tuple(found), totals[key]) for key, found in counts.items()}


def _open_counts(source: Source, timed: Timed, by: By | None) -> str:
    return f"""
        SELECT {group_of(by, timed.period)} AS grp, {timed.label} AS label,
               width_bucket(CAST(greatest({timed.open_s}, 0) AS float8), CAST(:bounds AS float8[])) AS bucket, count(*)
        FROM metrics.{timed.fact}_fact AS f {timed.joined}
        WHERE {_open_rows(source, timed)} GROUP BY 1, 2, 3
    """


def _open_rows(source: Source, timed: Timed) -> str:
    return (
        f"{source.valid()} AND {timed.still_open} AND {chosen('f')}"
        f" AND {timed.period} >= :start AND {timed.period} < :end"
    )


def _exact(source: Source, timed: Timed, by: By | None, keys: Sequence[_Key]) -> dict[_Key, Durations]:
    group = group_of(by, timed.period)
    ended = source.run(f"""
        SELECT {group} AS grp, {timed.ended_label or timed.label} AS label,
               array_agg({timed.ended_s} ORDER BY {timed.ended_s})
        FROM metrics.{timed.fact}_fact AS f {timed.ended_joined}
        WHERE {source.valid()} AND {timed.ended} AND {chosen("f")}
          AND {timed.period} >= :start AND {timed.period} < :end GROUP BY 1, 2
    """)
    open_s = f"CAST(greatest({timed.open_s}, 0) AS bigint)"
    opens_sql = f"""
        SELECT {group} AS grp, {timed.label} AS label, array_agg({open_s} ORDER BY {open_s})
        FROM metrics.{timed.fact}_fact AS f {timed.joined} WHERE {_open_rows(source, timed)} GROUP BY 1, 2
    """
    still_open = [] if timed.still_open == "false" else source.run(opens_sql)
    ends: Mapping[_Key, Sequence[float]] = {(str(row[0]), str(row[1])): row[2] for row in ended}
    opens: Mapping[_Key, Sequence[float]] = {(str(row[0]), str(row[1])): row[2] for row in still_open}
    return {one: Durations.of(ends.get(one, ()), opens.get(one, ())) for one in keys}
