"""A real browser shows hostile texts as texts: no script runs, no markup appears, and a file of them has no formula."""

import csv
import io
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from playwright.sync_api import ConsoleMessage, Page, expect

from app.identity.links import create_link
from app.identity.sessions import Person
from sync_core.authority import SYSTEM
from sync_core.clock import SystemClock
from tests import rows
from tests.acceptance.processes import House
from tests.chromium import chromium
from tests.databases import DatabaseUrls
from tests.hostile import FORMULAS
from tests.reads.handmade import add_contract
from tests.reads.hostile_contract import hostile_contract

DRAWS_S, ANSWERS_S = 40, 60
# What the texts would have become: elements of theirs, or elements of Markdown with their words.
MARKUP = """() => {
    const app = document.querySelector('[data-testid=stApp]'), found = [];
    app.querySelectorAll('.owned, img[src="x"], script, a[href*="evil"], img[src*="evil"], iframe, object').forEach(
        one => found.push(one.outerHTML.slice(0, 200)));
    const words = ['strong', 'emphasis', 'gone', 'code', 'Heading', 'item', 'quotation', 'indented', 'Total', 'red'];
    app.querySelectorAll('strong, em, del, code, h1, h2, h3, li, blockquote, pre, span[style*=color]').forEach(one => {
        if (words.includes(one.textContent.trim())) found.push(one.outerHTML.slice(0, 200));
    });
    return found;
}"""


@pytest.fixture
def house(tmp_path: Path, database_urls: DatabaseUrls) -> Iterator[House]:
    with House(tmp_path, database_urls, {}) as opened:
        opened.estate.write_text(rows.ESTATE_TEXT)
        yield opened


def answers(url: str) -> httpx.Response:
    deadline = time.monotonic() + ANSWERS_S
    while True:
        assert time.monotonic() < deadline, f"{url} does not answer"
        with suppress(httpx.TransportError):
            return httpx.get(url, trust_env=False, timeout=5)
        time.sleep(0.1)


def open_at(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_selector("#page-done", state="attached", timeout=DRAWS_S * 1000)


def test_hostile_texts_stay_texts_in_a_browser_and_in_the_file_it_downloads(house: House, database: sa.Engine) -> None:
    contract = hostile_contract(database)
    add_contract(database, external_id="F-1", title=FORMULAS[0], customer_name=FORMULAS[1])
    with database.begin() as conn:
        token = create_link(conn, Person("cfo@example.com", ("executive",)), by=SYSTEM, now=SystemClock().now())
    url = house.web()
    policy = answers(f"{url}/healthz").headers["content-security-policy"]
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    with chromium() as browser:
        page, said = browser.new_page(), list[str]()

        def listen(message: ConsoleMessage) -> None:
            if message.type == "error":
                said.append(message.text)

        page.on("console", listen)
        open_at(page, f"{url}/enter?t={token}")
        for path in ("", f"contract?id={contract}", "exceptions", "contracts"):
            open_at(page, f"{url}/{path}")
            assert page.evaluate("window.owned") is None
            assert page.evaluate(MARKUP) == [], path
            expect(page.get_by_text("could not be drawn")).to_have_count(0)
            if path.startswith("contract?"):
                expect(page.locator("h1")).to_contain_text("<script>window.owned = 1</script>")
                assert "https" in page.locator("body").inner_text()
        # A policy that had to stop something would mean that something had tried.
        assert [text for text in said if "Content Security Policy" in text] == []
        the_file_has_no_formula(page)
    with database.connect() as conn:
        told = conn.execute(sa.text("SELECT actor, subject FROM core.audit WHERE action = 'export.contracts'")).all()
    assert [tuple(row) for row in told] == [("cfo@example.com", "2 contracts")]


def the_file_has_no_formula(page: Page) -> None:
    """By our button; Streamlit's own is not there."""
    page.get_by_test_id("stDataFrame").hover()
    expect(page.get_by_role("button", name="Download as CSV")).to_have_count(0)
    with page.expect_download(timeout=DRAWS_S * 1000) as waiting:
        page.get_by_role("button", name="Download CSV").click()
    body = Path(waiting.value.path()).read_bytes()
    assert body.startswith(b"\xef\xbb\xbf")
    (formula,) = [
        row for row in csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline="")) if row["contract"] == "F-1"
    ]
    assert (formula["title"], formula["customer"]) == (f"'{FORMULAS[0]}", f"'{FORMULAS[1]}")
