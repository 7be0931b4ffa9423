"""The card of one contract about the rest of its life: how long it runs, its renewal, when it bills nothing."""

from collections.abc import Iterator
from datetime import date

import streamlit as st

from pages.kit import format as fmt
from pages.kit import frame
from pages.kit.table import table
from pages.kit.words import words
from pages.parts.contract.renewals import WORDS
from sync_core.contract import Contract, Stage, Suspension
from sync_core.engine.look import local_day
from sync_core.life.life_row import RenewalState, life_row
from sync_core.life.lifecycle import on_day
from sync_core.reads import ContractDetail, Reads


def lifecycle(found: ContractDetail, reads: Reads) -> None:
    """As of today at the legal entity."""
    with frame.card("life", "Lifecycle", "As its CLM says, and what follows from that by today"):
        contract = found.contract
        if contract is None or contract.terms is None or contract.signed_at is None:
            st.markdown(":material/event: It begins with the signature.")
            return
        today = local_day(contract, reads.estate, reads.now)
        table("lifecycle", ["What", "When", "Words"], list(_rows(contract, today)))


def _rows(contract: Contract, today: date) -> Iterator[list[str]]:
    standing = on_day(contract, today)
    now, terms = standing.contract, standing.contract.terms
    if terms is None:
        return
    yield ["Runs", f"{_day(terms.starts_on)} to {_day(terms.ends_on)}" if terms.ends_on else _from(terms.starts_on), ""]
    if now.stage is not Stage.SIGNED:
        left = "Milestones due by then can still be invoiced" if standing.wanted is not None else ""
        yield [words(now.stage), _day(now.ended_on), left]
        return
    if contract.ended_on is not None:
        yield ["Ends", _day(contract.ended_on), f"{words(contract.stage)}, from that day on"]
    for one in now.suspensions:
        yield ["Suspended" if one is standing.suspension else "Suspension", _span(one), one.reason]
    row, notice = life_row(contract, today), now.renewal_notice
    if row.renewal is RenewalState.NONE:
        yield ["Renewal", fmt.DASH, "None is agreed"]
        return
    said = f", said on {_day(notice.said_on)}" if notice is not None else ""
    reason = f": {notice.reason}" if notice is not None and notice.reason else ""
    yield ["Renewal", _day(row.renews_on), f"{WORDS[row.renewal]}{said}{reason}"]
    if row.notice_by is not None and row.renewal is not RenewalState.DECLINED:
        yield ["Notice by", _day(row.notice_by), _distance((row.notice_by - today).days)]
    if standing.last_day is not None:
        yield ["Last day", _day(standing.last_day), "Its project is closed after it"]


def _distance(days: int) -> str:
    if days < 0:
        return f"passed {fmt.plural(-days, 'day')} ago"
    return f"{fmt.plural(days, 'day')} from today" if days else "today"


def _span(one: Suspension) -> str:
    return f"{_day(one.begins_on)} to {_day(one.ends_on)}" if one.ends_on else _from(one.begins_on)


def _from(day: date) -> str:
    return f"from {_day(day)}"


def _day(day: date | None) -> str:
    return f"{day.day} {day:%b %Y}" if day else fmt.DASH
