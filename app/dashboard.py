"""The Streamlit shell: theme, logo, navigation; then the page that was asked for.

Streamlit runs this file as `__main__` for each visit and each click. Pages are found, not listed: every module of the
pages package without a leading underscore that declares `PAGE` and `render(reads, commands)`.
"""

import importlib
import logging
import pkgutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__" and str(Path(__file__).parent.parent) not in sys.path:
    # `streamlit run app/dashboard.py` puts app/ first on the path, not the folder above it.
    sys.path.insert(0, str(Path(__file__).parent.parent))

import streamlit as st

from app.dashboard_context import DashboardContext, about, current_context
from app.identity.sessions import roles_of
from pages.kit import frame, later
from pages.kit.frame import Page, Shell, Viewer
from pages.kit.navigation import arrange
from pages.kit.scheme import stylesheet
from sync_core.authority import InvalidGrant, person
from sync_core.reads import Reads

_LOG = logging.getLogger("tieline.pages")
_STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True, slots=True)
class Found:
    """A discovered page."""

    page: Page
    render: Callable[[object, object], None]


def discover(package: str) -> list[Found]:
    """Every page of the package in navigation order. Raises on two pages with one path, or not exactly one default."""
    root = importlib.import_module(package)
    listed = pkgutil.iter_modules(root.__path__)
    names = [one.name for one in listed if not one.ispkg and not one.name.startswith("_")]
    modules = [importlib.import_module(f"{package}.{name}") for name in names]
    found = sorted((Found(module.PAGE, module.render) for module in modules), key=lambda one: one.page.order)
    paths = [one.page.path for one in found]
    if len(set(paths)) < len(paths) or (found and sum(one.page.default for one in found) != 1):
        raise ValueError(f"pages in {package} need distinct paths and exactly one default=True; found {paths}")
    return found


def signed_in(context: DashboardContext) -> Viewer | None:
    """The viewer, from the headers of the gate; None if nobody passed it, or with grants of another release."""
    if context.local_viewer is not None:
        return context.local_viewer
    email = st.user.get("email")
    if not isinstance(email, str) or not email:
        return None
    groups = st.user.get("groups")
    try:
        return Viewer(email, person(email, roles_of(groups if isinstance(groups, str) else None)))
    except InvalidGrant as wrong:
        _LOG.warning("a session has a grant that this release does not know: %s", wrong.message)
        return None


def draw_failure(error: Exception) -> bool:
    """For `st.App(on_script_error=)`: the page broke outside its cards. True keeps the traceback off the screen."""
    incident = frame.report(error, "the page")
    st.error(
        f"This page could not be drawn. Incident {incident}. Reload it; if it stays, give the incident id to "
        "whoever runs Tieline.",
        icon=":material/error:",
    )
    st.html("<span id='page-done' data-failed='true'></span>")
    return True


def draw() -> None:
    """One run of the script."""
    # Without an entry of ours there would be no menu, and so no way to switch between light and dark.
    st.set_page_config("Tieline", str(_STATIC / "favicon.svg"), "wide", menu_items={"About": about()})
    st.html(_look())
    # Dialogs and popovers stand outside of .stApp, where light-dark() would take the light colours on a dark ground.
    st.html(f"<style>:root {{ color-scheme: {'dark' if st.context.theme.type == 'dark' else 'light'} }}</style>")
    st.logo(str(_STATIC / "favicon.svg"), size="large")  # app.css writes the name beside it, in the theme's ink
    context = current_context()
    viewer = signed_in(context)
    if viewer is None:
        st.info("Nobody is signed in. Sign out and in again, or print a link with `tieline link` and open it.")
        return
    found = discover(context.pages_package)
    seen = [one for one in found if viewer.may_see(one.page)]
    if not seen:
        st.info("No page is open to your role. Ask whoever runs Tieline for a role.")
        return
    frame.enter(Shell(viewer, {}, context.notice))
    reads = context.reads.within(viewer.actor)
    targets = {one.page.path: _target(one, reads, context.commands) for one in seen}
    measures = context.measures.within(viewer.actor) if context.measures is not None else None
    frame.enter(Shell(viewer, targets, context.notice, measures))
    front, more = arrange([one.page for one in seen], viewer.actor.grants)
    # A link to a page of others says who may open it; without these, Streamlit would say that there is no such page.
    refused = [_refusal(one.page) for one in found if one not in seen]
    bar = {"": [targets[page.path] for page in front] + refused, "More": [targets[page.path] for page in more]}
    asked_for = st.navigation({name: shown for name, shown in bar.items() if shown}, position="top")
    titles = {"" if one.page.default else one.page.path: one.page.title for one in found}
    st.set_page_config(page_title=f"{titles[asked_for.url_path]} · Tieline")
    if context.local_viewer is None:
        later.hold()
    asked_for.run()
    frame.page_end()


def _look() -> str:
    """One element: it is large enough for Streamlit to send it to a browser once."""
    return f"<style>{(_STATIC / 'app.css').read_text(encoding='utf-8')}\n{stylesheet()}</style>"


def _target(one: Found, reads: object, commands: object) -> st.Page:
    title = _title(one.page, reads)
    return st.Page(
        lambda: one.render(reads, commands), title=title, icon=one.page.icon, url_path=one.page.path,
        default=one.page.default,
    )  # fmt: skip


def _title(page: Page, reads: object) -> str:
    """With how much waits there for the viewer. Without, if that cannot be counted: the page itself says so."""
    if page.waiting is None or not isinstance(reads, Reads):
        return page.title
    try:
        count = page.waiting(reads)
    except Exception as error:
        frame.report(error, f"what waits under {page.title}")
        return page.title
    return f"{page.title} ({count})" if count else page.title


def _refusal(page: Page) -> st.Page:
    def run() -> None:
        if page.needs is not None:
            frame.forbidden(page.needs)

    return st.Page(run, title=page.title, icon=page.icon, url_path=page.path, visibility="hidden")


if __name__ == "__main__":
    draw()
