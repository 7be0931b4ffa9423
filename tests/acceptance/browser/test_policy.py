"""Why a contract is where it is: on its page, and the rules themselves on the policy's."""

from playwright.sync_api import Page, expect

from tests.acceptance.browser.firm import POLICY, Firm
from tests.acceptance.browser.looking import DRAWS_MS, button, card, go, named, seen
from tests.sows import milestone_terms

TITLE = "Claims platform rollout"
OTHER = POLICY.replace('erp = "cloud"', 'erp = "next"')


def test_a_contract_says_which_rule_decided_and_the_policy_shows_it(firm: Firm) -> None:
    firm.sign("P-1", milestone_terms(service_line="tax"))
    with firm.visitor("ada@example.com", "administrator") as page:
        go(page, f"{firm.url}/contract?id={firm.contract('P-1')}", f"P-1 {TITLE}")
        the_rule_that_decides_is_named(page)
        the_rule_that_does_not_is_explained(page)
        named(page)
        go(page, f"{firm.url}/policy", "Policy")
        the_rules_are_shown(page)
        another_policy_is_looked_ahead_at(page)
        named(page)
    assert firm.house.number("SELECT count(*) FROM core.policy_proposal") == 0


def the_rule_that_decides_is_named(page: Page) -> None:
    route = card(page, "policy").get_by_role("row").filter(has_text="Route")
    for words in ("cloud", "Work of the head office"):
        expect(route.first).to_contain_text(words, timeout=DRAWS_MS)


def the_rule_that_does_not_is_explained(page: Page) -> None:
    why = card(page, "policy")
    why.get_by_text("What else fits, and why it does not decide").click()
    expect(why.get_by_role("row").filter(has_text="Tax work")).to_contain_text("next", timeout=DRAWS_MS)


def the_rules_are_shown(page: Page) -> None:
    rules = card(page, "rules")
    for name in ("Tax work", "Work of the head office"):
        seen(rules.get_by_role("cell", name=name))
    rules.get_by_text("Approval", exact=True).click()
    expect(rules.get_by_role("cell", name="Tax work")).to_have_count(0, timeout=DRAWS_MS)


def another_policy_is_looked_ahead_at(page: Page) -> None:
    """Nothing is proposed by it."""
    expect(button(page, "Propose")).to_be_disabled()
    page.get_by_label("Policy file (TOML)").fill(OTHER)
    button(page, "Look ahead").click()
    seen(page.get_by_text("contracts would be decided on differently"))
    expect(button(page, "Propose")).to_be_enabled(timeout=DRAWS_MS)
