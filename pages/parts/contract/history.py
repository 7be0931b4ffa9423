"""The history of one contract: its events with what each changed, and what was done in the ERP because of them."""

from collections.abc import Mapping
from typing import Final

import streamlit as st

from pages.kit import format as fmt
from pages.kit import frame
from pages.kit.table import table
from pages.kit.values import shown
from pages.kit.words import action, inside, words
from sync_core.desired import Scalar
from sync_core.reads import ContractDetail
from sync_core.reads.contract import Operation, Run
from sync_core.reads.timeline import Change, Moment

_SHOWN: Final = 20
_FEW_CHANGES: Final = 6
_ICONS: Final = {
    "drafted": ":material/edit_note:",
    "approved": ":material/verified:",
    "signed": ":material/draw:",
    "amended": ":material/published_with_changes:",
    "cancelled": ":material/cancel:",
    "terminated": ":material/flag:",
    "corrected": ":material/build:",
}
_OUTCOMES: Final = {
    "converged": ":green-badge[:material/check_circle: Converged]",
    "blocked": ":orange-badge[:material/back_hand: Blocked]",
    "waiting": ":blue-badge[:material/bedtime: Waits for its ERP's night]",
    "retry": ":blue-badge[:material/schedule: Tried again later]",
    "failed": ":red-badge[:material/error: Failed]",
}


def timeline(found: ContractDetail) -> None:
    """Newest first; an event that changed much shows its changes on demand."""
    with frame.card("timeline", "What happened", "Events from the CLM, newest first, and what each changed"):
        if not found.timeline:
            frame.empty("No event of this contract is stored.", "It was imported with its state.",
                        icon=":material/history:")  # fmt: skip
            return
        for moment in reversed(found.timeline[-_SHOWN:]):
            _moment(moment, _currency(found))
        hidden = len(found.timeline) - _SHOWN
        if hidden > 0 or found.more_events:
            st.caption(f"{fmt.plural(max(hidden, 0), 'older event')}{' and more' if found.more_events else ''}.")


def _moment(moment: Moment, currency: str | None) -> None:
    with st.container(key=f"moment_{moment.event.seq}", gap=None):
        _told(moment, currency)


def _told(moment: Moment, currency: str | None) -> None:
    event = moment.event
    icon = _ICONS.get(moment.what, ":material/event:")
    late = fmt.age(event.recorded_at - event.occurred_at)
    st.markdown(f"{icon} **{fmt.plain(words(moment.what))}** {fmt.moment(event.occurred_at)}")
    st.caption(
        f"Recorded {late} later, by {fmt.plain(inside(event.received_by))}",
        help=f"Correlation id, by which other systems and logs know it: {fmt.plain(event.correlation_id)}",
    )
    if moment.problem:
        st.markdown(f":orange-badge[:material/warning: Not understood] {fmt.plain(moment.problem)}")
    elif len(moment.changes) > _FEW_CHANGES:
        done = "changed" if any(change.before for change in moment.changes) else "set"
        with st.expander(f"{fmt.plural(len(moment.changes), 'field')} {done}"):
            _changes(moment, currency)
    elif moment.changes:
        _changes(moment, currency)
    else:
        st.caption("Changed nothing.")


def _changes(moment: Moment, currency: str | None) -> None:
    rows = [[words(change.field), shown(change.field, change.before or "", currency), _after(change, currency)]
            for change in moment.changes]  # fmt: skip
    key = f"changes_{moment.event.seq}"
    if any(change.before for change in moment.changes):
        table(key, ["Field", "Before", "After"], rows)
    else:
        table(key, ["Field", "Value"], [[field, after] for field, _, after in rows])


def _after(change: Change, currency: str | None) -> str:
    return "removed" if change.after is None else shown(change.field, change.after, currency)


def _currency(found: ContractDetail) -> str | None:
    return found.summary.value.currency if found.summary.value else None


def operations(found: ContractDetail) -> None:
    """Runs newest first; the newest is open."""
    with frame.card("operations", "What was done in the ERP", "Each run compares what is wanted with what is there"):
        if not found.runs:
            frame.empty("Nothing was done yet.", "A worker takes the contract when it is due.", icon=":material/lan:")
            return
        for at, run in enumerate(found.runs[:_SHOWN]):
            _run(run, _currency(found), expanded=at == 0)
        if len(found.runs) > _SHOWN:
            st.caption(f"{fmt.plural(len(found.runs) - _SHOWN, 'older run')}.")


def _run(run: Run, currency: str | None, *, expanded: bool) -> None:
    outcome = _OUTCOMES.get(run.outcome, fmt.plain(words(run.outcome)))
    took = fmt.age(run.finished_at - run.started_at)
    label = (
        f"{outcome} {fmt.moment(run.finished_at)}{f' in {fmt.plain(run.lane)}' if run.lane else ''}, "
        f"{_sent(run)}, took {took}"
    )
    with st.expander(label, expanded=expanded):
        if run.error:
            st.markdown(f"**{fmt.plain(words(run.error_class or 'error'))}**: {fmt.plain(run.error)}")
        st.caption(f"Correlation {fmt.plain(run.correlation_id)}" + (
            f", trace {fmt.plain(run.trace_id)}" if run.trace_id else ""))  # fmt: skip
        if run.operations:
            columns = ["Finished", "Operation", "Business key", "ERP number", "Status", "Changed"]
            table(f"run_{run.run_id}", columns, [_operation(one, currency) for one in run.operations])
        else:
            st.markdown("Nothing was sent to the ERP.")


def _sent(run: Run) -> str:
    if not run.lane:
        return "no ERP is known yet"
    return fmt.plural(len(run.operations), "operation") if run.operations else "nothing was sent"


def _operation(one: Operation, currency: str | None) -> list[str]:
    status = words(one.status) if not one.error else f"{words(one.status)}: {one.error}"
    changed = diff(one.before, one.after, currency)
    what = f"{action(one.action)} {inside(one.kind)}"
    return [fmt.moment(one.finished_at), what, one.business_key, one.ref or "", status, changed]


def diff(before: Mapping[str, Scalar] | None, after: Mapping[str, Scalar] | None, currency: str | None = None) -> str:
    """billable: no → yes; value: $100.00 → $120.00."""
    old, new = before or {}, after or {}
    names = [*new, *(name for name in old if name not in new)]
    parts = [
        f"{inside(name)}: {side(name, old[name], currency)} → {side(name, new.get(name), currency)}" if name in old
        else f"{inside(name)}: {side(name, new[name], currency)}"
        for name in names if old.get(name) != new.get(name)
    ]  # fmt: skip
    return "; ".join(parts)


def side(name: str, value: Scalar, currency: str | None) -> str:
    """One field's value before or after."""
    if value is None:
        return "nothing"
    return ("yes" if value else "no") if isinstance(value, bool) else shown(name, value, currency)
