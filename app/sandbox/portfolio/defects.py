"""What is wrong with some contracts, who has to repair it, and how it is repaired while the demo runs.

Kinds follow the defects that published contract data really has (OCDS releases and the like: amounts as text,
contract id "1" in every process, silent value changes, amendments out of sequence, start before signature).
`cause` is that of the exception that it leads to, where there is one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sync_core.errors import Function


class Defect(StrEnum):
    CUSTOMER_UNKNOWN = "customer_unknown"
    CUSTOMER_UNTAXED = "customer_untaxed"
    TAX_CODE_MISSING = "tax_code_missing"
    MILESTONES_OFF = "milestones_off"
    RATE_MISSING = "rate_missing"
    PO_MISSING = "po_missing"
    ENTITY_UNKNOWN = "entity_unknown"
    END_BEFORE_START = "end_before_start"
    CLAUSE_REJECTED = "clause_rejected"
    WORK_BEFORE_SIGNATURE = "work_before_signature"
    AMOUNTS_AS_TEXT = "amounts_as_text"
    AMENDMENT_GAP = "amendment_gap"
    REPEATED = "repeated"
    OUT_OF_ORDER = "out_of_order"
    SHARED_LOCAL_ID = "shared_local_id"
    UNNUMBERED_CHANGE = "unnumbered_change"
    PERIOD_CLOSED = "period_closed"
    UNREADABLE = "unreadable"


class Repair(StrEnum):
    CORRECTION = "correction"  # the CLM publishes a corrected.v1 for the signed revision
    MASTER_DATA = "master_data"  # the ERP's master data is completed
    APPROVED_CLAUSE = "approved_clause"  # the clause that was rejected is agreed on after all
    MISSING_AMENDMENT = "missing_amendment"  # the amendment that was left out is published
    NUMBERED_AMENDMENT = "numbered_amendment"  # the change is papered as an amendment after all
    READABLE_AGAIN = "readable_again"  # the CLM publishes the signature in a version that is known
    NONE = "none"  # a bridge must cope without anybody's help


@dataclass(frozen=True, slots=True)
class Treatment:
    """`working_hours` is the median until the repair, from when the defect shows; `often` is a weight."""

    function: Function
    repair: Repair
    working_hours: float
    cause: str | None = None
    often: int = 1


TREATMENTS: Mapping[Defect, Treatment] = {
    Defect.CUSTOMER_UNKNOWN: Treatment(Function.MASTER_DATA, Repair.MASTER_DATA, 6, "customer_unknown", 2),
    Defect.CUSTOMER_UNTAXED: Treatment(Function.TAX, Repair.MASTER_DATA, 10, "customer_tax_profile_missing"),
    Defect.TAX_CODE_MISSING: Treatment(Function.TAX, Repair.CORRECTION, 10, "tax_code_missing", 2),
    Defect.MILESTONES_OFF: Treatment(Function.LEGAL, Repair.CORRECTION, 14, "milestones_do_not_add_up"),
    Defect.RATE_MISSING: Treatment(Function.DELIVERY, Repair.CORRECTION, 12, "rate_missing", 2),
    Defect.PO_MISSING: Treatment(Function.FINANCE_OPERATIONS, Repair.CORRECTION, 18, "po_missing", 2),
    Defect.ENTITY_UNKNOWN: Treatment(Function.MASTER_DATA, Repair.CORRECTION, 5, "legal_entity_unknown"),
    Defect.END_BEFORE_START: Treatment(Function.LEGAL, Repair.CORRECTION, 8, "end_before_start"),
    Defect.CLAUSE_REJECTED: Treatment(Function.LEGAL, Repair.APPROVED_CLAUSE, 20, "clause_rejected"),
    Defect.WORK_BEFORE_SIGNATURE: Treatment(Function.DELIVERY, Repair.CORRECTION, 16),
    Defect.AMOUNTS_AS_TEXT: Treatment(Function.INTEGRATION, Repair.NONE, 0),
    Defect.AMENDMENT_GAP: Treatment(Function.LEGAL, Repair.MISSING_AMENDMENT, 30, "amendment_missing"),
    Defect.REPEATED: Treatment(Function.INTEGRATION, Repair.NONE, 0),
    Defect.OUT_OF_ORDER: Treatment(Function.INTEGRATION, Repair.NONE, 0),
    Defect.SHARED_LOCAL_ID: Treatment(Function.INTEGRATION, Repair.NONE, 0),
    Defect.UNNUMBERED_CHANGE: Treatment(Function.LEGAL, Repair.NUMBERED_AMENDMENT, 24, "silent_change"),
    Defect.PERIOD_CLOSED: Treatment(Function.FINANCE_OPERATIONS, Repair.MASTER_DATA, 6, "erp_rejected"),
    Defect.UNREADABLE: Treatment(Function.INTEGRATION, Repair.READABLE_AGAIN, 5),
}
