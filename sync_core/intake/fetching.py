"""What a CLM holds of a contract now, for those that can be asked. Others are known by their events alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sync_core.contract import Contract
from sync_core.keys import ExternalId
from sync_core.life.contract_words import flat

# What Tieline works out or decides besides, and no CLM holds.
_NOT_THEIRS = (
    "approval", "signed", "ended on", "clause ", "amendment ", "approval under ", "missing amendment",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ClmContract:
    """`fields` by the names of `fields_of`; `status` and `project_ref` as the CLM was last told, None: never."""

    external_id: ExternalId
    revision: int
    fields: Mapping[str, str]
    status: str | None
    project_ref: str | None


@runtime_checkable
class Fetches(Protocol):
    """A CLM connector whose CLM can be asked for one contract."""

    name: str

    async def fetch(self, external_id: str) -> ClmContract | None:
        """None: the CLM does not know it. Raises ClmError."""
        ...


def fields_of(contract: Contract) -> dict[str, str]:
    """Stage and terms, by the names that a reader calls them."""
    return {name: value for name, value in flat(contract).items() if not name.startswith(_NOT_THEIRS)}
