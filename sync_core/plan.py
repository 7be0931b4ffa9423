"""The diff: what must exist against what an ERP holds, to an ordered list of operations.

Pure, and shown to people as it is: the preview of a replay is its plan. The operation that makes a project
billable comes last; an invoiced object is never touched, a difference there is a conflict for a person.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import orjson

from sync_core.desired import Desired, ErpObject, Fields, Found, Kind, fields_of
from sync_core.errors import ErrorClass
from sync_core.keys import BusinessKey, ErpRef


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    ACTIVATE = "activate"
    CLOSE = "close"
    NO_OP = "no_op"
    CONFLICT = "conflict"


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


@dataclass(frozen=True, slots=True)
class Plan:
    contract: BusinessKey
    operations: tuple[Operation, ...]

    @property
    def writes(self) -> tuple[Operation, ...]:
        return tuple(o for o in self.operations if o.action not in (Action.NO_OP, Action.CONFLICT))

    @property
    def conflicts(self) -> tuple[Operation, ...]:
        return tuple(o for o in self.operations if o.action is Action.CONFLICT)

    @property
    def digest(self) -> str:
        """Names the plan's effect: equal for equal effects, whatever order things were found in."""
        effects = [[o.action, o.kind, o.key, o.ref, o.before, o.after] for o in self.operations]
        return hashlib.sha256(orjson.dumps(effects, option=orjson.OPT_SORT_KEYS)).hexdigest()


_CREATED_UNBILLABLE = {"billable": False}


def diff(desired: Desired, found: Sequence[Found], *, keep: Mapping[BusinessKey, ErpRef] | None = None) -> Plan:
    """The operations that make `found` equal to `desired`, in the order in which they must run.

    `keep` says, by business key, which of several duplicates is the one we know (from the crosswalk).
    """
    held = _by_key(found, keep or {})
    if desired.project is None:
        # Closing a project closes its unbilled parts; what was billed stays as it was.
        held = {(kind, key): matches for (kind, key), matches in held.items() if kind is Kind.PROJECT}
    operations: list[Operation] = []
    activation: list[Operation] = []
    for wanted in sorted(desired.objects, key=lambda o: (o.kind.rank, o.key)):
        matches = held.pop((wanted.kind, wanted.key), [])
        operations += [_extra(extra) for extra in matches[1:]]
        step, activate = _one(wanted, matches[0] if matches else None)
        operations.append(step)
        activation += activate
    leftovers = [f for matches in held.values() for f in matches if not f.kind.shared and f.active]
    closing = [_superfluous(f) for f in sorted(leftovers, key=_children_first)]
    return Plan(desired.contract, (*operations, *closing, *activation))


def _by_key(found: Iterable[Found], keep: Mapping[BusinessKey, ErpRef]) -> dict[tuple[Kind, BusinessKey], list[Found]]:
    groups: dict[tuple[Kind, BusinessKey], list[Found]] = {}
    for item in found:
        if item.active:
            groups.setdefault((item.kind, item.key), []).append(item)
    if all(len(matches) == 1 for matches in groups.values()):
        return groups
    for matches in groups.values():
        # The billed one must stay; then the one we know; then the oldest, by reference.
        matches.sort(key=lambda f: (not f.billed, keep.get(f.key) != f.ref, len(f.ref), f.ref))
    return _without_parts_of_extras(groups)


def _without_parts_of_extras(
    groups: dict[tuple[Kind, BusinessKey], list[Found]],
) -> dict[tuple[Kind, BusinessKey], list[Found]]:
    """Parts of a surplus project go with it, so they are neither kept nor closed one by one."""
    surplus = {f.ref for (kind, _), matches in groups.items() if kind is Kind.PROJECT for f in matches[1:]}
    if not surplus:
        return groups
    kept = {at: [f for f in matches if f.parent not in surplus] for at, matches in groups.items()}
    return {at: matches for at, matches in kept.items() if matches}


def _one(wanted: ErpObject, held: Found | None) -> tuple[Operation, list[Operation]]:
    after = fields_of(wanted)
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
    # A new rate prices the hours that are not billed yet; a billed milestone has nothing left to bill.
    if held.billed and wanted.kind is Kind.MILESTONE:
        words = f"{wanted.kind} {wanted.key} is already invoiced; {', '.join(names)} differs from the contract"
        return Operation(
            Action.CONFLICT,
            wanted.kind,
            wanted.key,
            held.ref,
            before,
            new,
            wanted,
            ErrorClass.ERP_REJECTED,
            words,
        )
    return Operation(Action.UPDATE, wanted.kind, wanted.key, held.ref, before, new, wanted)


def _activation(wanted: ErpObject, ref: ErpRef | None) -> Operation:
    return Operation(Action.ACTIVATE, wanted.kind, wanted.key, ref, {"billable": False}, {"billable": True}, wanted)


def _extra(extra: Found) -> Operation:
    words = f"a second {extra.kind} with the key {extra.key}: {extra.ref}"
    if extra.billed or extra.kind.shared:
        return Operation(
            Action.CONFLICT,
            extra.kind,
            extra.key,
            extra.ref,
            extra.fields,
            why=ErrorClass.DUPLICATE_FOUND,
            words=words,
        )
    return Operation(Action.CLOSE, extra.kind, extra.key, extra.ref, extra.fields, words=words)


def _superfluous(held: Found) -> Operation:
    if held.billed and held.kind is not Kind.PROJECT:
        words = f"{held.kind} {held.key} is already invoiced but no longer in the contract"
        return Operation(
            Action.CONFLICT,
            held.kind,
            held.key,
            held.ref,
            held.fields,
            why=ErrorClass.ERP_REJECTED,
            words=words,
        )
    return Operation(Action.CLOSE, held.kind, held.key, held.ref, held.fields)


def _children_first(held: Found) -> tuple[int, BusinessKey, ErpRef]:
    return -held.kind.rank, held.key, held.ref
