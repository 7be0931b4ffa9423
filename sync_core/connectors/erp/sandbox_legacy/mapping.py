"""Our objects as records, and records as what was found. Amounts are whole minor units of their currency here."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Final

from sync_core.connectors.erp.sandbox_legacy.codes import Codes
from sync_core.connectors.erp.sandbox_legacy.layout import CODE_PAGE, NAME, TEXT, Record
from sync_core.contract import BillingKind
from sync_core.desired import (
    Customer,
    ErpObject,
    Found,
    Kind,
    Line,
    Project,
    Recognition,
    Scalar,
    plain,
)
from sync_core.errors import ErpAnswerIncomplete
from sync_core.keys import BusinessKey, ErpRef
from sync_core.money import exponent
from sync_core.ports import FinancialFact, FinancialKind

TYPES: Final[Mapping[Kind, str]] = {
    Kind.CUSTOMER: "20", Kind.LABOUR_CATEGORY: "21", Kind.PROJECT: "30", Kind.CONTRACT_LINE: "31",
    Kind.MILESTONE: "32", Kind.LABOUR_RATE: "33",
}  # fmt: skip
KINDS: Final[Mapping[str, Kind]] = {code: kind for kind, code in TYPES.items()}
_METHODS = {BillingKind.MILESTONES: "F", BillingKind.TIME_AND_MATERIALS: "T"}
_RECOGNITIONS = {Recognition.POINT_IN_TIME: "P", Recognition.OVER_TIME: "O", Recognition.AS_INVOICED: "I"}
_WORDS: Final[Mapping[str, Mapping[str, Scalar]]] = {
    "method": {code: plain(ours) for ours, code in _METHODS.items()},
    "recognition": {code: plain(ours) for ours, code in _RECOGNITIONS.items()},
}
_FACTS = {"I": FinancialKind.INVOICE, "P": FinancialKind.PAYMENT, "D": FinancialKind.DISPUTE}
_HOURS = 2  # decimals

# Our field: theirs. What depends on the object's currency or on codes is in `record` and `_fields`.
FIELDS: Final[Mapping[Kind, Mapping[str, str]]] = {
    Kind.CUSTOMER: {"name": "name", "tax_id": "tax_id", "country": "country"},
    Kind.LABOUR_CATEGORY: {"name": "name", "revenue_category": "category"},
    Kind.PROJECT: {
        "name": "name", "customer": "customer", "legal_entity": "entity", "billing": "method", "currency": "currency",
        "value": "value", "starts_on": "starts", "ends_on": "ends", "payment_terms": "terms", "tax_code": "tax",
        "po_number": "po", "not_to_exceed": "limit", "billable": "released",
    },
    Kind.CONTRACT_LINE: {
        "project": "order", "description": "name", "amount": "amount", "currency": "currency",
        "recognition": "recognition", "revenue_account": "account", "revenue_category": "category",
    },
    Kind.MILESTONE: {
        "project": "order", "name": "name", "amount": "amount", "currency": "currency", "bill_on": "bill_on",
        "revenue_category": "category",
    },
    Kind.LABOUR_RATE: {
        "project": "order", "category": "labour", "name": "name", "rate": "amount", "currency": "currency",
        "planned_hours": "hours", "revenue_category": "category",
    },
}  # fmt: skip
_GROUPS = frozenset({"entity", "currency", "tax", "terms", "category", "account"})  # fields that hold a code
_AMOUNTS = frozenset({"value", "limit", "amount"})
_DAYS = frozenset({"starts", "ends", "bill_on"})


def keeps(obj: ErpObject) -> ErpObject:
    """With names as this ERP holds them: in its code page, without line breaks, cut to their length."""
    if isinstance(obj, Customer | Project):
        return replace(obj, name=_kept(obj.name, NAME))
    if isinstance(obj, Line):
        return replace(obj, description=_kept(obj.description, TEXT))
    return replace(obj, name=_kept(obj.name, TEXT))


def _kept(text: str, width: int) -> str:
    printable = "".join(c if ord(c) >= 32 and ord(c) != 127 else " " for c in text)
    page = printable.encode(CODE_PAGE, "replace").decode(CODE_PAGE)
    return " ".join(page.split())[:width].rstrip()


def record(obj: ErpObject, codes: Codes) -> dict[str, str]:
    """What is posted of an object. Raises KeyError or ValueError with words for what has no place there."""
    kept = keeps(obj)
    currency = getattr(obj, "currency", None)
    values = {"type": TYPES[obj.kind], "action": "P", "key": str(obj.key)}
    for ours, theirs in FIELDS[obj.kind].items():
        values[theirs] = _cell(theirs, getattr(kept, ours), currency, codes)
    values.pop("released", None)  # an order is posted unreleased
    return values


def _cell(theirs: str, value: object, currency: str | None, codes: Codes) -> str:
    if value is None:
        return ""
    if theirs in _GROUPS:
        return codes.code(theirs, str(value))
    if isinstance(value, Decimal):
        return _whole(value, _HOURS if theirs == "hours" else exponent(str(currency)), theirs)
    if isinstance(value, date):
        return f"{value:%Y%m%d}"
    if isinstance(value, BillingKind):
        return _METHODS[value]
    return _RECOGNITIONS[value] if isinstance(value, Recognition) else str(value)


def _whole(value: Decimal, decimals: int, name: str) -> str:
    units = value.scaleb(decimals)
    if units != units.to_integral_value():
        raise ValueError(f"{name} {value} has more than {decimals} decimals, which this ERP has no place for")
    return str(int(units))


def found(row: Record, codes: Codes, *, is_open: bool, billed_parts: bool = False) -> Found:
    """`is_open`: of its order. An order is billed when a part of it is."""
    kind, mark = KINDS[row["type"]], row.get("billed", "")
    billed = billed_parts if kind is Kind.PROJECT else bool(mark)
    key, ref = BusinessKey(row["key"]), ErpRef(row["document"])
    parent = ErpRef(row["order_document"]) if row.get("order_document") else None
    active = (is_open or (billed and kind is not Kind.PROJECT)) and mark != "E"
    amount = _amount(row, "billed_amount", codes) if kind is Kind.PROJECT and row["billed_amount"] else None
    return Found(kind, key, ref, _fields(row, kind, codes), parent, billed, active, billed_amount=amount)


def _fields(row: Record, kind: Kind, codes: Codes) -> dict[str, Scalar]:
    return {ours: _ours(theirs, row, codes) for ours, theirs in FIELDS[kind].items()}


def _ours(theirs: str, row: Record, codes: Codes) -> Scalar:
    text = row[theirs]
    if theirs == "released":
        return text == "J"
    if not text:
        return None
    if theirs in _GROUPS:
        return codes.name(theirs, text)
    if theirs in _AMOUNTS:
        return plain(_amount(row, theirs, codes))
    if theirs == "hours":
        return plain(Decimal(text).scaleb(-_HOURS))
    if theirs in _DAYS:
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    return _WORDS[theirs].get(text, text) if theirs in _WORDS else text


def _amount(row: Record, name: str, codes: Codes) -> Decimal:
    return Decimal(row[name] or "0").scaleb(-exponent(codes.name("currency", row["currency"])))


def fact(row: Record, system: str, codes: Codes) -> FinancialFact:
    day = row["day"]
    try:
        kind, on = _FACTS[row["fact"]], date.fromisoformat(f"{day[:4]}-{day[4:6]}-{day[6:]}")
    except (KeyError, ValueError) as wrong:
        raise ErpAnswerIncomplete(system, f"its dump holds an unknown financial fact: {wrong}") from wrong
    currency = codes.name("currency", row["currency"])
    return FinancialFact(
        kind=kind,
        ref=ErpRef(row["reference"]),
        project=BusinessKey(row["order"]),
        amount=_amount(row, "amount", codes),
        currency=currency,
        occurred_on=on,
        status=row["status"],
        invoice=ErpRef(row["invoice"]) if row["invoice"] else None,
    )


def changed(held: Record, wanted: ErpObject, names: Collection[str], codes: Codes) -> Record:
    """The document as it is held, with only these of our fields as wanted: what is posted after it was reversed."""
    fresh = record(wanted, codes)
    theirs = {FIELDS[wanted.kind][name] for name in names if name in FIELDS[wanted.kind]}
    kept = {name: fresh[name] if name in theirs and name in fresh else value for name, value in held.items()}
    released = ("N" if isinstance(wanted, Project) and not wanted.billable else "") if "released" in theirs else ""
    untold = {"document": "", "action": "P", "status": "", "billed": "", "billed_amount": "", "released": released}
    return {**kept, **{name: value for name, value in untold.items() if name in kept}}
