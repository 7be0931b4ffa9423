"""How two weeks differ, each by its newest snapshot."""

from collections.abc import Sequence
from datetime import date

import streamlit as st

from metrics import weeks
from pages.kit import filters, frame
from pages.kit import format as fmt
from pages.kit.table import marked
from pages.parts.snapshot import words as told
from sync_core.reads import Reads
from sync_core.reads.snapshots import SnapshotDiff


def draw(reads: Reads, known: Sequence[date]) -> None:
    """`known`: Mondays of the weeks with a snapshot, newest first."""
    with frame.card(
        "diff", "Two weeks side by side", "Each by its newest snapshot; the change is from the first to the second",
        definition="A measure whose definition changed between the two does not mean the same in both. Where a week "
        "has too few cases, its number is of the four weeks up to it, and a board pack holds that against the four "
        "weeks before: of two weeks that are near, these windows overlap.",
    ):  # fmt: skip
        if len(known) < 2:
            frame.empty("One week alone cannot be compared.", "Have a snapshot made of another week.",
                        icon=":material/compare_arrows:")  # fmt: skip
            return
        names = {weeks.week_name(monday): monday for monday in known}
        newest, *earlier = names
        with st.container(gap=None, key="diff_weeks"), st.grid(4, min_column_width=150, gap="small"):
            first = filters.always("week", "From week", _words(names, [*earlier, newest]))
            second = filters.always("other", "To week", _words(names, [newest, *earlier]))
        filters.unknown()
        found = reads.snapshot_diff(names[first], names[second])
        if found is None:
            frame.empty("One of the two is not there any more.", "Choose another week.", icon=":material/search_off:")
            return
        if first == second:
            st.caption("Both are the same week; choose another one.")
        with st.container(gap="small"):
            _table(found)


def _table(found: SnapshotDiff) -> None:
    first, second = weeks.week_name(found.week), weeks.week_name(found.other_week)
    changed = sum(one.definition_changed for one in found.kpis)
    if changed:
        st.warning(f"{fmt.plural(changed, 'definition')} changed between the two: those values do not mean the same.",
                   icon=":material/warning:")  # fmt: skip
    rows = [
        [fmt.plain(one.title), *map(fmt.plain, told.windows(one, found)), told.moved(one, found.currency),
         told.in_the_board_pack(one, found), f"{one.n:,} to {one.other_n:,}", told.definition(one)]
        for one in found.kpis
    ]  # fmt: skip
    marked("diff", ["Measure", first, second, "Change", f"Board pack of {second}", "Cases", "Definition"], rows)
    st.caption(
        f"{first} as of {fmt.moment(found.as_of)} (snapshot {found.snapshot_id}), {second} as of "
        f"{fmt.moment(found.other_as_of)} (snapshot {found.other_id}); money in {found.currency}."
    )


def _words(names: dict[str, date], order: Sequence[str]) -> dict[str, str]:
    return {name: told.week(names[name]) for name in order}
