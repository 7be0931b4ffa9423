"""Master data of the ERP: what projects refer to and what is set up by people, not by an integration."""

from collections.abc import Mapping
from datetime import date

from app.sandbox.cloud.problems import invalid
from app.sandbox.cloud.records import BY_KIND, Doc, as_object, checked, text
from app.sandbox.cloud.store import Store

# Section of the admin API: kind, and the fields that name a record.
SECTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "legal_entities": ("legal_entity", ("code",)),
    "tax_codes": ("tax_code", ("legal_entity", "code")),
    "payment_terms": ("payment_terms", ("code",)),
    "revenue_categories": ("revenue_category", ("code",)),
    "periods": ("period", ("legal_entity", "period")),
}
_RECORDS = {"customers": "customer", "labour_categories": "labour_category"}


def put(store: Store, body: Mapping[str, object]) -> None:
    """Add or replace. Sections are lists of objects, for instance
    {"legal_entities": [{"code": "US01", "name": "...", "currency": "USD"}],
     "tax_codes": [{"legal_entity": "US01", "code": "US-TX", "rate": "8.25"}],
     "payment_terms": [{"code": "NET30", "days": "30"}], "revenue_categories": [{"code": "SRV", "account": "4000"}],
     "periods": [{"legal_entity": "US01", "period": "2026-10", "status": "closed"}],
     "customers": [{"code": "C1", "name": "...", "tax_registration": "...", "country": "US"}]}
    """
    for section, rows in _sections(body):
        for row in rows:
            if section in _RECORDS:
                _put_record(store, _RECORDS[section], row)
                continue
            kind, names = SECTIONS[section]
            values: Doc = {name: None if value is None else str(value) for name, value in row.items()}
            store.put(kind, {**values, "id": _name(row, names)})


def remove(store: Store, body: Mapping[str, object]) -> None:
    """The same shape as `put`, with only the naming fields."""
    for section, rows in _sections(body):
        for row in rows:
            if section in _RECORDS:
                kind = _RECORDS[section]
                for doc in store.by_key(kind, str(row.get("code"))):
                    store.drop(kind, str(doc["id"]))
                continue
            kind, names = SECTIONS[section]
            store.drop(kind, _name(row, names))


def period_open(store: Store, legal_entity: str, on: date) -> bool:
    """Periods are calendar months, open unless someone closed them."""
    period = store.get("period", f"{legal_entity}/{on:%Y-%m}")
    return period is None or period.get("status") != "closed"


def _sections(body: Mapping[str, object]) -> list[tuple[str, list[dict[str, object]]]]:
    found = []
    for section, rows in body.items():
        if (section not in SECTIONS and section not in _RECORDS) or not isinstance(rows, list):
            known = ", ".join([*SECTIONS, *_RECORDS])
            raise invalid("unknown_section", f"{section} must be a list and one of {known}")
        found.append((section, [as_object(row) for row in rows]))
    return found


def _name(row: Mapping[str, object], names: tuple[str, ...]) -> str:
    try:
        return "/".join(text(row.get(name)) for name in names)
    except ValueError as error:
        raise invalid("invalid_field", f"{' and '.join(names)} must be {error}") from error


def _put_record(store: Store, kind: str, row: Mapping[str, object]) -> None:
    code = _name(row, ("code",))
    record = BY_KIND[kind]
    fields = checked(record, {name: value for name, value in row.items() if name != "code"}, partly=False)
    held = store.by_key(kind, code)
    ident = str(held[0]["id"]) if held else store.next_id(record.prefix)
    store.put(kind, {"id": ident, "external_id": code, **fields})
