"""Filters that live in the URL, so that every view is a link: the URL is read before a widget and written by it.

Codes stand in the URL (`?state=blocked`), words on the screen; Streamlit's own binding would put the words there. What
the URL says is taken only if it is one of the choices.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import streamlit as st

CURSORS: Final = ("after", "before")  # a page link belongs to the filters it was made with
_LONGEST: Final = 200


def one(name: str, label: str, choices: Mapping[str, str], *, every: str) -> str:
    """A select box; the code chosen, or "" for all of them."""
    asked = st.query_params.get(name, "")
    key = _key(name)
    st.session_state[key] = asked if asked in choices else ""
    st.selectbox(
        label, ["", *choices], format_func=lambda code: choices.get(code, every), key=key,
        on_change=_store, args=(name,),
    )  # fmt: skip
    return str(st.session_state[key])


def several(name: str, label: str, choices: Mapping[str, str], *, every: str) -> tuple[str, ...]:
    """A multi-select; the codes chosen, none for all of them."""
    key = _key(name)
    st.session_state[key] = [code for code in st.query_params.get_all(name) if code in choices]
    st.multiselect(
        label, list(choices), format_func=lambda code: choices[code], key=key, placeholder=every,
        on_change=_store, args=(name,),
    )  # fmt: skip
    return tuple(st.session_state[key])


def text(name: str, label: str, *, placeholder: str) -> str:
    """A search box."""
    key = _key(name)
    st.session_state[key] = st.query_params.get(name, "")[:_LONGEST]
    st.text_input(
        label, key=key, placeholder=placeholder, icon=":material/search:", max_chars=_LONGEST, type="search",
        on_change=_store, args=(name,),
    )  # fmt: skip
    return str(st.session_state[key])


def always(name: str, label: str, choices: Mapping[str, str]) -> str:
    """A select box with no "all": the first choice unless the URL says another."""
    asked = st.query_params.get(name, "")
    first = next(iter(choices))
    key = _key(name)
    st.session_state[key] = asked if asked in choices else first
    st.selectbox(
        label, list(choices), format_func=lambda code: choices[code], key=key, on_change=_store, args=(name, first)
    )
    return str(st.session_state[key])


def clear(names: Sequence[str]) -> Callable[[], None]:
    """For a button: forget these filters and the page link."""

    def forget() -> None:
        for name in (*names, *CURSORS):
            st.query_params.pop(name, None)

    return forget


def show(query: Mapping[str, str]) -> None:
    """For a button: filter by these, and start at the first page."""
    clear(())()
    for name, value in query.items():
        st.query_params[name] = value


def _store(name: str, default: str = "") -> None:
    chosen = st.session_state[_key(name)]
    clear([name])()
    if chosen and chosen != default:
        st.query_params[name] = chosen


def _key(name: str) -> str:
    return f"filter_{name}"
