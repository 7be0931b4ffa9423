"""Master records as a master-data system says them, and what the engine asks of one (`MdmConnector`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from sync_core.errors import ErrorClass, TielineError

ACTIVE: Final = "active"


@dataclass(frozen=True, slots=True)
class Address:
    lines: tuple[str, ...]
    country: str | None = None  # ISO 3166 alpha-2
    kind: str = "billing"


@dataclass(frozen=True, slots=True)
class MasterCustomer:
    mdm_id: str
    code: str  # the customer's key in the ERPs
    name: str
    changed_at: datetime
    tax_id: str | None = None
    country: str | None = None
    status: str = ACTIVE
    merged_into: str | None = None  # mdm_id of the record that stands for it now
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class MasterEntity:
    """A legal entity of the firm's own."""

    mdm_id: str
    code: str
    name: str
    changed_at: datetime
    country: str | None = None
    currency: str | None = None
    status: str = ACTIVE


@dataclass(frozen=True, slots=True)
class MasterPage:
    """Records as they were changed, oldest change first; a record may come several times."""

    customers: Sequence[MasterCustomer]
    entities: Sequence[MasterEntity]
    watermark: str
    more: bool


class MdmError(TielineError):
    """Master data could not be read; the next poll tries again."""

    code = "mdm.error"
    error_class = ErrorClass.TRANSIENT

    def __init__(self, system: str, message: str) -> None:
        super().__init__(f"{system}: {message}")
        self.system, self.words = system, message

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.system, self.words)


class MdmConnector(Protocol):
    """One master-data system. Raises MdmError for whatever goes wrong; every call is safe to repeat."""

    name: str

    async def changes(self, watermark: str | None) -> MasterPage:
        """What changed behind `watermark`; None starts with all there is."""
        ...

    async def aclose(self) -> None: ...
