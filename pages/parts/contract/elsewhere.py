"""On a contract's page: that it was moved, and what would be done in an ERP that is only observed."""

import streamlit as st

from pages.kit import acting, frame
from pages.kit import format as fmt
from pages.kit.table import table
from pages.kit.words import action, inside
from sync_core.reads.elsewhere import Elsewhere, Moved, OnlyObserved


def draw(found: Elsewhere) -> None:
    """Nothing for a contract that neither concerns."""
    if found.moved is not None:
        _moved(found.moved)
    if found.observed is not None:
        _observed(found.observed)


def _moved(moved: Moved) -> None:
    if moved.leaving is not None:
        said = f"It is on its way from {moved.leaving} to {moved.lane}: nothing is made there before it is closed here."
    elif moved.left_at is None:
        said = f"It stays in {moved.lane}, whatever the policy says: all of it is invoiced there."
    else:
        some = {lane: amount for lane, amount in moved.billed.items() if amount.amount}
        billed = ", ".join(f"{fmt.money_exact(amount)} in {lane}" for lane, amount in some.items())
        said = f"It was moved to {moved.lane} {fmt.moment(moved.left_at)}. " + (
            f"Invoiced before, and staying there: {billed}." if billed else "Nothing was invoiced before."
        )
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="moved"):
        st.badge("Moved", icon=":material/move_down:", color="blue")
        st.markdown(fmt.plain(said), width="content")
        frame.link("moves", f"Move {moved.move_id}", icon=":material/move_down:", replay=str(moved.move_id))


def _observed(only: OnlyObserved) -> None:
    with frame.card("observed", "Not carried out", f"What Tieline would do in {fmt.plain(only.lane)}, and does not"):
        st.markdown(fmt.plain(acting.sentence(f"{only.words}; as of {fmt.moment(only.observed_at)}")))
        shown = [
            [action(effect.action.value), inside(effect.kind.value), effect.key, _fields(effect.after or effect.before)]
            for effect in only.effects
        ]
        if shown:
            table("observed", ["Operation", "Object", "Key", "Fields"], shown)


def _fields(values: object) -> str:
    told = values if isinstance(values, dict) else {}
    return ", ".join(f"{inside(name)} {value}" for name, value in told.items() if value not in (None, ""))
