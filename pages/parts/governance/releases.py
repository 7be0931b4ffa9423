"""Who owns what, which releases ran and are coming, and what each connector needs of its ERP."""

from datetime import datetime
from typing import Final

import streamlit as st

from pages.kit import format as fmt
from pages.kit import frame, marks
from pages.kit.table import marked, table
from pages.kit.words import words
from sync_core.cases.ownership import FIELDS
from sync_core.errors import Function
from sync_core.estate.schemas import PlannedRelease
from sync_core.reads import Reads, Window
from sync_core.reads.schemas import ConnectorCheck

_SHOWN: Final = 12


def draw(reads: Reads) -> None:
    grid = frame.card_grid()
    with grid:
        with grid.cell(column_span=2):
            _calendar(reads)
        _owners(reads)
        with grid.cell(column_span="all"):
            _connectors(reads)


def _calendar(reads: Reads) -> None:
    with frame.card(
        "calendar", "Release calendar", "Planned releases of the estate file, then those that were seen, newest first",
        definition="Planned: [[release]] of the estate file. Seen: versions that Tieline, its database, the ERPs and "
        "the CLMs said they run, looked at every five minutes.",
    ):  # fmt: skip
        today = reads.now.date()
        planned = sorted(reads.estate.release, key=lambda one: one.on)
        rows = [_planned(one, reads.now) for one in planned if one.on >= today]
        seen = reads.releases(Window(_SHOWN)).rows
        rows += [[marks.system(one, kind=True), one.version, fmt.moment(one.first_seen_at), "seen", ""] for one in seen]
        if not rows:
            frame.empty("No release is planned or was seen.", "Name those that come as [[release]] in the estate file.",
                        icon=":material/event:")  # fmt: skip
            return
        table("calendar", ["System", "Version", "On", "", "Note"], rows)


def _planned(one: PlannedRelease, now: datetime) -> list[str]:
    days = (one.on - now.date()).days
    when = "today" if not days else f"in {fmt.plural(days, 'day')}"
    return [one.system, one.version, f"{one.on:%-d %b %Y}", when, one.note]


def _owners(reads: Reads) -> None:
    with frame.card(
        "owners", "Domain owners", "Which business function answers for what, and who that is here",
        definition="Of fields: what the function may set as a correction. People and times: [[owner]] of the estate.",
    ):  # fmt: skip
        owners = reads.estate.owners
        rows = []
        for function in Function:
            fields = ", ".join(field.label.lower() for field in FIELDS.values() if field.setter is function)
            owner = owners.get(function)
            who = f"{owner.name} ({owner.sla_working_hours} working hours)" if owner else "nobody is named"
            rows.append([words(function), who, fields or "no field of the contract"])
        table("owners", ["Function", "Here", "Corrects"], rows)


def _connectors(reads: Reads) -> None:
    with frame.card(
        "connectors", "What connectors need", "Fields and interface versions, and what the last look found; UTC",
        definition="Asked of each ERP that can say what its answers hold: each minute, before the first write, and "
        "before the next write after its release changed. What lacks pauses the lane before anything is sent, but for "
        "what a connector can do without.",
    ):  # fmt: skip
        found = reads.connector_checks()
        if not found:
            frame.empty("No ERP was asked yet.", "A worker asks each minute those that can say.",
                        icon=":material/cable:")  # fmt: skip
            return
        marked("connectors", ["ERP", "Interface", "Needs", "Looked at", "Found"], [_check(one) for one in found])
        with st.popover("All fields", icon=":material/list:", type="tertiary"):
            rows = [[one.lane, kind, ", ".join(names)] for one in found for kind, names in sorted(one.needs.items())]
            table("needs", ["ERP", "Record", "Fields"], rows)


def _check(one: ConnectorCheck) -> list[str]:
    fields = sum(len(names) for names in one.needs.values())
    state = ":green-badge[:material/check_circle: All there]"
    if one.does_without is not None:
        state = f":orange-badge[:material/info: Runs without] {fmt.plain(one.does_without)}"
    if one.problem is not None:
        state = f":red-badge[:material/pause_circle: Lane paused] {fmt.plain(one.problem)}"
    needs = f"{fmt.plural(fields, 'field')} of {fmt.plural(len(one.needs), 'record')}"
    return [fmt.plain(one.lane), fmt.plain(one.api), needs, fmt.moment(one.checked_at), state]
