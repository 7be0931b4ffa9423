"""Master records as people are asked about them: those that a contract's customer is much like."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from sync_core.contract import Party

_ALIKE: Final = sa.text("""
    SELECT c.system, c.mdm_id, c.code, c.name, c.tax_id, c.country, c.status, c.changed_at,
           (SELECT count(*) FROM core.contract AS k WHERE k.customer_code = c.code) AS contracts
    FROM core.case AS k CROSS JOIN LATERAL jsonb_array_elements(k.detail -> 'differences') AS d
         JOIN core.master_customer AS c ON c.system || '/' || c.mdm_id = d ->> 'what'
    WHERE k.case_id = :case AND d ->> 'kind' = 'alike' ORDER BY c.system, c.mdm_id
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
class Alikes:
    stated: Party  # as the contract names its customer
    records: tuple[Alike, ...]


def alikes(conn: sa.Connection, case_id: int, stated: Party) -> Alikes:
    return Alikes(stated, tuple(Alike(*row) for row in conn.execute(_ALIKE, {"case": case_id})))
