"""One firm of three legal entities with blocked contracts, exceptions and what hangs on them; a door to it."""

from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from tests.api.door import Door
from tests.reads.handmade import add_case, add_contract, add_event, add_quarantined, insert
from tests.rows import NOW


@pytest.fixture
def door(database: sa.Engine) -> Door:
    return Door(database)


@pytest.fixture
def firm(database: sa.Engine) -> dict[str, int]:
    """One blocked contract with an exception of each entity, and one whose entity is not known; ids by external id."""
    insert(database, "lane", lane="cloud", max_in_flight=4)
    ids = {}
    for name, entity, money in (("L-1", "GB01", 10), ("N-1", "US01", 500), ("X-1", "", 900)):
        ids[name] = add_contract(
            database, external_id=name, legal_entity=entity, value_reporting=Decimal(money), state="blocked"
        )
        ids[f"case {name}"] = add_case(
            database, ids[name], "po_missing", exposure_reporting=Decimal(money), function="tax"
        )
        add_event(database, name, "com.tieline.contract.drafted.v1", "{}", at=NOW - timedelta(hours=1))
        add_quarantined(database, name, hours=3)
        ids[f"hold {name}"] = insert(
            database, "legal_hold", "hold_id", contract_id=ids[name], reason="a lawsuit", placed_by="a@example.com",
            placed_at=NOW,
        )  # fmt: skip
    return ids
