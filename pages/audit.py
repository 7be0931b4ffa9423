"""What people and programs did: filtered and paged on the server, each row with its before and after."""

from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Final

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from pages.kit import data, filters, frame, grid
from pages.kit import format as fmt
from pages.kit.frame import Freshness, Page
from pages.kit.words import words
from pages.parts.audit import detail
from sync_core.authority import Actor, Permission
from sync_core.commands.audit_export import Format
from sync_core.commands.commands import Commands
from sync_core.reads import AuditFilter, AuditPage, AuditRow, ChainStatus, Reads

PAGE = Page(
    title="Audit", icon=":material/policy:", path="audit", order=90, section="More", needs=Permission.AUDIT_READ
)

_FILTERS: Final = ("q", "actor", "action", "contract", "from", "to")
_LATE: Final = timedelta(days=2)  # the chain is verified daily
_LONGEST_ID: Final = 18
_FORMS: Final = (
    (Format.CSV, "Download CSV", "text/csv"),
    (Format.JSON_LINES, "Download JSON lines", "application/jsonl"),
)


def render(reads: Reads, commands: Commands | None) -> None:
    now = reads.now
    frame.header("Audit", "What people and programs did. Rows are only ever added, each chained to the one before.",
                 Freshness(now, now, data.KEPT))  # fmt: skip
    with frame.contained("The chain's state"):
        _status(reads.audit_status(), now)
    with st.container(border=True, key="card_filters"), frame.contained("The filters"):
        wanted = _filters(reads)
    with frame.contained("The list of audit rows"), st.skeleton(height=400):
        page = grid.read_page(lambda window: reads.audit(wanted, window=window))
        if page.rows:
            _actions(page, wanted, commands)
            _list(page)
        else:
            _nothing(wanted)
    with frame.contained("The audit row"):
        _open(reads)


def _status(status: ChainStatus, now: datetime) -> None:
    with st.container(border=True, key="card_chain", horizontal=True, vertical_alignment="center", gap="small"):
        if status.verified_at is None:
            st.badge("Not verified yet", icon=":material/schedule:", color="gray")
            st.markdown("A worker verifies the whole chain once a day; `tieline audit verify` does it now.")
        elif not status.whole:
            st.badge("Broken", icon=":material/gpp_bad:", color="red")
            st.markdown(f"**{fmt.plain(_sentence(status.message))}** Found {fmt.moment(status.verified_at)}. Somebody "
                        "changed the database past Tieline: keep it as it is, and find out who could.")  # fmt: skip
        else:
            st.badge("Chain whole", icon=":material/verified_user:", color="green")
            st.markdown(_verified(status))
            if now - status.verified_at > _LATE:
                st.badge(f"{fmt.age(now - status.verified_at)} old", icon=":material/schedule:", color="orange",
                         help="The chain is verified daily; see whether a worker runs.")  # fmt: skip


def _verified(status: ChainStatus) -> str:
    assert status.verified_at is not None  # noqa: S101 - narrows the type; the caller asked
    signed = f"{fmt.plural(status.checkpoints, 'signed checkpoint')} agree" + ("s" if status.checkpoints == 1 else "")
    since = max(status.rows_now - status.rows, 0)
    later = f", {fmt.plural(since, 'row')} added since" if since else ""
    return (
        f"**{fmt.plural(status.rows, 'row')}** verified {fmt.moment(status.verified_at)}, from the first to the last; "
        f"{signed}{later}."
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _filters(reads: Reads) -> AuditFilter:
    choices = reads.audit_choices()
    actions = {family: f"All of {words(family.removesuffix('.')).lower()}" for family in choices.families}
    actions |= {action: detail.action(action) for action in choices.actions}
    with st.grid(6, min_column_width=145, gap="small"):
        text = filters.text("q", "Search", placeholder="Subject, reason or name")
        actor = filters.one("actor", "Who", {name: name for name in choices.actors}, every="Everybody")
        action = filters.one("action", "Did what", dict(sorted(actions.items())), every="Everything")
        contract = filters.text("contract", "Contract", placeholder="Its id in the CLM")
        since, until = filters.day("from", "From (UTC)"), filters.day("to", "To, inclusive")
    filters.unknown()
    return AuditFilter(
        actor=actor, action=action, contract=contract.strip(), since=_midnight(since),
        until=None if until is None else _midnight(until + timedelta(days=1)), text=text,
    )  # fmt: skip


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)


def _actions(page: AuditPage, wanted: AuditFilter, commands: Commands | None) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", gap="small", key="audit_actions"):
        with st.container(width="content"):
            grid.pager(page, "audit row")
        if commands is not None:
            with st.container(horizontal=True, width="content", gap="small", key="downloads"):
                _downloads(wanted, commands)


def _downloads(wanted: AuditFilter, commands: Commands) -> None:
    for form, label, mime in _FORMS:
        st.download_button(
            label, data=partial(_file, commands, frame.actor(), wanted, form), file_name=f"audit.{form}", mime=mime,
            icon=":material/download:", key=f"download_{form}", on_click="ignore",
            help="All rows that meet the filters, 100,000 at most. The download is audited.",
        )  # fmt: skip


def _file(commands: Commands, actor: Actor, wanted: AuditFilter, form: Format) -> bytes:
    """Runs when the button is pressed, in a thread of the server's own: it asks the page for nothing."""
    return commands.audit.export(actor, wanted, form=form).body


def _list(page: AuditPage) -> None:
    table = pd.DataFrame(
        {
            "at": [row.occurred_at for row in page.rows],
            "actor": [row.actor for row in page.rows],
            "action": [detail.action(row.action) for row in page.rows],
            "subject": [row.subject for row in page.rows],
            "reason": [row.reason for row in page.rows],
            "contract": [_contract(row) for row in page.rows],
            "entity": [row.legal_entity or "" for row in page.rows],
            "roles": [row.roles for row in page.rows],
            "id": [row.id for row in page.rows],
        },
        index=[row.id for row in page.rows],
    )
    ticked = grid.rows("audit", table, _columns(), alt="Audit rows; tick a row to read it whole")
    if ticked is not None:
        st.query_params["row"] = str(ticked)
    st.caption("Tick a row to read it whole, with the keyboard by Shift and Space. Newest first; a column's head sorts "
               "only the rows that are shown.")  # fmt: skip


def _columns() -> dict[str, ColumnConfig]:
    """The first ones are what a phone shows."""
    column = st.column_config
    return {
        "at": column.DatetimeColumn("Time, UTC", format="D MMM YYYY HH:mm:ss", timezone="UTC", width=160, pinned=True),
        "action": column.TextColumn("Did what", width=170),
        "actor": column.TextColumn("Who", width=190),
        "subject": column.TextColumn("To what", width=190),
        "reason": column.TextColumn("Why", width=280),
        "contract": grid.link_column(pinned=False),
        "entity": column.TextColumn("Entity", width="small"),
        "roles": column.TextColumn("As", width="medium", help="The roles or scopes that the actor had then"),
        "id": column.NumberColumn("Row", format="%d", width="small"),
    }


def _contract(row: AuditRow) -> str | None:
    if row.contract_id is None or row.external_id is None:
        return None
    return grid.link(row.contract_id, row.external_id)


def _open(reads: Reads) -> None:
    """The row that the URL names, over the list."""
    asked = st.query_params.get("row", "")
    if not asked:
        return
    known = asked.isascii() and asked.isdigit() and len(asked) <= _LONGEST_ID
    row = reads.audit_row(int(asked)) if known else None
    if row is None:
        st.info("There is no such audit row, or it is not within your reach.")
        return
    dialog = st.dialog(f"Audit row {row.id:,}", width="large", on_dismiss=_close)
    dialog(lambda: detail.draw(row))()


def _close() -> None:
    st.query_params.pop("row", None)


def _nothing(wanted: AuditFilter) -> None:
    if wanted == AuditFilter():
        frame.empty("Nothing was done yet.", "Each command of a person or a program leaves a row here.",
                    icon=":material/policy:")  # fmt: skip
        return
    frame.empty("No audit row meets these filters.", "Clear a filter, or choose a longer period.",
                icon=":material/filter_alt_off:")  # fmt: skip
    st.button("Clear all filters", icon=":material/filter_alt_off:", on_click=filters.clear(_FILTERS))
