"""The policy: what decides on contracts, what waits for a second person, and proposing another."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final

import streamlit as st

from pages.kit import acting, data, filters, frame
from pages.kit import format as fmt
from pages.kit.frame import Freshness, Page
from pages.kit.table import table
from pages.kit.words import words
from pages.parts.approval import approving
from sync_core.authority import Permission
from sync_core.commands.commands import Commands
from sync_core.commands.policies import LONGEST, Ahead, Proposed
from sync_core.money import Money
from sync_core.policy.rule import Rule
from sync_core.policy.table import TABLES
from sync_core.reads import Reads
from sync_core.reads.policies import Activation, Pending, Policies, Proposal

PAGE = Page(title="Policy", icon=":material/rule:", path="policy", order=80, section="More",
            needs=Permission.CONTRACTS_READ)  # fmt: skip
_SHOWN: Final = 10
_RULES: Final = 50
_TEXT: Final = 5_000  # characters of a proposal
_AHEAD: Final = "tieline.policy.ahead"  # the text that was looked ahead at, and what came of it
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
            _waiting(found.waiting, commands)
        elif found.pending is not None:
            _pending(found.pending, commands)
        _tables(reads)
        if commands is not None and found.pending is None:
            _propose(commands)
        _history(found, now)


def _headline(found: Policies) -> str:
    if found.in_force is None:
        return "**No worker has started yet**, so no policy is in force."
    one = found.in_force
    waits = " Another one **waits for a second person**." if found.pending else ""
    by = f"activated by {fmt.plain(one.activated_by)}" if one.proposal_id else "of the file that workers start with"
    return f"Policy **{one.version}** is in force since {fmt.moment(one.activated_at)}, {by}.{waits}"


def _tables(reads: Reads) -> None:
    tables, currency = reads.rules(), reads.reporting_currency
    with frame.card("rules", "Rules in force", "The most specific rule that fits decides; the estate's stand beneath "
                    "the policy's"):  # fmt: skip
        chosen = st.segmented_control("Table", TABLES, format_func=words, default=TABLES[0], key="policy_table",
                                      required=True, label_visibility="collapsed")  # fmt: skip
        one = getattr(tables, chosen)
        rows = [*_rules("Policy", one.rules, currency), *_rules("Estate", one.defaults, currency)]
        if rows:
            table(f"rules_{chosen}", ["Rule", "Of", "For", "Decides"], rows[:_RULES])
        if len(rows) > _RULES:
            st.caption(f"And {len(rows) - _RULES:,} more.")
        st.caption(fmt.plain(f"Where none fits: {one.otherwise}."))


def _rules(source: str, rules: Sequence[Rule], currency: str) -> list[list[str]]:
    return [[rule.name, source, rule.where, rule.shown(currency)] for rule in rules]


def _pending(one: Pending, commands: Commands | None) -> None:
    """What it says and changes is of the whole firm, so it is not told where the reach has a limit."""
    with frame.card("proposal", f"Proposal {one.proposal_id}", "Waits for a second person"):
        st.markdown(fmt.plain(f"{one.proposed_by} proposed it {fmt.moment(one.proposed_at)}. What it says and changes "
                              "is for people with reach over all legal entities."))  # fmt: skip
        if commands is not None:
            _decide(one, commands)


def _waiting(one: Proposal, commands: Commands | None) -> None:
    with frame.card("proposal", f"Proposal {one.proposal_id}", "Back-tested over the contracts that stood when it was "
                    "proposed, and those of the quarter before"):  # fmt: skip
        st.markdown(fmt.plain(f"{one.proposed_by} proposes it, because {one.reason}. {_effect(one)}"))
        st.caption(fmt.plain(f"A second person must approve: {one.second_person}. Tested against {one.before}, "
                             f"{fmt.moment(one.proposed_at)}."))  # fmt: skip
        _effects("effects", one.effects)
        with st.expander("The text of the policy"):
            st.code(one.body[:_TEXT], language="toml")
            if len(one.body) > _TEXT:
                st.caption(f"The first {_TEXT:,} of {len(one.body):,} characters; `tieline policy history --json` and "
                           f"`GET /v1/policies/{one.proposal_id}` have all of it.")  # fmt: skip
        if commands is not None:
            _decide(one, commands)


def _decide(one: Proposal | Pending, commands: Commands) -> None:
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
    with frame.card("propose", "Propose another", "It is tested first, over all contracts that have not ended; where "
                    "it changes much a second person must approve"):  # fmt: skip
        if not _everywhere(Permission.POLICY_WRITE):
            st.caption(":material/lock: An administrator with reach over all legal entities may propose one.")
            return
        with st.form("propose_policy", border=False):
            given = st.text_area("Policy file (TOML)", max_chars=LONGEST, height=220, placeholder=_EXAMPLE)
            why = st.text_input("Reason", max_chars=2_000, placeholder="Kept in the audit")
            with st.container(horizontal=True, gap="small"):
                looks = st.form_submit_button("Look ahead", icon=":material/science:")
                proposes = st.form_submit_button("Propose", type="primary", icon=":material/send:",
                                                 disabled=_AHEAD not in st.session_state)  # fmt: skip
        if looks or proposes:
            _asked(given, why, commands, proposes=proposes)
        text, ahead = st.session_state.get(_AHEAD, ("", None))
        if ahead is None:
            st.caption("Look ahead first: it shows what would change, and changes nothing. Then propose.")
        elif text == given:
            _ahead(ahead)


def _asked(given: str, why: str, commands: Commands, *, proposes: bool) -> None:
    """What is proposed was looked ahead at: another text is looked at first."""
    if proposes and given == st.session_state.get(_AHEAD, ("", None))[0]:
        made, why_not = acting.attempt(partial(commands.policies.propose, frame.actor(), given, why), "The proposal")
        if made is None:
            acting.why_not(why_not)
            return
        del st.session_state[_AHEAD]
        acting.finish(_done(made))
    ahead, why_not = acting.attempt(partial(commands.policies.look_ahead, frame.actor(), given), "Looking ahead")
    if ahead is None:
        st.session_state.pop(_AHEAD, None)
        acting.why_not(why_not)
        return
    st.session_state[_AHEAD] = (given, ahead)
    st.rerun()


def _ahead(one: Ahead) -> None:
    many = _many(len(one.changed), one.tested, one.money, one.unreadable)
    then = f"A second person must approve: {one.second_person}." if one.second_person else (
        "Proposing it brings it into force at once; nobody else is asked.")  # fmt: skip
    st.markdown(fmt.plain(f"Policy {one.version} against {one.before}: {many} {then}"))
    _effects("ahead", one.effects)


def _done(made: Proposed) -> str:
    many = f"{made.changed:,} of {made.tested:,} contracts are decided on differently"
    if made.state == "proposed":
        return f"Proposed: {many}; a second person must approve, because {made.second_person}."
    return f"Policy {made.version} is in force: {many}. Processes begin again under it within seconds."


def _effect(one: Proposal) -> str:
    return _many(one.changed, one.tested, one.money, one.unreadable)


def _many(changed: int, tested: int, money: Money | None, unreadable: int) -> str:
    worth = f", worth {fmt.money(money)}" if money is not None and changed else ""
    unread = f" Of {unreadable:,} nothing can be said." if unreadable else ""
    return f"{changed:,} of {tested:,} contracts would be decided on differently{worth}.{unread}"


def _effects(key: str, effects: Mapping[str, int]) -> None:
    if effects:
        table(key, ["What changes", "Contracts"],
              [[words(name), f"{times:,}"] for name, times in sorted(effects.items())])  # fmt: skip


def _history(found: Policies, now: datetime) -> None:
    with frame.card("history", "History", f"As of {fmt.moment(now)}; the runs of a contract name the version that they "
                    "were made by"):  # fmt: skip
        if not found.history:
            frame.empty("Nothing yet.", "It begins with the first worker.", icon=":material/history:")
            return
        table("history", ["Version", "In force since", "By", "Because"], [
            [row.version, fmt.moment(row.activated_at), row.activated_by,
             _because(row)] for row in found.history[:_SHOWN]
        ])  # fmt: skip
        _newest(found.activated, min(len(found.history), _SHOWN))
        refused = [one for one in found.proposals if one.state == "refused"][:_SHOWN]
        if refused:
            with st.expander("Proposals that did not come into force"):
                table("refused", ["Proposal", "By", "Because", "Refused or withdrawn by"], [
                    [str(one.proposal_id), one.proposed_by, one.reason, f"{one.decided_by}: {one.decided_reason}"]
                    for one in refused
                ])  # fmt: skip
                _newest(found.refused, len(refused))


def _newest(total: int, listed: int) -> None:
    """A list that was cut says so."""
    if total > listed:
        st.caption(f"The newest {listed} of {fmt.count(total)}.")


def _because(row: Activation) -> str:
    if row.proposal_id is None:
        return "The file that a worker was started with"
    return row.reason or "For people with reach over all legal entities"
