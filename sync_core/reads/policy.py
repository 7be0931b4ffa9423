"""What a policy says of contracts in the database: why one is where it is, and what another policy would change."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

import sqlalchemy as sa

from sync_core.checks import contract_findings
from sync_core.contract import Contract
from sync_core.errors import StoredEventUnreadable
from sync_core.estate.estate import Estate
from sync_core.events import Event
from sync_core.fold import fold
from sync_core.intake.contract_events import events_of, stored
from sync_core.life.agreements import DayAt
from sync_core.policy.check import APPROVALS
from sync_core.policy.compare import Difference, Known, amount_of, back_test
from sync_core.policy.explain import Explained, explain
from sync_core.policy.rule import subject_of

QUARTER: Final = timedelta(days=92)
MOST_CAUSES: Final = 20

_CONTRACT = sa.text("""
    SELECT source, external_id FROM core.contract
    WHERE contract_id = :id AND (CAST(:entities AS text[]) IS NULL OR legal_entity = ANY(:entities))
""")
# Whether it was signed is the events' to say where no run has said it yet, so those come along. The project's ERP is
# read once for all of them; a subquery a contract would cost more than everything else.
_SIGNED = sa.text("""
    WITH chosen AS MATERIALIZED (
        SELECT contract_id, source, external_id FROM core.contract
        WHERE (signed_at >= :since OR signed_at IS NULL OR (CAST(:standing AS boolean) AND state <> 'ended'))
          AND (CAST(:entities AS text[]) IS NULL OR legal_entity = ANY(:entities))
    )
    SELECT c.contract_id, p.system AS project_in, moved.lane AS placed_in,
           e.source, e.id, e.type, e.occurred_at, CAST(e.data AS text) AS data
    FROM chosen AS c JOIN core.event AS e USING (source, external_id)
    LEFT JOIN core.crosswalk AS p
      ON p.contract_id = c.contract_id AND p.kind = 'project' AND p.state = 'confirmed' AND p.ref IS NOT NULL
    LEFT JOIN core.placement AS moved ON moved.contract_id = c.contract_id
    ORDER BY c.contract_id, e.seq
""")


@dataclass(frozen=True, slots=True)
class BackTest:
    """`unreadable`: contracts with a stored event that this release cannot read; nothing is said of them."""

    since: datetime
    before: str  # versions
    after: str
    contracts: int
    unreadable: int
    differences: tuple[Difference, ...]


def explained(
    conn: sa.Connection, contract_id: int, estate: Estate, *, entities: frozenset[str] | None = None
) -> tuple[Explained, ...] | None:
    """One for each table, for owners one for each cause that the contract's own checks find. None: no such contract.

    Empty for a contract without terms. Raises StoredEventUnreadable.
    """
    bound = {"id": contract_id, "entities": None if entities is None else sorted(entities)}
    row = conn.execute(_CONTRACT, bound).one_or_none()
    if row is None:
        return None
    events = events_of(conn, row.source, row.external_id)
    return explain_contract(fold(events, day_at=estate.day_at), estate) if events else ()


def explain_contract(contract: Contract, estate: Estate) -> tuple[Explained, ...]:
    """Of a legal entity that the estate does not know, only who gets the exception: nothing else is asked then."""
    terms = contract.terms
    if terms is None:
        return ()
    tables, subject = estate.tables, subject_of(terms)
    reporting = estate.group.reporting_currency
    amount = subject_of(terms, amount=amount_of(contract, estate))
    found = {finding.cause for finding in contract_findings(contract, estate)} - APPROVALS
    causes = sorted(found)[:MOST_CAUSES] or [""]
    owners = tuple(explain(tables.owner, subject_of(terms, cause=cause), reporting) for cause in causes)
    if terms.legal_entity not in estate.entities:
        return owners
    return (
        explain(tables.route, subject, reporting),
        explain(tables.approval, amount, reporting),
        explain(tables.mandatory, subject, reporting),
        explain(tables.clause, subject, reporting),
        explain(tables.tax, subject, reporting),
        explain(tables.bill_calendar, subject, reporting),
        *owners,
    )


def compared(
    conn: sa.Connection,
    before: Estate,
    after: Estate,
    *,
    now: datetime,
    since: datetime | None = None,
    standing: bool = False,
    entities: frozenset[str] | None = None,
) -> BackTest:
    """For contracts signed since then, the last quarter if left out. Reads their events in one statement.

    `standing`: for those signed before as well that have not ended.
    """
    begin = since or now - QUARTER
    counts = {"contracts": 0, "unreadable": 0}
    bound = {"since": begin, "standing": standing, "entities": None if entities is None else sorted(entities)}

    def signed() -> Iterator[Known]:
        rows = conn.execute(_SIGNED, bound, execution_options={"yield_per": 1_000})
        for known in _folded(rows, counts, after.day_at):
            if known.contract.signed_at is not None and (standing or known.contract.signed_at >= begin):
                counts["contracts"] += 1
                yield known

    differences = tuple(back_test(signed(), before, after, now=now))
    return BackTest(
        begin, before.rules_version, after.rules_version, counts["contracts"], counts["unreadable"], differences
    )


def _folded(rows: Iterable[sa.Row[Any]], counts: dict[str, int], day_at: DayAt) -> Iterator[Known]:
    """Rows of one contract stand together."""
    for contract_id, some in groupby(rows, key=attrgetter("contract_id")):
        events: list[Event] = []
        project_in: str | None = None
        placed_in: str | None = None
        try:
            for row in some:
                project_in, placed_in = row.project_in, row.placed_in
                events.append(stored(row))
        except StoredEventUnreadable:
            counts["unreadable"] += 1
            continue
        yield Known(int(contract_id), fold(events, day_at=day_at), project_in, placed_in)
