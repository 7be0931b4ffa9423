"""A web process over some hundred contracts of a firm that has run for a while, and a browser in front of it.

Pages are found as the dashboard finds them, so a new one is looked at from its first day. Who visits has every role.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import sqlalchemy as sa
from playwright.sync_api import Browser, BrowserContext, Page

from app.dashboard import discover
from app.identity.links import create_link
from app.identity.sessions import Person
from app.postgres.embedded import Endpoint
from sync_core.authority import SYSTEM, Role
from sync_core.clock import SystemClock
from tests import rows
from tests.acceptance import site_rows
from tests.acceptance.processes import House
from tests.filled import filled

CONTRACTS = 700
DRAWS_MS = 60_000
WIDE, PHONE = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}
EVERY_ROLE = tuple(str(role) for role in Role)


@dataclass(frozen=True, slots=True)
class Site:
    """Its pages by address, without the first slash."""

    url: str
    addresses: Sequence[str]
    opened: Sequence[tuple[str, str]]  # an address, and the button of it that opens a dialog
    engine: sa.Engine

    @contextmanager
    def visit(self, browser: Browser, viewport: dict[str, int]) -> Iterator[Page]:
        """Signed in, the first page drawn."""
        now = SystemClock().now()
        with self.engine.begin() as conn:
            token = create_link(conn, Person("ada@example.com", EVERY_ROLE), by=SYSTEM, now=now)
        context = browser.new_context(color_scheme="light", viewport=viewport)  # type: ignore[arg-type]  # two literals
        try:
            yield self._enter(context, token)
        finally:
            context.close()

    def _enter(self, context: BrowserContext, token: str) -> Page:
        context.set_default_timeout(DRAWS_MS)
        page = context.new_page()
        page.goto(f"{self.url}/enter?t={token}")
        drawn(page)
        return page

    def open(self, page: Page, address: str) -> None:
        page.goto(f"{self.url}/{address}")
        drawn(page)


def drawn(page: Page) -> None:
    page.wait_for_selector("#page-done", state="attached", timeout=DRAWS_MS)


@contextmanager
def opened(server: Endpoint, place: Path) -> Iterator[Site]:
    """`place`: an empty folder."""
    now = SystemClock().now()
    with (
        filled(server, "site", lambda url: rows.seed(url, CONTRACTS, now=now)) as urls,
        House(place, urls, {}) as house,
    ):
        engine = sa.create_engine(urls.app)
        house.estate.write_text(rows.ESTATE_TEXT)
        url = house.web()  # it starts while the firm lives
        site_rows.lived(engine, now)
        addresses = ["" if one.page.default else one.page.path for one in discover("pages")]
        some, dialogs = site_rows.details(engine)
        house.until("the web process answers", lambda: answers(url))
        yield Site(url, [*addresses, *some], dialogs, engine)
        engine.dispose()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
