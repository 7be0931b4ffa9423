"""Carrying out what a viewer asks of the commands. One calm line says what came of it, on the page as it is then.

Nobody is shown a traceback: what a command refuses is said in its own words, and a failure by its incident id.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import streamlit as st

from pages.kit import format as fmt
from pages.kit import frame
from sync_core.authority import Forbidden
from sync_core.commands.chosen import CasesChanged
from sync_core.commands.desk import Changed, CommandRefused

T = TypeVar("T")

_SAID: Final = "tieline.said"
_DIALOG: Final = "tieline.dialog"
_WATCHED: Final = "tieline.case.watched"
_CHANGED: Final = "Someone changed it meanwhile: "
_TOLD: Final = 3  # refused exceptions named one by one


def attempt(do: Callable[[], T], what: str) -> tuple[T | None, str]:
    """What it came to, or in words why it did not. Raises nothing."""
    try:
        return do(), ""
    except Changed as wrong:
        return None, f"{_CHANGED}{sentence(wrong.message)} Below is how it stands now."
    except (CommandRefused, Forbidden) as refused:
        return None, sentence(refused.message)
    except Exception as error:
        incident = frame.report(error, what)
        return None, f"{what} did not work. Incident {incident}; nothing was changed."


def carry_out(do: Callable[[], T], what: str, done: Callable[[T], str]) -> None:
    """For a button: do it, and draw the page anew with what came of it at its head."""
    result, why_not = attempt(do, what)
    finish(why_not if result is None else done(result), worked=result is not None)


def finish(words: str, *, worked: bool = True, state: str = "") -> None:
    """Close what is open, say this at the head of the page, and draw all of it anew."""
    say(words, worked=worked, state=state)
    st.rerun()


def say(words: str, *, worked: bool = True, state: str = "") -> None:
    """At the head of the page that is drawn next; what is open is closed. `state`: the words hold in it alone."""
    close_dialog()
    st.session_state[_SAID] = (words, worked, state)


def said(now: str = "") -> None:
    """At the head of a page: what the last action came to. Once, and not where the state it made is over. `now`: the
    state of what the page is about.
    """
    words, worked, state = st.session_state.pop(_SAID, ("", True, ""))
    if not words or (state and now and state != now):
        return
    with st.container(key="said"):
        if worked:
            st.success(fmt.plain(words), icon=":material/check_circle:")
        else:
            st.warning(fmt.plain(words), icon=":material/info:")


def open_dialog(name: str) -> None:
    """For a button's callback. The page draws the dialog of that name as long as it is open."""
    st.session_state[_DIALOG] = name


def close_dialog() -> None:
    st.session_state.pop(_DIALOG, None)


def watch(case_id: int) -> None:
    """Workers will do something about this exception: its page looks again by itself until it is closed."""
    st.session_state[_WATCHED] = case_id


def is_watched(case_id: int, *, over: bool) -> bool:
    """Whether its page has to look again; ends with `over`."""
    if st.session_state.get(_WATCHED) != case_id:
        return False
    if over:
        del st.session_state[_WATCHED]
    return not over


def dialog(name: str, title: str, body: Callable[[], None], *, icon: str) -> None:
    """Draw the dialog if it is the open one. Closed by its buttons, by Escape, or by leaving the page."""
    if st.session_state.get(_DIALOG) == name:
        st.dialog(title, width="medium", icon=icon, on_dismiss=close_dialog)(body)()


def why_not(words: str) -> None:
    """Inside a form: it stays open, with what was typed; but what was changed meanwhile is read again first."""
    if words.startswith(_CHANGED):
        finish(words, worked=False)
    warn(words)


def warn(words: str) -> None:
    """One calm line."""
    st.warning(fmt.plain(words), icon=":material/info:")


def sentence(text: str) -> str:
    """A message of a command as a sentence of the page."""
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?', '!')) else '.'}"


def changed(done: str) -> Callable[[CasesChanged], str]:
    """What a bulk command came to: "3 exceptions acknowledged. 1 stayed as it was: it is resolved already."""

    def told(result: CasesChanged) -> str:
        words = f"{fmt.plural(len(result.changed), 'exception')} {done}."
        if result.refused:
            reasons = " ".join(sentence(one.words) for one in result.refused[:_TOLD])
            more = len(result.refused) - _TOLD
            stayed = "stayed as it was" if len(result.refused) == 1 else "stayed as they were"
            words += f" {len(result.refused)} {stayed}: {reasons}" + (f" And {more} more." if more > 0 else "")
        return words

    return told
