"""Filters that live in the URL, so that every view is a link: the URL is read before a widget and written by it.

Codes stand in the URL (`?state=blocked`), words on the screen; Streamlit's own binding would put the words there. What
the URL says is taken only if it is one of the choices.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import streamlit as st

# A page link belongs to the filters it was made with; `id` is what the list was left for.
_OF_ONE_VIEW: Final = frozenset({"after", "before", "id"})
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
    return lambda: put(dict.fromkeys(names, ""))


def put(values: Mapping[str, str | list[str]]) -> None:
    """For a button: set these parameters, remove those that are empty, and start at the first page.

    In one step: each change of the URL is an entry in the browser's history.
    """
    kept = {name: many for name, many in current().items() if name not in _OF_ONE_VIEW}
    st.query_params.from_dict({name: value for name, value in {**kept, **values}.items() if value})


def current() -> dict[str, str | list[str]]:
    """All parameters of the URL."""
    return {name: st.query_params.get_all(name) for name in st.query_params}


def _store(name: str, default: str = "") -> None:
    chosen = st.session_state[_key(name)]
    put({name: "" if chosen == default else chosen})


def _key(name: str) -> str:
    return f"filter_{name}"
