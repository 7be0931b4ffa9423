"""Exceptions that are alike: one row for all that one person can mend in one go."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from sync_core.errors import ErrorClass
from sync_core.reads.amounts import OF_ONE_CONTRACT, MoneyTotal, Part, add_up
from sync_core.reads.exceptions import ExceptionFilter, where
from sync_core.reads.paging import Row
from sync_core.reads.scope import CASES, Entities

_KEY = "coalesce(nullif(k.group_key, ''), k.cause || ' ' || c.legal_entity)"
_GROUPS = """
    WITH of_contract AS (
        SELECT {key} AS group_key, k.cause, k.error_class, k.function, k.operation, c.legal_entity, {money},
               min(coalesce(k.first_opened_at, k.opened_at)) AS oldest,
               count(*) FILTER (WHERE k.due_at < :now) AS overdue,
               count(*) FILTER (WHERE k.assignee IS NULL) AS unassigned,
               min(k.case_id) AS example_id, (array_agg(k.message ORDER BY k.case_id))[1] AS example
        FROM {source} WHERE {where} GROUP BY 1, 2, 3, 4, 5, 6, contract_id
    )
    SELECT group_key, cause, error_class, function, operation, legal_entity, unconverted,
           CAST(sum(cases) AS bigint) AS cases, sum(reporting) AS reporting, sum(amount) AS amount,
           min(oldest) AS oldest, CAST(sum(overdue) AS bigint) AS overdue,
           CAST(sum(unassigned) AS bigint) AS unassigned, min(example_id) AS example_id,
           (array_agg(example ORDER BY example_id))[1] AS example
    FROM of_contract GROUP BY 1, 2, 3, 4, 5, 6, 7
"""


@dataclass(frozen=True, slots=True)
class CaseGroup:
    """Exceptions with one group key and one owner. A contract counts in each group that it has an exception in."""

    group_key: str
    cause: str
    error_class: ErrorClass
    function: str
    operation: str
    legal_entity: str
    exposure: MoneyTotal  # its count is that of exceptions; a contract's money is in it once
    oldest: datetime
    overdue: int
    unassigned: int
    example_id: int
    example: str  # the message of one of them

    @property
    def query(self) -> Mapping[str, str]:
        """The filter that lists just these."""
        return {"group": self.group_key, "function": self.function}


def case_groups(
    conn: sa.Connection, wanted: ExceptionFilter, *, now: datetime, reporting: str, entities: Entities
) -> tuple[CaseGroup, ...]:
    """All of them: most money first, then most exceptions."""
    narrowed = where(wanted, entities)
    text = _GROUPS.format(key=_KEY, source=CASES, where=narrowed.sql(), money=OF_ONE_CONTRACT)
    alike: dict[tuple[str, str, str], list[Row]] = {}
    for row in conn.execute(sa.text(text), {**narrowed.values, "now": now}):
        alike.setdefault((row.group_key, row.cause, row.function), []).append(row)
    groups = [_group(rows, reporting) for rows in alike.values()]
    groups.sort(key=lambda group: (-group.exposure.money.amount, -group.exposure.count, group.group_key))
    return tuple(groups)


def _group(rows: list[Row], reporting: str) -> CaseGroup:
    first = min(rows, key=lambda row: int(row.example_id))
    return CaseGroup(
        first.group_key,
        first.cause,
        ErrorClass(first.error_class),
        first.function,
        first.operation,
        first.legal_entity,
        add_up((Part(row.cases, row.reporting, row.unconverted, row.amount) for row in rows), reporting),
        min(row.oldest for row in rows),
        sum(row.overdue for row in rows),
        sum(row.unassigned for row in rows),
        first.example_id,
        first.example,
    )
