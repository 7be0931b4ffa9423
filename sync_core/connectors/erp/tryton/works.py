"""Projects and tasks of Tryton as Tieline's objects.

| ours          | project.work                                                                               |
|---------------|--------------------------------------------------------------------------------------------|
| project       | type project; billable once its invoice method is effort (milestones) or timesheet (T&M)    |
| milestone     | task with the category's piece product; list_price is the amount, billed when progress is 1 |
| labour rate   | task with the role's hour product; list_price per hour, effort is the planned hours         |
| contract line | task with the category's hour product, without price or time sheet: shows the revenue       |
|               | treatment, never billed                                                                     |

The currency is the company's. A part's revenue account is that of its product's category, so what is read back
is what Tryton will post to. Dates and other terms are in the comment (note.py).
"""

from collections.abc import Callable, Iterable
from decimal import Decimal

from sync_core.connectors.answers import Row
from sync_core.connectors.erp.tryton.note import CLOSED, Note
from sync_core.connectors.erp.tryton.wire import linked, linked_text, number
from sync_core.contract import BillingKind
from sync_core.desired import Found, Kind, Scalar, plain
from sync_core.keys import BusinessKey, ErpRef, owning_contract
from sync_core.ports import Scope

MANUAL = "manual"
METHODS = {BillingKind.MILESTONES: "effort", BillingKind.TIME_AND_MATERIALS: "timesheet"}
_BILLING = {theirs: ours.value for ours, theirs in METHODS.items()}
_PARTS = {"M": Kind.MILESTONE, "L": Kind.CONTRACT_LINE, "R": Kind.LABOUR_RATE}
_HOUR = Decimal(3600)

FIELDS = (
    "comment", "name", "type", "parent", "party", "company.party.identifiers.code", "company.currency.code",
    "party.identifiers.code", "party.customer_tax_rule.name", "project_invoice_method", "list_price",
    "effort_duration", "product.code", "product.account_category.code",
    "product.account_category.account_revenue.code", "invoice_line", "invoiced_amount", "amount_to_invoice",
)  # fmt: skip


def kind_of(key: BusinessKey) -> Kind | None:
    """By the part's letter in its key; None for one that we do not make."""
    _, mark, part = key.partition("#")
    return _PARTS.get(part.partition(":")[0]) if mark else Kind.PROJECT


def billed(row: Row) -> bool:
    """Milestones link to their invoice line, of rates only the sum of what was invoiced is readable."""
    return row.fields.get("invoice_line") is not None or row.decimal("invoiced_amount") != 0


def codes(party: Row | None) -> list[str]:
    return [row.text("code") for row in party.rows("identifiers.")] if party is not None else []


class Tree:
    """All works under one contract key, as Found."""

    def __init__(self, rows: Iterable[Row], scope: Scope, charged: Callable[[str | None], Scalar]) -> None:
        """`charged`: the tax code that a customer with this tax rule, or without one, pays."""
        self._scope, self._charged = scope, charged
        self._notes = [(row, note) for row in rows if (note := Note.read(row.optional("comment"))) is not None]
        self._closed = {
            number(row) for row, note in self._notes if kind_of(note.key) is Kind.PROJECT and CLOSED in note.fields
        }

    def found(self) -> list[Found]:
        kinds = [(row, note, kind_of(note.key)) for row, note in self._notes]
        return [self._found(row, note, kind) for row, note, kind in kinds if kind is not None]

    def _found(self, row: Row, note: Note, kind: Kind) -> Found:
        parent = number(row, "parent") if row.fields.get("parent") is not None else None
        was_billed = billed(row)
        # A milestone that was invoiced counts even when its project was closed: it must not be billed again.
        counts = parent not in self._closed or (kind is Kind.MILESTONE and was_billed)
        return Found(
            kind=kind,
            key=note.key,
            ref=ErpRef(str(number(row))),
            fields=self._project(row, note) if kind is Kind.PROJECT else part_fields(kind, row, note),
            parent=ErpRef(str(parent)) if parent is not None and kind is not Kind.PROJECT else None,
            billed=was_billed,
            active=counts and CLOSED not in note.fields,
            earned=row.decimal("amount_to_invoice") or None,
        )

    def _project(self, row: Row, note: Note) -> dict[str, Scalar]:
        party, company = linked(row, "party"), linked(row, "company")
        held_by = linked(company, "party") if company is not None else None
        return project_fields(
            row,
            note,
            customer=_code(party, self._scope.customer),
            legal_entity=_code(held_by, self._scope.legal_entity),
            tax_code=self._charged(linked_text(party, "customer_tax_rule", "name")),
        )


def project_fields(
    row: Row, note: Note, *, customer: Scalar, legal_entity: Scalar, tax_code: Scalar
) -> dict[str, Scalar]:
    method = row.optional("project_invoice_method") or MANUAL
    return {
        "name": _name(row, note),
        "customer": customer,
        "legal_entity": legal_entity,
        "billing": _BILLING.get(method, note.fields.get("billing")),
        "currency": linked_text(linked(row, "company"), "currency", "code"),
        **{name: note.fields.get(name) for name in ("value", "starts_on", "ends_on", "payment_terms")},
        "tax_code": tax_code,
        "po_number": note.fields.get("po_number"),
        "not_to_exceed": note.fields.get("not_to_exceed"),
        "billable": method != MANUAL,
    }


def part_fields(kind: Kind, row: Row, note: Note) -> dict[str, Scalar]:
    product = linked(row, "product")
    common: dict[str, Scalar] = {
        "project": owning_contract(note.key),
        "currency": linked_text(linked(row, "company"), "currency", "code"),
        "revenue_category": linked_text(product, "account_category", "code"),
    }
    price = plain(row.decimal("list_price")) if row.fields.get("list_price") is not None else None
    match kind:
        case Kind.MILESTONE:
            named = {"name": _name(row, note), "amount": price, "bill_on": note.fields.get("bill_on")}
            return {**common, **named}
        case Kind.LABOUR_RATE:
            effort = row.decimal("effort_duration") if row.fields.get("effort_duration") is not None else Decimal(0)
            hours = (effort / _HOUR).quantize(Decimal("0.0000001"))
            category = linked_text(product, "code")
            named = {"name": _name(row, note), "rate": price, "category": category, "planned_hours": plain(hours)}
            return {**common, **named}
        case _:
            return {
                **common,
                "description": _name(row, note),
                "amount": note.fields.get("amount"),
                "recognition": note.fields.get("recognition"),
                "revenue_account": linked_text(product, "account_category", "account_revenue", "code"),
            }


def _name(row: Row, note: Note) -> str:
    """Tryton strips names; the note keeps the blanks of one that had some."""
    stored, signed = row.text("name"), note.fields.get("name")
    return signed if signed is not None and signed.strip() == stored else stored


def _code(party: Row | None, expected: str) -> str | None:
    """The code by which we know the party, else its first one."""
    held = codes(party)
    return expected if expected in held else next(iter(held), None)
