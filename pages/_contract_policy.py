"""The card that says why a contract is where it is: which rule of each table won, and what else was weighed."""

import streamlit as st

from pages import _frame as frame
from pages._table import table
from pages._words import words
from sync_core.estate import Estate
from sync_core.policy.explain import Came, Explained
from sync_core.reads import ContractDetail
from sync_core.reads.policy import explain_contract


def why_here(found: ContractDetail, estate: Estate) -> None:
    """By the policy in force now; what was decided under an earlier one shows in the runs."""
    told = explain_contract(found.contract, estate) if found.contract else ()
    with frame.card("policy", "Why here", f"What the rules say of it now, version {estate.rules_version}"):
        if not told:
            frame.empty("No terms yet.", "Rules are asked once they come.", icon=":material/rule:")
            return
        table("decided", ["Decision", "Outcome", "Rule", "Why"], [_decided(each) for each in told])
        others = [row for each in told for row in _weighed(each)]
        if others:
            with st.expander("What else was weighed"):
                table("weighed", ["Decision", "Rule", "For", "Decides", "Outcome", "Why not"], others)


def _decided(each: Explained) -> list[str]:
    why = next((one.why for one in each.considered if one.came is Came.DECIDES), "no rule fits, or none is reached")
    return [_named(each), each.says, each.rule or "", why]


def _weighed(each: Explained) -> list[list[str]]:
    return [
        [_named(each), one.name, one.where, one.says, one.came.value, one.why]
        for one in each.considered
        if one.came is not Came.DECIDES
    ]


def _named(each: Explained) -> str:
    return words(each.table) + (f", {words(each.about).lower()}" if each.about else "")
