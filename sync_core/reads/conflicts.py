"""Fields of a contract's ERP objects of which two systems say something else, as its last run found them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from sync_core.cases.ownership import setter_of
from sync_core.desired import Kind, Scalar
from sync_core.domains.conflicts import Choice
from sync_core.domains.domains import DOMAIN_OF, DOMAINS, IN_CONTRACT
from sync_core.errors import Function
from sync_core.estate.estate import Estate
from sync_core.estate.ownership import rule_for
from sync_core.keys import BusinessKey

_FOUND: Final = sa.text("""
    WITH last AS (
        SELECT run_id FROM core.operation
        WHERE contract_id = :contract AND status = 'conflict' AND error_class = 'ownership_conflict'
        ORDER BY started_at DESC, run_id LIMIT 1
    )
    SELECT o.kind, o.business_key, o.system, o.before, o.after, coalesce(r.started_at, o.started_at) AS seen_at,
           coalesce(x.fields, '{}') || coalesce(x.agreed, '{}') AS agreed
    FROM core.operation AS o JOIN last USING (run_id) LEFT JOIN core.run AS r USING (run_id)
         LEFT JOIN core.crosswalk AS x
           ON x.system = o.system AND x.kind = o.kind AND x.business_key = o.business_key AND x.state = 'confirmed'
    WHERE o.contract_id = :contract AND o.status = 'conflict' AND o.error_class = 'ownership_conflict'
    ORDER BY o.step
""")


@dataclass(frozen=True, slots=True)
class Conflict:
    """One field with both values. `name` tells it from the exception's others: `milestone[design].amount`."""

    name: str
    kind: Kind
    key: BusinessKey
    field: str
    system: str
    owner: str  # whose word counts by the estate
    wanted: Scalar  # the contract's
    found: Scalar  # the ERP's
    agreed: Scalar  # when both were last equal; None where that was never seen
    takeable: bool  # the contract states it, so the ERP's value can be taken into it
    seen_at: datetime  # the begin of the run that found it

    @property
    def choice(self) -> Choice:
        return self.kind, self.key, self.field, self.wanted, self.found

    @property
    def path(self) -> str | None:
        """The contract's name of the field."""
        return IN_CONTRACT.get(f"{self.kind}.{self.field}")

    @property
    def setter(self) -> Function | None:
        """Who may take the ERP's value into the contract; None: nobody, as the contract does not state it."""
        return setter_of(self.path) if self.path else None

    @property
    def part(self) -> str:
        """Of a part of the contract its own key, for instance a milestone's."""
        return self.key.partition("#")[2].partition(":")[2]

    @property
    def domain(self) -> str:
        return DOMAINS[DOMAIN_OF[f"{self.kind}.{self.field}"]].title


def conflicts(conn: sa.Connection, contract_id: int, estate: Estate) -> tuple[Conflict, ...]:
    """Those of the last run that found any: whether they still stand is for its exception to say."""
    rows = conn.execute(_FOUND, {"contract": contract_id})
    return tuple(_conflict(row, name, estate) for row in rows for name in row.after)


def _conflict(row: sa.Row[Any], field: str, estate: Estate) -> Conflict:
    kind, key = Kind(row.kind), BusinessKey(row.business_key)
    full = f"{kind}.{field}"
    part = key.partition("#")[2].partition(":")[2]
    name = f"{kind}[{part}].{field}" if part else full
    owner = rule_for(estate.ownership, full).owner
    return Conflict(name, kind, key, field, row.system, owner, row.after[field], row.before[field],
                    row.agreed.get(field), full in IN_CONTRACT, row.seen_at)  # fmt: skip
