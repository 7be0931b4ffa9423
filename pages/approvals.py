"""What waits for a second person: contracts above a threshold of the estate, and replays that one person confirmed."""

from datetime import datetime
from functools import partial

import streamlit as st

from pages import _acting as acting
from pages import _approving as approving
from pages import _data as data
from pages import _filters as filters
from pages import _format as fmt
from pages import _frame as frame
from pages import _grid as grid
from pages import _replay as one_replay
from pages._frame import Freshness, Page
from pages._words import inside
from sync_core.authority import Permission
from sync_core.commands.commands import Commands
from sync_core.reads import Reads, Window
from sync_core.reads.approvals import ApprovalPage, ApprovalRow
from sync_core.reads.replays import ReplayPage, ReplayRow
from sync_core.reads.stuck import bill_runs
from sync_core.replay import ReplayState

PAGE = Page(
    title="Approvals",
    icon=":material/approval:",
    path="approvals",
    order=37,
    section="More",
    needs=Permission.EXCEPTIONS_READ,
)

_REPLAYS = 50


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
        _contracts(contracts, reads, commands, now)
        _replays(replays, commands, now)


def _headline(contracts: ApprovalPage, replays: ReplayPage) -> str:
    if not contracts.rows and not replays.rows:
        return "**Nothing waits for an approval.**"
    mine = sum(row.may_decide(frame.actor()) for row in contracts.rows)
    mine += sum(not one_replay.objection(row) for row in replays.rows)
    many = contracts.total + replays.total
    told = [f"**{fmt.plural(count, noun)}**" for count, noun in ((contracts.total, "contract"),
            (replays.total, "replay")) if count]  # fmt: skip
    waits = f"{' and '.join(told)} {'waits' if many == 1 else 'wait'} for an approval."
    return f"{waits} {f'{mine:,} of them on this page are yours to decide.' if mine else 'None is yours to decide.'}"


def _contracts(page: ApprovalPage, reads: Reads, commands: Commands | None, now: datetime) -> None:
    with frame.card("contracts", "Contracts", "Signed above a threshold of the estate; nothing is in the ERP yet",
                    definition="An approval holds up to the amount that is approved. Who corrected what a contract "
                    "says may not approve it."):  # fmt: skip
        if not page.rows:
            frame.empty("No contract waits for an approval.", "Those above a threshold appear here.")
            return
        runs = bill_runs(reads.estate, now=now)
        for row in page.rows:
            _contract(row, runs.get(row.case.legal_entity), commands, now)
        if page.before is not None or page.after is not None:
            grid.pager(page, "approval")


def _contract(row: ApprovalRow, run_at: datetime | None, commands: Commands | None, now: datetime) -> None:
    case = row.case
    with st.container(key=f"task_case_{case.case_id}", border=True, gap="xsmall"):
        value = fmt.money_exact(row.value) if row.value else "an unknown amount"
        st.markdown(f"**{fmt.plain(value)}** {fmt.plain(case.title)} for {fmt.plain(case.customer_name)}, "
                    f"{fmt.plain(case.legal_entity)}")  # fmt: skip
        st.markdown(fmt.plain(acting.sentence(case.message)))
        bill = f"next bill {case.bill_on.day} {case.bill_on:%b %Y}" if case.bill_on else "no bill date"
        run = f", {fmt.duration(run_at - now)} to the bill run" if run_at else ""
        st.caption(fmt.plain(f"With {inside(case.function)} for {fmt.age(now - case.opened_at)}. It blocks its "
                             f"provisioning: {bill}{run}."))  # fmt: skip
        with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
            if commands is not None:
                approving.buttons(
                    f"case_{case.case_id}", partial(_decide, commands, row),
                    f"{case.external_id} {case.title} for {case.customer_name}: {value}", why_not=_objection(row),
                )  # fmt: skip
            frame.link("exceptions", f"Exception {case.case_id}", icon=":material/back_hand:", case=str(case.case_id))
            frame.link("contract", f"Contract {fmt.plain(case.external_id)}", icon=":material/contract:",
                       id=str(case.contract_id))  # fmt: skip


def _decide(commands: Commands, row: ApprovalRow, approve: bool, why: str) -> object:
    return commands.approvals.decide(frame.actor(), row.case.case_id, approve, why, version=row.case.version)


def _objection(row: ApprovalRow) -> str:
    actor = frame.actor()
    if actor.name in row.authors:
        return "You corrected this contract yourself, so another approver must decide."
    return "" if row.may_decide(actor) else acting.sentence(row.who)


def _replays(page: ReplayPage, commands: Commands | None, now: datetime) -> None:
    with frame.card("replays", "Replays", "Confirmed by one person, above a threshold of the estate"):
        if not page.rows:
            frame.empty("No replay waits for a second person.", "Those above a threshold appear here.")
            return
        for row in page.rows:
            _replay(row, commands, now)
        if page.after is not None:
            st.caption(f"And {page.total - _REPLAYS:,} more.")


def _replay(row: ReplayRow, commands: Commands | None, now: datetime) -> None:
    with st.container(key=f"task_replay_{row.replay_id}", border=True, gap="xsmall"):
        title = f": {row.title}" if row.title else ""
        st.markdown(f"**{fmt.plural(row.items, 'contract')}** {fmt.plain(f'Replay {row.replay_id}{title}')}")
        st.markdown(fmt.plain(f"{row.confirmed_by} asks, because {row.reason}. {acting.sentence(row.approval_why)}"))
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
