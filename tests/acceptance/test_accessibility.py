"""Every page to axe-core, light and dark, wide and on a phone: no serious fault, and nothing that overflows a phone.

Pages are found as the dashboard finds them, so a new one is looked at from its first day. The viewer has every role.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, BrowserContext, Page, expect

from app.dashboard import discover
from app.postgres.embedded import Endpoint
from sync_core.authority import Role, person
from sync_core.clock import SystemClock
from sync_core.commands.commands import Commands
from sync_core.events import PREFIX
from sync_core.store.migrate import migrate
from tests import axe, databases, rows
from tests.acceptance.processes import House
from tests.chromium import chromium
from tests.commands import people
from tests.pages import repair, test_case_conflict, test_drift, test_governance, test_moves
from tests.reads.handmade import add_case, add_contract, add_event, insert
from tests.sows import signed

CONTRACTS = 700
DRAWS_MS = 60_000
WIDE, PHONE = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}
EVERY_ROLE = tuple(Role)


@dataclass(frozen=True, slots=True)
class Site:
    """A web process over some hundred contracts, and the addresses of what its pages show of one thing."""

    house: House
    url: str
    addresses: Sequence[str]
    opened: Sequence[tuple[str, str]]  # an address, and the button of it that opens a dialog

    def visit(self, browser: Browser, scheme: str, viewport: dict[str, int]) -> tuple[BrowserContext, Page]:
        """Signed in with every role."""
        roles = [part for role in EVERY_ROLE for part in ("--as", role)]
        link = self.house.ask("link", "--name", "ada@example.com", *roles)
        context = browser.new_context(color_scheme=scheme, viewport=viewport)  # type: ignore[arg-type]  # two literals
        context.set_default_timeout(DRAWS_MS)
        page = context.new_page()
        page.goto(f"{self.url}/enter?t={link.rpartition('?t=')[2].split()[0]}")
        drawn(page)
        return context, page


@pytest.fixture(scope="module")
def site(server: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    now = SystemClock().now()

    def build(url: str) -> None:
        migrate(url, app_role="tieline_app")
        rows.seed(url, CONTRACTS, now=now)

    urls = databases.clone(server, databases.template(server, "tieline_accessible", build))
    engine = sa.create_engine(urls.app)
    with House(tmp_path_factory.mktemp("site"), urls, {}) as house:
        house.estate.write_text(rows.ESTATE_TEXT)
        addresses = ["" if one.page.default else one.page.path for one in discover("pages")]
        some, opened = details(engine)
        url = house.web()
        house.until("the web process answers", lambda: answers(url))
        yield Site(house, url, [*addresses, *some], opened)
    engine.dispose()
    databases.drop(server, urls)


def details(engine: sa.Engine) -> tuple[list[str], list[tuple[str, str]]]:
    """What the pages show of one thing, beside their lists, and where a dialog can be opened; made here."""
    commands = Commands(engine, clock=SystemClock(), estate=rows.estate())
    moved = test_moves.previewed(engine, test_moves.contract(engine, "MV-1"))  # before any other replay is made
    case = repair.correctable(engine)
    with engine.connect() as conn:
        stuck = list(conn.scalars(sa.text("SELECT contract_id FROM core.contract WHERE state = 'blocked' LIMIT 4")))
        told = conn.scalar(sa.text("SELECT contract_id FROM core.financial_fact ORDER BY 1 LIMIT 1"))
    add_case(engine, stuck[0], "approval_needed", error_class="policy_denied", function="finance_operations")
    operator = person("tess@example.com", ["operator"])
    previewed = repair.previewed(commands, operator, stuck)
    ended = repair.previewed(commands, operator, stuck[:1])
    repair.ended(engine, ended, verified=1)
    commands.cases.comment(people.TAX, case, "I have asked them")
    shown = [
        f"exceptions?case={case}", "exceptions?view=quarantine", "exceptions?q=no+such", f"contract?id={told}",
        f"contract?id={stuck[0]}", f"replay?replay={previewed}", f"replay?replay={ended}", "audit?row=1",
        "exceptions?view=analysis", *(f"platform?section={part}" for part in ("calls", "work", "house", "jobs")),
        f"moves?replay={moved}", *owned(engine), *planned(engine),
    ]  # fmt: skip
    return shown, [("approvals", "Approve…"), (f"replay?replay={previewed}", f"Replay {len(stuck)} contracts…")]


def owned(engine: sa.Engine) -> list[str]:
    """Whose word counts: both cards of a decision, differences, and amendments of a contract."""
    conflict, alike = test_case_conflict.two_values(engine, part="design"), test_case_conflict.much_alike(engine)
    watched = test_drift.add_watched(engine)
    test_drift.add_drift(engine, watched)
    return [
        f"exceptions?case={conflict}", f"exceptions?case={alike}", "exceptions?view=drift", f"contract?id={watched}",
        f"contract?id={amended(engine)}&view=amendments",
    ]  # fmt: skip


def amended(engine: sa.Engine) -> int:
    """A contract with an amendment; its id."""
    header = {"number": 1, "executed_at": "2026-11-02T10:00:00Z", "summary": "The go-live is later"}
    later = {"key": "golive", "name": "Go-live", "amount": "15000.00", "due_on": "2026-10-30", "line": "1"}
    changes = {"milestones": [later], "po_number": "PO-78"}
    data = {"contract_id": "AM-1", "revision": 2, "amendment": header, "changes": changes}
    add_event(engine, "AM-1", f"{PREFIX}signed.v1", json.dumps(signed("AM-1")))
    add_event(engine, "AM-1", f"{PREFIX}amended.v1", json.dumps(data))
    return add_contract(engine, external_id="AM-1", took=1)


def planned(engine: sa.Engine) -> list[str]:
    """What is to come: renewals, another policy on its page, and each part of governance."""
    due = SystemClock().now().date() + timedelta(days=20)
    add_contract(engine, took=1, renewal="automatic", notice_by=due, renewal_due=due, renews_on=due)
    test_governance.wait_for_a_schema(engine, "V-1")
    test_governance.drifted(engine, "terms.risk")
    insert(engine, "estate_version", digest="e", body="", activated_at=rows.NOW)
    insert(engine, "policy", version="v1", body="", estate="e", activated_at=rows.NOW, activated_by="tieline")
    insert(
        engine, "policy_proposal", version="v2", body="[[route]]", before="v1", reason="the cloud is given up",
        proposed_by="ada@example.com", proposed_at=rows.NOW, tested_since=rows.NOW, tested=9, unreadable=0,
        changed=[], effects='{"route": 3}', second_person="it moves 3 contracts", state="proposed",
    )  # fmt: skip
    sections = ("fields", "lineage", "releases")
    return ["contracts?view=renewals", *(f"governance?section={one}" for one in sections)]


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def drawn(page: Page) -> None:
    page.wait_for_selector("#page-done", state="attached", timeout=DRAWS_MS)


@pytest.mark.timeout(900)  # some forty pages, on a machine that may be busy
@pytest.mark.parametrize(("scheme", "viewport"), [("light", WIDE), ("dark", WIDE), ("light", PHONE)])
def test_no_page_has_a_serious_fault(site: Site, browser: Browser, scheme: str, viewport: dict[str, int]) -> None:
    context, page = site.visit(browser, scheme, viewport)
    faults = []
    for address in site.addresses:
        page.goto(f"{site.url}/{address}")
        drawn(page)
        faults += [f"/{address} {fault}" for fault in (*axe.violations(page), *overflow(page))]
    for address, button in site.opened:
        page.goto(f"{site.url}/{address}")
        drawn(page)
        page.get_by_role("button", name=button).first.click()
        expect(page.get_by_role("dialog")).to_be_visible(timeout=DRAWS_MS)
        faults += [f"/{address} {button} {fault}" for fault in axe.violations(page)]
        page.keyboard.press("Escape")
    faults += [f"the menu {fault}" for fault in in_the_menu(page)]
    context.close()
    assert not faults, "\n".join(faults)


def in_the_menu(page: Page) -> list[str]:
    """Open: "More" beside the bar, or all of it on a phone, where it is closed for the keyboard as well until then."""
    if page.viewport_size == PHONE:
        entry = page.get_by_test_id("stSidebarNav").get_by_text("Audit", exact=True)
        expect(entry).to_be_hidden()
        page.get_by_test_id("stExpandSidebarButton").click()
    else:
        entry = page.get_by_role("menuitem", name="Audit", exact=True)
        page.get_by_text("More", exact=True).click()
    expect(entry).to_be_visible(timeout=DRAWS_MS)
    return axe.violations(page)


def overflow(page: Page) -> list[str]:
    """A page is never wider than the screen; what is wide scrolls within itself."""
    wide = page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollWidth - window.innerWidth")
    return [f"overflow: {wide} px wider than the screen"] if wide > 0 else []
