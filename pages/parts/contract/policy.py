"""The card that says why a contract is where it is: which rule of each table won, and what else was weighed."""

import streamlit as st

from pages.kit import format as fmt
from pages.kit import frame
from pages.kit.table import table
from pages.kit.words import words
from sync_core.estate.estate import Estate
from sync_core.policy.explain import Came, Explained
from sync_core.reads import ContractDetail
from sync_core.reads.policy import explain_contract


def why_here(found: ContractDetail, estate: Estate) -> None:
    """By the policy in force now; the runs name the version that they were made by.

    Rules that do not fit are left out: they may be those of legal entities out of reach.
    """
    told = explain_contract(found.contract, estate) if found.contract else ()
    with frame.card("policy", "Why here", f"What the rules say of it now, version {estate.rules_version}"):
        if not told:
            frame.empty("No terms yet.", "Rules are asked once they come.", icon=":material/rule:")
            return
        table("decided", ["Decision", "Outcome", "Rule", "Why"], [_decided(each) for each in told])
        others = [row for each in told for row in _lost(each)]
        if others:
            with st.expander("What else fits, and why it does not decide"):
                table("lost", ["Decision", "Rule", "For", "Decides", "Why not"], others)


def _decided(each: Explained) -> list[str]:
    why = next((one.why for one in each.considered if one.came is Came.DECIDES), "no rule fits, or none is reached")
    return [_named(each), each.says, each.rule or fmt.DASH, why]


def _lost(each: Explained) -> list[list[str]]:
    return [[_named(each), one.name, one.where, one.says, one.why] for one in each.considered if one.came is Came.LOST]


def _named(each: Explained) -> str:
    return words(each.table) + (f", {words(each.about).lower()}" if each.about else "")
