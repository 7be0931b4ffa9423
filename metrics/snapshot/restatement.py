"""What says something else of a week than when it was first reported, and which fact of which contract did it.

Only late knowledge restates: what had happened by the first report and was not known yet. What has happened since, an
open contract that was activated, is no correction of it; nor is time that passed, or a contract of another week.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from metrics import stated
from metrics.asking import Ask
from metrics.catalog import kpis
from metrics.facts import facts
from metrics.facts.fact import DIMENSIONS, Fact
from metrics.kpi import Answer, Kpi, Span
from metrics.measures import result_of
from metrics.rates import KNOWN_RATES
from metrics.snapshot import wording
from metrics.snapshot.content import Moved, Restated, Restatement
from metrics.snapshot.restated_numbers import restated_numbers
from metrics.source import Source
from sync_core.errors import InvalidMoney

MOST_CONTRACTS: Final = 2_000  # listed of each fact; all are counted
_OF_MONTHS: Final = frozenset({"invoice", "schedule"})  # facts of measures that a week has too few of
# Derived from other fields of the same row, in seconds or weeks: the field they come from is listed.
_DERIVED: Final = frozenset({"period"})

# What was not taken in yet at the first moment and is at the second, by the ids of committed transactions as refreshes
# take them in; and when it happened. What a person corrected was wrong before, too.
_CUT: Final = "(SELECT cut FROM metrics.refresh WHERE finished_at <= {0} ORDER BY finished_at DESC LIMIT 1)"
_NEW: Final = f"{{0}}.recorded_xid >= {_CUT.format(':base')} AND {{0}}.recorded_xid < {_CUT.format(':known_at')}"
_TRACES: Final = f"""
    SELECT t.contract_id, e.occurred_at <= :base OR e.type = 'com.tieline.contract.corrected.v1' AS late
    FROM touched AS t JOIN core.contract AS c USING (contract_id) JOIN core.event AS e USING (source, external_id)
    WHERE {_NEW.format("e")}
    UNION ALL SELECT contract_id, r.finished_at <= :base
    FROM touched JOIN core.run AS r USING (contract_id) WHERE {_NEW.format("r")}
    UNION ALL SELECT contract_id, h.occurred_at <= :base
    FROM touched JOIN core.case AS k USING (contract_id) JOIN core.case_history AS h USING (case_id)
    WHERE {_NEW.format("h")}
    UNION ALL SELECT t.contract_id, f.kind <> 'revenue'  -- which moves states alone, and no week
                     AND f.occurred_on < CAST(CAST(:base AS timestamptz) AT TIME ZONE :zone AS date)
    FROM core.financial_fact AS f LEFT JOIN core.crosswalk AS x
         ON x.system = f.system AND x.kind = 'project' AND x.business_key = f.project_key
         JOIN touched AS t ON t.contract_id = coalesce(f.contract_id, x.contract_id)
    WHERE {_NEW.format("f")}
"""
# Touched since, and not because of what has happened since alone: what left no trace is taken for late, too.
_LATE: Final = """
    WITH touched AS MATERIALIZED ({touched}), trace AS MATERIALIZED ({traces})
    SELECT contract_id FROM touched AS t
    WHERE NOT EXISTS (SELECT FROM trace WHERE trace.contract_id = t.contract_id)
       OR EXISTS (SELECT FROM trace WHERE trace.contract_id = t.contract_id AND trace.late)
    ORDER BY contract_id
"""
_TOUCHED: Final = """
    SELECT contract_id FROM {table}
    WHERE known_from > :base AND known_from <= :known_at OR known_to > :base AND known_to <= :known_at
"""
_THEN: Final = "{0}.known_from <= :base AND ({0}.known_to IS NULL OR {0}.known_to > :base)"
_NOW: Final = "{0}.known_from <= :known_at AND ({0}.known_to IS NULL OR {0}.known_to > :known_at)"
_OF_LATE: Final = "{0}.contract_id = ANY(CAST(:late AS bigint[]))"
_RATES: Final = """
    SELECT DISTINCT ON (r.currency) r.currency, r.rate, r.valid_on FROM metrics.exchange_rate AS r
    WHERE r.reporting = :reporting AND r.known_from <= :known_at
      AND r.valid_on <= CAST(CAST(:base AS timestamptz) AT TIME ZONE :zone AS date)
    ORDER BY r.currency, r.valid_on DESC, r.seq DESC
"""

# `earlier` and `later` are the versions of the contracts of which something came to be known late; `moved` those of
# them whose contributions to the week are no longer the same.
_MOVED: Final = """
    WITH earlier AS MATERIALIZED (SELECT f.* FROM {table} AS f WHERE {late} AND {then}),
    later AS MATERIALIZED (SELECT f.* FROM {table} AS f WHERE {late} AND {now}),
    moved AS MATERIALIZED (
        SELECT d.contract_id, array_agg(DISTINCT d.measure ORDER BY d.measure) AS measures FROM (
            SELECT f.contract_id, x.measure
            FROM (SELECT 1 AS sign, later.* FROM later UNION ALL SELECT -1, earlier.* FROM earlier) AS f
                 CROSS JOIN {contributions}
            WHERE x.period >= :start AND x.period < :end
            GROUP BY f.contract_id, {dimensions}, x.measure, x.period, x.label, x.bucket
            HAVING sum(f.sign * x.n) <> 0 OR sum(f.sign * x.amount) <> 0
        ) AS d GROUP BY d.contract_id
    ), listed AS MATERIALIZED (SELECT * FROM moved ORDER BY contract_id LIMIT :most)
    SELECT m.contract_id, c.external_id, c.source, m.measures, (SELECT count(*) FROM moved) AS contracts,
           v.before, v.after, v.known_from
    FROM listed AS m JOIN core.contract AS c ON c.contract_id = m.contract_id
         CROSS JOIN LATERAL (
             SELECT to_jsonb(a) AS before, to_jsonb(b) AS after, coalesce(b.known_from, a.known_to) AS known_from
             FROM (SELECT * FROM earlier WHERE earlier.contract_id = m.contract_id) AS a
             FULL JOIN (SELECT * FROM later WHERE later.contract_id = m.contract_id) AS b ON {same}
         ) AS v
    ORDER BY m.contract_id, v.before, v.after
"""


class _Corrected(Source):
    """As of an earlier moment, with what has come to be known of it since: of the contracts in `late` the versions that
    are known now, of all others those that were known then. Ages are measured against the earlier moment.
    """

    def __init__(self, now: Source, since: datetime, late: Sequence[int], *, stated_then: bool = False) -> None:
        """`stated_then`: rates, baselines and assumptions are those of the earlier moment, too."""
        self._since, self._stated_then = since, stated_then
        super().__init__(now.conn, now.ask, estate=now.estate, from_versions=True)
        self.values = {**self.values, "base": since, "late": list(late)}

    @property
    def as_of(self) -> datetime | None:
        return self._since

    def valid(self, alias: str = "f") -> str:
        now, then, late = (condition.format(alias) for condition in (_NOW, _THEN, _OF_LATE))
        return f"({late} AND {now} OR NOT {late} AND {then})"

    def run(self, sql: str, **more: object) -> Sequence[Any]:
        """A rate of a day after the earlier moment says nothing of it."""
        if self._stated_then and sql in (KNOWN_RATES, stated.KNOWN):
            more["known_at"] = self._since
        return super().run(_RATES if sql == KNOWN_RATES else sql, **more)


def restatement(week: Source, quarter: Source, *, since: datetime | None) -> Restatement:
    """Of the week, and of the thirteen that end with it where a measure is of those: what has come to be known since an
    earlier moment of how things were at that moment. States are as they were known at the end of the week, and stay.

    Cheap without one.
    """
    if since is None:
        return Restatement(None)
    late = _late(week, since)
    found = [_moved(quarter if fact.name in _OF_MONTHS else week, fact, since, late) for fact in facts().values()]
    moved = [row for one in found for row in one.rows]
    contracts = {row.contract_id for row in moved}
    complete = all(one.contracts <= MOST_CONTRACTS for one in found)
    many = len(contracts) if complete else max(one.contracts for one in found)
    ordered = sorted(moved, key=lambda row: (row.contract_id, row.fact, row.key, row.what))
    restated = tuple(_kpis(week, quarter, since, late))
    changes = tuple(restated_numbers(week, since)) if any(one.by_stated for one in restated) else ()
    return Restatement(since, restated, tuple(ordered), changes, many, complete)


def _late(source: Source, since: datetime) -> list[int]:
    """Contracts of which something came to be known since that had happened before."""
    touched = " UNION ".join(_TOUCHED.format(table=fact.table) for fact in facts().values())
    rows = source.run(_LATE.format(touched=touched, traces=_TRACES), base=since)
    return [int(row.contract_id) for row in rows]


def _kpis(week: Source, quarter: Source, since: datetime, late: Sequence[int]) -> list[Restated]:
    """What reads otherwise: a difference that no printed digit shows is none."""
    restated = []
    for slug, kpi in kpis().items():
        if kpi.definition.span is Span.STATE:
            continue
        now = quarter if kpi.definition.span is Span.QUARTER else week
        then = Source(now.conn, Ask(now.ask.window, since), estate=now.estate)
        before, after = (result_of(kpi, one, None).answer for one in (then, _Corrected(now, since, late)))
        was, is_now = _read(kpi, before, week), _read(kpi, after, week)
        if was != is_now:
            facts_alone = result_of(kpi, _Corrected(now, since, late, stated_then=True), None).answer
            by = _read(kpi, facts_alone, week)
            restated.append(Restated(slug, before.value, after.value, before.n, after.n, was != by, by != is_now))
    return restated


def _read(kpi: Kpi[Any], answer: Answer, source: Source) -> tuple[str, int]:
    return wording.shown(answer.value, kpi.definition.unit, source.estate.group.reporting_currency), answer.n


@dataclass(frozen=True, slots=True)
class _Found:
    contracts: int
    rows: Sequence[Moved]


def _moved(source: Source, fact: Fact, since: datetime, late: Sequence[int]) -> _Found:
    rows = source.run(_statement(fact), **fact.values, base=since, late=list(late), most=MOST_CONTRACTS)
    listed = [moved for row in rows for moved in _of_row(fact, row)]
    return _Found(int(rows[0].contracts) if rows else 0, listed)


def _statement(fact: Fact) -> str:
    return _MOVED.format(
        table=fact.table,
        contributions=fact.contributions,
        late=_OF_LATE.format("f"),
        then=_THEN.format("f"),
        now=_NOW.format("f"),
        dimensions=", ".join(f"f.{name}" for name in DIMENSIONS),
        same=" AND ".join(f"a.{name} = b.{name}" for name in fact.key),
    )


def _of_row(fact: Fact, row: Any) -> list[Moved]:
    """One for each field that differs; one without a field where the fact is new or no longer true."""
    before: Mapping[str, object] | None = row.before
    after: Mapping[str, object] | None = row.after
    one = after or before or {}
    parts = [str(one[name]) for name in fact.key if name != "contract_id"]

    def moved(what: str, was: str, is_now: str) -> Moved:
        return Moved(
            fact.name, row.contract_id, row.external_id, str(one["legal_entity"]), " ".join(parts), row.known_from,
            what, was, is_now, tuple(row.measures),
        )  # fmt: skip

    if before is None or after is None:
        return [moved("", "" if before is None else "was counted", "" if after is None else "is counted")]
    changed = [name for name in fact.columns if before[name] != after[name] and not _derived(name)]
    return [moved(name, _told(fact, name, before), _told(fact, name, after)) for name in changed]


def _derived(name: str) -> bool:
    return name in _DERIVED or name.endswith("_s")


def _told(fact: Fact, name: str, version: Mapping[str, object]) -> str:
    """An amount with the currency that it had in that version."""
    value = version[name]
    if value is None:
        return ""
    if name in fact.money:
        return _amounts(value, str(version["currency"]))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _amounts(value: object, currency: str) -> str:
    listed = value if isinstance(value, list) else [value]
    return "; ".join(_amount(Decimal(str(one)), currency) for one in listed if one is not None)


def _amount(exact: Decimal, currency: str) -> str:
    try:
        return f"{wording.amount_of(exact, currency):,f} {currency}"
    except InvalidMoney:  # nobody could read its currency
        return f"{exact:,f} {currency}".strip()
