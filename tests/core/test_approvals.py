"""Who is asked for an approval, what a decision covers, and that neither depends on the order of events."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_core.cases.approvals import approval_findings, request
from sync_core.checks import contract_findings
from sync_core.contract import Contract, Decision
from sync_core.errors import ErrorClass, InvalidEstate
from sync_core.estate.estate import Estate, load
from sync_core.events import CORRECTED, DECIDED, PREFIX, REGISTRY, Corrected, Event, understand
from tests.folds import fold
from tests.sows import ESTATE_TOML, SIGNED_AT, SOURCE, milestone_terms, signed

RULES = """
[[approval]]
name = "Group"
from_amount = 100000

[[approval]]
name = "Group, very large"
from_amount = 1000000
function = "legal"

[[approval]]
name = "UK"
from_amount = 50000
legal_entity = "GB01"

[[approval]]
name = "UK tax work"
from_amount = 400000
legal_entity = "GB01"
service_line = "tax"
"""
ESTATE = load(ESTATE_TOML + RULES)
START = datetime(2026, 3, 2, tzinfo=UTC)


def event(event_type: str, number: int, data: dict[str, object]) -> Event:
    payload = understand(event_type, orjson.dumps({"contract_id": "C-1", **data}))
    return Event(SOURCE, f"e{number}", event_type, START + timedelta(hours=number), payload)


def signing(value: str, *, number: int = 0, revision: int = 1, terms: Mapping[str, object] | None = None) -> Event:
    data = signed("C-1", milestone_terms(**{**(terms or {}), "value": value}), revision=revision)
    return event("com.tieline.contract.signed.v1", number, data)


def deciding(decision: str, amount: str, *, number: int, revision: int = 1, rule: str = "Group") -> Event:
    data = {"revision": revision, "subject": "provisioning", "rule": rule, "decision": decision, "amount": amount,
            "currency": "USD", "by": f"p{number}@example.com", "reason": "because"}  # fmt: skip
    return event(DECIDED, number, data)


def correcting(overrides: int, number: int, **changes: object) -> Event:
    return event(CORRECTED, number, {"revision": overrides, "overrides": overrides, "changes": changes})


def amending(revision: int, number: int, **changes: object) -> Event:
    header = {"number": 1, "executed_at": START.isoformat()}
    return event(f"{PREFIX}amended.v1", number, {"revision": revision, "amendment": header, "changes": changes})


def asked(*events: Event, estate: Estate = ESTATE) -> list[str]:
    return [finding.cause for finding in approval_findings(fold(events), estate)]


@pytest.mark.parametrize(
    ("terms", "rule"),
    [
        ({"value": "99999.99"}, None),
        ({"value": "100000"}, "Group"),
        ({"value": "1000000"}, "Group, very large"),
        ({"value": "39999", "legal_entity": "GB01", "currency": "GBP"}, None),
        ({"value": "40000", "legal_entity": "GB01", "currency": "GBP"}, "UK"),  # at 1.25
        ({"value": "300000", "legal_entity": "GB01", "currency": "GBP", "service_line": "tax"}, None),
        ({"value": "320000", "legal_entity": "GB01", "currency": "GBP", "service_line": "tax"}, "UK tax work"),
        ({"value": "1", "currency": "BRL"}, "Group, very large"),  # no rate: perhaps very much
        ({"value": "0.001"}, None),  # no amount of money: another finding says so
        ({"value": "5", "currency": "???"}, None),
    ],
)  # fmt: skip
def test_the_most_specific_rule_that_the_value_reaches_asks(terms: dict[str, object], rule: str | None) -> None:
    value = str(terms.pop("value"))
    wanted = request(fold([signing(value, terms=terms)]), ESTATE)
    assert (wanted.rule.name if wanted else None) == rule


def test_the_exception_is_that_of_the_rules_function_and_blocks() -> None:
    parts = [{"key": "m", "name": "M", "amount": "2000000", "due_on": "2026-09-30"}]
    contract = fold([signing("2000000", terms={"lines": [], "milestones": parts})])
    [finding] = contract_findings(contract, ESTATE)
    assert (finding.error_class, finding.cause, finding.function) == (
        ErrorClass.POLICY_DENIED,
        "approval_needed",
        "legal",
    )
    assert "over 1,000,000 USD (Group, very large)" in finding.message


@pytest.mark.parametrize(
    ("value", "currency", "ends"),
    [
        ("40000", "GBP", "the contract is 40,000.00 GBP; that is 50,000.00 USD at the rate of its signature"),
        ("60000", "USD", "the contract is 60,000.00 USD"),
        ("1", "BRL", "the contract is 1.00 BRL, and no rate to USD is known for the day of its signature"),
    ],
)
def test_the_amount_is_told_in_the_currency_of_the_limit(value: str, currency: str, ends: str) -> None:
    wanted = request(fold([signing(value, terms={"legal_entity": "GB01", "currency": currency})]), ESTATE)
    assert wanted is not None
    assert wanted.words.endswith(f", {ends}")


def test_a_rate_that_moves_later_asks_nobody() -> None:
    more = ESTATE_TOML + RULES + '\n[[exchange_rate]]\ncurrency = "GBP"\nrate = "9"\nvalid_from = 2026-03-03\n'
    terms = {"legal_entity": "GB01", "currency": "GBP"}
    assert asked(signing("39999", terms=terms), estate=load(more)) == []


@pytest.mark.parametrize(
    ("decisions", "value", "expected"),
    [
        ([], "150000", ["approval_needed"]),
        ([("approved", "150000")], "150000", []),
        ([("approved", "150000")], "150000.01", ["approval_needed"]),
        ([("approved", "150000"), ("approved", "200000")], "160000", []),
        ([("refused", "150000")], "150000", ["approval_refused"]),
        ([("refused", "150000")], "170000", ["approval_refused"]),
        ([("refused", "150000")], "149999", ["approval_needed"]),
        ([("refused", "150000")], "99999", []),
        ([("refused", "150000"), ("approved", "150000")], "150000", []),
        ([("approved", "150000"), ("refused", "200000")], "150000", []),
        ([("approved", "150000"), ("refused", "200000")], "180000", ["approval_needed"]),
        ([("approved", "150000"), ("refused", "140000")], "150000", ["approval_refused"]),
    ],
)
def test_what_a_decision_covers(decisions: list[tuple[str, str]], value: str, expected: list[str]) -> None:
    events = [deciding(what, amount, number=n) for n, (what, amount) in enumerate(decisions, 1)]
    assert asked(signing(value), *events) == expected


def test_a_decision_under_another_rule_or_currency_says_nothing() -> None:
    assert asked(signing("150000"), deciding("approved", "900000", number=1, rule="UK")) == ["approval_needed"]
    approved = fold([signing("150000"), deciding("approved", "900000", number=1)])
    other = replace(approved, decisions=tuple(replace(d, currency="GBP") for d in approved.decisions))
    assert [f.cause for f in approval_findings(other, ESTATE)] == ["approval_needed"]


DECISIONS = st.builds(
    lambda what, amount, number, revision: deciding(what, str(amount), number=number, revision=revision),
    st.sampled_from(["approved", "refused"]),
    st.integers(90_000, 200_000),
    st.integers(10, 500),
    st.integers(1, 3),
)
SIGNATURES = st.builds(
    lambda value, revision: signing(str(value), number=revision, revision=revision),
    st.integers(90_000, 200_000),
    st.integers(1, 3),
)
CORRECTIONS = st.builds(
    lambda overrides, value, number: correcting(overrides, number, value=str(value), title=f"By {number}"),
    st.integers(1, 3),
    st.integers(90_000, 200_000),
    st.integers(1000, 1500),
)
HISTORIES = st.tuples(
    st.lists(SIGNATURES, min_size=1, max_size=3, unique_by=lambda e: e.id),
    st.lists(DECISIONS, max_size=5, unique_by=lambda e: e.id),
    st.lists(CORRECTIONS, max_size=4, unique_by=lambda e: e.id),
).map(lambda parts: [event for part in parts for event in part])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_order_and_repeats_change_neither_decisions_nor_what_is_asked(data: st.DataObject) -> None:
    history = data.draw(HISTORIES)
    repeats = data.draw(st.lists(st.sampled_from(history), max_size=5))
    shuffled = data.draw(st.permutations([*history, *repeats]))
    assert fold(shuffled) == fold(history)
    assert asked(*shuffled) == asked(*history)


@settings(max_examples=200, deadline=None)
@given(HISTORIES)
def test_decisions_change_nothing_of_the_terms(history: list[Event]) -> None:
    """And none is lost, whatever else happened."""
    whole = fold(history)
    without = fold([one for one in history if one.type != DECIDED])
    assert whole.terms == without.terms
    assert len(whole.decisions) == sum(one.type == DECIDED for one in history)


@settings(max_examples=200, deadline=None)
@given(HISTORIES, st.integers(90_000, 200_000))
def test_an_approval_of_the_value_always_ends_the_question(history: list[Event], extra: int) -> None:
    contract = fold(history)
    assert contract.terms is not None
    last = deciding("approved", str(contract.terms.value), number=2000, revision=contract.revision)
    assert asked(*history, last) == []
    above = amending(contract.revision + 1, 3000, value=str(contract.terms.value + extra))
    decided = [d for d in fold([*history, last]).decisions if d.approved and d.amount >= contract.terms.value + extra]
    if not decided and not any(not d.approved for d in contract.decisions):
        assert asked(*history, last, above) == ["approval_needed"]


@settings(max_examples=200, deadline=None)
@given(HISTORIES)
def test_a_correction_outlives_publication_and_ends_with_an_amendment(history: list[Event]) -> None:
    """What the CLM publishes again as it had it before takes no correction back; what parties agree anew does."""
    first = min(one.payload.revision for one in history if one.type.endswith("signed.v1"))
    standing = [one for one in history if isinstance(one.payload, Corrected) and one.payload.overrides >= first]
    contract = fold(history)
    assert contract.terms is not None
    last = max(standing, key=lambda one: (one.payload.revision, one.occurred_at), default=None)
    assert contract.terms.title == (f"By {last.id[1:]}" if last else "Claims platform rollout")
    superseding = fold([*history, amending(9, 9000, value="123456", title="Agreed anew")])
    assert superseding.terms is not None
    assert (superseding.terms.value, superseding.terms.title) == (Decimal(123456), "Agreed anew")


def test_decisions_are_kept_with_who_and_when() -> None:
    contract: Contract = fold([signing("150000"), deciding("approved", "150000", number=5)])
    assert contract.decisions == (
        Decision("Group", True, Decimal(150000), "USD", "p5@example.com", "because", START + timedelta(hours=5)),
    )
    assert contract.signed_at == SIGNED_AT


def test_a_workflow_event_is_none_that_senders_can_see() -> None:
    assert DECIDED not in REGISTRY


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ('[[approval]]\nname = "A"\nfrom_amount = 1\n[[approval]]\nname = "A"\nfrom_amount = 2\n', "approval.name"),
        ('[[approval]]\nname = "A"\nfrom_amount = 1\n[[approval]]\nname = "B"\nfrom_amount = "1.0"\n', "approval rule"),
        ('[[approval]]\nname = "A"\nfrom_amount = 1\nlegal_entity = "XX"\n', "XX"),
        ('[[approval]]\nname = "A"\nfrom_amount = -1\n', "from_amount"),
        ('[[approval]]\nname = "A"\nfrom_amount = nan\n', "from_amount"),
    ],
)
def test_rules_that_contradict_each_other_are_refused(rules: str, words: str) -> None:
    with pytest.raises(InvalidEstate, match=words):
        load(ESTATE_TOML + rules)
