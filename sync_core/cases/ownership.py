"""Which function may set which field of a contract, and what mends which cause: one table for form, checks and docs.

Which system's word counts for a field is sync_core/domains/domains.py's to say. A function may set one in Tieline only
as a typed correction, an event that a later revision of the CLM stands above. What lives in an ERP's master data is
mended there, and the table says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sync_core.errors import Function

_LEGAL, _FINANCE, _TAX = Function.LEGAL, Function.FINANCE_OPERATIONS, Function.TAX
_DATA, _DELIVERY, _INTEGRATION = Function.MASTER_DATA, Function.DELIVERY, Function.INTEGRATION


class Place(StrEnum):
    """Where a cause is mended."""

    CORRECTION = "Tieline or the CLM"
    CLM = "the CLM"
    ERP = "the ERP's master data"
    ERP_BOOKS = "the ERP's books"
    MASTER = "master data"
    ESTATE = "the estate file"
    APPROVAL = "Tieline"
    SUPPORT = "Tieline's setup"


class Arises(StrEnum):
    """At which step of a run a cause is found."""

    EVENTS = "fold.events"
    CONTRACT = "check.contract"
    POLICY = "check.policy"
    DRAFT = "check.draft"
    REFERENCES = "check.references"
    PLAN = "plan.diff"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the terms. `milestones.amount` is that of each milestone; `rates` is the whole list."""

    path: str
    label: str
    setter: Function  # may set it in Tieline
    owner: str = "CLM"  # whose next revision stands above what was set


FIELDS: Final[Mapping[str, Field]] = {
    field.path: field
    for field in (
        Field("legal_entity", "Legal entity", _DATA),
        Field("customer.code", "Customer code", _DATA),
        Field("customer.name", "Customer name", _DATA),
        Field("value", "Contract value", _LEGAL),
        Field("starts_on", "Start date", _LEGAL),
        Field("ends_on", "End date", _LEGAL),
        Field("po_number", "Purchase order", _FINANCE),
        Field("tax.tax_code", "Tax code", _TAX),
        Field("tax.exempt", "Exempt from tax", _TAX),
        Field("lines", "Contract lines", _LEGAL),
        Field("lines.amount", "Amount of each line", _LEGAL),
        Field("milestones", "Milestones", _LEGAL),
        Field("milestones.amount", "Amount of each milestone", _LEGAL),
        Field("milestones.line", "Contract line that each milestone bills", _LEGAL),
        Field("rates", "Rate card", _DELIVERY),
        Field("rates.rate", "Rate per hour", _DELIVERY),
        Field("rates.line", "Contract line that each rate bills", _LEGAL),
    )
}


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason for an exception. `mended` names fields of FIELDS, or nothing when it is mended elsewhere."""

    name: str
    owner: Function
    arises: Arises
    place: Place
    how: str
    mended: tuple[str, ...] = ()


def _contract(name: str, owner: Function, how: str, *mended: str) -> Cause:
    return Cause(name, owner, Arises.CONTRACT, Place.CORRECTION if mended else Place.CLM, how, mended)


def _reference(name: str, owner: Function, how: str, *mended: str) -> Cause:
    return Cause(name, owner, Arises.REFERENCES, Place.ERP, how, mended)


_ALL: Final = (
    _contract("terms_missing", _LEGAL, "publish the contract again from the CLM"),
    Cause("legal_entity_unknown", _DATA, Arises.CONTRACT, Place.CORRECTION,
          "name a legal entity of the estate, or add this one to the estate file", ("legal_entity",)),
    _contract("customer_missing", _DATA, "name the customer, by its code in master data",
              "customer.code", "customer.name"),
    Cause("customer_near_duplicate", _DATA, Arises.CONTRACT, Place.APPROVAL,
          "say which customer of master data it is, or that it is another one", ("customer.code", "customer.name")),
    Cause("customer_inactive", _DATA, Arises.CONTRACT, Place.MASTER, "open the customer there, or name another one",
          ("customer.code",)),
    Cause("legal_entity_closed", _DATA, Arises.CONTRACT, Place.MASTER, "open the legal entity there, or name another",
          ("legal_entity",)),
    Cause("events_contradict", _LEGAL, Arises.EVENTS, Place.CLM, "publish the contract again from the CLM"),
    Cause("approval_rejected", _LEGAL, Arises.POLICY, Place.CLM, "approve the contract in the CLM, or cancel it"),
    Cause("clause_rejected", _LEGAL, Arises.POLICY, Place.CLM, "approve or renegotiate the clauses in the CLM"),
    Cause("clause_not_approved", _LEGAL, Arises.POLICY, Place.CLM,
          "approve in the CLM the clauses that the policy names"),
    Cause("draft_would_not_provision", _LEGAL, Arises.DRAFT, Place.CLM,
          "mend the draft in the CLM before it is signed; it holds up nothing"),
    Cause("approval_needed", _FINANCE, Arises.POLICY, Place.APPROVAL,
          "approve or refuse it; the function is that of the estate's rule"),
    Cause("approval_refused", _LEGAL, Arises.POLICY, Place.APPROVAL,
          "renegotiate or cancel it in the CLM, or have it approved after all"),
    _contract("amount_invalid", _LEGAL, "state amounts in whole minor units of the currency",
              "value", "lines.amount", "milestones.amount"),
    _contract("lines_do_not_add_up", _LEGAL, "correct the lines or the value", "lines.amount", "value"),
    _contract("end_before_start", _LEGAL, "correct one of the dates", "starts_on", "ends_on"),
    _contract("line_key_twice", _LEGAL, "give each line its own key", "lines"),
    _contract("line_unknown", _LEGAL, "name lines that exist", "milestones.line", "rates.line"),
    _contract("milestones_do_not_add_up", _LEGAL, "correct the milestones or the value", "milestones.amount", "value"),
    _contract("milestone_key_twice", _LEGAL, "give each milestone its own key", "milestones"),
    Cause("milestone_key_reused", _LEGAL, Arises.PLAN, Place.CORRECTION,
          "give the milestone a key that no agreement before had", ("milestones",)),
    _contract("billing_mixed", _LEGAL, "take the milestones out, or correct in the CLM how it bills", "milestones"),
    _contract("rate_card_missing", _DELIVERY, "give a rate for each labour category", "rates"),
    _contract("rate_twice", _DELIVERY, "keep one rate for each category and day", "rates"),
    _contract("rate_missing", _DELIVERY, "agree the rate and enter it", "rates.rate"),
    _contract("tax_code_missing", _TAX, "determine the tax: a code, or an exemption", "tax.tax_code", "tax.exempt"),
    _contract("po_missing", _FINANCE, "ask the customer for the number", "po_number"),
    _contract("mandatory_missing", _LEGAL, "publish it from the CLM with the fields that the policy asks for"),
    Cause("revenue_rule_missing", _FINANCE, Arises.CONTRACT, Place.ESTATE, "add a [[revenue]] rule that fits"),
    _reference("legal_entity_missing", _DATA, "create the legal entity in the ERP"),
    _reference("currency_differs", _FINANCE, "bill it from a legal entity that keeps books in this currency"),
    _reference("tax_profile_missing", _TAX, "set the tax profile up in the ERP, or correct the tax code",
               "tax.tax_code"),
    _reference("payment_terms_missing", _FINANCE, "add the payment terms in the ERP"),
    _reference("revenue_category_missing", _FINANCE, "add the revenue category in the ERP"),
    _reference("period_closed", _FINANCE, "open the period in the ERP, or have legal move the start", "starts_on"),
    _reference("customer_unknown", _DATA, "create the customer in master data"),
    _reference("customer_tax_profile_missing", _TAX, "complete the customer's tax registration in the ERP"),
    _reference("labour_category_missing", _DELIVERY, "add the labour category in the ERP"),
    _reference("master_data_double", _DATA, "merge the doubles in the ERP"),
    Cause("clm_differs", _LEGAL, Arises.EVENTS, Place.CLM,
          "publish the contract again from the CLM, so that its events say what it says"),
    Cause("amendment_missing", _LEGAL, Arises.EVENTS, Place.CLM, "publish the missing amendment from the CLM"),
    Cause("silent_change", _LEGAL, Arises.EVENTS, Place.CLM,
          "publish the numbered amendment, or the agreed terms again; or accept here what was published"),
    Cause("double_in_erp", _FINANCE, Arises.PLAN, Place.ERP_BOOKS, "close one of the two in the ERP"),
    Cause("billed_differs", _FINANCE, Arises.PLAN, Place.ERP_BOOKS, "credit or bill the difference in the ERP"),
    Cause("ownership_conflict", _FINANCE, Arises.PLAN, Place.APPROVAL,
          "keep the contract's value, which is then written again, or take the ERP's into the contract"),
    Cause("earned_not_billed", _FINANCE, Arises.PLAN, Place.ERP_BOOKS,
          "invoice what was due by the end of the contract, or have it amended away in the CLM"),
    Cause("rate_change_unbilled", _FINANCE, Arises.PLAN, Place.ERP_BOOKS,
          "invoice the hours that were worked before the day of the new price, or credit what was billed otherwise"),
    Cause("adoption_ambiguous", _FINANCE, Arises.PLAN, Place.ERP_BOOKS,
          "name its project in a list, and adopt with that: tieline adopt --csv"),
    Cause("adoption_unmatched", _DATA, Arises.PLAN, Place.ERP_BOOKS,
          "find its project in the ERP and name it in a list, or have it created after the cut-over"),
    Cause("project_elsewhere", _FINANCE, Arises.PLAN, Place.ERP_BOOKS,
          "move it there, or close the project in the other ERP"),
    Cause("earned_before_move", _FINANCE, Arises.PLAN, Place.ERP_BOOKS,
          "invoice what was earned in the ERP that it leaves, or take it back there"),
    Cause("billed_untold", _FINANCE, Arises.PLAN, Place.ERP_BOOKS,
          "take back in the ERP that it leaves the hours that were invoiced while it was being closed"),
    Cause("erp_rejected", _FINANCE, Arises.WRITE, Place.ERP_BOOKS, "remove the reason that the ERP gives"),
    Cause("erp_credentials", _INTEGRATION, Arises.WRITE, Place.SUPPORT, "renew the ERP's credentials"),
    Cause("erp_schema_unknown", _INTEGRATION, Arises.WRITE, Place.SUPPORT, "fit the connector to the ERP's answers"),
    Cause("outcome_unknown", _INTEGRATION, Arises.WRITE, Place.SUPPORT, "see in the ERP what became of it, replay"),
    Cause("internal", _INTEGRATION, Arises.WRITE, Place.SUPPORT, "report it with its traceback, then replay"),
)  # fmt: skip
CAUSES: Final[Mapping[str, Cause]] = {cause.name: cause for cause in _ALL}


def setter_of(path: str) -> Function:
    """Who may set a field of the terms. Of a part's field that has no row of its own it is who sets the part; what else
    the contract states is legal's.
    """
    field = FIELDS.get(path) or FIELDS.get(path.partition(".")[0])
    return field.setter if field else _LEGAL


def fields_for(cause: str, function: str) -> tuple[Field, ...]:
    """What `function` may set to mend `cause`; empty when that is nothing."""
    known = CAUSES.get(cause)
    return tuple(FIELDS[path] for path in known.mended if FIELDS[path].setter == function) if known else ()


def where_mended(cause: str, function: str) -> str:
    """One sentence for whoever has the exception: what to do, and where."""
    known = CAUSES.get(cause)
    if known is None:
        return "Nobody knows this cause any more; close it by decision or wait for the next run."
    others = sorted({FIELDS[path].setter for path in known.mended} - {function})
    here = " or here" if fields_for(cause, function) else ""
    words = f"{known.how[0].upper()}{known.how[1:]}; it is mended in {known.place}{here}."
    if known.place in (Place.CORRECTION, Place.APPROVAL):
        words = f"{known.how[0].upper()}{known.how[1:]}."
    if known.mended and not fields_for(cause, function):
        words += f" Its fields are for {', '.join(_words(other) for other in others)} to set: hand it over."
    return words


def causes_table() -> str:
    """The table of docs/exceptions.md."""
    lines = ["| cause | arises at | owner | mended in | how | fields of the correction |", "| --- " * 6 + "|"]
    for cause in CAUSES.values():
        fields = ", ".join(f"{FIELDS[path].label.lower()} ({_words(FIELDS[path].setter)})" for path in cause.mended)
        cells = (f"`{cause.name}`", f"`{cause.arises}`", _words(cause.owner), cause.place, cause.how, fields)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _words(function: Function) -> str:
    return function.value.replace("_", " ")
