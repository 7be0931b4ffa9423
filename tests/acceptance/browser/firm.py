"""One firm for all browser tests: two ERPs, a worker, `tieline web` and a browser, each started once.

Tests keep out of each other's way by their contracts' names, and where they count things by their legal entity.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from playwright.sync_api import Browser, Page

from app.identity.links import create_link
from app.identity.sessions import Person
from sync_core.authority import SYSTEM
from sync_core.clock import SystemClock
from tests.acceptance.browser.looking import drawn
from tests.acceptance.cloud_firm import Cloud, deliver, estate, sow
from tests.acceptance.processes import House
from tests.acceptance.site import answers

MOVED, REPAIRED = "US02", "US03"  # legal entities of one test each
_NEXT = """
[[erp]]
name = "next"
kind = "sandbox_cloud"
url = "{url}"
user = "tieline"
secret_env = "FIRM_ERP"
timeout_s = 3
options = {{ upsert = "false", settle_s = "2" }}
"""
_ENTITY = """
[[entity]]
code = "{code}"
name = "Test Partners {code}"
country = "US"
currency = "USD"
timezone = "America/New_York"
erp = "{erp}"
create_customers = true
"""
_RULES = """
[ownership]
sow_milestones = { conflict = "person" }

[replay]
second_person_from_count = 2
"""
POLICY = """
[[route]]
name = "Tax work"
service_line = "tax"
erp = "next"

[[route]]
name = "Work of the head office"
legal_entity = "US01"
erp = "cloud"
"""


@dataclass(frozen=True, slots=True)
class Firm:
    house: House
    cloud: Cloud
    next: Cloud
    url: str
    browser: Browser
    engine: sa.Engine

    @contextmanager
    def visitor(self, name: str, role: str) -> Iterator[Page]:
        """Signed in by a link of their own."""
        with self.engine.begin() as conn:
            token = create_link(conn, Person(name, (role,)), by=SYSTEM, now=SystemClock().now())
        context = self.browser.new_context(viewport={"width": 1440, "height": 1200})
        page = context.new_page()
        try:
            page.goto(f"{self.url}/enter?t={token}")
            drawn(page)
            yield page
        finally:
            context.close()

    def sign(self, name: str, terms: dict[str, object], *, becomes: str = "active") -> None:
        """Send a signed contract; a worker has seen it."""
        self.send(sow(name, terms))
        self.house.until(f"{name} is {becomes}", lambda: self.state(name) == becomes)

    def send(self, event: dict[str, object]) -> None:
        answer = deliver(self.url, event)
        assert answer.status_code == 202, answer.text

    def state(self, name: str) -> str | None:
        return self.house.states().get(name)

    def contract(self, name: str) -> int:
        return self.house.number("SELECT contract_id FROM core.contract WHERE external_id = %s", name)


@contextmanager
def opened(house: House, browser: Browser) -> Iterator[Firm]:
    (house.place / "policy.toml").write_text(POLICY)
    cloud, next_ = Cloud(house), Cloud(house, name="next")
    entities = _ENTITY.format(code=MOVED, erp="next") + _ENTITY.format(code=REPAIRED, erp="cloud")
    house.estate.write_text(estate(cloud.url) + _NEXT.format(url=next_.url) + entities + _RULES)
    url = house.web()
    house.worker()
    engine = sa.create_engine(house.urls.app)
    house.until("the web process answers", lambda: answers(url))
    try:
        yield Firm(house, cloud, next_, url, browser, engine)
    finally:
        engine.dispose()
