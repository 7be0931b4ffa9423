"""The nightly dump: everything that the ERP holds, in its own codes."""

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal

from app.sandbox.cloud.records import Doc, Value
from app.sandbox.cloud.store import Store
from app.sandbox.legacy.posting import KINDS, METHODS
from sync_core.connectors.erp.sandbox_legacy.layout import CODE_PAGE, line_of
from sync_core.money import exponent

_METHODS = {theirs: code for code, theirs in METHODS.items()}
_STATUS = {"setup": "S", "active": "A", "closed": "C"}
_FACTS = {"invoice": "I", "payment": "P", "dispute": "D"}
_TYPES = {kind: code for code, kind in KINDS.items()}


def lines(store: Store, dropped: Mapping[str, Collection[str]]) -> Iterator[str]:
    """`dropped`: by type, fields that this release has no more; their places stay blank."""
    codes = {str(doc["iso"]): str(doc["id"]) for doc in store.all("currency")}
    for values in (*_master(store), *_records(store, codes), *_facts(store, codes)):
        gone = dropped.get(values["type"], ())
        yield line_of({name: value for name, value in values.items() if name not in gone})


def _master(store: Store) -> Iterator[Mapping[str, str]]:
    codes = {str(doc["iso"]): str(doc["id"]) for doc in store.all("currency")}
    for doc in store.all("legal_entity"):
        yield {"type": "50", "entity": _text(doc["code"]), "name": _text(doc["name"])[:40],
               "currency": codes.get(_text(doc["currency"]), "")}  # fmt: skip
    for doc in store.all("tax_code"):
        yield {"type": "51", "entity": _text(doc["legal_entity"]), "tax": _text(doc["code"])}
    for doc in store.all("payment_terms"):
        yield {"type": "52", "terms": _text(doc["code"])}
    for doc in store.all("revenue_category"):
        yield {"type": "53", "category": _text(doc["code"]), "account": _text(doc.get("account"))}
    for doc in store.all("period"):
        if doc.get("status") == "closed":
            yield {"type": "54", "entity": _text(doc["legal_entity"]), "month": _text(doc["period"]).replace("-", "")}


def _records(store: Store, codes: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    for doc in store.all("customer"):
        yield {**_named("20", doc), "name": _text(doc["name"])[:40], "country": _text(doc["country"]),
               "tax_id": _text(doc["tax_registration"])}  # fmt: skip
    for doc in store.all("labour_category"):
        yield {**_named("21", doc), "name": _text(doc["name"])[:30], "category": _text(doc["revenue_category"])}
    for order in store.all("project"):
        if order["status"] != "reversed":
            yield _order(order, codes)
            for kind in ("contract_line", "milestone", "labour_rate"):
                yield from (_part(kind, part, order, codes) for part in store.parts(kind, str(order["id"])))


def _named(kind: str, doc: Doc) -> dict[str, str]:
    return {"type": kind, "document": _text(doc["id"]), "key": _text(doc["external_id"])}


def _order(doc: Doc, codes: Mapping[str, str]) -> Mapping[str, str]:
    iso = _text(doc["currency"])
    return {
        **_named("30", doc), "name": _text(doc["name"]), "entity": _text(doc["legal_entity"]),
        "customer": _text(doc["customer_code"]), "method": _METHODS[_text(doc["billing_method"])],
        "currency": codes[iso], "value": _minor(doc["contract_value"], iso), "starts": _day(doc["start_date"]),
        "ends": _day(doc["end_date"]), "terms": _text(doc["payment_terms"]), "tax": _text(doc["tax_code"]),
        "po": _text(doc["purchase_order"]), "limit": _minor(doc["not_to_exceed"], iso),
        "released": "J" if doc["status"] == "active" else "N", "status": _STATUS[_text(doc["status"])],
        "billed_amount": _minor(doc.get("billed_amount"), iso),
    }  # fmt: skip


def _part(kind: str, doc: Doc, order: Doc, codes: Mapping[str, str]) -> Mapping[str, str]:
    iso = _text(doc["currency"])
    ended = doc.get("status") == "ended"
    part = {
        **_named(_TYPES[kind], doc), "order": _text(order["external_id"]), "order_document": _text(order["id"]),
        "currency": codes[iso], "category": _text(doc["revenue_category"]),
        "billed": "E" if ended else "J" if doc.get("billed") else "",
    }  # fmt: skip
    if kind == "contract_line":
        part |= {"name": _text(doc["description"]), "amount": _minor(doc["amount"], iso),
                 "recognition": _text(doc["recognition"]), "account": _text(doc["revenue_account"])}  # fmt: skip
    elif kind == "milestone":
        part |= {"name": _text(doc["name"]), "amount": _minor(doc["amount"], iso), "bill_on": _day(doc["bill_date"])}
    else:
        hours = Decimal(_text(doc["planned_hours"])).scaleb(2)
        part |= {"name": _text(doc["name"]), "amount": _minor(doc["hourly_rate"], iso),
                 "labour": _text(doc["labour_category"]), "hours": str(int(hours))}  # fmt: skip
    return part


def _facts(store: Store, codes: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    for doc in store.all("fact"):
        iso = _text(doc["currency"])
        yield {
            "type": "40", "number": _text(doc["id"]), "fact": _FACTS[_text(doc["kind"])],
            "reference": _text(doc["ref"]), "order": _text(doc["project_external_id"]),
            "amount": _minor(doc["amount"], iso), "currency": codes[iso], "day": _day(doc["date"]),
            "status": _text(doc["status"]), "invoice": _text(doc["invoice_id"]),
        }  # fmt: skip


def _text(value: Value) -> str:
    return "" if value is None else str(value).encode(CODE_PAGE, "replace").decode(CODE_PAGE)


def _day(value: Value) -> str:
    return _text(value).replace("-", "")


def _minor(value: Value, iso: str) -> str:
    return "" if value is None else str(int(Decimal(str(value)).scaleb(exponent(iso))))
