"""Which project is whose: certain by a list or by being the only one like it, else told and never guessed."""

from dataclasses import replace

import pytest

from sync_core.derive import derive
from sync_core.desired import Found, Kind, fields_of
from sync_core.keys import BusinessKey, ErpRef
from sync_core.moving.adoption import Adoption, Result, Wanted, candidates, with_parts
from tests.core.test_fold_properties import event
from tests.folds import fold
from tests.sows import estate, milestone_terms, on, tm_terms

ESTATE = estate()


def contract(number: int, **terms: object) -> Wanted:
    signed = {"signed_at": "2026-03-02T10:00:00Z", "terms": milestone_terms(**terms)}
    one = replace(fold([event("signed", 1, signed)]), external_id=f"C-{number}")  # type: ignore[arg-type]
    return Wanted(number, f"C-{number}", derive(one, ESTATE, on=on("2026-03-02")))


def held(one: Wanted, ref: str, *, key: str = "", **fields: str) -> Found:
    """An ERP's own project that is like the contract's, but for these fields."""
    project = one.desired.project
    assert project is not None
    at = BusinessKey(key or f"OLD-{ref}"), ErpRef(ref)
    return Found(Kind.PROJECT, *at, {**fields_of(project), **fields})


def parts(one: Wanted, *, without: str = "") -> list[Found]:
    return [
        Found(o.kind, BusinessKey(f"OLD-{n}"), ErpRef(f"X{n}"), fields_of(o), ErpRef("P1"))
        for n, o in enumerate(one.desired.objects)
        if o.kind in (Kind.CONTRACT_LINE, Kind.MILESTONE) and o.key != without
    ]


def results(found: dict[int, Found | Adoption]) -> dict[int, str]:
    return {n: str(one.ref) if isinstance(one, Found) else f"{one.result}: {one.words}" for n, one in found.items()}


def test_the_only_project_like_it_is_its_own_whatever_the_case_of_its_name() -> None:
    one = contract(1)
    found = candidates([one], [held(one, "P1", name="CLAIMS  platform Rollout"), held(one, "P2", value="1")], {})
    assert results(found) == {1: "P1"}


def test_two_projects_or_two_contracts_that_are_alike_are_told_and_not_guessed() -> None:
    one, other = contract(1), contract(2)
    assert results(candidates([one], [held(one, "P1"), held(one, "P2")], {})) == {1: "ambiguous: P1, P2 are like it"}
    both = results(candidates([one, other], [held(one, "P1")], {}))
    assert both == dict.fromkeys((1, 2), "ambiguous: P1 is like it, and 2 contracts are like it")


def test_a_list_of_the_firm_decides_where_it_can() -> None:
    one, other = contract(1), contract(2)
    projects = [held(one, "P1"), held(one, "P2")]
    assert results(candidates([one, other], projects, {"C-1": "P1", "C-2": "P2"})) == {1: "P1", 2: "P2"}
    twice = results(candidates([one, other], projects, {"C-1": "P1", "C-2": "P1"}))
    assert set(twice.values()) == {"ambiguous: the list names project P1 for 2 contracts"}
    gone = results(candidates([one], projects, {"C-1": "P9"}))
    assert gone == {1: "unmatched: the list names project P9, which is not open in the ERP"}


def test_a_project_that_a_list_gives_to_one_is_not_anothers() -> None:
    one, other = contract(1), contract(2)
    found = results(candidates([one, other], [held(one, "P1")], {"C-1": "P1"}))
    assert found == dict.fromkeys((1, 2), "ambiguous: project P1 would be that of 2 contracts")


def test_what_bears_our_key_needs_no_adoption_and_nothing_like_it_is_unmatched() -> None:
    one, other = contract(1), contract(2, title="Something else")
    found = results(candidates([one, other], [held(one, "P1", key="clm/C-1")], {}))
    assert found == {
        1: "keyed: it bears our key already",
        2: "unmatched: none has its customer, currency, value, dates and name",
    }


def test_an_erp_that_does_not_tell_enough_matches_nothing_by_itself() -> None:
    one = contract(1)
    poor = replace(held(one, "P1"), fields={"name": "Claims platform rollout"})
    assert next(iter(results(candidates([one], [poor], {}).copy()).values())).startswith("unmatched")


def test_the_parts_are_paired_and_get_our_keys() -> None:
    one = contract(1)
    adopted = with_parts(one, held(one, "P1"), parts(one))
    assert (adopted.result, adopted.words) == (Result.MATCHED, "project P1")
    assert [str(found.key) for found in adopted.objects] == [
        "clm/C-1", "clm/C-1#L:1", "clm/C-1#M:design", "clm/C-1#M:golive",
    ]  # fmt: skip


def test_a_part_that_it_lacks_is_told_and_a_milestone_that_the_contract_has_not_is_for_a_person() -> None:
    one = contract(1)
    lacking = with_parts(one, held(one, "P1"), parts(one, without="clm/C-1#M:golive"))
    assert (lacking.result, lacking.words) == (Result.MATCHED, "project P1; it lacks a milestone")
    strange = [*parts(one), replace(parts(one)[-1], ref=ErpRef("X99"))]
    found = with_parts(one, held(one, "P1"), strange)
    assert found.result is Result.AMBIGUOUS
    assert "bills what the contract has not: milestone X99" in found.words


@pytest.mark.parametrize(("rate", "since", "words"), [
    ("240", None, "project P1; it lacks a labour rate"),
    ("260", None, "project P1; it lacks a labour rate"),  # it had one price a category, that of today
    ("260", "2026-06-01", "project P1 bills what the contract has not: labour rate X1"),
    ("1", None, "project P1 bills what the contract has not: labour rate X1"),
])  # fmt: skip
def test_a_rate_is_paired_with_one_of_its_days_at_a_price_of_its_category(
    rate: str, since: str | None, words: str
) -> None:
    senior = {"category": "SR", "name": "Senior", "planned_hours": "9", "line": "1"}
    card = [{**senior, "rate": "240.00"}, {**senior, "rate": "260.00", "valid_from": "2026-06-15"}]
    one = contract(1, **tm_terms(rates=card))
    one = replace(one, desired=one.desired.priced(over_time=True))
    fields = {"category": "SR", "rate": rate, "valid_from": since}
    found = with_parts(one, held(one, "P1"), [Found(Kind.LABOUR_RATE, BusinessKey("OLD"), ErpRef("X1"), fields)])
    assert found.words.replace("contract line and a ", "") == words


@pytest.mark.parametrize("count", [1, 3])
def test_every_contract_gets_exactly_one_answer(count: int) -> None:
    wanted = [contract(n, title=f"Title {n}") for n in range(count)]
    found = candidates(wanted, [held(one, f"P{one.contract_id}") for one in wanted], {})
    assert sorted(found) == list(range(count))
