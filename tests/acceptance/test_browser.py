"""A person's first minutes: `tieline up`, its link, numbers that grow, one contract told whole, Ctrl-C."""

import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect

from tests.acceptance.processes import TIELINE
from tests.app.embedded_homes import new_home
from tests.app.test_cli import environment
from tests.chromium import chromium

START_S, DRAW_S, GROW_S, STOP_S = 60, 30, 120, 15
DEMO = {"TIELINE_DEMO_CONTRACTS": "15", "TIELINE_DEMO_PER_MINUTE": "60"}
BILLED_BY_MILESTONES = "/contracts?state=active&billing=milestones"
LINK = re.compile(r"(http://127\.0\.0\.1:(\d+))/enter\?t=[\w-]+")
ROW_HEIGHT = 34


def test_the_link_that_up_prints_leads_to_growing_numbers_and_to_one_contract(tmp_path: Path) -> None:
    with product(tmp_path / "up.log") as (process, link), chromium() as browser:
        page = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
        page.goto(link[0])
        drawn(page)
        expect(page.get_by_role("heading", name="Contract to cash")).to_be_visible()
        grows(page)
        the_link_works_once(browser, link[0])
        one_contract_is_told_whole(page, link[1])
        page.get_by_role("link", name="Exceptions").click()
        expect(page.get_by_role("heading", name="Exceptions", exact=True)).to_be_visible(timeout=DRAW_S * 1000)
        drawn(page)
        expect(page.get_by_text(re.compile("exceptions? open|No open exceptions")).first).to_be_visible()
        expect(page.get_by_text("could not be drawn")).to_have_count(0)
        process.send_signal(signal.SIGINT)
        assert process.wait(STOP_S) == 0
        with socket.socket() as door:
            assert door.connect_ex(("127.0.0.1", int(link[2]))) != 0


@contextmanager
def product(log: Path) -> Iterator[tuple[subprocess.Popen[bytes], re.Match[str]]]:
    """`tieline up` in a new home, and the link that it has printed. What it said is printed when the block fails."""
    with new_home() as home, log.open("wb") as said:
        process = subprocess.Popen(
            [*TIELINE, "up", "--port", "0"],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=environment(home, **DEMO),
            start_new_session=True,
        )
        try:
            until("it prints a link", lambda: printed(process, log) is not None, within_s=START_S)
            link = printed(process, log)
            assert link is not None
            yield process, link
        except BaseException:
            print(log.read_text())
            raise
        finally:
            stop(process)


def printed(process: subprocess.Popen[bytes], log: Path) -> re.Match[str] | None:
    assert process.poll() is None, f"it ended with exit code {process.returncode}"
    return LINK.search(log.read_text())


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    process.kill()  # its parts end with it: each holds the end of a pipe of it
    process.wait()


def until(what: str, holds: Callable[[], bool], *, within_s: float, pause: Callable[[], object] | None = None) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        (pause or (lambda: time.sleep(0.1)))()


def drawn(page: Page) -> None:
    page.wait_for_selector("#page-done", state="attached", timeout=DRAW_S * 1000)


def signed(page: Page) -> int:
    """How many contracts the card of cycle times says it is of; 0 before any is measured."""
    told = card(page, "trend_cycle_time")
    found = re.search(r"([\d,]+) contracts?\b", told.inner_text()) if told.count() else None
    return int(found[1].replace(",", "")) if found else 0


def grows(page: Page) -> None:
    """The number on the open page, with nobody touching it."""
    for least in (1, signed(page) + 2):
        until(
            f"{least} contracts are signed",
            lambda least=least: signed(page) >= least,  # type: ignore[misc]
            within_s=GROW_S,
            pause=lambda: page.wait_for_timeout(100),
        )


def the_link_works_once(browser: Browser, link: str) -> None:
    other = browser.new_context()
    answer = other.new_page().goto(link)
    assert answer is not None
    assert answer.status == 401
    assert "tieline link" in answer.text()
    other.close()


def one_contract_is_told_whole(page: Page, url: str) -> None:
    """By another page to the list, and from there to its page by a tick, as the list says."""
    page.get_by_role("link", name="Flow", exact=True).click()
    expect(page.get_by_role("heading", name="Flow", exact=True)).to_be_visible(timeout=DRAW_S * 1000)
    page.goto(url + BILLED_BY_MILESTONES)
    drawn(page)
    page.get_by_test_id("stDataFrame").click(position={"x": ROW_HEIGHT / 2, "y": ROW_HEIGHT * 1.5})
    page.wait_for_url(re.compile(r"/contract\?.*id=\d+"))
    expect(card(page, "timeline")).to_contain_text("Signed", timeout=DRAW_S * 1000)
    drawn(page)
    operations = card(page, "operations").get_by_role("row").filter(has_text=re.compile("(Create|Update) project"))
    expect(operations.first).to_contain_text(re.compile(r"PRJ-\d+"), timeout=DRAW_S * 1000)
    expect(page.get_by_text("ERP project", exact=True).first).to_be_visible()
    expect(card(page, "crosswalk")).to_contain_text(re.compile(r"PRJ-\d+"))
    expect(card(page, "billing")).to_contain_text("The milestones add up to the contract value")


def card(page: Page, key: str) -> Locator:
    return page.locator(f".st-key-card_{key}")
