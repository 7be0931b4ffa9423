"""The shell finds pages, shows each viewer theirs, and keeps a failure where it happened."""

import logging
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.dashboard import discover
from app.dashboard_context import DashboardContext, set_context
from pages.kit.frame import Page, Viewer
from sync_core.authority import person
from tests.app.shell_pages import NamedReads

SCRIPT = Path(__file__).parents[2] / "app" / "dashboard.py"
PAGES = "tests.app.shell_pages"
SHELL = "tieline.shell"


def viewer(email: str, *grants: str) -> Viewer:
    return Viewer(email, person(email, grants))


CFO = viewer("cfo@example.com", "executive@US01")


def drawn(viewer: Viewer | None) -> AppTest:
    set_context(DashboardContext(NamedReads("reads"), "commands", pages_package=PAGES, local_viewer=viewer))
    return AppTest.from_file(SCRIPT, default_timeout=30).run()


def texts(shown: AppTest) -> str:
    return "\n".join(element.value for element in (*shown.markdown, *shown.caption))


def test_pages_are_found_by_their_declaration_in_order() -> None:
    assert [found.page.path for found in discover(PAGES)] == ["overview", "second", "audit"]


def test_the_products_own_pages_can_be_discovered() -> None:
    assert all(isinstance(found.page, Page) for found in discover("pages"))


def test_two_default_pages_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "twice_default"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for name in ("one", "two"):
        (folder / f"{name}.py").write_text(
            "from pages.kit.frame import Page\n"
            f"PAGE = Page(title='T', icon=':material/home:', path='{name}', order=1, default=True)\n"
            "def render(reads, commands): ...\n"
        )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="exactly one default"):
        discover("twice_default")


def test_the_default_page_is_drawn_with_the_objects_of_the_process() -> None:
    shown = drawn(CFO)
    assert not shown.exception
    assert "Drawn from reads within executive@US01 and commands." in texts(shown)
    assert shown.metric[0].value == "$13.6M"
    assert "Data as of 23 Nov 2026 06:03 UTC." in texts(shown)


def test_a_card_that_fails_shows_an_incident_and_the_rest_is_drawn(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="tieline.pages"):
        shown = drawn(CFO)
    message = shown.error[0].value
    assert message.startswith("Broken card could not be drawn. Incident ")
    incident = message.split()[-1].rstrip(".")
    record = next(record for record in caplog.records if incident in record.getMessage())
    assert record.exc_info is not None
    assert "the read failed" not in message
    assert "Nothing is stuck." in texts(shown)


def test_without_a_local_viewer_the_gates_headers_name_the_person() -> None:
    assert drawn(None).session_state[SHELL].viewer == viewer("test@example.com")  # AppTest's own signed-in person


def test_a_page_of_another_role_is_absent_from_the_navigation() -> None:
    assert set(drawn(CFO).session_state[SHELL].links) == {"overview", "second"}
    assert "audit" in drawn(viewer("eve@example.com", "auditor")).session_state[SHELL].links
