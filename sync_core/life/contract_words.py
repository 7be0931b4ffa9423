"""A contract in words, field by field, and what differs between two of them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Final

from sync_core.contract import Contract, Terms
from sync_core.desired import plain

EFFECTIVE: Final = "effective on"  # of an amendment
NEVER_SENT: Final = "(never sent)"  # likewise


@dataclass(frozen=True, slots=True)
class Change:
    """One field before and after; None where it was not there. `field` is in words: "milestone M1, amount"."""

    field: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.field}: {self.after}"
        return f"{self.field}: {self.before} → {self.after if self.after is not None else 'removed'}"


def changes_between(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    """In the order of the contract's fields; removed ones last."""
    names = [*after, *(name for name in before if name not in after)]
    return [Change(n, before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n)]


def flat(contract: Contract) -> dict[str, str]:
    """What a reader calls the contract: a text for each field that has a value."""
    shown: dict[str, str] = {"stage": contract.stage.value, "approval": contract.approval.value}
    if contract.signed_at is not None:
        shown["signed"] = contract.signed_at.isoformat(timespec="seconds")
    if contract.ended_on is not None:
        shown["ended on"] = contract.ended_on.isoformat()
    if contract.terms is not None:
        shown |= _terms(contract.terms)
    shown |= {f"clause {name}": status.value for name, status in contract.clauses}
    for amendment in contract.amendments:
        shown[f"amendment {amendment.number}"] = amendment.summary or "executed"
        if amendment.effective_on is not None:
            shown[f"amendment {amendment.number}, {EFFECTIVE}"] = amendment.effective_on.isoformat()
    for decision in contract.decisions:
        what = "approved up to" if decision.approved else "refused from"
        money = f"{plain(decision.amount)} {decision.currency}"
        shown[f"approval under {decision.rule}"] = f"{what} {money} by {decision.by}"
    if contract.missing_amendment is not None:
        shown["missing amendment"] = str(contract.missing_amendment)
    return shown


def _terms(terms: Terms) -> dict[str, str]:
    shown: dict[str, str] = {}
    for field in fields(terms):
        value = getattr(terms, field.name)
        if isinstance(value, tuple):
            for part in value:
                shown |= _fields(f"{_words(field.name).removesuffix('s')} {_key(part)}, ", part)
        elif hasattr(value, "__dataclass_fields__"):
            shown |= _fields(f"{_words(field.name)} ", value)
        else:
            shown |= _one(_words(field.name), value)
    return shown


def _key(part: object) -> str:
    """A rate is known by its category and first day, other parts by their key."""
    key = getattr(part, "key", None) or getattr(part, "category", "")
    since = getattr(part, "valid_from", None)
    return f"{key} from {since}" if since else str(key)


def _fields(prefix: str, value: object) -> dict[str, str]:
    shown: dict[str, str] = {}
    for field in fields(value):  # type: ignore[arg-type]  # callers pass dataclasses
        if field.name not in ("key", "category", "valid_from"):
            name = _words(field.name)
            doubled = prefix.endswith(" ") and name.startswith(prefix)  # "tax", "tax code"
            shown |= _one(name if doubled else prefix + name, getattr(value, field.name))
    return shown


def _one(name: str, value: object) -> dict[str, str]:
    text = plain(value.value if isinstance(value, Enum) else value)
    if text is None or text is False:
        return {}
    return {name: "yes" if text is True else str(text)}


def _words(name: str) -> str:
    return name.replace("_", " ")
