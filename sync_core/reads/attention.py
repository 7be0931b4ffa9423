"""What needs a person: open exceptions by cause with their money.

Money is exposure (what the exception keeps from being billed) in the reporting currency. One contract may have
several exceptions, so the money of causes does not add up to the money that waits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from sync_core.errors import ErrorClass
from sync_core.reads.amounts import MoneyTotal, Part, add_up
from sync_core.reads.exceptions import ExceptionFilter, where
from sync_core.reads.scope import CASES, Entities

_OPEN_CASES: Final = """
    SELECT k.function, k.cause, k.error_class,
           CASE WHEN k.exposure_reporting IS NULL AND k.exposure <> 0 THEN k.currency END AS unconverted,
           count(*) AS cases, sum(k.exposure_reporting) AS reporting, sum(k.exposure) AS amount,
           min(k.opened_at) AS oldest, count(*) FILTER (WHERE k.due_at < :now) AS overdue
    FROM {source} WHERE {where} GROUP BY 1, 2, 3, 4
"""


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


def cause_groups(
    conn: sa.Connection, wanted: ExceptionFilter, *, now: datetime, reporting: str, entities: Entities
) -> tuple[CauseGroup, ...]:
    """Most money first, then most contracts."""
    together: dict[tuple[str, str, str], list[sa.Row[*tuple[Any, ...]]]] = {}
    narrowed = where(wanted, entities)
    text = _OPEN_CASES.format(source=CASES, where=narrowed.sql())
    for row in conn.execute(sa.text(text), {**narrowed.values, "now": now}):
        together.setdefault((row.cause, row.function, row.error_class), []).append(row)
    groups = [
        CauseGroup(
            cause,
            function,
            ErrorClass(error_class),
            add_up((Part(row.cases, row.reporting, row.unconverted, row.amount) for row in alike), reporting),
            min(row.oldest for row in alike),
            sum(row.overdue for row in alike),
        )
        for (cause, function, error_class), alike in together.items()
    ]
    return tuple(sorted(groups, key=lambda group: (-group.exposure.money.amount, -group.count, group.cause)))
