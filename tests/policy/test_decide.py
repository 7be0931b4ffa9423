"""Which rule decides: specificity along the order of dimensions, ladders, the estate beneath the policy."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.cases.approvals import request
from sync_core.checks import contract_findings
from sync_core.contract import Contract
from sync_core.derive import derive
from sync_core.errors import Function, InvalidEstate
from sync_core.estate.bill_runs import next_bill_run
from sync_core.estate.estate import Estate, load
from sync_core.policy.decide import decide
from sync_core.policy.explain import Came, explain
from sync_core.policy.rule import DIMENSIONS, Mandatory, Route, Rule, Subject, Threshold, ties
from sync_core.policy.table import Table
from sync_core.reads.policy import explain_contract
from tests.core.test_approvals import event
from tests.folds import fold
from tests.policy.texts import POLICY, TWO_ERPS, plain, ruled
from tests.sows import SIGNED_AT, milestone_terms, signed, tm_terms


def contract(terms: dict[str, object]) -> Contract:
    return fold([event("com.tieline.contract.signed.v1", 0, signed("C-1", terms))])


UK: dict[str, object] = {"legal_entity": "GB01", "currency": "GBP"}


@pytest.mark.parametrize(
    ("changes", "erp"),
    [
        ({}, "cloud"),
        ({"service_line": "tax"}, "books"),
        ({**UK, "service_line": "tax"}, "cloud"),  # a rule for the entity is more specific than one for the line
        ({"value": "500000.00"}, "books"),
        ({"value": "499999.99"}, "cloud"),
        ({**UK, "value": "900000.00"}, "cloud"),  # another currency than the rule's
    ],
)
def test_the_most_specific_route_decides_and_the_estate_where_none_fits(changes: dict[str, object], erp: str) -> None:
    estate, one = ruled(), contract(milestone_terms(**changes))
    assert estate.lane_of(one.terms) == erp
    assert derive(one, estate, on=SIGNED_AT.date()).lane == erp
    assert plain().lane_of(one.terms) == "cloud"


def test_an_entity_that_the_estate_does_not_know_goes_nowhere_whatever_a_rule_says() -> None:
    assert ruled().lane_of(contract(milestone_terms(legal_entity="XX", service_line="tax")).terms) is None


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"value": "150000"}, "Large contracts"),
        ({"value": "15000", "service_line": "audit"}, "Audit work"),
        ({"value": "90000", "service_line": "assurance"}, "Audit work, large"),
        ({"value": "9000", "service_line": "audit"}, None),
        ({**UK, "value": "40000"}, "Large in the UK"),  # 50,000 at 1.25
        ({**UK, "value": "9000", "currency": "CHF", "service_line": "audit"}, "Audit work, large"),  # no rate is known
    ],
)
def test_a_ladder_asks_by_the_highest_step_that_is_reached(changes: dict[str, object], rule: str | None) -> None:
    asked = request(contract(milestone_terms(**changes)), ruled())
    assert (asked.rule.name if asked else None) == rule


def found(estate: Estate, terms: dict[str, object]) -> list[str]:
    return sorted(finding.cause for finding in contract_findings(contract(terms), estate))


def test_mandatory_fields_are_those_of_the_most_specific_rule_alone() -> None:
    bare = tm_terms(po_number=None, ends_on=None)
    assert found(plain(), bare) == []
    assert found(ruled(), bare) == ["mandatory_missing", "po_missing"]
    british = milestone_terms(**UK, po_number=None)
    assert found(plain(), british) == ["po_missing"]
    assert found(ruled(), british) == []
    nameless = milestone_terms(**UK, customer={"code": "CUST-1", "name": "Harbour Mutual"})
    assert found(ruled(), nameless) == ["mandatory_missing"]


def test_a_tax_regime_gives_the_code_that_a_contract_lacks_and_no_other() -> None:
    estate = ruled()
    for tax, code in (({}, "GB-STD"), ({"tax_code": "GB-ZERO"}, "GB-ZERO"), ({"exempt": True}, None)):
        one = contract(milestone_terms(**UK, tax=tax))
        project = derive(one, estate, on=SIGNED_AT.date()).project
        assert project is not None
        assert project.tax_code == code
        assert "tax_code_missing" not in found(estate, milestone_terms(**UK, tax=tax))
    assert found(plain(), milestone_terms(**UK, tax={})) == ["tax_code_missing"]


def test_bill_runs_of_the_policy_are_the_entitys_for_every_reader() -> None:
    british = ruled().entities["GB01"]
    run = next_bill_run(british, SIGNED_AT)
    assert run is not None
    assert (run.day, british.bill_runs) == (10, (10,))
    assert ruled().entities["US01"].bill_runs == plain().entities["US01"].bill_runs


def test_the_version_changes_with_the_policy_and_only_with_it() -> None:
    assert load(TWO_ERPS, "").rules_version == plain().rules_version
    assert ruled().rules_version == ruled(POLICY + "\n# a remark\n").rules_version
    assert len({plain().rules_version, ruled().rules_version, ruled(POLICY.replace("500000", "1")).rules_version}) == 3


TIE = """
[[route]]
name = "One"
service_line = ["tax", "audit"]
geography = "europe"
erp = "books"

[[route]]
name = "Other"
service_line = "tax"
geography = ["europe", "asia"]
erp = "cloud"
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TIE, "'One' and 'Other' are equally specific"),
        (TIE.replace('name = "Other"', 'name = "One"'), "unique in its table"),
        (
            TIE.replace('"europe"\n', '"oceania"\n', 1).replace('erp = "cloud"', 'erp = "nowhere"'),
            "'nowhere' is not in",
        ),
        ("[[route]]\nname = 'a'\nerp = 'books'\nservice_lien = 'tax'", "service_lien"),
        ("[[route]]\nname = 'a'\nerp = 'books'\nfrom_value = 5", "name that one in `currency`"),
        ("[[route]]\nname = 'a'\nerp = 'books'\nlegal_entity = 'XX'", "'XX' is not in"),
        ("[[bill_calendar]]\nname = 'a'\nbill_runs = [5]\nservice_line = 'tax'", "use no other condition"),
        ("[[bill_calendar]]\nname = 'a'\nbill_runs = [0]", "days of the month"),
        ("[[owner]]\nname = 'a'\ncause = 'no_such'\nfunction = 'tax'", "no_such is unknown"),
        ("[[owner]]\nname = 'a'\ncause = 'approval_needed'\nfunction = 'tax'", "leave that cause out"),
        ("[[owner]]\nname = 'a'\nfunction = 'legal'", "nobody is"),
        ("[[owner]]\nname = 'a'", "function, sla_working_hours, or both"),
        ("[[mandatory]]\nname = 'a'\nfields = ['shoe_size']", "shoe_size are unknown; use po_number"),
        ("[[approval]]\nname = 'a'\nfrom_amount = 1\nfrom_value = 2\ncurrency = 'USD'", "use from_amount"),
        ("[[approval]]\nname = 'a'\nfrom_amount = 1\n[[approval]]\nname = 'b'\nfrom_amount = 1", "'a' and 'b'"),
        ("[[rout]]\nname = 'a'", "rout"),
        ("[[route", "no valid TOML"),
    ],
)
def test_a_policy_that_cannot_be_followed_is_refused_with_the_rule_and_what_to_do(text: str, words: str) -> None:
    with pytest.raises(InvalidEstate, match=r".") as refused:
        ruled(text)
    assert words in refused.value.message


SEVERAL = """
[[approval]]
name = "Large"
from_amount = "2,65"
function = "finance_operation"
[[route]]
name = "Dollars"
erp = "books"
from_value = "1,000"
"""


def test_all_that_is_wrong_is_told_at_once_by_table_number_and_name() -> None:
    with pytest.raises(InvalidEstate) as unread:
        ruled(SEVERAL)
    assert unread.value.message.splitlines() == [
        "policy file: 3 things are to be mended:",
        "  [[route]] 1 'Dollars': from_value '1,000' is no number; write 1000, or 1.000 with a point if that is meant, "
        "and name its one currency in `currency`",
        "  [[approval]] 1 'Large': from_amount '2,65' is no number; write 2.65 with a point, in the group's reporting "
        "currency",
        f"  [[approval]] 1 'Large': function 'finance_operation' is none of {', '.join(Function)}; did you mean "
        "finance_operations?",
    ]
    with pytest.raises(InvalidEstate) as unfit:
        ruled(TIE + "[[route]]\nname = 'a'\nerp = 'nowhere'\n[[mandatory]]\nname = 'b'\nfields = ['shoe_size']\n")
    told = unfit.value.message.splitlines()
    found = [
        words in line for words, line in zip(("equally specific", "'nowhere'", "shoe_size"), told[1:], strict=True)
    ]
    assert all(found), told


def test_rules_that_no_contract_meets_both_are_no_tie() -> None:
    apart = TIE.replace('["europe", "asia"]', '"asia"')
    assert len(ruled(apart).policy.route) == 2


def test_an_estate_file_holds_no_policy() -> None:
    with pytest.raises(InvalidEstate, match="TIELINE_POLICY"):
        load(TWO_ERPS + "\n[policy]\n")


def test_every_rule_says_where_it_fits_and_what_it_decides() -> None:
    tables = ruled().tables
    rules: list[Rule] = [*tables.route.rules, *tables.approval.rules, *tables.owner.rules, *tables.mandatory.rules]
    rules += [*tables.tax.rules, *tables.bill_calendar.rules]
    assert all(rule.where and rule.says for rule in rules)
    assert Mandatory(name="none", fields=()).says == "nothing"


names = st.lists(st.sampled_from("ab"), max_size=2, unique=True).map(tuple)
conditions = st.fixed_dictionaries({name: names for name in DIMENSIONS if name not in ("cause", "billing")})
subjects = st.builds(
    Subject, *(st.sampled_from("abc") for _ in range(5)), st.integers(0, 4).map(Decimal),
    st.none() | st.integers(0, 4).map(Decimal),
)  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> Table[Rule]:
    """Any set of rules without ties: half of the tables with steps, as approvals have them."""
    made: list[Rule] = []
    steps = draw(st.booleans())
    for number in range(draw(st.integers(0, 8))):
        where, floor = draw(conditions), Decimal(draw(st.integers(0, 3)))
        one: Rule = (
            Threshold(name=f"r{number}", from_amount=floor)
            if steps
            else Route(name=f"r{number}", erp="x", from_value=floor or None)
        )
        one = replace(
            one,
            legal_entity=where["legal_entity"],
            service_line=where["service_line"],
            currency=where["currency"],
            geography=where["geography"],
        )
        made += [] if ties([*made, one]) else [one]
    cut = draw(st.integers(0, len(made)))
    return Table("any", tuple(made[:cut]), tuple(made[cut:]))


def by_the_book(table: Table[Rule], subject: Subject) -> str | None:
    """The same from the words of the manual: compare the conditions from the most important on."""
    for rules in (table.rules, table.defaults):
        fits = [rule for rule in rules if rule.unfit(subject) is None]
        if not fits:
            continue
        named = {rule.name: [bool(rule.condition(name)) for name in DIMENSIONS] for rule in fits}
        best = max(named.values())
        steps = sorted((rule.floor, rule.name) for rule in fits if named[rule.name] == best and rule.reached(subject))
        return steps[-1][1] if steps else None
    return None


@given(tables(), subjects)
def test_explain_names_the_rule_that_decides_and_says_of_each_other_why_not(
    table: Table[Rule], subject: Subject
) -> None:
    won, told = decide(table, subject), explain(table, subject, "USD")
    assert told.rule == (won.name if won else None) == by_the_book(table, subject)
    assert {one.name for one in told.considered} == {rule.name for rule in (*table.rules, *table.defaults)}
    assert [one.name for one in told.considered if one.came is Came.DECIDES] == ([won.name] if won else [])
    for one in told.considered:
        assert one.why
        rule = next(rule for rule in (*table.rules, *table.defaults) if rule.name == one.name)
        assert (one.came is Came.DOES_NOT_FIT) == (rule.unfit(subject) is not None)


@given(tables(), subjects)
def test_the_order_of_the_rules_in_the_file_decides_nothing(table: Table[Rule], subject: Subject) -> None:
    turned = Table(table.name, table.rules[::-1], table.defaults[::-1])
    assert decide(turned, subject) == decide(table, subject)


def test_words_of_why() -> None:
    one = contract(milestone_terms(**UK, service_line="tax"))
    assert one.terms is not None
    route = explain_contract(one, ruled())[0]
    said = {rule.name: (rule.came, rule.why) for rule in route.considered}
    assert route.says == "cloud"
    assert said["UK tax work"] == (Came.DECIDES, "the most specific that fits: legal entity GB01, service line tax")
    assert said["Tax work"] == (Came.LOST, "“UK tax work” is more specific: it names the legal entity")
    assert said["entity GB01"] == (
        Came.LOST, "“UK tax work” is of the policy, which stands above the estate file",
    )  # fmt: skip
    assert said["Large dollars"] == (Came.DOES_NOT_FIT, "its currency is GBP")
