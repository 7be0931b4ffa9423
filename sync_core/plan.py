"""The diff: what must exist against what an ERP holds, to an ordered list of operations.

Pure, and shown to people as it is: the preview of a replay is its plan. The operation that makes a project
billable comes last; an invoiced object is never touched. Where its books differ from the contract they are a task for
a person, which stops nothing else; a double of it is a conflict, which does.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import TypeAlias

import orjson

from sync_core.desired import BillingMilestone, DatedRate, Desired, ErpObject, Fields, Found, Kind, Rate, fields_of
from sync_core.errors import ErrorClass
from sync_core.findings import Difference
from sync_core.keys import BusinessKey, ErpRef
from sync_core.life.books import told, unsettled
from sync_core.life.closing import closed_if_billed
from sync_core.life.reused import told as reused


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    ACTIVATE = "activate"
    CLOSE = "close"
    ADOPT = "adopt"  # an object that was there before bears our key from now on
    NO_OP = "no_op"
    CONFLICT = "conflict"
    TASK = "task"  # nothing is sent: finance settles in the ERP what was invoiced otherwise


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of a plan. `before` and `after` hold only the fields that differ (all of them for a create)."""

    action: Action
    kind: Kind
    key: BusinessKey
    ref: ErpRef | None = None
    before: Fields | None = None
    after: Fields | None = None
    wanted: ErpObject | None = None  # what to create or update to; None for a close
    why: ErrorClass | None = None  # of a conflict
    words: str = ""
    difference: Difference | None = None  # of a task


@dataclass(frozen=True, slots=True)
class Plan:
    contract: BusinessKey
    operations: tuple[Operation, ...]

    @property
    def writes(self) -> tuple[Operation, ...]:
        return tuple(o for o in self.operations if o.action not in _SENDS_NOTHING)

    @property
    def conflicts(self) -> tuple[Operation, ...]:
        return tuple(o for o in self.operations if o.action is Action.CONFLICT)

    @property
    def tasks(self) -> tuple[Operation, ...]:
        return tuple(o for o in self.operations if o.action is Action.TASK)

    @property
    def digest(self) -> str:
        """Names the plan's effect: equal for equal effects, whatever order things were found in."""
        effects = [[o.action, o.kind, o.key, o.ref, o.before, o.after] for o in self.operations]
        return hashlib.sha256(orjson.dumps(effects, option=orjson.OPT_SORT_KEYS)).hexdigest()


Held: TypeAlias = dict[tuple[Kind, BusinessKey], list[Found]]

_SENDS_NOTHING = frozenset({Action.NO_OP, Action.CONFLICT, Action.TASK})
_CREATED_UNBILLABLE = {"billable": False}


def diff(desired: Desired, found: Sequence[Found], *, keep: Mapping[BusinessKey, ErpRef] | None = None) -> Plan:
    """The operations that make `found` equal to `desired`, in the order in which they must run.

    `keep` says, by business key, which of several duplicates is the one we know (from the crosswalk).
    """
    desired = closed_if_billed(desired, found)
    held = _by_key(_standing(found), keep or {})
    before = _of_before(desired, found, keep or {})
    if desired.project is None:
        # Closing a project closes its unbilled parts; what was billed stays as it was.
        held = {(kind, key): matches for (kind, key), matches in held.items() if kind is Kind.PROJECT}
    operations: list[Operation] = []
    activation: list[Operation] = []
    for wanted in sorted(desired.objects, key=lambda o: (o.kind.rank, o.key)):
        matches = held.pop((wanted.kind, wanted.key), [])
        operations += [_extra(extra) for extra in matches[1:]]
        step, activate = _one(wanted, matches[0] if matches else None, before)
        operations += [*_otherwise_priced(wanted, matches, step), step]
        activation += activate
    leftovers = [f for matches in held.values() for f in matches if not f.kind.shared and f.active]
    closing = [step for f in sorted(leftovers, key=_children_first) for step in _superfluous(f, desired)]
    return Plan(desired.contract, (*operations, *closing, *activation))


def _standing(found: Sequence[Found]) -> list[Found]:
    """Without the lines and rates of closed projects, which bill nothing: hours of them do not make a new one's rate.
    Of an invoiced milestone it is the key that counts, wherever it stands.
    """
    is_open = {f.ref for f in found if f.kind is Kind.PROJECT and f.active}
    return [f for f in found if f.parent is None or f.kind is Kind.MILESTONE or f.parent in is_open]


def _of_before(desired: Desired, found: Iterable[Found], keep: Mapping[BusinessKey, ErpRef]) -> Set[BusinessKey]:
    """Milestones that were invoiced under an agreement before, though this one has them. Of a project that is not known
    yet, whoever died while making it, all is this one's.
    """
    if not desired.unconfirmed:
        return frozenset()
    known = {*keep.values()}
    fresh = {f.ref for f in found if f.kind is Kind.PROJECT and f.active and f.ref not in known}
    billed = {f.key for f in found if f.kind is Kind.MILESTONE and f.billed and f.active and f.parent not in fresh}
    return billed & desired.unconfirmed


def _by_key(found: Iterable[Found], keep: Mapping[BusinessKey, ErpRef]) -> Held:
    groups: Held = {}
    for item in found:
        if item.active:
            groups.setdefault((item.kind, item.key), []).append(item)
    if all(len(matches) == 1 for matches in groups.values()):
        return groups
    for matches in groups.values():
        # The billed one must stay, then one that can be billed; then the one we know; then the oldest, by reference.
        matches.sort(key=lambda f: (not f.billed, not f.earned, keep.get(f.key) != f.ref, len(f.ref), f.ref))
    return _without_parts_of_extras(groups)


def _without_parts_of_extras(
    groups: Held,
) -> Held:
    """Parts of a surplus project go with it, so they are neither kept nor closed one by one."""
    surplus = {f.ref for (kind, _), matches in groups.items() if kind is Kind.PROJECT for f in matches[1:]}
    if not surplus:
        return groups
    kept = {at: [f for f in matches if f.parent not in surplus] for at, matches in groups.items()}
    return {at: matches for at, matches in kept.items() if matches}


def _one(wanted: ErpObject, held: Found | None, before: Set[BusinessKey]) -> tuple[Operation, list[Operation]]:
    after = fields_of(wanted)
    # A new rate prices the hours that are not billed yet; a billed milestone has nothing left to bill, nor has a rate
    # whose days are over once all their hours are invoiced.
    if held is not None and held.billed and isinstance(wanted, BillingMilestone):
        if wanted.key in before:
            return _conflict(held, ErrorClass.MISSING_DATA, reused(wanted.key.partition("#M:")[2])), []
        return _invoiced(held, wanted), []
    if held is not None and held.settled and isinstance(wanted, Rate):
        return _invoiced(held, wanted), []
    billable = after.get("billable") is True
    if held is None:
        created = {**after, **_CREATED_UNBILLABLE} if billable else after
        step = Operation(Action.CREATE, wanted.kind, wanted.key, after=created, wanted=wanted)
        return step, [_activation(wanted, None)] if billable else []
    changed = {name for name, value in after.items() if name in held.fields and held.fields[name] != value}
    activate = []
    if billable and "billable" in changed:
        changed.discard("billable")
        activate = [_activation(wanted, held.ref)]
    return _update(wanted, held, after, changed), activate


def _update(wanted: ErpObject, held: Found, after: Fields, changed: set[str]) -> Operation:
    # Shared master data belongs to its owner: it is linked, never rewritten from a contract.
    if not changed or wanted.kind.shared:
        return Operation(Action.NO_OP, wanted.kind, wanted.key, ref=held.ref, wanted=wanted)
    names = [name for name in after if name in changed]
    before, new = {n: held.fields[n] for n in names}, {n: after[n] for n in names}
    return Operation(Action.UPDATE, wanted.kind, wanted.key, held.ref, before, new, wanted)


def _activation(wanted: ErpObject, ref: ErpRef | None) -> Operation:
    return Operation(Action.ACTIVATE, wanted.kind, wanted.key, ref, {"billable": False}, {"billable": True}, wanted)


def _extra(extra: Found) -> Operation:
    words = f"a second {extra.kind} with the key {extra.key}: {extra.ref}"
    if extra.billed or extra.earned or extra.kind.shared:
        return _conflict(extra, ErrorClass.DUPLICATE_FOUND, words)
    return Operation(Action.CLOSE, extra.kind, extra.key, extra.ref, extra.fields, words=words)


def _conflict(held: Found, why: ErrorClass, words: str) -> Operation:
    return Operation(Action.CONFLICT, held.kind, held.key, held.ref, held.fields, why=why, words=words)


def _otherwise_priced(wanted: ErpObject, matches: Sequence[Found], step: Operation) -> list[Operation]:
    """Of a rate: the task for its invoiced hours, beside the new price for those that are not invoiced."""
    if not matches or not isinstance(wanted, Rate) or step.action is Action.TASK:
        return []
    task = _invoiced(matches[0], wanted)
    return [task] if task.action is Action.TASK else []


def _superfluous(held: Found, desired: Desired) -> list[Operation]:
    if held.billed and held.key in desired.earlier:
        words = "invoiced under an agreement before"
        return [Operation(Action.NO_OP, held.kind, held.key, held.ref, words=words)]
    if held.billed and (covering := _covering(held, desired)):
        step, _ = _one(covering, held, frozenset())
        return [*_otherwise_priced(covering, [held], step), step]
    if held.billed and held.kind is not Kind.PROJECT:
        return [_invoiced(held, None)]
    return [Operation(Action.CLOSE, held.kind, held.key, held.ref, held.fields)]


def _covering(held: Found, desired: Desired) -> DatedRate | None:
    """What a billed rate must be that begins on a day of which the contract says nothing any more: its hours have the
    price of the period in which that day lies now.
    """
    rates = [o for o in desired.objects if isinstance(o, DatedRate) and o.category == held.fields.get("category")]
    since = held.fields.get("valid_from")
    if held.kind is not Kind.LABOUR_RATE or not isinstance(since, str) or not rates:
        return None
    day = date.fromisoformat(since)
    begun = [o for o in rates if (o.valid_from or date.min) <= day] or rates
    latest = max(begun, key=lambda o: o.valid_from or date.min)
    return replace(latest, key=held.key, valid_from=day)


def _invoiced(held: Found, wanted: BillingMilestone | Rate | None) -> Operation:
    """An invoiced part stays as it is; what its books lack to the contract is a task."""
    difference = unsettled(held, wanted)
    if difference is None:
        return Operation(Action.NO_OP, held.kind, held.key, held.ref, wanted=wanted)
    before, after = {"amount": difference.held}, {"amount": difference.wanted}
    currency = wanted.currency if wanted else str(held.fields.get("currency") or "")
    words = told(difference, currency)
    return Operation(
        Action.TASK, held.kind, held.key, held.ref, before, after, wanted, words=words, difference=difference
    )


def _children_first(held: Found) -> tuple[int, BusinessKey, ErpRef]:
    return -held.kind.rank, held.key, held.ref
