"""The table of clauses: which ones a contract must have approved, explained, checked and back-tested as the others."""

import orjson
import pytest

from sync_core.checks import contract_findings
from sync_core.contract import Contract
from sync_core.errors import InvalidEstate
from sync_core.estate.estate import Estate, load
from sync_core.events import PREFIX, Event, understand
from sync_core.life.clauses import unapproved
from sync_core.policy.compare import Effect, Known, back_test
from sync_core.reads.policy import explain_contract
from tests.folds import fold
from tests.policy.texts import TWO_ERPS
from tests.sows import SIGNED_AT, SOURCE, milestone_terms, signed

POLICY = """
[[clause]]
name = "Everybody"
clauses = "liability_cap"

[[clause]]
name = "Work in the UK"
legal_entity = "GB01"
clauses = ["liability_cap", "data_protection"]

[[clause]]
name = "Nothing of tax work"
legal_entity = "GB01"
service_line = "tax"
clauses = []
"""
UK = {"legal_entity": "GB01", "currency": "GBP"}


def ruled(text: str = POLICY) -> Estate:
    return load(TWO_ERPS, text)


def contract(clauses: dict[str, str], **terms: object) -> Contract:
    said = (("clauses", {"contract_id": "C-1", "revision": 1, "clauses": clauses}),
            ("signed", signed("C-1", milestone_terms(**terms), revision=2)))  # fmt: skip
    names = [(f"{PREFIX}{kind}.v1", data) for kind, data in said]
    return fold(Event(SOURCE, name, name, SIGNED_AT, understand(name, orjson.dumps(data))) for name, data in names)


@pytest.mark.parametrize(
    ("clauses", "terms", "left"),
    [
        ({"liability_cap": "standard"}, {}, []),
        ({"liability_cap": "negotiated"}, {}, ["liability_cap"]),
        ({}, {}, ["liability_cap"]),
        ({"liability_cap": "approved"}, UK, ["data_protection"]),
        ({}, {**UK, "service_line": "tax"}, []),
    ],
)
def test_the_most_specific_rule_names_the_clauses(
    clauses: dict[str, str], terms: dict[str, object], left: list[str]
) -> None:
    one = contract(clauses, **terms)
    assert unapproved(one, ruled()) == left
    found = {finding.cause for finding in contract_findings(one, ruled())}
    assert ("clause_not_approved" in found) is bool(left)
    assert unapproved(one, load(TWO_ERPS)) == []


def test_what_the_clm_rejects_is_told_once() -> None:
    found = [finding.cause for finding in contract_findings(contract({"liability_cap": "rejected"}), ruled())]
    assert found == ["clause_rejected"]


def test_explain_says_which_rule_and_why_not_another() -> None:
    [told] = [each for each in explain_contract(contract({}, **UK), ruled()) if each.table == "clause"]
    assert (told.rule, told.says) == ("Work in the UK", "liability_cap, data_protection")
    others = {one.name: one.why for one in told.considered if one.name != told.rule}
    assert others["Nothing of tax work"] == "its service line is consulting"
    assert others["Everybody"] == "“Work in the UK” is more specific: it names the legal entity"


def test_the_back_test_names_the_clauses_that_would_still_be_missing() -> None:
    known = Known(1, contract({}))
    [one] = back_test([known], load(TWO_ERPS), ruled(), now=SIGNED_AT)
    assert [(c.effect, c.before, c.after) for c in one.changes] == [
        (Effect.CLAUSE, "", "liability_cap"),
        (Effect.BLOCKED, "", "clause_not_approved"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (POLICY.replace('legal_entity = "GB01"\nclauses', "clauses"), "equally specific"),
        (POLICY.replace('"data_protection"', '" "'), "a clause has no name"),
        (
            POLICY.replace("service_line", "service"),
            r"\[\[clause\]\] 3 '.*': service is no key of .*; did you mean service_line\?",
        ),
        (POLICY.replace('"GB01"', '"ZZ"'), "ZZ"),
    ],
)
def test_what_cannot_be_is_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidEstate, match=words):
        ruled(text)
