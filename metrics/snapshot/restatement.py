"""What says something else of a week than when its snapshot was first made, and which fact of which contract did it.

Read from the versions of the facts between the two moments: what a contract added to the rollups then and now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from metrics.asking import Ask
from metrics.catalog import kpis
from metrics.facts import facts
from metrics.facts.fact import DIMENSIONS, STOCK, Fact
from metrics.measures import result_of
from metrics.snapshot.content import Moved, Restated, Restatement
from metrics.source import Source

MOST_CONTRACTS: Final = 2_000  # listed of each fact; all are counted
# Derived from other fields of the same row, in seconds or weeks: the field they come from is listed.
_DERIVED: Final = frozenset({"period"})

# `earlier` and `later` are the versions of the contracts that anything changed of; `moved` those of them whose
# contributions to the week, or to what has no week, are no longer the same.
_MOVED: Final = """
    WITH touched AS MATERIALIZED (
        SELECT DISTINCT contract_id FROM {table}
        WHERE known_from > :base AND known_from <= :known_at OR known_to > :base AND known_to <= :known_at
    ), earlier AS MATERIALIZED (
        SELECT f.* FROM {table} AS f JOIN touched USING (contract_id)
        WHERE f.known_from <= :base AND (f.known_to IS NULL OR f.known_to > :base)
    ), later AS MATERIALIZED (
        SELECT f.* FROM {table} AS f JOIN touched USING (contract_id)
        WHERE f.known_from <= :known_at AND (f.known_to IS NULL OR f.known_to > :known_at)
    ), moved AS MATERIALIZED (
        SELECT d.contract_id, array_agg(DISTINCT d.measure ORDER BY d.measure) AS measures FROM (
            SELECT f.contract_id, x.measure
            FROM (SELECT 1 AS sign, later.* FROM later UNION ALL SELECT -1, earlier.* FROM earlier) AS f
                 CROSS JOIN {contributions}
            WHERE x.period >= :start AND x.period < :end OR x.period = {stock}
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


def restatement(source: Source, *, since: datetime | None) -> Restatement:
    """Of the week of the source's ask, since an earlier moment. Cheap without one."""
    if since is None:
        return Restatement(None)
    found = [_moved(source, fact, since) for fact in facts().values()]
    moved = [row for one in found for row in one.rows]
    contracts = {row.contract_id for row in moved}
    complete = all(one.contracts <= MOST_CONTRACTS for one in found)
    many = len(contracts) if complete else max(one.contracts for one in found)
    ordered = sorted(moved, key=lambda row: (row.contract_id, row.fact, row.key, row.what))
    return Restatement(since, tuple(_kpis(source, since)), tuple(ordered), many, complete)


def _kpis(source: Source, since: datetime) -> list[Restated]:
    then = Source(source.conn, Ask(source.ask.window, since), estate=source.estate)
    restated = []
    for slug, kpi in kpis().items():
        before, after = (result_of(kpi, one, None).answer for one in (then, source))
        if (before.value, before.n, before.n_open) != (after.value, after.n, after.n_open):
            restated.append(Restated(slug, before.value, after.value, before.n, after.n))
    return restated


@dataclass(frozen=True, slots=True)
class _Found:
    contracts: int
    rows: Sequence[Moved]


def _moved(source: Source, fact: Fact, since: datetime) -> _Found:
    rows = source.run(_statement(fact), **fact.values, base=since, most=MOST_CONTRACTS)
    listed = [moved for row in rows for moved in _of_row(fact, row)]
    return _Found(int(rows[0].contracts) if rows else 0, listed)


def _statement(fact: Fact) -> str:
    return _MOVED.format(
        table=fact.table,
        contributions=fact.contributions,
        stock=STOCK,
        dimensions=", ".join(f"f.{name}" for name in DIMENSIONS),
        same=" AND ".join(f"a.{name} = b.{name}" for name in fact.key),
    )


def _of_row(fact: Fact, row: Any) -> list[Moved]:
    """One for each field that differs; one without a field where the fact is new or no longer true."""
    before: Mapping[str, object] | None = row.before
    after: Mapping[str, object] | None = row.after
    one = after or before or {}
    parts = [str(one[name]) for name in fact.key if name != "contract_id"]

    def moved(what: str, was: object, is_now: object) -> Moved:
        return Moved(
            fact.name, row.contract_id, row.external_id, str(one["legal_entity"]), " ".join(parts), row.known_from,
            what, _text(was), _text(is_now), tuple(row.measures),
        )  # fmt: skip

    if before is None or after is None:
        return [moved("", "" if before is None else "was counted", "" if after is None else "is counted")]
    changed = [name for name in fact.columns if before[name] != after[name] and not _derived(name)]
    return [moved(name, before[name], after[name]) for name in changed]


def _derived(name: str) -> bool:
    return name in _DERIVED or name.endswith("_s")


def _text(value: object) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
