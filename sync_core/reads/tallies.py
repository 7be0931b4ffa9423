"""How many exceptions are open, and their money: all, by the function that has them, one person's, nobody's yet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from sync_core.reads.amounts import MoneyTotal, Part, add_up
from sync_core.reads.paging import Row
from sync_core.reads.scope import OF_CONTRACT, Entities, bound

TALLIES: Final = sa.text(f"""
    SELECT k.function, k.assignee IS NULL AS nobodys, coalesce(k.assignee = :person, false) AS mine,
           CASE WHEN k.exposure_reporting IS NULL AND k.exposure <> 0 THEN k.currency END AS unconverted,
           count(*) AS cases, sum(k.exposure_reporting) AS reporting, sum(k.exposure) AS amount
    FROM core.case AS k JOIN core.contract AS c USING (contract_id)
    WHERE k.state = 'open' AND NOT c.test AND {OF_CONTRACT}
    GROUP BY 1, 2, 3, 4
""")


@dataclass(frozen=True, slots=True)
class Tallies:
    """Open exceptions, test contracts left out. The functions add up to all; triage is what nobody has taken."""

    all: MoneyTotal
    mine: MoneyTotal
    triage: MoneyTotal
    by_function: Mapping[str, MoneyTotal]  # only those that have any


def tallies(conn: sa.Connection, person: str, *, reporting: str, entities: Entities) -> Tallies:
    """`person`: whose exceptions are "mine", by the name that they are assigned to."""
    rows = conn.execute(TALLIES, {"person": person, **bound(entities)}).all()

    def total(keep: Callable[[Row], bool]) -> MoneyTotal:
        return _total([row for row in rows if keep(row)], reporting)

    functions = sorted({row.function for row in rows})
    return Tallies(
        all=total(lambda _: True),
        mine=total(lambda row: bool(row.mine)),
        triage=total(lambda row: bool(row.nobodys)),
        by_function={name: _total([row for row in rows if row.function == name], reporting) for name in functions},
    )


def _total(rows: Sequence[Row], reporting: str) -> MoneyTotal:
    return add_up((Part(row.cases, row.reporting, row.unconverted, row.amount) for row in rows), reporting)
