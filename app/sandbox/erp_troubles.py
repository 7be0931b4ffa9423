"""What goes wrong with the ERP in the demo's past: an outage that everybody notices, and a fault that nobody does.

The outage passes by itself, with a new release. In the last days a faulty release accepts milestones and rates and
keeps none of them; Tieline reads back, tries again and sets such contracts aside. The release is put right before the
past ends, but what is set aside is tried again when a person asks for it: that is what a replay is for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.sandbox.cloud.faults import Effect, Fault
from app.sandbox.cloud.server import RELEASE
from app.sandbox.portfolio.plan import Portfolio, sound_signatures

FIRST_RELEASE: Final = "2026.1"
_AFTER_OUTAGE, _FAULTY = "2026.2", "2026.3"
CALL_S: Final = 0.18  # virtual; a cloud ERP's ordinary answer
_OUTAGE_AGO, _OUTAGE_LASTS = timedelta(weeks=6), timedelta(hours=7)
_MENDED_AGO: Final = timedelta(minutes=45)
_GIVES_UP: Final = timedelta(hours=5)  # all attempts of a contract, each in a tick of its own
_WANTED, _LONGEST = 5, timedelta(days=8)  # so many signatures fall into its time, and about as many amendments


@dataclass(frozen=True, slots=True)
class Turn:
    """At `at` the ERP's faults become these; `said`: what the log says of it. `release`: that it runs from then on."""

    at: datetime
    faults: tuple[Callable[[], Fault], ...]
    said: str = ""
    release: str | None = None


def turns(portfolio: Portfolio) -> list[Turn]:
    """In the order of time."""
    return [*_outage(portfolio.end), *_loss(portfolio)]


def slow() -> Fault:
    """How long each call takes, whatever else is wrong."""
    return Fault(Effect.LATENCY, seconds=CALL_S)


def _outage(end: datetime) -> list[Turn]:
    """A Wednesday morning in business hours."""
    day = end - _OUTAGE_AGO
    wednesday = day + timedelta(days=(2 - day.weekday()) % 7)
    begins = wednesday.replace(hour=8, minute=45, second=0, microsecond=0)
    ends = begins + _OUTAGE_LASTS
    said = f"the ERP was down for {_OUTAGE_LASTS / timedelta(hours=1):g} hours on {ends:%d %b %Y}"
    return [Turn(begins, (lambda: Fault(Effect.STATUS, status=503),)), Turn(ends, (slow,), said, _AFTER_OUTAGE)]


def _loss(portfolio: Portfolio) -> list[Turn]:
    ends = portfolio.end - _MENDED_AGO
    begins = _loss_begins(sound_signatures(portfolio), ends - _GIVES_UP)
    if begins is None:
        return []
    loses = tuple(_loses(kind) for kind in ("milestone", "labour_rate"))
    said = f"the ERP accepted milestones and rates and kept none from {begins:%d %b} to {ends:%d %b %Y}"
    return [Turn(begins, (*loses, slow), release=_FAULTY), Turn(ends, (slow,), said, RELEASE)]


def _loss_begins(signatures: Sequence[datetime], last: datetime) -> datetime | None:
    """Shortly before the signature that is the one too few; None when none falls into so long a time."""
    falling = sorted((at for at in signatures if last - _LONGEST < at <= last), reverse=True)[:_WANTED]
    return falling[-1] - timedelta(minutes=10) if falling else None


def _loses(kind: str) -> Callable[[], Fault]:
    return lambda: Fault(Effect.STORES_NOTHING, f"{kind}.*")
