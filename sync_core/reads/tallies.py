"""How many exceptions are open, and their money: all, by the function that has them, one person's, nobody's yet.

Each view counts the money of a contract once, however many exceptions it has there, so that of views does not add up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from sync_core.reads.amounts import MoneyTotal, Part, add_up, of_views
from sync_core.reads.paging import Row
from sync_core.reads.scope import CASES, NOT_OF_A_TEST, OF_CONTRACT, Entities, bound

_FOUND: Final = f"""
    SELECT contract_id, k.case_id, k.exposure_reporting, k.exposure, k.currency, k.opened_at AS opened,
           k.function, k.assignee IS NULL AS is_free, k.assignee = :person AS is_mine
    FROM {CASES} WHERE k.state = 'open' AND {NOT_OF_A_TEST} AND {OF_CONTRACT}"""
_VIEWS: Final = """
    SELECT * FROM (VALUES ('all'), ('function ' || k.function), (CASE WHEN k.is_free THEN 'triage' END),
                          (CASE WHEN k.is_mine THEN 'mine' END)) AS one(view) WHERE one.view IS NOT NULL"""
TALLIES: Final = sa.text(of_views(_FOUND, facets="function, is_free, is_mine", views=_VIEWS, columns="view"))
_FUNCTION: Final = "function "


@dataclass(frozen=True, slots=True)
class Tallies:
    """Open exceptions, test contracts left out. The functions' counts add up to all; triage: nobody has it."""

    all: MoneyTotal
    mine: MoneyTotal
    triage: MoneyTotal
    by_function: Mapping[str, MoneyTotal]  # only those that have any


def tallies(conn: sa.Connection, person: str, *, reporting: str, entities: Entities) -> Tallies:
    """`person`: whose exceptions are "mine", by the name that they are assigned to."""
    rows = conn.execute(TALLIES, {"person": person, **bound(entities)}).all()

    views: dict[str, list[Row]] = {}
    for row in rows:
        views.setdefault(row.view, []).append(row)

    def total(view: str) -> MoneyTotal:
        return _total(views.get(view, []), reporting)

    return Tallies(
        all=total("all"),
        mine=total("mine"),
        triage=total("triage"),
        by_function={view.removeprefix(_FUNCTION): total(view) for view in sorted(views) if view.startswith(_FUNCTION)},
    )


def _total(rows: Sequence[Row], reporting: str) -> MoneyTotal:
    return add_up((Part(row.cases, row.reporting, row.unconverted, row.amount) for row in rows), reporting)
