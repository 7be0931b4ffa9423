"""Charts of a visit's first page: they wait until its numbers are shown, and no other page's do."""

from streamlit.testing.v1 import AppTest


def _page() -> None:
    import plotly.graph_objects as go
    import streamlit as st

    from pages.kit import frame, later
    from pages.kit.frame import Shell, Viewer
    from sync_core.authority import person

    frame.enter(Shell(Viewer("ada@example.com", person("ada@example.com", []))))
    if st.session_state.get("browser", True):
        later.hold()
    if st.session_state.get("charts", True):
        with frame.card("one", "One", "of them") as card:
            card.chart(go.Figure(), alt="one")
    frame.page_end()


def _drawn(page: AppTest) -> tuple[int, bool]:
    """How many charts, and whether the page says that it is whole."""
    assert not page.exception
    return len(page.get("plotly_chart")), any("page-done" in one.proto.body for one in page.get("html"))


def test_the_first_page_is_asked_for_again_and_has_its_charts_then() -> None:
    page = AppTest.from_function(_page).run()
    assert _drawn(page) == (0, False)
    assert _drawn(page.run()) == (1, True)


def test_after_a_page_without_charts_those_of_the_next_do_not_wait() -> None:
    page = AppTest.from_function(_page)
    page.session_state["charts"] = False
    assert _drawn(page.run()) == (0, True)
    page.session_state["charts"] = True
    assert _drawn(page.run()) == (1, True)


def test_without_a_browser_nothing_waits() -> None:
    page = AppTest.from_function(_page)
    page.session_state["browser"] = False
    assert _drawn(page.run()) == (1, True)
