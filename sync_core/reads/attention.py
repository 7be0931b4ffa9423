"""What needs a person: open exceptions by cause with their money, and by function and age.

Money is exposure (what the exception keeps from being billed) in the reporting currency. One contract may have
several exceptions, so the money of causes does not add up to the money that waits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
import sqlalchemy as sa

from sync_core.errors import ErrorClass, Function
from sync_core.reads.amounts import MoneyTotal, Part, add_up
from sync_core.reads.scope import OF_CONTRACT, Entities, bound

# Calendar days since an exception was opened; the last one is open-ended.
AGE_DAYS = (1, 3, 7, 14, 30)
AGE_BUCKETS = ("< 1 d", "1-3 d", "3-7 d", "7-14 d", "14-30 d", "> 30 d")

OPEN_CASES = sa.text(f"""
    SELECT k.function, k.cause, k.error_class, width_bucket(date_part('epoch', :now - k.opened_at) / 86400,
               CAST(:days AS float8[])) AS age,
           CASE WHEN k.exposure_reporting IS NULL AND k.exposure <> 0 THEN k.currency END AS unconverted,
           count(*) AS cases, sum(k.exposure_reporting) AS reporting, sum(k.exposure) AS amount,
           min(k.opened_at) AS oldest, count(*) FILTER (WHERE k.due_at < :now) AS overdue
    FROM core.case AS k JOIN core.contract AS c USING (contract_id)
    WHERE k.state = 'open' AND NOT c.test AND {OF_CONTRACT}
    GROUP BY 1, 2, 3, 4, 5
""")


@dataclass(frozen=True, slots=True)
class OpenCases:
    """Open exceptions alike in function, cause and age."""

    function: str
    cause: str
    error_class: ErrorClass
    age: int  # index into AGE_BUCKETS
    part: Part
    oldest: datetime
    overdue: int


@dataclass(frozen=True, slots=True)
class CauseGroup:
    """One cause that one function can remove for many contracts at once."""

    cause: str
    function: str
    error_class: ErrorClass
    exposure: MoneyTotal  # its count is that of contracts: a contract has a cause once
    oldest: datetime
    overdue: int

    @property
    def count(self) -> int:
        return self.exposure.count

    @property
    def query(self) -> Mapping[str, str]:
        """Query parameters of the Exceptions page that shows just these."""
        return {"cause": self.cause, "function": self.function}


def open_cases(conn: sa.Connection, *, now: datetime, entities: Entities) -> list[OpenCases]:
    rows = conn.execute(OPEN_CASES, {"now": now, "days": list(AGE_DAYS), **bound(entities)})
    return [
        OpenCases(
            row.function,
            row.cause,
            ErrorClass(row.error_class),
            row.age,
            Part(row.cases, row.reporting, row.unconverted, row.amount),
            row.oldest,
            row.overdue,
        )
        for row in rows
    ]


def cause_groups(cases: Sequence[OpenCases], reporting: str) -> tuple[CauseGroup, ...]:
    """Most money first, then most contracts."""
    together: dict[tuple[str, str, ErrorClass], list[OpenCases]] = {}
    for case in cases:
        together.setdefault((case.cause, case.function, case.error_class), []).append(case)
    groups = [
        CauseGroup(
            cause,
            function,
            error_class,
            add_up((case.part for case in alike), reporting),
            min(case.oldest for case in alike),
            sum(case.overdue for case in alike),
        )
        for (cause, function, error_class), alike in together.items()
    ]
    return tuple(sorted(groups, key=lambda group: (-group.exposure.money.amount, -group.count, group.cause)))


def ageing(cases: Sequence[OpenCases]) -> pd.DataFrame:
    """Counts: a row per function (Function, all of them), a column per AGE_BUCKETS. Adds up to the open ones."""
    functions = dict.fromkeys([*(function.value for function in Function), *(case.function for case in cases)])
    cells = {function: [0] * len(AGE_BUCKETS) for function in functions}
    for case in cases:
        cells[case.function][case.age] += case.part.count
    index = pd.Index(list(cells), name="function")
    return pd.DataFrame(list(cells.values()), index=index, columns=list(AGE_BUCKETS))
