"""What waits for a second person: contracts above a threshold of the estate, and replays that one person confirmed."""

from datetime import datetime
from functools import partial

import streamlit as st

from pages.kit import acting, data, filters, frame, grid
from pages.kit import format as fmt
from pages.kit.frame import Freshness, Page
from pages.parts.approval import approving, tasks
from pages.parts.replay import asked as what_is_asked
from pages.parts.replay import replay as one_replay
from sync_core.authority import Permission
from sync_core.commands.commands import Commands
from sync_core.reads import Reads, Window
from sync_core.reads.approvals import ApprovalPage
from sync_core.reads.replay_asked import Asked
from sync_core.reads.replays import ReplayPage, ReplayRow
from sync_core.replay.replay import ReplayState

_REPLAYS = 50
_COUNTED = 100  # in the bar


def mine(reads: Reads) -> str:
    """How many wait for this viewer: "3", "100+" for very many, nothing for whoever may not decide."""
    if not frame.may(Permission.APPROVALS_DECIDE) and not frame.may(Permission.REPLAY_APPROVE):
        return ""
    contracts = reads.approvals(window=Window(_COUNTED))
    replays = reads.replays(states=(ReplayState.AWAITING_APPROVAL,), window=Window(_COUNTED))
    count = _decidable(contracts, replays)
    more = contracts.after is not None or replays.after is not None
    return f"{count}{'+' if more else ''}" if count else ""


PAGE = Page(
    title="Approvals",
    icon=":material/approval:",
    path="approvals",
    order=37,
    section="More",
    needs=Permission.EXCEPTIONS_READ,
    waiting=mine,
)


def render(reads: Reads, commands: Commands | None) -> None:
    now = reads.now
    filters.forget("case", "replay", "id")
    frame.header("Approvals", "What waits for a second person before anything is sent to an ERP.",
                 Freshness(now, now, data.KEPT))  # fmt: skip
    acting.said()
    with frame.contained("The approvals"):
        contracts = grid.read_page(lambda window: reads.approvals(window=window))
        replays = reads.replays(states=(ReplayState.AWAITING_APPROVAL,), window=Window(_REPLAYS))
        frame.headline(_headline(contracts, replays))
        tasks.draw(contracts, reads, commands, now)
        _replays(replays, reads, commands, now)


def _headline(contracts: ApprovalPage, replays: ReplayPage) -> str:
    if not contracts.rows and not replays.rows:
        return "**Nothing waits for an approval.**"
    yours = _decidable(contracts, replays)
    many = contracts.total + replays.total
    told = [f"**{fmt.plural(count, noun)}**" for count, noun in ((contracts.total, "contract"),
            (replays.total, "replay")) if count]  # fmt: skip
    waits = f"{' and '.join(told)} {'waits' if many == 1 else 'wait'} for an approval."
    if not yours:
        return f"{waits} None is yours to decide."
    whose = "It is" if many == 1 else f"{yours:,} of them on this page {'is' if yours == 1 else 'are'}"
    return f"{waits} {whose} yours to decide."


def _decidable(contracts: ApprovalPage, replays: ReplayPage) -> int:
    decided = sum(row.may_decide(frame.actor()) for row in contracts.rows)
    return decided + sum(not one_replay.objection(row) for row in replays.rows)


def _replays(page: ReplayPage, reads: Reads, commands: Commands | None, now: datetime) -> None:
    with frame.card("replays", "Replays", "Confirmed by one person, above a threshold of the estate"):
        if not page.rows:
            frame.empty("No replay waits for a second person.", "Those above a threshold appear here.")
            return
        asked = reads.replays_asked([row.replay_id for row in page.rows], most=what_is_asked.SHOWN)
        for row in page.rows:
            _replay(row, asked[row.replay_id], commands, now)
        if page.after is not None:
            st.caption(f"And {page.total - _REPLAYS:,} more.")


def _replay(row: ReplayRow, asked: Asked, commands: Commands | None, now: datetime) -> None:
    with st.container(key=f"task_replay_{row.replay_id}", border=True, gap="xsmall"):
        title = f": {row.title}" if row.title else ""
        st.markdown(f"**{fmt.plain(what_is_asked.headline(row, asked))}** "
                    f"{fmt.plain(f'Replay {row.replay_id}{title}')}")  # fmt: skip
        st.markdown(fmt.plain(f"{row.confirmed_by} asks, because {row.reason}. {acting.sentence(row.approval_why)}"))
        what_is_asked.names(row, asked)
        since = fmt.age(now - row.confirmed_at) if row.confirmed_at else "an unknown time"
        ticket = f" Ticket {row.ticket}." if row.ticket else ""
        st.caption(fmt.plain(f"Waits for {since}; nothing of it is sent before.{ticket}"))
        with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
            if commands is not None:
                approving.buttons(
                    f"replay_{row.replay_id}", partial(one_replay.decide, commands, row),
                    f"Replay {row.replay_id}: {row.approval_why}", why_not=one_replay.objection(row),
                )  # fmt: skip
            frame.link("replay", f"Replay {row.replay_id}", icon=":material/replay:", replay=str(row.replay_id))
