"""Parts of requests that several routes share, with their limits."""

from decimal import Decimal
from typing import Annotated, Final

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

NO_NUL: Final = r"^[^\x00]*$"  # PostgreSQL's text holds no U+0000
MOST_ID: Final = 2**63 - 1


class Body(BaseModel):
    """What a request asks for; a field that is not known is refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Id = Annotated[int, Path(ge=1, le=MOST_ID)]
IdText = Annotated[str, Path(max_length=200, pattern=NO_NUL)]
Number = Annotated[int, Field(ge=1, le=MOST_ID)]
Named = Number | Annotated[str, StringConstraints(min_length=1, max_length=400, pattern=NO_NUL)]
NAMED: Final = "A contract by Tieline's number, by its CLM's id, or by clm/id where several CLMs have that id"
Text = Annotated[str, Query(max_length=200, pattern=NO_NUL)]
Word = Annotated[str, StringConstraints(max_length=200, pattern=NO_NUL)]
Money = Annotated[Decimal, Field(ge=0, max_digits=24, decimal_places=6)]
Reason = Annotated[
    str, StringConstraints(min_length=3, max_length=2_000, pattern=NO_NUL),
    Field(description="Why, in at least a few words; kept in the audit"),
]  # fmt: skip


class Why(Body):
    """A change that needs nothing but its reason."""

    reason: Reason
