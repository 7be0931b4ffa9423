"""What was invoiced of a contract that was signed anew after an end: under which of its agreements? Pure.

An ERP knows a milestone by its key. What it had invoiced before anything was done for the new agreement is the old
one's, however equal the two are, and would never be billed again: the new milestone needs a key of its own. What is
invoiced after that is the new one's.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sync_core.contract import Contract
from sync_core.desired import Found, Kind
from sync_core.errors import ErrorClass, Function
from sync_core.events import Ended, Event, RenewalDeclined, Signed
from sync_core.findings import Finding
from sync_core.fold import FoldStep, fold_steps
from sync_core.keys import ErpRef
from sync_core.life.agreements import DayAt

CAUSE: Final = "milestone_key_reused"


@dataclass(frozen=True, slots=True)
class Anew:
    """A contract whose agreement is not its first one."""

    untouched: bool  # nothing was done for this agreement yet
    unconfirmed: frozenset[str]  # milestones with keys of agreements before, of which nothing was done yet for this one
    own: frozenset[str] = frozenset()  # keys of agreements before that were carried out for this one, taken out or not


def may_be(events: Iterable[Event]) -> bool:
    """Whether it can be that it was signed anew: signed more than once, and it ended or was to."""
    payloads = [event.payload for event in events]
    signatures = sum(isinstance(payload, Signed) for payload in payloads)
    return signatures > 1 and any(isinstance(payload, Ended | RenewalDeclined) for payload in payloads)


def anew(contract: Contract, events: Sequence[Event], done: Iterable[int], day_at: DayAt) -> Anew | None:
    """None: it has its first agreement.

    `events` in order of arrival; `done`: how many of them each run knew that carried a plan out.
    """
    began = _began(fold_steps(events, day_at=day_at)) if may_be(events) else None
    if began is None:
        return None
    own, untouched = set[str](), True
    for known in sorted({*done} - {0}, reverse=True):
        steps = fold_steps(events[:known], day_at=day_at)
        if _began(steps) == began:
            untouched = False
            own |= _milestones(steps[-1].after) & {*contract.earlier}
    return Anew(untouched, frozenset(_milestones(contract) & {*contract.earlier} - own), frozenset(own))


def with_own(contract: Contract, own: Collection[str]) -> Contract:
    """What was invoiced of these is no history: it is of the agreement that stands."""
    return replace(contract, earlier=tuple(key for key in contract.earlier if key not in own))


def hours_before(found: Iterable[Found], known: ErpRef | None) -> bool:
    """Whether the project that stands open is one under which an agreement before invoiced hours: they would use up the
    new one's cap. `known`: its project as it was confirmed last; what a lost worker made is another.
    """
    held = list(found)
    is_open = any(f.kind is Kind.PROJECT and f.active and f.ref == known for f in held)
    return is_open and any(f.kind is Kind.LABOUR_RATE and f.billed and f.parent == known for f in held)


def told(milestone: str) -> str:
    return f"milestone {milestone} was invoiced under the agreement before; the new one needs a key of its own"


def finding(milestones: Collection[str]) -> Finding:
    words = "; ".join(told(one) for one in sorted(milestones))
    return Finding(ErrorClass.MISSING_DATA, CAUSE, Function.LEGAL, words)


def _milestones(contract: Contract) -> set[str]:
    return {milestone.key for milestone in contract.terms.milestones} if contract.terms else set()


def _began(steps: Sequence[FoldStep]) -> str | None:
    """The event that the last agreement began with; None: it is the first one."""
    return next((step.event.id for step in reversed(steps) if step.begins), None)
