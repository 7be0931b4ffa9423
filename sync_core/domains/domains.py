"""The twelve domains of data that CLM, ERP and master data share: who owns each, and how each travels.

One table for the estate's `[ownership]`, the three-way comparison (sync_core/domains/conflicts.py), the tests of both
directions and docs/domains.md. Fields are named `<kind of ERP object>.<field>` as in sync_core/desired.py; each is of
one domain.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Owner(StrEnum):
    """The system whose word counts."""

    CLM = "CLM"
    ERP = "ERP"
    MDM = "MDM"
    TIELINE = "Tieline"


class OnConflict(StrEnum):
    """What becomes of a change that was made by a system which does not own the field."""

    REPAIR = "repair"  # the owner's value is put back
    PERSON = "person"  # an exception with both values, for somebody to decide
    ALLOW = "allow"  # it stands until the owner changes the field


@dataclass(frozen=True, slots=True)
class Way:
    """One direction of one domain: a cell of the matrix."""

    what: str  # travels, or why nothing does
    carried_by: str  # events and fields
    enforced_in: str  # module


@dataclass(frozen=True, slots=True)
class Domain:
    name: str
    title: str
    owner: Owner
    down: Way  # CLM -> Tieline -> ERP
    up: Way  # ERP (or master data) -> Tieline -> CLM
    fields: tuple[str, ...] = ()  # of ERP objects
    owners: frozenset[Owner] = frozenset({Owner.CLM, Owner.ERP})  # that an estate may name
    conflict: OnConflict = OnConflict.REPAIR


_CONFLICTS, _BACK, _MASTER = (
    "sync_core/domains/conflicts.py",
    "sync_core/writeback/writeback.py",
    "sync_core/master/match.py",
)
_DIFF, _FOLD = "sync_core/plan.py", "sync_core/fold.py"
_OURS: Final = frozenset({Owner.CLM})


def _fields(kind: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{kind}.{name}" for name in names)


_ALL: Final = (
    Domain(
        "customer_master", "Customer master", Owner.MDM,
        Way("the customer that the contract names is found in master data and linked in the ERP; created there only "
            "where the estate says so", "`signed`, `amended`: `customer` → ERP customer, `project.customer`", _MASTER),
        Way("which master record the contract's customer is, where the contract says otherwise",
            "write-back `values`: `customer.code`, `.name`, `.tax_id`, `.country`", _MASTER),
        (*_fields("customer", "name", "tax_id", "country"), "project.customer"),
        owners=frozenset({Owner.MDM, Owner.CLM}),
    ),
    Domain(
        "legal_entities", "Legal entities", Owner.MDM,
        Way("the entity that bills, which decides on the ERP", "`legal_entity` → `project.legal_entity`", _DIFF),
        Way("an entity that master data has closed stops its contracts; one that is changed on an ERP project is an "
            "ownership matter", "exception `legal_entity_closed`; `project.legal_entity`", _CONFLICTS),
        _fields("project", "legal_entity", "currency"),
        owners=frozenset({Owner.MDM, Owner.CLM}),
    ),
    Domain(
        "contract_headers", "Contract headers", Owner.CLM,
        Way("title, value, start and lines", "`signed`, `amended`, `corrected` → `project.name`, `.value`, "
            "`contract_line.*`", _DIFF),
        Way("nothing is taken over: a change in the ERP is put back, asked about or allowed; status and the revision "
            "that the ERP holds are told", "write-back `status`, `revision`", _CONFLICTS),
        (*_fields("project", "name", "value", "starts_on"),
         *_fields("contract_line", "project", "description", "amount", "currency")),
    ),
    Domain(
        "sow_milestones", "SOW milestones", Owner.CLM,
        Way("each milestone with amount and bill date", "`milestones` → `milestone.*`", _DIFF),
        Way("what is billed of the schedule; a change in the ERP is an ownership matter",
            "write-back `billing.billed`, `.next_bill_on`", _BACK),
        _fields("milestone", "project", "name", "amount", "currency", "bill_on"),
    ),
    Domain(
        "billing_terms", "Billing terms", Owner.CLM,
        Way("payment terms, cap and revenue treatment", "`billing` → `project.payment_terms`, `.not_to_exceed`", _DIFF),
        Way("invoices, payments, disputes, and how much of the value is recognised as revenue",
            "write-back `billing.billed`, `.paid`, `.disputed`, `.recognised`, `.revenue`", _BACK),
        (*_fields("project", "billing", "payment_terms", "not_to_exceed"),
         *_fields("contract_line", "recognition", "revenue_account", "revenue_category"),
         "milestone.revenue_category", *_fields("labour_rate", "revenue_category")),
    ),
    Domain(
        "rate_cards", "Rate cards", Owner.CLM,
        Way("the rate of each labour category that is in force; all of them, each with its first day, where the ERP "
            "holds dated prices", "`rates` → `labour_rate.rate`, `.planned_hours`, `.valid_from`", _DIFF),
        Way("nothing is taken over: a rate that was changed in the ERP is an ownership matter",
            "`labour_rate.rate`", _CONFLICTS),
        (*_fields("labour_rate", "project", "category", "name", "rate", "currency", "planned_hours", "valid_from"),
         *_fields("labour_category", "name", "revenue_category")),
    ),
    Domain(
        "amendments", "Amendments", Owner.CLM,
        Way("numbered, each applied once those before it are there", "`amended` → all objects it touches", _FOLD),
        Way("the revision of the contract that the ERP was last read back with", "write-back `revision`", _BACK),
        owners=_OURS,
    ),
    Domain(
        "renewal_dates", "Renewal dates", Owner.CLM,
        Way("the end that a renewal moves", "`renewed` → `project.ends_on`", _DIFF),
        Way("nothing is taken over: an end that was moved in the ERP is an ownership matter",
            "`project.ends_on`", _CONFLICTS),
        _fields("project", "ends_on"),
    ),
    Domain(
        "project_identifiers", "Project identifiers", Owner.ERP,
        Way("the contract's business key, by which the ERP's project is found again", "`external_id` of the project",
            "sync_core/keys.py"),
        Way("the number that the ERP gave the project, and which ERP", "write-back `project_ref`, `erp`", _BACK),
        owners=frozenset({Owner.ERP}),
    ),
    Domain(
        "po_references", "PO references", Owner.CLM,
        Way("the customer's order number", "`po_number` → `project.po_number`", _CONFLICTS),
        Way("where the ERP owns it, the number that it holds", "write-back `values.po_number`", _CONFLICTS),
        _fields("project", "po_number"),
    ),
    Domain(
        "tax_attributes", "Tax attributes", Owner.CLM,
        Way("the tax code, the contract's own or its regime's", "`tax` → `project.tax_code`", _CONFLICTS),
        Way("where the ERP owns it, the code that it determined", "write-back `values.tax.tax_code`", _CONFLICTS),
        _fields("project", "tax_code"),
    ),
    Domain(
        "approval_statuses", "Approval statuses", Owner.TIELINE,
        Way("nothing is provisioned of what was refused; the project becomes billable last",
            "`approved`, `clauses` → `project.billable`", "sync_core/cases/approvals.py"),
        Way("what is asked, and what was decided by whom", "write-back `note`", _BACK),
        _fields("project", "billable"), owners=frozenset({Owner.TIELINE}),
    ),
)  # fmt: skip
DOMAINS: Final[Mapping[str, Domain]] = {domain.name: domain for domain in _ALL}
DOMAIN_OF: Final[Mapping[str, str]] = {name: domain.name for domain in _ALL for name in domain.fields}

# What a field of an ERP object is called in the contract, where a contract states it.
IN_CONTRACT: Final[Mapping[str, str]] = {
    "project.name": "title",
    "project.value": "value",
    "project.starts_on": "starts_on",
    "project.ends_on": "ends_on",
    "project.payment_terms": "billing.payment_terms",
    "project.not_to_exceed": "billing.not_to_exceed",
    "project.po_number": "po_number",
    "project.tax_code": "tax.tax_code",
    "contract_line.description": "lines.description",
    "contract_line.amount": "lines.amount",
    "milestone.name": "milestones.name",
    "milestone.amount": "milestones.amount",
    "milestone.bill_on": "milestones.due_on",
    "labour_rate.name": "rates.name",
    "labour_rate.rate": "rates.rate",
    "labour_rate.planned_hours": "rates.planned_hours",
}
