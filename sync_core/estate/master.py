"""`[[mdm]]` of the estate file: where customers and legal entities are kept by their owner."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sync_core.errors import InvalidEstate


@dataclass(frozen=True)
class Mdm:
    name: str
    kind: str  # module in sync_core/connectors/mdm
    url: str | None = None
    secret_env: str | None = None
    poll_every_s: int = 60
    creates_customers: bool = False  # a customer that it has is created in an ERP which lacks it
    options: Mapping[str, str] = field(default_factory=dict)


def check(systems: Iterable[Mdm], taken: Iterable[str]) -> None:
    """`taken`: names of CLMs and ERPs, with which it shares addresses. Raises InvalidEstate."""
    used = set(taken)
    for one in systems:
        if one.name in used:
            raise InvalidEstate(f"mdm.name {one.name!r} is the name of another system of the estate; choose another")
        used.add(one.name)
        if one.poll_every_s < 1:
            raise InvalidEstate(f"mdm {one.name}: poll_every_s must be at least 1")
