"""Where each field of a contract comes from and where it goes: CLM event, canonical contract, ERP object, ERP field.

Nothing is written down here: a contract is derived twice, with one field changed, and what differs in the ERP objects
is where that field goes. So the table is true of the code that provisions. Pure.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeAlias

import orjson

from sync_core.cases.ownership import FIELDS
from sync_core.contract import BillingKind
from sync_core.derive import derive
from sync_core.desired import Kind, Recognition, Scalar, fields_of
from sync_core.domains.domains import IN_CONTRACT, Owner
from sync_core.estate.estate import Clm, Entity, Erp, Estate, Group, RevenueRule
from sync_core.estate.ownership import Rules, rule_for
from sync_core.events import PREFIX, REGISTRY, Event, understand
from sync_core.fold import fold
from sync_core.schemas.fit import Shape, shapes

Data: TypeAlias = dict[str, Any]
ErpFields: TypeAlias = Mapping[Kind, Mapping[str, str]]  # ours: the ERP's

_SIGNED: Final = f"{PREFIX}signed.v1"
_HOLDERS: Final = ("terms.", "changes.")  # where events have the terms
_DAY: Final = date(2026, 3, 2)


@dataclass(frozen=True, slots=True)
class Goes:
    """One place of a field: a field of an ERP object, and what each connector calls that."""

    kind: Kind
    field: str
    erp: Mapping[str, str]  # by kind of connector


@dataclass(frozen=True, slots=True)
class Lineage:
    """One field of the terms. `goes` is empty for one that no ERP object holds."""

    path: str
    label: str
    owner: Owner  # the system whose word counts
    setter: str | None  # the business function that may correct it in Tieline
    events: tuple[str, ...]  # versions that say it
    goes: tuple[Goes, ...]


def lineage(erps: Mapping[str, ErpFields], ownership: Rules | None = None) -> tuple[Lineage, ...]:
    """By path. `erps`: what each kind of connector calls the fields of our objects. `ownership`: the estate's."""
    said = {name: shapes(one.schema()) for name, one in REGISTRY.items()}
    leaves = sorted(_leaves(said[_SIGNED]))
    return tuple(_line(path, said, _places(path), erps, owner_of(path, ownership or {})) for path in leaves)


def _line(
    path: str,
    said: Mapping[str, Mapping[str, Shape]],
    places: set[tuple[Kind, str]],
    erps: Mapping[str, ErpFields],
    owner: Owner,
) -> Lineage:
    known = _owned(path)
    field = FIELDS.get(known) if known else None
    goes = tuple(
        Goes(kind, name, {erp: fields[kind][name] for erp, fields in erps.items() if name in fields.get(kind, {})})
        for kind, name in sorted(places, key=lambda one: (one[0].rank, one[1]))
    )
    label = field.label if field else path.replace("[]", "").replace("_", " ").replace(".", ", ").capitalize()
    events = tuple(name for name, has in sorted(said.items()) if _says(path, has))
    return Lineage(path, label, owner, field.setter if field else None, events, goes)


# By which field of an ERP object the domains know a field of the terms.
_KNOWN_AS: Final[Mapping[str, str]] = {ours: field for field, ours in IN_CONTRACT.items()} | {
    "customer.code": "project.customer",
    "customer.mdm_id": "project.customer",
    "billing.kind": "project.billing",
    "rates.category": "labour_rate.category",
    "tax.exempt": "project.tax_code",
    **{name: name for name in ("customer.name", "customer.tax_id", "customer.country")},
    **{name: f"project.{name}" for name in ("legal_entity", "currency")},
}


def owner_of(path: str, ownership: Rules) -> Owner:
    """As sync_core/domains/domains.py has it, and the estate's [ownership]; of what is in no domain, the CLM."""
    known = _KNOWN_AS.get(path.replace("[]", ""))
    return rule_for(ownership, known).owner if known else Owner.CLM


def _owned(path: str) -> str | None:
    """The path by which sync_core/cases/ownership.py knows it, or what holds it."""
    at = path.replace("[]", "")
    while at and at not in FIELDS:
        at = at.rpartition(".")[0]
    return at or None


def _says(path: str, has: Mapping[str, Shape]) -> bool:
    # In signed.v2 an amount is an object, and the currency stands with it.
    names = (path, f"{path}.amount", *(["value.currency"] if path == "currency" else []))
    return any(f"{holder}{name}" in has for holder in _HOLDERS for name in names)


def _leaves(known: Mapping[str, Shape]) -> Iterator[str]:
    holders = {path.removesuffix("[]").rpartition(".")[0] for path in known} | {
        path.rpartition("[]")[0] for path in known if "[]" in path
    }
    for path in known:
        inner = path.removeprefix("terms.")
        if inner != path and path not in holders and not path.endswith("[]") and f"{path}[]" not in known:
            yield inner


def _places(path: str) -> set[tuple[Kind, str]]:
    """The fields of ERP objects that are others when this field of the terms is."""
    found: set[tuple[Kind, str]] = set()
    for terms in (_milestone_terms(), _hourly_terms()):
        other = copy.deepcopy(terms)
        if _change(other, path.split(".")):
            found.update(_differences(_objects(terms), _objects(other)))
    return found


def _differences(
    before: Mapping[tuple[Kind, str], Mapping[str, Scalar]], after: Mapping[tuple[Kind, str], Mapping[str, Scalar]]
) -> Iterator[tuple[Kind, str]]:
    pairs = [(key, key) for key in before.keys() & after.keys()]
    for kind in Kind:
        gone, new = ([at for at in one if at[0] is kind and at not in other]
                     for one, other in ((before, after), (after, before)))  # fmt: skip
        if gone or new:
            yield kind, "key"
        pairs += zip(gone, new, strict=False)  # the same object under another key
    for was, is_now in pairs:
        for name in before[was]:
            if before[was][name] != after[is_now][name]:
                yield was[0], name


def _objects(terms: Data) -> dict[tuple[Kind, str], Mapping[str, Scalar]]:
    signed_at = datetime(2026, 3, 2, tzinfo=UTC)
    data = {"contract_id": "C", "revision": 1, "signed_at": signed_at.isoformat(), "terms": terms}
    event = Event(_CLM.source, "e", _SIGNED, signed_at, understand(_SIGNED, orjson.dumps(data)))
    estate = _estate()
    # As an ERP holds them that has one price a category, and over all of it as one that has dated prices.
    wanted = derive(fold([event], day_at=estate.day_at), estate, on=_DAY)
    ways = {over_time: wanted.priced(over_time=over_time) for over_time in (False, True)}
    return {(o.kind, f"{o.key} {over_time}"): fields_of(o) for over_time, way in ways.items() for o in way.objects}


def _change(data: Data, steps: list[str]) -> bool:
    """Give this field another value, in each item of a list; False where the example does not have it."""
    name, *rest = steps
    if name.endswith("[]"):
        changed = [_change(item, rest) for item in data.get(name.removesuffix("[]"), ())]
        return any(changed)
    if rest:
        return isinstance(data.get(name), dict) and _change(data[name], rest)
    if name not in data:
        return False
    data[name] = _other(name, data[name])
    return True


def _other(name: str, value: object) -> object:
    if name in _OTHERS:
        return next(one for one in _OTHERS[name] if one != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    text = str(value)
    if name == "key" or value is None:
        return f"{text} x"
    if text.replace(".", "").isdigit():
        return str(Decimal(text) + 1)
    try:
        return (date.fromisoformat(text) + timedelta(days=1)).isoformat()
    except ValueError:
        return f"{text} x"


# What is not free text: each has another that the estate below knows.
_OTHERS: Final[Mapping[str, tuple[object, ...]]] = {
    "legal_entity": ("ONE", "TWO"), "currency": ("XTS", "XXX"), "service_line": ("first", "second"),
    "kind": ("milestones", "time_and_materials"), "line": ("1", "2"),
}  # fmt: skip
_CLM: Final = Clm("clm", "urn:lineage:clm", "sandbox")


def _estate() -> Estate:
    """In which every choice that decides where a field goes comes out otherwise for the other value."""
    entities = tuple(
        Entity(code, code, "XX", "XTS", "UTC", f"erp-{code}", create_customers=code == "ONE") for code in ("ONE", "TWO")
    )
    revenue = tuple(
        RevenueRule(recognition, f"{line} {billing}", f"{line} {billing}", billing, line)
        for line, recognition in (("first", Recognition.OVER_TIME), ("second", Recognition.POINT_IN_TIME))
        for billing in BillingKind
    )
    erps = tuple(Erp(entity.erp, "any") for entity in entities)
    return Estate(Group("G", "XTS"), (_CLM,), erps, entities, revenue)


def _terms() -> Data:
    lines = [
        {"key": key, "description": "Work", "amount": "50.00", "service_line": line}
        for key, line in (("1", "first"), ("2", "second"), ("3", None))
    ]
    return {
        "title": "Title", "customer": {"code": "CUSTOMER", "name": "Customer", "tax_id": "T", "country": "XX"},
        "legal_entity": "ONE", "service_line": "first", "geography": "north", "currency": "XTS", "value": "100.00",
        "starts_on": "2026-01-15", "ends_on": "2026-12-31", "po_number": "PO",
        "tax": {"tax_code": "STD", "exempt": False}, "test": False, "lines": lines,
        "renewal": {"renews_on": "2027-01-01", "notice_by": "2026-10-01", "automatic": True, "term_months": 12},
    }  # fmt: skip


def _milestone_terms() -> Data:
    billing = {"kind": "milestones", "payment_terms": "NET", "invoice_frequency": "monthly", "not_to_exceed": "90.00"}
    milestone = {"key": "M", "name": "Done", "amount": "100.00", "due_on": "2026-05-29", "line": "1"}
    return {**_terms(), "billing": billing, "milestones": [milestone]}


def _hourly_terms() -> Data:
    billing = {"kind": "time_and_materials", "payment_terms": "NET", "not_to_exceed": "90.00"}
    rate = {"category": "SENIOR", "name": "Senior", "rate": "10.00", "planned_hours": "5", "line": "1"}
    later = {**rate, "category": "JUNIOR", "rate": "5.00", "valid_from": "2026-03-02"}
    earlier = {**later, "rate": "4.00", "valid_from": "2026-01-01"}
    return {**_terms(), "billing": billing, "rates": [rate, earlier, later]}
