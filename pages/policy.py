"""The policy: what decides on contracts, what waits for a second person, and proposing another."""

from datetime import datetime
from functools import partial
from typing import Final

import streamlit as st

from pages import _acting as acting
from pages import _approving as approving
from pages import _data as data
from pages import _filters as filters
from pages import _format as fmt
from pages import _frame as frame
from pages._frame import Freshness, Page
from pages._table import table
from pages._words import words
from sync_core.authority import Permission
from sync_core.commands.commands import Commands
from sync_core.commands.policies import LONGEST, Proposed
from sync_core.money import Money
from sync_core.policy.table import TABLES
from sync_core.reads import Reads
from sync_core.reads.policies import Policies, Proposal

PAGE = Page(title="Policy", icon=":material/rule:", path="policy", order=80, section="More",
            needs=Permission.CONTRACTS_READ)  # fmt: skip
_SHOWN: Final = 10
_EXAMPLE: Final = """[[route]]
name = "Historical contracts"
legal_entity = "…"
erp = "…"
"""


def render(reads: Reads, commands: Commands | None) -> None:
    now = reads.now
    filters.forget("case", "replay", "id")
    frame.header("Policy", "Which rules decide where contracts go, who approves them and who gets their exceptions.",
                 Freshness(now, now, data.KEPT))  # fmt: skip
    acting.said()
    with frame.contained("The policy"):
        found = reads.policies()
        frame.headline(_headline(found))
        if found.waiting is not None:
            _waiting(found.waiting, reads, commands)
        _tables(reads)
        if commands is not None and found.waiting is None:
            _propose(commands)
        _history(found, now)


def _headline(found: Policies) -> str:
    if found.in_force is None:
        return "**No worker has started yet**, so no policy is in force."
    one = found.in_force
    waits = " Another one **waits for a second person**." if found.waiting else ""
    by = f"activated by {fmt.plain(one.activated_by)}" if one.proposal_id else "of the file that workers start with"
    return f"Policy **{one.version}** is in force since {fmt.moment(one.activated_at)}, {by}.{waits}"


def _tables(reads: Reads) -> None:
    tables = reads.estate.tables
    with frame.card("rules", "Rules in force", "The most specific rule that fits decides; the estate's stand beneath "
                    "the policy's"):  # fmt: skip
        chosen = st.segmented_control("Table", TABLES, format_func=words, default=TABLES[0], key="policy_table",
                                      required=True, label_visibility="collapsed")  # fmt: skip
        one = getattr(tables, chosen)
        rows = [[rule.name, "Policy", rule.where, rule.says] for rule in one.rules]
        rows += [[rule.name, "Estate", rule.where, rule.says] for rule in one.defaults]
        if rows:
            table(f"rules_{chosen}", ["Rule", "Of", "For", "Decides"], rows)
        st.caption(fmt.plain(f"Where none fits: {one.otherwise}."))


def _waiting(one: Proposal, reads: Reads, commands: Commands | None) -> None:
    with frame.card("proposal", f"Proposal {one.proposal_id}", "Back-tested over the contracts signed in the quarter "
                    "before it was proposed"):  # fmt: skip
        st.markdown(fmt.plain(f"{one.proposed_by} proposes it, because {one.reason}. {_effect(one, reads)}"))
        st.caption(fmt.plain(f"A second person must approve: {one.second_person}. Tested against {one.before}, "
                             f"{fmt.moment(one.proposed_at)}."))  # fmt: skip
        if one.effects:
            table("effects", ["What changes", "Contracts"],
                  [[words(name), f"{times:,}"] for name, times in sorted(one.effects.items())])  # fmt: skip
        with st.expander("The text of the policy"):
            st.code(one.body, language="toml")
        if commands is not None:
            _decide(one, commands)


def _decide(one: Proposal, commands: Commands) -> None:
    actor = frame.actor()
    own = one.proposed_by == actor.name
    if own and _everywhere(Permission.POLICY_WRITE):
        with st.form("withdraw_policy", border=False):
            why = st.text_input("Reason", max_chars=2_000, placeholder="Kept in the audit")
            if st.form_submit_button("Withdraw", icon=":material/undo:"):
                take_back = partial(commands.policies.withdraw, actor, one.proposal_id, why, version=one.row_version)
                acting.carry_out(take_back, "The withdrawal", lambda _: "Withdrawn.")
    may_not = (
        "" if _everywhere(Permission.POLICY_APPROVE) else "An approver with reach over all legal entities decides."
    )
    why_not = "You proposed it, so somebody else must decide." if own else may_not

    def decide(approve: bool, reason: str) -> Proposed:
        act = commands.policies.approve if approve else commands.policies.refuse
        return act(actor, one.proposal_id, reason, version=one.row_version)

    approving.buttons(f"policy_{one.proposal_id}", decide, f"Policy {one.version}", why_not=why_not)


def _everywhere(permission: Permission) -> bool:
    """A policy decides for every legal entity."""
    actor = frame.actor()
    return actor.may(permission) and actor.entities(permission) is None


def _propose(commands: Commands) -> None:
    with frame.card("propose", "Propose another", "It is tested first, over the contracts of the last quarter; where "
                    "it changes much a second person must approve"):  # fmt: skip
        if not _everywhere(Permission.POLICY_WRITE):
            st.caption(":material/lock: An administrator with reach over all legal entities may propose one.")
            return
        with st.form("propose_policy", border=False):
            given = st.text_area("Policy file (TOML)", max_chars=LONGEST, height=220, placeholder=_EXAMPLE)
            why = st.text_input("Reason", max_chars=2_000, placeholder="Kept in the audit")
            if st.form_submit_button("Test and propose", type="primary", icon=":material/science:"):
                ask = partial(commands.policies.propose, frame.actor(), given, why)
                acting.carry_out(ask, "The proposal", _done)


def _done(made: Proposed) -> str:
    many = f"{made.changed:,} of {made.tested:,} contracts are decided on differently"
    if made.state == "proposed":
        return f"Proposed: {many}; a second person must approve, because {made.second_person}."
    return f"Policy {made.version} is in force: {many}. Processes begin again under it within seconds."


def _effect(one: Proposal, reads: Reads) -> str:
    worth = "" if one.money is None else f", worth {fmt.money(Money(one.money, reads.reporting_currency))}"
    unread = f" Of {one.unreadable:,} nothing can be said." if one.unreadable else ""
    return f"{one.changed:,} of {one.tested:,} contracts would be decided on differently{worth}.{unread}"


def _history(found: Policies, now: datetime) -> None:
    with frame.card("history", "History", f"As of {fmt.moment(now)}; the runs of a contract name the version that they "
                    "were made by"):  # fmt: skip
        if not found.history:
            frame.empty("Nothing yet.", "It begins with the first worker.", icon=":material/history:")
            return
        table("history", ["Version", "In force since", "By", "Because"], [
            [row.version, fmt.moment(row.activated_at), row.activated_by,
             row.reason or "The file that a worker was started with"] for row in found.history[:_SHOWN]
        ])  # fmt: skip
        refused = [one for one in found.proposals if one.state == "refused"][:_SHOWN]
        if refused:
            with st.expander("Proposals that did not come into force"):
                table("refused", ["Proposal", "By", "Because", "Refused or withdrawn by"], [
                    [str(one.proposal_id), one.proposed_by, one.reason, f"{one.decided_by}: {one.decided_reason}"]
                    for one in refused
                ])  # fmt: skip
