"""Field names and values of sandbox-cloud, both ways. Amounts, hours and dates are text on its wire."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal

from sync_core.connectors.answers import Json, Row
from sync_core.contract import BillingKind
from sync_core.desired import ErpObject, Found, Kind, Scalar, plain
from sync_core.errors import ErpAnswerIncomplete
from sync_core.keys import BusinessKey, ErpRef
from sync_core.ports import FinancialFact, FinancialKind, References

PATHS = {
    Kind.CUSTOMER: "customers",
    Kind.LABOUR_CATEGORY: "labour-categories",
    Kind.PROJECT: "projects",
    Kind.CONTRACT_LINE: "lines",
    Kind.MILESTONE: "milestones",
    Kind.LABOUR_RATE: "rates",
}
PARTS = (Kind.CONTRACT_LINE, Kind.MILESTONE, Kind.LABOUR_RATE)

# Our field: the ERP's. A part's project is where it lives, a project's `billable` is its status.
NAMES: Mapping[Kind, Mapping[str, str]] = {
    Kind.CUSTOMER: {"name": "name", "tax_id": "tax_registration", "country": "country"},
    Kind.LABOUR_CATEGORY: {"name": "name", "revenue_category": "revenue_category"},
    Kind.PROJECT: {
        "name": "name",
        "customer": "customer_code",
        "legal_entity": "legal_entity",
        "billing": "billing_method",
        "currency": "currency",
        "value": "contract_value",
        "starts_on": "start_date",
        "ends_on": "end_date",
        "payment_terms": "payment_terms",
        "tax_code": "tax_code",
        "po_number": "purchase_order",
        "not_to_exceed": "not_to_exceed",
    },
    Kind.CONTRACT_LINE: {
        "description": "description",
        "amount": "amount",
        "currency": "currency",
        "recognition": "recognition",
        "revenue_account": "revenue_account",
        "revenue_category": "revenue_category",
    },
    Kind.MILESTONE: {
        "name": "name",
        "amount": "amount",
        "currency": "currency",
        "bill_on": "bill_date",
        "revenue_category": "revenue_category",
    },
    Kind.LABOUR_RATE: {
        "category": "labour_category",
        "name": "name",
        "rate": "hourly_rate",
        "currency": "currency",
        "planned_hours": "planned_hours",
        "revenue_category": "revenue_category",
        "valid_from": "valid_from",
    },
}
# An older release has no such field: it holds one price a category.
OPTIONAL: Mapping[Kind, frozenset[str]] = {Kind.LABOUR_RATE: frozenset({"valid_from"})}
_AMOUNTS = frozenset({"value", "not_to_exceed", "amount", "rate", "planned_hours"})
_BILLING = {BillingKind.MILESTONES: "fixed_fee", BillingKind.TIME_AND_MATERIALS: "time_and_materials"}
_BILLING_BACK = {theirs: ours for ours, theirs in _BILLING.items()}


def wire(obj: ErpObject, name: str) -> Json:
    """Our field `name` of `obj` as the ERP wants it."""
    value: object = getattr(obj, name)
    if isinstance(value, BillingKind):
        return _BILLING[value]
    # Not `plain`: the ERP counts decimals, and 1E+4 is no amount to it.
    return format(value, "f") if isinstance(value, Decimal) else plain(value)


def body_of(obj: ErpObject) -> dict[str, Json]:
    return {theirs: wire(obj, ours) for ours, theirs in NAMES[obj.kind].items() if hasattr(obj, ours)}


def shared_found(kind: Kind, row: Row) -> Found:
    """A shared object."""
    return Found(kind, BusinessKey(row.text("external_id")), ErpRef(row.text("id")), _fields(kind, row))


def project_found(row: Row) -> list[Found]:
    """A project and its parts. Invoiced parts of a closed project still count: they must not be billed again."""
    key, ref, status = BusinessKey(row.text("external_id")), ErpRef(row.text("id")), row.text("status")
    is_open = status != "closed"
    held = {**_fields(Kind.PROJECT, row), "billable": status == "active"}
    parts = [(kind, part, part.flag("billed")) for kind in PARTS for part in row.rows(PATHS[kind])]
    invoiced = row.decimal("billed_amount") if row.fields.get("billed_amount") is not None else None
    unbilled = row.decimal("unbilled_hours_value") if row.fields.get("unbilled_hours_value") is not None else None
    billed_any = any(billed for _, _, billed in parts)
    held_all = [
        Found(Kind.PROJECT, key, ref, held, None, billed_any, is_open, invoiced, earned=unbilled or None),
    ]
    for kind, part, billed in parts:
        values = {**_fields(kind, part), "project": key}
        at = BusinessKey(part.text("external_id")), ErpRef(part.text("id"))
        settled = part.decimal("invoiced_amount") if part.fields.get("invoiced_amount") is not None else None
        one = Found(kind, *at, values, ref, billed, is_open or billed, invoiced=settled)
        told = is_open and part.fields.get("invoiced_hours") is not None  # what is closed is priced no more
        held_all.append(_hours_told(one, part) if told else one)
    return held_all


def _hours_told(rate: Found, row: Row) -> Found:
    """With what is invoiced of the hours of its days."""
    hours, value = row.decimal("invoiced_hours"), row.decimal("invoiced_value")
    return replace(rate, invoiced=value, invoiced_hours=hours, settled=row.flag("settled"))


def project_alone(row: Row) -> Found:
    """Of a list: a project without its parts, whoever made it."""
    status = row.text("status")
    held = {**_fields(Kind.PROJECT, row), "billable": status == "active"}
    at = BusinessKey(row.text("external_id")), ErpRef(row.text("id"))
    return Found(Kind.PROJECT, *at, held, None, False, status != "closed")


def part_found(kind: Kind, row: Row, project: Found) -> Found:
    at = BusinessKey(row.text("external_id")), ErpRef(row.text("id"))
    return Found(kind, *at, {**_fields(kind, row), "project": project.key}, project.ref, row.flag("billed"))


def references(row: Row) -> References:
    entity = row.row("legal_entity") if row.fields.get("legal_entity") is not None else None
    return References(
        legal_entity=ErpRef(entity.text("code")) if entity else None,
        entity_currency=entity.text("currency") if entity else None,
        tax_profile=row.flag("tax_profile"),
        customer_tax_profile=row.flag("customer_tax_profile"),
        payment_terms=row.flag("payment_terms"),
        missing_revenue_categories=tuple(row.texts("missing_revenue_categories")),
        open_period=row.flag("open_period"),
    )


def fact(row: Row) -> FinancialFact:
    invoice = row.optional("invoice_id")
    try:
        kind, occurred_on = FinancialKind(row.text("kind")), date.fromisoformat(row.text("date"))
    except ValueError as error:
        raise ErpAnswerIncomplete(
            row.system, f"its list of financial facts holds something unknown: {error}"
        ) from error
    return FinancialFact(
        kind=kind,
        ref=ErpRef(row.text("ref")),
        project=BusinessKey(row.text("project_external_id")),
        amount=row.decimal("amount"),
        currency=row.text("currency"),
        occurred_on=occurred_on,
        status=row.text("status"),
        invoice=ErpRef(invoice) if invoice is not None else None,
    )


def posting(row: Row) -> FinancialFact:
    """One of the revenue ledger. It stands as it was posted: what takes it back is another one."""
    invoice, line, reverses = (row.optional(name) for name in ("invoice_id", "line_external_id", "reverses"))
    try:
        posted_on = date.fromisoformat(row.text("posting_date"))
    except ValueError as error:
        raise ErpAnswerIncomplete(row.system, f"its revenue ledger holds no day: {error}") from error
    return FinancialFact(
        kind=FinancialKind.REVENUE,
        ref=ErpRef(row.text("id")),
        project=BusinessKey(row.text("project_external_id")),
        amount=row.decimal("amount"),
        currency=row.text("currency"),
        occurred_on=posted_on,
        status="posted",
        invoice=ErpRef(invoice) if invoice is not None else None,
        line=BusinessKey(line) if line is not None else None,
        reverses=ErpRef(reverses) if reverses is not None else None,
    )


def _fields(kind: Kind, row: Row) -> dict[str, Scalar]:
    values: dict[str, Scalar] = {}
    for ours, theirs in NAMES[kind].items():
        if theirs not in row.fields and ours in OPTIONAL.get(kind, ()):
            continue
        value = row.optional(theirs)
        if value is not None and ours in _AMOUNTS:
            values[ours] = plain(row.decimal(theirs))
        else:
            values[ours] = _BILLING_BACK.get(value, value) if ours == "billing" and value is not None else value
    return values
