"""The card of the ERP lanes: whether each ERP takes work, what waits for it, and how many of its slots are in use."""

from datetime import datetime, timedelta

import pandas as pd
import streamlit as st

from pages.kit import data, frame, sentences
from pages.kit import format as fmt
from sync_core.reads import LaneState, Reads

_LATE = timedelta(hours=1)  # without an answer: it may be down, with nothing to do there that would show it
_STATES = {
    "open": ":orange-badge[:material/cloud_off: Unreachable]",
    "paused": ":red-badge[:material/pause_circle: Paused]",
}
_COLUMNS = ["ERP", "State", "Waiting", "Slots"]


def card(reads: Reads) -> None:
    """Reads its own data, so that a failure here stays here."""
    with frame.card(
        "lanes", "ERP lanes", "Contracts that wait for each ERP, and their value",
        definition="Each ERP has a lane. Unreachable: calls fail, one probe at a time goes out, and contracts keep "
        "their place. Not reached since: no call was needed, or none was answered. Paused: its credentials or its "
        "answers are wrong and a person has to act. A slot lets a worker make one call at a time; workers hold a few "
        "in reserve. Money is in the reporting currency.",
    ):  # fmt: skip
        lanes = data.lanes(reads)
        if not lanes:
            frame.empty("No ERP is connected yet.", "A lane appears when a worker starts.", icon=":material/lan:")
            return
        rows = [row(lane, reads.now) for lane in lanes]
        st.table(pd.DataFrame(rows, columns=_COLUMNS), border="horizontal", hide_index=True)


def row(lane: LaneState, now: datetime) -> list[str]:
    """Its cells."""
    money = fmt.money(lane.waiting.money)
    unconverted = sentences.without_rate(lane.waiting)
    waiting = f"{fmt.count(lane.waiting.count)} ({money}{' and ' + unconverted if unconverted else ''})"
    state = _reached(lane, now) if lane.breaker == "closed" else _STATES.get(lane.breaker, fmt.plain(lane.breaker))
    why = f" {fmt.plain(lane.reason)}" if lane.reason and lane.breaker != "closed" else ""
    if lane.observed:
        why += f" :violet-badge[:material/visibility: Only observed: {fmt.plural(lane.observed, 'contract')}]"
    if lane.does_without:
        why += f" :orange-badge[:material/info: Runs without] {fmt.plain(lane.does_without)}"
    return [fmt.plain(lane.lane), state + why, fmt.plain(waiting), f"{lane.slots_used}/{lane.slots_total}"]


def _reached(lane: LaneState, now: datetime) -> str:
    if lane.reached_at is None:
        return ":gray-badge[:material/pending: No call yet]"
    if now - lane.reached_at <= _LATE:
        return ":green-badge[:material/check_circle: Running]"
    colour = "orange" if lane.waiting.count else "gray"
    return f":{colour}-badge[:material/schedule: Not reached since {fmt.moment(lane.reached_at)}]"
