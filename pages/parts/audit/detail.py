"""One row of the audit told whole: who, why, what was before and after, and where it stands in the chain."""

from collections.abc import Mapping, Sequence
from typing import Final

import streamlit as st

from pages.kit import format as fmt
from pages.kit import frame
from pages.kit.table import table
from pages.kit.words import words
from sync_core.reads import AuditRow

_MOST: Final = 200  # fields shown of one row
_LONGEST: Final = 500  # characters of one value
_NOTHING: Final = "–"


def draw(row: AuditRow) -> None:
    """The body of the row's dialog."""
    kind = "" if row.actor_kind == "person" else f" ({words(row.actor_kind).lower()})"
    st.markdown(f"**{fmt.plain(action(row.action))}**, {fmt.plain(row.subject)}")
    st.caption(f"{exact(row)} by {fmt.plain(row.actor)}{kind}, as {fmt.plain(row.roles or 'nobody in particular')}")
    if row.reason:
        st.markdown(f":material/format_quote: {fmt.plain(row.reason)}")
    _where(row)
    _changes(row.detail)
    _chain(row)


def action(code: str) -> str:
    """exception.hand_over: "Exception: hand over"."""
    noun, _, verb = code.partition(".")
    return f"{words(noun)}: {words(verb).lower()}" if verb else words(noun)


def exact(row: AuditRow) -> str:
    """To the second: an auditor compares it with other logs."""
    return f"{row.occurred_at.day} {row.occurred_at:%b %Y %H:%M:%S} UTC"


def _where(row: AuditRow) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if row.legal_entity:
            st.badge(fmt.plain(row.legal_entity), icon=":material/apartment:", color="gray")
        if row.contract_id is not None and row.external_id is not None:
            frame.link("contract", fmt.plain(row.external_id), id=str(row.contract_id))
        elif row.contract_id is not None:
            st.caption(f"Contract {row.contract_id}, whose records retention deleted")


def _changes(detail: Mapping[str, object]) -> None:
    """Before and after side by side; all else below as it was noted."""
    before, after = flat(detail.get("before")), flat(detail.get("after"))
    changed = [
        [field, before.get(field, _NOTHING), after.get(field, _NOTHING)]
        for field in dict.fromkeys([*after, *before])
        if before.get(field) != after.get(field)
    ]
    if changed:
        table("changes", ["Field", "Before", "After"], _cut(changed))
    other = {name: value for name, value in detail.items() if name not in ("before", "after")}
    noted = [[field, value] for field, value in flat(other).items()]
    if noted:
        table("noted", ["Noted", "Value"], _cut(noted))
    if not changed and not noted:
        st.caption("Nothing more was noted with it.")


def _chain(row: AuditRow) -> None:
    with st.expander("Its place in the chain", icon=":material/link:", expanded=False):
        facts = [("Hash", row.hash), (f"Hash of row {row.id - 1:,}" if row.id > 1 else "The beginning", row.previous)]
        if row.items_root:
            facts.append((f"Merkle root over {fmt.plural(row.items, 'item')}", row.items_root))
        if row.correlation_id:
            facts.append(("Correlation id", row.correlation_id))
        for label, value in facts:
            st.caption(label)
            st.code(value, language=None, wrap_lines=True)


def flat(value: object, name: str = "") -> dict[str, str]:
    """Texts by field: "terms, PO number". A value without fields stands under "value"."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        found: dict[str, str] = {}
        for key, part in value.items():
            found |= flat(part, f"{name}, {words(str(key)).lower()}" if name else words(str(key)))
        return found
    if isinstance(value, Sequence) and not isinstance(value, str):
        if any(isinstance(part, Mapping) for part in value):
            return flat({str(at): part for at, part in enumerate(value, 1)}, name)
        return {name or "Value": ", ".join(_text(part) for part in value)[:_LONGEST] or "none"}
    return {name or "Value": _text(value)}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)[:_LONGEST]


def _cut(rows: list[list[str]]) -> list[list[str]]:
    if len(rows) <= _MOST:
        return rows
    rest = [f"and {len(rows) - _MOST:,} more"] + [""] * (len(rows[0]) - 1)
    return [*rows[:_MOST], rest]
