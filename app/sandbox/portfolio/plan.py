"""The story of a whole portfolio: `plan` for a history, `live` for traffic that goes on.

Both are functions of the seed: every contract draws from its own generator, so asking for a longer window or
fewer contracts changes the others as little as possible.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from heapq import heappop, heappush
from itertools import count, cycle

from app.sandbox.chance import chance
from app.sandbox.portfolio.case import HISTORY, LIVE
from app.sandbox.portfolio.defects import Defect
from app.sandbox.portfolio.planning import SigningDays
from app.sandbox.portfolio.signing import LONGEST_LEAD
from app.sandbox.portfolio.steps import Step
from app.sandbox.portfolio.story import Signing, eligible, tell
from sync_core.clock import Clock
from sync_core.estate import Entity, Estate

DEFECT_SHARE = 0.05
_PIPELINE = timedelta(days=21)  # contracts signed this long after the end show their drafts before it
_LEAD_MARGIN = LONGEST_LEAD + timedelta(days=10)  # drafts are moved into office hours
_EPOCH = date(2026, 1, 1)


def plan(
    seed: int,
    *,
    start: datetime,
    end: datetime,
    contracts: int,
    estate: Estate,
    defect_share: float = DEFECT_SHARE,
) -> Iterator[Step]:
    """All steps in [start, end), oldest first, of `contracts` contracts signed in it and of those in the pipeline.

    A defect that is not repaired by `end` stays open. Steps are made as they are asked for, not all at once.
    """
    signings = _signings(seed, start=start, end=end, contracts=contracts, estate=estate, defect_share=defect_share)
    waiting: list[tuple[datetime, int, Step]] = []
    serial = count()
    for signing in signings:
        # No later story has a step before this, so what is due until then can go out.
        safe = signing.at - _LEAD_MARGIN
        while waiting and waiting[0][0] < safe:
            yield heappop(waiting)[2]
        for step in tell(signing, estate, earliest=start, tempo=HISTORY):
            if step.at < end:
                heappush(waiting, (step.at, next(serial), step))
    while waiting:
        yield heappop(waiting)[2]


async def live(seed: int, clock: Clock, *, rate_per_minute: float, estate: Estate) -> AsyncIterator[Step]:
    """New contracts for ever, at this mean rate of signatures; each step comes when the clock reaches it.

    Contract ids carry the moment of the start, so that a second run does not continue the contracts of the first.
    """
    started = clock.now()
    stamp = f"{started:%y%m%d%H%M%S}"
    # New customers need numbers that no earlier run has used.
    base = ((started.date() - _EPOCH).days * 86_400 + started.hour * 3600 + started.minute * 60 + started.second) * 10
    rng = chance(seed, "live", stamp)
    waiting: list[tuple[datetime, int, Step]] = []
    serial, arrival = count(), started
    kinds = cycle(_kinds(seed, estate))
    for number in count(1):
        arrival += timedelta(minutes=rng.expovariate(rate_per_minute))
        while waiting and waiting[0][0] <= arrival:
            at, _, step = heappop(waiting)
            await _until(clock, at)
            yield step
        await _until(clock, arrival)
        defect = next(kinds) if rng.random() < DEFECT_SHARE else None
        entity = _entity(seed, base + number, estate, defect)
        signed_at = arrival + timedelta(seconds=rng.uniform(15, 90))
        signing = Signing(f"{seed}/{stamp}", base + number, f"L-{stamp}-{number}", entity, signed_at, defect)
        for step in tell(signing, estate, earliest=arrival, tempo=LIVE):
            heappush(waiting, (step.at, next(serial), step))


async def _until(clock: Clock, moment: datetime) -> None:
    left = (moment - clock.now()).total_seconds()
    if left > 0:
        await clock.sleep(left)


def _signings(
    seed: int, *, start: datetime, end: datetime, contracts: int, estate: Estate, defect_share: float
) -> list[Signing]:
    defects = _defects(seed, contracts, estate, defect_share)
    days = {e.code: SigningDays(e, start.date(), end.date()) for e in estate.entity}
    ahead = {e.code: SigningDays(e, end.date(), (end + _PIPELINE).date()) for e in estate.entity}
    pipeline = round(contracts * (_PIPELINE / (end - start)))
    drawn: list[Signing] = []
    for number in range(1, contracts + pipeline + 1):
        inside = number <= contracts
        entity = _entity(seed, number, estate, defects.get(number))
        rng = chance(seed, "signing", number)
        at = (days if inside else ahead)[entity.code].draw(rng)
        at = min(max(at, start + timedelta(hours=1)), end - timedelta(minutes=15)) if inside else max(at, end)
        drawn.append(Signing(seed, number, "", entity, at, defects.get(number)))
    drawn.sort(key=lambda signing: (signing.at, signing.number))
    return [replace(signing, contract_id=f"C-{signing.at.year}-{place:05d}") for place, signing in enumerate(drawn, 1)]


def _defects(seed: int, contracts: int, estate: Estate, share: float) -> dict[int, Defect]:
    """Which contracts have one: every kind about as often as the others."""
    rng = chance(seed, "defects")
    numbers = rng.sample(range(1, contracts + 1), round(contracts * share))
    return dict(zip(numbers, cycle(_kinds(seed, estate)), strict=False))


def _kinds(seed: int, estate: Estate) -> list[Defect]:
    kinds = [d for d in Defect if any(eligible(d, entity) for entity in estate.entity)]
    chance(seed, "kinds").shuffle(kinds)
    return kinds


def _entity(seed: int, number: int, estate: Estate, defect: Defect | None) -> Entity:
    """The first entities of the estate file get the most contracts."""
    able = [e for e in estate.entity if defect is None or eligible(defect, e)]
    weights = [0.8**n for n in range(len(able))]
    return chance(seed, "entity", number).choices(able, weights)[0]
