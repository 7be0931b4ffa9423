"""What the firm adds to a release, from the options of the source's `[[clm]]` in the estate file."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sync_core.errors import InvalidEstate
from sync_core.estate.estate import Clm, Estate

KIND: Final = "ocds"
OPTIONS: Final = ("legal_entity", "service_line", "geography", "payment_terms", "tax_code", "timezone")
_BUYER, _SUPPLIER = "buyer:", "supplier:"


@dataclass(frozen=True, slots=True)
class Rules:
    """Without any, a customer has the key that the release gives it, and the legal entity is not known yet."""

    default_entity: str = ""
    service_line: str = ""
    geography: str = ""
    payment_terms: str = "NET30"
    tax_code: str | None = None
    zone: ZoneInfo | None = None  # of days that a publisher writes as moments in UTC
    buyers: Mapping[str, str] = field(default_factory=dict)  # customer code by the buyer's key in releases
    suppliers: Mapping[str, str] = field(default_factory=dict)  # legal entity by the supplier's key
    entities: Collection[str] = ()  # codes of the firm's own
    trial: bool = False

    @classmethod
    def of(cls, clm: Clm, estate: Estate, *, trial: bool = False) -> "Rules":
        """Raises InvalidEstate that names the option."""
        options = clm.options
        strange = next((n for n in options if n not in OPTIONS and not n.startswith((_BUYER, _SUPPLIER))), None)
        if strange is not None:
            known = ", ".join((*OPTIONS, f"{_BUYER}<id>", f"{_SUPPLIER}<id>"))
            raise InvalidEstate(f"clm {clm.name}: {strange!r} is no option of an OCDS source; they are {known}")
        return cls(
            default_entity=options.get("legal_entity", ""),
            service_line=options.get("service_line", ""),
            geography=options.get("geography", ""),
            payment_terms=options.get("payment_terms", "NET30"),
            tax_code=options.get("tax_code") or None,
            zone=_zone(clm.name, options.get("timezone", "")),
            buyers=_named(options, _BUYER),
            suppliers=_named(options, _SUPPLIER),
            entities=frozenset(estate.entities),
            trial=trial,
        )

    def customer(self, buyer: str) -> str:
        return self.buyers.get(buyer, buyer)

    def legal_entity(self, suppliers: Sequence[str]) -> str:
        """Of the first supplier that is one of the firm's; "" for none: the others are no entities of this firm."""
        mapped = (self.suppliers.get(one) or (one if one in self.entities else "") for one in suppliers)
        return next(filter(None, mapped), self.default_entity)


def _named(options: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in options.items() if name.startswith(prefix)}


def _zone(clm: str, name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError) as wrong:
        raise InvalidEstate(f"clm {clm}: timezone {name!r} is none; write it like Europe/Lisbon") from wrong
