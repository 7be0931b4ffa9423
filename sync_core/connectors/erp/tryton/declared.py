"""Where Tryton holds each field of our objects, in words of its users: for the field lineage. See works.py, note.py."""

from collections.abc import Mapping
from typing import Final

from sync_core.desired import Kind

_COMMENT: Final = "project.work comment"  # what Tryton has no field for
_WORK_CURRENCY: Final = "company.company currency"
_CATEGORY: Final = "product.category code (account_category of the product)"

ERP_FIELDS: Final[Mapping[Kind, Mapping[str, str]]] = {
    Kind.CUSTOMER: {"key": "party.identifier code", "name": "party.party name", "tax_id": "party.identifier code"},
    Kind.LABOUR_CATEGORY: {
        "key": "product.product code", "name": "product.template name", "revenue_category": _CATEGORY,
    },
    Kind.PROJECT: {
        "key": _COMMENT, "name": "project.work name", "customer": "project.work party",
        "legal_entity": "project.work company", "billing": "project.work project_invoice_method",
        "currency": _WORK_CURRENCY, "value": _COMMENT, "starts_on": _COMMENT, "ends_on": _COMMENT,
        "payment_terms": _COMMENT, "tax_code": "party.party customer_tax_rule", "po_number": _COMMENT,
        "not_to_exceed": _COMMENT, "billable": "project.work project_invoice_method",
    },
    Kind.CONTRACT_LINE: {
        "key": _COMMENT, "project": "project.work parent", "description": "project.work name", "amount": _COMMENT,
        "currency": _WORK_CURRENCY, "recognition": _COMMENT,
        "revenue_account": "product.category account_revenue", "revenue_category": _CATEGORY,
    },
    Kind.MILESTONE: {
        "key": _COMMENT, "project": "project.work parent", "name": "project.work name",
        "amount": "project.work list_price", "currency": _WORK_CURRENCY, "bill_on": _COMMENT,
        "revenue_category": _CATEGORY,
    },
    Kind.LABOUR_RATE: {
        "key": _COMMENT, "project": "project.work parent", "category": "product.product code",
        "name": "project.work name", "rate": "project.work list_price", "currency": _WORK_CURRENCY,
        "planned_hours": "project.work effort_duration", "revenue_category": _CATEGORY,
    },
}  # fmt: skip
