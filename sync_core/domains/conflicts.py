"""Whose word counts where an ERP holds something else than the contract wants: a three-way comparison. Pure.

Of each field three values are known: what was last agreed (read back equal to the contract, or left standing), what the
contract wants now, and what the ERP holds now. So it can be told who moved:

    agreed == found,  wanted differs   the contract moved (an amendment)
    agreed == wanted, found differs    the ERP moved: somebody changed it there
    all three differ                   both moved
    nothing agreed                     first seen, such as what an ERP held on the first day

The owner's own change goes through: the contract's is written, the ERP's is left standing and told to the CLM. A change
by the other side is what the estate's `[ownership]` says: put back, asked of a person, or allowed. A value that this
engine sent and never saw confirmed (a lost worker, an unanswered write) is its own, not somebody's change.

`differences` is for whoever compares only, such as a watch for drift; `settle` is what runs and previews do with them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from types import NoneType
from typing import Any, Final, get_args, get_type_hints

from sync_core.desired import Desired, ErpObject, Fields, Found, Kind, Scalar, fields_of
from sync_core.domains.domains import IN_CONTRACT, OnConflict
from sync_core.errors import ErrorClass
from sync_core.estate.ownership import Rule, Rules, rule_for
from sync_core.keys import BusinessKey, ErpRef
from sync_core.plan import Action, Operation, Plan, diff

Agreed = Mapping[tuple[Kind, BusinessKey], Fields]  # by object, as the crosswalk has it
CAUSE: Final = "ownership_conflict"
_NOTHING: Final[Fields] = {}


class Moved(StrEnum):
    """Who changed a field since it was last agreed."""

    CONTRACT = "contract"
    ERP = "erp"
    BOTH = "both"
    FIRST_SEEN = "first_seen"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field in which an ERP's object is not as wanted. Values are plain, see `desired.plain`."""

    kind: Kind
    key: BusinessKey
    ref: ErpRef
    field: str
    agreed: Scalar
    wanted: Scalar
    found: Scalar
    moved: Moved

    @property
    def name(self) -> str:
        """As in sync_core/domains/domains.py: `project.po_number`."""
        return f"{self.kind}.{self.field}"

    @property
    def at(self) -> tuple[Kind, BusinessKey]:
        return self.kind, self.key

    @property
    def choice(self) -> "Choice":
        """What a person is asked about, and so what their decision is about."""
        return self.kind, self.key, self.field, self.wanted, self.found


Sent = frozenset[tuple[Kind, BusinessKey, str, Scalar]]  # object, field, a value of ours
Choice = tuple[Kind, BusinessKey, str, Scalar, Scalar]  # object, field, the contract's value, the ERP's


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known beside contract and ERP."""

    agreed: Agreed = field(default_factory=dict)
    kept: frozenset[Choice] = frozenset()  # a person said: the contract's value
    sent: Sent = frozenset()  # this engine may have written it


@dataclass(frozen=True, slots=True)
class Settled:
    """What is to be done, and what stands although the contract says otherwise."""

    desired: Desired  # with the ERP's value where that stands: a read-back compares with this
    plan: Plan
    left: tuple[Difference, ...] = ()

    @property
    def values(self) -> dict[str, Scalar]:
        """What the ERP says otherwise, by the contract's name of the field: for the CLM to know."""
        told = {}
        for one in self.left:
            path = IN_CONTRACT.get(one.name)
            part = "" if one.kind is Kind.PROJECT else f"[{_part(one.key)}]"
            if path is not None:
                head, dot, rest = path.partition(".")
                told[f"{head}{part}{dot}{rest}"] = one.found
        return told


def _part(key: BusinessKey) -> str:
    """The part's own key, for instance a milestone's."""
    return key.partition("#")[2].partition(":")[2]


def differences(
    desired: Desired, found: Sequence[Found], agreed: Agreed, *, keep: Mapping[BusinessKey, ErpRef] | None = None
) -> tuple[Difference, ...]:
    """Every field in which an object that stands is not as wanted, in the plan's order, with who moved.

    Of doubles the one that the plan would keep. Objects that are missing or superfluous have no fields to compare: the
    plan creates and closes them. Shared objects are their owners' and never compared.
    """
    return _of_plan(diff(desired, found, keep=keep), agreed)


def _of_plan(plan: Plan, agreed: Agreed) -> tuple[Difference, ...]:
    changing = [o for o in plan.operations if o.action in (Action.UPDATE, Action.ACTIVATE) and o.ref is not None]
    return tuple(one for operation in changing for one in _of_operation(operation, agreed))


def _of_operation(operation: Operation, agreed: Agreed) -> list[Difference]:
    o, before, after = operation, operation.before or _NOTHING, operation.after or _NOTHING
    if o.ref is None:
        return []
    was = agreed.get((o.kind, o.key), _NOTHING)
    return [
        Difference(o.kind, o.key, o.ref, name, was.get(name), after[name], before[name],
                   _moved(was, name, after[name], before[name]))
        for name in after
    ]  # fmt: skip


def _moved(was: Fields, name: str, wanted: Scalar, found: Scalar) -> Moved:
    if name not in was:
        return Moved.FIRST_SEEN
    if was[name] == found:
        return Moved.CONTRACT
    return Moved.ERP if was[name] == wanted else Moved.BOTH


class _Do(StrEnum):
    WRITE = "write"
    LEAVE = "leave"
    ASK = "ask"


def settle(desired: Desired, plan: Plan, known: Knowledge, rules: Rules) -> Settled:
    """The plan without what is not ours to write, and with a conflict for what a person must decide."""
    doing: dict[tuple[Kind, BusinessKey, str], tuple[_Do, Difference]] = {}
    for one in _of_plan(plan, known.agreed):
        doing[*one.at, one.field] = _verdict(one, rule_for(rules, one.name), known), one
    left = tuple(one for do, one in doing.values() if do is _Do.LEAVE)
    verdicts = {at: do for at, (do, _) in doing.items()}
    operations = tuple(part for o in plan.operations for part in _parts(o, verdicts, known.agreed))
    wanted = desired if not left else _with_theirs(desired, left)
    return Settled(wanted, Plan(plan.contract, operations), left)


def _verdict(one: Difference, rule: Rule, known: Knowledge) -> _Do:
    if one.choice in known.kept:
        return _Do.WRITE
    if (one.kind, one.key, one.field, one.found) in known.sent and (rule.ours or one.moved is Moved.FIRST_SEEN):
        return _Do.WRITE
    owners = _Do.WRITE if rule.ours else _Do.LEAVE
    if one.moved is (Moved.CONTRACT if rule.ours else Moved.ERP) or one.moved is Moved.FIRST_SEEN:
        return owners
    match rule.conflict:
        case OnConflict.PERSON:
            return _Do.ASK
        case OnConflict.ALLOW if one.moved is not Moved.BOTH:
            return _Do.LEAVE if rule.ours else _Do.WRITE
    return owners


def _parts(
    operation: Operation, doing: Mapping[tuple[Kind, BusinessKey, str], _Do], agreed: Agreed
) -> Iterable[Operation]:
    """An operation as it is, or what is left of it beside a conflict."""
    o = operation
    if o.action not in (Action.UPDATE, Action.ACTIVATE) or o.ref is None or o.after is None or o.before is None:
        return [o]
    names: dict[_Do, list[str]] = {do: [] for do in _Do}
    for name in o.after:
        names[doing[o.kind, o.key, name]].append(name)
    if len(names[_Do.WRITE]) == len(o.after):
        return [replace(o, words=_repaired(o, agreed))]
    parts = []
    if asked := names[_Do.ASK]:
        words = _asks(o, asked, agreed.get((o.kind, o.key), _NOTHING))
        conflict = replace(_narrowed(o, asked), action=Action.CONFLICT, why=ErrorClass.OWNERSHIP_CONFLICT, words=words)
        parts.append(conflict)
    if written := names[_Do.WRITE]:
        narrowed = _narrowed(o, written)
        parts.append(replace(narrowed, words=_repaired(narrowed, agreed)))
    if not parts and o.action is Action.UPDATE:
        parts.append(Operation(Action.NO_OP, o.kind, o.key, o.ref, wanted=o.wanted))
    return parts


def _narrowed(o: Operation, names: Sequence[str]) -> Operation:
    before, after = o.before or _NOTHING, o.after or _NOTHING
    return replace(o, before={n: before[n] for n in names}, after={n: after[n] for n in names})


def _repaired(o: Operation, agreed: Agreed) -> str:
    """Words for a write that puts back what somebody changed in the ERP: nothing is overwritten without one."""
    was = agreed.get((o.kind, o.key), _NOTHING)
    before, after = o.before or _NOTHING, o.after or _NOTHING
    moved = [n for n in after if n in was and was[n] != before[n]]
    changed = "; ".join(f"{_words(n)} was changed there from {_value(was[n])} to {_value(before[n])}" for n in moved)
    return f"{o.kind.replace('_', ' ')} {o.key}: {changed}; the contract's is put back" if moved else o.words


def _asks(o: Operation, names: Sequence[str], was: Fields) -> str:
    before, after = o.before or _NOTHING, o.after or _NOTHING
    told = []
    for name in names:
        agreed = f", {_value(was[name])} when both were last equal" if name in was else ""
        told.append(
            f"{_words(name)} is {_value(before[name])} in the ERP, {_value(after[name])} by the contract{agreed}"
        )
    return f"{o.kind.replace('_', ' ')} {o.key}: {'; '.join(told)}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _value(value: Scalar) -> str:
    return "empty" if value in (None, "") else str(value)


def _with_theirs(desired: Desired, left: Sequence[Difference]) -> Desired:
    theirs: dict[tuple[Kind, BusinessKey], dict[str, Scalar]] = {}
    for one in left:
        theirs.setdefault(one.at, {})[one.field] = one.found
    return replace(desired, objects=tuple(_as_found(o, theirs.get((o.kind, o.key), {})) for o in desired.objects))


def _as_found(wanted: ErpObject, theirs: Mapping[str, Scalar]) -> ErpObject:
    if not theirs:
        return wanted
    hints = get_type_hints(type(wanted))
    typed: dict[str, Any] = {name: _typed(hints[name], value) for name, value in theirs.items()}
    return replace(wanted, **typed)


def _typed(hint: object, value: Scalar) -> object:
    """The inverse of `desired.plain` for a field of this type."""
    kinds = [one for one in get_args(hint) or (hint,) if one is not NoneType]
    if value is None or isinstance(value, bool) or not kinds:
        return value
    kind = kinds[0]
    if kind is Decimal:
        return Decimal(value)
    if kind is date:
        return date.fromisoformat(value)
    return kind(value) if isinstance(kind, type) and issubclass(kind, StrEnum) else value


def baseline(
    desired: Desired, held: Iterable[Found], agreed: Agreed, left: Sequence[Difference], ours: Sent = frozenset()
) -> dict[tuple[Kind, BusinessKey], dict[str, Scalar]]:
    """What the crosswalk must remember beside what the ERP holds: by field, the value that was agreed before.

    Without it a change that somebody made in the ERP would look agreed as soon as it was seen once, and the next run
    would overwrite it without a word. `desired` is the contract's own, not that of `Settled`. `ours`: values that
    this engine wrote and that nobody had seen confirmed yet; as they stand now, they are agreed.
    """
    wanted = {(o.kind, o.key): fields_of(o) for o in desired.objects if not o.kind.shared}
    kept: dict[tuple[Kind, BusinessKey], dict[str, Scalar]] = {}
    for item in held:
        at = (item.kind, item.key)
        was, wants = agreed.get(at), wanted.get(at)
        if was is None or wants is None or not item.active:
            continue
        for name, value in item.fields.items():
            if (*at, name, value) in ours:
                continue
            if name in wants and name in was and value not in (wants[name], was[name]):
                kept.setdefault(at, {})[name] = was[name]
    for one in left:
        if one.moved is Moved.FIRST_SEEN:
            kept.setdefault(one.at, {})[one.field] = one.wanted
    return kept
