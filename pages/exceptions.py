"""The inbox of what waits for people: by function, by cause, by age, and one by one with the contract each holds up.

`/exceptions?case=ID` is one exception told whole; `?view=quarantine` is what was delivered and not understood;
`?view=drift` is where CLM, Tieline and ERP differ; `?view=analysis` is how exceptions are worked on.
"""

from datetime import datetime
from typing import Final

import pandas as pd
import streamlit as st

from pages.kit import acting, charts, data, filters, frame, sentences, tabs
from pages.kit import format as fmt
from pages.kit import saved_filters as saved
from pages.kit.frame import Freshness, Page
from pages.kit.tabs import Tab
from pages.kit.words import FUNCTIONS, SEVERITIES, words
from pages.parts.case import analysis, case, drift, inbox, quarantine
from sync_core.authority import Permission
from sync_core.cases.ownership import CAUSES
from sync_core.commands.commands import Commands
from sync_core.errors import Function
from sync_core.reads import CauseGroup, ExceptionFilter, ExceptionSort, Reads
from sync_core.reads.ages import WORKING_BUCKETS

PAGE = Page(
    title="Exceptions",
    icon=":material/back_hand:",
    path="exceptions",
    order=30,
    needs=Permission.EXCEPTIONS_READ,
)

_SORTS: Final = {
    ExceptionSort.MONEY.value: "Most exposure",
    ExceptionSort.DUE.value: "Due first",
    ExceptionSort.AGE.value: "Oldest first",
}
_STATES: Final = {"open": "Open", "closed": "Closed", "all": "Open and closed"}
_AGES: Final = {str(index): f"{name} working days" if "day" not in name else name
                for index, name in enumerate(WORKING_BUCKETS)}  # fmt: skip
_SEEN: Final = {"no": "Not yet", "yes": "Acknowledged"}
_OF_CONTRACTS: Final = {"service": "Service line", "geography": "Geography", "billing": "Billing"}
_FILTERS: Final = (
    "q", "cause", "function", "severity", "entity", *_OF_CONTRACTS, "age", "seen", "state", "group", "view",
)  # fmt: skip
_CAUSES_SHOWN: Final = 7


def render(reads: Reads, commands: Commands | None) -> None:
    now = reads.now
    filters.forget("replay", "id")
    if asked := st.query_params.get("case", ""):
        case.draw(reads, commands, asked, now)
        return
    head = frame.header("Exceptions", f"Exposure in {reads.reporting_currency}.", Freshness(now, now, data.KEPT))
    acting.said()
    with frame.contained("The headline"):
        frame.headline(sentences.exceptions_headline(data.causes(reads), data.unread_signatures(reads)))
    with frame.contained("The views"):
        _tabs(reads)
    if st.query_params.get("view") == "quarantine":
        quarantine.draw(reads, commands, now)
        return
    if st.query_params.get("view") == "drift" and frame.may(Permission.CONTRACTS_READ):
        drift.draw(reads, commands, now)
        return
    if st.query_params.get("view") == "analysis" and frame.may(Permission.KPI_READ):
        with frame.contained("The analysis"):
            analysis.draw(reads, frame.measures())
        return
    with head, frame.contained("The saved filters"):
        saved.draw(reads, commands, _FILTERS)
    cards = frame.card_grid()
    with cards:
        with cards.cell(column_span=2):
            _causes(reads, now)
        _ageing(reads)
    with st.container(border=True, key="card_filters"), frame.contained("The filters"):
        wanted, sort = _filters(reads)
    with frame.contained("The list of exceptions"), st.skeleton(height=400):
        inbox.draw(reads, commands, wanted, sort, now, clear=_FILTERS)


def _tabs(reads: Reads) -> None:
    seen, me = data.tallies(reads, frame.actor().name), {"view": "mine", "function": ""}
    shown = {
        "": Tab("All", seen.all, {"view": "", "function": ""}),
        "mine": Tab("Mine", seen.mine, me),
        "triage": Tab("Unassigned", seen.triage, {"view": "triage", "function": ""}),
    }
    view, function = st.query_params.get("view", ""), st.query_params.get("function", "")
    for code in (one.value for one in Function):
        if code in seen.by_function or code == function:
            total = seen.by_function.get(code)
            shown[code] = Tab(words(code), 0 if total is None else total, {"view": "", "function": code})
    shown["quarantine"] = Tab("Quarantine", data.quarantined(reads), {"view": "quarantine", "function": ""})
    if frame.may(Permission.CONTRACTS_READ):
        shown["drift"] = Tab("Drift", data.drifted(reads), {"view": "drift", "function": ""})
    if frame.may(Permission.KPI_READ):
        shown["analysis"] = Tab("Analysis", None, {"view": "analysis", "function": ""})
    current = view if view in ("mine", "triage", "quarantine", "drift", "analysis") else function
    tabs.draw("Whose exceptions", shown, current=current if current in shown else "")
    if view == "triage":
        st.caption("Each has a function by its cause, and nobody in it has taken it yet.")


def _causes(reads: Reads, now: datetime) -> None:
    with frame.card(
        "causes", "By cause", f"Exposure in {reads.reporting_currency}; a cause's name filters the list below",
        definition="Same causes are grouped: whoever removes one can free all its contracts. A contract with two "
        "causes counts in both, so the causes add up to more than the total; the tabs count a contract's money once.",
    ):  # fmt: skip
        groups = data.causes(reads)
        if not groups:
            frame.empty("No open exceptions.", "Nothing waits for a person.")
            return
        for group in groups[:_CAUSES_SHOWN]:
            _cause(group, now)
        if len(groups) > _CAUSES_SHOWN:
            more = fmt.plural(len(groups) - _CAUSES_SHOWN, "further cause")
            st.caption(f"And {more} with less exposure; see the filter below.")


def _cause(group: CauseGroup, now: datetime) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.button(
            frame.plain_dollars(sentences.cause(group)), icon=":material/filter_alt:", type="tertiary",
            key=f"{group.cause}_{group.function}_{group.error_class}", on_click=filters.put,
            args=({**group.query, "view": ""},),
        )  # fmt: skip
        st.caption(sentences.cause_details(group, now), width="content")


def _ageing(reads: Reads) -> None:
    with frame.card(
        "ageing", "By function and age", "Open exceptions; working days since each was opened",
        definition="A working day is one of the legal entity's calendar. The buckets add up to the open exceptions.",
    ) as card:  # fmt: skip
        aged = data.ageing(reads)
        if not aged.by_function:
            frame.empty("No open exceptions.", "Nothing waits for a person.")
            return
        heads = [name.removesuffix(" working days").removesuffix(" working day") for name in WORKING_BUCKETS]
        order = [code for code in FUNCTIONS if code in aged.by_function]
        order += [code for code in aged.by_function if code not in order]
        table = pd.DataFrame(
            [[bucket.count for bucket in aged.by_function[code]] for code in order],
            index=pd.Index([words(code) for code in order], name="Function"), columns=heads,
        )  # fmt: skip
        card.chart(
            charts.heatmap(table, palette=frame.palette()), alt="Open exceptions by function and age in working days",
            data=table,
        )  # fmt: skip


def _filters(reads: Reads) -> tuple[ExceptionFilter, ExceptionSort]:
    open_causes = {group.cause: words(group.cause) for group in data.causes(reads)}
    asked = st.query_params.get("cause", "")
    causes = open_causes | ({asked: words(asked)} if asked in CAUSES else {})
    with st.grid(8, min_column_width=135, gap="small"):
        text = filters.text("q", "Search", placeholder="Contract, title, customer or project")
        cause = filters.one("cause", "Cause", causes, every="All causes")
        severity = filters.one("severity", "Severity", SEVERITIES, every="Any severity")
        entity = filters.one("entity", "Legal entity", data.choices(reads).entities, every="All entities")
        age = filters.one("age", "Age", _AGES, every="Any age")
        seen = filters.one("seen", "Acknowledged", _SEEN, every="Or not")
        state = filters.always("state", "State", _STATES)
        sort = filters.always("sort", "Sort by", _SORTS)
    view, function = st.query_params.get("view", ""), st.query_params.get("function", "")
    if function and function not in FUNCTIONS:
        filters.left_out("function", function)
    filters.unknown()
    group, narrowed = st.query_params.get("group", "")[:200], _came_with(bool(st.query_params.get("group")))
    wanted = ExceptionFilter(
        function=function if function in FUNCTIONS else "", cause=cause, severity=severity, legal_entity=entity,
        service_line=narrowed["service"], geography=narrowed["geography"], billing=narrowed["billing"],
        state="closed" if state == "closed" else "all" if state == "all" else "open",
        assignee=frame.actor().name if view == "mine" else "", unassigned=view == "triage",
        acknowledged=None if not seen else seen == "yes", group=group, age=int(age) if age else None, text=text,
    )  # fmt: skip
    return wanted, ExceptionSort(sort)


def _came_with(group: bool) -> dict[str, str]:
    """What a link narrowed the list by and no box above it shows: a button each, which takes it away."""
    asked = {name: st.query_params.get(name, "")[:200] for name in _OF_CONTRACTS}
    with st.container(horizontal=True, gap="small", key="came_with"):
        if group:
            st.button("Only those alike", icon=":material/close:", key="ungroup", on_click=filters.clear(("group",)),
                      help="Exceptions that one person can mend in one go. Press to see all.")  # fmt: skip
        for name, code in asked.items():
            if code:
                told = code if name == "geography" else words(code)
                st.button(f"{_OF_CONTRACTS[name]}: {fmt.plain(told)}", icon=":material/close:", key=f"drop_{name}",
                          on_click=filters.clear((name,)), help="Press to see all.")  # fmt: skip
    return asked
