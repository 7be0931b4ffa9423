"""One step of a portfolio's story: what happens, when, and whether a defect shows or is repaired by it."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from app.sandbox.clm.changes import Change, DeliveryFault, Repeat
from app.sandbox.master_data import MasterDataFix
from app.sandbox.portfolio.defects import Defect

Action: TypeAlias = Change | Repeat | DeliveryFault | MasterDataFix


@dataclass(frozen=True, slots=True)
class Step:
    """`defect` is set on the step that brings it in and, with `repairs`, on the step that ends it."""

    at: datetime  # UTC
    contract_id: str
    action: Action
    defect: Defect | None = None
    repairs: bool = False
