"""Where each field of a contract comes from and goes, and who owns it; worked out from the mappings in the code."""

from functools import cache

import pandas as pd
import streamlit as st

from pages.kit import frame
from pages.kit.words import words
from sync_core.connectors.field_maps import erp_fields
from sync_core.domains.lineage import Lineage, lineage
from sync_core.estate.ownership import OwnerRule, Rules
from sync_core.events import PREFIX

_HEIGHT = 620


def draw(ownership: Rules) -> None:
    with frame.card(
        "lineage", "Field lineage", "From the CLM's event over the contract to the field of each ERP, with its owner",
        definition="Worked out from the code that provisions: a contract is derived twice with one field changed, and "
        "what differs in the ERP objects is where it goes. The same table is docs/lineage.md, without the estate's "
        "own [ownership].",
    ):  # fmt: skip
        table = _table(tuple(sorted(ownership.items())))
        words_ = "Each field of a contract: its events, its owner, and the fields of the ERPs it goes to"
        st.dataframe(table, hide_index=True, height=_HEIGHT, key="lineage", alt=words_)


@cache
def _table(ownership: tuple[tuple[str, OwnerRule], ...]) -> pd.DataFrame:
    """Neither the code nor the estate changes while a process runs."""
    erps = erp_fields()
    rows = [row for one in lineage(erps, dict(ownership)) for row in _rows(one, tuple(erps))]
    columns = ["Field of the contract", "Said by", "Owner", "Corrected by", "ERP object", "Field"]
    return pd.DataFrame(rows, columns=[*columns, *(words(name) for name in erps)])


def _rows(one: Lineage, erps: tuple[str, ...]) -> list[list[str]]:
    said = ", ".join(name.removeprefix(PREFIX) for name in one.events)
    about = [one.path, said, one.owner.value, words(one.setter or "")]
    if not one.goes:
        return [[*about, "none", "", *["" for _ in erps]]]
    return [[*about, words(goes.kind), goes.field, *(goes.erp.get(name, "") for name in erps)] for goes in one.goes]
