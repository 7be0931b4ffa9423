"""What a release adds to what is on record: a contract, an amendment, nothing new, or a finding."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import orjson

from sync_core.contract import Contract, Stage
from sync_core.events import Event, understand
from sync_core.ocds.deciding import Decision
from sync_core.ocds.findings import Why
from sync_core.ocds.history import versions
from tests.folds import fold
from tests.ocds.releases import SOURCE, Json, became, contract, decided, release

MARCH, APRIL, MAY = "2025-03-05T12:00:00Z", "2025-04-05T12:00:00Z", "2025-05-05T12:00:00Z"


def later(release_id: str, when: str, *, tag: str = "contractUpdate", **changes: object) -> Json:
    return release(release_id, when, tag=[tag], contracts=[contract(**changes)])


def valued(release_id: str, when: str, amount: object, **changes: object) -> Json:
    worth = {"amount": amount, "currency": "USD"}
    return release(release_id, when, tag=["contractUpdate"], contracts=[contract(value=worth, **changes)])


def events(decisions: list[Decision]) -> list[Event]:
    found = []
    for one in decisions:
        for event in one.events:
            assert event.time is not None
            found.append(Event(SOURCE, event.id, event.type, event.time, understand(event.type, event.data)))
    return found


def folded(decisions: list[Decision]) -> Contract:
    """As a worker makes it; and the record read back from the same events is the one that was decided on."""
    told = events(decisions)
    last = next(one.version for one in reversed(decisions) if one.version is not None)
    assert versions(reversed(told))[-1] == last
    made = fold(told)
    assert made.problems == ()
    assert made.terms == last.terms
    assert made.stage is last.stage
    return made


def kinds(decisions: list[Decision]) -> list[str]:
    return [event.type.removeprefix("com.tieline.contract.") for one in decisions for event in one.events]


def test_the_first_release_is_the_contract() -> None:
    decisions = decided(release())
    assert became(decisions) == ["contract"]
    assert folded(decisions).signed_at == datetime(2025, 3, 3, 10, tzinfo=UTC)
    data = orjson.loads(decisions[0].events[0].data)
    assert (data["revision"], data["ocds"]["release"]) == (20250305120000, "r-1")
    assert data["terms"]["value"] == "1200.50"


def test_a_later_value_is_an_amendment_though_no_object_says_so() -> None:
    decisions = decided(release(), valued("r-2", APRIL, 1500), valued("r-3", MAY, 1100.25))
    assert became(decisions) == ["contract", "amendment", "amendment"]
    made = folded(decisions)
    assert made.terms is not None
    assert (made.terms.value, made.terms.milestones[0].amount) == (Decimal("1100.25"), Decimal("1100.25"))
    assert [one.number for one in made.amendments] == [1, 2]


def test_amendment_objects_are_numbered_here_whatever_their_own_numbers() -> None:
    noted = [{"id": "001", "date": "2025-03-20T09:00:00Z", "rationale": "More roof"}]
    more = [*noted, {"id": "003", "description": "No change of money"}]
    decisions = decided(
        release(), valued("r-2", APRIL, 1500, amendments=noted), valued("r-3", MAY, 1500, amendments=more)
    )
    assert became(decisions) == ["contract", "amendment", "amendment"]
    made = folded(decisions)
    assert [(one.number, one.summary) for one in made.amendments] == [(1, "More roof"), (2, "No change of money")]
    assert made.amendments[0].executed_at == datetime(2025, 3, 20, 9, tzinfo=UTC)


def test_amendments_that_the_first_release_lists_are_in_its_terms() -> None:
    noted = [{"id": "1"}, {"id": "2"}]
    same = later("r-2", APRIL, amendments=noted)
    assert became(decided(later("r-1", MARCH, amendments=noted), same)) == ["contract", "repeat"]


def test_the_tag_alone_makes_an_amendment() -> None:
    decisions = decided(release(), later("r-2", APRIL, tag="contractAmendment"))
    assert became(decisions) == ["contract", "amendment"]
    assert folded(decisions).amendments[0].number == 1


def test_a_release_of_a_payment_says_nothing_new_of_the_contract() -> None:
    paid = later("r-2", APRIL, tag="implementation", implementation={"transactions": [{"value": {"amount": 9_999}}]})
    assert became(decided(release(), paid)) == ["contract", "repeat"]


def test_the_same_release_is_a_repeat_in_any_packaging_and_with_a_later_date() -> None:
    again = {**release("r-1", APRIL), "packageInfo": {"uri": "https://publisher.example"}}
    assert became(decided(release(), release(), again)) == ["contract", "repeat", "repeat"]


def test_a_release_published_again_with_other_content_changes_the_contract() -> None:
    decisions = decided(release(), valued("r-1", APRIL, 1500), valued("r-1", APRIL, 1500))
    assert became(decisions) == ["contract", "amendment", "repeat"]
    assert len({event.id for one in decisions for event in one.events}) == 2


def test_an_older_release_that_says_otherwise_is_told_and_changes_nothing() -> None:
    decisions = decided(valued("r-2", APRIL, 1500), release())
    assert became(decisions) == ["contract", "finding"]
    found = decisions[1].finding
    assert found is not None
    assert (found.why, "import older files first" in found.message) == (Why.SUPERSEDED, True)


def test_an_older_release_that_says_what_was_in_force_then_is_a_repeat() -> None:
    decisions = decided(release(), valued("r-3", MAY, 1500), later("r-2", APRIL))
    assert became(decisions) == ["contract", "amendment", "repeat"]


def test_what_is_only_assumed_never_changes_what_is_on_record() -> None:
    bare = contract(title=None, dateSigned=None, period=None, suppliers=None)
    poorer = release("r-2", APRIL, buyer=None, contracts=[bare], tender={"title": "Another title"})
    assert became(decided(release(), poorer)) == ["contract", "repeat"]


def test_another_mapping_of_parties_is_no_news_of_the_contract() -> None:
    [first] = decided(release())
    assert first.version is not None
    terms = first.said.terms
    mapped = replace(terms, customer=replace(terms.customer, code="CUST-7"), legal_entity="GB01")
    assert first.version.says(replace(first.said, terms=mapped))
    assert not first.version.says(replace(first.said, terms=mapped, supplier="S-2"))


def test_dates_and_parties_that_change_are_amendments_too() -> None:
    longer = {"startDate": "2025-04-01T00:00:00Z", "endDate": "2025-12-31T00:00:00Z"}
    moved = release("r-2", APRIL, buyer={"id": "B-2", "name": "County"}, contracts=[contract(period=longer)])
    made = folded(decided(release(), moved))
    assert made.terms is not None
    assert (made.terms.customer.code, made.terms.ends_on) == ("B-2", date(2025, 12, 31))
    assert made.terms.milestones[0].due_on == date(2025, 12, 31)


def test_a_value_that_falls_to_zero_leaves_nothing_to_bill() -> None:
    made = folded(decided(release(), valued("r-2", APRIL, 0), valued("r-3", MAY, 10)))
    assert made.terms is not None
    assert [one.amount for one in made.terms.milestones] == [Decimal(10)]
    none = folded(decided(release(), valued("r-2", APRIL, 0))).terms
    assert none is not None
    assert (none.value, none.milestones) == (Decimal(0), ())


def test_a_change_of_currency_is_an_amendment_of_currency_and_value() -> None:
    other = later("r-2", APRIL, value={"amount": 900, "currency": "GBP"})
    decisions = decided(release(), other)
    assert (became(decisions), kinds(decisions)) == (["contract", "amendment"], ["signed.v1", "amended.v1"])
    made = folded(decisions)
    assert made.terms is not None
    assert (made.terms.currency, made.terms.value) == ("GBP", Decimal(900))


def test_a_contract_goes_from_draft_over_signature_to_its_end() -> None:
    pending = later("r-1", MARCH, status="pending", dateSigned=None)
    ended = valued("r-3", MAY, 1300, status="terminated")
    decisions = decided(pending, later("r-2", APRIL), ended)
    assert became(decisions) == ["contract", "amendment", "amendment"]
    assert kinds(decisions) == ["drafted.v1", "signed.v1", "amended.v1", "terminated.v1"]
    made = folded(decisions)
    assert (made.stage, made.ended_on, len(made.amendments)) == (Stage.TERMINATED, date(2025, 5, 5), 1)


def test_one_that_ended_before_it_was_known_is_signed_and_ended() -> None:
    over = decided(later("r-1", MAY, status="terminated"))
    assert (kinds(over), folded(over).stage) == (["signed.v1", "terminated.v1"], Stage.TERMINATED)
    never = decided(later("r-1", MAY, status="cancelled", dateSigned=None))
    assert kinds(never) == ["drafted.v1", "cancelled.v1"]
    assert folded(never).signed_at is None


def test_one_that_is_in_force_again_is_signed_anew_and_pending_does_not_unsign() -> None:
    revived = decided(release(), later("r-2", APRIL, status="cancelled"), later("r-3", MAY))
    assert became(revived) == ["contract", "amendment", "amendment"]
    assert folded(revived).stage is Stage.SIGNED
    assert became(decided(release(), later("r-2", APRIL, status="pending"))) == ["contract", "repeat"]


def test_contract_ids_that_every_process_numbers_anew_are_different_contracts() -> None:
    one, other = decided(release()), decided(release(ocid="ocds-test-2"))
    assert one[0].said.external_id != other[0].said.external_id
    assert one[0].events[0].id != other[0].events[0].id


def test_hostile_ids_still_make_events() -> None:
    for hostile in ("x" * 2_000, "a\x00b", "\ud800", "a\nb", "é" * 400):
        decisions = decided(release(hostile, ocid=f"o-{hostile}", contracts=[contract(id=hostile)]))
        assert became(decisions) == ["contract"]
        assert len(decisions[0].events[0].id) <= 310
