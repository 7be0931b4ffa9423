"""What a release says of an organisation: what it is called by, and of which country it is. Pure."""

import re
from typing import Final

from sync_core.ocds.values import Json, Object, first, identifier, inner, text

LONGEST_KEY: Final = 100  # of an id here: ERPs keep a contract's with the keys of its parts
_COUNTRY: Final = re.compile(r"([A-Z]{2})-")  # how schemes of national registers begin; X is for what is of no country


def key_of(organisation: Object) -> str:
    """What a release calls an organisation by: its id, its number in a register, else its name."""
    registered = inner(organisation, "identifier")
    return text(first(
        id_of(organisation.get("id")), id_of(registered.get("id")),
        text(organisation.get("name")), text(registered.get("legalName")),
    ), LONGEST_KEY)  # fmt: skip


def id_of(given: Json) -> str:
    """Some publishers write "null" for none."""
    found = identifier(given)
    return "" if found.lower() == "null" else found


def country_of(organisation: Object) -> str | None:
    scheme = inner(organisation, "identifier").get("scheme")
    found = _COUNTRY.match(scheme) if isinstance(scheme, str) else None
    return found[1] if found and not found[1].startswith("X") else None
