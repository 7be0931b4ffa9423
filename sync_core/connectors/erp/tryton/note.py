"""The comment of a project or task in Tryton: our business key, then what Tryton has no field for, then people's words.

    clm:crm/C-1001#M:design
    Bill on: 2026-05-29
    ---- kept by Tieline from the signed contract; write your own notes below this line ----
    Talked to Ann about the acceptance test.

Tryton has neither an external id nor, in its project modules, dates, a contract value or a purchase order, so
this is where its users see them and where they are read back from. What stands below the line is never touched.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sync_core.connectors.erp.tryton.wire import Value
from sync_core.desired import Scalar
from sync_core.keys import BusinessKey

PREFIX = "clm:"
RULE = "---- kept by Tieline from the signed contract; write your own notes below this line ----"
CLOSED = "closed"

# Our field: its label. Users read the labels in Tryton, so a changed one would be a new field.
_LABELS = {
    "name": "Name as signed",  # only of a name that Tryton stores without its outer blanks
    "billing": "Billing",
    "value": "Contract value",
    "not_to_exceed": "Not to exceed",
    "starts_on": "Starts on",
    "ends_on": "Ends on",
    "payment_terms": "Payment terms",
    "po_number": "Purchase order",
    "amount": "Amount",
    "recognition": "Revenue recognition",
    "bill_on": "Bill on",
    CLOSED: "Closed by Tieline on",
}
_FIELDS = {label: name for name, label in _LABELS.items()}
_LINES = re.compile(r"\r?\n")


@dataclass(frozen=True, slots=True)
class Note:
    key: BusinessKey
    fields: Mapping[str, str]
    words: str = ""  # people's own

    @classmethod
    def read(cls, comment: str | None) -> "Note | None":
        """None for a record that is not ours."""
        first, *lines = _LINES.split(comment or "")
        if not first.startswith(PREFIX):
            return None
        fields: dict[str, str] = {}
        for at, line in enumerate(lines):
            if line.startswith("----"):
                return cls(BusinessKey(first[len(PREFIX) :]), fields, "\n".join(lines[at + 1 :]))
            label, _, value = line.partition(": ")
            if label in _FIELDS:
                fields[_FIELDS[label]] = _unescaped(value)
        return cls(BusinessKey(first[len(PREFIX) :]), fields)

    def with_fields(self, changes: Mapping[str, Scalar]) -> "Note":
        """None takes a field away."""
        merged: dict[str, Scalar] = {**self.fields, **changes}
        return Note(self.key, {name: str(value) for name, value in merged.items() if value is not None}, self.words)

    @property
    def text(self) -> str:
        lines = [f"{_LABELS[name]}: {_escaped(self.fields[name])}" for name in _LABELS if name in self.fields]
        return "\n".join([f"{PREFIX}{self.key}", *lines, RULE, *([self.words] if self.words else [])])


def of_contract(contract: BusinessKey) -> Sequence[Value]:
    """The search for a contract's project and parts, doubles included, also after a client rewrote the line ends."""
    exact = f"{PREFIX}{contract}"
    begun = re.sub(r"([\\%_])", r"\\\1", exact)
    likes: list[Value] = [["comment", "like", f"{begun}{mark}%"] for mark in ("\n", "\r\n", "#")]
    return ["OR", ["comment", "=", exact], *likes]


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "r": "\r"}.get(found[1], found[1]), value)
