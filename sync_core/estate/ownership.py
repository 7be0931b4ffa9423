"""`[ownership]` of the estate file: who owns a domain or one field of it, and what a change by another system means."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sync_core.domains.domains import DOMAIN_OF, DOMAINS, OnConflict, Owner
from sync_core.errors import InvalidEstate


@dataclass(frozen=True)
class OwnerRule:
    """What is left out is as the domain has it (sync_core/domains/domains.py)."""

    owner: Owner | None = None
    conflict: OnConflict | None = None


Rules = Mapping[str, OwnerRule]  # by name of a domain or of a field, such as "project.po_number"
_NONE: Final = OwnerRule()


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for one field."""

    owner: Owner
    conflict: OnConflict

    @property
    def ours(self) -> bool:
        """What Tieline wants counts, not what the ERP holds."""
        return self.owner is not Owner.ERP


def rule_for(rules: Rules, field: str) -> Rule:
    """The field's own rule before its domain's, and that before what the product says. `field` is of DOMAIN_OF."""
    domain = DOMAINS[DOMAIN_OF[field]]
    own, whole = rules.get(field, _NONE), rules.get(domain.name, _NONE)
    return Rule(own.owner or whole.owner or domain.owner, own.conflict or whole.conflict or domain.conflict)


def check(rules: Rules) -> None:
    """Raises InvalidEstate."""
    for name, rule in rules.items():
        domain = DOMAINS.get(DOMAIN_OF.get(name, name))
        if domain is None:
            known = ", ".join([*DOMAINS, "or a field such as project.po_number"])
            raise InvalidEstate(f"[ownership]: {name!r} is neither a domain nor a field; use {known}")
        if not domain.fields:
            raise InvalidEstate(f"[ownership]: {name} is always owned by {domain.owner}; take the line out")
        if rule.owner is not None and rule.owner not in domain.owners:
            allowed = " or ".join(sorted(domain.owners))
            raise InvalidEstate(f"[ownership]: {name} cannot be owned by {rule.owner}; use {allowed}")
