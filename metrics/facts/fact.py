"""One fact: how its versions are made anew from the core's tables, and what each version adds to the rollups."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

DIMENSIONS: Final = ("legal_entity", "service_line", "geography", "billing")
STOCK: Final = "DATE '1970-01-01'"  # the period of what has none
OF_WEEK: Final = "f.period >= :start AND f.period < :end"  # of facts whose cells all have their period


def bucket_of(seconds: str) -> str:
    """SQL: the bucket (metrics/buckets.py) that an expression in seconds falls into."""
    return f"width_bucket(CAST({seconds} AS float8), CAST(:bounds AS float8[]))"


def clock_of(which: str, *columns: str) -> str:
    """For `Fact.clock`: what the ages of the versions that `which` is true of begin at."""
    named = ", ".join(f"f.{name}" for name in columns)
    return f"CASE WHEN {which} THEN hash_record_extended(ROW({named}), 0) ELSE 0 END"


@dataclass(frozen=True)
class Fact:
    """`fresh` selects `columns` of the contracts in :ids; `cells` selects from one version `f` what it counts for.

    Every fact has the columns contract_id and DIMENSIONS. `cells` gives measure (without the fact's name), period,
    label, bucket, n, amount. Both may use :zone (the group's), :bounds (metrics/buckets.py) and :reporting; neither may
    use the present moment: what depends on it is worked out when it is asked for. `within` is a condition on `f` that
    every version with a cell of [:start, :end) meets, so that a past window is not looked for among all versions.
    """

    name: str  # the table metrics.<name>_fact; measures are called <name>.<what>
    key: tuple[str, ...]
    columns: tuple[str, ...]
    fresh: str
    cells: str
    within: str = "true"
    clock: str = "0"  # SQL on `f`: another number where an open case began at another moment, which no cell shows
    clocked: frozenset[str] = frozenset({"open"})  # the measures of `cells` that count the cases of `clock`
    money: tuple[str, ...] = ()  # which columns are amounts, or lists of them, in the column `currency`
    values: Mapping[str, object] = field(default_factory=dict)  # what else `fresh` and `cells` bind

    @property
    def table(self) -> str:
        return f"metrics.{self.name}_fact"

    @property
    def ageing(self) -> frozenset[str]:
        """The names of the measures that count open cases, whose ages no cell shows."""
        return frozenset(f"{self.name}.{what}" for what in self.clocked)

    @cached_property
    def contributions(self) -> str:
        """Of `f`, as a lateral subquery `x` with the columns of a cell."""
        return (
            f"LATERAL (SELECT '{self.name}.' || y.measure AS measure, y.period, y.label, y.bucket, y.n, y.amount"
            f" FROM ({self.cells}) AS y(measure, period, label, bucket, n, amount) WHERE y.period IS NOT NULL) AS x"
        )

    @cached_property
    def write(self) -> str:
        """Close the versions that are no longer true, add those that are, and move the rollups by the difference."""
        columns, dims = ", ".join(self.columns), ", ".join(f"d.{name}" for name in DIMENSIONS)
        same = " AND ".join(f"a.{name} = b.{name}" for name in self.key)
        both = ", ".join(f"{side}.{name} AS {side}_{name}" for side in "ab" for name in self.columns)
        left, right = (f"ROW({', '.join(f'{side}.{name}' for name in self.columns)})" for side in "ab")
        old, young = (", ".join(f"c.{side}_{name} AS {name}" for name in self.columns) for side in "ab")
        # FULL, because a full join is never a nested loop: of neither side is known how many rows it has.
        return f"""
            WITH fresh AS MATERIALIZED (SELECT {columns} FROM ({self.fresh}) AS r),
            latest AS MATERIALIZED (
                SELECT {columns} FROM {self.table} WHERE known_to IS NULL AND contract_id = ANY(:ids)
            ),
            changed AS MATERIALIZED (
                SELECT {both} FROM latest AS a FULL JOIN fresh AS b ON {same} WHERE {left} IS DISTINCT FROM {right}
            ),
            gone AS (SELECT {old} FROM changed AS c WHERE c.a_contract_id IS NOT NULL),
            new AS (SELECT {young} FROM changed AS c WHERE c.b_contract_id IS NOT NULL),
            closed AS (
                UPDATE {self.table} AS a SET known_to = :at FROM gone AS b
                WHERE {same} AND a.known_to IS NULL AND a.contract_id = ANY(:ids)
            ),
            added AS (
                INSERT INTO {self.table} ({columns}, known_from) SELECT {columns}, CAST(:at AS timestamptz) FROM new
                ORDER BY {", ".join(self.key)}
            ),
            moved AS (
                SELECT x.measure, x.period, {", ".join(f"f.{name}" for name in DIMENSIONS)}, x.label, x.bucket,
                       sum(f.sign * x.n) AS n, sum(f.sign * x.amount) AS amount
                FROM (SELECT 1 AS sign, new.* FROM new UNION ALL SELECT -1, gone.* FROM gone) AS f
                     CROSS JOIN {self.contributions}
                GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 HAVING sum(f.sign * x.n) <> 0 OR sum(f.sign * x.amount) <> 0
            ),
            leveled AS (
                SELECT measure, 1 AS level, period, {dims}, label, bucket, n, amount FROM moved AS d
                UNION ALL
                SELECT measure, 0, period, legal_entity, '', '', '', label, bucket, sum(n), sum(amount) FROM moved AS d
                GROUP BY 1, 3, 4, label, bucket
                UNION ALL
                SELECT measure, 2, period, '', '', '', '', label, bucket, sum(n), sum(amount) FROM moved AS d
                GROUP BY 1, 3, label, bucket
            )
            INSERT INTO metrics.cell AS c (measure, level, period, {", ".join(DIMENSIONS)}, label, bucket, n, amount)
            SELECT * FROM leveled WHERE n <> 0 OR amount <> 0
            ORDER BY measure, level, period, legal_entity, service_line, geography, billing, label, bucket
            ON CONFLICT (measure, level, period, {", ".join(DIMENSIONS)}, label, bucket)
            DO UPDATE SET n = c.n + excluded.n, amount = c.amount + excluded.amount
        """
