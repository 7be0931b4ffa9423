"""One exception told whole: what is wrong in whose words, what it holds up, what mends it, who did what about it."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import streamlit as st

from pages.kit import acting, data, filters, frame
from pages.kit import bill_runs as runs
from pages.kit import format as fmt
from pages.kit.frame import Freshness, Kpi
from pages.kit.sentences import contract_name
from pages.kit.words import inside, words
from pages.parts.approval import approving
from pages.parts.case import conflict, correction, customer, forms, history, inbox, standing
from pages.parts.case import differences as unlike
from sync_core.authority import PERMISSIONS, Permission, Role
from sync_core.cases.approvals import REFUSED
from sync_core.cases.ownership import CAUSES, Arises
from sync_core.cases.rules import RULES, Kind, Whose
from sync_core.commands.commands import Commands
from sync_core.reads import ExceptionRow, Reads
from sync_core.reads.case import CaseAction, CaseDetail

_ID: Final = re.compile(r"[0-9]{1,18}")
_EVERY: Final = timedelta(seconds=2)
_STATES: Final[Mapping[str, tuple[str, str]]] = {
    "open": ("orange", ":material/back_hand:"),
    "resolved": ("green", ":material/check_circle:"),
    "decided": ("gray", ":material/gavel:"),
}
_PLACES: Final = {
    Arises.EVENTS.value: "when its events were read",
    Arises.CONTRACT.value: "when the contract was checked",
    Arises.POLICY.value: "when its approvals were checked",
    Arises.REFERENCES.value: "when the ERP's master data was checked",
    Arises.PLAN.value: "when it was compared with the ERP",
    Arises.WRITE.value: "when the ERP was written to",
}


def draw(reads: Reads, commands: Commands | None, asked: str, now: datetime) -> None:
    """The page of the exception that the URL names."""
    head = st.container()
    with frame.contained("The exception"):
        found = reads.case(int(asked)) if _ID.fullmatch(asked) else None
        if found is None:
            with head:
                frame.header("Exception", "One exception, with all that was done about it.",
                             Freshness(now, now, data.KEPT))  # fmt: skip
            _back()
            with frame.card("unknown", "No such exception", "Exceptions are found by their number"):
                frame.empty("There is no exception by this link.", "It may be mistyped, or beyond your reach.",
                            icon=":material/search_off:")  # fmt: skip
            return
        with head:
            _header(found, now)
        _back()
        acting.said(found.row.state)
        frame.kpi_row(_facts(found, reads, now))
        _sections(found, commands)
        if acting.is_watched(found.row.case_id, over=found.row.state != "open"):
            st.fragment(partial(_look_again, reads, found), run_every=_EVERY)()


def _look_again(reads: Reads, drawn: CaseDetail) -> None:
    """Alone, every few seconds; the whole page once something has happened to it."""
    found = reads.case(drawn.row.case_id)
    if found is not None and (found.row.state, found.row.version) == (drawn.row.state, drawn.row.version):
        st.caption(":material/sync: A worker will carry it out and read the ERP back.")
    else:
        st.rerun()


def _back() -> None:
    st.button("Back to the list", icon=":material/arrow_back:", type="tertiary", key="back_to_list",
              on_click=filters.forget, args=("case",))  # fmt: skip


def _header(found: CaseDetail, now: datetime) -> None:
    row = found.row
    colour, icon = _STATES.get(row.state, ("gray", ":material/help:"))
    named = contract_name(row.title, row.customer_name)
    scope = ", ".join(fmt.plain(part) for part in (named, row.legal_entity) if part)
    title = fmt.plain(f"{words(row.cause)}, {row.external_id}")
    with frame.header(title, f"Exception {row.case_id}. {scope}.", Freshness(now, now, data.KEPT)):
        st.badge(words(row.state), icon=icon, color=colour)  # type: ignore[arg-type]  # one of Streamlit's colours
        if row.acknowledged_by:
            st.badge("Acknowledged", icon=":material/visibility:", color="blue",
                     help=f"By {fmt.plain(row.acknowledged_by)}")  # fmt: skip


def _facts(found: CaseDetail, reads: Reads, now: datetime) -> list[Kpi]:
    row = found.row
    other = row.exposure_reporting
    own = "" if row.exposure is None or (other and row.exposure.currency == other.currency) else fmt.money(row.exposure)
    shown = fmt.money(other) if other else fmt.money(row.exposure) if row.exposure else fmt.DASH
    return [
        Kpi("Exposure", shown, "What it keeps from being billed, in the reporting currency.", delta=own or None,
            comparison="in the contract's currency" if own else None),
        *(_ahead(row, reads, now) if row.state == "open" else ()),
        Kpi("Open for", fmt.age(found.open_for), "Calendar time in which it was open; the time between does not count.",
            comparison=f"found {fmt.plural(row.occurrences, 'time')}"),
        Kpi("Function", words(row.function), "Who has it. Handing it over begins the other function's own time.",
            comparison=row.assignee or "assigned to nobody"),
    ]  # fmt: skip


def _ahead(row: ExceptionRow, reads: Reads, now: datetime) -> tuple[Kpi, ...]:
    """What an open one may miss."""
    run = runs.billing(reads.estate, row.legal_entity, row.bill_on, now)
    overdue = row.due_at is not None and row.due_at < now
    return (
        Kpi("Next bill", f"{row.bill_on.day} {row.bill_on:%b %Y}" if row.bill_on else fmt.DASH,
            "The next date on which something of the contract is to be billed; the last one when all have passed."),
        Kpi("To the bill run", fmt.duration(run.left) if run else fmt.DASH,
            "Until the legal entity's first bill run on or after the next bill; what is not in its ERP by then misses "
            "it. Of a bill date that has passed: until the next run.",
            comparison=f"billed in the run of {run.day}" if run else "no bill run is known"),
        Kpi("Due", inbox.due(row, now) or fmt.DASH,
            "Calendar time until its owner's working time for it is up, by the working calendar of the legal entity.",
            comparison=fmt.moment(row.due_at) if row.due_at else "no limit was set", is_good=False if overdue else None,
            delta="late" if overdue else None),
    )  # fmt: skip


def _sections(found: CaseDetail, commands: Commands | None) -> None:
    left, right = st.columns([3, 2], gap="small")
    # Each card in a place of its own: as high as what is in it, not as the column.
    with left:
        with st.container():
            _wrong(found)
        with st.container():
            accept = _action(found, "amendments.accept")
            unlike.draw(found, commands, why_not=refusal(accept) if accept else "")
        with st.container():
            resolve = _action(found, "conflicts.resolve")
            conflict.draw(found, commands, why_not=refusal(resolve) if resolve else "")
        with st.container():
            identify, back = _action(found, "customers.identify"), _action(found, "customers.take_back")
            customer.draw(found, commands, why_not=refusal(identify) if identify else "",
                          not_back=refusal(back) if back else "")  # fmt: skip
        with st.container():
            _approval(found, commands)
        with st.container():
            correction.draw(found, _action(found, "corrections.submit"), commands)
    with right:
        with st.container():
            _work(found, commands)
        with st.container():
            history.draw(found, commands, may_comment=_may_comment(found))


def _wrong(found: CaseDetail) -> None:
    row, known = found.row, CAUSES.get(found.row.cause)
    over = standing.closed(found)
    title = "What was wrong" if over else "What is wrong"
    with frame.card("wrong", title, "In the words of the ERP or of the check that found it"):
        if over:
            st.markdown(f":material/check_circle: **{fmt.plain(over)}**")
            standing.decided(found)
        with st.container(key="quoted"):
            st.markdown(fmt.plain(acting.sentence(row.message)))
        where = f"Found {_PLACES.get(row.operation, f'at {words(row.operation).lower()}')}. " if row.operation else ""
        if over:
            st.caption(fmt.plain(f"{where}Last seen {fmt.moment(row.seen_at)}."))
        else:
            how = acting.sentence(f"{known.how}; mended in {known.place}") if known else ""
            if told := found.form.where if found.form else how:
                st.markdown(f":material/build: {fmt.plain(told)}")
            seen = f"{where}Last seen {fmt.moment(row.seen_at)}. It closes once a run no longer finds it."
            st.caption(fmt.plain(seen))
        standing.links(found)
        with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
            frame.link("contract", f"Contract {fmt.plain(row.external_id)}", icon=":material/contract:",
                       id=str(row.contract_id))  # fmt: skip
            if row.group_key:
                st.button("All that are alike", icon=":material/stacks:", type="tertiary", key="alike",
                          on_click=filters.put, args=({"group": row.group_key, "case": "", "view": ""},),
                          help="The same cause in the same words: one person can mend them in one go.")  # fmt: skip
        if not over:
            standing.decided(found)


def _action(found: CaseDetail, name: str) -> CaseAction | None:
    return next((one for one in found.actions if one.name == name), None)


def refusal(action: CaseAction) -> str:
    """Why the viewer cannot do it; empty: they can."""
    refused = action.refusal(frame.actor())
    if refused is None:
        return ""
    if refused.kind in (Kind.STANDING, Kind.TAKEN, Kind.FOREIGN):
        return acting.sentence(refused.words)
    rule = RULES[action.deed]
    function = action.row.function if rule.whose is Whose.OWN else None
    return f"{who_may(rule.permission, function)} may; ask one, or whoever runs Tieline."


def who_may(permission: Permission, function: str | None) -> str:
    """The roles that have the permission, with the function where it counts: "An operator of tax"."""
    roles = [role.value for role in Role if permission in PERMISSIONS[role]]
    having = " or ".join(f"{'an' if role[0] in 'aeiou' else 'a'} {role}" for role in roles)
    return f"{having[:1].upper()}{having[1:]}{f' of {inside(function)}' if function else ''}"


def _work(found: CaseDetail, commands: Commands | None) -> None:
    row, actor = found.row, frame.actor()
    if commands is None or row.state != "open":
        return
    with frame.card("work", "Work on it", "Each step is kept in its history and in the audit"):
        with st.container(horizontal=True, gap="small"):
            if _button(found, "cases.assign", "Assign to me", ":material/person_check:", "case_me"):
                do = partial(commands.cases.assign, actor, [row.case_id], actor.name, version=row.version)
                acting.carry_out(do, "Assigning", acting.changed("assigned to you"))
            _opens(found, "cases.assign", "Assign…", ":material/person_add:", "case_assign")
            if _button(found, "cases.acknowledge", "Acknowledge", ":material/visibility:", "case_seen"):
                do = partial(commands.cases.acknowledge, actor, [row.case_id], version=row.version)
                acting.carry_out(do, "Acknowledging", acting.changed("acknowledged"))
            _opens(found, "cases.hand_over", "Hand over…", ":material/move_up:", "case_hand_over")
            _opens(found, "cases.decide", "Close by decision…", ":material/gavel:", "case_decide")
            if frame.may(Permission.REPLAY_PREVIEW) and st.button(
                "Replay 1", icon=":material/replay:", key="case_replay",
                disabled=not actor.may(Permission.REPLAY_PREVIEW, entity=row.legal_entity),
                help="Preview first: nothing is sent to an ERP before you confirm.",
            ):  # fmt: skip
                inbox.replay(commands, (row.contract_id,))
        lacking = {refusal(one) for one in found.actions if one.name.startswith("cases.")} - {""}
        for words_ in sorted(lacking):
            st.caption(f":material/lock: {fmt.plain(words_)}")
    _dialogs(found, commands)


def _may_comment(found: CaseDetail) -> bool:
    known = _action(found, "cases.comment")
    return known is not None and not refusal(known)


def _button(found: CaseDetail, action: str, label: str, icon: str, key: str) -> bool:
    known = _action(found, action)
    return st.button(label, icon=icon, key=key, disabled=known is None or bool(refusal(known)))


def _opens(found: CaseDetail, action: str, label: str, icon: str, dialog: str) -> None:
    known = _action(found, action)
    st.button(label, icon=icon, key=f"open_{dialog}", disabled=known is None or bool(refusal(known)),
              on_click=acting.open_dialog, args=(f"{dialog}_{found.row.case_id}",))  # fmt: skip


def _dialogs(found: CaseDetail, commands: Commands) -> None:
    row, actor, cases, ids = found.row, frame.actor(), commands.cases, [found.row.case_id]
    acting.dialog(
        f"case_assign_{row.case_id}",
        "Assign the exception",
        lambda: forms.assign([row], lambda person: cases.assign(actor, ids, person, version=row.version)),
        icon=":material/person_add:",
    )
    acting.dialog(
        f"case_hand_over_{row.case_id}",
        "Hand the exception over",
        lambda: forms.hand_over([row], lambda to, why: cases.hand_over(actor, ids, to, why, version=row.version)),
        icon=":material/move_up:",
    )
    acting.dialog(f"case_decide_{row.case_id}", "Close the exception by decision", lambda: forms.decide(
        [row], lambda why: cases.decide(actor, ids, why, version=row.version)), icon=":material/gavel:")  # fmt: skip


def _approval(found: CaseDetail, commands: Commands | None) -> None:
    asks, row = _action(found, "approvals.decide"), found.row
    if asks is None or row.state != "open":
        return
    before = found.refused if row.cause == REFUSED else None
    title = "Refused" if row.cause == REFUSED else "Approval"
    sub = "It stays refused until its data changes" if before else "Nothing is in the ERP until somebody decides"
    with frame.card("approval", title, sub):
        if before:
            st.markdown(standing.refused(before))
        if commands is not None:
            approving.buttons(
                f"case_{row.case_id}",
                lambda approve, reason: commands.approvals.decide(
                    frame.actor(), row.case_id, approve, reason, version=row.version
                ),
                f"{row.external_id}: {row.message}",
                why_not=refusal(asks),
                after_all=row.cause == REFUSED,
            )
