"""Which of an ERP's projects belongs to which contract, on the first day on a running firm. Pure.

A project is a contract's when a list of the firm's says so, or when exactly one project has its customer, currency,
value, dates and name, and no other contract has them too. Its parts are paired likewise. What is not certain is told to
a person; nothing is ever created because nothing was found.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from sync_core.desired import DatedRate, Desired, ErpObject, Found, Kind, Rate, Scalar, fields_of, plain
from sync_core.errors import ErrorClass, Function
from sync_core.findings import Finding
from sync_core.keys import BusinessKey, ErpRef

_IDENTITY: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.PROJECT: ("customer", "currency", "value", "starts_on", "ends_on", "name"),
    Kind.CONTRACT_LINE: ("amount", "description"),
    Kind.MILESTONE: ("amount", "bill_on", "name"),
    Kind.LABOUR_RATE: ("category", "rate"),
}
# Of these a part that the contract does not have would be billed beside it.
_BILLS: Final = frozenset({Kind.MILESTONE, Kind.LABOUR_RATE})


class Result(StrEnum):
    KEYED = "keyed"  # it bears our key already: any run finds it, nothing has to be adopted
    MATCHED = "matched"
    UNMATCHED = "unmatched"
    AMBIGUOUS = "ambiguous"
    UNREAD = "unread"  # the ERP did not say all that it takes: look again


@dataclass(frozen=True, slots=True)
class Wanted:
    """A contract without a project of its own in the ERP, as far as Tieline knows."""

    contract_id: int
    name: str  # its CLM's id
    desired: Desired


@dataclass(frozen=True, slots=True)
class Adoption:
    """What became of one contract. `refs`: ours by the ERP's objects, keys as they are to be."""

    contract_id: int
    name: str
    lane: str
    result: Result
    words: str
    objects: tuple[Found, ...] = ()


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was decided for a contract and is not carried out yet."""

    lane: str
    result: Result
    words: str
    refs: Mapping[tuple[Kind, BusinessKey], ErpRef]
    decided_at: datetime  # names the decision: a later one is another

    @property
    def finding(self) -> Finding | None:
        """The exception of one that was not found for certain; None: it was."""
        if self.result is Result.AMBIGUOUS:
            words = f"it is not certain which project it is: {self.words}"
            return Finding(ErrorClass.DUPLICATE_FOUND, "adoption_ambiguous", Function.FINANCE_OPERATIONS, words)
        if self.result is Result.UNMATCHED:
            words = f"no project of it was found: {self.words}"
            return Finding(ErrorClass.REFERENCE_MISSING, "adoption_unmatched", Function.MASTER_DATA, words)
        return None


def candidates(
    wanted: Sequence[Wanted], held: Sequence[Found], named: Mapping[str, str]
) -> dict[int, Found | Adoption]:
    """By contract: the one project that may be its own, or what is to be said instead.

    `held`: the ERP's open projects, whoever made them. `named`: by the contract's name the ERP's own id, of a list.
    """
    by_ref = {str(found.ref): found for found in held}
    by_key = {found.key for found in held}
    ours = {one.desired.contract for one in wanted}
    free = [found for found in held if found.key not in ours]
    alike: dict[tuple[Scalar, ...], list[Found]] = {}
    for found in free:
        if (identity := _identity(Kind.PROJECT, found.fields)) is not None:
            alike.setdefault(identity, []).append(found)
    claimed = Counter(_wish(one) for one in wanted if one.name not in named)
    listed = Counter(named[one.name] for one in wanted if one.name in named)
    chosen: dict[int, Found | Adoption] = {}
    for one in wanted:
        if one.desired.contract in by_key:
            chosen[one.contract_id] = _said(one, Result.KEYED, "it bears our key already")
        elif one.name in named:
            chosen[one.contract_id] = _listed(one, named[one.name], by_ref, listed)
        else:
            chosen[one.contract_id] = _alike(one, alike.get(_wish(one), []), claimed[_wish(one)])
    taken = Counter(found.ref for found in chosen.values() if isinstance(found, Found))
    for one in wanted:
        said = chosen[one.contract_id]
        if isinstance(said, Found) and taken[said.ref] > 1:
            words = f"project {said.ref} would be that of {taken[said.ref]} contracts"
            chosen[one.contract_id] = _said(one, Result.AMBIGUOUS, words)
    return chosen


def _listed(one: Wanted, ref: str, by_ref: Mapping[str, Found], listed: Mapping[str, int]) -> Found | Adoption:
    if listed[ref] > 1:
        return _said(one, Result.AMBIGUOUS, f"the list names project {ref} for {listed[ref]} contracts")
    if ref not in by_ref:
        return _said(one, Result.UNMATCHED, f"the list names project {ref}, which is not open in the ERP")
    return by_ref[ref]


def _alike(one: Wanted, found: Sequence[Found], contracts: int) -> Found | Adoption:
    if not found:
        return _said(one, Result.UNMATCHED, "none has its customer, currency, value, dates and name")
    if len(found) > 1 or contracts > 1:
        refs = ", ".join(sorted(str(held.ref) for held in found))
        others = f", and {contracts} contracts are like it" if contracts > 1 else ""
        return _said(one, Result.AMBIGUOUS, f"{refs} {'are' if len(found) > 1 else 'is'} like it{others}")
    return found[0]


def _said(one: Wanted, result: Result, words: str) -> Adoption:
    return Adoption(one.contract_id, one.name, one.desired.lane, result, words)


def with_parts(one: Wanted, project: Found, parts: Iterable[Found]) -> Adoption:
    """The project with its parts paired; ambiguous where the ERP would bill something that the contract has not."""
    made = one.desired.project
    objects = [replace(project, key=one.desired.contract)] if made is not None else []
    left = [part for part in parts if part.active]
    prices: dict[BusinessKey, set[Scalar]] = {}
    for rate in (o for o in one.desired.objects if isinstance(o, Rate)):
        prices.setdefault(rate.category, set()).add(plain(rate.rate))
    lacking: set[Kind] = set()
    for wanted in (o for o in one.desired.objects if o.kind in _IDENTITY and o.kind is not Kind.PROJECT):
        same = [part for part in left if part.kind is wanted.kind and _fits(wanted, part, prices)]
        if not same:
            lacking.add(wanted.kind)
            continue
        objects.append(replace(same[0], key=wanted.key))
        left.remove(same[0])
    strange = [part for part in left if part.kind in _BILLS]
    if strange:
        told = ", ".join(f"{part.kind} {part.ref}".replace("_", " ") for part in strange[:3])
        return _said(one, Result.AMBIGUOUS, f"project {project.ref} bills what the contract has not: {told}")
    missing = f"; it lacks a {' and a '.join(sorted(lacking)).replace('_', ' ')}" if lacking else ""
    return Adoption(one.contract_id, one.name, one.desired.lane, Result.MATCHED, f"project {project.ref}{missing}",
                    tuple(objects))  # fmt: skip


def _fits(wanted: ErpObject, part: Found, prices: Mapping[BusinessKey, set[Scalar]]) -> bool:
    """A rate whose ERP held one price a category may have that of another of its days."""
    mine, held = fields_of(wanted), part.fields
    if isinstance(wanted, DatedRate) and held.get("valid_from") == mine["valid_from"]:
        return held.get("category") == mine["category"] and held.get("rate") in prices[wanted.category]
    names = [name for name in _IDENTITY[wanted.kind] if name in held]
    return not isinstance(wanted, DatedRate) and all(_plain(held[name]) == _plain(mine[name]) for name in names)


def _wish(one: Wanted) -> tuple[Scalar, ...]:
    project = one.desired.project
    found = _identity(Kind.PROJECT, fields_of(project)) if project is not None else None
    return found if found is not None else (one.name,)


def _identity(kind: Kind, fields: Mapping[str, Scalar]) -> tuple[Scalar, ...] | None:
    """None where the ERP does not hold enough of it to tell projects apart."""
    names = _IDENTITY[kind]
    return tuple(_plain(fields[name]) for name in names) if all(name in fields for name in names) else None


def _plain(value: Scalar) -> Scalar:
    return " ".join(value.casefold().split()) if isinstance(value, str) else value


# In SQL: whether a confirmed crosswalk row `x` is only of an adoption that no worker has carried out, so that it may be
# decided anew.
UNDECIDED: Final = """
    EXISTS (SELECT FROM core.adoption AS u WHERE u.contract_id = x.contract_id AND u.lane = x.system
            AND u.taken_at IS NULL AND u.refs @> jsonb_build_array(jsonb_build_array(x.kind, x.business_key, x.ref)))
"""
