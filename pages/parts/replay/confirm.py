"""The two dialogs that a replay's fate is decided in: carry it out, or cancel it."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import streamlit as st

from pages.kit import acting, frame, sentences
from pages.kit import format as fmt
from pages.kit.table import table
from pages.parts.replay import words as told
from sync_core.commands.commands import Commands
from sync_core.commands.replay_deciding import LONGEST_TICKET, second_person
from sync_core.commands.replays import ReplayConfirmed
from sync_core.estate.estate import ReplayPolicy
from sync_core.reads import MoneyTotal, Reads
from sync_core.reads.amounts import summed
from sync_core.reads.replay_items import ItemRow
from sync_core.reads.replays import ReplayDetail
from sync_core.replay.replay import ItemState, PreviewState, ReplayState

_REASONS: Final = ("The ERP's outage is over", "The data was corrected", "The ERP was restored from a backup", "Other")
_OF_MOVES: Final = ("The legal entity goes to another ERP", "The move is taken back", "Other")
_SHOWN: Final = 6


def ready(row: ItemRow) -> bool:
    """Whether a confirmation would carry it out."""
    return row.state is ItemState.PENDING and row.preview is PreviewState.DONE and not row.findings


def confirm(
    found: ReplayDetail, picked: Sequence[ItemRow], shown: Sequence[ItemRow], reads: Reads, commands: Commands
) -> None:
    """What will happen to how many and how much, who else is needed, and why it is done. `picked` none: all of it."""
    chosen = [row for row in picked if ready(row)]
    count = len(chosen) if picked else found.totals.ready
    money = _money(chosen, reads.reporting_currency) if picked else found.totals.ready_money
    label = fmt.plural(count, "contract")
    st.markdown(
        f"**{label}, {fmt.plain(sentences.money_of(money))}**: workers read the ERP again and carry out what the "
        "preview shows, and nothing else. A plan that has changed since is skipped and told."
    )
    _left(found, count)
    unknown = sum(part.count for part in money.unconverted)
    why = second_person(reads.estate, count, money.money.amount, unknown)
    if why:
        st.info(f"A second person has to approve it first: {fmt.plain(why)}.", icon=":material/supervisor_account:")
    _first_rows(chosen if picked else [row for row in shown if ready(row)], count)
    with st.form("confirm_replay", border=False):
        verb = f"Ask for approval of {label}" if why else f"{found.replay.noun} {label}"
        _ask(found, [row.contract_id for row in chosen] if picked else None, verb, reads.estate.replay, commands)


def _left(found: ReplayDetail, count: int) -> None:
    """What stays as it is, stopped ones apart: choosing them would not help."""
    totals = found.totals
    if totals.stopped:
        money = fmt.plain(sentences.money_of(totals.stopped_money))
        st.caption(
            f":orange[:material/front_hand:] {fmt.plural(totals.stopped, 'contract')} ({money}) cannot be carried out: "
            "the preview found what stops each before any write. Mend that, then preview again."
        )
    other = totals.states[ItemState.PENDING] - totals.stopped - count
    if other > 0:
        stay = "stays as it is" if other == 1 else "stay as they are"
        st.caption(f"{fmt.plural(other, 'contract')} {stay}: not chosen, or without a preview.")


def _ask(found: ReplayDetail, only: list[int] | None, verb: str, policy: ReplayPolicy, commands: Commands) -> None:
    reasons = _OF_MOVES if found.replay.move_to else _REASONS
    choice = st.selectbox("Reason", reasons, index=None, placeholder="Choose a reason (kept in the audit)")
    left, right = st.columns(2)
    text = left.text_input("In your words", max_chars=1_000, placeholder="What happened")
    ticket = right.text_input("Ticket" if policy.ticket_required else "Ticket (optional)", max_chars=LONGEST_TICKET,
                              placeholder="INC-4821")  # fmt: skip
    rate = st.number_input("Contracts a minute", min_value=1, max_value=60_000, value=found.replay.per_minute,
                           help="Dispatched over all workers; slower spares the ERP")  # fmt: skip
    if not st.form_submit_button(verb, type="primary", icon=":material/replay:"):
        return
    if choice is None or (choice == _REASONS[-1] and not text.strip()):
        acting.why_not("Choose a reason; for another one say it in your words.")
        return
    if policy.ticket_required and not ticket.strip():
        acting.why_not("Name the ticket of this change, such as INC-4821.")
        return
    parts = [part for part in ("" if choice == _REASONS[-1] else choice, text.strip()) if part]
    do = partial(commands.replays.confirm, frame.actor(), found.replay.replay_id, reason=": ".join(parts),
                 ticket=ticket, per_minute=int(rate), only=only, version=found.replay.version)  # fmt: skip
    done, why_not = acting.attempt(do, "The confirmation")
    if done is None:
        acting.why_not(why_not)
        return
    waits = done.state is ReplayState.AWAITING_APPROVAL
    st.toast(f"Approval of {done.items:,} asked for" if waits else f"{found.replay.noun} of {done.items:,} queued",
             icon=":material/schedule_send:")  # fmt: skip
    acting.finish(_told(done, "moved" if found.replay.move_to else "replayed"), state=done.state.value)


def _told(done: ReplayConfirmed, carried: str) -> str:
    label = fmt.plural(done.items, "contract")
    skipped = f" {done.skipped:,} skipped." if done.skipped else ""
    if done.state is ReplayState.AWAITING_APPROVAL:
        verb = "waits" if done.items == 1 else "wait"
        return f"{label} {verb} for a second person: {done.approval_why}.{skipped}"
    return f"{label} {'is' if done.items == 1 else 'are'} being {carried}.{skipped}"


def _money(rows: Sequence[ItemRow], reporting: str) -> MoneyTotal:
    return summed([(row.money, row.money_reporting) for row in rows if row.writes], reporting)


def _first_rows(rows: Sequence[ItemRow], count: int) -> None:
    first = [
        [row.external_id, row.legal_entity, told.effect(row), fmt.money_exact(row.money) if row.money else ""]
        for row in rows[:_SHOWN]
    ]
    table("confirm", ["Contract", "Entity", "What it does", "Value"], first)
    if count > len(first):
        st.caption(f"and {fmt.count(count - len(first))} more")


def cancel(found: ReplayDetail, commands: Commands) -> None:
    """What has not begun is not done."""
    replay, totals = found.replay, found.totals
    left = totals.states[ItemState.PENDING] - totals.in_hand
    st.markdown(f"**{fmt.plural(left, 'contract')}** that have not begun stay as they are. "
                f"{fmt.plural(totals.in_hand, 'contract')} in a worker's hand will be finished; what is done stays "
                "done.")  # fmt: skip
    with st.form("cancel_replay", border=False):
        why = st.text_area("Reason", max_chars=2_000, height=80, placeholder="Kept in the audit")
        what = f"{replay.noun.lower()} {replay.replay_id}"
        if st.form_submit_button(f"Cancel {what}", type="primary", icon=":material/cancel:"):
            do = partial(commands.replays.cancel, frame.actor(), replay.replay_id, reason=why)
            done, why_not = acting.attempt(do, "Cancelling")
            if done is None:
                acting.why_not(why_not)
            else:
                acting.finish(f"{replay.noun} {replay.replay_id} is cancelled.")
