"""Test only: a dashboard of the product's pages whose default is the page under test, drawn by AppTest."""

from collections.abc import Callable, Mapping

import streamlit as st
from streamlit.testing.v1 import AppTest

from app.dashboard import Found, discover
from metrics.measures import Measures
from pages.kit import frame
from pages.kit.frame import Shell, Viewer
from sync_core.authority import Actor, person
from sync_core.commands.commands import Commands
from sync_core.reads import Reads

CFO = person("cfo@example.com", ["executive"])
_played: dict[str, object] = {}
_notices: list[Callable[[], str | None] | None] = [None]


def play(
    path: str,
    reads: Reads,
    query: Mapping[str, str | list[str]] | None = None,
    *,
    notice: Callable[[], str | None] | None = None,
    actor: Actor = CFO,
    commands: Commands | None = None,
    measures: Measures | None = None,
) -> AppTest:
    """The page at `path`, drawn once for this actor, with these parameters in its URL."""
    _played.update(path=path, reads=reads.within(actor), commands=commands, viewer=Viewer(actor.name, actor))
    _notices[:] = [notice]
    _played["measures"] = measures.within(actor) if measures else None
    shown = AppTest.from_function(_script, default_timeout=30)
    for name, value in (query or {}).items():
        shown.query_params[name] = value
    return shown.run()


def texts(shown: AppTest) -> str:
    """All running text on the page."""
    return "\n".join(element.value for element in (*shown.markdown, *shown.caption, *shown.info))


def _script() -> None:
    from tests.pages import stage  # AppTest runs the body of this function alone

    stage.draw()


def draw() -> None:
    """One run of the script."""
    viewer = _played["viewer"]
    assert isinstance(viewer, Viewer)
    targets = {one.page.path: _target(one) for one in discover("pages")}
    frame.enter(Shell(viewer, targets, _notices[0], _played["measures"]))
    st.navigation(list(targets.values()), position="top").run()


def _target(one: Found) -> st.Page:
    page, render, reads, commands = one.page, one.render, _played["reads"], _played["commands"]
    return st.Page(
        lambda: render(reads, commands), title=page.title, url_path=page.path, default=page.path == _played["path"]
    )
