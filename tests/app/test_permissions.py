"""The table of permissions says what the code does; each role sees its pages and is told who may see the others."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pytest
import sqlalchemy as sa
from fastapi import APIRouter, Depends, FastAPI
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from app.dashboard import discover
from app.dashboard_context import DashboardContext, set_context
from app.identity.bearer import needs
from app.published.permissions_table import DOCUMENT, Kind, Thing, document, everything, routes
from metrics.measures import Measures
from pages.kit.frame import Viewer
from sync_core.authority import PERMISSIONS, Actor, Permission, Role, person
from sync_core.cases.rules import RULES, Whose
from sync_core.clock import VirtualClock
from sync_core.commands.commands import Commands
from sync_core.reads import Reads
from tests import rows

SCRIPT = Path(__file__).parents[2] / "app" / "dashboard.py"
SHELL = "tieline.shell"
REFUSED = "This needs the permission"


def test_the_document_is_made_from_the_code_as_it_is() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(everything()), "run `make docs`"


@pytest.fixture
def product(database: sa.Engine) -> DashboardContext:
    clock, estate = VirtualClock(rows.NOW), rows.estate()
    return DashboardContext(
        Reads(database, clock=clock, estate=estate),
        Commands(database, clock=clock, estate=estate),
        Measures(database, clock=clock, estate=estate),
    )


def opened(product: DashboardContext, actor: Actor, path: str) -> AppTest:
    """The page at this path, by its URL, for somebody who has just come."""
    viewer = Viewer(actor.name, actor)
    set_context(replace(product, local_viewer=viewer))
    shown = AppTest.from_file(SCRIPT, default_timeout=60)
    shown._page_hash = calc_hash(path)  # AppTest itself switches to pages of files alone
    return shown.run()


def told(shown: AppTest) -> str:
    return "\n".join(element.value for element in (*shown.markdown, *shown.caption, *shown.info))


@pytest.mark.parametrize("role", Role)
def test_each_role_gets_its_pages_and_is_refused_the_others(product: DashboardContext, role: Role) -> None:
    actor = person(f"{role}@example.com", [role])
    for found in discover("pages"):
        page = found.page
        shown = opened(product, actor, "" if page.default else page.path)
        allowed = page.needs is None or page.needs in PERMISSIONS[role]
        assert not shown.exception, page.path
        assert (page.path in shown.session_state[SHELL].links) == allowed, page.path
        assert (REFUSED in told(shown)) != allowed, (page.path, told(shown))
        assert not allowed or shown.markdown[0].value.startswith("# "), page.path


def test_a_refusal_names_the_role_that_may(product: DashboardContext) -> None:
    shown = opened(product, person("cfo@example.com", ["executive"]), "audit")
    assert REFUSED in told(shown)
    assert "**auditor**" in told(shown)
    assert not shown.dataframe


def test_whoever_has_no_role_sees_no_page(product: DashboardContext) -> None:
    shown = opened(product, person("new@example.com", []), "")
    assert "No page is open to your role" in told(shown)
    assert not shown.metric


def test_routes_are_found_with_what_their_dependencies_ask_for() -> None:
    router, guarded = APIRouter(), APIRouter(dependencies=[Depends(needs(Permission.AUDIT_READ))])

    @router.get("/open")
    def open_() -> None: ...

    @router.post("/events")
    def events(actor: Annotated[Actor, Depends(needs(Permission.EVENTS_WRITE))]) -> None: ...

    @guarded.get("/rows")
    def rows_() -> None: ...

    app = FastAPI()
    app.include_router(router, prefix="/v1")
    app.include_router(guarded, prefix="/v1/audit")
    assert routes(app) == [
        Thing(Kind.ROUTE, "GET /v1/audit/rows", Permission.AUDIT_READ),
        Thing(Kind.ROUTE, "POST /v1/events", Permission.EVENTS_WRITE),
        Thing(Kind.ROUTE, "GET /v1/open", None),
    ]


def test_a_route_with_two_permissions_is_refused_a_row() -> None:
    app = FastAPI(dependencies=[Depends(needs(Permission.AUDIT_READ))])

    @app.get("/both", dependencies=[Depends(needs(Permission.KPI_READ))])
    def both() -> None: ...

    with pytest.raises(ValueError, match="audit:read, kpi:read"):
        routes(app)


def test_only_what_depends_on_a_function_is_marked_so() -> None:
    things = everything()
    marked = {thing.needs for thing in things if thing.cell(Role.OPERATOR) == "own function"}
    assert marked == {Permission.CORRECTIONS_WRITE, Permission.EXCEPTIONS_DECIDE}
    shared = {thing.name for thing in things if thing.cell(Role.OPERATOR) == "own or untaken"}
    assert {name for name in shared if name.startswith("cases.")} == {
        deed.value for deed, rule in RULES.items() if rule.whose is Whose.OWN_OR_UNTAKEN
    }
    assert "POST /v1/exceptions/{exception_id}/hand-over" in shared
    for thing in things:  # only operators belong to a function
        assert {thing.cell(role) for role in Role if role is not Role.OPERATOR} <= {"", "yes"}
