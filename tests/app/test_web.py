"""The whole web process on a real port, by HTTP, by websocket and in a real browser.

Streamlit allows one application per process, so these tests share one and each makes its own session.
"""

import gzip
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest
import sqlalchemy as sa
import uvicorn
from fastapi import APIRouter
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from app.cli.actor import operator_of_this_machine
from app.dashboard_context import DashboardContext
from app.identity.gate import SIGNED_OUT, cookie_name
from app.identity.links import create_link
from app.identity.sessions import Person
from app.postgres.embedded import Endpoint
from app.web.web import WebContext, build
from sync_core.clock import SystemClock
from sync_core.commands.commands import Commands
from tests import databases
from tests.app.shell_pages import NamedReads
from tests.chromium import chromium
from tests.rows import estate

COOKIE = cookie_name(secure=False)
SLACK_S = 1  # of a busy machine


@dataclass(frozen=True, slots=True)
class Site:
    """A running web process."""

    port: int
    engine: sa.Engine

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def link(self, email: str = "cfo@example.com", *roles: str) -> str:
        with self.engine.begin() as conn:
            by = operator_of_this_machine()
            token = create_link(conn, Person(email, roles or ("executive",)), by=by, now=SystemClock().now())
        return f"{self.url}/enter?t={token}"

    @contextmanager
    def signed_in(self, email: str) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=self.url) as http:
            assert http.get(self.link(email)).status_code == 303
            yield http

    def websocket(self, http: httpx.Client | None, *, origin: str | None = None) -> ClientConnection:
        headers = {"cookie": f"{COOKIE}={http.cookies[COOKIE]}"} if http else {}
        return connect(
            f"ws://127.0.0.1:{self.port}/_stcore/stream",
            origin=Origin(origin or self.url),
            additional_headers=headers,
            subprotocols=[Subprotocol("streamlit")],
        )


@pytest.fixture(scope="module")
def site(server: Endpoint, template: str) -> Iterator[Site]:
    urls = databases.clone(server, template)
    engine = sa.create_engine(urls.app)
    api = APIRouter()

    @api.get("/v1/ping")
    def ping() -> dict[str, str]:
        return {"answer": "pong"}

    dashboard = DashboardContext(NamedReads("reads"), "commands", pages_package="tests.app.shell_pages")
    app = build(WebContext(engine, SystemClock(), dashboard, routers=[api]))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        web = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", ws="websockets-sansio", timeout_graceful_shutdown=2)
        )
        thread = threading.Thread(target=web.run, kwargs={"sockets": [listener]})
        thread.start()
        eventually(lambda: web.started)
        yield Site(listener.getsockname()[1], engine)
        web.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive()
    engine.dispose()
    databases.drop(server, urls)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(params=["light", "dark"])
def visit(request: pytest.FixtureRequest, browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(color_scheme=request.param)
    yield context
    context.close()


def eventually(holds: Callable[[], bool], *, within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"did not happen within {within_s} s"
        time.sleep(0.02)


def exhaust(socket_: ClientConnection) -> None:
    while True:
        socket_.recv(timeout=10)


def drawn(page: Page) -> None:
    page.wait_for_selector("#page-done", state="attached", timeout=30_000)


def test_health_and_api_need_no_session(site: Site) -> None:
    with httpx.Client(base_url=site.url) as http:
        assert http.get("/healthz").json() == {"status": "ok"}
        assert http.get("/v1/ping").json() == {"answer": "pong"}
        assert http.get("/v1/ping").headers["x-content-type-options"] == "nosniff"


def test_the_front_page_is_found_under_its_own_name_too(site: Site) -> None:
    with httpx.Client(base_url=site.url) as http:
        answer = http.get("/overview?legal_entity=GB01&weeks=4")
        assert (answer.status_code, answer.headers["location"]) == (307, "/?legal_entity=GB01&weeks=4")
        assert http.get("/overview").headers["location"] == "/"


def test_a_link_opens_the_dashboard_once(site: Site) -> None:
    link = site.link()
    with httpx.Client(base_url=site.url) as http:
        assert http.get("/").status_code == 401
        entered = http.get(link)
        assert entered.status_code == 303
        assert entered.headers["location"] == "/"
        cookie = entered.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert http.get("/").status_code == 200
    with httpx.Client(base_url=site.url) as other:
        again = other.get(link)
        assert again.status_code == 401
        assert "tieline link" in again.text
        assert "set-cookie" not in again.headers
        assert other.get("/enter").status_code == 401


def test_signing_out_ends_the_session_on_the_server(site: Site) -> None:
    with site.signed_in("leaver@example.com") as http:
        kept = http.cookies[COOKIE]
        assert http.get("/logout").status_code == 200
        assert COOKIE not in http.cookies
    with httpx.Client(base_url=site.url, cookies={COOKIE: kept}) as thief:
        assert thief.get("/").status_code == 401


def test_the_sign_in_page_shows_logo_and_font_without_a_session(site: Site) -> None:
    with httpx.Client(base_url=site.url) as http:
        for name in ("logo_light.svg", "logo_dark.svg", "favicon.svg", "inter.woff2"):
            assert http.get(f"/app/static/{name}").status_code == 200
        for path in ("/app/static/..%2fdashboard.py", "/app/static/..%2Fstreamlit.toml"):
            assert http.get(path).status_code in {400, 401, 404}


def test_scripts_are_packed_for_browsers_that_unpack_them(site: Site) -> None:
    with site.signed_in("far@example.com") as http:
        found = re.search(r'src="\./(static/js/[\w.-]+)"', http.get("/").text)
        assert found is not None
        plain = http.get(found[1], headers={"accept-encoding": "identity"})
        with http.stream("GET", found[1], headers={"accept-encoding": "gzip, br"}) as packed:
            raw = b"".join(packed.iter_raw())
        assert gzip.decompress(raw) == plain.content
        assert len(raw) < len(plain.content) / 2
        assert [one.headers.get("content-encoding") for one in (plain, packed)] == [None, "gzip"]
        wanted = {"br;q=1.0, gzip;q=0.5": "gzip", "*": "gzip", "gzip;q=0, *": None, "br": None}
        for accepted, encoding in wanted.items():
            told = http.get(found[1], headers={"accept-encoding": accepted}).headers
            assert told.get("content-encoding") == encoding, accepted
            assert told["vary"].lower().split(", ").count("accept-encoding") == 1, accepted
        for name in ("content-type", "cache-control", "content-security-policy"):
            assert packed.headers[name] == plain.headers[name]
        assert "immutable" in packed.headers["cache-control"]
        assert http.get("/static/js/none.js").text == http.get("/").text  # as Streamlit answers for what is no file
    with httpx.Client(base_url=site.url) as stranger:
        assert stranger.get(found[1]).status_code == 401


def test_a_websocket_without_a_session_or_from_another_page_is_refused(site: Site) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        site.websocket(None)
    with site.signed_in("cfo@example.com") as http, pytest.raises(InvalidStatus, match="403"):
        site.websocket(http, origin="http://127.0.0.1:1")


def test_an_ended_session_loses_its_open_page_within_two_seconds(site: Site) -> None:
    with site.signed_in("revoked@example.com") as http, site.websocket(http) as socket_:
        access = Commands(site.engine, clock=SystemClock(), estate=estate()).access
        ended = access.end_sessions(operator_of_this_machine(), "revoked@example.com", reason="lost laptop")
        started = time.monotonic()
        assert ended.ended == 1
        with pytest.raises(ConnectionClosed) as closed:
            exhaust(socket_)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == SIGNED_OUT
        assert time.monotonic() - started < 2 + SLACK_S
        assert http.get("/").status_code == 401


def test_the_dashboard_runs_under_the_policy_without_console_errors(site: Site, visit: BrowserContext) -> None:
    page, complaints, foreign = visit.new_page(), list[str](), list[str]()

    def complain(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    page.on("console", complain)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: foreign.append(request.url))
    page.goto(site.link("cfo@example.com"))
    drawn(page)
    page.wait_for_selector(".js-plotly-plot .main-svg", timeout=30_000)
    assert page.title() == "Overview · Tieline"
    assert page.locator("[data-testid=stMetricValue]").inner_text() == "$13.6M"
    assert page.get_by_text("Broken card could not be drawn. Incident").is_visible()
    assert page.get_by_text("cfo@example.com").is_visible()
    assert page.evaluate("getComputedStyle(document.body).fontFamily").startswith("Inter")
    assert complaints == []
    own = (site.url, "data:", "blob:", f"blob:{site.url}")
    assert [url for url in foreign if not url.startswith(own)] == []


def test_numbers_behind_a_chart_open_by_keyboard_as_a_table(site: Site, browser: Browser) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(site.link())
        drawn(page)
        page.get_by_role("button", name="Data").focus()
        page.keyboard.press("Enter")
        page.get_by_role("cell", name="> Billable").wait_for(timeout=10_000)


def test_links_between_pages_keep_the_session_and_carry_the_query(site: Site, browser: Browser) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(site.link())
        drawn(page)
        page.get_by_role("link", name="Open the second page").click()
        page.get_by_text("3.0 h old").first.wait_for(timeout=10_000)
        assert page.url.endswith("/second?cause=tax")


def test_a_page_that_fails_says_so_with_an_incident_and_no_trace(site: Site, browser: Browser) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(site.link())
        page.goto(f"{site.url}/second?fail=1")
        page.wait_for_selector("#page-done[data-failed]", state="attached", timeout=30_000)
        assert page.get_by_text("This page could not be drawn. Incident").is_visible()
        assert "the page failed" not in page.content()


def test_a_narrow_screen_needs_no_sideways_scrolling(site: Site, browser: Browser) -> None:
    with browser.new_context(viewport={"width": 390, "height": 844}) as context:
        page = context.new_page()
        page.goto(site.link())
        drawn(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
