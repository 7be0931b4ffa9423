"""The record types of the ERP and what their fields may hold. Amounts, hours and dates are text on the wire."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import TypeAlias

from app.sandbox.cloud.problems import Problem, invalid
from sync_core.errors import InvalidMoney
from sync_core.money import Money, exponent

Value: TypeAlias = str | int | bool | None
Doc: TypeAlias = dict[str, Value]
Check: TypeAlias = Callable[[object], Value]

LONGEST_KEY = 120


def text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text that is not empty")
    return value


def number(value: object) -> str:
    """Sent as text, because a JSON number is a binary fraction to most clients."""
    try:
        amount = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite():
        raise ValueError('a decimal as text, for instance "1250.00"')
    return str(value)


def day(value: object) -> str:
    try:
        return date.fromisoformat(value if isinstance(value, str) else "").isoformat()
    except ValueError as error:
        raise ValueError("a date such as 2026-11-30") from error


def currency(value: object) -> str:
    try:
        exponent(code := text(value))
    except InvalidMoney as error:
        raise ValueError("an ISO 4217 currency code") from error
    return code


def _optional(check: Check, value: object) -> Value:
    return None if value is None else check(value)


def _one_of(allowed: tuple[str, ...], value: object) -> str:
    if value not in allowed:
        raise ValueError(f"one of {', '.join(allowed)}")
    return str(value)


_TEXT = partial(_optional, text)
_BILLING = partial(_one_of, ("fixed_fee", "time_and_materials"))
_RECOGNITION = partial(_one_of, ("point_in_time", "over_time", "as_invoiced"))


@dataclass(frozen=True, slots=True)
class RecordType:
    """One kind of record. `amounts` are checked against the currency of the record."""

    kind: str
    path: str
    prefix: str
    fields: Mapping[str, Check]
    amounts: tuple[str, ...] = ()
    part: bool = False  # belongs to a project


_TYPES = (
    RecordType("customer", "customers", "CUS", {"name": text, "tax_registration": _TEXT, "country": _TEXT}),
    RecordType("labour_category", "labour-categories", "LAB", {"name": text, "revenue_category": text}),
    RecordType(
        "project",
        "projects",
        "PRJ",
        {
            "name": text,
            "customer_code": text,
            "legal_entity": text,
            "billing_method": _BILLING,
            "currency": currency,
            "contract_value": number,
            "start_date": day,
            "end_date": partial(_optional, day),
            "payment_terms": text,
            "tax_code": _TEXT,
            "purchase_order": _TEXT,
            "not_to_exceed": partial(_optional, number),
        },
        ("contract_value", "not_to_exceed"),
    ),
    RecordType(
        "contract_line",
        "lines",
        "LIN",
        {
            "description": text,
            "amount": number,
            "currency": currency,
            "recognition": _RECOGNITION,
            "revenue_account": text,
            "revenue_category": text,
        },
        ("amount",),
        part=True,
    ),
    RecordType(
        "milestone",
        "milestones",
        "MIL",
        {"name": text, "amount": number, "currency": currency, "bill_date": day, "revenue_category": text},
        ("amount",),
        part=True,
    ),
    RecordType(
        "labour_rate",
        "rates",
        "RAT",
        {
            "name": text,
            "labour_category": text,
            "hourly_rate": number,
            "currency": currency,
            "planned_hours": number,
            "revenue_category": text,
            "valid_from": partial(_optional, day),
        },
        ("hourly_rate",),
        part=True,
    ),
)
BY_PATH = {record.path: record for record in _TYPES}
BY_KIND = {record.kind: record for record in _TYPES}
PARTS = tuple(record for record in _TYPES if record.part)


def checked(record: RecordType, body: Mapping[str, object], *, partly: bool, held: Doc | None = None) -> Doc:
    """The fields of a request, validated. `partly`: absent fields stay as they are in `held`."""
    unknown = body.keys() - record.fields.keys() - {"external_id", "customer_id"}
    if unknown:
        raise invalid("unknown_field", f"{record.kind} has no field {', '.join(sorted(unknown))}")
    found: Doc = {}
    for name, check in record.fields.items():
        if partly and name not in body:
            continue
        try:
            found[name] = check(body.get(name))
        except ValueError as error:
            raise invalid("invalid_field", f"{name} of {record.kind} must be {error}") from error
    _amounts(record, {**(held or {}), **found})
    return found


def key_of(body: Mapping[str, object]) -> str:
    key = body.get("external_id")
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY:
        raise invalid("invalid_field", f"external_id must be a text of 1 to {LONGEST_KEY} characters")
    return key


def _amounts(record: RecordType, doc: Doc) -> None:
    for name in record.amounts:
        if doc.get(name) is None:
            continue
        try:
            Money.of(str(doc[name]), str(doc["currency"]))
        except InvalidMoney as error:
            raise invalid("amount_precision", f"{name}: {error.message}") from error


def as_object(body: object) -> dict[str, object]:
    if not isinstance(body, dict):
        raise Problem(400, "malformed", "the body must be a JSON object")
    return body
