"""Codes of the core in the words of the pages: "po_missing" is "PO missing". Unknown codes are written out too."""

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from sync_core.errors import Function
from sync_core.journal.progress import State, Step

_ACRONYMS: Final = frozenset({"ap", "api", "ar", "clm", "erp", "id", "po", "sla", "url"})
_STEPS: Final = {Step.ACTIVE.value: "Billable"}
_ACTIONS: Final = {"no_op": "Unchanged", "task": "Left to finance:"}
_SHORT: Final = {Function.FINANCE_OPERATIONS.value: "Finance ops", "blocker": "Blocked"}
Colour = Literal["gray", "blue", "orange", "green", "red"]

# Badge and pill colours of Streamlit's theme. Red stays for what is broken; a blocked contract is work, not a breakage.
STATE_COLOURS: Final[Mapping[State, Colour]] = {
    State.DRAFT: "gray",
    State.WAITING: "blue",
    State.BLOCKED: "orange",
    State.ACTIVE: "green",
    State.SUSPENDED: "gray",
    State.ENDED: "gray",
    State.SET_ASIDE: "red",
}
STATE_ICONS: Final[Mapping[State, str]] = {
    State.DRAFT: ":material/edit_note:",
    State.WAITING: ":material/hourglass_top:",
    State.BLOCKED: ":material/back_hand:",
    State.ACTIVE: ":material/check_circle:",
    State.SUSPENDED: ":material/pause_circle:",
    State.ENDED: ":material/flag:",
    State.SET_ASIDE: ":material/report:",
}
STATE_MEANINGS: Final[Mapping[State, str]] = {
    State.DRAFT: "Not signed yet; nothing is provisioned from a draft.",
    State.WAITING: "Signed and queued for its ERP; nobody needs to act.",
    State.BLOCKED: "Paused until a person decides or completes something.",
    State.ACTIVE: "Billable: its ERP confirmed every object by read-back.",
    State.SUSPENDED: "Suspended by the parties: its ERP holds it and bills nothing.",
    State.ENDED: "Cancelled, terminated or over.",
    State.SET_ASIDE: "Given up after repeated failures of our own; see the last error.",
}


def words(code: str) -> str:
    """po_missing: "PO missing". A blank code stays blank."""
    if code in _SHORT:
        return _SHORT[code]
    parts = code.replace("_", " ").split()
    written = " ".join(part.upper() if part.lower() in _ACRONYMS else part for part in parts)
    return written[:1].upper() + written[1:]


def inside(code: str) -> str:
    """As `words`, for the middle of a sentence: "tax profile missing"; an acronym keeps its capitals."""
    written = words(code)
    return written if written[:2].isupper() else written[:1].lower() + written[1:]


def days(bucket: str) -> str:
    """A bucket of ages without its unit, for a head row that has little room: "14-30 d" is "14-30"."""
    return bucket.removesuffix(" d")


def action(code: str) -> str:
    """create: "Create"; no_op: "Unchanged"."""
    return _ACTIONS.get(code) or words(code)


def step(name: str) -> str:
    """A step of the funnel; the last one is what finance calls billable."""
    return _STEPS.get(name) or words(name)


def entity(code: str, name: str) -> str:
    """A legal entity in a list to choose from: with its code, by which tables and headings name it."""
    return name if re.match(rf"{re.escape(code)}(?![\w-])", name) else f"{code} · {name}"


def labels(codes: Iterable[str]) -> dict[str, str]:
    """Code to words, in the order given."""
    return {code: words(code) for code in codes}


STATES: Final = labels(state.value for state in State)
FUNCTIONS: Final = labels(function.value for function in Function)
SEVERITIES: Final = labels(("high", "medium", "low"))
