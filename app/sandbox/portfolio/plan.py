"""The story of a whole portfolio: `plan` for a history, `live` for traffic that goes on.

`sequel` is what the stories of a history tell after its end. All are functions of the seed: every contract draws from
its own generator, so asking for a longer window or fewer contracts changes the others as little as possible.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from heapq import heapify, heappop, heappush
from itertools import count, cycle

from app.sandbox.chance import chance
from app.sandbox.clm.changes import Change
from app.sandbox.portfolio.case import HISTORY, LIVE
from app.sandbox.portfolio.defects import TREATMENTS, Defect
from app.sandbox.portfolio.open_work import late_repairs, trouble
from app.sandbox.portfolio.planning import SigningDays
from app.sandbox.portfolio.scenes import staged
from app.sandbox.portfolio.signing import LONGEST_LEAD
from app.sandbox.portfolio.steps import Step
from app.sandbox.portfolio.story import Signing, eligible, tell
from sync_core.clock import Clock
from sync_core.estate.estate import Entity, Estate

DEFECT_SHARE = 0.05
_PIPELINE = timedelta(days=21)  # contracts signed this long after the end show their drafts before it
_LEAD_MARGIN = LONGEST_LEAD + timedelta(days=10)  # drafts are moved into office hours
_RECENT, _FRESH = timedelta(weeks=8), timedelta(days=3)
_RECENT_EVERY, _FRESH_EVERY = 4, 5  # of so many defects one is recent, of so many recent ones one is fresh
_TO_SHOW = timedelta(hours=1)  # from a fresh signature to the end of the history
_EPOCH = date(2026, 1, 1)


@dataclass(frozen=True, slots=True)
class Portfolio:
    """What a history depends on: `contracts` signed in [start, end), and those in the pipeline at its end.

    `open_share` of the contracts have an open exception at `end`, about. At 0 all owners are as prompt as ever, and
    open is what shows shortly before the end.
    """

    seed: int
    start: datetime
    end: datetime
    contracts: int
    estate: Estate
    defect_share: float = DEFECT_SHARE
    open_share: float = 0.0


def plan(portfolio: Portfolio) -> Iterator[Step]:
    """All steps in [start, end), oldest first. They are made as they are asked for, not all at once."""
    waiting: list[tuple[datetime, int, Step]] = []
    serial = count()
    for signing in _signings(portfolio):
        # No later story has a step before this, so what is due until then can go out.
        safe = signing.at - _LEAD_MARGIN
        while waiting and waiting[0][0] < safe:
            yield heappop(waiting)[2]
        for step in _told(signing, portfolio):
            if step.at < portfolio.end:
                heappush(waiting, (step.at, next(serial), step))
    while waiting:
        yield heappop(waiting)[2]


def sound_signatures(portfolio: Portfolio) -> list[datetime]:
    """When contracts without any defect were signed before the end."""
    return [s.at for s in _signings(portfolio) if s.defect is None and s.at < portfolio.end]


def sequel(portfolio: Portfolio, published: Mapping[str, Sequence[str]]) -> list[Step]:
    """How the stories go on at `end` and later, oldest first: the late repairs, and whatever else follows.

    `published` are the event types of each contract so far, oldest first. What was published is not told again, and a
    contract whose events are not those of its story is left alone: somebody else has changed it.
    """
    coming: list[Step] = []
    for signing in _signings(portfolio):
        steps = _told(signing, portfolio)
        changes = [step.action.event_type for step in steps if isinstance(step.action, Change)]
        so_far = list(published.get(steps[0].contract_id, ()))
        if not so_far or changes[: len(so_far)] != so_far:
            continue
        left = len(so_far)
        for step in steps:
            if isinstance(step.action, Change) and left:
                left -= 1
            elif step.at >= portfolio.end:
                coming.append(step)
    return sorted(coming, key=lambda step: step.at)


def _told(signing: Signing, portfolio: Portfolio) -> list[Step]:
    return tell(signing, portfolio.estate, earliest=portfolio.start, tempo=HISTORY)


async def live(
    seed: int,
    clock: Clock,
    *,
    rate_per_minute: float,
    estate: Estate,
    defect_share: float = DEFECT_SHARE,
    before: Iterable[Step] = (),
) -> AsyncIterator[Step]:
    """New contracts for ever, at this mean rate of signatures; each step comes when the clock reaches it.

    `before` are steps that are already known, of a sequel; those whose time has passed come at once.

    Contract ids carry the moment of the start, so that a second run does not continue the contracts of the first.
    """
    started = clock.now()
    stamp = f"{started:%y%m%d%H%M%S}"
    # New customers need numbers that no earlier run has used.
    base = ((started.date() - _EPOCH).days * 86_400 + started.hour * 3600 + started.minute * 60 + started.second) * 10
    rng = chance(seed, "live", stamp)
    serial, arrival = count(), started
    waiting = [(step.at, next(serial), step) for step in before]
    heapify(waiting)
    # An unreadable event raises an alarm, which in a terminal would look like a failure of the demo.
    kinds = cycle(kind for kind in _kinds(seed, estate) if kind is not Defect.UNREADABLE)
    for number in count(1):
        arrival += timedelta(minutes=rng.expovariate(rate_per_minute))
        while waiting and waiting[0][0] <= arrival:
            at, _, step = heappop(waiting)
            await _until(clock, at)
            yield step
        await _until(clock, arrival)
        defect = next(kinds) if rng.random() < defect_share else None
        entity = _entity(seed, base + number, estate, defect)
        signed_at = arrival + timedelta(seconds=rng.uniform(15, 90))
        signing = Signing(f"{seed}/{stamp}", base + number, f"L-{stamp}-{number}", entity, signed_at, defect)
        for step in tell(signing, estate, earliest=arrival, tempo=LIVE):
            heappush(waiting, (step.at, next(serial), step))


async def _until(clock: Clock, moment: datetime) -> None:
    left = (moment - clock.now()).total_seconds()
    if left > 0:
        await clock.sleep(left)


def _signings(portfolio: Portfolio) -> list[Signing]:
    """By time; those whose exception is to be open at the end say when it is mended."""
    drawn = sorted(_drawn(portfolio), key=lambda signing: (signing.at, signing.number))
    named = [replace(s, contract_id=f"C-{s.at.year}-{place:05d}") for place, s in enumerate(drawn, 1)]
    if not portfolio.open_share:
        return named  # a plan for tests: contracts without a part to play
    found = (trouble(s.number, _told(s, portfolio)) for s in named if s.defect)
    wanted = round(portfolio.contracts * portfolio.open_share)
    late = late_repairs(portfolio.seed, [t for t in found if t], end=portfolio.end, wanted=wanted)
    mended = [replace(s, mended_at=late.get(s.number)) for s in named]
    return staged(mended, portfolio.end, lambda signing: _told(signing, portfolio))


def _drawn(portfolio: Portfolio) -> Iterator[Signing]:
    seed, estate, start, end = portfolio.seed, portfolio.estate, portfolio.start, portfolio.end
    defects = _defects(portfolio)
    recent = _recent(defects)
    calendars = {window: _calendars(estate, max(start, end - window), end) for window in (end - start, _RECENT)}
    calendars[_FRESH] = _calendars(estate, max(start, end - _FRESH), end + timedelta(days=1))
    ahead = _calendars(estate, end, end + _PIPELINE)
    pipeline = round(portfolio.contracts * (_PIPELINE / (end - start)))
    for number in range(1, portfolio.contracts + pipeline + 1):
        defect = defects.get(number)
        entity = _entity(seed, number, estate, defect)
        signed = number <= portfolio.contracts
        days = calendars[recent.get(number, end - start)] if signed else ahead
        at = days[entity.code].draw(chance(seed, "signing", number))
        if signed:
            # Fresh ones may fall into the rest of the last day: the same hour of the day before, then.
            at -= timedelta(days=1) if at > end - _TO_SHOW else timedelta()
            at = min(max(at, start + timedelta(hours=1)), end - timedelta(minutes=15))
        yield Signing(seed, number, "", entity, at if signed else max(at, end), defect)


def _calendars(estate: Estate, start: datetime, end: datetime) -> dict[str, SigningDays]:
    return {entity.code: SigningDays(entity, start.date(), end.date()) for entity in estate.entity}


def _defects(portfolio: Portfolio) -> dict[int, Defect]:
    """Which contracts have one: every kind as often as it says, about."""
    rng = chance(portfolio.seed, "defects")
    numbers = rng.sample(range(1, portfolio.contracts + 1), round(portfolio.contracts * portfolio.defect_share))
    return dict(zip(numbers, cycle(_kinds(portfolio.seed, portfolio.estate)), strict=False))


def _recent(defects: Mapping[int, Defect]) -> dict[int, timedelta]:
    """Which contracts were signed within so long before the end, so that what is open there is not old alone."""
    seen = Counter[Defect]()
    recent: dict[int, timedelta] = {}
    for number, defect in defects.items():
        if (seen[defect] + list(Defect).index(defect)) % _RECENT_EVERY == 0:
            recent[number] = _RECENT if len(recent) % _FRESH_EVERY else _FRESH
        seen[defect] += 1
    return recent


def _kinds(seed: int, estate: Estate) -> list[Defect]:
    able = [d for d in Defect if any(eligible(d, entity) for entity in estate.entity)]
    kinds = [d for d in able for _ in range(TREATMENTS[d].often)]
    chance(seed, "kinds").shuffle(kinds)
    return kinds


def _entity(seed: int, number: int, estate: Estate, defect: Defect | None) -> Entity:
    """The first entities of the estate file get the most contracts."""
    able = [e for e in estate.entity if defect is None or eligible(defect, e)]
    weights = [0.8**n for n in range(len(able))]
    return chance(seed, "entity", number).choices(able, weights)[0]
