"""One contract told whole: what is to be billed and was, what hinders it, what happened, what was done in the ERP.

`/contract?id=…` is our id, or the CLM's where only one contract in reach has it; `/contract?clm=…&contract=…` is the
CLM's short name of the estate file with its own id, for links that other systems make. `&view=amendments` shows its
amendments instead, before and after each.
"""

import re
from collections.abc import Sequence
from typing import Final

import streamlit as st

from pages.kit import data, frame, sentences, words
from pages.kit import format as fmt
from pages.kit.frame import Freshness, Kpi, Page
from pages.parts.case import drift
from pages.parts.contract import amendments as amending
from pages.parts.contract import cards, choosing, elsewhere, history, life, policy
from pages.parts.contract import told as telling
from pages.parts.contract import trace as tracing
from sync_core.authority import Permission
from sync_core.reads import ContractDetail, ContractFilter, ContractRow, Reads, Window
from sync_core.reads.invoices import totals

PAGE = Page(
    title="Contract",
    icon=":material/contract:",
    path="contract",
    order=40,
    section="More",
    needs=Permission.CONTRACTS_READ,
)

_ID: Final = re.compile(r"[0-9]{1,18}")
_LONGEST: Final = 200
_LINKS: Final = ("id", "clm", "contract")  # of the URL: they name one
AMENDMENTS: Final = "amendments"  # the view of that name


def render(reads: Reads, commands: object) -> None:
    head = st.container()
    with frame.contained("The contract"):
        found, choice = _asked_for(reads)
        with head:
            _header(found, reads)
        if found is None:
            choosing.draw(reads, choice, asked=any(st.query_params.get(name) for name in _LINKS))
            return
        placed = reads.elsewhere(found.summary.contract_id)
        frame.headline(sentences.contract_headline(found, placed.observed))
        if st.query_params.get("view") == AMENDMENTS:
            _back(found)
            amending.draw(reads.amendments(found.summary.contract_id))
            return
        frame.kpi_row(_facts(found))
        _amended(found)
        with frame.contained("Where it belongs"):
            elsewhere.draw(placed)
        _sections(found, reads)
        return
    with head:
        _header(None, reads)


def _back(found: ContractDetail) -> None:
    frame.link("contract", "The whole contract", icon=":material/arrow_back:", id=str(found.summary.contract_id))


def _amended(found: ContractDetail) -> None:
    """The way to the amendments, where there is something to compare."""
    known = found.contract
    if known is None or not (known.amendments or known.silent or known.missing_amendment):
        return
    parts = [fmt.plural(len(known.amendments), "amendment")] if known.amendments else []
    parts += ["an amendment is missing"] if known.missing_amendment else []
    parts += ["published otherwise without one"] if known.silent else []
    frame.link("contract", f"Before and after: {', '.join(parts)}", icon=":material/difference:",
               id=str(found.summary.contract_id), view=AMENDMENTS)  # fmt: skip


def _asked_for(reads: Reads) -> tuple[ContractDetail | None, Sequence[ContractRow]]:
    """What the URL names, if it is well formed; else those that it may mean. Nothing else of the URL is used."""
    asked = st.query_params.get("id", "")
    if _ID.fullmatch(asked) and (found := reads.contract(int(asked))) is not None:
        return found, ()
    if _is_id(asked):
        named = reads.contracts(ContractFilter(external_id=asked, tests=True), window=Window(choosing.MOST)).rows
        return (reads.contract(named[0].contract_id), ()) if len(named) == 1 else (None, named)
    clm, external_id = st.query_params.get("clm", ""), st.query_params.get("contract", "")
    sources = [entry.source for entry in reads.estate.clm if entry.name == clm]
    return (reads.contract((sources[0], external_id)) if sources and _is_id(external_id) else None), ()


def _is_id(text: str) -> bool:
    return 0 < len(text) <= _LONGEST and text.isprintable()


def _header(found: ContractDetail | None, reads: Reads) -> None:
    freshness = Freshness(reads.now, reads.now, data.KEPT)
    if found is None:
        frame.header("Contract", "Open one from the list, or by a link.", freshness)
        return
    row = found.summary
    entity = reads.estate.entities.get(row.legal_entity)
    where = f"{row.legal_entity} {entity.name}" if entity else row.legal_entity
    parts = [row.customer_name, where, words.words(row.service_line), words.words(row.billing), row.geography]
    scope = ", ".join(fmt.plain(part) for part in parts if part)
    with frame.header(fmt.plain(f"{row.external_id} {row.title}"), f"{scope.removesuffix('.')}.", freshness):
        st.badge(
            words.words(row.state), icon=words.STATE_ICONS[row.state], color=words.STATE_COLOURS[row.state],
            help=words.STATE_MEANINGS[row.state],
        )  # fmt: skip


def _facts(found: ContractDetail) -> list[Kpi]:
    row = found.summary
    return [
        _value(row),
        _invoiced(found),
        Kpi("Signed", fmt.day(row.signed_at) if row.signed_at else fmt.DASH, "Day of the last signature, UTC.",
            comparison=fmt.moment(row.signed_at) if row.signed_at else "not signed yet"),
        _billable(row),
        Kpi("Next bill", f"{row.bill_on.day} {row.bill_on:%b %Y}" if row.bill_on else fmt.DASH,
            "The next date on which something is to be billed; the last one when all have passed."),
        Kpi("ERP project", fmt.plain(row.project_ref or fmt.DASH),
            f"The ERP's own number, in {row.lane or 'no ERP yet'}.",
            comparison=f"in {row.lane}" if row.lane else None),
    ]  # fmt: skip


def _invoiced(found: ContractDetail) -> Kpi:
    definition = "Invoices that the ERP reports in the contract's currency, without those that were withdrawn."
    if found.summary.value is None or not found.invoices:
        return Kpi("Invoiced", fmt.DASH, definition, comparison="nothing yet")
    invoiced, paid = totals(found.invoices, found.summary.value.currency)
    return Kpi("Invoiced", fmt.money(invoiced), definition, comparison=f"{fmt.money(paid)} of it paid")


def _billable(row: ContractRow) -> Kpi:
    definition = ("When the ERP first confirmed every object by read-back, UTC; below it the calendar time since the "
                  "last signature.")  # fmt: skip
    took = fmt.duration(row.age) if row.age is not None else ""
    if row.first_active_at is None:
        return Kpi("Billable since", fmt.DASH, definition, comparison=f"not yet, for {took}" if took else "not yet")
    return Kpi("Billable since", fmt.day(row.first_active_at), definition,
               comparison=f"{took} after the signature" if took else fmt.moment(row.first_active_at))  # fmt: skip


def _value(row: ContractRow) -> Kpi:
    definition = "What the parties agreed, in the contract's currency; below it in the reporting currency."
    if row.value is None:
        return Kpi("Value", fmt.DASH, definition, comparison="not known yet")
    other = row.value_reporting
    if other is None:
        return Kpi("Value", fmt.money(row.value), definition, comparison=f"no rate for {row.value.currency}")
    beside = None if other.currency == row.value.currency else fmt.money(other)
    return Kpi("Value", fmt.money(row.value), definition, delta=beside,
               comparison="reporting currency" if beside else fmt.money_exact(row.value))  # fmt: skip


def _sections(found: ContractDetail, reads: Reads) -> None:
    grid = frame.card_grid()
    with grid:
        with grid.cell(column_span=2):
            cards.billing(found)
            cards.financials(found)
        with grid.cell():
            cards.exceptions(found)
            life.lifecycle(found, reads)
            drift.of_contract(reads, found.summary.contract_id)
            telling.draw(reads, found.summary.contract_id)
            cards.identity(found)
        with grid.cell(column_span="all"):
            history.timeline(found)
        with grid.cell(column_span="all"):
            history.operations(found)
        with grid.cell(column_span="all"):
            tracing.trace(reads, found.summary.contract_id)
        with grid.cell(column_span="all"):
            cards.crosswalk(found)
        with grid.cell(column_span="all"):
            policy.why_here(found, reads.estate)
