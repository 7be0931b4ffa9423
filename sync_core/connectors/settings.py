"""Options of a system in the estate file, as its connector reads them: each is known, or refused by its name."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

from pydantic import Field, TypeAdapter, ValidationError

from sync_core.errors import InvalidEstate
from sync_core.estate.misread import nearest

_PAGE_SIZE: Final = TypeAdapter(Annotated[int, Field(ge=1, le=1000)])


def only(system: str, options: Mapping[str, str], known: Sequence[str], *, groups: Sequence[str] = ()) -> None:
    """`system` in words, such as `erp cloud`; `groups`: what options with a name of their own begin with.

    Raises InvalidEstate.
    """
    for option in options:
        group, dot, name = option.partition(".")
        if option in known or (dot and name and group in groups):
            continue
        if dot and name:
            near = nearest(group, groups or known)
            raise InvalidEstate(f"{system}: option {option!r} is unknown, there is no group {group!r}; {near}")
        every = [*known, *(f"{group}.<name>" for group in groups)]
        raise InvalidEstate(f"{system}: {option} is no option of it; {nearest(option, every)}")


def page_size(system: str, options: Mapping[str, str], otherwise: int) -> int:
    """How many a source is asked for at a time. Raises InvalidEstate."""
    try:
        return _PAGE_SIZE.validate_python(options.get("page_size", otherwise))
    except ValidationError as wrong:
        raise InvalidEstate(f"{system}: page_size must be a whole number from 1 to 1000") from wrong


def seconds(system: str, options: Mapping[str, str], name: str, otherwise: str) -> float:
    """Raises InvalidEstate for what is no time."""
    given = options.get(name, otherwise)
    try:
        found = float(given)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise InvalidEstate(f"{system}: {name} {given!r} is no number of seconds; write one such as {otherwise}")
    return found
