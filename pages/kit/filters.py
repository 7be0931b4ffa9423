"""Filters that live in the URL, so that every view is a link: the URL is read before a widget and written by it.

Codes stand in the URL (`?state=blocked`), words on the screen; Streamlit's own binding would put the words there. What
the URL says is taken only if it is one of the choices; what is not is said.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final

import streamlit as st

from pages.kit import format as fmt

# A page link belongs to the filters it was made with; `id` is what the list was left for, `item` one of its rows.
_OF_ONE_VIEW: Final = frozenset({"after", "before", "id", "item"})
_LONGEST: Final = 200
_SHOWN: Final = 40  # characters of a value that is none of the choices
_LEFT_OUT: Final = "tieline.left_out"
_FIRST_DAY, _LAST_DAY = date(2000, 1, 1), date(2099, 12, 31)


def one(name: str, label: str, choices: Mapping[str, str], *, every: str, quiet: bool = False) -> str:
    """A select box; the code chosen, or "" for all of them. `quiet`: its label is for screen readers alone."""
    asked = st.query_params.get(name, "")
    key = _key(name)
    st.session_state[key] = next(iter(_known(label, [asked], choices)), "")
    st.selectbox(
        label, ["", *choices], format_func=lambda code: choices.get(code, every), key=key,
        on_change=_store, args=(name,), label_visibility="collapsed" if quiet else "visible",
    )  # fmt: skip
    return str(st.session_state[key])


def several(name: str, label: str, choices: Mapping[str, str], *, every: str) -> tuple[str, ...]:
    """A multi-select; the codes chosen, none for all of them."""
    key = _key(name)
    st.session_state[key] = _known(label, st.query_params.get_all(name), choices)
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


def always(name: str, label: str, choices: Mapping[str, str], *, quiet: bool = False) -> str:
    """A select box with no "all": the first choice unless the URL says another."""
    asked = st.query_params.get(name, "")
    first = next(iter(choices))
    key = _key(name)
    st.session_state[key] = next(iter(_known(label, [asked], choices)), first)
    st.selectbox(
        label,
        list(choices),
        format_func=lambda code: choices[code],
        key=key,
        on_change=_store,
        args=(name, first),
        label_visibility="collapsed" if quiet else "visible",
    )
    return str(st.session_state[key])


def pick(name: str, label: str, choices: Mapping[str, str]) -> str:
    """As `always`, for one of the rows that are shown: what the URL names and is not among them is no mistake."""
    asked = st.query_params.get(name, "")
    first, key = next(iter(choices)), _key(name)
    st.session_state[key] = asked if asked in choices else first
    st.selectbox(label, list(choices), format_func=lambda code: choices[code], key=key, on_change=_pick, args=(name,))
    return str(st.session_state[key])


def day(name: str, label: str) -> date | None:
    """A date, as `2026-11-25` in the URL; None when there is none or it is no date."""
    key = _key(name)
    try:
        asked = date.fromisoformat(st.query_params.get(name, ""))
    except ValueError:
        asked = None
    asked = asked if asked and _FIRST_DAY <= asked <= _LAST_DAY else None
    if asked is None:
        _known(label, [st.query_params.get(name, "")], {})
    st.session_state[key] = asked
    st.date_input(
        label, value=None, key=key, format="YYYY-MM-DD", min_value=_FIRST_DAY, max_value=_LAST_DAY,
        on_change=_store_day, args=(name,),
    )  # fmt: skip
    return asked


def unknown() -> None:
    """Below the filters: what the URL asked for that is none of the choices, so that nobody takes the list for it."""
    left_out = st.session_state.pop(_LEFT_OUT, [])
    if left_out:
        st.caption(
            f":material/filter_alt_off: Not known here, so not filtered by: {fmt.plain('; '.join(left_out))}. "
            "The link may be old, or name what is beyond your reach."
        )


def left_out(label: str, code: str) -> None:
    """For a filter that is no widget of this module: the URL asked for what is none of its choices."""
    _known(label, [code], {})


def _known(label: str, asked: Sequence[str], choices: Mapping[str, str]) -> list[str]:
    """Those that are choices; the others are kept for `unknown`."""
    left_out = [f"{label.lower()} “{code[:_SHOWN]}”" for code in asked if code and code not in choices]
    if left_out:
        st.session_state[_LEFT_OUT] = [*st.session_state.get(_LEFT_OUT, []), *left_out]
    return [code for code in asked if code in choices]


def clear(names: Sequence[str]) -> Callable[[], None]:
    """For a button: forget these filters and the page link."""
    return lambda: put(dict.fromkeys(names, ""))


def put(values: Mapping[str, str | list[str]]) -> None:
    """For a button: set these parameters, remove those that are empty, and start at the first page.

    In one step: each change of the URL is an entry in the browser's history.
    """
    kept = {name: many for name, many in current().items() if name not in _OF_ONE_VIEW}
    st.query_params.from_dict({name: value for name, value in {**kept, **values}.items() if value})


def leave(values: Mapping[str, str | list[str]]) -> None:
    """As `put`, from a part of the page that is drawn alone: the whole page is drawn anew."""
    put(values)
    st.rerun()


def forget(*names: str) -> None:
    """Parameters of a page that was gone to from here: the browser's way back passes through them."""
    for name in names:
        st.query_params.pop(name, None)


def current() -> dict[str, str | list[str]]:
    """All parameters of the URL."""
    return {name: st.query_params.get_all(name) for name in st.query_params}


def _store(name: str, default: str = "") -> None:
    chosen = st.session_state[_key(name)]
    put({name: "" if chosen == default else chosen})


def _pick(name: str) -> None:
    st.query_params[name] = st.session_state[_key(name)]


def _store_day(name: str) -> None:
    chosen = st.session_state[_key(name)]
    put({name: chosen.isoformat() if isinstance(chosen, date) else ""})


def _key(name: str) -> str:
    return f"filter_{name}"
