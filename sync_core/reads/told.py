"""What a contract's CLM was told last."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa

from sync_core.desired import Scalar
from sync_core.reads.scope import OF_CONTRACT, Entities, bound
from sync_core.writeback.billing import Billing, RevenueStatus

_TOLD: Final = sa.text(f"""
    SELECT t.told_at, t.said, c.writeback_at, c.currency FROM core.contract AS c JOIN core.told AS t USING (contract_id)
    WHERE c.contract_id = :contract AND {OF_CONTRACT}
""")


@dataclass(frozen=True, slots=True)
class Told:
    told_at: datetime
    status: str
    project_ref: str | None
    erp: str
    note: str | None
    revision: int | None  # of the contract, that the ERP held then
    billing: Billing | None
    values: Mapping[str, Scalar] = field(default_factory=dict)  # what ERP or master data hold otherwise
    news_at: datetime | None = None  # since or from when there is something newer to tell
    currency: str | None = None  # the contract's; None: not known


def told(conn: sa.Connection, contract_id: int, *, entities: Entities) -> Told | None:
    """None when nothing was told of it yet, or it is not within reach."""
    row = conn.execute(_TOLD, {"contract": contract_id, **bound(entities)}).one_or_none()
    if row is None:
        return None
    said = row.said
    return Told(row.told_at, said["status"], said["project_ref"], said["erp"], said["note"], said["revision"],
                _billing(said["billing"]), said["values"], row.writeback_at, row.currency)  # fmt: skip


def _billing(said: Mapping[str, Any] | None) -> Billing | None:
    if said is None:
        return None
    day = date.fromisoformat(said["next_bill_on"]) if said["next_bill_on"] else None
    recognised = said.get("recognised")  # what was told before revenue was does not say
    return Billing(
        said["currency"], Decimal(said["billed"]), Decimal(said["paid"]), Decimal(said["disputed"]), day,
        None if recognised is None else Decimal(recognised),
        RevenueStatus(said.get("revenue", RevenueStatus.NOT_REPORTED)),
    )  # fmt: skip
