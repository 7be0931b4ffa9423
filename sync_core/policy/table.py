"""The tables: the policy file's rules, and beneath them what the estate file says of its legal entities. Pure."""

import tomllib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from sync_core.errors import InvalidEstate
from sync_core.estate.misread import misread
from sync_core.policy.rule import BillCalendar, Clauses, Mandatory, Ownership, Route, Rule, TaxRegime, Threshold

if TYPE_CHECKING:
    from sync_core.estate.estate import Estate

R = TypeVar("R", bound=Rule)


@dataclass(frozen=True)
class Policy:
    """One policy file."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    route: tuple[Route, ...] = ()
    tax: tuple[TaxRegime, ...] = ()
    bill_calendar: tuple[BillCalendar, ...] = ()
    approval: tuple[Threshold, ...] = ()
    owner: tuple[Ownership, ...] = ()
    mandatory: tuple[Mandatory, ...] = ()
    clause: tuple[Clauses, ...] = ()


@dataclass(frozen=True, slots=True)
class Table(Generic[R]):
    """`rules` stand above `defaults`, the estate's: these decide where no rule of the policy fits."""

    name: str
    rules: tuple[R, ...]
    defaults: tuple[R, ...] = ()
    otherwise: str = ""  # what holds where nothing fits, in words


@dataclass(frozen=True, slots=True)
class Tables:
    route: Table[Route]
    tax: Table[TaxRegime]
    bill_calendar: Table[BillCalendar]
    approval: Table[Threshold]
    owner: Table[Ownership]
    mandatory: Table[Mandatory]
    clause: Table[Clauses]


TABLES: Final = tuple(field.name for field in fields(Tables))
_POLICY = TypeAdapter(Policy)


def read(text: str) -> Policy:
    """Raises InvalidEstate for what is no policy; whether it fits an estate is sync_core/policy/check.py's to say."""
    try:
        given = tomllib.loads(text)
        return _POLICY.validate_python(given)
    except tomllib.TOMLDecodeError as wrong:
        raise InvalidEstate(f"the policy file is no valid TOML: {wrong}") from wrong
    except ValidationError as wrong:
        raise InvalidEstate(misread("policy file", wrong, given, Policy)) from wrong


def tables(estate: "Estate") -> Tables:
    own, entities = estate.policy, estate.entity
    ruled = {code for rule in own.bill_calendar for code in rule.legal_entity}
    ruled |= {entity.code for entity in entities} if any(not r.legal_entity for r in own.bill_calendar) else set()
    routes = tuple(Route(name=_of(e.code), legal_entity=(e.code,), erp=e.erp) for e in entities)
    # Those of entities with a rule of the policy were replaced by it when the estate was loaded.
    calendars = tuple(
        BillCalendar(name=_of(e.code), legal_entity=(e.code,), bill_runs=e.bill_runs)
        for e in entities
        if e.code not in ruled
    )
    orders = tuple(
        Mandatory(name=_of(e.code), legal_entity=(e.code,), fields=("po_number",)) for e in entities if e.po_required
    )
    approvals = tuple(
        Threshold(
            name=rule.name,
            legal_entity=() if rule.legal_entity == "*" else (rule.legal_entity,),
            service_line=() if rule.service_line == "*" else (rule.service_line,),
            from_amount=rule.from_amount,
            function=rule.function,
        )
        for rule in estate.approval
    )
    return Tables(
        route=Table("route", own.route, routes, "no ERP"),
        tax=Table("tax", own.tax, (), "the contract's own tax code or exemption"),
        bill_calendar=Table("bill_calendar", own.bill_calendar, calendars, "no bill run"),
        approval=Table("approval", own.approval, approvals, "no approval"),
        owner=Table("owner", own.owner, (), "the function that the cause belongs to"),
        mandatory=Table("mandatory", own.mandatory, orders, "nothing beyond what every contract needs"),
        clause=Table("clause", own.clause, (), "no clause but those that the CLM rejects"),
    )


def _of(code: str) -> str:
    return f"entity {code}"
