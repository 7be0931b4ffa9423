"""How far a replay is: one bar whose parts add up to its contracts, each named with its number; and what it does."""

from html import escape
from typing import Final

import streamlit as st

from pages.kit import format as fmt
from pages.kit import frame, sentences
from pages.kit.frame import Kpi
from pages.kit.palette import Palette
from pages.parts.replay import words as told
from sync_core.reads.replays import ReplayDetail, Totals
from sync_core.replay.replay import ItemState, PreviewState, ReplayState

_ORDER: Final = (
    ItemState.VERIFIED,
    ItemState.MISMATCH,
    ItemState.FAILED,
    ItemState.UNVERIFIABLE,
    ItemState.SKIPPED,
    ItemState.CANCELLED,
)


def draw(found: ReplayDetail, palette: Palette) -> None:
    """The bar, and the totals of the effects."""
    totals = found.totals
    if found.replay.state is ReplayState.PREVIEWING:
        pending = totals.previews[PreviewState.PENDING]
        done = totals.items - pending
        sub = f"Workers read the ERP for each contract; {fmt.count(done)} of {fmt.count(totals.items)} are done"
        with frame.card("progress", "Preview", sub):
            st.progress(done / max(1, totals.items), text=f"{fmt.count(pending)} to go")
    elif found.replay.confirmed_at is not None or found.replay.state.over:
        with frame.card("progress", "Progress", _sub(found)):
            _bar(totals, palette)
    frame.kpi_row(_effects(totals))


def _sub(found: ReplayDetail) -> str:
    totals = found.totals
    told_ = f"{fmt.count(totals.ended)} of {fmt.plural(totals.items, 'contract')} ended"
    if found.remaining is not None and totals.waiting:
        told_ += f"; the last is dispatched in {fmt.age(found.remaining)}"
    return told_


def _bar(totals: Totals, palette: Palette) -> None:
    colours = {
        ItemState.VERIFIED: palette.teal,
        ItemState.MISMATCH: palette.red,
        ItemState.FAILED: palette.red,
        ItemState.UNVERIFIABLE: palette.amber,
        ItemState.SKIPPED: palette.muted,
        ItemState.CANCELLED: palette.muted,
    }
    parts = [(told.ITEM_STATES[state], totals.states[state], colours[state]) for state in _ORDER]
    rest = totals.states[ItemState.PENDING] - totals.in_hand
    parts += [("in hand", totals.in_hand, palette.blue), ("to come", rest, palette.pale)]
    shown = [(name, n, colour) for name, n, colour in parts if n]
    whole = max(1, totals.items)
    bar = "".join(f"<span style='width:{100 * n / whole:.3f}%;background:{colour}'></span>" for _, n, colour in shown)
    key = "".join(f"<li><i style='background:{colour}'></i><b>{n:,}</b> {escape(name)}</li>"
                  for name, n, colour in shown)  # fmt: skip
    said = escape(", ".join(f"{n:,} {name}" for name, n, _ in shown))
    st.html(f"<div class='tl-bar' role='img' aria-label='{said}'>{bar}</div><ul class='tl-key'>{key}</ul>")


def _effects(totals: Totals) -> list[Kpi]:
    skipped = totals.states[ItemState.SKIPPED]
    stopped = f"{totals.conflicts:,} conflicts" if totals.conflicts else "none stopped"
    if totals.stopped and not totals.conflicts:
        stopped = "not in the money"
    closes = f"{totals.closes:,} more closed" if totals.closes else None
    return [
        Kpi("Contracts", fmt.count(totals.items), "Frozen when the replay was made: nothing joins it later.",
            delta=fmt.count(skipped) if skipped else None, comparison="skipped" if skipped else "none skipped"),
        Kpi("Create", fmt.count(totals.creates), "ERP objects that do not exist there and would be made."),
        Kpi("Update", fmt.count(totals.updates), "ERP objects of which fields would be changed.", comparison=closes),
        Kpi("Activate", fmt.count(totals.activates), "Projects that would be switched to billable, last of all."),
        Kpi("Money", sentences.money_of(totals.money),
            "Value of the contracts of which anything would be written, in the reporting currency, without what is "
            "stopped.", comparison=f"{fmt.plural(totals.no_ops, 'object')} unchanged"),
        Kpi("Stopped", fmt.count(totals.stopped),
            "Contracts that cannot be carried out: their preview found what stops them before any write, such as a "
            "missing tax profile or a billed milestone that differs. Their rows say what.",
            delta=sentences.money_of(totals.stopped_money) if totals.stopped else None,
            comparison=stopped),
    ]  # fmt: skip
