"""`[renewal]` of the estate file: how long before a notice date people are told. See docs/lifecycle.md."""

from dataclasses import dataclass
from typing import ClassVar, Final

from pydantic import ConfigDict

from sync_core.errors import InvalidEstate
from sync_core.estate.delivery import Delivery

USUAL: Final = (90, 30, 7)
MOST_DAYS: Final = 730


@dataclass(frozen=True)
class RenewalPolicy:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    alert_days: tuple[int, ...] | None = None  # before the notice date, one alert each; empty: none

    def alerts(self, delivery: Delivery) -> tuple[int, ...]:
        """The nearest last. `[delivery] renewal_days` is the older way to ask for one alert."""
        if self.alert_days is not None:
            return tuple(sorted(self.alert_days, reverse=True))
        return USUAL if delivery.renewal_days is None else (delivery.renewal_days,)


def check(policy: RenewalPolicy, delivery: Delivery) -> None:
    """Raises InvalidEstate that names the key and what to put there."""
    days = policy.alert_days or ()
    if not all(1 <= n <= MOST_DAYS for n in days) or len(set(days)) < len(days):
        raise InvalidEstate(f"[renewal]: alert_days must be different numbers of days from 1 to {MOST_DAYS}")
    if policy.alert_days is not None and delivery.renewal_days is not None:
        raise InvalidEstate("[delivery]: renewal_days is what [renewal] alert_days says; take one of the two out")
