"""Two things that the end of a history shows: a contract that is suspended, and a draft that could not be provisioned.

Of all contracts the first that fits plays the part; the others are told as ever.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from app.sandbox.clm.changes import Change, ChangeKind
from app.sandbox.portfolio.defects import Defect
from app.sandbox.portfolio.steps import Step
from app.sandbox.portfolio.story import Signing

_BEFORE = timedelta(days=12)  # so long before the end it was suspended
_SETTLED = timedelta(days=45)  # signed so long before the end at least
_OVER = frozenset({ChangeKind.CANCELLED, ChangeKind.TERMINATED})


def staged(signings: Sequence[Signing], end: datetime, tell: Callable[[Signing], list[Step]]) -> list[Signing]:
    paused = next((s for s in signings if s.defect is None and s.at < end - _SETTLED and _quiet(tell(s), end)), None)
    coming = min((s for s in signings if s.at >= end and s.defect is None), key=lambda s: s.at, default=None)
    return [_with_part(s, end, paused, coming) for s in signings]


def _quiet(steps: Sequence[Step], end: datetime) -> bool:
    """Nothing more is told of it from the suspension on, and it has not ended."""
    changes = [step.action for step in steps if isinstance(step.action, Change)]
    running = not any(change.kind in _OVER for change in changes)
    return running and steps[-1].at < end - _BEFORE


def _with_part(signing: Signing, end: datetime, paused: Signing | None, coming: Signing | None) -> Signing:
    if signing is paused:
        return replace(signing, suspended_at=end - _BEFORE)
    return replace(signing, defect=Defect.TAX_CODE_MISSING) if signing is coming else signing
