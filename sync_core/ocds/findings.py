"""Why a release, or a contract in it, is not imported: what a person could not have mapped either."""

from dataclasses import dataclass
from enum import StrEnum


class Why(StrEnum):
    """Stable, for programs."""

    NOT_JSON = "not_json"
    NOT_A_RELEASE = "not_a_release"
    OCID_MISSING = "ocid_missing"
    DATE_MISSING = "date_missing"
    DATE_UNREADABLE = "date_unreadable"
    CONTRACT_ABSENT = "contract_absent"
    CONTRACT_ID_MISSING = "contract_id_missing"
    CONTRACT_ID_TWICE = "contract_id_twice"
    VALUE_MISSING = "value_missing"
    AMOUNT_UNREADABLE = "amount_unreadable"
    AMOUNT_NEGATIVE = "amount_negative"
    CURRENCY_MISSING = "currency_missing"
    CURRENCY_UNKNOWN = "currency_unknown"
    SUPERSEDED = "superseded"
    NOT_UNDERSTOOD = "not_understood"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a release stands, and what it calls itself; "" where it does not."""

    number: int  # of the releases read, from 1
    words: str  # "line 3", "release 12", "record 4, release 1"
    ocid: str = ""
    release_id: str = ""

    def __str__(self) -> str:
        named = " ".join(part for part in (self.ocid, self.release_id) if part)
        return f"{self.words} ({named})" if named else self.words


class Unmapped(Exception):
    """A release or a contract in it cannot be read. `message`: what is wrong and what to do."""

    def __init__(self, why: Why, message: str) -> None:
        super().__init__(message)
        self.why, self.message = why, message

    def __reduce__(self) -> tuple[type, tuple[Why, str]]:
        return type(self), (self.why, self.message)


@dataclass(frozen=True, slots=True)
class Finding:
    """One of them, where it was found. `contract`: its id in the release, "" for the release as a whole."""

    why: Why
    place: Place
    message: str
    contract: str = ""
