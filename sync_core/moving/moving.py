"""A contract that moves to another ERP: where it belongs, what stays behind invoiced, and what is left to bill. Pure.

What was invoiced stays in the ERP that invoiced it and is never created again. So an ERP holds of a contract the
milestones that no other ERP invoiced, and its project's value is the contract's value less what belongs to projects
that were closed as the contract left them, its own earlier ones included: the projects of one contract add up to the
contract, and nobody recognises or bills the same money twice. A milestone belongs with the sum that the contract says
now to the project that invoiced it; what was invoiced of it otherwise is a task for finance there.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from sync_core.contract import BillingKind, Terms
from sync_core.desired import BillingMilestone, Desired, ErpObject, Found, Kind, Line, Project
from sync_core.errors import ErrorClass, Function
from sync_core.findings import Difference, Finding
from sync_core.keys import BusinessKey, ErpRef
from sync_core.life.books import CREDIT, REBILL, invoiced
from sync_core.money import written
from sync_core.plan import Action, Plan
from sync_core.replay.replay import Effect, effects_of

_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Behind:
    """What an ERP has invoiced of a contract, net of credit notes. `billed` None: it does not say how much.

    It is of projects that were closed as the contract left the ERP; what was invoiced there later is not in it.
    """

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
    def billed_before(self) -> Decimal:
        """In projects that were closed, its own ERP's earlier ones included."""
        return sum((behind.billed or _ZERO for behind in self.behind.values()), _ZERO)

    def left(self, behind: Behind) -> "Placement":
        """Once the ERP that it leaves holds nothing any more that can be billed."""
        known = {**self.behind, self.leaving: behind} if self.leaving else self.behind
        return Placement(self.lane, None, known)


def signed_anew(placement: Placement, terms: Terms | None) -> Placement:
    """As a new agreement finds it: hours that were invoiced under the one before take nothing off its value and cap.
    Of milestones the key tells.
    """
    if terms is None or terms.billing.kind is BillingKind.MILESTONES:
        return placement
    return replace(placement, behind={lane: Behind() for lane in placement.behind})


def behind_of(
    found: Iterable[Found], billing: BillingKind, *, of: Collection[ErpRef] | None = None, before: Decimal = _ZERO
) -> Behind:
    """What the ERP that was read has invoiced, parts of closed projects included; doubles of a milestone add up.

    Of hours, where the contract was signed anew: of these projects alone, and `before` in others of its agreement.
    """
    objects = list(found)
    if billing is BillingKind.MILESTONES:
        billed = [(str(f.key), invoiced(f)) for f in objects if f.kind is Kind.MILESTONE and f.billed]
        by_key = dict.fromkeys(sorted(key for key, _ in billed), _ZERO)
        for key, amount in billed:
            by_key[key] += amount or _ZERO
        unsaid = any(amount is None for _, amount in billed)
        return Behind(None if unsaid else sum(by_key.values(), _ZERO), by_key)
    if of is not None:
        objects = [f for f in objects if f.ref in of or f.parent in of]
    told = [f.billed_amount for f in objects if f.kind is Kind.PROJECT and f.billed_amount is not None]
    untold = any(f.billed for f in objects if not f.kind.shared) and not told
    return Behind(None if untold else sum(told, before))


def rest(desired: Desired, terms: Terms | None, placement: Placement) -> Desired:
    """What must exist in the ERP where the contract belongs: all of it less what closed projects have.

    Without anything left to bill there is no project. Lines lose what their milestones come to; what belongs to no
    line, such as hours, is taken from them in their order. Milestones that this ERP itself invoiced stay among what
    must exist: they are found there and compared, but they are not the new project's.
    """
    project = desired.project
    if terms is None or project is None or not placement.behind:
        return replace(desired, lane=placement.lane)
    taken, loose = _taken(project, terms, placement)
    off = sum(taken.values(), loose)
    billed = {key for behind in placement.behind.values() for key in behind.milestones}
    open_milestones = [o for o in desired.objects if isinstance(o, BillingMilestone) and o.key not in billed]
    if project.value <= off or (project.billing is BillingKind.MILESTONES and not open_milestones):
        return replace(desired, lane=placement.lane, objects=())
    left = _lines_left(desired, terms, taken, loose)
    others = {key for behind in placement.elsewhere for key in behind.milestones}
    objects = tuple(_less(o, left, off) for o in desired.objects if o.key not in others)
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


def _taken(project: Project, terms: Terms, placement: Placement) -> tuple[dict[str, Decimal], Decimal]:
    """What closed projects have of the contract: by milestone as it is agreed now, and what is of no milestone."""
    agreed, taken, loose = _agreed(project.key, terms), dict[str, Decimal](), _ZERO
    for behind in placement.behind.values():
        if behind.billed is not None:
            loose += behind.billed - sum(behind.milestones.values(), _ZERO)
        for key, paid in behind.milestones.items():
            if key in agreed:
                taken[key] = agreed[key]
            elif project.billing is not BillingKind.MILESTONES:
                loose += paid  # it billed by milestones once; now one cap holds for all of it
    return taken, loose


def _agreed(contract: str, terms: Terms) -> dict[str, Decimal]:
    return {f"{contract}#M:{m.key}": m.amount for m in terms.milestones}


def _lines_left(
    desired: Desired, terms: Terms, taken: Mapping[str, Decimal], loose: Decimal
) -> dict[BusinessKey, Decimal]:
    lines = [o for o in desired.objects if isinstance(o, Line)]
    left = {line.key: line.amount for line in lines}
    of_milestone = {f"{desired.contract}#M:{m.key}": f"{desired.contract}#L:{m.line}" for m in terms.milestones}
    for key, amount in taken.items():
        own = BusinessKey(of_milestone.get(key, ""))
        if left.get(own, _ZERO) >= amount:
            left[own] -= amount
        else:
            loose += amount
    for line in lines:
        part = min(left[line.key], max(_ZERO, loose))
        left[line.key] -= part
        loose -= part
    return left


def changed_since(
    contract: str, terms: Terms | None, placement: Placement | None, earlier: Collection[str] = ()
) -> list[Finding]:
    """Milestones that another ERP invoiced, and that the contract has otherwise or not any more: finance settles it
    there. While there are any, that ERP is read again (sync_core/engine/left_books.py). `earlier`: those of agreements
    that ended, which are history.
    """
    if terms is None or placement is None:
        return []
    agreed = _agreed(contract, terms)
    differing = [
        (lane, key, paid)
        for lane, behind in sorted(placement.behind.items())
        if lane != placement.lane
        for key, paid in behind.milestones.items()
        if agreed.get(key, _ZERO) != paid and (key in agreed or key.partition("#M:")[2] not in earlier)
    ]
    if not differing:
        return []
    words = "; ".join(
        f"milestone {key} was invoiced with {paid} in {lane}, the contract says {agreed.get(key, 'nothing of it')}"
        for lane, key, paid in differing
    )
    where = " and ".join(sorted({lane for lane, _, _ in differing}))
    words += f"; settle it in {where}; where that ERP does not say what is invoiced net, close this by decision then"
    parts = tuple(_difference(key, paid, agreed.get(key)) for _, key, paid in differing)
    money = sum((abs(part.amount) for part in parts), _ZERO)
    return [Finding(ErrorClass.ERP_REJECTED, "billed_differs", Function.FINANCE_OPERATIONS, words, money, parts)]


def _difference(key: str, paid: Decimal, agreed: Decimal | None) -> Difference:
    amount = (agreed or _ZERO) - paid
    said = None if agreed is None else str(agreed)
    return Difference(CREDIT if amount < 0 else REBILL, f"milestone {key.partition('#M:')[2]}", str(paid), said, amount)


NOTHING_LEFT: Final = "nothing_to_move"  # of a preview alone: such a contract is pinned to where it is
BILLED_SINCE: Final = "billed_since_move"
UNTOLD: Final = "billed_untold"
EARNED_BEFORE: Final = "earned_before_move"


def earned_of(found: Iterable[Found]) -> tuple[Found, ...]:
    """Projects of which an ERP can still invoice something, the closed ones too: closing takes nothing away that was
    earned. It would be billed there, and once more where the contract goes.
    """
    return tuple(f for f in found if f.kind is Kind.PROJECT and f.earned)


def objections(
    leaving: str, behind: Behind, earned: Sequence[Found], *, nothing_left: bool, undo: bool
) -> Iterator[Finding]:
    """Why a contract cannot leave an ERP; found before anything is written. `earned`: see `earned_of`."""
    finance, rejected = Function.FINANCE_OPERATIONS, ErrorClass.ERP_REJECTED
    if earned:
        told = " and ".join(
            f"{written(f.earned or _ZERO, str(f.fields.get('currency') or ''))} of project {f.ref}" for f in earned
        )
        words = f"{told} was earned in {leaving} and is not invoiced; invoice it there first, or take it back there"
        yield Finding(rejected, EARNED_BEFORE, finance, words)
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
