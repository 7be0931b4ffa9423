"""The ERP's own short codes for what contracts name: legal entities, currencies, tax codes, payment terms, categories.

They are options of the estate file, `<group>.<our code> = "<theirs>"`. What has no code there does not exist in this
ERP as far as Tieline is concerned. The other way each of their codes must mean one thing, or a read could not be told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sync_core.errors import InvalidEstate

_WIDTHS: Final[Mapping[str, int]] = {"entity": 4, "currency": 3, "tax": 4, "terms": 4, "category": 6, "account": 10}
GROUPS: Final = tuple(_WIDTHS)


@dataclass(frozen=True, slots=True)
class Codes:
    """Both ways, by group."""

    theirs: Mapping[tuple[str, str], str]
    ours: Mapping[tuple[str, str], str]

    @classmethod
    def of(cls, erp: str, options: Mapping[str, str]) -> "Codes":
        """Raises InvalidEstate for a code that is too long or means two things."""
        theirs: dict[tuple[str, str], str] = {}
        ours: dict[tuple[str, str], str] = {}
        for option, code in options.items():
            group, _, name = option.partition(".")
            if group not in _WIDTHS or not name:
                continue
            if not 0 < len(code) <= _WIDTHS[group]:
                raise InvalidEstate(f"erp {erp}: {option} must be 1 to {_WIDTHS[group]} characters, not {code!r}")
            if (group, code) in ours:
                both = f"{group}.{ours[group, code]} and {option}"
                raise InvalidEstate(f"erp {erp}: {both} have the same code {code!r}; give each its own")
            theirs[group, name], ours[group, code] = code, name
        return cls(theirs, ours)

    def known(self, group: str, name: str) -> bool:
        return (group, name) in self.theirs

    def code(self, group: str, name: str) -> str:
        """Theirs. Raises KeyError with words for one that the estate file does not give."""
        try:
            # Accounts may be called alike on both sides.
            return self.theirs.get((group, name), name) if group == "account" else self.theirs[group, name]
        except KeyError:
            raise KeyError(f"{group} {name} has no code in this ERP; add {group}.{name} to its options") from None

    def name(self, group: str, code: str) -> str:
        """Ours; a code that nobody knows stays as it is, so that a difference shows it."""
        return self.ours.get((group, code), code)
