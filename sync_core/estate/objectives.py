"""Other targets for service-level objectives than Tieline suggests: `[[objective]]` of the estate file.

What each objective counts is in metrics/slo.py and docs/telemetry.md; how good is good enough is the firm's to say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from pydantic import ConfigDict

from sync_core.errors import InvalidEstate

NAMES: Final = (
    "provisioned-in-time", "amendments-in-time", "events-stored", "read-back", "api-latency", "erp-latency",
)  # fmt: skip
LEAST: Final = 0.5
MOST: Final = 0.99999  # beyond that 30 days hold too few events to tell it from never
_MAY_BE_ALL: Final = "read-back"  # a wrong one stands in an ERP's books: none may be bad


@dataclass(frozen=True)
class ObjectiveTarget:
    """The share of events that are to be good."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    target: float


def check(targets: Sequence[ObjectiveTarget]) -> None:
    """Raises InvalidEstate that names the key and what to put there."""
    seen: set[str] = set()
    for one in targets:
        if one.name not in NAMES:
            raise InvalidEstate(f"[[objective]]: {one.name[:40]!r} is no objective; there are {', '.join(NAMES)}")
        if one.name in seen:
            raise InvalidEstate(f"[[objective]]: {one.name} is given twice; keep one")
        seen.add(one.name)
        if not LEAST <= one.target <= MOST and not (one.target == 1 and one.name == _MAY_BE_ALL):
            all_ = ", or 1 for all" if one.name == _MAY_BE_ALL else ""
            raise InvalidEstate(f"[[objective]] {one.name}: target must be a share from {LEAST} to {MOST}{all_}, "
                                "such as 0.99")  # fmt: skip
