"""A contract that moves to another ERP: where it belongs, what stays behind invoiced, and what is left to bill. Pure.

What was invoiced stays in the ERP that invoiced it and is never created again. So an ERP holds of a contract the
milestones that no other ERP invoiced, and its project's value is the contract's value less what others invoiced: two
projects of one contract add up to the contract, and nobody recognises or bills the same money twice.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from sync_core.contract import BillingKind, Terms
from sync_core.desired import BillingMilestone, Desired, ErpObject, Found, Kind, Line, Project
from sync_core.errors import ErrorClass, Function
from sync_core.findings import Finding
from sync_core.keys import BusinessKey
from sync_core.plan import Action, Plan
from sync_core.replay import Effect, effects_of

_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Behind:
    """What an ERP has invoiced of a contract. `billed` None: hours were invoiced, and it does not say how much."""

    billed: Decimal | None = _ZERO
    milestones: Mapping[str, Decimal] = field(default_factory=dict)  # by business key

    @property
    def stored(self) -> dict[str, object]:
        billed = None if self.billed is None else str(self.billed)
        return {"billed": billed, "milestones": {key: str(paid) for key, paid in self.milestones.items()}}

    @classmethod
    def parse(cls, stored: Mapping[str, object]) -> "Behind":
        """The inverse of `stored`."""
        milestones = stored["milestones"]
        known = milestones if isinstance(milestones, dict) else {}
        billed = None if stored["billed"] is None else Decimal(str(stored["billed"]))
        return cls(billed, {key: Decimal(str(paid)) for key, paid in known.items()})


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a contract belongs since it was moved, whatever the policy says."""

    lane: str
    leaving: str | None = None  # the ERP whose project is still to be closed; nothing is made elsewhere before
    behind: Mapping[str, Behind] = field(default_factory=dict)  # by ERP

    @property
    def elsewhere(self) -> tuple[Behind, ...]:
        """What other ERPs than the one where it belongs have invoiced."""
        return tuple(behind for lane, behind in sorted(self.behind.items()) if lane != self.lane)

    @property
    def billed_elsewhere(self) -> Decimal:
        return sum((behind.billed or _ZERO for behind in self.elsewhere), _ZERO)

    def left(self, behind: Behind) -> "Placement":
        """Once the ERP that it leaves holds nothing any more that can be billed."""
        known = {**self.behind, self.leaving: behind} if self.leaving else self.behind
        return Placement(self.lane, None, known)


def behind_of(found: Iterable[Found], billing: BillingKind) -> Behind:
    """What the ERP that was read has invoiced, parts of closed projects included."""
    objects = list(found)
    if billing is BillingKind.MILESTONES:
        billed = {f.key: Decimal(str(f.fields["amount"])) for f in objects if f.kind is Kind.MILESTONE and f.billed}
        return Behind(sum(billed.values(), _ZERO), {str(key): amount for key, amount in sorted(billed.items())})
    told = [f.billed_amount for f in objects if f.kind is Kind.PROJECT and f.billed_amount is not None]
    untold = any(f.billed for f in objects if not f.kind.shared) and not told
    return Behind(None if untold else sum(told, _ZERO))


def rest(desired: Desired, terms: Terms | None, placement: Placement) -> Desired:
    """What must exist in the ERP where the contract belongs: all of it less what others invoiced.

    Without anything left to bill there is no project. Lines lose what their milestones billed; what belongs to no line,
    such as hours, is taken from them in their order.
    """
    project = desired.project
    if terms is None or project is None or not placement.elsewhere:
        return replace(desired, lane=placement.lane)
    billed = {key for behind in placement.elsewhere for key in behind.milestones}
    value = project.value - placement.billed_elsewhere
    open_milestones = [o for o in desired.objects if isinstance(o, BillingMilestone) and o.key not in billed]
    if value <= 0 or (project.billing is BillingKind.MILESTONES and not open_milestones):
        return replace(desired, lane=placement.lane, objects=())
    left = _lines_left(desired, terms, placement)
    objects = tuple(_less(o, left, placement.billed_elsewhere) for o in desired.objects if o.key not in billed)
    return replace(desired, lane=placement.lane, objects=tuple(o for o in objects if o is not None))


def nothing_left(wanted: Desired, placement: Placement) -> bool:
    """Whether all that is to be billed is invoiced, in whichever ERP."""
    if wanted.project is None:
        return True
    billed = {key for behind in placement.behind.values() for key in behind.milestones}
    milestones = [o for o in wanted.objects if isinstance(o, BillingMilestone)]
    return bool(milestones) and all(o.key in billed for o in milestones)


def _less(obj: ErpObject, left: Mapping[BusinessKey, Decimal], billed: Decimal) -> ErpObject | None:
    if isinstance(obj, Project):
        cap = None if obj.not_to_exceed is None else max(_ZERO, obj.not_to_exceed - billed)
        return replace(obj, value=obj.value - billed, not_to_exceed=cap)
    if isinstance(obj, Line):
        # A line that has nothing left is done with; one that was agreed over nothing stays.
        return replace(obj, amount=left[obj.key]) if left[obj.key] or not obj.amount else None
    return obj


def _lines_left(desired: Desired, terms: Terms, placement: Placement) -> dict[BusinessKey, Decimal]:
    lines = [o for o in desired.objects if isinstance(o, Line)]
    left = {line.key: line.amount for line in lines}
    of_milestone = {f"{desired.contract}#M:{m.key}": f"{desired.contract}#L:{m.line}" for m in terms.milestones}
    for behind in placement.elsewhere:
        loose = behind.billed or _ZERO
        for key, amount in behind.milestones.items():
            own = BusinessKey(of_milestone.get(key, ""))
            if left.get(own, _ZERO) >= amount:
                left[own] -= amount
                loose -= amount
        for line in lines:
            taken = min(left[line.key], max(_ZERO, loose))
            left[line.key] -= taken
            loose -= taken
    return left


def changed_since(contract: str, terms: Terms | None, placement: Placement | None) -> list[Finding]:
    """Milestones that another ERP invoiced, and that the contract has otherwise or not any more: finance decides."""
    if terms is None or placement is None:
        return []
    agreed = {f"{contract}#M:{m.key}": m.amount for m in terms.milestones}
    words = [
        f"milestone {key} was invoiced with {amount} in {lane}, the contract says {agreed.get(key, 'nothing of it')}"
        for lane, behind in sorted(placement.behind.items())
        if lane != placement.lane
        for key, amount in behind.milestones.items()
        if agreed.get(key) != amount
    ]
    if not words:
        return []
    return [Finding(ErrorClass.ERP_REJECTED, "billed_differs", Function.FINANCE_OPERATIONS, "; ".join(words))]


NOTHING_LEFT: Final = "nothing_to_move"  # of a preview alone: such a contract is pinned to where it is
BILLED_SINCE: Final = "billed_since_move"
UNTOLD: Final = "billed_untold"


def objections(leaving: str, behind: Behind, *, nothing_left: bool, undo: bool) -> Iterator[Finding]:
    """Why a contract cannot leave an ERP; found before anything is written."""
    finance, rejected = Function.FINANCE_OPERATIONS, ErrorClass.ERP_REJECTED
    if behind.billed is None:
        words = f"{leaving} has invoiced hours and does not say how much; bill them up there, or leave it there"
        yield Finding(rejected, UNTOLD, finance, words)
    elif undo and behind.billed:
        words = f"{leaving} has invoiced {behind.billed} since the move; only what is not billed there can be undone"
        yield Finding(rejected, BILLED_SINCE, finance, words)
    elif nothing_left:
        words = f"all of it is invoiced in {leaving}: nothing is left to bill elsewhere, it stays there"
        yield Finding(rejected, NOTHING_LEFT, finance, words)


def leaving_effects(plan: Plan, found: Sequence[Found], lane: str) -> tuple[Effect, ...]:
    """What leaving an ERP does there: its projects close, and their unbilled parts with them; the invoiced stay."""
    closing = tuple(replace(effect, system=lane) for effect in effects_of(plan))
    projects = {effect.ref for effect in closing if effect.action is Action.CLOSE}
    parts = sorted((f for f in found if f.active and f.parent is not None), key=lambda f: (f.kind.rank, f.key, f.ref))
    return (
        *closing,
        *(
            Effect(Action.NO_OP, f.kind, f.key, f.ref, f.fields, None, f"invoiced, stays in {lane}", lane)
            if f.billed
            else Effect(Action.CLOSE, f.kind, f.key, f.ref, f.fields, None, "", lane)
            for f in parts
            if f.billed or f.parent in projects
        ),
    )


def arriving_effects(plan: Plan, lane: str) -> tuple[Effect, ...]:
    return tuple(replace(effect, system=lane) for effect in effects_of(plan))
