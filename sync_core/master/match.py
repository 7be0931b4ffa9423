"""Which master record a contract's customer is, and what speaks against going on with it. Pure.

In this order: the MDM's own id, what a person decided for this code, the tax number, the code. Where that decision was
taken back, nothing after it says anything until a person decides again: else what they undid could become another
customer by itself. A record that was merged stands for the one it was merged into. What several records share tells
none of them apart, unless the contract's code does: that makes an exception, as records do with names that are alike
where nothing matches. A machine neither takes one for the other nor makes a second customer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

from sync_core.contract import Contract, Party
from sync_core.desired import Scalar
from sync_core.errors import ErrorClass, Function
from sync_core.findings import Difference, Finding
from sync_core.life.lifecycle import on_day
from sync_core.master.names import alike, folded, tax_key
from sync_core.master.records import ACTIVE

NEAR: Final = "customer_near_duplicate"
INACTIVE: Final = "customer_inactive"
CLOSED: Final = "legal_entity_closed"
ALIKE: Final = "alike"  # kind of the differences of NEAR
_LONGEST_CHAIN: Final = 10
_SHOWN: Final = 5

Id = tuple[str, str]  # system, mdm_id


@dataclass(frozen=True, slots=True)
class Record:
    """A customer's master record as it is kept here."""

    system: str
    mdm_id: str
    code: str
    name: str
    tax_id: str | None = None
    country: str | None = None
    status: str = ACTIVE
    merged_into: str | None = None

    @property
    def id(self) -> Id:
        return self.system, self.mdm_id


@dataclass(slots=True)
class Masters:
    """The records that one contract may mean, and what people decided of its customer codes."""

    customers: dict[Id, Record] = field(default_factory=dict)
    decided: dict[str, Id | None] = field(default_factory=dict)  # by the contract's code; None: none of those alike
    taken_back: dict[str, Id | None] = field(default_factory=dict)  # what had been decided; nobody decided again
    entities: dict[str, str] = field(default_factory=dict)  # status of a legal entity, by code


@dataclass(frozen=True, slots=True)
class Match:
    record: Record | None = None
    near: tuple[Record, ...] = ()
    held: bool = False  # what had been decided was taken back: a person says, whether or not any is near


@dataclass(frozen=True, slots=True)
class Identified:
    """The contract with its customer as master data has it."""

    contract: Contract
    record: Record | None = None
    findings: tuple[Finding, ...] = ()
    values: Mapping[str, Scalar] = field(default_factory=dict)  # what master data says otherwise, for the CLM


def match(party: Party, masters: Masters) -> Match:
    known, held = masters.customers, party.code in masters.taken_back
    decided = masters.taken_back[party.code] if held else masters.decided.get(party.code)
    person = known.get(decided) if decided else None
    by_id, others = _by_id(party, known), (_by_tax(party, known), _by_code(party, known))
    ways = (by_id, [person] if person else [], *others)
    alikes: list[Record] = []
    for fitting in ways[:1] if held else ways:
        alikes = _survivors(fitting, known)
        sure = _told_apart(party, alikes)
        if sure is not None:
            return Match(sure)
        if alikes and person is None:
            break
    if held:
        alikes = _survivors([record for way in ways for record in way], known)
    elif party.code in masters.decided:
        return Match()
    name = folded(party.name)
    alikes += [r for r in _ordered(known) if r.merged_into is None and r not in alikes and _like(party, name, r)]
    return Match(near=tuple(alikes[:_SHOWN]), held=held)


def _ordered(known: Mapping[Id, Record]) -> list[Record]:
    """Those that stand for themselves first, then by id: the same answer whatever order they came in."""
    return sorted(known.values(), key=lambda r: (r.merged_into is not None, r.status != ACTIVE, r.id))


def _by_id(party: Party, known: Mapping[Id, Record]) -> list[Record]:
    """Several, where two master-data systems number their records alike."""
    return [r for r in _ordered(known) if party.mdm_id and r.mdm_id == party.mdm_id]


def _by_tax(party: Party, known: Mapping[Id, Record]) -> list[Record]:
    same = [r for r in _ordered(known) if r.merged_into is None and _same_number(party, r)]
    return [r for r in same if r.country or not party.country]


def _by_code(party: Party, known: Mapping[Id, Record]) -> list[Record]:
    return [r for r in _ordered(known) if r.code == party.code]


def _same_number(party: Party, record: Record) -> bool:
    """The same number of another country is another number; where the record's is not known, a person says."""
    key = tax_key(party.tax_id)
    return key is not None and tax_key(record.tax_id) == key and not _abroad(party, record)


def _abroad(party: Party, record: Record) -> bool:
    return bool(party.country and record.country and party.country.upper() != record.country.upper())


def _survivors(fitting: Sequence[Record], known: Mapping[Id, Record]) -> list[Record]:
    return list({one.id: one for one in (_survivor(record, known) for record in fitting)}.values())


def _told_apart(party: Party, alikes: Sequence[Record]) -> Record | None:
    """The only one, or the only one with the contract's code."""
    with_code = [r for r in alikes if r.code == party.code]
    return next((some[0] for some in (alikes, with_code) if len(some) == 1), None)


def _like(party: Party, name: str, record: Record) -> bool:
    if _same_number(party, record):
        return True  # several under one number: which one is for a person to say
    return alike(name, party.country, folded(record.name), record.country)


def _survivor(record: Record, known: Mapping[Id, Record]) -> Record:
    """Where the chain of merges ends; a ring of them, or one that leads nowhere, ends at the last one known."""
    for _ in range(_LONGEST_CHAIN):
        after = known.get((record.system, record.merged_into)) if record.merged_into else None
        if after is None:
            break
        record = after
    return record


def identify(contract: Contract, masters: Masters | None, *, owned: bool, on: date) -> Identified:
    """`owned`: master data owns what a customer is called; else its code alone is taken from there.

    Those that an amendment replaces from a day on are identified too; what is said is of the one of the day `on`.
    """
    terms, today = contract.terms, on_day(contract, on).contract.terms
    if masters is None or terms is None or today is None:
        return Identified(contract)
    stated, found = today.customer, match(today.customer, masters)
    dated = tuple(
        replace(one, value=_as_known(one.value, masters, owned=owned)) if isinstance(one.value, Party) else one
        for one in contract.dated
    )
    latest = _as_known(terms.customer, masters, owned=owned)
    known = replace(contract, terms=replace(terms, customer=latest), dated=dated)
    closed = _closed(today.legal_entity, masters)
    if found.record is None:
        return Identified(known, findings=(*_near(stated, found), *closed))
    party = _as_known(stated, masters, owned=owned)
    return Identified(known, found.record, (*_inactive(found.record), *closed), _told(stated, party))


def _as_known(stated: Party, masters: Masters, *, owned: bool) -> Party:
    record = match(stated, masters).record
    if record is None:
        return stated
    party = replace(stated, code=record.code, mdm_id=record.mdm_id)
    if owned:
        tax_id, country = record.tax_id or stated.tax_id, record.country or stated.country
        party = replace(party, name=record.name, tax_id=tax_id, country=country)
    return party


def _told(stated: Party, party: Party) -> dict[str, Scalar]:
    names = ("code", "name", "tax_id", "country")
    return {f"customer.{n}": getattr(party, n) for n in names if getattr(party, n) != getattr(stated, n)}


def _near(stated: Party, found: Match) -> Iterator[Finding]:
    if not found.near and not found.held:
        return
    customer, listed = f"customer {stated.code} “{stated.name}”", ", ".join(f"{r.code} “{r.name}”" for r in found.near)
    words = f"{customer} is much like {listed} of master data; say whether it is the same"
    if found.held:
        again = f"whether it is {listed} of master data" if listed else "that it is a customer of its own"
        words = f"what was decided of {customer} was taken back; say again {again}"
    parts = tuple(Difference(ALIKE, f"{r.system}/{r.mdm_id}", f"{r.code} {r.name}", stated.name) for r in found.near)
    yield Finding(
        ErrorClass.REFERENCE_MISSING, "customer_near_duplicate", Function.MASTER_DATA, words, differences=parts
    )


def _inactive(record: Record) -> Iterator[Finding]:
    if record.status != ACTIVE:
        words = f"master data has customer {record.code} as {record.status}; open it there, or correct the contract"
        yield Finding(ErrorClass.REFERENCE_MISSING, "customer_inactive", Function.MASTER_DATA, words)


def _closed(code: str, masters: Masters) -> Iterator[Finding]:
    status = masters.entities.get(code, ACTIVE)
    if status != ACTIVE:
        words = f"master data has legal entity {code} as {status}; correct the contract, or open it there"
        yield Finding(ErrorClass.REFERENCE_MISSING, "legal_entity_closed", Function.MASTER_DATA, words)
