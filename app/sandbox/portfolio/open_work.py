"""What is still open when a history ends: which defects their owners have not got to, and when they will.

A story is told twice for it: first as if every owner were prompt, to know when its exception opens, then with the
moment of the late repair. The younger an exception, the likelier it is open; within a business function every so
many are taken by age, so that no function is without open work and the number varies little from seed to seed.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp

from app.sandbox.chance import chance
from app.sandbox.portfolio.defects import TREATMENTS, Defect, Repair
from app.sandbox.portfolio.steps import Step
from sync_core.engine.outcome import GAP_GRACE
from sync_core.errors import Function

_FADES_DAYS = 25.0  # an exception of this age is open about a third as often as a new one
_MOST = 0.9  # of the youngest
_NEWEST = timedelta(minutes=45)  # an exception opens in time before the end to be seen
_SOON_SHARE, _SOON_EVERY_MINUTES = 2 / 3, 8.0  # of the repairs that are published: while somebody still looks on
_LATER_DAYS = 20.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """An exception as it goes when its owner is prompt."""

    number: int  # of the signing
    function: Function
    opens_at: datetime
    mended_at: datetime
    published: bool  # the CLM tells of the repair; of master data Tieline learns when it looks again, hours later


def trouble(number: int, steps: Iterable[Step]) -> Trouble | None:
    """Of a story's steps; None when its defect leads to no exception."""
    showing = [step for step in steps if step.defect is not None and TREATMENTS[step.defect].cause is not None]
    brought = next((step for step in showing if not step.repairs), None)
    mended = next((step for step in showing if step.repairs), None)
    if brought is None or brought.defect is None or mended is None:
        return None
    grace = GAP_GRACE if brought.defect in (Defect.AMENDMENT_GAP, Defect.UNNUMBERED_CHANGE) else timedelta()
    treatment = TREATMENTS[brought.defect]
    published = treatment.repair is not Repair.MASTER_DATA
    return Trouble(number, treatment.function, brought.at + grace, mended.at, published)


def late_repairs(seed: object, troubles: Sequence[Trouble], *, end: datetime, wanted: int) -> dict[int, datetime]:
    """By number of the signing: when those are mended that are left open so that about `wanted` are open at `end`."""
    begun = [t for t in troubles if t.opens_at < end - _NEWEST]
    wanted -= sum(t.mended_at >= end for t in begun)
    by_function: dict[Function, list[tuple[float, Trouble]]] = defaultdict(list)
    for t in sorted(begun, key=lambda t: (t.opens_at, t.number), reverse=True):
        if t.mended_at < end:
            by_function[t.function].append((exp(-(end - t.opens_at) / timedelta(days=_FADES_DAYS)), t))
    scale = _scale([weight for each in by_function.values() for weight, _ in each], wanted)
    left: list[Trouble] = []
    for function, each in by_function.items():
        passed = chance(seed, "open", function).random()
        for weight, t in each:
            passed += min(scale * weight, _MOST)
            if passed >= 1:
                passed -= 1
                left.append(t)
    return {number: end + delay for number, delay in _delays(seed, left).items()}


def _scale(weights: Sequence[float], wanted: int) -> float:
    """What the weights must be multiplied with to add up to `wanted`, though none counts for more than _MOST."""
    low, high = 0.0, 1e6
    for _ in range(60):
        middle = (low + high) / 2
        enough = sum(min(middle * weight, _MOST) for weight in weights) >= wanted
        low, high = (low, middle) if enough else (middle, high)
    return low


def _delays(seed: object, left: Sequence[Trouble]) -> dict[int, timedelta]:
    """From the end to the repair: some soon, one after the other, the others in the days and weeks that follow."""
    rng = chance(seed, "late repairs")
    delays = {t.number: timedelta(days=rng.uniform(0.3, _LATER_DAYS)) for t in left}
    published = [t.number for t in left if t.published]
    for place, number in enumerate(rng.sample(published, round(len(published) * _SOON_SHARE))):
        delays[number] = timedelta(minutes=3 + _SOON_EVERY_MINUTES * (place + 0.7 * rng.random()))
    return delays
