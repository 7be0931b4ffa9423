"""The plan of a run worked out anew, and what the journal says that it did. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sync_core.desired import Desired, ErpObject, Fields, Found, Kind, fields_of
from sync_core.keys import BusinessKey, ErpRef
from sync_core.plan import Action, Plan, diff

_SENT: Final = frozenset({"done", "no_op", "adopted"})


@dataclass(frozen=True, slots=True)
class Noted:
    """One operation of a run, as the journal has it."""

    action: str
    kind: Kind
    key: BusinessKey
    ref: ErpRef | None
    status: str
    before: Fields | None
    after: Fields | None


@dataclass(frozen=True, slots=True)
class Run:
    """The last run of a contract at the moment that is looked at."""

    rev: int
    lane: str
    outcome: str
    state: str
    digest: str | None
    policy: str | None
    started_at: datetime
    recorded_at: datetime
    operations: tuple[Noted, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """One row of the crosswalk."""

    system: str
    kind: Kind
    key: BusinessKey
    state: str
    ref: ErpRef | None
    fields: Fields
    disagreed: frozenset[str] = frozenset()  # fields in which the ERP's own value stands


def rebuilt_plan(wanted: Sequence[ErpObject], run: Run, held: Sequence[Held]) -> Plan | None:
    """The plan that the run must have had, from what is derived and what the run noted that it found.

    None where that is not all there is to know: conflicts, tasks, failures, objects that another contract made, and
    what the batch of a night changed, of which its answer says only what it came to.
    """
    if any(one.status not in _SENT or (one.action == Action.UPDATE and one.before is None) for one in run.operations):
        return None
    noted: dict[tuple[Kind, BusinessKey], list[Noted]] = {}
    for one in run.operations:
        noted.setdefault((one.kind, one.key), []).append(one)
    known = {(row.kind, row.key): row for row in held if row.system == run.lane}
    found = [before for obj in wanted if (before := _before(obj, noted.get((obj.kind, obj.key), []), known))]
    found += [Found(one.kind, one.key, one.ref, one.before or {})
              for one in run.operations if one.action == Action.CLOSE and one.ref]  # fmt: skip
    return diff(Desired(BusinessKey(""), run.lane, tuple(wanted), may_create_customer=False), found)


def unlike(plan: Plan, run: Run, wanted: Sequence[ErpObject]) -> list[tuple[str, str | None, str | None]] | None:
    """By object, the operation that the plan has and the one that was noted, where only one is.

    None where that says nothing: of shared objects, of doubles that were closed, of what is adopted as it is, of a
    project that another worker made billable meanwhile.
    """
    ours = {(obj.kind, obj.key) for obj in wanted}
    made = Counter((o.action.value, o.kind, o.key) for o in plan.operations)
    noted = Counter((o.action, o.kind, o.key) for o in run.operations)
    lost, besides = made - noted, noted - made
    if any(action == Action.ACTIVATE for action, _, _ in lost):
        return None
    if any(_says_nothing(action, kind, (kind, key) in ours) for action, kind, key in lost + besides):
        return None
    told = [(f"{kind} {key}", action, None) for action, kind, key in lost]
    return [*told, *((f"{kind} {key}", None, action) for action, kind, key in besides)]


def _says_nothing(action: str, kind: Kind, ours: bool) -> bool:
    if kind.shared or action == Action.ADOPT:
        return True
    return (action == Action.CLOSE and ours) or (action == Action.NO_OP and not ours)


def _before(obj: ErpObject, noted: Sequence[Noted], known: Mapping[tuple[Kind, BusinessKey], Held]) -> Found | None:
    """What the run found of an object; None: it was not there yet."""
    if any(one.action == Action.CREATE for one in noted):
        return None
    ref = next((one.ref for one in noted if one.ref), None)
    if ref is None:
        return None
    row = known.get((obj.kind, obj.key))
    fields = {name: value for name, value in fields_of(obj).items() if row is None or name in row.fields}
    for one in noted:
        fields |= dict(one.before or {})
    return Found(obj.kind, obj.key, ref, fields)
