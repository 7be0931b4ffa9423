"""Master records as people are asked about them: which customer is meant, what it is like, and what was decided."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from sync_core.contract import Party
from sync_core.engine.look import local_day
from sync_core.estate.estate import Estate
from sync_core.fold import fold
from sync_core.intake.contract_events import events_of
from sync_core.life.lifecycle import on_day

_ALIKE: Final = sa.text("""
    SELECT c.system, c.mdm_id, c.code, c.name, c.tax_id, c.country, c.status, c.changed_at,
           (SELECT count(*) FROM core.contract AS k WHERE k.customer_code = c.code) AS contracts
    FROM core.case AS k CROSS JOIN LATERAL jsonb_array_elements(k.detail -> 'differences') AS d
         JOIN core.master_customer AS c ON c.system || '/' || c.mdm_id = d ->> 'what'
    WHERE k.case_id = :case AND d ->> 'kind' = 'alike' ORDER BY c.system, c.mdm_id
""")
_DECISION: Final = sa.text("""
    SELECT m.code, c.code, m.mdm_id, m.decided_by, m.decided_at, m.reason
    FROM core.customer_match AS m LEFT JOIN core.master_customer AS c USING (system, mdm_id)
    WHERE m.source = :source AND m.code = :code AND m.taken_back_at IS NULL
""")


@dataclass(frozen=True, slots=True)
class Alike:
    """A master record that may be the contract's customer."""

    system: str
    mdm_id: str
    code: str
    name: str
    tax_id: str | None
    country: str | None
    status: str
    changed_at: datetime
    contracts: int  # that bill this customer already

    @property
    def id(self) -> str:
        """As the command takes it."""
        return f"{self.system}/{self.mdm_id}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person said of the code that the contract names its customer by. `is_code` None: another customer."""

    code: str
    is_code: str | None
    mdm_id: str | None
    decided_by: str
    decided_at: datetime
    reason: str

    @property
    def words(self) -> str:
        return f"is {self.is_code or self.mdm_id}" if self.mdm_id else "is a customer of its own"


@dataclass(frozen=True, slots=True)
class Alikes:
    stated: Party  # as the contract names its customer today
    records: tuple[Alike, ...]
    decision: Decision | None = None  # None: nobody decided, or it was taken back


def stated(conn: sa.Connection, source: str, external_id: str, estate: Estate, now: datetime) -> Party | None:
    """The customer whom an exception of this contract is about: the one that the contract names today, in its CLM's
    words. None: it names none yet. Raises StoredEventUnreadable.
    """
    contract = fold(events_of(conn, source, external_id), day_at=estate.day_at)
    terms = on_day(contract, local_day(contract, estate, now)).contract.terms
    return terms.customer if terms else None


def decision(conn: sa.Connection, source: str, code: str) -> Decision | None:
    """None: nobody decided, or it was taken back."""
    found = conn.execute(_DECISION, {"source": source, "code": code}).one_or_none()
    return Decision(*found) if found else None


def alikes(conn: sa.Connection, case_id: int, source: str, meant: Party) -> Alikes:
    records = tuple(Alike(*row) for row in conn.execute(_ALIKE, {"case": case_id}))
    return Alikes(meant, records, decision(conn, source, meant.code))
