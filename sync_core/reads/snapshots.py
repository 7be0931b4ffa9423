"""Weekly snapshots that were asked for and made, where they went, and how two weeks differ."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa

from sync_core.reads.paging import Listed, Listing, Order, Row, Where

_ORDER: Final = Order("s.asked_at", descending=True, nullable=False, kind=datetime, row_id="s.snapshot_id")
_COLUMNS: Final = """s.snapshot_id, s.week, s.state, s.asked_at, s.asked_by, s.scheduled, s.wanted_as_of, s.as_of,
    s.data_as_of, s.restated_since, s.made_at, s.release, s.content_id, s.location, s.error, s.attempts,
    s.manifest ->> 'policy_version' AS policy_version,
    (SELECT count(*) FROM metrics.snapshot_delivery AS d WHERE d.snapshot_id = s.snapshot_id AND d.delivered_at IS NULL)
        AS undelivered"""
_ONE = sa.text(f"SELECT {_COLUMNS} FROM metrics.snapshot AS s WHERE s.snapshot_id = :snapshot_id")
_FILES = sa.text("SELECT name, bytes, sha256 FROM metrics.snapshot_file WHERE snapshot_id = :snapshot_id ORDER BY name")
_DELIVERIES = sa.text("""
    SELECT d.target, d.attempts, d.next_at, d.delivered_at, d.location, d.error
    FROM metrics.snapshot AS s JOIN metrics.snapshot_delivery AS d ON d.content_id = s.content_id
    WHERE s.snapshot_id = :snapshot_id AND s.location IS NULL ORDER BY d.target
""")
_SEAL = sa.text("""
    SELECT s.manifest ->> 'key_id' AS key_id, s.manifest ->> 'signature' AS signature, s.manifest ->> 'zone' AS zone,
           s.manifest ->> 'reporting_currency' AS currency, jsonb_array_length(s.manifest -> 'tables') AS tables,
           CAST(s.manifest -> 'counts' ->> 'measures' AS integer) AS measures,
           CAST(s.manifest -> 'counts' ->> 'restated_measures' AS integer) AS restated,
           CAST(s.manifest -> 'counts' ->> 'moved_contracts' AS integer) AS moved,
           coalesce(CAST(s.manifest -> 'counts' ->> 'moved_complete' AS boolean), true) AS complete,
           CAST(s.manifest -> 'measured_anew' ->> 'contracts' AS integer) AS anew,
           coalesce(s.manifest -> 'measured_anew' ->> 'release', '') AS anew_by,
           coalesce(s.manifest -> 'measured_anew' ->> 'why', '') AS anew_why,
           coalesce(CAST(s.manifest -> 'measured_anew' ->> 'complete' AS boolean), true) AS anew_complete,
           (SELECT jsonb_agg(jsonb_build_array(coalesce(h.one ->> 'title', r.one ->> 'kpi'),
                                               r.one -> 'version_before', r.one -> 'version') ORDER BY r.one ->> 'kpi')
            FROM jsonb_array_elements(s.manifest -> 'redefined') AS r(one)
                 LEFT JOIN jsonb_array_elements(s.headlines) AS h(one) ON h.one ->> 'slug' = r.one ->> 'kpi'
           ) AS redefined
    FROM metrics.snapshot AS s WHERE s.snapshot_id = :snapshot_id AND s.state = 'made'
""")
# The first snapshot of the week, which a later one is held against, and that later one.
_FIRST = sa.text("""
    SELECT s.snapshot_id, s.week, s.as_of, s.headlines, s.manifest ->> 'reporting_currency' AS currency,
           s.manifest -> 'restated' AS restated
    FROM metrics.snapshot AS l JOIN metrics.snapshot AS s ON s.week = l.week AND s.state = 'made'
    WHERE l.snapshot_id = :snapshot_id AND l.state = 'made'
      AND (s.snapshot_id = l.snapshot_id OR s.as_of = l.restated_since)
    ORDER BY s.snapshot_id
""")
# The one that knows most of a week, and of two that know the same the later one.
_NEWEST = sa.text("""
    SELECT DISTINCT ON (week) snapshot_id, week, as_of, headlines, manifest ->> 'reporting_currency' AS currency
    FROM metrics.snapshot WHERE week = ANY(CAST(:weeks AS date[])) AND state = 'made'
    ORDER BY week, as_of DESC, snapshot_id DESC
""")


_MOVED_BY: Final = {"by_contracts": "contracts", "by_release": "a new release", "by_stated": "stated numbers"}


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """`week` is its Monday. `undelivered`: targets that do not have it yet."""

    snapshot_id: int
    week: date
    state: str  # asked, made, failed
    asked_at: datetime
    asked_by: str
    scheduled: bool
    wanted_as_of: datetime | None
    as_of: datetime | None
    data_as_of: datetime | None
    restated_since: datetime | None
    made_at: datetime | None
    release: str | None
    policy_version: str | None
    content_id: str | None
    location: str | None
    error: str | None
    attempts: int
    undelivered: int


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SnapshotDelivery:
    """One target of what the snapshot says. `next_at` None: it is there."""

    target: str
    attempts: int
    next_at: datetime | None
    delivered_at: datetime | None
    location: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class SnapshotSeal:
    """What its manifest says: who signed it, and how much of the week has come to be known differently since."""

    key_id: str
    signature: str
    zone: str
    currency: str
    tables: int
    measures: int
    restated: int
    moved: int  # contracts
    complete: bool  # else at least so many moved, and their list is cut
    anew: int | None = None  # contracts that read otherwise only because all was measured anew; None: it was not
    anew_by: str = ""  # the release that did; "" where nobody noted it
    anew_why: str = ""  # release; settings, the group's zone or reporting currency
    anew_complete: bool = True  # else at least so many
    redefined: tuple[tuple[str, int, int], ...] = ()  # title of a measure, version of its definition then and now


@dataclass(frozen=True, slots=True)
class SnapshotDetail:
    """`seal` None: it is not made."""

    snapshot: SnapshotRow
    files: tuple[SnapshotFile, ...]
    deliveries: tuple[SnapshotDelivery, ...]
    seal: SnapshotSeal | None = None


@dataclass(frozen=True, slots=True)
class KpiChange:
    """One measure in two weeks. None where a week has no value; a version None: the week did not have the measure."""

    slug: str
    title: str
    unit: str
    better: str
    value: Decimal | None
    other: Decimal | None
    change: Decimal | None  # from `value` to `other`; None where they are of other spans, too
    n: int
    other_n: int
    version: int | None
    other_version: int | None
    of: str = ""  # week, 4 weeks, state, 13 weeks; "" in snapshots of before they said so
    other_of: str = ""
    overlap: bool = False  # both are of several weeks, some of which are the same: the change is no trend
    previous: Decimal | None = None  # what the second snapshot itself holds `other` against: as many weeks before it
    previous_change: Decimal | None = None  # from `previous` to `other`, as its board pack has it
    moved_by: tuple[str, ...] = ()  # of one that is restated: contracts, a new release, stated numbers; () not noted

    @property
    def definition_changed(self) -> bool:
        """The two values do not mean the same."""
        return self.version != self.other_version

    @property
    def of_another_span(self) -> bool:
        """One week's number is of that week alone, the other's of the four weeks up to it: there is no change."""
        return bool(self.of and self.other_of) and self.of != self.other_of


@dataclass(frozen=True, slots=True)
class SnapshotDiff:
    """Two snapshots: the newest of each of two weeks (Mondays), or two of one week. Money is of `currency`."""

    week: date
    other_week: date
    snapshot_id: int
    other_id: int
    as_of: datetime
    other_as_of: datetime
    currency: str
    kpis: tuple[KpiChange, ...]


SnapshotPage = Listed[SnapshotRow]


def snapshot_listing(week: date | None) -> Listing[SnapshotRow]:
    """Last asked for first."""
    conditions = () if week is None else ("s.week = :week",)
    values: dict[str, object] = {} if week is None else {"week": week}
    return Listing(_COLUMNS, "metrics.snapshot AS s", Where(conditions, values), _ORDER, _row)


def one_snapshot(conn: sa.Connection, snapshot_id: int) -> SnapshotDetail | None:
    bound = {"snapshot_id": snapshot_id}
    row = conn.execute(_ONE, bound).one_or_none()
    if row is None:
        return None
    files = tuple(SnapshotFile(*one) for one in conn.execute(_FILES, bound))
    deliveries = tuple(SnapshotDelivery(*one) for one in conn.execute(_DELIVERIES, bound))
    seal = conn.execute(_SEAL, bound).one_or_none()
    return SnapshotDetail(_row(row), files, deliveries, None if seal is None else _seal(seal))


def snapshot_diff(conn: sa.Connection, week: date, other: date) -> SnapshotDiff | None:
    """None where one of the weeks has no snapshot."""
    found = {row.week: row for row in conn.execute(_NEWEST, {"weeks": [week, other]})}
    if week not in found or other not in found:
        return None
    return _diff(found[week], found[other])


def snapshot_restated(conn: sa.Connection, snapshot_id: int) -> SnapshotDiff | None:
    """What this one restates of the first report of its week; None where this is the first one, or none was made."""
    found = conn.execute(_FIRST, {"snapshot_id": snapshot_id}).all()
    first = next((row for row in found if row.snapshot_id != snapshot_id), None)
    mine = next((row for row in found if row.snapshot_id == snapshot_id), None)
    if first is None or mine is None:
        return None
    if mine.restated is None:  # one of before manifests told it
        return _diff(first, mine)
    known = {one["slug"]: one for one in mine.headlines}
    then = {one["slug"]: one for one in first.headlines}
    changes = tuple(_restated(known[one["kpi"]], one, then.get(one["kpi"])) for one in mine.restated)
    return replace(_diff(first, mine), kpis=changes)


def _diff(first: sa.Row[Any], second: sa.Row[Any]) -> SnapshotDiff:
    then = {one["slug"]: one for one in first.headlines}
    now = {one["slug"]: one for one in second.headlines}
    apart = abs((second.week - first.week).days) // 7
    changes = tuple(_change(then.get(slug), now.get(slug), apart) for slug in sorted(then.keys() | now.keys()))
    return SnapshotDiff(
        first.week, second.week, first.snapshot_id, second.snapshot_id, first.as_of, second.as_of,
        str(second.currency), changes,
    )  # fmt: skip


def _restated(known: dict[str, Any], one: dict[str, Any], then: dict[str, Any] | None) -> KpiChange:
    """As of the first report, with what has come to be known since; both by the definition of the later one."""
    before, after = (None if one[name] is None else Decimal(one[name]) for name in ("before", "after"))
    made = KpiChange(
        slug=known["slug"], title=known["title"], unit=known["unit"], better=known["better"], value=before, other=after,
        change=None if before is None or after is None else after - before, n=one["n_before"], other_n=one["n_after"],
        version=None if then is None else then["version"], other_version=known["version"],
        of=one.get("of_before", ""), other_of=one.get("of", ""),
        moved_by=tuple(name for key, name in _MOVED_BY.items() if one.get(key)),
    )  # fmt: skip
    return replace(made, change=None) if made.of_another_span else made


def _change(then: dict[str, Any] | None, now: dict[str, Any] | None, apart: int) -> KpiChange:
    """`apart`: so many weeks lie between the two."""
    one = now or then or {}
    value, other, previous = _value(then), _value(now), _value(now, "previous")
    made = KpiChange(
        slug=one["slug"],
        title=one["title"],
        unit=one["unit"],
        better=one["better"],
        value=value,
        other=other,
        change=None if value is None or other is None else other - value,
        n=0 if then is None else then["n"],
        other_n=0 if now is None else now["n"],
        version=None if then is None else then["version"],
        other_version=None if now is None else now["version"],
        of=_of(then),
        other_of=_of(now),
        overlap=0 < apart < min(_weeks_of(then), _weeks_of(now)),
        previous=previous,
        previous_change=None if previous is None or other is None else other - previous,
    )
    return replace(made, change=None) if made.of_another_span else made


def _of(one: dict[str, Any] | None) -> str:
    return "" if one is None else str(one.get("of", ""))


def _weeks_of(one: dict[str, Any] | None) -> int:
    """`4 weeks` is of four, all else of one."""
    many, _, what = _of(one).partition(" ")
    return int(many) if what == "weeks" else 1


def _value(one: dict[str, Any] | None, name: str = "value") -> Decimal | None:
    return None if one is None or one.get(name) is None else Decimal(one[name])


def _seal(row: sa.Row[Any]) -> SnapshotSeal:
    redefined = tuple((str(title), int(before), int(now)) for title, before, now in row.redefined or ())
    return SnapshotSeal(**{**row._asdict(), "redefined": redefined})


def _row(row: Row) -> SnapshotRow:
    return SnapshotRow(**{name: getattr(row, name) for name in SnapshotRow.__slots__})
