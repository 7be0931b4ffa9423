"""How closely the ERPs are watched besides the contracts' runs: `[watch]` of the estate file."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field


@dataclass(frozen=True)
class WatchPolicy:
    """All of it goes through the lanes: it takes slots like any call, and rests while a breaker is open."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    references_hours: Annotated[int, Field(ge=1, le=24 * 31)] = 6  # master data older than that is asked for again
    drift_per_minute: Annotated[int, Field(ge=0, le=10_000)] = 30  # contracts compared, for each ERP; 0: none

    @property
    def references_age(self) -> timedelta:
        return timedelta(hours=self.references_hours)
