"""Drift: where CLM, Tieline and ERP say different things of a contract that nothing is being done for. Pure.

A run compares the ERP with the contract before it writes; the watch makes the same comparison without a run, and the
other one too, of the contract with its CLM. What each difference is called for follows from who owns the field, by the
rules that runs follow (sync_core/domains/conflicts.py): `ours` is put back by a plan that a person has seen, an `owner`
has to decide, and `allowed` stands.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

from sync_core.contract import Contract
from sync_core.desired import Kind, Scalar, fields_of
from sync_core.engine.look import Sight
from sync_core.errors import Function
from sync_core.intake.fetching import ClmContract
from sync_core.intake.fetching import fields_of as fields_in
from sync_core.keys import ErpRef
from sync_core.life.books import invoiced
from sync_core.plan import Action, Operation

WHOLE: Final = ""  # stands for the field where all of an object is there, or is not
THERE: Final = "there"
CONTRACT: Final = "contract"  # the kind, on the CLM's side
REVISION, STATUS, PROJECT_REF = "revision", "status", "project"
_LONGEST: Final = 1_000


class Stands(StrEnum):
    """What a difference calls for."""

    OURS = "ours"  # to be repaired: by a replay, or by telling the CLM again
    OWNER = "owner"  # its owner decides; an exception says so
    ALLOWED = "allowed"  # by the estate's ownership, or by a correction


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference. Values are texts for people; None: there is nothing."""

    system: str  # name of the ERP or CLM in the estate
    kind: str
    key: str
    field: str
    ours: str | None  # what the contract says, as far as Tieline knows
    theirs: str | None
    stands: Stands
    function: Function | None = None  # who decides
    words: str = ""

    @property
    def at(self) -> tuple[str, str, str, str]:
        return self.system, self.kind, self.key, self.field

    @property
    def told_again(self) -> bool:
        """Of a CLM: what Tieline told it, or should have."""
        return self.stands is Stands.OURS and self.kind == CONTRACT and self.field in (STATUS, PROJECT_REF)


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison of one contract with one system came to."""

    system: str
    found: tuple[Drift, ...]
    invoiced: Mapping[ErpRef, Decimal | None] = field(default_factory=dict)  # of its milestones; None: nothing


def of_erp(sight: Sight, system: str) -> Compared:
    """Of a contract with what its ERP was just read to hold."""
    found = [drift for operation in sight.plan.operations for drift in _of_operation(operation, system)]
    found += [
        Drift(system, one.kind, one.key, one.field, text(one.wanted), text(one.found), Stands.ALLOWED)
        for one in sight.left
    ]
    milestones = [held for held in sight.observed.found if held.kind is Kind.MILESTONE]
    billed = {held.ref: invoiced(held) if held.billed else None for held in milestones}
    return Compared(system, tuple({one.at: one for one in (*found, *_shared(sight, system))}.values()), billed)


def _of_operation(o: Operation, system: str) -> Iterator[Drift]:
    match o.action:
        case Action.NO_OP:
            return
        case Action.CREATE:
            yield Drift(system, o.kind, o.key, WHOLE, THERE, None, Stands.OURS)
        case Action.CLOSE:
            yield Drift(system, o.kind, o.key, WHOLE, None, THERE, Stands.OURS, words=o.words)
        case Action.UPDATE | Action.ACTIVATE:
            before, after = o.before or {}, o.after or {}
            for name, value in after.items():
                theirs = text(before.get(name))
                yield Drift(system, o.kind, o.key, name, text(value), theirs, Stands.OURS, words=o.words)
        case _:
            yield from _asked(o, system)


def _asked(o: Operation, system: str) -> Iterator[Drift]:
    """A conflict or a task."""
    decides = Function.FINANCE_OPERATIONS
    before, after = o.before or {}, o.after or {}
    if not after:
        yield Drift(system, o.kind, o.key, WHOLE, None, THERE, Stands.OWNER, decides, o.words)
    for name, value in after.items():
        yield Drift(system, o.kind, o.key, name, text(value), text(before.get(name)), Stands.OWNER, decides, o.words)


def _shared(sight: Sight, system: str) -> Iterator[Drift]:
    """Master data is linked, never rewritten from a contract: what it says otherwise stands."""
    held = {(found.kind, found.key): found.fields for found in sight.observed.found if found.active}
    for wanted in sight.wanted.objects:
        theirs = held.get((wanted.kind, wanted.key)) if wanted.kind.shared else None
        for name, value in fields_of(wanted).items() if theirs is not None else ():
            if theirs is not None and name in theirs and theirs[name] != value:
                yield Drift(system, wanted.kind, wanted.key, name, text(value), text(theirs[name]), Stands.ALLOWED)


@dataclass(frozen=True, slots=True)
class Told:
    """What the CLM should have been told of a contract; None where that is on its way just now."""

    status: str
    project_ref: str | None


def of_clm(
    contract: Contract, published: Contract | None, held: ClmContract | None, system: str, told: Told | None
) -> Compared:
    """`contract` as Tieline has it; `published` the same without what Tieline's own people said of it."""
    key = contract.external_id
    if held is None:
        words = "the CLM does not know this contract any more; cancel it there, or publish it again"
        gone = Drift(system, CONTRACT, key, WHOLE, THERE, None, Stands.OWNER, Function.LEGAL, words)
        return Compared(system, (gone,))
    known = (published or contract).revision
    if held.revision > known:
        words = "the event of this revision has not come, or waits in quarantine; the next poll brings what was lost"
        late = Drift(system, CONTRACT, key, REVISION, str(known), str(held.revision), Stands.OURS, words=words)
        return Compared(system, (late,))
    found = list(_terms(contract, published, held, system)) if held.revision == known else []
    return Compared(system, (*found, *_status(held, system, told)))


def _terms(contract: Contract, published: Contract | None, held: ClmContract, system: str) -> Iterator[Drift]:
    ours, theirs = fields_in(contract), held.fields
    bare = fields_in(published) if published is not None else ours
    for name in (*ours, *(name for name in theirs if name not in ours)):
        if ours.get(name) == theirs.get(name):
            continue
        if bare.get(name) == theirs.get(name):
            words = "corrected in Tieline; the correction stands until the CLM publishes a later revision"
            yield Drift(system, CONTRACT, contract.external_id, name, ours.get(name), theirs.get(name),
                        Stands.ALLOWED, words=words)  # fmt: skip
            continue
        words = f"the CLM says otherwise than its own events did: {name}; publish the contract again from the CLM"
        yield Drift(system, CONTRACT, contract.external_id, name, ours.get(name), theirs.get(name), Stands.OWNER,
                    Function.LEGAL, words)  # fmt: skip


def _status(held: ClmContract, system: str, told: Told | None) -> Iterator[Drift]:
    if told is None:
        return
    for name, ours, theirs in ((STATUS, told.status, held.status), (PROJECT_REF, told.project_ref, held.project_ref)):
        if ours != theirs:
            words = "the CLM was told otherwise, or not at all; it is told again"
            yield Drift(system, CONTRACT, held.external_id, name, ours, theirs, Stands.OURS, words=words)


def text(value: Scalar) -> str | None:
    if value is None:
        return None
    return ("yes" if value else "no") if isinstance(value, bool) else value[:_LONGEST]
