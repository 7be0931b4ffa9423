"""Reads that several KPIs share: durations of ended and open cases by group, exact while they are few."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from metrics.asking import By
from metrics.cells import Need, Row
from metrics.durations import EXACT_UP_TO, NONE, Durations, bucketed, open_of_buckets
from metrics.facts.fact import bucket_of
from metrics.kpi import I
from metrics.source import Source, chosen

K = TypeVar("K")
V = TypeVar("V", Durations, int, float, Decimal)

# Of an open case f: the working time on its legal entity's calendar at the moment that was asked for. Materialized, or
# it would be worked out anew for each row: 1 ms instead of 59 ms for 1,000 open cases.
WORKED_NOW = """LEFT JOIN (
        WITH known AS MATERIALIZED (SELECT calendar, metrics.worked(calendar, :as_of) AS worked FROM metrics.calendar)
        SELECT * FROM known
    ) AS now_of ON now_of.calendar = f.legal_entity"""
WORKED_NOW_S = "coalesce(now_of.worked, (SELECT metrics.worked('', :as_of)))"


def seconds_since(moment: str) -> str:
    """SQL: whole seconds from a moment until the one that was asked for, a half rounded up, as facts have them.

    By doubles, in which a half of a second is exact: over thousands of open cases `extract` of a numeric would take
    longer than all else that is done with them.
    """
    return f"CAST(floor(date_part('epoch', :as_of - {moment}) + 0.5) AS bigint)"


@dataclass(frozen=True, slots=True)
class Timed:
    """Where durations are: `measure` has the ended ones by bucket; the SQL finds them and the open ones one by one."""

    fact: str  # the table's name, for instance "contract"
    measure: str  # for instance "contract.cycle"
    ended: str  # condition on f, an ended case
    ended_s: str  # its duration in seconds
    still_open: str = "false"  # condition on f, an open case; uses an index that has only these
    open_s: str = "0"  # how long it has been open, at :as_of; null: it is not of those
    joined: str = ""  # what `open_s` and `label` of an open case need joined to f
    period: str = "f.period"
    label: str = "''"  # what the cells of `measure` have as label, of an open case
    ended_joined: str = ""  # what `ended_s` and `ended_label` need joined to f
    ended_label: str = ""  # of an ended case; `label` when empty


def keys_of(by: By | None, period: str = "f.period") -> str:
    """What `group_of`, which comes first, is grouped by: a week by its date, which costs less than by its text."""
    return period if by is By.WEEK else "1"


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


def timed_need(timed: Iterable[Timed], by: By | None) -> Need:
    """The cells that `durations_of` and `labelled` ask for."""
    return Need(tuple(dict.fromkeys(one.measure for one in timed)), _split(by), counted=True)


def _split(by: By | None) -> By | None:
    return None if by is By.LABEL else by  # the label is always read


def durations(source: Source, timed: Timed, by: By | None) -> dict[str, Durations]:
    """By group. Two statements, and one more where there are few enough cases to be exact."""
    return durations_of(source, {"": timed}, by).get("", {})


def durations_of(source: Source, timed: Mapping[str, Timed], by: By | None) -> dict[str, dict[str, Durations]]:
    """The same of several kinds of time: by their name, then by group. What can be read together is."""
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
_Alike = dict[str, Timed]  # by name
_ByName = dict[str, dict[_Key, Durations]]


def _read(source: Source, timed: Mapping[str, Timed], by: By | None) -> _ByName:
    by = _split(by)
    of_measure: dict[str, dict[_Key, Durations]] = {one.measure: {} for one in timed.values()}
    for one in source.counts(of_measure, by):
        of_measure[one.measure][one.group, one.label] = bucketed(one.buckets, one.n, one.amount)
    counted = {name: of_measure[one.measure] for name, one in timed.items()}
    many = {name for name in timed if _cases(counted[name]) > EXACT_UP_TO}
    still_open = _still_open(source, timed, by, many)
    few = [n for n in timed if _cases(counted[n]) + _cases(still_open.get(n, {})) <= EXACT_UP_TO]
    listed = _listed(source, {name: timed[name] for name in few if counted[name]}, by)
    return {
        name: dict(_of(counted[name], still_open.get(name, {}), listed.get(name, {}) if name in few else None))
        for name in timed
    }


def _cases(keys: Mapping[_Key, Durations]) -> int:
    return sum(one.n for one in keys.values())


def _of(
    counted: Mapping[_Key, Durations], opens: Mapping[_Key, Durations], listed: Mapping[_Key, Durations] | None
) -> Iterator[tuple[_Key, Durations]]:
    """Ended and open ones together; exact where the ended ones are `listed`."""
    for key in sorted(counted.keys() | opens.keys()):
        ended, still = counted.get(key, NONE), opens.get(key, NONE)
        if listed is not None:
            yield key, listed.get(key, NONE) + still
        else:
            yield key, Durations(ended.ended, still.still_open, ended.total_s, None)


def _alike(timed: Mapping[str, Timed], what: Callable[[Timed], tuple[str, ...]]) -> list[_Alike]:
    """Kinds of time that one statement can read."""
    found: dict[tuple[str, ...], _Alike] = {}
    for name, one in timed.items():
        found.setdefault(what(one), {})[name] = one
    return list(found.values())


def _still_open(source: Source, timed: Mapping[str, Timed], by: By | None, many: AbstractSet[str]) -> _ByName:
    """One by one; of times of which too `many` ended to be exact, their buckets."""
    some = {name: one for name, one in timed.items() if one.still_open != "false"}
    found: _ByName = {name: {} for name in some}
    for alike in _alike(some, lambda one: (one.fact, one.still_open, one.period, one.label)):
        read = _open_by_bucket if alike.keys() <= many else _open_one_by_one
        for name, keys in read(source, alike, by):
            found[name].update(keys)
    return found


def _open_one_by_one(source: Source, alike: _Alike, by: By | None) -> Iterator[tuple[str, dict[_Key, Durations]]]:
    lists = (
        f"array_agg(CAST(greatest({one.open_s}, 0) AS bigint)) FILTER (WHERE {one.open_s} IS NOT NULL)"
        for one in alike.values()
    )
    for row in _of_open(source, alike, by, ", ".join(lists), ""):
        for name, seconds in zip(alike, row[2:], strict=True):
            if seconds:
                yield name, {(str(row[0]), str(row[1])): Durations.of((), sorted(seconds))}


def _open_by_bucket(source: Source, alike: _Alike, by: By | None) -> Iterator[tuple[str, dict[_Key, Durations]]]:
    """Few combinations of buckets beside the cases, for times of the same cases go together."""
    places = [bucket_of(one.open_s) for one in alike.values()]
    keys = "".join(f", {3 + at}" for at in range(len(places)))
    counts: dict[str, dict[_Key, list[tuple[int, int]]]] = {name: {} for name in alike}
    for row in _of_open(source, alike, by, ", ".join([*places, "count(*)"]), keys):
        for name, place in zip(alike, row[2:-1], strict=True):
            if place is not None:
                counts[name].setdefault((str(row[0]), str(row[1])), []).append((place, row[-1]))
    for name, by_key in counts.items():
        yield name, {key: open_of_buckets(pairs) for key, pairs in by_key.items()}


def _of_open(source: Source, alike: _Alike, by: By | None, columns: str, keys: str) -> Sequence[Row]:
    first = next(iter(alike.values()))
    return source.run(f"""
        SELECT {group_of(by, first.period)} AS grp, {first.label} AS label, {columns}
        FROM metrics.{first.fact}_fact AS f {" ".join(sorted({one.joined for one in alike.values()}))}
        WHERE {_rows_of(source, first, first.still_open)} GROUP BY {keys_of(by, first.period)}, 2{keys}
    """)


def _rows_of(source: Source, timed: Timed, which: str) -> str:
    return f"{source.valid()} AND {which} AND {chosen('f')} AND {timed.period} >= :start AND {timed.period} < :end"


def _listed(source: Source, timed: Mapping[str, Timed], by: By | None) -> _ByName:
    """The ended ones, each for itself."""
    found: _ByName = {name: {} for name in timed}
    for alike in _alike(timed, lambda one: (one.fact, one.ended_joined, one.period, one.ended_label or one.label)):
        first = next(iter(alike.values()))
        lists = (f"array_agg({one.ended_s}) FILTER (WHERE {one.ended})" for one in alike.values())
        ended = " OR ".join(sorted({f"({one.ended})" for one in alike.values()}))
        rows = source.run(f"""
            SELECT {group_of(by, first.period)} AS grp, {first.ended_label or first.label} AS label, {", ".join(lists)}
            FROM metrics.{first.fact}_fact AS f {first.ended_joined}
            WHERE {_rows_of(source, first, f"({ended})")} GROUP BY {keys_of(by, first.period)}, 2
        """)
        for row in rows:
            for name, seconds in zip(alike, row[2:], strict=True):
                found[name][str(row[0]), str(row[1])] = Durations.of(sorted(seconds or ()))
    return found
