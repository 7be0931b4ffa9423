"""What the dashboard and its pages tell each other: what a page is, who looks at it, which other pages there are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import streamlit as st

from metrics.measures import Measures
from sync_core.authority import Actor, Permission
from sync_core.reads import Reads

_SHELL = "tieline.shell"


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says about itself; `app/dashboard.py` builds the navigation from it."""

    title: str
    icon: str  # ":material/…:"
    path: str  # the URL, without a slash; the default page lives at "/" only
    order: int  # among those that pages/kit/navigation.py gives no place
    section: Literal["More"] | None = None  # in the bar only for a role that asks for it there
    default: bool = False
    needs: Permission | None = None  # who sees it; None is everyone. Reads and commands check again.
    waiting: Callable[[Reads], str] | None = None  # how much waits for this viewer, beside its title; "": nothing


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at the page. Reads are limited to what `actor` may see; commands take it and check again."""

    email: str
    actor: Actor

    def may_see(self, page: Page) -> bool:
        return page.needs is None or self.actor.may(page.needs)


@dataclass(frozen=True, slots=True)
class Shell:
    """What the dashboard tells the page it runs."""

    viewer: Viewer
    links: Mapping[str, st.Page] = field(default_factory=dict)  # by Page.path
    notice: Callable[[], str | None] | None = None  # what every page says at its head now; None: nothing
    measures: object = None


def enter(shell: Shell) -> None:
    """Remember the shell for the page that is about to be drawn."""
    st.session_state[_SHELL] = shell


def shell() -> Shell:
    """The shell of the page that is being drawn."""
    entered = st.session_state.get(_SHELL)
    if not isinstance(entered, Shell):
        raise RuntimeError("a page is drawn inside the dashboard; call pages.kit.frame.enter(Shell(...)) first")
    return entered


def viewer() -> Viewer:
    """Who looks at the page."""
    return shell().viewer


def actor() -> Actor:
    """Who does what the page asks of the commands."""
    return shell().viewer.actor


def measures() -> Measures:
    """What the viewer may know of the KPIs."""
    known = shell().measures
    if not isinstance(known, Measures):
        raise RuntimeError("a page with KPIs is drawn inside a dashboard that has measures; see DashboardContext")
    return known


def may(permission: Permission) -> bool:
    """Whether to offer something at all. The command checks again, for what it touches."""
    return shell().viewer.actor.may(permission)


def notice() -> str | None:
    """What the shell has to say at the head of every page now."""
    ask = shell().notice
    return None if ask is None else ask()
