"""A replay, its items and their effects in words."""

from collections.abc import Mapping
from typing import Final, Literal

from pages.kit import format as fmt
from pages.kit.words import inside, words
from sync_core.reads.replay_items import ItemRow, LastRefusal
from sync_core.reads.replays import ReplayRow
from sync_core.replay.replay import ItemState, ReplayState, Skip

Colour = Literal["gray", "blue", "orange", "green", "red"]

STATES: Final[Mapping[ReplayState, tuple[Colour, str]]] = {
    ReplayState.PREVIEWING: ("blue", ":material/preview:"),
    ReplayState.PREVIEWED: ("blue", ":material/fact_check:"),
    ReplayState.AWAITING_APPROVAL: ("orange", ":material/supervisor_account:"),
    ReplayState.RUNNING: ("blue", ":material/play_circle:"),
    ReplayState.PAUSED: ("orange", ":material/pause_circle:"),
    ReplayState.CANCELLED: ("gray", ":material/cancel:"),
    ReplayState.FINISHED: ("green", ":material/check_circle:"),
    ReplayState.REFUSED: ("gray", ":material/block:"),
}
ITEM_STATES: Final[Mapping[ItemState, str]] = {
    ItemState.VERIFIED: "verified",
    ItemState.MISMATCH: "mismatch",
    ItemState.FAILED: "failed",
    ItemState.UNVERIFIABLE: "not verifiable",
    ItemState.SKIPPED: "skipped",
    ItemState.CANCELLED: "cancelled",
    ItemState.PENDING: "to come",
}
_SKIPS: Final[Mapping[Skip, str]] = {
    Skip.NOT_ELIGIBLE: "not eligible",
    Skip.NOT_CHOSEN: "not chosen",
    Skip.NOT_PREVIEWED: "its preview failed",
    Skip.STOPPED: "stopped before any write",
    Skip.SUPERSEDED: "another replay does it",
    Skip.CHANGED: "changed since the preview",
}


_UNDONE: Final = (ItemState.MISMATCH, ItemState.FAILED, ItemState.UNVERIFIABLE)


def state(row: ReplayRow) -> tuple[str, Colour, str]:
    """In words, with its colour and icon: green only when everything carried out was verified."""
    colour, icon = STATES[row.state]
    undone = sum(row.states.get(code, 0) for code in _UNDONE)
    if row.state is ReplayState.FINISHED and undone:
        return f"Finished, {undone:,} not verified", "orange", ":material/warning:"
    if row.state is ReplayState.FINISHED and not row.states.get(ItemState.VERIFIED):
        return "Finished, nothing carried out", "gray", ":material/remove_circle:"
    return words(row.state.value), colour, icon


def progress(row: ReplayRow) -> str:
    """34 of 35 contracts ended: 33 verified, 1 mismatch."""
    ended = {code: n for code, n in row.states.items() if n and code is not ItemState.PENDING}
    seen = sum(row.states.values())
    told = ", ".join(f"{n:,} {ITEM_STATES[code]}" for code, n in ended.items())
    of = fmt.plural(seen, "contract")
    beyond = f" ({row.items - seen:,} more beyond your reach)" if row.items > seen else ""
    return f"{of}{': ' + told if told else ''}{beyond}"


def decided(row: ReplayRow) -> str:
    """Who said yes or no, and why."""
    parts = []
    if row.confirmed_by and row.confirmed_at:
        ticket = f" (ticket {row.ticket})" if row.ticket else ""
        parts.append(f"Confirmed by {row.confirmed_by} {fmt.moment(row.confirmed_at)}: {row.reason}{ticket}.")
    if row.needs_approval:
        parts.append(f"A second person was needed: {row.approval_why}.")
    if row.approved_by and row.approved_at:
        parts.append(f"Approved by {row.approved_by} {fmt.moment(row.approved_at)}: {row.approval_reason}.")
    if row.ended_by:
        parts.append(f"{words(row.state.value)} by {row.ended_by}.")
    return " ".join(parts)


def effect(row: ItemRow) -> str:
    """What it would do: "create 4, activate 1", "unchanged"."""
    counted = [("create", row.creates), ("update", row.updates), ("activate", row.activates), ("close", row.closes),
               ("conflict", row.conflicts)]  # fmt: skip
    told = ", ".join(f"{name} {n:,}" for name, n in counted if n)
    if row.stopped:
        return "stopped: " + "; ".join(row.findings)
    if row.preview != "done":
        return row.preview_why or row.eligibility_why or words(row.preview.value).lower()
    return told or "unchanged"


def refused(last: LastRefusal) -> str:
    """Why the last run did not get it into the ERP, of which class, and when."""
    when = f" {fmt.moment(last.at)}" if last.at else ""
    if not last.error_class:  # such as a night's file that was not answered yet
        return f"Its last run{when} said: {last.words}."
    return f"Its last run did not succeed{when} ({words(last.error_class)}): {last.words}. This may happen again."


def outcome(row: ItemRow) -> str:
    """Where it stands now."""
    if row.state is ItemState.PENDING:
        before = "stopped" if row.stopped else "refused last time" if row.refused else "previewed"
        return "in hand" if row.dispatched_at else "to come" if row.confirmed else before
    told = ITEM_STATES[row.state]
    return f"{told}: {_SKIPS[row.skip]}" if row.skip else told


def eligibility(row: ItemRow) -> str:
    return inside(row.eligibility.value)
